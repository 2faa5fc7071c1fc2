"""Units: which one is meant, and the gradient that begins there."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.errors import OptionError, ShapeError
from cnncli.gradients.unit import Unit, check_upstream, parse_unit, unit_upstream
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import PoolLayer
from cnncli.network.model import Model
from cnncli.render.options import MapGroup
from tests.support.unitnetworks import network


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("conv1", Unit("conv1")),
        ("conv1:3", Unit("conv1", "3")),
        ("conv1:bank-3", Unit("conv1", "bank-3")),
        ("conv1:3,0,12", Unit("conv1", "3", (0, 12))),
        ("conv1: 3, 0, 12", Unit("conv1", "3", (0, 12))),
        ("a:b", Unit("a:b")),
        ("a:b:2,1,1", Unit("a:b", "2", (1, 1))),
    ],
)
def test_units_from_text(text: str, unit: Unit) -> None:
    pool = PoolLayer()
    found = Network((Node("conv1", pool, (SOURCE,)), Node("a:b", pool, ("conv1",))))
    assert parse_unit(text, Model(found)) == unit
    assert str(unit) == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("conv3", "no layer 'conv3' in the network; nearest: "),
        ("conv3:1", "no layer 'conv3'"),
        (":1", "--unit must be LAYER, LAYER:MAP or LAYER:MAP,ROW,COL, got ':1'"),
        ("conv1:", "--unit must be LAYER"),
        ("", "no layer ''"),
    ],
)
def test_texts_that_are_no_units(text: str, error: str) -> None:
    with pytest.raises(OptionError, match=error):
        parse_unit(text, Model(network()))


GROUPS = (MapGroup("photo", (0, 1, 2)), MapGroup("edge", (3,)))


@pytest.mark.parametrize(
    ("unit", "picked"),
    [
        (Unit("a"), np.ones((1, 5, 6, 4))),
        (Unit("a", "2"), np.eye(4)[2] * np.ones((1, 5, 6, 1))),
        (Unit("a", "photo"), np.array([1, 1, 1, 0]) * np.ones((1, 5, 6, 1))),
        (Unit("a", "edge", (4, 5)), np.pad([[[[1.0]]]], ((0, 0), (4, 0), (5, 0), (3, 0)))),
    ],
    ids=str,
)
def test_units_are_picked(unit: Unit, picked: np.ndarray) -> None:
    dY = unit_upstream(unit, (1, 5, 6, 4), GROUPS, np.dtype(np.float32))
    assert dY.dtype == np.float32
    np.testing.assert_array_equal(dY, picked)


@pytest.mark.parametrize(
    ("unit", "error"),
    [
        (Unit("a", "4"), "maps of layer a are 0 to 3, got 4"),
        (Unit("a", "edgy"), "layer a has no map 'edgy'; nearest: edge"),
        (Unit("a", "zzz"), "layer a has no map 'zzz'; there are photo, edge"),
        (Unit("a", "1,2"), "layer a has no map '1,2'"),
        (Unit("a", "0", (5, 0)), "rows of layer a are 0 to 4, got 5"),
        (Unit("a", "0", (0, 6)), "columns of layer a are 0 to 5, got 6"),
    ],
)
def test_units_that_are_not_there(unit: Unit, error: str) -> None:
    with pytest.raises(OptionError, match=f"--unit: {error}"):
        unit_upstream(unit, (1, 5, 6, 4), GROUPS, np.dtype(np.float32))


def test_given_upstreams_are_checked() -> None:
    given = np.arange(24.0).reshape(2, 3, 4)
    for array in (given, given[None]):
        np.testing.assert_array_equal(check_upstream(array, (1, 2, 3, 4), "a"), given[None])
    with pytest.raises(ShapeError, match=r"a's output, \(1, 2, 3, 4\), got \(3, 2, 4\)"):
        check_upstream(given.swapaxes(0, 1), (1, 2, 3, 4), "a")
    given[0, 0, 0] = np.nan
    with pytest.raises(OptionError, match="finite"):
        check_upstream(given, (1, 2, 3, 4), "a")


def test_units_of_layers_with_further_names() -> None:
    model = Model(Network.chain(PoolLayer()), aliases={"/pool/Pool:0": "pool1"})
    assert parse_unit("/pool/Pool:0", model) == Unit("pool1")
    assert parse_unit("/pool/Pool:0:2,0,1", model) == Unit("pool1", "2", (0, 1))


@pytest.mark.parametrize("text", ["3", "0,2,3"])
def test_numbers_alone_are_answered_with_the_form_of_a_unit(text: str) -> None:
    with pytest.raises(OptionError, match=f"no layer '{text}'") as caught:
        parse_unit(text, Model(network()))
    assert caught.value.hint == f"--unit {network().names[-1]}:{text}"
