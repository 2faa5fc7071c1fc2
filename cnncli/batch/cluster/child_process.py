"""The process beside a Dask worker in which images are worked on, one at a time.

Like the command it chooses numpy's kernels before numpy loads, so that both make the same bytes; a
picture that kills or stops it kills or stops no worker.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from cnncli.batch.pipes import receive, send

if TYPE_CHECKING:
    from cnncli.batch.cluster.payload import Answer, Parcel
    from cnncli.pipeline.job import Job


def main() -> None:
    """Work on what comes in on standard input until it ends; answer on standard output."""
    from cnncli.system.cpu import choose_blas_kernels

    choose_blas_kernels()
    inward, outward = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    import cnncli.batch.cluster.payload  # noqa: F401  (numpy: what asks after its BLAS remembers the answer)
    from cnncli.system import blas

    with blas.one_thread():
        _serve(inward, outward)


def _serve(inward: int, outward: int) -> None:
    job: Any = None
    for kind, content in _messages(inward):
        if kind == "job":
            job = replace(pickle.loads(content), jobs=1)
        elif kind == "facts":
            from cnncli.batch.cluster.versions import facts

            send(outward, facts())
        else:
            send(outward, pickle.dumps(work(job, pickle.loads(content)), pickle.HIGHEST_PROTOCOL))


def _messages(descriptor: int) -> Iterator[tuple[str, bytes]]:
    """Yield what comes in; end this process at once, whatever it does, when no more can come."""
    arrived: SimpleQueue[tuple[str, bytes]] = SimpleQueue()

    def listen() -> None:
        try:
            while True:
                arrived.put(receive(descriptor))
        except BaseException:
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield arrived.get()


def work(job: Job, parcel: Parcel) -> Answer:
    """Do a job on the image of a parcel."""
    from cnncli.batch.cluster.payload import Answer, ParcelPlace, shared_place
    from cnncli.batch.worker import internal_error
    from cnncli.errors import CnnCliError
    from cnncli.pipeline.job import Outcome
    from cnncli.pipeline.process import attempt, named_error

    source, place = parcel.task.source, ParcelPlace(parcel.only)
    try:
        if parcel.folder is not None:
            return Answer(attempt(job, parcel.task, shared_place(job, parcel)))
        return Answer(attempt(job, parcel.task, place), tuple(place.files))
    except CnnCliError as error:
        return Answer(Outcome(source, error=named_error(error, source)))
    except Exception as error:
        return Answer(Outcome(source, error=internal_error(error, source)))


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)
