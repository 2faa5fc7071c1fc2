"""Types of options: how texts such as ``2,2`` or ``512M`` become values, and their errors."""

from __future__ import annotations

import contextlib
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from cnncli.core.choices import PAD_MODE_NAMES
from cnncli.errors import OptionError
from cnncli.filters.builtin_names import builtin_names
from cnncli.filters.matrix_text import parse_number, with_points
from cnncli.io.limits import MAX_CELLS, UNITS
from cnncli.render.options import RANGES, check_limits

if TYPE_CHECKING:
    AnyParamType = click.ParamType[Any]
else:
    # Generic for type checkers only: click 8.2's class takes no parameters.
    AnyParamType = click.ParamType

_BYTES = re.compile(r"(\d{1,19}(?:\.\d{1,9})?) ?([A-Z]*)")
MOST_BYTES: Final = 2**63 - 1
MAX_CHANNELS: Final = 2**31
"""More than any array has."""

MAX_WORKERS: Final = 1024
"""The most worker processes that ``--cluster local:N`` starts."""


class TextType(AnyParamType):
    """A value that is read from a text; what is none, such as a default, stays as it is.

    Subclasses say what the text must be (`form`), and `parse` returns None for any other.
    """

    form = ""
    metavar: str | None = None
    words: tuple[str, ...] = ()
    """Texts taken as they are, which shells complete."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str | None:
        """Return the form that help shows."""
        return self.metavar

    def parse(self, text: str) -> Any:
        """Return the value of a text; here None, as for a type of words alone."""
        return None

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or fail with what the text must be."""
        if not isinstance(value, str):
            return value
        if value.lower() in self.words:
            return value.lower()
        parsed = self.parse(value)
        if parsed is None:
            self.fail(f"must be {self.form}, got {value!r}.{self._answer(value)}", param, ctx)
        return parsed

    def _answer(self, text: str) -> str:
        """Return what to write for a text with other separators, or a word of another tool."""
        from cnncli.cli.synonyms import meant_or_like

        # A space between two numbers parts them; any other is one too many.
        close = re.sub(r"(?<!\d) | (?!\d)", "", " ".join(text.split()))
        parted = [close.replace(typed, ours) for typed, ours in (" ,", " x", "x,", ",x")]
        for other in (close, *parted, with_points(close)):
            if other != text and self.parse(other) is not None:
                return f" Did you mean {other}?"
        if "same" in self.words and text.lower() in PAD_MODE_NAMES:
            return f" Did you mean --pad-mode {text.lower()}?"
        meant = meant_or_like(text, self.words)
        return f" Did you mean {meant}?" if meant else ""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the words."""
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class Choice(click.Choice[str]):
    """One of some words; the answer to a word of another tool is ours for the same.

    Parameters
    ----------
    choices : iterable of str
    accepted : dict
        Words that are taken too, with the choice that each stands for.
    of_number : str
        What is said of a number.
    """

    def __init__(
        self,
        choices: Iterable[str],
        accepted: Mapping[str, str] | None = None,
        of_number: str = "",
    ) -> None:
        super().__init__(tuple(choices))
        self.accepted, self.of_number = accepted or {}, of_number

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the choice, or fail with all of them."""
        try:
            return super().convert(self.accepted.get(value, value), param, ctx)
        except click.BadParameter as error:
            from cnncli.cli.synonyms import meant_or_like

            meant = meant_or_like(str(value), self.choices)
            is_number = FiniteFloat().parse(str(value)) is not None
            answer = f"Did you mean {meant}?" if meant else self.of_number * is_number
            if not answer:
                raise
            self.fail(f"{error.message} {answer}", param, ctx)


class WholeNumber(click.IntRange):
    """A whole number within bounds; any other is refused as all options do."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or fail with what it must be."""
        with contextlib.suppress(click.BadParameter):
            if not isinstance(value, str) or _is_whole(value):
                return super().convert(value, param, ctx)
        bounds = f"from {self.min:g}" if self.max is None else f"of {self.min:g} to {self.max:g}"
        self.fail(f"must be a whole number {bounds}, got {value!r}.", param, ctx)


class Numbers(TextType):
    """One, two or four whole numbers with commas between, or one of some words.

    Parameters
    ----------
    counts : tuple of int
        How many numbers there may be.
    least : int
        The smallest allowed.
    metavar : str
        The form shown in help and errors.
    words : tuple of str
        Words taken as they are.
    most : int
        The largest allowed.
    """

    name = "numbers"

    def __init__(
        self,
        counts: tuple[int, ...],
        least: int,
        metavar: str,
        words: tuple[str, ...] = (),
        most: int = MAX_CELLS,
    ) -> None:
        self.counts, self.least, self.most = counts, least, most
        self.metavar, self.words = metavar, words
        self.form = f"{metavar} with whole numbers of {least} to {most}"

    def parse(self, text: str) -> int | tuple[int, ...] | None:
        """Return one number, or a tuple of numbers."""
        numbers = _whole_numbers(text.split(","))
        if len(numbers) not in self.counts or not all(
            self.least <= number <= self.most for number in numbers
        ):
            return None
        return numbers if len(numbers) > 1 else numbers[0]


class RangeType(TextType):
    """A named range or ``LO,HI``."""

    name = "range"
    metavar = "|".join((*RANGES, "LO,HI"))
    words = RANGES
    form = f"{', '.join(RANGES)} or LO,HI"

    def parse(self, text: str) -> tuple[float, ...] | None:
        """Return the two numbers."""
        try:
            low, high = map(parse_number, text.split(","))
        except ValueError:
            return None
        try:
            check_limits(low, high)
        except OptionError as error:
            raise click.BadParameter(str(error)) from None
        return low, high


class FiniteFloat(TextType):
    """A finite number or fraction, above a bound or within two if there are some."""

    name = "number"

    def __init__(
        self,
        above: float | None = None,
        allow_inf: bool = False,
        within: tuple[float, float] = (-math.inf, math.inf),
    ) -> None:
        self.above, self.allow_inf, self.within = above, allow_inf, within
        self.form = "a number" if above is None else f"a number above {above:g}"
        if within[0] > -math.inf:
            self.form = f"a number of {within[0]:g} to {within[1]:g}"

    def parse(self, text: str) -> float | None:
        """Return the number."""
        if self.allow_inf and text.lower() in ("inf", "infinity"):
            return math.inf
        try:
            number = parse_number(text)
        except ValueError:
            return None
        is_above = self.above is None or number > self.above
        return number if is_above and self.within[0] <= number <= self.within[1] else None


class Floats(TextType):
    """Finite numbers with commas between."""

    name = "N,N,..."

    def parse(self, text: str) -> float | tuple[float, ...]:
        """Return one number, or a tuple of numbers."""
        numbers = [FiniteFloat().convert(part, None, None) for part in text.split(",")]
        return tuple(numbers) if len(numbers) > 1 else numbers[0]


class ChannelCount(TextType):
    """How many channels: a whole number from 0, or all, which is more than there can be."""

    name = "channels"
    metavar = "N|all"
    form = "a whole number from 0, or all"

    def parse(self, text: str) -> int | None:
        """Return the number."""
        if text == "all":
            return MAX_CHANNELS
        return int(text) if _is_whole(text) else None


class ByteCount(TextType):
    """A number of bytes, with a unit or without: ``500MB``, ``1.5GiB``, ``4096``."""

    name = "bytes"
    metavar = "BYTES"
    form = "a number of bytes such as 500MB or 2GiB"

    def parse(self, text: str) -> int | None:
        """Return the whole number of bytes."""
        match = _BYTES.fullmatch(text.strip().upper())
        unit = UNITS.get(match[2]) if match else None
        count = int(float(match[1]) * unit) if match and unit else 0
        return count if 1 <= count <= MOST_BYTES else None


class InputSize(TextType):
    """``HxWxC``: height, width and channels; or ``HxW``."""

    name = "size"
    metavar = "HxWxC"
    form = f"HxWxC or HxW with whole numbers of 1 to {MAX_CELLS}"

    def parse(self, text: str) -> tuple[int, ...] | None:
        """Return the two or three numbers."""
        numbers = _whole_numbers(text.lower().split("x"))
        within = all(1 <= number <= MAX_CELLS for number in numbers)
        return numbers if len(numbers) in (2, 3) and within else None


class UnitType(TextType):
    """``LAYER:ROW,COL``: a unit of a layer's output."""

    name = "unit"
    metavar = "LAYER:ROW,COL"
    form = "LAYER:ROW,COL with numbers from 0"

    def parse(self, text: str) -> tuple[str, tuple[int, int]] | None:
        """Return the layer's name and the row and column."""
        layer, _, place = text.rpartition(":")
        numbers = _whole_numbers(place.split(","))
        return (layer, (numbers[0], numbers[1])) if layer and len(numbers) == 2 else None


class ClusterAddress(TextType):
    """``tcp://HOST:PORT`` or ``tls://HOST:PORT`` of a Dask scheduler, or ``local:N``."""

    name = "cluster"
    metavar = "tcp://HOST:PORT|tls://HOST:PORT|local:N"
    form = "tcp://HOST:PORT, tls://HOST:PORT or local:N"

    def parse(self, text: str) -> str | None:
        """Return the address."""
        host, _, number = text.rpartition(":")
        most = MAX_WORKERS if host == "local" else 65_535
        named = host == "local" or (host.startswith(("tcp://", "tls://")) and 6 < len(host) < 262)
        return text if named and _is_whole(number) and 1 <= int(number) <= most else None


class FilterName(TextType):
    """A filter file, a built-in's name or an inline matrix; `filters` reads the text."""

    name = "filter"

    def parse(self, text: str) -> str:
        """Return the text."""
        return text

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the built-in names, and leave files to the shell."""
        names = [name for name in builtin_names() if name.startswith(incomplete)]
        return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


def _is_whole(text: str) -> bool:
    """Whether a text is digits alone: Python takes underscores and digits of all scripts too."""
    return text.isascii() and text.isdigit() and len(text) <= sys.int_info.default_max_str_digits


def _whole_numbers(texts: Sequence[str]) -> tuple[int, ...]:
    """Return texts as whole numbers, with space around or not; none if one of them is none."""
    stripped = [text.strip() for text in texts]
    return tuple(map(int, stripped)) if all(map(_is_whole, stripped)) else ()
