"""The pages of explain in a real browser: what is read off them against the core's own values.

Needs Playwright and a Chromium; without them these tests are left out.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.core.activations import get_activation
from cnncli.core.conv import conv_forward
from cnncli.core.pool import pool_forward
from cnncli.errors import CnnCliError
from cnncli.explain.page import layer_data
from cnncli.explain.page.layer_data import PageData, Unit, layer_page_data
from cnncli.explain.page.network_data import network_page_data
from cnncli.explain.page.run import page_text
from cnncli.filters.files import load_filter
from cnncli.filters.filter import Filter, from_array
from cnncli.io.images import Picture, ReadOptions, read_image
from cnncli.network.layers import ConvLayer, PoolLayer
from cnncli.network.load import load_model

playwright = pytest.importorskip("playwright.sync_api")

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]

REPOSITORY = Path(__file__).resolve().parents[2]
CHELSEA = REPOSITORY / "sample_images" / "chelsea.png"
# The first as root; the others keep Chromium from asking the network for anything of its own.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS_EACH = 25
TOLERANCE = 1e-5

APPLY = """async (changes) => {
  cnncli.apply(changes);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const shown = cnncli.shown();
  if (shown.problem) return { problem: document.getElementById("problem").textContent };
  const channels = shown.picture.channels;
  return {
    rows: shown.outRows, cols: shown.outCols, channels,
    planes: channels.map((channel) => Array.from(cnncli.values(channel), String)),
    at: cnncli.state.at,
    value: document.getElementById("result").dataset.value,
    size: document.getElementById("output-size").textContent,
  };
}"""
"""Change settings as the controls do, wait until they are drawn, and read what is there."""


@dataclass
class Watched:
    """A tab, and all that it must not do."""

    tab: Any
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def open(self, path: Path, data: PageData) -> Any:
        path.write_text(page_text(data), "utf-8")
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.goto(path.as_uri())
        self.asked.remove(path.as_uri())
        until(self.tab, "document.getElementById('headline').textContent !== ''")
        return self.tab


def until(tab: Any, holds: str) -> None:
    """Wait for something to hold; Playwright's own way needs `eval`, which the page forbids."""
    for _ in range(500):
        if tab.evaluate(holds):
            return
        tab.wait_for_timeout(20)
    raise AssertionError(f"never: {holds}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of this file."""
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


Opener = Callable[..., Any]


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Opener]:
    """Open the page of a page's data; afterwards nothing was asked for, nothing complained of."""
    opened: list[tuple[Any, Watched]] = []

    def opener(data: PageData, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        watched = Watched(context.new_page())
        opened.append((context, watched))
        return watched.open(tmp_path / f"page{len(opened)}.html", data)

    yield opener
    for context, watched in opened:
        assert watched.asked == []
        assert watched.said == []
        context.close()


def picture_of(values: np.ndarray[Any, Any]) -> Picture:
    is_picture = values.dtype.kind == "u"
    return Picture(values, 255.0 if is_picture else 1.0, is_picture, False, (), "photo.png")


def random_picture(shape: tuple[int, int, int], dtype: str = "uint8") -> Picture:
    rng = np.random.default_rng(sum(shape))
    if dtype == "uint8":
        return picture_of(rng.integers(0, 256, (1, *shape)).astype(dtype))
    return picture_of(rng.normal(size=(1, *shape)).astype(dtype))


def page_data_of(
    picture: Picture, layer: ConvLayer | PoolLayer, at: Any = (0, 0), **more: Any
) -> PageData:
    return layer_page_data(picture, layer, Unit(at, **more), title="photo.png")


def bank(shape: tuple[int, ...], dtype: str = "float32") -> Any:
    rng = np.random.default_rng(sum(shape))
    return from_array(rng.normal(size=shape).astype(dtype), name="bank")


def forward(layer: ConvLayer | PoolLayer, X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The layer by the functions of the core: (n_H, n_W, n_C)."""
    if isinstance(layer, PoolLayer):
        names = ("stride", "dilation", "ceil", "count_include_pad", "p")
        fields = {name: getattr(layer, name) for name in names}
        return pool_forward(X, {**fields, "f": layer.size, "pad": layer.padding}, layer.mode)[0][0]
    fields = {n: getattr(layer, n) for n in ("stride", "dilation", "pad_mode", "pad_value")}
    weights, maps, channels = layer.filter.weights, layer.filter.maps, X.shape[3]
    assert layer.bias is not None
    each = np.broadcast_to(layer.bias, (maps,)).astype(X.dtype)
    fields |= {"pad": layer.padding, "groups": layer.groups}
    activate = get_activation(layer.activation).forward
    if not layer.filter.per_channel:
        Z = conv_forward(X, weights.astype(X.dtype), each.reshape(1, 1, 1, -1), fields)[0]
        return activate(Z)[0]
    # A 2-D filter, channel by channel: filter k of channel c is picture k, channel c.
    planes = [
        conv_forward(X[..., [c]], weights[:, :, [k]][..., None].astype(X.dtype), each[k], fields)[0]
        for k in range(maps)
        for c in range(channels)
    ]
    return activate(np.concatenate(planes, axis=3))[0]


def two_filters() -> Filter:
    """Two 2-D filters, each for every channel on its own."""
    return Filter("two", bank((2, 4, 2, 1)).weights[..., 0], True, ("a", "b"))


CONV_PAGES: dict[str, tuple[Picture, ConvLayer]] = {
    "photo": (random_picture((13, 11, 3)), ConvLayer(load_filter("edge"))),
    "two 2-D": (random_picture((9, 12, 3)), ConvLayer(two_filters())),
    "bank": (random_picture((12, 10, 3)), ConvLayer(bank((3, 2, 3, 4)))),
    "groups": (random_picture((10, 9, 4), "float32"), ConvLayer(bank((3, 3, 2, 6)), groups=2)),
    "depthwise": (
        random_picture((8, 8, 3), "float64"),
        ConvLayer(bank((1, 5, 1, 3), "float64"), groups=3),
    ),
    "one row": (random_picture((1, 14, 1)), ConvLayer(bank((1, 3, 1, 2)))),
}


def random_conv(
    rng: np.random.Generator, layer: ConvLayer, dtype: Any
) -> tuple[ConvLayer, PageData]:
    """A layer with other settings, and the changes that lead the page there."""
    pads = [int(pad) for pad in rng.integers(0, 5, 4)]
    named = ["same", "same-lower", "valid", pads, pads, pads][rng.integers(6)]
    stride, dilation = (tuple(int(v) for v in rng.integers(1, 4, 2)) for _ in range(2))
    modes = ("zeros", "edge", "reflect", "symmetric", "wrap")
    words = ("none", "relu", "leaky-relu", "sigmoid", "tanh", "abs")
    bias = rng.normal(size=layer.filter.maps).astype(dtype)
    weights = rng.normal(size=layer.filter.weights.shape).astype(dtype)
    # In a page as in a file, numbers of float32 stay what they are.
    fields = {
        "stride": stride,
        "padding": named if isinstance(named, str) else (tuple(pads[:2]), tuple(pads[2:])),
        "dilation": dilation,
        "pad_mode": modes[rng.integers(5)],
        "pad_value": float(np.float32(rng.normal())) if rng.integers(2) else 0.0,
        "activation": words[rng.integers(6)],
    }
    changed = replace(layer, filter=replace(layer.filter, weights=weights), bias=bias, **fields)
    page = {
        "stride": list(stride),
        "padding": named,
        "dilation": list(dilation),
        "padMode": fields["pad_mode"],
        "padValue": fields["pad_value"],
        "activation": fields["activation"],
        "weights": [float(w) for w in weights.ravel()],
        "bias": [float(b) for b in bias],
    }
    return changed, page


def random_pool(rng: np.random.Generator) -> tuple[PoolLayer, PageData]:
    size, stride = (tuple(int(v) for v in rng.integers(1, 5, 2)) for _ in range(2))
    pads = [int(pad) for pad in rng.integers(0, 3, 4)]
    fields = {
        "mode": ("max", "average", "min", "lp")[rng.integers(4)],
        "size": size,
        "stride": stride,
        "dilation": tuple(int(v) for v in rng.integers(1, 3, 2)),
        "ceil": bool(rng.integers(2)),
        "count_include_pad": bool(rng.integers(2)),
        "p": (1.0, 2.0, 3.5)[rng.integers(3)],
    }
    layer = PoolLayer(padding=(tuple(pads[:2]), tuple(pads[2:])), **fields)  # type: ignore[arg-type]
    page = {
        **{name: fields[name] for name in ("mode", "ceil", "p")},
        **{name: list(fields[name]) for name in ("stride", "dilation")},  # type: ignore[call-overload]
        "kernel": list(size),
        "padding": pads,
        "countIncludePad": fields["count_include_pad"],
    }
    return layer, page


def compare(read: PageData, layer: ConvLayer | PoolLayer, picture: Picture) -> float:
    """Compare what a page shows with the core; returns the largest difference."""
    try:
        expected = forward(layer, picture.values())
    except CnnCliError:
        assert "must fit" in read["problem"]
        return 0.0
    assert read["size"] == " × ".join(map(str, expected.shape))
    part = expected[np.ix_(read["rows"], read["cols"], read["channels"])]
    planes = np.array([[number(text) for text in plane] for plane in read["planes"]])
    found = planes.reshape(len(read["channels"]), *part.shape[:2]).transpose(1, 2, 0)
    known = ~np.isnan(found)
    assert known.any()
    np.testing.assert_allclose(found[known], part[known], rtol=TOLERANCE, atol=TOLERANCE)
    # What stands in the arithmetic is the same value once more, summed by other code.
    row, col = read["at"]
    channel = read["channels"][0]
    value = number(read["value"])
    if not np.isnan(value):
        np.testing.assert_allclose(
            value, expected[row, col, channel], rtol=TOLERANCE, atol=TOLERANCE
        )
    finite = known & np.isfinite(part)
    return float(np.abs(found[finite] - part[finite]).max(initial=0.0))


def number(text: str) -> float:
    return float(text.replace("Infinity", "inf"))


@pytest.mark.parametrize("name", CONV_PAGES)
def test_random_convolutions_equal_the_core(show: Opener, name: str) -> None:
    picture, layer = CONV_PAGES[name]
    rng = np.random.default_rng(len(name))
    tab = show(page_data_of(picture, layer))
    worst = 0.0
    for _ in range(SETTINGS_EACH):
        changed, page = random_conv(rng, layer, picture.dtype)
        view = {
            "map": int(rng.integers(layer.filter.maps)),
            "at": [int(v) for v in rng.integers(0, 9, 2)],
        }
        worst = max(worst, compare(tab.evaluate(APPLY, {**view, "layer": page}), changed, picture))
    print(f"largest difference {worst:.2g}")


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_random_pools_equal_the_core(show: Opener, dtype: str) -> None:
    picture = random_picture((11, 12, 3), dtype)
    rng = np.random.default_rng(len(dtype))
    tab = show(page_data_of(picture, PoolLayer()))
    worst = 0.0
    for _ in range(SETTINGS_EACH):
        changed, page = random_pool(rng)
        at = [int(v) for v in rng.integers(0, 9, 2)]
        worst = max(
            worst, compare(tab.evaluate(APPLY, {"at": at, "layer": page}), changed, picture)
        )
    print(f"largest difference {worst:.2g}")


@pytest.mark.parametrize("mode", ["zeros", "reflect", "wrap"])
def test_the_edge_of_a_crop_is_no_padding(show: Opener, monkeypatch: Any, mode: str) -> None:
    monkeypatch.setattr(layer_data, "MOST_CELLS", 12 * 12)
    picture = random_picture((40, 50, 1))
    layer = ConvLayer(load_filter("sobel_v"), np.zeros(1), pad_mode=mode)
    tab = show(page_data_of(picture, layer, (0, 20)))
    for stride, dilation in ((1, 1), (2, 1), (1, 3)):
        changed = replace(layer, stride=stride, dilation=dilation)
        page = {"stride": [stride] * 2, "dilation": [dilation] * 2}
        read = tab.evaluate(APPLY, {"layer": page})
        compare(read, changed, picture)
        # Rows 0 to 11 and columns 14 to 25 are there: taps may not go beyond.
        window = changed.window(picture.shape)
        down, across = read["rows"], read["cols"]
        box = slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1)
        rows, cols = window.source(box, mode)
        assert rows.stop <= 12 and cols.start >= 14 and cols.stop <= 26
        assert len(across) >= (12 - window.cols.extent) // stride
        # Above the first row a wrapped border holds the last rows, which are not there.
        assert (down[0] == 0) == (mode != "wrap" or window.rows.begin == 0)


def settle(tab: Any) -> None:
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def shown_value(tab: Any) -> float:
    settle(tab)
    return number(tab.get_attribute("#result", "data-value"))


def hover(tab: Any, row: int, col: int, selector: str = "#output") -> tuple[float, float]:
    """Return where on the screen the middle of an output cell is, and move the mouse there."""
    settle(tab)
    box = tab.locator(selector).bounding_box()
    rows, cols = tab.evaluate("[cnncli.shown().outRows.length, cnncli.shown().outCols.length]")
    x = box["x"] + (col + 0.5) * box["width"] / cols
    y = box["y"] + (row + 0.5) * box["height"] / rows
    tab.mouse.move(x, y)
    return x, y


def photo() -> tuple[Picture, ConvLayer]:
    return read_image(CHELSEA, ReadOptions()), ConvLayer(load_filter("edge"), np.zeros(1))


def near(value: float) -> Any:
    return pytest.approx(float(value), rel=TOLERANCE, abs=TOLERANCE)


def test_the_mouse_moves_the_window_and_a_click_holds_it(show: Opener) -> None:
    picture, layer = random_picture((10, 12, 3)), ConvLayer(load_filter("edge"), np.zeros(1))
    tab, expected = show(page_data_of(picture, layer)), forward(layer, picture.values())
    for row, col in ((0, 0), (4, 7), (9, 11)):
        hover(tab, row, col)
        assert shown_value(tab) == near(expected[row, col, 0])
        assert f"row {row}, column {col}, red" in tab.text_content("#headline")
    tab.mouse.click(*hover(tab, 3, 5))
    hover(tab, 8, 8)
    assert shown_value(tab) == near(expected[3, 5, 0])
    assert tab.get_attribute("#pin", "aria-pressed") == "true"
    tab.click("#pin")
    hover(tab, 8, 8)
    assert shown_value(tab) == near(expected[8, 8, 0])
    tab.click("#channels button:nth-child(3)")
    assert shown_value(tab) == near(expected[8, 8, 2])


def test_keys_move_the_window_and_it_is_said(show: Opener) -> None:
    picture, layer = random_picture((14, 16, 1)), ConvLayer(load_filter("box"), np.zeros(1))
    tab, expected = show(page_data_of(picture, layer, (2, 2))), forward(layer, picture.values())
    tab.focus("#output")
    moves = {"ArrowDown": (3, 2), "ArrowRight": (3, 3), "Shift+ArrowRight": (3, 13), "End": (3, 15)}
    moves |= {"ArrowUp": (2, 15), "Home": (2, 0), "ArrowLeft": (2, 0), "PageDown": (12, 0)}
    for key, (row, col) in moves.items():
        tab.keyboard.press(key)
        assert shown_value(tab) == near(expected[row, col, 0]), key
    said = "document.getElementById('live').textContent.startsWith('Output at row 12, column 0')"
    until(tab, said)
    tab.fill("#at-row", "7")
    assert shown_value(tab) == near(expected[7, 0, 0])


def test_a_finger_moves_the_window(show: Opener) -> None:
    picture, layer = random_picture((10, 12, 1)), ConvLayer(load_filter("box"), np.zeros(1))
    tab = show(page_data_of(picture, layer), has_touch=True, viewport={"width": 360, "height": 740})
    x, y = hover(tab, 6, 4)
    tab.touchscreen.tap(x, y)
    assert shown_value(tab) == near(forward(layer, picture.values())[6, 4, 0])


def test_every_control_of_a_convolution_recomputes(show: Opener) -> None:
    picture, layer = photo()
    tab = show(page_data_of(picture, layer, (30, 40)))
    X, at = picture.values(), (30, 40)

    def check(changed: ConvLayer) -> ConvLayer:
        assert shown_value(tab) == near(forward(changed, X)[(*at, 0)])
        return changed

    check(layer)
    tab.fill("#stride", "3")
    layer = check(replace(layer, stride=3))
    tab.fill("#stride-cols", "2")
    layer = check(replace(layer, stride=(3, 2)))
    tab.select_option("#padding", "valid")
    layer = check(replace(layer, padding="valid"))
    tab.fill("#padding-all", "4")
    layer = check(replace(layer, padding=4))
    tab.fill("#padding-left", "7")
    layer = check(replace(layer, padding=((4, 4), (7, 4))))
    tab.fill("#dilation", "2")
    layer = check(replace(layer, dilation=2))
    tab.select_option("#pad-mode", "symmetric")
    layer = check(replace(layer, pad_mode="symmetric"))
    tab.fill("#bias", "-0.25")
    layer = check(replace(layer, bias=np.array([-0.25])))
    tab.select_option("#activation", "leaky-relu")
    layer = check(replace(layer, activation="leaky-relu"))
    tab.fill(".grid tr:nth-child(2) td:nth-child(3) input", "0.7")
    weights = layer.filter.weights.copy()
    weights[1, 2] = 0.7
    layer = check(replace(layer, filter=replace(layer.filter, weights=weights)))
    tab.select_option("#preset", "gaussian_5")
    layer = check(replace(layer, filter=load_filter("gaussian_5")))
    rows, _ = tab.locator("#formula span").all_text_contents()[:2]
    assert rows.endswith(f"= {layer.window((1, 300, 451, 3)).rows.out}")
    tab.fill("#dilation", "8")
    tab.select_option("#padding", "valid")
    tab.click("#reset")
    at = (30, 40)
    check(ConvLayer(load_filter("edge"), np.zeros(1)))


def test_a_window_that_does_not_fit_is_said(show: Opener) -> None:
    layer = ConvLayer(load_filter("edge"), np.zeros(1))
    tab = show(page_data_of(random_picture((5, 9, 1)), layer))
    tab.select_option("#padding", "valid")
    tab.fill("#dilation", "4")
    settle(tab)
    assert "spans 9 of 5 rows" in tab.text_content("#problem")
    tab.fill("#dilation-rows", "2")
    settle(tab)
    assert tab.text_content("#problem") == ""


def test_padding_is_marked_in_the_arithmetic(show: Opener) -> None:
    layer = ConvLayer(load_filter("edge"), np.zeros(1), pad_mode="reflect")
    tab = show(page_data_of(random_picture((6, 6, 1)), layer))
    cells = tab.locator("#blocks table:first-of-type td.pad")
    assert cells.count() == 5
    assert "5 cells of 9 are padding (copied pixels)" in tab.text_content("#sentence")
    assert "Input rows -1 to 1, columns -1 to 1" in tab.text_content("#input-closeup-note")


def test_window_times_weights_are_the_products_that_stand_there(show: Opener) -> None:
    picture, layer = photo()
    tab = show(page_data_of(picture, layer, (114, 172)))
    tables = [t.locator("td").all_text_contents() for t in tab.locator("#blocks table").all()]
    window = picture.values()[0, 113:116, 171:174, 0].ravel()
    weights = layer.filter.weights[:, :, 0].ravel()
    for texts, values in zip(tables, (window, weights, window * weights), strict=True):
        read = [float(text.replace("−", "-")) for text in texts]
        np.testing.assert_allclose(read, values, rtol=6e-3, atol=1e-9)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_pool_shows_its_winner_and_says_ties(show: Opener, mode: str) -> None:
    values = np.array([[1, 5, 2, 0], [5, 1, 0, 3], [0, 0, 0, 0], [9, 0, 0, 0]], np.float64)
    picture = picture_of(values.reshape(1, 4, 4, 1))
    tab = show(page_data_of(picture, PoolLayer(mode)))
    winner = tab.locator("#blocks td.winner")
    place, text = ("0,1", "5") if mode == "max" else ("0,0", "1")
    assert winner.get_attribute("data-tap") == place
    assert winner.text_content() == f"{text} (wins)"
    assert "2 cells tie; the first one gets the gradient" in tab.text_content("#sentence")


def test_every_control_of_a_pool_recomputes(show: Opener) -> None:
    picture = random_picture((20, 21, 3))
    layer, X = PoolLayer(), picture.values()
    tab = show(page_data_of(picture, layer, (2, 3)))

    def check(changed: PoolLayer) -> PoolLayer:
        assert shown_value(tab) == near(forward(changed, X)[2, 3, 0])
        return changed

    tab.fill("#kernel", "3")
    layer = check(replace(layer, size=3))
    tab.select_option("#mode", "average")
    layer = check(replace(layer, mode="average"))
    tab.fill("#padding-all", "2")
    tab.fill("#stride", "1")
    tab.evaluate("cnncli.apply({ at: [0, 0] })")
    layer = replace(layer, padding=2, stride=1)
    assert shown_value(tab) == near(forward(layer, X)[0, 0, 0])
    assert "divided by 1." in tab.text_content("#sentence")
    tab.check("#count-include-pad")
    layer = replace(layer, count_include_pad=True)
    assert shown_value(tab) == near(forward(layer, X)[0, 0, 0])
    assert "divided by 9." in tab.text_content("#sentence")
    tab.select_option("#mode", "lp")
    tab.fill("#p", "3")
    tab.check("#ceil")
    layer = replace(layer, mode="lp", p=3.0, ceil=True)
    assert shown_value(tab) == near(forward(layer, X)[0, 0, 0])


def test_a_bank_has_a_strip_of_maps_and_sums_of_channels(show: Opener) -> None:
    picture = random_picture((9, 9, 5), "float32")
    layer = ConvLayer(bank((3, 3, 5, 4)), np.arange(4.0))
    tab, expected = (
        show(page_data_of(picture, layer, (4, 4), map=1)),
        forward(layer, picture.values()),
    )
    assert shown_value(tab) == near(expected[4, 4, 1])
    assert tab.locator("#maps button").count() == 4
    tab.click("#maps button:nth-child(4)")
    assert shown_value(tab) == near(expected[4, 4, 3])
    sums = [float(t.replace("−", "-")) for t in tab.locator(".sum b").all_text_contents()]
    products = picture.values()[0, 3:6, 3:6] * layer.filter.weights[..., 3]
    np.testing.assert_allclose(sums, products.sum(axis=(0, 1)), rtol=6e-3)
    tab.click(".sum:nth-child(3)")
    settle(tab)
    read = tab.locator("#blocks table:first-of-type td").all_text_contents()
    np.testing.assert_allclose(
        [float(t.replace("−", "-")) for t in read],
        picture.values()[0, 3:6, 3:6, 2].ravel(),
        rtol=6e-3,
    )


def test_play_slides_and_stops(show: Opener) -> None:
    layer = ConvLayer(load_filter("box"), np.zeros(1))
    tab = show(page_data_of(random_picture((4, 4, 1)), layer, (0, 3)))
    tab.click("#play")
    until(tab, "cnncli.state.at.join() === '1,1'")
    tab.click("#play")
    assert tab.evaluate("cnncli.state.playing") is False


def test_who_wants_less_motion_gets_single_steps(show: Opener) -> None:
    layer = ConvLayer(load_filter("box"), np.zeros(1))
    data = page_data_of(random_picture((4, 4, 1)), layer, (3, 3))
    tab = show(data, reduced_motion="reduce")
    assert tab.text_content("#play") == "Next"
    tab.click("#play")
    assert tab.evaluate("[cnncli.state.at.join(), cnncli.state.playing]") == ["0,0", False]


# Networks, names, looks -----------------------------------------------------------------------


def net() -> tuple[Any, Picture, PageData]:
    model = load_model(REPOSITORY / "examples" / "digits.toml")
    digit = REPOSITORY / "examples" / "digits" / "7.png"
    picture = read_image(digit, ReadOptions(gray=True, size=model.size))
    data = network_page_data(model.network, picture, "pool2", Unit((1, 0), 5), title="digits.toml")
    return model.network, picture, data


def test_a_click_on_a_unit_lights_its_receptive_field(show: Opener) -> None:
    network, picture, data = net()
    tab = show(data)
    shape = picture.shape
    for name in ("pool2", "conv2", "conv1"):
        canvas = tab.locator(f"li:has(h2:text-is('{name}')) .large")
        _, height, width, _ = network.shapes(shape)[name]
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        row, col = height - 1, 0
        canvas.click(position={"x": 3, "y": box["height"] * (row + 0.5) / height})
        expected = network.reads(shape, name, (slice(row, row + 1), slice(col, col + 1)))
        read = {
            layer: (slice(box[0], box[2]), slice(box[1], box[3]))
            for layer, box in tab.evaluate("cnncli.field()").items()
        }
        assert read == expected
        rows, cols = expected["input"]
        lit = tab.text_content("li:has(h2:text-is('input')) .lit-text")
        assert lit == f"lit: {stretch('row', rows)}, {stretch('column', cols)}"


def stretch(what: str, side: slice) -> str:
    one = side.stop - side.start == 1
    return f"{what} {side.start}" if one else f"{what}s {side.start} to {side.stop - 1}"


def test_values_of_units_are_those_of_the_network(show: Opener) -> None:
    network, picture, data = net()
    tab = show(data)
    values = {"input": picture.values()}
    for node in network.nodes:
        values[node.name] = node.layer.forward(values[node.inputs[0]])[0]
    assert tab.text_content("#headline").startswith("pool2, map 5 (conv3-05), row 1, column 0: ")
    for name, Y in values.items():
        _, n_H, n_W, n_C = Y.shape
        read = tab.evaluate(
            """([name, h, w, c]) => Array.from({ length: h * w * c }, (_, k) => cnncli.value(
                name, k % c, Math.floor(k / c / w), Math.floor(k / c) % w).value)""",
            [name, n_H, n_W, n_C],
        )
        np.testing.assert_allclose(read, Y.ravel(), rtol=TOLERANCE, atol=TOLERANCE)
    tab.click("li:has(h2:text-is('probability')) .thumb:nth-child(8)")
    settle(tab)
    assert "probability, map 7" in tab.text_content("#headline")


def test_keys_move_the_unit_of_a_network(show: Opener) -> None:
    tab = show(net()[2])
    tab.focus("li:has(h2:text-is('conv2')) .large")
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("[cnncli.state.unit.layer, ...cnncli.state.unit.at]") == ["conv2", 4, 4]
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowLeft")
    assert tab.evaluate("cnncli.state.unit.at") == [5, 3]


def test_hostile_names_run_nothing(show: Opener) -> None:
    hostile = "</script><script>window.pwned=1</script><img src=x onerror='window.pwned=2'>"
    made = bank((1, 1, 1, 2))
    made = replace(made, name=hostile, map_names=(hostile, hostile + "2"))
    data = layer_page_data(random_picture((4, 4, 1)), ConvLayer(made), Unit((0, 0)), title=hostile)
    tab = show(data)
    assert tab.evaluate("window.pwned") is None
    assert tab.text_content("h1") == hostile
    assert tab.title().startswith(hostile)


def test_what_is_not_finite_is_shown_as_it_is(show: Opener) -> None:
    values = np.zeros((1, 5, 5, 1))
    values[0, 2, 2], values[0, 0, 0] = np.inf, np.nan
    tab = show(
        page_data_of(picture_of(values), ConvLayer(load_filter("edge"), np.zeros(1)), (2, 2))
    )
    assert "∞" in tab.text_content("#headline")
    assert np.isnan(tab.evaluate("cnncli.values(0)[0]"))


NAMELESS = """[...document.querySelectorAll("button, input, select, canvas, [tabindex]")]
  .filter((e) => !e.closest("[hidden]") && e.getAttribute("aria-hidden") !== "true")
  .filter((e) => !(e.getAttribute("aria-label") || e.textContent.trim() || e.labels?.length))
  .map((e) => e.outerHTML)"""


@pytest.mark.parametrize("kind", ["conv", "pool", "bank", "network"])
def test_every_control_has_a_name_and_fits_a_telephone(show: Opener, kind: str) -> None:
    layers = {
        "conv": ConvLayer(load_filter("edge")),
        "pool": PoolLayer(),
        "bank": ConvLayer(load_filter("gabor_color"), stride=4),
    }
    data = (
        net()[2] if kind == "network" else page_data_of(random_picture((40, 48, 3)), layers[kind])
    )
    tab = show(data, viewport={"width": 360, "height": 740}, is_mobile=True)
    settle(tab)
    assert tab.evaluate(NAMELESS) == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert tab.evaluate("document.querySelectorAll('h1').length") == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_that_of_the_system_until_it_is_changed(show: Opener, scheme: str) -> None:
    picture, layer = photo()
    tab = show(page_data_of(picture, layer, (114, 172)), color_scheme=scheme)
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = "rgb(243, 244, 246)", "rgb(18, 22, 27)"
    first, second = (light, dark) if scheme == "light" else (dark, light)
    assert tab.evaluate(ground) == first
    before = tab.screenshot()
    tab.click("#theme")
    settle(tab)
    assert tab.evaluate(ground) == second
    assert tab.screenshot() != before
