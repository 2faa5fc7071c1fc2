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


@pytest.mark.parametrize("ends", ["float32", "float16"])
@pytest.mark.parametrize("name", ["resnet", "unet-resize", "vit", "style"])
def test_half_floats(name: str, ends: str, tmp_path: Path) -> None:
    float16 = pytest.importorskip("onnxruntime.transformers.float16")
    source, path = export(name, tmp_path / "net.onnx", dynamo=False), tmp_path / "half.onnx"
    made = float16.convert_float_to_float16(onnx.load(source), keep_io_types=ends == "float32")
    onnx.save(made, path)
    if ends == "float16":
        assert load_model(path).stopper == ""
        return
    assert max(each.max() for each in differences(path).values()) < 2e-3
