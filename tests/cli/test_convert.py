"""``cnncli convert``: models as network files; and ONNX models in the other commands."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.network.load import load_model
from cnncli.network.passes import forward
from tests.support.shell import refused_untouched, run_cli, run_process, save

NETWORK = """
[input]
mean = 0.5
std = [0.25, 0.5, 1.0]

[[layers]]
name = "edges"
type = "conv"
filter = "gabor_color"

[[layers]]
name = "half"
type = "pool"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a network file."""
    monkeypatch.chdir(tmp_path)
    Path("net.toml").write_text(NETWORK)
    return tmp_path


def values(path: str, X: Any) -> Any:
    network = load_model(Path(path)).network
    return forward(network, X).values[network.names[-1]]


def picture(channels: int = 3) -> Any:
    return np.random.default_rng(1).random((1, 12, 10, channels), np.float32)


def test_weights_of_a_network_file_are_gathered() -> None:
    result = run_cli("convert", "net.toml", "-o", "own.toml")
    assert result.stdout == ""
    size = np.load("own.npz")["edges.weight"].size
    assert result.stderr == f"own.toml: 3 layers\nown.npz: 1 array, {size:,} parameters\n"
    np.testing.assert_array_equal(values("own.toml", picture()), values("net.toml", picture()))
    assert tomllib.loads(Path("own.toml").read_text())["input"]["std"] == [0.25, 0.5, 1.0]


def test_input_section_by_options() -> None:
    options = ["--size", "20,30", "--scale", "255", "--mean", "1,2,3", "--std", "2", "-q"]
    result = run_cli("convert", "net.toml", "-o", "own.toml", *options)
    assert result.stderr == ""
    assert tomllib.loads(Path("own.toml").read_text())["input"] == {
        **{"size": [20, 30], "scale": 255.0},
        **{"mean": [1.0, 2.0, 3.0], "std": 2.0},
    }
    assert load_model(Path("own.toml")).input.size == (20, 30)
    run_cli("convert", "net.toml", "-o", "square.toml", "--size", 16)
    assert load_model(Path("square.toml")).input.size == (16, 16)


def test_other_place_of_weights() -> None:
    Path("deep").mkdir()
    run_cli("convert", "net.toml", "-o", "own.toml", "--weights", "deep/w.npz")
    assert 'filter = "deep/w.npz:edges.weight"' in Path("own.toml").read_text()
    run_cli("convert", "net.toml", "-o", "deep/own.toml", "--weights", "w.npz")
    assert 'filter = "../w.npz:edges.weight"' in Path("deep/own.toml").read_text()
    np.testing.assert_array_equal(values("deep/own.toml", picture()), values("own.toml", picture()))


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["-o", "own.json"], 2, "must end in .toml"),
        (["-o", "own.toml", "--weights", "w.pt"], 2, "must go into .npz or .safetensors"),
        (["-o", "own.toml", "--weights", "a.npz:b.npz"], 2, "cannot name"),
        (["-o", "nowhere/own.toml"], 1, "its folder 'nowhere' does not exist"),
        (["-o", "net.toml"], 1, "exists already"),
        (["-o", "net.toml", "--overwrite"], 2, "inputs are never replaced"),
        (["-o", "link.toml", "--overwrite"], 2, "inputs are never replaced"),
        (["-o", "own.toml", "--std", "1,0,1"], 2, "--std must not contain 0"),
        (["-o", "own.toml", "--std", "1,2,1", "--mean", "1,2"], 2, "same length"),
        (["-o", "own.toml", "--mean", "1,x"], 2, "must be a number"),
        (["-o", "own.toml", "--size", "0"], 2, "whole numbers of 1"),
        ([], 2, "hint: cnncli convert net.toml -o copy.toml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refused_before_any_work(options: list[str], code: int, message: str) -> None:
    Path("link.toml").symlink_to("net.toml")
    assert message in refused_untouched("convert", "net.toml", *options, code=code)


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("photo.png out.jpg", "got 'photo.png'", "cnncli pad photo.png --padding 0 -o out.jpg"),
        ("photo.png", "got 'photo.png'", "cnncli pad photo.png --padding 0 -o out.png"),
        ("photo.png -o a.toml", "got 'photo.png'", "cnncli pad photo.png --padding 0 -o out.png"),
        ("net.toml own.toml", "got 'own.toml' alone", "cnncli convert net.toml -o own.toml"),
        ("net.toml a.toml -o b.toml", "takes one NETWORK, got 2", ""),
    ],
)
def test_words_of_another_convert_lead_to_what_was_meant(
    words: str, message: str, hint: str
) -> None:
    said = refused_untouched("convert", *words.split(), code=2)
    assert message in said and hint in said


def test_existing_weights_are_not_replaced() -> None:
    Path("own.npz").write_bytes(b"mine")
    assert "'own.npz': exists already" in refused_untouched("convert", "net.toml", "-o", "own.toml")
    run_cli("convert", "net.toml", "-o", "own.toml", "--overwrite")
    assert np.load("own.npz").files == ["edges.weight"]


# -- ONNX ----------------------------------------------------------------------------------------


def onnx_file() -> Path:
    """Write a model of a convolution and its batch norm."""
    from tests.support.onnxmodels import model, node

    rng = np.random.default_rng(2)
    constants = {"c.w": rng.normal(size=(4, 3, 3, 3)), "c.b": rng.normal(size=4)}
    constants |= {name: rng.random(4) + 0.5 for name in ("g", "b", "m", "v")}
    nodes = [
        node("Conv", "x c.w c.b", "c", "/conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "c g b m v", "n", "/norm"),
        node("Clip", "n low", "r", "/relu"),
        node("Dropout", "r", "d", "/drop"),
    ]
    singles = {name: array.astype(np.float32) for name, array in constants.items()}
    singles["low"] = np.float32(0)
    made = model(nodes, singles, ("N", 3, "H", "W"))
    path = Path("model.onnx")
    path.write_bytes(made.SerializeToString())
    return path


@pytest.mark.oracle
@pytest.mark.parametrize("weights", ["net.npz", "net.safetensors"])
def test_onnx_as_a_network_file(weights: str) -> None:
    pytest.importorskip("onnx")
    if weights.endswith("safetensors"):
        pytest.importorskip("safetensors")
    onnx_file()
    given = ["--weights", weights, "--overwrite"]
    result = run_cli("convert", "model.onnx", "-o", "net.toml", *given)
    assert result.stderr.startswith("net.toml: 3 layers\n")
    assert (
        Path("net.toml").read_text().startswith("# Written by cnncli convert from 'model.onnx'.\n")
    )
    model, found = load_model(Path("model.onnx")), load_model(Path("net.toml"))
    assert found.network.names == model.network.names == ("conv", "norm", "relu")
    np.testing.assert_array_equal(values("net.toml", picture()), values("model.onnx", picture()))


@pytest.mark.oracle
@pytest.mark.parametrize("options", [[], ["--size", 6], ["--bgr", "--mean", "0.5"]], ids=str)
@pytest.mark.parametrize("kind", ["FLOAT", "UINT8"])
def test_pictures_come_out_the_same(kind: str, options: list[Any]) -> None:
    onnx = pytest.importorskip("onnx")
    from tests.support.onnxmodels import model, node

    constants = {"W": np.random.default_rng(3).normal(size=(4, 3, 3, 3)).astype(np.float32)}
    constants |= {"groups": np.array([1, 2, 2, 6, 6]), "whole": np.array([1, 4, 6, 6])}
    nodes = [
        node("Cast", "x", "f", to=onnx.TensorProto.FLOAT),
        node("Conv", "f W", "c", pads=[1, 1, 1, 1]),
        node("Reshape", "c groups", "g"),
        node("Transpose", "g", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t whole", "y"),
    ]
    made = model(nodes, constants, (1, 3, 6, 6), kind=getattr(onnx.TensorProto, kind))
    made.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    Path("model.onnx").write_bytes(made.SerializeToString())
    save("photo.png", np.random.default_rng(4).integers(0, 256, (9, 8, 3), dtype=np.uint8))
    run_cli("convert", "model.onnx", "-o", "own.toml", *options)
    run_cli("run", "model.onnx", "photo.png", "-o", "theirs.npy", *options)
    run_cli("run", "own.toml", "photo.png", "-o", "ours.npy")
    assert np.load("ours.npy").std() > 0
    assert Path("ours.npy").read_bytes() == Path("theirs.npy").read_bytes()


@pytest.mark.oracle
def test_run_an_onnx_model_until_a_node() -> None:
    pytest.importorskip("onnx")
    np.save("photo.npy", picture()[0])
    onnx_file()
    expected = values("model.onnx", picture())[0]
    for name in ("relu", "/relu", "r", "/drop", "d"):
        run_cli("run", "model.onnx", "photo.npy", "--until", name, "-o", "out.npy", "--overwrite")
        np.testing.assert_allclose(np.load("out.npy"), expected, rtol=1e-4, atol=1e-5)
    assert "nearest: conv" in refused_untouched(
        "run", "model.onnx", "photo.npy", "--layer", "cov", code=2
    )


@pytest.mark.oracle
def test_plan_an_onnx_model() -> None:
    pytest.importorskip("onnx")
    onnx_file()
    result = run_cli("plan", "model.onnx", "--input", "12x10x3")
    assert "12x10x4" in result.stdout
    np.save("photo.npy", picture()[0])
    traced = ["--trace", "/norm:0,0", "--image", "photo.npy", "-o", "field.png"]
    run_cli("plan", "model.onnx", *traced)
    assert Path("field.png").exists()


@pytest.mark.oracle
def test_commands_on_a_file_that_is_no_model() -> None:
    pytest.importorskip("onnx")
    np.save("photo.npy", picture()[0])
    Path("bad.onnx").write_bytes(b"nothing of the kind")
    for words in (["run", "bad.onnx", "photo.npy"], ["convert", "bad.onnx", "-o", "own.toml"]):
        assert "'bad.onnx': not a readable ONNX file" in refused_untouched(*words)
    done = run_process("plan", "bad.onnx", "--input", "8x8x3")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1
