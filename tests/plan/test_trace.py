"""Traces of units against gradients, and the picture against its own boxes, pixel by pixel."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cnncli.errors import OptionError
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import ActivationLayer, PoolLayer
from cnncli.plan.draw import DIM, OWN, ReceptiveFieldPicture, draw_receptive_field
from cnncli.plan.trace import Reach, beyond_text, pixels_text, trace
from tests.support.receptive_chains import CHAINS, ones_conv, reached

DEEP = Network.chain(
    ones_conv((3, 3), padding=1),
    ActivationLayer("sigmoid"),
    PoolLayer("average", 2),
    ones_conv((3, 3), padding=1),
)


@pytest.mark.parametrize("name", sorted(set(CHAINS) - {"dilated"}))
def test_boxes_hold_the_pixels_with_a_gradient(name: str) -> None:
    network, shape = CHAINS[name], (1, 31, 34, 1)
    image = np.random.default_rng(0).uniform(0.1, 0.2, shape)
    last = network.nodes[-1].name
    _, n_H, n_W, _ = network.output_shape(shape)
    for unit in ((0, 0), (n_H // 2, n_W // 2), (n_H - 1, n_W - 1), (0, n_W - 1)):
        for reach in trace(network, shape, last, unit):
            part = network.until(reach.layers[-1])
            met = reached(part, image, reach.unit)
            assert met == ([(s.start, s.stop) for s in reach.box] if not reach.empty else [])


def test_each_box_lies_in_the_next_along_a_chain() -> None:
    for unit in ((0, 0), (5, 4), (7, 7)):
        reaches = trace(DEEP, (1, 16, 16, 1), "conv2", unit)
        assert [reach.layers for reach in reaches] == [
            ("conv1", "activation1"),
            ("pool1",),
            ("conv2",),
        ]
        assert reaches[-1].unit == unit
        for inner, outer in pairwise(reaches):
            for small, large in zip(inner.box, outer.box, strict=True):
                assert large.start <= small.start and small.stop <= large.stop


def test_what_lies_beyond_the_image_is_told() -> None:
    corner = trace(DEEP, (1, 16, 16, 1), "conv2", (0, 7))[-1]
    assert corner.size == (5, 5)
    assert corner.beyond == (3, 0, 0, 3)
    assert pixels_text(corner) == "rows 0 to 4, columns 11 to 15"
    assert (
        beyond_text(corner) == "3 rows of padding above and 3 columns of padding right of the image"
    )
    middle = trace(DEEP, (1, 16, 16, 1), "conv2", (3, 3))[-1]
    assert middle.beyond == (0, 0, 0, 0) and beyond_text(middle) == ""
    everywhere = Reach(("a",), (0, 0), (slice(0, 1), slice(0, 1)), (1, 2, 3, 4))
    assert pixels_text(everywhere) == "row 0, column 0"
    assert beyond_text(everywhere) == (
        "1 row of padding above, 2 rows of padding below, 3 columns of padding left of "
        "and 4 columns of padding right of the image"
    )


def test_a_unit_that_sees_padding_only() -> None:
    network = Network.chain(ones_conv((1, 1), padding=2), PoolLayer("average", 1))
    reach = trace(network, (1, 4, 4, 1), "pool1", (0, 0))[-1]
    assert reach.empty and pixels_text(reach) == "no pixel"
    sheet = draw_receptive_field(np.full((4, 4), 200, np.uint8), [reach])
    whole = sheet.panels[0].rect(sheet.panels[0].region)
    shown = sheet.pixels[whole[1] : whole[3], whole[0] : whole[2]]
    assert (shown == round(200 * DIM)).all()


@pytest.mark.parametrize("unit", [(8, 0), (0, 8), (-1, 0)])
def test_units_that_are_not_there(unit: tuple[int, int]) -> None:
    with pytest.raises(OptionError, match=r"layer conv2 has units 0,0 to 7,7, got") as caught:
        trace(DEEP, (1, 16, 16, 1), "conv2", unit)
    assert caught.value.hint == "--trace conv2:4,4"


def test_a_gate_leads_to_the_whole_image() -> None:
    network = Network(
        (
            Node("conv", ones_conv((3, 3), padding=1), (SOURCE,)),
            Node("gate", PoolLayer("average", "global"), ("conv",)),
            Node("scaled", CHAINS["shifted"].node("both").layer, ("conv", "gate")),
        )
    )
    own = trace(network, (1, 9, 6, 1), "scaled", (4, 5))[-1]
    assert own.box == (slice(0, 9), slice(0, 6))


def colours_of(sheet: ReceptiveFieldPicture, rows: slice, columns: slice) -> set[tuple[int, ...]]:
    """Return the colours of a part of a sheet."""
    part = sheet.pixels[rows, columns].reshape(-1, 3)
    return {tuple(map(int, colour)) for colour in np.unique(part, axis=0)}


SIZES = {"small": (24, 20), "whole": (600, 512), "large": (2600, 1300)}


@pytest.mark.parametrize("name", SIZES)
def test_picture_shows_the_boxes_and_dims_the_rest(name: str) -> None:
    height, width = SIZES[name]
    image = np.full((height, width, 3), (200, 100, 40), np.uint8)
    reaches = trace(DEEP, (1, height, width, 1), "conv2", (height // 4, width // 4))
    sheet = draw_receptive_field(image, reaches)
    panel, own = sheet.panels[-1], reaches[-1]
    left, top, right, bottom = panel.rect(own.box)
    assert (right - left, bottom - top) == (own.size[1] * panel.zoom, own.size[0] * panel.zoom)
    # The unit's own box stands around its pixels, four pixels wide, and closes.
    for edge in (
        (slice(top - 4, top), slice(left - 4, right + 4)),
        (slice(top - 4, bottom + 4), slice(left - 4, left)),
    ):
        assert colours_of(sheet, *edge) == {OWN}
    # Other boxes stand on the outermost pixels that they hold.
    for reach, colour in zip(reaches[:-1], sheet.colours, strict=False):
        box = panel.rect(reach.box)
        assert tuple(sheet.pixels[box[3] - 1, (box[0] + box[2]) // 2]) == colour
        assert tuple(sheet.pixels[(box[1] + box[3]) // 2, box[2] - 1]) == colour
    # Where two share a corner, the smaller one's line stands inside the larger one's.
    conv1, pool1 = (panel.rect(reach.box) for reach in reaches[:2])
    assert conv1[:2] == pool1[:2]
    diagonal = sheet.pixels[conv1[1] :, conv1[0] :][range(4), range(4)]
    assert [tuple(colour) for colour in diagonal] == [
        *[sheet.colours[1]] * 2,
        *[sheet.colours[0]] * 2,
    ]
    # Inside the smallest box the image is as it is, beyond the own box it is dim.
    box = panel.rect(reaches[0].box)
    assert tuple(sheet.pixels[(box[1] + box[3]) // 2, (box[0] + box[2]) // 2]) == (200, 100, 40)
    dim = tuple(round(level * DIM) for level in (200, 100, 40))
    assert tuple(sheet.pixels[top - 6, left - 6]) == dim
    whole = sheet.panels[0]
    assert tuple(sheet.pixels[whole.top + 1, whole.left + 1]) == dim


def test_panels_by_size() -> None:
    def panels(height: int, width: int, unit: tuple[int, int]) -> list[tuple[int, int]]:
        reaches = trace(DEEP, (1, height, width, 1), "conv2", unit)
        sheet = draw_receptive_field(np.zeros((height, width), np.uint8), reaches)
        return [(panel.zoom, panel.shrink) for panel in sheet.panels]

    assert panels(8, 8, (2, 2)) == [(64, 1)], "the field fills the image"
    assert panels(64, 64, (9, 9)) == [(8, 1), (42, 1)]
    assert panels(600, 400, (9, 9)) == [(1, 1), (42, 1)]
    assert panels(2600, 1300, (9, 9)) == [(1, 3), (42, 1)]


def test_every_reach_has_a_colour_of_its_own() -> None:
    layers = [ones_conv((3, 3), padding=1) for _ in range(12)]
    reaches = trace(Network.chain(*layers), (1, 64, 64, 1), "conv12", (30, 30))
    sheet = draw_receptive_field(np.zeros((64, 64), np.uint8), reaches)
    assert len(set(sheet.colours)) == len(reaches) == 12
    assert sheet.colours[-1] == OWN
    yellow = np.array(OWN) / 255
    for colour in sheet.colours[:-1]:
        assert np.abs(np.array(colour) / 255 - yellow).max() > 0.35


def test_of_many_boxes_some_are_shown() -> None:
    network = Network.chain(*(ones_conv((3, 3), padding=1) for _ in range(100)))
    whole = trace(network, (1, 16, 16, 1), "conv100", (3, 4), most=100)
    some = trace(network, (1, 16, 16, 1), "conv100", (3, 4), most=7)
    assert len(whole) == 100 and len(some) == 7
    assert some[-1].layers == ("conv100",)
    assert sum(reach.skipped for reach in some) == 93
    position = -1
    for reach in some:
        position += reach.skipped + 1
        assert (reach.layers, reach.box) == (whole[position].layers, whole[position].box)
    sheet = draw_receptive_field(np.zeros((16, 16), np.uint8), some)
    assert len(sheet.colours) == 7
