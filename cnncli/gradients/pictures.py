"""The pictures and arrays of a gradient: signed values, an overlay on the image, pool winners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.gradients.gradient import Gradient, strongest, winner_counts
from cnncli.network.graph import SOURCE, Network, input_groups
from cnncli.network.layers import FloatArray, Shape
from cnncli.pipeline.drawn_field import DrawnField
from cnncli.pipeline.layer_result import LayerResult
from cnncli.render.finite_values import measure
from cnncli.render.grey_levels import LevelMapping, choose_range
from cnncli.render.legend import ColourKey, legend_numbers
from cnncli.render.options import MapGroup, RenderOptions, channel_names, one_group_each

Range = str | tuple[float, float]

_SEEN_SIDE: Final = 256
"""Overlays are enlarged by a whole factor as long as they stay within it: they hold no values."""

_RED: Final = np.array([1.0, 0.16, 0.12], np.float32)
_BLUE: Final = np.array([0.16, 0.42, 1.0], np.float32)
_WINNER_DARK: Final = np.array([0.8, 0.28, 0.0], np.float32)
_WINNER_BRIGHT: Final = np.array([1.0, 0.85, 0.3], np.float32)
_TINT: Final = 0.7
_MID_GREY: Final = np.full((1, 256, 1), 0.5)
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, eq=False)
class GradientView:
    """One result of a gradient: what is known of it before, how it is made and how it is rendered.

    Parameters
    ----------
    expected : LayerResult
    render : RenderOptions
    make : callable
        ``make(gradient)`` returns its values, of the expected shape.
    keys : callable
        ``keys(gradient)`` returns what colours mean that are no levels of a range.
    field : callable
        ``field(gradient)`` returns the values behind such colours.
    """

    expected: LayerResult
    render: RenderOptions
    make: Callable[[Gradient], FloatArray]
    keys: Callable[[Gradient], tuple[ColourKey, ...]] = lambda gradient: ()
    field: Callable[[Gradient], DrawnField | None] = lambda gradient: None

    def result(self, gradient: Gradient, batched: bool) -> LayerResult:
        """Return what is known of it with the gradient; `batched` as in `LayerResult`."""
        keys, field = self.keys(gradient), self.field(gradient)
        return replace(self.expected, batched=batched, keys=keys, field=field)


def plain_view(shape: Shape, unit: str, as_values: bool, render: RenderOptions) -> GradientView:
    """Return the gradient of the input: all channels as numbers, the strongest as a picture.

    Examples
    --------
    >>> plain_view((1, 8, 8, 3), "conv1:0", False, RenderOptions()).expected.shape
    (1, 8, 8, 1)
    """
    if not as_values:
        expected = _expected(SOURCE, (*shape[:3], 1), [MapGroup("", (0,))])
        expected = replace(expected, title=f"gradient of {unit}")
        make = partial(_drawn, render.range)
        render = replace(render, range=_about_zero(render.range))
        return GradientView(expected, render, make)
    singles = one_group_each(channel_names(input_groups(shape[3])))
    return GradientView(_expected(SOURCE, shape, singles), render, lambda gradient: gradient.input)


def _drawn(spec: Range, gradient: Gradient) -> FloatArray:
    """Return what a picture shows: a gradient that is zero but for rounding as zero.

    Unless a range is asked for.
    """
    values = strongest(gradient.input)
    return np.zeros_like(values) if spec == "auto" and gradient.is_rounding else values


def overlay_view(shape: Shape, unit: str, render: RenderOptions) -> GradientView:
    """Return the gradient laid over its image, which is enlarged where it is small.

    Examples
    --------
    >>> overlay_view((1, 8, 8, 1), "conv1:0", RenderOptions()).expected.shape
    (1, 256, 256, 3)
    """
    zoom = max(1, _SEEN_SIDE // max(shape[1:3]))

    def make(gradient: Gradient) -> FloatArray:
        most = overlay_limit(gradient, render.range)
        pairs = zip(gradient.done.values[SOURCE], strongest(gradient.input), strict=True)
        colours = np.stack([overlay(photo, signed[:, :, 0], most) for photo, signed in pairs])
        return colours.repeat(zoom, axis=1).repeat(zoom, axis=2)

    def keys(gradient: Gradient) -> tuple[ColourKey, ...]:
        return (overlay_key(unit, overlay_limit(gradient, render.range)),)

    def field(gradient: Gradient) -> DrawnField:
        most = overlay_limit(gradient, render.range)
        exact = render.range in ("auto", "minmax", "symmetric", "abs")
        mapping = LevelMapping("symmetric" if exact else "fixed", -most, most)
        return DrawnField(f"gradient of {unit} over the image", strongest(gradient.input), mapping)

    size = (shape[0], shape[1] * zoom, shape[2] * zoom, 3)
    expected = _expected(SOURCE, size, [MapGroup("", (0, 1, 2))])
    expected = replace(expected, title="", keys=(overlay_key(unit, 1.0),))
    return GradientView(expected, _unchanged(render), make, keys, field)


def overlay_key(unit: str, most: float) -> ColourKey:
    """Return what the colours of an overlay mean.

    Parameters
    ----------
    unit : str
    most : float
        The magnitude that hides the photograph.

    Examples
    --------
    >>> overlay_key("conv1:0", 0.25).numbers
    ('-0.25', '0', '0.25')
    """
    caption = f"gradient of {unit}, red: a brighter pixel raises it, blue: lowers it"
    if not most:
        return ColourKey(caption, overlay(_MID_GREY, np.zeros((1, 256)), 0.0)[0], ("0",))
    colours = overlay(_MID_GREY, np.linspace(-most, most, 256)[np.newaxis], most)[0]
    return ColourKey(caption, colours, (f"{-most:.3g}", "0", f"{most:.3g}"))


def overlay_limit(gradient: Gradient, spec: Range) -> float:
    """Return the magnitude at which an overlay hides the image: the end of the range.

    It is 0 for a gradient that is zero but for rounding, unless a range is asked for.

    Examples
    --------
    >>> from cnncli.gradients.gradient import find_gradient
    >>> from cnncli.network.layers import PoolLayer
    >>> X = np.ones((1, 2, 2, 1))
    >>> found = find_gradient(Network.chain(PoolLayer()), X, "pool1", 3 * np.ones((1, 1, 1, 1)))
    >>> overlay_limit(found, "auto"), overlay_limit(found, (-2.0, 1.0))
    (3.0, 2.0)
    """
    if spec == "auto" and gradient.is_rounding:
        return 0.0
    values = measure(strongest(gradient.input))
    mapping = choose_range(values, _about_zero(spec), clip_by_default=False)
    return max(abs(mapping.lo), abs(mapping.hi))


def winner_views(
    pools: Sequence[str], network: Network, shape: Shape, as_values: bool, render: RenderOptions
) -> list[GradientView]:
    """Return for each pool the maps of its input with the cells that won; as numbers, how often.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> network = Network.chain(PoolLayer())
    >>> views = winner_views(["pool1"], network, (1, 4, 4, 1), True, RenderOptions())
    >>> views[0].expected.shape
    (1, 4, 4, 1)
    """
    shapes, groups = network.shapes(shape), network.groups(input_groups(shape[3]))
    views = []
    for pool in pools:
        (before,) = network.node(pool).inputs
        names = channel_names(groups[before])
        views.append(_winner_view(pool, before, shapes[before], names, as_values, render))
    return views


def _winner_view(
    pool: str,
    before: str,
    shape: Shape,
    names: Sequence[str],
    as_values: bool,
    render: RenderOptions,
) -> GradientView:
    """Return the winners of one pool, whose input `before` makes; in colours with one range."""
    size = 1 if as_values else 3
    maps = [
        MapGroup(name, tuple(range(size * index, size * (index + 1))))
        for index, name in enumerate(names)
    ]
    expected = _expected(pool, (*shape[:3], size * shape[3]), maps, pool)

    def counts(gradient: Gradient) -> FloatArray:
        return winner_counts(gradient.done, pool)

    if as_values:
        return GradientView(expected, render, counts)

    def seen(gradient: Gradient) -> tuple[FloatArray, LevelMapping]:
        values = gradient.done.values[before]
        return values, choose_range(measure(values), render.range, clip_by_default=False)

    def make(gradient: Gradient) -> FloatArray:
        (values, mapping), wins = seen(gradient), counts(gradient)
        marked = [mark_winners(values[..., c], wins[..., c], mapping) for c in range(shape[3])]
        return np.concatenate(marked, axis=3)

    def keys(gradient: Gradient) -> tuple[ColourKey, ...]:
        return winner_keys(pool, seen(gradient)[1])

    def field(gradient: Gradient) -> DrawnField:
        return DrawnField(f"input of {pool}, the cells that won in orange", *seen(gradient))

    unknown = winner_keys(pool, LevelMapping("minmax", 0.0, 1.0))
    expected = replace(expected, title=f"input of {pool}", keys=unknown)
    return GradientView(expected, _unchanged(render), make, keys, field)


def winner_keys(pool: str, mapping: LevelMapping) -> tuple[ColourKey, ColourKey]:
    """Return what the colours of winners mean, and of which values they are.

    Examples
    --------
    >>> [key.numbers for key in winner_keys("pool1", LevelMapping("minmax", 0.0, 2.0))]
    [('0', '1', '2'), ('0', '1', '2')]
    """
    values = np.linspace(mapping.lo, mapping.hi, 256)[np.newaxis]
    won, lost = (mark_winners(values, np.full((1, 256), n), mapping)[0] for n in (1, 0))
    numbers = legend_numbers(mapping)
    return (
        ColourKey(f"orange: values that won a window of {pool}", won, numbers),
        ColourKey("grey: values that won none", lost, numbers),
    )


def _about_zero(spec: Range) -> Range:
    """What the range ``auto`` means for a gradient, even one without negatives."""
    return "symmetric" if spec == "auto" else spec


def _unchanged(render: RenderOptions) -> RenderOptions:
    """Return options that show colours in 0..1 as they are."""
    return replace(render, range="clip", colormap="gray")


def _expected(
    name: str, shape: Shape, groups: Sequence[MapGroup], layer: str | None = None
) -> LayerResult:
    return LayerResult(name, shape, tuple(groups), layer)


def overlay(photo: FloatArray, gradient: FloatArray, most: float) -> FloatArray:
    """Lay a signed map over a grey, dimmed photograph: red above 0, blue below.

    Parameters
    ----------
    photo : ndarray, shape (n_H, n_W, n_C)
        Values in 0..1; others are stretched to it.
    gradient : ndarray, shape (n_H, n_W)
    most : float
        The magnitude that hides the photograph; at 0 nothing is laid over it.

    Returns
    -------
    ndarray of float32, shape (n_H, n_W, 3)
        In 0..1.

    Examples
    --------
    >>> print(overlay(np.ones((1, 2, 1)), np.array([[0.0, -4.0]]), 2.0))
    [[[0.6  0.6  0.6 ]
      [0.16 0.42 1.  ]]]
    """
    shares = np.abs(gradient) / most if most else np.zeros(gradient.shape)
    # Below 1, so that what is weak tints the photograph too.
    shares = (np.nan_to_num(shares).clip(0, 1) ** _TINT)[..., None].astype(np.float32)
    colours = np.where((gradient > 0)[..., None], _RED, _BLUE)
    under = 0.1 + 0.5 * _unit_range(_grey(photo))
    return np.asarray(under[..., None] * (1 - shares) + colours * shares)


def mark_winners(values: FloatArray, wins: FloatArray, mapping: LevelMapping) -> FloatArray:
    """Show maps of a pool's input in dimmed grey, with the cells that won in orange.

    Parameters
    ----------
    values : ndarray, shape (..., n_W)
    wins : ndarray, shape (..., n_W)
        How many windows each cell won.
    mapping : LevelMapping
        Range of the values; brighter is larger, in both colours.

    Returns
    -------
    ndarray of float32, shape (..., n_W, 3)
        In 0..1.

    Examples
    --------
    >>> given = np.array([[0.0, 2.0]]), np.array([[0.0, 1.0]])
    >>> print(mark_winners(*given, LevelMapping("minmax", 0.0, 2.0)))
    [[[0.15 0.15 0.15]
      [1.   0.85 0.3 ]]]
    """
    shown = np.abs(values) if mapping.kind == "abs" else values
    width = mapping.hi - mapping.lo
    shares = (shown - mapping.lo) / width if width else np.zeros(values.shape)
    shares = np.nan_to_num(shares).clip(0, 1)[..., None].astype(np.float32)
    grey = np.broadcast_to(0.15 + 0.6 * shares, (*values.shape, 3))
    colour = _WINNER_DARK * (1 - shares) + _WINNER_BRIGHT * shares
    return np.where((wins > 0)[..., None], colour, grey)


def _grey(photo: FloatArray) -> FloatArray:
    photo = photo.astype(np.float32, copy=False)
    return photo @ _LUMINANCE if photo.shape[2] == 3 else photo.mean(axis=2)


def _unit_range(grey: FloatArray) -> FloatArray:
    seen = measure(grey)
    if not 0 <= seen.lo <= seen.hi <= 1:
        width = np.float32(seen.hi - seen.lo)
        grey = (grey - np.float32(seen.lo)) / width if width > 0 else np.zeros_like(grey)
    return np.nan_to_num(grey).clip(0, 1)
