"""What a live page computes of PyTorch's networks, in node: all values, and gradients of a unit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page import live_network_data
from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.parts import WORKER
from cnncli.gradients.gradient import find_gradient
from cnncli.network.graph import SOURCE
from cnncli.network.load import load_model
from tests.support.browser import picture_of
from tests.support.node import NODE, run_alone
from tests.support.page_networks import outputs

torchmodels = pytest.importorskip("tests.support.torchmodels")

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.slow,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

SCRIPTS = (*WORKER, "page/data.js")

COMPUTE = """({ data, unit }) => {
  const settingsOf = (spec) => ({ ...spec, settings: readLayer(spec.settings) });
  const input = readInput(data.input, data.single);
  const request = { specs: data.layers.map(settingsOf), input, unit };
  const { layers, gradients } = new NetworkOutputs().answer(request);
  const listed = (planes) => planes.map((plane) => Array.from(plane));
  const values = layers.map(({ name, problem, planes }) => [name, problem ?? "", listed(planes)]);
  return { values, gradient: listed(gradients.get("input").planes) };
}"""


def planes(V: Any) -> Any:
    return V.transpose(2, 0, 1).reshape(V.shape[2], -1)


@pytest.mark.parametrize(
    "name",
    ["unet-transposed", "style", "shufflenet", "espcn", "yolo-v8", "vit", "encoder", "norms"],
)
def test_values_and_gradients_equal_the_core(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    # As many weights as these have, where a page would rather store values.
    monkeypatch.setattr(live_network_data, "MOST_BYTES", 10**8)
    network = load_model(torchmodels.export(name, tmp_path / "net.onnx", dynamo=False)).network
    picture, last = picture_of(torchmodels.picture()), network.names[-1]
    data = live_network_data.live_network_page_data(
        network, picture, last, Unit((0, 0)), title="net"
    )
    unit = {"layer": last, "channel": 0, "at": [0, 0]}
    (found,) = run_alone(SCRIPTS, COMPUTE, [{"data": data, "unit": unit}])
    values = outputs(network, picture)
    assert [one for one, *_ in found["values"]] == [SOURCE, *network.names]
    for one, problem, made in found["values"]:
        assert problem == ""
        expected = planes(values[one])
        np.testing.assert_allclose(made, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    upstream = np.zeros((1, *values[last].shape), np.float32)
    upstream[0, 0, 0, 0] = 1
    core = find_gradient(network, picture.values(), last, upstream)
    expected = planes(core.backward.values[SOURCE][0])
    assert expected.any()
    np.testing.assert_allclose(
        found["gradient"], expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )
