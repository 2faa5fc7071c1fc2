"""Receptive fields and unread cells against gradients and against marking cell by cell."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from cnncli.core.borders import border_index
from cnncli.core.choices import PAD_MODES
from cnncli.core.geometry import Axis
from cnncli.core.receptive_field import (
    ReceptiveField,
    Runs,
    cells_read,
    gaps,
)
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import ConcatLayer, ConvLayer, MulLayer, PoolLayer
from cnncli.network.receptive_fields import receptive_fields
from tests.support.receptive_chains import CHAINS, ones_conv, reached
from tests.support.sweep import sweep


@pytest.mark.parametrize("name", sweep(CHAINS, keep=3))
def test_fields_hold_the_cells_with_a_gradient(name: str) -> None:
    network, shape = CHAINS[name], (1, 31, 34, 1)
    image = np.random.default_rng(0).uniform(0.1, 0.2, shape)
    _, n_H, n_W, _ = network.output_shape(shape)
    fields = receptive_fields(network, shape)[network.nodes[-1].name]
    whole = 0
    for unit in product(range(0, n_H, 3), range(0, n_W, 5)):
        spans = [field.span(place) for field, place in zip(fields, unit, strict=True)]
        met = reached(network, image, unit)
        clipped = [
            (max(begin, 0), min(end, size))
            for (begin, end), size in zip(spans, shape[1:3], strict=True)
        ]
        if any(begin >= end for begin, end in clipped):
            assert met == [], "the unit sees padding only"
            continue
        # At the border the outermost cell inside may lie between the taps of a dilated window.
        if clipped == spans or name != "dilated":
            assert met == clipped, unit
        else:
            assert all(a <= b < c <= d for (a, d), (b, c) in zip(clipped, met, strict=True)), unit
        whole += clipped == spans
    assert whole, "no unit lies clear of the border"


@pytest.mark.parametrize("name", CHAINS)
def test_reads_are_the_fields_clipped(name: str) -> None:
    network, shape = CHAINS[name], (1, 31, 34, 1)
    last = network.nodes[-1].name
    fields = receptive_fields(network, shape)[last]
    unit = (3, 4)
    box = network.reads(shape, last, (slice(3, 4), slice(4, 5)))[SOURCE]
    for side, field, place, size in zip(box, fields, unit, shape[1:3], strict=True):
        begin, end = field.span(place)
        assert (side.start, side.stop) == (max(begin, 0), min(end, size))


def test_field_of_a_known_network() -> None:
    # VGG-16 up to pool5 (Simonyan and Zisserman, 2015): 212 pixels, 32 apart, as the Distill
    # article's table has it.
    layers: list[ConvLayer | PoolLayer] = []
    for depth in (2, 2, 3, 3, 3):
        layers += [ones_conv((3, 3), padding=1) for _ in range(depth)]
        layers.append(PoolLayer())
    network = Network.chain(*layers)
    rows, cols = receptive_fields(network, (1, 224, 224, 1))["pool5"]
    assert (rows.size, rows.step) == (212, 32)
    assert rows == cols


def test_a_gate_of_the_whole_image_is_seen_by_all_units() -> None:
    network = Network(
        (
            Node("conv", ones_conv((3, 3), padding=1), (SOURCE,)),
            Node("gate", PoolLayer("average", "global"), ("conv",)),
            Node("mul", MulLayer(), ("conv", "gate")),
        )
    )
    rows, cols = receptive_fields(network, (1, 9, 6, 1))["mul"]
    assert rows == ReceptiveField(size=11, step=0, first=-1)
    assert cols == ReceptiveField(size=8, step=0, first=-1)
    image = np.random.default_rng(0).uniform(0.1, 0.2, (1, 9, 6, 1))
    assert reached(network, image, (2, 3)) == [(0, 9), (0, 6)]


def test_concat_takes_the_larger_field() -> None:
    network = Network(
        (
            Node("small", ones_conv((1, 1), padding=0), (SOURCE,)),
            Node("large", ones_conv((5, 5), padding=2), (SOURCE,)),
            Node("both", ConcatLayer(), ("small", "large")),
        )
    )
    assert receptive_fields(network, (1, 9, 9, 1))["both"] == (ReceptiveField(5, 1, -2),) * 2


def flags(runs: Runs, size: int) -> list[bool]:
    """The cells of some runs, each marked."""
    cells = np.zeros(size, bool)
    for begin, end in runs:
        cells[begin:end] = True
    return cells.tolist()


def runs_of(cells: list[bool]) -> Runs:
    """The runs of marked cells."""
    edges = np.flatnonzero(np.diff([0, *cells, 0]))
    return tuple(pairwise(edges.tolist()))[::2]


def marked(axis: Axis, mode: str, outputs: list[bool]) -> list[bool]:
    """Mark what is read, tap by tap."""
    sources = border_index(axis.size, axis.begin, axis.end, mode)
    read = [False] * axis.size
    for output, wanted in enumerate(outputs):
        for tap in range(axis.kernel):
            cell = output * axis.stride + tap * axis.dilation
            if wanted and cell < len(sources) and sources[cell] >= 0:
                read[sources[cell]] = True
    return read


@pytest.mark.parametrize("mode", PAD_MODES)
def test_cells_read_are_those_under_taps(mode: str) -> None:
    draw = np.random.default_rng(0)
    swept = 0
    for n, k, s, d, pb, pe, ceil in product(
        (1, 2, 5, 8), (1, 2, 3, 7), (1, 2, 4), (1, 3), (0, 2), (0, 3), (False, True)
    ):
        axis = Axis(n, k, s, d, pb, pe, ceil)
        if axis.extent > axis.padded:
            continue
        swept += 1
        for wanted in ([True] * axis.out, (draw.random(axis.out) < 0.4).tolist()):
            read = cells_read(axis, mode, runs_of(wanted))
            assert flags(read, axis.size) == marked(axis, mode, wanted), (axis, wanted)
            assert (np.diff(np.ravel(read)) > 0).all(), "in order and apart"
    assert swept > 300


@pytest.mark.parametrize(
    ("axis", "unread"),
    [
        (Axis(225, 3, 2), []),
        (Axis(224, 3, 2), [(223, 224)]),
        (Axis(7, 1, 3), [(1, 3), (4, 6)]),
        (Axis(9, 3, 9, dilation=3), [(1, 3), (4, 6), (7, 9)]),
        (Axis(6, 2, 3), [(2, 3), (5, 6)]),
    ],
)
def test_gaps_and_tails_are_unread(axis: Axis, unread: list[tuple[int, int]]) -> None:
    assert [(run.start, run.stop) for run in gaps(cells_read(axis), axis.size)] == unread


def test_what_padding_copies_is_read() -> None:
    axis = Axis(6, 1, 7, begin=1)
    assert cells_read(axis, "zeros") == ()
    assert cells_read(axis, "wrap") == ((5, 6),)


def test_middle_is_a_cell_that_the_output_reads() -> None:
    for n, k, s, d, p in product((3, 8), (1, 2, 3), (1, 2), (1, 2), (0, 1, 2)):
        axis = Axis(n, k, s, d, p, p)
        for output in range(max(axis.out, 0)):
            source = axis.source(output, output + 1)
            cell = axis.middle(output)
            if source.stop > source.start:
                assert 0 <= cell < n
                assert source.start - d < cell < source.stop + d, (axis, output)
