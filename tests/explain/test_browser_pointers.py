"""Fingers and pens on the page of one layer: they move the window, follow a cell and draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnncli.filters.files import load_filter
from cnncli.network.layers import ConvLayer, ConvTransposeLayer, PoolLayer
from tests.support.browser import (
    Opener,
    bank,
    forward,
    near,
    page_data_of,
    random_picture,
    settle,
    shown_value,
)

pytestmark = pytest.mark.oracle

Place = tuple[float, float]
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def finger(tab: Any, places: list[Place], others: list[Place] | None = None) -> None:
    """Draw a finger over some places, beside a second one that comes when it is down."""
    session = tab.context.new_cdp_session(tab)

    def send(kind: str, *points: Place) -> None:
        touches = [{"x": x, "y": y, "id": k} for k, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    send("touchStart", places[0])
    if others:
        send("touchStart", places[0], others[0])
    for k, place in enumerate(places[1:], 1):
        send("touchMove", place, *(others[k : k + 1] if others else ()))
    send("touchEnd")


def pen(tab: Any, places: list[Place]) -> None:
    """Draw a pen over some places."""
    session = tab.context.new_cdp_session(tab)

    def send(kind: str, place: Place, buttons: int) -> None:
        more = {"button": "left", "buttons": buttons, "clickCount": 1}
        where = {"x": place[0], "y": place[1], "pointerType": "pen"}
        session.send("Input.dispatchMouseEvent", {"type": kind, **where, **more})

    send("mousePressed", places[0], 1)
    for place in places[1:]:
        send("mouseMoved", place, 1)
    send("mouseReleased", places[-1], 0)


def middle(tab: Any, name: str, row: float, col: float, size: tuple[int, int]) -> Place:
    """Where on the screen the middle of a cell of a canvas of so many cells is."""
    box = tab.locator(name).bounding_box()
    x = box["x"] + (col + 0.5) * box["width"] / size[1]
    return x, box["y"] + (row + 0.5) * box["height"] / size[0]


@pytest.mark.parametrize("draw", [finger, pen])
@pytest.mark.parametrize("canvas", ["#output", "#input"])
def test_the_window_follows_a_drag(show: Opener, canvas: str, draw: Callable[..., None]) -> None:
    picture = random_picture((10, 12, 1))
    layer = ConvLayer(load_filter("box"), np.zeros(1), padding=1)
    tab = show(page_data_of(picture, layer), **PHONE)
    settle(tab)
    edge, size = (1, (12, 14)) if canvas == "#input" else (0, (10, 12))
    cells = [(1, 1), (3, 4), (7, 9)]
    draw(tab, [middle(tab, canvas, row + edge, col + edge, size) for row, col in cells])
    assert tab.evaluate("cnncli.state.at") == [7, 9]
    assert shown_value(tab) == near(forward(layer, picture.values())[7, 9, 0])
    # The page stays where it is, and a drag that leaves the picture goes on to its edge.
    assert tab.evaluate("scrollY") == 0
    outside = middle(tab, canvas, 4, size[1] + 3, size)
    draw(tab, [middle(tab, canvas, 4 + edge, 2, size), outside])
    assert tab.evaluate("cnncli.state.at[1]") == (11 if draw is finger or edge else 2)


@pytest.mark.parametrize("draw", [finger, pen])
def test_the_cell_that_is_followed_is_dragged(show: Opener, draw: Callable[..., None]) -> None:
    layer = ConvTransposeLayer(bank((3, 3, 1, 1)), stride=2)
    tab = show(page_data_of(random_picture((8, 9, 1)), layer), **PHONE)
    settle(tab)
    draw(tab, [middle(tab, "#input", *cell, (8, 9)) for cell in ((1, 1), (2, 3), (6, 5))])
    assert tab.evaluate("cnncli.state.source") == [6, 5]


PLANE = "[...cnncli.state.input.planes[0]]"


@pytest.mark.parametrize("draw", [finger, pen])
def test_a_stroke_is_drawn(show: Opener, draw: Callable[..., None]) -> None:
    picture = random_picture((8, 8, 1))
    before = picture.values()[0, :, :, 0]
    tab = show(page_data_of(picture, PoolLayer()), **PHONE)
    tab.locator("#own-pen").click()
    tab.locator("#own-pad canvas").scroll_into_view_if_needed()
    settle(tab)
    # Four cells of a row.
    stroke = [middle(tab, "#own-pad canvas", 3, col, (8, 8)) for col in (1, 2, 4)]
    top = tab.evaluate("scrollY")
    draw(tab, stroke)
    settle(tab)
    now = np.array(tab.evaluate(PLANE)).reshape(8, 8)
    assert before[3, 1:5].min() < 0.5 < 0.9 < now[3, 1:5].min()
    np.testing.assert_array_equal(now[5:], before[5:])
    assert tab.evaluate("scrollY") == top


def test_a_second_finger_draws_nothing(show: Opener) -> None:
    picture = random_picture((8, 8, 1))
    tab = show(page_data_of(picture, PoolLayer()), **PHONE)
    tab.locator("#own-pen").click()
    tab.locator("#own-pad canvas").scroll_into_view_if_needed()
    settle(tab)
    place = [middle(tab, "#own-pad canvas", 1, col, (8, 8)) for col in (1, 2, 3)]
    other = [middle(tab, "#own-pad canvas", 6, col, (8, 8)) for col in (1, 2, 3)]
    finger(tab, place, other)
    settle(tab)
    now = np.array(tab.evaluate(PLANE)).reshape(8, 8)
    np.testing.assert_array_equal(now[3:], picture.values()[0, 3:, :, 0])
    assert (now[1, 1:4] > 0.9).all()
