"""Two networks compared layer by layer, as users do: files with one deliberate change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.netfiles import layer
from tests.support.shell import refused, run_cli, save

rng = np.random.default_rng(130)
PIXELS = rng.integers(0, 256, (14, 17, 3), dtype=np.uint8)
C1 = rng.normal(size=(3, 3, 3, 4)).astype(np.float32)
C2 = rng.normal(size=(3, 3, 4, 4)).astype(np.float32)
NORM = {name: rng.normal(size=4).tolist() for name in ("gamma", "beta", "mean")}


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save("photo.png", PIXELS)
    write("a.toml")


def write(path: str, weights: Any = (C1, C2), head: str = "", **changes: Any) -> None:
    """Write a network file; changes are fields of its layers by name, None leaves one out."""
    stem = Path(path).stem
    np.savez(f"{stem}.npz", c1=weights[0], c2=weights[1])
    layers: dict[str, dict[str, Any]] = {
        "c1": {"type_": "conv", "filter": f"{stem}.npz:c1", "stride": 2, "padding": [0, 0, 1, 1]},
        "r1": {"type_": "activation", "activation": "relu"},
        "up": {"type_": "resize", "size": [13, 15], "mode": "linear"},
        "c2": {"type_": "conv", "filter": f"{stem}.npz:c2", "padding": "same"},
        "n2": {"type_": "batchnorm", **NORM, "var": [1e-4, 2e-4, 1e-3, 0.5], "epsilon": 1e-5},
        "p2": {"type_": "pool", "mode": "max", "size": 2},
    }
    left = {name: fields for name, fields in layers.items() if changes.get(name, {}) is not None}
    tables = [
        layer(name=name, **{**fields, **changes.get(name, {})}) for name, fields in left.items()
    ]
    Path(path).write_text(head + "\n".join(tables))


def compared(*words: str, code: int = 1) -> list[dict[str, Any]]:
    done = run_cli(
        "compare", "a.toml", "b.toml", "--image", "photo.png", "--json", *words, code=code
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_equal_networks_are_equal_in_all_layers() -> None:
    write("b.toml")
    *layers, total = compared(code=0)
    assert [one["names"][0] for one in layers] == ["input", "c1", "r1", "up", "c2", "n2", "p2"]
    assert all(one["equal"] for one in layers)
    assert total["equal"] and total["first_difference"] is None and total["unmatched"] == [[], []]
    done = run_cli("compare", "a.toml", "b.toml", "--image", "photo.png")
    assert done.stdout.splitlines()[-1] == "'a.toml' and 'b.toml': equal in all 7 layers"


def test_the_first_difference_is_where_the_weights_change_and_as_large() -> None:
    """One weight of the second convolution is changed: the difference is computed by hand."""
    changed = C2.copy()
    changed[1, 1, 2, 3] += 0.5
    write("b.toml", (C1, changed))
    *layers, total = compared()
    assert total["first_difference"] == "c2"
    assert [one["equal"] for one in layers] == [True] * 4 + [False] * 3
    values = run_cli("run", "a.toml", "photo.png", "--layer", "up", "-o", "up.npy")
    assert values.exit_code == 0
    moved = 0.5 * np.abs(np.load("up.npy").reshape(13, 15, 4)[..., 2])
    found = layers[4]["difference"]
    assert found["largest"] == pytest.approx(moved.max(), rel=1e-4)
    assert found["at"][1:] == [*np.unravel_index(moved.argmax(), moved.shape), 3]


def test_the_table_is_in_plain_words_and_80_columns() -> None:
    write("b.toml", n2={"epsilon": 0.1})
    done = run_cli("compare", "a.toml", "b.toml", "--image", "photo.png", code=1)
    texts = done.stdout.splitlines()
    assert texts[0].split("  ")[0] == "LAYER" and max(map(len, texts[:8])) <= 80
    assert texts[5].split() == ["c2", "13x15x4", "equal"]
    assert texts[8].startswith("first difference: LAYER n2, ")


def test_layers_of_other_names_are_matched_by_order_and_shape() -> None:
    """Names are others throughout, and the activation is within the convolution."""
    write("b.toml", c1={"activation": "relu"}, r1=None)
    text = Path("b.toml").read_text()
    for name in ("c1", "up", "c2", "n2", "p2"):
        text = text.replace(f'name = "{name}"', f'name = "other-{name}"')
    Path("b.toml").write_text(text)
    *layers, _ = compared(code=0)
    assert [one["names"] for one in layers[1:4]] == [
        ["c1", "other-c1"],
        ["r1", "other-c1-relu"],
        ["up", "other-up"],
    ]


def test_a_layer_that_only_one_has_is_named() -> None:
    write("b.toml", r1=None)
    *layers, total = compared()
    assert total["unmatched"] == [["r1"], []] and total["first_difference"] == "up"
    assert [one["names"][0] for one in layers] == ["input", "c1", "up", "c2", "n2", "p2"]


def test_other_shapes_are_a_difference() -> None:
    write("b.toml", c1={"stride": 1})
    layers = compared()
    assert layers[1]["difference"] is None and layers[-1]["first_difference"] == "c1"


def test_the_picture_goes_in_as_each_file_says() -> None:
    write("b.toml", head="[input]\nmean = 0.5\n\n")
    *layers, total = compared()
    assert total["first_difference"] == "input"
    assert layers[0]["difference"]["largest"] == pytest.approx(0.5)


def test_what_does_not_go_together_is_refused() -> None:
    write("b.toml")
    both = "compare", "a.toml", "b.toml"
    assert "one IMAGE must be given" in refused(*both, code=2)
    assert "needs --against" in refused("compare", "a.toml", "photo.png", code=2)
    image = "--image", "photo.png"
    assert "networks have their own" in refused(*both, *image, "-f", "box", code=2)
    assert "only --against onnxruntime" in refused(*both, *image, "--against", "torch", code=2)
    assert ".toml has [input]" in refused(*both, *image, "--mean", "0.5", code=2)
    assert "for networks" in refused("compare", "photo.png", "-f", "box", "--mean", "1", code=2)
