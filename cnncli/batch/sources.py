"""The images that the arguments IMAGE of a command name: files, folders, patterns, lists, stdin."""

from __future__ import annotations

import marshal
import os
from collections.abc import Iterator, Sequence

from cnncli.batch.listing import (
    count_folders,
    folder_files,
    is_pattern,
    listed_files,
    pattern_files,
)
from cnncli.batch.own_results import OwnResults
from cnncli.batch.spool import Spool
from cnncli.errors import FileProblem, OptionError, printable
from cnncli.io.images import PICTURE_SUFFIXES
from cnncli.io.limits import MAX_INPUT_BYTES
from cnncli.io.nearby import files_like, is_number
from cnncli.io.urls import is_url, locate, parse_url
from cnncli.pipeline.source import Source
from cnncli.system.progress import set_step


class Sources:
    """The images of a batch, to be gone through as often as need be; a million take no memory.

    Examples
    --------
    >>> sources = Sources()
    >>> sources.add("in/a.png")
    >>> sources.add("photos/2024/b.png", "2024")
    >>> [(source.name, source.folder) for source in sources]
    [('a.png', 'in'), ('b.png', '2024')]
    """

    def __init__(self) -> None:
        self._records = Spool()
        self.left_out: dict[str, int] = {}
        """How many results of earlier runs were not taken from which folders."""
        self.sub_folders: dict[str, int] = {}
        """How many sub-folders of which folders were not looked into."""

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Source]:
        for record in self._records:
            name, below = marshal.loads(record)
            yield Source(None if name is None else locate(name), below)

    def __contains__(self, source: object) -> bool:
        return any(source == other for other in self)

    def add(self, name: str | None, below: str | None = None) -> None:
        """Take in the name of a file, None for standard input, see `Source`.

        Raises
        ------
        OptionError
            For an address that is not taken.
        """
        if name is not None and is_url(name):
            parse_url(name)
        self._records.append(marshal.dumps((name, below)))
        set_step("listing images", len(self._records))


def gather(
    images: Sequence[str],
    recursive: bool,
    stdin_is_terminal: bool,
    files_from: str | None = None,
    max_bytes: int = MAX_INPUT_BYTES,
    excluded: str | None = None,
) -> Sources:
    """Find what the IMAGE arguments stand for.

    Parameters
    ----------
    images : sequence of str
        Files, folders, patterns and ``-``; none means standard input, unless there is a list.
        Results of earlier runs beside their images are not taken from folders, see `OwnResults`.
    recursive : bool
        Whether folders are taken with their sub-folders.
    stdin_is_terminal : bool
        Whether nobody pipes anything in.
    files_from : str, optional
        A list of further files, or ``-``; see `cnncli.batch.listing.listed_files`.
    max_bytes : int
        How long the list may be.
    excluded : str, optional
        A folder that is left out below others: that of the results, which a second run would take
        for images.

    Returns
    -------
    Sources
        An image that is missing is among them: reading it says so.

    Raises
    ------
    OptionError
        If standard input is asked for twice or is a terminal.
    FileProblem
        If a folder holds no images or cannot be listed, a pattern fits nothing, a list names
        nothing or a missing file's name is a number.

    Examples
    --------
    >>> [source.name for source in gather(["a.png", "b.npy"], False, True)]
    ['a.png', 'b.npy']
    """
    names = list(images) or ([] if files_from else ["-"])
    _check_numbers(names)
    _check_stdin(names, files_from, stdin_is_terminal)
    sources = Sources()
    real = None if excluded is None else os.path.realpath(excluded)
    for name in names:
        _add(sources, name, recursive, real)
    if files_from is not None:
        for name in listed_files(files_from, max_bytes):
            sources.add(name)
    return sources


def gather_one(images: Sequence[str], stdin_is_terminal: bool, command: str) -> Source:
    """Find the one image of a command that takes no more.

    Raises
    ------
    CnnCliError
        As `gather`, or if there are several.
    """
    sources = gather(images, False, stdin_is_terminal)
    if len(sources) > 1:
        raise OptionError(f"{command} takes one IMAGE, got {len(sources)}")
    return next(iter(sources))


def _check_numbers(names: Sequence[str]) -> None:
    """Refuse a missing file whose name is a number: other results than asked for would be made."""
    for name in names:
        if is_number(name) and not os.path.lexists(name):
            raise FileProblem("no such file", hint=files_like(name), path=name)


def _check_stdin(names: Sequence[str], files_from: str | None, is_terminal: bool) -> None:
    asked = [*names, files_from].count("-")
    if asked > 1:
        raise OptionError("standard input can be read once, got '-' several times")
    if asked and is_terminal:
        what = "an IMAGE" if "-" in names else "a list of names"
        raise OptionError(
            f"{what} must be given or piped in, but standard input is a terminal",
            hint="give a file or folder, or pipe an image in: < photo.png"
            if "-" in names
            else "find photos -name '*.png' | cnncli ... --files-from -",
        )


def _is_folder(name: str) -> bool:
    return parse_url(name).is_folder if is_url(name) else os.path.isdir(name)


def _add(sources: Sources, name: str, recursive: bool, excluded: str | None) -> None:
    if name == "-":
        sources.add(None)
    elif not name:
        raise OptionError("IMAGE must name a file or folder, got nothing")
    elif _is_folder(name):
        before = len(sources)
        own = OwnResults()
        files = folder_files(name, recursive, PICTURE_SUFFIXES, excluded)
        for file, below in files if is_url(name) else own.without(files):
            sources.add(file, below)
        if own.left_out:
            sources.left_out[name] = own.left_out
        if not (recursive or is_url(name)):
            sources.sub_folders[name] = count_folders(name, excluded)
        if len(sources) == before:
            hint = None if recursive else "--recursive looks into sub-folders too"
            hint = f"-o {printable(name)} makes it the folder of results" if before else hint
            raise FileProblem("a folder without images", hint=hint, path=name)
    elif is_pattern(name):
        for file, below in pattern_files(name):
            sources.add(file, below)
    else:
        sources.add(name)
