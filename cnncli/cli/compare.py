"""``cnncli compare``: two results, or one layer by the conventions and the hands of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnncli.cli.explain_options import compare_options
from cnncli.cli.group import check_output_open
from cnncli.cli.layer import either_layer, read_options
from cnncli.core.choices import CONVENTION_NAMES

if TYPE_CHECKING:
    from cnncli.compare.run import Comparison
    from cnncli.io.images import ReadOptions
    from cnncli.network.layers import ConvLayer, PoolLayer

EXAMPLES = """\b
Examples:
  cnncli compare mine.png theirs.png
  cnncli compare mine.npy theirs.npy --image photo.png --filter sobel_v
  cnncli compare photo.png --filter "1 2; 3 4"
  cnncli compare photo.png --pool average --size 3 --padding 1 --convention torch
  cnncli compare photo.png --filter edge --against torch --against opencv
"""


@click.command(epilog=EXAMPLES)
@click.argument("paths", metavar="RESULT RESULT | IMAGE", nargs=-1, type=click.Path(readable=False))
@compare_options
@click.pass_context
def compare(context: click.Context, /, paths: tuple[str, ...], **options: Any) -> int:
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
    from cnncli.io.urls import local_path

    layer = either_layer(options)
    _check(paths, layer, options)
    check_output_open()
    found = _compare([local_path(path, "compare") for path in paths], layer, options)
    _print(found, options["as_json"])
    return 0 if all(each.equal or each.kind == "convention" for each in found) else 1


def _check(
    paths: tuple[str, ...], layer: ConvLayer | PoolLayer | None, options: dict[str, Any]
) -> None:
    if len(paths) not in (1, 2):
        raise click.UsageError(f"Two RESULTs or one IMAGE must be given, got {len(paths)}.")
    if len(paths) == 1 and layer is None:
        raise click.UsageError("One IMAGE needs --filter or --pool; two RESULTs need neither.")
    for name in ("conventions", "peers"):
        if len(paths) == 2 and options[name]:
            option = "--convention" if name == "conventions" else "--against"
            raise click.UsageError(f"{option} is for one IMAGE with --filter or --pool.")
    if len(paths) == 1 and options["image"] is not None:
        raise click.UsageError("--image is for two RESULTs.")
    if len(paths) == 2 and (layer is None) != (options["image"] is None):
        raise click.UsageError("--image and the layer that it went through belong together.")


def _compare(
    paths: list[Path], layer: ConvLayer | PoolLayer | None, options: dict[str, Any]
) -> list[Comparison]:
    from cnncli.compare import run
    from cnncli.io.urls import local_path

    read, tolerance = _read_options(options), options["tolerance"]
    if len(paths) == 2:
        given = options["image"]
        image = None if given is None else local_path(given, "--image")
        return [run.compare_results(paths, read, tolerance, layer, image)]
    assert layer is not None
    found = []
    if options["peers"]:
        found += run.compare_peers(paths[0], read, layer, options["peers"], tolerance)
    if options["conventions"] or not options["peers"]:
        names = options["conventions"] or CONVENTION_NAMES
        found += run.compare_conventions(paths[0], read, layer, names, tolerance)
    return found


def _read_options(options: dict[str, Any]) -> ReadOptions:
    names = ("gray", "as_values", "max_pixels", "max_memory")
    return read_options({name: options[name] for name in names})


def _print(found: list[Comparison], as_json: bool) -> None:
    from cnncli.compare import run
    from cnncli.render.to_json import json_text

    said = [json_text(run.record(each)) for each in found] if as_json else run.lines(found)
    for line in said:
        click.echo(line)
