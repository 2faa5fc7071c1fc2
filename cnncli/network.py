"""Everything is a network: frozen layers, and the one path that runs them forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from cnncli.core.activation import get_activation
from cnncli.core.conv import conv_backward, conv_forward, conv_plan, conv_window
from cnncli.core.engine import Choice
from cnncli.core.geometry import PaddingLike, Pair, Window, check_pad_mode, place_window
from cnncli.core.hyper import CONV_DEFAULTS, POOL_DEFAULTS, read_hparameters
from cnncli.core.padding import pad_borders, pad_borders_backward, pad_rows
from cnncli.core.pool import check_mode, pool_backward, pool_forward, pool_rows, pool_window
from cnncli.errors import OptionError, ShapeError
from cnncli.filters import Filter
from cnncli.fitting import check_channels, layout_notes
from cnncli.maps import MapGroup

FloatArray = NDArray[np.floating]
Shape = tuple[int, int, int, int]
Gradients = dict[str, FloatArray]


Rows = Callable[[int, int], FloatArray]
"""``rows(first, last)``: those rows of one image, shape (1, rows, n_W, n_C)."""

STRIP_BYTES: Final = 2**20
"""Output of layers other than convolutions that is made at a time."""


@dataclass(frozen=True)
class Stage:
    """A layer that makes any rows of its output from the rows of its input they need.

    Parameters
    ----------
    shape : (1, n_H, n_W, n_C)
        Of one image's whole output.
    step : int
        Rows to ask for at a time; the bytes are the same however they are asked for.
    read : callable
        ``read(source, first, last)`` makes rows ``[first, last)``, asking ``source`` for input.
    """

    shape: Shape
    step: int
    read: Callable[[Rows, int, int], FloatArray]


class Layer(Protocol):
    """What a network asks of a layer."""

    op: ClassVar[str]

    @property
    def keeps_channels(self) -> bool:
        """Whether each output channel is a picture of one input channel."""

    def output_shape(self, shape: Shape) -> Shape:
        """Check an input shape (m, n_H, n_W, n_C) and return the output's."""

    def output_groups(self, groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return which output channels belong together, and their names."""

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Say what is likely to be a mistake for an input of that shape."""

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> Stage:
        """Prepare the layer for strips of one image of that shape and dtype."""

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the layer's output and the cache its backward pass needs."""

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the input, and of each parameter by name."""


@dataclass(frozen=True)
class PadLayer:
    """A border around height and width.

    Examples
    --------
    >>> PadLayer(padding=(1, 2)).output_shape((1, 4, 4, 3))
    (1, 6, 8, 3)
    """

    padding: PaddingLike
    pad_mode: str = "zeros"
    pad_value: float = 0.0
    op: ClassVar[str] = "pad"
    keeps_channels: ClassVar[bool] = True

    def window(self, shape: Shape) -> Window:
        """Return the window of one cell whose pads are this layer's."""
        return place_window((shape[1], shape[2]), kernel=1, padding=self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        """Check an input shape (m, n_H, n_W, n_C) and return the output's."""
        check_pad_mode(self.pad_mode)
        return (shape[0], *self.window(shape).out, shape[3])

    def output_groups(self, groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return the groups as they came."""
        return tuple(groups)

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Return nothing: every input will do."""
        return ()

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> Stage:
        """Prepare the border for strips of one image."""
        out, pads = self.output_shape(shape), self.window(shape).pads
        # One value seen as a whole image: only its shape and dtype count.
        like = np.broadcast_to(np.zeros((), dtype), (1, *shape[1:]))

        def read(source: Rows, first: int, last: int) -> FloatArray:
            return pad_rows(source, like, pads, (self.pad_mode, self.pad_value), first, last)

        return Stage(out, _step(out, dtype), read)

    def forward(self, X: FloatArray) -> tuple[FloatArray, Shape]:
        """Return the padded batch."""
        shape: Shape = X.shape
        return pad_borders(X, self.window(shape).pads, self.pad_mode, self.pad_value), shape

    def backward(self, dY: FloatArray, cache: Shape) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the batch before padding."""
        return pad_borders_backward(dY, self.window(cache).pads, self.pad_mode), {}


@dataclass(frozen=True, eq=False)
class ConvLayer:
    """One convolution: a bank over all channels, or 2-D filters on every channel on its own.

    Parameters
    ----------
    filter : Filter
        Weights, and the names of their maps.
    bias : ndarray, shape (maps of the filter,) or (1,), optional
        Default 0.
    stride, padding, dilation, groups, pad_mode, pad_value
        As in `conv_forward`.
    activation : str
        A name of `ACTIVATIONS`.
    algorithm : str
        ``auto``, or a name of `engine.ALGORITHMS`.

    Examples
    --------
    >>> from cnncli.filters import load_filter
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
    pad_mode: str = "zeros"
    pad_value: float = 0.0
    activation: str = "none"
    algorithm: str = "auto"
    op: ClassVar[str] = "conv"

    @property
    def keeps_channels(self) -> bool:
        """Whether each output channel is a picture of one input channel."""
        return self.filter.per_channel

    def output_shape(self, shape: Shape) -> Shape:
        """Check an input shape (m, n_H, n_W, n_C) and return the output's."""
        get_activation(self.activation)
        check_pad_mode(self.pad_mode)
        check_channels(self.filter, shape[3], self.groups)
        if self.bias is not None and np.shape(self.bias) not in ((1,), (self.filter.maps,)):
            raise ShapeError(
                f"the bias must hold 1 value or {self.filter.maps}, got shape {np.shape(self.bias)}"
            )
        bank = self._bank_shape(shape[3])
        window = conv_window(shape, bank, self._fields(shape[3]))
        return (shape[0], *window.out, bank[3])

    def output_groups(self, groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each filter, or for 2-D filters each input group once a filter."""
        names = self.filter.map_names
        if not self.filter.per_channel:
            return tuple(MapGroup(name, (index,)) for index, name in enumerate(names))
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

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> Stage:
        """Prepare filters and strips for one image: the fast path of every command."""
        out = self.output_shape(shape)
        bank = self._bank(shape[3], dtype)
        options = self._hparameters(shape[3])
        layer = conv_plan((1, *shape[1:]), bank, self._biases(bank), options, self.algorithm)
        activate = get_activation(self.activation).forward

        def read(source: Rows, first: int, last: int) -> FloatArray:
            Z = layer.rows(lambda _, rows: source(rows.start, rows.stop), first, last, jobs=1)
            return activate(self._reorder(Z, shape[3]))

        return Stage(out, layer.grid.rows, read)

    def choice(self, shape: Shape, dtype: np.dtype[Any]) -> Choice:
        """Return the algorithm for an input of that shape, and why it was taken."""
        bank = self._bank(shape[3], dtype)
        options = self._hparameters(shape[3])
        layer = conv_plan((1, *shape[1:]), bank, self._biases(bank), options, self.algorithm)
        return layer.choice

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the activated feature maps."""
        channels = X.shape[3]
        bank = self._bank(channels, X.dtype)
        Z, cache = conv_forward(X, bank, self._biases(bank), self._hparameters(channels))
        Z = self._reorder(Z, channels)
        A = get_activation(self.activation).forward(Z)
        return A, (cache, Z, A)

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradients of the input, the filter (as it was given) and the bias."""
        conv_cache, Z, A = cache
        channels = conv_cache[0].shape[3]
        dZ = get_activation(self.activation).backward(dY, Z, A)
        dX, dW, db = conv_backward(self._restore_order(dZ, channels), conv_cache)
        if self.filter.per_channel:
            kernels = self.filter.weights.shape[2]
            dW = dW.reshape(*dW.shape[:2], channels, kernels).sum(axis=2)
            db = db.reshape(channels, kernels).sum(axis=0)
        return dX, {"W": dW, "b": db.reshape(-1)}

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

    def _biases(self, bank: FloatArray) -> FloatArray:
        bias = self.filter.bias if self.bias is None else self.bias
        if bias is None:
            bias = np.zeros(1)
        each = np.broadcast_to(np.asarray(bias, bank.dtype), (self.filter.maps,))
        return np.tile(each, bank.shape[3] // self.filter.maps).reshape(1, 1, 1, -1)

    def _hparameters(self, channels: int) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "pad": self.padding,
            "dilation": self.dilation,
            "groups": channels if self.filter.per_channel else self.groups,
            "pad_mode": self.pad_mode,
            "pad_value": self.pad_value,
        }

    def _fields(self, channels: int) -> dict[str, Any]:
        return read_hparameters(self._hparameters(channels), CONV_DEFAULTS)

    def _reorder(self, Z: FloatArray, channels: int) -> FloatArray:
        """Bring grouped output (channel by channel) into pictures (filter by filter)."""
        kernels = len(self.filter.map_names)
        if not self.filter.per_channel or kernels == 1 or channels == 1:
            return Z
        split = Z.reshape(*Z.shape[:3], channels, kernels)
        return split.swapaxes(3, 4).reshape(Z.shape)

    def _restore_order(self, dZ: FloatArray, channels: int) -> FloatArray:
        if not self.filter.per_channel:
            return dZ
        split = dZ.reshape(*dZ.shape[:3], len(self.filter.map_names), channels)
        return split.swapaxes(3, 4).reshape(dZ.shape)


@dataclass(frozen=True)
class PoolLayer:
    """One pooling layer.

    Parameters
    ----------
    mode : {"max", "average", "min", "lp"}
    size : int, (h, w) or "global"
    stride : int, (h, w) or None
        None: the size.
    padding, dilation, ceil, count_include_pad, p
        As in `pool_forward`.

    Examples
    --------
    >>> PoolLayer(size=3, stride=2).output_shape((1, 7, 8, 3))
    (1, 3, 3, 3)
    """

    mode: str = "max"
    size: int | Pair | str = 2
    stride: int | Pair | None = None
    padding: PaddingLike = "valid"
    dilation: int | Pair = 1
    ceil: bool = False
    count_include_pad: bool = False
    p: float = 2.0
    op: ClassVar[str] = "pool"
    keeps_channels: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        """Check an input shape (m, n_H, n_W, n_C) and return the output's."""
        check_mode(self.mode)
        fields = read_hparameters(self._hparameters(), POOL_DEFAULTS)
        return (shape[0], *pool_window(shape, fields).out, shape[3])

    def output_groups(self, groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return the groups as they came."""
        return tuple(groups)

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Say when windows meet pads only, and so have no largest or smallest value."""
        if self.mode not in ("max", "min"):
            return ()
        window = pool_window(shape, read_hparameters(self._hparameters(), POOL_DEFAULTS))
        rows, cols = (axis.counts(include_pad=False) > 0 for axis in (window.rows, window.cols))
        empty = rows.size * cols.size - int(rows.sum()) * int(cols.sum())
        return (f"{empty} windows meet pads only, and hold no finite value",) if empty else ()

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> Stage:
        """Prepare the pool for strips of one image."""
        out, options = self.output_shape(shape), self._hparameters()
        rows = pool_window(shape, read_hparameters(options, POOL_DEFAULTS)).rows
        if not rows.always_meets_input:
            # Windows of pads only have no input rows to ask for: one strip takes them all.
            return Stage(out, out[1], lambda source, a, b: self._whole(source, shape)[:, a:b])
        one = (1, *shape[1:])

        def read(source: Rows, first: int, last: int) -> FloatArray:
            return pool_rows(source, one, options, self.mode, first, last)

        # A strip's input must not be much larger than its output.
        return Stage(out, max(1, _step(out, dtype) // rows.stride), read)

    def works_on_pixels(self, shape: Shape) -> bool:
        """Whether whole numbers can be pooled as they are: extremes, and none of pads only."""
        return self.mode in ("max", "min") and not self.notes(shape)

    def _whole(self, source: Rows, shape: Shape) -> FloatArray:
        return self.forward(source(0, shape[1]))[0]

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the pooled maps."""
        return pool_forward(X, self._hparameters(), self.mode)

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the maps before pooling."""
        return pool_backward(dY, cache, self.mode), {}

    def _hparameters(self) -> dict[str, Any]:
        return {
            "f": self.size,
            "stride": self.stride,
            "pad": self.padding,
            "dilation": self.dilation,
            "ceil": self.ceil,
            "count_include_pad": self.count_include_pad,
            "p": self.p,
        }


@dataclass(frozen=True)
class ActivationLayer:
    """An activation on its own.

    Examples
    --------
    >>> ActivationLayer("relu").output_shape((1, 4, 4, 3))
    (1, 4, 4, 3)
    """

    activation: str
    op: ClassVar[str] = "activation"
    keeps_channels: ClassVar[bool] = True

    def output_shape(self, shape: Shape) -> Shape:
        """Check the activation's name and return the shape."""
        get_activation(self.activation)
        return shape

    def output_groups(self, groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return the groups as they came."""
        return tuple(groups)

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Return nothing: every input will do."""
        return ()

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> Stage:
        """Prepare nothing: values are activated where they stand."""
        activate = get_activation(self.activation).forward
        out = (1, *shape[1:])
        return Stage(out, _step(out, dtype), lambda source, a, b: activate(source(a, b)))

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the activated values."""
        A = get_activation(self.activation).forward(X)
        return A, (X, A)

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradient of the values before the activation."""
        Z, A = cache
        return get_activation(self.activation).backward(dY, Z, A), {}


@dataclass(frozen=True)
class Network:
    """A chain of layers.

    Examples
    --------
    >>> network = Network((PadLayer(1), PoolLayer("max", 2)))
    >>> network.output_shape((1, 4, 6, 3))
    (1, 3, 4, 3)
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise OptionError("a network must have at least one layer")

    @property
    def op(self) -> str:
        """The last layer's kind, which names the output."""
        return self.layers[-1].op

    @property
    def keeps_channels(self) -> bool:
        """Whether every output channel is a picture of one input channel."""
        return all(layer.keeps_channels for layer in self.layers)

    @property
    def filters_channels(self) -> bool:
        """Whether 2-D filters work in it, and nothing that mixes channels."""
        return self.keeps_channels and any(isinstance(v, ConvLayer) for v in self.layers)

    def output_shape(self, shape: Shape) -> Shape:
        """Check every layer's shapes in turn and return the last output's.

        Raises
        ------
        ShapeError, OptionError
            As the first layer that does not fit says.
        """
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def output_groups(self, groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return which output channels belong together, and their names."""
        for layer in self.layers:
            groups = layer.output_groups(groups)
        return tuple(groups)

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Return what the layers say of an input of that shape."""
        said: tuple[str, ...] = ()
        for layer in self.layers:
            said += layer.notes(shape)
            shape = layer.output_shape(shape)
        return said

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> Stage:
        """Prepare all layers for strips of one image: each asks the one before for its rows."""
        chain = self.layers[0].stage(shape, dtype)
        for layer in self.layers[1:]:
            chain = _after(chain, layer.stage(chain.shape, dtype))
        return chain

    def works_on_pixels(self, shape: Shape) -> bool:
        """Whether the whole numbers of a picture can go through without becoming floats."""
        (first, *more) = self.layers
        return not more and isinstance(first, PoolLayer) and first.works_on_pixels(shape)

    def choices(self, shape: Shape, dtype: np.dtype[Any]) -> tuple[str, ...]:
        """Say which algorithm each convolution takes, and why."""
        said: tuple[str, ...] = ()
        for layer in self.layers:
            if isinstance(layer, ConvLayer):
                choice = layer.choice(shape, dtype)
                said += (f"computed by {choice.algorithm}: {choice.reason}",)
            shape = layer.output_shape(shape)
        return said

    def forward(self, X: FloatArray) -> FloatArray:
        """Return the last layer's output; no cache is kept.

        Examples
        --------
        >>> Network((PoolLayer("average", "global"),)).forward(np.ones((1, 3, 3, 1))).item()
        1.0
        """
        for layer in self.layers:
            X, _ = layer.forward(X)
        return X


def input_groups(channels: int) -> tuple[MapGroup, ...]:
    """Return the groups of an input: one colour picture for 3 channels, else each channel alone.

    Examples
    --------
    >>> input_groups(1), input_groups(3)[0].channels, [g.name for g in input_groups(2)]
    ((MapGroup(name='', channels=(0,)),), (0, 1, 2), ['0', '1'])
    """
    if channels == 1:
        return (MapGroup("", (0,)),)
    if channels == 3:
        return (MapGroup("", (0, 1, 2)),)
    return tuple(MapGroup(str(channel), (channel,)) for channel in range(channels))


def _after(before: Stage, stage: Stage) -> Stage:
    """Return two stages as one: the second asks the first for its input."""

    def read(source: Rows, first: int, last: int) -> FloatArray:
        return stage.read(lambda begin, end: before.read(source, begin, end), first, last)

    return Stage(stage.shape, stage.step, read)


def _step(shape: Shape, dtype: np.dtype[Any]) -> int:
    return max(1, STRIP_BYTES // (shape[2] * shape[3] * dtype.itemsize))
