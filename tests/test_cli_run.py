"""``cnncli run``: the layers of a network file, judged by loops over each of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from judges import loop_conv_forward, loop_pool_forward
from shell import pixels, refused_untouched, run_cli, save_array, values_of

RNG = np.random.default_rng(11)

NET = """
[[layers]]
type = "conv"
filter = "w.npz:c1"
bias = "w.npz:b1"
activation = "relu"

[[layers]]
type = "pool"

[[layers]]
type = "conv"
filter = "w.npz:c2"
filter_layout = "oihw"
padding = 0
"""

pytestmark = pytest.mark.usefixtures("network")


@pytest.fixture
def network(empty_folder: Path) -> dict[str, np.ndarray]:
    """A network of three layers in net.toml, an image in x.npy, and what each layer gives."""
    c1, b1 = RNG.normal(size=(3, 3, 3, 4)), RNG.normal(size=4)
    c2, X = RNG.normal(size=(12, 4, 3, 3)), RNG.random((8, 10, 3))
    np.savez("w.npz", c1=c1, b1=b1, c2=c2)
    save_array("x.npy", X)
    Path("net.toml").write_text(NET)
    Z1 = loop_conv_forward(X[None], c1, b1.reshape(1, 1, 1, -1), {"stride": 1, "pad": "same"})
    A1 = np.maximum(Z1, 0)
    P1 = loop_pool_forward(A1, {"f": 2})
    Z2 = loop_conv_forward(P1, c2.transpose(2, 3, 1, 0), np.zeros((1, 1, 1, 12)), {"stride": 1})
    return {"conv1": A1[0], "pool1": P1[0], "conv2": Z2[0]}


def test_the_last_layer_goes_out(network: dict[str, np.ndarray]) -> None:
    run_cli("run", "net.toml", "x.npy", "-o", "y.npy")
    np.testing.assert_allclose(np.load("y.npy"), network["conv2"], atol=1e-12)


@pytest.mark.parametrize("options", [("--layer", "pool1"), ("--until", "pool1")])
def test_one_layer_goes_out(network: dict[str, np.ndarray], options: tuple[str, ...]) -> None:
    np.testing.assert_allclose(
        values_of("run", "net.toml", "x.npy", *options), network["pool1"], atol=1e-12
    )


def test_an_archive_gets_all_layers(network: dict[str, np.ndarray]) -> None:
    result = run_cli("run", "net.toml", "x.npy", "-o", "all.npz")
    with np.load("all.npz") as found:
        assert list(found) == ["conv1", "pool1", "conv2"]
        for name, expected in network.items():
            np.testing.assert_allclose(found[name], expected, atol=1e-12)
    assert [line.split(", ")[1] for line in result.stderr.splitlines()] == list(network)


def test_a_folder_gets_a_sheet_for_every_layer() -> None:
    run_cli("run", "net.toml", "x.npy", "-o", "out/")
    assert sorted(p.name for p in Path("out").iterdir()) == [
        "x-conv1.png",
        "x-conv2.png",
        "x-pool1.png",
    ]
    assert pixels("out/x-conv2.png").ndim == 2


def test_layer_names_are_checked() -> None:
    error = refused_untouched("run", "net.toml", "x.npy", "--layer", "conv", code=2)
    assert "no layer 'conv'" in error and "conv1" in error
