"""``cnncli convert``: a model as a network file and a file of weights."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnncli._dataclass import dataclass
from cnncli.cli.command import Command, OptionGroup, argument, flag, option
from cnncli.cli.group import tell
from cnncli.cli.options import FILE, InputOptions, overwrite_option, until_option
from cnncli.cli.progress import show_steps
from cnncli.errors import OptionError, printable, quote

if TYPE_CHECKING:
    from cnncli.network.model import Model

EXAMPLES = """\b
Examples:
  cnncli convert model.onnx -o net.toml
  cnncli convert model.onnx -o net.toml --weights net.safetensors --size 224
  cnncli convert m.onnx -o net.toml --mean .485,.456,.406 --std .229,.224,.225
"""


# fmt: off
@dataclass(frozen=True)
class ConvertOptions(OptionGroup):
    """The model, and the files that are written."""

    paths: tuple[str, ...] = argument(
        "paths", metavar="NETWORK", nargs=-1, required=True, type=FILE
    )
    output: str | None = option(
        "-o", "--output", metavar="NET.toml", common=True,
        help="The network file to write.  [required]",
    )
    weights: str | None = option(
        "--weights", metavar="FILE", common=True,
        help="The file of weights: .npz or .safetensors.  [default: NET.npz beside NET.toml]",
    )
    until: str | None = until_option
    overwrite: bool = overwrite_option
    quiet: bool = flag("-q", "--quiet", common=True, help="No report; errors still show.")
# fmt: on


@click.command(cls=Command, epilog=EXAMPLES)
def convert(options: ConvertOptions, inputs: InputOptions) -> None:
    """Write a model as a network file, and its weights beside it.

    NETWORK is an ONNX model (.onnx), or a network file (.toml): its weights go into one file.
    """
    from cnncli.io.urls import local_path
    from cnncli.network.load import load_model
    from cnncli.network.toml_writer import check_files, save_network

    network, output = _one_network(options)
    prepare, path = inputs.prepare(), local_path(output, "--output")
    weights = path.with_suffix(".npz") if options.weights is None else Path(options.weights)
    check_files(path, weights, options.overwrite)
    source, part = local_path(network, "NETWORK"), options.until is not None
    written_from = f"Written by cnncli convert from {quote(Path(network).name)}."
    with show_steps(options.quiet):
        model = load_model(source, prepare=prepare, part=part).until(options.until)
        arrays = save_network(
            model,
            path,
            weights,
            comment="\n".join((written_from, *model.notes)),
            overwrite=options.overwrite,
        )
    if not options.quiet:
        _report(model, path, weights, arrays)


def _one_network(options: ConvertOptions) -> tuple[str, str]:
    """Return the network, and the file to write; told apart from words for ImageMagick's convert.

    Raises
    ------
    OptionError
        With the command that was meant.
    """
    from cnncli.io.formats import FORMATS

    first, *others = options.paths

    def is_picture(name: str) -> bool:
        return Path(name).suffix.lower().removeprefix(".") in FORMATS

    if is_picture(first):
        out = next(filter(is_picture, (options.output or "", *others)), "out.png")
        hint = f"for a picture: cnncli pad {shlex.quote(first)} --padding 0 -o {shlex.quote(out)}"
        raise OptionError(f"convert takes a network, .onnx or .toml, got {quote(first)}", hint=hint)
    if len(others) > 1 or (others and options.output is not None):
        raise OptionError(f"convert takes one NETWORK, got {len(options.paths)}")
    if others:
        name = str(Path(others[0]).with_suffix(".toml"))
        name = "copy.toml" if name == first else name
        hint = f"cnncli convert {shlex.join([first, '-o', name])}"
        raise OptionError(
            f"--output names the network file, got {quote(others[0])} alone", hint=hint
        )
    if options.output is None:
        name = "copy.toml" if Path(first).suffix == ".toml" else "net.toml"
        hint = f"cnncli convert {shlex.quote(first)} -o {name}"
        raise OptionError("--output must be given: the network file to write", hint=hint)
    return first, options.output


def _report(model: Model, path: Path, weights: Path, arrays: dict[str, Any]) -> None:
    from cnncli.network.parameters import count_parameters

    for note in model.notes:
        tell(f"note: {note}")
    layers = len(model.network.nodes)
    tell(f"{printable(path)}: {layers} layer{'s' if layers > 1 else ''}")
    if arrays:
        count = sum(count_parameters(model.network).values())
        arrays_text = f"{len(arrays)} array{'s' if len(arrays) > 1 else ''}"
        tell(f"{printable(weights)}: {arrays_text}, {count:,} parameters")
