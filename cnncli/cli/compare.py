"""``cnncli compare``: two results, two networks, or one layer as other libraries compute it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from cnncli._dataclass import dataclass
from cnncli.cli.command import Command, OptionGroup, argument, flag, option
from cnncli.cli.group import check_output_open, tell
from cnncli.cli.layer import either_layer, typed_options
from cnncli.cli.layer_options import LayerOptions
from cnncli.cli.options import FILE, ImageOptions, PrepareOptions, read_options
from cnncli.cli.progress import show_steps
from cnncli.cli.types import Choice, FiniteFloat
from cnncli.core.choices import CONVENTION_NAMES, PEER_NAMES
from cnncli.errors import quote
from cnncli.pipeline.networks import is_network, is_onnx

if TYPE_CHECKING:
    from pathlib import Path

    from cnncli.compare.run import Comparison
    from cnncli.io.read_options import ReadOptions
    from cnncli.network.layers import ConvLayer, PoolLayer
    from cnncli.network.model import Model

EXAMPLES = """\b
Examples:
  cnncli compare mine.png theirs.png
  cnncli compare mine.npy theirs.npy --image photo.png --filter sobel_v
  cnncli compare photo.png --filter "1 2; 3 4"
  cnncli compare photo.png --pool average --size 3 --convention torch
  cnncli compare photo.png --filter edge --against torch --against opencv
  cnncli compare mine.onnx theirs.onnx --image photo.png
  cnncli compare net.onnx photo.png --against onnxruntime
"""

NUMBERS: Final = frozenset(("scale", "mean", "std"))
"""Fields of ``[input]`` that --prep sets together."""


# fmt: off
@dataclass(frozen=True)
class CompareOptions(OptionGroup):
    """What is compared with what."""

    paths: tuple[str, ...] = argument("paths", metavar="FILE...", nargs=-1, type=FILE)
    image: str | None = option(
        "--image", type=FILE, metavar="IMAGE", common=True,
        help="The picture that both RESULTs were made from, or that networks get.",
    )
    conventions: tuple[str, ...] = option(
        "--convention", multiple=True, type=Choice(CONVENTION_NAMES), common=True,
        help="Use the rules of that tool.  [default: all]",
    )
    peers: tuple[str, ...] = option(
        "--against", multiple=True, type=Choice(PEER_NAMES), common=True,
        help="Compare with that library's own result.",
    )
    tolerance: float | None = option(
        "--tolerance", type=FiniteFloat(above=0), metavar="T", common=True,
        help="Values that differ by T or less are equal.  [default: what rounding changes]",
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


@dataclass(frozen=True)
class ComparePrepareOptions(PrepareOptions):
    """What is done to the picture for networks."""

    rare = ("prep", "mean", "std")

    prep: str | None = PrepareOptions.prep
    mean: float | tuple[float, ...] | None = PrepareOptions.mean
    std: float | tuple[float, ...] | None = PrepareOptions.std


@click.command(cls=Command, blas_threads=True, epilog=EXAMPLES)
def compare(
    options: CompareOptions,
    layer: LayerOptions,
    inputs: ComparePrepareOptions,
    images: CompareImageOptions,
) -> int:
    """Show how far two results are apart, where, and why.

    \b
    FILE... is one of these:
      RESULT RESULT    two pictures or .npy arrays
      IMAGE            a layer, as other tools do it
      NETWORK NETWORK  two networks that get --image
      NETWORK IMAGE    a network, as ONNX Runtime does it
      NETWORK ARRAY    an input that was made elsewhere

    Causes that are found between RESULTs: opposite signs, reversed channels, a shift by a cell, a
    stride, another border. With --image and the layer also: a flipped filter, another padding or
    divisor, several causes at once.

    IMAGE needs the layer: --filter or --pool. NETWORK IMAGE needs --against onnxruntime. Of
    networks you see the first layer that differs, and why. ARRAY (.npy) is the network's input that
    another program made of --image; you see how it was made.

    The exit code is 1 if they differ; for IMAGE without --against it is 0.
    """
    from cnncli.compare import report
    from cnncli.io.urls import local_path
    from cnncli.render.to_json import json_text

    if any(map(is_network, options.paths)):
        return _compare_networks(options, layer, inputs, images)
    operation = either_layer(layer)
    _check(options, operation)
    if inputs.prepare():
        raise click.UsageError("--mean, --std and the like are for networks.")
    check_output_open()
    paths = [local_path(path, "compare") for path in options.paths]
    image = None if options.image is None else local_path(options.image, "--image")
    with show_steps(images.quiet):
        comparisons = _compare(options, operation, paths, image, read_options(images))
    lines = report.lines(comparisons)
    if images.as_json:
        lines = [json_text(report.record(comparison)) for comparison in comparisons]
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
    (path,), tolerance = paths, options.tolerance
    comparisons: list[Comparison] = []
    if options.peers:
        comparisons += run.compare_peers(path, read, operation, options.peers, tolerance)
    if options.conventions or not options.peers:
        names = options.conventions or CONVENTION_NAMES
        found = run.compare_conventions(path, read, operation, names, tolerance)
        # Of all conventions it is an answer that one has no such layer; one that was named failed.
        if options.conventions and (error := next((c.error for c in found if c.error), None)):
            raise error
        comparisons += found
    return comparisons


def _compare_networks(
    options: CompareOptions,
    layer: LayerOptions,
    inputs: ComparePrepareOptions,
    images: CompareImageOptions,
) -> int:
    """Compare two networks, or one with ONNX Runtime."""
    from cnncli.compare import networks, report
    from cnncli.io.urls import local_path
    from cnncli.render.to_json import json_text

    files, image, tensor = _networks_and_image(options)
    typed = typed_options()
    for name in ({*typed} & {*LayerOptions.__dataclass_fields__}) - {"size"}:
        raise click.UsageError(f"{typed[name]} is for one layer: networks have their own.")
    size = layer.size if "size" in typed else None
    if isinstance(size, str):
        raise click.UsageError("--size of the networks' pictures must be N or H,W.")
    prepare, read = inputs.prepare(size), read_options(images)
    check_output_open()
    with show_steps(images.quiet):
        models = [_load(file, prepare, image, read, images.quiet) for file in files]
        path, runtime = local_path(image, "IMAGE"), bool(options.peers)
        array = None if tensor is None else local_path(tensor, "ARRAY")
        found = networks.compare_networks(models, path, read, options.tolerance, runtime, array)
    lines = report.network_lines(found)
    if images.as_json:
        lines = list(map(json_text, report.network_records(found)))
    for line in () if images.quiet else lines:
        click.echo(line)
    return 0 if found.equal else 1


def _load(file: str, prepare: dict[str, Any], image: str, read: ReadOptions, quiet: bool) -> Model:
    """Load a network; what a network file says itself of its pictures counts, and not options."""
    from cnncli.cli.networks import load_network

    if is_onnx(file):
        return load_network(file, prepare, image, read)
    model = load_network(file, {}, image, read)
    own = set(model.input.given)
    # They belong together: half of a preset would be none.
    own |= NUMBERS if own & NUMBERS else set()
    if own & set(prepare) and not quiet:
        tell(f"note: --prep, --mean and the like are not for {quote(file)}, which has [input]")
    rest = {name: value for name, value in prepare.items() if name not in own}
    return load_network(file, rest, image, read) if rest else model


def _networks_and_image(options: CompareOptions) -> tuple[list[str], str, str | None]:
    """Return the networks' files, the picture for them, and a tensor made of it elsewhere."""
    files = [path for path in options.paths if is_network(path)]
    pictures = [path for path in options.paths if not is_network(path)]
    tensor = None
    if len(files) == 1 and options.image is not None and len(pictures) == 1:
        tensor = pictures.pop()
        if not tensor.lower().endswith(".npy"):
            raise click.UsageError("NETWORK and --image go with a .npy array made of the picture.")
    pictures += [] if options.image is None else [options.image]
    if len(pictures) != 1 or len(files) > 2:
        counts = f"{len(files)} and {len(pictures)}"
        raise click.UsageError(f"One or two NETWORKs and one IMAGE must be given, got {counts}.")
    if options.conventions:
        raise click.UsageError("--convention is for one IMAGE with --filter or --pool.")
    if set(options.peers) - {"onnxruntime"}:
        raise click.UsageError("only --against onnxruntime runs networks.")
    if len(files) == 1 and not options.peers and tensor is None:
        raise click.UsageError("One NETWORK needs --against onnxruntime, or a second NETWORK.")
    return files, pictures[0], tensor


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
