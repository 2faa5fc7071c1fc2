"""The text below a frame: the products at one position of the window, their sum, the result."""

from __future__ import annotations

from bisect import bisect_left

from cnncli.explain.animation.cells import Lines, caption_lines, wrap_words
from cnncli.explain.animation.frames import Animation
from cnncli.explain.model import Block, Explanation
from cnncli.explain.text.forward import sum_parts
from cnncli.explain.text.panels import factor_text, number_text
from cnncli.explain.text.phrases import channel_name

MOST_LINES = 3
"""Of the products of one channel."""


def captions(animation: Animation, width: int) -> tuple[Lines, ...]:
    """Return the lines below each frame, as many below every one.

    Parameters
    ----------
    animation : Animation
    width : int
        Pixels behind the labels.
    """
    texts = [_texts(animation, explanation, width) for explanation in animation.explanations]
    return caption_lines(texts, width)


def _texts(animation: Animation, explanation: Explanation, width: int) -> Lines:
    is_one = len(animation.channels) == 1
    lines: list[tuple[str, str]] = []
    for channel in animation.channels:
        block = channel.block_of(explanation)
        if block.weights is not None:
            label = "products" if is_one else channel_name(block.name, block.channel)
            lines.append((label, _products(block, width)))
    for step_index in dict.fromkeys(channel.step for channel in animation.channels):
        step = explanation.steps[step_index]
        # From the sum to the result; of several output channels a paragraph for each.
        parts = sum_parts(explanation, step, "the others are light orange")
        if not animation.has_bias:
            parts = [part for part in parts if part[0] != "bias"]
        if len(explanation.steps) > 1:
            joined = [f"{label} {'; '.join(texts)}" for label, texts in parts]
            lines.append((step.name, "; ".join(joined)))
        else:
            for label, texts in parts:
                lines += [(label if k == 0 else "", text) for k, text in enumerate(texts)]
    return tuple(lines)


def _products(block: Block, width: int) -> str:
    """Window times weights, written out as far as there is room; and what all add up to."""
    assert block.weights is not None
    terms = []
    for value, weight in zip(block.window.flat, block.weights.flat, strict=True):
        terms.append(f"{number_text(float(value))}\xa0x\xa0{factor_text(float(weight))}")

    def write(count: int) -> str:
        rest = len(terms) - count
        more = f" + {rest} more products" if rest else ""
        return f"{' + '.join(terms[:count])}{more} = {number_text(block.sum)}"

    def is_too_long(count: int) -> bool:
        return len(wrap_words(write(count), width)) > MOST_LINES

    if not is_too_long(len(terms)):
        return write(len(terms))
    return write(max(1, bisect_left(range(1, len(terms)), True, key=is_too_long)))
