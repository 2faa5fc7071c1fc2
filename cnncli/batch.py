"""One job over many images: read, forward, write; a bad image never stops the rest."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cnncli.deliver import check_format_of, deliver, expect, notes_of, shares_of
from cnncli.errors import CnnCliError, FileProblem, OptionError, quote
from cnncli.featuremaps import layer_maps
from cnncli.images import (
    Picture,
    background_colour,
    images_in_folder,
    read_image,
    read_stream,
)
from cnncli.job import Job, Outcome
from cnncli.memory import check_memory
from cnncli.outputs import OutFile, Result, Source, Target, make_folders, plan_targets, select_files
from cnncli.passes import peak_bytes
from cnncli.targets import is_device


def gather(images: Sequence[str], recursive: bool, stdin_is_terminal: bool) -> list[Source]:
    """Return what the IMAGE arguments stand for.

    Parameters
    ----------
    images : sequence of str
        Files, folders and ``-``; none means standard input.
    recursive : bool
        Whether folders are taken with their sub-folders.
    stdin_is_terminal : bool
        Whether nobody pipes anything in.

    Returns
    -------
    list of Source
        An image that is missing is among them: reading it says so.

    Raises
    ------
    OptionError
        If standard input is asked for twice or is a terminal.
    FileProblem
        If a folder holds no images or cannot be listed.

    Examples
    --------
    >>> [source.name for source in gather(["a.png", "b.npy"], False, True)]
    ['a.png', 'b.npy']
    """
    words = list(images) or ["-"]
    if words.count("-") > 1:
        raise OptionError("standard input can be read once, got '-' several times")
    if "-" in words and stdin_is_terminal:
        raise OptionError(
            "an IMAGE must be given or piped in, but standard input is a terminal",
            hint="give a file or folder, or pipe an image in: < photo.png",
        )
    return [source for word in words for source in _sources(word, recursive)]


def _sources(word: str, recursive: bool) -> Iterator[Source]:
    if word == "-":
        yield Source(None)
        return
    if not os.path.isdir(word):
        yield Source(Path(word))
        return
    found = [Source(path) for path in images_in_folder(Path(word), recursive)]
    if not found:
        hint = None if recursive else "--recursive looks into sub-folders too"
        raise FileProblem(f"{quote(word)}: a folder without images", hint=hint)
    yield from found


def run(job: Job, sources: Sequence[Source]) -> Iterator[Outcome]:
    """Do a job on every image, one after the other; a bad image never stops the rest.

    Parameters
    ----------
    job : Job
    sources : sequence of Source

    Yields
    ------
    Outcome
        One for each source, in order.

    Raises
    ------
    CnnCliError
        If outputs cannot work for the whole batch; nothing was read by then.
    """
    background_colour(job.read.background)
    plan = plan_targets(
        sources,
        job.output,
        op=job.op,
        filter_name=job.filter_name,
        read_too=job.read_too,
        layers=job.layers,
    )
    if job.several and not all(target.per_layer for target in plan.targets):
        raise OptionError(
            f"--output has room for one layer, got {len(job.layers)}",
            hint="-o a folder (out/), a template with {layer}, or an .npz file",
        )
    claimed: dict[str, Source] = {}
    for target in plan.targets:
        try:
            outcome = process(job, target, plan.inputs, claimed)
        except (CnnCliError, MemoryError) as error:
            outcome = Outcome(target.source, error=named_error(error, target.source))
        yield replace(outcome, to_stdout=target.kind == "stdout")


def process(
    job: Job, target: Target, inputs: frozenset[tuple[int, int]], claimed: dict[str, Source]
) -> Outcome:
    """Do a job on one image.

    Parameters
    ----------
    job : Job
    target : Target
        The image and where its result goes.
    inputs : frozenset
        All inputs of the batch, none of which is ever overwritten.
    claimed : dict
        The files that the images before this one were written to; this one's are added.

    Returns
    -------
    Outcome

    Raises
    ------
    CnnCliError
        If it cannot be done; nothing was written then.
    """
    if _all_there(job, target, inputs):
        return Outcome(target.source, skipped=True)
    picture = read_source(job, target.source)
    expected = expect(job, picture.shape, target.wanted)
    planned = target.files([Result(each.maps, each.layer) for each in expected])
    _claim(planned, target.source, claimed)
    files = select_files(planned, job.output, inputs)
    if not files:
        return Outcome(target.source, skipped=True)
    for file in files:
        check_format_of(job, file, expected[file.result])
    shares = shares_of(expected, files)
    _check_room(job, picture)
    said = notes_of(job, picture)
    names = [share.expected.name for share in shares]
    made = layer_maps(job.network, picture, names, job.jobs)
    # The results let go of the pixels as soon as they can; nothing here may hold them.
    del picture
    make_folders(target, files)
    with np.errstate(all="ignore"):
        written, notes, shown = deliver(job, shares, made)
    return Outcome(target.source, written, (*said, *notes), shown=shown)


def _check_room(job: Job, picture: Picture) -> None:
    """Refuse a network whose outputs do not fit into memory: what is no chain has no strips."""
    if not job.network.is_chain:
        needed = peak_bytes(job.network, picture.shape, picture.dtype)
        check_memory(needed, "the network", "a smaller image, or [input] size in the network file")


def _claim(files: Sequence[OutFile], source: Source, claimed: dict[str, Source]) -> None:
    """Refuse a file that another image of this batch was written to: maps are named late."""
    for file in files:
        if file.path is None or is_device(file.path):
            continue
        name = os.path.realpath(file.path)
        if name in claimed:
            raise OptionError(
                f"{quote(file.path)} would hold both {claimed[name]} and {source}",
                hint="a template such as 'out/{stem}-{ext}-{map:03d}.png'",
            )
        claimed[name] = source


def _all_there(job: Job, target: Target, inputs: frozenset[tuple[int, int]]) -> bool:
    """Whether nothing is to be written, known before the image is read."""
    if target.per_map or not job.output.skip_existing:
        return False
    return not select_files(target.files(target.unknown()), job.output, inputs)


def read_source(job: Job, source: Source) -> Picture:
    """Read an image from its file or from standard input.

    Examples
    --------
    >>> from cnncli.layers import PoolLayer
    >>> from cnncli.network import Network
    >>> from cnncli.images import ReadOptions
    >>> from cnncli.outputs import OutputOptions
    >>> from cnncli.render import RenderOptions
    >>> job = Job(Network.chain(PoolLayer()), ReadOptions(), RenderOptions(), OutputOptions(), "")
    >>> read_source(job, Source(Path("/nowhere.png")))
    Traceback (most recent call last):
    cnncli.errors.FileProblem: '/nowhere.png': cannot be read: No such file or directory
    """
    if source.path is not None:
        return read_image(source.path, job.read, early=job.jobs != 1)
    if sys.stdin is None or sys.stdin.closed:
        raise FileProblem("standard input is closed", hint="give an IMAGE")
    return read_stream(sys.stdin.buffer, job.read)


def named_error(error: CnnCliError | MemoryError, source: Source) -> CnnCliError:
    """Return the error with the image's name in front, unless it names a file already.

    Examples
    --------
    >>> str(named_error(OptionError("no such frame"), Source(Path("a.gif"))))
    "'a.gif': no such frame"
    """
    if isinstance(error, MemoryError):
        hint = "a smaller image, --stride, or fewer filters"
        error = CnnCliError("not enough memory for this image", hint=hint)
    text = str(error)
    if text.startswith("'"):
        return error
    label = "'standard input'" if source.path is None else str(source)
    return type(error)(f"{label}: {text}", hint=error.hint)
