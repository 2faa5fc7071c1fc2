"""How a gradient is seen: as a signed picture, numbers, over its photograph, or by winners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from cnncli.gradients.overlays import mark_winners, overlay
from cnncli.gradients.unit import Gradient, strongest, winner_counts
from cnncli.network.graph import SOURCE, Network, input_groups
from cnncli.network.layers import FloatArray, Shape
from cnncli.pipeline.targets import LayerResult
from cnncli.render.levels import choose_range, measure
from cnncli.render.options import MapGroup, RenderOptions, channel_names

Make = Callable[[Gradient], FloatArray]

_SEEN_SIDE: Final = 256
"""Overlays are enlarged by a whole factor as long as they stay within it: they hold no values."""


@dataclass(frozen=True, eq=False)
class Look:
    """One result of a gradient: what is known of it before, how it is made and how it is rendered.

    Parameters
    ----------
    expected : LayerResult
    render : RenderOptions
    make : callable
        ``make(gradient)`` returns its values, of the expected shape.
    """

    expected: LayerResult
    render: RenderOptions
    make: Make


def plain_look(shape: Shape, as_values: bool, render: RenderOptions) -> Look:
    """Return the gradient of the input: all channels as numbers, the strongest as a picture.

    Examples
    --------
    >>> plain_look((1, 8, 8, 3), False, RenderOptions()).expected.shape
    (1, 8, 8, 1)
    """
    if not as_values:
        expected = _expected(SOURCE, (*shape[:3], 1), [MapGroup("", (0,))])
        render = replace(render, range=_about_zero(render.range))
        return Look(expected, render, lambda gradient: strongest(gradient.input))
    names = channel_names(input_groups(shape[3]))
    singles = [MapGroup(name, (channel,)) for channel, name in enumerate(names)]
    return Look(_expected(SOURCE, shape, singles), render, lambda gradient: gradient.input)


def overlay_look(shape: Shape, render: RenderOptions) -> Look:
    """Return the gradient laid over its image, which is enlarged where it is small.

    Examples
    --------
    >>> overlay_look((1, 8, 8, 1), RenderOptions()).expected.shape
    (1, 256, 256, 3)
    """

    zoom = max(1, _SEEN_SIDE // max(shape[1:3]))

    def make(gradient: Gradient) -> FloatArray:
        signed = strongest(gradient.input)[0, :, :, 0]
        most = overlay_limit(gradient, render.range)
        seen = overlay(gradient.done.values[SOURCE][0], signed, most)
        return seen.repeat(zoom, axis=0).repeat(zoom, axis=1)[np.newaxis]

    size = (shape[0], shape[1] * zoom, shape[2] * zoom, 3)
    expected = _expected(SOURCE, size, [MapGroup("", (0, 1, 2))])
    return Look(expected, _as_it_is(render), make)


def overlay_limit(gradient: Gradient, spec: str | tuple[float, float]) -> float:
    """Return the magnitude at which an overlay hides the image: the end of the range.

    Examples
    --------
    >>> from cnncli.gradients.unit import find_gradient
    >>> from cnncli.network.layers import PoolLayer
    >>> X = np.ones((1, 2, 2, 1))
    >>> found = find_gradient(Network.chain(PoolLayer()), X, "pool1", 3 * np.ones((1, 1, 1, 1)))
    >>> overlay_limit(found, "auto"), overlay_limit(found, (-2.0, 1.0))
    (3.0, 2.0)
    """
    found = measure(strongest(gradient.input))
    mapping = choose_range(found, _about_zero(spec), clip_by_default=False)
    return max(abs(mapping.lo), abs(mapping.hi))


def winner_looks(
    pools: Sequence[str],
    network: Network,
    shapes: Mapping[str, Shape],
    groups: Mapping[str, tuple[MapGroup, ...]],
    as_values: bool,
    render: RenderOptions,
) -> list[Look]:
    """Return for each pool the maps of its input with the cells that won; as numbers, how often.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> network = Network.chain(PoolLayer())
    >>> shapes, groups = network.shapes((1, 4, 4, 1)), network.groups(input_groups(1))
    >>> looks = winner_looks(["pool1"], network, shapes, groups, True, RenderOptions())
    >>> looks[0].expected.shape
    (1, 4, 4, 1)
    """
    looks = []
    for pool in pools:
        (before,) = network.node(pool).inputs
        shape, names = shapes[before], channel_names(groups[before])
        if as_values:
            singles = [MapGroup(name, (channel,)) for channel, name in enumerate(names)]
            made = _counts_of(pool)
            looks.append(Look(_expected(pool, shape, singles, pool), render, made))
            continue
        colours = [MapGroup(name, (3 * k, 3 * k + 1, 3 * k + 2)) for k, name in enumerate(names)]
        expected = _expected(pool, (*shape[:3], 3 * shape[3]), colours, pool)
        looks.append(Look(expected, _as_it_is(render), _marked_of(pool, before, render.range)))
    return looks


def _counts_of(pool: str) -> Make:
    return lambda gradient: winner_counts(gradient.done, pool)


def _marked_of(pool: str, before: str, spec: str | tuple[float, float]) -> Make:
    def make(gradient: Gradient) -> FloatArray:
        values, counts = gradient.done.values[before][0], winner_counts(gradient.done, pool)[0]
        marked = [
            mark_winners(values[:, :, channel], counts[:, :, channel], spec)
            for channel in range(values.shape[2])
        ]
        return np.concatenate(marked, axis=2)[np.newaxis]

    return make


def _about_zero(spec: str | tuple[float, float]) -> str | tuple[float, float]:
    """What the range ``auto`` means for a gradient, even one without negatives."""
    return "symmetric" if spec == "auto" else spec


def _as_it_is(render: RenderOptions) -> RenderOptions:
    return replace(render, range="clip", colormap="gray")


def _expected(
    name: str, shape: Shape, groups: Sequence[MapGroup], layer: str | None = None
) -> LayerResult:
    return LayerResult(name, shape, tuple(groups), layer)
