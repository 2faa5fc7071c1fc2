"""Output templates such as ``maps/{stem}-{map:03d}.png``."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError, nearest, printable, quote
from cnncli.io.safe_names import safe_folder, safe_name

FIELDS = ("stem", "name", "dir", "op", "filter", "layer", "map", "ext")

_MEANT = {
    **dict.fromkeys(("filename", "basename", "file", "base", "input", "image"), "{stem}"),
    **dict.fromkeys(("extension", "suffix"), "{ext}"),
    **dict.fromkeys(("folder", "directory", "parent"), "{dir}"),
    "channel": "{map}",
}
"""What to write for words of other tools."""

_COUNTERS = ("index", "number", "i", "n")
_PRINTF = re.compile(r"%(0[1-9]d(?![0-9a-fA-F])|d(?![^\W_]))")
"""A number as other tools write it, and no letter by its code, nor the word behind a per cent."""

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
    def parse(text: str, shown: Sequence[str] = FIELDS) -> Template:
        """Check a template.

        Parameters
        ----------
        text : str
        shown : sequence of str
            The fields that errors list.

        Raises
        ------
        OptionError
            For anything but the known fields, each with a plain format spec.
        """
        try:
            return Template(text, frozenset(_checked_fields(text)))
        except ValueError as error:
            fields = " ".join(f"{{{name}}}" for name in shown)
            reason, braces = printable(str(error)), "{{ and }} stand for braces"
            unknown = re.fullmatch(r"has \{(\w+)\}", reason)
            word = unknown[1].lower() if unknown else ""
            near = [f"{{{name}}}" for name in nearest(word, shown)]
            use = _MEANT.get(word) or next(iter(near), "")
            if word in _COUNTERS:
                maps = "{stem} for the image, {map} for the map"
                use = "{frame}" if "frame" in shown else maps
            raise OptionError(
                f"--output template must use {fields} only, got {quote(text)}: it {reason}",
                hint=f"write {use}; {braces}" if use else braces,
            ) from None

    def fill(self, values: dict[str, str | int]) -> str:
        """Fill in the fields; nothing in a value but ``dir`` can name another folder.

        Parameters
        ----------
        values : dict
            One for each field in use: an int for ``map``, else text. A ``dir`` of nothing that
            begins a part of the path takes the slash behind it along.

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
                at_root = not folder and (not text or text.endswith("/"))
                text += folder
            elif field is not None:
                text += safe_name(format(values[field], spec or ""))
        return text


def refuse_printf(text: str, field: str = "map") -> None:
    """Raise OptionError for a name such as ``map-%03d.png``, as other tools number files.

    Examples
    --------
    >>> refuse_printf("a%20dog.png")
    >>> refuse_printf("map-%03d.png")
    Traceback (most recent call last):
    cnncli.errors.OptionError: --output has fields such as {map:03d}, got 'map-%03d.png'
    """
    written = _PRINTF.sub(lambda found: f"{{{field}:{found[1]}}}", text)
    if written != text:
        raise OptionError(
            f"--output has fields such as {{{field}:03d}}, got {quote(text)}",
            hint=f"write {quote(written)}",
        )


def _checked_fields(text: str) -> Iterator[str]:
    """Yield the fields of a template, or raise ValueError with what it does that it must not."""
    for _, field, spec, conversion in _pieces(text):
        if field is None:
            continue
        if field not in FIELDS or conversion:
            raise ValueError(f"has {{{field}{f'!{conversion}' if conversion else ''}}}")
        if any(int(number) > _MAX_WIDTH for number in re.findall(r"\d{1,9}", spec or "")):
            raise ValueError(f"asks for more than {_MAX_WIDTH} letters in {{{field}}}")
        try:
            format(0 if field == "map" else "x", spec or "")
        except ValueError:
            raise ValueError(f"has {{{field}:{spec}}}, which is no format of it") from None
        yield field


def _pieces(text: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"cannot be read ({error})") from None
