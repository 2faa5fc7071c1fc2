"""``explain -o steps.gif`` of a transposed convolution: what each frame adds, against the layer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.explain.animation.added_windows import AddedWindows
from cnncli.explain.animation.draw_added import (
    added_caption,
    draw_added_frames,
    layout_added_frames,
)
from cnncli.explain.animation.frames import FrameOptions
from cnncli.explain.animation.transposed_frames import plan_transposed_animation
from cnncli.explain.forward import explain
from cnncli.filters.filter import from_array
from cnncli.network.layers import ConvTransposeLayer
from tests.explain.test_transposed import LAYERS, X, subject
from tests.support.netfiles import layer as layer_table
from tests.support.shell import refused_untouched, run_cli, save_array
from tests.support.sweep import sweep

pytestmark = pytest.mark.usefixtures("empty_folder")

RNG = np.random.default_rng(33)


def plan(
    layer: ConvTransposeLayer, values: Any, at: Any, index: int = 0, **options: Any
) -> AddedWindows:
    one = subject(layer, values)
    return plan_transposed_animation(one, explain(one, at, index), FrameOptions(**options))


def of_frames(
    animation: AddedWindows, layer: ConvTransposeLayer, values: Any, count: int, channel: int
) -> np.ndarray:
    """What the layer itself makes of the first input cells alone, for the cells shown."""
    kept = np.zeros_like(values)
    for window in animation.windows[:count]:
        kept[0, *window.at] = values[0, *window.at]
    output = layer.forward(kept)[0][0, :, :, channel]
    rows, cols = animation.rows.window.cells, animation.cols.window.cells
    found = np.full((len(rows), len(cols)), np.nan)
    for at in np.ndindex(found.shape):
        if not animation.padding[at]:
            found[at] = output[rows[at[0]], cols[at[1]]]
    return found


@pytest.mark.parametrize(
    ("stride", "pads", "extra", "spacing", "groups"),
    sweep([1, 2, (3, 1)], [0, 1, (2, 0, 0, 1)], [0, 1], [1, (1, 2)], [1, 2]),
)
def test_each_frame_adds_what_the_layer_adds(
    stride: Any, pads: Any, extra: int, spacing: Any, groups: int
) -> None:
    values = RNG.normal(size=(1, 7, 6, 4))
    bank, bias = RNG.normal(size=(3, 2, 2, 4)), RNG.normal(size=2 * groups)
    layer = ConvTransposeLayer(from_array(bank), bias, stride, pads, extra, spacing, groups)
    _, height, width, maps = layer.output_shape(values.shape)
    for at in ((0, 0), (height // 2, width // 2), (height - 1, width - 1)):
        animation = plan(layer, values, at, maps - 1, cells=3)
        for count in (1, len(animation.windows)):
            expected = of_frames(animation, layer, values, count, maps - 1)
            shown = ~animation.padding
            found = animation.totals[count - 1]
            np.testing.assert_allclose(found[shown], expected[shown], atol=1e-12)
        whole = layer.forward(values)[0][0, :, :, maps - 1]
        rows, cols = animation.rows.window.cells, animation.cols.window.cells
        assert animation.unfinished is not None
        for cell in np.argwhere(~animation.unfinished & ~animation.padding).tolist():
            value = whole[rows[cell[0]], cols[cell[1]]]
            assert animation.totals[-1][tuple(cell)] == pytest.approx(value, abs=1e-12)


def test_a_small_input_is_shown_whole_with_what_is_cut_off() -> None:
    layer = LAYERS["doubling"]
    animation = plan(layer, X, (3, 4), 1)
    height, width = layer.output_shape(X.shape)[1:3]
    assert len(animation.windows) == 20 and animation.is_whole
    assert animation.unfinished is not None and not animation.unfinished.any()
    assert animation.rows.window.cells == tuple(range(-1, height))
    assert animation.cols.window.cells == tuple(range(width + 1))
    expected = np.ones((height + 1, width + 1), bool)
    expected[1:, :-1] = False
    np.testing.assert_array_equal(animation.padding, expected)
    assert "hatched: cut off as padding" in animation.labels.summary
    assert "it begins as the bias, 2" in animation.labels.summary


def test_output_padding_is_shown_and_gets_the_bias_alone() -> None:
    layer = ConvTransposeLayer(
        from_array(np.ones((2, 2, 1, 1))), np.array([0.5]), stride=2, output_padding=1
    )
    animation = plan(layer, np.ones((1, 2, 2, 1)), (0, 0))
    total = animation.totals[-1]
    assert total.shape == (5, 5) and (total[4] == 0.5).all() and (total[:4, :4] == 1.5).all()


def test_input_cells_stand_as_far_apart_as_their_outputs() -> None:
    animation = plan(replace(LAYERS["with gaps"], stride=(3, 2)), X, (4, 4))
    places = [animation.place(frame) for frame in range(len(animation.windows))]
    firsts = [(one.axes[0].cells[0], one.axes[1].cells[0]) for one in animation.windows]
    assert places == [(row - firsts[0][0], col - firsts[0][1]) for row, col in firsts]


def test_each_frame_says_what_it_adds() -> None:
    kernel = np.arange(1.0, 10).reshape(3, 3, 1, 1)
    layer = ConvTransposeLayer(from_array(kernel), np.array([1.0]), stride=2)
    animation = plan(layer, np.full((1, 2, 2, 1), 2.0), (2, 2))
    texts = [added_caption(animation, k) for k in range(4)]
    assert texts[0][0] == ("input cell", "row 0, column 0")
    assert [text[1][1] for text in texts] == [
        f"2 x {weight} = {2 * weight} to row 2, column 2" for weight in (9, 7, 3, 1)
    ]
    assert texts[0][2] == ("output", "19 at row 2, column 2, so far")
    assert texts[3][2] == ("output", "41 at row 2, column 2, from all input cells that add to it")


@pytest.mark.parametrize("name", LAYERS)
def test_cells_have_the_colours_of_the_output(name: str) -> None:
    animation = plan(LAYERS[name], X, (2, 2))
    layout = layout_added_frames(animation)
    *_, last = draw_added_frames(animation, layout)
    assert last.shape == (layout.height, layout.width, 3)
    marked = {span.index(cell) for span in (animation.rows, animation.cols) for cell in (2,)}
    free = [at for at in np.argwhere(~animation.padding).tolist() if not marked & set(at)]
    for at in free[:3]:
        left, top, *_ = layout.total.box(*at)
        value = float(animation.totals[-1][tuple(at)])
        assert tuple(last[top + 4, left + 4]) == layout.styles[4].fill(value)


def test_a_gif_and_its_report() -> None:
    save_array("w.npy", RNG.normal(size=(3, 3, 2, 1)))
    photo = save_array("a.npy", RNG.normal(size=(9, 8, 1)))
    fields = {"filter": "w.npy", "stride": 2}
    Path("net.toml").write_text(layer_table("conv-transpose", name="up", **fields))
    given = ("explain", "net.toml", photo, "--at", "8,8", "--map", 1)
    report = json.loads(run_cli(*given, "-o", "a.gif", "--json").stdout)
    assert (report["layer"], report["map"], report["of_input"]) == ("up", 1, True)
    assert report["frames"] == [[r, c] for r in range(2, 7) for c in range(2, 7)]
    with Image.open("a.gif") as animation:
        assert animation.n_frames == 25 and animation.size == tuple(report["size"][::-1])
    said = run_cli(*given, "--cells", 2, "-o", "out/").stderr
    assert "4 frames of " in said and "rows 3 to 4 and columns 3 to 4 of the input of up" in said


def test_more_cells_than_frames_have_room_for() -> None:
    save_array("w.npy", np.ones((3, 3, 1, 1)))
    save_array("a.npy", np.ones((40, 40, 1)))
    Path("net.toml").write_text(layer_table("conv-transpose", filter="w.npy", stride=4))
    given = ("explain", "net.toml", "a.npy", "-o", "a.gif", "--cells")
    said = refused_untouched(*given, 17, code=2)
    assert "17 input cells add to 67 outputs in a row, and frames show 64 at most" in said
    assert "--cells 16" in said
