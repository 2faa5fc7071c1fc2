"""The stored data of the page of a network: every layer's maps, and which cells read which."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Box, Pair
from cnncli.explain.page.channels import channel_spans, channels_behind
from cnncli.explain.page.layer_data import (
    MOST_CELLS,
    PageData,
    Unit,
    colour_tables,
    pack_spans,
    picture_list,
    slice_around,
)
from cnncli.explain.page.settings_data import network_settings, sums_of_all
from cnncli.io.images import Picture
from cnncli.network.graph import SOURCE, Network, Node, input_groups
from cnncli.network.inner_cells import box_area, inner_cells
from cnncli.network.layers import FloatArray, Shape
from cnncli.network.passes import forward_layers, held_bytes
from cnncli.network.summary import LayerSummary, summarize
from cnncli.pipeline.auto_range import clips_by_default
from cnncli.pipeline.feature_maps import FeatureMaps
from cnncli.render.finite_values import measure
from cnncli.render.grey_levels import LevelMapping
from cnncli.render.layer_ranges import layer_ranges
from cnncli.render.options import MapGroup
from cnncli.render.result_rows import ArrayRows
from cnncli.render.scores import MOST_BARS, largest, winner
from cnncli.system.memory import check_memory
from cnncli.system.progress import track

BUDGET: Final = 7 * 2**19
"""Bytes of all values in a page."""

ROOM_FOR_WHOLE: Final = BUDGET // 4
"""Values of the smallest layers, which are in a page with all of their maps."""

MOST_MAPS: Final = 64
"""Channels of each other layer that are in a page."""

MOST_SCORES: Final = 4096
"""The same, of a layer that is small, such as one of one row and one column."""

MOST_WANTED: Final = 3
"""Channels of a layer before the unit that feed it and are in the page in any case."""

_MOST_NAMED: Final = 3
"""Layers that a note names."""

_LENGTHS: Final = (512, 256, 128, 64, 32)
_DTYPES: Final = ("float32", "uint16", "uint8")


@dataclass(frozen=True)
class _LayerPart:
    """The part of a layer that is in the page: a box of cells, and some channels."""

    box: Box
    channels: tuple[int, ...]

    @property
    def size(self) -> int:
        """Values that it holds."""
        return box_area(self.box) * len(self.channels)

    def is_whole(self, shape: Shape) -> bool:
        """Whether that is all of the layer."""
        return self.size == math.prod(shape)


def stored_network_page_data(
    network: Network,
    picture: Picture,
    layer: str,
    unit: Unit,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> PageData:
    """Run a network on an image and return what its page shows; as `network_page_data`.

    Returns
    -------
    dict
        Data for ``network/network.js``. Values are float32 where they fit into `BUDGET`, and else
        rounded to 16 or 8 bits of each map's range, which the page says.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> picture = Picture(np.zeros((1, 8, 8, 1), np.uint8), 255.0, True, False, (), "a.png")
    >>> network = Network.chain(PoolLayer(), PoolLayer())
    >>> data = stored_network_page_data(network, picture, "pool2", Unit((1, 0)), title="a.png")
    >>> [layer["name"] for layer in data["layers"]]
    ['input', 'pool1', 'pool2']
    """
    shape: Shape = (1, *picture.shape[1:])
    shapes, groups = network.shapes(shape), network.groups(input_groups(shape[3]))
    most = max(held_bytes(network, shape, picture.dtype).values())
    check_memory(most, "keeping the layers' outputs", "a smaller image")
    first = groups[layer][unit.map].channels
    behind = channels_behind(network, shapes, layer, first)
    wanted = {name: tuple(span[:MOST_WANTED]) for name, span in behind.items()} | {layer: first}
    parts = _choose_parts(shapes, _centres(network, shapes, layer, unit.at), wanted)
    dtype = _choose_dtype(parts)
    X = picture.values()[unit.image : unit.image + 1]
    values, not_finite = {}, {}
    sums: dict[str, PageData] = {}
    for name, Y in ((SOURCE, X), *forward_layers(network, X, network.names)):
        own, common = _ranges(network, name, Y, picture, groups[name])
        found = _values(Y[0], parts[name], groups[name], own, dtype)
        values[name] = found | {"range": _range_record(common)}
        not_finite[name] = measure(Y).non_finite
        if not parts[name].is_whole(shapes[name]):
            readers = [node for node in network.nodes if name in node.inputs]
            sums |= {one.name: _sums_of(one, Y, parts[one.name], parts[name]) for one in readers}
    used = sum(part.size for part in parts.values()) * np.dtype(dtype).itemsize
    settings, weight_notes = network_settings(network, shapes, picture.dtype, used, sums)
    facts = [*_notes(dtype, shapes, parts), *weight_notes, *_not_finite_notes(not_finite)]
    return {
        "kind": "network",
        "title": title,
        "layers": _layer_records(network, shapes, values, settings),
        "unit": {"layer": layer, "map": unit.map, "at": list(unit.at)},
        "tables": colour_tables(),
        "notes": [*notes, *facts],
    }


def _layer_records(
    network: Network,
    shapes: Mapping[str, Shape],
    values: Mapping[str, PageData],
    settings: Mapping[str, PageData | None],
) -> list[PageData]:
    """Return what is told of the input and of each layer, with its values and settings."""
    shape = shapes[SOURCE][1:]
    source = {"name": SOURCE, "label": "input", "shape": list(shape), "inputs": [], "reads": []}
    records = [source | values[SOURCE]]
    summaries = summarize(network, shape).layers
    nodes = track(network.nodes, "describing the layers", len(network.nodes))
    for node, summary in zip(nodes, summaries, strict=True):
        facts = _layer_facts(node, shapes, summary)
        records.append(facts | values[node.name] | {"settings": settings[node.name]})
    return records


def _sums_of(node: Node, X: FloatArray, part: _LayerPart, source: _LayerPart) -> PageData:
    return sums_of_all(node.layer, X, part.box, part.channels, source.channels)


def _choose_dtype(parts: Mapping[str, _LayerPart]) -> str:
    """Return the most exact type by which all values fit into the budget."""
    size = sum(part.size for part in parts.values())
    fitting = [dtype for dtype in _DTYPES if size * np.dtype(dtype).itemsize <= BUDGET]
    return (*fitting, _DTYPES[-1])[0]


def _ranges(
    network: Network, name: str, Y: FloatArray, picture: Picture, groups: Sequence[MapGroup]
) -> tuple[list[LevelMapping], LevelMapping]:
    """Return the range of each of a layer's maps, and their ``--shared-range``, as on its sheet."""
    if name == SOURCE:
        rows, clips = ArrayRows(Y), picture.is_picture
    else:
        part = network.until(name)
        bounds = FeatureMaps(part, picture).sum_bounds
        rows = ArrayRows(Y, inner_cells(part, (1, *picture.shape[1:])), bounds)
        clips = clips_by_default(part, picture)
    own = layer_ranges(rows, groups, "auto", clips)
    return own, layer_ranges(rows, groups, "auto", clips, shared=True)[0]


def _range_record(mapping: LevelMapping) -> PageData:
    return {"kind": mapping.kind, "lo": mapping.lo, "hi": mapping.hi}


def _centres(
    network: Network, shapes: Mapping[str, Shape], layer: str, at: Pair
) -> dict[str, Pair]:
    """Return the cell of every layer around which a page shows it, where it cannot show all."""
    one = slice(at[0], at[0] + 1), slice(at[1], at[1] + 1)
    reads = network.reads(shapes[SOURCE], layer, one)
    output, centres = shapes[layer], {}
    for name, shape in shapes.items():
        if name in reads and all(side.stop > side.start for side in reads[name]):
            rows, cols = reads[name]
            centres[name] = (rows.start + rows.stop) // 2, (cols.start + cols.stop) // 2
        else:
            # Layers behind or beside the unit: the same part of the picture.
            centres[name] = at[0] * shape[1] // output[1], at[1] * shape[2] // output[2]
    return centres


def _choose_parts(
    shapes: Mapping[str, Shape],
    centres: Mapping[str, Pair],
    wanted: Mapping[str, tuple[int, ...]],
) -> dict[str, _LayerPart]:
    """Share the budget out: as many cells of each layer as fit, then as many maps."""

    def size(boxes: Mapping[str, Box], most: int) -> int:
        return sum(box_area(box) * min(most, shapes[name][3]) for name, box in boxes.items())

    boxes: dict[str, Box] = {}
    for length in _LENGTHS:
        boxes = {name: _box(shape, centres[name], length) for name, shape in shapes.items()}
        if size(boxes, 3) <= BUDGET - ROOM_FOR_WHOLE:
            break
    whole = _whole_layers(shapes, boxes)
    room = BUDGET - size({name: boxes[name] for name in whole}, MOST_SCORES)
    others = {name: box for name, box in boxes.items() if name not in whole}
    most = MOST_MAPS
    while most > 3 and size(others, most) > room:
        most -= 1
    parts = {}
    for name, box in boxes.items():
        count = min(shapes[name][3], MOST_SCORES if name in whole else most)
        missing = [channel for channel in wanted.get(name, ()) if channel >= count]
        channels = (*range(max(0, count - len(missing))), *missing)
        parts[name] = _LayerPart(box, channels)
    return parts


def _whole_layers(shapes: Mapping[str, Shape], boxes: Mapping[str, Box]) -> set[str]:
    """Return the layers that keep all maps, as the arithmetic behind them needs: the smallest."""
    sizes = {name: box_area(box) * shapes[name][3] for name, box in boxes.items()}
    whole, used = set(), 0
    for name in sorted(sizes, key=sizes.__getitem__):
        used += sizes[name]
        if used > ROOM_FOR_WHOLE:
            break
        whole.add(name)
    return whole


def _box(shape: Shape, centre: Pair, length: int) -> Box:
    """A square of cells around a centre, or all cells if they are as few."""
    if shape[1] * shape[2] <= min(length * length, MOST_CELLS):
        return slice(0, shape[1]), slice(0, shape[2])
    rows, cols = (
        slice_around(middle, min(size, length), size)
        for middle, size in zip(centre, shape[1:3], strict=True)
    )
    return rows, cols


def _values(
    values: FloatArray,
    part: _LayerPart,
    groups: Sequence[MapGroup],
    ranges: Sequence[LevelMapping],
    dtype: str,
) -> PageData:
    """Return the values of the chosen channels, the ranges of their maps, and the largest."""
    rows, cols = part.box
    planes = np.ascontiguousarray(values[rows, cols][:, :, part.channels].transpose(2, 0, 1))
    seen = [measure(plane) for plane in planes]
    ends, steps = [one.limits for one in seen], [0.0] * len(seen)
    if dtype != "float32":
        steps = [(hi - lo) / _levels(dtype) for lo, hi in ends]
        planes = np.stack(
            [
                _round(plane, lo, step, dtype)
                for plane, (lo, _), step in zip(planes, ends, steps, strict=True)
            ]
        )
    not_finite = {c: one.non_finite for c, one in zip(part.channels, seen, strict=True)}
    scores, best = [], None
    if values.shape[:2] == (1, 1) and len(groups) == values.shape[2] > 1:
        of_maps = values[0, 0, [group.channels[0] for group in groups]]
        scores, best = largest(of_maps, MOST_BARS), winner(of_maps)
    return {
        "rows": [rows.start, rows.stop],
        "cols": [cols.start, cols.stop],
        "channels": list(part.channels),
        "ends": [list(pair) for pair in ends],
        "steps": steps,
        "pictures": _pictures(groups, ranges, not_finite),
        "maps": len(groups),
        "largest": scores,
        "winner": best,
        "values": planes.astype(dtype, copy=False),
    }


def _pictures(
    groups: Sequence[MapGroup], ranges: Sequence[LevelMapping], not_finite: Mapping[int, int]
) -> list[PageData]:
    """Return the pictures of those groups whose channels are on the page, with their ranges."""
    pictures = []
    for index, (group, record) in enumerate(zip(groups, picture_list(groups), strict=True)):
        if set(group.channels) <= not_finite.keys():
            shown = _range_record(ranges[index])
            count = sum(not_finite[channel] for channel in group.channels)
            pictures.append({**record, "index": index, "range": shown, "notFinite": count})
    return pictures


def _levels(dtype: str) -> int:
    """Return how many steps a map's values are rounded to; three codes stand for other values."""
    return int(np.iinfo(dtype).max) - 3


def _round(plane: FloatArray, lo: float, step: float, dtype: str) -> np.ndarray:
    """Return the number of steps from the smallest value to each; the last codes tell others."""
    most = np.iinfo(dtype).max
    steps = np.nan_to_num((plane.astype(np.float64) - lo) / (step or 1.0))
    codes = np.rint(np.clip(steps, 0, _levels(dtype) if step else 0))
    codes[np.isnan(plane)] = most
    codes[np.isposinf(plane)] = most - 1
    codes[np.isneginf(plane)] = most - 2
    return codes


def _layer_facts(node: Node, shapes: Mapping[str, Shape], summary: LayerSummary) -> PageData:
    window, output, one = summary.window, shapes[node.name], slice(0, 1)
    reads = []
    # For each output row, column and channel the input's that it depends on.
    inputs = [shapes[name] for name in node.inputs]
    for number, shape in enumerate(inputs):
        rows = [node.layer.reads(shape, (slice(o, o + 1), one))[0] for o in range(output[1])]
        cols = [node.layer.reads(shape, (one, slice(o, o + 1)))[1] for o in range(output[2])]
        channels = channel_spans(node.layer, inputs, number, output[3])
        ends = ([(side.start, side.stop) for side in sides] for sides in (rows, cols))
        spans = (*ends, channels.tolist())
        reads.append(dict(zip(("rows", "cols", "channels"), map(pack_spans, spans), strict=True)))
    return {
        "name": node.name,
        "label": summary.label,
        "shape": list(summary.shape),
        "inputs": list(node.inputs),
        "formula": None if window is None else [window.rows.formula, window.cols.formula],
        "field": [summary.field[0].size, summary.field[1].size],
        "parameters": summary.parameters,
        "reads": reads,
    }


def _notes(dtype: str, shapes: Mapping[str, Shape], parts: Mapping[str, _LayerPart]) -> list[str]:
    notes = ["Values are float32, as computed."]
    if dtype != "float32":
        bits = np.dtype(dtype).itemsize * 8
        notes = [
            f"Values are rounded to {bits} bits of each map's range; each is shown with its "
            "precision."
        ]
    cut = [n for n, part in parts.items() if box_area(part.box) < shapes[n][1] * shapes[n][2]]
    if cut:
        notes.append(f"The page holds only a part of {', '.join(cut)}, around the first unit.")
    fewer = [name for name, part in parts.items() if len(part.channels) < shapes[name][3]]
    if fewer:
        notes.append(f"The page holds only some maps of {', '.join(fewer)}.")
    return notes


def _not_finite_notes(counts: Mapping[str, int]) -> list[str]:
    """Say which layers have values that are no numbers, the first of many."""
    found = [f"{count} values of {name}" for name, count in counts.items() if count]
    if not found:
        return []
    more = f" and of {len(found) - _MOST_NAMED} more layers" if len(found) > _MOST_NAMED else ""
    return [f"NaN or infinite, drawn in magenta: {', '.join(found[:_MOST_NAMED])}{more}."]
