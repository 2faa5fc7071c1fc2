"""The report of a command while it works and at the end: lines, a progress bar, a summary."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Set
from typing import TYPE_CHECKING, Any, Final

import click

from cnncli.cli.group import show_error, tell, tell_whole, terminal_columns
from cnncli.errors import ExistingOutputs, OutputExists
from cnncli.system import progress, signals
from cnncli.system.files import is_open

if TYPE_CHECKING:
    from cnncli.batch.report import Report
    from cnncli.cli.options import ResultOptions
    from cnncli.pipeline.job import Outcome

CLEAR_LINE: Final = "\r\x1b[K"
REDRAW_SECONDS: Final = 0.1
"""Seconds in which the bar stays as it is: drawing it takes longer than a small image."""

SILENT_SECONDS: Final = 1.5
"""Seconds of work without a word about it."""


@contextlib.contextmanager
def show_steps(quiet: bool) -> Iterator[None]:
    """Show on a terminal what the work inside has reached, if it takes longer than a moment.

    It is one line on standard error, which is gone at the end.

    Parameters
    ----------
    quiet : bool
        Whether nothing is shown.
    """
    if quiet or not is_terminal_stream(sys.stderr):
        yield
        return
    line = _StepLine()
    with signals.undone_by(line.close):
        line.open()
        try:
            yield
        finally:
            line.close()


class _StepLine:
    """A line that tells the step and the seconds, drawn anew by a thread of its own."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.ended = threading.Event()
        self.drawing = threading.Lock()
        self.drawn = False
        self.thread = threading.Thread(target=self._watch, daemon=True)
        progress.set_step("working")

    def open(self) -> None:
        """Begin to watch."""
        self.thread.start()

    def close(self) -> None:
        """End, and leave an empty line and no thread: workers may be forked next."""
        self.ended.set()
        self.thread.join()
        with self.drawing:
            if self.drawn:
                tell(CLEAR_LINE, newline=False)
                self.drawn = False

    def _watch(self) -> None:
        self.ended.wait(SILENT_SECONDS)
        while not self.ended.is_set():
            self._draw()
            self.ended.wait(REDRAW_SECONDS)

    def _draw(self) -> None:
        seconds = time.monotonic() - self.begin
        text = f"{progress.step_text()}, {seconds:.0f} s"
        width = terminal_columns() - 1
        with self.drawing:
            if not self.ended.is_set():
                self.drawn = True
                tell(f"{CLEAR_LINE}{text[:width]}", newline=False)


class ProgressReporter:
    """Reports what becomes of images: on a terminal a bar for many of them, else lines.

    While a single image takes long in this process, a terminal shows the step that it has reached.

    Parameters
    ----------
    report : Report
        Counts the outcomes.
    results : ResultOptions
    dry_run : bool
        Whether nothing is written.
    inline : bool
        Whether this process does the work.
    """

    def __init__(self, report: Report, results: ResultOptions, dry_run: bool, inline: bool) -> None:
        self.report, self.results, self.dry_run = report, results, dry_run
        self.begin = time.monotonic()
        # No thread of ours may run while workers are forked, so one image of theirs has a bar too.
        has_bar = (report.total > 1 or not inline) and not dry_run and _allows_bar(results)
        self.bar = _Bar(report.total, self.begin) if has_bar else None
        self.has_steps = report.total == 1 and inline
        self.steps = contextlib.ExitStack()
        self.said: set[str] = set()
        self.repeated = 0
        self.existing = ExistingOutputs()

    def __enter__(self) -> ProgressReporter:
        if self.bar is not None:
            self.bar.open()
        elif self.has_steps:
            self.steps.enter_context(show_steps(self.results.quiet))
        return self

    def __exit__(self, *error: object) -> None:
        self.steps.close()
        if self.bar is not None:
            self.bar.close()
        if (problem := self.existing.problem()) is not None:
            show_error(problem)

    def take(self, outcome: Outcome) -> None:
        """Count one outcome and say what became of it."""
        self.report.add(outcome)
        self.steps.close()
        if self.bar is None:
            self._tell(outcome, self.results.quiet)
            return
        verbose = self.results.verbose or self.report.total == 1
        prints = verbose or (outcome.error is not None and not self._is_told_later(outcome))
        if prints:
            self.bar.clear()
        self._tell(outcome, not verbose)
        self.bar.step(self.report, at_once=prints)

    def _tell(self, outcome: Outcome, quiet: bool) -> None:
        """Report on an image; what many images would get is said once."""
        if self._is_told_later(outcome):
            assert isinstance(outcome.error, OutputExists)
            self.existing.add(outcome.error)
            if self.results.as_json:
                tell_json(outcome)
            return
        tell_outcome(outcome, quiet, self.results.as_json, self.said)
        if outcome.error is not None and outcome.error.hint is not None:
            self.said.add(outcome.error.hint)
        if not (self.results.verbose or self.results.as_json):
            self.repeated += not quiet and not self.said.isdisjoint(outcome.notes)
            self.said.update(outcome.notes)

    def _is_told_later(self, outcome: Outcome) -> bool:
        """Whether one line at the end tells this error together with others of its kind."""
        several = self.report.total > 1 and not self.results.verbose
        return several and isinstance(outcome.error, OutputExists)

    def sum_up(self) -> None:
        """Say in one line what became of several images."""
        from cnncli.batch.report import summary

        if self.report.total > 1 and not self.results.quiet:
            seconds = None if self.dry_run else time.monotonic() - self.begin
            hidden = self.bar is not None and not self.results.verbose
            tell(summary(self.report, seconds, hidden, self.repeated))


class _Bar:
    """Click's progress bar, drawn now and then; a terminal that goes away stops nothing."""

    def __init__(self, total: int, begin: float) -> None:
        columns = terminal_columns()
        self.begin, self.drawn, self.waiting = begin, begin, 0
        self.bar = click.progressbar(
            length=total,
            file=sys.stderr,
            show_pos=True,
            width=max(4, min(30, columns - 52)),
            bar_template="[%(bar)s]  %(info)s",
            item_show_func=lambda rate: rate,
        )

    def open(self) -> None:
        """Draw it for the first time."""
        with contextlib.suppress(OSError, ValueError):
            self.bar.__enter__()

    def clear(self) -> None:
        """Make room for a line in its place; it must be drawn anew then."""
        tell(CLEAR_LINE, newline=False)

    def step(self, report: Report, at_once: bool) -> None:
        """Take in one more image."""
        now = time.monotonic()
        self.waiting += 1
        if not at_once and now < self.drawn + REDRAW_SECONDS and report.left:
            return
        rate = (report.written + report.failed) / max(now - self.begin, 1e-3)
        with contextlib.suppress(OSError, ValueError):
            self.bar.update(self.waiting, f"{rate:.3g} images/s")
        self.drawn, self.waiting = now, 0

    def close(self) -> None:
        """Leave it as it is, with all images in it, and show the cursor again."""
        with contextlib.suppress(OSError, ValueError):
            self.bar.update(self.waiting)
            self.bar.__exit__(None, None, None)


def tell_outcome(
    outcome: Outcome, quiet: bool, as_json: bool, said: Set[str] = frozenset()
) -> None:
    """Report on one image, for people or as JSON, without hints and notes that are said already."""
    from cnncli.batch import report

    if outcome.error is not None:
        show_error(outcome.error, said)
    if as_json:
        tell_json(outcome)
    elif not quiet:
        for line in report.lines(outcome, said):
            tell(line)
        if outcome.planned:
            click.echo(report.planned_line(outcome))
    if outcome.drawing:
        click.echo(outcome.drawing, nl=False, err=as_json or outcome.to_stdout, color=True)


def tell_json(outcome: Outcome) -> None:
    """Report on one image as JSON."""
    from cnncli.batch import report

    for line in report.json_lines(outcome):
        (tell_whole if outcome.to_stdout else click.echo)(line)


def tell_file(
    line: str, fields: object, quiet: bool, as_json: bool, to_stdout: bool = False
) -> None:
    """Report on a command's only file: a line for people, or an object for programs."""
    from cnncli.render.to_json import json_text

    if as_json:
        (tell_whole if to_stdout else click.echo)(json_text(fields))
    elif not quiet:
        tell(line)


def is_terminal_stream(stream: Any) -> bool:
    """Return whether a standard stream is open and a terminal."""
    return is_open(stream) and bool(stream.isatty())


def _allows_bar(results: ResultOptions) -> bool:
    """Whether a bar on standard error disturbs nothing, and is not disturbed."""
    if results.quiet or results.show or not is_terminal_stream(sys.stderr):
        return False
    return not (results.as_json and is_terminal_stream(sys.stdout))
