"""Messages about what was typed: what must hold, what was got, and what helps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.shell import refused, run_cli, save, save_array

pytestmark = pytest.mark.usefixtures("empty_folder")

RGB = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)
CASES = {
    "frame": ("conv in.png -f edge --frame 2", "has one frame, so --frame must be 0, got 2", 2),
    "below": ("conv in.png -f edge --frame -1", "must be a whole number from 0, got '-1'", 2),
    "no number": ("pool in.png -j x", "must be a whole number from 1, got 'x'", 2),
    "between": ("explain in.png -f edge --fps 0", "must be a number of 0.1 to 50, got '0'", 2),
    "bias": ("conv in.png -f edge --bias 1,2", "a bias must have 1 value, got 2", 2),
    "size": ("plan t.toml --input 8x8x3", "N or [H, W] with whole numbers of 1 to 65535, or", 1),
    "channels": (
        "conv in.png -f w4.npy",
        "an input of 4 channels, or a --filter of shape (3,3,3)",
        2,
    ),
    "bank": (
        "conv in.png -f w42.npy",
        "oihw would fit, as a window of 4x2; else an input of 4 channels",
        2,
    ),
    "no layout": ("conv in.png -f w5.npy", "a --filter of shape (3,5,3,2) or,", 2),
    "NaN": ("grad nan.npy -f edge --check", "1 of 64 values is NaN or infinite", 1),
}


@pytest.mark.parametrize("words, said, code", CASES.values(), ids=list(CASES))
def test_messages(words: str, said: str, code: int) -> None:
    save("in.png", RGB)
    save_array("w4.npy", np.ones((3, 3, 4)))
    save_array("w42.npy", np.ones((3, 3, 4, 2)))
    save_array("w5.npy", np.ones((3, 5, 4, 2)))
    save_array("nan.npy", np.where(np.eye(8) * np.arange(8) == 7, np.nan, 1.0))
    Path("t.toml").write_text('[[layers]]\ntype = "pool"\nsize = "x"\n')
    assert said in refused(*words.split(), code=code)


def test_names_that_are_empty() -> None:
    assert "IMAGE must name a file or folder, got nothing" in refused("pool", "", code=2)
    assert "NETWORK must name a file, got nothing" in refused("run", "", "in.png", code=2)


def test_an_image_that_was_forgotten() -> None:
    assert "hint: name an IMAGE, or pipe one in" in refused("pool", stdin=b"")


@pytest.mark.parametrize("padding", ["same", "same-lower", "valid"])
def test_a_pad_without_border_says_so(padding: str) -> None:
    save("in.png", RGB)
    done = run_cli("pad", "in.png", "--padding", padding, "--pad-value", 255)
    assert f"--padding {padding} adds no border" in done.stderr
    assert "white is 1" not in done.stderr
    done = run_cli("pad", "in.png", "--padding", 1, "--pad-value", 255, "--overwrite")
    assert "adds no border" not in done.stderr and "white is 1" in done.stderr


def test_the_help_of_pad_is_true_of_it() -> None:
    said = run_cli("pad", "--help").stdout
    assert "auto is zeros" in said and "2-D filters" not in said and "keeps the size" not in said
    assert "edge for 2-D" in run_cli("conv", "--help").stdout
