"""Receptive fields behind layers that make maps larger or move cells, against gradients."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from cnncli.core.receptive_field import ReceptiveField
from cnncli.filters.filter import from_array
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ConcatLayer,
    ConvLayer,
    ConvTransposeLayer,
    DepthToSpaceLayer,
    Layer,
    MulLayer,
    PoolLayer,
    ResizeLayer,
    SliceLayer,
    SpaceToDepthLayer,
    ViewLayer,
)
from cnncli.network.layers.view import Layout
from cnncli.network.receptive_fields import fields_along_axes, receptive_fields
from cnncli.network.summary import summarize
from cnncli.plan.report import csv_text, json_lines, table
from cnncli.plan.trace import trace
from tests.support.receptive_chains import reached
from tests.support.sweep import sweep

SHAPE = (1, 24, 20, 1)
LARGE = (1, 40, 36, 1)


def transposed(kernel: int, stride: int, **options: Any) -> ConvTransposeLayer:
    filter = from_array(np.ones((kernel, kernel, 1, 1)))
    return ConvTransposeLayer(filter, stride=stride, **options)


def conv(depth: int = 1, maps: int = 1, kernel: int = 3) -> ConvLayer:
    return ConvLayer(from_array(np.ones((kernel, kernel, depth, maps))), padding=kernel // 2)


def between(*layers: Layer) -> Network:
    """Layers behind two that make units 2 cells apart, and before a convolution."""
    return Network.chain(conv(), PoolLayer("average", 2), *layers, conv())


def view(dims: tuple[int, ...], order: tuple[int, ...], new: tuple[int, ...]) -> ViewLayer:
    return ViewLayer(Layout("nchw", dims=dims), order, new[1], new)


SHUFFLE = view((1, 2, 3, 12, 10), (0, 2, 1, 3, 4), (1, 6, 12, 10))
TURNED = view((1, 6, 12, 10), (0, 1, 3, 2), (1, 6, 10, 12))
BLOCKS = view((1, 1, 2, 2, 12, 10), (0, 1, 4, 2, 5, 3), (1, 1, 24, 20))

U_NET = Network(
    (
        Node("conv1", conv(), (SOURCE,)),
        Node("pool1", PoolLayer("average", 2), ("conv1",)),
        Node("conv2", conv(), ("pool1",)),
        Node("pool2", PoolLayer("average", 2), ("conv2",)),
        Node("conv3", conv(), ("pool2",)),
        Node("up2", transposed(2, 2), ("conv3",)),
        Node("both2", ConcatLayer(), ("up2", "conv2")),
        Node("conv4", conv(2), ("both2",)),
        Node("up1", ResizeLayer(scale=2.0), ("conv4",)),
        Node("both1", ConcatLayer(), ("up1", "conv1")),
        Node("conv5", conv(2), ("both1",)),
    )
)

NETWORKS = {
    "transposed": between(transposed(2, 2)),
    "transposed, overlapping": between(transposed(3, 2, padding=1, output_padding=1)),
    "transposed, cut": between(transposed(4, 2, padding=1)),
    "transposed, gaps": Network.chain(conv(), transposed(1, 3)),
    "transposed, dilated": between(transposed(3, 1, dilation=2, padding=2)),
    "nearest": between(ResizeLayer(scale=2.0)),
    "nearest, to a size": between(ResizeLayer(size=(17, 25))),
    "nearest, floor": between(
        ResizeLayer(scale=1.5, coordinates="asymmetric", rounding="floor"),
    ),
    "linear": between(ResizeLayer(scale=2.0, mode="linear")),
    "linear, smaller": between(ResizeLayer(scale=0.5, mode="linear")),
    "linear, corners": between(ResizeLayer(size=24, mode="linear", coordinates="align-corners")),
    "cubic": between(ResizeLayer(scale=2.0, mode="cubic")),
    "two sizes": between(ResizeLayer(scale=4.0), PoolLayer("average", 2)),
    "depth to space": Network.chain(conv(maps=4), DepthToSpaceLayer(2), conv()),
    "space to depth": Network.chain(SpaceToDepthLayer(2), conv(4), PoolLayer("average", 2)),
    "slice": between(SliceLayer(rows=(2, 9), columns=(1, None, 2))),  # type: ignore[arg-type]
    "shuffle": Network.chain(conv(maps=6), PoolLayer("average", 2), SHUFFLE, conv(6, kernel=5)),
    "blocks by a view": Network.chain(conv(maps=4), PoolLayer("average", 2), BLOCKS, conv()),
    "u-net": U_NET,
}


@pytest.mark.parametrize("name", sweep(NETWORKS, keep=6))
def test_fields_are_where_the_gradient_is(name: str) -> None:
    network, shape = NETWORKS[name], LARGE if name == "u-net" else SHAPE
    last = network.nodes[-1].name
    image = np.random.default_rng(0).uniform(0.1, 0.2, shape)
    _, n_H, n_W, _ = network.output_shape(shape)
    along, middle = fields_along_axes(network, shape), (n_H // 2, n_W // 2)
    for unit in (*product(range(0, n_H, 5), range(0, n_W, 7)), middle):
        met = reached(network, image, unit)
        spans = [one.span(last, at, at + 1) for one, at in zip(along, unit, strict=True)]
        if not met:
            assert any(begin >= end for begin, end in spans), unit
            continue
        # What a field holds beyond the end of maps within the network is padding of those.
        pairs = zip(spans, met, strict=True)
        assert all(a <= b < c <= d for (a, d), (b, c) in pairs), unit
        if unit == middle:
            sizes = [field.size for field in receptive_fields(network, shape)[last]]
            assert met == spans, "no unit in the middle"
            assert sizes == [end - begin for begin, end in met]
            assert trace(network, shape, last, unit)[-1].box == tuple(slice(*side) for side in met)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("transposed", 1),
        ("nearest", 1),
        ("linear, smaller", 4),
        ("linear, corners", Fraction(2 * 11, 23)),
        ("depth to space", Fraction(1, 2)),
        ("space to depth", 4),
        ("shuffle", 2),
        ("u-net", 1),
    ],
)
def test_step_is_how_far_fields_move_on_average(name: str, step: float) -> None:
    network, shape = NETWORKS[name], LARGE if name == "u-net" else SHAPE
    last = network.nodes[-1].name
    rows = fields_along_axes(network, shape)[0]
    assert rows.fields[last].step == step
    # Over so many units that what rounding there is does not count.
    moved = rows.span(last, 23_000, 23_001)[0] - rows.span(last, 0, 1)[0]
    assert moved == pytest.approx(23_000 * step, abs=2)
    begin, end = rows.span(last, 0, 1)
    assert rows.fields[last].centre == (begin + end - 1) / 2


def test_what_sees_the_whole_picture_has_no_step() -> None:
    gate = Network(
        (
            *U_NET.nodes,
            Node("gate", PoolLayer("average", "global"), ("conv5",)),
            Node("scaled", MulLayer(), ("conv5", "gate")),
            Node("conv6", conv(), ("scaled",)),
        )
    )
    turned = Network.chain(conv(maps=6), PoolLayer("average", 2), TURNED, conv(6))
    for network, shape in ((gate, LARGE), (turned, SHAPE)):
        for field, size in zip(
            receptive_fields(network, shape)[network.nodes[-1].name], shape[1:3], strict=True
        ):
            assert isinstance(field, ReceptiveField) and field.step == 0
            assert field.first <= 0 and field.span(0)[1] >= size


def test_branches_without_a_common_step_have_none() -> None:
    corners = ResizeLayer(size=(24, 20), mode="linear", coordinates="align-corners")
    network = Network(
        (
            Node("pool", PoolLayer("average", 2), (SOURCE,)),
            Node("up", corners, ("pool",)),
            Node("both", ConcatLayer(), ("up", SOURCE)),
        )
    )
    rows, _ = receptive_fields(network, SHAPE)["both"]
    assert (rows.size, rows.step) == (4, 0)


def test_boxes_on_the_way_through_a_u_net_lie_in_the_next_one() -> None:
    reaches = {reach.layers[0]: reach.box for reach in trace(U_NET, LARGE, "conv5", (31, 7))}
    way = [reaches[name] for name in ("conv3", "up2", "conv4", "conv5") if name in reaches]
    for inner, outer in pairwise(way):
        for one, other in zip(inner, outer, strict=True):
            assert other.start <= one.start < one.stop <= other.stop
    assert len(way) > 2


def test_report_writes_steps_below_1() -> None:
    plan = summarize(NETWORKS["depth to space"], SHAPE[1:])
    last = json.loads(json_lines(plan)[-1])["totals"]
    assert last["receptive_field"] == {"size": [4, 4], "step": [0.5, 0.5], "centre": [-0.5, -0.5]}
    assert "step 0.5x0.5" in table(plan)[-2]
    assert csv_text(plan).splitlines()[-1].split(",")[16:19] == ["4", "0.5", "-0.5"]
