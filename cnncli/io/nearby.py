"""Which files of a folder may be meant by the name of one that is missing."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path
from typing import Final

from cnncli.errors import nearest, quote

MOST_ENTRIES: Final = 10_000
"""Files of a folder that are looked at."""

SHOWN: Final = 3

_NUMBER: Final = re.compile(r"\d+|\d*\.\d+")


def files_like(path: str, near_only: bool = False) -> str | None:
    """Say which files of its folder a missing file may be, for a hint.

    Parameters
    ----------
    path : str
    near_only : bool
        Whether only names much like it count.

    Returns
    -------
    str or None
        Where a link leads; else the nearest names with the same ending, or the same name with
        another; else some others of that ending, or that there are none; of a number that it may
        belong to an option; of ``-`` that it is no file. None where its folder cannot be read.

    Examples
    --------
    >>> files_like("/nowhere/photo.png") is None
    True
    """
    if path == "-":
        return "standard input is not read here: name a file"
    if is_number(path):
        example = "--mean 0.485,0.456,0.406" if "." in path else "--size 2,2"
        return f"the numbers of an option are joined by commas, as in {example}"
    try:
        return f"it is a link to {quote(os.readlink(path))}, which is not there"
    except (OSError, ValueError):
        # No link, as nearly all that is missing.
        folder, name = os.path.split(path)
    if meant := _without_signs(path):
        return meant
    suffix = Path(name).suffix.lower()
    try:
        with os.scandir(folder or ".") as entries:
            names = [entry.name for entry in itertools.islice(entries, MOST_ENTRIES)]
    except (OSError, ValueError):
        return None
    alike = sorted(other for other in names if Path(other).suffix.lower() == suffix)
    # A photo.jpg may have been saved as photo.jpeg.
    same_stem = sorted(other for other in names if Path(other).stem == Path(name).stem)
    # The ending is the same: it must not make names alike.
    pairs = [(Path(other).stem.lower(), other) for other in alike]
    near = nearest(Path(name).stem, [stem for stem, _ in pairs])
    found = [other for stem in near for own, other in pairs if own == stem]
    found = found or nearest(name, same_stem) or same_stem
    if not (found or alike or near_only):
        found = nearest(name, names)
    if not found and (near_only or not suffix):
        return None
    if not found and len(alike) > SHOWN:
        some = ", ".join(map(quote, alike[:SHOWN]))
        return f"no file has a name like it; *{suffix} in {quote(folder or '.')} are {some} ..."
    found = (found or alike)[:SHOWN]
    if not found:
        return f"no file *{suffix} is in {quote(folder or '.')}"
    return f"there is {', '.join(map(quote, found))}"


def _without_signs(path: str) -> str | None:
    """Say which file is there by the name without its quotes, backslashes or key."""
    for other in (path.strip("'\""), path.replace("\\", "/"), path.replace("\\", "")):
        if other != path and os.path.isfile(other):
            return f"there is {quote(other)}"
    file, _, key = path.partition(":")
    if not os.path.isfile(file):
        return None
    return array_hint(file, key) if file.lower().endswith(".npz") else f"there is {quote(file)}"


def array_hint(archive: str, key: str = "KEY") -> str:
    """Say how one array of an archive becomes a file.

    Examples
    --------
    >>> array_hint("all.npz")
    "one of its arrays: np.save('x.npy', np.load('all.npz')['KEY'])"
    """
    return f"one of its arrays: np.save('x.npy', np.load({quote(archive)})[{quote(key)}])"


def is_number(path: str) -> bool:
    """Tell whether the name of a file may be a number that was meant for an option.

    Examples
    --------
    >>> is_number("0.456"), is_number("2"), is_number("2.png")
    (True, True, False)
    """
    return _NUMBER.fullmatch(path) is not None
