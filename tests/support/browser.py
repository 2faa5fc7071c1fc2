"""Pages of explain in a real browser, and what they must show by the core's own functions."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.core.activations import get_activation
from cnncli.core.conv import conv_forward
from cnncli.core.pool import pool_forward
from cnncli.explain.page.document import page_text
from cnncli.explain.page.layer_data import PageData, PageLayer, Unit, layer_page_data
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.io.images import Picture, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.layers import ConvLayer, PoolLayer
from tests.support.patience import patient

# The shell, which has no window of its own to draw, takes less than half of the time.
SHELLS = ("chromium-headless-shell", "chrome-headless-shell")
NAMES = (*SHELLS, "chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
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
TOLERANCE = 1e-5

Opener = Callable[..., Any]
"""What the fixture `show` gives: opens the page of some data in a tab."""


@dataclass
class Watched:
    """A tab, and all that it must not do."""

    tab: Any
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def note(self, request: Any) -> None:
        """Note a request, but not that of the page's worker for a script of the page's own."""
        if not request.url.startswith("blob:"):
            self.asked.append(request.url)

    def open(self, path: Path, data: PageData) -> Any:
        path.write_text(page_text(data), "utf-8")
        self.tab.on("request", self.note)
        self.tab.on("console", lambda message: self.said.append(message.text))
        self.tab.on("pageerror", lambda error: self.said.append(str(error)))
        self.tab.goto(path.as_uri())
        self.asked.remove(path.as_uri())
        until(self.tab, "document.getElementById('headline')?.textContent")
        return self.tab


def until(tab: Any, holds: str) -> None:
    """Wait for something to hold; Playwright's own way needs `eval`, which the page forbids."""
    end = time.monotonic() + patient(10)
    while not tab.evaluate(holds):
        assert time.monotonic() < end, f"never: {holds}"
        tab.wait_for_timeout(20)


def picture_of(values: np.ndarray[Any, Any]) -> Picture:
    is_picture = values.dtype.kind == "u"
    return Picture(values, 255.0 if is_picture else 1.0, is_picture, False, (), "photo.png")


def random_picture(shape: tuple[int, int, int], dtype: str = "uint8") -> Picture:
    rng = np.random.default_rng(sum(shape))
    if dtype == "uint8":
        return picture_of(rng.integers(0, 256, (1, *shape)).astype(dtype))
    return picture_of(rng.normal(size=(1, *shape)).astype(dtype))


def page_data_of(picture: Picture, layer: PageLayer, at: Any = (0, 0), **more: Any) -> PageData:
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
    fields = {n: getattr(layer, n) for n in ("stride", "dilation", "pad_value")}
    fields["pad_mode"] = layer.border_mode
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


def number(text: str) -> float:
    return float(text.replace("Infinity", "inf"))


def settle(tab: Any) -> None:
    """Wait until the page is drawn; that of a network draws what is out of sight after a pause."""
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    tab.evaluate("globalThis.allDrawn?.()")


def shown_value(tab: Any) -> float:
    settle(tab)
    return number(tab.get_attribute("#result", "data-value"))


def hover(tab: Any, row: int, col: int) -> tuple[float, float]:
    """Return where on the screen the middle of an output cell is, and move the mouse there."""
    settle(tab)
    box = tab.locator("#output").bounding_box()
    rows, cols = tab.evaluate("[cnncli.shown().outRows.length, cnncli.shown().outCols.length]")
    x = box["x"] + (col + 0.5) * box["width"] / cols
    y = box["y"] + (row + 0.5) * box["height"] / rows
    tab.mouse.move(x, y)
    return x, y


def photo() -> tuple[Picture, ConvLayer]:
    return read_image(CHELSEA, ReadOptions()), ConvLayer(load_filter("edge"), np.zeros(1))


def near(value: float) -> Any:
    return pytest.approx(float(value), rel=TOLERANCE, abs=TOLERANCE)
