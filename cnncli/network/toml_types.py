"""The types of layers of network files: what each computes, its fields, and what makes it.

The reader, the writer and the reference in docs/network-files.md use this one table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Any, Final

from cnncli._dataclass import dataclass
from cnncli.core import choices
from cnncli.core.activations import ACTIVATIONS
from cnncli.errors import OptionError
from cnncli.io.limits import MAX_CELLS
from cnncli.network import layers
from cnncli.network.layers import reduce
from cnncli.network.layers.axes import AXES
from cnncli.network.layers.blocks import BLOCK_ORDERS
from cnncli.network.layers.resize import COORDINATES, RESIZE_MODES, ROUNDINGS
from cnncli.network.layers.view import Dims, Layout
from cnncli.network.toml_schema import (
    ABOVE_ZERO,
    ACTIVATION,
    ACTIVATIONS_DEFAULT,
    BIAS,
    BLOCK,
    BORDER,
    FLAG,
    GROUPS,
    INDEX,
    INPUTS,
    LIMIT,
    LIMITS,
    MAX_NAME,
    NORM,
    NUMBER,
    NUMBERS,
    PADDING,
    PAIR,
    PART,
    SIZE,
    SOME_AXES,
    WEIGHTS,
    Field,
    as_tuple,
    is_axes,
    is_cells,
    is_finite,
    is_index,
    is_limit,
    is_name,
    is_numbers,
    is_order,
    is_shape,
    is_text,
    is_weights,
    is_whole,
    listed,
    one_of,
    required,
)


@dataclass(frozen=True)
class LayerType:
    """A type of layers.

    Parameters
    ----------
    about : str
        What it computes, in Markdown.
    fields : mapping of str to Field
        Besides those of every layer.
    make : callable, optional
        Makes the layer of its fields, arrays in place of what names them. None: it depends on the
        layers before.
    defaults : mapping of str to object
        Of fields for which `make` has none.
    """

    about: str
    fields: Mapping[str, Field]
    make: Callable[..., Any] | None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def joins(self) -> bool:
        """Whether it takes several inputs."""
        return "inputs" in self.fields


COMMON: Final[dict[str, Field]] = {
    "name": Field(is_name, f"a printable text of 1 to {MAX_NAME} letters"),
    "type": Field(is_text, "the kind of the layer", required=True),
    "inputs": INPUTS,
    "parameters": Field(
        lambda value: is_whole(value, 0),
        "how many of its numbers were learned, a whole number from 0 on",
        default="all of them",
    ),
}
"""Fields of every layer."""


def _view(
    permutation: tuple[int, ...],
    channels: int,
    axes: str = "nchw",
    flat: bool = False,
    shape: Dims | None = None,
    new_shape: tuple[int, ...] | None = None,
) -> layers.ViewLayer:
    if sorted(permutation) != [*range(len(permutation))]:
        raise OptionError(f"permutation must hold 0 to {len(permutation) - 1}, each once")
    return layers.ViewLayer(Layout(axes, flat, shape), permutation, channels, new_shape)


SEVERAL: Final = {"inputs": required(INPUTS)}
"""Of layers that take several inputs."""

_UNIT: Final = {"gamma": 1.0, "beta": 0.0}

NAMES_ELSEWHERE: Final = {
    **dict.fromkeys(("linear", "fc", "fully-connected", "gemm"), 'type = "dense"'),
    **dict.fromkeys(("flatten", "dropout"), "leave it out: a dense layer takes maps as they are"),
    **dict.fromkeys(("conv2d", "convolution"), 'type = "conv"'),
    **dict.fromkeys(("maxpool", "max-pool", "maxpool2d"), 'type = "pool" with mode = "max"'),
    **dict.fromkeys(("avgpool", "avg-pool", "avgpool2d"), 'type = "pool" with mode = "average"'),
    **dict.fromkeys(("batchnorm2d", "batch-norm", "bn"), 'type = "batchnorm"'),
    **dict.fromkeys(("upsample", "interpolate"), 'type = "resize"'),
    **{
        name: f'type = "activation" with activation = "{name}"'
        for name in ACTIVATIONS
        if name not in ("none", "abs", "pow", "softmax")
    },
}
"""What names of layers elsewhere are in a network file."""


LAYER_TYPES: Final[dict[str, LayerType]] = {
    "conv": LayerType(
        "Each value is the sum of the products of a window and a filter, plus a bias; then "
        "the activation. One map a filter; a 2-D filter works on every channel by itself.",
        {
            "filter": required(WEIGHTS),
            "filter_layout": one_of(choices.FILTER_LAYOUTS),
            "bias": BIAS,
            "flip": FLAG,
            "normalize": FLAG,
            "activation": ACTIVATION,
            "alpha": replace(NUMBERS, default=ACTIVATIONS_DEFAULT),
            "stride": PAIR,
            "padding": PADDING,
            **BORDER,
            "dilation": PAIR,
            "groups": GROUPS,
            "algorithm": one_of(("auto", *choices.ALGORITHM_NAMES)),
            "convention": replace(one_of(choices.CONVENTION_NAMES), default="cnncli's own"),
        },
        layers.ConvLayer,
        {"filter_layout": "hwio", "flip": False, "normalize": False},
    ),
    "pool": LayerType(
        "Each value is the largest, average or smallest of a window of its map, or `(sum of "
        "abs(x)^p)^(1/p)`.",
        {
            "mode": one_of(choices.POOL_MODES),
            "size": SIZE,
            "stride": replace(PAIR, default="the size"),
            "padding": PADDING,
            "dilation": PAIR,
            "ceil": FLAG,
            "count_include_pad": FLAG,
            "p": Field(
                lambda value: is_limit(value) and value > 0, "a number above 0", convert=float
            ),
            "convention": replace(one_of(choices.POOL_CONVENTION_NAMES), default="cnncli's own"),
        },
        layers.PoolLayer,
    ),
    "pad": LayerType(
        "A border around every map.",
        {"padding": required(PADDING), **BORDER},
        layers.PadLayer,
    ),
    "activation": LayerType(
        "A function of each value: one of [this table](#activations), with its settings.",
        {
            "activation": required(ACTIVATION),
            "alpha": replace(NUMBERS, default=ACTIVATIONS_DEFAULT),
            "beta": replace(NUMBER, default=ACTIVATIONS_DEFAULT),
            "low": replace(LIMIT, default=ACTIVATIONS_DEFAULT),
            "high": replace(LIMIT, default=ACTIVATIONS_DEFAULT),
        },
        layers.ActivationLayer,
    ),
    "batchnorm": LayerType(
        "`gamma * (x - mean) / sqrt(var + epsilon) + beta`, with numbers from the training; "
        "it is folded into the convolution before it.",
        {
            "gamma": NUMBERS,
            "beta": NUMBERS,
            "mean": required(NUMBERS),
            "var": required(NUMBERS),
            "epsilon": ABOVE_ZERO,
        },
        layers.BatchNormLayer,
        _UNIT,
    ),
    "instance-norm": LayerType(
        "`gamma * (x - mean) / sqrt(var + epsilon) + beta`, with mean and variance of each "
        "channel of the picture.",
        NORM,
        layers.InstanceNormLayer,
        _UNIT,
    ),
    "group-norm": LayerType(
        "As `instance-norm`, with mean and variance of groups of channels.",
        {"groups": required(GROUPS), **NORM},
        layers.GroupNormLayer,
        _UNIT,
    ),
    "layer-norm": LayerType(
        "As `instance-norm`, with mean and variance over some axes; by default those of each "
        "pixel over its channels.",
        {"axes": SOME_AXES, **NORM},
        layers.LayerNormLayer,
        _UNIT,
    ),
    "lrn": LayerType(
        "`x / (bias + alpha / size * squares)^beta`, squares summed over `size` channels "
        "around each.",
        {
            "size": required(Field(is_whole, f"a whole number of 1 to {MAX_CELLS}")),
            "alpha": NUMBER,
            "beta": NUMBER,
            "bias": NUMBER,
        },
        layers.LRNLayer,
    ),
    "reduce": LayerType(
        "One number of all values along some axes, which then have length 1. `l1` is the sum "
        "of magnitudes, `l2` the root of the sum of squares.",
        {"mode": one_of(reduce.MODES), "axes": SOME_AXES},
        layers.ReduceLayer,
    ),
    "softmax": LayerType(
        "Shares of 1 along some axes: `exp(x) / total`; their logarithms with `log`.",
        {"axes": SOME_AXES, "log": FLAG},
        layers.SoftmaxLayer,
    ),
    "scale": LayerType(
        "`factor * x + offset`; rounded to whole numbers with `whole`.",
        {"factor": NUMBERS, "offset": NUMBERS, "whole": FLAG},
        layers.ScaleLayer,
        {"factor": 1.0, "offset": 0.0},
    ),
    "cell-scale": LayerType(
        "`factor * x + offset` with numbers of each cell's own: one for all, or as many as the "
        "input, whose `shape` is [H, W, channels], has in that order.",
        {
            "shape": Field(
                lambda value: is_shape(value) and len(value) == 3,
                "[H, W, channels] with whole numbers above 0",
                required=True,
                convert=as_tuple,
            ),
            "factor": NUMBERS,
            "offset": NUMBERS,
        },
        layers.CellScaleLayer,
        {"factor": 1.0, "offset": 0.0},
    ),
    "quotient": LayerType(
        "`x / divisor` of whole numbers, without its fraction.",
        {"divisor": required(NUMBERS)},
        layers.QuotientLayer,
    ),
    "resize": LayerType(
        "The maps in another size: `size`, or by `scale`. `coordinates` and `rounding` are "
        "those of ONNX.",
        {
            "size": PAIR,
            "scale": Field(
                lambda value: all(is_finite(v) and v > 0 for v in listed(value, 2)),
                "a number above 0, or [H, W]",
                convert=as_tuple,
            ),
            "mode": one_of(RESIZE_MODES),
            "coordinates": one_of(tuple(COORDINATES)),
            "rounding": one_of(tuple(ROUNDINGS)),
        },
        layers.ResizeLayer,
    ),
    "depth-to-space": LayerType(
        "Channels as blocks of pixels (PyTorch's PixelShuffle). Channels are counted "
        "`channel-first` as in PyTorch or `block-first` as in TensorFlow.",
        {"block": required(BLOCK), "order": one_of(BLOCK_ORDERS)},
        layers.DepthToSpaceLayer,
    ),
    "space-to-depth": LayerType(
        "Blocks of pixels as channels: what `depth-to-space` undoes.",
        {"block": required(BLOCK), "order": one_of(BLOCK_ORDERS)},
        layers.SpaceToDepthLayer,
    ),
    "conv-transpose": LayerType(
        "Each value times a filter, added up where they overlap: the gradient of a "
        "convolution. `padding` is cut off, `output_padding` added below and on the right. "
        "Matrices take one channel, and make a channel each.",
        {
            "filter": required(WEIGHTS),
            "filter_layout": one_of(choices.FILTER_LAYOUTS),
            "bias": BIAS,
            "stride": PAIR,
            "padding": Field(
                lambda value: is_cells(value, (2, 4), 0),
                f"N, [H, W] or [TOP, BOTTOM, LEFT, RIGHT] {LIMITS.format(0)}",
                convert=as_tuple,
            ),
            "output_padding": Field(
                lambda value: is_cells(value, (2,), 0),
                f"N or [H, W] {LIMITS.format(0)}",
                convert=as_tuple,
            ),
            "dilation": PAIR,
            "groups": GROUPS,
        },
        layers.ConvTransposeLayer,
        {"filter_layout": "hwio"},
    ),
    "dense": LayerType(
        "A fully connected layer: a matrix times all values. It is `oihw` as in PyTorch, "
        "where values count channel by channel, or `hwio` as in Keras, pixel by pixel. If its "
        "input is neither a square nor one pixel, `size` in `[input]` or the first picture tells "
        "the size.",
        {
            "filter": Field(is_weights, "FILE, FILE:KEY, or a matrix", required=True),
            "filter_layout": one_of(choices.FILTER_LAYOUTS),
            "bias": BIAS,
            "activation": ACTIVATION,
            "alpha": replace(NUMBERS, default=ACTIVATIONS_DEFAULT),
        },
        None,
        {"filter_layout": "hwio", "activation": "none"},
    ),
    "slice": LayerType(
        "A part of the channels, rows and columns, as Python's slices take it.",
        {
            "start": INDEX,
            "stop": replace(INDEX, default="the end"),
            "step": replace(
                INDEX,
                accepts=lambda value: is_index(value) and value != 0,
                need="a whole number, not 0",
            ),
            "rows": PART,
            "columns": PART,
        },
        layers.SliceLayer,
    ),
    "view": LayerType(
        "The same values as a tensor of another order: counted in the order `axes` they have "
        "the `shape`, or are `flat`; `permutation` orders its axes anew, `new_shape` gives "
        "them other lengths. `channels` is how many the result has.",
        {
            "axes": Field(is_axes, "some of the letters n, h, w and c, each once"),
            "flat": FLAG,
            "shape": Field(
                lambda value: is_shape(value, open_axis=True),
                "a list of lengths above 0; one may be -1, for what is left",
                convert=lambda value: tuple(None if n == -1 else n for n in value),
            ),
            "permutation": Field(
                is_order, "a list of axes, counted from 0", required=True, convert=as_tuple
            ),
            "new_shape": Field(is_shape, "a list of lengths above 0", convert=as_tuple),
            "channels": required(Field(is_whole, f"a whole number of 1 to {MAX_CELLS}")),
        },
        _view,
    ),
    "pad-channels": LayerType(
        "Channels of one value each, before and after the input's.",
        {"before": replace(NUMBERS, default="none"), "after": replace(NUMBERS, default="none")},
        layers.PadChannelsLayer,
    ),
    "add": LayerType(
        "The sum of inputs of the same shape; one row, column or channel serves all.",
        SEVERAL,
        layers.AddLayer,
    ),
    "sub": LayerType("The first input minus the second.", SEVERAL, layers.SubLayer),
    "mul": LayerType("The product of inputs.", SEVERAL, layers.MulLayer),
    "div": LayerType("The first input divided by the second.", SEVERAL, layers.DivLayer),
    "max": LayerType("The largest of the inputs.", SEVERAL, layers.MaxLayer),
    "min": LayerType("The smallest of the inputs.", SEVERAL, layers.MinLayer),
    "matmul": LayerType(
        "Matrix products of two inputs: each row of maps is a matrix, its columns by its channels.",
        SEVERAL,
        layers.MatMulLayer,
    ),
    "concat": LayerType(
        "The inputs side by side along an axis.",
        {**SEVERAL, "axis": one_of(AXES)},
        layers.ConcatLayer,
    ),
}
"""What each type of layer is, by the names that network files call it."""

TOP_LEVEL: Final = ("input", "layers", "classes")
"""What stands at the top of a network file."""

INPUT_FIELDS: Final[dict[str, Field]] = {
    "gray": FLAG,
    "size": Field(
        is_cells,
        f"N or [H, W] {LIMITS.format(1)}",
        convert=lambda value: (value, value) if isinstance(value, int) else tuple(value),
    ),
    "fit": one_of(choices.FITS),
    "bgr": FLAG,
    "prep": one_of(tuple(choices.PREPARATIONS)),
    "scale": NUMBER,
    "mean": Field(is_numbers, "a number or a list of numbers", convert=as_tuple),
    "std": Field(is_numbers, "a number or a list of numbers, none of them 0", convert=as_tuple),
    "whole": FLAG,
    "channels": Field(is_whole, "a whole number above 0"),
}
"""Fields of ``[input]``."""
