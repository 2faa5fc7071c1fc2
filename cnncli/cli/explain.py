"""``cnncli explain``: the arithmetic of one output value."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from cnncli._dataclass import dataclass
from cnncli.cli.batch import make_job
from cnncli.cli.command import Command, OptionGroup, argument, flag, make, option
from cnncli.cli.completion import complete_layer
from cnncli.cli.group import check_output_open, start_work, tell, terminal_columns
from cnncli.cli.layer import network_or_layer, typed_options
from cnncli.cli.layer_options import ConvOptions, LayerOptions
from cnncli.cli.options import (
    FILE_OR_STDIN,
    ImageOptions,
    PrepareOptions,
    class_names_option,
    overwrite_option,
)
from cnncli.cli.progress import is_terminal_stream, show_steps, tell_file
from cnncli.cli.types import ChannelCount, FiniteFloat, Numbers, WholeNumber
from cnncli.errors import quote

if TYPE_CHECKING:
    from cnncli.core.geometry import Pair
    from cnncli.explain.animation.write import FramesDone
    from cnncli.explain.page.write import PageDone
    from cnncli.explain.run import ExplainRequest, ExplainResult
    from cnncli.pipeline.source import Source

EXAMPLES = """\b
Examples:
  cnncli explain photo.png --filter edge --at 120,240
  cnncli explain photo.png --pool max --size 3 --stride 2 --at 10,20
  cnncli explain net.toml photo.png --layer conv2 --at 4,7
  cnncli explain net.toml photo.png --trail
  cnncli explain photo.png --filter edge --backward --at 120,240
  cnncli explain photo.png --filter edge -o page.html
  cnncli explain photo.png --filter edge --at 120,240 -o steps.gif
  cnncli explain --blank -o playground.html
"""

FRAME_OPTIONS: Final = ("cells", "fps", "most")

_MORE = "--layer NAME shows another layer, --trail the way back to a pixel, -o page.html all"
"""What a network has to show, once its last layer is shown."""


# fmt: off
@dataclass(frozen=True)
class ValueOptions(OptionGroup):
    """The layer of a network, and which of its values is explained."""

    rare = ("class_names",)

    paths: tuple[str, ...] = argument(
        "paths", metavar="[NETWORK] [IMAGE]", nargs=-1, type=FILE_OR_STDIN
    )
    layer: str | None = option(
        "--layer", metavar="NAME", common=True, shell_complete=complete_layer,
        help="Layer of NETWORK.  [default: the last]",
    )
    at: Pair | None = option(
        "--at", type=Numbers((2,), 0, "ROW,COL"), common=True,
        help="Row and column of the output, from 0; with --backward of the input.  [default: a "
        "strong value; with --backward the middle]",
    )
    map: str | None = option(
        "--map", metavar="K", common=True,
        help="Map of the output, by index or name.  [default: that of the strong value; 0 with "
        "--at; all with --backward]",
    )
    class_names: str | None = class_names_option
    image: int | None = option(
        "--image", type=WholeNumber(min=0), metavar="N",
        help="Image of an array of several, from 0.  [default: 0]",
    )
    backward: bool = flag(
        "--backward", common=True,
        help="Show instead the gradient of one input value, if every output's gradient is 1.",
    )
    trail: bool = flag(
        "--trail", common=True,
        help="Show also the strongest contributions back to a pixel.",
    )
    blank: bool = flag(
        "--blank", common=True, help="Write the playground to -o: a page to stack layers on."
    )
    channel: str | None = option(
        "--channel", metavar="C",
        help="Channel of the input, by index or name, with --backward.  [default: 0]",
    )


@dataclass(frozen=True)
class ExplainedLayerOptions(LayerOptions):
    """The same, as another tool does it."""

    convention: str | None = ConvOptions.convention


@dataclass(frozen=True)
class ExplanationOptions(OptionGroup):
    """How the explanation is shown or written."""

    section = "Results out"

    channels: int | None = option(
        "--channels", type=ChannelCount(),
        help="Show N input channels in full, the strongest first, and the sums of the others.  "
        "[default: 3 if there are more than 4]",
    )
    output: str | None = option(
        "-o", "--output", metavar="FILE", common=True,
        help="Write a file instead. .html: an interactive page. .gif, .webp, .png: an animation "
        "of the window around --at, with --backward of what each window adds. folder/ or "
        "{frame:03d}.png: a picture for each frame.",
    )
    cells: int | None = option(
        "--cells", type=WholeNumber(1, 64), metavar="N",
        help="Show N rows and columns of the input.  [default: enough for 5x5 outputs]",
    )
    fps: float = option(
        "--fps", type=FiniteFloat(within=(0.1, 50)), default=2, metavar="F",
        help="Frames per second."
    )
    most: int = option(
        "--frames", type=WholeNumber(1, 500), default=60, metavar="N",
        help="Show at most N frames, those around --at.",
    )
    overwrite: bool = overwrite_option
    as_json: bool = flag("--json", common=True, help="Print all numbers as one JSON object.")
    quiet: bool = flag("-q", "--quiet", common=True, help="No notes; errors still show.")

    @property
    def is_page(self) -> bool:
        """Whether no frames are asked for."""
        from cnncli.explain.page.file_names import is_page

        return self.output is None or is_page(self.output)
# fmt: on


@click.command(cls=Command, own_section="Layer and place", epilog=EXAMPLES)
def explain(
    value: ValueOptions,
    layer: ExplainedLayerOptions,
    inputs: PrepareOptions,
    images: ImageOptions,
    results: ExplanationOptions,
) -> None:
    """Show how one output value comes about, number by number.

    IMAGE is a picture, a .npy array or - for standard input. The layer is a convolution by
    --filter, a pool by --pool, or one of NETWORK, a network file (.toml) or an ONNX model. The
    text has the window with its padding, the weights, products and sums, the bias, the activation
    and the result.
    """
    if value.blank:
        _write_playground(value, results)
        return
    from cnncli.batch.sources import gather_one
    from cnncli.explain.run import ExplainRequest, ExplainResult
    from cnncli.pipeline.networks import with_labels

    chosen = network_or_layer(value.paths, layer, frozenset({"layer", "class_names"}))
    _check(value, results)
    if results.output is None:
        check_output_open()
    source = gather_one(chosen.pictures, is_terminal_stream(sys.stdin), "explain")
    start_work()
    with show_steps(results.quiet):
        model = chosen.model(inputs, images, value.layer is not None, "--layer")
        model = with_labels(model, value.class_names)
        name = model.network.names[-1] if value.layer is None else model.find(value.layer)
        is_shown = name in model.shown and results.output is None and not value.backward
        model = model.showing([name] if is_shown else [])
        request = make(
            ExplainRequest,
            value,
            job=make_job(model, images, results, jobs=1),
            layer=name,
            is_shown=is_shown,
        )
        done = _explain(request, source, value.backward, results)
    if isinstance(done, ExplainResult):
        says_more = value.layer is None and not (value.backward or value.trail)
        more = (_MORE,) if says_more and len(model.network.nodes) > 1 else ()
        _print(done, results, (*done.notes, *more))
    else:
        tell_file(done.report_line, done, results.quiet, results.as_json)


BLANK_OPTIONS: Final = frozenset(("blank", "output", "overwrite", "as_json", "quiet"))


def _write_playground(value: ValueOptions, results: ExplanationOptions) -> None:
    """Write the page that needs no image."""
    from cnncli.explain.page.write import write_playground
    from cnncli.pipeline.output_checks import OutputOptions

    if value.paths:
        raise click.UsageError(
            f"--blank takes no IMAGE and no NETWORK, got {quote(value.paths[0])}."
        )
    for name, typed in typed_options().items():
        if name not in BLANK_OPTIONS:
            raise click.UsageError(f"{typed} does not go with --blank.")
    if results.output is None:
        raise click.UsageError("--blank needs -o playground.html.")
    start_work()
    with show_steps(results.quiet):
        done = write_playground(make(OutputOptions, results))
    tell_file(done.report_line, done, results.quiet, results.as_json)


def _check(value: ValueOptions, results: ExplanationOptions) -> None:
    if value.channel is not None and not value.backward:
        raise click.UsageError("--channel is for --backward.")
    if value.trail and (value.backward or results.output is not None):
        raise click.UsageError("--trail is for the text and --json, without --backward and -o.")
    if results.overwrite and results.output is None:
        raise click.UsageError("--overwrite is for the file of -o.")
    typed = typed_options()
    for name in FRAME_OPTIONS:
        if name in typed and results.is_page:
            raise click.UsageError(f"{typed[name]} is for the frames of -o steps.gif.")


def _explain(
    request: ExplainRequest, source: Source, backward: bool, results: ExplanationOptions
) -> ExplainResult[Any] | PageDone | FramesDone:
    """Explain an output or an input; write that if it goes to a file: a page, or frames."""
    from cnncli.explain import run

    if results.output is None:
        return run.run_backward(request, source) if backward else run.run(request, source)
    from cnncli.explain.animation.frames import FrameOptions
    from cnncli.explain.write import write_explanation

    return write_explanation(request, source, make(FrameOptions, results), backward)


def _print(result: ExplainResult[Any], results: ExplanationOptions, notes: Sequence[str]) -> None:
    """Print the way to an output, or the way back to an input, and notes."""
    from cnncli.explain.text.forward import TextOptions
    from cnncli.explain.text.result import result_lines
    from cnncli.explain.to_json import record
    from cnncli.render.terminal import colour_allowed
    from cnncli.render.to_json import json_text

    if results.as_json:
        trail = {} if result.trail is None else {"trail": result.trail}
        click.echo(json_text({**record(result.explanation), **trail, "notes": result.notes}))
        return
    colour = is_terminal_stream(sys.stdout) and colour_allowed()
    text = TextOptions(terminal_columns(), colour, results.channels)
    for line in result_lines(result, text):
        click.echo(line)
    for note in () if results.quiet else notes:
        tell(f"note: {note}")
