"""Models that ONNX Runtime's optimiser or quantiser wrote, in operators of its own domain."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.onnxmodels import check, load, model, node, onnx, ours, picture, runtime

ort = pytest.importorskip("onnxruntime")
quantization = pytest.importorskip("onnxruntime.quantization")

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(13)
SHAPE = (1, 4, 9, 8)
FILTERS = RNG.normal(size=(6, 4, 3, 3)).astype(np.float32)
MATRIX = RNG.normal(size=(8, 8)).astype(np.float32)
ROW = RNG.normal(size=8).astype(np.float32)
OWN = "com.microsoft"
CONSTANTS = {
    "W": FILTERS,
    "M": MATRIX,
    "v": ROW,
    "g": np.abs(ROW),
    "lines": np.array([1, 36, 8]),
}
NODES = {
    "BiasGelu": ("x v", {}),
    "FastGelu": ("x v", {}),
    "Gelu": ("x", {}),
    "QuickGelu": ("x", {"alpha": 1.5}),
    "FusedMatMul": ("x M", {"alpha": 0.5}),
    "FusedMatMul, turned": ("x x", {"alpha": 2.0, "transB": 1}),
    "FusedMatMul, both": ("x x", {"transA": 1}),
    "SkipLayerNormalization": ("r r g v v", {"epsilon": 1e-3}),
    "FusedConv": ("x W", {"activation": "Relu", "pads": [1, 0, 1, 0]}),
    "FusedConv, leaky": ("x W", {"activation": "LeakyRelu", "activation_params": [0.3]}),
    "FusedConv, clipped": ("x W", {"activation": "Clip", "activation_params": [-1.0, 2.0]}),
    "FusedConv, hard": ("x W", {"activation": "HardSigmoid", "activation_params": [0.1, 0.4]}),
}


def own_model(op: str, inputs: str, settings: dict[str, Any]) -> Any:
    """Return a model of one node of ONNX Runtime's domain."""
    nodes = [node("Reshape", "x lines", "r"), node(op, inputs, "y", domain=OWN, **settings)]
    made = model(nodes[0 if "r" in inputs.split() else 1 :], CONSTANTS, SHAPE)
    made.opset_import.append(onnx.helper.make_opsetid(OWN, 1))
    return made


@pytest.mark.parametrize("kind", NODES)
def test_nodes_of_its_domain(kind: str) -> None:
    inputs, settings = NODES[kind]
    made = own_model(kind.partition(",")[0], inputs, settings)
    X = picture(*SHAPE)
    found, expected = ours(made, X), runtime(made, X)
    np.testing.assert_allclose(found.ravel(), expected.ravel(), rtol=1e-4, atol=1e-4)


def written(nodes: list[Any], constants: dict[str, Any], folder: Path, **options: Any) -> Any:
    """Return a model quantised at run time, as ONNX Runtime's optimiser writes it."""
    onnx.save(model(nodes, constants, SHAPE), folder / "net.onnx")
    logging.disable(logging.CRITICAL)
    quantization.quantize_dynamic(folder / "net.onnx", folder / "q.onnx", **options)
    logging.disable(logging.NOTSET)
    asked = ort.SessionOptions()
    asked.log_severity_level = 3
    asked.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    asked.optimized_model_filepath = str(folder / "o.onnx")
    ort.InferenceSession(str(folder / "q.onnx"), asked, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "o.onnx")


@pytest.mark.parametrize("bias", [False, True])
def test_products_of_matrices_quantised_at_run_time(bias: bool, tmp_path: Path) -> None:
    nodes = [node("MatMul", "x M", "y")]
    if bias:
        nodes = [node("MatMul", "x M", "p"), node("Add", "p v", "y")]
    made = written(nodes, {"M": MATRIX, "v": ROW}, tmp_path)
    assert {each.op_type for each in made.graph.node} & {"DynamicQuantizeMatMul"}
    check(made, picture(*SHAPE), 1e-4)


def test_lstm_quantised_at_run_time(tmp_path: Path) -> None:
    W, R, B = (RNG.normal(size=n).astype(np.float32) / 3 for n in ((2, 20, 8), (2, 20, 5), (2, 40)))
    nodes = [
        node("Reshape", "x lines", "r"),
        node("LSTM", "r W R B", "y", hidden_size=5, direction="bidirectional"),
    ]
    constants = {"lines": np.array([9, 4, 8]), "W": W, "R": R, "B": B}
    made = written(nodes, constants, tmp_path)
    assert {each.op_type for each in made.graph.node} & {"DynamicQuantizeLSTM"}
    X = picture(*SHAPE)
    found, expected = ours(made, X), runtime(made, X)
    # The state is not rounded to 8 bits between steps.
    np.testing.assert_allclose(np.sort(found.ravel()), np.sort(expected.ravel()), atol=0.02)
    assert load(made).stop is None
