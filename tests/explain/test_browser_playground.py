"""The playground in a real Chromium: layers are stacked, drawn on, shared and copied."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.document import page_text
from cnncli.explain.page.playground_data import STACK, playground_page_data
from tests.support.browser import CHELSEA, settle, until
from tests.support.pages import run_block
from tests.support.playground import LAYERS, change, check_numbers, mark, open_at

pytestmark = [pytest.mark.slow, pytest.mark.oracle]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a playground's file."""
    path = tmp_path_factory.mktemp("playground") / "playground.html"
    path.write_text(page_text(playground_page_data()), "utf-8")
    return path.as_uri()


@pytest.fixture
def tab(browser: Any, address: str) -> Any:
    """A playground; afterwards nothing was complained of, and nothing loaded."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    open_at(page, address)
    yield page
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("blob:", "file:"))] == []


def test_layers_are_stacked_moved_and_removed_by_clicks(tab: Any, tmp_path: Path) -> None:
    assert mark(tab) == STACK
    check_numbers(tab, tmp_path)
    tab.select_option("#add-kind", "conv=robinson")
    change(tab, "#add", f"{STACK}/conv=robinson")
    check_numbers(tab, tmp_path)
    assert tab.evaluate("cnncli.state.unit.layer") == "conv2"
    change(
        tab,
        "[aria-label='Move up conv2']",
        "1/gray/conv=sobel_v/activation=relu/conv=robinson/pool=max",
    )
    check_numbers(tab, tmp_path)
    change(tab, "[aria-label='Remove conv1']", "1/gray/activation=relu/conv=robinson/pool=max")
    check_numbers(tab, tmp_path)
    tab.select_option("#sample", "color")
    until(tab, "byId('stack-list').textContent.includes('1 channel, this one has 3')")
    change(tab, "[aria-label='Remove conv1']", "1/color/activation=relu/pool=max")
    check_numbers(tab, tmp_path)
    assert tab.evaluate("[...document.querySelectorAll('#graph .node')].length") == 3
    assert tab.evaluate("[...document.querySelectorAll('#layers > li')].length") == 3


def test_keys_stack_and_paint(tab: Any, tmp_path: Path) -> None:
    tab.focus("#add-kind")
    tab.keyboard.type("average")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    until(tab, "location.hash.endsWith('/pool=average')")
    tab.focus("#stack-list [data-key='choose 0']")
    tab.keyboard.press("Enter")
    until(tab, "!document.getElementById('paint').hidden")
    tab.focus("#clear")
    tab.keyboard.press("Enter")
    until(tab, "location.hash.includes('conv=3x3:0,0,0,0,0,0,0,0,0/')")
    assert tab.evaluate("document.activeElement.id") == "clear"
    tab.focus("#paint [data-key='1']")
    tab.keyboard.press("Enter")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Space")
    until(tab, "location.hash.includes('conv=3x3:0,1,0,0,1,0,0,0,0/')")
    tab.keyboard.press("Space")
    until(tab, "location.hash.includes('conv=3x3:0,1,0,0,-1,0,0,0,0/')")
    check_numbers(tab, tmp_path)


def test_an_own_filter_is_added_with_its_drawing(tab: Any, tmp_path: Path) -> None:
    # The page begins with a convolution, and the drawing of its filter.
    assert tab.evaluate("cnncli.state.unit.layer") == "conv1"
    assert tab.inner_text("#paint h3") == "Draw the filter of conv1"
    tab.select_option("#add-kind", label="conv, own filter")
    change(tab, "#add", f"{STACK}/conv=identity")
    until(tab, "document.activeElement.closest('#paint') !== null")
    assert tab.inner_text("#paint h3") == "Draw the filter of conv2"
    box = tab.locator("#paint").bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 900
    tab.keyboard.press("Enter")
    until(tab, f"addressText() === '{STACK}/conv=3x3:1,0,0,0,1,0,0,0,0'")
    settle(tab)
    check_numbers(tab, tmp_path)


@pytest.mark.parametrize("size", [(1280, 800), (1440, 900)])
def test_the_filter_that_is_drawn_stands_beside_its_map(tab: Any, size: tuple[int, int]) -> None:
    tab.set_viewport_size({"width": size[0], "height": size[1]})
    settle(tab)
    paint, map_ = (tab.locator(one).bounding_box() for one in ("#paint", "#card-1 canvas >> nth=0"))
    assert paint["y"] >= 0 and paint["y"] + paint["height"] <= size[1]
    assert map_["x"] > paint["x"] + paint["width"]
    assert min(map_["y"] + map_["height"], size[1]) - map_["y"] > 0.7 * map_["height"]


def test_a_link_brings_back_layers_settings_and_weights(
    tab: Any, address: str, tmp_path: Path
) -> None:
    tab.evaluate("cnncli.apply({ unit: { layer: 'conv1', map: 0, at: [3, 3] } })")
    conv = "{ stride: [2, 1], bias: Float32Array.of(0.1), off: [0] }"
    tab.evaluate(f"cnncli.apply({{ layers: {{ conv1: {conv}, pool1: {{ mode: 'lp', p: 3 }} }} }})")
    tab.evaluate("setWeight(0, 2, 1 / 3)")
    text = mark(tab)
    assert "conv=3x3:-1,0,0.33333334,-2,0,2,-1,0,1;stride=2,1;bias=0.1;off=0/" in text
    assert text.endswith("/pool=lp;p=3")
    check_numbers(tab, tmp_path)
    before = tab.evaluate(LAYERS)
    tab.click("#copy-link")
    until(tab, "document.getElementById('copied').textContent !== ''")
    # The address of a file is no one else's: what stands behind it is copied, and said to be.
    link = tab.evaluate("navigator.clipboard.readText()")
    assert link == tab.evaluate("location.hash") and link.startswith("#1/gray/conv=")
    assert "explain --blank -o playground.html" in tab.inner_text("#copied")
    assert tab.inner_text("#copy-link") == "Copy the layers"
    open_at(tab, address + link)
    assert mark(tab) == text
    assert tab.evaluate(LAYERS) == before
    # Another address in the same tab is followed too.
    tab.evaluate("location.hash = '1/color/conv=sharpen'")
    until(tab, "cnncli.layers().length === 2 && cnncli.layers()[0].shape[2] === 3")
    check_numbers(tab, tmp_path)
    tab.click("#reset")
    until(tab, "cnncli.layers().length === 4")
    assert mark(tab) == text


@pytest.mark.parametrize("wrong", ["1/gray/conv=egde", "9/gray", "%E0%A4%A", "<b>"])
def test_a_wrong_address_is_told(tab: Any, address: str, wrong: str) -> None:
    open_at(tab, f"{address}#{wrong}")
    assert "names no stack of layers" in tab.inner_text("#stack-problem")
    assert mark(tab) == STACK
    assert len(tab.evaluate(LAYERS)) == 3


def test_python_and_picture_are_copied_and_saved(
    tab: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tab.expect_download() as download:
        tab.click("#save-picture")
    download.value.save_as(tmp_path / "picture.png")
    assert download.value.suggested_filename == "picture.png"
    assert tab.text_content("#copied") == "picture.png was saved among the browser's downloads."
    tab.click("#copy-python")
    until(tab, "document.getElementById('copied').textContent.includes('was copied')")
    python = tab.evaluate("navigator.clipboard.readText()")
    assert python == tab.inner_text("#copied-text")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(python, names)
    height, width, _ = names["x"].shape
    shown = tab.evaluate(LAYERS)[-1]["planes"][0]
    np.testing.assert_allclose(np.asarray(names["x"])[..., 0].ravel(), shown, atol=1e-5)
    assert (height, width) == (48, 48)
    tab.click("#copy-command")
    until(tab, "document.getElementById('copied-text').textContent.startsWith('cnncli conv')")
    assert tab.evaluate("navigator.clipboard.readText()") == (
        "cnncli conv picture.png --gray --filter sobel_v --activation relu -o - \\\n"
        "  | cnncli pool - --mode max -o result.npy\n"
    )


@pytest.mark.parametrize("text", ["1/gray/conv=robinson/pool=max", "1/color/conv=sharpen"])
def test_a_command_for_a_picture_of_ones_own_gives_the_numbers_of_the_page(
    tab: Any, address: str, tmp_path: Path, text: str
) -> None:
    open_at(tab, f"{address}#{text}")
    tab.set_input_files("#own-file", CHELSEA)
    until(tab, "byId('title').textContent === 'chelsea.png'")
    tab.evaluate("cnncli.apply({ layers: {} })")
    with tab.expect_download() as download:
        tab.click("#save-picture")
    download.value.save_as(tmp_path / "picture.png")
    tab.click("#copy-command")
    until(tab, "byId('copied').textContent.startsWith('The command was copied.')")
    run_block(tab.evaluate("navigator.clipboard.readText()"), tmp_path)
    layer, found = tab.evaluate(LAYERS)[-1], np.load(tmp_path / "result.npy")
    assert list(found.shape) == layer["shape"]
    shown = np.array(layer["planes"]).T.reshape(found.shape)
    # Greys are rounded, as the page says; the magnitudes of robinson's weights add up to 8.
    assert "rounded to 8 bits" in tab.text_content("#copied")
    rounding = 8 * 0.5 / 255 if "gray" in text else 0
    np.testing.assert_allclose(found, shown, rtol=0, atol=rounding + 1e-5 * np.abs(shown).max())


def test_all_fits_on_a_telephone(tab: Any) -> None:
    tab.set_viewport_size({"width": 360, "height": 740})
    settle(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360


def test_on_a_telephone_the_map_stands_beside_the_filter_that_is_drawn(tab: Any) -> None:
    assert tab.is_hidden("#drawn-map")
    tab.set_viewport_size({"width": 360, "height": 640})
    tab.locator("#paint td button >> nth=4").scroll_into_view_if_needed()
    settle(tab)
    grid, map_ = (tab.locator(one).bounding_box() for one in ("#paint table", "#drawn-map"))
    assert map_["x"] >= grid["x"] + grid["width"] and map_["x"] + map_["width"] <= 360
    drawn = "drawnMap.toDataURL()"
    before = tab.evaluate(drawn)
    # As the layer's large map, which is far below.
    same = "drawLayerMap(drawnMap, byName.get('conv1'), state.maps.conv1, DRAWN_MAP)"
    tab.evaluate(f"mapKeys.delete(drawnMap); {same}")
    assert tab.evaluate(drawn) == before
    tab.click("#paint td button >> nth=4")
    until(tab, "addressText().includes('conv=3x3:-1,0,1,-2,1,2,-1,0,1/')")
    settle(tab)
    after = tab.evaluate(drawn)
    assert after != before
    tab.evaluate(f"mapKeys.delete(drawnMap); {same}")
    assert tab.evaluate(drawn) == after
    # A layer that cannot be computed has none.
    tab.evaluate("cnncli.apply({ layers: { conv1: { padding: 'valid', dilation: [99, 99] } } })")
    settle(tab)
    assert tab.is_visible("#paint table") and tab.is_hidden("#drawn-map")


def test_on_a_telephone_it_is_told_whole_why_a_layer_cannot_be_computed(
    tab: Any, address: str
) -> None:
    tab.set_viewport_size({"width": 360, "height": 640})
    open_at(tab, f"{address}#1/color/conv=box_5/conv=robinson")
    tab.click("#stack-list [data-key='choose 1']")
    settle(tab)
    told = tab.locator("[data-layer='conv2'] .problem")
    assert told.text_content() == tab.text_content("#stack-list .problem")
    assert told.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    box = told.bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 640
    assert tab.is_hidden("[data-layer='conv2'] .mini")


def test_on_a_telephone_an_answer_is_told_where_its_question_stood(tab: Any) -> None:
    tab.set_viewport_size({"width": 360, "height": 640})
    tab.click("#quiz")
    tab.evaluate("answerQuestion(0)")
    settle(tab)
    quiz, stack = (tab.locator(one).bounding_box() for one in ("#quiz-panel", "#stack"))
    assert quiz["y"] >= 0 and quiz["y"] + quiz["height"] <= stack["y"]


def test_a_question_on_relu_does_not_tell_its_answer(tab: Any) -> None:
    ask = """() => {
      const told = [];
      for (let seed = 0; told.length < 5 && seed < 500; seed += 1) {
        cnncli.quiz(seed);
        const { topic, unit, answers } = cnncli.state.quiz.question;
        const isOfRelu = topic === "value" && unit.layer === "activation1" && answers[0] === 0;
        if (isOfRelu) told.push(document.getElementById("quiz-panel").innerText);
        answerQuestion(0);
      }
      return told;
    }"""
    told = tab.evaluate(ask)
    assert len(told) == 5
    for text in told:
        assert "relu: max(0, z)." in text
        assert "makes it 0" not in text


def test_a_layer_that_is_added_comes_in_sight_beside_its_stack(tab: Any) -> None:
    assert tab.text_content("#add-about") == "horizontal edges; above 0: brighter downward."
    for kind, does in {
        "conv=robinson": "edges in 8 directions, Sobel's weights; above 0: brighter",
        "activation=relu": "max(0, z).",
        "pool=average": "The mean of each window of 2 × 2.",
        "conv=gaussian_3": "3x3 Gaussian, sigma 0.8.",
    }.items():
        tab.select_option("#add-kind", kind)
        assert tab.text_content("#add-about").startswith(does)
    tab.click("#add")
    until(tab, "cnncli.state.unit.layer === 'conv2'")
    settle(tab)
    box = tab.locator("[data-layer='conv2'] .large").bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 900
    assert tab.locator("#add").bounding_box()["y"] >= 0
    said = tab.text_content("[data-layer='conv2'] .map-filter > p")
    assert said.startswith("Made by the filter of conv2. gaussian_3: 3x3 Gaussian, sigma 0.8.")


def test_a_map_that_is_off_may_be_missing_from_another_picture(
    tab: Any, address: str, tmp_path: Path
) -> None:
    open_at(tab, f"{address}#1/color/conv=edge")
    tab.evaluate("cnncli.apply({ unit: { layer: 'conv1', map: 0, at: [3, 3] } })")
    tab.evaluate("cnncli.apply({ layers: { conv1: { off: [2] } }, gradients: true })")
    check_numbers(tab, tmp_path)
    tab.select_option("#sample", "gray")
    until(tab, "cnncli.layers()[1].shape[2] === 1")
    check_numbers(tab, tmp_path)
    assert mark(tab) == "1/gray/conv=edge;off=2"
    until(tab, "cnncli.gradients() !== null")
    # The worker was not given up, and the map is off again in colour.
    tab.select_option("#sample", "color")
    until(tab, "cnncli.layers()[1].shape[2] === 3")
    assert not tab.evaluate("cnncli.layers()[1].planes[2].some(Boolean)")
    open_at(tab, f"{address}#1/gray/conv=edge;off=5")
    check_numbers(tab, tmp_path)


def test_behind_a_layer_that_does_not_fit_no_other_layer_is_changed(
    tab: Any, address: str, tmp_path: Path
) -> None:
    open_at(tab, f"{address}#1/gray/conv=edge/activation=relu/pool=max")
    wrong = "{ padding: 'valid', dilation: [200, 200] }"
    tab.evaluate(f"cnncli.apply({{ layers: {{ conv1: {wrong} }} }})")
    assert tab.inner_text("#editor-title") == "Change conv1"
    assert tab.is_visible("#stride")
    assert tab.is_visible("#to-window")
    tab.click("#stack-list [data-key='choose 2']")
    settle(tab)
    assert tab.inner_text("#editor-title") == "Change pool1"
    assert tab.is_visible("#problem")
    assert tab.is_hidden("#settings")
    assert tab.is_hidden("#filter-body")
    assert tab.is_hidden("#to-window")
    tab.evaluate("cnncli.apply({ layers: { conv1: { dilation: [1, 1] } } })")
    until(tab, "cnncli.layers()[3].problem === ''")
    settle(tab)
    assert tab.is_visible("#mode")
    check_numbers(tab, tmp_path)


@pytest.mark.parametrize("kind", ["pool=average", "conv=3x3:0,0,0,0,1,0,0,0,0"])
def test_two_clicks_add_two_layers(tab: Any, tmp_path: Path, kind: str) -> None:
    tab.select_option("#add-kind", kind)
    tab.dblclick("#add")
    until(tab, "cnncli.layers().length === 6")
    settle(tab)
    assert tab.evaluate("cnncli.state.unit.layer === cnncli.layers()[5].name")
    check_numbers(tab, tmp_path)


def test_an_emptied_address_shows_the_layers_of_a_page_without_one(tab: Any) -> None:
    tab.evaluate("location.hash = '1/color/conv=sharpen'")
    until(tab, "cnncli.layers().length === 2")
    tab.evaluate("location.hash = ''")
    until(tab, "cnncli.layers().length === 4")
    assert mark(tab) == STACK
    assert tab.inner_text("#stack-problem") == ""


def test_weights_that_do_not_fit_the_picture_can_be_changed(tab: Any, address: str) -> None:
    open_at(tab, f"{address}#1/gray/conv=1x2x1x2:1,2,3,4")
    tab.evaluate("cnncli.apply({ unit: { layer: 'conv1', map: 0, at: [3, 3] } })")
    tab.get_by_label("Weight at row 0, column 1", exact=True).scroll_into_view_if_needed()
    tab.select_option("#sample", "color")
    until(tab, "cnncli.layers()[1].problem !== ''")
    tab.get_by_label("Weight at row 0, column 1", exact=True).fill("9")
    until(tab, "addressText() === '1/color/conv=1x2x1x2:1,2,9,4'")
    # The cells of the picture can still be chosen by keys.
    tab.evaluate("cnncli.layers()[0].card.large.focus()")
    tab.keyboard.press("ArrowDown")
    until(tab, "cnncli.state.unit.layer === 'input'")


def test_fields_of_a_layer_that_was_removed_take_nothing(tab: Any) -> None:
    tab.evaluate("cnncli.apply({ unit: { layer: 'pool1', map: 0, at: [0, 0] } })")
    tab.locator("#stride-rows").scroll_into_view_if_needed()
    typed = """async () => {
      const drawn = showStack(newestStack().slice(0, 1));
      document.getElementById("stride-rows").focus();
      const before = document.activeElement.id;
      await drawn;
      document.getElementById("stride-rows").focus();
      return [before, document.activeElement.id];
    }"""
    assert tab.evaluate(typed) == ["", "stride-rows"]


def test_the_stride_of_a_layer_that_was_just_chosen_is_gone_to(tab: Any) -> None:
    # So small that the fields are out of sight, and made after a pause.
    tab.set_viewport_size({"width": 360, "height": 740})
    settle(tab)
    at_once = """() => {
      const choose = (layer) => cnncli.apply({ unit: { layer, map: 0, at: [0, 0] } });
      choose("activation1").then(() => {
        window.scrollTo(0, 0);
        choose("pool1");
        document.getElementById("to-window").click();
      });
    }"""
    tab.evaluate(at_once)
    until(tab, "document.activeElement.id === 'stride'")
    assert tab.inner_text("#editor-title") == "Change pool1"
