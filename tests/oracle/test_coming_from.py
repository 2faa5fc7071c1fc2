"""The page for users of other tools: what it puts side by side gives the same numbers."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.imagemagick import imagemagick
from tests.support.pages import REPOSITORY, prepare, run_block
from tests.support.shell import pixels

pytestmark = pytest.mark.oracle

PAGE = (REPOSITORY / "docs" / "coming-from.md").read_text()
BLOCKS = re.findall(r"^```(sh|bash|py)\n(.*?)^```", PAGE, re.M | re.S)
RESULT = re.compile(r"\b([a-z]+)-(im|cv2|torch)\.(png|npy)\b")


def can_run(code: str) -> bool:
    """Tell whether what a block needs is installed."""
    needed = re.findall(r"^import (cv2|torch)$", code, re.M)
    if re.search(r"^(convert|mogrify) ", code, re.M) and imagemagick() is None:
        return False
    return all(importlib.util.find_spec(name) for name in needed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every block of the page was run that can be run here."""
    made = tmp_path_factory.mktemp("coming-from")
    prepare(made)
    for language, code in BLOCKS:
        if not can_run(code):
            continue
        if language == "py":
            subprocess.run([sys.executable, "-c", code], cwd=made, check=True)
        elif "weights.npz" not in code or (made / "weights.npz").exists():
            run_block(code, made)
    return made


@pytest.mark.parametrize(("name", "tool", "suffix"), RESULT.findall(PAGE))
def test_both_tools_give_the_same(folder: Path, name: str, tool: str, suffix: str) -> None:
    theirs = folder / f"{name}-{tool}.{suffix}"
    if not theirs.exists():
        pytest.skip(f"{tool} is not installed")
    if suffix == "npy":
        np.testing.assert_allclose(np.load(folder / f"{name}.npy"), np.load(theirs), atol=1e-5)
        return
    ours = pixels(folder / f"{name}.{suffix}").astype(int)
    assert ours.std() > 5
    assert np.abs(ours - pixels(theirs)).max() <= 1


def test_a_folder_gets_the_same_files(folder: Path) -> None:
    theirs = sorted((folder / "sharp-im").glob("*.png"))
    if not theirs:
        pytest.skip("ImageMagick is not installed")
    for path in theirs:
        ours = pixels(folder / "sharp" / path.name).astype(int)
        inner = np.abs(ours - pixels(path))[1:-1, 1:-1]
        assert inner.max() <= 1, path.name
