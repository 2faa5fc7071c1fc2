"""Rules for the shapes of frequent operators, beside ONNX's own inference of shapes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.network.onnx.reference import ALLOWED, reference_node
from cnncli.network.onnx.shape_rules import _BROADCAST, _RULES, has_rule, ruled_shape
from cnncli.network.onnx.shapes import NotRun, Tensor
from cnncli.network.onnx.values import NodeInputs
from tests.support.onnxmodels import model, node, onnx

pytestmark = pytest.mark.oracle

PICTURE = (1, 6, 5, 4)
NOT_LARGER = {"keep_aspect_ratio_policy": "not_larger"}
Given = tuple[int, ...] | np.ndarray | None
"""The shape of an input, or the numbers of one that is known beforehand; None if it is left out."""


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def floats(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


CASES: dict[str, list[tuple[list[Given], dict[str, Any]]]] = {
    "BatchNormalization": [([PICTURE, *[(6,)] * 4], {})],
    "Concat": [
        ([PICTURE, (1, 2, 5, 4)], {"axis": 1}),
        ([PICTURE, (1, 6, 5, 9), (1, 6, 5, 1)], {"axis": -1}),
    ],
    "Flatten": [
        ([PICTURE], {}),
        *[([PICTURE], {"axis": axis}) for axis in (-4, -2, -1, 0, 2, 4)],
        ([(7,)], {}),
    ],
    "Gemm": [
        ([(1, 6), (6, 3)], {}),
        ([(5, 6), (3, 6), (3,)], {"transB": 1}),
        ([(6, 5), (6, 3)], {"transA": 1}),
    ],
    "GlobalAveragePool": [([PICTURE], {}), ([(1, 6, 5)], {})],
    "GlobalMaxPool": [([PICTURE], {}), ([(1, 6, 5)], {})],
    "InstanceNormalization": [([PICTURE, (6,), (6,)], {})],
    # Of other pictures it is not computed rightly by onnx.
    "LRN": [([(6, 6, 5, 4)], {"size": 3})],
    "Cast": [([PICTURE], {"to": 7})],
    "MatMul": [
        ([(5, 6), (6, 3)], {}),
        ([PICTURE, (4, 9)], {}),
        ([(2, 1, 5, 4), (3, 4, 7)], {}),
        ([(4,), (3, 4, 7)], {}),
        ([PICTURE, (4,)], {}),
        ([(4,), (4,)], {}),
    ],
    "PRelu": [([PICTURE, (6, 1, 1)], {})],
    "Reshape": [
        ([PICTURE, whole(6, 20)], {}),
        ([PICTURE, whole(1, -1)], {}),
        ([PICTURE, whole(0, 0, -1)], {}),
        ([PICTURE, whole(1, 2, 3, 20)], {"allowzero": 1}),
    ],
    "Resize": [
        ([PICTURE, None, floats(1, 1, 2, 2)], {}),
        ([PICTURE, None, floats(1, 1, 1.7, 0.6)], {"mode": "linear"}),
        ([PICTURE, None, None, whole(1, 6, 9, 3)], {}),
        ([PICTURE, None, None, whole(9, 3)], {"axes": (2, 3)}),
        ([PICTURE, None, floats(1.5, 3)], {"axes": (-2, -1)}),
    ],
    "Shape": [
        ([PICTURE], {}),
        ([PICTURE], {"start": 1}),
        ([PICTURE], {"start": -2, "end": -1}),
    ],
    "Slice": [
        ([PICTURE, whole(1), whole(4)], {}),
        ([PICTURE, whole(1, 0), whole(2**63 - 1, -1), whole(1, -1)], {}),
        ([PICTURE, whole(-1), whole(-(2**63)), whole(1), whole(-2)], {}),
        ([PICTURE, whole(0, 1), whole(9, 9), whole(2, 3), whole(2, 3)], {}),
    ],
    "Transpose": [
        ([PICTURE], {}),
        ([PICTURE], {"perm": (0, 2, 3, 1)}),
        ([(3, 4, 5)], {"perm": (2, 0, 1)}),
    ],
    **dict.fromkeys(
        _BROADCAST,
        [
            ([PICTURE, PICTURE], {}),
            ([PICTURE, (6, 1, 1)], {}),
            ([PICTURE, (3, 1, 5, 1)], {}),
            ([(4,), (1, 1, 6, 5, 1)], {}),
        ],
    ),
}
ONE_INPUT: list[tuple[list[Given], dict[str, Any]]] = [
    ([PICTURE], {}),
    ([(1, 6)], {}),
    ([(2, 3, 4)], {}),
]


@pytest.mark.parametrize("op", sorted(_RULES))
def test_shapes_are_those_that_onnx_infers(op: str) -> None:
    assert op in ALLOWED
    for opset in (8, 13, 24):
        if not onnx.defs.has(op, max_inclusive_version=opset):
            continue
        for inputs, attributes in CASES.get(op, ONE_INPUT):
            names = ["" if given is None else f"x{k}" for k, given in enumerate(inputs)]
            proto = onnx.helper.make_node(op, names, ["y"], **attributes)
            arrays = tuple(
                np.zeros(given, np.float32) if isinstance(given, tuple) else given
                for given in inputs
            )
            tensors = [None if x is None else Tensor(str(x.dtype), x.shape) for x in arrays]
            known = {k: x for k, x in enumerate(inputs) if isinstance(x, np.ndarray)}
            try:
                expected, *_ = reference_node(proto, opset).tensors(tensors, known)
            except NotRun:
                expected = None
            given = NodeInputs(attributes, "", opset, arrays)
            assert has_rule(op, given)
            if expected is None:
                # Old versions have no axes below 0, no Gemm of two inputs, and attributes in place
                # of inputs; some attributes came with 14 to 18.
                assert opset < (18 if op in ("Reshape", "Resize", "Shape") else 11)
                continue
            assert ruled_shape(op, given) == expected.dims, (opset, inputs, attributes)


def test_older_forms_of_operators() -> None:
    zeros = (np.zeros(PICTURE),)
    taken = {"starts": (1, 0), "ends": (3, 9), "axes": (1, 2)}
    assert ruled_shape("Slice", NodeInputs(taken, "", 9, zeros)) == (1, 2, 5, 4)
    assert ruled_shape("Reshape", NodeInputs({"shape": (0, -1)}, "", 4, zeros)) == (1, 120)
    # Files give an empty array where a scale is left out, which that inference takes for one.
    sizes = (*zeros, None, floats(), whole(1, 6, 9, 3))
    assert ruled_shape("Resize", NodeInputs({}, "", 11, sizes)) == (1, 6, 9, 3)
    first_form = (*zeros, floats(1, 1, 3, 2))
    assert ruled_shape("Resize", NodeInputs({}, "", 10, first_form)) == (1, 6, 15, 8)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("Reshape", (np.zeros(PICTURE), whole(0, 0, 0, 0, 0)), {}),
        ("Reshape", (np.zeros(PICTURE), whole(0, -1)), {"allowzero": 1}),
        ("Reshape", (np.zeros(PICTURE), whole(7, 3)), {}),
        ("Reshape", (np.zeros(PICTURE), whole(7, -1)), {}),
        ("Resize", (np.zeros(PICTURE), None, floats(2, 2)), {}),
        ("Resize", (np.zeros(PICTURE),), {}),
        ("Resize", (np.zeros(PICTURE), None, None, whole(1, 6, 9, 3)), NOT_LARGER),
        ("Slice", (np.zeros(PICTURE), whole(1), whole(4), whole(0), whole(0)), {}),
        ("MatMul", (np.zeros(PICTURE), np.zeros((5, 4))), {}),
    ],
)
def test_numbers_that_do_not_fit(op: str, inputs: tuple[Any, ...], attributes: Any) -> None:
    assert ruled_shape(op, NodeInputs(attributes, "", 18, inputs)) is None


@pytest.mark.parametrize(
    ("op", "shapes"), [("Add", [(1, 3), (1, 4)]), ("Gemm", [(3,), (3,)]), ("Transpose", [(1, 3)])]
)
def test_inputs_that_do_not_fit(op: str, shapes: list[tuple[int, ...]]) -> None:
    inputs = tuple(np.zeros(shape) for shape in shapes)
    assert ruled_shape(op, NodeInputs({"perm": (0, 2)}, "", 18, inputs)) is None


def test_old_sums_have_rules_of_their_own() -> None:
    assert not has_rule("Add", NodeInputs({}, "", 6, ()))
    assert has_rule("Relu", NodeInputs({}, "", 6, ()))


def test_reading_a_usual_network_does_not_load_onnx(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x w", "a", pads=(1, 1, 1, 1)),
        node("Relu", "a", "b"),
        node("Add", "a b", "c"),
        node("MaxPool", "c", "p", kernel_shape=(2, 2), strides=(2, 2)),
        node("Resize", "p - s", "d"),
        node("GlobalAveragePool", "d", "e"),
        node("Flatten", "e", "f"),
        node("Gemm", "f m", "y"),
    ]
    constants = {"w": np.ones((4, 2, 3, 3), np.float32), "m": np.ones((4, 3), np.float32)}
    constants["s"] = floats(1, 1, 2, 2)
    path = tmp_path / "net.onnx"
    path.write_bytes(model(nodes, constants, (1, 2, 8, 8)).SerializeToString())
    code = (
        "import sys; from pathlib import Path; from cnncli.network.load import load_model;"
        f"load_model(Path({str(path)!r})); print([m for m in sys.modules if m[:4] == 'onnx'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['onnx.onnx_ml_pb2']"
