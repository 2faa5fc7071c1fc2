"""ONNX's own cases of one node as judge of ONNX models read as networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.network.onnx.operators import OPERATORS
from tests.support.onnxmodels import node, node_cases, onnx, ours

OF_EACH_VALUE = {
    *("Abs", "Clip", "HardSigmoid", "HardSwish", "LeakyRelu", "Relu", "Sigmoid", "Tanh"),
}
"""Operators whose cases of three axes will do too, as one picture."""


def arrays_of(case: Any) -> tuple[list[Any], list[Any]]:
    """Return a case's inputs and outputs, the first input as pictures if it can be."""
    inputs, outputs = (list(arrays) for arrays in case.data_sets[0])
    lift = case.model.graph.node[0].op_type in OF_EACH_VALUE and np.ndim(inputs[0]) == 3
    return ([inputs[0][None], *inputs[1:]], [outputs[0][None]]) if lift else (inputs, outputs)


def picture_case(case: Any) -> bool:
    """Tell the cases of one operator of ours whose first input is a picture of floats."""
    nodes = case.model.graph.node
    if len(nodes) != 1 or nodes[0].op_type not in OPERATORS or not case.data_sets[0][0]:
        return False
    first = arrays_of(case)[0][0]
    return isinstance(first, np.ndarray) and first.ndim == 4 and first.dtype == np.float32


CASES = {name: case for name, case in node_cases().items() if picture_case(case)}


def with_constants(case: Any) -> Any:
    """Return a case's model with its other inputs as constants, behind a layer of no effect."""
    made = onnx.ModelProto.FromString(case.model.SerializeToString())
    graph, (inputs, _) = made.graph, arrays_of(case)
    names = [each.name for each in graph.input]
    del graph.input[:]
    graph.input.append(onnx.helper.make_tensor_value_info(names[0], 1, inputs[0].shape))
    for name, array in zip(names[1:], inputs[1:], strict=True):
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    graph.initializer.append(onnx.numpy_helper.from_array(np.ones(1, np.float32), "one"))
    (operator,) = graph.node
    operator.input[:] = ["same" if name == names[0] else name for name in operator.input]
    graph.node.insert(0, node("Mul", f"{names[0]} one", "same"))
    return made


OTHERWISE = {
    *(
        "resize_downsample_scales_cubic_align_corners",
        "resize_downsample_scales_linear_align_corners",
    ),
    "maxpool_with_argmax_2d_precomputed_pads",
}
"""Cases that ONNX Runtime computes in another way, with the length of the output as a whole number;
cnncli does as it does. And places of maxima, which onnx counts rightly in this case alone."""

ACROSS = {
    *("batchnorm_epsilon_training_mode", "batchnorm_example_training_mode", "matmul_4d_1d"),
    *("gather_0", "squeeze", "squeeze_negative_axes", "tile", "unsqueeze_negative_axes"),
    *("layer_normalization_4d_axis0", "layer_normalization_4d_axis_negative_4"),
}
"""Cases over several images together, or of other axes: test_onnx_node_cases.py runs them."""

ROUNDED = {"averagepool_2d_ceil_last_window_starts_on_pad": 1e-4}
"""The case whose expected values are written by hand, right to one unit of the fourth decimal."""

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("name", sorted(set(CASES) - OTHERWISE - ACROSS))
def test_case_of_onnx(name: str) -> None:
    inputs, outputs = arrays_of(CASES[name])
    found = ours(with_constants(CASES[name]), inputs[0])
    if outputs[0].ndim == 2:
        found = found.reshape(len(outputs[0]), -1)
    elif found.shape != outputs[0].shape:
        found = np.moveaxis(found, 1, -1)
    assert found.shape == outputs[0].shape
    np.testing.assert_allclose(found, outputs[0], rtol=1e-5, atol=ROUNDED.get(name, 1e-5))


def test_cases_are_found() -> None:
    tried = {CASES[name].model.graph.node[0].op_type for name in CASES}
    windows = {"AveragePool", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Pad"}
    assert tried >= {"BatchNormalization", "Flatten", "Identity", *windows, *OF_EACH_VALUE}
    assert len(CASES) >= 70
