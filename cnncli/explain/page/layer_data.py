"""The data of the page of one layer: an image, and the layer that the page applies to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.core.choices import ACTIVATION_NAMES
from cnncli.core.geometry import Box, Pair, Window, pair
from cnncli.explain.page.overview import overview_levels
from cnncli.filters.builtins import BUILTINS
from cnncli.filters.files import load_filter
from cnncli.io.images import Picture
from cnncli.network.graph import Network, input_groups
from cnncli.network.layers import ConvLayer, ConvTransposeLayer, PoolLayer, Shape
from cnncli.pipeline.auto_range import clips_by_default, lies_in_0_to_1
from cnncli.render.colormaps import table
from cnncli.render.finite_values import measure
from cnncli.render.grey_levels import choose_range
from cnncli.render.options import MapGroup

PageData = dict[str, Any]
PageLayer = ConvLayer | ConvTransposeLayer | PoolLayer
"""What a page of one layer computes."""

MOST_CELLS: Final = 512 * 512
"""Rows times columns of an image that are in a page; of a larger one, those around the unit."""

MOST_SPREAD: Final = 128 * 128
"""The same of an input of a transposed convolution, whose output is larger."""

MOST_BYTES: Final = 3 * 2**19
"""Memory of an image's pixels that are in a page."""

PRESETS: Final = (
    "identity",
    "box",
    "gaussian_5",
    "sharpen",
    "edge",
    "laplacian",
    "sobel_h",
    "sobel_v",
    "emboss",
    "line_45",
    "motion_blur_h",
    "roberts_a",
)
"""Built-in filters to choose from in a page."""

ACTIVATIONS: Final = (*ACTIVATION_NAMES, "prelu")
"""Those that a page computes; others need all channels of a pixel, or settings of their own."""


@dataclass(frozen=True)
class Unit:
    """The output value that a page begins with.

    Parameters
    ----------
    at : (row, column)
        Of the output.
    map : int
        Which picture of the output, as ``{map}`` counts them.
    image : int
        Which image of a batch.
    """

    at: Pair
    map: int = 0
    image: int = 0


def layer_page_data(
    picture: Picture,
    layer: PageLayer,
    unit: Unit,
    *,
    title: str,
    notes: Sequence[str] = (),
) -> PageData:
    """Return what the page of one layer shows.

    Parameters
    ----------
    picture : Picture
    layer : ConvLayer, ConvTransposeLayer or PoolLayer
        Its activation must be one of `ACTIVATIONS`.
    unit : Unit
        The output that the page begins with.
    title : str
        Such as the names of the image and the filter; may hold anything.
    notes : sequence of str
        On the image.

    Returns
    -------
    dict
        Data for ``layer/layer.js``: JSON and arrays, see `pack`. All are exact.

    Raises
    ------
    ShapeError
        If the layer does not fit.

    Examples
    --------
    >>> picture = Picture(np.zeros((1, 4, 6, 1), np.uint8), 255.0, True, False, (), "a.png")
    >>> data = layer_page_data(picture, PoolLayer(), Unit((1, 2)), title="a.png")
    >>> data["layer"]["mode"], data["input"]["size"], data["input"]["rows"]
    ('max', [4, 6], [0, 4])
    """
    _, height, width, channels = picture.shape
    shape: Shape = (1, height, width, channels)
    groups = input_groups(channels)
    most = min(MOST_CELLS, MOST_BYTES // (channels * picture.pixels.itemsize))
    if isinstance(layer, ConvTransposeLayer):
        box = _spread_crop(layer, shape, unit.at, min(most, MOST_SPREAD))
    else:
        pad_mode = layer.border_mode if isinstance(layer, ConvLayer) else "zeros"
        box = crop(layer.window(shape), pad_mode, unit.at, (height, width), most)
    return {
        "kind": "layer",
        "title": title,
        "input": image_record(picture, unit.image, box, groups),
        "layer": layer_settings(layer, shape, picture.dtype),
        "pictures": picture_list(layer.output_groups(groups)),
        "at": list(unit.at),
        "map": unit.map,
        "clipByDefault": clips_by_default(Network.chain(layer), picture),
        # The same for a picture that a user brings to the page.
        "clipsPictures": clips_by_default(Network.chain(layer), _any_photo(channels)),
        "tables": colour_tables(),
        "presets": [] if isinstance(layer, PoolLayer) else preset_records([layer.filter.name]),
        "notes": [*notes, *_crop_notes(layer, shape, unit.at, box)],
    }


def crop(window: Window, mode: str, at: Pair, size: Pair, most: int) -> Box:
    """Return at most so many cells of an image around those that an output is made from.

    Cells outside of them are never taken for padding: the page knows the image's whole size.

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> crop(place_window((3000, 4000), 3), "zeros", (0, 2000), (3000, 4000), MOST_CELLS)
    (slice(0, 512, None), slice(1745, 2257, None))
    """
    box = window.source((slice(at[0], at[0] + 1), slice(at[1], at[1] + 1)), mode)
    return _crop_around(box, (window.rows.middle(at[0]), window.cols.middle(at[1])), size, most)


def _spread_crop(layer: ConvTransposeLayer, shape: Shape, at: Pair, most: int) -> Box:
    """The same around the cells that add to an output; their outputs may be many."""
    box = layer.reads(shape, (slice(at[0], at[0] + 1), slice(at[1], at[1] + 1)))
    middles = min(box[0].start, shape[1] - 1), min(box[1].start, shape[2] - 1)
    return _crop_around(box, middles, shape[1:3], most)


def _crop_around(box: Box, middles: Pair, size: Pair, most: int) -> Box:
    """At most so many cells around a box, or where that has no cell, or too many, around a cell."""
    height, width = size
    if height * width <= most:
        return slice(0, height), slice(0, width)
    side = max(1, math.isqrt(most))
    rows = min(height, max(side, most // width))
    cols = min(width, max(1, most // rows))
    rows = min(height, max(1, most // cols))
    sides = []
    for part, middle, count, total in zip(box, middles, (rows, cols), size, strict=True):
        fits = 0 < part.stop - part.start <= count
        centre = (part.start + part.stop) // 2 if fits else middle
        sides.append(slice_around(centre, count, total))
    return sides[0], sides[1]


def slice_around(centre: int, count: int, size: int) -> slice:
    """Return so many cells of an axis around one of them.

    Examples
    --------
    >>> slice_around(5, 4, 10), slice_around(9, 4, 10)
    (slice(3, 7, None), slice(6, 10, None))
    """
    first = min(max(0, centre - count // 2), size - count)
    return slice(first, first + count)


def _pixels(pixels: NDArray[Any]) -> PageData:
    """Return pixels (rows, columns, channels); of whole numbers differences, which deflate well."""
    if pixels.dtype.kind != "u":
        return {"pixels": pixels}
    differences = pixels
    for axis in (0, 1):
        first = np.zeros_like(differences.take([0], axis))
        differences = np.diff(differences, axis=axis, prepend=first)
    return {"differences": differences}


def pack_spans(spans: Iterable[Sequence[int]]) -> list[list[int]]:
    """Return spans (first, end) as runs [first, end, step, count] of spans that are `step` apart.

    Examples
    --------
    >>> pack_spans([(0, 2), (0, 3), (1, 4), (2, 5), (3, 5)])
    [[0, 2, 0, 1], [0, 3, 1, 3], [3, 5, 0, 1]]
    """
    runs: list[list[int]] = []
    for first, end in spans:
        if runs:
            begin, stop, step, count = runs[-1]
            step = first - begin if count == 1 else step
            if (first, end) == (begin + count * step, stop + count * step):
                runs[-1][2:] = step, count + 1
                continue
        runs.append([first, end, 0, 1])
    return runs


def _any_photo(channels: int) -> Picture:
    """Return a picture such as a user may bring."""
    return Picture(np.zeros((1, 1, 1, channels), np.uint8), 255.0, True, False, (), "")


def image_record(picture: Picture, image: int, box: Box, groups: Sequence[MapGroup]) -> PageData:
    """Return the pixels of a box of an image, and how they are shown.

    Examples
    --------
    >>> picture = Picture(np.zeros((1, 4, 6, 1), np.uint8), 255.0, True, False, (), "a.png")
    >>> box = slice(0, 4), slice(0, 6)
    >>> record = image_record(picture, 0, box, [MapGroup("", (0,))])
    >>> record["size"], record["differences"].dtype.name, record["scale"]
    ([4, 6], 'uint8', 255.0)
    """
    rows, cols = box
    pixels = picture.pixels[image]
    values = measure(picture.scaled(pixels))
    clips = picture.is_picture and lies_in_0_to_1(picture)
    shown = choose_range(values, "auto", clip_by_default=clips)
    record: PageData = {
        "size": list(picture.shape[1:3]),
        "channels": picture.shape[3],
        "rows": [rows.start, rows.stop],
        "cols": [cols.start, cols.stop],
        "scale": picture.scale,
        "largest": max(map(abs, values.limits)),
        "range": {"kind": shown.kind, "lo": shown.lo, "hi": shown.hi},
        "pictures": picture_list(groups),
        **_pixels(pixels[rows, cols]),
    }
    if pixels[rows, cols].shape != pixels.shape:
        small = overview_levels(picture, image, groups[0].channels, shown)
        record["overview"] = {"size": list(small.shape[:2]), "levels": small}
    return record


def layer_settings(layer: PageLayer, shape: Shape, dtype: np.dtype[Any]) -> PageData:
    """Return the fields of a layer that the scripts in web/arithmetic compute with."""
    if isinstance(layer, ConvTransposeLayer):
        return _transposed(layer, shape, dtype)
    window = layer.window(shape)
    named = layer.padding if isinstance(layer.padding, str) else None
    common = {
        "op": layer.op,
        "kernel": list(window.kernel),
        "stride": [window.rows.stride, window.cols.stride],
        "padding": named or [side for axis in window.pads for side in axis],
        "dilation": [window.rows.dilation, window.cols.dilation],
        "single": dtype == np.float32,
    }
    return common | (_pool(layer) if isinstance(layer, PoolLayer) else _conv(layer, dtype))


def _transposed(layer: ConvTransposeLayer, shape: Shape, dtype: np.dtype[Any]) -> PageData:
    window, extra = layer.output_window(shape), pair(layer.output_padding, "output_padding", 0)
    out, bias = layer.channels_out, np.zeros(1) if layer.bias is None else layer.bias
    return {
        "op": layer.op,
        "kernel": list(window.kernel),
        "stride": [window.rows.stride, window.cols.stride],
        "padding": [side for axis in window.pads for side in axis],
        "outputPadding": list(extra),
        "dilation": [window.rows.dilation, window.cols.dilation],
        "single": dtype == np.float32,
        "weights": layer.as_convolution_weights().astype(dtype),
        "maps": out,
        "perChannel": False,
        "filterName": layer.filter.name,
        "kernelNames": [str(channel) for channel in range(out)],
        "groups": layer.groups,
        "bias": np.asarray(bias, dtype).reshape(-1),
        "padValue": np.zeros(1, dtype),
        "activation": "none",
        "alpha": None,
    }


def _pool(layer: PoolLayer) -> PageData:
    return {
        "mode": layer.mode,
        "ceil": layer.ceil,
        "countIncludePad": layer.count_include_pad,
        "p": np.array([layer.p], np.float64),
    }


def _conv(layer: ConvLayer, dtype: np.dtype[Any]) -> PageData:
    bias = layer.parameters.get("b", np.zeros(1))
    alpha = None if layer.alpha is None else layer.alpha.astype(dtype)
    return {
        "weights": layer.filter.weights.astype(dtype),
        "maps": layer.filter.maps,
        "perChannel": layer.filter.per_channel,
        "filterName": layer.filter.name,
        "kernelNames": list(layer.filter.map_names),
        "groups": layer.groups,
        "bias": np.asarray(bias, dtype).reshape(-1),
        "padMode": layer.border_mode,
        # An array as well: JSON has no infinity.
        "padValue": np.array([layer.pad_value], dtype),
        "activation": layer.activation,
        "alpha": alpha,
    }


def picture_list(groups: Sequence[MapGroup]) -> list[PageData]:
    """Return the names and channels of pictures."""
    return [{"name": group.name, "channels": list(group.channels)} for group in groups]


def colour_tables() -> PageData:
    """Return the colour tables of a page, 256 RGB colours each."""
    return {"diverging": table("diverging")}


def preset_records(used: Iterable[str] = ()) -> list[PageData]:
    """Return the built-in filters that a page offers: what they do, their weights row by row.

    Parameters
    ----------
    used : iterable of str
        Filters of the page's layers: the maps of built-in banks among them are added.

    Examples
    --------
    >>> preset_records()[0]["name"]
    'identity'
    """
    weights = {name: load_filter(name).weights[:, :, 0] for name in PRESETS}
    records = [
        {"name": name, "about": what_filter_does(name, rows), "rows": rows.tolist()}
        for name, rows in weights.items()
    ]
    return records + bank_map_records(used)


def bank_map_records(used: Iterable[str]) -> list[PageData]:
    """Return each map of built-in banks as `preset_records` does, where words tell what it does.

    Examples
    --------
    >>> bank_map_records(["robinson", "dct_8"])[-2]["about"]
    'edges; above 0: brighter towards the left'
    """
    records = []
    for name in sorted(BUILTINS.keys() & used):
        made, weights = BUILTINS[name], load_filter(name).weights
        for index, does in enumerate(made.map_summaries):
            rows = weights[:, :, 0, index].tolist()
            records.append({"name": made.map_names[index], "about": does, "rows": rows})
    return records


def what_filter_does(name: str, weights: NDArray[Any]) -> str:
    """Return what a built-in filter does and, if its weights add up to 0, what above 0 means.

    Examples
    --------
    >>> what_filter_does("sobel_v", load_filter("sobel_v").weights)
    'vertical edges; above 0: brighter to the right'
    """
    made = BUILTINS[name]
    return f"{made.summary}; above 0: {made.sign}" if abs(weights.sum()) < 1e-6 else made.summary


def _crop_notes(layer: PageLayer, shape: Shape, at: Pair, box: Box) -> list[str]:
    """Say what the page does not hold, and if even the output asked for needs some of it."""
    rows, cols = box
    _, height, width, _ = shape
    if (rows.stop - rows.start, cols.stop - cols.start) == (height, width):
        return []
    notes = [
        f"This page holds rows {rows.start} to {rows.stop - 1} and columns {cols.start} to "
        f"{cols.stop - 1} of an image of {height} rows and {width} columns. Outputs that need "
        "other pixels are left blank."
    ]
    needed = layer.reads(shape, (slice(at[0], at[0] + 1), slice(at[1], at[1] + 1)))
    is_padding = any(part.stop <= part.start for part in needed)
    pairs = zip(box, needed, strict=True)
    if not is_padding and any(p.start < b.start or p.stop > b.stop for b, p in pairs):
        notes.append(
            f"The page begins at another output: the one at row {at[0]}, column {at[1]} needs "
            "pixels that it does not hold."
        )
    return notes
