"""Keys reach whatever a pointer can use on the pages of explain: Tab, and arrows in groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cnncli.explain.page.document import page_text
from cnncli.explain.page.layer_data import PageData, Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.files import load_filter
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.layers import ConvLayer, PoolLayer
from cnncli.network.load import load_model
from tests.support.browser import (
    REPOSITORY,
    bank,
    page_data_of,
    random_picture,
    settle,
    until,
)

pytestmark = pytest.mark.oracle

POINTER_ONLY = {
    "input": "arrow keys on the output, or the fields of row and column",
    "input-closeup": "arrow keys on the output",
    "output-closeup": "arrow keys on the output",
    "blocks": "the quiz has the cells of the window as buttons",
}
"""What a pointer may use, and which keys do the same."""

WATCH = """
  window.pressable = new Set();
  window.reached = new Set();
  const add = EventTarget.prototype.addEventListener;
  EventTarget.prototype.addEventListener = function (type, ...rest) {
    if (["click", "pointerdown", "change", "input"].includes(type) && this instanceof Element) {
      window.pressable.add(this);
    }
    return add.call(this, type, ...rest);
  };
  window.isControl = (node) =>
    node.matches("button, input, select, textarea, summary, a[href], [tabindex]") ||
    (window.pressable.has(node) && !node.querySelector("button, input, select, textarea, summary"));
  window.controls = () => [...document.querySelectorAll("body *")].filter(
    (node) => window.isControl(node) && !node.disabled && !node.closest("[inert]") &&
      node.checkVisibility({ visibilityProperty: true }) && node.getClientRects().length > 0,
  );
  window.nameOf = (node) => {
    const label = node.getAttribute("aria-label") || node.textContent.trim().slice(0, 30);
    return node.id || `${node.tagName} ${node.className} ${label}`;
  };
"""
"""Remember what listens to a pointer; runs before the page's own scripts."""

TABBED = """(() => {
  const node = document.activeElement;
  if (node === document.body || !node) return null;
  window.reached.add(window.nameOf(node));
  return window.nameOf(node);
})()"""

FIND_GROUPS = """
  window.groups = () => {
    const groups = new Map();
    for (const node of window.controls().filter((one) => one.matches("button, input"))) {
      const group = node.parentElement.closest("[role=group], .grid, .strip, .sums, .shares");
      if (group) groups.set(group, [...(groups.get(group) ?? []), node]);
    }
    return new Map([...groups].filter(([, items]) => items.length > 1));
  };
  // What keys draw again is looked for again.
  let last = { name: null, items: [] };
  window.itemsOf = (name) => {
    if (last.name !== name || !last.items.every((node) => node.getClientRects().length > 0)) {
      last = { name, items: [...window.groups()].find(([one]) => window.nameOf(one) === name)[1] };
    }
    return last.items;
  };
"""
"""The groups of buttons or fields that are seen, with these."""

FOCUS_STOP = "(name) => window.itemsOf(name).find((node) => node.tabIndex >= 0).focus()"

IN_GROUP = """(name) => {
  const items = window.itemsOf(name);
  return {
    name,
    count: items.length,
    stops: items.filter((node) => node.tabIndex >= 0).length,
    at: items.indexOf(document.activeElement),
  };
}"""

MISSED = """(() => {
  const grouped = new Set([...window.groups().values()].flat());
  return window.controls().filter((node) => !grouped.has(node)).map(window.nameOf)
    .filter((name) => !window.reached.has(name));
})()"""
"""What Tab did not reach, of all that is in no group."""


def example(name: str, picture: str) -> PageData:
    network = load_model(REPOSITORY / "examples" / name).network
    read = read_image(REPOSITORY / picture, ReadOptions(gray=True))
    last = network.nodes[-1].name
    return network_page_data(network, read, last, Unit((0, 0)), title=picture)


PAGES: dict[str, Callable[[], PageData]] = {
    "bank": lambda: page_data_of(random_picture((9, 11, 5)), ConvLayer(bank((3, 3, 5, 12)))),
    "colours": lambda: page_data_of(random_picture((9, 11, 3)), ConvLayer(load_filter("edge"))),
    "pool": lambda: page_data_of(random_picture((8, 10, 3)), PoolLayer("lp")),
    "digits": lambda: example("digits.toml", "examples/digits/3.png"),
}


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[[PageData], Any]]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(WATCH + FIND_GROUPS)

    def open_data(data: PageData) -> Any:
        path = tmp_path / "page.html"
        path.write_text(page_text(data), "utf-8")
        tab = context.new_page()
        tab.goto(path.as_uri())
        until(tab, "document.getElementById('headline')?.textContent")
        settle(tab)
        return tab

    yield open_data
    context.close()


def open_panels(tab: Any) -> None:
    """Open by keys what is closed, but for the quiz, which hides what tells its answers."""
    for selector in ("#backward[aria-pressed=false]", "[aria-expanded=false]"):
        for button in tab.locator(selector).all():
            if button.is_visible():
                button.press("Enter")
    settle(tab)


def tab_through(tab: Any) -> list[str]:
    """Press Tab from the first control until the page is left; return what got the focus."""
    tab.evaluate("window.controls().find((node) => node.tabIndex >= 0).focus()")
    names: list[str] = []
    for _ in range(300):
        name = tab.evaluate(TABBED)
        if name is None:
            return names
        names.append(name)
        tab.keyboard.press("Tab")
    raise AssertionError(f"no end of {names}")


def check_groups(tab: Any) -> None:
    """Each group is one tab stop, from which arrows reach all of its items."""
    for name in tab.evaluate("[...window.groups().keys()].map(window.nameOf)"):
        group = tab.evaluate(IN_GROUP, name)
        assert group["stops"] == 1, group
        tab.evaluate(FOCUS_STOP, name)
        at = tab.evaluate(IN_GROUP, name)["at"]
        reached = {at}
        for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowUp", "ArrowDown"):
            for _ in range(group["count"]):
                tab.keyboard.press(key)
                settle(tab)
                before, at = at, tab.evaluate(IN_GROUP, name)["at"]
                reached.add(at)
                if at == before or len(reached) == group["count"]:
                    break
        assert reached == set(range(group["count"])), group


@pytest.mark.parametrize("name", PAGES)
def test_keys_reach_all_that_a_pointer_can_use(open_page: Any, name: str) -> None:
    tab = open_page(PAGES[name]())
    open_panels(tab)
    for quiz in (False, True):
        if quiz and not tab.locator("#quiz").count():
            continue
        if quiz:
            tab.press("#quiz", "Enter")
            settle(tab)
        names = tab_through(tab)
        assert len(names) == len(set(names)) >= 4
        assert set(tab.evaluate(MISSED)) - POINTER_ONLY.keys() == set()
        check_groups(tab)
