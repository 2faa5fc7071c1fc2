"""Leave out of the scripts and styles of a page what browsers do not need."""

from __future__ import annotations

import re

# Comments on lines of their own: others may be part of a string.
_COMMENT = re.compile(r"^[ \t]*/\*(?:(?!\*/).)*\*/[ \t]*\n", re.M | re.S)
_LINE_COMMENT = re.compile(r"^[ \t]*//.*\n", re.M)
_INDENTATION = re.compile(r"^\s+", re.M)
_AROUND = re.compile(r"\s*([{};])\s*")


def shorten_script(text: str) -> str:
    """Return JavaScript without indentation, and without comments on lines of their own.

    No string of it may have several lines.

    Examples
    --------
    >>> shorten_script('/** Add two. */\\nfunction f(a) {\\n  // Two.\\n  return a + "//";\\n}\\n')
    'function f(a) {\\nreturn a + "//";\\n}\\n'
    """
    return _INDENTATION.sub("", _LINE_COMMENT.sub("", _COMMENT.sub("", text)))


def shorten_style(text: str) -> str:
    """Return CSS without comments on lines of their own, and space around braces and semicolons.

    Examples
    --------
    >>> shorten_style("/* Two. */\\na,\\nb {\\n  color: red;\\n}\\n")
    'a,\\nb{color: red;}'
    """
    return _AROUND.sub(r"\1", shorten_script(text))
