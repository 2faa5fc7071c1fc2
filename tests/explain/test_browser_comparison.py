"""Why one score is higher than another, on the page of a network."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.explain.page.layer_data import Unit
from cnncli.explain.page.network_data import network_page_data
from cnncli.filters.filter import from_array
from cnncli.io.images import Picture, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer
from cnncli.network.load import load_model
from cnncli.network.passes import forward_layers
from tests.support.browser import Opener, settle, until
from tests.support.page_gradients import gradient_of

pytestmark = pytest.mark.oracle


def decimal(text: str) -> float:
    return float(text.replace("−", "-").replace("≈ 0", "0"))


def numbers_in(text: str) -> list[float]:
    return [decimal(found) for found in re.findall(r"(?<![\w.])[+−]?\d+(?:\.\d+)?", text)]


EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


NAMES = (3, 8)


@dataclass(frozen=True)
class Core:
    """What the core says of the digits: the values of pool2, and what they add to each score."""

    network: Network
    picture: Picture
    X: Any
    weights: Any
    bias: Any

    @property
    def sums(self) -> Any:
        """Of each map, for each score."""
        return np.einsum("hwc,hwcm->cm", self.X[0], self.weights)

    @property
    def difference(self) -> Any:
        return self.sums[:, 3] - self.sums[:, 8]

    @property
    def order(self) -> Any:
        """The maps, those that differ most first."""
        return np.argsort(-np.abs(self.difference), kind="stable")

    @property
    def total(self) -> Any:
        return self.sums[:, NAMES].sum(axis=0) + self.bias[[*NAMES]]

    def deciding(self, k: int) -> tuple[int, int]:
        """The cell of a map that counts most in the difference."""
        by_cell = self.X[0, :, :, k] * (self.weights[..., k, 3] - self.weights[..., k, 8])
        row, column = np.unravel_index(np.abs(by_cell).argmax(), by_cell.shape)
        return int(row), int(column)


@pytest.fixture(scope="module")
def core() -> Core:
    network = load_model(EXAMPLES / "digits.toml").network
    picture = read_image(EXAMPLES / "digits" / "3.png", ReadOptions(gray=True))
    X = picture.values()
    for node in network.nodes[:-2]:
        X = node.layer.forward(X)[0]
    digit = network.node("digit").layer
    assert isinstance(digit, ConvLayer)
    return Core(network, picture, X, digit.filter.weights, digit.bias)


def show_comparison(show: Opener, core: Core, layer: str = "probability") -> Any:
    tab = show(network_page_data(core.network, core.picture, layer, Unit((0, 0), 3), title="net"))
    # The highest other score comes first.
    scores = core.sums.sum(axis=0) + core.bias
    scores[3] = -np.inf
    assert tab.locator("#against").input_value() == str(scores.argmax())
    hint = f"{scores.argmax()} has the highest score of the others. Choose in the list"
    assert tab.inner_text("#against-hint").startswith(hint)
    tab.select_option("#against", "8")
    assert tab.is_hidden("#against-hint")
    return tab


def shown_rows(tab: Any) -> list[list[str]]:
    return [r.locator("th, td").all_text_contents() for r in tab.locator("#comparison tr").all()]


@pytest.mark.parametrize("layer", ["digit", "probability"])
def test_scores_are_compared_by_the_sums_of_their_maps(
    show: Opener, core: Core, layer: str
) -> None:
    rows = shown_rows(show_comparison(show, core, layer))
    assert rows[0] == ["map of pool2", "3", "8", "difference"]
    table = {row[0]: [decimal(t) for t in row[1:]] for row in rows[1:] if len(row) == 4}
    order, sums, bias = core.order, core.sums, core.bias[[*NAMES]]
    assert list(table)[:6] == [str(k) for k in order[:6]]
    for name in list(table)[:6]:
        ours, theirs = sums[int(name), NAMES]
        assert table[name] == pytest.approx([ours, theirs, ours - theirs], rel=6e-3, abs=1e-6)
    rest = sums[order[6:]][:, NAMES].sum(axis=0)
    assert table["26 more"] == pytest.approx([*rest, rest[0] - rest[1]], rel=6e-3)
    assert table["bias"] == pytest.approx([*bias, bias[0] - bias[1]], rel=6e-3)
    total = core.total
    assert table["total"] == pytest.approx([*total, total[0] - total[1]], rel=6e-3)


def test_of_each_map_the_cell_that_counts_most_is_told(show: Opener, core: Core) -> None:
    lines = [row[0] for row in shown_rows(show_comparison(show, core)) if len(row) == 1]
    assert len(lines) == 6
    for k, line in zip(core.order, lines, strict=False):
        at = core.deciding(k)
        place, _, products = line.partition(": ")
        assert place == f"{('top', 'bottom')[at[0]]} {('left', 'right')[at[1]]}"
        value, (one, other) = core.X[(0, *at, k)], core.weights[(*at, k)][[*NAMES]]
        expected = [value, one, value * one, 3, other, value * other, 8]
        assert numbers_in(products) == pytest.approx(expected, rel=6e-3)


def test_a_sentence_names_what_counts_most_for_each_score(show: Opener, core: Core) -> None:
    said = show_comparison(show, core).text_content("#comparison-text")
    won, *most = re.split(r"(?=Largest difference for)", said)
    total, difference, sums = core.total, core.difference, core.sums
    expected = [3, total[0], 8, total[1], 3, *-np.diff(total)]
    assert numbers_in(won) == pytest.approx(expected, rel=1e-3)
    for text, score, k in zip(most, NAMES, (difference.argmax(), difference.argmin()), strict=True):
        named, map_, *gave = numbers_in(text)
        assert (named, map_) == (score, k)
        value = core.X[(0, *core.deciding(k), k)]
        assert gave == pytest.approx([sums[k, 3], 3, sums[k, 8], 8, value], rel=6e-3)


@pytest.mark.parametrize("layer", ["digit", "probability"])
def test_a_map_leads_to_its_unit_that_counts_most_and_back(
    show: Opener, core: Core, layer: str
) -> None:
    tab, first = show_comparison(show, core, layer), int(core.order[0])
    tab.focus(f"#comparison-table [data-key='{first}']")
    tab.keyboard.press("Enter")
    # The trail may be out of sight, and is drawn a moment later then.
    settle(tab)
    at = [*core.deciding(first)]
    assert tab.evaluate("cnncli.state.unit") == {"layer": "pool2", "map": first, "at": at}
    assert tab.text_content("#trail [aria-current]").startswith(f"pool2 {first} at ")
    assert tab.text_content("#to-comparison") == "Back to why 3 and not 8"
    assert tab.evaluate("document.activeElement.id") == "to-comparison"
    tab.keyboard.press("Enter")
    settle(tab)
    assert tab.evaluate("cnncli.state.unit") == {"layer": layer, "map": 3, "at": [0, 0]}
    assert tab.input_value("#against") == "8"
    assert tab.is_hidden("#to-comparison")


def test_the_compared_maps_show_values_while_the_page_shows_gradients(
    show: Opener, core: Core
) -> None:
    tab = show_comparison(show, core)
    maps = "document.querySelectorAll('.compared canvas:first-child')"
    drawn = f"[...{maps}].map((canvas) => canvas.toDataURL())"
    tab.locator("#comparison-table").scroll_into_view_if_needed()
    settle(tab)
    values = tab.evaluate(drawn)
    assert len(set(values)) == 6
    large = "document.querySelector('[data-layer=pool2] .large').toDataURL()"
    tab.locator("[data-layer=pool2] .large").scroll_into_view_if_needed()
    settle(tab)
    before = tab.evaluate(large)
    tab.evaluate("cnncli.apply({ gradients: true })")
    until(tab, "cnncli.gradients() !== null")
    settle(tab)
    assert tab.evaluate(large) != before
    tab.locator("#comparison-table").scroll_into_view_if_needed()
    settle(tab)
    assert tab.evaluate(drawn) == values


SCORES = [
    ("probability 3", "probability", 3, (0, 0)),
    ("digit 3", "digit", 3, (0, 0)),
    ("digit 8", "digit", 8, (0, 0)),
]
UNIT = [("conv2 8 at 2, 1", "conv2", 8, (2, 1))]


@pytest.mark.parametrize(
    ("begin", "changed", "map_", "told"),
    [("probability", "conv1", 7, SCORES), ("conv2", "conv2", 8, UNIT)],
)
def test_the_editor_tells_what_a_change_did(
    show: Opener, begin: str, changed: str, map_: int, told: list[tuple[str, str, int, Any]]
) -> None:
    network = load_model(EXAMPLES / "digits.toml").network
    picture = read_image(EXAMPLES / "digits" / "3.png", ReadOptions(gray=True))
    beginning = Unit((0, 0), 3) if begin == "probability" else Unit((2, 1), 8)
    tab = show(network_page_data(network, picture, begin, beginning, title="net"))
    if begin == "probability":
        tab.select_option("#against", "8")
    tab.evaluate(f"cnncli.apply({{ unit: {{ layer: '{changed}', map: {map_}, at: [2, 1] }} }})")
    assert tab.text_content("#effect") == ""
    depth = int(tab.input_value("#depth")) if tab.locator("#depth").count() else 0
    tab.locator("#filter-body .grid input").nth(1).fill("1")
    until(tab, "document.getElementById('effect').textContent !== ''")
    before = dict(forward_layers(network, picture.values(), network.names))
    conv = network.node(changed).layer
    assert isinstance(conv, ConvLayer)
    weights = conv.filter.weights.copy()
    weights[0, 1, depth, map_] = 1
    layer = dataclasses.replace(conv, filter=from_array(weights))
    nodes = [dataclasses.replace(n, layer=layer) if n.name == changed else n for n in network.nodes]
    after = dict(forward_layers(Network(tuple(nodes)), picture.values(), network.names))
    text = tab.text_content("#effect").replace("−", "-")
    found = re.findall(r"([a-z].*?): (\S+) before the change, (\S+) now\.", text)
    assert [name for name, *_ in found] == [name for name, *_ in told]
    for (_, *numbers), (_, name, channel, at) in zip(found, told, strict=True):
        expected = [values[name][(0, *at, channel)] for values in (before, after)]
        assert [float(number) for number in numbers] == pytest.approx(expected, rel=1e-3)
    tab.click("#reset")
    until(tab, "document.getElementById('effect').textContent === ''")


def test_switching_a_map_off_tells_what_it_did_to_the_compared_scores(show: Opener) -> None:
    network = load_model(EXAMPLES / "digits.toml").network
    picture = read_image(EXAMPLES / "digits" / "3.png", ReadOptions(gray=True))
    tab = show(network_page_data(network, picture, "probability", Unit((0, 0), 3), title="net"))
    tab.select_option("#against", "8")
    tab.locator("#comparison-table [data-key='6']").click()
    assert tab.text_content("#off-effect") == ""
    tab.get_by_role("button", name="Switch map 6 off", exact=True).click()
    until(tab, "document.getElementById('off-effect').textContent !== ''")
    values = dict(forward_layers(network, picture.values(), network.names))
    without = values["pool2"].copy()
    without[..., 6] = 0
    digit = network.node("digit").layer
    assert isinstance(digit, ConvLayer)
    now = digit.forward(without)[0]
    told = numbers_in(tab.text_content("#off-effect"))
    share = network.node("probability").layer.forward(now)[0]
    told_values = [(3, values["probability"], share), *((k, values["digit"], now) for k in NAMES)]
    expected = [
        number for k, *pair in told_values for number in (k, *(v[0, 0, 0, k] for v in pair))
    ]
    assert told == pytest.approx(expected, rel=1e-3)
    tab.get_by_role("button", name="Switch map 6 on again").click()
    until(tab, "document.getElementById('off-effect').textContent === ''")
    assert tab.evaluate("cnncli.value('digit', 3, 0, 0).value") == pytest.approx(
        float(values["digit"][0, 0, 0, 3]), rel=1e-6
    )


COLOURS = """() => {
  const canvas = document.getElementById("compared-picture");
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: 64 }, (_, cell) => {
    const [row, col] = [Math.floor(cell / 8), cell % 8];
    const [y, x] = [row, col].map((place) => Math.floor(((place + 0.5) * canvas.width) / 8));
    const at = 4 * (y * canvas.width + x);
    return data[at] - data[at + 2];
  });
}"""
"""Of each pixel how much redder than blue it is."""


def test_a_picture_shows_which_pixels_speak_for_either_score(show: Opener, core: Core) -> None:
    tab = show_comparison(show, core)
    X = core.picture.values()
    ours, theirs = (
        gradient_of(core.network, X, "digit", score).backward.values["input"] for score in NAMES
    )
    shares = ((ours - theirs) * X).ravel()
    counts = np.abs(shares) > 0.1 * np.abs(shares).max()
    assert 0 < (shares[counts] > 0).sum() < counts.sum()
    most = int(np.abs(shares).argmax())
    # Drawn a little later, after the picture of the score that came first.
    signs = (np.sign(shares) * counts).astype(int).tolist()
    is_drawn = f"{signs}.every((sign, k) => !sign || Math.sign(drawn[k]) === sign)"
    until(tab, f"((drawn) => {is_drawn})(({COLOURS})())")
    assert np.abs(tab.evaluate(COLOURS)).argmax() == most
    assert "red pixels speak for 3, blue ones for 8" in tab.text_content("#compared-key")


def test_the_outlined_pixels_help_the_lower_score_most(show: Opener, core: Core) -> None:
    tab = show_comparison(show, core)
    until(tab, "byId('helpful-text').textContent.startsWith('What would help 8 most against 3:')")
    X = core.picture.values()
    ours, theirs = (gradient_of(core.network, X, "digit", k).input[0, ..., 0] for k in NAMES)
    gain = (1 - X[0, ..., 0]) * (theirs - ours)
    outlined = np.argwhere(gain >= gain.max() / 2)
    scores = [f"{{ layer: 'digit', channel: {k}, at: [0, 0] }}" for k in reversed(NAMES)]
    found = tab.evaluate(f"helpfulPixels({', '.join(scores)})")
    assert sorted(found) == outlined.tolist()
    row, col = np.unravel_index(gain.argmax(), gain.shape)
    said = tab.text_content("#helpful-text")
    assert tab.is_visible("#helpful") and f"at row {row}, column {col}. " in said
    # It is no word alone: with these pixels bright, the network sees more of an 8.
    bright = X.copy()
    bright[0, *outlined.T, 0] = 1
    digit = dict(forward_layers(core.network, bright, core.network.names))["digit"][0, 0, 0]
    assert digit[8] - digit[3] > -np.diff(core.total[::-1])[0]
    tab.click("#brighten")
    until(tab, f"Math.abs(byName.get('digit').planes[8][0] - {digit[8]}) < 1e-4")
    assert digit.argmax() != 8 and tab.input_value("#against") == "8"
    tab.click("#own-first")
    tab.click("#to-pad")
    assert tab.evaluate("document.activeElement === document.querySelector('#own-pad canvas')")
    assert tab.get_attribute("#own-pen", "aria-expanded") == "true"
    # Once it is open, the button leads to it all the same.
    tab.focus("#against")
    tab.click("#to-pad")
    assert tab.evaluate("document.activeElement === document.querySelector('#own-pad canvas')")
