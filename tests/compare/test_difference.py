"""Two results beside each other: differences, and what explains them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnncli.compare.difference import explain, find_difference, tolerance_of
from cnncli.errors import ShapeError
from cnncli.filters.files import load_filter
from cnncli.network.layers import ConvLayer

RNG = np.random.default_rng(20261124)
X = RNG.normal(size=(2, 9, 11, 3))


def made(layer: ConvLayer) -> np.ndarray:
    return layer.forward(X)[0]


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
    assert tolerance_of(X, 1e6 * np.ones(2)) == pytest.approx(10.0)
    assert tolerance_of(X, np.array([np.nan])) < 1e-4
    assert 0.5 / 255 < tolerance_of(X, X, 255.0) < 0.6 / 255


FRAMED = np.pad(X[:, 1:-1, 1:-1], ((0, 0), (1, 1), (1, 1), (0, 0)))
SHARES = RNG.uniform(size=(1, 8, 10, 3))
EXPLAINED = {
    "signs are turned": (X, -X),
    "first is clipped to 0..1": (X, np.clip(X, 0, 1)),
    "second is clipped to 0..1": (np.clip(X, 0, 1), X),
    "signs are dropped": (X, np.where(np.arange(11)[:, None] % 2, X, -X)),
    "first is multiplied by 255": (SHARES, SHARES * 255),
    "second is multiplied by 255": (SHARES * 255, SHARES),
    "channels are reversed": (X, X[..., ::-1]),
    "rows and columns are exchanged": (X, X.swapaxes(1, 2)),
    "channels of the second come first": (X, np.moveaxis(X, 3, 1)),
    "outermost cell: their borders differ": (X, FRAMED),
    "are reversed (BGR and RGB); then equal but for the outermost cell": (X[..., ::-1], FRAMED),
    "signs are turned, as flipping an odd filter does; then equal but for": (-X, FRAMED),
    "second has a stride of 2: it is every 2nd row and every 2nd column": (X, X[:, ::2, ::2]),
    "stride of 3,1: it is every 3rd row and every column of the first, from row 2 and column 0": (
        *(X, X[:, 2::3]),
    ),
    "the first has a stride of 2": (X[:, 1::2, ::2], X),
    "channels are reversed (BGR and RGB); then equal if the second has a stride of 2": (
        *(X, X[:, ::2, ::2, ::-1]),
    ),
    "second is padded by 2,1,0,3": (X, X[:, 2:-1, :-3]),
    "first is padded by 1,1,1,1": (X[:, 1:-1, 1:-1], X),
}


@pytest.mark.parametrize("words", EXPLAINED)
def test_what_would_make_two_results_equal(words: str) -> None:
    a, b = EXPLAINED[words]
    said = explain(a, b, 1e-6)
    assert said is not None
    assert words in said


LEVELS = RNG.integers(1, 255, (1, 30, 40, 3))


def with_changes(at: list[tuple[int, int]], by: int) -> np.ndarray:
    other = LEVELS.copy()
    for row, col in at:
        other[0, row, col, 1] += by
    return other / 255


@pytest.mark.parametrize("at", [[(0, 5), (29, 7), (12, 39)], [(0, 5), (15, 20), (12, 39)]])
def test_a_few_rounded_pixels_are_no_other_border(at: list[tuple[int, int]]) -> None:
    said = explain(LEVELS / 255, with_changes(at, -1), 0.52 / 255, (255, 255))
    assert said == "equal to within one level of 255, clipped to 0..1: rounding"


def test_a_few_other_pixels_at_the_edge_are_counted_and_no_cause_is_guessed() -> None:
    said = explain(
        LEVELS / 255, with_changes([(0, 5), (29, 7), (12, 39)], 90), 0.5 / 255, (255, 255)
    )
    assert said == f"equal but for 3 of the {3 * (2 * 40 + 2 * 28)} values in the outermost cell"


@pytest.mark.parametrize("most", [255, 65535])
def test_pictures_rounded_otherwise_are_told_so(most: int) -> None:
    half, down = np.rint(SHARES * most) / most, np.floor(SHARES * most) / most
    said = explain(half, down, 0.52 / most, (most, most))
    assert said == f"equal to within one level of {most}, clipped to 0..1: rounding"


def test_numbers_of_0_to_255_equal_the_picture_that_was_made_of_them() -> None:
    values = 300 * SHARES - 20
    picture = np.clip(np.rint(values), 0, 255) / 255
    words = "equal if the second is multiplied by 255 and values are clipped to 0..255"
    assert explain(values, picture, 0.52 / 255, (None, 255)) == words
    framed = np.pad(picture[:, 1:-1, 1:-1], ((0, 0), (1, 1), (1, 1), (0, 0)))
    said = explain(values, framed, 0.52 / 255, (None, 255))
    assert said is not None
    assert said.startswith(f"{words}; then equal but for the outermost cell: their borders differ")


def test_small_differences_of_numbers_are_not_called_rounding() -> None:
    assert explain(SHARES, SHARES + 1e-3 * RNG.uniform(size=SHARES.shape), 1e-6) is None


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
