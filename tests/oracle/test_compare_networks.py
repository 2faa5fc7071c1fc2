"""ONNX Runtime as judge of networks compared layer by layer, and as one of the two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.onnxmodels import model, node, onnx, runtime
from tests.support.shell import refused, run_cli, save

pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

rng = np.random.default_rng(131)
PIXELS = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(1, 3, 1, 1)
W1 = rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
W2 = rng.normal(size=(5, 4, 3, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save("photo.png", PIXELS)


def write(path: str, mean: Any = MEAN, w2: Any = W2) -> Any:
    nodes = [
        node("Sub", "x mean", "centred"),
        node("Conv", "centred w1", "maps", pads=[1, 1, 1, 1]),
        node("Relu", "maps", "active"),
        node("MaxPool", "active", "pooled", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "pooled w2", "scores"),
    ]
    made = model(nodes, {"mean": mean, "w1": W1, "w2": w2}, (1, 3, 12, 10))
    Path(path).write_bytes(made.SerializeToString())
    return made


def compared(*words: str, code: int) -> list[dict[str, Any]]:
    done = run_cli("compare", *words, "--json", code=code)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_network_is_equal_to_itself_in_onnx_runtime() -> None:
    write("net.onnx")
    *layers, total = compared("net.onnx", "photo.png", "--against", "onnxruntime", code=0)
    assert [one["names"][0] for one in layers] == ["centred", "maps", "active", "pooled", "scores"]
    assert total["names"] == ["net.onnx", "onnxruntime"] and total["unmatched"] == [[], []]


def test_last_layers_in_other_shapes_are_compared() -> None:
    """As many values in another shape are another result, whatever the layers are called."""
    for name, end in (
        ("a", node("Relu", "s", "y")),
        ("b", node("DepthToSpace", "s", "z", blocksize=2)),
    ):
        W = rng.normal(size=(4, 3, 1, 1)).astype(np.float32)
        made = model([node("Conv", "x w", "s"), end], {"w": np.abs(W)}, (1, 3, 12, 10))
        Path(f"{name}.onnx").write_bytes(made.SerializeToString())
    *layers, total = compared(
        "a.onnx", "b.onnx", "--image", "photo.png", "--tolerance", "9", code=1
    )
    assert layers[-1]["names"] == ["y", "z"] and not layers[-1]["equal"]
    assert layers[-1]["shapes"] == [[1, 12, 10, 4], [1, 24, 20, 1]]
    assert total["first_difference"] == "y"


def test_the_memory_of_onnx_runtime_is_counted() -> None:
    """The model is there three times, and 64 MiB of layers that are asked for together twice."""
    write("net.onnx")
    words = "compare", "net.onnx", "photo.png", "--against", "onnxruntime", "--max-memory"
    said = refused(*words, "100MB")
    assert "comparing the networks needs about 134 MB of memory, the limit is 100 MB" in said
    run_cli(*words, "150MB")


def test_missing_memory_is_no_fault_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    write("net.onnx")

    def full(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("onnxruntime.InferenceSession", full)
    said = refused("compare", "net.onnx", "photo.png", "--against", "onnxruntime")
    assert "onnxruntime cannot run it" not in said
    assert "memory" in said


def test_a_wrong_mean_is_found_and_as_large_as_onnx_runtime_says() -> None:
    """Two networks with another mean: each layer's difference is that of ONNX Runtime's values."""
    wrong = MEAN + np.array([0, 0.25, 0], np.float32).reshape(1, 3, 1, 1)
    made = write("a.onnx"), write("b.onnx", wrong)
    X = np.moveaxis(PIXELS[None] / np.float32(255), -1, 1)
    words = "a.onnx", "b.onnx", "--image", "photo.png"
    for against in ((), ("--against", "onnxruntime")):
        *layers, total = compared(*words, *against, code=1)
        assert total["first_difference"] == "centred"
        layers = [one for one in layers if one["names"][0] != "input"]
        for one in layers:
            apart = [runtime(_with_output(each, one["names"][0]), X) for each in made]
            largest = np.abs(apart[0] - apart[1]).max()
            assert one["difference"]["largest"] == pytest.approx(largest, rel=1e-4)


def _with_output(made: Any, name: str) -> Any:
    copy = onnx.ModelProto.FromString(made.SerializeToString())
    del copy.graph.output[:]
    copy.graph.output.add().name = name
    return copy


def test_a_mean_that_a_network_file_has_wrong_is_found_at_the_input() -> None:
    """The file's mean is that of another network; ONNX Runtime gets the right one by an option."""
    write("net.onnx", mean=0 * MEAN)
    run_cli("convert", "net.onnx", "-o", "right.toml", "--mean", "0.485,0.456,0.406")
    run_cli("convert", "net.onnx", "-o", "wrong.toml", "--mean", "0.5")
    words = "net.onnx", "--image", "photo.png", "--mean", "0.485,0.456,0.406"
    against = "--against", "onnxruntime"
    *layers, total = compared("right.toml", *words, *against, code=0)
    assert layers[0]["names"] == ["input", "input"] and total["equal"]
    *layers, total = compared("wrong.toml", *words, *against, code=1)
    assert total["first_difference"] == "input"
    assert layers[0]["difference"]["largest"] == pytest.approx(0.5 - 0.406, rel=1e-5)
    said = run_cli("compare", "right.toml", *words, *against).stderr
    assert said == "note: --prep, --mean and the like are not for 'right.toml', which has [input]\n"
    sides = "0.5 in 'wrong.toml'", "0.485,0.456,0.406 in onnxruntime"
    assert total["causes"] == [f"mean: {sides[0]}, {sides[1]} (--mean)"]


def test_only_an_onnx_file_is_run_by_onnx_runtime() -> None:
    write("net.onnx")
    run_cli("convert", "net.onnx", "-o", "net.toml")
    words = "compare", "net.toml", "photo.png", "--against", "onnxruntime"
    assert "onnxruntime runs .onnx files" in refused(*words, code=2)


NORM = {name: np.abs(rng.normal(size=5)).astype(np.float32) * 1e-3 for name in "gbmv"}


def written(path: str, w: Any = W1, **changes: Any) -> None:
    """Write a model of a convolution, ReLU, resize, convolution and batch normalisation."""
    chosen = {"pads": [0, 0, 1, 1], "epsilon": 1e-5, "coordinates": "half_pixel"} | changes
    mode = {"coordinate_transformation_mode": chosen["coordinates"]}
    active = chosen.get("active", "active")
    nodes = [
        node("Conv", "x w1", "maps", pads=chosen["pads"]),
        node("Relu", "maps", "active"),
        node("Resize", f"{active} - - sizes", "larger", mode="linear", **mode),
        node("Conv", "larger w2", "scores"),
        node("BatchNormalization", "scores g b m v", "normal", epsilon=chosen["epsilon"]),
    ]
    nodes = [one for one in nodes if active == "active" or one.op_type != "Relu"]
    sizes = np.array([1, 4, 19, 15])
    made = model(nodes, {"w1": w, "w2": W2, "sizes": sizes, **NORM}, (1, 3, 12, 10))
    Path(path).write_bytes(made.SerializeToString())


CAUSES: dict[str, tuple[str, dict[str, Any], str]] = {
    "flipped": ("maps", {"w": W1[:, :, ::-1, ::-1].copy()}, "weights: flipped"),
    "transposed": ("maps", {"w": W1.swapaxes(2, 3).copy()}, "weights: transposed"),
    "float16": ("maps", {"w": W1.astype("f2").astype("f4")}, "weights: rounded to float16"),
    "padding": ("maps", {"pads": [1, 1, 0, 0]}, "padding: at the other side"),
    "epsilon": ("normal", {"epsilon": 1e-3}, "epsilon: 1e-05"),
    "corners": ("larger", {"coordinates": "align_corners"}, "coordinates (align_corners): half"),
    "activation": ("larger", {"active": "maps"}, "missing in "),
}


@pytest.mark.parametrize("name", CAUSES)
def test_one_change_is_named_by_whoever_runs_the_second(name: str) -> None:
    """The cause is the same if ONNX Runtime computes the network that is changed."""
    at, changes, text = CAUSES[name]
    written("a.onnx")
    written("b.onnx", **changes)
    for against in ((), ("--against", "onnxruntime")):
        *_, total = compared("a.onnx", "b.onnx", "--image", "photo.png", *against, code=1)
        assert total["first_difference"] == at
        assert len(total["causes"]) == 1 and total["causes"][0].startswith(text)


RESIZES = {
    "INTER_LINEAR": "resize: linear without antialias",
    "INTER_CUBIC": "resize: cubic without antialias",
    "INTER_NEAREST": "resize: nearest, as OpenCV",
}


@pytest.mark.parametrize("name", RESIZES)
def test_a_photograph_resized_by_opencv_is_explained(name: str) -> None:
    """OpenCV's tensor, blue first and 0..255, through ONNX Runtime."""
    cv2 = pytest.importorskip("cv2")
    photo = rng.integers(60, 200, (31, 27, 3), dtype=np.uint8)
    save("photo.png", photo)
    write("net.onnx", mean=0 * MEAN)
    resized = cv2.resize(cv2.imread("photo.png"), (10, 12), interpolation=getattr(cv2, name))
    np.save("theirs.npy", np.moveaxis(resized, -1, 0)[None].astype(np.float32))
    words = "net.onnx", "theirs.npy", "--image", "photo.png"
    for against in ((), ("--against", "onnxruntime")):
        *_, total = compared(*words, *against, code=1)
        assert total["first_difference"] == "input"
        starts = "channels: blue first", RESIZES[name], "range: pixels of 0..255"
        for cause, text in zip(total["causes"], starts, strict=True):
            assert cause.startswith(text)


def test_one_step_of_a_quantised_layer_is_named() -> None:
    """ONNX Runtime cuts off where it resizes whole numbers, and cnncli rounds."""
    nodes = [
        node("QuantizeLinear", "x step zero", "whole"),
        node("Resize", "whole - - sizes", "larger", mode="linear"),
        node("DequantizeLinear", "larger step zero", "y"),
    ]
    constants = {"step": np.float32(0.01), "zero": np.int8(-20), "sizes": np.array([1, 3, 19, 15])}
    Path("q.onnx").write_bytes(model(nodes, constants, (1, 3, 12, 10)).SerializeToString())
    *layers, total = compared("q.onnx", "photo.png", "--against", "onnxruntime", code=1)
    assert [one["equal"] for one in layers] == [True, False, False]
    assert layers[1]["difference"]["largest"] == 1
    assert total["causes"] == [
        "whole numbers one step apart, as a quantised layer rounds otherwise"
    ]


def test_arithmetic_of_float16_is_named() -> None:
    nodes = [
        node("Cast", "x", "half", to=10),
        node("Conv", "half w1", "maps", pads=[1, 1, 1, 1]),
        node("Relu", "maps", "y"),
    ]
    made = model(nodes, {"w1": W1.astype(np.float16)}, (1, 3, 12, 10))
    made.graph.output[0].type.tensor_type.elem_type = 10
    Path("half.onnx").write_bytes(made.SerializeToString())
    *_, total = compared("half.onnx", "photo.png", "--against", "onnxruntime", code=1)
    assert total["causes"] == ["computed in float16, where cnncli computes in float32"]


def test_a_cast_to_float16_alone_is_named_too() -> None:
    made = model([node("Cast", "x", "a", to=10), node("Cast", "a", "y", to=1)], {}, (1, 3, 12, 10))
    Path("half.onnx").write_bytes(made.SerializeToString())
    *_, total = compared("half.onnx", "photo.png", "--against", "onnxruntime", code=1)
    assert total["causes"] == ["computed in float16, where cnncli computes in float32"]


def test_rounding_that_adds_up_is_told_from_float64() -> None:
    # Large weights of either sign: what is left of their sums is small, their rounding is not.
    half = rng.normal(size=(1, 64, 3, 3)).astype(np.float32) * 10
    wide = rng.normal(size=(64, 3, 1, 1)).astype(np.float32)
    constants = {"A": np.concatenate([wide, wide]), "B": np.concatenate([half, -half], axis=1)}
    nodes = [node("Conv", "x A", "a"), node("Conv", "a B", "b"), node("Add", "b one", "y")]
    made = model(nodes, constants | {"one": np.float32([1])}, (1, 3, "h", "w"))
    Path("net.onnx").write_bytes(made.SerializeToString())
    result = run_cli("compare", "net.onnx", "photo.png", "--against", "onnxruntime", code=1)
    assert "rounding of float32 that adds up: " in " ".join(result.stdout.split())
