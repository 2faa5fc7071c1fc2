"""ONNX as judge: its own node test cases through the command line, and ONNX Runtime on options."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cnncli import conv_forward, pool_forward

onnx = pytest.importorskip("onnx")

CASE_FILES = {
    "Conv": "conv",
    "MaxPool": "maxpool",
    "AveragePool": "averagepool",
    "LpPool": "lppool",
    "GlobalMaxPool": "globalmaxpool",
    "GlobalAveragePool": "globalaveragepool",
    "Pad": "pad",
}
"""Operators and the files of ONNX that hold their cases. GlobalLpPool has none."""

NOT_TWO_AXES = {
    "test_averagepool_1d_default": "one axis",
    "test_lppool_1d_default": "one axis",
    "test_maxpool_1d_default": "one axis",
    "test_averagepool_3d_default": "three axes",
    "test_averagepool_3d_dilations_small": "three axes",
    **{
        f"test_averagepool_3d_dilations_large_count_include_pad_is_{include}_ceil_mode_is_{ceil}": (
            "three axes"
        )
        for include, ceil in product((0, 1), (True, False))
    },
    "test_lppool_3d_default": "three axes",
    "test_maxpool_3d_default": "three axes",
    "test_maxpool_3d_dilations": "three axes",
    "test_maxpool_3d_dilations_use_ref_impl": "three axes",
    "test_maxpool_3d_dilations_use_ref_impl_large": "three axes",
}
"""The only cases that are left out, with the reason."""

ROUNDED = {"test_averagepool_2d_ceil_last_window_starts_on_pad": 1e-4}
"""The case whose expected values are written by hand, right to one unit of the fourth decimal."""

pytestmark = pytest.mark.oracle

POOL_MODES = {"MaxPool": "max", "AveragePool": "average", "LpPool": "lp"}
PAD_MODES = {"constant": "zeros", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}
AUTO_PADS = {b"SAME_UPPER": "same", b"SAME_LOWER": "same-lower", b"VALID": "valid"}


def all_cases() -> list[Any]:
    """Return every node case of those operators, of however many axes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node = import_module("onnx.backend.test.case.node")
        for file in CASE_FILES.values():
            import_module(f"onnx.backend.test.case.node.{file}")
    return [c for c in node._NodeTestCases if c.model.graph.node[0].op_type in CASE_FILES]


def first_input(case: Any) -> Any:
    return case.data_sets[0][0][0]


CASES = [case for case in all_cases() if first_input(case).ndim == 4]


def attributes(case: Any) -> dict[str, Any]:
    node = case.model.graph.node[0]
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def commas(numbers: Any) -> str:
    return ",".join(str(int(number)) for number in numbers)


def sides(pads: Any) -> str:
    """Return ONNX's (top, left, bottom, right) as TOP,BOTTOM,LEFT,RIGHT."""
    top, left, bottom, right = pads
    return commas((top, bottom, left, right))


def padding(fields: Mapping[str, Any]) -> str:
    auto = fields.get("auto_pad", b"NOTSET")
    return AUTO_PADS[auto] if auto in AUTO_PADS else sides(fields.get("pads", (0, 0, 0, 0)))


def window_options(fields: Mapping[str, Any]) -> list[str]:
    """Return the options that convolution and pooling share; ONNX's default stride is 1."""
    return [
        *("--padding", padding(fields)),
        *("--stride", commas(fields.get("strides", (1, 1)))),
        *("--dilation", commas(fields.get("dilations", (1, 1)))),
    ]


def conv_command(fields: Mapping[str, Any], inputs: list[Any], folder: Path) -> list[str]:
    options = ["--filter-layout", "oihw", "--groups", str(fields.get("group", 1))]
    for option, array in zip(("--filter", "--bias"), inputs[1:], strict=False):
        np.save(folder / f"{option.strip('-')}.npy", array)
        options += [option, str(folder / f"{option.strip('-')}.npy")]
    return ["conv", *options, *window_options(fields)]


def pool_command(operator: str, fields: Mapping[str, Any]) -> list[str]:
    if operator.startswith("Global"):
        return ["pool", "--mode", POOL_MODES[operator.removeprefix("Global")], "--size", "global"]
    flags = {"ceil_mode": "--ceil", "count_include_pad": "--count-include-pad"}
    options = [flag for name, flag in flags.items() if fields.get(name)]
    if operator == "LpPool":
        options += ["--p", str(fields.get("p", 2))]
    size = ["--size", commas(fields["kernel_shape"])]
    return ["pool", "--mode", POOL_MODES[operator], *size, *window_options(fields), *options]


def pad_command(fields: Mapping[str, Any], inputs: list[Any]) -> list[str]:
    mode = PAD_MODES[fields.get("mode", b"constant").decode()]
    pads, axes = inputs[1], inputs[3] if len(inputs) > 3 else range(4)
    both_ends = np.zeros((2, 4), int)
    both_ends[:, list(axes)] = pads.reshape(2, -1)
    assert not both_ends[:, :2].any(), "only rows and columns are padded"
    value = ["--pad-value", str(float(inputs[2]))] if len(inputs) > 2 else []
    return ["pad", "--padding", sides(both_ends[:, 2:].ravel()), "--pad-mode", mode, *value]


def command(case: Any, inputs: list[Any], folder: Path) -> list[str]:
    operator, fields = case.model.graph.node[0].op_type, attributes(case)
    if operator == "Conv":
        return conv_command(fields, inputs, folder)
    return pad_command(fields, inputs) if operator == "Pad" else pool_command(operator, fields)


def run(arguments: list[str], X: Any, folder: Path) -> Any:
    """Return what a command makes of (N, C, H, W), as (N, C, H, W)."""
    from cnncli.cli import cli

    # Integers become floats first: the values are the case, and cnncli computes in floats.
    np.save(folder / "in.npy", np.moveaxis(X, 1, -1).astype(np.float32))
    files = [str(folder / "in.npy"), "-o", str(folder / "out.npy")]
    result = CliRunner().invoke(cli, [arguments[0], *files, *arguments[1:]], catch_exceptions=False)
    assert result.exit_code == 0, f"cnncli {' '.join(arguments)}\n{result.output}"
    assert result.stdout == ""
    return np.moveaxis(np.load(folder / "out.npy"), -1, 1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.removeprefix("test_"))
def test_node_case(case: Any, tmp_path: Path) -> None:
    for inputs, outputs in case.data_sets:
        # Max pooling's second output, the winners' indices, is none of cnncli's.
        Y = run(command(case, inputs, tmp_path), inputs[0], tmp_path)
        assert Y.dtype == np.float32
        assert Y.shape == outputs[0].shape
        np.testing.assert_allclose(Y, outputs[0], rtol=1e-5, atol=ROUNDED.get(case.name, 1e-6))


def test_no_case_of_two_axes_is_left_out() -> None:
    left_out = {case.name for case in all_cases()} - {case.name for case in CASES}
    assert left_out <= set(NOT_TWO_AXES)
    assert len(CASES) >= 46
    assert {case.model.graph.node[0].op_type for case in CASES} == set(CASE_FILES)
    assert all(len(case.model.graph.node) == 1 and case.data_sets for case in CASES)


def runtime(operator: str, inputs: list[Any], **fields: Any) -> Any:
    """Return what ONNX Runtime makes of (N, H, W, C) float32 with one node, as (N, H, W, C)."""
    ort = pytest.importorskip("onnxruntime")
    inputs = [np.moveaxis(inputs[0], -1, 1), *inputs[1:]]
    names = ["X", "W", "B"][: len(inputs)]
    kind = onnx.TensorProto.FLOAT
    values = [
        onnx.helper.make_tensor_value_info(name, kind, array.shape)
        for name, array in zip(names, inputs, strict=True)
    ]
    node = onnx.helper.make_node(operator, names, ["Y"], **fields)
    output = onnx.helper.make_tensor_value_info("Y", kind, [None] * 4)
    graph = onnx.helper.make_graph([node], "one", values, [output])
    opset = [onnx.helper.make_opsetid("", 22)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (Y,) = session.run(None, dict(zip(names, inputs, strict=True)))
    return np.moveaxis(Y, 1, -1)


def images(rows: int = 9) -> Any:
    return np.random.default_rng(41).standard_normal((2, rows, 8, 4)).astype(np.float32)


def named_or_numbers(pad: Any) -> dict[str, Any]:
    """Return cnncli's pad as ONNX's attributes."""
    names = {"same": "SAME_UPPER", "same-lower": "SAME_LOWER", "valid": "VALID"}
    if isinstance(pad, str):
        return {"auto_pad": names[pad]}
    return {"pads": [pad[0][0], pad[1][0], pad[0][1], pad[1][1]]}


PADS = ["same", "same-lower", "valid", ((1, 0), (0, 2)), ((1, 1), (1, 1))]


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("pad", PADS, ids=str)
def test_conv_of_the_runtime(pad: Any, groups: int) -> None:
    rng = np.random.default_rng(42)
    W = rng.standard_normal((8, 4 // groups, 3, 2)).astype(np.float32)
    b = rng.standard_normal(8).astype(np.float32)
    # The runtime refuses dilation with SAME.
    dilations = [(1, 1)] if pad in ("same", "same-lower") else [(1, 1), (2, 1)]
    for stride, dilation in product([(1, 1), (2, 3)], dilations):
        expected = runtime(
            "Conv",
            [images(), W, b],
            strides=stride,
            dilations=dilation,
            group=groups,
            **named_or_numbers(pad),
        )
        fields = {"stride": stride, "dilation": dilation, "groups": groups, "pad": pad}
        Z, _ = conv_forward(images(), W.transpose(2, 3, 1, 0), b, fields)
        np.testing.assert_allclose(Z, expected, rtol=1e-4, atol=1e-5, err_msg=str(fields))


@pytest.mark.parametrize("pad", PADS, ids=str)
@pytest.mark.parametrize("operator", POOL_MODES)
def test_pool_of_the_runtime(operator: str, pad: Any) -> None:
    mode = POOL_MODES[operator]
    extra = {"p": 3} if mode == "lp" else {}
    for size, stride, rows in product([(3, 3), (2, 3)], [(1, 1), (2, 2), (2, 3)], (8, 9)):
        expected = runtime(
            operator,
            [images(rows)],
            kernel_shape=size,
            strides=stride,
            **named_or_numbers(pad),
            **extra,
        )
        fields = {"f": size, "stride": stride, "pad": pad, **extra}
        A, _ = pool_forward(images(rows), fields, mode)
        np.testing.assert_allclose(A, expected, rtol=1e-5, atol=1e-5, err_msg=str(fields))


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1)], ids=str)
def test_average_pool_of_the_runtime(dilation: tuple[int, int], include: int) -> None:
    for pad, stride, ceil in product(PADS[2:], [(1, 1), (2, 3)], (0, 1)):
        expected = runtime(
            "AveragePool",
            [images()],
            kernel_shape=(3, 3),
            strides=stride,
            dilations=dilation,
            ceil_mode=ceil,
            count_include_pad=include,
            **named_or_numbers(pad),
        )
        fields = {"f": 3, "stride": stride, "pad": pad, "dilation": dilation}
        fields |= {"ceil": bool(ceil), "count_include_pad": bool(include)}
        A, _ = pool_forward(images(), fields, "average")
        np.testing.assert_allclose(A, expected, rtol=1e-5, atol=1e-5, err_msg=str(fields))
