"""Decides where results go, and makes every check that is possible before any work.

`plan_targets` turns the word given to ``--output`` into one `Target` for each input. A target names
the files of a result with `Target.files`, and `select_files` tells which of them to write.
"""

from __future__ import annotations

import os
import stat
import sys
from array import array
from collections.abc import Collection, Container, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.errors import (
    ExistingOutputs,
    FileProblem,
    OptionError,
    OutputExists,
    printable,
    quote,
)
from cnncli.io.atomic import (
    FOLDER_HINT,
    exists_problem,
    is_folder_name,
    is_special,
    is_stdout,
    make_folder,
    no_folder_problem,
    write_problem,
)
from cnncli.io.formats import check_format, find_format
from cnncli.io.urls import Location, Url, is_url, parse_output
from cnncli.pipeline.files_of_batch import Identity, InputFiles, hash64
from cnncli.pipeline.layer_result import OutFile
from cnncli.pipeline.output_clashes import clash_problem
from cnncli.pipeline.output_names import OutputKind, OutputPattern, Target, is_device, output_folder
from cnncli.pipeline.source import Source
from cnncli.pipeline.templates import FIELDS, Template, refuse_printf
from cnncli.system.files import is_open, is_terminal_device

_FOLDERS_KEPT = 1000
_FOLDER_HINT = "-o a folder (out/) or a template such as 'out/{stem}.png'"


@dataclass(frozen=True)
class OutputOptions:
    """What the user said about outputs.

    Parameters
    ----------
    output : str, optional
        A file, a folder, a template, ``-`` or nothing.
    format : str, optional
        Name of a format; an extension that says another is refused.
    overwrite : bool
        Whether files that exist are replaced.
    skip_existing : bool, optional
        Whether they are left; None: the command has no such option.
    depth : str
        ``8``, ``16`` or ``float``.
    """

    output: str | None = None
    format: str | None = None
    overwrite: bool = False
    skip_existing: bool | None = None
    depth: str = "8"


@dataclass(frozen=True)
class Targets:
    """One target for each input, made whenever they are gone through.

    Parameters
    ----------
    sources : collection of Source
    pattern : OutputPattern
    """

    sources: Collection[Source]
    pattern: OutputPattern

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[Target]:
        return (Target(source, self.pattern) for source in self.sources)


@dataclass(frozen=True)
class OutputPlan:
    """All targets, checked.

    Parameters
    ----------
    targets : Targets
        One for each input, in order.
    inputs : container of (int, int)
        Device and inode of every input file, or `Url.identity`, for `select_files`.
    """

    targets: Targets
    inputs: Container[Identity]


def plan_targets(
    sources: Collection[Source],
    options: OutputOptions,
    *,
    op: str,
    filter_name: str | None = None,
    one_picture: bool = False,
    read_too: Sequence[Path] = (),
    layers: Sequence[str] = (),
) -> OutputPlan:
    """Decide where every result goes, and refuse what cannot work before any work is done.

    Parameters
    ----------
    sources : collection of Source
        Gone through several times, and never held in memory.
    options : OutputOptions
    op : str
        Name of the command.
    filter_name : str, optional
        Name of the filter when there is one and it has a name.
    one_picture : bool
        Whether every input gives one picture; otherwise `select_files` looks at the files of each
        input once its pictures are known.
    read_too : sequence of Path
        Further files that must not be overwritten.
    layers : sequence of str
        Of a network, the layers that may go out, see `Target`.

    Returns
    -------
    OutputPlan
        A missing output folder is made by `make_folders`, once something is there to be written.

    Raises
    ------
    OptionError
        Several inputs for one name, an unknown extension or one of another format, a bad template,
        an input as output, a terminal as output.
    FileProblem
        A folder that is missing or read-only, an output that exists.

    Examples
    --------
    >>> plan = plan_targets([Source(Path("cat.jpg"))], OutputOptions(), op="pool")
    >>> [str(file.path) for target in plan.targets for file in target.unknown_files()]
    ['cat-pool.png']
    """
    kind, text = _classify(sources, options, filter_name, bool(layers))
    forced = find_format(options.format) if options.format else None
    pattern = OutputPattern(kind, text, op, filter_name, forced, tuple(layers))
    suffix = os.path.splitext(text)[1].lower()
    if suffix in (".csv", ".json") and not (one_picture or forced):
        name = printable(text) if kind is OutputKind.FILE else f"report{suffix}"
        raise OptionError(
            f"--output writes pictures or values (.npy, .npz), got {quote(text)}",
            hint=f"a list of all images with their largest values: --report {name}",
        )
    if kind is OutputKind.STDOUT:
        _check_stdout(sources)
    elif kind is OutputKind.FILE and len(sources) > 1:
        raise OptionError(
            f"--output must name one file for each image, got {quote(text)} for {len(sources)}",
            hint=_FOLDER_HINT,
        )
    elif kind is OutputKind.FILE and not one_picture:
        refuse_printf(text)
    # On standard output too: a report, say, must spare the inputs all the same.
    plan = OutputPlan(Targets(sources, pattern), InputFiles(sources, read_too))
    if kind is not OutputKind.STDOUT:
        _check_files(plan, options, one_picture)
    return plan


def select_files(
    files: Iterable[OutFile],
    options: OutputOptions,
    inputs: Container[Identity] = (),
) -> tuple[OutFile, ...]:
    """Choose the files that are to be written.

    Parameters
    ----------
    files : iterable of OutFile
    options : OutputOptions
    inputs : container of (int, int)
        `OutputPlan.inputs`.

    Returns
    -------
    tuple of OutFile
        Those that do not exist; all of them with ``overwrite``. Empty when everything is there
        and ``skip_existing`` is set.

    Raises
    ------
    OptionError
        When an output is one of the inputs, also through a link and with ``overwrite``.
    FileProblem
        When an output exists and neither option is set, or is a folder.
    """
    return tuple(file for file in files if _is_to_be_written(file.path, options, inputs))


def check_file(path: Path, plan: OutputPlan, overwrite: bool) -> None:
    """Refuse a further file, such as a report, that must not or cannot be written.

    Raises
    ------
    CnnCliError
        If it exists, is an input or an output of the plan, or its folder is none, nor that of the
        results.
    """
    folder = output_folder(plan.targets.pattern.text)
    is_with_results = folder is not None and os.path.realpath(folder) == os.path.realpath(
        path.parent
    )
    _check_folder(path, may_be_made=is_with_results, hint="make it first")
    try:
        _is_to_be_written(path, OutputOptions(overwrite=overwrite), plan.inputs)
    except OutputExists as error:
        hint = "another name, or --overwrite, which replaces results too"
        raise OutputExists(error.message, hint=hint, path=path) from None
    if os.path.splitext(plan.targets.pattern.text)[1].lower() == path.suffix.lower():
        real = os.path.realpath(path)
        for target in plan.targets:
            for file in target.unknown_files():
                if file.path is not None and os.path.realpath(file.path) == real:
                    raise OptionError(f"would hold the result of {target.source} too", path=path)


def check_target(
    file: OutFile, width: int, height: int, *, colour: bool = False, depth: str = "8"
) -> None:
    """Refuse a picture that a file's format cannot hold, naming the file.

    Parameters
    ----------
    file : OutFile
    width, height : int
        Of the finished picture in pixels, see `cnncli.render.grid.plan_grid`.
    colour : bool
    depth : str

    Raises
    ------
    OptionError

    Examples
    --------
    >>> from cnncli.io.formats import FORMATS
    >>> file = OutFile(Path("a.jpg"), FORMATS["jpg"], 0, (0,))
    >>> check_target(file, 70_000, 10)
    Traceback (most recent call last):
    cnncli.errors.OptionError: 'a.jpg': jpg holds at most 65500 pixels a side, got 10x70000
    """
    try:
        check_format(file.format, width, height, colour=colour, depth=depth)
    except OptionError as error:
        if file.path is not None:
            raise error.about(file.path) from None
        raise OptionError(f"standard output: {error}", hint=error.hint) from None


def _classify(
    sources: Collection[Source], options: OutputOptions, filter_name: str | None, layered: bool
) -> tuple[OutputKind, str]:
    output = options.output
    if output is None:
        is_piped = is_open(sys.stdout) and not sys.stdout.isatty()
        if len(sources) == 1 and next(iter(sources)).path is None and is_piped:
            return OutputKind.STDOUT, ""
        field = "layer" if layered else "filter" if filter_name is not None else "op"
        return OutputKind.DEFAULT, f"{{stem}}-{{{field}}}.{options.format or 'png'}"
    if not output:
        raise OptionError("--output must name a file, got nothing", hint=_FOLDER_HINT)
    if is_stdout(output):
        return OutputKind.STDOUT, ""
    if is_url(output):
        parse_output(output)
    elif os.path.isdir(output):  # Path.is_dir raises for names that are too long
        return OutputKind.FOLDER, output
    if "{" in output or "}" in output:
        if is_folder_name(output):
            raise OptionError(
                f"--output template must end in a file name, got {quote(output)}",
                hint="add {stem}.png",
            )
        shown = [name for name in FIELDS if layered or name != "layer"]
        return OutputKind.TEMPLATE, Template.parse(output, shown).text
    bucket = is_url(output) and parse_output(output).is_folder
    is_folder = bucket or is_folder_name(output)
    return OutputKind.FOLDER if is_folder else OutputKind.FILE, output


def _check_stdout(sources: Collection[Source]) -> None:
    if len(sources) > 1:
        raise OptionError(
            f"-o - takes the result of one image, got {len(sources)}", hint=_FOLDER_HINT
        )
    if not is_open(sys.stdout):
        raise FileProblem("standard output is closed", hint="-o FILE")
    if sys.stdout.isatty():
        raise OptionError(
            "-o - needs a pipe or a file, got a terminal", hint="-o FILE, or --show to see it"
        )


def _check_files(plan: OutputPlan, options: OutputOptions, one_picture: bool) -> None:
    """Refuse what cannot work, in the order of the inputs; a million names take 8 bytes each."""
    folders, existing = _RealFolders(), ExistingOutputs()
    names, checked = array("Q"), ""
    for target in plan.targets:
        for file in target.unknown_files():
            path = file.path
            assert path is not None
            name, is_there = folders.real_name(path)
            if not (is_there and is_device(path)):
                names.append(hash64(name))
            if options.depth not in file.format.depths:
                check_target(file, 1, 1, depth=options.depth)
            if isinstance(path, Url):
                # Whether it is there is asked before the image is read: the way there is long.
                _check_no_input(path, path.identity, plan.inputs)
                continue
            if is_there or os.path.dirname(name) != checked:
                _check_folder(path, may_be_made=target.pattern.kind is not OutputKind.FILE)
                checked = os.path.dirname(name)
            if is_there and (one_picture or not target.pattern.per_map):
                try:
                    _is_to_be_written(path, options, plan.inputs)
                except OutputExists as error:
                    existing.add(error)
    # Not np.unique, which loads numpy.ma.
    hashes = np.sort(np.array(names))
    twice = hashes[1:][hashes[1:] == hashes[:-1]]
    if twice.size:
        _refuse_clash(plan, folders, frozenset(twice.tolist()))
    if (problem := existing.problem()) is not None:
        raise problem


def _refuse_clash(plan: OutputPlan, folders: _RealFolders, hashes: frozenset[int]) -> None:
    """Raise OptionError for the first file of two images, told by the hashes of such files."""
    owners: dict[str, Source] = {}
    for target in plan.targets:
        for file in target.unknown_files():
            assert file.path is not None
            name, is_there = folders.real_name(file.path)
            if hash64(name) not in hashes or (is_there and is_device(file.path)):
                continue
            if name in owners:
                raise clash_problem(
                    file.path, owners[name], target.source, plan.targets.sources, target.pattern
                )
            owners[name] = target.source


class _RealFolders:
    """Where files will be, whatever links lead there; remembers the folders met last."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def real_name(self, path: Location) -> tuple[str, bool]:
        """Return where a file will be, and whether it is there."""
        if isinstance(path, Url):
            return path.text, False
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            status = None
        except OSError as error:
            raise write_problem(path, error) from error
        if status is not None and stat.S_ISLNK(status.st_mode):
            return os.path.realpath(path), True
        folder, name = os.path.split(path)
        if folder not in self._known:
            if len(self._known) >= _FOLDERS_KEPT:
                self._known.clear()
            self._known[folder] = os.path.realpath(folder)
        return os.path.join(self._known[folder], name), status is not None


def _is_to_be_written(
    path: Location | None, options: OutputOptions, inputs: Container[Identity]
) -> bool:
    if path is None:
        return True
    if isinstance(path, Url):
        return _object_is_to_be_written(path, options, inputs)
    try:
        status = path.stat()
    except FileNotFoundError:
        return True
    except OSError as error:
        raise write_problem(path, error) from error
    if is_special(status):
        _refuse_terminal(path, status)
        return True
    _check_no_input(path, (status.st_dev, status.st_ino), inputs)
    if stat.S_ISDIR(status.st_mode):
        raise FileProblem("is a folder", path=path)
    if not (options.overwrite or options.skip_existing):
        raise exists_problem(path, may_skip=options.skip_existing is not None)
    return options.overwrite


def _object_is_to_be_written(url: Url, options: OutputOptions, inputs: Container[Identity]) -> bool:
    from cnncli.io.remote import object_exists

    _check_no_input(url, url.identity, inputs)
    if options.overwrite or not object_exists(url):
        return True
    if not options.skip_existing:
        raise exists_problem(url, may_skip=options.skip_existing is not None)
    return False


def _check_no_input(path: Location, identity: Identity, inputs: Container[Identity]) -> None:
    if identity in inputs:
        raise OptionError(
            "is one of the inputs, which are never overwritten",
            hint="-o another name or folder, such as out/",
            path=path,
        )


def _refuse_terminal(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISCHR(status.st_mode):
        return
    try:
        terminal = is_terminal_device(path)
    except OSError as error:
        raise write_problem(path, error) from error
    if terminal:
        raise OptionError("a terminal cannot show files", hint="--show", path=path)


def _check_folder(path: Path, *, may_be_made: bool, hint: str = FOLDER_HINT) -> None:
    if is_device(path):
        return
    folder = Path(os.path.realpath(path) if os.path.islink(path) else path).parent
    if may_be_made:
        folder = existing_parent(folder)
    try:
        status = folder.stat()
    except FileNotFoundError:
        raise no_folder_problem(path, hint, folder) from None
    except OSError as error:
        raise write_problem(path, error) from error
    if not stat.S_ISDIR(status.st_mode):
        raise FileProblem(f"{quote(folder)} is not a folder", path=path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileProblem(f"the folder {quote(folder)} cannot be written to", path=path)


def existing_parent(folder: Path) -> Path:
    """Return the folder itself or the one it would be made in."""
    folder = Path(os.path.realpath(folder)) if os.path.islink(folder) else folder
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder


def make_folders(target: Target, files: Iterable[OutFile]) -> None:
    """Make the folders of a target that the user named as a folder or in a template.

    Raises
    ------
    FileProblem
        If one cannot be made.
    """
    if target.pattern.kind is OutputKind.FILE:
        return
    paths = (file.path for file in files)
    for folder in dict.fromkeys(path.parent for path in paths if isinstance(path, Path)):
        make_folder(folder)
