"""Small ONNX models, made node by node, and what ONNX Runtime and cnncli make of them."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.network.model import Model
from cnncli.network.onnx.converter import read
from cnncli.network.passes import forward, forward_layers

onnx = pytest.importorskip("onnx")

SHAPE = (2, 4, 9, 8)

FLOAT = onnx.TensorProto.FLOAT


def node(op: str, inputs: str, outputs: str, name: str = "", **attributes: Any) -> Any:
    """Return a node; its inputs and outputs are names with spaces between, ``-`` is left out."""
    given = ["" if each == "-" else each for each in inputs.split()]
    return onnx.helper.make_node(op, given, outputs.split(), name=name, **attributes)


def model(
    nodes: Sequence[Any],
    constants: Mapping[str, Any] | None = None,
    shape: Sequence[int | str] | None = SHAPE,
    opset: int = 17,
    outputs: Sequence[str] = (),
    kind: int = FLOAT,
) -> Any:
    """Return a model whose input is ``x``; its outputs are by default those of the last node."""
    tensors = [onnx.numpy_helper.from_array(v, k) for k, v in (constants or {}).items()]
    names = outputs or nodes[-1].output[:1]
    graph = onnx.helper.make_graph(
        nodes,
        "graph",
        [onnx.helper.make_tensor_value_info("x", kind, shape)],
        [onnx.helper.make_tensor_value_info(name, kind, None) for name in names],
        tensors,
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)


def graph(nodes: list[Any], inputs: str, outputs: str, constants: Any = None) -> Any:
    """Return a graph for a node, whose values are floats but its counter and its conditions."""
    kinds = {"i": onnx.TensorProto.INT64, "go": onnx.TensorProto.BOOL, "on": onnx.TensorProto.BOOL}
    infos = [
        [
            onnx.helper.make_tensor_value_info(
                name, kinds.get(name, FLOAT), [] if name in kinds else None
            )
            for name in names.split()
        ]
        for names in (inputs, outputs)
    ]
    tensors = [onnx.numpy_helper.from_array(v, k) for k, v in (constants or {}).items()]
    return onnx.helper.make_graph(nodes, "inner", *infos, tensors)


def load(made: Any, **options: Any) -> Model:
    """Return a model as cnncli reads it from a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(made.SerializeToString())
        return read(path, **options)


def picture(*shape: int) -> Any:
    """Return numbers of either sign, (N, C, H, W)."""
    return np.random.default_rng(80).normal(size=shape or SHAPE).astype(np.float32)


def ours(made: Any, X: Any) -> Any:
    """Return what cnncli makes of (N, C, H, W), by both forward passes.

    Returns
    -------
    ndarray
        (N, C, H, W), or (N, C) where one row and one column are left.
    """
    found = load(made)
    assert made.graph.output[0].name not in found.missing, found.notes
    name = found.find(made.graph.output[0].name)
    last = found.network.until(name)
    X = np.ascontiguousarray(np.moveaxis(X, 1, -1))
    ((_, Y),) = forward_layers(last, X)
    np.testing.assert_allclose(Y, forward(last, X).values[name], rtol=1e-4, atol=1e-4)
    # Whole numbers on the way are computed in float64, which holds each of int32.
    assert Y.dtype in (X.dtype, np.float64)
    return np.moveaxis(Y, -1, 1)


def runtime(made: Any, X: Any) -> Any:
    """Return what ONNX Runtime makes of (N, C, H, W)."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"x": X})[0]


def check(made: Any, X: Any = None, tolerance: float = 1e-5) -> Any:
    """Compare cnncli with ONNX Runtime, relative to the largest value; return the values."""
    X = picture() if X is None else X
    expected = runtime(made, X)
    found = ours(made, X)
    if expected.ndim == 2:
        found = found.reshape(len(found), -1)
    assert found.shape == expected.shape
    assert np.isfinite(expected).all()
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)
    return expected


@cache
def node_cases() -> dict[str, Any]:
    """Return ONNX's own cases of one node each, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = import_module("onnx.backend.test.case.node").collect_testcases(None)
    alone = [case for case in cases if len(case.model.graph.node) == 1]
    return {case.name.removeprefix("test_"): case for case in alone}
