"""The result of a network on an image, computed in strips of rows on threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import count
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.io.images import Picture
from cnncli.network.graph import Network
from cnncli.network.inner_cells import inner_cells
from cnncli.network.layers import (
    ActivationLayer,
    AddLayer,
    BatchNormLayer,
    ConcatLayer,
    ConvLayer,
    ConvTransposeLayer,
    DepthToSpaceLayer,
    MaxLayer,
    MinLayer,
    PadChannelsLayer,
    PadLayer,
    PoolLayer,
    ResizeLayer,
    ScaleLayer,
    Shape,
    SliceLayer,
    SpaceToDepthLayer,
    StripStage,
    SubLayer,
    ViewLayer,
)
from cnncli.network.layers.base import rows_at_once
from cnncli.network.layers.norm import Normalization
from cnncli.network.passes import forward_layers, peak_bytes
from cnncli.network.prepared import last_prepared
from cnncli.render.finite_values import measure
from cnncli.render.grey_levels import LEVELS
from cnncli.render.result_rows import Box, Values
from cnncli.system.progress import set_step
from cnncli.system.threads import run_all

HELD_BYTES: Final = 32 * 2**20
"""A result up to this size is computed once and kept, where several passes over it are needed."""

WHOLE_BYTES: Final = 256 * 2**20
"""Layers whose outputs fit are run one after the other; in strips only from here on, where each
layer computes rows twice that two strips of the next one need."""

BLOCK_BYTES: Final = 8 * 2**20
"""Rows that are written to an array file together."""

ALONE_VALUES: Final = 2**20
"""An image of fewer values, with those made of it, is filtered by one thread."""

SCALED: Final = frozenset(
    ("none", "relu", "leaky-relu", "prelu", "tanh", "abs", "clip", "hard-swish", "truncate")
    + ("wrap", "neg", "sign", "floor", "ceil", "round")
)
"""Activations whose results are no smaller than what they are made of, or 0, but for a factor."""

SUMS: Final = (
    *(ConvLayer, ConvTransposeLayer, PoolLayer, ActivationLayer, AddLayer, SubLayer),
    *(MaxLayer, MinLayer, ConcatLayer, ScaleLayer, BatchNormLayer, Normalization, ResizeLayer),
    *(PadLayer, PadChannelsLayer, SliceLayer, ViewLayer, SpaceToDepthLayer, DepthToSpaceLayer),
)
"""Layers of which the same holds, if their activation is one of those."""

T = TypeVar("T")


@dataclass(eq=False)
class FeatureMaps:
    """A network on a picture.

    Parameters
    ----------
    network : Network
    picture : Picture
    jobs : int, optional
        Threads; default: one for each core. The bytes do not depend on it.
    values : ndarray, optional
        The values, where they are computed already.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> pixels = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    >>> picture = Picture(pixels, 1.0, False, False, (), "a.npy")
    >>> FeatureMaps(Network.chain(PoolLayer()), picture).whole().ravel().tolist()
    [5.0, 7.0, 13.0, 15.0]
    """

    network: Network
    picture: Picture
    jobs: int | None = None
    values: Values | None = None

    @cached_property
    def shape(self) -> Shape:
        """(N, n_H, n_W, n_C); computed first where only the values tell it."""
        if self.values is None and self.network.has_open_shapes:
            self.whole()
        if self.values is not None:
            n, n_H, n_W, n_C = self.values.shape
            return n, n_H, n_W, n_C
        return self.network.output_shape(self.picture.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64: that of the picture, but for whole numbers; see `has_doubles`."""
        if self.values is None and self.network.has_doubles:
            self.whole()
        return self.picture.dtype if self.values is None else self.values.dtype

    @cached_property
    def inner_cells(self) -> Box:
        """Rows and columns that saw no padding, by which ranges are chosen."""
        return inner_cells(self.network, self.picture.shape)

    @cached_property
    def sum_bounds(self) -> Values | None:
        """The largest magnitude that each channel's sums can have; see `ResultRows`.

        Known for one convolution. First asked for while the pixels are there.
        """
        network, channels = self.network, self.picture.shape[3]
        # Shares, products, powers and the like may be as small as they like.
        layers = [node.layer for node in network.nodes]
        activations = {getattr(layer, "activation", "none") for layer in layers}
        if activations - SCALED or not all(isinstance(layer, SUMS) for layer in layers):
            return None
        if not any(isinstance(layer, ConvLayer) for layer in layers):
            return None
        layer = network.nodes[0].layer
        if len(network.nodes) > 1 or not isinstance(layer, ConvLayer):
            return np.full(self.shape[3], np.inf)
        pixel = max(map(abs, measure(self.picture.pixels).limits)) / self.picture.scale
        largest = max(pixel, abs(layer.pad_value))
        dtype = self.picture.dtype
        parts = (layer.one_map(k, channels, dtype) for k in range(self.shape[3]))
        return np.array([float(abs(one.weights).sum()) * largest + abs(one.bias) for one in parts])

    @cached_property
    def _stages(self) -> dict[bool, tuple[StripStage, bool]]:
        """What `_stage` returned."""
        return {}

    def _stage(self, in_levels: bool = False) -> tuple[StripStage, bool]:
        """Return the network prepared for one image, and whether pixels go in as they are stored.

        Pixels that come out as they are stored are exact as values too; sums are where they are
        to be levels, while as values they would differ from sums of floats by rounding.
        """
        if in_levels not in self._stages:
            picture = self.picture
            stored = self.network.pixel_dtype(picture.shape, picture.pixels.dtype)
            as_stored = stored == picture.pixels.dtype or (in_levels and picture.scale == LEVELS)
            raw = stored is not None and as_stored
            dtype = stored if stored is not None and raw else picture.dtype
            prepared = last_prepared.of(self.network, self.network.names[-1:])
            self._stages[in_levels] = prepared.stage((1, *picture.shape[1:]), dtype), raw
        return self._stages[in_levels]

    @cached_property
    def _in_strips(self) -> bool:
        """Whether rows are made when asked for, and not the whole layer by layer."""
        return in_strips(self.network, self.picture.shape, self.picture.dtype)

    def map_strips(
        self, action: Callable[[int, slice, Values], T], in_levels: bool = False
    ) -> list[T]:
        """Return ``action(image, rows, values)`` for all strips, in order; they run on threads.

        Parameters
        ----------
        action : callable
            Its values are (rows, n_W, n_C) and its own until it returns.
        in_levels : bool
            As in `ResultRows.map_strips`.
        """
        strips = self._strips(in_levels)
        items = [(image, rows) for image in range(self.shape[0]) for rows in strips]
        results: list[Any] = [None] * len(items)
        done = count()

        def work(index: int) -> None:
            set_step("computing strips of rows", next(done), len(items))
            image, rows = items[index]
            results[index] = action(image, rows, self._strip_values(image, rows, in_levels))

        run_all(work, range(len(items)), self._threads)
        return results

    def whole(self) -> Values:
        """Return the whole result as one array (N, n_H, n_W, n_C), and keep it."""
        if self.values is None and self._in_strips:
            values = np.empty(self.shape, self.dtype)

            def fill(image: int, rows: slice, strip: Values) -> None:
                values[image, rows] = strip

            self.map_strips(fill)
            self.values = values
        elif self.values is None:
            ((_, values),) = forward_layers(self.network, self.picture.values(), jobs=self.jobs)
            self.values = _in_full(self.network, values, self.picture.dtype)
        return self.values

    def keep_if_small(self) -> None:
        """Compute the values and keep them if they are few."""
        if int(np.prod(self.shape)) * self.picture.dtype.itemsize <= HELD_BYTES:
            self.whole()

    @property
    def source(self) -> Values:
        """The pixels; zeros once they were dropped."""
        return self.picture.pixels

    def release_pixels(self) -> None:
        """Drop the pixels, once all that is needed was computed from them."""
        shape, dtype = self.picture.pixels.shape, self.picture.pixels.dtype
        nothing = np.broadcast_to(np.zeros((), dtype), shape)
        self.picture = replace(self.picture, pixels=nothing)

    def blocks(self) -> Iterator[tuple[int, Values]]:
        """Yield each image's number with blocks of its rows (rows, n_W, n_C), all in order."""
        row = self.shape[2] * self.shape[3] * self.dtype.itemsize
        strips = self._strips()
        if not row or not strips:
            return
        together = max(1, BLOCK_BYTES // (row * (strips[0].stop - strips[0].start)))
        for image in range(self.shape[0]):
            for index in range(0, len(strips), together):
                set_step("computing rows", strips[index].start, self.shape[1])
                yield image, self._block(image, strips[index : index + together])

    def _block(self, image: int, strips: list[slice]) -> Values:
        first = strips[0].start
        block = np.empty((strips[-1].stop - first, *self.shape[2:]), self.dtype)

        def work(rows: slice) -> None:
            block[rows.start - first : rows.stop - first] = self._strip_values(image, rows)

        run_all(work, strips, self.jobs)
        return block

    @property
    def _threads(self) -> int | None:
        """As `jobs`, but to start a thread takes longer than to filter a small image."""
        few = math.prod(self.shape) + math.prod(self.picture.shape) < ALONE_VALUES
        return 1 if few and self.network.keeps_channels else self.jobs

    def _strips(self, in_levels: bool = False) -> list[slice]:
        height = self.shape[1]
        if self._in_strips and self.values is None:
            step = self._stage(in_levels)[0].step
        else:
            self.whole()
            step = rows_at_once(self.shape, self.dtype)
        return [slice(first, min(first + step, height)) for first in range(0, height, step)]

    def _strip_values(self, image: int, rows: slice, in_levels: bool = False) -> Values:
        if self.values is not None:
            return self.values[image, rows]
        stage, raw = self._stage(in_levels)

        def source(first: int, last: int) -> NDArray[Any]:
            pixels = self.picture.pixels[image : image + 1, first:last]
            return pixels if raw else self.picture.scaled(pixels)

        values: Values = stage.read(source, rows.start, rows.stop)[0]
        if not raw or (in_levels and self.picture.scale == LEVELS):
            return values
        return self.picture.scaled(values)


def _in_full(network: Network, values: Values, dtype: np.dtype[Any]) -> Values:
    """Return values in the dtype of the picture, but leave float64 where it holds all digits."""
    wide = np.result_type(values.dtype, dtype) if network.has_doubles else dtype
    return values.astype(wide, copy=False)


def in_strips(network: Network, shape: Shape, dtype: np.dtype[Any]) -> bool:
    """Tell whether rows of a network's result are made when asked for, and nothing is kept.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> in_strips(Network.chain(PoolLayer()), (1, 8, 8, 1), np.dtype("float32"))
    True
    """
    if len(network.nodes) == 1 or not network.has_strips:
        return network.has_strips
    return peak_bytes(network, shape, dtype) > WHOLE_BYTES


def held_in_layers(
    network: Network, shape: Shape, dtype: np.dtype[Any], names: Sequence[str]
) -> int:
    """Return the memory of the outputs that `layer_maps` holds together at the most.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> network = Network.chain(PoolLayer(), PoolLayer())
    >>> held_in_layers(network, (1, 4, 4, 1), np.dtype("float32"), ["pool2"])
    80
    """
    used = network.until(names[0]) if len(names) == 1 else network
    return 0 if in_strips(used, shape, dtype) else peak_bytes(used, shape, dtype)


def layer_maps(
    network: Network, picture: Picture, names: Sequence[str], jobs: int | None = None
) -> Iterator[tuple[str, FeatureMaps]]:
    """Yield the results of several layers, in the network's order.

    What fits into memory is computed once; what does not, in strips for each layer anew. Keep no
    result while the next one is computed; of a single one, `release_pixels` can be called too.

    Parameters
    ----------
    network : Network
    picture : Picture
    names : sequence of str
        The layers.
    jobs : int, optional
        As in `FeatureMaps`.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> picture = Picture(np.ones((1, 8, 8, 1)), 1.0, False, False, (), "a.npy")
    >>> network = Network.chain(PoolLayer(), PoolLayer())
    >>> [(name, maps.shape) for name, maps in layer_maps(network, picture, network.names)]
    [('pool1', (1, 4, 4, 1)), ('pool2', (1, 2, 2, 1))]
    """
    if len(names) == 1:
        maps = FeatureMaps(network.until(names[0]), picture, jobs)
        del picture
        yield names[0], maps
        return
    if in_strips(network, picture.shape, picture.dtype):
        for name in [name for name in network.names if name in names]:
            yield name, FeatureMaps(network.until(name), picture, jobs)
        return
    for name, values in forward_layers(network, picture.values(), names, jobs):
        values = _in_full(network, values, picture.dtype)
        yield name, FeatureMaps(network.until(name), picture, jobs, values)
