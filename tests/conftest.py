"""Settings for all tests: the same examples every run, and every test in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("cnncli", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("cnncli")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture
def samples() -> Path:
    """The folder of sample photographs."""
    return REPOSITORY / "sample_images"


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
