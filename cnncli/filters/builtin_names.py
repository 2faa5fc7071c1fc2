"""The names of the built-in filters, without numpy: shell completion asks for them at every key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "cnncli_filters"
SUFFIX = ".npy"


def builtin_names() -> tuple[str, ...]:
    """Return the names of the built-in filters, sorted.

    Returns
    -------
    tuple of str
        Names without ``.npy``.

    Examples
    --------
    >>> "edge" in builtin_names()
    True
    """
    entries = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(SUFFIX) for name in entries if name.endswith(SUFFIX)))


def builtin_file(name: str) -> Path:
    """Return the packaged file of one built-in filter.

    Parameters
    ----------
    name : str
        One of `builtin_names`.

    Returns
    -------
    Path

    Examples
    --------
    >>> builtin_file("edge").name
    'edge.npy'
    """
    return _folder() / f"{name}{SUFFIX}"


def nearest(text: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Return the names most like a mistyped one, the likeliest first.

    Parameters
    ----------
    text : str
        What was typed.
    names : iterable of str
        What exists.
    count : int
        At most this many.

    Returns
    -------
    list of str
        Empty when nothing is alike.

    Examples
    --------
    >>> nearest("sobel", ["sobel_h", "sobel_v", "box"])
    ['sobel_v', 'sobel_h']
    """
    import difflib

    # difflib's time grows with the product of the lengths; no name is longer than this.
    typed = text[:64].lower().replace("-", "_")
    by_lower = {name.lower(): name for name in names}
    matches = difflib.get_close_matches(typed, by_lower, n=count, cutoff=0.5)
    return [by_lower[match] for match in matches]


def among(name: str, names: Iterable[str], most: int = 12) -> str:
    """Say which names are like an unknown one, or else which there are, at most so many.

    Examples
    --------
    >>> among("conv9", ["conv1", "pool1"]), among("x", ["conv1", "pool1"])
    ('; nearest: conv1', '; there are conv1, pool1')
    """
    known = list(names)
    near = nearest(name, known)
    if near:
        return f"; nearest: {', '.join(near)}"
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return f"; there are {', '.join(known[:most])}{more}"


def _folder() -> Path:
    # Not importlib.resources: it takes longer than a small image.
    from importlib.util import find_spec
    from pathlib import Path

    package = find_spec(PACKAGE)
    assert package is not None and package.origin is not None
    return Path(package.origin).parent
