"""Networks quantised by ONNX Runtime, and those of half floats, against ONNX Runtime."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers
from tests.oracle.test_exported_networks import runtime
from tests.support.onnxmodels import check, load, model, node, ours
from tests.support.onnxmodels import runtime as runtime_of
from tests.support.torchmodels import export, picture

onnx = pytest.importorskip("onnx")
quantization = pytest.importorskip("onnxruntime.quantization")

pytestmark = pytest.mark.oracle

NAMES = ("resnet", "mobilenet-v3", "unet-resize", "yolo-v8", "vit")
KINDS = {
    "pairs of nodes": {"quant_format": quantization.QuantFormat.QDQ},
    "own operators": {"quant_format": quantization.QuantFormat.QOperator},
    "own operators, signed": {
        "quant_format": quantization.QuantFormat.QOperator,
        "activation_type": quantization.QuantType.QInt8,
    },
}


class Pictures(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
    """Three pictures to find the ranges of values by."""

    def __init__(self, name: str) -> None:
        self.left = [{name: np.moveaxis(picture(seed), -1, 1).copy()} for seed in range(3)]

    def get_next(self) -> Any:
        return self.left.pop() if self.left else None


def steps(path: Path) -> float:
    """Return the largest scale of the values in a model."""
    graph = onnx.load(path).graph
    scales = {
        node.input[index]
        for node in graph.node
        for index, name in enumerate(node.input)
        if name.endswith("_scale") and "weight" not in name and "bias" not in name
    }
    arrays = [onnx.numpy_helper.to_array(t) for t in graph.initializer if t.name in scales]
    return max(float(array.max()) for array in arrays if array.size == 1)


def differences(path: Path) -> dict[str, Any]:
    """Return how far the values of each output are from ONNX Runtime's."""
    model, X = load_model(path), picture()
    found = {}
    for output, expected in runtime(path, X, literal=True).items():
        network = model.network.until(model.find(output))
        ((_, Y),) = forward_layers(network, X)
        Y = np.moveaxis(Y, -1, 1) if expected.ndim == 4 else Y
        found[output] = np.abs(Y.ravel() - expected.ravel())
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_quantised(name: str, kind: str, tmp_path: Path) -> None:
    source, path = export(name, tmp_path / "net.onnx", dynamo=False), tmp_path / "quantised.onnx"
    source_input = onnx.load(source).graph.input[0].name
    logging.disable(logging.CRITICAL)
    options = {"weight_type": quantization.QuantType.QInt8, "per_channel": True, **KINDS[kind]}
    quantization.quantize_static(source, path, Pictures(source_input), **options)
    logging.disable(logging.NOTSET)
    for difference in differences(path).values():
        # Sums that fall between two steps may be rounded to either.
        assert difference.max() <= steps(path) * 1.001


@pytest.mark.parametrize("name", NAMES[:3])
def test_quantised_as_it_runs(name: str, tmp_path: Path) -> None:
    source, path = export(name, tmp_path / "net.onnx", dynamo=False), tmp_path / "quantised.onnx"
    logging.disable(logging.CRITICAL)
    quantization.quantize_dynamic(source, path, weight_type=quantization.QuantType.QUInt8)
    logging.disable(logging.NOTSET)
    assert max(each.max() for each in differences(path).values()) < 0.05


RNG = np.random.default_rng(7)
UNSIGNED = RNG.integers(0, 256, (1, 4, 9, 8), np.uint8)
FILTERS = RNG.integers(-128, 128, (6, 4, 3, 3)).astype(np.int8)
MATRIX = RNG.integers(-128, 128, (8, 5)).astype(np.int8)
WHOLE = {
    "as it runs": ("ConvInteger", {"W": FILTERS, "w": np.int8(3)}, "q W zero w"),
    "none": ("ConvInteger", {"W": FILTERS}, "q W"),
    "matrix": ("MatMulInteger", {"W": MATRIX, "w": np.int8(-5)}, "q W zero w"),
    "columns": ("MatMulInteger", {"W": MATRIX, "w": MATRIX[0]}, "q W zero w"),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_products_of_whole_numbers(kind: str) -> None:
    made = products(*WHOLE[kind])
    check(made, UNSIGNED / np.float32(25) - 3)
    layers = {each.name: each.layer.op for each in load(made).network.nodes}
    assert layers["sums"] == "conv" or "ConvInteger" not in WHOLE[kind]
    assert layers["y"] == "mul"


def products(op: str, constants: dict[str, Any], inputs: str) -> Any:
    """Return a model that quantises a picture, multiplies whole numbers, and makes them floats."""
    settings = {"kernel_shape": [3, 3], "pads": [1, 0, 1, 1]} if op == "ConvInteger" else {}
    nodes = [
        node("DynamicQuantizeLinear", "x", "q scale zero"),
        node(op, inputs, "sums", **settings),
        node("Cast", "sums", "floats", to=onnx.TensorProto.FLOAT),
        node("Mul", "floats scale", "y"),
    ]
    arrays = {name: np.asarray(array) for name, array in constants.items()}
    return model(nodes, arrays, UNSIGNED.shape, opset=13)


def test_filters_have_zero_points_of_their_own() -> None:
    # ONNX Runtime has them for all filters together only.
    half, zeros = FILTERS // 2, np.arange(-60, 60, 20, dtype=np.int8)
    less = half - zeros.reshape(-1, 1, 1, 1)
    X = UNSIGNED / np.float32(25) - 3
    expected = runtime_of(products("ConvInteger", {"W": less}, "q W zero"), X)
    found = ours(products("ConvInteger", {"W": half, "w": zeros}, "q W zero w"), X)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)


def test_whole_numbers_of_large_pictures_are_convolved_in_bounded_memory() -> None:
    nodes = [
        node("DynamicQuantizeLinear", "x", "q scale zero"),
        node("ConvInteger", "q W zero", "y", kernel_shape=[3, 3]),
    ]
    filters = FILTERS[:, :3]
    assert load(model(nodes, {"W": filters}, (1, 3, 2048, 2048))).stop is None


@pytest.mark.parametrize("ends", ["float32", "float16"])
@pytest.mark.parametrize("name", ["resnet", "unet-resize", "vit", "style"])
def test_half_floats(name: str, ends: str, tmp_path: Path) -> None:
    float16 = pytest.importorskip("onnxruntime.transformers.float16")
    source, path = export(name, tmp_path / "net.onnx", dynamo=False), tmp_path / "half.onnx"
    made = float16.convert_float_to_float16(onnx.load(source), keep_io_types=ends == "float32")
    onnx.save(made, path)
    if ends == "float16":
        assert load_model(path).stop is None
        return
    assert max(each.max() for each in differences(path).values()) < 2e-3
