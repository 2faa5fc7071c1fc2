"""While the window moves: how much the page of a network does, not how long, and what stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.load import load_model
from tests.support.browser import Opener, settle

pytestmark = pytest.mark.oracle

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

MOVES = 24

MOVE = """([count, every]) => new Promise((done) => {
  const canvas = document.querySelector("[data-layer=conv3] .large");
  const keys = ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"];
  const made = { strips: 0, all: 0 };
  const watch = new MutationObserver((records) => {
    for (const { target, addedNodes } of records) {
      made.all += addedNodes.length;
      if (target.closest?.(".strip")) made.strips += addedNodes.length;
    }
  });
  watch.observe(document.body, { childList: true, subtree: true });
  let [moves, frames] = [0, 0];
  const next = () => {
    frames += 1;
    if (frames % every) {
      requestAnimationFrame(next);
      return;
    }
    if (moves === count) {
      watch.disconnect();
      done({ ...made, lit: document.querySelector("[data-layer=conv1] .lit-text").textContent });
      return;
    }
    const key = keys[moves % keys.length];
    canvas.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    moves += 1;
    requestAnimationFrame(next);
  };
  next();
})"""
"""Move the unit of conv3 every so many frames, and count the nodes that are made meanwhile."""


def digits(layer: str, at: tuple[int, int]) -> PageData:
    """The page that computes the digits network itself."""
    model = load_model(EXAMPLES / "digits.toml")
    reading = ReadOptions(gray=True, size=(8, 8))
    picture = read_image(EXAMPLES / "digits" / "3.png", reading)
    return network_page_data(model.network, picture, layer, Unit(at, 4), title="digits")


def counts(session: Any) -> dict[str, float]:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return {metric["name"]: metric["value"] for metric in metrics}


@pytest.mark.parametrize("every", [1, 2])  # A key that is held moves it every second frame.
def test_a_move_makes_few_nodes_and_one_layout(show: Opener, every: int) -> None:
    tab = show(digits("conv3", (1, 1)))
    tab.evaluate("byName.get('conv3').card.node.scrollIntoView()")
    settle(tab)
    tab.evaluate(MOVE, [8, every])
    settle(tab)
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable")
    # No pause ends between two moves, however slowly a busy machine draws frames.
    tab.evaluate("void (window.setTimeout = () => 0)")
    before = counts(session)
    made = tab.evaluate(MOVE, [MOVES, every])
    after = counts(session)
    # A strip in another order shows other maps at its places: none of its nodes moves.
    assert made["strips"] == 0
    assert made["all"] / MOVES < 4
    for name in ("LayoutCount", "RecalcStyleCount"):
        # A busy machine may draw several moves at once, but none needs two.
        assert (after[name] - before[name]) / MOVES < 1.5, name


def test_what_is_out_of_sight_follows_when_moves_pause(show: Opener) -> None:
    tab = show(digits("conv3", (1, 1)))
    lit = "document.querySelector('[data-layer=conv1] .lit-text').textContent"
    tab.evaluate("byName.get('conv3').card.node.scrollIntoView()")
    settle(tab)
    first = tab.evaluate(lit)
    # The pause ends when the test says so, however slow the machine.
    tab.evaluate("[window.later, window.timer] = [[], setTimeout]")
    tab.evaluate("void (window.setTimeout = (run) => void later.push(run))")
    # One move, to the right.
    assert tab.evaluate(MOVE, [1, 1])["lit"] == first
    tab.evaluate("void (window.setTimeout = timer, later.forEach((run) => run()))")
    settle(tab)
    assert tab.evaluate("cnncli.state.unit.at") == [1, 2]
    top, left, bottom, right = tab.evaluate("cnncli.field().conv1")
    assert tab.evaluate(lit) == (
        f"in the receptive field: rows {top} to {bottom - 1}, columns {left} to {right - 1}"
    )
    assert tab.evaluate(lit) != first
    # Who asks for a unit waits for all of it.
    tab.evaluate("cnncli.apply({ unit: { layer: 'conv3', map: 4, at: [1, 1] } })")
    assert tab.evaluate(lit) == first


PLACES = """async (layer) => {
  const places = [];
  for (let cell = 0; cell < 64; cell += 1) {
    const at = [cell >> 3, cell & 7];
    await cnncli.apply({ unit: { layer, map: 4, at } });
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    const { top } = document.querySelector("#trail-title").getBoundingClientRect();
    const below = ["#how", "#result", "#editor"].map((id) => document.querySelector(id));
    places.push(below.map((node) => Math.round(node.getBoundingClientRect().top - top)).join());
  }
  return places;
}"""
"""Where the parts of the panel stand, for all units of a map."""


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_the_panel_stands_still_while_the_unit_moves(show: Opener, layer: str) -> None:
    tab = show(digits(layer, (0, 0)))
    places = tab.evaluate(PLACES, layer)
    assert len(set(places)) > 1
    # It grows where a unit needs more room, and keeps it.
    assert len(set(tab.evaluate(PLACES, layer))) == 1
