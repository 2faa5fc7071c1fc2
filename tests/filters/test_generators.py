"""Kinds of filters with their parameters as text, and windows that are as large as their sigma."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cnncli.errors import OptionError
from cnncli.filters.files import load_filter
from cnncli.filters.generators import GENERATORS
from cnncli.io.limits import MAX_SIDE
from tests.support.shell import refused, run_cli, save_array, values_of

pytestmark = pytest.mark.usefixtures("empty_folder")


def gaussian(size: int, sigma: float) -> np.ndarray:
    offsets = np.arange(size) - (size - 1) / 2
    line = np.exp(-(offsets**2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2


TEXTS = {
    "gaussian:2.5": gaussian(17, 2.5),
    "gaussian:2.5,size=5": gaussian(5, 2.5),
    "box:4": np.full((4, 4), 1 / 16),
    "box:1x5": np.full((1, 5), 0.2),
    "identity:1": np.ones((1, 1)),
    "laplacian:8": np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]]),
    "sharpen:0.5": np.array([[0, -0.5, 0], [-0.5, 3, -0.5], [0, -0.5, 0]]),
    "sobel:3,axis=v": np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]),
    "motion:5,angle=90": np.pad(np.full((5, 1), 0.2), ((0, 0), (2, 2))),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_kind_with_its_parameter(text: str) -> None:
    found = load_filter(text)
    np.testing.assert_allclose(found.weights[:, :, 0], TEXTS[text], atol=1e-15)
    assert found.per_channel and found.named


@pytest.mark.parametrize("kind", GENERATORS)
def test_every_kind_has_a_main_parameter(kind: str) -> None:
    generator = GENERATORS[kind]
    assert generator.main in {parameter.name for parameter in generator.parameters}
    value = {"laplacian": 4, "sobel": 5}.get(kind, 3)
    weights = load_filter(f"{kind}:{value}").weights
    expected = generator.make(**{generator.main: str(value) if kind == "laplacian" else value})
    np.testing.assert_array_equal(weights.reshape(expected.shape), expected)


def test_banks_are_made_too_and_keep_their_layout() -> None:
    bank = load_filter("gabor:6,orientations=4", layout="oihw")
    assert (bank.maps, bank.channels_in) == (4, 1)
    assert load_filter("random:5").maps == 5


def test_it_names_the_output() -> None:
    save_array("x.npy", np.eye(9))
    made = values_of("conv", "x.npy", "-f", "gaussian:1.5")
    run_cli("conv", "x.npy", "-f", "gaussian:1.5", "-o", "./{stem}-{filter}.npy")
    assert np.array_equal(np.load("x-gaussian-1.5.npy"), made)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gaussian:", "sigma must be a number, got ''"),
        ("gaussian:x", "sigma must be a number, got 'x'"),
        ("gaussian:0", "sigma must be at least 0.01"),
        ("gaussian:2,rate=1", "no parameter: 'rate'; there are size, sigma"),
        ("gaussian:2,3", "given twice: 'sigma'"),
        ("box:3x3x3", "size must be N or H,W"),
        ("box:1.5", "size must be N or HxW, got '1.5'"),
        ("random:1.5", "channels_out must be a whole number"),
        ("laplacian:6", "neighbours must be 4 or 8"),
        ("gaussian:1000", f"needs a window of 6001, over {MAX_SIDE}"),
        ("blur:2", "no such file and no such filter"),
    ],
)
def test_texts_that_are_no_kind(text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        load_filter(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["gaussian", "log", "dog", "gabor", "unsharp"])
@pytest.mark.parametrize("sigma", [1.0, 4.0])
def test_the_window_holds_the_gaussian(name: str, sigma: float) -> None:
    """Beyond it lies next to nothing: a wider window changes no weight by more than 2 %."""
    ratio = {"dog": 1.6, "gabor": 1 / 0.5}.get(name, 1)
    side = 2 * int(np.ceil(3 * sigma * ratio)) + 1
    run_cli("filters", "make", name, "--sigma", sigma, "-o", "m.npy")
    made = np.load("m.npy")
    assert made.shape == (side, side)
    wide = GENERATORS[name].make(sigma=sigma, size=side + 20)[10:-10, 10:-10]
    assert np.abs(made - wide).max() < 0.02 * np.abs(wide).max()


def test_sizes_have_one_limit() -> None:
    error = refused("filters", "make", "box", "--size", MAX_SIDE + 1, "-o", "m.npy", code=2)
    assert f"whole numbers of 1 to {MAX_SIDE}" in error
    run_cli("filters", "make", "identity", "--size", f"1,{MAX_SIDE}", "-o", "m.npy")
    assert np.load("m.npy").shape == (1, MAX_SIDE)
    with pytest.raises(OptionError, match=f"1 to {MAX_SIDE}"):
        load_filter(f"box:{MAX_SIDE + 1}")


def test_a_size_that_is_given_stays() -> None:
    record = json.loads(run_cli("filters", "show", "gaussian:3,size=7x9", "--json").stdout)
    assert record["window"] == [7, 9]
