"""Convolution as a layer: a bank over all channels, 2-D filters on each, or a dense layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Final, Self

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.activations import Activation, get_activation, slope_gradient
from cnncli.core.algorithms.base import ConvTask
from cnncli.core.arrays import FloatArray, Shape, is_placeholder, placeholder
from cnncli.core.borders import border_mode, check_pad_mode
from cnncli.core.engine import Choice, Convolution, Finish, choose, prepare_convolution
from cnncli.core.geometry import Box, PaddingLike, Pair, Window, place_window
from cnncli.errors import ShapeError
from cnncli.filters.channels import check_channels, layout_notes
from cnncli.filters.filter import Filter
from cnncli.network.layers.base import (
    Gradients,
    LayerDefaults,
    Pointwise,
    RowSource,
    StripStage,
    is_open,
)
from cnncli.network.layers.pointwise import ActivationLayer, check_per_channel, shared_gradient
from cnncli.render.options import MapGroup, one_group_each

WHOLE: Final = np.dtype(np.int16)
"""What sums of 8-bit pixels with whole weights are computed in: exact, in half of the memory."""

WHOLE_ALGORITHM: Final = "shift-add"
"""The one that needs nothing but additions and products."""

MOST_TAPS: Final = 25
"""Weights of a kernel that are not 0, up to which no way to a picture through floats is faster."""

MOST_WEIGHT: Final = np.iinfo(WHOLE).max // 255
"""Sum of a kernel's magnitudes up to which no sum of pixels is beyond `WHOLE`."""

IMAGES_PER_PREPARATION: Final = 8
"""Images that share what a layer's filters take to be made ready, for the choice of an algorithm.

It is the same for one image as for many, so that its values are. Beside 1 the first image of
GoogLeNet takes 1 % longer, and each further one 7 % less."""


def dense_hint(values: int, channels: Iterable[int]) -> str:
    """Return what helps where a dense layer takes another number of values than it gets.

    Parameters
    ----------
    values : int
        What it takes.
    channels : iterable of int
        Those of its input, for each picture that the network may take.

    Examples
    --------
    >>> dense_hint(8, [16])
    '8 is no multiple of 16 channels: no size fits, but another filter, or other layers before it'
    """
    counts = dict.fromkeys(channels)
    if values in counts:
        missing = 'type = "pool", mode = "average", size = "global"'
        return f"one value a channel: a global pool before it may be missing ({missing})"
    if any(values % count == 0 for count in counts):
        return "images must have the network's size (--size H,W, or size in [input])"
    several = " or ".join(map(str, counts))
    return (
        f"{values} is no multiple of {several} channels: no size fits, but another filter, or "
        "other layers before it"
    )


@dataclass(frozen=True, eq=False)
class OneMap:
    """What one output channel of a convolution is made with.

    Parameters
    ----------
    weights : ndarray, shape (k_H, k_W, channels)
    channels : range
        The input channels that it reads.
    bias : float
    """

    weights: FloatArray
    channels: range
    bias: float


@dataclass(frozen=True, eq=False)
class ConvLayer(LayerDefaults):
    """One convolution: a bank over all channels, or 2-D filters on every channel on its own.

    Parameters
    ----------
    filter : Filter
        Weights, and the names of their maps.
    bias : ndarray, shape (maps of the filter,) or (1,), optional
        Default 0.
    stride, padding, dilation, groups, pad_value
        As in `conv_forward`.
    pad_mode : str
        As there, or ``auto``; `border_mode` is what it stands for.
    activation : str
        A name of `ACTIVATIONS`.
    alpha : ndarray, shape (channels out,) or (1,), optional
        Slopes of leaky-relu and prelu.
    algorithm : str
        ``auto``, or a name of `engine.ALGORITHMS`.
    after : Pointwise, optional
        Layers of the network that work on each pixel of the output: `folding.fold` sets it.

    Examples
    --------
    >>> from cnncli.filters.files import load_filter
    >>> layer = ConvLayer(load_filter("1 0 -1"), padding="same")
    >>> layer.output_shape((1, 4, 4, 3))
    (1, 4, 4, 3)
    """

    filter: Filter
    bias: FloatArray | None = None
    stride: int | Pair = 1
    padding: PaddingLike = "same"
    dilation: int | Pair = 1
    groups: int = 1
    pad_mode: str = "auto"
    pad_value: float = 0.0
    activation: str = "none"
    alpha: FloatArray | None = None
    algorithm: str = "auto"
    after: Pointwise | None = None
    op: ClassVar[str] = "conv"

    @property
    def keeps_channels(self) -> bool:
        """Whether each output channel is a picture of one input channel."""
        return self.filter.per_channel

    @property
    def border_mode(self) -> str:
        """What the border holds: one of `PAD_MODES`."""
        return border_mode(self.pad_mode, self.filter.per_channel)

    def output_shape(self, shape: Shape) -> Shape:
        """Check an input shape (m, n_H, n_W, n_C) and return the output's."""
        if self.after is None:
            self.activation_for(np.dtype(float))
        check_pad_mode(self.border_mode)
        check_channels(self.filter, shape[3], self.groups, shape[1])
        if self.bias is not None and np.shape(self.bias) not in ((1,), (self.filter.maps,)):
            raise ShapeError(
                f"the bias must hold 1 value or {self.filter.maps}, got shape {np.shape(self.bias)}"
            )
        maps = self._bank_shape(shape[3])[3]
        if self.alpha is not None:
            check_per_channel("alpha", self.alpha, maps)
        if self.after is not None:
            self.after.output_shape((1, 1, 1, maps))
        return (shape[0], *self.window(shape).out, maps)

    @property
    def parameters(self) -> Mapping[str, FloatArray]:
        """Weights ``W``, biases ``b``, and the slopes ``alpha`` of prelu."""
        bias = self.filter.bias if self.bias is None else self.bias
        alpha = self.alpha if self.activation == "prelu" else None
        arrays = {"W": self.filter.weights, "b": bias, "alpha": alpha}
        return {name: array for name, array in arrays.items() if array is not None}

    def with_parameters(self, values: Mapping[str, FloatArray]) -> Self:
        """Return the layer with some of its parameters exchanged."""
        fields: dict[str, Any] = dict(values)
        if "W" in fields:
            fields["filter"] = replace(self.filter, weights=fields.pop("W"))
        if "b" in fields:
            fields["bias"] = fields.pop("b")
        return replace(self, **fields)

    def window(self, shape: Shape) -> Window:
        """Return where the filters' window stands on an input of that shape."""
        return place_window(
            shape[1:3], self.filter.window, self.stride, self.padding, self.dilation
        )

    def multiply_adds(self, shape: Shape) -> int:
        """Return how many products the sums of an input of that shape have."""
        rows, columns, depth, maps = self._bank_shape(shape[3])
        n_H, n_W = self.window(shape).out
        return shape[0] * n_H * n_W * rows * columns * depth * maps

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the input cells that a box of output cells is computed from."""
        return self.window(shape).source(box, self.border_mode)

    def output_groups(self, groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each filter, or for 2-D filters each input group once a filter."""
        names = self.filter.map_names
        if not self.filter.per_channel:
            return one_group_each(names)
        channels = sum(len(group.channels) for group in groups)
        return tuple(
            MapGroup(
                "-".join(part for part in (name, group.name) if part),
                tuple(index * channels + channel for channel in group.channels),
            )
            for index, name in enumerate(names)
            for group in groups
        )

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Say when the filter is likely to be in the other layout."""
        return layout_notes(self.filter, shape[3], self.groups)

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare filters and strips for one image: the fast path of every command."""
        out = self.output_shape(shape)
        algorithm = WHOLE_ALGORITHM if dtype == WHOLE else self.algorithm
        plain = not self.filter.per_channel or 1 in (self.filter.maps, shape[3])
        finish = self._finish(dtype) if plain else None
        convolution = self._prepare(shape, dtype, algorithm, finish)
        rows, held = convolution.grid.rows, convolution.kernel.filter_bytes
        if convolution.W is not self.filter.weights:
            held += convolution.W.nbytes
        if plain:
            return StripStage(out, rows, convolution.read, convolution, held)
        assert self.after is None, "what is folded needs maps in the order of the filters"
        activate = self.activation_for(dtype).forward

        def read(source: RowSource, first: int, last: int) -> FloatArray:
            return activate(self._reorder(convolution.read(source, first, last), shape[3]))

        return StripStage(out, rows, read, None, held)

    def _finish(self, dtype: np.dtype[Any]) -> Finish | None:
        """Return what is done to the sums of each strip."""
        after = self.after
        if after is None and self.activation == "none":
            return None
        if after is None or isinstance(after, ActivationLayer):
            activation = (after or self).activation_for(dtype)
            return Finish(activation.overwrite, activation.each_alone)
        return Finish(after.overwrite, after.each_alone)

    def one_map(self, channel: int, channels: int, dtype: np.dtype[Any]) -> OneMap:
        """Return what one output channel is made with.

        Parameters
        ----------
        channel : int
            Of the output.
        channels : int
            Of the input.
        dtype : dtype
            Weights and bias are brought to it, as they are for a convolution of such an input.
        """
        weights, bias = self.filter.weights, self.parameters.get("b", np.zeros(1))
        if self.filter.per_channel:
            number, inputs = channel // channels, range(channel % channels, channel % channels + 1)
            kernel = weights[:, :, number, None]
        else:
            depth = weights.shape[2]
            group = channel // (self.filter.maps // self.groups)
            number, inputs = channel, range(group * depth, (group + 1) * depth)
            kernel = weights[:, :, :, number]
        shift = np.broadcast_to(bias.astype(dtype), (self.filter.maps,))[number]
        return OneMap(kernel.astype(dtype), inputs, float(shift))

    def pixel_dtype(self, shape: Shape, pixels: np.dtype[Any]) -> np.dtype[Any] | None:
        """Return `WHOLE` where sums of 8-bit pixels are whole and taps are few, else None."""
        return WHOLE if pixels == np.uint8 and self._adds_few_whole_numbers else None

    @cached_property
    def _adds_few_whole_numbers(self) -> bool:
        """Whether results of whole numbers are sums of few, each times a small whole number."""
        weights, bias = self.filter.weights, self.parameters.get("b")
        return bool(
            self.filter.per_channel
            and (self.algorithm, self.activation) == ("auto", "none")
            and (self.border_mode != "zeros" or self.pad_value == 0)
            and (bias is None or not np.any(bias))
            and not is_placeholder(weights)
            and np.count_nonzero(weights, axis=(0, 1)).max() <= MOST_TAPS
            and np.abs(weights).sum(axis=(0, 1)).max() <= MOST_WEIGHT
            and np.array_equal(weights, np.rint(weights))
        )

    def choice(self, shape: Shape, dtype: np.dtype[Any]) -> Choice:
        """Return the algorithm for an input of that shape, and why it was taken."""
        groups = self._groups(shape[3])
        if not is_placeholder(self.filter.weights):
            bank = self._bank(shape[3], dtype)
        elif groups != shape[3]:
            bank = placeholder(dtype, self._bank_shape(shape[3]))
        elif self.algorithm != "auto":
            return Choice(self.algorithm, "asked for")
        else:
            return Choice("auto", "depends on the filter's values, which plan does not read")
        task = ConvTask(self.window(shape), groups, 1, shape[3], bank.shape[3], dtype)
        return choose(bank, task, self.algorithm, IMAGES_PER_PREPARATION)

    def _prepare(
        self,
        shape: Shape,
        dtype: np.dtype[Any],
        algorithm: str,
        finish: Finish | None = None,
    ) -> Convolution:
        bank = self._bank(shape[3], dtype)
        return prepare_convolution(
            bank,
            self.window(shape),
            self._groups(shape[3]),
            (self.border_mode, self.pad_value),
            images=shape[0],
            bias=self._biases(bank),
            finish=finish,
            algorithm=algorithm,
            runs=IMAGES_PER_PREPARATION,
        )

    def activation_for(self, dtype: np.dtype[Any]) -> Activation:
        """Return the activation with its settings in that dtype."""
        slopes = {} if self.alpha is None else {"alpha": self.alpha.astype(dtype)}
        return get_activation(self.activation, **slopes)

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the activated feature maps."""
        Z = self._reorder(self._prepare(X.shape, X.dtype, "auto")(X), X.shape[3])
        A = self.activation_for(X.dtype).forward(Z)
        if self.after is not None:
            A = self.after.compute(A)
        return A, (X, Z, A)

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradients of the input, the filter (as given), the bias and the slopes."""
        # Imported here because commands that only go forward would load it for nothing.
        from cnncli.core.conv_gradients import gradients

        assert self.after is None, "a folded network has no backward pass"
        X, Z, A = cache
        channels = X.shape[3]
        dZ = self.activation_for(Z.dtype).backward(dY, Z, A)
        dX, dW, db = gradients(
            self._reorder(dZ, channels, back=True),
            X,
            self._bank(channels, X.dtype),
            self.window(X.shape),
            self._groups(channels),
            (self.border_mode, self.pad_value),
        )
        if self.filter.per_channel:
            kernels = self.filter.weights.shape[2]
            dW = dW.reshape(*dW.shape[:2], channels, kernels).sum(axis=2)
            db = db.reshape(channels, kernels).sum(axis=0)
        parameters = {"W": dW, "b": shared_gradient(db, self.parameters.get("b", db))}
        if self.activation == "prelu" and self.alpha is not None:
            parameters["alpha"] = shared_gradient(slope_gradient(dY, Z), self.alpha)
        return dX, parameters

    def _bank(self, channels: int, dtype: np.dtype[Any]) -> FloatArray:
        """The filters as `conv_forward` takes them: 2-D ones repeated for every channel."""
        weights = self.filter.weights.astype(dtype, copy=False)
        if not self.filter.per_channel:
            return weights
        return np.tile(weights, (1, 1, channels))[:, :, None, :]

    def _bank_shape(self, channels: int) -> Shape:
        rows, columns, *_ = self.filter.weights.shape
        if self.filter.per_channel:
            return rows, columns, 1, self.filter.maps * channels
        return rows, columns, self.filter.weights.shape[2], self.filter.maps

    def _biases(self, bank: FloatArray) -> FloatArray | None:
        bias = self.parameters.get("b")
        if bias is None:
            return None
        if bias.size == 1 or not self.filter.per_channel:
            return bias.astype(bank.dtype, copy=False)
        return np.tile(bias.astype(bank.dtype), bank.shape[3] // self.filter.maps)

    def _groups(self, channels: int) -> int:
        return channels if self.filter.per_channel else self.groups

    def _reorder(self, Z: FloatArray, channels: int, *, back: bool = False) -> FloatArray:
        """Bring grouped output (channel by channel) into pictures (filter by filter), or back."""
        if not self.filter.per_channel or 1 in (self.filter.maps, channels):
            return Z
        split = (self.filter.maps, channels) if back else (channels, self.filter.maps)
        return Z.reshape(*Z.shape[:3], *split).swapaxes(3, 4).reshape(Z.shape)


@dataclass(frozen=True, eq=False)
class DenseLayer(ConvLayer):
    """A fully connected layer: each unit is one filter as large as the input.

    Examples
    --------
    >>> from cnncli.network.dense import dense_bank
    >>> layer = DenseLayer(dense_bank("fc", np.ones((8, 3)), (2, 4, 1), "hwc"))
    >>> layer.output_shape((1, 2, 4, 1))
    (1, 1, 1, 3)
    """

    padding: PaddingLike = "valid"
    op: ClassVar[str] = "dense"

    def output_shape(self, shape: Shape) -> Shape:
        """Check that the input has as many values as the matrix takes, and return the output's."""
        rows, columns, channels = self.filter.weights.shape[:3]
        if shape[1:] != (rows, columns, channels) and not is_open(shape):
            raise ShapeError(
                f"its matrix takes {rows * columns * channels} values "
                f"({rows}x{columns}x{channels}), not {'x'.join(map(str, shape[1:]))}",
                hint=dense_hint(rows * columns * channels, shape[3:]),
            )
        images, _, _, maps = super().output_shape(shape)
        return images, 1, 1, maps
