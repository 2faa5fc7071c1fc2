"""``cnncli plan``: what a network will do, without running it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cnncli._dataclass import dataclass
from cnncli.cli.command import Command, OptionGroup, argument, flag, make, option
from cnncli.cli.completion import complete_layer
from cnncli.cli.group import check_output_open, tell, terminal_columns, typed_command
from cnncli.cli.networks import network_first
from cnncli.cli.options import (
    FILE,
    ImageOptions,
    overwrite_option,
    read_options,
    until_option,
)
from cnncli.cli.progress import is_terminal_stream, show_steps, tell_file
from cnncli.cli.types import InputSize, UnitType
from cnncli.errors import CnnCliError, OptionError, quote
from cnncli.pipeline.networks import is_network, load_for_picture

if TYPE_CHECKING:
    from cnncli.core.geometry import Pair
    from cnncli.io.read_options import ReadOptions
    from cnncli.network.model import Model

EXAMPLES = """\b
Examples:
  cnncli plan net.toml --input 224x224x3
  cnncli plan net.toml --image photo.jpg --json
  cnncli plan net.toml --trace conv2:20,30 --image photo.jpg -o field.png
"""

COLUMNS: Final = 80


# fmt: off
@dataclass(frozen=True)
class PlanOptions(OptionGroup):
    """The network and its input, and what is told or drawn."""

    paths: tuple[str, ...] = argument(
        "paths", metavar="NETWORK", nargs=-1, required=True, type=FILE
    )
    until: str | None = until_option
    input: tuple[int, ...] | None = option(
        "--input", type=InputSize(), common=True,
        help="Height, width and channels of the image.  "
        "[default: the network's own size, or that of --image]",
    )
    image: str | None = option(
        "--image", type=FILE, metavar="IMAGE", common=True,
        help="Take the size of this picture or .npy file. --trace draws on it.",
    )
    as_json: bool = flag(
        "--json", common=True, help="Print a JSON object for each layer, then the totals."
    )
    as_csv: bool = flag(
        "--csv", common=True, help="Print comma-separated values, a line for each layer."
    )
    trace: tuple[str, Pair] | None = option(
        "--trace", type=UnitType(), common=True, shell_complete=complete_layer,
        help="Draw the pixels of --image that reach one unit, layer by layer. Rows and columns "
        "count from 0.",
    )
    output: str | None = option(
        "-o", "--output", metavar="PATH", common=True,
        help="File, folder/ or template for --trace's picture.  [default: {stem}-field.png]",
    )
    overwrite: bool = overwrite_option
    max_pixels: int = ImageOptions.max_pixels
    max_memory: int | None = ImageOptions.max_memory
    verbose: bool = flag(
        "-v", "--verbose", common=True,
        help="Show also the algorithm of each layer, and why it was chosen.",
    )
    quiet: bool = flag("-q", "--quiet", common=True, help="No warnings; the table still shows.")
# fmt: on


@click.command(cls=Command, epilog=EXAMPLES)
def plan(options: PlanOptions) -> None:
    """Show the shapes, sizes and costs of a network without running it.

    NETWORK is a network file (.toml) or an ONNX model (.onnx). For each layer the table has the
    output's shape with its formula, padding, parameters, multiply-adds, receptive field (size,
    step, centre of the first unit) and memory. Where the fields of a layer differ in size, the size
    is that of the unit in the middle and the step is the average. A warning names rows and columns
    that are never read. Neither pixels nor weights are read.
    """
    from cnncli.io.urls import local_path
    from cnncli.network.load import load_model
    from cnncli.plan.input_shape import input_order_notes

    _check(options)
    size = None if options.input is None else (options.input[0], options.input[1])
    path, part = local_path(_one_network(options), "NETWORK"), options.until is not None
    for note in () if options.quiet else input_order_notes(options.input or ()):
        tell(f"note: {note}")
    prepare = {} if size is None else {"size": size}
    with _hints_of_plan(options.input), show_steps(options.quiet):
        load = partial(load_model, path, weights=False, part=part)
        whole = load_for_picture(load, prepare, options.image, read_options(options))
        model = whole.until(options.until)
        read = read_options(options, **model.read_fields())
        shape = _input_shape(model, options, read)
    with _hints_of_plan(options.input):
        if options.trace is None:
            _print_plan(model, shape, options, whole.network.names)
        else:
            _draw(model, shape, options, read)


@contextmanager
def _hints_of_plan(asked: tuple[int, ...] | None) -> Iterator[None]:
    """Name --input in hints, where other commands have --size; turned if channels came first."""
    from cnncli.plan.input_shape import input_order_notes

    try:
        yield
    except CnnCliError as error:
        hint = (error.hint or "").replace("--size H,W", "--input HxWxC")
        hint = re.sub(r"--size (\d+),(\d+)", r"--input \1x\2", hint)
        if asked and hint.startswith("--input") and input_order_notes(asked):
            hint = f"--input {'x'.join(map(str, (*asked[1:], asked[0])))}"
        error.hint = hint or None
        raise


def _check(options: PlanOptions) -> None:
    if options.as_json and options.as_csv:
        raise click.UsageError("--json and --csv exclude each other.")
    if options.trace is None:
        for name, value in (("--output", options.output), ("--overwrite", options.overwrite)):
            if value:
                raise click.UsageError(f"{name} is for the picture of --trace.")
        check_output_open()
    elif options.image is None:
        raise click.UsageError("--trace draws on a picture: --image IMAGE is needed.")
    elif options.as_csv:
        raise click.UsageError("--trace and --csv exclude each other.")


def _one_network(options: PlanOptions) -> str:
    """Return the network; a picture or a size beside it is given by an option."""
    network, others = network_first(options.paths)
    if not others:
        return network
    square = [*others, "3"] if len(others) == 1 and others[0].isdecimal() else []
    sides = "x".join([*others, *square])
    if InputSize().parse(sides) is not None:
        hint = f"--input {sides}"
    elif others[0].isdecimal():
        hint = "a size: --input HxWxC"
    elif is_network(others[0]):
        hint = "one network at a time"
    else:
        hint = f"--image {shlex.quote(others[0])}"
    got = " ".join(map(quote, others))
    raise OptionError(f"plan takes one NETWORK and no other argument, got {got}", hint=hint)


def _input_shape(model: Model, options: PlanOptions, read: ReadOptions) -> tuple[int, int, int]:
    """Return the (H, W, C) that the network will be given."""
    from cnncli.io.image_headers import read_shape
    from cnncli.io.images import CHANNEL_NOTES
    from cnncli.io.urls import local_path
    from cnncli.plan.input_shape import input_shape

    stored, changed = None, tuple[str, ...]()
    if options.image is not None:
        image, read = local_path(options.image, "--image"), replace(read, size=None)
        stored = read_shape(image, read)
        own = read_shape(image, replace(read, channels=None))
        changed = (CHANNEL_NOTES[stored[2]],) if own != stored else ()
    shape, notes = input_shape(model, options.input, stored)
    for note in () if options.quiet else dict.fromkeys((*changed, *notes)):
        tell(f"note: {note}")
    return shape


def _print_plan(
    model: Model, shape: tuple[int, int, int], options: PlanOptions, names: tuple[str, ...]
) -> None:
    from cnncli.network.summary import summarize
    from cnncli.plan import report

    with show_steps(options.quiet):
        summary = summarize(model.network, shape, model.shown)
    if options.as_json:
        lines = report.json_lines(summary)
    elif options.as_csv:
        lines = report.csv_text(summary).splitlines()
    else:
        # A pipe gets the columns that every terminal has, and of --verbose all.
        width = None if options.verbose else COLUMNS
        if is_terminal_stream(sys.stdout):
            width = terminal_columns()
        lines = report.table(summary, width, options.verbose, names)
    for line in lines:
        click.echo(line)
    if not (options.quiet or options.as_json):
        for line in (*(f"note: {note}" for note in model.notes), *report.warnings(summary)):
            tell(line)


def _draw(
    model: Model, shape: tuple[int, int, int], options: PlanOptions, read: ReadOptions
) -> None:
    from cnncli.pipeline.output_checks import OutputOptions
    from cnncli.plan.trace_picture import TraceRequest, report_fields, report_line, write_trace

    assert options.trace is not None and options.image is not None  # _check has seen to that
    output = make(OutputOptions, options)
    layer, unit = options.trace
    request = TraceRequest(
        model, shape, layer, unit, Path(options.image), read, output, typed_command()
    )
    with show_steps(options.quiet):
        done = write_trace(request)
    tell_file(
        report_line(done),
        report_fields(done),
        quiet=options.quiet,
        as_json=options.as_json,
        to_stdout=done.to_stdout,
    )
