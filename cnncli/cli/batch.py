"""Where the work on images is done, by the options that say so and change no result."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from cnncli.batch.run import Runner
    from cnncli.pipeline.job import Job

WITH_VALUE: Final = ("-j", "--jobs", "--timeout", "--cluster", "--cluster-timeout")
ALONE: Final = ("--shared-files",)
JOINED: Final = re.compile(r"(-[qrv]+)j(\d*)")
"""Short options without a value and ``-j`` in one word."""


def choose_runner(job: Job, count: int, shared: dict[str, Any]) -> Runner:
    """Return who does the work: a cluster, worker processes, or for one image this process."""
    from cnncli.batch.run import InlineRunner

    if shared["shared_files"] and not shared["cluster"]:
        raise click.UsageError("--shared-files is for --cluster.")
    if shared["dry_run"]:
        from cnncli.batch.dry_run import PreviewRunner

        return PreviewRunner()
    if shared["cluster"]:
        from cnncli.batch.cluster.runner import ClusterRunner

        where = shared["cluster"], shared["cluster_timeout"]
        return ClusterRunner(*where, shared["timeout"], shared["shared_files"])
    if count == 1 and shared["timeout"] is None:
        return InlineRunner()
    from cnncli.batch.pool import WorkerRunner

    return WorkerRunner(job.jobs, shared["timeout"], ahead=not shared["fail_fast"])


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
        name, given, _ = word.partition("=")
        if joined := JOINED.fullmatch(word):
            kept.append(joined[1])
            if not joined[2]:
                next(words, None)
        elif name in WITH_VALUE and not given:
            next(words, None)
        elif name not in (*WITH_VALUE, *ALONE) and not re.fullmatch(r"-j\d+", word):
            kept.append(word)
    return shlex.join(kept)
