"""The text below a frame: the products at one position of the window, their sum, the result."""

from __future__ import annotations

import textwrap

from cnncli.explain.animation.frames import Animation
from cnncli.explain.model import Block, Explanation
from cnncli.explain.text.forward import LABEL, sum_lines
from cnncli.explain.text.panels import factor_text, number_text
from cnncli.explain.text.phrases import channel_name

Lines = tuple[tuple[str, str], ...]
"""Labels and the texts behind them."""

MOST_LINES = 3
"""Of the products of one channel."""

LABEL_CHARS = 15


def captions(animation: Animation, chars: int) -> tuple[Lines, ...]:
    """Return the lines below each frame, as many below every one.

    Parameters
    ----------
    animation : Animation
    chars : int
        Characters in a line.
    """
    width = max(chars - LABEL_CHARS, 40)
    texts = [_lines(animation, explanation, width) for explanation in animation.explanations]
    most = max(map(len, texts))
    return tuple((*lines, *[("", "")] * (most - len(lines))) for lines in texts)


def _lines(animation: Animation, explanation: Explanation, width: int) -> Lines:
    is_one = len(animation.channels) == 1
    lines: list[tuple[str, str]] = []
    for channel in animation.channels:
        block = channel.block_of(explanation)
        if block.weights is not None:
            label = "products" if is_one else channel_name(block.name, block.channel)
            texts = _products(block, width)
            lines += [(label if k == 0 else "", text) for k, text in enumerate(texts)]
    for index in dict.fromkeys(channel.step for channel in animation.channels):
        step = explanation.steps[index]
        # From the sum to the result; of several output channels a line for each.
        texts = sum_lines(explanation, step, width + LABEL)
        parts = [(text[:LABEL].strip(), text[LABEL:]) for text in texts]
        if not animation.has_bias:
            parts = [part for part in parts if part[0] != "bias"]
        if len(explanation.steps) > 1:
            joined = [f"{label} {text}".strip() for label, text in parts if text != "none"]
            parts = [(step.name, "; ".join(joined))]
        lines += parts
    return tuple(lines)


def _products(block: Block, width: int) -> list[str]:
    """Window times weights, written out as far as there is room; and what all add up to."""
    assert block.weights is not None
    terms = []
    for value, weight in zip(block.window.flat, block.weights.flat, strict=True):
        terms.append(f"{float(value):.4g}\xa0x\xa0{factor_text(float(weight))}")
    for count in range(len(terms), 0, -1):
        rest = len(terms) - count
        more = f" + {rest} more products" if rest else ""
        text = f"{' + '.join(terms[:count])}{more} = {number_text(block.sum)}"
        lines = textwrap.wrap(text, width)
        if len(lines) <= MOST_LINES:
            break
    return [line.replace("\xa0", " ") for line in lines]
