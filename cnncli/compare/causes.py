"""Finds which other settings of one layer or image explain a given result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.compare.chance import tells
from cnncli.compare.difference import MOST_STRIDE, Values, absolute_difference
from cnncli.core.choices import PAD_MODES
from cnncli.core.geometry import Pair
from cnncli.errors import CnnCliError
from cnncli.filters.filter import flip, normalize
from cnncli.io.images import Picture
from cnncli.network.conventions import (
    CONVENTIONS,
    SCIPY_CORRELATE,
    Convention,
    OneLayer,
    by_convention,
)
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer, PoolLayer
from cnncli.pipeline.feature_maps import FeatureMaps
from cnncli.system.progress import track

MOST_TOGETHER: Final = 2
"""Changes of the layer that are tried together, beside those of `NOT_COUNTED`."""

NOT_COUNTED: Final = frozenset({"channels", "pixels", "padding", "stride"})
"""How the image was read; the padding and the stride, of which the size of a result leaves few."""

MOST_WAYS: Final = 12
"""Ways with equally many changes that are named."""


@dataclass(frozen=True)
class Operation:
    """A layer, and the image it is applied to.

    Parameters
    ----------
    layer : ConvLayer or PoolLayer
    picture : Picture
    white : float
        What the values of the image are multiplied by: 255 where they are taken as 0..255.
    """

    layer: OneLayer
    picture: Picture
    white: float = 1.0

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(N, n_H, n_W, n_C); CnnCliError if the layer does not fit the image."""
        return self.layer.output_shape(self.picture.shape)

    def output(self) -> Values:
        """Return the whole result, as every command computes it."""
        picture = self.picture
        if self.white != 1:
            picture = replace(picture, pixels=self._values(picture.pixels), scale=1.0)
        return FeatureMaps(Network.chain(self.layer), picture).whole()

    def sample(self) -> Values:
        """Return a few rows of the first image's result: the first, the middle and the last."""
        stage = self.layer.stage((1, *self.picture.shape[1:]), self.picture.dtype)

        def source(first: int, last: int) -> Values:
            return self._values(self.picture.pixels[:1, first:last])

        strips = [stage.read(source, *rows) for rows in _sample_rows(stage.shape[1])]
        return np.concatenate(strips, axis=1)

    def _values(self, pixels: np.ndarray) -> Values:
        values = self.picture.scaled(pixels)
        return values if self.white == 1 else values * values.dtype.type(self.white)


@dataclass(frozen=True)
class ResultForm:
    """One way in which a file may hold the values of a result.

    Parameters
    ----------
    text : str
        What is said of it; empty for values as they are.
    difference : callable
        ``difference(made, held)`` returns absolute differences, cell by cell.
    tolerance : float
        Up to here values count as equal.
    loose : bool
        Whether it may fit by chance: then any other form comes first, with however many causes.
    """

    text: str
    difference: Callable[[Values, Values], Values] = absolute_difference
    tolerance: float = 0.0
    loose: bool = False

    def fits(self, made: Values, held: Values) -> bool:
        """Whether a file with these values may hold what was made."""
        return bool((self.difference(made, held) <= self.tolerance).all())

    def proves(self, made: Values, held: Values, changed: bool) -> bool:
        """Whether it fits, and not by chance, as all that is clipped to one black picture does."""
        apart = float(self.difference(made, held).max())
        clips = self.difference is not absolute_difference
        by_chance = changed and clips and bool((held == held.flat[0]).all())
        if self.text:
            by_chance = not (tells(held, apart) and tells(made, apart))
        return apart <= self.tolerance and not by_chance


@dataclass(frozen=True)
class Change:
    """One thing that may have been done otherwise.

    Parameters
    ----------
    text : str
        Such as ``the filter is flipped``; of a convention its name and what it does.
    kinds : frozenset of str
        What it decides on; two changes that decide on the same thing exclude each other.
    apply : callable
        Returns the operation with the change.
    convention : str, optional
        Its name, if it is what a tool does.
    """

    text: str
    kinds: frozenset[str]
    apply: Callable[[Operation], Operation]
    convention: str | None = None

    @property
    def is_not_counted(self) -> bool:
        """Whether it is tried on top of `MOST_TOGETHER` others."""
        return self.kinds <= NOT_COUNTED


Way = tuple[Change, ...]
"""Changes that are made together."""


def find_causes(result: Values, operation: Operation, forms: Sequence[ResultForm]) -> list[str]:
    """Say how an operation must be done for a result to come out.

    Parameters
    ----------
    result : ndarray, shape (N, H, W, C)
    operation : Operation
        As it was meant.
    forms : sequence of ResultForm
        How the result may be held.

    Returns
    -------
    list of str
        ``as given``, or all ways with the fewest changes; empty if there is none.

    Examples
    --------
    >>> from cnncli.filters.files import load_filter
    >>> pixels = np.arange(24.0).reshape(1, 4, 6, 1) ** 2
    >>> picture = Picture(pixels, 1.0, False, False, (), "")
    >>> layer = ConvLayer(load_filter("1 2 4"), pad_mode="zeros")
    >>> meant = Operation(layer, picture)
    >>> turned = replace(meant, layer=replace(layer, filter=load_filter("4 2 1"))).output()
    >>> find_causes(turned, meant, [ResultForm("", tolerance=1e-9)])
    ['if the filter is flipped']
    """
    sample = np.concatenate(
        [result[:1, first:last] for first, last in _sample_rows(result.shape[1])], axis=1
    )
    loose: list[tuple[ResultForm, Way]] = []
    by_tools: dict[ResultForm, list[Way]] = {}
    for ways in _ways(operation, result.shape):
        found = [
            (form, way)
            for way, other in track(ways, "looking for the cause, changes tried")
            for form in _fitting(other, sample, forms)
        ]
        loose += [(form, way) for form, way in found if form.loose]
        for form in by_tools or [form for form in forms if not form.loose]:
            confirmed = _confirm(result, operation, form, found)
            # What tools do counts as one change; what that comes to is said beside it.
            plain = [way for way in confirmed if not any(c.convention for c in way)]
            if plain or form in by_tools:
                return _texts([*plain, *by_tools.get(form, confirmed)], form)
            if confirmed:
                by_tools = {form: confirmed}
                break
    for form, count in dict.fromkeys((form, len(way)) for form, way in loose):
        pairs = [pair for pair in loose if len(pair[1]) == count]
        if confirmed := _confirm(result, operation, form, pairs):
            return _texts(confirmed, form)
    return []


def _sample_rows(height: int) -> list[tuple[int, int]]:
    """Spans of rows, some of which any change changes, if it changes anything."""
    middle = height // 2
    return [(0, min(2, height)), (middle, middle + 1), (max(0, height - 2), height)]


def _fitting(
    operation: Operation, sample: Values, forms: Sequence[ResultForm]
) -> Iterator[ResultForm]:
    try:
        made = operation.sample()
    except CnnCliError:
        return
    yield from (form for form in forms if form.fits(made, sample))


def _confirm(
    result: Values,
    operation: Operation,
    form: ResultForm,
    found: Sequence[tuple[ResultForm, Way]],
) -> list[Way]:
    """Return the ways by which not only a few rows, but the whole result is the one given."""
    ways = [way for one, way in found if one is form][:MOST_WAYS]
    return [
        way
        for way in ways
        if form.proves(_changed(operation, way).output(), result, changed=bool(way))
    ]


def _texts(ways: Sequence[Way], form: ResultForm) -> list[str]:
    """Say each way; conventions that do the same, in one line."""
    conventions: dict[str, list[str]] = {}
    for way in ways:
        words = [f"({change.text})" for change in way if change.convention is not None]
        clauses = [change.text for change in way if change.convention is None]
        if clauses:
            words.append(f"if {' and '.join(clauses)}")
        names = conventions.setdefault(" and ".join(words) or "as given", [])
        names += [change.convention for change in way if change.convention is not None]
    texts = []
    for text, names in conventions.items():
        tools = f"by the convention{'s' if len(names) > 1 else ''} {', '.join(names)} "
        texts.append(f"{tools if names else ''}{text}{form.text}")
    return texts


def _ways(
    operation: Operation, shape: tuple[int, ...]
) -> Iterator[Iterator[tuple[Way, Operation]]]:
    """Yield for 0, 1, 2 ... changes all ways to change an operation that give that shape."""
    changes = [*layer_changes(operation, (shape[1], shape[2])), *_image_changes(operation)]
    for count in range(MOST_TOGETHER + len(NOT_COUNTED) + 1):
        yield _ways_of(operation, changes, count, shape)


def _ways_of(
    operation: Operation, changes: Sequence[Change], count: int, shape: tuple[int, ...]
) -> Iterator[tuple[Way, Operation]]:
    for way in _combinations(changes, count):
        try:
            other = _changed(operation, way)
            fits = other.output_shape == shape
        except CnnCliError:
            continue
        if fits:
            yield way, other


def _combinations(changes: Sequence[Change], count: int, way: Way = ()) -> Iterator[Way]:
    """Yield `way` with so many more changes, each of which goes with all the others."""
    if count == 0:
        yield way
        return
    taken = frozenset[str]().union(*(change.kinds for change in way))
    full = sum(not change.is_not_counted for change in way) == MOST_TOGETHER
    for index, change in enumerate(changes):
        if taken.isdisjoint(change.kinds) and (change.is_not_counted or not full):
            yield from _combinations(changes[index + 1 :], count - 1, (*way, change))


def _changed(operation: Operation, way: Sequence[Change]) -> Operation:
    for change in way:
        operation = change.apply(operation)
    return operation


def layer_changes(operation: Operation, size: Pair) -> list[Change]:
    """Return what may have been done otherwise in a layer, then what each tool does.

    Parameters
    ----------
    operation : Operation
    size : (int, int)
        Of the result; by it strides are chosen.

    Examples
    --------
    >>> picture = Picture(np.zeros((1, 8, 8, 1)), 1.0, False, False, (), "")
    >>> changes = layer_changes(Operation(PoolLayer("average"), picture), (4, 4))
    >>> [change.text for change in changes[:2]]
    ['the mode is max', 'the mode is min']
    """
    layer = operation.layer
    changes = [*(_conv_changes(layer) if isinstance(layer, ConvLayer) else _pool_changes(layer))]
    changes += _padding_changes(operation)
    changes += _stride_changes(operation, size, changes)
    for convention in (*CONVENTIONS.values(), SCIPY_CORRELATE):
        if not (convention.image_filter and isinstance(layer, PoolLayer)):
            changes.append(_convention_change(layer, convention))
    return changes


def _layer_change(text: str, kind: str, **fields: Any) -> Change:
    """Return a change of a layer's fields; those that are functions are given the old value."""

    def apply(operation: Operation) -> Operation:
        layer = operation.layer
        new = {n: v(getattr(layer, n)) if callable(v) else v for n, v in fields.items()}
        return replace(operation, layer=replace(layer, **new))

    return Change(text, frozenset({kind}), apply)


def _conv_changes(layer: ConvLayer) -> Iterator[Change]:
    yield _layer_change("the filter is flipped", "flip", filter=flip)
    for mode in PAD_MODES:
        if mode != layer.border_mode or layer.pad_value:
            yield _layer_change(f"the border is {mode}", "border", pad_mode=mode, pad_value=0.0)
    if np.any(layer.parameters.get("b", 0)):
        yield _layer_change("the bias is left out", "bias", bias=np.zeros(1))
    if layer.activation != "none":
        yield _layer_change(
            "the activation is left out", "activation", activation="none", alpha=None
        )
    for name, what in (("abs", "signs are dropped"), ("relu", "negatives become 0")):
        if layer.activation == "none":
            text = f"{what} (--activation {name})"
            yield _layer_change(text, "activation", activation=name)
    text = "the filter is divided by its sum (--normalize)"
    yield _layer_change(text, "normalize", filter=normalize)


def _pool_changes(layer: PoolLayer) -> Iterator[Change]:
    for mode in ("max", "min", "average"):
        if mode != layer.mode:
            yield _layer_change(f"the mode is {mode}", "mode", mode=mode)
    if layer.mode == "average":
        included = not layer.count_include_pad
        how = "by the pads too" if included else "by real cells only"
        yield _layer_change(f"an average divides {how}", "divisor", count_include_pad=included)
    over = "counts" if not layer.ceil else "does not count"
    yield _layer_change(
        f"a last window that reaches over the end {over}", "ceil", ceil=not layer.ceil
    )


def _padding_changes(operation: Operation) -> Iterator[Change]:
    layer = operation.layer
    sides = {"same": "bottom right", "same-lower": "top left"}
    for padding, side in sides.items():
        if layer.padding in sides and layer.padding != padding:
            yield _layer_change(f"the extra padding is at the {side}", "padding", padding=padding)
        elif layer.padding != padding:
            yield _layer_change(f"the padding is {padding}", "padding", padding=padding)
    if layer.padding != "valid":
        yield _layer_change("nothing is padded", "padding", padding="valid")
    rows, cols = _extents(operation)
    for pads in dict.fromkeys(((rows // 2, cols // 2), (rows - 1, cols - 1))):
        yield _layer_change(f"the padding is {pads[0]},{pads[1]}", "padding", padding=pads)


def _extents(operation: Operation) -> Pair:
    """Rows and columns under the window, with what its dilation skips."""
    window = operation.layer.window(operation.picture.shape)
    return window.rows.extent, window.cols.extent


def _stride_changes(
    operation: Operation, size: Pair, changes: Sequence[Change]
) -> Iterator[Change]:
    """Yield the strides by which an output of that size comes out, with one of the paddings."""
    layers = [operation.layer]
    layers += [c.apply(operation).layer for c in changes if c.kinds == {"padding"}]
    fitting: tuple[set[int], set[int]] = (set(), set())
    for layer, stride in product(layers, range(1, MOST_STRIDE + 1)):
        try:
            out = replace(layer, stride=stride).window(operation.picture.shape).out
        except CnnCliError:
            continue
        for axis in (0, 1):
            if out[axis] == size[axis]:
                fitting[axis].add(stride)
    pairs = [pair for pair in product(*map(sorted, fitting)) if pair[0] == pair[1]]
    window = operation.layer.window(operation.picture.shape)
    for pair in pairs or list(product(*map(sorted, fitting)))[:4]:
        if pair != (window.rows.stride, window.cols.stride):
            text = str(pair[0]) if pair[0] == pair[1] else f"{pair[0]},{pair[1]}"
            yield _layer_change(f"the stride is {text}", "stride", stride=pair)


def _convention_change(layer: OneLayer, convention: Convention) -> Change:
    def apply(operation: Operation) -> Operation:
        layer = operation.layer
        if isinstance(layer, ConvLayer):
            # Its border as well, whatever was asked for.
            layer = replace(layer, pad_mode="auto", pad_value=0.0)
        return replace(operation, layer=by_convention(layer, convention))

    kinds = frozenset({"flip", "padding", "border", "divisor"})
    return Change("; ".join(convention.phrases(layer)), kinds, apply, convention.name)


def _image_changes(operation: Operation) -> Iterator[Change]:
    picture = operation.picture

    def reverse(operation: Operation) -> Operation:
        picture = operation.picture
        return replace(operation, picture=replace(picture, pixels=picture.pixels[..., ::-1]))

    if picture.shape[3] == 3:
        text = "the image's channels are reversed (BGR and RGB)"
        yield Change(text, frozenset({"channels"}), reverse)
    text = "pixels are 0..255, not 0..1"
    yield Change(text, frozenset({"pixels"}), lambda operation: replace(operation, white=255.0))
