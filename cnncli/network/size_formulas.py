"""How the rows and columns of a layer's output come about, with the numbers filled in."""

from __future__ import annotations

from collections.abc import Sequence

from cnncli.network.layers import (
    ConcatLayer,
    ConvTransposeLayer,
    DepthToSpaceLayer,
    Layer,
    MergeLayer,
    ReduceLayer,
    ResizeLayer,
    Shape,
    SliceLayer,
    SpaceToDepthLayer,
)
from cnncli.network.layers.axes import AXES
from cnncli.network.layers.merge import Elementwise


def size_formulas(layer: Layer | MergeLayer, shapes: Sequence[Shape]) -> tuple[str, str]:
    """Return the formulas of rows and columns; empty where they are as many as the input's.

    Parameters
    ----------
    layer : Layer or MergeLayer
    shapes : sequence of Shape
        Of its inputs.

    Examples
    --------
    >>> size_formulas(ResizeLayer(scale=1.5), [(1, 5, 8, 3)])
    ('floor(5*1.5) = 7', 'floor(8*1.5) = 12')
    >>> size_formulas(SliceLayer(rows=(1, -1)), [(1, 5, 8, 3)])
    ('4-1 = 3', '')
    """
    window = layer.window(shapes[0])
    if window is not None:
        return window.rows.formula, window.cols.formula
    out = layer.output_shape(*shapes)
    rows, columns = (_formula(layer, shapes, side, out[1 + side]) for side in (0, 1))
    return rows, columns


def _formula(layer: Layer | MergeLayer, shapes: Sequence[Shape], side: int, out: int) -> str:
    size, text = shapes[0][1 + side], ""
    if isinstance(layer, ConvTransposeLayer):
        return layer.formulas(shapes[0])[side]
    if isinstance(layer, ResizeLayer):
        if layer.scale is None:
            return str(out)
        scale = layer.scale if isinstance(layer.scale, tuple) else (layer.scale, layer.scale)
        text = f"floor({size}*{scale[side]:g})"
    elif isinstance(layer, DepthToSpaceLayer):
        text = f"{size}*{layer.block}"
    elif isinstance(layer, SpaceToDepthLayer):
        text = f"{size}//{layer.block}"
    elif isinstance(layer, SliceLayer):
        part = (layer.rows, layer.columns)[side]
        text = "" if part is None else _slice_text(part, size)
    elif isinstance(layer, ConcatLayer) and layer.axis == AXES[side]:
        text = "+".join(str(shape[1 + side]) for shape in shapes)
    elif isinstance(layer, Elementwise) and out != size:
        # One row, or one column, of an input meets all of another.
        text = f"max({', '.join(str(shape[1 + side]) for shape in shapes)})"
    elif isinstance(layer, ReduceLayer) and AXES[side] in layer.axes:
        return str(out)
    return f"{text} = {out}" if text else ""


def _slice_text(part: Sequence[int], size: int) -> str:
    """Write the length of a slice with its ends counted from the start."""
    start, stop, step = slice(*part).indices(size)
    length = f"{stop}-{start}" if step > 0 else f"{start}-{stop}"
    return length if abs(step) == 1 else f"ceil(({length})/{abs(step)})"
