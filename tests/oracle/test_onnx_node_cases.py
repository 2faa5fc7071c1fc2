"""ONNX's own cases of all operators, run by layers of ours or by its ReferenceEvaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.network.graph import Network
from cnncli.network.onnx.control import CONTROL
from cnncli.network.onnx.fused import MENDED
from cnncli.network.onnx.operators import FAMILIES, OPERATORS
from cnncli.network.onnx.quantized import WRITERS
from cnncli.network.onnx.reference import ALLOWED
from cnncli.network.passes import forward_layers
from tests.support.onnxmodels import FLOAT, load, node, node_cases, onnx

pytestmark = pytest.mark.oracle

MOST = 2**16
NUMBERS = "fiub"
EXACT = 2**24
"""Whole numbers beyond have no float32."""


def numeric(arrays: Any) -> bool:
    return all(isinstance(a, np.ndarray) and a.dtype.kind in NUMBERS for a in arrays)


def may_run(case: Any) -> bool:
    """Tell the cases of one allowed operator whose inputs and outputs are arrays of numbers."""
    nodes = case.model.graph.node
    if {each.op_type for each in nodes} & {"Shape", "Size", "ConstantOfShape"}:
        return False  # They do not depend on the picture.
    if (
        len(nodes) != 1
        or nodes[0].domain
        or nodes[0].op_type not in ALLOWED | {*OPERATORS, *CONTROL}
    ):
        return False
    inputs, outputs = case.data_sets[0]
    if not inputs or not numeric((*inputs, *outputs)) or nodes[0].input[0] == "":
        return False
    first = inputs[0]
    whole = first.dtype.kind in "iu" and np.abs(first.astype(np.float64)).max(initial=0) > EXACT
    return 0 < first.size < MOST and not whole and all(a.size for a in outputs)


OTHERWISE = {
    *(
        "resize_downsample_scales_cubic_align_corners",
        "resize_downsample_scales_linear_align_corners",
    ),
    "dropout_default_mask",
    "maxpool_with_argmax_2d_precomputed_pads",
}
"""Cases that ONNX Runtime computes in another way, and cnncli as it does; the mask of a node that
does nothing; and places of maxima, which onnx counts rightly in this case alone."""

CASES = {
    name: case
    for name, case in node_cases().items()
    if may_run(case) and not name.endswith("_expanded")
}


def on_a_picture(case: Any) -> Any:
    """Return a case's model on a picture of one row, which is reshaped into its first input."""
    made = onnx.ModelProto.FromString(case.model.SerializeToString())
    graph, inputs = made.graph, case.data_sets[0][0]
    names = [each.name for each in graph.input]
    kind = graph.input[0].type.tensor_type.elem_type
    del graph.input[:]
    graph.input.append(onnx.helper.make_tensor_value_info("p", FLOAT, (1, 1, 1, inputs[0].size)))
    for name, array in zip(names[1:], inputs[1:], strict=True):
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    shape = np.array(inputs[0].shape, np.int64)
    graph.initializer.append(onnx.numpy_helper.from_array(shape, "p.shape"))
    # Cast took names of types before.
    made.opset_import[0].version = max(made.opset_import[0].version, 9)
    graph.initializer.append(onnx.numpy_helper.from_array(np.ones(1, np.float32), "p.one"))
    graph.node.insert(0, node("Mul", "p p.one", "p.same"))
    graph.node.insert(1, node("Reshape", "p.same p.shape", "p.cast"))
    graph.node.insert(2, node("Cast", "p.cast", names[0], to=kind))
    return made


def check_documented(made: Any, network: Network) -> None:
    """Check that an operator becomes the layers that the documentation names."""
    *before, one = made.graph.node
    if one.op_type in {**WRITERS, **MENDED}:
        return  # It is written as other nodes first, which have cases of their own.
    family = next((each for each in FAMILIES if one.op_type in each.OPERATORS), None)
    named = {*family.LAYERS} if family else set()
    given = {name for node in before for name in node.output}
    own = {node.layer.op for node in network.nodes if node.name not in given}
    assert own <= named | {"view", "onnx"}


@pytest.mark.parametrize("name", sorted(set(CASES) - OTHERWISE))
def test_case(name: str) -> None:
    inputs, outputs = CASES[name].data_sets[0]
    made = on_a_picture(CASES[name])
    found = load(made)
    assert found.stop is None
    check_documented(made, found.network)
    X = inputs[0].astype(np.float32).reshape(1, 1, -1, 1)
    for info, expected in zip(made.graph.output, outputs, strict=True):
        network = found.network.until(found.find(info.name))
        ((_, Y),) = forward_layers(network, X)
        values = np.moveaxis(Y, -1, 1) if expected.ndim == 4 and len(expected) == 1 else Y
        assert values.size == expected.size
        np.testing.assert_allclose(
            values.ravel(), expected.astype(np.float64).ravel(), rtol=1e-3, atol=1e-5
        )


def test_cases_are_found() -> None:
    tried = {CASES[name].model.graph.node[0].op_type for name in CASES}
    assert tried >= {
        "LSTM",
        "NonMaxSuppression",
        "TopK",
        "Gather",
        "QLinearMatMul",
        "Einsum",
        "Conv",
    }
    assert len(CASES) >= 600
