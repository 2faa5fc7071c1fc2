"""A layer that does to its process what the height of its input tells: faults for worker tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cnncli.batch.cluster.payload import SharedFiles
from cnncli.network.layers import PoolLayer, Shape
from cnncli.pipeline.files import LocalFiles
from cnncli.pipeline.output_names import OutFile

SOUND = 20
SLOW, KILLED, HANG, WORKER_KILLED, WORKER_KILLED_ONCE, BUG = 21, 22, 23, 24, 25, 26
PLACED, PLACED_ONCE, WORKER_PLACED = 27, 28, 29
"""Killed when the file is in its place: the process of the image, that once, its Dask worker."""
STOPPED = 30
"""The process of the image is stopped."""


@dataclass(frozen=True)
class FaultLayer(PoolLayer):
    """A pool that shapes of some heights do not survive.

    Parameters
    ----------
    folder : str
        Where it leaves marks.
    """

    folder: str = ""

    def output_shape(self, shape: Shape) -> Shape:
        self._befall(shape[1])
        return super().output_shape(shape)

    def _befall(self, height: int) -> None:
        if height == SLOW:
            time.sleep(0.03)  # shapes are asked for several times
        elif height == KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        elif height == HANG:
            time.sleep(60)
        elif height == STOPPED:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif height in (PLACED, WORKER_PLACED) or (height == PLACED_ONCE and self._is_first()):
            SharedFiles.open = _deadly(height == WORKER_PLACED)  # type: ignore[method-assign]
        elif height == BUG:
            raise ValueError("a bug")
        elif height == WORKER_KILLED or (height == WORKER_KILLED_ONCE and self._is_first()):
            # The process beside a Dask worker is the worker's child.
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)

    def _is_first(self) -> bool:
        try:
            Path(self.folder, "befallen").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def _deadly(worker: bool) -> Callable[[SharedFiles, OutFile], AbstractContextManager[BinaryIO]]:
    """Return a way to open a file after which this process dies, or its worker."""

    @contextmanager
    def opened(files: SharedFiles, file: OutFile) -> Iterator[BinaryIO]:
        with LocalFiles.open(files, file) as stream:
            yield stream
        os.kill(os.getppid() if worker else os.getpid(), signal.SIGKILL)
        time.sleep(60)

    return opened
