"""The commands of one layer each, and the one path that all commands on pictures take."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnncli.cli.batch import choose_runner, result_command
from cnncli.cli.group import check_output_open, start_work
from cnncli.cli.layer import (
    CONV_OPTIONS,
    POOL_OPTIONS,
    check_pad_value,
    conv_layer,
    pool_layer,
    read_options,
)
from cnncli.cli.option_sections import PictureCommand
from cnncli.cli.options import (
    conv_options,
    filter_command,
    layer_command,
    pad_options,
    pool_options,
)
from cnncli.cli.progress import Teller, is_terminal
from cnncli.errors import CnnCliError
from cnncli.system import signals

if TYPE_CHECKING:
    from cnncli.batch.report import Report
    from cnncli.network.graph import Network
    from cnncli.network.layers import Layer
    from cnncli.pipeline.job import Job, Outcome, Task
    from cnncli.pipeline.outputs import OutputPlan

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
@layer_command
@click.pass_obj
def pad(command: str, /, padding: Any, pad_mode: str, pad_value: float, **shared: Any) -> int:
    """Add a border to images.

    IMAGE is a picture, a .npy array, a folder, a quoted pattern or - for standard input.
    """
    from cnncli.network.layers import PadLayer

    check_pad_value(pad_mode, pad_value)
    return run_job(_job(command, PadLayer(padding, pad_mode, pad_value), shared), shared)


@click.command(cls=PictureCommand, epilog=CONV_EXAMPLES)
@conv_options
@filter_command
@click.pass_obj
def conv(command: str, /, **options: Any) -> int:
    """Convolve images with filters, as a CNN layer does.

    IMAGE is a picture, a .npy array, a folder, a quoted pattern or - for standard input. A 2-D
    filter works on every channel on its own and keeps colour; a 3-D one sums over channels into
    one feature map; a 4-D bank gives many. What CNNs call convolution does not flip the filter;
    --flip does.
    """
    layer_options, shared = _split(options, CONV_OPTIONS)
    layer = conv_layer(layer_options)
    named = layer.filter.named and len(options["filter_texts"]) == 1
    job = replace(
        _job(command, layer, shared),
        filter_name=layer.filter.name if named else None,
        notes=layer.filter.notes,
        read_too=layer.filter.files,
    )
    return run_job(job, shared)


@click.command(cls=PictureCommand, epilog=POOL_EXAMPLES)
@pool_options
@layer_command
@click.pass_obj
def pool(command: str, /, **options: Any) -> int:
    """Pool images: the largest, average, smallest or p-norm value of each window.

    IMAGE is a picture, a .npy array, a folder, a quoted pattern or - for standard input.
    """
    layer_options, shared = _split(options, POOL_OPTIONS)
    return run_job(_job(command, pool_layer(layer_options), shared), shared)


def _split(options: dict[str, Any], names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the options a layer takes from those that all commands share."""
    own = {name: options[name] for name in names}
    return own, {name: value for name, value in options.items() if name not in own}


def run_job(job: Job, shared: dict[str, Any]) -> int:
    """Do a job on all images and report; return the exit code."""
    from cnncli.batch.report import Report
    from cnncli.batch.run import run
    from cnncli.batch.sources import gather
    from cnncli.pipeline.process import plan_batch
    from cnncli.pipeline.targets import output_folder

    _check_shared(shared)
    if shared["files_from"] not in (None, "-"):
        job = replace(job, read_too=(*job.read_too, Path(shared["files_from"])))
    words = shared["images"], shared["recursive"], is_terminal(sys.stdin)
    lists = shared["files_from"], shared["max_input_bytes"]
    plan = plan_batch(job, gather(*words, *lists, output_folder(shared["output"])))
    report = Report(len(plan.targets))
    runner = choose_runner(job, report.total, shared)
    start_work()
    if report.total > 1:
        signals.set_progress(lambda: f"{report.done} of {report.total} done")
    with (
        Teller(report, shared) as teller,
        _report_file(job, plan, report, shared) as keep,
        contextlib.closing(run(job, plan, runner, fail_fast=shared["fail_fast"])) as done,
    ):
        for task, outcome in done:
            teller.take(outcome)
            keep(task, outcome)
    teller.sum_up()
    return report.exit_code


def _check_shared(shared: dict[str, Any]) -> None:
    if shared["overwrite"] and shared["skip_existing"]:
        raise click.UsageError("--overwrite and --skip-existing exclude each other.")
    if shared["dry_run"] and shared["report"] is not None:
        raise click.UsageError("--dry-run writes nothing, so it excludes --report.")
    if shared["as_json"] or shared["show"] or shared["dry_run"]:
        check_output_open()


@contextlib.contextmanager
def _report_file(
    job: Job, plan: OutputPlan, report: Report, shared: dict[str, Any]
) -> Iterator[Callable[[Task, Outcome], None]]:
    """Give a function that keeps outcomes for --report, which is written whatever happens."""
    if shared["report"] is None:
        yield lambda task, outcome: None
        return
    from cnncli.batch.report_file import ReportFile
    from cnncli.io.urls import local_path

    begin = time.monotonic()
    file = ReportFile(local_path(shared["report"], "--report"), plan, shared["overwrite"])
    try:
        yield file.add
    except BaseException:
        # What ended the batch is told, and not what may be wrong with its report as well.
        with contextlib.suppress(CnnCliError):
            file.finish(report, job.command, time.monotonic() - begin)
        raise
    file.finish(report, job.command, time.monotonic() - begin)


def _job(command: str, layer: Layer, shared: dict[str, Any]) -> Job:
    from cnncli.network.graph import Network

    return make_job(command, Network.chain(layer), shared)


def make_job(command: str, network: Network, shared: dict[str, Any]) -> Job:
    """Return the job of a network with the options that all commands on pictures share."""
    from cnncli.pipeline.job import Job
    from cnncli.pipeline.outputs import OutputOptions
    from cnncli.render.options import RenderOptions

    write = {name: shared[name] for name in ("output", "overwrite", "skip_existing", "depth")}
    look = {name: shared[name] for name in RenderOptions.__dataclass_fields__ if name != "range"}
    return Job(
        network=network,
        read=read_options(shared),
        render=RenderOptions(range=shared["value_range"], **look),
        output=OutputOptions(format=shared["format_name"], **write),
        command=result_command(command),
        show_width=_columns() if shared["show"] else 0,
        jobs=shared["jobs"],
        verbose=shared["verbose"],
    )


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
