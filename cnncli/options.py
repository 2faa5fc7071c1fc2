"""Every command-line option, written once, and the parameter types that read their texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from cnncli.core.words import (
    ACTIVATION_NAMES,
    ALGORITHM_NAMES,
    FILTER_LAYOUTS,
    NAMED_PADDINGS,
    PAD_MODES,
    POOL_MODES,
)
from cnncli.errors import OptionError
from cnncli.formats import FORMATS
from cnncli.limits import MAX_INPUT_BYTES, MAX_PIXELS
from cnncli.maps import COLORMAPS, COMPRESSIONS, DEPTHS, RANGES, parse_range
from cnncli.names import builtin_names

if TYPE_CHECKING:
    AnyParamType = click.ParamType[Any]
else:
    # Generic for type checkers only: click 8.2's class takes no parameters.
    AnyParamType = click.ParamType

Command = TypeVar("Command", bound=Callable[..., Any])

MAX_CELLS: Final = 65_535
"""The largest size, stride, dilation or pad: the side of the largest picture any format holds."""


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


class FilterName(AnyParamType):
    """A filter file, a built-in's name or an inline matrix; `filters` reads the text."""

    name = "filter"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the built-in names, and leave files to the shell."""
        names = [name for name in builtin_names() if name.startswith(incomplete)]
        return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, type="file")]


ONE_OR_TWO: Final = Numbers((1, 2), 1, "N|H,W")
PADDING: Final = Numbers(
    (1, 2, 4),
    0,
    "same|same-lower|valid|N|H,W|TOP,BOTTOM,LEFT,RIGHT",
    words=NAMED_PADDINGS,
)

_images = click.argument(
    "images", metavar="[IMAGE]...", nargs=-1, type=click.Path(allow_dash=True, readable=False)
)


class PictureCommand(click.Command):
    """A command whose help shows its options in sections: the layer, reading, writing."""

    own_section = "Layer"

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of options for each section."""
        sections: dict[str, list[tuple[str, str]]] = {
            self.own_section: [],
            "Images in": [],
            "Results out": [],
        }
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None and isinstance(option, click.Option):
                sections[_section(option) or self.own_section].append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class NetworkCommand(PictureCommand):
    """A command on the network of a file."""

    own_section = "Network"


def _section(option: click.Option) -> str | None:
    if option.name in _READ_NAMES:
        return "Images in"
    return "Results out" if option.is_eager or option.name in _WRITE_NAMES else None


def _all(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Apply options so that `--help` lists them in the order written."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


max_pixels_option = click.option(
    "--max-pixels", type=click.IntRange(min=1), default=MAX_PIXELS, metavar="N",
    envvar="CNNCLI_MAX_PIXELS", show_default=True, help="Refuse larger pictures.",
)  # fmt: skip
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")

_read_options = (
    click.option("--gray", "--grey", is_flag=True, help="Turn colour into luminance first."),
    click.option(
        "--background", default="black", metavar="COLOR", show_default=True,
        help="What shows through transparency.",
    ),
    click.option(
        "--frame", type=click.IntRange(min=0), metavar="N",
        help="Frame of an animation or multi-page file, from 0.  [default: the first]",
    ),
    click.option(
        "--as-values", is_flag=True,
        help="Read back the numbers that a picture of cnncli's shows.",
    ),
    click.option("-r", "--recursive", is_flag=True, help="Take folders with their sub-folders."),
    max_pixels_option,
    click.option(
        "--max-input-bytes", type=click.IntRange(min=1), default=MAX_INPUT_BYTES, metavar="N",
        envvar="CNNCLI_MAX_INPUT_BYTES", show_default=True,
        help="Refuse longer standard input.",
    ),
)  # fmt: skip

_write_options = (
    click.option(
        "-o", "--output", metavar="PATH",
        help="File, folder/ (one file a map; of networks one sheet a layer), template with {stem} "
        "{name} {op} {filter} {layer} {map} {ext}, or - for standard output.  [default: "
        "{stem}-{op}.png, of networks {stem}-{layer}.png]",
    ),
    click.option(
        "--format", "format_name", type=click.Choice(tuple(FORMATS)),
        help="Format, whatever the name ends with.  [default: by the name; .npy to a pipe]",
    ),
    click.option(
        "--depth", type=click.Choice(DEPTHS), default="8", show_default=True,
        help="Bits a sample: 16 for grey PNG and TIFF, float for TIFF.",
    ),
    click.option(
        "--range", "value_range", type=RangeType(), default="auto", show_default=True,
        help="Which values become black and white: clip shows 0..1 as it is, minmax from the "
        "smallest to the largest, symmetric puts 0 at mid-grey, abs drops signs; auto clips images "
        "and shows feature maps symmetric, or minmax without negatives.",
    ),
    click.option("--shared-range", is_flag=True, help="One range for all maps."),
    click.option(
        "--colormap", type=click.Choice(COLORMAPS), default="gray", show_default=True,
        help="Colours for single maps.",
    ),
    click.option(
        "--columns", type=click.IntRange(min=1), metavar="N",
        help="Columns of the grid of maps.  [default: about square]",
    ),
    click.option("--labels/--no-labels", default=True, help="Write each map's name in the grid."),
    click.option(
        "--compress", type=click.Choice(COMPRESSIONS), default="fast", show_default=True,
        help="Quick files or the smallest ones.",
    ),
    click.option("--show", is_flag=True, help="Draw the result in the terminal too."),
    overwrite_option,
    click.option("--skip-existing", is_flag=True, help="Leave out images whose output exists."),
    click.option("--json", "as_json", is_flag=True, help="Report as JSON lines on stdout."),
    click.option(
        "-j", "--jobs", type=click.IntRange(min=1), metavar="N",
        help="Threads over the strips of an image; the bytes do not depend on it.  "
        "[default: the cores]",
    ),
    click.option("-v", "--verbose", is_flag=True, help="Report also how it was computed."),
    click.option("-q", "--quiet", is_flag=True, help="No report; errors still show."),
)  # fmt: skip

_READ_NAMES: Final = (
    *("gray", "background", "frame", "as_values", "recursive", "max_pixels", "max_input_bytes"),
)
_WRITE_NAMES: Final = (
    *("output", "format_name", "depth", "value_range", "shared_range", "colormap", "columns"),
    *(
        "labels",
        "compress",
        "show",
        "overwrite",
        "skip_existing",
        "as_json",
        "jobs",
        "verbose",
        "quiet",
    ),
)

picture_command = _all(_images, *_read_options, *_write_options)
"""IMAGE, how images are read and how results are written: what every picture command takes."""

_padding_mode = (
    click.option(
        "--pad-mode", type=click.Choice(PAD_MODES), default="zeros", show_default=True,
        help="What the border holds.",
    ),
    click.option(
        "--pad-value", type=FiniteFloat(), default=0.0, metavar="V", show_default=True,
        help="Constant border other than 0 (with --pad-mode zeros).",
    ),
)  # fmt: skip


def padding_option(default: str | None) -> Callable[[Command], Command]:
    """Return the option --padding with a command's own default; None: it must be given."""
    given = {"required": True} if default is None else {"default": default, "show_default": True}
    return click.option("--padding", type=PADDING, help="Border in cells, or by name.", **given)


_dilation = click.option(
    "--dilation",
    type=ONE_OR_TWO,
    default=1,
    show_default=True,
    help="Spacing of the window's taps.",
)

pad_options = _all(padding_option(None), *_padding_mode)
"""What `pad` does."""

filter_layout = click.option(
    "--filter-layout", type=click.Choice(FILTER_LAYOUTS), default="hwio", show_default=True,
    help="Axes of filter files: hwio as Keras and the course, oihw as PyTorch and ONNX.",
)  # fmt: skip

conv_options = _all(
    click.option(
        "-f", "--filter", "filter_texts", type=FilterName(), multiple=True, required=True,
        metavar="FILTER",
        help='File, built-in name or matrix such as "0 -1 0; -1 5 -1; 0 -1 0"; '
        "several make one bank.",
    ),
    filter_layout,
    click.option("--bias", metavar="NUMBER|FILE", help="Added to each map.  [default: 0]"),
    click.option("--flip", is_flag=True, help="True convolution: turn the filter by 180 degrees."),
    click.option("--normalize", is_flag=True, help="Divide each filter by its sum."),
    click.option(
        "--activation", default="none", show_default=True,
        type=click.Choice(ACTIVATION_NAMES),
        help="Applied after the bias.",
    ),
    click.option(
        "--stride", type=ONE_OR_TWO, default=1, show_default=True, help="Step of the window."
    ),
    padding_option("same"),
    *_padding_mode,
    _dilation,
    click.option(
        "--groups", type=click.IntRange(min=1), default=1, metavar="G", show_default=True,
        help="Channel groups that do not see each other.",
    ),
    click.option(
        "--algorithm", type=click.Choice(("auto", *ALGORITHM_NAMES)), default="auto",
        show_default=True, help="How to compute it; auto takes the cheapest, -v says which.",
    ),
)  # fmt: skip
"""What `conv` does."""

pool_options = _all(
    click.option(
        "--mode", type=click.Choice(POOL_MODES), default="max",
        show_default=True, help="How a window becomes one value.",
    ),
    click.option(
        "--size", type=Numbers((1, 2), 1, "N|H,W|global", words=("global",)), default=2,
        show_default=True, help="Window; global: the whole image.",
    ),
    click.option("--stride", type=ONE_OR_TWO, help="Step of the window.  [default: the size]"),
    padding_option("valid"),
    _dilation,
    click.option("--ceil", is_flag=True, help="Count a last window that hangs over the end."),
    click.option(
        "--count-include-pad", is_flag=True, help="Average: divide by the pads too."
    ),
    click.option(
        "--p", type=FiniteFloat(above=0, allow_inf=True), default=2.0, show_default=True,
        metavar="P", help="Power of --mode lp.",
    ),
)  # fmt: skip
"""What `pool` does."""

network_argument = click.argument("network", metavar="NETWORK", type=click.Path(readable=False))
"""The file of a network."""

run_options = _all(
    click.option("--until", metavar="NAME", help="Stop at this layer.  [default: the last]"),
    click.option(
        "--layer", "layers", metavar="NAME", multiple=True,
        help="The layer that goes out; several times for a folder, a template with {layer} or an "
        ".npz file.  [default: all for those, else the last]",
    ),
)  # fmt: skip
"""What `run` does."""

plan_options = _all(
    network_argument,
    click.option(
        "--input", "size", type=InputSize(),
        help="Height, width and channels of the image.  "
        "[default: the network's own size, or that of --image]",
    ),
    click.option(
        "--image", type=click.Path(readable=False), metavar="IMAGE",
        help="Take the size from the header of a picture or .npy array; --trace draws on it.",
    ),
    click.option("--json", "as_json", is_flag=True, help="A JSON object a layer, then the totals."),
    click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values, a line a layer."),
    click.option(
        "--trace", type=UnitPlace(),
        help="Draw the pixels of --image that reach a unit, layer by layer; rows and columns "
        "from 0.",
    ),
    click.option(
        "-o", "--output", metavar="PATH",
        help="File, folder/ or template for --trace's picture.  [default: {stem}-field.png]",
    ),
    overwrite_option,
    max_pixels_option,
    click.option("-q", "--quiet", is_flag=True, help="No warnings and no report."),
)  # fmt: skip
"""What `plan` does."""
