"""The process beside a Dask worker in which images are worked on, one at a time.

Like the command it chooses numpy's kernels before numpy loads, so that both make the same bytes; a
picture that kills or stops it kills or stops no worker.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnncli.batch.cluster.payload import PayloadResult, TaskPayload
    from cnncli.pipeline.job import Job
    from cnncli.system.processes import Connection


def serve(connection: Connection) -> None:
    """Answer messages: ``("job", bytes)``, ``("versions", b"")``, ``("payload", bytes)`` and
    ``("payload again", bytes)`` after a process has died over it or was late.

    Those of a payload, a pickled `TaskPayload`, are pickled too.
    """
    import cnncli.batch.cluster.payload  # noqa: F401  (numpy: what asks after its BLAS remembers the answer)
    from cnncli.system import blas

    job: Any = None
    with blas.one_thread():
        while True:
            kind, content = connection.receive()
            if kind == "job":
                job = replace(pickle.loads(content), jobs=1)
            elif kind == "versions":
                from cnncli.batch.cluster.versions import versions

                connection.send(versions())
            else:
                payload = pickle.loads(content)
                if kind == "payload again":
                    payload = replace(payload, again=True)
                answer = work(job, payload)
                connection.send(pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))


def work(job: Job, payload: TaskPayload) -> PayloadResult:
    """Do a job on the image of a payload."""
    from cnncli.batch.cluster.payload import InMemoryFiles, PayloadResult, shared_files
    from cnncli.batch.worker import internal_error
    from cnncli.errors import CnnCliError
    from cnncli.pipeline.job import Outcome
    from cnncli.pipeline.process import attempt, named_error

    source, files = payload.task.source, InMemoryFiles(payload.only)
    try:
        if payload.folder is not None:
            return PayloadResult(attempt(job, payload.task, shared_files(job, payload)))
        return PayloadResult(attempt(job, payload.task, files), tuple(files.files))
    except CnnCliError as error:
        return PayloadResult(Outcome(source, error=named_error(error, source)))
    except Exception as error:
        return PayloadResult(Outcome(source, error=internal_error(error, source)))
