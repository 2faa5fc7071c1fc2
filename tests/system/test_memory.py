"""What is available, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cnncli.errors import CnnCliError
from cnncli.system import memory

LIMIT = 3 * 10**9

UNDER_A_LIMIT = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, ({LIMIT}, {LIMIT}))
from cnncli.system.memory import available_bytes
print(available_bytes())
"""


def test_both_figures_are_said() -> None:
    error = r"^this network needs about 1000000\.0 GB of memory, [\d.]+ [GM]B is available$"
    with pytest.raises(CnnCliError, match=error) as caught:
        memory.check_memory(10**15, "this network", "a smaller image")
    assert caught.value.hint == "a smaller image"


def test_little_is_let_through() -> None:
    memory.check_memory(1000, "this network", "a smaller image")


def test_a_limit_of_the_process_counts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT], capture_output=True, text=True, check=True
    )
    assert 0 < int(done.stdout) < LIMIT


def group(folder: Path, most: str) -> Path:
    (folder / "memory.max").write_text(most)
    (folder / "memory.current").write_text("7000\n")
    (folder / "memory.stat").write_text("anon 3000\ninactive_file 4000\n")
    return folder


def test_a_limit_of_the_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_GROUPS", group(tmp_path, "10000\n"))
    assert memory.available_bytes() == 7000


@pytest.mark.parametrize("most", ["max\n", None])
def test_without_a_limit_what_is_free_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str | None
) -> None:
    monkeypatch.setattr(memory, "_GROUPS", tmp_path if most is None else group(tmp_path, most))
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:   8 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    assert memory.available_bytes() == 8192


def test_a_system_that_tells_nothing_refuses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    assert memory.available_bytes() is None
    memory.check_memory(10**18, "this network", "a smaller image")
