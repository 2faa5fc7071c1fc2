"""ONNX's own cases of one node as judge of ONNX models read as networks."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from cnncli.network.onnx.operators import OPERATORS
from tests.support.onnxmodels import load, node, onnx, ours

CASE_FILES = {
    **{name: name.lower() for name in OPERATORS},
    "BatchNormalization": "batch_normalization",
}
"""Operators and the files of ONNX that hold their cases."""


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
    if len(nodes) != 1 or nodes[0].op_type not in CASE_FILES or not case.data_sets[0][0]:
        return False
    first = arrays_of(case)[0][0]
    return isinstance(first, np.ndarray) and first.ndim == 4 and first.dtype == np.float32


def all_cases() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = import_module("onnx.backend.test.case.node")
        for file in CASE_FILES.values():
            import_module(f"onnx.backend.test.case.node.{file}")
    return {c.name.removeprefix("test_"): c for c in cases._NodeTestCases if picture_case(c)}


CASES = all_cases()


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


NO_LAYER = {
    **dict.fromkeys(("flatten_axis0", "flatten_negative_axis4"), "not each picture"),
    **dict.fromkeys(("flatten_axis2", "flatten_negative_axis2"), "not each picture"),
    **dict.fromkeys(("flatten_axis3", "flatten_negative_axis1"), "not each picture"),
    **dict.fromkeys(("matmul_4d", "matmul_4d_1d", "matmul_bcast"), "its input is not flattened"),
    **dict.fromkeys(("squeeze", "squeeze_negative_axes", "unsqueeze_negative_axes"), "the shape"),
    **dict.fromkeys(
        [
            f"resize_{case}_antialias"
            for case in (
                *("downsample_scales_cubic", "downsample_scales_linear"),
                *("downsample_sizes_cubic", "downsample_sizes_linear"),
            )
        ],
        "it smooths",
    ),
    **dict.fromkeys(
        [
            f"resize_{case}_sizes_nearest_not_{side}"
            for case in ("downsample", "upsample")
            for side in ("larger", "smaller")
        ],
        "keeps the aspect ratio",
    ),
    **dict.fromkeys(
        [
            f"resize_{case}_scales_{kind}"
            for case in ("downsample", "upsample")
            for kind in ("cubic_A_n0p5_exclude_outside", "linear_half_pixel_symmetric")
        ],
        "its ",
    ),
    **dict.fromkeys(
        [
            f"resize_tf_crop_and_resize{case}"
            for case in ("", "_axes_2_3", "_axes_3_2", "_extrapolation_value")
        ],
        "its mode is",
    ),
    "batchnorm_epsilon_training_mode": "it is in training",
    "batchnorm_example_training_mode": "it is in training",
}
"""The only cases that become no layer, with what the note says."""

OTHERWISE = {
    *(
        "resize_downsample_scales_cubic_align_corners",
        "resize_downsample_scales_linear_align_corners",
    ),
}
"""Cases that ONNX Runtime computes in another way, with the length of the output as a whole number;
cnncli does as it does."""

ROUNDED = {"averagepool_2d_ceil_last_window_starts_on_pad": 1e-4}
"""The case whose expected values are written by hand, right to one unit of the fourth decimal."""

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("name", sorted(set(CASES) - set(NO_LAYER) - OTHERWISE))
def test_case_of_onnx(name: str) -> None:
    inputs, outputs = arrays_of(CASES[name])
    found = ours(with_constants(CASES[name]), inputs[0])
    if outputs[0].ndim == 2:
        found = found.reshape(len(outputs[0]), -1)
    elif found.shape != outputs[0].shape:
        found = np.moveaxis(found, 1, -1)
    assert found.shape == outputs[0].shape
    np.testing.assert_allclose(found, outputs[0], rtol=1e-5, atol=ROUNDED.get(name, 1e-5))


@pytest.mark.parametrize("name", NO_LAYER)
def test_case_of_onnx_that_becomes_no_layer(name: str) -> None:
    made = with_constants(CASES[name])
    found = load(made)
    assert NO_LAYER[name] in found.missing[made.graph.output[0].name]
    assert found.network.names == ("same",)


def test_cases_are_found() -> None:
    tried = {CASES[name].model.graph.node[0].op_type for name in set(CASES) - set(NO_LAYER)}
    windows = {"AveragePool", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "Pad"}
    assert tried >= {"BatchNormalization", "Flatten", "Identity", *windows, *OF_EACH_VALUE}
    assert len(CASES) >= 70
