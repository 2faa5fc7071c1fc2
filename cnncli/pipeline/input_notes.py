"""What is noted of an input image before anything is computed: what is likely to be a mistake."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnncli.io.images import Picture
from cnncli.io.samples import TYPED_SIDE
from cnncli.network.graph import Network
from cnncli.network.layers import ConvLayer
from cnncli.network.layers.base import border_of
from cnncli.network.preparation import InputScaleLayer
from cnncli.network.summary import unread_notes
from cnncli.pipeline.job import Job
from cnncli.render.result_record import recorded_ranges

_BYTE, _FULL = 255, 65_535
_FAR = 20
"""What no input of a network reaches that is of values of 0..1 with its mean and std."""
_FAINT = 0.02
"""Below this factor pixels of 0..1 are as good as all alike, and this share of them is no mean."""
_BRIGHT = 2
"""Multiples of white from which a number is taken for one of 8 or 16 bits."""


def notes_of(job: Job, picture: Picture) -> tuple[str, ...]:
    """Return what is to be said of an image before anything is computed."""
    return (
        *picture.notes,
        *job.notes,
        *job.network.notes(picture.shape),
        # Of a layer alone its output's line says it.
        *(unread_notes(job.network, picture.shape) if len(job.network.nodes) > 1 else ()),
        *white_notes(job, picture),
        *range_notes(picture),
        *_scale_notes(job.network, picture),
        *_filter_notes(job, picture),
        *(_choices(job.network, picture) if job.verbose else ()),
    )


def _filter_notes(job: Job, picture: Picture) -> tuple[str, ...]:
    """Say that a filter from a file is as large as the image, and so perhaps an image."""
    layer, (_, height, width, _) = job.network.nodes[-1].layer, picture.shape
    if job.layers or not isinstance(layer, ConvLayer) or not layer.filter.files:
        return ()
    rows, columns = layer.filter.window
    if min(height, width) <= TYPED_SIDE or rows < height or columns < width:
        return ()
    name = layer.filter.name
    return (f"filter {name} of {rows}x{columns} covers the whole image: it may be no filter",)


def range_notes(picture: Picture) -> tuple[str, ...]:
    """Say that a picture of ours stands for other values than the pixels that are read."""
    ranges = recorded_ranges(picture.record) if picture.is_picture else []
    low = min((mapping.lo for mapping, _ in ranges), default=0.0)
    high = max((mapping.hi for mapping, _ in ranges), default=1.0)
    if (low, high) == (0, 1):
        return ()
    return (
        f"this picture shows values of {low:.4g}..{high:.4g}, and is read as 0..1: "
        "--as-values reads the values",
    )


def _scale_notes(network: Network, picture: Picture) -> tuple[str, ...]:
    """Say that scale, mean and std are for values of 0..1, where they look like those of others."""
    scales = [node.layer for node in network.nodes if isinstance(node.layer, InputScaleLayer)]
    if not scales:
        return ()
    factor, offset = scales[0].factor, scales[0].offset
    if picture.levels is not None:
        white = f"white becomes {float(np.abs(factor + offset).max()):.4g}"
        if np.abs(factor).max() < _FAINT:
            return (f"{white}: pixels are 0..1 and need no division by 255",)
        is_other = (np.abs(offset) > 0) & (np.abs(offset) < _FAINT * np.abs(factor))
        is_other &= abs(scales[0].scale) > _FAR
        text = f"{white}: the mean is for pixels of 0..1, so leave the scale out"
        return (text,) if is_other.any() else ()
    if picture.is_picture or picture.scale != 1 or picture.pixels.dtype.kind != "f":
        return ()
    top = float(picture.pixels.max(initial=0))
    reached = float(np.abs(top * factor + offset).max())
    if top <= _BRIGHT or not _FAR < reached < np.inf:
        return ()
    return (
        f"numbers of up to {top:.4g} become up to {reached:.5g}: "
        "scale, mean and std are for values of 0..1",
    )


def _choices(network: Network, picture: Picture) -> tuple[str, ...]:
    choices = network.choices(picture.shape, picture.dtype)
    if not choices or network.pixel_dtype(picture.shape, picture.pixels.dtype) is None:
        return choices
    return (f"{choices[0]}; 8-bit pictures of the range 0..1 by shift-add on whole numbers",)


def white_notes(job: Job, picture: Picture) -> tuple[str, ...]:
    """Say that white is 1, of borders, biases and ranges that are meant for pixels of 8 bits."""
    if job.network.scales or not picture.is_picture:
        return ()
    numbers = dict(_numbers(job, picture))
    if not numbers or (picture.scale == 1 and picture.pixels.max() > 1):
        return ()
    return tuple(
        f"pictures hold 0..1, where white is 1: for {number:g} of {top} levels give "
        f"{option} {number / top:.4g}"
        for option, number in numbers.items()
        for top in (_BYTE if abs(number) <= _BYTE else _FULL,)
    )


def _numbers(job: Job, picture: Picture) -> Iterator[tuple[str, float]]:
    """Yield the options whose numbers are of 8 or 16 bits, with these."""
    for node in job.network.nodes:
        layer = node.layer
        value = getattr(layer, "pad_value", 0.0)
        if _BRIGHT <= abs(value) <= _FULL:
            source = job.network.shapes(picture.shape)[node.inputs[0]]
            if border_of(layer, source) == "zeros":
                yield "--pad-value", value
        if isinstance(layer, ConvLayer) and layer.filter.per_channel:
            bias = float(max(layer.parameters.get("b", np.zeros(1)), key=abs))
            if _BRIGHT <= abs(bias) <= _FULL:
                yield "--bias", bias
