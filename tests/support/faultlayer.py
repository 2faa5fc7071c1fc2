"""A layer that does to its process what the height of its input tells: faults for worker tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cnncli.network.layers import PoolLayer, Shape
from cnncli.pipeline.files import LocalFiles, open_output
from cnncli.pipeline.layer_result import OutFile

SOUND = 20
SLOW, KILLED, KILLED_ONCE, HANG, STOPPED, BUG, PLACED, KILLED_THEN_BUG = range(21, 29)
"""Placed: killed when the file is in its place."""


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
        elif height == KILLED or (height in (KILLED_ONCE, KILLED_THEN_BUG) and self._is_first()):
            os.kill(os.getpid(), signal.SIGKILL)
        elif height == HANG:
            time.sleep(60)
        elif height == STOPPED:
            os.kill(os.getpid(), signal.SIGSTOP)
        elif height == PLACED:
            LocalFiles.open = _deadly  # type: ignore[method-assign]
        elif height in (BUG, KILLED_THEN_BUG):
            raise ValueError("a bug")

    def _is_first(self) -> bool:
        try:
            Path(self.folder, "befallen").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


@contextmanager
def _deadly(files: LocalFiles, file: OutFile) -> Iterator[BinaryIO]:
    """Open a file, after which this process dies."""
    with open_output(file.path, overwrite=files.options.overwrite) as stream:
        yield stream
    os.kill(os.getpid(), signal.SIGKILL)
