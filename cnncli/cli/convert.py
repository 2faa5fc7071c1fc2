"""``cnncli convert``: a model as a network file and a file of weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnncli.cli.group import tell
from cnncli.cli.options import ONE_OR_TWO, network_argument, overwrite_option
from cnncli.cli.types import AnyParamType, FiniteFloat
from cnncli.errors import OptionError, quote

if TYPE_CHECKING:
    from cnncli.network.load import Model

EXAMPLES = """\b
Examples:
  cnncli convert model.onnx -o net.toml
  cnncli convert model.onnx -o net.toml --weights net.safetensors --size 224
  cnncli convert model.onnx -o net.toml --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
"""


class Floats(AnyParamType):
    """Finite numbers with commas between."""

    name = "N,N,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Return the numbers."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        return tuple(FiniteFloat().convert(part, param, ctx) for part in value.split(","))


@click.command(epilog=EXAMPLES)
@network_argument
@click.option("-o", "--output", metavar="NET.toml", required=True, help="The network file.")
@click.option(
    "--weights",
    metavar="FILE",
    help="File .npz or .safetensors.  [default: NET.npz beside NET.toml]",
)
@click.option("--size", type=ONE_OR_TWO, help="Resize images to this first.")
@click.option("--scale", type=FiniteFloat(), help="x*scale - mean, divided by std; x is 0..1.")
@click.option("--mean", type=Floats(), help="One number, or one for each channel.")
@click.option("--std", type=Floats(), help="One number, or one for each channel.")
@overwrite_option
@click.option("-q", "--quiet", is_flag=True, help="No report; errors still show.")
def convert(
    network: str,
    output: str,
    weights: str | None,
    size: int | tuple[int, int] | None,
    overwrite: bool,
    quiet: bool,
    **prepare: Any,
) -> None:
    """Write a model as a network file, and its weights beside it.

    NETWORK is an ONNX model (.onnx), or a network file (.toml) whose weights shall be gathered.
    Nodes that cnncli has no layer for are left out, with all that depends on them, and named.
    """
    from cnncli.io.urls import local_path
    from cnncli.network.load import load_model
    from cnncli.network.toml_writer import check_files, save_network

    _check(prepare)
    path = local_path(output, "--output")
    beside = path.with_suffix(".npz") if weights is None else Path(weights)
    check_files(path, beside, overwrite)
    model = load_model(
        local_path(network, "NETWORK"), size=(size, size) if isinstance(size, int) else size
    )
    given = prepare if any(value is not None for value in prepare.values()) else None
    comment = "\n".join(
        (f"Written by cnncli convert from {quote(Path(network).name)}.", *model.notes)
    )
    arrays = save_network(
        model, path, beside, prepare=given, comment=comment, overwrite=overwrite
    )  # fmt: skip
    if not quiet:
        _report(model, path, beside, arrays)


def _check(prepare: dict[str, Any]) -> None:
    """Check what `[input]` would refuse, before any work; one number stands alone."""
    for name in ("mean", "std"):
        if prepare[name] is not None and len(prepare[name]) == 1:
            (prepare[name],) = prepare[name]
    lengths = {len(value) for value in prepare.values() if isinstance(value, tuple)}
    if len(lengths) > 1:
        raise OptionError("--mean and --std must be equally long")
    std = prepare["std"]
    if std is not None and 0 in (std if isinstance(std, tuple) else (std,)):
        raise OptionError("--std must hold no 0")


def _report(model: Model, path: Path, weights: Path, arrays: dict[str, Any]) -> None:
    for note in model.notes:
        tell(f"note: {note}")
    tell(f"{quote(path)[1:-1]}: {len(model.network.nodes)} layers")
    if arrays:
        numbers = sum(array.size for array in arrays.values())
        tell(f"{quote(weights)[1:-1]}: {len(arrays)} arrays, {numbers} numbers")
