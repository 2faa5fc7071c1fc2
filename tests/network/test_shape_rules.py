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
CASES: dict[str, list[tuple[list[tuple[int, ...]], dict[str, Any]]]] = {
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
    "LRN": [([PICTURE], {"size": 3})],
    "PRelu": [([PICTURE, (6, 1, 1)], {})],
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
ONE_INPUT: list[tuple[list[tuple[int, ...]], dict[str, Any]]] = [
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
        for shapes, attributes in CASES.get(op, ONE_INPUT):
            names = [f"x{number}" for number in range(len(shapes))]
            proto = onnx.helper.make_node(op, names, ["y"], **attributes)
            tensors = [Tensor("float32", shape) for shape in shapes]
            try:
                expected, *_ = reference_node(proto, opset).tensors(tensors, {})
            except NotRun:
                expected = None
            inputs = tuple(np.zeros(shape, np.float32) for shape in shapes)
            given = NodeInputs(attributes, "", opset, inputs)
            assert has_rule(op, given)
            if expected is None:
                # Old versions have no axes below 0, and no Gemm of two inputs.
                assert opset < 11
                continue
            assert ruled_shape(op, given) == expected.dims, (opset, shapes, attributes)


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
        node("MaxPool", "c", "d", kernel_shape=(2, 2), strides=(2, 2)),
        node("GlobalAveragePool", "d", "e"),
        node("Flatten", "e", "f"),
        node("Gemm", "f m", "y"),
    ]
    constants = {"w": np.ones((4, 2, 3, 3), np.float32), "m": np.ones((4, 3), np.float32)}
    path = tmp_path / "net.onnx"
    path.write_bytes(model(nodes, constants, (1, 2, 8, 8)).SerializeToString())
    code = (
        "import sys; from pathlib import Path; from cnncli.network.load import load_model;"
        f"load_model(Path({str(path)!r})); print([m for m in sys.modules if m[:4] == 'onnx'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['onnx.onnx_ml_pb2']"
