"""``cnncli compare``: two results, or one layer as other conventions and libraries compute it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cnncli.cli.command import Command, OptionGroup, argument, flag, option
from cnncli.cli.group import check_output_open
from cnncli.cli.layer import either_layer
from cnncli.cli.options import FILE, ImageOptions, LayerOptions, read_options
from cnncli.cli.progress import show_steps
from cnncli.cli.types import Choice, FiniteFloat
from cnncli.core.choices import CONVENTION_NAMES, PEER_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from cnncli.compare.run import Comparison
    from cnncli.io.images import ReadOptions
    from cnncli.network.layers import ConvLayer, PoolLayer

EXAMPLES = """\b
Examples:
  cnncli compare mine.png theirs.png
  cnncli compare mine.npy theirs.npy --image photo.png --filter sobel_v
  cnncli compare photo.png --filter "1 2; 3 4"
  cnncli compare photo.png --pool average --size 3 --convention torch
  cnncli compare photo.png --filter edge --against torch --against opencv
"""


# fmt: off
@dataclass(frozen=True)
class CompareOptions(OptionGroup):
    """What is compared with what."""

    paths: tuple[str, ...] = argument("paths", metavar="RESULT RESULT | IMAGE", nargs=-1, type=FILE)
    image: str | None = option(
        "--image", type=FILE, metavar="IMAGE", common=True,
        help="The picture that both results were made of, by the layer given: to find the cause.",
    )
    conventions: tuple[str, ...] = option(
        "--convention", multiple=True, type=Choice(CONVENTION_NAMES), common=True,
        help="Compare with the same layer as that tool does it.  [default: all]",
    )
    peers: tuple[str, ...] = option(
        "--against", multiple=True, type=Choice(PEER_NAMES), common=True,
        help="Run the layer by that library, if it is installed, and compare.",
    )
    tolerance: float | None = option(
        "--tolerance", type=FiniteFloat(above=0), metavar="T", common=True,
        help="Largest difference that counts as equal.  [default: half a level of pictures; "
        "for arrays 1e-5; for --against 1e-4 of the largest value]",
    )


@dataclass(frozen=True)
class CompareImageOptions(OptionGroup):
    """How images are read, and the form of the report."""

    gray: bool = ImageOptions.gray
    as_values: bool = ImageOptions.as_values
    max_pixels: int = ImageOptions.max_pixels
    max_memory: int | None = ImageOptions.max_memory
    as_json: bool = flag("--json", common=True, help="Print a JSON object for each comparison.")
    quiet: bool = flag("-q", "--quiet", common=True, help="Print nothing: the exit code tells.")
# fmt: on


@click.command(cls=Command, epilog=EXAMPLES)
def compare(options: CompareOptions, layer: LayerOptions, images: CompareImageOptions) -> int:
    """Show how far two results are apart, where, and why.

    Two RESULTs are pictures or .npy arrays. Causes are named: opposite signs, channels in reverse
    order, a shift by one cell, a stride, another border; with --image and the layer also a flipped
    filter, another padding or divisor, several causes together, and all conventions that fit.

    One IMAGE with --filter or --pool: what the conventions of PyTorch, TensorFlow, ONNX, OpenCV,
    SciPy and ImageMagick would change; with --against, how far the library's own result is from
    that of cnncli.

    The exit code is 1 if two results, or cnncli and a library, differ.
    """
    from cnncli.compare import run
    from cnncli.io.urls import local_path
    from cnncli.render.to_json import json_text

    operation = either_layer(layer)
    _check(options, operation)
    check_output_open()
    paths = [local_path(path, "compare") for path in options.paths]
    image = None if options.image is None else local_path(options.image, "--image")
    with show_steps(images.quiet):
        comparisons = _compare(options, operation, paths, image, read_options(images))
    lines = run.lines(comparisons)
    if images.as_json:
        lines = [json_text(run.record(comparison)) for comparison in comparisons]
    for line in () if images.quiet else lines:
        click.echo(line)
    return 0 if all(c.equal or c.kind == "convention" for c in comparisons) else 1


def _compare(
    options: CompareOptions,
    operation: ConvLayer | PoolLayer | None,
    paths: list[Path],
    image: Path | None,
    read: ReadOptions,
) -> list[Comparison]:
    from cnncli.compare import run

    if operation is None or len(paths) == 2:
        return [run.compare_results(paths, read, options.tolerance, operation, image)]
    (path,), settings = paths, (read, operation)
    comparisons: list[Comparison] = []
    if options.peers:
        comparisons += run.compare_peers(path, *settings, options.peers, options.tolerance)
    if options.conventions or not options.peers:
        names = options.conventions or CONVENTION_NAMES
        comparisons += run.compare_conventions(path, *settings, names, options.tolerance)
    return comparisons


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
