"""Two results beside each other: differences, and what explains them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnncli.compare.difference import (
    changes,
    explain,
    explain_by_layer,
    find_difference,
    tolerance_of,
)
from cnncli.compare.peers import MODULES
from cnncli.core.choices import CONVENTION_NAMES, PEER_NAMES
from cnncli.errors import OptionError, ShapeError
from cnncli.filters.files import load_filter
from cnncli.network.conventions import CONVENTIONS, by_convention
from cnncli.network.layers import ConvLayer, PoolLayer

RNG = np.random.default_rng(20261124)
X = RNG.normal(size=(2, 9, 11, 3))
TILT = load_filter("1 2 4; 8 16 32")
SOBEL = load_filter("-1 0 1; -2 0 2; -1 0 1")


def made(layer: ConvLayer | PoolLayer) -> np.ndarray:
    return layer.forward(X)[0]


def test_words_of_the_command_line_are_those_of_the_tables() -> None:
    assert set(CONVENTION_NAMES) == set(CONVENTIONS)
    assert set(PEER_NAMES) == set(MODULES)


def test_the_largest_difference_and_its_place() -> None:
    b = X.copy()
    b[1, 4, 7, 2] += 3.0
    b[0, 0, 0, 0] -= 1.0
    found = find_difference(X, b, 1e-9)
    assert (found.largest, found.at) == (pytest.approx(3.0), (1, 4, 7, 2))
    assert found.values == (X[1, 4, 7, 2], b[1, 4, 7, 2])
    assert (found.count, found.size, found.equal) == (2, X.size, False)
    assert found.mean == pytest.approx(4.0 / X.size)


@pytest.mark.parametrize(("a", "b"), [(np.nan, np.nan), (np.inf, np.inf), (-np.inf, -np.inf)])
def test_what_is_not_finite_can_be_equal(a: float, b: float) -> None:
    one, other = X.copy(), X.copy()
    one[0, 1, 2, 0], other[0, 1, 2, 0] = a, b
    assert find_difference(one, other, 0.0).equal


@pytest.mark.parametrize(("a", "b"), [(np.nan, 0.0), (np.inf, -np.inf), (1.0, np.inf)])
def test_what_is_not_finite_alone_is_different(a: float, b: float) -> None:
    one, other = X.copy(), X.copy()
    one[0, 1, 2, 0], other[0, 1, 2, 0] = a, b
    found = find_difference(one, other, 1e9)
    assert (found.largest, found.at, found.equal) == (np.inf, (0, 1, 2, 0), False)


def test_results_of_two_sizes_are_no_pair() -> None:
    with pytest.raises(ShapeError, match="2x9x11x3 and 2x8x11x3"):
        find_difference(X, X[:, 1:], 1e-5)


def test_the_tolerance_grows_with_the_values() -> None:
    assert tolerance_of(X, 1e6 * np.ones(2), pictures=False) == pytest.approx(10.0)
    assert tolerance_of(X, np.array([np.nan]), pictures=False) < 1e-4
    assert 0.5 / 255 < tolerance_of(X, X, pictures=True) < 0.6 / 255


SHARES = RNG.uniform(size=(1, 8, 10, 3))
EXPLAINED = {
    "signs are turned": (X, -X),
    "first is cut off to 0..1": (X, np.clip(X, 0, 1)),
    "second is cut off to 0..1": (np.clip(X, 0, 1), X),
    "signs are dropped": (X, np.where(np.arange(11)[:, None] % 2, X, -X)),
    "first is multiplied by 255": (SHARES, SHARES * 255),
    "second is multiplied by 255": (SHARES * 255, SHARES),
    "channels are reversed": (X, X[..., ::-1]),
    "rows and columns are exchanged": (X, X.swapaxes(1, 2)),
    "channels of the second come first": (X, np.moveaxis(X, 3, 1)),
    "outermost cell:": (X, np.pad(X[:, 1:-1, 1:-1], ((0, 0), (1, 1), (1, 1), (0, 0)))),
    "second is padded by 2,1,0,3": (X, X[:, 2:-1, :-3]),
    "first is padded by 1,1,1,1": (X[:, 1:-1, 1:-1], X),
    "one level of 255": (np.rint(SHARES * 255) / 255, np.floor(SHARES * 255) / 255),
}


@pytest.mark.parametrize("words", EXPLAINED)
def test_what_would_make_two_results_equal(words: str) -> None:
    a, b = EXPLAINED[words]
    said = explain(a, b, 1e-6)
    assert said is not None
    assert words in said


def test_nothing_explains_noise() -> None:
    assert explain(X, RNG.normal(size=X.shape), 1e-6) is None
    assert explain(X, RNG.normal(size=(2, 7, 9, 3)), 1e-6) is None


@pytest.mark.parametrize(
    ("kernel", "side"), [("1 2; 4 8", "top left"), ("1; 2", "top"), ("1 2", "left")]
)
def test_an_odd_cell_of_padding_on_the_other_side_is_seen_without_the_layer(
    kernel: str, side: str
) -> None:
    upper = ConvLayer(load_filter(kernel))
    lower = replace(upper, padding="same-lower")
    said = explain(made(lower), made(upper), 1e-9)
    assert said is not None
    assert f"extra padding of the first is at the {side}" in said
    assert "of the second" in (explain(made(upper), made(lower), 1e-9) or "")


def test_a_moved_result_with_another_border_is_seen_too() -> None:
    upper = ConvLayer(load_filter("1 2; 4 8"))
    other = replace(upper, padding="same-lower", pad_mode="reflect")
    said = explain(made(other), made(upper), 1e-9)
    assert said is not None
    assert "at the top left" in said


CONV = ConvLayer(TILT, bias=np.array([0.3]), stride=1)
CONV_CHANGES = {
    "as given": CONV,
    "if the filter is flipped": replace(CONV, filter=load_filter("32 16 8; 4 2 1")),
    "if the extra padding is at the top left": replace(CONV, padding="same-lower"),
    "if nothing is padded": replace(CONV, padding="valid"),
    "if the border is wrap": replace(CONV, pad_mode="wrap"),
    "without the bias": replace(CONV, bias=None),
}


@pytest.mark.parametrize("words", CONV_CHANGES)
def test_the_one_change_of_a_convolution_is_found(words: str) -> None:
    given = made(CONV_CHANGES[words])
    assert explain_by_layer(given, CONV, made, 1e-9) == words


@pytest.mark.parametrize("name", [name for name, c in CONVENTIONS.items() if c.image_filter])
def test_a_convention_of_several_changes_is_found(name: str) -> None:
    given = made(by_convention(CONV, CONVENTIONS[name]))
    said = explain_by_layer(given, CONV, made, 1e-9)
    assert said is not None
    assert said.startswith(f"by the convention {name} (")


POOL = PoolLayer("average", 3, 2, padding=1)
HALF = PoolLayer("max", 2)
POOL_CHANGES = {
    "if an average divides by the pads too": (POOL, replace(POOL, count_include_pad=True)),
    "if nothing is padded": (POOL, replace(POOL, padding="valid")),
    "if a window that hangs over the end counts": (HALF, replace(HALF, ceil=True)),
    "if the extra padding is at the top left": (HALF, replace(HALF, padding="same-lower")),
}


@pytest.mark.parametrize("words", POOL_CHANGES)
def test_the_one_change_of_a_pool_is_found(words: str) -> None:
    meant, other = POOL_CHANGES[words]
    assert explain_by_layer(made(other), meant, made, 1e-9) == words


def test_no_change_explains_noise() -> None:
    assert explain_by_layer(RNG.normal(size=(2, 9, 11, 3)), CONV, made, 1e-9) is None
    assert len(list(changes(CONV))) > 12


@pytest.mark.parametrize("name", ["opencv", "scipy", "imagemagick"])
def test_image_tools_pool_nothing(name: str) -> None:
    with pytest.raises(OptionError, match=f"{name} has no pooling"):
        by_convention(PoolLayer(), CONVENTIONS[name])


def test_padding_in_numbers_stays() -> None:
    layer = ConvLayer(SOBEL, padding=(2, 1), pad_mode="wrap")
    for convention in CONVENTIONS.values():
        other = by_convention(layer, convention)
        assert isinstance(other, ConvLayer)
        assert (other.padding, other.pad_mode) == ((2, 1), "wrap")
