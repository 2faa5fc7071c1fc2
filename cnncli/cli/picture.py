"""The commands of one layer each, and the one path that all commands on pictures take."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from cnncli import interrupts
from cnncli.cli.group import check_output_open, show_error, start_work, tell
from cnncli.cli.layer import (
    CONV_OPTIONS,
    POOL_OPTIONS,
    check_pad_value,
    conv_layer,
    files_read,
    pool_layer,
)
from cnncli.options import (
    PictureCommand,
    conv_options,
    pad_options,
    picture_command,
    pool_options,
)

if TYPE_CHECKING:
    from cnncli.batch import Runner
    from cnncli.job import Job, Outcome
    from cnncli.layers import Layer
    from cnncli.network import Network

PAD_EXAMPLES = """\b
Examples:
  cnncli pad photo.png --padding 10
  cnncli pad photo.png --padding 0,0,40,40 --pad-mode reflect -o wide.png
"""

CONV_EXAMPLES = """\b
Examples:
  cnncli conv photo.png --filter edge.npy
  cnncli conv photo.png --filter "0 -1 0; -1 5 -1; 0 -1 0" -o sharp.png
  cnncli conv photo.png --filter gabor_color --stride 2 -o maps.png
  cnncli conv photos/ --filter sobel_v --range symmetric -o edges/
"""

POOL_EXAMPLES = """\b
Examples:
  cnncli pool photo.png --mode max
  cnncli pool photo.png --mode average --size 8 -o mosaic.png
  cnncli conv photo.png --filter edge -o - | cnncli pool --mode max -o pooled.png
"""


@click.command(cls=PictureCommand, epilog=PAD_EXAMPLES)
@pad_options
@picture_command
@click.pass_obj
def pad(command: str, /, padding: Any, pad_mode: str, pad_value: float, **shared: Any) -> int:
    """Add a border to images.

    IMAGE is a picture, a .npy array, a folder or - for standard input.
    """
    from cnncli.layers import PadLayer

    check_pad_value(pad_mode, pad_value)
    return run_job(_job(command, PadLayer(padding, pad_mode, pad_value), shared), shared)


@click.command(cls=PictureCommand, epilog=CONV_EXAMPLES)
@conv_options
@picture_command
@click.pass_obj
def conv(command: str, /, **options: Any) -> int:
    """Convolve images with filters, as a CNN layer does.

    IMAGE is a picture, a .npy array, a folder or - for standard input. A 2-D filter works on
    every channel on its own and keeps colour; a 3-D one sums over channels into one feature map;
    a 4-D bank gives many. What CNNs call convolution does not flip the filter; --flip does.
    """
    layer_options, shared = _split(options, CONV_OPTIONS)
    layer = conv_layer(layer_options)
    named = layer.filter.named and len(options["filter_texts"]) == 1
    job = replace(
        _job(command, layer, shared),
        filter_name=layer.filter.name if named else None,
        notes=layer.filter.notes,
        read_too=files_read(layer_options),
    )
    return run_job(job, shared)


@click.command(cls=PictureCommand, epilog=POOL_EXAMPLES)
@pool_options
@picture_command
@click.pass_obj
def pool(command: str, /, **options: Any) -> int:
    """Pool images: the largest, average, smallest or p-norm value of each window.

    IMAGE is a picture, a .npy array, a folder or - for standard input.
    """
    layer_options, shared = _split(options, POOL_OPTIONS)
    return run_job(_job(command, pool_layer(layer_options), shared), shared)


def _split(options: dict[str, Any], names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the options a layer takes from those that all commands share."""
    own = {name: options[name] for name in names}
    return own, {name: value for name, value in options.items() if name not in own}


def run_job(job: Job, shared: dict[str, Any]) -> int:
    """Do a job on all images and report; return the exit code."""
    from cnncli import batch
    from cnncli.inputs import gather
    from cnncli.job import Report

    if shared["overwrite"] and shared["skip_existing"]:
        raise click.UsageError("--overwrite and --skip-existing exclude each other.")
    if shared["as_json"] or shared["show"]:
        check_output_open()
    sources = gather(shared["images"], shared["recursive"], is_terminal(sys.stdin))
    report = Report()
    start_work()
    plan = batch.plan_batch(job, sources)
    if len(sources) > 1:
        interrupts.tell_progress(lambda: f"{report.done} of {len(sources)} done")
    runner = _runner(job, len(sources), shared["timeout"])
    with contextlib.closing(batch.run(job, plan, runner)) as outcomes:
        for _, outcome in outcomes:
            report.add(outcome)
            tell_outcome(outcome, shared["quiet"], shared["as_json"])
    return report.exit_code


def _runner(job: Job, count: int, timeout: float | None) -> Runner:
    """Return who does the work: worker processes, or for one image threads of this process."""
    from cnncli.batch import InlineRunner

    if count == 1 and timeout is None:
        return InlineRunner()
    from cnncli.workers import WorkerRunner

    return WorkerRunner(job.jobs, timeout)


def _job(command: str, layer: Layer, shared: dict[str, Any]) -> Job:
    from cnncli.network import Network

    return make_job(command, Network.chain(layer), shared)


def make_job(command: str, network: Network, shared: dict[str, Any]) -> Job:
    """Return the job of a network with the options that all commands on pictures share."""
    from cnncli.images import ReadOptions
    from cnncli.job import Job
    from cnncli.outputs import OutputOptions
    from cnncli.render import RenderOptions

    read = {name: shared[name] for name in ReadOptions.__dataclass_fields__ if name in shared}
    write = {name: shared[name] for name in ("output", "overwrite", "skip_existing", "depth")}
    look = {name: shared[name] for name in RenderOptions.__dataclass_fields__ if name != "range"}
    return Job(
        network=network,
        read=ReadOptions(**read),
        render=RenderOptions(range=shared["value_range"], **look),
        output=OutputOptions(format=shared["format_name"], **write),
        command=command,
        show_width=_columns() if shared["show"] else 0,
        jobs=shared["jobs"],
        verbose=shared["verbose"],
    )


def tell_outcome(outcome: Outcome, quiet: bool, as_json: bool) -> None:
    """Report on one image, for people or as JSON."""
    from cnncli import report

    if outcome.error is not None:
        show_error(str(outcome.error), outcome.error.hint)
    if as_json:
        for line in report.json_line(outcome):
            tell(line) if outcome.to_stdout else click.echo(line)
    elif not quiet:
        for line in report.lines(outcome):
            tell(line)
    if outcome.shown:
        click.echo(outcome.shown, nl=False, err=as_json or outcome.to_stdout, color=True)


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def is_terminal(stream: Any) -> bool:
    """Tell whether a standard stream is there and a person sits behind it."""
    return stream is not None and not stream.closed and bool(stream.isatty())
