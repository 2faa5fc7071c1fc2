"""Which files are pages."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PAGES: Final = (".html", ".htm")


def is_page(name: str) -> bool:
    """Whether a file's name is that of a page.

    Examples
    --------
    >>> is_page("page.HTML"), is_page("steps.gif")
    (True, False)
    """
    return Path(name).suffix.lower() in PAGES
