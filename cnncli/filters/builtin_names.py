"""The names of the built-in filters, without numpy: shell completion asks for them at every key."""

from __future__ import annotations

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


def _folder() -> Path:
    # Not importlib.resources: it takes longer than a small image.
    from importlib.util import find_spec
    from pathlib import Path

    package = find_spec(PACKAGE)
    assert package is not None and package.origin is not None
    return Path(package.origin).parent
