"""The errors a user can meet, each with its exit code. Knows neither click nor numpy."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterable
from functools import partial
from typing import Final, Self

LONGEST_MESSAGE: Final = 500
"""Characters of an error with its hint, and of a line of a report."""

CHANNELS_FIRST: Final = (
    "an array is rows, columns, channels: np.moveaxis(x, -3, -1) turns one with the channels first"
)
"""The hint where an array is likely to be turned."""

_GAP: Final = " ... "
_NO_FIRST_LETTERS: Final = "0123456789+.:-"
_SCHEME_LETTERS: Final = string.ascii_letters + _NO_FIRST_LETTERS
_ADDRESS = re.compile(r"[a-z][a-z0-9+.:-]*://", re.IGNORECASE)


class CnnCliError(Exception):
    """Something the user can mend: one line, and at most one hint.

    Parameters
    ----------
    message : str
        What must hold and what was got, as one line.
    hint : str, optional
        The option or the step that helps.
    path : str or path, optional
        The file or address it is about; the text begins with its name.

    Examples
    --------
    >>> error = CnnCliError("stride must be at least 1, got 0", hint="--stride 1")
    >>> error.exit_code, str(error), error.hint
    (1, 'stride must be at least 1, got 0', '--stride 1')
    >>> print(CnnCliError("is a folder", path="photos"))
    'photos': is a folder
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = None if path is None else os.fspath(path)

    def __str__(self) -> str:
        text = self.message if self.path is None else f"{quote(self.path)}: {self.message}"
        return shorten(text)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions rebuild themselves from args alone; hint and path are none of them.
        return (partial(type(self), self.message, hint=self.hint, path=self.path), ())

    def about(self, path: str | os.PathLike[str]) -> Self:
        """Return the same error about a file, unless it names one already.

        Examples
        --------
        >>> print(OptionError("no such frame").about("a.gif"))
        'a.gif': no such frame
        >>> print(FileProblem("is a folder", path="photos").about("a.gif"))
        'photos': is a folder
        """
        if self.path is not None:
            return self
        return type(self)(self.message, hint=self.hint, path=path)


class FileProblem(CnnCliError):
    """A file that cannot be read, understood or written."""


class OutputExists(FileProblem):
    """An output that is there already."""


class ExistingOutputs:
    """Counts outputs that exist already, so that one line says it of all of them.

    Examples
    --------
    >>> existing = ExistingOutputs()
    >>> for name in ("a.png", "b.png", "c.png"):
    ...     existing.add(OutputExists("exists already", path=name))
    >>> print(existing.problem())
    'a.png': exists already, and so do 'b.png' and 1 more
    """

    def __init__(self) -> None:
        self._first: list[OutputExists] = []
        self._count = 0

    def add(self, error: OutputExists) -> None:
        """Count one more."""
        self._count += 1
        if len(self._first) < 2:
            self._first.append(error)

    def problem(self) -> OutputExists | None:
        """Return the error that tells the first two and how many more; None without any."""
        if self._count < 2:
            return self._first[0] if self._first else None
        first, second = self._first
        also = f"so does {quote(second.path or '')}"
        if self._count > 2:
            also = f"so do {quote(second.path or '')} and {self._count - 2} more"
        return OutputExists(f"{first.message}, and {also}", hint=first.hint, path=first.path)


class OptionError(CnnCliError, ValueError):
    """An option or argument whose value cannot be used."""

    exit_code = 2


class GivenOptionError(OptionError):
    """An option given beside a network's file: no fault of that file, and named as it was typed."""


class ShapeError(CnnCliError, ValueError):
    """Arrays whose shapes do not fit together."""

    exit_code = 2


def memory_problem(work: str) -> CnnCliError:
    """Return the error for work that the system has no memory for.

    Examples
    --------
    >>> print(memory_problem("image"))
    not enough memory for this image
    """
    hint = "a smaller image, --stride, or fewer filters"
    return CnnCliError(f"not enough memory for this {work}", hint=hint)


def quote(name: str | os.PathLike[str]) -> str:
    """Return a file name in quotes with everything unprintable made visible.

    Parameters
    ----------
    name : str or path
        A name as the file system gave it; bytes that are no UTF-8 come as surrogates. Of an
        address only what `hide_secrets` leaves is shown.

    Returns
    -------
    str
        One printable line.

    Examples
    --------
    >>> print(quote("two\\nlines.png"))
    'two\\nlines.png'
    """
    return f"'{printable(name)}'"


def printable(name: str | os.PathLike[str]) -> str:
    """Return what `quote` does, without quotes.

    Examples
    --------
    >>> print(printable("a\\x1bb"))
    a\\x1bb
    """
    text = os.fspath(name)
    text = hide_secrets(text) if _ADDRESS.match(text) else text
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _escape(c) for c in text)
    return text


def one_line(error: BaseException) -> str:
    """Return the text of an error of another package as one short line.

    Examples
    --------
    >>> one_line(ValueError("bad\\n  header")), one_line(KeyboardInterrupt())
    ('bad header', 'KeyboardInterrupt')
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return "".join(c if c.isprintable() else _escape(c) for c in text)[:200]


def shorten(text: str, most: int = LONGEST_MESSAGE) -> str:
    """Return a message of at most so many characters: a longer one lacks its middle.

    Examples
    --------
    >>> shorten("'" + "a" * 1000 + "': is a folder", 40)
    "'aaaaaaaaaaaaaaaaa ... aaa': is a folder"
    """
    if len(text) <= most:
        return text
    end = (most - len(_GAP)) // 2
    return text[: most - len(_GAP) - end] + _GAP + text[len(text) - end :]


def hide_secrets(word: str) -> str:
    """Leave out what may be secret in an address: user, password, query and fragment.

    Parameters
    ----------
    word : str
        An address, or a word of a command line that ends with one.

    Returns
    -------
    str
        The same with ``?...`` for a query, and words without an address as they are.

    Examples
    --------
    >>> hide_secrets("--output=https://me:secret@host.org/a.png?signature=42")
    '--output=https://host.org/a.png?...'
    >>> hide_secrets("s3://bucket/photo?.jpg")
    's3://bucket/photo?.jpg'
    """
    scheme, address_start = _find_scheme(word)
    if not scheme:
        return word
    begin, address = word[:address_start], word[address_start:]
    end = re.search(r"[/?#]|$", address)
    server = address[: end.start()] if end else address
    host, rest = server.rpartition("@")[2], address[len(server) :]
    if re.search(r":(?!\d*$)", host.rpartition("]")[2]) and not _is_store(scheme):
        # No port: a password with a slash in it looks like this.
        return f"{begin}..."
    query = re.search(r"[?#]", rest)
    # In names of objects both are letters like any others; in a query there is an = too.
    if query is None or (_is_store(scheme) and "=" not in rest[query.start() :]):
        return begin + host + rest
    return f"{begin}{host}{rest[: query.start()]}?..."


def _find_scheme(word: str) -> tuple[str, int]:
    """Return the first scheme in a word, and where it ends; "" and 0 without one.

    Not by one search for the expression, whose time grows with the square of a word's length.
    """
    for found in re.finditer("://", word):
        before = word[: found.start()].rpartition("/")[2]
        run = before[len(before.rstrip(_SCHEME_LETTERS)) :].lstrip(_NO_FIRST_LETTERS)
        if run:
            return f"{run}://", found.end()
    return "", 0


def _is_store(scheme: str) -> bool:
    return scheme.lower() in ("s3://", "gs://")


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def nearest(text: str, names: Iterable[str]) -> list[str]:
    """Return the names most like a mistyped one, the likeliest first.

    Parameters
    ----------
    text : str
        What was typed.
    names : iterable of str
        What exists.

    Returns
    -------
    list of str
        At most three; empty when nothing is alike.

    Examples
    --------
    >>> nearest("sobel", ["sobel_h", "sobel_v", "box"])
    ['sobel_v', 'sobel_h']
    """
    import difflib

    # difflib's time grows with the product of the lengths; no name is longer than this.
    typed = text[:64].lower().replace("-", "_")
    by_lower = {name.lower(): name for name in names}
    matches = difflib.get_close_matches(typed, by_lower, n=3, cutoff=0.6)
    return [by_lower[match] for match in matches]


def among(name: str, names: Iterable[str], most: int = 12) -> str:
    """Say which names are like an unknown one, or else which there are.

    More than so many are shortened by two or more.

    Examples
    --------
    >>> among("conv9", ["conv1", "pool1"]), among("x", ["conv1", "pool1"])
    ('; nearest: conv1', '; there are conv1, pool1')
    >>> among("conv", ["/features/0/Conv", "/features/1/Relu"])
    '; nearest: /features/0/Conv'
    """
    known = list(names)
    near = nearest(name, known)
    if not near and len(name) > 2:
        near = [other for other in known if name.lower() in other.lower()][:3]
    if near:
        return f"; nearest: {', '.join(near)}"
    if len(known) <= most + 1:
        return f"; there are {', '.join(known)}"
    return f"; there are {', '.join(known[:most])} and {len(known) - most} more"
