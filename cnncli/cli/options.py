"""The command-line options, each written once, in groups that are dataclasses.

A group's fields are its options: `Command` is called with an object of each of its groups.
"""

from __future__ import annotations

import copy
import shutil
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, get_type_hints

import click

from cnncli.cli.group import check_output_open
from cnncli.cli.types import (
    ByteCount,
    ClusterAddress,
    FilterName,
    FiniteFloat,
    Numbers,
    RangeType,
)
from cnncli.core.choices import (
    ACTIVATION_NAMES,
    ALGORITHM_NAMES,
    CONVENTION_NAMES,
    FILTER_LAYOUTS,
    NAMED_PADDINGS,
    PAD_MODES,
    POOL_CONVENTION_NAMES,
    POOL_MODES,
)
from cnncli.io.formats import FORMATS
from cnncli.io.limits import MAX_INPUT_BYTES, MAX_PIXELS
from cnncli.render.options import COLORMAPS, COMPRESSIONS, DEPTHS

if TYPE_CHECKING:
    from cnncli.core.geometry import PaddingLike, Pair
    from cnncli.io.images import ReadOptions

Record = TypeVar("Record")

ONE_OR_TWO: Final = Numbers((1, 2), 1, "N|H,W")
PADDING: Final = Numbers(
    (1, 2, 4),
    0,
    "same|same-lower|valid|N|H,W|TOP,BOTTOM,LEFT,RIGHT",
    words=NAMED_PADDINGS,
)
SECTIONS: Final = ("Images in", "Many images", "Results out")
FILE: Final = click.Path(readable=False)
FILE_OR_STDIN: Final = click.Path(allow_dash=True, readable=False)


class Option(click.Option):
    """An option that takes its name, and its section of the help, from its group."""

    section: str | None = None


class OptionGroup:
    """Options that a command takes together: a subclass is a dataclass, and its fields are options.

    Examples
    --------
    >>> PadOptions(padding=1)
    Traceback (most recent call last):
    TypeError: PadOptions needs a value for pad_mode
    """

    section: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        for name, param in tuple(vars(cls).items()):
            if isinstance(param, Option):
                # A copy, for other groups may have the same option.
                own = copy.copy(param)
                own.name, own.section = name, cls.section or param.section
                setattr(cls, name, own)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, click.Parameter):
                raise TypeError(f"{type(self).__name__} needs a value for {name}")


def option(*flags: str, **settings: Any) -> Any:
    """Return an option as the default of a field, whose name it takes; see `click.option`.

    A default that is given is shown in the help.
    """
    return Option(flags, **{"show_default": "default" in settings, **settings})


def flag(*flags: str, help: str) -> Any:
    """Return an option without a value."""
    return Option(flags, is_flag=True, help=help)


def argument(name: str, **settings: Any) -> Any:
    """Return an argument as the default of the field of that name; see `click.argument`."""
    return click.Argument([name], **settings)


class Command(click.Command):
    """A command whose function takes groups of options: its signature says which.

    Parameters
    ----------
    own_section : str, optional
        Title of the options that belong to no section; without it the help has no sections.
    """

    def __init__(self, *args: Any, own_section: str | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.own_section = own_section
        hints = get_type_hints(self.callback).items()
        self.groups: dict[str, Any] = {name: kind for name, kind in hints if is_dataclass(kind)}
        self.params = [getattr(kind, f) for kind in self.groups.values() for f in _fields(kind)]

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function with one object for each group."""
        ctx.params = {
            group: kind(**{name: ctx.params[name] for name in _fields(kind)})
            for group, kind in self.groups.items()
        }
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of options for each section."""
        if self.own_section is None:
            super().format_options(ctx, formatter)
            return
        titles = (self.own_section, *SECTIONS)
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in titles}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if isinstance(param, click.Option) and record is not None:
                # --help comes last, and is no option of a group.
                title = SECTIONS[-1] if param.is_eager else getattr(param, "section", None)
                sections[title or self.own_section].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(kind.__dataclass_fields__)


def make(kind: type[Record], options: object, **values: Any) -> Record:
    """Make a dataclass of the values given and of the options with the names of its fields.

    Parameters
    ----------
    kind : type
        A dataclass; options that are None leave its defaults.
    options : object
        A group of options.
    **values
        Further fields; they come before options of the same name.

    Examples
    --------
    >>> from cnncli.render.options import RenderOptions
    >>> make(RenderOptions, PadOptions(1, "zeros", 0.0), depth="16").depth
    '16'
    """
    names = _fields(kind)
    chosen = {n: v for n, v in vars(options).items() if n in names and v is not None}
    return kind(**{**chosen, **values})


def read_options(options: object, **values: Any) -> ReadOptions:
    """Return how images are read, by a group of options that has some of its fields."""
    from cnncli.io.images import ReadOptions

    if getattr(options, "as_values", False):
        from cnncli.render.metadata import restore_values

        values["restore"] = restore_values
    return make(ReadOptions, options, **values)


# fmt: off
overwrite_option = flag("--overwrite", help="Replace outputs that exist.")
layout_option = option(
    "--filter-layout", type=click.Choice(FILTER_LAYOUTS), default="hwio",
    help="Axes of filter files: hwio as Keras and the course, oihw as PyTorch and ONNX.",
)
network_argument = argument("network", metavar="NETWORK", type=FILE)
"""The file of a network."""


@dataclass(frozen=True)
class ImageOptions(OptionGroup):
    """How images are read."""

    section = "Images in"

    gray: bool = flag("--gray", "--grey", help="Turn colour into luminance first.")
    background: str = option(
        "--background", default="black", metavar="COLOR", help="What shows through transparency."
    )
    frame: int | None = option(
        "--frame", type=click.IntRange(min=0), metavar="N",
        help="Frame of an animation or multi-page file, from 0.  [default: the first]",
    )
    as_values: bool = flag(
        "--as-values", help="Read back the numbers that a picture of cnncli's shows."
    )
    max_pixels: int = option(
        "--max-pixels", type=click.IntRange(min=1), default=MAX_PIXELS, metavar="N",
        envvar="CNNCLI_MAX_PIXELS", help="Refuse larger pictures.",
    )
    max_memory: int | None = option(
        "--max-memory", type=ByteCount(), envvar="CNNCLI_MAX_MEMORY",
        help="Refuse images that need more memory, such as 500MB or 2GiB.  "
        "[default: what is available]",
    )
    max_input_bytes: int = option(
        "--max-input-bytes", type=ByteCount(), default=MAX_INPUT_BYTES,
        envvar="CNNCLI_MAX_INPUT_BYTES",
        help="Refuse longer standard input, .npy arrays and lists.",
    )


@dataclass(frozen=True)
class BatchOptions(OptionGroup):
    """Which images there are, and where the work on them is done."""

    section = "Many images"

    images: tuple[str, ...] = argument("images", metavar="[IMAGE]...", nargs=-1, type=FILE_OR_STDIN)
    recursive: bool = flag(
        "-r", "--recursive",
        help="Take folders with their sub-folders, and make the same below the output folder.",
    )
    files_from: str | None = option(
        "--files-from", metavar="FILE", type=FILE_OR_STDIN,
        help="Take the names in a file too, one a line or ended by NULs; - is standard input.",
    )
    jobs: int | None = option(
        "-j", "--jobs", type=click.IntRange(min=1), metavar="N",
        help="Worker processes for several images, threads for a single one; the bytes do not "
        "depend on it.  [default: the cores]",
    )
    timeout: float | None = option(
        "--timeout", type=FiniteFloat(above=0), metavar="S",
        help="Seconds an image may take; one that takes longer is tried once more, then given up.",
    )
    fail_fast: bool = flag("--fail-fast", help="Begin no more images once one has failed.")
    dry_run: bool = flag(
        "--dry-run",
        help="Say what would be written and what is wrong by the headers; write nothing.",
    )
    report: str | None = option(
        "--report", metavar="FILE",
        help="Write what became of every image to FILE.json or, as a table, FILE.csv.",
    )
    cluster: str | None = option(
        "--cluster", type=ClusterAddress(),
        help="Work on the workers of a Dask scheduler, or of N processes here.",
    )
    cluster_timeout: float = option(
        "--cluster-timeout", type=FiniteFloat(above=0), default=10.0, metavar="S",
        help="Seconds in which the scheduler must answer.",
    )
    shared_files: bool = flag(
        "--shared-files", help="The cluster's workers read and write the same files themselves."
    )


FIELDS: Final = "{stem} {name} {dir} {op} {filter} {map} {ext}"
LAYER_FIELDS: Final = FIELDS.replace("{map}", "{layer} {map}")


def output_option(folder: str, fields: str, default: str) -> Any:
    """Return the option --output: what a folder gets, a template's fields, and the default."""
    return option(
        "-o", "--output", metavar="PATH",
        help=f"File, folder/ ({folder}), template such as 'out/{{stem}}.png' with {fields}, or - "
        f"for standard output.  [default: {default}]",
    )


@dataclass(frozen=True)
class ResultOptions(OptionGroup):
    """How results are written, and what is reported of them."""

    section = "Results out"

    output: str | None = output_option("a file for each map", FIELDS, "{stem}-{op}.png")
    format: str | None = option(
        "--format", type=click.Choice(tuple(FORMATS)),
        help="Format, whatever the name ends with.  [default: by the name; .npy to a pipe]",
    )
    depth: str = option(
        "--depth", type=click.Choice(DEPTHS), default="8",
        help="Bits a sample: 16 for PNG and grey TIFF, float for TIFF.",
    )
    range: str | tuple[float, float] = option(
        "--range", type=RangeType(), default="auto",
        help="Which values become black and white: clip shows 0..1 as it is, minmax from the "
        "smallest to the largest, symmetric puts 0 at mid-grey, abs drops signs; auto clips images "
        "and shows feature maps symmetric, or minmax without negatives.",
    )
    shared_range: bool = flag("--shared-range", help="One range for all maps.")
    colormap: str = option(
        "--colormap", type=click.Choice(COLORMAPS), default="gray", help="Colours for single maps."
    )
    columns: int | None = option(
        "--columns", type=click.IntRange(min=1), metavar="N",
        help="Columns of the grid of maps.  [default: about square]",
    )
    labels: bool = option(
        "--labels/--no-labels", default=True, show_default=False,
        help="Write each map's name in the grid.",
    )
    compress: str = option(
        "--compress", type=click.Choice(COMPRESSIONS), default="fast",
        help="Quick files or the smallest ones.",
    )
    show: bool = flag("--show", help="Draw the result in the terminal too.")
    overwrite: bool = overwrite_option
    skip_existing: bool = flag("--skip-existing", help="Leave out images whose output exists.")
    as_json: bool = flag("--json", help="Report as JSON lines on stdout.")
    verbose: bool = flag("-v", "--verbose", help="Report also how it was computed.")
    quiet: bool = flag("-q", "--quiet", help="No report; errors still show.")

    def check(self) -> None:
        """Refuse options that exclude each other, and text for a closed standard output."""
        if self.overwrite and self.skip_existing:
            raise click.UsageError("--overwrite and --skip-existing exclude each other.")
        if self.as_json or self.show:
            check_output_open()

    def job_fields(self) -> dict[str, Any]:
        """Return what else is reported of an image, as fields of a `Job`."""
        width = shutil.get_terminal_size().columns if self.show else 0
        return {"show_width": width, "verbose": self.verbose}


class FilterResultOptions(ResultOptions):
    """The same, with a file named by its filter."""

    output: str | None = output_option("a file for each map", FIELDS, "{stem}-{filter}.png")


class LayerResultOptions(ResultOptions):
    """The same, of the layers of a network."""

    output: str | None = output_option("a sheet for each layer", LAYER_FIELDS, "{stem}-{layer}.png")


def _padding_option(**settings: Any) -> Any:
    return option("--padding", type=PADDING, help="Border in cells, or by name.", **settings)


@dataclass(frozen=True)
class PadOptions(OptionGroup):
    """The border that `pad` adds."""

    padding: PaddingLike = _padding_option(required=True)
    pad_mode: str = option(
        "--pad-mode", type=click.Choice(PAD_MODES), default="zeros", help="What the border holds."
    )
    pad_value: float = option(
        "--pad-value", type=FiniteFloat(), default=0.0, metavar="V",
        help="Constant border other than 0 (with --pad-mode zeros).",
    )


def _filter_option(**settings: Any) -> Any:
    return option(
        "-f", "--filter", type=FilterName(), multiple=True, metavar="FILTER",
        help='File, built-in name or matrix such as "0 -1 0; -1 5 -1; 0 -1 0"; several make one '
        "bank.",
        **settings,
    )


@dataclass(frozen=True)
class ConvOptions(OptionGroup):
    """The layer of `conv`."""

    filter_texts: tuple[str, ...] = _filter_option(required=True)
    filter_layout: str = layout_option
    bias: str | None = option(
        "--bias", metavar="NUMBER|FILE", help="Added to each map.  [default: 0]"
    )
    flip: bool = flag("--flip", help="True convolution: turn the filter by 180 degrees.")
    normalize: bool = flag("--normalize", help="Divide each filter by its sum.")
    activation: str = option(
        "--activation", default="none", type=click.Choice(ACTIVATION_NAMES),
        help="Applied after the bias.",
    )
    stride: int | Pair = option("--stride", type=ONE_OR_TWO, default=1, help="Step of the window.")
    padding: PaddingLike = _padding_option(default="same")
    pad_mode: str = PadOptions.pad_mode
    pad_value: float = PadOptions.pad_value
    dilation: int | Pair = option(
        "--dilation", type=ONE_OR_TWO, default=1, help="Spacing of the window's taps."
    )
    groups: int = option(
        "--groups", type=click.IntRange(min=1), default=1, metavar="G",
        help="Channel groups that do not see each other.",
    )
    algorithm: str = option(
        "--algorithm", type=click.Choice(("auto", *ALGORITHM_NAMES)), default="auto",
        help="How to compute it; auto takes the cheapest, -v says which.",
    )
    convention: str | None = option(
        "--convention", type=click.Choice(CONVENTION_NAMES),
        help="Do it as that tool does: flip, odd side of same padding, border, divisor.",
    )


@dataclass(frozen=True)
class PoolOptions(OptionGroup):
    """The layer of `pool`."""

    mode: str = option(
        "--mode", type=click.Choice(POOL_MODES), default="max",
        help="How a window becomes one value.",
    )
    size: int | Pair | str = option(
        "--size", type=Numbers((1, 2), 1, "N|H,W|global", words=("global",)), default=2,
        help="Window; global: the whole image.",
    )
    stride: int | Pair | None = option(
        "--stride", type=ONE_OR_TWO, help="Step of the window.  [default: the size]"
    )
    padding: PaddingLike = _padding_option(default="valid")
    dilation: int | Pair = ConvOptions.dilation
    ceil: bool = flag("--ceil", help="Count a last window that hangs over the end.")
    count_include_pad: bool = flag("--count-include-pad", help="Average: divide by the pads too.")
    p: float = option(
        "--p", type=FiniteFloat(above=0, allow_inf=True), default=2.0, metavar="P",
        help="Power of lp pooling.",
    )
    convention: str | None = option(
        "--convention", type=click.Choice(POOL_CONVENTION_NAMES),
        help="Do it as that tool does: odd side of same padding, divisor of averages.",
    )


@dataclass(frozen=True)
class LayerOptions(OptionGroup):
    """One layer of either kind, a convolution or a pool: for commands that look at one."""

    filter_texts: tuple[str, ...] = _filter_option()
    mode: str | None = option(
        "--pool", type=click.Choice(POOL_MODES), help="A pooling layer instead of a filter."
    )
    filter_layout: str = layout_option
    bias: str | None = ConvOptions.bias
    flip: bool = ConvOptions.flip
    normalize: bool = ConvOptions.normalize
    activation: str = ConvOptions.activation
    size: int | Pair | str = PoolOptions.size
    stride: int | Pair | None = option(
        "--stride", type=ONE_OR_TWO, help="Step of the window.  [default: 1, of pools the size]"
    )
    padding: PaddingLike | None = option(
        "--padding", type=PADDING,
        help="Border in cells, or by name.  [default: same, of pools valid]",
    )
    pad_mode: str = ConvOptions.pad_mode
    pad_value: float = ConvOptions.pad_value
    dilation: int | Pair = ConvOptions.dilation
    groups: int = ConvOptions.groups
    ceil: bool = PoolOptions.ceil
    count_include_pad: bool = PoolOptions.count_include_pad
    p: float = PoolOptions.p
