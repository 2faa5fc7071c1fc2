"""Filters: banks of kernels made from arrays, and the operations on whole filters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array, float_dtype, is_placeholder, placeholder
from cnncli.core.choices import FILTER_LAYOUTS
from cnncli.errors import CnnCliError, FileProblem, OptionError, ShapeError, quote
from cnncli.filters.matrix_text import point_hint
from cnncli.io.safe_names import distinct, plain_name

_SHAPES = {
    "hwio": "(kh,kw), (kh,kw,C_in) or (kh,kw,C_in,C_out)",
    "oihw": "(kh,kw), (C_in,kh,kw) or (C_out,C_in,kh,kw)",
}
# Relative to the sum of absolute weights: beneath it a sum is rounding error.
ZERO_SUM = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-5}


@dataclass(frozen=True, eq=False)
class LoadedArray:
    """An array as it was read, before anything is made of its shape.

    Parameters
    ----------
    array : ndarray
        Of any shape; a placeholder where only a file's header was read.
    name : str
        Safe in file names: letters, digits and ``_ . + -`` only.
    label : str
        How messages call it: the file, with its key, or else a text of its own.
    path : Path, optional
        The file it came from.
    bias : ndarray, optional
        When the file held weights and bias.
    named : bool
        False for numbers that came as text or as an array.
    builtin : bool
        True when it came by the name of a built-in filter.

    Examples
    --------
    >>> LoadedArray(np.array([[0.5]]), "b", "b.npy", Path("b.npy")).per_map(3)
    array([0.5, 0.5, 0.5])
    """

    array: Array
    name: str
    label: str
    path: Path | None = None
    bias: Array | None = None
    named: bool = True
    builtin: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """The file it came from, if any."""
        return () if self.path is None else (self.path,)

    def error(
        self, message: str, kind: type[CnnCliError] | None = None, hint: str | None = None
    ) -> CnnCliError:
        """Return an error about it; by default of its file, or of the option that held it."""
        if self.path is None:
            return (kind or OptionError)(f"{self.label}: {message}", hint=hint)
        return (kind or FileProblem)(message, hint=hint, path=self.label)

    def numbers(self) -> Array:
        """Return its numbers: float32 stays, float16 becomes float32, everything else float64.

        Raises
        ------
        FileProblem, OptionError
            If they are no real numbers, or one is not finite.
        """
        array = self.array
        if array.dtype.kind not in "biuf":
            raise self.error(f"weights must be real numbers, got {array.dtype}")
        dtype = float_dtype(array)
        if is_placeholder(array):
            return placeholder(dtype, array.shape)
        # A long double beyond float64 becomes infinite.
        with np.errstate(over="ignore"):
            floats = array.astype(dtype)
        bad = np.argwhere(~np.isfinite(floats))
        if len(bad):
            raise self.error(
                f"every number must be finite, got {len(bad)} NaN or infinite, "
                f"the first at index {_show(tuple(bad[0].tolist()))}"
            )
        return floats

    def per_map(self, count: int) -> Array:
        """Return its numbers as one bias for each of `count` feature maps; a single one serves all.

        Raises
        ------
        FileProblem, OptionError
            As `numbers`.
        ShapeError
            If there are neither 1 nor `count` values.
        """
        values = self.numbers()
        if values.size not in (1, count):
            need = "1 value" if count == 1 else f"1 value or {count}, one per feature map"
            hint = point_hint(values.ravel().tolist()) if values.size == 2 * count else None
            raise self.error(f"a bias must have {need}, got {values.size}", ShapeError, hint)
        return np.array(np.broadcast_to(values.reshape(-1), (count,)))


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
        Whether it is one filter from a file or a built-in: False for several that were stacked,
        and for numbers that came as text or as an array.
    layout : {"hwio", "oihw"}
        How the array was read.
    source_shape : tuple of int
        Shape of the array as it was read.
    files : tuple of Path
        What was read for it, a bias's file too.
    flipped : bool
        Whether it was turned by 180 degrees since it was read.

    Examples
    --------
    >>> from_array(np.ones((3, 3))).weights.shape
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
    files: tuple[Path, ...] = ()
    flipped: bool = False

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
    ShapeError
        If the array is empty or has fewer than 2 or more than 4 axes.
    OptionError
        If it holds anything but finite real numbers.

    Examples
    --------
    >>> from_array(np.ones((8, 3, 5, 5)), layout="oihw").weights.shape
    (5, 5, 3, 8)
    """
    return from_loaded(LoadedArray(array, plain_name(name), quote(name), named=False), layout)


def stack(filters: Sequence[Filter], *, lower: bool = False, dilated: bool = False) -> Filter:
    """Return one bank of several filters, in their order.

    Parameters
    ----------
    filters : sequence of Filter
        Of an equal number of input channels; all 2-D or none. A single one is returned as it is.
    lower : bool
        Whether the odd row and column of ``same`` padding come first: a filter of an even side has
        its centre behind its middle then, not before it.
    dilated : bool
        Whether the layer has dilation: centres of even and odd sides lie between taps then.

    Returns
    -------
    Filter
        Its maps keep their filters' names; a second one of a name gets ``-2``. Smaller windows
        have zeros around them, so that each centre meets the same cell; a note says so.

    Raises
    ------
    ShapeError
        If channels differ, or with dilation even and odd sides are mixed.
    OptionError
        If there are no filters, or only some have a bias.

    Examples
    --------
    >>> stack([from_array(np.ones((3, 3)), name=name) for name in ("one", "two")]).map_names
    ('one', 'two')
    >>> stack([from_array(np.ones((1, 2))), from_array(np.ones((1, 3)))]).weights[0, :, 0].tolist()
    [0.0, 1.0, 1.0]
    """
    if not filters:
        raise OptionError("at least one filter is needed, got none")
    if len(filters) == 1:
        return filters[0]
    first = filters[0]
    for other in filters[1:]:
        if first.channels_in != other.channels_in:
            raise ShapeError(
                f"stacked filters must have equal channels, got {_show(first.source_shape)} for "
                f"{first.name} and {_show(other.source_shape)} for {other.name}",
                hint="one command for each",
            )
        if dilated and any((a - b) % 2 for a, b in zip(first.window, other.window, strict=True)):
            raise ShapeError(
                "with --dilation, stacked filters must have all even or all odd sides, got "
                f"{_sides(first.window)} for {first.name} and {_sides(other.window)} for "
                f"{other.name}",
                hint="one command for each",
            )
    rows, columns = (max(bank.window[axis] for bank in filters) for axis in (0, 1))
    filters = [_widen(bank, (rows, columns), lower) for bank in filters]
    names = [name for bank in filters for name in bank.map_names]
    biases = [bank.bias for bank in filters if bank.bias is not None]
    if 0 < len(biases) < len(filters):
        name = next(bank.name for bank in filters if bank.bias is None)
        raise OptionError(f"stacked filters must all have a bias or none, {name} has none")
    return replace(
        first,
        name="+".join(bank.name for bank in filters)[:80],
        weights=np.concatenate([bank.weights for bank in filters], axis=-1),
        map_names=tuple(distinct(names, match_case=True)),
        bias=np.concatenate(biases) if biases else None,
        notes=tuple(note for bank in filters for note in bank.notes),
        named=False,
        files=tuple(file for bank in filters for file in bank.files),
    )


def _widen(bank: Filter, window: tuple[int, int], lower: bool) -> Filter:
    """Return a filter with zeros around it: its centre where that of the larger window is."""
    if bank.window == window:
        return bank
    pads = []
    for large, small in zip(window, bank.window, strict=True):
        begin = large // 2 - small // 2 if lower else (large - 1) // 2 - (small - 1) // 2
        pads.append((begin, large - small - begin))
    pads += [(0, 0)] * (bank.weights.ndim - 2)
    if is_placeholder(bank.weights):
        weights = placeholder(bank.weights.dtype, (*window, *bank.weights.shape[2:]))
    else:
        weights = np.pad(bank.weights, pads)
    note = f"{bank.name}: {_sides(bank.window)}, zeros around it to {_sides(window)}"
    return replace(bank, weights=weights, notes=(*bank.notes, note))


def _sides(window: tuple[int, int]) -> str:
    return f"{window[0]}x{window[1]}"


def flip(bank: Filter) -> Filter:
    """Return a filter turned by 180 degrees: true convolution instead of cross-correlation.

    Parameters
    ----------
    bank : Filter
        Unchanged.

    Returns
    -------
    Filter
        Rows and columns reversed; channels and maps stay.

    Examples
    --------
    >>> flip(from_array(np.array([[1, 2, 3]]))).weights[0, :, 0].tolist()
    [3.0, 2.0, 1.0]
    """
    weights = np.ascontiguousarray(bank.weights[::-1, ::-1])
    notes = (*bank.notes, f"{bank.name}: flipped")
    return replace(bank, weights=weights, notes=notes, flipped=not bank.flipped)


def normalize(bank: Filter) -> Filter:
    """Return a filter whose maps are divided by their sum.

    Where a sum is zero to rounding, as for edge detectors, the map is divided by the sum of its
    positive weights, so that inputs in 0..1 give results in -1..1. A bias stays as it is.

    Parameters
    ----------
    bank : Filter
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
    >>> normalize(from_array(np.array([[-4, 0, 4]]), name="edge")).notes
    ('edge: divided by 4, the sum of the positive weights',)
    """
    weights = bank.weights.astype(np.float64).reshape(-1, bank.maps)
    sums = weights.sum(axis=0)
    magnitudes = np.abs(weights).sum(axis=0)
    if not magnitudes.all():
        name = bank.map_names[int(np.flatnonzero(magnitudes == 0)[0])]
        raise OptionError(f"a filter needs a weight other than 0 to be normalized, {name} has none")
    balanced = np.abs(sums) <= ZERO_SUM[bank.weights.dtype] * magnitudes
    divisors = np.where(balanced, np.maximum(weights, 0).sum(axis=0), sums)
    return replace(
        bank,
        weights=(bank.weights / divisors).astype(bank.weights.dtype),
        notes=(*bank.notes, _division_note(bank.name, divisors, balanced)),
    )


def from_loaded(loaded: LoadedArray, layout: str) -> Filter:
    """Return the filter of an array that was read, without its bias; see `from_array`.

    Examples
    --------
    >>> from_loaded(LoadedArray(np.ones((3, 3, 8)), "w", "w.npy", Path("w.npy")), "hwio").files
    (PosixPath('w.npy'),)
    """
    if layout not in FILTER_LAYOUTS:
        raise OptionError(f"the filter layout must be hwio or oihw, got {layout!a}")
    shape = loaded.array.shape
    if not 2 <= len(shape) <= 4 or 0 in shape:
        raise loaded.error(
            f"a filter must have the shape {_SHAPES[layout]} with no side 0, got {_show(shape)}",
            ShapeError,
        )
    # Built-in files are HWIO whatever the layout of the user's own filters.
    layout = "hwio" if loaded.builtin else layout
    weights = loaded.numbers()
    if layout == "oihw" and len(shape) > 2:
        weights = np.moveaxis(weights, (-2, -1), (0, 1))
        weights = np.swapaxes(weights, 2, 3) if len(shape) == 4 else weights
    # A 2-D kernel becomes one of K, a 3-D filter the only map of a bank.
    weights = weights if len(shape) == 4 else weights[..., None]
    maps = weights.shape[-1]
    return Filter(
        name=loaded.name,
        weights=weights if is_placeholder(weights) else np.array(weights, order="C"),
        per_channel=len(shape) == 2,
        map_names=_map_names(loaded, maps),
        named=loaded.named,
        layout=layout,
        source_shape=shape,
        files=loaded.files,
    )


def _map_names(loaded: LoadedArray, maps: int) -> tuple[str, ...]:
    if maps == 1:
        return (loaded.name,)
    if loaded.builtin:
        # The table of formulas is only needed for the few built-in banks.
        from cnncli.filters.builtins import BUILTINS

        builtin = BUILTINS.get(loaded.name)
        if builtin is not None and len(builtin.map_names) == maps:
            return builtin.map_names
    digits = len(str(maps - 1))
    return tuple(f"{loaded.name}-{index:0{digits}d}" for index in range(maps))


def _division_note(name: str, divisors: Array, balanced: Array) -> str:
    by = "the sum of the positive weights" if balanced.all() else "the sum of the weights"
    if balanced.any() and not balanced.all():
        by += " (of the positive ones where that is 0)"
    low, high = divisors.min(), divisors.max()
    value = f"{low:.6g}" if math.isclose(low, high) else f"{low:.6g} to {high:.6g}"
    return f"{name}: divided by {value}, {by}"


def _show(shape: tuple[int, ...]) -> str:
    return "(" + ",".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
