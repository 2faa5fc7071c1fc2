"""Runs the job of a command on all its images, reports on them and returns the exit code."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cnncli.cli.command import make
from cnncli.cli.group import check_output_open, start_work, tell, typed_command
from cnncli.cli.options import BatchOptions, ImageOptions, ResultOptions, read_options
from cnncli.cli.progress import ProgressReporter, is_terminal_stream, show_steps
from cnncli.errors import CnnCliError, quote
from cnncli.system import signals
from cnncli.system.files import is_plain_file

if TYPE_CHECKING:
    from cnncli.batch.report import Report
    from cnncli.batch.run import Runner
    from cnncli.batch.sources import Sources
    from cnncli.network.model import Model
    from cnncli.pipeline.job import Job, Outcome, Task
    from cnncli.pipeline.output_checks import OutputPlan

WITH_VALUE: Final = frozenset(
    ["-j", "--jobs", "--timeout", "--cluster", "--cluster-timeout", "--cluster-patience"]
)
ALONE: Final = ("--shared-files",)
JOINED: Final = re.compile(r"(-[qrv]+)j(\d*)")
"""Short options without a value and ``-j`` in one word."""


def run_batch(
    model: Model, images: ImageOptions, batch: BatchOptions, results: ResultOptions, **settings: Any
) -> int:
    """Run a model on all images and report; return the exit code.

    Parameters
    ----------
    model : Model
    images : ImageOptions
    batch : BatchOptions
    results : ResultOptions
    **settings
        Further fields of the `Job`.
    """
    from cnncli.batch.report import Report
    from cnncli.batch.run import InlineRunner, run
    from cnncli.batch.sources import gather
    from cnncli.pipeline.output_names import output_folder
    from cnncli.pipeline.process import plan_batch

    job = make_job(model, images, results, jobs=batch.jobs, **results.job_fields(), **settings)
    _check(batch, results)
    if batch.files_from not in (None, "-"):
        job = replace(job, read_too=(*job.read_too, Path(batch.files_from)))
    if not results.quiet and _last_may_be_output(batch.images, results.output):
        tell(f"note: {quote(batch.images[1])} does not exist; -o names the output")
    with show_steps(results.quiet):
        sources = gather(
            batch.images,
            batch.recursive,
            is_terminal_stream(sys.stdin),
            files_from=batch.files_from,
            max_bytes=images.max_input_bytes,
            excluded=output_folder(results.output),
        )
        plan = plan_batch(job, sources)
    report = Report(len(plan.targets))
    runner = _choose_runner(job, plan, batch)
    inline = isinstance(runner, InlineRunner)
    start_work()
    if not results.quiet:
        _tell_of_plan(sources, plan, batch, results)
    if report.total > 1:
        signals.set_progress(lambda: f"{report.done} of {report.total} done")
    with (
        ProgressReporter(report, results, batch.dry_run, inline) as progress,
        _report_file(batch.report, plan, report, job.output.overwrite) as keep,
        contextlib.closing(run(job, plan, runner, fail_fast=batch.fail_fast)) as outcomes,
    ):
        for task, outcome in outcomes:
            progress.take(outcome)
            keep(task, outcome)
    progress.sum_up()
    return report.exit_code


def make_job(model: Model, images: ImageOptions, results: object, **settings: Any) -> Job:
    """Return the job of a model; `results` is a group with options of rendering or of outputs."""
    from cnncli.pipeline.job import Job
    from cnncli.pipeline.output_checks import OutputOptions
    from cnncli.render.options import RenderOptions

    return Job(
        network=model.network,
        read=read_options(images, **model.read_fields(images.gray)),
        render=make(RenderOptions, results),
        output=make(OutputOptions, results),
        command=result_command(typed_command()),
        notes=model.notes,
        read_too=model.files,
        **settings,
    )


def _check(batch: BatchOptions, results: ResultOptions) -> None:
    """Refuse options that exclude each other, and text for a closed standard output."""
    results.check()
    if batch.dry_run and batch.report is not None:
        raise click.UsageError("--dry-run writes nothing, so it excludes --report.")
    if batch.dry_run:
        check_output_open()


def _tell_of_plan(
    sources: Sources, plan: OutputPlan, batch: BatchOptions, results: ResultOptions
) -> None:
    """Tell of images that are left out, and of a file on standard output that gets nothing."""
    from cnncli.batch.report import left_out_lines

    for line in left_out_lines(sources.left_out, sources.sub_folders):
        tell(line)
    if _leaves_file_empty(plan, batch, results):
        tell("note: standard output is a file and gets nothing; -o - writes the values there")


def _leaves_file_empty(plan: OutputPlan, batch: BatchOptions, results: ResultOptions) -> bool:
    """Whether somebody at a terminal may have meant a file on standard output for the result."""
    from cnncli.pipeline.output_names import OutputKind

    writes_text = results.as_json or results.show or batch.dry_run
    is_named_by_us = plan.targets.pattern.kind is OutputKind.DEFAULT and len(plan.targets) == 1
    is_file = is_plain_file(sys.stdout) and is_terminal_stream(sys.stderr)
    return is_named_by_us and is_file and not writes_text


def _last_may_be_output(images: Sequence[str], output: str | None) -> bool:
    """Whether the second of two images may be the output, as other tools have it."""
    if len(images) != 2 or output is not None:
        return False
    first, last = images
    is_name = "." in last and "://" not in last and not set(last) & set("*?[")
    return is_name and os.path.exists(first) and not os.path.exists(last)


@contextlib.contextmanager
def _report_file(
    path: str | None, plan: OutputPlan, report: Report, overwrite: bool
) -> Iterator[Callable[[Task, Outcome], None]]:
    """Give a function that keeps outcomes for --report, which is written whatever happens."""
    if path is None:
        yield lambda task, outcome: None
        return
    from cnncli.batch.report_file import ReportFile
    from cnncli.io.urls import local_path

    begin = time.monotonic()
    file = ReportFile(local_path(path, "--report"), plan, overwrite)
    try:
        yield file.add
    except BaseException:
        # What ended the batch is told, and not what may be wrong with its report as well.
        with contextlib.suppress(CnnCliError):
            file.finish(report, typed_command(), time.monotonic() - begin)
        raise
    file.finish(report, typed_command(), time.monotonic() - begin)


def _choose_runner(job: Job, plan: OutputPlan, batch: BatchOptions) -> Runner:
    """Return who does the work: a cluster, worker processes, or for one image this process."""
    from cnncli.batch.run import InlineRunner

    if batch.shared_files and not batch.cluster:
        raise click.UsageError("--shared-files is for --cluster.")
    if batch.shared_files and job.output.overwrite and plan.targets.pattern.per_map:
        # Nobody knows all names of all images, of which two may be one.
        raise click.UsageError(
            "--shared-files writes a file for each map only without --overwrite; "
            "give -o a template without {map}, or leave --shared-files away."
        )
    if batch.dry_run:
        from cnncli.batch.dry_run import PreviewRunner

        return PreviewRunner()
    if batch.cluster:
        from cnncli.batch.cluster.runner import ClusterRunner

        return ClusterRunner(
            batch.cluster,
            timeout=batch.cluster_timeout,
            patience=batch.cluster_patience,
            seconds=batch.timeout,
            shared=batch.shared_files,
        )
    if len(plan.targets) == 1 and batch.timeout is None:
        return InlineRunner()
    from cnncli.batch.worker_pool import WorkerRunner

    return WorkerRunner(job.jobs, batch.timeout, ahead=not batch.fail_fast)


def result_command(command: str) -> str:
    """Return a command without the options that say where the work is done.

    Pictures record their command, and are the same bytes wherever they were made.

    Examples
    --------
    >>> result_command("cnncli pool a.png -j 2 --mode max --cluster=local:2 -o b.png -- -j")
    'cnncli pool a.png --mode max -o b.png -- -j'
    >>> result_command("cnncli pool in -rj2 -qj 2 --mode max")
    'cnncli pool in -r -q --mode max'
    """
    kept: list[str] = []
    words = iter(shlex.split(command))
    for word in words:
        if word == "--":
            return shlex.join([*kept, word, *words])
        name, equals, _ = word.partition("=")
        if joined := JOINED.fullmatch(word):
            kept.append(joined[1])
            if not joined[2]:
                next(words, None)
        elif name in WITH_VALUE and not equals:
            next(words, None)
        elif name not in (*WITH_VALUE, *ALONE) and not re.fullmatch(r"-j\d+", word):
            kept.append(word)
    return shlex.join(kept)
