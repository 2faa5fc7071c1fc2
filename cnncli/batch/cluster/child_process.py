"""The process beside a Dask worker in which images are worked on, one at a time.

Like the command it chooses numpy's kernels before numpy loads, so that both make the same bytes; a
picture that kills or stops it kills or stops no worker.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnncli.batch.cluster.payload import Answer, Parcel
    from cnncli.pipeline.job import Job
    from cnncli.system.processes import Connection


def serve(connection: Connection) -> None:
    """Answer messages until there are no more: ``("job", pickled Job)``, ``("facts", b"")`` and
    ``("parcel", pickled Parcel)``."""
    import cnncli.batch.cluster.payload  # noqa: F401  (numpy: what asks after its BLAS remembers the answer)
    from cnncli.system import blas

    job: Any = None
    with blas.one_thread():
        while True:
            kind, content = connection.receive()
            if kind == "job":
                job = replace(pickle.loads(content), jobs=1)
            elif kind == "facts":
                from cnncli.batch.cluster.versions import facts

                connection.send(facts())
            else:
                answer = work(job, pickle.loads(content))
                connection.send(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))


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
