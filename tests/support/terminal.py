"""Run cnncli in a pseudo-terminal, as a person would."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

from tests.support.patience import until


class Terminal:
    """One command line whose standard error is a terminal, and whose standard input is a pipe.

    Parameters
    ----------
    process : subprocess.Popen
    screen : int
        The other side of the terminal.
    """

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process, self.screen = process, screen
        self.shown = b""

    def wait_for(self, text: bytes) -> None:
        """Wait until a text was written."""
        until(lambda: text in self._read())

    def send(self, data: bytes) -> None:
        """Write to the command's standard input, and close it."""
        assert self.process.stdin is not None
        with self.process.stdin as pipe:
            pipe.write(data)

    def end(self) -> int:
        """Wait for the command's end; return its exit code."""
        until(lambda: (self._read(), self.process.poll() is not None)[1])
        self._read()
        return self.process.returncode

    def _read(self) -> bytes:
        with contextlib.suppress(OSError):
            while select.select([self.screen], [], [], 0)[0]:
                data = os.read(self.screen, 65536)
                if not data:
                    break
                self.shown += data
        return self.shown


@contextlib.contextmanager
def in_terminal(*args: object, stdout: int | IO[bytes] = subprocess.DEVNULL) -> Iterator[Terminal]:
    """Begin one command line in a terminal of its own; its standard output goes elsewhere."""
    import pty

    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "cnncli", *map(str, args)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stdout, stderr=terminal)
    os.close(terminal)
    try:
        yield Terminal(process, screen)
    finally:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()
        os.close(screen)
