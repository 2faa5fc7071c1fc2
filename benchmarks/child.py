"""Runs one command and prints its seconds, peak memory, exit code and processor time as JSON.

A small process of its own, because Linux counts the memory of whoever starts a command into the
command's peak: ``python -I -S child.py COMMAND [WORD ...]``.
"""

from __future__ import annotations

import json
import os
import sys
import time

BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024
"""What `ru_maxrss` counts in."""


def main(words: list[str]) -> None:
    """Start the command, wait for it and say what it took; its output is thrown away."""
    silence = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, silence, stream) for stream in (0, 1)]
    begin = time.perf_counter()
    child = os.posix_spawnp(words[0], words, os.environ, file_actions=actions)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - begin
    code = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss * BYTES_PER_UNIT
    work = usage.ru_utime + usage.ru_stime
    print(json.dumps({"seconds": seconds, "peak": peak, "code": code, "work": work}))


if __name__ == "__main__":
    main(sys.argv[1:])
