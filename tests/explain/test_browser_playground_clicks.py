"""Clicks in the playground while another stack is computed: one is shown whole until then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cnncli.explain.page.document import page_text
from cnncli.explain.page.playground_data import playground_page_data
from tests.support.browser import settle, until
from tests.support.playground import check_numbers, mark, open_at

pytestmark = [pytest.mark.slow, pytest.mark.oracle]

START = "1/gray/conv=sobel_v/activation=relu/pool=max/conv=robinson"

HOLD = """
const Real = window.Worker;
window.held = { isOn: false, sends: [] };
window.Worker = class extends Real {
  postMessage(...given) {
    held.sends.push(() => super.postMessage(...given));
    if (!held.isOn) held.sends.shift()();
  }
};"""
"""While `held.isOn`, requests do not reach the worker, so that its answers do not come."""

CONTROLS = (
    "#stack-list .choose",
    "#graph .node",
    "#layers .large",
    "#layers .thumb",
    "#paint button",
    "#editor input, #editor select",
    "#map-off",
    "#gradients",
    "[data-scale]",
    "#copy-command",
    "#copy-python",
    "#to-window",
)

USE = """async (selector) => {
  // Each as it is now: what is drawn again has others in its place.
  for (let index = 0; index < document.querySelectorAll(selector).length; index += 1) {
    const control = document.querySelectorAll(selector)[index];
    const tell = (type) => control.dispatchEvent(new Event(type, { bubbles: true }));
    if (control.matches("canvas")) {
      const key = { key: "ArrowDown", bubbles: true };
      control.dispatchEvent(new KeyboardEvent("keydown", key));
    } else if (control.matches("button")) control.click();
    else {
      if (control.matches("input")) control.value = "2";
      else control.selectedIndex = (control.selectedIndex + 1) % control.length;
      tell("input");
      tell("change");
    }
    await allDrawn();
  }
}"""
"""Use all controls of a kind, and draw what is drawn after a pause."""

ONE_STACK = """() => {
  const shown = cnncli.layers().slice(1);
  return shown.length === live.specs.size
    && shown.every(({ name, settings }) => settings === live.specs.get(name)?.settings);
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a playground that begins with the stack START."""
    path = tmp_path_factory.mktemp("playground") / "playground.html"
    path.write_text(page_text(playground_page_data()), "utf-8")
    return f"{path.as_uri()}#{START}"


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Any]:
    """A playground whose worker can be held back; afterwards nothing was complained of."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(HOLD)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    open_at(page, address)
    settle(page)
    yield page
    context.close()
    assert said == []


def hold(tab: Any) -> None:
    """From now on the worker answers nothing."""
    tab.evaluate("held.isOn = true")


def release(tab: Any) -> None:
    """Let the worker answer, and wait until all that it was asked for is drawn."""
    tab.evaluate("held.isOn = false; for (const send of held.sends.splice(0)) send()")
    tab.evaluate("cnncli.apply({ layers: {} })")
    settle(tab)


def remove(name: str) -> str:
    return f"document.querySelector('[aria-label=\"Remove {name}\"]').click()"


ADD = "byId('add-kind').value = 'conv=gaussian'; byId('add').click()"
COLOUR = "byId('sample').value = 'color'; byId('sample').dispatchEvent(new Event('change'))"
ASKED = {
    ADD: f"{START}/conv=gaussian",
    remove("conv1"): "1/gray/activation=relu/pool=max/conv=robinson",
    "document.querySelector('[aria-label=\"Move down conv1\"]').click()": (
        "1/gray/activation=relu/conv=sobel_v/pool=max/conv=robinson"
    ),
    # The layer of each name is of another kind, or has a filter of another size.
    "location.hash = '1/color/pool=max/conv=gaussian/activation=abs/conv=sharpen'": (
        "1/color/pool=max/conv=gaussian/activation=abs/conv=sharpen"
    ),
    "location.hash = '1/color/pool=max'": "1/color/pool=max",
}


@pytest.mark.parametrize("asked", ASKED)
def test_all_controls_may_be_used_while_another_stack_is_computed(
    tab: Any, tmp_path: Path, asked: str
) -> None:
    hold(tab)
    tab.evaluate(f"() => {{ {asked} }}")
    until(tab, "isStackAsked()")
    for selector in CONTROLS:
        assert tab.evaluate(f"document.querySelectorAll('{selector}').length") > 0
        tab.evaluate(USE, selector)
        assert tab.evaluate(ONE_STACK)
        assert tab.evaluate("cnncli.layers().length") == 5
    release(tab)
    assert mark(tab) == ASKED[asked]
    assert tab.evaluate(ONE_STACK)
    assert tab.evaluate("cnncli.layers()[0].shape[2] === cnncli.state.input.channels")
    check_numbers(tab, tmp_path)


CLICKS = {
    # What an earlier click removed does not come back.
    f"{remove('conv1')}; {remove('activation1')}": "1/gray/pool=max/conv=robinson",
    f"{remove('conv2')}; {remove('conv2')}": "1/gray/conv=sobel_v/activation=relu/pool=max",
    # One layer stays, and no more are added than a stack may have.
    "; ".join(map(remove, ("conv1", "activation1", "pool1", "conv2"))): "1/gray/conv=robinson",
    "byId('add-kind').value = 'pool=min'; for (let i = 0; i < 6; i += 1) byId('add').click()": (
        START + "/pool=min" * 4
    ),
    f"{COLOUR}; {remove('conv2')}": "1/color/conv=sobel_v/activation=relu/pool=max",
    f"cnncli.apply({{ gradients: true }}); {ADD}": f"{START}/conv=gaussian",
    f"{ADD}; cnncli.apply({{ gradients: true }}); {remove('conv1')}": (
        "1/gray/activation=relu/pool=max/conv=robinson/conv=gaussian"
    ),
}


@pytest.mark.parametrize("clicks", CLICKS)
def test_quick_clicks_are_all_followed(tab: Any, tmp_path: Path, clicks: str) -> None:
    hold(tab)
    tab.evaluate(f"() => {{ {clicks} }}")
    release(tab)
    assert mark(tab) == CLICKS[clicks]
    assert tab.evaluate(ONE_STACK)
    assert tab.evaluate("cnncli.layers()[0].shape[2] === cnncli.state.input.channels")
    check_numbers(tab, tmp_path)


def test_a_weight_that_is_pressed_while_an_answer_comes_is_painted(tab: Any) -> None:
    hold(tab)
    tab.click("#paint [data-key='0']")
    box = tab.locator("#paint [data-key='1']").bounding_box()
    tab.mouse.move(box["x"] + 5, box["y"] + 5)
    tab.mouse.down()
    release(tab)
    assert tab.text_content("#paint [data-key='0']") == "0"
    tab.mouse.up()
    until(tab, "document.querySelector('#paint [data-key=\"1\"]').textContent === '1'")
    assert mark(tab).startswith("1/gray/conv=3x3:0,1,1,-2,0,2,-1,0,1/")
