"""``cnncli grad``: the backward pass of a network in pictures."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import click

from cnncli.cli.batch import make_job
from cnncli.cli.command import Command, OptionGroup, argument, flag, option
from cnncli.cli.group import tell
from cnncli.cli.options import (
    FILE,
    FILE_OR_STDIN,
    LAYER_FIELDS,
    ImageOptions,
    ResultOptions,
    network_argument,
    output_option,
    until_option,
)
from cnncli.cli.progress import is_terminal_stream, tell_outcome

EXAMPLES = """\b
Examples:
  cnncli grad net.toml photo.png --unit conv2:7
  cnncli grad net.toml photo.png --unit conv2:7,20,31 --overlay -o over.png
  cnncli grad net.toml photo.png --unit softmax:3 -o gradient.npy --params gradients/
  cnncli grad net.toml photo.png --unit pool1 --winners
  cnncli grad net.toml photo.png --upstream g.npy --check
"""

DEFAULTS = {"colormap": "diverging"}
"""White is 0, red what raises the unit and blue what lowers it; the range auto is about 0."""


# fmt: off
@dataclass(frozen=True)
class GradOptions(OptionGroup):
    """The network and the image, and which gradient is shown how."""

    network: str = network_argument
    until: str | None = until_option
    image: str | None = argument("image", metavar="[IMAGE]", required=False, type=FILE_OR_STDIN)
    unit: str | None = option(
        "--unit", metavar="LAYER:MAP[,ROW,COL]", common=True,
        help="The gradient of what: one value, the sum of a map (index or name), or LAYER alone: "
        "the sum of a layer.",
    )
    upstream: str | None = option(
        "--upstream", metavar="FILE.npy", type=FILE, common=True,
        help="Gradient of the output of --unit LAYER, or of the last layer, to start from.",
    )
    overlay: bool = flag("--overlay", common=True, help="Lay the gradient over the grey picture.")
    winners: bool = flag(
        "--winners", common=True,
        help="Show instead which cells won in the max pools before the unit, or in the one that "
        "--unit names. .npy counts how often.",
    )
    params: str | None = option(
        "--params", metavar="DIR", common=True,
        help="Write the gradients of all weights and biases: DIR/conv1-W.npy and so on.",
    )
    check: int | None = option(
        "--check", type=click.IntRange(min=1), is_flag=False, flag_value=20, metavar="[N]",
        common=True,
        help="Compare with finite differences in float64 at N random cells (20) of the input and "
        "of each parameter. Fail above 1e-6.",
    )
# fmt: on


class GradResultOptions(ResultOptions):
    """The same, of a gradient."""

    output: str | None = output_option("a file for each map", LAYER_FIELDS, "{stem}-grad.png")


@click.command(
    cls=Command,
    own_section="Network",
    epilog=EXAMPLES,
    context_settings={"default_map": DEFAULTS},
)
def grad(options: GradOptions, images: ImageOptions, results: GradResultOptions) -> int:
    """Show which pixels raise a unit of a network, and which lower it.

    NETWORK is a network file (.toml) or an ONNX model (.onnx); IMAGE is a picture, a .npy array or
    - for standard input. The result is a picture of the unit's gradient with respect to each
    pixel: red where a brighter pixel raises the unit, blue where it lowers it. It shows the channel
    with the strongest gradient; a .npy output holds all channels.
    """
    from cnncli.batch.report import Report
    from cnncli.batch.sources import gather_one
    from cnncli.gradients.run import GradJob, run
    from cnncli.gradients.unit import parse_unit
    from cnncli.io.urls import local_path
    from cnncli.network.load import load_model
    from cnncli.render.to_json import json_text

    if options.unit is None and options.upstream is None:
        raise click.UsageError("--unit or --upstream must be given.")
    if options.overlay and options.winners:
        raise click.UsageError("--overlay and --winners exclude each other.")
    results.check()
    path, part = local_path(options.network, "NETWORK"), options.until is not None
    model = load_model(path, part=part).until(options.until)
    upstream = None if options.upstream is None else local_path(options.upstream, "--upstream")
    job = GradJob(
        make_job(model, images, results, **results.job_fields()),
        None if options.unit is None else parse_unit(options.unit, model.find),
        upstream,
        "overlay" if options.overlay else "winners" if options.winners else "gradient",
        options.params,
        options.check or 0,
    )
    paths = [] if options.image is None else [options.image]
    outcome, check = run(job, gather_one(paths, is_terminal_stream(sys.stdin), "grad"))
    report = Report()
    report.add(outcome)
    tell_outcome(outcome, results.quiet, results.as_json)
    if check is not None and results.as_json:
        fields = {**vars(check), "passed": check.passed}
        (tell if outcome.to_stdout else click.echo)(json_text({"check": fields}))
    return report.exit_code
