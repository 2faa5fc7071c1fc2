"""``cnncli compare``: two results, or one layer as other conventions and libraries compute it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cnncli.cli.group import check_output_open
from cnncli.cli.layer import either_layer
from cnncli.cli.options import (
    FILE,
    Command,
    ImageOptions,
    LayerOptions,
    OptionGroup,
    argument,
    flag,
    option,
    read_options,
)
from cnncli.cli.types import FiniteFloat
from cnncli.core.choices import CONVENTION_NAMES, PEER_NAMES

if TYPE_CHECKING:
    from cnncli.network.layers import ConvLayer, PoolLayer

EXAMPLES = """\b
Examples:
  cnncli compare mine.png theirs.png
  cnncli compare mine.npy theirs.npy --image photo.png --filter sobel_v
  cnncli compare photo.png --filter "1 2; 3 4"
  cnncli compare photo.png --pool average --size 3 --padding 1 --convention torch
  cnncli compare photo.png --filter edge --against torch --against opencv
"""


# fmt: off
@dataclass(frozen=True)
class CompareOptions(OptionGroup):
    """What is compared with what."""

    paths: tuple[str, ...] = argument("paths", metavar="RESULT RESULT | IMAGE", nargs=-1, type=FILE)
    image: str | None = option(
        "--image", type=FILE, metavar="IMAGE",
        help="What two results were made of, by the layer given: finds what sets them apart.",
    )
    conventions: tuple[str, ...] = option(
        "--convention", multiple=True, type=click.Choice(CONVENTION_NAMES),
        help="Compare with the same layer as that tool does it.  [default: all]",
    )
    peers: tuple[str, ...] = option(
        "--against", multiple=True, type=click.Choice(PEER_NAMES),
        help="Run the layer by that library, if it is installed, and compare.",
    )
    tolerance: float | None = option(
        "--tolerance", type=FiniteFloat(above=0), metavar="T",
        help="Largest difference that counts as equal.  [default: half a level of 8-bit pictures, "
        "else 1e-5; 1e-4 of the largest value against others]",
    )


@dataclass(frozen=True)
class CompareImageOptions(OptionGroup):
    """How images are read, and the form of the report."""

    gray: bool = ImageOptions.gray
    as_values: bool = ImageOptions.as_values
    max_pixels: int = ImageOptions.max_pixels
    max_memory: int | None = ImageOptions.max_memory
    as_json: bool = flag("--json", help="A JSON object for each comparison.")
# fmt: on


@click.command(cls=Command, epilog=EXAMPLES)
def compare(options: CompareOptions, layer: LayerOptions, images: CompareImageOptions) -> int:
    """Tell how far two results are apart, where, and why.

    Two RESULTs are pictures or .npy arrays. If one is what the other would be with the signs
    turned, the channels reversed, a cell moved or another border, that is said; with --image and
    the layer that made them also if it is by a flipped filter, another side of padding, another
    divisor, or as another tool does it.

    One IMAGE with --filter or --pool: how the layer would differ by the conventions of PyTorch,
    TensorFlow, ONNX, OpenCV, SciPy and ImageMagick, or how far what a library makes of it is
    from what cnncli does (--against).

    The exit code is 1 if two results, or cnncli and a library, differ.
    """
    from cnncli.compare import run
    from cnncli.io.urls import local_path
    from cnncli.render.to_json import json_text

    operation = either_layer(layer)
    _check(options, operation)
    check_output_open()
    paths = [local_path(path, "compare") for path in options.paths]
    read, tolerance = read_options(images), options.tolerance
    comparisons: list[run.Comparison] = []
    if operation is None or len(paths) == 2:
        image = None if options.image is None else local_path(options.image, "--image")
        comparisons.append(run.compare_results(paths, read, tolerance, operation, image))
    else:
        (path,) = paths
        if options.peers:
            comparisons += run.compare_peers(path, read, operation, options.peers, tolerance)
        if options.conventions or not options.peers:
            names = options.conventions or CONVENTION_NAMES
            comparisons += run.compare_conventions(path, read, operation, names, tolerance)
    lines = run.lines(comparisons)
    if images.as_json:
        lines = [json_text(run.record(comparison)) for comparison in comparisons]
    for line in lines:
        click.echo(line)
    return 0 if all(c.equal or c.kind == "convention" for c in comparisons) else 1


def _check(options: CompareOptions, layer: ConvLayer | PoolLayer | None) -> None:
    count = len(options.paths)
    if count not in (1, 2):
        raise click.UsageError(f"Two RESULTs or one IMAGE must be given, got {count}.")
    if count == 1 and layer is None:
        raise click.UsageError("One IMAGE needs --filter or --pool; two RESULTs need neither.")
    for name, values in (("--convention", options.conventions), ("--against", options.peers)):
        if count == 2 and values:
            raise click.UsageError(f"{name} is for one IMAGE with --filter or --pool.")
    if count == 1 and options.image is not None:
        raise click.UsageError("--image is for two RESULTs.")
    if count == 2 and (layer is None) != (options.image is None):
        raise click.UsageError("--image and the layer that it went through belong together.")
