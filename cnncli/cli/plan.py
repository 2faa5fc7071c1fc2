"""``cnncli plan``: what a network will do, without running it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnncli.cli.group import check_output_open, tell
from cnncli.cli.options import plan_options

if TYPE_CHECKING:
    from cnncli.io.images import ReadOptions
    from cnncli.network.load import Model

EXAMPLES = """\b
Examples:
  cnncli plan net.toml --input 224x224x3
  cnncli plan net.toml --image photo.jpg --json
  cnncli plan net.toml --trace conv2:20,30 --image photo.jpg -o field.png
"""


@click.command(epilog=EXAMPLES)
@plan_options
@click.pass_obj
def plan(command: str, /, network: str, size: tuple[int, ...] | None, **options: Any) -> None:
    """Tell what each layer of a network does to an input, without running it.

    NETWORK is a network file (.toml) or an ONNX model (.onnx). Shown are output shapes with their
    formulas, pads, parameters, multiply-adds, receptive fields (size, step, centre of the first
    unit), memory, algorithms, and which rows and columns are never read. No pixel is read, and of
    weights the headers only.
    """
    from cnncli.io.images import ReadOptions
    from cnncli.io.urls import local_path
    from cnncli.network.load import load_model

    _check(options)
    fixed = None if size is None else (size[0], size[1])
    model = load_model(local_path(network, "NETWORK"), weights=False, size=fixed)
    limits = {name: options[name] for name in ("max_pixels", "max_memory")}
    read = ReadOptions(gray=model.gray, **limits)
    shape = _input_shape(model, size, options["image"], read)
    if options["trace"] is None:
        _print_plan(model, shape, options)
    else:
        _draw(command, model, shape, options, read)


def _check(options: dict[str, Any]) -> None:
    if options["as_json"] and options["as_csv"]:
        raise click.UsageError("--json and --csv exclude each other.")
    if options["trace"] is None:
        for name in ("output", "overwrite"):
            if options[name]:
                raise click.UsageError(f"--{name} is for the picture of --trace.")
        check_output_open()
    elif options["image"] is None:
        raise click.UsageError("--trace draws on a picture: --image IMAGE is needed.")
    elif options["as_csv"]:
        raise click.UsageError("--trace and --csv exclude each other.")


def _input_shape(
    model: Model, size: tuple[int, ...] | None, image: str | None, read: ReadOptions
) -> tuple[int, int, int]:
    """Return the (H, W, C) that the network will be given."""
    from cnncli.io.images import read_shape
    from cnncli.io.urls import local_path

    found = None if image is None else read_shape(local_path(image, "--image"), read)
    channels = found[2] if found else (1 if model.gray else 3)
    if size is not None:
        height, width, channels = size if len(size) == 3 else (*size, channels)
    elif model.size is not None:
        height, width = model.size
    elif found is not None:
        height, width = found[:2]
    else:
        raise click.UsageError("--input HxWxC or --image IMAGE is needed: the size of an image.")
    # Of a colour image a grey network takes the luminance first.
    return height, width, 1 if model.gray and channels == 3 else channels


def _print_plan(model: Model, shape: tuple[int, int, int], options: dict[str, Any]) -> None:
    from cnncli.network.summary import summarize
    from cnncli.plan import report

    found = summarize(model.network, shape)
    if options["as_json"]:
        lines = report.json_lines(found)
    elif options["as_csv"]:
        lines = report.csv_text(found).splitlines()
    else:
        wide = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        lines = report.table(found, wide)
    for line in lines:
        click.echo(line)
    if not (options["quiet"] or options["as_json"]):
        for said in (*(f"note: {note}" for note in model.notes), *report.warnings(found)):
            tell(said)


def _draw(
    command: str,
    model: Model,
    shape: tuple[int, int, int],
    options: dict[str, Any],
    read: ReadOptions,
) -> None:
    from cnncli.pipeline.outputs import OutputOptions
    from cnncli.plan.run import TraceRequest, report_fields, report_line, write_trace
    from cnncli.render.to_json import json_text

    layer, unit = options["trace"]
    output = OutputOptions(options["output"], overwrite=options["overwrite"])
    job = TraceRequest(model, shape, layer, unit, Path(options["image"]), read, output, command)
    done = write_trace(job)
    say = tell if done.to_stdout else click.echo
    if options["as_json"]:
        say(json_text(report_fields(done)))
    elif not options["quiet"]:
        tell(report_line(done))
