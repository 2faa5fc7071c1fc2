"""ONNX's own cases of each operator that becomes layers of ours, as network files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cnncli.errors import CnnCliError
from tests.oracle.test_onnx_node_cases import CASES, on_a_picture
from tests.support.netfiles import check_converted
from tests.support.onnxmodels import load

pytestmark = pytest.mark.oracle


def test_cases_come_back_with_the_same_bytes_and_values(tmp_path: Path) -> None:
    converted = set()
    for name in sorted(CASES):
        model = load(on_a_picture(CASES[name]))
        if not all(node.layer.has_gradient for node in model.network.nodes):
            continue
        X = CASES[name].data_sets[0][0][0].astype(np.float32).reshape(1, 1, -1, 1)
        try:
            check_converted(model, X, tmp_path)
        except (AssertionError, CnnCliError) as error:
            pytest.fail(f"{name}: {error}")
        converted.add(CASES[name].model.graph.node[0].op_type)
    # The others' cases are batches of pictures, or have numbers for each place.
    assert converted >= {
        *("Add", "AveragePool", "Clip", "Conv", "ConvTranspose", "DepthToSpace", "Div", "Elu"),
        *("Flatten", "Gelu", "GlobalMaxPool", "InstanceNormalization", "LogSoftmax", "MaxPool"),
        *("Mul", "Pad", "Pow", "ReduceL2", "Reshape", "Resize", "Slice", "Softmax", "Split"),
        *("SpaceToDepth", "Squeeze", "Sub", "Transpose", "Upsample"),
    }
