"""Layers of a model, found by name, number and beginning."""

from __future__ import annotations

import pytest

from cnncli.errors import OptionError
from cnncli.gradients.unit import Unit, parse_unit
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import PoolLayer
from cnncli.network.model import Model


def test_layers_are_found_by_number_and_by_the_beginning_of_a_name() -> None:
    layers = [Node(name, PoolLayer(), (SOURCE,)) for name in ("stem", "block1", "block2", "12")]
    model = Model(Network(tuple(layers)), aliases={"/model/head:0": "block2"})
    assert [model.find(text) for text in ("1", "3", "s", "block1", "12", "/model")] == [
        *("stem", "block2", "stem", "block1", "12", "block2"),
    ]
    for text, message in (
        ("block", "begins several layers' names: block1, block2"),
        ("5", "the number of a layer must be 1 to 4, got 5"),
        ("0", "the number of a layer must be 1 to 4, got 0"),
        ("", "no layer ''"),
    ):
        with pytest.raises(OptionError, match=message):
            model.find(text)
    assert parse_unit("3:1", model) == Unit("block2", "1")
    part = model.until("3").until("block2")
    assert part.network.names == ("block2",)
    assert part.find("3") == part.find("b") == "block2"
    for text in ("1", "stem"):
        with pytest.raises(OptionError, match="'block2' does not depend on the layer 'stem'"):
            part.find(text)


def test_many_layers_that_begin_alike_are_counted() -> None:
    layers = [Node(f"block{k}", PoolLayer(), (SOURCE,)) for k in range(1, 7)]
    with pytest.raises(OptionError, match="block1, block2, block3, block4 and 2 more$"):
        Model(Network(tuple(layers))).find("block")
