"""``cnncli grad``: the backward pass of a network in pictures."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from cnncli.cli.group import check_output_open, tell
from cnncli.cli.layer_commands import make_job
from cnncli.cli.option_sections import NetworkCommand
from cnncli.cli.options import grad_options, network_argument, one_picture_command
from cnncli.cli.progress import is_terminal, tell_outcome

if TYPE_CHECKING:
    from cnncli.gradients.check import Check
    from cnncli.gradients.run import GradJob

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


@click.command(cls=NetworkCommand, epilog=EXAMPLES, context_settings={"default_map": DEFAULTS})
@network_argument
@grad_options
@one_picture_command
@click.pass_obj
def grad(command: str, /, network: str, image: str | None, **options: Any) -> int:
    """Show which pixels raise a unit of a network, and which lower it.

    NETWORK is a network file, IMAGE a picture, a .npy array or - for standard input. The unit's
    gradient by each pixel value (0..1, before any scaling in the network) becomes a picture: red
    where brighter pixels raise the unit, blue where they lower it, of the channel with the
    strongest gradient. A .npy output holds all channels.
    """
    if options["unit"] is None and options["upstream"] is None:
        raise click.UsageError("--unit or --upstream must be given.")
    if options["overlay"] and options["winners"]:
        raise click.UsageError("--overlay and --winners exclude each other.")
    if options["overwrite"] and options["skip_existing"]:
        raise click.UsageError("--overwrite and --skip-existing exclude each other.")
    if options["as_json"] or options["show"]:
        check_output_open()
    return _run(_grad_job(command, network, options), image, options)


def _grad_job(command: str, network: str, options: dict[str, Any]) -> GradJob:
    from cnncli.gradients.run import GradJob
    from cnncli.gradients.unit import parse_unit
    from cnncli.io.urls import local_path
    from cnncli.network.load import load_model

    model = load_model(local_path(network, "NETWORK"))
    job = make_job(command, model.network, {**options, "jobs": None})
    job = replace(
        job,
        read=replace(job.read, gray=job.read.gray or model.gray, size=model.size),
        notes=model.notes,
        read_too=model.files,
    )
    look = "overlay" if options["overlay"] else "winners" if options["winners"] else "gradient"
    upstream = (
        None if options["upstream"] is None else local_path(options["upstream"], "--upstream")
    )
    unit = None if options["unit"] is None else parse_unit(options["unit"], model.find)
    check = options["check"] or 0
    return GradJob(job, unit, upstream, look, options["params"], check)


def _run(wanted: GradJob, image: str | None, options: dict[str, Any]) -> int:
    from cnncli.batch.report import Report
    from cnncli.batch.sources import gather_one
    from cnncli.gradients import run

    report = Report()
    source = gather_one([] if image is None else [image], is_terminal(sys.stdin), "grad")
    outcome, check = run.run(wanted, source)
    report.add(outcome)
    tell_outcome(outcome, options["quiet"], options["as_json"])
    if check is not None and options["as_json"]:
        line = _check_json(check)
        tell(line) if outcome.to_stdout else click.echo(line)
    return report.exit_code


def _check_json(check: Check) -> str:
    from cnncli.render.to_json import json_text

    return json_text({"check": {**vars(check), "passed": check.passed}})
