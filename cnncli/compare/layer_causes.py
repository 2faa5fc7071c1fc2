"""Why a layer of one network differs from that of another: changes that are tried until they agree.

What goes into both is equal, for it is the first layer that differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import combinations
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.compare.difference import Values, absolute_difference
from cnncli.errors import CnnCliError
from cnncli.network.layers import (
    BatchNormLayer,
    ConvLayer,
    Layer,
    MergeLayer,
    PoolLayer,
    ResizeLayer,
)
from cnncli.network.layers.resize import COORDINATES, RESIZE_MODES

AnyLayer = Layer | MergeLayer

EPSILONS: Final = (1e-3, 1e-5, 1e-6, 1e-7, 1e-12, 1e-4, 1e-2)
"""What libraries add to variances; tried where the other layer's is not known."""

_MOST_CHANGES: Final = 3
_FEW: Final = 4
"""Numbers that are shown rather than counted."""

_UNSEEN: Final = ("algorithm", "filter", "bias")
"""Fields of layers that change nothing, or that weights are compared for."""

_WORDS: Final = {
    "W": "weights",
    "b": "bias",
    "coordinates": "coordinates (align_corners)",
    "mode": "filter",
    "pad_mode": "what the border holds",
    "count_include_pad": "pads in averages (count_include_pad)",
}


@dataclass(frozen=True, eq=False)
class ChangedLayer:
    """A layer with something changed.

    Parameters
    ----------
    text : str
        What was changed, and how.
    layer : Layer or MergeLayer
    """

    text: str
    layer: AnyLayer


@dataclass(frozen=True, eq=False)
class Case:
    """The first layer that differs.

    Parameters
    ----------
    names : (str, str)
        What the two networks are called.
    layer : Layer or MergeLayer
        That of the first.
    other : Layer or MergeLayer, optional
        That of the second; None where another program computed it from the same file.
    inputs : sequence of ndarray
        What goes into the first one's.
    B : ndarray
        What the second gives.
    tolerance : float
        Up to here values count as equal.
    """

    names: tuple[str, str]
    layer: AnyLayer
    other: AnyLayer | None
    inputs: Sequence[Values]
    B: Values
    tolerance: float

    def explains(self, layer: AnyLayer) -> bool:
        """Whether a layer gives what the second network's does."""
        try:
            Y = layer.forward(*self.inputs)[0]
        except (CnnCliError, ValueError):
            return False
        return is_equal(Y, self.B, self.tolerance)


def is_equal(a: Values, b: Values, tolerance: float) -> bool:
    """Tell whether two results have one shape, and values no further apart.

    Examples
    --------
    >>> is_equal(np.zeros(2), np.full(2, 0.1), 0.2), is_equal(np.zeros(2), np.zeros(3), 0.2)
    (True, False)
    """
    return a.shape == b.shape and bool((absolute_difference(a, b) <= tolerance).all())


def layer_causes(case: Case) -> list[str]:
    """Return what must be changed in the first network's layer for the second one's to come out.

    Returns
    -------
    list of str
        One text for each change; those of the fewest changes that do it. Weights that differ are
        named even where something unknown is changed too.
    """
    weights, layer = _weight_changes(case)
    if weights and case.explains(layer):
        return weights
    changes = list(_changes(replace(case, layer=layer)))
    for change in changes:
        if case.explains(change.layer):
            return [*weights, change.text]
    if case.other is not None and _are_alike(case.other, layer):
        return [*weights, *_field_changes(case, layer)]
    return weights


def _are_alike(one: AnyLayer, other: AnyLayer) -> bool:
    """Whether two layers have the same parameters; a dense layer is a convolution too."""
    both = isinstance(one, ConvLayer) and isinstance(other, ConvLayer)
    return both or type(one) is type(other)


def _weight_changes(case: Case) -> tuple[list[str], AnyLayer]:
    """Return how parameters of two layers differ, and the first layer with those of the second."""
    layer, other = case.layer, case.other
    if other is None or not _are_alike(other, layer):
        return [], layer
    texts, taken = [], {}
    for name, one in layer.parameters.items():
        two = other.parameters.get(name)
        if two is None or np.array_equal(one, two):
            continue
        what = _WORDS.get(name, name)
        texts.append(f"{what}: {_relation(one, two, case.names)}")
        taken[name] = two
    return texts, layer.with_parameters(taken) if taken else layer


def _relation(a: Values, b: Values, names: tuple[str, str]) -> str:
    """Say how an array must be changed to become another."""
    one, two = names
    for text, changed in _rearranged(a):
        if changed.shape == b.shape and np.array_equal(changed, b):
            return f"{text} in {two}"
    for first, second, name in ((a, b, two), (b, a, one)):
        if first.shape == second.shape and _is_half(first, second):
            return f"rounded to float16 in {name}"
    if a.shape != b.shape:
        return f"of another shape, {a.shape} in {one} and {b.shape} in {two}"
    if a.size <= _FEW:
        return f"{_numbers(a)} in {one}, {_numbers(b)} in {two}"
    apart = absolute_difference(a, b)
    return f"{np.count_nonzero(apart)} of {a.size} differ, by up to {apart.max():.3g}"


def _numbers(values: Values) -> str:
    return " ".join(f"{value:.5g}" for value in values.ravel())


def _is_half(whole: Values, rounded: Values) -> bool:
    with np.errstate(over="ignore"):
        half = whole.astype(np.float16).astype(whole.dtype)
    return bool(np.array_equal(half, rounded))


def _rearranged(W: Values) -> Iterator[tuple[str, Values]]:
    """Yield an array as other libraries may hold it."""
    if W.ndim < 2:
        yield "in reverse order", W[::-1]
        return
    yield "flipped (turned by 180 degrees)", W[::-1, ::-1]
    yield "flipped upside down", W[::-1]
    yield "flipped left to right", W[:, ::-1]
    yield "transposed (rows and columns of each kernel)", W.swapaxes(0, 1)
    if W.ndim == 4:
        yield "transposed (channels in and out)", W.swapaxes(2, 3)
        yield "transposed (rows, columns, and channels in and out)", W.transpose(1, 0, 3, 2)
        yield "in the other order of channels (BGR and RGB)", W[:, :, ::-1]
        yield "in the other order of maps", W[..., ::-1]


def _changes(case: Case) -> Iterator[ChangedLayer]:
    """Yield a layer with one thing changed, the likelier first."""
    layer: Any = case.layer
    two = case.names[1]
    if isinstance(layer, (ConvLayer, PoolLayer)):
        yield from _other_sides(layer, case.inputs[0].shape, two)
    if isinstance(layer, BatchNormLayer) and case.other is None:
        for epsilon in EPSILONS:
            text = f"epsilon: {layer.epsilon:g} in {case.names[0]}, {epsilon:g} in {two}"
            yield ChangedLayer(text, replace(layer, epsilon=epsilon))
    if isinstance(layer, ResizeLayer) and case.other is None:
        yield from _other_resizes(layer, two)
    if isinstance(layer, ConvLayer) and case.other is None:
        for text, W in _rearranged(layer.filter.weights):
            moved = replace(layer.filter, weights=np.ascontiguousarray(W))
            yield ChangedLayer(f"weights: {text} in {two}", replace(layer, filter=moved))
        half = layer.filter.weights.astype(np.float16).astype(layer.filter.weights.dtype)
        rounded = replace(layer, filter=replace(layer.filter, weights=half))
        yield ChangedLayer(f"weights: rounded to float16 in {two}", rounded)


def _other_sides(layer: ConvLayer | PoolLayer, shape: Any, two: str) -> Iterator[ChangedLayer]:
    """Yield a window whose odd cells of padding are at the other ends."""
    (top, bottom), (left, right) = layer.window(shape).pads
    if (top, left) != (bottom, right):
        pads = f"{top}, {bottom}, {left}, {right}"
        other = f"{bottom}, {top}, {right}, {left}"
        text = f"padding: at the other side in {two}, {other} (top, bottom, left, right)"
        yield ChangedLayer(
            f"{text}, not {pads}", replace(layer, padding=(bottom, top, right, left))
        )


def _other_resizes(layer: ResizeLayer, two: str) -> Iterator[ChangedLayer]:
    for coordinates in COORDINATES:
        text = f"coordinates (align_corners): {coordinates} in {two}, not {layer.coordinates}"
        yield ChangedLayer(text, replace(layer, coordinates=coordinates))
    for mode in RESIZE_MODES:
        yield ChangedLayer(f"filter: {mode} in {two}, not {layer.mode}", replace(layer, mode=mode))


def _field_changes(case: Case, layer: Any) -> list[str]:
    """Return the fewest fields of the second layer that explain its result in the first one."""
    other: Any = case.other
    taken = {f.name: getattr(other, f.name) for f in fields(layer) if f.name not in _UNSEEN}
    shape = case.inputs[0].shape
    if "padding" in taken and layer.padding != other.padding:
        taken["padding"] = _pads(other, shape)
        layer = replace(layer, padding=_pads(layer, shape))
    differing = {
        name: value
        for name, value in taken.items()
        if name not in layer.parameters and not np.array_equal(getattr(layer, name), value)
    }
    for count in range(1, _MOST_CHANGES + 1):
        for names in combinations(differing, count):
            if case.explains(replace(layer, **{name: differing[name] for name in names})):
                return [_field_text(n, getattr(layer, n), differing[n], case.names) for n in names]
    return []


def _pads(layer: Any, shape: Any) -> tuple[int, int, int, int] | Any:
    if isinstance(layer.padding, str) or isinstance(layer, (ConvLayer, PoolLayer)):
        (top, bottom), (left, right) = layer.window(shape).pads
        return top, bottom, left, right
    return layer.padding


def _field_text(name: str, one: Any, two: Any, names: tuple[str, str]) -> str:
    word = _WORDS.get(name, name.replace("_", " "))
    return f"{word}: {setting_text(one)} in {names[0]}, {setting_text(two)} in {names[1]}"


def setting_text(value: Any) -> str:
    """Write a setting of a layer or of a preparation.

    Examples
    --------
    >>> setting_text(None), setting_text((0.5, 1.0)), setting_text("same")
    ('not given', '0.5,1', 'same')
    """
    if value is None:
        return "not given"
    values = value if isinstance(value, tuple) else (value,)
    return ",".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)
