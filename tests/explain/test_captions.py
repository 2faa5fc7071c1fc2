"""Texts on frames: each in lines that fit, none cut, and about what that picture shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.core.geometry import Pair
from cnncli.explain.animation import cells
from cnncli.explain.animation.backward_frames import plan_backward_animation
from cnncli.explain.animation.captions import captions
from cnncli.explain.animation.draw import draw_frames, layout_frames
from cnncli.explain.animation.draw_added import draw_added_frames, layout_added_frames
from cnncli.explain.animation.frames import FrameOptions, plan_animation
from cnncli.explain.animation.transposed_backward_frames import plan_transposed_backward_animation
from cnncli.explain.animation.transposed_frames import plan_transposed_animation
from cnncli.explain.backward import explain_backward
from cnncli.explain.explained_layer import ExplainedLayer, array_input
from cnncli.explain.forward import explain
from cnncli.filters.filter import from_array
from cnncli.network.layers import ConvLayer, ConvTransposeLayer, Layer, PoolLayer
from cnncli.render.options import MapGroup

RNG = np.random.default_rng(7)
FLAT = np.repeat([[[[0.784313725, 0.117647059, 0.352941176]]]], 12, 1).repeat(12, 2)
NOISE = RNG.normal(size=(1, 12, 12, 3)) / 7
ORANGE = "the others are light orange"
OPTIONS = FrameOptions(most=4)

LAYERS: dict[str, Layer] = {
    "max 3": PoolLayer("max", size=3, stride=1),
    "min 7": PoolLayer("min", size=7, stride=1),
    "average 3": PoolLayer("average", size=3, stride=1, padding=1),
    "lp 3": PoolLayer("lp", size=3, stride=1, p=3.0),
    "conv 3": ConvLayer(from_array(RNG.normal(size=(3, 3, 3, 2))), activation="hard-sigmoid"),
    "conv 7": ConvLayer(from_array(RNG.normal(size=(7, 7, 3, 2))), activation="relu"),
    "one filter": ConvLayer(from_array(RNG.normal(size=(3, 3)))),
}


def transposed() -> ConvTransposeLayer:
    bank = from_array(RNG.normal(size=(3, 3, 2, 3)))
    return ConvTransposeLayer(bank, np.array([0.123456, -3.5]), stride=2, padding=1)


def subject_of(layer: Layer, X: Any, is_together: bool) -> ExplainedLayer:
    channels = layer.output_shape(X.shape)[3]
    groups = [MapGroup(f"m{k}", (k,)) for k in range(channels)]
    if is_together:
        groups = [MapGroup("m", tuple(range(channels)))]
    return ExplainedLayer("it", layer, (array_input(X),), tuple(groups), np.dtype(float))


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that are cut, or in smaller letters than others of their kind."""
    found = []
    fit = cells.fit_text

    def fitted(text: str, width: float, font: Any) -> str:
        if fit(text, width, font) != text or font.size < cells.SMALL:
            found.append(text)
        return fit(text, width, font)

    monkeypatch.setattr(cells, "fit_text", fitted)
    return found


def draw_all(subject: ExplainedLayer, at: Pair, backward: bool) -> None:
    """Draw all frames of a layer."""
    if backward and isinstance(subject.layer, ConvTransposeLayer):
        back = plan_transposed_backward_animation(subject, explain_backward(subject, at), OPTIONS)
        list(draw_frames(back, layout_frames(back)))
    elif backward:
        added = plan_backward_animation(subject, explain_backward(subject, at), OPTIONS)
        list(draw_added_frames(added, layout_added_frames(added)))
    elif isinstance(subject.layer, ConvTransposeLayer):
        added = plan_transposed_animation(subject, explain(subject, at), OPTIONS)
        list(draw_added_frames(added, layout_added_frames(added)))
    else:
        animation = plan_animation(subject, at, OPTIONS)
        list(draw_frames(animation, layout_frames(animation)))


@pytest.mark.parametrize("X", [FLAT, NOISE, FLAT[..., :1]], ids=["flat", "noise", "grey"])
@pytest.mark.parametrize("name", LAYERS)
def test_no_text_is_cut(name: str, X: Any, cut: list[str]) -> None:
    layer = LAYERS[name]
    if X.shape[3] == 1 and name.startswith("conv"):
        pytest.skip("these filters have three channels")
    subject = subject_of(layer, X, is_together=isinstance(layer, PoolLayer) or name == "one filter")
    for backward in (False, True):
        draw_all(subject, (4, 4), backward)
    assert cut == []


def test_no_text_of_a_transposed_convolution_is_cut(cut: list[str]) -> None:
    subject = subject_of(transposed(), NOISE, is_together=False)
    for backward in (False, True):
        draw_all(subject, (4, 4), backward)
    assert cut == []


def test_a_tie_is_told_in_the_colours_of_the_picture() -> None:
    subject = subject_of(PoolLayer("max", size=3), FLAT, is_together=True)
    animation = plan_animation(subject, (1, 1), OPTIONS)
    for lines in captions(animation, 504):
        assert {label for label, _ in lines} == {"", *subject.output_names}
        written = " ".join(text for _, text in lines)
        tie = f"a tie: 9 cells hold it ({ORANGE}); the first in reading order wins, and gets"
        assert written.count(tie) == 3 and "=" not in written and "gets;" not in written


def test_a_label_is_whole() -> None:
    subject = subject_of(LAYERS["conv 3"], NOISE, is_together=False)
    labels = [label for label, _ in captions(plan_animation(subject, (1, 1), OPTIONS), 504)[0]]
    assert "hard-sigmoid" in labels
