"""Where several values are the largest: what wins then says nothing, and the report says that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.shell import run_cli, save_array


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_winners_of_maps_of_one_value_are_ties() -> None:
    X = np.random.default_rng(2).random((6, 8, 3), np.float32)
    X[..., 1] = 0
    X[..., 2] = 0.5
    save_array("x.npy", X)
    words = "grad", "x.npy", "--pool", "max", "--winners"
    for out in ("w.png", "w.npy"):
        said = run_cli(*words, "-o", out).stderr
        assert "2 of 3 maps that pool1 works on hold one value alone" in said
    # The first cell of each window.
    counts = np.load("w.npy")
    assert (counts[::2, ::2, 1:] == 1).all() and counts[..., 1:].sum() == 2 * 12
    save_array("y.npy", X[..., :1])
    assert "one value" not in run_cli(*words[:1], "y.npy", *words[2:], "-o", "y.png").stderr


@pytest.mark.parametrize(("weights", "tie"), [("0 0; 0 0", True), ("0 1; 0 0", False)])
def test_scores_that_are_equal_have_no_order(weights: str, tie: bool) -> None:
    W = np.array([[float(x) for x in row.split()] for row in weights.split(";")], np.float32)
    np.save("w.npy", W.reshape(1, 1, 1, 4))
    text = '[[layers]]\ntype = "pool"\nmode = "average"\nsize = "global"\n[[layers]]\n'
    Path("net.toml").write_text(f'{text}name = "scores"\ntype = "conv"\nfilter = "w.npy"\n')
    save_array("x.npy", np.ones((4, 5, 1), np.float32))
    said = run_cli("run", "net.toml", "x.npy").stderr
    assert "scores, largest first: " in said
    assert ("they are equal, so their order means nothing" in said) == tie
