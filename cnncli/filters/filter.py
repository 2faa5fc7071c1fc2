"""Filters: loading them by path, name or text, and the operations on whole filters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnncli.core.arrays import placeholder
from cnncli.core.choices import FILTER_LAYOUTS
from cnncli.errors import OptionError, ShapeError, quote
from cnncli.filters.builtin_names import builtin_names
from cnncli.filters.files import Found, find_array, safe_name

__all__ = [
    "LAYOUTS",
    "Filter",
    "builtin_names",
    "flip",
    "from_array",
    "load_bias",
    "load_filter",
    "load_numbers",
    "normalize",
    "stack",
]

Array = np.ndarray[Any, Any]

LAYOUTS = FILTER_LAYOUTS
_SHAPES = {
    "hwio": "(kh,kw), (kh,kw,C_in) or (kh,kw,C_in,C_out)",
    "oihw": "(kh,kw), (C_in,kh,kw) or (C_out,C_in,kh,kw)",
}
# Relative to the sum of absolute weights: beneath it a sum is rounding error.
ZERO_SUM = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-5}


@dataclass(frozen=True, eq=False)
class Filter:
    """A bank of kernels ready for a convolution.

    Parameters
    ----------
    name : str
        Safe in file names.
    weights : ndarray of float32 or float64
        ``(kh, kw, C_in, C_out)``, or ``(kh, kw, K)`` when `per_channel`.
    per_channel : bool
        True for 2-D kernels: each of the K works on every channel on its own.
    map_names : tuple of str
        One per feature map (C_out or K).
    bias : ndarray, optional
        One value per feature map.
    notes : tuple of str
        What was done to the weights, for the report.
    named : bool
        Whether it came from a file or a built-in rather than from text.
    layout : {"hwio", "oihw"}
        How the given array was read.
    source_shape : tuple of int
        Shape of the given array, as it was.

    Examples
    --------
    >>> load_filter("sobel_v").weights.shape
    (3, 3, 1)
    """

    name: str
    weights: Array
    per_channel: bool
    map_names: tuple[str, ...]
    bias: Array | None = None
    notes: tuple[str, ...] = ()
    named: bool = True
    layout: str = "hwio"
    source_shape: tuple[int, ...] = ()

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of each kernel."""
        return self.weights.shape[0], self.weights.shape[1]

    @property
    def maps(self) -> int:
        """Number of feature maps: C_out, or K for 2-D kernels."""
        return int(self.weights.shape[-1])

    @property
    def channels_in(self) -> int | None:
        """Channels each map sums over, or None for 2-D kernels, which take any."""
        return None if self.per_channel else int(self.weights.shape[2])


def load_filter(
    text: str, *, layout: str = "hwio", folder: str = "", hollow: bool = False
) -> Filter:
    """Return the filter that a text on the command line stands for.

    Parameters
    ----------
    text : str
        A path to ``.npy``, ``.npz``, ``.safetensors`` (both with ``:KEY`` when they hold
        several arrays), ``.txt`` or ``.csv``; the name of a built-in, with or without ``.npy``;
        or a matrix such as ``"0 -1 0; -1 5 -1; 0 -1 0"``. A path that exists wins over a name.
    layout : {"hwio", "oihw"}
        How to read the shape: rows, columns, channels in, maps out (Keras); or PyTorch's order.
    folder, hollow
        As `find_array`; a hollow filter has a shape and a dtype, but no weights.

    Returns
    -------
    Filter
        Float32 stays, float16 becomes float32, everything else float64.

    Raises
    ------
    FileProblem
        If the file cannot be read, or holds NaN or infinite weights.
    OptionError
        If the text stands for nothing, is no matrix, or names no key where one is needed.
    ShapeError
        If the array is empty or has fewer than 2 or more than 4 axes.

    Examples
    --------
    >>> load_filter("1/9 1/9 1/9").weights.shape
    (1, 3, 1)
    >>> load_filter("kirsch").map_names[0]
    'kirsch_n'
    """
    _check_layout(layout)
    found = find_array(text, folder=folder, hollow=hollow)
    # Built-in files are HWIO whatever the layout of the user's own filters.
    return _from_found(found, "hwio" if found.builtin else layout)


def from_array(array: Array, *, name: str = "filter", layout: str = "hwio") -> Filter:
    """Return a filter made from an array.

    Parameters
    ----------
    array : ndarray
        ``(kh, kw)``, ``(kh, kw, C_in)`` or ``(kh, kw, C_in, C_out)``; for ``"oihw"`` with the
        last two shapes as ``(C_in, kh, kw)`` and ``(C_out, C_in, kh, kw)``. Copied.
    name : str
        Used in messages and for the feature maps.
    layout : {"hwio", "oihw"}
        Order of the axes.

    Returns
    -------
    Filter

    Raises
    ------
    ShapeError, OptionError
        As `load_filter`.

    Examples
    --------
    >>> from_array(np.ones((8, 3, 5, 5)), layout="oihw").weights.shape
    (5, 5, 3, 8)
    """
    _check_layout(layout)
    return _from_found(Found(array, safe_name(name), quote(name), OptionError), layout)


def stack(filters: Sequence[Filter]) -> Filter:
    """Return one bank of several filters, in their order.

    Parameters
    ----------
    filters : sequence of Filter
        Of equal window and equal number of input channels; all 2-D or none. A single one is
        returned as it is.

    Returns
    -------
    Filter
        Its maps keep their filters' names; a second one of a name gets ``-2``.

    Raises
    ------
    ShapeError
        If two shapes differ.
    OptionError
        If there are no filters, or only some have a bias.

    Examples
    --------
    >>> stack([load_filter("sobel_h"), load_filter("sobel_v")]).map_names
    ('sobel_h', 'sobel_v')
    """
    if not filters:
        raise OptionError("at least one filter is needed, got none")
    if len(filters) == 1:
        return filters[0]
    for other in filters[1:]:
        _check_stackable(filters[0], other)
    return replace(
        filters[0],
        name="+".join(each.name for each in filters)[:80],
        weights=np.concatenate([each.weights for each in filters], axis=-1),
        map_names=_unique([name for each in filters for name in each.map_names]),
        bias=_stack_biases(filters),
        notes=tuple(note for each in filters for note in each.notes),
        named=False,
    )


def flip(given: Filter) -> Filter:
    """Return a filter turned by 180 degrees: true convolution instead of cross-correlation.

    Parameters
    ----------
    given : Filter
        Unchanged.

    Returns
    -------
    Filter
        Rows and columns reversed; channels and maps stay.

    Examples
    --------
    >>> flip(load_filter("1 2 3")).weights[0, :, 0].tolist()
    [3.0, 2.0, 1.0]
    """
    weights = np.ascontiguousarray(given.weights[::-1, ::-1])
    return replace(given, weights=weights, notes=(*given.notes, f"{given.name}: flipped"))


def normalize(given: Filter) -> Filter:
    """Return a filter whose maps are divided by their sum.

    Where a sum is zero to rounding, as for edge detectors, the map is divided by the sum of its
    positive weights, so that inputs in 0..1 give results in -1..1. A bias stays as it is.

    Parameters
    ----------
    given : Filter
        Unchanged.

    Returns
    -------
    Filter
        With a note that says by what was divided.

    Raises
    ------
    OptionError
        If all weights of a map are zero.

    Examples
    --------
    >>> normalize(load_filter("sobel_v")).notes
    ('sobel_v: divided by 4, the sum of the positive weights',)
    """
    weights = given.weights.astype(np.float64).reshape(-1, given.maps)
    sums = weights.sum(axis=0)
    magnitudes = np.abs(weights).sum(axis=0)
    if not magnitudes.all():
        name = given.map_names[int(np.flatnonzero(magnitudes == 0)[0])]
        raise OptionError(f"a filter needs a weight other than 0 to be normalized, {name} has none")
    balanced = np.abs(sums) <= ZERO_SUM[given.weights.dtype] * magnitudes
    divisors = np.where(balanced, np.maximum(weights, 0).sum(axis=0), sums)
    return replace(
        given,
        weights=(given.weights / divisors).astype(given.weights.dtype),
        notes=(*given.notes, _division_note(given.name, divisors, balanced)),
    )


def load_bias(text: str, count: int, *, folder: str = "", hollow: bool = False) -> Array:
    """Return the biases that a text on the command line stands for.

    Parameters
    ----------
    text : str
        A number or fraction, several of them, or a file as for `load_filter`.
    count : int
        Number of feature maps.
    folder, hollow
        As `find_array`.

    Returns
    -------
    ndarray, shape (count,)
        A single number serves every map.

    Raises
    ------
    FileProblem
        If the file cannot be read or a value is not finite.
    OptionError
        If the text is neither number nor file.
    ShapeError
        If there are neither 1 nor `count` values.

    Examples
    --------
    >>> load_bias("1/4", 2).tolist()
    [0.25, 0.25]
    """
    found = find_array(text, what="bias", builtins=False, folder=folder, hollow=hollow)
    # An archive of weights and bias: the weights are not what is asked for here.
    array = found.array if found.bias is None else found.bias
    return _as_bias(array, count, found)


def load_numbers(text: str, what: str, *, folder: str = "", hollow: bool = False) -> Array:
    """Return the numbers, in line, that a text stands for: slopes, factors, statistics.

    Parameters
    ----------
    text : str
        As for `load_bias`.
    what : str
        Used in messages.
    folder, hollow
        As `find_array`.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    FileProblem, OptionError
        As `load_bias`.

    Examples
    --------
    >>> load_numbers("1/4 2", "gamma").tolist()
    [0.25, 2.0]
    """
    found = find_array(text, what=what, builtins=False, folder=folder, hollow=hollow)
    values = _as_float(found.array, found)
    _check_finite(values, found)
    return values.reshape(-1) if values.size > 1 else np.full(1, values.item())


def _from_found(found: Found, layout: str) -> Filter:
    array = _as_float(found.array, found)
    if not 2 <= array.ndim <= 4 or array.size == 0:
        raise ShapeError(
            f"{found.label}: a filter must have the shape {_SHAPES[layout]} with no side 0, "
            f"got {_show(array.shape)}"
        )
    _check_finite(array, found)
    weights = _to_hwio(array, layout)
    if not found.hollow:
        weights = np.array(weights, order="C")
    maps = weights.shape[-1]
    return Filter(
        name=found.name,
        weights=weights,
        per_channel=array.ndim == 2,
        map_names=_map_names(found, maps),
        bias=None if found.bias is None else _as_bias(found.bias, maps, found),
        named=found.named,
        layout=layout,
        source_shape=array.shape,
    )


def _to_hwio(array: Array, layout: str) -> Array:
    if layout == "oihw" and array.ndim > 2:
        array = np.moveaxis(array, (-2, -1), (0, 1))
        array = np.swapaxes(array, 2, 3) if array.ndim == 4 else array
    # A 2-D kernel becomes one of K, a 3-D filter the only map of a bank.
    return array if array.ndim == 4 else array[..., None]


def _as_float(array: Array, found: Found) -> Array:
    if array.dtype.kind not in "biuf":
        raise found.problem(f"{found.label}: weights must be real numbers, got {array.dtype}")
    single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    if found.hollow:
        return placeholder(np.float32 if single else np.float64, array.shape)
    # A long double beyond float64 becomes infinite, which the next check reports.
    with np.errstate(over="ignore"):
        return array.astype(np.float32 if single else np.float64)


def _check_finite(array: Array, found: Found) -> None:
    if found.hollow:
        return
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        raise found.problem(
            f"{found.label}: every number must be finite, got {len(bad)} NaN or infinite, "
            f"the first at index {_show(tuple(bad[0].tolist()))}"
        )


def _as_bias(array: Array, count: int, found: Found) -> Array:
    values = _as_float(array, found)
    _check_finite(values, found)
    if values.size not in (1, count):
        need = "1 value" if count == 1 else f"1 value or {count}, one per feature map"
        raise ShapeError(f"{found.label}: a bias must have {need}, got {_show(values.shape)}")
    return np.array(np.broadcast_to(values.reshape(-1), (count,)))


def _map_names(found: Found, maps: int) -> tuple[str, ...]:
    if maps == 1:
        return (found.name,)
    if found.builtin:
        # The table of formulas is only needed for the few built-in banks.
        from cnncli.filters.builtins import BUILTINS

        names = BUILTINS[found.name].map_names
        if len(names) == maps:
            return names
    digits = len(str(maps - 1))
    return tuple(f"{found.name}-{index:0{digits}d}" for index in range(maps))


def _check_layout(layout: str) -> None:
    if layout not in LAYOUTS:
        raise OptionError(f"the filter layout must be hwio or oihw, got {layout!a}")


def _check_stackable(first: Filter, other: Filter) -> None:
    same = first.weights.shape[:-1] == other.weights.shape[:-1]
    if not same or first.per_channel != other.per_channel:
        raise ShapeError(
            f"stacked filters must have equal shapes, got {_show(first.source_shape)} for "
            f"{first.name} and {_show(other.source_shape)} for {other.name}",
            hint="one command for each, or filters made with one --size",
        )


def _stack_biases(filters: Sequence[Filter]) -> Array | None:
    biases = [each.bias for each in filters if each.bias is not None]
    if not biases:
        return None
    if len(biases) < len(filters):
        name = next(each.name for each in filters if each.bias is None)
        raise OptionError(f"stacked filters must all have a bias or none, {name} has none")
    return np.concatenate(biases)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    taken: dict[str, None] = {}
    for name in names:
        number, fresh = 1, name
        while fresh in taken:
            number += 1
            fresh = f"{name}-{number}"
        taken[fresh] = None
    return tuple(taken)


def _division_note(name: str, divisors: Array, balanced: Array) -> str:
    by = "the sum of the positive weights" if balanced.all() else "the sum of the weights"
    if balanced.any() and not balanced.all():
        by += " (of the positive ones where that is 0)"
    low, high = divisors.min(), divisors.max()
    value = f"{low:.6g}" if math.isclose(low, high) else f"{low:.6g} to {high:.6g}"
    return f"{name}: divided by {value}, {by}"


def _show(shape: tuple[int, ...]) -> str:
    return "(" + ",".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
