"""The comparisons of `cnncli compare`: two files, or a layer by conventions or libraries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.compare.causes import Operation, ResultForm, find_causes
from cnncli.compare.chance import tells
from cnncli.compare.difference import (
    APART,
    ROUNDED,
    Difference,
    Values,
    absolute_difference,
    explain,
    find_difference,
    rounding_of,
    shape_error,
    tolerance_of,
)
from cnncli.compare.peers import run_peer
from cnncli.core.arrays import FloatArray
from cnncli.errors import CnnCliError, quote
from cnncli.io.images import Picture, read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.conventions import CONVENTIONS, Convention, OneLayer, by_convention
from cnncli.render.finite_values import measure
from cnncli.render.result_record import recorded_ranges, restore_values


@dataclass(frozen=True)
class Comparison:
    """Two results and what was found of them.

    Parameters
    ----------
    names : (str, str)
        What they are called.
    shapes : tuple of tuple of int
    difference : Difference, optional
        None where shapes differ.
    explanations : tuple of str
    kind : str
        ``results``, ``convention`` or ``peer``.
    error : CnnCliError, optional
        Why the second could not be made.
    transparency : Difference, optional
        Of pictures that are equal once both are laid on the background, but not transparent alike.
    """

    names: tuple[str, str]
    shapes: tuple[tuple[int, ...], ...]
    difference: Difference | None = None
    explanations: tuple[str, ...] = ()
    kind: str = "results"
    error: CnnCliError | None = None
    transparency: Difference | None = None

    @property
    def equal(self) -> bool:
        """Whether they are equal, also in transparency."""
        same = self.difference is not None and self.difference.equal
        return same and self.transparency is None


def compare_results(
    paths: Sequence[Path],
    read: ReadOptions,
    tolerance: float | None = None,
    layer: OneLayer | None = None,
    image: Path | None = None,
) -> Comparison:
    """Compare two files, and find what would make them equal.

    Parameters
    ----------
    paths : sequence of two Path
        Pictures or ``.npy`` arrays.
    read : ReadOptions
    tolerance : float, optional
        Default: half a level if one is a picture of 8 or 16 bits, else 1e-5 of the largest value,
        at least 1e-5; of pictures that are read as values, half a level of each one's range.
    layer : ConvLayer or PoolLayer, optional
        What made them.
    image : Path, optional
        What it was made of.

    Returns
    -------
    Comparison
    """
    pictures = [read_image(path, read) for path in paths]
    a, b = (picture.values() for picture in pictures)
    names, shapes = (str(paths[0]), str(paths[1])), (a.shape, b.shape)
    notes = tuple(f"note: {p.name}: {note}" for p in pictures for note in p.notes)
    if a.shape != b.shape and _are_scores(a, b):
        b = b.reshape(a.shape)
        notes += (f"note: {a.size} scores each, compared in their order",)
    levels = pictures[0].levels, pictures[1].levels
    steps = sum(map(_steps, pictures)) if read.restore and tolerance is None else 0.0
    if tolerance is None:
        tolerance = tolerance_of(a, b, min(filter(None, levels), default=None))
    # Each map may have a range of its own.
    limits = np.maximum(tolerance, ROUNDED * np.asarray(steps))
    tolerance = float(limits.min())
    difference = find_difference(a, b, limits) if a.shape == b.shape else None
    if difference is not None and difference.equal:
        same = pictures[0].shape == pictures[1].shape
        transparency = _transparency(paths, read) if same else None
        return Comparison(names, shapes, difference, notes, transparency=transparency)
    explanations = _by_layer(pictures, paths, read, tolerance, layer, image)
    explanation = _cut_off(pictures, limits) or explain(a, b, tolerance, levels)
    if explanation is not None:
        explanations.append(explanation)
    elif not explanations:
        explanations += _other_values(paths, pictures, read)
    if difference is None and not explanations:
        raise shape_error(a, b, hint=layer is None)
    if not explanations:
        notes += (*_lossy_notes(paths), *_variety_notes(a, b))
    return Comparison(names, shapes, difference, (*explanations, *notes))


def _steps(picture: Picture) -> float | FloatArray:
    """Return the difference in value between neighbouring levels of each map of a picture."""
    steps = np.array([mapping.step(depth) for mapping, depth in recorded_ranges(picture.record)])
    return steps if len(steps) == picture.shape[3] else float(steps.max(initial=0.0))


def _cut_off(pictures: Sequence[Picture], tolerance: float | FloatArray) -> str | None:
    """Say if two results are equal but for values beyond the ranges of pictures read as values."""
    values = [picture.values() for picture in pictures]
    if values[0].shape != values[1].shape:
        return None
    for picture, shown in zip(pictures, tuple(values), strict=True):
        ranges = [] if picture.is_picture else recorded_ranges(picture.record)
        if ranges:
            # Only a channel that reaches an end of its range may have been cut off there.
            low, high = (end(axis=(0, 1, 2)) for end in (shown.min, shown.max))
            ends = np.array([(mapping.lo, mapping.hi) for mapping, _ in ranges], np.float32)
            low = np.where(np.isin(low, ends[:, 0]), low, -np.inf)
            high = np.where(np.isin(high, ends[:, 1]), high, np.inf)
            values = [np.clip(each, low, high) for each in values]
    is_equal = tells(values[0], 0) and find_difference(values[0], values[1], tolerance).equal
    return "equal but for values that the range of a picture cuts off" if is_equal else None


def _are_scores(a: FloatArray, b: FloatArray) -> bool:
    """Whether both hold one line of numbers, one of them in maps of one cell: 1x1xN beside Nx1."""
    one_line = a.size == b.size == max(a.shape) == max(b.shape)
    return one_line and (1, 1) in (a.shape[1:3], b.shape[1:3])


def _lossy_notes(paths: Sequence[Path]) -> tuple[str, ...]:
    """Say which of the files do not hold the values that were written to them."""
    names = [quote(path) for path in paths if path.suffix.lower() in (".jpg", ".jpeg")]
    text = f"note: {' and '.join(names)}: JPEG changes values; PNG and .npy keep those of a result"
    return (text,) if names else ()


def _variety_notes(a: FloatArray, b: FloatArray) -> tuple[str, ...]:
    """Say where results have too few different values for any explanation."""
    if tells(a, 0) and tells(b, 0):
        return ()
    return ("note: too few different values to tell a convention from chance",)


def _transparency(paths: Sequence[Path], read: ReadOptions) -> Difference | None:
    """Return how two pictures of one size differ in transparency, if they do: 1 is opaque."""
    shares = []
    for path in paths:
        picture = read_image(path, replace(read, alpha="keep"))
        alpha = picture.photo_metadata.alpha
        n, height, width, _ = picture.shape
        share = np.ones((n, height, width, 1))
        shares.append(
            share if alpha is None else share * alpha[..., None] / np.iinfo(alpha.dtype).max
        )
    difference = find_difference(shares[0], shares[1], ROUNDED / 255)
    return None if difference.equal else difference


def _by_layer(
    pictures: Sequence[Picture],
    paths: Sequence[Path],
    read: ReadOptions,
    tolerance: float,
    layer: OneLayer | None,
    image: Path | None,
) -> list[str]:
    """Say how the operation must be done for each of the results to come out."""
    if layer is None or image is None:
        return []
    source = read_image(image, replace(read, restore=None))
    if source.record and read.restore is not None:
        source = read_image(image, read)
    operation = Operation(layer, source)
    causes = [
        find_causes(picture.values(), operation, _forms(picture, tolerance)) for picture in pictures
    ]
    if not any(causes):
        return []
    return [
        line
        for own, path in zip(causes, paths, strict=True)
        for line in (
            [f"{quote(path)} is equal to the operation {cause}" for cause in own]
            or [f"no known convention explains {quote(path)}"]
        )
    ]


def _other_values(
    paths: Sequence[Path], pictures: Sequence[Picture], read: ReadOptions
) -> list[str]:
    """Say which pictures of ours stand for other numbers, if these can be compared."""
    pairs = zip(paths, pictures, strict=True)
    numbers = [_numbers_shown(*pair, read) for pair in pairs]
    shapes = {p.shape if v is None else v.shape for p, v in zip(pictures, numbers, strict=True)}
    if len(shapes) > 1 and pictures[0].shape != pictures[1].shape:
        return []
    texts = []
    for path, values in zip(paths, numbers, strict=True):
        if values is not None:
            low, high = measure(values).limits
            shown = f"{quote(path)} shows values from {low:.4g} to {high:.4g}"
            texts.append(f"{shown}: --as-values reads those")
    return texts


def _numbers_shown(path: Path, picture: Picture, read: ReadOptions) -> Values | None:
    """Return the numbers that a picture of ours stands for, if its pixels are others."""
    if read.restore is not None or picture.scale == 1:
        return None
    try:
        values = read_image(path, replace(read, restore=restore_values)).values()
    except CnnCliError:
        return None
    if values.shape == picture.shape and np.allclose(values, picture.values(), atol=1 / 255):
        return None
    return values


def _forms(picture: Picture, tolerance: float) -> list[ResultForm]:
    """Return how a file may hold a result: as it is, or as whole levels made of it."""
    if picture.scale == 1:
        return [ResultForm("", tolerance=tolerance)]
    level = 1 / picture.scale

    def clipped(made: Values, held: Values) -> Values:
        return absolute_difference(np.clip(made, 0, 1), held)

    def rounded_down(made: Values, held: Values) -> Values:
        return absolute_difference(np.clip(made, 0, 1) - level / 2, held)

    def wrapped(made: Values, held: Values) -> Values:
        size = 1 + level
        apart = absolute_difference(made, held)
        beyond = apart % size
        inside = (made >= 0) & (made <= 1)
        return np.where(inside, apart, np.minimum(beyond, size - beyond))

    tolerance = max(tolerance, ROUNDED * level)
    forms = [
        ResultForm("", clipped, tolerance),
        # As ImageMagick 6 does to 8-bit PNG, and whoever casts to integers.
        ResultForm(", rounded down", rounded_down, tolerance),
    ]
    most = f"{picture.scale:.0f}"
    if tolerance < APART * level:
        words = f", to within one level of {most}"
        forms.append(ResultForm(words, clipped, APART * level, loose=True))
    words = f", with an overflow: what is beyond 0..{most} wraps around"
    forms.append(ResultForm(words, wrapped, APART * level, loose=True))
    return forms


def _as_levels(values: Values, rounding: str) -> Values:
    """Return values as an 8-bit picture holds them."""
    levels = np.clip(values, 0, 1) * 255
    whole = np.floor(levels + 0.5) if rounding == "half up" else np.rint(levels)
    return np.asarray(whole / values.dtype.type(255))


def compare_conventions(
    image: Path, read: ReadOptions, layer: OneLayer, names: Sequence[str], tolerance: float | None
) -> list[Comparison]:
    """Compare a layer with what it would be by the conventions of other tools.

    Returns
    -------
    list of Comparison
        One for each convention; the explanation is what the convention does.
    """
    picture = read_image(image, read)
    ours = Operation(layer, picture).output()
    return [_by_convention(picture, ours, layer, CONVENTIONS[name], tolerance) for name in names]


def _by_convention(
    picture: Picture, ours: Values, layer: OneLayer, convention: Convention, tolerance: float | None
) -> Comparison:
    names = "cnncli", convention.name
    try:
        other = Operation(by_convention(layer, convention), picture).output()
    except CnnCliError as error:
        return Comparison(names, (ours.shape,), kind="convention", error=error)
    one = ours
    if convention.rounding is not None and picture.pixels.dtype == np.uint8:
        one, other = _as_levels(ours, "half to even"), _as_levels(other, convention.rounding)
    shapes = one.shape, other.shape
    phrases = convention.phrases(layer, levels=picture.pixels.dtype == np.uint8)
    comparison = Comparison(names, shapes, None, phrases, "convention")
    if one.shape != other.shape:
        return comparison
    tolerance = tolerance or rounding_of(one, other)
    return replace(comparison, difference=find_difference(one, other, tolerance))


def compare_peers(
    image: Path, read: ReadOptions, layer: OneLayer, names: Sequence[str], tolerance: float | None
) -> list[Comparison]:
    """Compare a layer with what other libraries make of it.

    Returns
    -------
    list of Comparison

    Raises
    ------
    CnnCliError
        If one is not installed or has no such layer.
    """
    picture = read_image(image, read)
    ours = Operation(layer, picture).output()
    comparisons = []
    for name in names:
        theirs = run_peer(name, layer, picture.values())
        limit = tolerance or rounding_of(ours, theirs)
        difference = find_difference(ours, theirs, limit)
        convention = CONVENTIONS.get(name)
        notes = () if convention is None else convention.missing_layer_notes(layer)
        shapes = ours.shape, theirs.shape
        comparisons.append(Comparison(("cnncli", name), shapes, difference, notes, "peer"))
    return comparisons
