"""PyTorch's automatic differentiation as judge of gradients of units of a small network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.filters.filter import from_array
from cnncli.gradients.gradient import find_gradient
from cnncli.gradients.unit import parse_unit, unit_upstream
from cnncli.network.graph import SOURCE, Network, Node, input_groups
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    BatchNormLayer,
    ConvLayer,
    PoolLayer,
    ScaleLayer,
)
from cnncli.network.model import Model

torch = pytest.importorskip("torch")
F = torch.nn.functional
torch.set_num_threads(1)

RANDOM = np.random.default_rng(17)
TOLERANCES = {np.float32: 1e-4, np.float64: 1e-10}

# In PyTorch's order where it has one, so that only the judge's own names appear below.
WEIGHTS = {
    "scale": np.array([2.0, 1.5, 1.0]),
    "shift": np.array([-0.5, 0.25, 0.0]),
    "conv1": RANDOM.standard_normal((6, 3, 5, 5)) / 5,
    "conv1_bias": RANDOM.standard_normal(6),
    "gamma": RANDOM.standard_normal(6),
    "beta": RANDOM.standard_normal(6),
    "mean": RANDOM.standard_normal(6),
    "var": RANDOM.uniform(0.5, 2, 6),
    "slopes": RANDOM.uniform(0.1, 0.5, 6),
    "depthwise": RANDOM.standard_normal((6, 1, 3, 3)),
    "depthwise_bias": RANDOM.standard_normal(6),
    "last": RANDOM.standard_normal((4, 6, 1, 1)) / 3,
    "last_bias": RANDOM.standard_normal(4),
}
"""Of which PyTorch differentiates every one."""

pytestmark = pytest.mark.oracle


def bank(name: str) -> Any:
    return from_array(WEIGHTS[name], name=name, layout="oihw")


def ours() -> Network:
    w = WEIGHTS
    return Network(
        (
            Node("normalize", ScaleLayer(w["scale"], w["shift"]), (SOURCE,)),
            Node(
                "conv1",
                ConvLayer(bank("conv1"), w["conv1_bias"], stride=2, padding=2),
                ("normalize",),
            ),
            Node(
                "bn1", BatchNormLayer(w["gamma"], w["beta"], w["mean"], w["var"], 1e-3), ("conv1",)
            ),
            Node("prelu1", ActivationLayer("prelu", w["slopes"]), ("bn1",)),
            Node("pool1", PoolLayer("max", 3, 2, padding=1), ("prelu1",)),
            Node(
                "conv2",
                ConvLayer(
                    bank("depthwise"), w["depthwise_bias"], padding=1, groups=6, activation="relu"
                ),
                ("pool1",),
            ),
            Node("sum", AddLayer(), ("pool1", "conv2")),
            Node("last", ConvLayer(bank("last"), w["last_bias"], activation="softmax"), ("sum",)),
        )
    )


def theirs(x: Any, w: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of the same network by name, (N, C, H, W)."""
    found = {"normalize": x * w["scale"].view(-1, 1, 1) + w["shift"].view(-1, 1, 1)}
    conv = F.conv2d(found["normalize"], w["conv1"], w["conv1_bias"], stride=2, padding=2)
    # F.batch_norm gives no gradients of its statistics.
    shape = (1, -1, 1, 1)
    deviation = torch.sqrt(w["var"].view(shape) + 1e-3)
    normed = (conv - w["mean"].view(shape)) / deviation
    found["bn1"] = normed * w["gamma"].view(shape) + w["beta"].view(shape)
    found["pool1"] = F.max_pool2d(F.prelu(found["bn1"], w["slopes"]), 3, 2, 1)
    inner = F.conv2d(found["pool1"], w["depthwise"], w["depthwise_bias"], padding=1, groups=6)
    found["sum"] = found["pool1"] + F.relu(inner)
    found["last"] = F.softmax(F.conv2d(found["sum"], w["last"], w["last_bias"]), dim=1)
    return found


PARAMETERS = {
    ("normalize", "factor"): "scale",
    ("normalize", "offset"): "shift",
    ("conv1", "W"): "conv1",
    ("conv1", "b"): "conv1_bias",
    ("bn1", "gamma"): "gamma",
    ("bn1", "beta"): "beta",
    ("bn1", "mean"): "mean",
    ("bn1", "var"): "var",
    ("prelu1", "alpha"): "slopes",
    ("conv2", "W"): "depthwise",
    ("conv2", "b"): "depthwise_bias",
    ("last", "W"): "last",
    ("last", "b"): "last_bias",
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("text", ["last:2,3,1", "last:0", "sum:5", "pool1:1,4,4", "bn1"])
def test_gradients_of_units_are_those_of_pytorch(text: str, dtype: Any) -> None:
    image = np.random.default_rng(18).uniform(size=(1, 17, 22, 3)).astype(dtype)
    network = ours()
    unit = parse_unit(text, Model(network))
    groups = network.groups(input_groups(3))[unit.layer]
    shape = network.shapes(image.shape)[unit.layer]
    gradient = find_gradient(network, image, unit.layer, unit_upstream(unit, shape, groups, dtype))

    x = torch.tensor(image.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    w = {k: torch.tensor(v.astype(dtype), requires_grad=True) for k, v in WEIGHTS.items()}
    output = theirs(x, w)[unit.layer][0]
    output = output if unit.map is None else output[int(unit.map)]
    value = output.sum() if unit.position is None else output[unit.position]
    value.backward()

    tolerance = TOLERANCES[dtype]
    assert gradient.value == pytest.approx(value.item(), rel=tolerance)
    close(gradient.input[0], x.grad[0].numpy().transpose(1, 2, 0), tolerance, "input")
    found = {(n, k): dP for n, each in gradient.parameters.items() for k, dP in each.items()}
    reached = {key for key, name in PARAMETERS.items() if w[name].grad is not None}
    assert set(found) == reached
    for key, dP in found.items():
        expected = w[PARAMETERS[key]].grad.numpy()
        expected = expected.transpose(2, 3, 1, 0) if expected.ndim == 4 else expected
        close(dP, expected, tolerance, key)


def close(found: Any, expected: Any, tolerance: float, what: object) -> None:
    """Compare to a share of the largest gradient: sums of many parts cancel."""
    assert found.shape == expected.shape, what
    most = float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * most, err_msg=str(what))
