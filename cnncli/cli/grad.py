"""``cnncli grad``: the backward pass of a network in pictures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cnncli._dataclass import dataclass
from cnncli.cli.batch import make_job
from cnncli.cli.command import Command, OptionGroup, argument, flag, option
from cnncli.cli.completion import complete_layer
from cnncli.cli.group import tell
from cnncli.cli.layer import network_or_layer
from cnncli.cli.layer_options import POOL_MODE, LayerOptions
from cnncli.cli.options import (
    FILE,
    FILE_OR_STDIN,
    LAYER_FIELDS,
    ImageOptions,
    PrepareOptions,
    ResultOptions,
    class_names_option,
    output_option,
    until_option,
)
from cnncli.cli.progress import is_terminal_stream, show_steps, tell_outcome
from cnncli.cli.types import Numbers, RangeType

if TYPE_CHECKING:
    from cnncli.gradients.check import Check
    from cnncli.pipeline.job import Outcome

EXAMPLES = """\b
Examples:
  cnncli grad net.toml photo.png --unit conv2:7,20,31 --overlay -o over.png
  cnncli grad net.toml photo.png --unit softmax:3 -o dx.npy --params grads/
  cnncli grad net.toml photo.png --upstream g.npy --check
  cnncli grad x.npy -f W.npy --padding 2 --upstream dZ.npy --params grads/
  cnncli grad x.npy --pool max --size 2 --upstream dA.npy -o dx.npy
"""

DEFAULTS = {"colormap": "diverging"}
"""White is 0, red what raises the unit and blue what lowers it; the range auto is about 0."""


# fmt: off
@dataclass(frozen=True)
class GradOptions(OptionGroup):
    """The network and the image, and which gradient is shown how."""

    rare = ("until", "class_names")

    paths: tuple[str, ...] = argument(
        "paths", metavar="[NETWORK] [IMAGE]", nargs=-1, type=FILE_OR_STDIN
    )
    until: str | None = until_option
    unit: str | None = option(
        "--unit", metavar="LAYER:MAP[,ROW,COL]", common=True, shell_complete=complete_layer,
        help="What the gradient is of: one value, the sum of a map, or a whole LAYER.",
    )
    class_names: str | None = class_names_option
    upstream: str | None = option(
        "--upstream", metavar="FILE.npy", type=FILE, common=True,
        help="Start from this gradient of a whole layer.",
    )
    overlay: bool = flag("--overlay", common=True, help="Lay the gradient over the grey picture.")
    winners: bool = flag(
        "--winners", common=True,
        help="Show the winning cells of the max pools.",
    )
    params: str | None = option(
        "--params", metavar="DIR", common=True,
        help="Write the gradients of weights and biases too.",
    )
    check: int | str | None = option(
        "--check", type=Numbers((1,), 1, "N", words=("auto",)), is_flag=False, flag_value="auto",
        metavar="[N]", common=True,
        help="Compare with finite differences at N random cells of each array; fail above "
        "1e-6.  [default: 20, fewer in large networks]",
    )

    @property
    def shows(self) -> str:
        """What `GradJob` calls the picture that is asked for."""
        if self.overlay and self.winners:
            raise click.UsageError("--overlay and --winners exclude each other.")
        return "overlay" if self.overlay else "winners" if self.winners else "gradient"
# fmt: on


@dataclass(frozen=True)
class GradLayerOptions(LayerOptions):
    """The same; a pool also by the option of `cnncli pool`."""

    mode: str | None = option(
        "--pool",
        "--mode",
        type=POOL_MODE,
        metavar="MODE",
        common=True,
        help="A pool instead: max, average, min or lp.",
    )


class GradResultOptions(ResultOptions):
    """The same, of a gradient."""

    rare = ("colormap",)

    output: str | None = output_option("a file for each map", LAYER_FIELDS, "{stem}-grad.png")
    range: str | tuple[float, float] = option(
        "--range",
        type=RangeType(),
        default="auto",
        common=True,
        metavar="RANGE",
        help="Gradients of full blue and red: auto, symmetric, minmax, abs or LO,HI.",
    )
    colormap: str = ResultOptions.colormap


@click.command(
    cls=Command,
    own_section="Network or layer",
    blas_threads=True,
    epilog=EXAMPLES,
    context_settings={"default_map": DEFAULTS},
)
def grad(
    options: GradOptions,
    layer: GradLayerOptions,
    inputs: PrepareOptions,
    images: ImageOptions,
    results: GradResultOptions,
) -> int:
    """Show which pixels raise a unit of a network, and which lower it.

    NETWORK is a network file (.toml) or an ONNX model (.onnx); --filter or --pool is one layer
    instead. IMAGE is a picture, a .npy array or - for standard input. The picture shows the unit's
    gradient by each pixel: red where a brighter pixel raises the unit, blue where it lowers it. Of
    a pixel's channels the strongest is shown; a .npy output holds all.
    """
    from cnncli.batch.report import Report
    from cnncli.batch.sources import gather_one
    from cnncli.gradients.run import GradJob, run
    from cnncli.gradients.unit import parse_unit
    from cnncli.io.urls import local_path
    from cnncli.pipeline.networks import with_labels

    chosen = network_or_layer(options.paths, layer, frozenset({"until", "class_names"}))
    if chosen.network and options.unit is None and options.upstream is None:
        raise click.UsageError("--unit or --upstream must be given.")
    shows = options.shows
    results.check()
    upstream = None if options.upstream is None else local_path(options.upstream, "--upstream")
    source = gather_one(chosen.pictures, is_terminal_stream(sys.stdin), "grad")
    with show_steps(results.quiet):
        model = chosen.model(inputs, images, options.until is not None)
        model = with_labels(model, options.class_names).until(options.until)
        unit = None if options.unit is None else parse_unit(options.unit, model)
        model = model.showing([unit.layer if unit else model.network.names[-1]])
        job = GradJob(
            make_job(model, images, results, **results.job_fields()),
            unit,
            upstream,
            shows,
            options.params,
            options.check,
        )
        outcome, check = run(job, source)
    report = Report()
    report.add(outcome)
    tell_outcome(outcome, results.quiet, results.as_json)
    if check is not None and results.as_json:
        _tell_check(check, outcome)
    return report.exit_code


def _tell_check(check: Check, outcome: Outcome) -> None:
    """Tell programs of a check; on standard error where standard output has the result."""
    from cnncli.render.to_json import json_text

    line = json_text({"check": {**vars(check), "passed": check.passed}})
    (tell if outcome.to_stdout else click.echo)(line)
