"""Many broken files, and many processes killed: see `mutate` and `killed`, which do any number."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import mutate
from tests.support.patience import patient

REPOSITORY = Path(__file__).resolve().parents[2]
SEED = os.environ.get("CNNCLI_FAULTS_SEED", "23")
"""The same files in every run; another number tries others."""


def run(script: str, *words: str) -> None:
    command = [sys.executable, "-m", f"tests.support.{script}", "--seed", SEED, *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=patient(900), cwd=REPOSITORY
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"seed {SEED}" in done.stdout


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("all", 60),
        pytest.param("images", 3_000, marks=pytest.mark.slow),
        pytest.param("filters", 3_000, marks=pytest.mark.slow),
        pytest.param("networks", 1_500, marks=pytest.mark.slow),
    ],
)
def test_broken_files_are_refused_or_read(kind: str, count: int) -> None:
    run("mutate", "--kind", kind, "--count", str(count))


@pytest.mark.slow
def test_killed_while_writing_leaves_whole_files_and_old_ones() -> None:
    run("killed", "--count", "48")


def test_trials_depend_on_seed_and_number_alone(empty_folder: Path) -> None:
    first, again = (mutate.Source("filters", 4) for _ in range(2))
    numbers = range(50)
    assert [first.trial(n) for n in numbers] == [again.trial(n) for n in reversed(numbers)][::-1]
    assert first.trial(1) != mutate.Source("filters", 5).trial(1)


WRONG = {
    "crash": "os.kill(os.getpid(), 11)",
    "traceback": "raise ValueError('x')",
    "leak": "open('stray', 'w').close()",
    "noise": "os.write(2, b'libtiff: oh')",
    "memory": "raise MemoryError",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_found(kind: str) -> None:
    # What tells the kind of a file does what it should not, once in 7 calls: an odd number, for
    # each image is asked twice, and only one of both is where file descriptor 2 is open.
    script = f"""
import os, sys
sys.path.insert(0, {str(REPOSITORY)!r})
from tests.support import mutate
from cnncli.io import images
whole, calls = images._kind, []
def kind(head, name):
    calls.append(name)
    if len(calls) % 7 == 0:
        {WRONG[kind]}
    return whole(head, name)
images._kind = kind
sys.exit(mutate.main(["--kind", "images", "--count", "100", "--seed", "1", "--jobs", "1"]))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=patient(100), check=False
    )
    assert done.returncode == 1 and "--- images" in done.stdout, done.stdout + done.stderr
