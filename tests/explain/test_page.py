"""Pages of explain as texts: what is in them, what is not, and how large they are."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page import layer_data, settings_data
from cnncli.explain.page.channels import channel_spans
from cnncli.explain.page.document import page_text
from cnncli.explain.page.layer_data import PRESETS, PageData, Unit, crop, layer_page_data
from cnncli.explain.page.playground_data import playground_page_data
from cnncli.explain.page.stored_network_data import BUDGET, stored_network_page_data
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.io.images import Picture, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import SOURCE, Network, Node
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    AnyLayer,
    ConcatLayer,
    ConvLayer,
    LayerNormLayer,
    LRNLayer,
    PadChannelsLayer,
    PoolLayer,
    SliceLayer,
    SoftmaxLayer,
)
from cnncli.network.load import load_model
from tests.support.packed_pages import page_contents

REPOSITORY = Path(__file__).resolve().parents[2]
CHELSEA = REPOSITORY / "sample_images" / "chelsea.png"
HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;"\u2028\udcff'


class Reader(HTMLParser):
    """Collects the elements of a page, and the text of its scripts and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, dict[str, str | None], str]] = []
        self.within = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.within = True

    def handle_endtag(self, tag: str) -> None:
        self.within = False

    def handle_data(self, data: str) -> None:
        if self.within and self.elements[-1][0] in ("script", "style", "title"):
            self.texts.append((*self.elements[-1], data))

    def text(self, tag: str, **attributes: str) -> list[str]:
        expected = attributes.items()
        return [t for name, found, t in self.texts if name == tag and expected <= found.items()]


def picture_of(shape: tuple[int, int, int], dtype: str = "uint8") -> Picture:
    values = np.random.default_rng(3).integers(0, 256, (1, *shape)).astype(dtype)
    return Picture(values, 255.0, True, False, (), "photo.png")


@pytest.mark.parametrize(("shift", "kind"), [(0.0, "clip"), (1.1, "minmax")])
def test_an_image_of_floats_beyond_0_to_1_is_no_white_square(shift: float, kind: str) -> None:
    values = np.linspace(0, 1, 48, dtype=np.float32).reshape(1, 6, 8, 1) + np.float32(shift)
    picture = Picture(values, 1.0, True, False, (), "photo.tif")
    data = layer_page_data(picture, PoolLayer(), Unit((0, 0)), title="photo.tif")
    assert data["input"]["range"]["kind"] == kind and data["clipByDefault"] == (kind == "clip")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_page_of_a_part_has_a_small_picture_of_the_whole(channels: int) -> None:
    pixels = np.zeros((1, 600, 1200, channels), np.uint8)
    pixels[:, :, 600:] = 255
    picture = Picture(pixels, 255.0, True, False, (), "photo.png")
    data = layer_page_data(picture, PoolLayer(), Unit((10, 10)), title="photo.png")["input"]
    small = data["overview"]
    assert data["cols"][1] - data["cols"][0] < 1200 and small["size"] == [80, 160]
    levels = small["levels"]
    assert levels.shape == (80, 160, 3)
    assert (levels[:, :79] == 0).all() and (levels[:, 81:] == 255).all()
    whole = layer_page_data(picture_of((8, 8, channels)), PoolLayer(), Unit((0, 0)), title="a")
    assert "overview" not in whole["input"]


def photo_data() -> PageData:
    layer = ConvLayer(load_filter("edge"))
    picture = read_image(CHELSEA, ReadOptions())
    return layer_page_data(picture, layer, Unit((114, 172)), title="chelsea.png, edge")


def net_data(picture: Picture) -> PageData:
    network = load_model(REPOSITORY / "examples" / "edges.toml").network
    return stored_network_page_data(network, picture, "pooled", Unit((1, 2), 3), title="net.toml")


@pytest.fixture(scope="module", params=["layer", "network"])
def text(request: pytest.FixtureRequest) -> str:
    """A page of each kind."""
    gray = read_image(CHELSEA, ReadOptions(gray=True))
    return page_text(photo_data() if request.param == "layer" else net_data(gray))


def test_policy_names_the_hash_of_every_script_and_of_the_style(text: str) -> None:
    page = Reader(text)
    (policy,) = (
        a["content"] or ""
        for tag, a in page.elements
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = {part.split()[0]: part.split()[1:] for part in policy.split("; ")}
    contents = page_contents(text)
    openers = [body for tag, a, body in page.texts if tag == "script" and "type" not in a]
    scripts = [*openers, *(script["text"] for script in contents["scripts"])]
    assert len(openers) == 2 and len(scripts) > 3
    assert rules["script-src"] == [hash_of(body) for body in scripts]
    assert rules["style-src"] == [hash_of(contents["style"])] and not page.text("style")
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == ["'none'"]
    assert "unsafe" not in policy


def hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_nothing_is_loaded_and_nothing_is_evaluated(text: str) -> None:
    contents = page_contents(text)
    page = Reader(text + contents["body"])
    assert {"main", "button", "script"} <= {tag for tag, _ in page.elements}
    loading = {"src", "href", "srcset", "action", "data", "poster", "style"}
    named = [(tag, key, a[key]) for tag, a in page.elements for key in a if key in loading]
    assert named == [("link", "href", "data:,")]
    assert not [key for _, a in page.elements for key in a if key.startswith("on")]
    scripts = (script["text"] for script in contents["scripts"])
    plain = (body for tag, a, body in page.texts if a.get("id") != "packed")
    own = " ".join([*plain, contents["style"], *scripts])
    assert not re.search(r"\b(https?:|//\w+\.\w|@import|url\()", own)
    assert not re.search(r"\b(eval|Function|fetch|XMLHttpRequest|innerHTML|outerHTML)\b", own)


def test_every_file_of_the_page_is_plain_text_of_modest_size() -> None:
    folders = resources.files("cnncli.explain").joinpath("web").iterdir()
    files = [file for folder in folders for file in folder.iterdir()]
    assert {"page.html", "page.css", "layer.js", "network.js"} <= {file.name for file in files}
    for file in files:
        lines = file.read_text("utf-8").splitlines()
        assert len(lines) < 500, file.name


@pytest.mark.parametrize("kind", ["layer", "network"])
def test_names_are_only_text(kind: str) -> None:
    bank = from_array(np.ones((1, 1, 1, 2)), name="bank")
    bank = bank.__class__(**{**vars(bank), "map_names": (HOSTILE, "b"), "name": HOSTILE})
    picture, layer = picture_of((4, 5, 1)), ConvLayer(bank)
    if kind == "layer":
        data = layer_page_data(picture, layer, Unit((0, 0)), title=HOSTILE, notes=[HOSTILE])
    else:
        network = Network((Node(HOSTILE, layer, (SOURCE,)),))
        data = stored_network_page_data(network, picture, HOSTILE, Unit((0, 0)), title=HOSTILE)
    text = page_text(data)
    text.encode("utf-8")
    page = Reader(text)
    assert [tag for tag, _ in page.elements].count("img") == 0
    assert page_contents(text)["data"]["title"] == HOSTILE


def test_pages_are_small() -> None:
    assert len(page_text(photo_data())) < 500_000
    gray = read_image(CHELSEA, ReadOptions(gray=True))
    assert len(page_text(net_data(gray))) < 4e6
    assert len(page_text(playground_page_data())) < 200_000


def held_pixels(record: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The pixels of a page, whose whole numbers are differences along both axes."""
    if "pixels" in record:
        return np.asarray(record["pixels"])
    pixels = record["differences"]
    for axis in (0, 1):
        pixels = np.cumsum(pixels, axis, record["differences"].dtype)
    return np.asarray(pixels)


def test_pixels_are_in_the_page_as_they_are() -> None:
    picture = read_image(CHELSEA, ReadOptions())
    held = photo_data()["input"]
    np.testing.assert_array_equal(held_pixels(held), picture.pixels[0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_a_large_image_is_cut_around_the_place(dtype: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(layer_data, "MOST_CELLS", 30 * 30)
    picture = picture_of((200, 300, 3), dtype)
    layer = ConvLayer(load_filter("box_5"), stride=2)
    data = layer_page_data(picture, layer, Unit((99, 40)), title="")
    held = data["input"]
    (top, bottom), (left, right) = held["rows"], held["cols"]
    assert bottom - top == right - left == 30
    assert bottom == 200 and left < 78 and right > 83
    raw = held_pixels(held)
    np.testing.assert_array_equal(raw, picture.pixels[0, top:bottom, left:right])
    assert held["size"] == [200, 300]
    assert "rows 170 to 199" in data["notes"][0] and "left blank" in data["notes"][0]


def test_a_crop_holds_the_whole_window_wherever_it_is() -> None:
    layer = ConvLayer(load_filter("gaussian_15"), stride=3)
    window = layer.window((1, 90, 120, 1))
    for row in range(window.rows.out):
        for col in range(window.cols.out):
            held = crop(window, "zeros", (row, col), (90, 120), 20 * 20)
            needed = window.source((slice(row, row + 1), slice(col, col + 1)))
            for have, need, size in zip(held, needed, (90, 120), strict=True):
                assert 0 <= have.start <= need.start and need.stop <= have.stop <= size


def test_an_output_whose_window_wraps_around_a_cut_image_is_said(monkeypatch: Any) -> None:
    monkeypatch.setattr(layer_data, "MOST_CELLS", 30 * 30)
    layer = ConvLayer(load_filter("box"), pad_mode="wrap")
    picture = picture_of((200, 300, 1))
    far = layer_page_data(picture, layer, Unit((0, 0)), title="")["notes"]
    near = layer_page_data(picture, layer, Unit((5, 5)), title="")["notes"]
    assert len(near) == 1 and "row 0, column 0 needs pixels" in far[1]


def test_presets_are_built_in() -> None:
    presets = photo_data()["presets"]
    assert [each["name"] for each in presets] == list(PRESETS) and len(PRESETS) == 12
    about = (
        "edge detector: 8 times the pixel minus its 8 neighbours; "
        "above 0: brighter than its surroundings"
    )
    rows = [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]
    assert presets[4] == {"name": "edge", "about": about, "rows": rows}


@pytest.mark.parametrize("bank", ["robinson", "kirsch"])
def test_maps_of_a_bank_are_told_by_the_side_that_is_brighter(bank: str) -> None:
    layer = ConvLayer(load_filter(bank))
    presets = layer_page_data(picture_of((8, 8, 1)), layer, Unit((3, 3)), title="")["presets"]
    maps = presets[len(PRESETS) :]
    assert [each["name"] for each in maps] == list(layer.filter.map_names)
    across, up = np.arange(-1, 2), np.arange(1, -2, -1)[:, None]
    steps = {"left": -across, "right": across, "top": up, "bottom": -up}
    for each in maps:
        start, _, side = each["about"].partition(" towards the ")
        assert start == "edges; above 0: brighter"
        brighter = sum(np.broadcast_to(steps[word], (3, 3)) for word in side.split())
        answers = [float((np.array(one["rows"]) * brighter).sum()) for one in maps]
        assert max(answers) == answers[maps.index(each)] > 0
    # Pages without that filter do not hold it.
    assert len(photo_data()["presets"]) == len(PRESETS)


# The page of a network ----------------------------------------------------------------------


def small_network() -> Network:
    """A residual block with a stride, a border and a global pool."""
    bank = from_array(np.random.default_rng(1).normal(size=(3, 3, 1, 4)), name="bank")
    last = from_array(np.random.default_rng(2).normal(size=(3, 3, 4, 4)), name="last")
    return Network(
        (
            Node("first", ConvLayer(bank, stride=2, pad_mode="wrap"), (SOURCE,)),
            Node("second", ConvLayer(last, dilation=2, pad_mode="reflect"), ("first",)),
            Node("sum", AddLayer(), ("first", "second")),
            Node("relu", ActivationLayer("relu"), ("sum",)),
            Node("pool", PoolLayer("max", 3, 2, "same", ceil=True), ("relu",)),
            Node("all", PoolLayer("average", "global"), ("pool",)),
        )
    )


def test_values_of_a_small_network_are_exact() -> None:
    picture, network = picture_of((14, 17, 1)), small_network()
    data = stored_network_page_data(network, picture, "pool", Unit((0, 0)), title="")
    X = values = {SOURCE: picture.values()}
    for node in network.nodes:
        values[node.name] = node.layer.forward(*(X[name] for name in node.inputs))[0]
    for layer in data["layers"]:
        planes = layer["values"]
        expected = values[layer["name"]][0].transpose(2, 0, 1)
        np.testing.assert_allclose(planes, expected, rtol=1e-5, atol=1e-5)
        assert layer["steps"] == [0.0] * len(planes)


def spans(runs: list[list[int]]) -> list[tuple[int, int]]:
    return [
        (first + k * step, end + k * step) for first, end, step, count in runs for k in range(count)
    ]


def test_reads_are_those_of_the_geometry() -> None:
    network = small_network()
    data = stored_network_page_data(network, picture_of((14, 17, 1)), "all", Unit((0, 0)), title="")
    shapes = network.shapes((1, 14, 17, 1))
    for layer in data["layers"][1:]:
        node = network.node(layer["name"])
        for name, reads in zip(node.inputs, layer["reads"], strict=True):
            rows, cols = spans(reads["rows"]), spans(reads["cols"])
            for row in range(len(rows)):
                for col in range(len(cols)):
                    box = slice(row, row + 1), slice(col, col + 1)
                    expected = node.layer.reads(shapes[name], box)
                    assert (slice(*rows[row]), slice(*cols[col])) == expected


CHANNEL_LAYERS: dict[str, AnyLayer] = {
    "bank": ConvLayer(from_array(np.ones((1, 1, 6, 4)))),
    "groups": ConvLayer(from_array(np.ones((1, 1, 3, 4))), groups=2),
    "2-D filters": ConvLayer(load_filter("2")),
    "softmax": ActivationLayer("softmax"),
    "log-softmax": ActivationLayer("log-softmax"),
    "softmax of rows and channels": SoftmaxLayer(("rows", "channels")),
    "layer norm": LayerNormLayer(np.ones(1), np.zeros(1)),
    "lrn": LRNLayer(3, 1.0),
    "softmax of groups": ConvLayer(
        from_array(np.ones((1, 1, 3, 4))), groups=2, activation="softmax"
    ),
    "relu": ActivationLayer("relu"),
    "pool": PoolLayer(size=1),
    "slice": SliceLayer(1, 6, 2),
    "more channels": PadChannelsLayer(np.zeros(2), np.zeros(3)),
    "concat": ConcatLayer(),
    "add": AddLayer(),
}


@pytest.mark.parametrize("name", CHANNEL_LAYERS)
def test_channels_are_those_that_change_an_output(name: str) -> None:
    layer = CHANNEL_LAYERS[name]
    rng = np.random.default_rng(4)
    inputs = [1 + rng.random((1, 1, 1, 6)) for _ in range(2 if name in ("concat", "add") else 1)]
    before = layer.forward(*inputs)[0][0, 0, 0]
    for number in range(len(inputs)):
        shapes = [(1, 1, 1, 6)] * len(inputs)
        spans = channel_spans(layer, shapes, number, len(before))
        for channel in range(6):
            changed = [X.copy() for X in inputs]
            changed[number][..., channel] += 1
            after = layer.forward(*changed)[0][0, 0, 0]
            inside = (spans[:, 0] <= channel) & (channel < spans[:, 1])
            np.testing.assert_array_equal(inside, after != before)


def test_a_page_holds_a_map_that_feeds_the_unit() -> None:
    bank = from_array(np.ones((1, 1, 1, 300), np.float32), name="bank")
    network = Network.chain(ConvLayer(bank), PoolLayer())
    picture = picture_of((20, 30, 1))
    data = stored_network_page_data(network, picture, "pool1", Unit((0, 0), 250), title="")
    for layer in data["layers"][1:]:
        assert 250 in [each["index"] for each in layer["pictures"]]


def test_small_layers_keep_all_maps_that_the_arithmetic_reads() -> None:
    wide = from_array(np.ones((1, 1, 1, 300), np.float32), name="wide")
    network = Network.chain(ConvLayer(wide), PoolLayer())
    data = stored_network_page_data(
        network, picture_of((20, 30, 1)), "pool1", Unit((0, 0)), title=""
    )
    assert [len(layer["channels"]) for layer in data["layers"]] == [1, 300, 300]


def test_rounded_values_are_as_precise_as_the_page_says() -> None:
    picture = read_image(CHELSEA, ReadOptions(gray=True))
    data = net_data(picture)
    assert data["notes"] == [
        "Values are rounded to 16 bits of each map's range; each is shown with its precision."
    ]
    network = load_model(REPOSITORY / "examples" / "edges.toml").network
    layer = data["layers"][2]
    expected = network.until("edges").stage(picture.shape, picture.dtype)
    whole = expected.read(lambda a, b: picture.values(slice(a, b)), 0, 300)[0]
    planes = layer["values"].astype(float)
    assert planes.shape == (8, 300, 451)
    for channel, plane in enumerate(planes):
        step = layer["steps"][channel]
        found = layer["ends"][channel][0] + plane * step
        assert 0 < step < 1e-4
        assert np.abs(found - whole[:, :, channel]).max() <= step / 2 + 1e-6


@pytest.mark.parametrize("bits", [32, 16, 8])
def test_values_that_are_no_numbers_stay_so_where_values_are_rounded(bits: int) -> None:
    side = {32: 20, 16: 640, 8: 640}[bits]
    values = np.random.default_rng(bits).normal(size=(1, side, side, 1)).astype(np.float32)
    bad = {(3, 4): np.nan, (5, 6): np.inf, (7, 8): -np.inf}
    for at, value in bad.items():
        values[0, at[0], at[1], 0] = value
    maps = {32: 2, 16: 4, 8: 9}[bits]
    bank = from_array(np.ones((1, 1, 1, maps), np.float32), name="bank")
    picture = Picture(values, 1.0, False, False, (), "a.npy")
    network = Network.chain(ConvLayer(bank))
    data = stored_network_page_data(network, picture, "conv1", Unit((0, 0)), title="")
    layer = data["layers"][1]
    planes = layer["values"]
    assert planes.dtype == {32: "float32", 16: "uint16", 8: "uint8"}[bits]
    sides = np.diff([layer["rows"], layer["cols"]]).ravel().tolist()
    assert planes.shape == (len(layer["channels"]), *sides)
    top = None if bits == 32 else np.iinfo(planes.dtype).max
    for plane, (lo, _), step in zip(planes, layer["ends"], layer["steps"], strict=True):
        found = plane.astype(float) if top is None else lo + plane * step
        if top is not None:
            for code, value in enumerate((np.nan, np.inf, -np.inf)):
                found[plane == top - code] = value
        expected = values[0, : len(plane), : plane.shape[1], 0]
        same = ~np.isfinite(expected)
        np.testing.assert_array_equal(found[same], expected[same])
        assert np.abs(found[~same] - expected[~same]).max() <= step / 2 + 1e-6
    assert [picture["notFinite"] for picture in layer["pictures"]] == [3] * len(planes)
    assert (
        f"NaN or infinite, drawn in magenta: 3 values of input, {3 * maps} values of conv1."
        in data["notes"]
    )


def test_weights_are_in_the_page_of_a_network_as_exact_as_they_fit(monkeypatch: Any) -> None:
    def page(most: int) -> PageData:
        monkeypatch.setattr(settings_data, "MOST_WEIGHTS", most)
        picture = picture_of((14, 17, 1))
        return stored_network_page_data(small_network(), picture, "all", Unit((0, 0)), title="")

    first, second = (small_network().nodes[k].layer.filter.weights for k in (0, 1))  # type: ignore[union-attr]
    settings = {layer["name"]: layer.get("settings") for layer in page(2**25)["layers"]}
    for name, weights in (("first", first), ("second", second)):
        np.testing.assert_array_equal(settings[name]["weights"], weights.astype(np.float32))
    assert (settings["input"], settings["sum"]) == (None, {"op": "add"})
    assert settings["pool"]["mode"] == "max" and settings["all"]["kernel"] == [4, 5]
    monkeypatch.setattr(settings_data, "MOST_EXACT", 0)
    data = page(2**25)
    assert data["layers"][2]["settings"]["weights"].dtype == np.float16
    assert any("float16" in note for note in data["notes"])
    data = page(2 * first.size)
    assert [layer["settings"] is None for layer in data["layers"][1:3]] == [False, True]
    assert "The weights of second are too many for this page." in data["notes"]


def test_many_and_large_maps_are_cut_to_the_budget_and_the_unit_stays() -> None:
    bank = from_array(np.ones((1, 1, 1, 300), np.float32), name="bank")
    network = Network((Node("wide", ConvLayer(bank), (SOURCE,)),))
    picture = picture_of((100, 150, 1))
    data = stored_network_page_data(network, picture, "wide", Unit((99, 149), 250), title="")
    wide = data["layers"][1]
    assert wide["values"].nbytes <= BUDGET
    assert 250 in [each["index"] for each in wide["pictures"]]
    assert wide["rows"][1] == 100 and wide["cols"][1] == 150
    assert "holds only some maps" in data["notes"][-1]


def test_a_huge_image_is_cut_around_the_unit() -> None:
    pixels = np.broadcast_to(np.zeros((), np.uint8), (1, 1500, 1600, 1))
    picture = Picture(pixels, 255.0, True, False, (), "a.png")
    network = Network.chain(PoolLayer(size=3, stride=2), PoolLayer())
    data = stored_network_page_data(network, picture, "pool2", Unit((300, 10)), title="")
    for layer, middle in zip(data["layers"], (1200, 600, 300), strict=True):
        rows, cols = layer["rows"], layer["cols"]
        assert rows[0] < middle < rows[1] and cols[0] == 0 and cols[1] <= 512
    assert "around the first unit" in data["notes"][-1]


# Colours ------------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("theme", [0, 1])
def test_text_stands_out_from_its_ground(theme: int) -> None:
    """4.5 to 1 for text, 3 to 1 for lines that mean something (WCAG 2.2, AA)."""
    style = resources.files("cnncli.explain").joinpath("web", "page", "page.css").read_text("utf-8")
    block = re.findall(r":root[^{]*\{(.*?)\}", style, re.S)[theme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
    for ground in ("paper", "ground"):
        for name, least in {"ink": 7, "dim": 4.5, "accent": 4.5, "path": 4.5, "wrong": 4.5}.items():
            high, low = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= least, (name, ground)
