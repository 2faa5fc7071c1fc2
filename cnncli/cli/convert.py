"""``cnncli convert``: a model as a network file and a file of weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnncli.cli.command import Command, OptionGroup, flag, option
from cnncli.cli.group import tell
from cnncli.cli.options import ONE_OR_TWO, network_argument, overwrite_option, until_option
from cnncli.cli.progress import show_steps
from cnncli.cli.types import FiniteFloat, Floats
from cnncli.errors import OptionError, quote

if TYPE_CHECKING:
    from cnncli.core.geometry import Pair
    from cnncli.network.load import Model

EXAMPLES = """\b
Examples:
  cnncli convert model.onnx -o net.toml
  cnncli convert model.onnx -o net.toml --weights net.safetensors --size 224
  cnncli convert model.onnx -o net.toml --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
"""


# fmt: off
@dataclass(frozen=True)
class ConvertOptions(OptionGroup):
    """The model, the files that are written, and how images are prepared for it."""

    network: str = network_argument
    output: str = option(
        "-o", "--output", metavar="NET.toml", required=True, help="The network file."
    )
    weights: str | None = option(
        "--weights", metavar="FILE", common=True,
        help="File .npz or .safetensors.  [default: NET.npz beside NET.toml]",
    )
    until: str | None = until_option
    size: int | Pair | None = option(
        "--size", type=ONE_OR_TWO, common=True, help="Resize images to this size first."
    )
    scale: float | None = option(
        "--scale", type=FiniteFloat(), common=True,
        help="Multiply pixels of 0..1 by this, then subtract --mean and divide by --std.",
    )
    mean: float | tuple[float, ...] | None = option(
        "--mean", type=Floats(), common=True, help="One number, or one for each channel."
    )
    std: float | tuple[float, ...] | None = option(
        "--std", type=Floats(), common=True, help="One number, or one for each channel."
    )
    overwrite: bool = overwrite_option
    quiet: bool = flag("-q", "--quiet", common=True, help="No report; errors still show.")
# fmt: on


@click.command(cls=Command, epilog=EXAMPLES)
def convert(options: ConvertOptions) -> None:
    """Write a model as a network file, and its weights beside it.

    NETWORK is an ONNX model (.onnx), or a network file (.toml) whose weights shall be gathered.
    """
    from cnncli.io.urls import local_path
    from cnncli.network.load import load_model
    from cnncli.network.toml_writer import check_files, save_network

    _check(options)
    path = local_path(options.output, "--output")
    weights = path.with_suffix(".npz") if options.weights is None else Path(options.weights)
    check_files(path, weights, options.overwrite)
    size = (options.size, options.size) if isinstance(options.size, int) else options.size
    source, part = local_path(options.network, "NETWORK"), options.until is not None
    values = {"scale": options.scale, "mean": options.mean, "std": options.std}
    written_from = f"Written by cnncli convert from {quote(Path(options.network).name)}."
    with show_steps(options.quiet):
        model = load_model(source, size=size, part=part).until(options.until)
        arrays = save_network(
            model,
            path,
            weights,
            prepare=values if any(value is not None for value in values.values()) else None,
            comment="\n".join((written_from, *model.notes)),
            overwrite=options.overwrite,
        )
    if not options.quiet:
        _report(model, path, weights, arrays)


def _check(options: ConvertOptions) -> None:
    """Check what `[input]` would refuse, before any work."""
    mean, std = options.mean, options.std
    if isinstance(mean, tuple) and isinstance(std, tuple) and len(mean) != len(std):
        raise OptionError("--mean and --std must have the same length")
    if std is not None and 0 in (std if isinstance(std, tuple) else (std,)):
        raise OptionError("--std must not contain 0")


def _report(model: Model, path: Path, weights: Path, arrays: dict[str, Any]) -> None:
    for note in model.notes:
        tell(f"note: {note}")
    tell(f"{quote(path)[1:-1]}: {len(model.network.nodes)} layers")
    if arrays:
        numbers = sum(array.size for array in arrays.values())
        tell(f"{quote(weights)[1:-1]}: {len(arrays)} arrays, {numbers} numbers")
