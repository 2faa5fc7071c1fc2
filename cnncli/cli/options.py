"""The command-line options, each written once, in groups that are dataclasses.

What is `common` stands in --help, the rest in --help-all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from cnncli._dataclass import dataclass
from cnncli.cli.command import OptionGroup, argument, flag, make, option
from cnncli.cli.completion import complete_layer
from cnncli.cli.group import check_output_open, terminal_columns
from cnncli.cli.types import (
    ByteCount,
    Choice,
    ClusterAddress,
    FiniteFloat,
    Floats,
    Numbers,
    RangeType,
    WholeNumber,
)
from cnncli.core.choices import FITS, PREPARATIONS
from cnncli.io.formats import FORMATS
from cnncli.io.limits import MAX_INPUT_BYTES, MAX_PIXELS
from cnncli.pipeline.networks import prepare_fields
from cnncli.render.options import COLORMAPS, COMPRESSIONS, DEPTHS

if TYPE_CHECKING:
    from cnncli.core.geometry import Pair
    from cnncli.io.read_options import ReadOptions

ONE_OR_TWO: Final = Numbers((1, 2), 1, "N|H,W")
COLORMAP: Final = Choice(COLORMAPS, {"grey": "gray"})
SLOPE: Final = "The slope of leaky-relu is the field alpha of a network file."
FILE: Final = click.Path(readable=False)
FILE_OR_STDIN: Final = click.Path(allow_dash=True, readable=False)


def read_options(options: object, **values: Any) -> ReadOptions:
    """Return how images are read, by a group of options that has some of its fields."""
    from cnncli.io.read_options import ReadOptions

    if getattr(options, "as_values", False):
        from cnncli.render.result_record import restore_values

        values["restore"] = restore_values
    return make(ReadOptions, options, **values)


# fmt: off
overwrite_option = flag("--overwrite", common=True, help="Replace outputs that exist.")
network_argument = argument("network", metavar="NETWORK", type=FILE)
"""The file of a network."""
until_option = option(
    "--until", metavar="NAME", common=True, shell_complete=complete_layer,
    help="Stop at this layer.  [default: the last]",
)
class_names_option = option(
    "--labels", metavar="FILE", type=FILE, common=True,
    help="Names of a classifier's classes, one a line.",
)


@dataclass(frozen=True)
class ImageOptions(OptionGroup):
    """How images are read."""

    section = "Images in"

    gray: bool = flag(
        "--gray", "--grey", common=True, help="Turn the picture grey first (luminance)."
    )
    background: str = option(
        "--background", default="black", metavar="COLOR", help="Colour behind transparent pixels."
    )
    frame: int | None = option(
        "--frame", type=WholeNumber(min=0), metavar="N",
        help="Frame of an animation or page of a TIFF, from 0.  [default: the first]",
    )
    as_values: bool = flag(
        "--as-values", help="Read a picture made by cnncli as the numbers that it shows."
    )
    max_pixels: int = option(
        "--max-pixels", type=WholeNumber(min=1), default=MAX_PIXELS, metavar="N",
        envvar="CNNCLI_MAX_PIXELS", help="Refuse pictures with more pixels.",
    )
    max_memory: int | None = option(
        "--max-memory", type=ByteCount(), envvar="CNNCLI_MAX_MEMORY",
        help="Refuse images that need more memory: 500MB, 2GiB.  [default: what is available]",
    )
    max_input_bytes: int = option(
        "--max-input-bytes", type=ByteCount(), default=MAX_INPUT_BYTES,
        show_default=False, envvar="CNNCLI_MAX_INPUT_BYTES",
        help="Refuse longer standard input, .npy files and lists.  [default: 1GiB]",
    )


@dataclass(frozen=True)
class PictureOptions(ImageOptions):
    """The same, of commands that make pictures of pictures."""

    alpha: str = option(
        "--alpha", type=Choice(("flatten", "keep"), of_number=SLOPE), default="flatten",
        help="Lay transparency on --background, or keep it beside a picture of the same size.",
    )


@dataclass(frozen=True)
class PrepareOptions(OptionGroup):
    """What is done to images for a network, in place of what its file says."""

    section = "Images in"

    fit: str | None = option(
        "--fit", type=Choice(FITS),
        help="How a picture gets the size: stretch it, crop its middle, or pad it with black.  "
        "[default: stretch]",
    )
    bgr: bool = flag("--bgr", help="Give the network blue first, as OpenCV does.")
    prep: str | None = option(
        "--prep", type=Choice(tuple(PREPARATIONS)), metavar="NAME", common=True,
        help="The scale, mean and std that the network was trained with: imagenet, imagenet-tf, "
        "0..1, -1..1 or 0..255.",
    )
    scale: float | None = option(
        "--scale", type=FiniteFloat(), metavar="N",
        help="Multiply pixels of 0..1 by N, before --mean and --std.",
    )
    mean: float | tuple[float, ...] | None = option(
        "--mean", type=Floats(), common=True, help="Subtract a number, or one for each channel."
    )
    std: float | tuple[float, ...] | None = option(
        "--std", type=Floats(), common=True, help="Divide by a number, or one for each channel."
    )

    def prepare(self, size: int | Pair | None = None) -> dict[str, Any]:
        """Return what is given, as fields of `Preparation`.

        Raises
        ------
        OptionError
            If numbers do not fit together, before any work.
        """
        given = {"fit": self.fit, "bgr": self.bgr or None, "scale": self.scale}
        return prepare_fields(self.prep, size, mean=self.mean, std=self.std, **given)


@dataclass(frozen=True)
class InputOptions(PrepareOptions):
    """The same with the size, for commands without a window's."""

    size: int | Pair | None = option(
        "--size", type=ONE_OR_TWO, common=True,
        help="Resize pictures to this first.  [default: the network's own size]",
    )

    def prepare(self, size: int | Pair | None = None) -> dict[str, Any]:
        """Return what is given, as fields of `Preparation`."""
        return super().prepare(self.size if size is None else size)


@dataclass(frozen=True)
class BatchOptions(OptionGroup):
    """Which images there are, and where the work on them is done."""

    section = "Many images"

    images: tuple[str, ...] = argument("images", metavar="[IMAGE]...", nargs=-1, type=FILE_OR_STDIN)
    recursive: bool = flag(
        "-r", "--recursive", common=True,
        help="Take sub-folders too; the output folder gets the same ones.",
    )
    files_from: str | None = option(
        "--files-from", metavar="FILE", type=FILE_OR_STDIN,
        help="Take the images named in FILE, one a line or ended by NULs; - is standard input.",
    )
    jobs: int | None = option(
        "-j", "--jobs", type=WholeNumber(min=1), metavar="N", common=True,
        help="Use N worker processes, or N threads for a single image.  [default: the cores]",
    )
    timeout: float | None = option(
        "--timeout", type=FiniteFloat(above=0), metavar="S",
        help="Stop an image after S seconds, try it once more, then give it up.",
    )
    fail_fast: bool = flag("--fail-fast", help="Stop at the first image that fails.")
    dry_run: bool = flag(
        "--dry-run",
        help="Check the headers and say what would be written; write nothing.",
    )
    report: str | None = option(
        "--report", metavar="FILE",
        help="Write the outcome of every image to FILE.json or FILE.csv.",
    )
    cluster: str | None = option(
        "--cluster", type=ClusterAddress(),
        help="Send the work to a Dask scheduler, or to N processes here.",
    )
    cluster_timeout: float = option(
        "--cluster-timeout", type=FiniteFloat(above=0), default=10.0, metavar="S",
        help="Wait S seconds for the scheduler to answer.",
    )
    cluster_patience: float = option(
        "--cluster-patience", type=FiniteFloat(above=0), default=120.0, metavar="S",
        help="Wait S seconds for workers while the scheduler has none.",
    )
    shared_files: bool = flag(
        "--shared-files", help="Let the workers of the cluster read and write the files themselves."
    )


FIELDS: Final = "{stem} {name} {dir} {ext}, {op} (the command), {filter} {map}"
LAYER_FIELDS: Final = FIELDS.replace("{map}", "{layer} {map}")
_IN_FOLDER: Final = "a file for each map"


def output_option(folder: str, fields: str, default: str) -> Any:
    """Return the option --output: what a folder gets, a template's fields, and the default."""
    return option(
        "-o", "--output", metavar="PATH", common=True,
        help=f"File, folder/ ({folder}), - for standard output, or a template with "
        f"{fields}.  [default: {default}]",
    )


@dataclass(frozen=True)
class ResultOptions(OptionGroup):
    """How results are written, and what is reported of them."""

    section = "Results out"

    output: str | None = output_option(_IN_FOLDER, FIELDS, "{stem}-{op}.png")
    format: str | None = option(
        "--format", type=Choice(tuple(FORMATS)),
        help="Format of the output.  [default: by the name's ending; npy to a pipe]",
    )
    depth: str = option(
        "--depth", type=Choice(DEPTHS), default="8", show_default=False,
        help="Bits per sample: 16 for PNG and TIFF, float for TIFF.  [default: 8, or 16 where a "
        "16-bit image becomes a PNG or TIFF picture]",
    )
    range: str | tuple[float, float] = option(
        "--range", type=RangeType(), default="auto", common=True,
        metavar="RANGE",
        help="Values that become black and white: auto, clip (0 and 1), minmax, symmetric (0 is "
        "mid-grey), abs or LO,HI.",
    )
    shared_range: bool = flag("--shared-range", help="Show all maps with one range.")
    colormap: str = option(
        "--colormap", type=COLORMAP, default="gray", common=True,
        help="Colours of single maps.",
    )
    rgb: bool = flag("--rgb", help="Show a layer's three maps as one colour picture.")
    columns: int | None = option(
        "--columns", type=WholeNumber(min=1), metavar="N",
        help="Columns of the sheet of maps.  [default: about square]",
    )
    legend: bool = flag("--legend", help="Add colour bars with numbers.")
    labels: bool = option(
        "--no-labels", is_flag=True, flag_value=False, default=True, show_default=False,
        help="Leave the name of each map out of the sheet.",
    )
    compress: str = option(
        "--compress", type=Choice(COMPRESSIONS), default="fast",
        help="Write files fast, or as small as possible.",
    )
    show: bool = flag("--show", common=True, help="Draw the result in the terminal too.")
    overwrite: bool = overwrite_option
    skip_existing: bool = flag("--skip-existing", help="Skip images whose output exists.")
    as_json: bool = flag("--json", help="Report on standard output, one JSON object a line.")
    verbose: bool = flag("-v", "--verbose", help="Report also how it was computed.")
    quiet: bool = flag("-q", "--quiet", common=True, help="No report; errors still show.")

    def check(self) -> None:
        """Refuse options that exclude each other, and text for a closed standard output."""
        if self.overwrite and self.skip_existing:
            raise click.UsageError("--overwrite and --skip-existing exclude each other.")
        if self.as_json or self.show:
            check_output_open()

    def job_fields(self) -> dict[str, Any]:
        """Return what else is reported of an image, as fields of a `Job`."""
        width = terminal_columns() if self.show else 0
        source = click.get_current_context().get_parameter_source("depth")
        is_default_depth = source is ParameterSource.DEFAULT
        return {"show_width": width, "verbose": self.verbose, "is_default_depth": is_default_depth}


class FilterResultOptions(ResultOptions):
    """The same, with a file named by its filter."""

    output: str | None = output_option(_IN_FOLDER, FIELDS, "{stem}-{filter}.png")


class LayerResultOptions(ResultOptions):
    """The same, of the layers of a network."""

    output: str | None = output_option(
        "a sheet for each layer", LAYER_FIELDS, "{stem}-{layer}.png"
    )
