"""What a page shows, as plain data: an image and a layer, or a network with all its maps."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.choices import ACTIVATION_NAMES
from cnncli.core.geometry import Pair, Window
from cnncli.errors import OptionError
from cnncli.filters.files import load_filter
from cnncli.io.images import Picture
from cnncli.network.graph import Network, input_groups
from cnncli.network.layers import ConvLayer, PoolLayer, Shape
from cnncli.render.colormaps import table
from cnncli.render.levels import choose_range
from cnncli.render.options import MapGroup, RenderOptions

Scene = dict[str, Any]

MOST_CELLS: Final = 512 * 512
"""Rows times columns of an image that are in a page; of a larger one, those around the place."""

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
class Place:
    """What a page begins with.

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


def layer_scene(
    picture: Picture,
    layer: ConvLayer | PoolLayer,
    place: Place,
    *,
    title: str,
    render: RenderOptions | None = None,
    notes: Sequence[str] = (),
) -> Scene:
    """Return what the page of one layer shows.

    Parameters
    ----------
    picture : Picture
    layer : ConvLayer or PoolLayer
    place : Place
        The output that the page begins with.
    title : str
        Such as the names of the image and the filter; may hold anything.
    render : RenderOptions, optional
        Its range and colormap.
    notes : sequence of str
        What is to be said of the image.

    Returns
    -------
    dict
        JSON data for ``layer.js``. Arrays are base64 of little-endian numbers, and exact.

    Raises
    ------
    ShapeError, OptionError
        If the layer does not fit, there is no such output, or its activation needs more than one
        value.

    Examples
    --------
    >>> picture = Picture(np.zeros((1, 4, 6, 1), np.uint8), 255.0, True, False, (), "a.png")
    >>> scene = layer_scene(picture, PoolLayer(), Place((1, 2)), title="a.png")
    >>> scene["layer"]["mode"], scene["input"]["size"], scene["input"]["rows"]
    ('max', [4, 6], [0, 4])
    """
    shape: Shape = (1, *picture.shape[1:])
    check_place(place.at, layer.output_shape(shape))
    groups = input_groups(shape[3])
    held = held_cells(layer.window(shape), _pad_mode(layer), place.at, picture)
    looks = render or RenderOptions()
    return {
        "kind": "layer",
        "title": title,
        "input": _input(picture, place.image, held, groups),
        "layer": _layer(layer, shape, picture.dtype),
        "pictures": pictures_of(layer.output_groups(groups)),
        "at": list(place.at),
        "map": place.map,
        "range": looks.range if isinstance(looks.range, str) else list(looks.range),
        "clipByDefault": clips_by_default(Network.chain(layer), picture),
        "colormap": looks.colormap,
        "tables": tables_of(looks.colormap),
        "presets": _presets() if isinstance(layer, ConvLayer) else [],
        "notes": [*notes, *_crop_notes(held, picture), *_far_notes(layer, shape, place.at, held)],
    }


def check_place(at: Pair, shape: Shape) -> None:
    """Raise OptionError unless an output of that shape has that row and column.

    Examples
    --------
    >>> check_place((1, 2), (1, 2, 3, 1))
    """
    if not (0 <= at[0] < shape[1] and 0 <= at[1] < shape[2]):
        raise OptionError(f"--at must be 0,0 to {shape[1] - 1},{shape[2] - 1}, got {at[0]},{at[1]}")


def held_cells(window: Window, mode: str, at: Pair, picture: Picture) -> tuple[slice, slice]:
    """Return the rows and columns of an image that a page gets: all, or those around a place.

    What lies outside them is never taken for padding: the page knows the image's whole size.

    Examples
    --------
    >>> from cnncli.core.geometry import place_window
    >>> pixels = np.broadcast_to(np.zeros((), np.uint8), (1, 3000, 4000, 3))
    >>> picture = Picture(pixels, 255.0, True, False, (), "a.png")
    >>> held_cells(place_window((3000, 4000), 3), "zeros", (0, 2000), picture)
    (slice(0, 512, None), slice(1745, 2257, None))
    """
    _, height, width, channels = picture.shape
    each = channels * picture.pixels.itemsize
    return crop(window, mode, at, (height, width), min(MOST_CELLS, MOST_BYTES // each))


def crop(window: Window, mode: str, at: Pair, size: Pair, most: int) -> tuple[slice, slice]:
    """Return at most so many cells around those that an output is made from; never none."""
    height, width = size
    if height * width <= most:
        return slice(0, height), slice(0, width)
    side = max(1, math.isqrt(most))
    rows = min(height, max(side, most // width))
    cols = min(width, max(1, most // rows))
    rows = min(height, max(1, most // cols))
    box = window.source((slice(at[0], at[0] + 1), slice(at[1], at[1] + 1)), mode)
    middles = window.rows.middle(at[0]), window.cols.middle(at[1])
    sides = zip(box, middles, (rows, cols), size, strict=True)
    down, across = (_around(*side) for side in sides)
    return down, across


def _around(source: slice, middle: int, length: int, size: int) -> slice:
    """Cells of that many around a stretch of them, or around its middle if it is too long."""
    fits = 0 < source.stop - source.start <= length
    centre = (source.start + source.stop) // 2 if fits else middle
    first = min(max(0, centre - length // 2), size - length)
    return slice(first, first + length)


def packed(values: NDArray[Any]) -> dict[str, str]:
    """Return an array as base64 of little-endian numbers, with its type.

    Examples
    --------
    >>> packed(np.array([1, 2], np.uint8))
    {'dtype': 'uint8', 'data': 'AQI='}
    """
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return {"dtype": values.dtype.name, "data": base64.b64encode(little.tobytes()).decode()}


def _input(
    picture: Picture, image: int, held: tuple[slice, slice], groups: Sequence[MapGroup]
) -> Scene:
    rows, cols = held
    pixels = picture.pixels[image]
    shown = choose_range(picture.scaled(pixels), "auto", clip_by_default=picture.is_picture)
    return {
        "size": list(picture.shape[1:3]),
        "channels": picture.shape[3],
        "rows": [rows.start, rows.stop],
        "cols": [cols.start, cols.stop],
        "scale": picture.scale,
        "range": {"kind": shown.kind, "lo": shown.lo, "hi": shown.hi},
        "pictures": pictures_of(groups),
        **packed(pixels[rows, cols]),
    }


def _layer(layer: ConvLayer | PoolLayer, shape: Shape, dtype: np.dtype[Any]) -> Scene:
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


def _pool(layer: PoolLayer) -> Scene:
    return {
        "mode": layer.mode,
        "ceil": layer.ceil,
        "countIncludePad": layer.count_include_pad,
        "p": packed(np.array([layer.p], np.float64)),
    }


def _conv(layer: ConvLayer, dtype: np.dtype[Any]) -> Scene:
    if layer.activation not in ACTIVATIONS:
        raise OptionError(
            f"the page takes activations {', '.join(ACTIVATIONS)}, got {layer.activation!r}"
        )
    given = layer.parameters.get("b", np.zeros(1))
    alpha = None if layer.alpha is None else packed(layer.alpha.astype(dtype))
    return {
        "weights": packed(layer.filter.weights.astype(dtype)),
        "maps": layer.filter.maps,
        "perChannel": layer.filter.per_channel,
        "filterName": layer.filter.name,
        "kernelNames": list(layer.filter.map_names),
        "groups": layer.groups,
        "bias": packed(np.asarray(given, dtype).reshape(-1)),
        "padMode": layer.pad_mode,
        # An array as well: JSON has no infinity.
        "padValue": packed(np.array([layer.pad_value], dtype)),
        "activation": layer.activation,
        "alpha": alpha,
    }


def _pad_mode(layer: ConvLayer | PoolLayer) -> str:
    return layer.pad_mode if isinstance(layer, ConvLayer) else "zeros"


def clips_by_default(network: Network, picture: Picture, is_layer: bool = False) -> bool:
    """Tell whether the range auto is 0..1, as the commands have it for such a result.

    Examples
    --------
    >>> picture = Picture(np.zeros((1, 4, 6, 1), np.uint8), 255.0, True, False, (), "a.png")
    >>> clips_by_default(Network.chain(PoolLayer()), picture)
    True
    """
    if is_layer and network.gives_shares:
        return True
    pictures = network.filters_channels or (network.keeps_channels and picture.is_picture)
    return pictures and not network.scales


def pictures_of(groups: Sequence[MapGroup]) -> list[Scene]:
    return [{"name": group.name, "channels": list(group.channels)} for group in groups]


def tables_of(colormap: str) -> Scene:
    names = {"diverging", colormap} - {"gray"}
    return {name: base64.b64encode(table(name).tobytes()).decode() for name in sorted(names)}


def _presets() -> list[Scene]:
    filters = [load_filter(name) for name in PRESETS]
    return [{"name": each.name, "rows": each.weights[:, :, 0].tolist()} for each in filters]


def _crop_notes(held: tuple[slice, slice], picture: Picture) -> list[str]:
    rows, cols = held
    _, height, width, _ = picture.shape
    if (rows.stop - rows.start, cols.stop - cols.start) == (height, width):
        return []
    return [
        f"This page holds rows {rows.start} to {rows.stop - 1} and columns {cols.start} to "
        f"{cols.stop - 1} of an image of {height} rows and {width} columns. Its edges are no "
        "padding: outputs that need other pixels are left blank."
    ]


def _far_notes(
    layer: ConvLayer | PoolLayer, shape: Shape, at: Pair, held: tuple[slice, slice]
) -> list[str]:
    """Say when even the output that was asked for needs pixels from elsewhere."""
    box = layer.reads(shape, (slice(at[0], at[0] + 1), slice(at[1], at[1] + 1)))
    sides = zip(held, box, strict=True)
    empty = any(need.stop <= need.start for need in box)
    if empty or all(have.start <= need.start and need.stop <= have.stop for have, need in sides):
        return []
    return [
        f"The output at row {at[0]}, column {at[1]} needs pixels that this page does not hold: "
        "it begins at another."
    ]
