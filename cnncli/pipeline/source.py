"""`Source`: an input, as far as names go."""

from __future__ import annotations

import os

from cnncli._dataclass import dataclass
from cnncli.errors import quote
from cnncli.io.urls import Location, Url


@dataclass(frozen=True)
class Source:
    """An input, as far as names go.

    Parameters
    ----------
    path : Path, Url or None
        None is standard input.
    below : str, optional
        For an image found in a folder or by a pattern: its folder below the one that was searched,
        "" for that one itself. Output folders mirror it.
    data : bytes, optional
        Its content, if it is in memory; the path is then only its name.

    Examples
    --------
    >>> from pathlib import Path
    >>> Source(Path("in/cat.jpg")).stem, Source(None).stem
    ('cat', 'stdin')
    """

    path: Location | None
    below: str | None = None
    data: bytes | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name if self.path else "stdin"

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return self.path.stem if self.path else "stdin"

    @property
    def folder(self) -> str:
        """Its folder: below the one that was searched, or else as the user named it."""
        if self.below is not None or self.path is None:
            return self.below or ""
        return self.path.folder if isinstance(self.path, Url) else os.path.dirname(self.path)

    @property
    def label(self) -> str:
        """What errors about it name."""
        return os.fspath(self.path) if self.path else "standard input"

    @property
    def argument(self) -> str:
        """What stands for it on a command line, and in reports for programs."""
        return path_argument(self.path)

    def __str__(self) -> str:
        return quote(self.path) if self.path else "standard input"


def path_argument(path: Location | None) -> str:
    """Return what stands for a path, or for a standard stream, on a command line.

    Examples
    --------
    >>> from pathlib import Path
    >>> path_argument(Path("a.png")), path_argument(Path("-")), path_argument(None)
    ('a.png', './-', '-')
    """
    if path is None:
        return "-"
    return "./-" if str(path) == "-" else str(path)
