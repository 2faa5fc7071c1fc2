"""Names of files one by one: those in folders, those a pattern fits, those in a list.

Folders are listed one at a time, so that memory is that of one folder's names.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from typing import BinaryIO, Final

from cnncli.batch.spool import temporary_file, write_temporary
from cnncli.errors import FileProblem
from cnncli.io.regular_files import fault_text
from cnncli.io.urls import is_url, parse_url
from cnncli.system.files import is_open

ListedFile = tuple[str, str]
"""The name of a file, and its folder below the one that was searched: "" for that one itself."""

_CHUNK: Final = 1 << 20
_LONGEST_NAME: Final = 1 << 16
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def folder_files(
    folder: str, recursive: bool, suffixes: frozenset[str], excluded: str | None = None
) -> Iterator[ListedFile]:
    """Yield the files of a folder, sorted, by their extension in any case.

    Parameters
    ----------
    folder : str
        Where to look. Names that begin with a dot are left out, as the shell's ``*`` does.
    recursive : bool
        Whether to look into its sub-folders too; links to folders are not followed. One that
        cannot be listed is yielded itself: reading it as a file says why.
    suffixes : frozenset of str
        In lower case, with their dots.
    excluded : str, optional
        The real path of a sub-folder that is left out: that of the results.

    Yields
    ------
    tuple of (str, str)

    Raises
    ------
    FileProblem
        If the folder cannot be listed.

    Examples
    --------
    >>> next(folder_files("/nowhere", False, frozenset()))
    Traceback (most recent call last):
    cnncli.errors.FileProblem: '/nowhere': cannot be read: No such file or directory
    """
    real = None if excluded is None else os.path.realpath(folder)

    def enter(below: str, name: str, link: bool) -> bool:
        if not recursive or link or name.startswith("."):
            return False
        return real is None or os.path.join(real, below, name) != excluded

    return _tree(
        folder,
        enter=enter,
        take=lambda below, name: (
            not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes
        ),
    )


def count_folders(folder: str, excluded: str | None = None) -> int:
    """Return how many sub-folders a folder of files has, without hidden ones and the one excluded.

    Parameters
    ----------
    folder : str
    excluded : str, optional
        As in `folder_files`.

    Examples
    --------
    >>> count_folders("/nowhere")
    0
    """
    try:
        _, folders = _entries(folder)
    except OSError:
        return 0
    real = os.path.realpath(folder)
    return sum(name[0] != "." and os.path.join(real, name) != excluded for name, _ in folders)


def is_pattern(name: str) -> bool:
    """Tell whether a name is a pattern: it has a ``*``, ``?`` or ``[``, and there is no such file.

    In an address of the web only ``*`` counts.

    Examples
    --------
    >>> is_pattern("photos/**/*.jpg"), is_pattern("photo.jpg")
    (True, False)
    """
    if is_url(name):
        return parse_url(name).is_pattern
    return re.search(r"[*?[]", name) is not None and not os.path.lexists(name)


def pattern_files(pattern: str) -> Iterator[ListedFile]:
    """Yield the files that a pattern fits, sorted, as the shell finds them.

    Parameters
    ----------
    pattern : str
        ``*`` and ``?`` stand for letters but ``/``, ``[...]`` for one of some, ``**`` for folders,
        however many. Names that begin with a dot must be meant by one.

    Yields
    ------
    tuple of (str, str)
        Folders are those below the part of the pattern without stars.

    Raises
    ------
    FileProblem
        If it fits nothing.

    Examples
    --------
    >>> next(pattern_files("/nowhere/*.png"))
    Traceback (most recent call last):
    cnncli.errors.FileProblem: '/nowhere/*.png': no file matches
    """
    root, parts = _split(pattern)
    level = parts.index("**") if "**" in parts else len(parts) - 1

    def enter(below: str, name: str, link: bool) -> bool:
        depth = below.count("/")
        if depth < level:
            return _alike(name, parts[depth])
        return "**" in parts and not link and not name.startswith(".")

    def take(below: str, name: str) -> bool:
        return _fits([*below.split("/")[:-1], name], parts)

    empty = True
    if is_url(root) or os.path.isdir(root or "."):
        for file in _tree(root, enter, take):
            empty = False
            yield file
    if empty:
        raise FileProblem("no file matches", path=pattern)


def listed_files(list_name: str, max_bytes: int) -> Iterator[str]:
    """Yield the names in a list: one a line, or each ended by a NUL where the list holds NULs.

    Parameters
    ----------
    list_name : str
        A file, or ``-`` for standard input.
    max_bytes : int
        How long it may be.

    Yields
    ------
    str

    Raises
    ------
    FileProblem
        If it cannot be read, is too long, or holds no names.

    Examples
    --------
    >>> next(listed_files("/nowhere.txt", 99))
    Traceback (most recent call last):
    cnncli.errors.FileProblem: '/nowhere.txt': cannot be read: No such file or directory
    """
    shown = "standard input" if list_name == "-" else list_name
    empty = True
    with _open_list(list_name, shown, max_bytes) as stream:
        for name in _names(stream, shown):
            empty = False
            yield os.fsdecode(name)
    if empty:
        raise FileProblem("a list without names", hint="one name a line", path=shown)


def _tree(
    root: str, enter: Callable[[str, str, bool], bool], take: Callable[[str, str], bool]
) -> Iterator[ListedFile]:
    """Yield the files of folders: of each first its own, then those of its sub-folders.

    Both functions are given the path below the root, with a slash at its end, and a name in it;
    `enter` also whether that is a link.
    """
    waiting = [""]
    while waiting:
        below = waiting.pop()
        folder = below.removesuffix("/")
        try:
            files, folders = _entries(os.path.join(root, below) or ".")
        except OSError as error:
            if not below:
                raise _read_problem(root, error) from error
            yield os.path.join(root, folder), folder.rpartition("/")[0]
            continue
        for name in files:
            if take(below, name):
                yield os.path.join(root, below, name), folder
        inner = [name for name, link in reversed(folders) if enter(below, name, link)]
        waiting += [f"{below}{name}/" for name in inner]


def _entries(folder: str) -> tuple[list[str], list[tuple[str, bool]]]:
    """Return the names of a folder's files, and of its sub-folders with whether each is a link."""
    if is_url(folder):
        from cnncli.io.remote import folder_entries

        names, inner = folder_entries(parse_url(folder))
        return names, [(name, False) for name in inner]
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_folder(entry):
                folders.append((entry.name, entry.is_symlink()))
            else:
                files.append(entry.name)
    return sorted(files), sorted(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # Such as a link that leads to itself: reading it as a file says so, if it is taken.
        return False


def _split(pattern: str) -> tuple[str, list[str]]:
    """Split a pattern: the folder before the first star, and the parts behind it."""
    steps = pattern.replace(os.sep, "/").split("/")
    first = next(k for k, step in enumerate(steps) if re.search(r"[*?[]", step))
    root = "/".join([*steps[:first], ""])
    parts = [step for step in steps[first:] if step not in ("", ".")]
    return root, [*parts, "*"] if parts[-1] == "**" else parts


def _fits(names: Sequence[str], parts: Sequence[str]) -> bool:
    if not parts:
        return not names
    if parts[0] == "**":
        return _fits(names, parts[1:]) or (bool(names) and _fits(names[1:], parts))
    return bool(names) and _alike(names[0], parts[0]) and _fits(names[1:], parts[1:])


def _alike(name: str, part: str) -> bool:
    return fnmatchcase(name, part) and (not name.startswith(".") or part.startswith("."))


def _open_list(list_name: str, shown: str, max_bytes: int) -> AbstractContextManager[BinaryIO]:
    """Open a list so that it can be gone through twice: what is no file is copied to one."""
    try:
        if list_name == "-":
            if not is_open(sys.stdin):
                raise FileProblem("standard input is closed", hint="--files-from FILE")
            return _copied(sys.stdin.buffer, shown, max_bytes)
        stream = open(list_name, "rb")  # noqa: SIM115
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return stream
        with stream:
            return _copied(stream, shown, max_bytes)
    except OSError as error:
        raise _read_problem(shown, error) from error


def _copied(stream: BinaryIO, shown: str, max_bytes: int) -> BinaryIO:
    left, copy = max_bytes, temporary_file()
    try:
        while chunk := stream.read(min(_CHUNK, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise FileProblem(
                    f"a list of more than {max_bytes} bytes", hint="--max-input-bytes", path=shown
                )
            write_temporary(copy, chunk)
    except BaseException:
        copy.close()
        raise
    return copy


def _names(stream: BinaryIO, shown: str) -> Iterator[bytes]:
    ends_with_nul = any(b"\0" in chunk for chunk in _chunks(stream))
    end, rest = b"\0" if ends_with_nul else b"\n", b""
    stream.seek(0)
    if stream.read(2) in _UTF16:
        raise FileProblem("a list in UTF-16, where UTF-8 must stand", path=shown)
    for chunk in _chunks(stream, b"" if ends_with_nul else codecs.BOM_UTF8):
        *names, rest = (rest + chunk).split(end)
        if len(rest) > _LONGEST_NAME:
            raise FileProblem("no list of names, one a line", path=shown)
        yield from filter(None, names if ends_with_nul else map(_line, names))
    yield from filter(None, [rest if ends_with_nul else _line(rest)])


def _line(name: bytes) -> bytes:
    """A line without the end that editors of Windows give it; nothing if it is blank."""
    name = name.removesuffix(b"\r")
    return name if name.strip() else b""


def _chunks(stream: BinaryIO, mark: bytes = b"") -> Iterator[bytes]:
    """Yield the content, without a mark that it begins with."""
    stream.seek(0)
    if stream.read(len(mark)) != mark:
        stream.seek(0)
    while chunk := stream.read(_CHUNK):
        yield chunk


def _read_problem(shown: str, error: OSError) -> FileProblem:
    return FileProblem(f"cannot be read: {fault_text(error)}", path=shown)
