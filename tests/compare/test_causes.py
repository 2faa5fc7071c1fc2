"""How an operation must be done for a result to come out: one cause, or several together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnncli.compare.causes import Operation, ResultForm, find_causes, layer_changes
from cnncli.compare.peers import MODULES
from cnncli.core.choices import CONVENTION_NAMES, PEER_NAMES
from cnncli.errors import OptionError
from cnncli.filters.files import load_filter
from cnncli.filters.filter import flip
from cnncli.io.images import Picture
from cnncli.network.conventions import CONVENTIONS, by_convention
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.judges import NUMPY_MODES

RNG = np.random.default_rng(20261126)
X = RNG.normal(size=(2, 9, 11, 3))
PICTURE = Picture(X, 1.0, False, False, (), "x.npy")
WEIGHTS = np.array([[1.0, 2, 4], [8, 16, -5], [3, 0, 7]])
EXACT = ResultForm("", tolerance=1e-9)


def causes(result: np.ndarray, layer: ConvLayer | PoolLayer) -> list[str]:
    return find_causes(result, Operation(layer, PICTURE), [EXACT])


def slide(x: np.ndarray, kernel: np.ndarray, border: str = "zeros", stride: int = 1) -> np.ndarray:
    """Correlate every channel with one kernel, window by window, with k // 2 cells of padding."""
    (rows, cols), mode = kernel.shape, NUMPY_MODES[border]
    sides = ((0, 0), (rows // 2,) * 2, (cols // 2,) * 2, (0, 0))
    padded = np.pad(x, sides, mode=mode)  # type: ignore[call-overload]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (rows, cols), axis=(1, 2))
    return np.einsum("nijcrs,rs->nijc", windows, kernel)[:, ::stride, ::stride]


CONV = ConvLayer(load_filter("1 2 4; 8 16 -5; 3 0 7"), pad_mode="zeros")
BY_HAND: dict[str, np.ndarray] = {
    "as given": slide(X, WEIGHTS),
    "if the filter is flipped": slide(X, WEIGHTS[::-1, ::-1]),
    "if the border is wrap": slide(X, WEIGHTS, "wrap"),
    "if the stride is 2": slide(X, WEIGHTS, stride=2),
    "if the filter is divided by its sum (--normalize)": slide(X, WEIGHTS / 36),
    "if signs are dropped (--activation abs)": np.abs(slide(X, WEIGHTS)),
    "if the image's channels are reversed (BGR and RGB)": slide(X, WEIGHTS)[..., ::-1],
    "if pixels are 0..255, not 0..1": slide(X * 255, WEIGHTS),
    "if nothing is padded": slide(X, WEIGHTS)[:, 1:-1, 1:-1],
    "if the filter is flipped and the border is reflect": (
        slide(X, WEIGHTS[::-1, ::-1], "reflect")
    ),
    "if the filter is flipped and the stride is 2": slide(X, WEIGHTS[::-1, ::-1], stride=2),
    "if the border is reflect and the image's channels are reversed (BGR and RGB)": (
        slide(X, WEIGHTS, "reflect")[..., ::-1]
    ),
    "if the border is wrap and the stride is 2": slide(X, WEIGHTS, "wrap", stride=2),
    "if nothing is padded and the stride is 2": slide(X, WEIGHTS)[:, 1:-1:2, 1:-1:2],
    "if the border is reflect and the image's channels are reversed (BGR and RGB) and pixels are "
    "0..255, not 0..1": slide(X * 255, WEIGHTS, "reflect")[..., ::-1],
}


@pytest.mark.parametrize("words", BY_HAND)
def test_what_was_done_otherwise_is_found(words: str) -> None:
    assert words in causes(BY_HAND[words], CONV)


def test_every_way_that_fits_is_named() -> None:
    # One cell of padding is the same by edge and symmetric: two borders and two tools.
    said = causes(slide(X, WEIGHTS, "edge"), CONV)
    assert said[:2] == ["if the border is edge", "if the border is symmetric"]
    assert said[2].startswith("by the convention scipy.ndimage.correlate (does not flip; ")
    assert len(said) == 3
    said = causes(slide(X, WEIGHTS[::-1, ::-1], "edge"), CONV)
    assert [text.split(" (")[0] for text in said] == [
        "if the filter is flipped and the border is edge",
        "if the filter is flipped and the border is symmetric",
        "by the convention scipy",
        "by the convention imagemagick",
    ]


def test_tools_that_do_the_same_are_named_together() -> None:
    layer = replace(CONV, pad_mode="edge")
    said = causes(slide(X, WEIGHTS), layer)
    assert said[0] == "if the border is zeros"
    assert said[1].startswith("by the conventions torch, tf, onnx (does not flip; ")


@pytest.mark.parametrize("name", [name for name, c in CONVENTIONS.items() if c.image_filter])
def test_a_convention_is_found_by_a_filter_of_an_even_side(name: str) -> None:
    layer = ConvLayer(load_filter("1 2 4; 8 16 32"), bias=np.array([0.3]))
    convention = CONVENTIONS[name]
    kernel = np.array([[1.0, 2, 4], [8, 16, 32]])
    kernel = kernel[::-1, ::-1] if convention.flip else kernel
    top = 1 if convention.same == "same-lower" else 0
    given = slide(X, kernel, convention.pad_mode)[:, 1 - top : 10 - top] + 0.3
    assert any(f"by the convention {name} (" in text for text in causes(given, layer))


POOL = PoolLayer("average", 3, 2, padding=1)
HALF = PoolLayer("max", 2)
POOL_CHANGES: dict[str, tuple[PoolLayer, dict[str, Any]]] = {
    "if an average divides by the pads too": (POOL, {"count_include_pad": True}),
    "if nothing is padded": (POOL, {"padding": "valid"}),
    "if the mode is max": (POOL, {"mode": "max"}),
    "if the stride is 3": (POOL, {"stride": 3}),
    "if the mode is min and the stride is 1": (HALF, {"mode": "min", "stride": 1}),
    "if a last window that reaches over the end counts": (HALF, {"ceil": True}),
    "if the padding is same-lower": (HALF, {"padding": "same-lower"}),
    "if the extra padding is at the top left": (
        *(replace(HALF, padding="same"), {"padding": "same-lower"}),
    ),
}


@pytest.mark.parametrize("words", POOL_CHANGES)
def test_the_change_of_a_pool_is_found(words: str) -> None:
    meant, changes = POOL_CHANGES[words]
    assert words in causes(replace(meant, **changes).forward(X)[0], meant)


def without_bias() -> tuple[ConvLayer, np.ndarray]:
    return replace(CONV, bias=np.array([0.3])), slide(X, WEIGHTS)


def without_activation() -> tuple[ConvLayer, np.ndarray]:
    return replace(CONV, activation="tanh"), slide(X, WEIGHTS)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (without_bias, "if the bias is left out"),
        (without_activation, "if the activation is left out"),
    ],
)
def test_what_was_left_out_is_found(
    case: Callable[[], tuple[ConvLayer, np.ndarray]], words: str
) -> None:
    layer, result = case()
    assert causes(result, layer) == [words]


@pytest.mark.slow
def test_nothing_explains_noise() -> None:
    assert causes(RNG.normal(size=(2, 5, 6, 3)), CONV) == []
    assert causes(RNG.normal(size=(2, 9, 11, 2)), CONV) == []


def test_a_result_that_is_right_in_a_few_rows_only_is_not_explained() -> None:
    wrong = slide(X, WEIGHTS[::-1, ::-1])
    wrong[1, 0, 0, 0] += 1
    assert causes(wrong, CONV) == []


@pytest.mark.slow
def test_loose_forms_come_after_all_others() -> None:
    loose = ResultForm(", roughly", tolerance=1e9, loose=True)
    operation = Operation(CONV, PICTURE)
    result = slide(X, WEIGHTS[::-1, ::-1])
    assert find_causes(result, operation, [loose, EXACT]) == ["if the filter is flipped"]
    said = find_causes(result + 1, operation, [loose, EXACT])
    assert said == ["if the filter is flipped, roughly"]


def test_words_of_the_command_line_are_those_of_the_tables() -> None:
    assert set(CONVENTION_NAMES) == set(CONVENTIONS)
    assert set(PEER_NAMES) == set(MODULES)


@pytest.mark.parametrize("name", ["opencv", "scipy", "imagemagick"])
def test_image_tools_pool_nothing(name: str) -> None:
    with pytest.raises(OptionError, match=f"{name} has no pooling"):
        by_convention(PoolLayer(), CONVENTIONS[name])
    operation = Operation(PoolLayer(), PICTURE)
    assert name not in {change.convention for change in layer_changes(operation, (4, 5))}


def test_padding_in_numbers_stays() -> None:
    layer = ConvLayer(load_filter("-1 0 1; -2 0 2; -1 0 1"), padding=(2, 1), pad_mode="wrap")
    for convention in CONVENTIONS.values():
        other = by_convention(layer, convention)
        assert isinstance(other, ConvLayer)
        assert (other.padding, other.pad_mode) == ((2, 1), "wrap")


def test_a_filter_that_is_flipped_is_not_flipped_back_by_a_convention() -> None:
    layer = replace(CONV, filter=flip(CONV.filter))
    for name, convention in CONVENTIONS.items():
        other = by_convention(layer, convention)
        assert (other.filter.weights == flip(CONV.filter).weights).all(), name
