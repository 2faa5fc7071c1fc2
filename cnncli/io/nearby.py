"""Which files of a folder may be meant by the name of one that is missing."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Final

from cnncli.errors import nearest, quote

MOST_ENTRIES: Final = 10_000
"""Files of a folder that are looked at."""

SHOWN: Final = 3


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
        The nearest names with the same ending, or the same name with another; else some others of
        that ending, or that there are none; of a number that it may belong to an option. None
        where its folder cannot be read.

    Examples
    --------
    >>> files_like("/nowhere/photo.png") is None
    True
    """
    if path.isdecimal():
        return "the numbers of an option are joined by commas, as in --size 2,2"
    folder, name = os.path.split(path)
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
    stems = {Path(other).stem: other for other in alike}
    found = [stems[stem] for stem in nearest(Path(name).stem, stems)] or same_stem[:SHOWN]
    if not found and (near_only or not suffix):
        return None
    found = found or alike[:SHOWN]
    if not found:
        return f"no file *{suffix} is in {quote(folder or '.')}"
    return f"there is {', '.join(map(quote, found))}"
