"""Two networks compared layer by layer, as users do: files with one deliberate change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.netfiles import layer
from tests.support.shell import refused, run_cli, save, save_array

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
        "c1": {"type_": "conv", "filter": f"{stem}.npz:c1", "stride": 2, "padding": [0, 1, 0, 1]},
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
    assert texts[0].split("  ")[0] == "LAYER" and max(map(len, texts)) <= 80
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


def test_a_dense_layer_is_compared_with_a_convolution_as_large_as_its_input() -> None:
    weights = rng.normal(size=(2, 2, 3, 5)).astype(np.float32)
    wrong = weights.copy()
    wrong[1, 0, 2, 3] += 0.5
    np.savez("dense.npz", w=weights.reshape(-1, 5))
    np.savez("wide.npz", w=wrong)
    pool = layer("pool", size=[7, 8])
    Path("a.toml").write_text(
        "[input]\nsize = [14, 17]\n" + pool + layer("dense", name="d", filter="dense.npz:w")
    )
    Path("b.toml").write_text(pool + layer("conv", name="c", filter="wide.npz:w", padding="valid"))
    *layers, total = compared()
    assert layers[-1]["names"] == ["d", "c"] and total["first_difference"] == "d"
    assert any("weights: 1 of 60 differ" in cause for cause in total["causes"])


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


def test_options_prepare_the_picture_where_the_file_does_not() -> None:
    write("b.toml", head="[input]\nmean = 0.5\n\n")
    words = "compare", "a.toml", "b.toml", "--image", "photo.png"
    assert run_cli(*words, code=1).stderr == ""
    done = run_cli(*words, "--mean", "0.5")
    assert "equal in all" in done.stdout
    assert (
        done.stderr == "note: --prep, --mean and the like are not for 'b.toml', which has [input]\n"
    )
    # Half of a preset would be none.
    done = run_cli(*words, "--prep", "-1..1", code=1)
    assert "first difference: LAYER input" in done.stdout
    write("b.toml")
    assert run_cli(*words, "--prep", "imagenet").stderr == ""


def test_what_does_not_go_together_is_refused() -> None:
    write("b.toml")
    both = "compare", "a.toml", "b.toml"
    assert "one IMAGE must be given" in refused(*both, code=2)
    assert "needs --against" in refused("compare", "a.toml", "photo.png", code=2)
    image = "--image", "photo.png"
    assert "networks have their own" in refused(*both, *image, "-f", "box", code=2)
    assert "only --against onnxruntime" in refused(*both, *image, "--against", "torch", code=2)
    limited = refused(*both, *image, "--max-memory", "8KB", code=1)
    assert "comparing the networks needs about" in limited
    assert "for networks" in refused("compare", "photo.png", "-f", "box", "--mean", "1", code=2)


CAUSES: dict[str, tuple[str, dict[str, Any], str]] = {
    "flipped": (
        "c2",
        {"weights": (C1, C2[::-1, ::-1])},
        "weights: flipped (turned by 180 degrees)",
    ),
    "transposed": ("c2", {"weights": (C1, C2.swapaxes(0, 1))}, "weights: transposed (rows and"),
    "in and out": ("c2", {"weights": (C1, C2.swapaxes(2, 3))}, "weights: transposed (channels in"),
    "bgr weights": ("c1", {"weights": (C1[:, :, ::-1], C2)}, "weights: in the other order of chan"),
    "padding": (
        "c1",
        {"c1": {"padding": [1, 0, 1, 0]}},
        "padding: at the other side in 'b.toml'",
    ),
    "epsilon": ("n2", {"n2": {"epsilon": 1e-3}}, "epsilon: 1e-05 in 'a.toml', 0.001 in 'b.toml'"),
    "align": (
        "up",
        {"up": {"coordinates": "align-corners"}},
        "coordinates (align_corners): half-pixel in 'a.toml', align-corners in 'b.toml'",
    ),
    "filter": ("up", {"up": {"mode": "cubic"}}, "filter: linear in 'a.toml', cubic in 'b.toml'"),
    "activation": ("up", {"r1": None}, "missing in 'b.toml': r1 (relu)"),
    "other activation": (
        "r1",
        {"r1": {"activation": "leaky-relu"}},
        "activation: relu in 'a.toml', leaky-relu in 'b.toml'",
    ),
    "end": ("p2", {"p2": None}, "missing in 'b.toml': p2 (pool)"),
    "mean": (
        "input",
        {"head": "[input]\nmean = [0.4, 0.5, 0.6]\n\n"},
        "mean: 0 in 'a.toml', 0.4,0.5,0.6 in 'b.toml' (--mean)",
    ),
    "std": ("input", {"head": "[input]\nstd = 0.25\n\n"}, "std: 1 in 'a.toml', 0.25 in 'b.toml'"),
    "range": (
        "input",
        {"head": "[input]\nscale = 255\n\n"},
        "range of pixels: 0..1 in 'a.toml', 0..255 in 'b.toml' (--scale)",
    ),
    "whole": (
        "input",
        {"head": "[input]\nwhole = true\n\n"},
        "pixels: floats in 'a.toml', whole numbers in 'b.toml'",
    ),
    "bgr": (
        "input",
        {"head": "[input]\nbgr = true\n\n"},
        "channels: red first in 'a.toml', blue first in 'b.toml' (--bgr)",
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_one_change_is_named(name: str) -> None:
    """Each change alone, in either direction: the layer, and what was done to it."""
    at, changes, text = CAUSES[name]
    write("b.toml", **changes)
    total = compared()[-1]
    assert total["first_difference"] == at
    assert len(total["causes"]) == 1 and total["causes"][0].startswith(text)
    done = run_cli("compare", "b.toml", "a.toml", "--image", "photo.png", code=1)
    texts = done.stdout.splitlines()
    assert max(map(len, texts)) <= 80
    causes = [line for line in texts if line.startswith("likely cause: ")]
    assert len(causes) == 1 and "none" not in causes[0]


def test_weights_rounded_to_float16_are_named_on_either_side() -> None:
    rounded = [W.astype(np.float16).astype(np.float32) for W in (C1, C2)]
    write("b.toml", rounded)
    assert compared()[-1]["causes"] == ["weights: rounded to float16 in 'b.toml'"]
    done = run_cli("compare", "b.toml", "a.toml", "--image", "photo.png", code=1)
    assert "likely cause: weights: rounded to float16 in 'b.toml'" in done.stdout


def test_two_changes_of_one_layer_are_both_named() -> None:
    write("b.toml", (C1, C2[::-1, ::-1]), c2={"padding": "same", "dilation": 2})
    assert compared()[-1]["causes"] == [
        "weights: flipped (turned by 180 degrees) in 'b.toml'",
        "dilation: 1 in 'a.toml', 2 in 'b.toml'",
    ]


def test_another_size_is_told_with_what_makes_it() -> None:
    write("b.toml", up={"size": [12, 15]})
    done = run_cli("compare", "a.toml", "b.toml", "--image", "photo.png", code=1)
    assert "LAYER up, of another size: 13x15x4 and 12x15x4" in done.stdout
    assert "likely cause: size: 13,15 in 'a.toml', 12,15 in 'b.toml'" in done.stdout
    write("b.toml", head="[input]\nsize = [12, 14]\n")
    done = run_cli("compare", "a.toml", "b.toml", "--image", "photo.png", code=1)
    assert "likely cause: size: not given in 'a.toml', 12,14 in 'b.toml'" in done.stdout


def test_where_nothing_explains_it_that_is_said() -> None:
    """The layer before is of another kind, and no layer is left out."""
    write("b.toml")
    relu = 'type = "activation"\nname = "r1"\nactivation = "relu"'
    text = Path("b.toml").read_text()
    assert relu in text
    Path("b.toml").write_text(text.replace(relu, 'type = "scale"\nfactor = [1, 2, 3, 4]'))
    done = run_cli("compare", "a.toml", "b.toml", "--image", "photo.png", code=1)
    assert "first difference: LAYER up, " in done.stdout
    assert "likely cause: none of those that were tried explains it" in done.stdout


def resized(size: tuple[int, int], kind: Image.Resampling) -> Any:
    return np.asarray(Image.fromarray(PIXELS).resize(size[::-1], kind)) / np.float32(255)


MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
IMAGENET = "[input]\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\nsize = [9, 11]\n\n"
OURS = resized((9, 11), Image.Resampling.BILINEAR)
PREPARED: dict[str, tuple[Any, list[str]]] = {
    "bgr": (((OURS - MEAN) / STD)[..., ::-1], ["channels: blue first", "mean and std: turned"]),
    "bgr before the numbers": ((OURS[..., ::-1] - MEAN) / STD, ["channels: blue first"]),
    "range": (OURS * 255, ["range: pixels of 0..255"]),
    "-1..1": (OURS * 2 - 1, ["mean, std and range: those of --prep imagenet-tf"]),
    "no std": (OURS - MEAN, ["mean and std of pixels 0..1: 0.485,0.456,0.406 and 1,1,1"]),
    "bicubic": (
        (resized((9, 11), Image.Resampling.BICUBIC) - MEAN) / STD,
        ["resize: Pillow's BICUBIC"],
    ),
    "nearest": (
        (resized((9, 11), Image.Resampling.NEAREST) - MEAN) / STD,
        ["resize: Pillow's NEAREST"],
    ),
}


def test_json_names_networks_as_they_are_called() -> None:
    write("'a.toml")
    write("b.toml")
    words = "compare", "'a.toml", "b.toml", "--image", "photo.png"
    assert run_cli(*words).stdout.endswith("\n''a.toml' and 'b.toml': equal in all 7 layers\n")
    total = json.loads(run_cli(*words, "--json").stdout.splitlines()[-1])
    assert total["names"] == ["'a.toml", "b.toml"]


@pytest.mark.parametrize("name", PREPARED)
def test_a_tensor_that_another_program_prepared_is_explained(name: str) -> None:
    tensor, texts = PREPARED[name]
    write("net.toml", head=IMAGENET)
    save_array("theirs.npy", np.moveaxis(tensor, -1, 0)[None].astype(np.float32))
    words = "compare", "net.toml", "theirs.npy", "--image", "photo.png"
    total = json.loads(run_cli(*words, "--json", code=1).stdout.splitlines()[-1])
    assert total["first_difference"] == "input"
    assert [cause[: len(text)] for cause, text in zip(total["causes"], texts, strict=True)] == texts


def test_a_tensor_prepared_as_the_network_says_is_equal() -> None:
    write("net.toml", head=IMAGENET)
    save_array("theirs.npy", ((OURS - MEAN) / STD).astype(np.float32))
    words = "compare", "net.toml", "theirs.npy", "--image", "photo.png"
    assert "equal in all 7 layers" in run_cli(*words).stdout.replace("\n  ", " ")


def test_a_tensor_of_something_else_is_refused_or_has_no_cause() -> None:
    write("net.toml", head=IMAGENET)
    words = "compare", "net.toml", "theirs.npy", "--image", "photo.png"
    save_array("theirs.npy", np.zeros((5, 6, 7), np.float32))
    assert "numbers (N, 3, H, W) must be given" in refused(*words, code=2)
    noise = np.random.default_rng(3).random((1, 3, 9, 11), np.float32)
    for unrelated in (noise, 0 * noise, 0 * noise + 7):
        save_array("theirs.npy", unrelated)
        assert "none of those that were tried" in run_cli(*words, code=1).stdout
    assert ".npy array" in refused(*words[:2], "photo.png", *words[3:], code=2)
