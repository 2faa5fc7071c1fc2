"""Signals to real processes: how they end, and that nothing is left of them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.patience import patient, until
from tests.support.shell import pixels, run_shell, save, snapshot, values_of
from tests.support.sweep import sweep

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
pytestmark = linux

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
RANDOM = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@contextlib.contextmanager
def started(*words: object) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command line; whatever becomes of it, it has ended afterwards."""
    command = [sys.executable, "-m", "cnncli", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[bytes], number: int) -> tuple[int, str]:
    """Send a signal; return exit code and errors, checked to come without a traceback."""
    process.send_signal(number)
    _, error = process.communicate(timeout=patient(10))
    assert b"Traceback" not in error
    return process.returncode, error.decode()


def children(pid: int) -> list[int]:
    """Return the processes that a process has started, but for those that have ended."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def photos(count: int, side: int = 60) -> None:
    Path("in").mkdir()
    save("photo.png", RANDOM.integers(0, 256, (side, side, 3), np.uint8))
    for index in range(count):
        Path(f"in/{index:04d}.png").hardlink_to("photo.png")


def made() -> list[Path]:
    return sorted(Path("out").glob("*.png")) if Path("out").exists() else []


def slow_batch(count: int = 400, jobs: int = 2) -> tuple[object, ...]:
    photos(count)
    return ("pad", "in", "--padding", 300, "-o", "out/", "--jobs", jobs)


def check_whole() -> None:
    """Check that all there is are whole pictures."""
    assert all(path.suffix == ".png" for path in Path("out").iterdir()), list(snapshot("out"))
    assert all(pixels(path).shape == (660, 660, 3) for path in made())


@pytest.mark.slow
@pytest.mark.parametrize(("number", "jobs"), sweep(CODES, [1, 2, 5], keep=2))
def test_a_signal_to_a_batch(number: signal.Signals, jobs: int) -> None:
    with started(*slow_batch(jobs=jobs)) as process:
        until(lambda: len(made()) >= 3)
        workers = children(process.pid)
        assert len(workers) == jobs
        code, error = ended(process, number)
        assert not any(map(lives, workers))
    assert code == CODES[number]
    last = error.splitlines()[-1]
    word, done = last.rpartition(": ")[::2]
    assert word == "cnncli: error: interrupted" and done.endswith(" of 400 done")
    # What was written in the last moments need not have been told.
    assert 0 <= len(made()) - int(done.split()[0]) <= 4 * jobs
    check_whole()


@pytest.mark.parametrize(
    ("number", "extra"), sweep(CODES, [(), ("--jobs", 1), ("--timeout", 60)], keep=1)
)
def test_a_signal_to_one_image(number: signal.Signals, extra: tuple[object, ...]) -> None:
    save("big.png", RANDOM.integers(0, 256, (2000, 2000, 3), np.uint8), compress_level=0)
    before = snapshot()
    words = ("conv", "big.png", "-f", "gaussian_15", "--range", "minmax", "-o", "out/")
    with started(*words, *extra) as process:
        until(lambda: loads_numpy(process.pid))
        time.sleep(RANDOM.uniform(0, 0.3))
        code, error = ended(process, number)
    assert (code, error) == (CODES[number], "cnncli: error: interrupted\n")
    with contextlib.suppress(OSError):
        Path("out").rmdir()
    assert snapshot() == before


def loads_numpy(pid: int) -> bool:
    return "_multiarray_umath" in Path(f"/proc/{pid}/maps").read_text()


def test_a_signal_while_modules_load() -> None:
    for delay in (0.03, 0.06, 0.1):
        with started("filters", "list") as process:
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=patient(10))
        # Before Python has begun with the command it has its own way to end.
        assert process.returncode in (130, -2, 0, 1), error


@pytest.mark.slow
def test_what_is_ignored_stays_so() -> None:
    photos(6)
    line = 'trap "" HUP; cnncli pool in -o out/ & pid=$!; sleep 0.1; kill -HUP $pid; wait $pid'
    done = run_shell(line)
    assert done.returncode == 0 and len(made()) == 6, done.stderr


@pytest.mark.slow
def test_workers_leave_ctrl_c_to_their_parent() -> None:
    with started(*slow_batch(24)) as process:
        until(lambda: len(made()) >= 2)
        for worker in children(process.pid):
            os.kill(worker, signal.SIGINT)
            os.kill(worker, signal.SIGHUP)
        _, error = process.communicate(timeout=patient(20))
    assert process.returncode == 0 and len(made()) == 24, error


@pytest.mark.slow
def test_a_killed_parent_leaves_nobody() -> None:
    photos(400)
    for _ in range(5):
        enough = len(made()) + 3
        words = ("pad", "in", "--padding", 300, "-o", "out/", "--skip-existing", "--jobs", 3)
        with started(*words) as process:
            until(lambda enough=enough: len(made()) >= enough)
            workers = children(process.pid)
            assert len(workers) == 3
            process.kill()
            process.wait(timeout=patient(10))
            until(lambda workers=workers: not any(map(lives, workers)))
        check_whole()


@pytest.mark.slow
def test_a_worker_killed_now_and_then_loses_no_image() -> None:
    shots = random.Random(2)
    with started(*slow_batch(150), "--json") as process:
        killed, enough = 0, 1
        while len(made()) < 130:
            # By then the image that the last death was over is done: nothing overtakes it but what
            # was in work.
            until(lambda enough=enough: len(made()) >= enough)
            os.kill(shots.choice(children(process.pid)), signal.SIGKILL)
            killed, enough = killed + 1, len(made()) + 8
        output, error = process.communicate(timeout=patient(60))
    assert process.returncode == 0, error
    assert killed >= 5 and len(output.splitlines()) == len(made()) == 150
    assert len({line.split(b'"input": ')[1] for line in output.splitlines()}) == 150
    check_whole()


@pytest.mark.slow
def test_a_reader_that_has_gone_while_a_worker_writes() -> None:
    photos(0, side=400)
    line = "cnncli pad photo.png --padding 0 -o - --timeout 60 | head -c 10"
    done = run_shell(line)
    assert (done.returncode, done.stderr, len(done.stdout)) == (141, b"", 10)


def test_a_reader_of_reports_that_has_gone() -> None:
    # More lines than a pipe holds: the batch cannot end before its reader does.
    photos(900)
    line = "cnncli pool in -o out/ --json --jobs 2 | head -c 10"
    done = run_shell(line)
    assert (done.returncode, done.stderr, len(done.stdout)) == (141, b"", 10)
    assert len(made()) < 900


@pytest.mark.slow
def test_standard_input_in_a_worker() -> None:
    photos(0)
    assert run_shell("cnncli pool --timeout 60 -o y.npy < photo.png").returncode == 0
    assert np.array_equal(np.load("y.npy"), values_of("pool", "photo.png"))
    os.mkfifo("nobody-writes")
    done = run_shell("cnncli pool --timeout 0.5 -o x.npy 0<> nobody-writes")
    reason = b"'standard input': took longer than --timeout 0.5 s\n"
    assert done.returncode == 1 and done.stderr.startswith(b"cnncli: error: " + reason)
    assert not Path("x.npy").exists()


def test_importing_changes_no_signal() -> None:
    code = """
import signal
def handlers():
    return [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
before = handlers()
import cnncli.cli, cnncli.system.signals, cnncli.batch.worker_pool
assert handlers() == before and signal.set_wakeup_fd(-1) == -1
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=patient(20))


def test_a_second_signal_ends_at_once() -> None:
    with started(*slow_batch(jobs=3)) as process:
        until(lambda: len(made()) >= 3)
        workers = children(process.pid)
        # Workers that do not listen: their parent would wait for them a little.
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        code, error = ended(process, signal.SIGINT)
        until(lambda: not any(map(lives, workers)))
    assert code == 130 and error.splitlines()[-1].startswith("cnncli: error: interrupted: ")
    check_whole()


@pytest.mark.slow
@pytest.mark.parametrize("number", sweep(CODES, keep=1))
def test_a_call_that_does_not_end_is_left(number: signal.Signals) -> None:
    # A lock taken twice: the main thread is in C for good, and its handlers never run.
    code = """
import ctypes, sys
from cnncli.pipeline import process
from cnncli.__main__ import main
def stuck(*_):
    libc, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(lock)
    print("stuck", flush=True)
    libc.pthread_mutex_lock(lock)
process.process = stuck
sys.argv[1:] = ["pool", "photo.png"]
main()
"""
    photos(0)
    before = snapshot()
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"stuck\n"
        assert ended(process, number) == (CODES[number], "cnncli: error: interrupted\n")
    assert snapshot() == before


@pytest.mark.parametrize("number", sweep(CODES, keep=1))
def test_an_interruption_that_became_another_error_is_one_all_the_same(
    number: signal.Signals,
) -> None:
    # As Python 3.11 does to a signal that comes while a class is being made.
    code = """
import os, signal, sys, time
from cnncli.pipeline import process
from cnncli.__main__ import main
def wrap(*_):
    try:
        os.kill(os.getpid(), NUMBER)
        time.sleep(9)
    except KeyboardInterrupt as error:
        raise RuntimeError("Error calling __set_name__") from error
process.process = wrap
sys.argv[1:] = ["pool", "photo.png"]
main()
"""
    photos(0)
    assert run_python(code.replace("NUMBER", str(int(number)))) == (
        CODES[number],
        "cnncli: error: interrupted\n",
    )


def run_python(source: str) -> tuple[int, str]:
    """Run some Python in a process of its own; return its exit code and errors."""
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, capture_output=True, timeout=patient(20), check=False)
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("number", sweep(CODES, keep=1))
def test_an_interruption_in_a_callback_is_raised_again(number: signal.Signals) -> None:
    # Python ignores what a callback raises, and would show its traceback.
    code = """
import os, sys, time, weakref
from cnncli.pipeline import process
from cnncli.system import signals
from cnncli.__main__ import main
signals.UNWIND = 600
class Thing:
    pass
def callback(_):
    os.kill(os.getpid(), NUMBER)
    time.sleep(0.1)
def wait(*_):
    thing = Thing()
    reference = weakref.ref(thing, callback)
    del thing
    while True:
        time.sleep(0.01)
process.process = wait
sys.argv[1:] = ["pool", "photo.png"]
main()
"""
    photos(0)
    assert run_python(code.replace("NUMBER", str(int(number)))) == (
        CODES[number],
        "cnncli: error: interrupted\n",
    )
