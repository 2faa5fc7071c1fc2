"""How a network wants its images: the section ``[input]`` of network files, and its options."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Pair
from cnncli.errors import OptionError
from cnncli.network.layers import ScaleLayer
from cnncli.network.layers.pointwise import check_per_channel

Numbers = float | tuple[float, ...]

PIXEL_SCALES: Final = {
    **dict.fromkeys(("UINT8", "INT8", "INT16", "INT32", "INT64", "UINT32", "UINT64"), 255.0),
    "UINT16": 65_535.0,
}
"""What the pixels of 0..1 are multiplied by for networks of whole numbers, by ONNX's types."""


@dataclass(frozen=True, eq=False)
class InputScaleLayer(ScaleLayer):
    """The scale of a network's input; errors name what it was given as: mean and std.

    Parameters
    ----------
    factor, offset, whole
        As in `ScaleLayer`.
    names : tuple of str
        Those of both that have one number for each channel.
    """

    names: tuple[str, ...] = ()

    def output_shape(self, shape: Shape) -> Shape:
        """Check that there is one number for all channels, or one for each."""
        if self.factor.size > 1:
            check_per_channel(" and ".join(self.names), self.factor, shape[3])
        return shape


@dataclass(frozen=True)
class Preparation:
    """What is done to images before the first layer.

    Parameters
    ----------
    gray : bool
        Whether colour becomes luminance.
    size : (int, int), optional
        Rows and columns that images are resized to.
    fit : {"stretch", "crop", "pad"}
        What is done to images of another shape.
    bgr : bool
        Whether channels are turned: blue first, as OpenCV has them. It comes before the numbers
        below.
    scale, mean, std : float or tuple of float
        ``x = (x*scale - mean) / std`` of pixels in 0..1; numbers for all channels, or one for each.
    whole : bool
        Whether the results are rounded.
    """

    gray: bool = False
    size: Pair | None = None
    fit: str = "stretch"
    bgr: bool = False
    scale: float = 1.0
    mean: Numbers = 0.0
    std: Numbers = 1.0
    whole: bool = False

    @property
    def given(self) -> dict[str, Any]:
        """What is not the default, as the fields of ``[input]``."""
        values = {f.name: (getattr(self, f.name), f.default) for f in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}

    def layer(self) -> ScaleLayer | None:
        """Return the layer of ``x = (x*scale - mean) / std``; None if that changes nothing.

        Raises
        ------
        OptionError
            If the numbers do not fit together, or divide by 0.

        Examples
        --------
        >>> layer = Preparation(scale=255.0, mean=127.5, std=127.5).layer()
        >>> layer.factor.item(), layer.offset.item()
        (2.0, -1.0)
        """
        if not {"scale", "mean", "std", "whole"} & set(self.given):
            return None
        mean, std = _numbers("mean", self.mean), _numbers("std", self.std)
        if not std.all():
            raise OptionError("std must not contain 0")
        if len({mean.size, std.size} - {1}) > 1:
            raise OptionError(
                f"mean and std must have the same length, got {mean.size} and {std.size}"
            )
        with np.errstate(over="ignore"):
            factor, offset = np.broadcast_arrays(self.scale / std, -mean / std)
        if not (np.isfinite(factor).all() and np.isfinite(offset).all()):
            raise OptionError("scale / std and mean / std must be finite")
        names = [name for name, array in (("mean", mean), ("std", std)) if array.size > 1]
        return InputScaleLayer(factor, offset, self.whole, tuple(names))


def _numbers(name: str, value: Numbers) -> FloatArray:
    values: FloatArray = np.atleast_1d(np.asarray(value, np.float64))
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise OptionError(f"{name} must be finite numbers, and there must be one")
    return values
