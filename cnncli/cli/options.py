"""Every command-line option, written once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from cnncli.cli.types import (
    ByteCount,
    ClusterAddress,
    FilterName,
    FiniteFloat,
    InputSize,
    Numbers,
    RangeType,
    UnitPlace,
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

Command = TypeVar("Command", bound=Callable[..., Any])

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


def together(*decorators: Callable[[Any], Any]) -> Callable[[Command], Command]:
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
max_memory_option = click.option(
    "--max-memory", type=ByteCount(), envvar="CNNCLI_MAX_MEMORY",
    help="Refuse images that need more memory, such as 500MB or 2GiB.  "
    "[default: what is available]",
)  # fmt: skip
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")

_batch_options = (
    click.option(
        "-r", "--recursive", is_flag=True,
        help="Take folders with their sub-folders, and make the same below the output folder.",
    ),
    click.option(
        "--files-from", metavar="FILE", type=click.Path(allow_dash=True, readable=False),
        help="Take the names in a file too, one a line or ended by NULs; - is standard input.",
    ),
    click.option(
        "-j", "--jobs", type=click.IntRange(min=1), metavar="N",
        help="Worker processes for several images, threads for a single one; the bytes do not "
        "depend on it.  [default: the cores]",
    ),
    click.option(
        "--timeout", type=FiniteFloat(above=0), metavar="S",
        help="Seconds an image may take; one that takes longer is tried once more, then given up.",
    ),
    click.option("--fail-fast", is_flag=True, help="Begin no more images once one has failed."),
    click.option(
        "--dry-run", is_flag=True,
        help="Say what would be written and what is wrong by the headers; write nothing.",
    ),
    click.option(
        "--report", metavar="FILE",
        help="Write what became of every image to FILE.json or, as a table, FILE.csv.",
    ),
    click.option(
        "--cluster", type=ClusterAddress(),
        help="Work on the workers of a Dask scheduler, or of N processes here.",
    ),
    click.option(
        "--cluster-timeout", type=FiniteFloat(above=0), default=10.0, metavar="S",
        show_default=True, help="Seconds in which the scheduler must answer.",
    ),
    click.option(
        "--shared-files", is_flag=True,
        help="The cluster's workers read and write the same files themselves.",
    ),
)  # fmt: skip

gray_option = click.option(
    "--gray", "--grey", is_flag=True, help="Turn colour into luminance first."
)
as_values_option = click.option(
    "--as-values", is_flag=True, help="Read back the numbers that a picture of cnncli's shows."
)

read_options = (
    gray_option,
    click.option(
        "--background", default="black", metavar="COLOR", show_default=True,
        help="What shows through transparency.",
    ),
    click.option(
        "--frame", type=click.IntRange(min=0), metavar="N",
        help="Frame of an animation or multi-page file, from 0.  [default: the first]",
    ),
    as_values_option,
    max_pixels_option,
    max_memory_option,
    click.option(
        "--max-input-bytes", type=ByteCount(), default=MAX_INPUT_BYTES,
        envvar="CNNCLI_MAX_INPUT_BYTES", show_default=True,
        help="Refuse longer standard input, .npy arrays and lists.",
    ),
)  # fmt: skip


def _output_option(folder: str, fields: str, default: str) -> Callable[[Command], Command]:
    """Return the option --output: what a folder gets, a template's fields, and the default."""
    return click.option(
        "-o", "--output", metavar="PATH",
        help=f"File, folder/ ({folder}), template such as 'out/{{stem}}.png' with {fields}, or - "
        f"for standard output.  [default: {default}]",
    )  # fmt: skip


_write_options = (
    click.option(
        "--format", "format_name", type=click.Choice(tuple(FORMATS)),
        help="Format, whatever the name ends with.  [default: by the name; .npy to a pipe]",
    ),
    click.option(
        "--depth", type=click.Choice(DEPTHS), default="8", show_default=True,
        help="Bits a sample: 16 for PNG and grey TIFF, float for TIFF.",
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
    click.option("-v", "--verbose", is_flag=True, help="Report also how it was computed."),
    click.option("-q", "--quiet", is_flag=True, help="No report; errors still show."),
)  # fmt: skip

_FIELDS: Final = "{stem} {name} {dir} {op} {filter} {map} {ext}"
_LAYER_FIELDS: Final = _FIELDS.replace("{map}", "{layer} {map}")


def _picture_command(output: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """IMAGE, how images are read and how results are written: what all commands on images take."""
    return together(_images, *read_options, *_batch_options, output, *_write_options)


layer_command = _picture_command(_output_option("a file for each map", _FIELDS, "{stem}-{op}.png"))
"""What a command of one layer takes beside that layer's own options."""

filter_command = _picture_command(
    _output_option("a file for each map", _FIELDS, "{stem}-{filter}.png")
)
"""The same for layers with filters."""

network_command = _picture_command(
    _output_option("a sheet for each layer", _LAYER_FIELDS, "{stem}-{layer}.png")
)
"""The same for networks."""

one_picture_command = together(
    click.argument(
        "image", metavar="[IMAGE]", required=False, type=click.Path(allow_dash=True, readable=False)
    ),
    *read_options,
    _output_option("a file for each map", _LAYER_FIELDS, "{stem}-grad.png"),
    *_write_options,
)
"""What a command on one IMAGE takes."""

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

pad_options = together(padding_option(None), *_padding_mode)
"""What `pad` does."""

filter_layout = click.option(
    "--filter-layout", type=click.Choice(FILTER_LAYOUTS), default="hwio", show_default=True,
    help="Axes of filter files: hwio as Keras and the course, oihw as PyTorch and ONNX.",
)  # fmt: skip

_filter_help = (
    'File, built-in name or matrix such as "0 -1 0; -1 5 -1; 0 -1 0"; several make one bank.'
)


def _filter_option(required: bool) -> Callable[[Command], Command]:
    return click.option(
        "-f", "--filter", "filter_texts", type=FilterName(), multiple=True, required=required,
        metavar="FILTER", help=_filter_help,
    )  # fmt: skip


def _stride_option(default: int | None, said: str = "") -> Callable[[Command], Command]:
    shown: dict[str, Any] = {"default": default, "show_default": default is not None}
    return click.option("--stride", type=ONE_OR_TWO, help=f"Step of the window.{said}", **shown)


_filter_settings = (
    filter_layout,
    click.option("--bias", metavar="NUMBER|FILE", help="Added to each map.  [default: 0]"),
    click.option("--flip", is_flag=True, help="True convolution: turn the filter by 180 degrees."),
    click.option("--normalize", is_flag=True, help="Divide each filter by its sum."),
    click.option(
        "--activation", default="none", show_default=True,
        type=click.Choice(ACTIVATION_NAMES),
        help="Applied after the bias.",
    ),
)  # fmt: skip
_groups = click.option(
    "--groups", type=click.IntRange(min=1), default=1, metavar="G", show_default=True,
    help="Channel groups that do not see each other.",
)  # fmt: skip

convention_option = click.option(
    "--convention", type=click.Choice(CONVENTION_NAMES),
    help="Do it as that tool does: flip, odd side of same padding, border, divisor.",
)  # fmt: skip
_pool_convention = click.option(
    "--convention", type=click.Choice(POOL_CONVENTION_NAMES),
    help="Do it as that tool does: odd side of same padding, divisor of averages.",
)  # fmt: skip

conv_options = together(
    _filter_option(required=True),
    *_filter_settings,
    _stride_option(1),
    padding_option("same"),
    *_padding_mode,
    _dilation,
    _groups,
    click.option(
        "--algorithm", type=click.Choice(("auto", *ALGORITHM_NAMES)), default="auto",
        show_default=True, help="How to compute it; auto takes the cheapest, -v says which.",
    ),
    convention_option,
)  # fmt: skip
"""What `conv` does."""

_size = click.option(
    "--size", type=Numbers((1, 2), 1, "N|H,W|global", words=("global",)), default=2,
    show_default=True, help="Window; global: the whole image.",
)  # fmt: skip
_pool_settings = (
    click.option("--ceil", is_flag=True, help="Count a last window that hangs over the end."),
    click.option(
        "--count-include-pad", is_flag=True, help="Average: divide by the pads too."
    ),
    click.option(
        "--p", type=FiniteFloat(above=0, allow_inf=True), default=2.0, show_default=True,
        metavar="P", help="Power of lp pooling.",
    ),
)  # fmt: skip

pool_options = together(
    click.option(
        "--mode", type=click.Choice(POOL_MODES), default="max",
        show_default=True, help="How a window becomes one value.",
    ),
    _size,
    _stride_option(None, "  [default: the size]"),
    padding_option("valid"),
    _dilation,
    *_pool_settings,
    _pool_convention,
)  # fmt: skip
"""What `pool` does."""

layer_options = together(
    _filter_option(required=False),
    click.option(
        "--pool", "mode", type=click.Choice(POOL_MODES),
        help="A pooling layer instead of a filter.",
    ),
    *_filter_settings,
    _size,
    _stride_option(None, "  [default: 1, of pools the size]"),
    click.option(
        "--padding", type=PADDING,
        help="Border in cells, or by name.  [default: same, of pools valid]",
    ),
    *_padding_mode,
    _dilation,
    _groups,
    *_pool_settings,
)  # fmt: skip
"""One layer of either kind, a convolution or a pool: for commands that look at one."""

network_argument = click.argument("network", metavar="NETWORK", type=click.Path(readable=False))
"""The file of a network."""

run_options = together(
    click.option("--until", metavar="NAME", help="Stop at this layer.  [default: the last]"),
    click.option(
        "--layer", "layers", metavar="NAME", multiple=True,
        help="The layer that goes out; several times for a folder, a template with {layer} or an "
        ".npz file.  [default: all for those, else the last]",
    ),
)  # fmt: skip
"""What `run` does."""

plan_options = together(
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
    max_memory_option,
    click.option("-q", "--quiet", is_flag=True, help="No warnings and no report."),
)  # fmt: skip
"""What `plan` does."""

grad_options = together(
    click.option(
        "--unit", metavar="LAYER:MAP[,ROW,COL]",
        help="What the gradient is of: one value, the sum of a map (by index or name), or with "
        "LAYER alone of a whole layer.",
    ),
    click.option(
        "--upstream", metavar="FILE.npy", type=click.Path(readable=False),
        help="Gradient of the output of --unit LAYER, or of the last layer, to start from.",
    ),
    click.option("--overlay", is_flag=True, help="Lay the gradient over the dimmed grey photo."),
    click.option(
        "--winners", is_flag=True,
        help="Show instead which input cells won in the max pools before the unit, or in the one "
        "that --unit names; .npy holds how often.",
    ),
    click.option(
        "--params", metavar="DIR",
        help="Write the gradient of every parameter of every layer too: DIR/conv1-W.npy and so on.",
    ),
    click.option(
        "--check", type=click.IntRange(min=1), is_flag=False, flag_value=20, metavar="[N]",
        help="Compare with finite differences in float64 at N random places (20) of the input and "
        "of each parameter; fail above 1e-6.",
    ),
)  # fmt: skip
"""What `grad` does."""
