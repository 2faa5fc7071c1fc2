"""``explain --backward -o steps.gif`` of a transposed convolution, against its backward pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.explain.animation.captions import captions
from cnncli.explain.animation.frames import Animation, FrameOptions
from cnncli.explain.animation.transposed_backward_frames import plan_transposed_backward_animation
from cnncli.explain.backward import explain_backward
from cnncli.network.layers import ConvTransposeLayer
from tests.explain.test_transposed import LAYERS, X, subject
from tests.support.netfiles import layer as layer_table
from tests.support.shell import run_cli, save_array

pytestmark = pytest.mark.usefixtures("empty_folder")

RNG = np.random.default_rng(12)


def plan(layer: ConvTransposeLayer, channel: int, index: int | None, **options: Any) -> Animation:
    one = subject(layer)
    explanation = explain_backward(one, (1, 2), channel, index)
    return plan_transposed_backward_animation(one, explanation, FrameOptions(**options))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("index", [None, 0])
def test_each_frame_is_a_gradient_of_the_backward_pass(name: str, index: int | None) -> None:
    layer = LAYERS[name]
    Y, cache = layer.forward(X)
    dY = np.ones_like(Y)
    if index is not None:
        dY[..., np.arange(Y.shape[3]) != index] = 0
    dX, _ = layer.backward(dY, cache)
    for channel in (0, 3):
        animation = plan(layer, channel, index, cells=16, most=20)
        seen = {one.at: one.steps[0].value for one in animation.explanations}
        assert set(seen) == {(row, col) for row in range(4) for col in range(5)}
        for at, value in seen.items():
            assert value == pytest.approx(dX[0, *at, channel], abs=1e-12)


def test_frames_name_the_gradients_and_no_bias() -> None:
    animation = plan(LAYERS["doubling"], 1, None)
    assert (animation.labels.input, animation.labels.output) == (
        "upstream",
        "gradient of the input",
    )
    assert "backward: the gradient at row" in animation.title(animation.explanations[0])
    labels = {label for label, _ in captions(animation, 504)[0]}
    assert "result" in labels and "bias" not in labels


def test_a_gif_and_its_report() -> None:
    save_array("w.npy", RNG.normal(size=(3, 3, 2, 1)))
    photo = save_array("a.npy", RNG.normal(size=(9, 8, 1)))
    fields = {"filter": "w.npy", "stride": 2}
    Path("net.toml").write_text(layer_table("conv-transpose", name="up", **fields))
    given = ("explain", "net.toml", photo, "--backward", "--at", "4,4", "--map", 1)
    report = json.loads(run_cli(*given, "-o", "a.gif", "--json").stdout)
    assert (report["layer"], report["map"], report["of_input"]) == ("up", 1, True)
    assert [4, 4] in report["frames"]
    with Image.open("a.gif") as animation:
        assert animation.n_frames == len(report["frames"])
        assert animation.size == tuple(report["size"][::-1])
