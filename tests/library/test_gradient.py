"""`Net.grad`: the numbers and pictures of `cnncli grad`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cnncli
from cnncli.errors import OptionError, ShapeError
from cnncli.library.network import Net
from cnncli.library.result import MapsArray
from tests.support.pages import REPOSITORY
from tests.support.shell import pixels, run_cli, save

EDGES = REPOSITORY / "examples" / "edges.toml"
UNIT = "edge_or_not:0,4,6"


@pytest.fixture(autouse=True)
def photo(empty_folder: Path) -> None:
    """A small colour photograph in the current folder."""
    save("photo.png", np.random.default_rng(6).integers(0, 256, (18, 26, 3), np.uint8))


@pytest.fixture
def net() -> Net:
    """The example network of edges."""
    return cnncli.load(EDGES)


def drawn(maps: MapsArray) -> np.ndarray:
    """Return the pixels that a notebook shows."""
    Path("drawn.png").write_bytes(maps._repr_png_() or b"")
    return pixels("drawn.png")


def test_the_numbers_are_those_of_the_command(net: Net) -> None:
    run_cli("grad", EDGES, "photo.png", "--unit", UNIT, "-o", "dx.npy", "--params", "grads/")
    found = net.grad("photo.png", UNIT)
    np.testing.assert_array_equal(np.asarray(found.input), np.load("dx.npy"))
    files = {path.stem: np.load(path) for path in Path("grads").iterdir()}
    own = {f"{n}-{key}": a for n, group in found.parameters.items() for key, a in group.items()}
    assert files.keys() == own.keys() and "edges-W" in own
    for name, array in own.items():
        np.testing.assert_array_equal(array, files[name])
    assert found.value == pytest.approx(float(net.run("photo.png").last[4, 6, 0]))
    assert repr(found).startswith(f"gradient of {UNIT} = {found.value:.6g}")


def test_the_pictures_are_those_of_the_command(net: Net) -> None:
    found = net.grad("photo.png", "pooled:robinson_n,3,4")
    command = ["grad", EDGES, "photo.png", "--unit", "pooled:robinson_n,3,4"]
    run_cli(*command, "-o", "plain.png")
    run_cli(*command, "--overlay", "-o", "over.png")
    run_cli(*command, "--winners", "-o", "won.png")
    np.testing.assert_array_equal(drawn(found.input), pixels("plain.png"))
    Path("shown.png").write_bytes(found._repr_png_() or b"")
    np.testing.assert_array_equal(pixels("shown.png"), pixels("plain.png"))
    np.testing.assert_array_equal(drawn(found.overlay()), pixels("over.png"))
    (winners,) = found.winners().values()
    np.testing.assert_array_equal(drawn(winners), pixels("won.png"))


def test_it_begins_with_a_gradient_that_is_given(net: Net) -> None:
    upstream = np.zeros((9, 13, 8))
    upstream[3, 4, 0] = 2.0
    found = net.grad("photo.png", "pooled", upstream=upstream)
    once = net.grad("photo.png", "pooled:0,3,4")
    np.testing.assert_allclose(found.input, 2 * once.input, rtol=1e-6)
    with pytest.raises(ShapeError, match="--upstream must have the shape of layer pooled's output"):
        net.grad("photo.png", "pooled", upstream=upstream[1:])
    with pytest.raises(OptionError, match="--upstream is for a whole layer"):
        net.grad("photo.png", "pooled:0", upstream=upstream)


def test_finite_differences_confirm_it(net: Net) -> None:
    check = net.grad("photo.png", "pooled:0,3,4").check(3)
    assert check.passed and check.compared > 3


def test_a_unit_that_is_not_there_is_an_error(net: Net) -> None:
    with pytest.raises(OptionError, match="maps of layer pooled are 0 to 7, got 9"):
        net.grad("photo.png", "pooled:9")
    with pytest.raises(OptionError, match="no layer"):
        net.grad("photo.png", "nothing")


def test_a_gradient_of_zero_is_noted(net: Net) -> None:
    found = net.grad(np.zeros((8, 8)), "edges:0,4,4")
    assert "no pixel changes edges:0" in found.notes[-1] and not found.input.any()
