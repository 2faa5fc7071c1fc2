"""Networks in the manner of well-known ones, exported by PyTorch, against ONNX Runtime."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import OptionError
from cnncli.network.graph import SOURCE
from cnncli.network.load import load_model
from cnncli.network.parameters import count_parameters
from cnncli.network.passes import forward, forward_layers, require_gradients
from cnncli.network.toml_writer import write_network
from tests.support.netfiles import check_converted
from tests.support.patience import patient
from tests.support.shell import run_cli
from tests.support.torchmodels import NETWORKS, export, make, picture

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.oracle

TOLERANCE = 1e-5

NODE_BY_NODE = ("norms", "reader")
"""Of what one exporter or both write of them, some nodes are run by onnx."""


def runtime(path: Path, X: Any, literal: bool = False) -> dict[str, Any]:
    """Return what ONNX Runtime makes of (1, H, W, C), by the names of the outputs.

    Literally as the file says, or optimised, which rounds at other places.
    """
    options = ort.SessionOptions()
    if literal:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    values = session.run(None, {session.get_inputs()[0].name: np.moveaxis(X, -1, 1).copy()})
    return dict(zip(names, values, strict=True))


@pytest.mark.parametrize("dynamo", [False, True], ids=["traced", "dynamo"])
@pytest.mark.parametrize("name", NETWORKS)
def test_network(name: str, dynamo: bool, tmp_path: Path) -> None:
    if dynamo:
        pytest.importorskip("onnxscript")
    path, X = export(name, tmp_path / "net.onnx", dynamo), picture()
    model = load_model(path)
    assert all(node.layer.has_gradient for node in model.network.nodes) or name in NODE_BY_NODE
    run_by_onnx = [node.name for node in model.network.nodes if not node.layer.has_gradient]
    if run_by_onnx:
        with pytest.raises(OptionError, match=f"stay ONNX only: {run_by_onnx[0]!r}"):
            write_network(model, "w.npz")
    else:
        check_converted(model, X, tmp_path)
    for output, expected in runtime(path, X).items():
        network = model.network.until(model.find(output))
        ((_, Y),) = forward_layers(network, X)
        assert Y.shape == network.output_shape(X.shape)
        found = np.moveaxis(Y, -1, 1) if expected.ndim == 4 else Y
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(
            found.ravel(), expected.ravel(), rtol=0, atol=TOLERANCE * scale, err_msg=output
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_each_layer_is_that_of_onnx_runtime(name: str, tmp_path: Path) -> None:
    path = export(name, tmp_path / "net.onnx", dynamo=False)
    np.save(tmp_path / "x.npy", picture()[0])
    done = run_cli("compare", path, tmp_path / "x.npy", "--against", "onnxruntime")
    # A long name of the folder folds the line.
    assert ": equal in all " in " ".join(done.stdout.split())


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_of_the_picture_are_those_of_pytorch(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path, X = export(name, tmp_path / "net.onnx", dynamo=False), picture()
    model = load_model(path)
    if not all(node.layer.has_gradient for node in model.network.nodes):
        assert name in NODE_BY_NODE
        with pytest.raises(OptionError, match="is run by onnx, and has no gradient"):
            require_gradients(model.network)
        return
    x = torch.from_numpy(np.moveaxis(X, -1, 1).copy()).double().requires_grad_()
    outputs = make(name).double()(x)
    outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    weights = [torch.randn(output.shape, dtype=output.dtype) for output in outputs]
    sum((w * output).sum() for w, output in zip(weights, outputs, strict=True)).backward()
    done = forward(model.network, X.astype(np.float64))
    names = [model.find(output.name) for output in onnx.load(str(path)).graph.output]
    upstream = {
        name: (np.moveaxis(w.numpy(), 1, -1) if w.ndim == 4 else w.numpy()).reshape(
            done.values[name].shape
        )
        for name, w in zip(names, weights, strict=True)
    }
    dX = done.backward(upstream).values[SOURCE]
    expected = np.moveaxis(x.grad.numpy(), 1, -1)
    scale = np.abs(expected).max()
    assert scale > 0
    np.testing.assert_allclose(dX, expected, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_plan_takes_less_than_a_second(name: str, tmp_path: Path) -> None:
    path = export(name, tmp_path / "net.onnx", dynamo=False)
    begin = time.process_time()
    done = run_cli("plan", path, "--input", "32x32")
    assert time.process_time() - begin < patient(1)
    assert "parameters" in done.stdout


MORE = {"yolo-v5": 6, "yolo-v8": 8}
"""Anchors and bins, which are tensors of the file too."""


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"one-axis"}))
def test_parameters_are_those_of_pytorch(name: str, tmp_path: Path) -> None:
    """Grids of detectors are constants, and anchors count once for all places.

    In the one of one axis, batch normalisation follows a convolution that has a bias already.
    """
    path, network = export(name, tmp_path / "net.onnx", dynamo=False), NETWORKS[name]()
    # The export folds batch normalisation into the convolution, which gets a bias.
    folded = sum(
        layer.weight.numel() for layer in network.modules() if type(layer).__name__ == "BatchNorm2d"
    )
    expected = sum(parameter.numel() for parameter in network.parameters()) - folded
    expected += MORE.get(name, 0)
    assert sum(count_parameters(load_model(path).network).values()) == expected


def test_convert_keeps_what_was_learned(tmp_path: Path) -> None:
    path = export("yolo-v5", tmp_path / "net.onnx", dynamo=False)
    counts = list(count_parameters(load_model(path).network).values())
    done = run_cli("convert", path, "-o", tmp_path / "net.toml")
    again = load_model(tmp_path / "net.toml").network
    assert list(count_parameters(again).values()) == counts
    assert f"{sum(counts):,} parameters" in done.stderr
    # The grids are in the file all the same.
    with np.load(tmp_path / "net.npz") as arrays:
        assert sum(array.size for array in arrays.values()) > sum(counts) + 500


@pytest.mark.parametrize("dynamo", [False, True], ids=["traced", "dynamo"])
def test_plans_of_a_model_and_its_network_file_count_the_same(dynamo: bool, tmp_path: Path) -> None:
    if dynamo:
        pytest.importorskip("onnxscript")
    path = export("attention", tmp_path / "net.onnx", dynamo)
    run_cli("convert", path, "-o", tmp_path / "net.toml")
    for file in (path, tmp_path / "net.toml"):
        plan = json.loads(run_cli("plan", file, "--json").stdout.splitlines()[-1])["totals"]
        expected = sum(parameter.numel() for parameter in NETWORKS["attention"]().parameters())
        assert plan["parameters"] == expected
