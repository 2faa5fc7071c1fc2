"""Records inside pictures, and the numbers read back with them."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncli.errors import FileProblem
from cnncli.io.writers import to_text
from cnncli.render.grid import Sheet, grid
from cnncli.render.options import COLORMAPS, MapGroup, RenderOptions
from cnncli.render.result_record import picture_record, restore_values
from cnncli.render.tiles import make_tiles


def made(
    values: np.ndarray, groups: list[MapGroup], options: RenderOptions
) -> tuple[Sheet, dict[str, Any], float]:
    """Return the sheet, its record as read from a file, and half of the largest step."""
    tiles = make_tiles(values, groups, options, False)
    sheet = grid(tiles, options.columns, options.labels)
    record = json.loads(to_text(picture_record(tiles, "cnncli conv a.png", "1.0", sheet)))
    return sheet, record, max(tile.mapping.step(options.depth) for tile in tiles) / 2


def singles(count: int) -> list[MapGroup]:
    return [MapGroup(f"map {k}", (k,)) for k in range(count)]


def result(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


CASES = [RenderOptions(colormap=name) for name in COLORMAPS] + [
    RenderOptions(depth="16"),
    RenderOptions(range="minmax", shared_range=True),
    RenderOptions(range="symmetric", labels=False),
    RenderOptions(range=(-5.0, 6.0), columns=2),
]


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("shape", [(1, 9, 5, 1), (1, 7, 11, 7), (1, 130, 120, 3)])
def test_numbers_come_back(options: RenderOptions, shape: tuple[int, ...]) -> None:
    values = result(*shape)
    sheet, record, half = made(values, singles(shape[3]), options)
    back = restore_values(sheet.pixels, record)
    assert back.dtype == np.float32 and back.shape == shape[1:]
    # What the range of feature maps cuts off comes back as its end.
    lo, hi = np.array([entry["range"] for entry in record["maps"]]).T
    expected = np.clip(values[0].astype(np.float64), lo, hi)
    assert (expected != values[0]).mean() <= 0.003
    assert np.abs(back - expected).max() <= half * 1.001 + 1e-6 * half


def test_colour_and_grey_take_their_old_channels() -> None:
    values = result(1, 20, 30, 7)
    groups = [MapGroup("even", (0, 2, 4)), MapGroup("last", (6,)), MapGroup("odd", (1, 3, 5))]
    sheet, record, half = made(values, groups, RenderOptions("minmax", colormap="plasma"))
    assert np.abs(restore_values(sheet.pixels, record) - values[0]).max() <= half * 1.001


def test_one_map_of_many_comes_back_alone() -> None:
    values = result(1, 20, 30, 7)
    sheet, record, half = made(values, [MapGroup("five", (5,))], RenderOptions("minmax"))
    back = restore_values(sheet.pixels, record)
    assert np.abs(back - values[0][:, :, 5:6]).max() <= half * 1.001


def test_batches_keep_their_axis() -> None:
    values = result(3, 8, 8, 2)
    sheet, record, half = made(values, singles(2), RenderOptions())
    back = restore_values(sheet.pixels, record)
    assert back.shape == values.shape
    assert np.abs(back - values).max() <= half * 1.001


def test_clipped_pictures_come_back_exactly() -> None:
    values = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1) / np.float32(255)
    sheet, record, _ = made(values, singles(1), RenderOptions(range="clip"))
    assert np.array_equal(restore_values(sheet.pixels, record), values[0])


def test_record_is_printable_ascii() -> None:
    tiles = make_tiles(result(1, 2, 2, 1), [MapGroup("\x1b[31m", (0,))], RenderOptions(), False)
    text = to_text(picture_record(tiles, "cnncli conv '\udcff\n日本.png'", "1.0"))
    assert text.isascii() and text.isprintable()
    record = json.loads(text)
    assert record["command"] == "cnncli conv '\\udcff\\n日本.png'"
    assert record["maps"][0]["name"] == "\\x1b[31m"
    assert set(record["maps"][0]) == {
        *("name", "box", "zoom", "range", "mapping", "colormap", "depth", "channels", "image")
    }


def test_several_tiles_need_their_sheet() -> None:
    tiles = make_tiles(result(1, 2, 2, 2), singles(2), RenderOptions(), False)
    with pytest.raises(ValueError, match="sheet"):
        picture_record(tiles, "", "1.0")


BAD_FIELDS: list[tuple[str, Any]] = [
    ("box", [0, 0, 10**9, 10**9]),
    ("box", [-1, 0, 4, 4]),
    ("box", [0, 0, 0, 4]),
    ("box", [0, 0, 4]),
    ("box", "0044"),
    ("box", [True, 0, 4, 4]),
    ("zoom", 0),
    ("zoom", 5),
    ("zoom", 10**30),
    ("zoom", "1"),
    ("range", [1.0, 0.0]),
    ("range", [float("nan"), 1.0]),
    ("range", [0, 10**400]),
    ("range", [None, 1]),
    ("mapping", "cubic"),
    ("mapping", []),
    ("colormap", "jet"),
    ("colormap", {}),
    ("colormap", "viridis"),
    ("depth", "16"),
    ("depth", "float"),
    ("depth", []),
    ("channels", []),
    ("channels", [0, 1]),
    ("channels", [0, 1, 2]),
    ("channels", [0.5]),
    ("image", "first"),
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS)
def test_bad_fields_are_refused(field: str, value: Any) -> None:
    sheet, record, _ = made(result(1, 4, 4, 1), singles(1), RenderOptions())
    record["maps"][0][field] = value
    with pytest.raises(FileProblem, match=r"^'a\.png': carries metadata"):
        restore_values(sheet.pixels, record, "a.png")


@pytest.mark.parametrize(
    "record",
    [{}, {"maps": None}, {"maps": []}, {"maps": [1]}, {"maps": {"0": 1}}, {"maps": [{}]}],
)
def test_bad_records_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(FileProblem, match="not a record of cnncli"):
        restore_values(np.zeros((4, 4), np.uint8), record)


@pytest.mark.parametrize("count", [2, 100])
def test_overlapping_boxes_are_refused(count: int) -> None:
    sheet, record, _ = made(result(1, 4, 4, 1), singles(1), RenderOptions())
    maps = [copy.deepcopy(record["maps"][0]) | {"channels": [k]} for k in range(count)]
    with pytest.raises(FileProblem):
        restore_values(sheet.pixels, record | {"maps": maps})


def test_channels_named_twice_are_refused() -> None:
    sheet, record, _ = made(result(1, 4, 4, 2), singles(2), RenderOptions())
    record["maps"][1]["channels"] = [0]
    with pytest.raises(FileProblem):
        restore_values(sheet.pixels, record)


def test_changed_pixels_are_refused() -> None:
    sheet, record, _ = made(result(1, 4, 4, 1), singles(1), RenderOptions(colormap="magma"))
    with pytest.raises(FileProblem, match="changed"):
        restore_values(sheet.pixels // 2, record)
    with pytest.raises(FileProblem, match="its format changed"):
        restore_values(sheet.pixels, record | {"exact": False})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["box", "maps"]), inner)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["box", "zoom", "range", "depth", "channels", "image"]), JSON)
)
def test_any_record_is_read_or_refused(changes: dict[str, Any]) -> None:
    sheet, record, _ = made(result(1, 4, 4, 2), singles(2), RenderOptions())
    record["maps"][1].update(changes)
    try:
        values = restore_values(sheet.pixels, record)
    except FileProblem:
        return
    assert values.size <= sheet.pixels.size
