"""Nodes that ONNX's ReferenceEvaluator computes wrongly: written otherwise, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.network.onnx.evaluator_faults import attributes_of
from cnncli.network.onnx.reference import ReferenceNode, reference_node
from cnncli.network.onnx.shapes import NotRun
from tests.support.onnxmodels import node


def reference(op: str, opset: int, inputs: str = "x", **attributes: Any) -> ReferenceNode:
    return reference_node(node(op, inputs, "y", **attributes), opset)


def numbers(*shape: int) -> Any:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("opset", [7, 9, 13, 15])
def test_batch_normalization_of_all_versions_uses_what_was_learned(opset: int) -> None:
    X, given = numbers(2, 3, 4), np.abs(numbers(4, 3))
    scale, bias, mean, var = given
    (Y,) = reference("BatchNormalization", opset, "x s b m v").run([X, *given])
    each = [array.reshape(3, 1) for array in (scale, bias, mean, var)]
    expected = each[0] * (X - each[2]) / np.sqrt(each[3] + 1e-5) + each[1]
    np.testing.assert_allclose(Y, expected, rtol=1e-4)


def test_batch_normalization_in_training_is_refused() -> None:
    given = [numbers(2, 3, 4), *np.abs(numbers(4, 3))]
    for opset, fields in ((6, {}), (7, {"spatial": 0}), (14, {"training_mode": 1})):
        with pytest.raises(NotRun):
            work = reference("BatchNormalization", opset, "x s b m v", **fields)
            assert work.run(given) is None


def test_old_regions_are_aligned_to_whole_pixels() -> None:
    X, rois = numbers(1, 1, 8, 8), np.float32([[1, 1, 5, 6]])
    given = [X, rois, np.array([0])]
    size = {"output_height": 2, "output_width": 2, "sampling_ratio": 2}
    mode = {"coordinate_transformation_mode": "output_half_pixel"}
    (old,), (new,) = (
        reference("RoiAlign", opset, "x r i", **size, **more).run(given)
        for opset, more in ((10, {}), (16, mode))
    )
    np.testing.assert_array_equal(old, new)
    assert attributes_of(node("RoiAlign", "x", "y", **mode)) == mode


REFUSED = {
    "softmax": ("Softmax", 11, (2, 3, 4), {"axis": 1}),
    "hardmax, default axis": ("Hardmax", 9, (2, 3, 4), {}),
    "lrn of a batch": ("LRN", 13, (2, 6, 4, 4), {"size": 3}),
    "max, lower": ("MaxPool", 12, (2, 2, 4, 4), {
        "kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    "average, ceil": ("AveragePool", 19, (2, 2, 6), {
        "kernel_shape": [3], "strides": [5], "ceil_mode": 1}),
    "max, SAME_UPPER": ("MaxPool", 12, (2, 2, 4), {"kernel_shape": [2], "auto_pad": "SAME_UPPER"}),
    "max, ceil": ("MaxPool", 12, (2, 2, 3), {
        "kernel_shape": [2], "strides": [2], "pads": [1, 1], "ceil_mode": 1}),
    "lp, ceil and SAME": ("LpPool", 18, (2, 2, 4), {
        "kernel_shape": [2], "auto_pad": "SAME_UPPER", "ceil_mode": 1}),
    "no window fits": ("AveragePool", 11, (2, 2, 2), {"kernel_shape": [3], "strides": [2]}),
    "no stride": ("AveragePool", 19, (2, 2, 6), {
        "kernel_shape": [3], "strides": [0], "ceil_mode": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    op, opset, shape, fields = REFUSED[name]
    with pytest.raises(NotRun):
        reference(op, opset, **fields).run([numbers(*shape)])


def test_pools_without_pads_by_name_keep_dilations_and_ceil_mode() -> None:
    X = numbers(2, 2, 6)
    window = {"kernel_shape": [2], "strides": [2], "dilations": [2], "auto_pad": "VALID"}
    (Y,) = reference("MaxPool", 12, ceil_mode=1, **window).run([X])
    beside = np.pad(X, ((0, 0), (0, 0), (0, 2)), constant_values=-np.inf)
    np.testing.assert_array_equal(Y, np.maximum(X[:, :, ::2], beside[:, :, 2::2]))


def test_places_of_maxima_need_a_stride() -> None:
    X = numbers(1, 2, 3, 4)
    for size, stride, fits in ((2, 2, True), (1, 1, True), (1, 2, True), (2, 1, False)):
        window = {"kernel_shape": [size, size], "strides": [stride, stride]}
        made = node("MaxPool", "x", "y i", **window)
        work = reference_node(made, 12)
        if fits:
            values, places = work.run([X])
            np.testing.assert_array_equal(X.ravel()[places], values)
        else:
            with pytest.raises(NotRun, match="with the places of its maxima"):
                work.run([X])


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"activations": ["Sigmoid", "Relu"]}, "activations other than"),
        ({"clip": 0.5}, "with clip"),
        ({"lengths": [3, 2]}, "shorter sequences"),
        ({"lengths": [3, 3]}, ""),
        ({"activations": ["Sigmoid", "Tanh"]}, ""),
    ],
)
def test_recurrent_nodes(fields: dict[str, Any], why: str) -> None:
    lengths = fields.pop("lengths", None)
    given = [numbers(3, 2, 4), numbers(1, 6, 4), numbers(1, 6, 2)]
    inputs = "x w r" if lengths is None else "x w r - l"
    more = [] if lengths is None else [None, np.array(lengths, np.int32)]
    work = reference("GRU", 14, inputs, hidden_size=2, **fields)
    if why:
        with pytest.raises(NotRun, match=why):
            work.run([*given, *more])
    else:
        assert work.run([*given, *more])[0].shape == (3, 1, 2, 2)


def test_transposed_convolutions_in_groups() -> None:
    X, W = numbers(2, 4, 5), numbers(4, 1, 3)
    (Y,) = reference("ConvTranspose", 11, "x w", group=4).run([X, W])
    assert Y.shape == (2, 4, 7)
    with pytest.raises(NotRun, match="in groups"):
        reference("ConvTranspose", 11, "x w", group=2).run([X, W])
    with pytest.raises(NotRun, match="with output_shape"):
        reference("ConvTranspose", 11, "x w", output_shape=[4]).run([X, W])


def test_numbers_that_it_takes_for_others() -> None:
    X = numbers(2, 2, 6)
    norm = reference("LpNormalization", 11, p=1, axis=1)
    assert norm.run([np.abs(X)])
    with pytest.raises(NotRun, match="below 0"):
        norm.run([X])
    pool = reference("AveragePool", 11, kernel_shape=[2])
    assert pool.run([X])
    X[0, 0, 0] = np.nan
    with pytest.raises(NotRun, match="NaN"):
        pool.run([X])


def test_resize_where_single_precision_decides() -> None:
    X = numbers(2, 7)
    for scale, mode, fits in ((2, "nearest", True), (1.3, "nearest", False), (1.3, "linear", True)):
        work = reference("Resize", 13, "x - s", mode=mode)
        given = [X, None, np.float32([1, scale])]
        if fits:
            assert work.run(given)[0].shape == (2, int(7 * scale))
        else:
            with pytest.raises(NotRun, match="between two cells"):
                work.run(given)
    single = {"mode": "cubic", "coordinate_transformation_mode": "pytorch_half_pixel"}
    with pytest.raises(NotRun, match="from 7 to 1 with pytorch_half_pixel"):
        reference("Resize", 18, "x - - n", **single).run([X, None, None, np.array([2, 1])])
    even = {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}
    with pytest.raises(NotRun, match="between two cells"):
        reference("Resize", 19, "x - s", **even).run([numbers(1, 9), None, np.float32([1, 0.5])])
    with pytest.raises(NotRun, match="of pictures, from 2 to 3"):
        reference("Resize", 18, "x - - n", mode="cubic").run([X, None, None, np.array([3, 7])])
    corners = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    ends = reference("Resize", 13, "x - s", **corners)
    with pytest.raises(NotRun, match="from 7 to 9.1"):
        ends.run([X, None, np.float32([1, 1.3])])
