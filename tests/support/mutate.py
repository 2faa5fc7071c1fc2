"""Give cnncli many broken files and see that it refuses each as it should.

``python -m tests.support.mutate --count 1000000 --seed N`` from the repository's
folder does as many as asked; the suite does 3,000 pictures, as many filters and 1,500 networks.
Children of this process run the command's own entry point, so that a crash, a hang and a run for
memory are met too.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import mmap
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support import mutants
from tests.support.patience import patient

KINDS = ("images", "filters", "networks")
HANG_SECONDS = round(patient(2))
ROOM = 2**30
MOST_SHOWN = 20
MAX_PIXELS = 10**6


@dataclass(frozen=True)
class Trial:
    """One broken file and the command that is given it."""

    name: str
    data: bytes
    words: tuple[str, ...]
    by_stdin: bool = False
    jobs: int = 1


class Source:
    """The trials of one kind; each depends on the seed and its number alone."""

    def __init__(self, kind: str, seed: int) -> None:
        self.kind, self.seed = kind, seed
        corpora = {
            "images": mutants.picture_corpus,
            "filters": mutants.filter_corpus,
            "networks": mutants.network_corpus,
        }
        self.corpus = corpora[kind]()
        if kind == "images":
            self.corpus += _own_pictures()

    def trial(self, number: int) -> Trial:
        rnd = random.Random(f"{self.kind} {self.seed} {number}")
        if self.kind == "images":
            return _image_trial(rnd, self.corpus)
        if self.kind == "filters":
            return _filter_trial(rnd, self.corpus)
        suffix, data = mutants.mutated_network(rnd, self.corpus)
        name = f"bad.{suffix}"
        layers = rnd.choice((("run", name, "x.png"), ("plan", name, "--input", "14x17x3")))
        return Trial(name, data, layers if layers[0] == "plan" else (*layers, "-o", "y.npz"))


def _own_pictures() -> list[tuple[str, bytes]]:
    """Pictures that carry a record of cnncli's, for --as-values."""
    from cnncli.cli import cli

    found = []
    Image.fromarray(np.arange(238, dtype=np.uint8).reshape(14, 17)).save("own.png")
    # A record is found whatever the name.
    for name in ("a.png", "b.tif", "c.jpg", "d.gif", "e.webp"):
        depth = ("--depth", "float") if name == "b.tif" else ()
        words = ["conv", "own.png", "-f", "1 0 -1", "-f", "1 -2 1", "-o", name, "-q", *depth]
        cli.main(words, standalone_mode=False)
        found.append((Path(name).suffix[1:], Path(name).read_bytes()))
        Path(name).unlink()
    Path("own.png").unlink()
    return found


def _image_trial(rnd: random.Random, corpus: Sequence[tuple[str, bytes]]) -> Trial:
    suffix, data = mutants.mutated_picture(rnd, corpus)
    name = rnd.choice((f"bad.{suffix}", "bad"))
    by_stdin = rnd.random() < 0.1
    given = () if by_stdin else (name,)
    limit = ("--max-pixels", str(MAX_PIXELS))
    commands: tuple[tuple[str, ...], ...] = (
        ("pool", *given, "-o", "y.npy"),
        ("pool", *given, "-o", "y.png"),
        ("conv", *given, "-f", "edge", "-o", "y.png"),
        ("pad", *given, "--padding", "1", "-o", "y.npy", "--gray"),
        ("pool", *given, "-o", "y.npy", "--as-values"),
        ("pool", *given, "-o", "y.npy", "--frame", "1"),
        ("pool", *given, "-o", "y.npy", "--background", "red"),
        ("run", "good.toml", *given, "-o", "y.npy"),
    )
    words = (*rnd.choice(commands), *limit)
    if not by_stdin and rnd.random() < 0.05:
        words = ("plan", "good.toml", "--image", name, *limit)
    return Trial(name, data, words, by_stdin, jobs=rnd.choice((1, 2)))


def _filter_trial(rnd: random.Random, corpus: Sequence[tuple[str, bytes]]) -> Trial:
    suffix, data = mutants.mutated_filter(rnd, corpus)
    name = f"bad.{suffix}"
    given = name + rnd.choice(("", "", ":W")) if suffix in ("npz", "safetensors") else name
    commands: tuple[tuple[str, ...], ...] = (
        ("conv", "x.png", "-f", given, "-o", "y.npy"),
        ("conv", "x.png", "-f", given, "-o", "y.png"),
        ("conv", "x.png", "-f", given, "-f", "edge", "--normalize", "-o", "y.npy"),
        ("conv", "x.png", "-f", given, "--filter-layout", "oihw", "--flip", "-o", "y.npy"),
        ("conv", "x.png", "-f", "edge", "--bias", given, "-o", "y.npy"),
        ("filters", "show", given),
        ("pool", name, "-o", "y.npy"),
    )
    return Trial(name, data, rnd.choice(commands))


def fault(trial: Trial, before: set[str]) -> str | None:
    """Run one trial in the current folder; return what was wrong, or None."""
    Path(trial.name).write_bytes(trial.data)
    shown = io.TextIOWrapper(io.BytesIO(), "utf-8")
    given = io.TextIOWrapper(io.BytesIO(trial.data if trial.by_stdin else b""))
    code: Any = None
    try:
        with contextlib.redirect_stdout(shown):
            sys.stdin = given
            code = _entry(trial)
    except BaseException:
        return traceback.format_exc()
    shown.flush()
    text = _said()
    left = set(os.listdir()) - before - {trial.name}
    out = shown.buffer.getvalue()  # type: ignore[attr-defined]
    for name in (*left, trial.name):
        os.unlink(name)
    return _complaint(code, text, out, left, trial)


def _said() -> str:
    """Take what is on file descriptor 2, where C libraries write too."""
    sys.stderr.flush()
    os.lseek(2, 0, os.SEEK_SET)
    with open(2, "rb", buffering=0, closefd=False) as file:
        text = file.read()
    os.lseek(2, 0, os.SEEK_SET)
    os.ftruncate(2, 0)
    return text.decode("utf-8", "replace")


def _entry(trial: Trial) -> Any:
    from cnncli.cli import cli

    jobs = () if trial.words[0] in ("plan", "filters") else ("--jobs", str(trial.jobs))
    return cli.main([*trial.words, *jobs], standalone_mode=False)


def _complaint(code: Any, text: str, out: bytes, left: set[str], trial: Trial) -> str | None:
    lines = text.splitlines()
    writes = trial.words[0] not in ("plan", "filters")
    if code in (0, None):
        wanted = {trial.words[trial.words.index("-o") + 1]} if writes else set()
        if left != wanted:
            return f"exit 0 left {sorted(left)}\n{text}"
        return f"exit 0 with an error\n{text}" if "cnncli: error" in text else None
    if code not in (1, 2):
        return f"exit {code}\n{text}"
    if left or out:
        return f"exit {code} left {sorted(left)} and wrote {out[:80]!r}\n{text}"
    if not lines or not lines[0].startswith("cnncli: error: ") or len(lines) > 2:
        return f"not one line of error\n{text}"
    if (len(lines) == 2 and not lines[1].startswith("hint: ")) or not "".join(lines).isprintable():
        return f"not one hint\n{text}"
    if "not enough memory" in text or "needs about" in text:
        return f"ran for memory\n{text}"
    return None


class Slot:
    """What a child is at, readable when it has died."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 16)

    def set(self, number: int, done: int) -> None:
        self.memory[:] = struct.pack("<qq", number, done)

    def get(self) -> tuple[int, int]:
        return struct.unpack("<qq", self.memory[:])


def child(source: Source, numbers: range, slot: Slot, report: int) -> None:
    """Run trials until one is wrong or all are done; never returns."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
        os.chdir(folder)
        _make_good_files()
        before = set(os.listdir())
        _limit_memory()
        os.dup2(os.memfd_create("said"), 2)
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        for number in numbers:
            slot.set(number, 0)
            signal.alarm(HANG_SECONDS)
            problem = fault(source.trial(number), before)
            signal.alarm(0)
            if problem:
                os.write(report, f"--- {source.kind} {number}\n{problem}\n".encode())
                for name in set(os.listdir()) - before:
                    os.unlink(name)
        slot.set(-1, 1)
        os.chdir("..")
    os._exit(0)


def _make_good_files() -> None:
    rnd = np.random.default_rng(8)
    Image.fromarray(rnd.integers(0, 256, (14, 17, 3), np.uint8)).save("x.png")
    np.save("bank.npy", rnd.normal(size=(3, 3, 3, 2)))
    Path("good.toml").write_text('[input]\nsize = [9, 8]\n[[layers]]\ntype = "pool"\n')


def _limit_memory() -> None:
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, now + ROOM))


def campaign(kind: str, seed: int, count: int, jobs: int, first: int = 0) -> list[str]:
    """Run trials ``first`` to ``first + count`` on several processes; return what was wrong."""
    source = Source(kind, seed)
    # The command's modules, loaded once for all children.
    from cnncli.filters import filter  # noqa: F401
    from cnncli.io import images  # noqa: F401
    from cnncli.network import load  # noqa: F401
    from cnncli.pipeline import (
        feature_maps,  # noqa: F401
        process,  # noqa: F401
    )

    problems: list[str] = []
    waiting = [range(first + part, first + count, jobs) for part in range(jobs)]
    running: dict[int, tuple[Slot, range, int]] = {}
    while waiting or running:
        while waiting:
            _start(source, waiting.pop(), running)
        pid, status = os.wait()
        slot, numbers, report = running.pop(pid)
        os.lseek(report, 0, os.SEEK_SET)
        with os.fdopen(report, "rb") as file:
            told = file.read().decode("utf-8", "replace")
        number, done = slot.get()
        if told:
            problems.append(told)
        if not done:
            problems.append(f"--- {kind} {number}\nthe process died: {_death(status)}\n")
            waiting.append(range(number + numbers.step, numbers.stop, numbers.step))
    return problems


def _start(source: Source, numbers: range, running: dict[int, Any]) -> None:
    slot = Slot()
    report = os.memfd_create("report")
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            child(source, numbers, slot, report)
        except BaseException:
            os.write(report, traceback.format_exc().encode())
        os._exit(1)
    running[pid] = (slot, numbers, report)


def _death(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return "a hang" if number == signal.SIGALRM else signal.Signals(number).name
    return f"exit {os.WEXITSTATUS(status)}"


def show(kind: str, seed: int, number: int) -> None:
    """Write a trial's file into the current folder and say its command."""
    trial = Source(kind, seed).trial(number)
    Path(trial.name).write_bytes(trial.data)
    print(" ".join(("cnncli", *trial.words)), f"< {trial.name}" if trial.by_stdin else "")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=(*KINDS, "all"), default="all")
    parser.add_argument("--count", type=int, default=10_000, help="of each kind")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--show", type=int, metavar="NUMBER", help="write this one's file here")
    options = parser.parse_args(arguments)
    kinds = KINDS if options.kind == "all" else (options.kind,)
    if options.show is not None:
        show(kinds[0], options.seed, options.show)
        return 0
    wrong = 0
    start = os.getcwd()
    folder = tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    try:
        os.chdir(folder)
        for kind in kinds:
            began = time.monotonic()
            problems = campaign(kind, options.seed, options.count, options.jobs, options.first)
            print("\n".join(problems[:MOST_SHOWN]), end="")
            print(f"{kind}: {options.count} files, seed {options.seed}, {len(problems)} reports, "
                  f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
            wrong += len(problems)
    finally:
        os.chdir(start)
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
