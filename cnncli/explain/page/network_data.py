"""What the page of a network shows: every layer's maps, and which cells reach which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from cnncli.core.geometry import Box, Pair
from cnncli.explain.page.layer_data import (
    MOST_CELLS,
    Place,
    Scene,
    check_place,
    clips_by_default,
    packed,
    pictures_of,
    tables_of,
)
from cnncli.io.images import Picture
from cnncli.network.graph import SOURCE, Network, Node, input_groups
from cnncli.network.layers import FloatArray, Shape
from cnncli.network.passes import forward_layers, held_bytes
from cnncli.network.summary import LayerSummary, summarize
from cnncli.render.levels import ValueRange, measure
from cnncli.render.options import MapGroup
from cnncli.system.memory import check_memory

BUDGET: Final = 7 * 2**19
"""Bytes of all values in a page."""

MOST_MAPS: Final = 64
"""Channels of one layer that are in a page."""

_SIDES: Final = (512, 256, 128, 64, 32)
_KINDS: Final = ("float32", "uint16", "uint8")


@dataclass(frozen=True)
class _Share:
    """What a page gets of one layer: a box of cells, and so many channels."""

    box: Box
    channels: tuple[int, ...]

    @property
    def values(self) -> int:
        return _area(self.box) * len(self.channels)


def network_scene(
    network: Network,
    picture: Picture,
    layer: str,
    place: Place,
    *,
    title: str,
    notes: Sequence[str] = (),
    jobs: int | None = None,
) -> Scene:
    """Run a network on an image and return what its page shows.

    Parameters
    ----------
    network : Network
    picture : Picture
    layer : str
        The layer of the unit that the page begins with.
    place : Place
        The unit.
    title : str
        May hold anything.
    notes : sequence of str
        What is to be said of the image.
    jobs : int, optional
        Threads.

    Returns
    -------
    dict
        JSON data for ``network.js``. Values are float32 where they fit into `BUDGET`, and else
        rounded to 16 or 8 bits of each map's range, which the page says.

    Raises
    ------
    ShapeError, OptionError
        If the image does not fit, or there is no such layer or unit.
    CnnCliError
        If memory does not suffice.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> picture = Picture(np.zeros((1, 8, 8, 1), np.uint8), 255.0, True, False, (), "a.png")
    >>> network = Network.chain(PoolLayer(), PoolLayer())
    >>> scene = network_scene(network, picture, "pool2", Place((1, 0)), title="a.png")
    >>> [layer["name"] for layer in scene["layers"]]
    ['input', 'pool1', 'pool2']
    """
    network.node(layer)
    shape: Shape = (1, *picture.shape[1:])
    shapes, groups = network.shapes(shape), network.groups(input_groups(shape[3]))
    check_place(place.at, shapes[layer])
    most = max(held_bytes(network, shape, picture.dtype).values())
    check_memory(most, "the layers' outputs", "a smaller image")
    first = groups[layer][place.map].channels
    shares = _shares(shapes, _centres(network, shapes, layer, place.at), layer, first)
    kind = _kind(sum(share.values for share in shares.values()))
    plans = {plan.name: plan for plan in summarize(network, picture.shape[1:]).layers}
    X = picture.values()[place.image : place.image + 1]
    records = {
        name: _values(values[0], shares[name], groups[name], kind)
        for name, values in ((SOURCE, X), *forward_layers(network, X, network.names, jobs))
    }
    layers = [_source(picture) | records[SOURCE]]
    for node in network.nodes:
        clips = clips_by_default(network.until(node.name), picture, is_layer=True)
        about = _layer(node, shapes, plans[node.name])
        layers.append(about | records[node.name] | {"clipByDefault": clips})
    return {
        "kind": "network",
        "title": title,
        "layers": layers,
        "unit": {"layer": layer, "map": place.map, "at": list(place.at)},
        "tables": tables_of("diverging"),
        "notes": [*notes, *_notes(kind, shapes, shares)],
    }


def _centres(
    network: Network, shapes: Mapping[str, Shape], layer: str, at: Pair
) -> dict[str, Pair]:
    """Return the cell of every layer around which a page shows it, where it cannot show all."""
    one = slice(at[0], at[0] + 1), slice(at[1], at[1] + 1)
    reads = network.reads(shapes[SOURCE], layer, one)
    out, found = shapes[layer], {}
    for name, shape in shapes.items():
        if name in reads and all(side.stop > side.start for side in reads[name]):
            rows, cols = reads[name]
            found[name] = (rows.start + rows.stop) // 2, (cols.start + cols.stop) // 2
        else:
            # Layers behind or beside the unit: the same part of the picture.
            found[name] = at[0] * shape[1] // out[1], at[1] * shape[2] // out[2]
    return found


def _shares(
    shapes: Mapping[str, Shape], centres: Mapping[str, Pair], layer: str, first: tuple[int, ...]
) -> dict[str, _Share]:
    """Share the budget out: as many cells of each layer as can be, then as many maps."""
    boxes: dict[str, Box] = {}
    for side in _SIDES:
        boxes = {name: _box(shape, centres[name], side) for name, shape in shapes.items()}
        if sum(_area(box) * min(3, shapes[n][3]) for n, box in boxes.items()) <= BUDGET:
            break
    most = MOST_MAPS
    while most > 3 and sum(_area(b) * min(most, shapes[n][3]) for n, b in boxes.items()) > BUDGET:
        # What large layers give up first: small ones keep all of theirs.
        most -= 1
    return {
        name: _Share(
            box, _chosen(shapes[name][3], _count(box, most), first if name == layer else ())
        )
        for name, box in boxes.items()
    }


def _count(box: Box, most: int) -> int:
    return MOST_MAPS if _area(box) <= 1024 else most


def _chosen(channels: int, most: int, first: tuple[int, ...]) -> tuple[int, ...]:
    """Return the first channels, and those that must be among them."""
    kept = list(range(min(channels, most)))
    missing = [channel for channel in first if channel not in kept]
    return tuple(kept[: max(0, most - len(missing))] + missing) if missing else tuple(kept)


def _box(shape: Shape, centre: Pair, side: int) -> Box:
    if shape[1] * shape[2] <= min(side * side, MOST_CELLS):
        return slice(0, shape[1]), slice(0, shape[2])
    rows, cols = (
        _stretch(size, middle, side) for size, middle in zip(shape[1:3], centre, strict=True)
    )
    return rows, cols


def _stretch(size: int, middle: int, length: int) -> slice:
    length = min(size, length)
    first = min(max(0, middle - length // 2), size - length)
    return slice(first, first + length)


def _area(box: Box) -> int:
    down, across = (int(side.stop - side.start) for side in box)
    return down * across


def _kind(values: int) -> str:
    fitting = [kind for kind in _KINDS if values * np.dtype(kind).itemsize <= BUDGET]
    return fitting[0] if fitting else _KINDS[-1]


def _values(values: FloatArray, share: _Share, groups: Sequence[MapGroup], kind: str) -> Scene:
    """Return the values of the chosen channels, each with its range."""
    rows, cols = share.box
    planes = np.ascontiguousarray(values[rows, cols][:, :, share.channels].transpose(2, 0, 1))
    kept = set(share.channels)
    whole = [group for group in groups if kept.issuperset(group.channels)]
    found = [measure(values[:, :, list(group.channels)]) for group in whole]
    limits = [measure(plane) for plane in planes]
    ends = [(x.lo, x.hi) if x.lo <= x.hi else (0.0, 0.0) for x in limits]
    steps = [0.0] * len(ends)
    if kind != "float32":
        top = np.iinfo(kind).max
        steps = [(hi - lo) / top for lo, hi in ends]
        planes = np.stack([_rounded(*each, kind) for each in zip(planes, ends, steps, strict=True)])
    return {
        "rows": [rows.start, rows.stop],
        "cols": [cols.start, cols.stop],
        "channels": list(share.channels),
        "ends": [list(pair) for pair in ends],
        "steps": steps,
        "pictures": [
            {**each, "index": groups.index(group), "lo": x.lo, "hi": x.hi}
            for each, group, x in zip(pictures_of(whole), whole, map(_finite, found), strict=True)
        ],
        "maps": len(groups),
        **packed(planes.astype(kind, copy=False)),
    }


def _finite(found: ValueRange) -> ValueRange:
    return found if found.lo <= found.hi else ValueRange(0.0, 0.0)


def _rounded(plane: FloatArray, ends: tuple[float, float], step: float, kind: str) -> np.ndarray:
    lo, hi = ends
    held = np.clip(np.nan_to_num(plane.astype(np.float64), nan=lo, posinf=hi, neginf=lo), lo, hi)
    return np.rint((held - lo) / step if step else held * 0).astype(kind)


def _source(picture: Picture) -> Scene:
    return {
        "name": SOURCE,
        "label": "input",
        "shape": list(picture.shape[1:]),
        "inputs": [],
        "reads": [],
        "clipByDefault": picture.is_picture,
    }


def _layer(node: Node, shapes: Mapping[str, Shape], plan: LayerSummary) -> Scene:
    window = plan.window
    return {
        "name": node.name,
        "label": plan.label,
        "shape": list(plan.shape),
        "inputs": list(node.inputs),
        "formula": None if window is None else [window.rows.formula, window.cols.formula],
        "field": [plan.field[0].size, plan.field[1].size],
        "parameters": plan.parameters,
        "reads": [_reads(node, shapes[name], shapes[node.name]) for name in node.inputs],
    }


def _reads(node: Node, given: Shape, out: Shape) -> Scene:
    """Return for each output row and column the input's cells that it depends on."""
    one = slice(0, 1)
    rows = [node.layer.reads(given, (slice(o, o + 1), one))[0] for o in range(out[1])]
    cols = [node.layer.reads(given, (one, slice(o, o + 1)))[1] for o in range(out[2])]
    return {"rows": _spans(rows), "cols": _spans(cols)}


def _spans(spans: Sequence[slice]) -> dict[str, str]:
    return packed(np.array([[span.start, span.stop] for span in spans], np.int32))


def _notes(kind: str, shapes: Mapping[str, Shape], shares: Mapping[str, _Share]) -> list[str]:
    notes = []
    if kind == "float32":
        notes.append("Values are float32, as they were computed.")
    else:
        bits = np.dtype(kind).itemsize * 8
        notes.append(
            f"Values are rounded to {bits} bits of each map's range; each is shown with its "
            "precision."
        )
    cut = [
        name
        for name, share in shares.items()
        if _area(share.box) < shapes[name][1] * shapes[name][2]
    ]
    if cut:
        notes.append(f"Of {', '.join(cut)} the page holds the part around the unit it began with.")
    fewer = [name for name, share in shares.items() if len(share.channels) < shapes[name][3]]
    if fewer:
        notes.append(f"Of {', '.join(fewer)} the page holds some of the maps.")
    return notes
