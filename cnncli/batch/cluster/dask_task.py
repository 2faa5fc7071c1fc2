"""The task of a Dask worker: it tells its versions, and does a job on the images that it is sent.

A worker does one image at a time, on as many threads as it has: an image that ends the process or
takes too long is the only one at work there.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Final

import numpy as np
import PIL

from cnncli._version import __version__
from cnncli.batch.worker import outcome_of
from cnncli.errors import CnnCliError
from cnncli.io.fast_codecs import packing, zlib_module
from cnncli.pipeline.files import LocalFiles, MadeFiles, MemoryFiles
from cnncli.pipeline.job import Job, Outcome, Task
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.system import blas

TOPIC: Final = "cnncli"
"""Of the events by which workers tell that they begin an image."""

Payload = tuple[Task, str | None, bool]
"""What is sent for an image. The task, with the image's bytes unless files are shared; the folder
where names of shared files begin; whether a worker that was lost may have written some of them."""

Result = tuple[Outcome, MadeFiles]
"""What became of an image, and the files made, unless they were written there."""

_one_image = threading.Lock()
_jobs: dict[str, Job] = {}
"""The job that was worked on last, by the name of its batch."""


@cache
def versions() -> dict[str, str]:
    """Return the versions of what computes and writes, and what tells how it rounds and packs.

    Examples
    --------
    >>> list(versions())
    ['cnncli', 'Python', 'numpy', 'Pillow', 'BLAS', 'zlib']
    """
    library = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "cnncli": __version__,
        "Python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "numpy": np.__version__,
        "Pillow": PIL.__version__,
        "BLAS": f"{library.get('name')} {library.get('version')} (rounding {blas.rounding()})",
        "zlib": f"{zlib_module().__name__} (packing {packing()})",
    }


def answer(job: bytes | None, request: bytes) -> tuple[str | bytes, ...]:
    """Work on the images of a request.

    Parameters
    ----------
    job : bytes, optional
        The pickled `Job`; None: the worker asks for it, unless it has it.
    request : bytes
        Pickled: a list of Payload, and whether the client is told that they begin.

    Returns
    -------
    tuple
        ``("done", pickled list of Result)`` or ``("no job",)``.
    """
    distributed = import_module("distributed")
    worker = distributed.get_worker()
    key = worker.get_current_task()
    with _one_image, blas.one_thread():
        if key[0] not in _jobs:
            if job is None:
                return ("no job",)
            _jobs.clear()
            _jobs[key[0]] = replace(pickle.loads(job), jobs=worker.state.nthreads)
        payloads, told = pickle.loads(request)
        if told:
            # Waited for, or an image that ends this process at once would not be known to begin.
            event = {"topic": TOPIC, "msg": (key, worker.address)}
            distributed.utils.sync(worker.loop, worker.scheduler.log_event, **event)
        return "done", pickle.dumps([_work(_jobs[key[0]], *payload) for payload in payloads])


def _work(job: Job, task: Task, folder: str | None, again: bool) -> Result:
    """Do a job on an image."""
    options, there, made = job.output, tuple[str, ...](), MadeFiles()
    try:
        with contextlib.chdir(folder) if folder else contextlib.nullcontext():
            if again and not options.overwrite:
                # What is there now came from the lost worker, which wrote whole files: names known
                # before were free when the task was first sent, other ones it refused.
                options = replace(options, skip_existing=True)
                names = () if task.target.pattern.per_map else task.target.unknown_files()
                there = tuple(str(file.path) for file in names if os.path.exists(str(file.path)))
            files = LocalFiles(options) if folder else MemoryFiles(OutputOptions(), made=made)
            outcome = outcome_of(job, task, files)
        if there and outcome.error is None:
            outcome = replace(outcome, skipped=False, in_place=there)
    except OSError as error:
        text = f"--shared-files: no folder '{folder}' on the worker: {error.strerror}"
        hint = "mount it there too, or leave --shared-files away"
        outcome = Outcome(task.source, error=CnnCliError(text, hint=hint))
    return outcome, made
