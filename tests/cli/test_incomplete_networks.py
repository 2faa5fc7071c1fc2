"""Models that cannot be read to their end: every command says so, unless a part is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.shell import refused, refused_untouched, run_cli, values_of

pytestmark = pytest.mark.oracle

STOPPER = "'model.onnx': unsupported operator org.example.Odd (node '/odd')"

COMMANDS = {
    "run": ["run", "model.onnx", "photo.npy"],
    "run quiet": ["run", "model.onnx", "photo.npy", "-q"],
    "run a batch": ["run", "model.onnx", "photo.npy", "other.npy", "-o", "out/", "-j", 2],
    "dry run": ["run", "model.onnx", "photo.npy", "--dry-run"],
    "plan": ["plan", "model.onnx", "--input", "12x10x3"],
    "plan quiet": ["plan", "model.onnx", "--input", "12x10x3", "-q", "--json"],
    "trace": ["plan", "model.onnx", "--trace", "relu:0,0", "--image", "photo.npy"],
    "convert": ["convert", "model.onnx", "-o", "net.toml"],
    "convert quiet": ["convert", "model.onnx", "-o", "net.toml", "-q"],
    "grad": ["grad", "model.onnx", "photo.npy", "--unit", "relu"],
    "explain": ["explain", "model.onnx", "photo.npy"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with such a model and two arrays."""
    from tests.support.onnxmodels import model, node

    monkeypatch.chdir(tmp_path)
    weights = np.random.default_rng(2).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        node("Conv", "x w", "c", "/conv", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r", "/relu"),
        node("Dropout", "r", "d mask", "/drop"),
        node("Odd", "d", "y", "/odd", domain="org.example"),
    ]
    made = model(nodes, {"w": weights}, ("N", 3, "H", "W"))
    Path("model.onnx").write_bytes(made.SerializeToString())
    for name in ("photo.npy", "other.npy"):
        np.save(name, np.random.default_rng(1).random((12, 10, 3), np.float32))


@pytest.mark.parametrize("name", COMMANDS)
def test_is_refused_with_what_stops_it(name: str) -> None:
    error = refused_untouched(*COMMANDS[name])
    assert error.splitlines()[0] == f"cnncli: error: {STOPPER}"
    option = "--layer" if name == "explain" else "--until"
    assert error.splitlines()[1] == f"hint: {option} relu takes the part that can be read"


def test_a_part_that_is_asked_for() -> None:
    expected = values_of("run", "model.onnx", "photo.npy", "--until", "relu")
    assert expected.shape == (12, 10, 4)
    layer = values_of("run", "model.onnx", "photo.npy", "--layer", "/drop", "-q")
    np.testing.assert_array_equal(layer, expected)
    assert "12x10x4" in run_cli("plan", "model.onnx", "--input", "12x10x3", "--until", "r").stdout
    run_cli("convert", "model.onnx", "-o", "net.toml", "--until", "/relu")
    np.testing.assert_array_equal(values_of("run", "net.toml", "photo.npy"), expected)
    run_cli("grad", "model.onnx", "photo.npy", "--until", "relu", "--unit", "conv", "-o", "g.npy")
    assert np.load("g.npy").shape == (12, 10, 3)
    explained = run_cli("explain", "model.onnx", "photo.npy", "--layer", "relu", "--at", "0,0")
    assert "relu" in explained.stdout


@pytest.mark.parametrize("option", ["--until", "--layer"])
def test_the_part_itself_cannot_be_read(option: str) -> None:
    error = refused_untouched("run", "model.onnx", "photo.npy", option, "/odd")
    assert "no layer '/odd': unsupported operator org.example.Odd (node '/odd')" in error


def test_a_name_that_is_not_in_the_part() -> None:
    error = refused_untouched("run", "model.onnx", "photo.npy", "--until", "later", code=2)
    assert "no layer 'later' in the part that can be read, up to relu" in error
    assert "hint: what stops it: unsupported operator org.example.Odd" in error


@pytest.mark.parametrize("sides", [(8, 8), ("H", "W")], ids=["fixed", "open"])
@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_size_that_the_model_was_not_made_for_is_named(
    command: str, sides: tuple[int | str, int | str]
) -> None:
    from tests.support.onnxmodels import model, node

    nodes = [
        node("MaxPool", "x", "p", "/pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p", "f", "/flat"),
        node("Gemm", "f w", "y", "/fc"),
    ]
    made = model(nodes, {"w": np.ones((48, 5), np.float32)}, ("N", 3, *sides))
    Path("made.onnx").write_bytes(made.SerializeToString())
    words = {"plan": ["--input", "12x10x3"], "run": ["photo.npy", "--size", "12,10"]}[command]
    error = refused_untouched(command, "made.onnx", *words).splitlines()[0]
    assert "'made.onnx': with an input of 12x10: unsupported Gemm" in error
    assert "takes 48 values, not 6x5x3" in error
    assert error.endswith("; the model was made for 8x8") == (sides == (8, 8))
    assert "1x1x5" in run_cli("plan", "made.onnx", "--input", "8x8x3").stdout


def test_sides_that_fit_are_named_where_maps_were_halved() -> None:
    from tests.support.onnxmodels import model, node

    nodes = [
        node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", "p - scale", "u", mode="nearest"),
        node("Add", "u x", "y"),
    ]
    made = model(nodes, {"scale": np.float32([1, 1, 2, 2])}, (1, 3, 33, 32))
    Path("halved.onnx").write_bytes(made.SerializeToString())
    said = refused_untouched("run", "halved.onnx", "photo.npy", "-o", "out.npy")
    assert "hint: --size H,W with sides that 32 divides" in said
    far = model([node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]),
                 node("Add", "p x", "y")], {}, (1, 3, 33, 32))  # fmt: skip
    Path("far.onnx").write_bytes(far.SerializeToString())
    assert "hint: --until p takes" in refused_untouched("run", "far.onnx", "photo.npy")


@pytest.mark.parametrize(
    ("suffix", "hint"),
    [
        (".pt", "torch.onnx.export("),
        (".keras", "model.export("),
        (".tflite", "tf2onnx.convert --tflite"),
        (".safetensors", "weights alone"),
    ],
)
def test_networks_of_other_tools_are_answered_with_what_makes_one(suffix: str, hint: str) -> None:
    Path(f"model{suffix}").write_bytes(b"PK")
    error = refused("plan", f"model{suffix}")
    assert "a network file must end in .toml or .onnx" in error and hint in error
