"""Parameter types: how the texts of options are read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from cnncli.errors import OptionError
from cnncli.filters.builtin_names import builtin_names
from cnncli.io.limits import UNITS
from cnncli.render.options import RANGES, parse_range

if TYPE_CHECKING:
    AnyParamType = click.ParamType[Any]
else:
    # Generic for type checkers only: click 8.2's class takes no parameters.
    AnyParamType = click.ParamType

_BYTES = re.compile(r"(\d{1,19}(?:\.\d{1,9})?) ?([A-Z]*)")
MOST_BYTES: Final = 2**63 - 1
MAX_CHANNELS: Final = 2**31
"""More than any array has."""

MAX_CELLS: Final = 65_535
"""The largest size, stride, dilation or pad: the side of the largest picture any format holds."""

MAX_WORKERS: Final = 1024
"""The most worker processes that ``--cluster local:N`` starts."""


class Numbers(AnyParamType):
    """One, two or four whole numbers with commas between, or one of some words.

    Parameters
    ----------
    counts : tuple of int
        How many numbers there may be.
    least : int
        The smallest allowed.
    words : tuple of str
        Words taken as they are.
    metavar : str
        The form shown in help and errors.
    """

    name = "numbers"

    def __init__(
        self, counts: tuple[int, ...], least: int, metavar: str, words: tuple[str, ...] = ()
    ) -> None:
        self.counts, self.least, self.metavar, self.words = counts, least, metavar, words

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return self.metavar

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int | tuple[int, ...]:
        """Return a word, one number, or a tuple of numbers."""
        if not isinstance(value, str) or value in self.words:
            return value  # type: ignore[no-any-return]
        numbers = self._parse(value)
        if len(numbers) not in self.counts:
            self.fail(
                f"must be {self.metavar} with whole numbers of {self.least} to {MAX_CELLS}, "
                f"got {value!r}.",
                param,
                ctx,
            )
        return numbers if len(numbers) > 1 else numbers[0]

    def _parse(self, text: str) -> tuple[int, ...]:
        try:
            numbers = tuple(int(part) for part in text.split(","))
        except ValueError:
            return ()
        return numbers if all(self.least <= n <= MAX_CELLS for n in numbers) else ()

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the words."""
        return [CompletionItem(word) for word in self.words if word.startswith(incomplete)]


class RangeType(AnyParamType):
    """A named range or ``LO,HI``."""

    name = "range"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "|".join((*RANGES, "LO,HI"))

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | tuple[float, float]:
        """Return the word, or the two numbers."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        try:
            return parse_range(value)
        except OptionError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the words."""
        return [CompletionItem(word) for word in RANGES if word.startswith(incomplete)]


class FiniteFloat(AnyParamType):
    """A finite number, above a bound if there is one."""

    name = "number"

    def __init__(self, above: float | None = None, allow_inf: bool = False) -> None:
        self.above, self.allow_inf = above, allow_inf

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        finite = abs(number) < float("inf") or (self.allow_inf and number == float("inf"))
        if not finite or (self.above is not None and number <= self.above):
            bound = "" if self.above is None else f" above {self.above:g}"
            self.fail(f"must be a number{bound}, got {str(value)!r}.", param, ctx)
        return number


class ChannelCount(AnyParamType):
    """How many channels: a whole number from 0, or all."""

    name = "channels"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "N|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number; all is more than there can be."""
        if value == "all":
            return MAX_CHANNELS
        if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < 8):
            self.fail(f"must be a whole number from 0, or all, got {value!r}.", param, ctx)
        return int(value)


class ByteCount(AnyParamType):
    """A number of bytes, with a unit or without: ``500MB``, ``1.5GiB``, ``4096``."""

    name = "bytes"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "BYTES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the whole number of bytes."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        match = _BYTES.fullmatch(value.strip().upper())
        unit = UNITS.get(match[2]) if match else None
        count = int(float(match[1]) * unit) if match and unit else 0
        if not 1 <= count <= MOST_BYTES:
            self.fail(
                f"must be a number of bytes such as 500MB or 2GiB, got {value!r}.", param, ctx
            )
        return count


class InputSize(AnyParamType):
    """``HxWxC``: height, width and channels; or ``HxW``."""

    name = "size"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "HxWxC"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the two or three numbers."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        parts = value.lower().split("x")
        if len(parts) in (2, 3) and all(part.isascii() and part.isdigit() for part in parts):
            numbers = tuple(int(part) for part in parts if len(part) < 6)
            if len(numbers) == len(parts) and all(1 <= n <= MAX_CELLS for n in numbers):
                return numbers
        self.fail(
            f"must be HxWxC or HxW with whole numbers of 1 to {MAX_CELLS}, got {value!r}.",
            param,
            ctx,
        )


class UnitPlace(AnyParamType):
    """``LAYER:ROW,COL``: a unit of a layer's output."""

    name = "unit"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "LAYER:ROW,COL"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, int]]:
        """Return the layer's name and the row and column."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        layer, _, place = value.rpartition(":")
        parts = place.split(",")
        digits = all(part.isascii() and part.isdigit() and len(part) < 6 for part in parts)
        if not layer or len(parts) != 2 or not digits:
            self.fail(f"must be LAYER:ROW,COL with numbers from 0, got {value!r}.", param, ctx)
        return layer, (int(parts[0]), int(parts[1]))


class ClusterAddress(AnyParamType):
    """``tcp://HOST:PORT`` or ``tls://HOST:PORT`` of a Dask scheduler, or ``local:N``."""

    name = "cluster"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "tcp://HOST:PORT|tls://HOST:PORT|local:N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the address."""
        host, _, number = str(value).rpartition(":")
        digits = number.isascii() and number.isdigit() and len(number) < 6
        most = MAX_WORKERS if host == "local" else 65_535
        named = host == "local" or (host.startswith(("tcp://", "tls://")) and len(host) > 6)
        if not (named and digits and 1 <= int(number) <= most):
            forms = "tcp://HOST:PORT, tls://HOST:PORT or local:N"
            self.fail(f"must be {forms}, got {str(value)!r}.", param, ctx)
        return str(value)


class FilterName(AnyParamType):
    """A filter file, a built-in's name or an inline matrix; `filters` reads the text."""

    name = "filter"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the built-in names, and leave files to the shell."""
        names = [name for name in builtin_names() if name.startswith(incomplete)]
        return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]
