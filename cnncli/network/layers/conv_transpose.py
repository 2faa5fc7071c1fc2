"""Transposed convolution: each input cell adds its filters, times its value, to the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Axis, Box, PaddingLike, Pair, Window, explicit_pads, pair
from cnncli.core.receptive_field import Reading
from cnncli.errors import OptionError, ShapeError
from cnncli.filters.filter import Filter
from cnncli.network.layers.base import Gradients, LayerDefaults, RowSource, StripStage
from cnncli.network.layers.conv import ConvLayer
from cnncli.render.options import MapGroup, numbered_groups


@dataclass(frozen=True)
class _Axis:
    """One axis: input cell i adds to the outputs from ``i*stride - begin`` on."""

    size: int
    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int
    extra: int

    @property
    def extent(self) -> int:
        """Output cells from the first tap to the last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def out(self) -> int:
        """Output cells."""
        reach = self.stride * (self.size - 1) + self.extent + self.extra
        return reach - self.begin - self.end

    @property
    def formula(self) -> str:
        """The output size with its numbers filled in."""
        pads = f"2*{self.begin}" if self.begin == self.end else f"{self.begin}-{self.end}"
        reach = f"({self.size}-1)*{self.stride}+{self.extent}" + (
            f"+{self.extra}" if self.extra else ""
        )
        return f"{reach}-{pads} = {self.out}"

    def source(self, first: int, last: int) -> slice:
        """The input cells that outputs ``[first, last)`` are made of."""
        low = first + self.begin - (self.extent - 1)
        start = min(max(0, -(-low // self.stride)), self.size)
        stop = max(start, min(self.size, (last - 1 + self.begin) // self.stride + 1))
        return slice(start, stop)

    def place(self, first: int, cells: slice) -> slice:
        """Where those cells stand in a row of zeros that begins where output `first` needs it."""
        begin = cells.start * self.stride - (first + self.begin - (self.extent - 1))
        return slice(begin, begin + (cells.stop - cells.start - 1) * self.stride + 1, self.stride)


@dataclass(frozen=True, eq=False)
class ConvTransposeLayer(LayerDefaults):
    """One transposed convolution: what the gradient of a convolution is to its output.

    Parameters
    ----------
    filter : Filter
        That of the convolution whose gradient it is, (kh, kw, channels out / groups, channels in):
        Keras's layout, and with ``oihw`` PyTorch's and ONNX's.
    bias : ndarray, shape (channels out,) or (1,), optional
    stride, dilation : int or (h, w)
    padding : int, (h, w) or (top, bottom, left, right)
        Rows and columns cut off the output's sides.
    output_padding : int or (h, w)
        Further rows and columns at the end.
    groups : int

    Examples
    --------
    >>> from cnncli.filters.filter import from_array
    >>> layer = ConvTransposeLayer(from_array(np.ones((2, 2, 1, 1))), stride=2)
    >>> layer.forward(np.arange(1.0, 3).reshape(1, 1, 2, 1))[0][0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """

    filter: Filter
    bias: FloatArray | None = None
    stride: int | Pair = 1
    padding: PaddingLike = 0
    output_padding: int | Pair = 0
    dilation: int | Pair = 1
    groups: int = 1
    op: ClassVar[str] = "conv-transpose"
    keeps_channels: ClassVar[bool] = False

    @property
    def channels_out(self) -> int:
        """Channels of the output."""
        return int(self.filter.weights.shape[2]) * self.groups

    @property
    def parameters(self) -> Mapping[str, FloatArray]:
        """Weights ``W`` and biases ``b``."""
        return {"W": self.filter.weights} | ({} if self.bias is None else {"b": self.bias})

    def with_parameters(self, values: Mapping[str, FloatArray]) -> ConvTransposeLayer:
        """Return the layer with some of its parameters exchanged."""
        bank = replace(self.filter, weights=values.get("W", self.filter.weights))
        return replace(self, filter=bank, bias=values.get("b", self.bias))

    def window(self, shape: Shape) -> None:
        """Return None: it has no window on its input."""
        return

    def notes(self, shape: Shape) -> tuple[str, ...]:
        """Return nothing: every input will do."""
        return ()

    def multiply_adds(self, shape: Shape) -> int:
        """Return how many products the sums of an input of that shape have."""
        return shape[0] * shape[1] * shape[2] * self.filter.weights.size

    def formulas(self, shape: Shape) -> tuple[str, str]:
        """Return how rows and columns of the output come about."""
        rows, columns = self._axes(shape)
        return rows.formula, columns.formula

    def _axes(self, shape: Shape) -> tuple[_Axis, _Axis]:
        if isinstance(self.padding, str):
            raise OptionError(f"padding of conv-transpose must be numbers, got {self.padding!r}")
        stride, dilation = pair(self.stride, "stride"), pair(self.dilation, "dilation")
        pads, extra = explicit_pads(self.padding), pair(self.output_padding, "output_padding", 0)
        rows, cols = (
            _Axis(shape[1 + k], self.filter.window[k], stride[k], dilation[k], *pads[k], extra[k])
            for k in (0, 1)
        )
        return rows, cols

    def output_shape(self, shape: Shape) -> Shape:
        """Check an input shape (m, n_H, n_W, n_C) and return the output's."""
        if self.filter.per_channel or self.filter.weights.ndim != 4:
            raise ShapeError("the filter of conv-transpose must have four axes")
        if self.filter.maps != shape[3] or shape[3] % self.groups:
            groups = f" in {self.groups} groups" if self.groups > 1 else ""
            raise ShapeError(
                f"the filter takes {self.filter.maps} channels{groups}, got {shape[3]}"
            )
        if self.bias is not None and self.bias.shape not in ((1,), (self.channels_out,)):
            raise ShapeError(
                f"the bias must hold 1 value or {self.channels_out}, got shape {self.bias.shape}"
            )
        rows, cols = self._axes(shape)
        if min(rows.out, cols.out) < 1:
            raise ShapeError(f"padding leaves nothing of the output, {rows.out}x{cols.out}")
        return shape[0], rows.out, cols.out, self.channels_out

    def output_groups(self, groups: Sequence[MapGroup]) -> tuple[MapGroup, ...]:
        """Return one group for each channel of the output."""
        return numbered_groups(self.channels_out)

    def output_window(self, shape: Shape) -> Window:
        """Return the window on the output by which each input cell adds to it.

        It is that of the convolution whose gradient the layer is: what is cut off is its padding.

        Examples
        --------
        >>> from cnncli.filters.filter import from_array
        >>> layer = ConvTransposeLayer(from_array(np.ones((3, 3, 1, 1))), stride=2, padding=1)
        >>> layer.output_window((1, 4, 4, 1)).rows.under(0)
        [(-1, None), (0, 0), (1, 1)]
        """
        rows, cols = (
            Axis(one.out, one.kernel, one.stride, one.dilation, one.begin, one.end)
            for one in self._axes(shape)
        )
        return Window(rows, cols)

    def reads(self, shape: Shape, box: Box) -> Box:
        """Return the input cells that a box of output cells is made of."""
        rows, cols = self._axes(shape)
        return rows.source(box[0].start, box[0].stop), cols.source(box[1].start, box[1].stop)

    def reading(self, shape: Shape, axis: int) -> Reading:
        """Return which input cells outputs read along rows (0) or columns (1).

        Examples
        --------
        >>> from cnncli.filters.filter import from_array
        >>> layer = ConvTransposeLayer(from_array(np.ones((3, 3, 1, 1))), stride=2)
        >>> layer.reading((1, 4, 4, 1), 0).cells(2, 3)
        (0, 2)
        """
        one = self._axes(shape)[axis]
        return Reading(1, one.stride, one.begin - one.extent + one.stride, one.begin)

    def taps(self, shape: Shape, axis: int, at: int) -> list[Pair]:
        """Return the input cells along an axis that an output is made of, each with its tap.

        Examples
        --------
        >>> from cnncli.filters.filter import from_array
        >>> layer = ConvTransposeLayer(from_array(np.ones((3, 3, 1, 1))), stride=2)
        >>> layer.taps((1, 4, 4, 1), 0, 2)
        [(0, 2), (1, 0)]
        """
        one = self._axes(shape)[axis]
        cells = one.source(at, at + 1)
        places = [(i, at + one.begin - i * one.stride) for i in range(cells.start, cells.stop)]
        return [(i, d // one.dilation) for i, d in places if d % one.dilation == 0]

    def reached(self, shape: Shape, axis: int, cell: int) -> list[Pair]:
        """Return the outputs along an axis that an input cell adds to, each with its tap.

        Examples
        --------
        >>> from cnncli.filters.filter import from_array
        >>> layer = ConvTransposeLayer(from_array(np.ones((3, 3, 1, 1))), stride=2, padding=1)
        >>> layer.reached((1, 4, 4, 1), 0, 0), layer.reached((1, 4, 4, 1), 0, 1)
        ([(0, 1), (1, 2)], [(1, 0), (2, 1), (3, 2)])
        """
        one = self._axes(shape)[axis]
        first = cell * one.stride - one.begin
        outputs = [(first + tap * one.dilation, tap) for tap in range(one.kernel)]
        return [(output, tap) for output, tap in outputs if 0 <= output < one.out]

    def as_convolution_weights(self) -> FloatArray:
        """Return the weights in the layout of a convolution's, (kh, kw, channels in / groups, out).

        Examples
        --------
        >>> from cnncli.filters.filter import from_array
        >>> layer = ConvTransposeLayer(from_array(np.ones((3, 2, 1, 8))), groups=2)
        >>> layer.as_convolution_weights().shape
        (3, 2, 4, 2)
        """
        kh, kw, out, _ = self.filter.weights.shape
        split = self.filter.weights.reshape(kh, kw, out, self.groups, -1)
        return split.transpose(0, 1, 4, 3, 2).reshape(kh, kw, -1, self.groups * out)

    @cached_property
    def _convolution(self) -> ConvLayer:
        """The convolution that does it on the input with zeros between its cells."""
        weights = self.as_convolution_weights()[::-1, ::-1]
        names = tuple(map(str, range(weights.shape[3])))
        bank = replace(
            self.filter, weights=np.ascontiguousarray(weights), map_names=names, bias=None
        )
        return ConvLayer(
            bank, self.bias, padding="valid", dilation=self.dilation, groups=self.groups
        )

    def _spread(self, X: FloatArray, shape: Shape, rows: tuple[int, int], begin: int) -> FloatArray:
        """Return the zeros with input rows from `begin` on that some output rows are made of."""
        down, across = self._axes(shape)
        first, last = rows
        height, width = last - first + down.extent - 1, across.out + across.extent - 1
        Z = np.zeros((len(X), height, width, X.shape[3]), X.dtype)
        cells = across.source(0, across.out)
        place = down.place(first, slice(begin, begin + X.shape[1])), across.place(0, cells)
        if X.shape[1] and cells.stop > cells.start:
            Z[:, place[0], place[1]] = X[:, :, cells]
        return Z

    def stage(self, shape: Shape, dtype: np.dtype[Any]) -> StripStage:
        """Prepare the convolution for strips of one image; zeros go into a strip's rows alone."""
        out, (down, across) = self.output_shape(shape), self._axes(shape)
        spread = (1, out[1] + down.extent - 1, out[2] + across.extent - 1, shape[3])
        inner = self._convolution.stage(spread, dtype)

        def read(source: RowSource, first: int, last: int) -> FloatArray:
            def spread_rows(begin: int, end: int) -> FloatArray:
                outputs = begin, end - down.extent + 1
                needed = down.source(*outputs)
                empty = needed.start == needed.stop
                nothing = np.zeros((1, 0, *shape[2:]), dtype)
                X = nothing if empty else source(needed.start, needed.stop)
                return self._spread(X, shape, outputs, needed.start)

            return inner.read(spread_rows, first, last)

        return StripStage(out, inner.step, read, filter_bytes=inner.filter_bytes)

    def forward(self, X: FloatArray) -> tuple[FloatArray, Any]:
        """Return the output."""
        rows = self._axes(X.shape)[0]
        used = rows.source(0, rows.out)
        Z = self._spread(X[:, used], X.shape, (0, rows.out), used.start)
        Y, cache = self._convolution.forward(Z)
        return Y, (X.shape, cache)

    def backward(self, dY: FloatArray, cache: Any) -> tuple[FloatArray, Gradients]:
        """Return the gradients of the input, the filter (as given) and the bias."""
        shape, inner = cache
        dZ, gradients = self._convolution.backward(dY, inner)
        rows, cols = self._axes(shape)
        used = rows.source(0, rows.out), cols.source(0, cols.out)
        dX = np.zeros(shape, dY.dtype)
        dX[:, used[0], used[1]] = dZ[:, rows.place(0, used[0]), cols.place(0, used[1])]
        kh, kw, out, maps = self.filter.weights.shape
        split = gradients["W"].reshape(kh, kw, -1, self.groups, out)
        dW = split.transpose(0, 1, 4, 3, 2).reshape(kh, kw, out, maps)[::-1, ::-1]
        bias = {} if self.bias is None else {"b": gradients["b"]}
        return dX, {"W": dW, **bias}
