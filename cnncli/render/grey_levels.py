"""Turns values into levels of grey and back: the mapping, and rounding."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.render.finite_values import ValueRange, blocks, measure

_DTYPES: dict[str, type[np.unsignedinteger]] = {"8": np.uint8, "16": np.uint16}


LEVELS: Final = 255.0
"""What values that come as whole numbers are to be divided by."""


@dataclass(frozen=True)
class LevelMapping:
    """A range of values and what it means.

    Parameters
    ----------
    kind : str
        ``clip``, ``minmax``, ``symmetric``, ``abs`` or ``fixed``.
    lo, hi : float
        The values shown black and white; equal for a constant map. With ``abs`` they are
        magnitudes.

    Examples
    --------
    >>> LevelMapping("clip", 0.0, 1.0).step("8") * 255
    1.0
    >>> print(LevelMapping("symmetric", -0.5, 0.5))
    symmetric -0.5..0.5
    """

    kind: str
    lo: float
    hi: float

    def __str__(self) -> str:
        return f"{self.kind} {self.lo:.4g}..{self.hi:.4g}"

    def step(self, depth: str) -> float:
        """Return the distance of two neighbouring levels in values."""
        top = top_level(depth)
        return self.hi / top - self.lo / top


def top_level(depth: str) -> int:
    """Return the level of white: 255 for depth ``8``, 65535 for ``16``."""
    return int(np.iinfo(_DTYPES[depth]).max)


def level_dtype(depth: str) -> type[np.unsignedinteger]:
    """Return the dtype of levels: uint8 for depth ``8``, uint16 for ``16``."""
    return _DTYPES[depth]


def are_levels(mapping: LevelMapping, depth: str) -> bool:
    """Tell whether whole numbers, `LEVELS` times the values, are the levels but for clipping.

    Examples
    --------
    >>> [are_levels(LevelMapping(kind, 0.0, 1.0), "8") for kind in ("clip", "abs")]
    [True, False]
    """
    return (mapping.lo, mapping.hi, depth) == (0, 1, "8") and mapping.kind != "abs"


def choose_range(
    values: np.ndarray | ValueRange, spec: str | tuple[float, float], clip_by_default: bool
) -> LevelMapping:
    """Choose which values become black and white.

    Parameters
    ----------
    values : ndarray of float, or ValueRange
        The map, or what `measure` found in it.
    spec : str or (float, float)
        ``auto``, ``clip`` (0..1), ``minmax``, ``symmetric`` (about 0), ``abs``, or two values.
    clip_by_default : bool
        What ``auto`` means: ``clip``, or else ``symmetric`` with negative values and ``minmax``
        without. `pipeline.auto_range` has the rule for it.

    Returns
    -------
    LevelMapping

    Raises
    ------
    ValueError
        For an unknown word.

    Examples
    --------
    >>> choose_range(np.array([-2.0, 1.0]), "auto", clip_by_default=False)
    LevelMapping(kind='symmetric', lo=-2.0, hi=2.0)
    """
    if not isinstance(spec, str):
        return LevelMapping("fixed", float(spec[0]), float(spec[1]))
    if spec == "clip" or (spec == "auto" and clip_by_default):
        return LevelMapping("clip", 0.0, 1.0)
    seen = values if isinstance(values, ValueRange) else measure(values)
    lo, hi = seen.limits
    if spec == "auto":
        spec = "symmetric" if lo < 0 else "minmax"
    most = max(0.0, -lo, hi)
    limits = {"minmax": (lo, hi), "symmetric": (0.0 - most, most), "abs": (0.0, most)}
    if spec not in limits:
        raise ValueError(f"unknown range {spec!r}")
    return LevelMapping(spec, *limits[spec])


def paint_levels(
    values: np.ndarray, mapping: LevelMapping, depth: str, out: np.ndarray
) -> ValueRange:
    """Write the levels of values, and look at the values while they are in cache.

    Values are rounded half to even, then clipped. NaN becomes the level of ``lo``, infinities the
    first and the last level. Zero of a symmetric range falls on 128 of 255 and 32768 of 65535.
    A constant map becomes level 0, or the middle in a symmetric range.

    A value beyond the range by less than half a level does not count as clipped: its level is as
    near to it as to any other value. Rounding alone puts many a 0 at -1e-9.

    Works in small blocks and element by element, so strips of a map give what the whole would.

    Parameters
    ----------
    values : ndarray of float, any shape
        Or, where `are_levels` says yes, of whole numbers, `LEVELS` times the values.
    mapping : LevelMapping
    depth : str
        ``8`` or ``16``.
    out : ndarray of uint8 or uint16, the shape of `values`
        Where to put the levels.

    Returns
    -------
    ValueRange
        With the number of values that were clipped.

    Examples
    --------
    >>> levels = np.empty(3, np.uint8)
    >>> paint_levels(np.array([-1.0, 0.5, 2.0]), LevelMapping("clip", 0, 1), "8", levels).clipped
    2
    >>> levels.tolist()
    [0, 128, 255]
    """
    if values.dtype.kind != "f":
        return _paint_whole(values, out)
    top, seen = top_level(depth), ValueRange()
    constant = mapping.lo == mapping.hi
    if constant:
        out[...] = (top + 1) // 2 if mapping.kind == "symmetric" else 0
    scaling = None if constant else _Scaling.of(mapping, top, values.dtype)
    # Infinities and values far outside the range are clipped, which is what the user asked for.
    with np.errstate(all="ignore"):
        for part in blocks(values):
            block = values[part]
            limits = measure(block)
            if scaling is not None:
                scaled = scaling.apply(block)
                if not (mapping.lo <= limits.lo and limits.hi <= mapping.hi):
                    clipped = scaling.count_outside(scaled, block)
                    limits = replace(limits, clipped=clipped)
                scaling.clip(scaled, not limits.non_finite)
                np.copyto(out[part], scaled, casting="unsafe")
            elif limits.non_finite:
                shown = np.abs(block) if mapping.kind == "abs" else block
                np.copyto(out[part], top, where=shown == np.inf)
                np.copyto(out[part], 0, where=shown == -np.inf)
            seen |= limits
    return seen


def _paint_whole(values: np.ndarray, out: np.ndarray) -> ValueRange:
    """Write whole numbers as the levels that they are, clipped."""
    lowest, highest, clipped, top = math.inf, -math.inf, 0, int(LEVELS)
    # Read as numbers without a sign, those below 0 are large: one comparison finds both.
    unsigned = values.view(f"u{values.itemsize}")
    for part in blocks(values):
        block = values[part]
        lo, hi = int(block.min()), int(block.max())
        if lo < 0 or hi > top:
            clipped += int(np.count_nonzero(unsigned[part] > top))
            block = block.clip(0, top)
        lowest, highest = min(lowest, lo), max(highest, hi)
        np.copyto(out[part], block, casting="unsafe")
    return ValueRange(lowest / LEVELS, highest / LEVELS, clipped=clipped)


def from_levels(levels: np.ndarray, mapping: LevelMapping, depth: str = "8") -> np.ndarray:
    """Turn levels back into values, to within half a step where nothing was clipped.

    Parameters
    ----------
    levels : ndarray of uint8 or uint16
    mapping : LevelMapping
        The one that made them. After ``abs`` the values are magnitudes: the sign is lost.
    depth : str
        ``8`` or ``16``.

    Returns
    -------
    ndarray of float32

    Examples
    --------
    >>> from_levels(np.array([0, 51, 255], np.uint8), LevelMapping("fixed", 0, 5)).tolist()
    [0.0, 1.0, 5.0]
    """
    share = levels / np.float64(top_level(depth))
    with np.errstate(over="ignore"):
        # Weighted ends, not lo + share * (hi - lo): that difference may be too large a number.
        return (mapping.lo * (1 - share) + mapping.hi * share).astype(np.float32)


def count_clipped(values: np.ndarray, mapping: LevelMapping, depth: str) -> int:
    """Count the finite values that are clipped, as `paint_levels` does.

    Parameters
    ----------
    values : ndarray of float, any shape
    mapping : LevelMapping
    depth : str
        ``8`` or ``16``.

    Returns
    -------
    int

    Examples
    --------
    >>> count_clipped(np.array([-1.0, -1e-9, 0.5, np.nan]), LevelMapping("clip", 0, 1), "8")
    1
    """
    if mapping.lo == mapping.hi:
        return 0
    scaling, total = _Scaling.of(mapping, top_level(depth), values.dtype), 0
    with np.errstate(all="ignore"):
        for part in blocks(values):
            total += scaling.count_outside(scaling.apply(values[part]), values[part])
    return total


def measure_each(values: np.ndarray, mapping: LevelMapping, depth: str) -> list[ValueRange]:
    """Return for each value what `paint_levels` would of a map of it alone.

    Parameters
    ----------
    values : ndarray, shape (count,)
    mapping : LevelMapping
    depth : str
        All as in `paint_levels`.

    Examples
    --------
    >>> low, nan = measure_each(np.array([-1.0, np.nan]), LevelMapping("clip", 0, 1), "8")
    >>> low.limits, low.clipped, nan.non_finite
    ((-1.0, -1.0), 1, 1)
    """
    numbers = values if values.dtype.kind == "f" else values / LEVELS
    outside = np.zeros(numbers.shape, bool)
    if mapping.lo != mapping.hi:
        scaling = _Scaling.of(mapping, top_level(depth), numbers.dtype)
        with np.errstate(all="ignore"):
            outside = scaling.are_outside(scaling.apply(numbers))
    # Added to 0, -0 is 0.
    each = zip((numbers + 0.0).tolist(), outside.tolist(), strict=True)
    return [
        ValueRange(number, number, 0, int(clipped))
        if math.isfinite(number)
        else ValueRange(non_finite=1)
        for number, clipped in each
    ]


@dataclass(frozen=True)
class _Scaling:
    """Levels are ``(2**exponent * x - shift) * factor + offset``, in one precision."""

    dtype: np.dtype[Any]
    exponent: int
    shift: float
    factor: float
    offset: float
    top: int
    magnitude: bool

    @classmethod
    def of(cls, mapping: LevelMapping, top: int, dtype: np.dtype[Any]) -> _Scaling:
        """Return the scaling that makes levels 0 to `top` of a range."""
        most = max(abs(mapping.lo), abs(mapping.hi))
        # float32 keeps 8-bit levels exact for ranges of everyday size; 16 bits need more.
        span = mapping.hi - mapping.lo
        narrow = dtype == np.float32 and top == 255 and most < 1e30 and span > most * 1e-3 > 1e-30
        # A power of two brings any range near 1, where no product overflows or vanishes.
        exponent = 0 if narrow or 1e-200 < most < 1e200 else -math.frexp(most)[1]
        lo, hi = math.ldexp(mapping.lo, exponent), math.ldexp(mapping.hi, exponent)
        factor = top / (hi - lo)
        # A range about 0 is not shifted, so that 0 is exactly half of top whatever the range.
        shift, offset = (0.0, top / 2) if lo == -hi else (lo, 0.0)
        used: np.dtype[Any] = np.dtype(np.float32 if narrow else np.float64)
        return cls(used, exponent, shift, factor, offset, top, mapping.kind == "abs")

    def apply(self, block: np.ndarray) -> np.ndarray:
        """Return levels as floats: rounded, and not clipped yet."""
        values: np.ndarray = np.abs(block, dtype=self.dtype) if self.magnitude else block
        if self.exponent:
            values = np.ldexp(values, self.exponent, dtype=self.dtype)
        work = np.empty(block.shape, self.dtype)
        if self.shift:
            np.subtract(values, self.dtype.type(self.shift), out=work, dtype=self.dtype)
            values = work
        np.multiply(values, self.dtype.type(self.factor), out=work, dtype=self.dtype)
        if self.offset:
            np.add(work, self.dtype.type(self.offset), out=work)
        return np.rint(work, out=work)

    def count_outside(self, levels: np.ndarray, block: np.ndarray) -> int:
        """Count the finite values of a block whose rounded level does not exist."""
        return int(np.count_nonzero(self.are_outside(levels) & np.isfinite(block)))

    def are_outside(self, levels: np.ndarray) -> np.ndarray:
        """Tell for each level whether it does not exist."""
        return (levels < 0) | (levels > self.top)

    def clip(self, levels: np.ndarray, all_finite: bool) -> None:
        """Clip levels in place; NaN becomes 0."""
        if not all_finite:
            # clip would keep NaN, and take several times less.
            np.fmax(levels, 0, out=levels)
        np.clip(levels, 0, self.top, out=levels)
