"""Settings that do not fit any more: the page says so wherever it shows the layers behind them."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from cnncli.errors import ShapeError
from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.dense import dense_bank
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer, DenseLayer, PoolLayer, SoftmaxLayer
from cnncli.network.load import load_model
from tests.support.browser import REPOSITORY, Opener, bank, random_picture, settle

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

PROBLEMS = "() => Object.fromEntries(cnncli.layers().map(({ name, problem }) => [name, problem]))"


def test_a_score_that_was_compared_says_what_it_lacks(show: Opener) -> None:
    network = load_model(REPOSITORY / "examples" / "digits.toml").network
    picture = read_image(REPOSITORY / "examples" / "digits" / "3.png", ReadOptions(gray=True))
    tab = show(network_page_data(network, picture, "probability", Unit((0, 0), 3), title="net"))
    settle(tab)
    first = tab.text_content("#headline")
    for name, fields, before in (
        ("conv1", {"stride": [3, 3]}, {"stride": [1, 1]}),
        ("pool1", {"kernel": [9, 9]}, {"kernel": [2, 2]}),
        ("pool1", {"stride": [4, 4]}, {"stride": [2, 2]}),
    ):
        # The compared maps are painted while they are in sight.
        tab.locator("#comparison-table").scroll_into_view_if_needed()
        settle(tab)
        tab.evaluate("(layers) => cnncli.apply({ layers })", {name: fields})
        settle(tab)
        assert tab.text_content("#headline") == "probability"
        told = "It is made from digit, which cannot be computed."
        assert tab.text_content("#sentence") == told
        assert tab.is_hidden("#comparison")
        tab.evaluate("(layers) => cnncli.apply({ layers })", {name: before})
        settle(tab)
        assert tab.text_content("#headline") == first
        assert tab.is_visible("#comparison")


def test_a_dense_layer_takes_the_input_that_its_matrix_is_for(show: Opener) -> None:
    conv = ConvLayer(bank((3, 3, 1, 2)), stride=2, padding="same")
    matrix = np.random.default_rng(3).normal(size=(32, 3)).astype(np.float32)
    dense = DenseLayer(dense_bank("fc", matrix, (4, 4, 2), "chw"))
    network = Network.chain(conv, dense, SoftmaxLayer())
    picture = random_picture((8, 8, 1))
    _, fc, last = network.names
    tab = show(network_page_data(network, picture, last, Unit((0, 0)), title="net"))
    for stride in ([1, 1], [1, 2], [4, 4]):
        other = dataclasses.replace(conv, stride=(stride[0], stride[1]))
        with pytest.raises(ShapeError) as refused:
            dense.output_shape(other.output_shape((1, 8, 8, 1)))
        words = re.sub(r"(?<=\d)x(?=\d)", " × ", str(refused.value)).capitalize()
        tab.evaluate("(stride) => cnncli.apply({ layers: { conv1: { stride } } })", stride)
        settle(tab)
        problems = tab.evaluate(PROBLEMS)
        assert problems["conv1"] == ""
        assert problems[fc] == f"{fc} cannot be computed. {words}."
        told = f"It is made from {fc}, which cannot be computed."
        assert tab.text_content("#sentence") == told
    tab.evaluate("cnncli.apply({ layers: { conv1: { stride: [2, 2] } } })")
    settle(tab)
    assert not any(tab.evaluate(PROBLEMS).values())


def test_a_global_pool_takes_the_whole_of_any_input(show: Opener) -> None:
    conv = ConvLayer(bank((3, 3, 1, 2)), stride=2, padding="same")
    matrix = np.random.default_rng(3).normal(size=(2, 3)).astype(np.float32)
    dense = DenseLayer(dense_bank("fc", matrix, (1, 1, 2), "hwc"))
    network = Network.chain(conv, PoolLayer("average", "global"), dense)
    picture = random_picture((8, 8, 1))
    tab = show(network_page_data(network, picture, "pool1", Unit((0, 0)), title="net"))
    read = "() => cnncli.layers().slice(2).map(({ planes }) => planes.map((plane) => [...plane]))"
    of_unit = "() => cnncli.arithmetic({ layer: 'pool1', channel: 0, at: [0, 0] }).value"

    def expect(stride: tuple[int, int], pool: PoolLayer, *later: DenseLayer) -> None:
        settle(tab)
        Y = dataclasses.replace(conv, stride=stride).forward(picture.values())[0]
        told = tab.evaluate(read)
        layers: tuple[PoolLayer | DenseLayer, ...] = (pool, *later)
        for layer, planes in zip(layers, told, strict=False):
            Y = layer.forward(Y)[0]
            maps = Y[0].transpose(2, 0, 1).reshape(Y.shape[3], -1)
            np.testing.assert_allclose(planes, maps, atol=1e-5 * np.abs(maps).max())
        assert tab.evaluate(of_unit) == pytest.approx(told[0][0][0], rel=1e-5)

    for stride in ((1, 1), (1, 2), (2, 2)):
        tab.evaluate("(stride) => cnncli.apply({ layers: { conv1: { stride } } })", [*stride])
        expect(stride, PoolLayer("average", "global"), dense)
    tab.evaluate("cnncli.apply({ layers: { pool1: { mode: 'max' }, conv1: { stride: [1, 1] } } })")
    expect((1, 1), PoolLayer("max", "global"), dense)
    assert "max pool global" in tab.text_content("#layers")
    assert tab.input_value("#kernel") == "8"
    # From a window of its own on it slides.
    tab.fill("#kernel", "4")
    expect((1, 1), PoolLayer("max", 4))
    assert "max pool 4x4/4" in tab.text_content("#layers")
