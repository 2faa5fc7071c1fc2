"""Kill cnncli with signal 9 at random moments and see what is left of its outputs.

``python -m tests.support.killed --count 500 --seed N`` from the repository's
folder; the suite does 48. Every output must be missing, or what was there before, or the same
bytes as of a run that was left alone; and nothing else may be left.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.patience import until

COMMANDS = {
    "png": ("conv", "photo.png", "-f", "sharpen", "-o", "out/y.png"),
    "small png": ("pool", "photo.png", "-o", "out/y.png", "--compress", "small", "--size", "5"),
    "npy": ("pad", "photo.png", "--padding", "9", "-o", "out/y.npy"),
    "jpg": ("pool", "photo.png", "-o", "out/y.jpg"),
    "tif": ("pool", "photo.png", "-o", "out/y.tif", "--depth", "float"),
    "folder": ("conv", "photo.png", "-f", "gabor_color", "--stride", "4", "-o", "out/"),
    "archive": ("run", "net.toml", "photo.png", "-o", "out/y.npz"),
    "images": ("pool", "in", "-o", "out/"),
}
NETWORK = '[[layers]]\ntype = "pool"\n[[layers]]\ntype = "pool"\n'
OLD = b"what was there before"


@dataclass
class Case:
    """One command, what it leaves when it is left alone, and how long it takes."""

    name: str
    words: tuple[str, ...]
    overwrite: bool
    whole: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def before(self) -> dict[str, bytes]:
        """The outputs that are there already."""
        return dict.fromkeys(self.whole, OLD) if self.overwrite else {}

    def measure(self) -> None:
        times = []
        for _ in range(3):
            _empty(self.before)
            began = time.monotonic()
            assert _wait(self.start()) == 0, self.name
            times.append(time.monotonic() - began)
            self.whole = _files()
        self.seconds = sorted(times)[1]
        assert self.whole

    def start(self) -> int:
        """Run the command in a child, through its own entry point."""
        pid = os.fork()
        if pid == 0:
            code = 3
            try:
                os.setpgid(0, 0)
                from cnncli.cli import cli

                words = [*self.words, "-q", *(["--overwrite"] if self.overwrite else [])]
                code = cli.main(words, standalone_mode=False) or 0
            finally:
                os._exit(code)
        return pid


@dataclass
class Tally:
    """What became of all runs."""

    killed: int = 0
    finished: int = 0
    replaced: int = 0
    hidden: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, case: Case, status: int, label: str) -> None:
        before = case.before
        self.killed += os.WIFSIGNALED(status)
        self.finished += not os.WIFSIGNALED(status)
        left = _files()
        self.replaced += any(left.get(name) == data for name, data in case.whole.items())
        for name, data in left.items():
            if name.startswith(".cnncli-") and name.endswith(".tmp"):
                self.hidden += 1
                if not before:
                    self.wrong.append(f"{label}: {name} was left behind")
            elif data not in (before.get(name), case.whole.get(name)):
                self.wrong.append(f"{label}: {name} is neither old nor whole")
        self.wrong += [f"{label}: the old {name} is gone" for name in before if name not in left]


def _files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("out").iterdir()}


def _empty(files: dict[str, bytes]) -> None:
    """Give the folder of outputs just these files."""
    shutil.rmtree("out", ignore_errors=True)
    Path("out").mkdir()
    for name, data in files.items():
        Path("out", name).write_bytes(data)


def _wait(pid: int) -> int:
    """Wait for a child, and for its workers, which notice a moment later that it is gone."""
    status = os.waitpid(pid, 0)[1]
    until(lambda: not _has_processes(pid))
    return status


def _has_processes(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _make_inputs() -> None:
    values = np.random.default_rng(9).integers(0, 256, (700, 900, 3), np.uint8)
    Image.fromarray(values).save("photo.png")
    Path("net.toml").write_text(NETWORK)
    Path("in").mkdir()
    for number in range(12):
        Image.fromarray(values[number::3, ::3]).save(f"in/{number}.png")


def campaign(count: int, seed: int) -> Tally:
    """Kill `count` runs in the current folder."""
    from cnncli.filters import filter  # noqa: F401
    from cnncli.network import load  # noqa: F401
    from cnncli.pipeline import (
        feature_maps,  # noqa: F401
        process,  # noqa: F401
        write,  # noqa: F401
    )

    _make_inputs()
    cases = [Case(name, COMMANDS[name], old) for old in (False, True) for name in COMMANDS]
    for case in cases:
        case.measure()
    rnd, tally = random.Random(seed), Tally()
    for number in range(count):
        case = cases[number % len(cases)]
        _empty(case.before)
        pid = case.start()
        # Most of the time of these commands goes into encoding and writing.
        time.sleep(rnd.uniform(0, 1.1) * case.seconds)
        os.kill(pid, signal.SIGKILL)
        tally.add(case, _wait(pid), f"run {number}, {case.name}")
    return tally


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    options = parser.parse_args(arguments)
    start = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        tally = campaign(options.count, options.seed)
        os.chdir(start)
    print("\n".join(tally.wrong))
    print(f"{options.count} runs, seed {options.seed}: {tally.killed} killed midway, "
          f"{tally.finished} had finished, {tally.replaced} had put an output in place, "
          f"{tally.hidden} left a hidden file, {len(tally.wrong)} faults")  # fmt: skip
    return 1 if tally.wrong or tally.killed < options.count // 2 else 0


if __name__ == "__main__":
    sys.exit(main())
