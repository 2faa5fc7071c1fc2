"""``cnncli explain --backward -o steps.gif``: what each frame adds, against the backward passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli import conv_backward, conv_forward, pool_backward, pool_forward
from cnncli.explain.animation.added_windows import AddedWindows
from cnncli.explain.animation.backward_frames import plan_backward_animation
from cnncli.explain.animation.draw_added import (
    added_caption,
    draw_added_frames,
    layout_added_frames,
)
from cnncli.explain.animation.frames import FrameOptions
from cnncli.explain.backward import explain_backward
from cnncli.explain.explained_layer import ExplainedLayer
from cnncli.filters.files import load_filter
from cnncli.filters.filter import from_array
from cnncli.network.layers import ConvLayer, PadLayer, PoolLayer
from tests.explain.test_forward import NAMES, PADS, POOLS, subject_of
from tests.support.netfiles import layer as layer_table
from tests.support.shell import refused_untouched, run_cli, save, save_array
from tests.support.sweep import sweep

pytestmark = pytest.mark.usefixtures("empty_folder")

RNG = np.random.default_rng(31)


def plan(
    subject: ExplainedLayer,
    at: tuple[int, int],
    channel: int = 0,
    index: int | None = None,
    **options: Any,
) -> AddedWindows:
    """Follow the gradient of one input value."""
    explanation = explain_backward(subject, at, channel, index)
    return plan_backward_animation(subject, explanation, FrameOptions(**options))


def shown(animation: AddedWindows, values: np.ndarray) -> np.ndarray:
    """Return the values of the cells shown, (rows, columns); padding is 0."""
    rows, cols = (span.window.cells for span in (animation.rows, animation.cols))
    found = np.zeros((len(rows), len(cols)))
    for at in np.ndindex(found.shape):
        row, col = rows[at[0]], cols[at[1]]
        if 0 <= row < values.shape[0] and 0 <= col < values.shape[1]:
            found[at] = values[row, col]
    return found


def only_frames(animation: AddedWindows, dA: np.ndarray) -> np.ndarray:
    """Return upstream gradients that are 0 for all outputs without a frame."""
    kept = np.zeros_like(dA)
    for window in animation.windows:
        kept[0, *window.at] = dA[0, *window.at]
    return kept


@pytest.mark.parametrize(
    ("pads", "activation", "index", "spacing"),
    sweep(PADS, ["none", "relu", "sigmoid"], [None, 1], [(1, 1), ((2, 1), (1, 2)), (3, 2)]),
)
def test_convolutions(pads: dict[str, Any], activation: str, index: Any, spacing: Any) -> None:
    stride, dilation = spacing
    X, W = RNG.normal(size=(1, 9, 8, 2)), RNG.normal(size=(3, 2, 2, 3))
    fields = {"stride": stride, "dilation": dilation, **pads}
    layer = ConvLayer(
        from_array(W), None, stride, pads["pad"], dilation, 1,
        pads.get("pad_mode", "zeros"), pads.get("pad_value", 0.0), activation,
    )  # fmt: skip
    Z, cache = conv_forward(X, W, np.zeros((1, 1, 1, 3)), fields)
    dA = np.ones_like(Z)
    if index is not None:
        dA[..., [0, 2]] = 0
    dZ = layer.activation_for(Z.dtype).backward(dA, Z, layer.activation_for(Z.dtype).forward(Z))
    for at in ((4, 3), (0, 0), (8, 7)):
        animation = plan(subject_of(layer, X), at, 1, index, cells=7)
        expected = conv_backward(only_frames(animation, dZ), cache)[0][0, :, :, 1]
        np.testing.assert_allclose(animation.totals[-1], shown(animation, expected), atol=1e-12)
        whole = conv_backward(dZ, cache)[0][0, *at, 1]
        explanation = explain_backward(subject_of(layer, X), at, 1, index)
        assert explanation.gradient == pytest.approx(whole, abs=1e-12)
        spans = zip((animation.rows, animation.cols), at, strict=True)
        if animation.is_whole and all(cell in span.window.cells for span, cell in spans):
            shown_at = animation.rows.index(at[0]), animation.cols.index(at[1])
            assert animation.totals[-1][shown_at] == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize(
    ("mode", "fields"), sweep(["max", "min", "average", "lp"], POOLS, rounds=1)
)
def test_pools(mode: str, fields: dict[str, Any]) -> None:
    X = RNG.integers(-3, 4, (1, 7, 10, 2)).astype(float)
    for p in (3.0, np.inf) if mode == "lp" else (2.0,):
        given = {**fields, "p": p}
        layer = PoolLayer(mode, **{NAMES.get(k, k): v for k, v in given.items()})
        A, cache = pool_forward(X, given, mode)
        animation = plan(subject_of(layer, X), (3, 4), 1)
        dX = pool_backward(only_frames(animation, np.ones_like(A)), cache, mode)[0, :, :, 1]
        np.testing.assert_allclose(animation.totals[-1], shown(animation, dX), atol=1e-12)


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_borders(mode: str) -> None:
    X = RNG.random((1, 6, 5, 1))
    layer = PadLayer(2, mode)
    Y, cache = layer.forward(X)
    animation = plan(subject_of(layer, X), (0, 1))
    dX, _ = layer.backward(only_frames(animation, np.ones_like(Y)), cache)
    np.testing.assert_array_equal(animation.totals[-1], shown(animation, dX[0, :, :, 0]))


def test_frames_are_the_windows_around_those_that_hold_the_value() -> None:
    subject = subject_of(ConvLayer(load_filter("1 2 3; 4 5 6; 7 8 9")), RNG.random((1, 20, 20, 1)))
    animation = plan(subject, (10, 10))
    assert len(animation.windows) == 25 and animation.is_whole and animation.notes == ()
    taken = [window.at for window in animation.windows]
    assert {path.output for path in explain_backward(subject, (10, 10)).paths} <= set(taken)
    large = plan(
        subject_of(ConvLayer(load_filter("gaussian_7")), RNG.random((1, 20, 20, 1))), (9, 9)
    )
    assert len(large.windows) == 49 and large.is_whole
    few = plan(subject, (10, 10), most=4)
    assert len(few.windows) == 4 and not few.is_whole
    assert "5 windows that read row 10, column 10 are not among the frames" in few.notes[-1]


def test_each_frame_says_what_it_adds() -> None:
    layer = ConvLayer(load_filter("1 2 3; 4 5 6; 7 8 9"), activation="leaky-relu")
    animation = plan(subject_of(layer, -np.ones((1, 9, 9, 1))), (4, 4))
    texts = [added_caption(animation, k) for k in range(25)]
    assert texts[0][1] == ("added", "nothing to row 4, column 4")
    # The first window that holds it does so by its last tap; the slope of all is 0.01.
    assert texts[6][1] == ("added", "0.01 x 9 = 0.09 to row 4, column 4")
    assert texts[6][2] == ("gradient", "0.09 at row 4, column 4, so far")
    assert texts[-1][2] == ("gradient", "0.45 at row 4, column 4, from all its windows")


def test_of_many_maps_the_strongest_are_shown_and_all_count() -> None:
    W = RNG.normal(size=(2, 2, 1, 6)) * np.array([1, 1, 9, 9, 1, 9])
    animation = plan(subject_of(ConvLayer(from_array(W)), RNG.random((1, 8, 8, 1))), (3, 3))
    assert animation.shown == (2, 3, 5) and animation.names == (
        "map 2 (m2)",
        "map 3 (m3)",
        "map 5 (m5)",
    )
    assert "3 of 6 maps are shown, the strongest ones; all count" in animation.notes
    np.testing.assert_allclose(animation.windows[0].added, W[:, :, 0].sum(axis=2))


def test_maps_that_do_not_read_the_channel_add_nothing() -> None:
    layer = ConvLayer(load_filter("edge"))
    animation = plan(subject_of(layer, RNG.random((1, 8, 8, 3))), (3, 3), 0, 2)
    assert not animation.totals[-1].any()
    layout = layout_added_frames(animation)
    assert sum(1 for _ in draw_added_frames(animation, layout)) == len(animation.windows)


@pytest.mark.parametrize("layer", [ConvLayer(load_filter("edge")), PoolLayer(stride=1)])
def test_cells_have_the_colours_of_their_gradients(layer: Any) -> None:
    animation = plan(subject_of(layer, RNG.random((1, 9, 9, 1))), (4, 4))
    layout = layout_added_frames(animation)
    *_, last = draw_added_frames(animation, layout)
    assert last.shape == (layout.height, layout.width, 3)
    style = layout.styles[4]
    for at in ((1, 1), (2, 1), (1, 2)):
        left, top, *_ = layout.total.box(*at)
        value = float(animation.totals[-1][at])
        assert tuple(last[top + 4, left + 4]) == style.fill(value)


def test_a_gif_and_its_report() -> None:
    photo = save("photo.png", RNG.integers(0, 256, (14, 17, 3), np.uint8))
    given = ("explain", photo, "--pool", "max", "--stride", 1, "--backward", "--at", "5,6")
    report = json.loads(run_cli(*given, "--channel", "green", "-o", "a.gif", "--json").stdout)
    assert report["map"] is None and report["layer"] == "pool1"
    assert report["frames"] == [[r, c] for r in range(3, 8) for c in range(4, 9)]
    with Image.open("a.gif") as animation:
        assert animation.n_frames == 25 and animation.size == tuple(report["size"][::-1])
    said = run_cli(*given, "--frames", 2, "-o", "out/").stderr
    assert "2 frames of " in said and "--channel C shows another" in said
    assert sorted(path.name for path in Path("out").iterdir()) == ["000.png", "001.png"]


def test_refusals() -> None:
    save_array("a.npy", RNG.normal(size=(6, 6, 1)))
    Path("net.toml").write_text(layer_table("activation", activation="relu"))
    given = ("explain", "net.toml", "a.npy", "--backward")
    said = refused_untouched(*given, "-o", "a.gif", code=2)
    assert "frames need a layer with a window" in said
    one = ("explain", "a.npy", "--filter", "edge", "--backward")
    assert "columns 0 to 5" in refused_untouched(*one, "--at", "0,6", "-o", "a.gif", code=2)
