"""Layers that resize, take or add channels, or turn a convolution back: values, strips, reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.errors import OptionError, ShapeError
from cnncli.filters.filter import from_array
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    ConvTransposeLayer,
    Layer,
    PadChannelsLayer,
    PoolLayer,
    QuotientLayer,
    ResizeLayer,
    ScaleLayer,
    SliceLayer,
)
from cnncli.network.passes import forward, forward_layers
from cnncli.network.summary import summarize
from cnncli.render.options import MapGroup
from cnncli.system import threads
from tests.support.judges import check_gradients, distinct_values
from tests.support.sweep import sweep

RANDOM = np.random.default_rng(61)
X = distinct_values(RANDOM, 2, 5, 4, 6) / 7


def transpose(side: int = 3, n_out: int = 2, groups: int = 1, **options: Any) -> ConvTransposeLayer:
    weights = RANDOM.standard_normal((side, side, n_out, 6))
    return ConvTransposeLayer(from_array(weights), groups=groups, **options)


BIAS = np.array([0.5, -1.0])

LAYERS: dict[str, Layer] = {
    "nearest": ResizeLayer(scale=2.0),
    "nearest to a size": ResizeLayer((7, 3), mode="nearest", coordinates="asymmetric"),
    "linear": ResizeLayer(scale=(1.5, 3.0), mode="linear"),
    "linear between corners": ResizeLayer(9, mode="linear", coordinates="align-corners"),
    "smaller": ResizeLayer((2, 3), mode="linear", coordinates="pytorch-half-pixel"),
    "cubic": ResizeLayer(scale=2.0, mode="cubic"),
    "back": transpose(2, stride=2, bias=BIAS),
    "back with gaps": transpose(2, stride=3, bias=BIAS),
    "back, cut": transpose(3, stride=2, padding=(1, 0, 2, 1), output_padding=1, bias=BIAS),
    "back, spaced": transpose(2, stride=(1, 2), dilation=(2, 1)),
    "back in groups": transpose(3, 2, groups=3, stride=2, padding=1),
    "channels": SliceLayer(1, 6, 2),
    "channels backwards": SliceLayer(-1, None, -2),
    "rows and columns": SliceLayer(rows=(1, -1), columns=(0, 99)),
    "each second row": SliceLayer(0, 4, rows=(1, 5, 2), columns=(2, 3)),
    "turned over": SliceLayer(rows=(-1, -9, -2), columns=(9, -9, -1)),
    "more channels": PadChannelsLayer(np.array([7.0]), np.array([0.0, 2.0])),
}


@pytest.mark.parametrize("name", sweep(LAYERS, keep=6))
def test_gradient_is_that_of_finite_differences(name: str) -> None:
    layer = LAYERS[name]
    assert layer.forward(X)[0].shape == layer.output_shape(X.shape)
    check_gradients(layer, X, atol=1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_strips_and_reach(name: str) -> None:
    layer = LAYERS[name]
    whole, _ = layer.forward(X)
    stage = layer.stage((1, *X.shape[1:]), X.dtype)
    for first in range(whole.shape[1]):
        for last in (first + 1, whole.shape[1]):
            strip = stage.read(lambda a, b: X[:1, a:b], first, last)
            np.testing.assert_allclose(strip[0], whole[0, first:last], rtol=1e-12, atol=1e-12)
    box = slice(1, 2), slice(0, whole.shape[2])
    rows, columns = layer.reads(X.shape, box)
    outside = X.copy()
    outside[:, rows, columns] = 0
    other = X - outside
    np.testing.assert_allclose(layer.forward(other)[0][:, 1:2], whole[:, 1:2], atol=1e-12)


def test_transposed_convolution_of_one_cell_is_its_filter() -> None:
    weights = np.arange(1.0, 9).reshape(2, 2, 2, 1)
    Y, _ = ConvTransposeLayer(from_array(weights), stride=2).forward(np.full((1, 1, 1, 1), 3.0))
    np.testing.assert_array_equal(Y[0], 3 * weights[..., 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_infinity_in_the_last_cell_stays_one(dtype: Any) -> None:
    X = np.ones((1, 3, 3, 1), dtype)
    X[0, 2, 2] = np.inf
    made = ResizeLayer(scale=2.0, mode="linear").forward(X)[0][0, :, :, 0]
    expected = np.ones((6, 6))
    expected[3:, 3:] = np.inf
    np.testing.assert_array_equal(made, expected)


def test_linear_between_corners_is_a_straight_line() -> None:
    line = np.arange(4.0).reshape(1, 1, 4, 1)
    layer = ResizeLayer((1, 7), mode="linear", coordinates="align-corners")
    np.testing.assert_allclose(layer.forward(line)[0].ravel(), np.arange(7) / 2, atol=1e-6)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("coordinates", ["half-pixel", "asymmetric", "align-corners"])
def test_places_of_double_values_are_double(mode: str, coordinates: str) -> None:
    line = np.random.default_rng(8).standard_normal(3000)
    layer = ResizeLayer((1, 4111), mode=mode, coordinates=coordinates)
    outputs = np.arange(4111)
    places = {
        "half-pixel": (outputs + 0.5) * 3000 / 4111 - 0.5,
        "asymmetric": outputs * 3000 / 4111,
        "align-corners": outputs * 2999 / 4110,
    }[coordinates]
    cells = np.floor(places).astype(int)
    share = places - cells
    if mode == "linear":
        parts = {0: 1 - share, 1: share}
    else:
        # Keys' cubic kernel with -3/4, multiplied out.
        parts = {
            -1: -0.75 * share * (1 - share) ** 2,
            0: 1.25 * share**3 - 2.25 * share**2 + 1,
            1: 0.75 * share + 1.5 * share**2 - 1.25 * share**3,
            2: -0.75 * share**2 * (1 - share),
        }
    expected = sum(line.take(cells + k, mode="clip") * part for k, part in parts.items())
    # Away from the borders, where cells are repeated.
    inside = (places > 2) & (places < 2996)
    values = line.reshape(1, 1, -1, 1)
    found = layer.forward(values)[0].ravel()
    np.testing.assert_allclose(found[inside], np.asarray(expected)[inside], atol=1e-11)
    strips = layer.stage(values.shape, values.dtype).read(lambda *_: values, 0, 1)
    np.testing.assert_array_equal(strips.ravel(), found)


@pytest.mark.parametrize(("rounding", "expected"), [("floor", [0, 1]), ("ceil", [1, 2])])
def test_which_cell_is_nearest(rounding: str, expected: list[int]) -> None:
    line = np.arange(3.0).reshape(1, 1, 3, 1)
    layer = ResizeLayer((1, 2), rounding=rounding)
    assert layer.forward(line)[0].ravel().tolist() == expected


def test_whole_numbers() -> None:
    values = np.array([7.0, -7.0, 49.0, 6.9]).reshape(1, 1, 1, 4).astype(np.float32)
    divided, _ = QuotientLayer(np.array([49.0])).forward(values * 7)
    assert divided.ravel().tolist() == [1, -1, 7, 0]
    cut, _ = ActivationLayer("truncate").forward(values / 2)
    assert cut.ravel().tolist() == [3, -3, 24, 3]
    pixels = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1) / np.float32(255)
    rounded, _ = ScaleLayer(np.array([255.0]), np.zeros(1), whole=True).forward(pixels)
    assert rounded.ravel().tolist() == list(range(256))


def test_a_chain_with_a_resize_gives_the_same_in_strips_and_whole() -> None:
    network = Network.chain(PoolLayer("average", 2), ResizeLayer(scale=2.0, mode="linear"))
    stage = network.stage((1, *X.shape[1:]), X.dtype)
    strips = [stage.read(lambda a, b: X[:1, a:b], row, row + 1) for row in range(stage.shape[1])]
    ((_, whole),) = forward_layers(network, X[:1])
    np.testing.assert_allclose(np.concatenate(strips, 1), whole, rtol=1e-12)
    np.testing.assert_array_equal(whole, forward(network, X[:1]).values["resize1"])


def test_labels_of_a_resize() -> None:
    network = Network.chain(PoolLayer(size=2), ResizeLayer(scale=2.0), PoolLayer(size=2, stride=1))
    labels = [layer.label for layer in summarize(network, (8, 6, 1)).layers]
    assert labels == ["max pool 2x2/2", "resize nearest x2", "max pool 2x2"]


def test_names_of_channels() -> None:
    groups = [MapGroup("photo", (0, 1, 2)), MapGroup("edge", (3,))]
    assert [g.name for g in SliceLayer(1, 4).output_groups(groups)] == [
        *("photo-green", "photo-blue", "edge"),
    ]
    names = [g.name for g in PadChannelsLayer(after=np.zeros(1)).output_groups(groups)]
    assert names == ["photo-red", "photo-green", "photo-blue", "edge", "4"]


BAD: dict[str, tuple[Layer, str]] = {
    "neither": (ResizeLayer(), "size or scale"),
    "both": (ResizeLayer(2, 2.0), "size or scale"),
    "mode": (ResizeLayer(2, mode="linera"), "nearest: linear"),
    "coordinates": (ResizeLayer(2, coordinates="x"), "coordinates must be one of"),
    "nothing left": (ResizeLayer(scale=0.1), "leaves nothing"),
    "scale": (ResizeLayer(scale=-1.0), "above 0"),
    "channels": (SliceLayer(2, 7), "among 6"),
    "no channels": (SliceLayer(3, -4), "a slice of channels must take some, got none of 6"),
    "no rows": (SliceLayer(rows=(5, 9)), "a slice of rows must take some, got none of 5"),
    "no step": (SliceLayer(columns=(0, 3, 0)), "step of columns must not be 0"),
    "filter": (ConvTransposeLayer(from_array(np.ones((2, 2, 1, 5)))), "takes 5 channels"),
    "bias": (transpose(bias=np.ones(3)), "1 value or 2"),
    "padding": (transpose(padding=5), "leaves nothing"),
    "named padding": (transpose(padding="same"), "must be numbers"),
    "values": (PadChannelsLayer(np.ones((1, 1))), "list of numbers"),
    "divisor": (QuotientLayer(np.zeros(1)), "not contain 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused(name: str) -> None:
    layer, message = BAD[name]
    with pytest.raises((OptionError, ShapeError), match=message):
        Network((Node("a", layer, (SOURCE,)),)).shapes(X.shape)


def test_the_bytes_of_a_transposed_convolution_do_not_depend_on_strips() -> None:
    maps = RANDOM.standard_normal((1, 40, 24, 6)).astype(np.float32)
    layer = transpose(3, 16, stride=2)
    stage = layer.stage(maps.shape, maps.dtype)
    ((_, whole),) = forward_layers(Network.chain(layer), maps)
    for height in (1, 7, stage.step):
        rows = range(0, stage.shape[1], height)
        ends = [min(row + height, stage.shape[1]) for row in rows]
        strips = [
            stage.read(lambda a, b: maps[:, a:b], row, end)
            for row, end in zip(rows, ends, strict=True)
        ]
        assert np.array_equal(np.concatenate(strips, axis=1), whole)


@pytest.mark.skipif(threads.cores() < 2, reason="needs two cores")
def test_strips_of_a_transposed_convolution_have_no_threads_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "_idle", threads._Idle())
    maps = np.ones((1, 128, 64, 6), np.float32)
    list(forward_layers(Network.chain(transpose(3, 16, stride=2)), maps))
    assert 0 < threads._idle.started < threads.cores()
