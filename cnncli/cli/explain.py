"""``cnncli explain``: the arithmetic of one output value."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from cnncli.cli.explain_options import explain_options
from cnncli.cli.group import check_output_open, start_work, tell
from cnncli.cli.layer import CONV_OPTIONS, POOL_OPTIONS, either_layer, read_options
from cnncli.cli.option_sections import ExplainCommand
from cnncli.cli.progress import is_terminal

if TYPE_CHECKING:
    from cnncli.explain.run import ExplainJob
    from cnncli.explain.text.forward import TextOptions
    from cnncli.network.layers import Layer
    from cnncli.pipeline.outputs import Source

EXAMPLES = """\b
Examples:
  cnncli explain photo.png --filter edge --at 120,240
  cnncli explain photo.png --filter gabor_color --stride 2 --map 5
  cnncli explain photo.png --pool max --size 3 --stride 2 --at 10,20
  cnncli explain net.toml photo.png --layer conv2 --at 4,7
  cnncli explain photo.png --filter edge --backward --at 120,240
  cnncli explain photo.png --filter edge -o page.html
  cnncli explain photo.png --filter edge --at 120,240 -o steps.gif
"""

NETWORKS: Final = (".toml", ".onnx")

NETWORK_OPTIONS: Final = ("layer",)

PAGES: Final = (".html", ".htm")
FRAME_OPTIONS: Final = ("cells", "fps", "most")


@click.command(cls=ExplainCommand, epilog=EXAMPLES)
@explain_options
@click.pass_obj
def explain(command: str, /, words: tuple[str, ...], **options: Any) -> None:
    """Show how one output value comes about, number by number.

    IMAGE is a picture, a .npy array or - for standard input. The layer is a convolution by
    --filter, a pool by --pool, or one of NETWORK, a network file (.toml) or an ONNX model. Shown
    are the window on the input with its padding, weights, products and sums, bias, activation and
    result, and the value that all other commands get.
    """
    from cnncli.batch.sources import gather_one

    networks = [word for word in words if Path(word).suffix.lower() in NETWORKS]
    images = [word for word in words if word not in networks]
    _check(networks, images, options)
    if options["output"] is None:
        check_output_open()
    source = gather_one(images, is_terminal(sys.stdin), "explain")
    start_work()
    wanted = _wanted(command, networks, options)
    show = _show_backward if options["backward"] else _show
    if options["output"] is not None:
        show = _write_page if _is_page(options) else _write_frames
    show(wanted, source, options)


def _check(networks: Sequence[str], images: Sequence[str], options: dict[str, Any]) -> None:
    given = [bool(options["filter_texts"]), options["mode"] is not None, bool(networks)]
    if len(networks) > 1 or len(images) > 1:
        raise click.UsageError("explain takes one NETWORK at most, and one IMAGE.")
    if sum(given) != 1:
        raise click.UsageError("exactly one of --filter, --pool and NETWORK must be given.")
    own = (CONV_OPTIONS, POOL_OPTIONS, NETWORK_OPTIONS)[given.index(True)]
    what = ("--filter", "--pool", "a layer of NETWORK")[given.index(True)]
    context = click.get_current_context()
    for option in context.command.params:
        name = option.name or ""
        others = name in (*CONV_OPTIONS, *POOL_OPTIONS, *NETWORK_OPTIONS) and name not in own
        if others and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[-1]} does not go with {what}.")
    if options["channel"] is not None and not options["backward"]:
        raise click.UsageError("--channel is for --backward.")
    if options["backward"] and options["output"] is not None:
        raise click.UsageError("--backward and -o exclude each other.")
    if options["overwrite"] and options["output"] is None:
        raise click.UsageError("--overwrite is for the file of -o.")

    for option in context.command.params:
        given_here = context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE
        if option.name in FRAME_OPTIONS and given_here and _is_page(options):
            raise click.UsageError(f"{option.opts[0]} is for the frames of -o steps.gif.")


def _is_page(options: dict[str, Any]) -> bool:
    """Whether no frames are asked for."""
    output = options["output"]
    return output is None or Path(output).suffix.lower() in PAGES


def _wanted(command: str, networks: Sequence[str], options: dict[str, Any]) -> ExplainJob:
    from cnncli.explain.run import ExplainJob
    from cnncli.io.urls import local_path
    from cnncli.network.graph import Model, Network
    from cnncli.network.load import load_model
    from cnncli.pipeline.job import Job
    from cnncli.pipeline.outputs import OutputOptions
    from cnncli.render.options import RenderOptions

    output = OutputOptions(options["output"], overwrite=options["overwrite"])
    # --size is a pool's window here; images are resized only as network files say.
    read = read_options({name: value for name, value in options.items() if name != "size"})
    if networks:
        model = load_model(local_path(networks[0], "NETWORK"))
        read = replace(read, gray=read.gray or model.gray, size=model.size)
    else:
        layer, notes = _layer(options)
        model = Model(Network.chain(layer), notes=notes)
    job = Job(
        *(model.network, read, RenderOptions(), output, command),
        notes=model.notes,
        read_too=model.files,
        jobs=1,
    )
    name = None if options["layer"] is None else model.find(options["layer"])
    chosen = (options[name] for name in ("at", "map", "number", "channel"))
    return ExplainJob(job, name, *chosen)


def _layer(options: dict[str, Any]) -> tuple[Layer, tuple[str, ...]]:
    """Return the layer of the command line, and what was done to its filters."""
    from cnncli.network.layers import ConvLayer

    layer = either_layer(options)
    assert layer is not None  # _check has seen to that
    return layer, layer.filter.notes if isinstance(layer, ConvLayer) else ()


def _show(wanted: ExplainJob, source: Source, options: dict[str, Any]) -> None:
    from cnncli.explain.run import run
    from cnncli.explain.text.forward import text_lines
    from cnncli.explain.to_json import record

    done = run(wanted, source)
    if options["as_json"]:
        _tell_json(record(done.explanation), done.notes)
    else:
        _tell(text_lines(done.explanation, _view(options)), done.notes, options["quiet"])


def _show_backward(wanted: ExplainJob, source: Source, options: dict[str, Any]) -> None:
    from cnncli.explain.run import run_backward
    from cnncli.explain.text.backward import backward_lines
    from cnncli.explain.to_json import record

    done = run_backward(wanted, source)
    if options["as_json"]:
        _tell_json(record(done.explanation), done.notes)
    else:
        _tell(backward_lines(done.explanation, _view(options)), done.notes, options["quiet"])


def _write_page(wanted: ExplainJob, source: Source, options: dict[str, Any]) -> None:
    from cnncli.explain.page.run import report_line, write_page
    from cnncli.render.to_json import json_text

    done = write_page(wanted, source)
    if options["as_json"]:
        click.echo(json_text(done))
    elif not options["quiet"]:
        tell(report_line(done))


def _write_frames(wanted: ExplainJob, source: Source, options: dict[str, Any]) -> None:
    from cnncli.explain.animation.frames import FrameOptions
    from cnncli.explain.animation.run import report_line, write_frames
    from cnncli.render.to_json import json_text

    done = write_frames(wanted, source, FrameOptions(*(options[name] for name in FRAME_OPTIONS)))
    if options["as_json"]:
        click.echo(json_text(done))
    elif not options["quiet"]:
        tell(report_line(done))


def _view(options: dict[str, Any]) -> TextOptions:
    from cnncli.explain.text.forward import TextOptions
    from cnncli.render.terminal import colour_allowed

    colour = is_terminal(sys.stdout) and colour_allowed()
    return TextOptions(shutil.get_terminal_size().columns, colour, options["channels"])


def _tell_json(fields: dict[str, Any], notes: Sequence[str]) -> None:
    click.echo(json.dumps({**fields, "notes": list(notes)}))


def _tell(lines: Sequence[str], notes: Sequence[str], quiet: bool) -> None:
    for line in lines:
        click.echo(line)
    for note in () if quiet else notes:
        tell(f"note: {note}")
