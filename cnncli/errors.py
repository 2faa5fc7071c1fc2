"""The errors a user can meet, each with its exit code. Knows neither click nor numpy."""

from __future__ import annotations

import os


class CnnCliError(Exception):
    """Something the user can mend: one line, and at most one hint.

    Parameters
    ----------
    message : str
        What must hold and what was got, as one line.
    hint : str, optional
        The option or the step that helps.

    Examples
    --------
    >>> error = CnnCliError("stride must be at least 1, got 0", hint="--stride 1")
    >>> error.exit_code, str(error), error.hint
    (1, 'stride must be at least 1, got 0', '--stride 1')
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions rebuild themselves from args alone, and the hint is not one of them.
        return (_rebuild, (type(self), str(self), self.hint))


class FileProblem(CnnCliError):
    """A file that cannot be read, understood or written."""


class OptionError(CnnCliError, ValueError):
    """An option or argument whose value cannot be used."""

    exit_code = 2


class ShapeError(CnnCliError, ValueError):
    """Arrays whose shapes do not fit together."""

    exit_code = 2


def _rebuild(kind: type[CnnCliError], message: str, hint: str | None) -> CnnCliError:
    return kind(message, hint=hint)


def quote(name: str | os.PathLike[str]) -> str:
    """Return a file name in quotes with everything unprintable made visible.

    Parameters
    ----------
    name : str or path
        A name as the file system gave it; bytes that are no UTF-8 come as surrogates.

    Returns
    -------
    str
        One printable line.

    Examples
    --------
    >>> print(quote("two\\nlines.png"))
    'two\\nlines.png'
    """
    text = os.fspath(name)
    return "'" + "".join(c if c.isprintable() else _escape(c) for c in text) + "'"


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
