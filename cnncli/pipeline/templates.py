"""Output templates such as ``maps/{stem}-{map:03d}.png``, and names made safe for files."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cnncli.errors import OptionError, quote

FIELDS = ("stem", "name", "dir", "op", "filter", "layer", "map", "ext")

# No file name is longer; wider padding would only eat memory.
_MAX_WIDTH = 255


@dataclass(frozen=True)
class Template:
    """A checked template.

    Parameters
    ----------
    text : str
        As given to ``--output``.
    fields : frozenset of str
        The fields it uses.

    Examples
    --------
    >>> Template.parse("maps/{stem}-{map:03d}.png").fill({"stem": "cat", "map": 7})
    'maps/cat-007.png'
    """

    text: str
    fields: frozenset[str]

    @staticmethod
    @lru_cache(maxsize=16)
    def parse(text: str) -> Template:
        """Check a template.

        Raises
        ------
        OptionError
            For anything but the known fields, each with a plain format spec.
        """
        used = set()
        for _, field, spec, conversion in _pieces(text):
            if field is None:
                continue
            if field not in FIELDS or conversion:
                raise _problem(text, f"has {_shown(field, conversion)}")
            _check_spec(text, field, spec or "")
            used.add(field)
        return Template(text, frozenset(used))

    def fill(self, values: dict[str, str | int]) -> str:
        """Fill in the fields; nothing in a value but ``dir`` can name another folder.

        Parameters
        ----------
        values : dict
            One for each field in use: an int for ``map``, else text. A ``dir`` of nothing takes
            the slash behind it along.

        Returns
        -------
        str
        """
        text, at_root = "", False
        for literal, field, spec, _ in _pieces(self.text):
            text += literal.removeprefix("/") if at_root else literal
            at_root = False
            if field == "dir":
                folder = safe_folder(format(values[field], spec or ""))
                text, at_root = text + folder, not folder
            elif field is not None:
                text += safe_name(format(values[field], spec or ""))
        return text


def safe_name(text: str) -> str:
    """Make a text fit to be a part of a file name.

    Parameters
    ----------
    text : str
        A file's stem, a key of an archive, a name from a network file.

    Returns
    -------
    str
        Separators and control characters become ``_``; never empty and never only dots.

    Examples
    --------
    >>> safe_name("../../x"), safe_name("..")
    ('.._.._x', '__')
    """
    if not text.strip("."):
        return "_" * max(len(text), 1)
    if text.isprintable() and "/" not in text and "\\" not in text:
        return text
    return "".join("_" if _unsafe(character) else character for character in text)


def safe_folder(text: str) -> str:
    """Make a text fit to be a folder below another: each of its parts as by `safe_name`.

    Examples
    --------
    >>> safe_folder("2024/may"), safe_folder("/abs/../x"), safe_folder(".")
    ('2024/may', 'abs/__/x', '')
    """
    return "/".join(safe_name(part) for part in text.split("/") if part not in ("", "."))


def distinct(names: Iterable[str]) -> list[str]:
    """Append ``-2``, ``-3``... to names that appeared before, whatever their case.

    Examples
    --------
    >>> distinct(["edge", "Edge", "edge-2"])
    ['edge', 'Edge-2', 'edge-2-2']
    """
    taken: set[str] = set()
    free_names = []
    for name in names:
        free, number = name, 2
        while free.casefold() in taken:
            free, number = f"{name}-{number}", number + 1
        taken.add(free.casefold())
        free_names.append(free)
    return free_names


def _unsafe(character: str) -> bool:
    # Cc: control characters; Cf: also marks that turn the direction of text around.
    return character in "/\\" or unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")


def _pieces(text: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(text))
    except ValueError as error:
        raise _problem(text, f"cannot be read ({error})") from None


def _check_spec(text: str, field: str, spec: str) -> None:
    if any(int(number) > _MAX_WIDTH for number in re.findall(r"\d{1,9}", spec)):
        raise _problem(text, f"asks for more than {_MAX_WIDTH} letters in {{{field}}}")
    try:
        format(0 if field == "map" else "x", spec)
    except ValueError:
        raise _problem(text, f"has {{{field}:{spec}}}, which is no format of it") from None


def _shown(field: str, conversion: str | None) -> str:
    return "{" + field + (f"!{conversion}" if conversion else "") + "}"


def _problem(text: str, reason: str) -> OptionError:
    fields = " ".join(f"{{{field}}}" for field in FIELDS)
    return OptionError(
        f"--output template must use {fields} only, got {quote(text)}: it {quote(reason)[1:-1]}",
        hint="{{ and }} stand for braces",
    )
