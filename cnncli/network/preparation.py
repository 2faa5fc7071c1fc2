"""How a network wants its images: the section ``[input]`` of network files, and its options."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import FloatArray, Shape
from cnncli.core.geometry import Pair
from cnncli.errors import CnnCliError, GivenOptionError, OptionError, ShapeError
from cnncli.filters.matrix_text import point_hint
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
        Those of both that have one number for each channel, with dashes if they are options.
    scale : float
        What pixels are multiplied by before the mean is taken off.
    """

    names: tuple[str, ...] = ()
    scale: float = 1.0

    def output_shape(self, shape: Shape) -> Shape:
        """Check that there is one number for all channels, or one for each."""
        if self.factor.size > 1:
            try:
                check_per_channel(" and ".join(self.names), self.factor, shape[3])
            except ShapeError as error:
                hint = point_hint((-self.offset).tolist())
                raise _problem(str(error), *self.names, kind=ShapeError, hint=hint) from None
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
    channels : int, optional
        How many channels the network takes, where its layers do not tell.
    """

    gray: bool = False
    size: Pair | None = None
    fit: str = "stretch"
    bgr: bool = False
    scale: float = 1.0
    mean: Numbers = 0.0
    std: Numbers = 1.0
    whole: bool = False
    channels: int | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What is not the default, as the fields of ``[input]``."""
        values = {f.name: (getattr(self, f.name), f.default) for f in fields(self)}
        return {name: value for name, (value, default) in values.items() if value != default}

    def layer(self, options: Collection[str] = ()) -> ScaleLayer | None:
        """Return the layer of ``x = (x*scale - mean) / std``; None if that changes nothing.

        Parameters
        ----------
        options : collection of str
            The fields that options gave: errors name them so.

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
        scale_name, mean_name, std_name = (
            f"--{name}" if name in options else name for name in ("scale", "mean", "std")
        )
        mean, std = _numbers(mean_name, self.mean), _numbers(std_name, self.std)
        if not std.all():
            hint = point_hint(std.tolist())
            raise _problem(f"{std_name} must not contain 0", std_name, hint=hint)
        if len({mean.size, std.size} - {1}) > 1:
            both, sizes = f"{mean_name} and {std_name}", f"got {mean.size} and {std.size}"
            in_file = [name for name in ("mean", "std") if name not in options]
            hint = (
                f"{in_file[0]} stands in [input] of the network file" if len(in_file) == 1 else None
            )
            raise _problem(
                f"{both} must have the same length, {sizes}", mean_name, std_name, hint=hint
            )
        with np.errstate(over="ignore"):
            factor, offset = np.broadcast_arrays(self.scale / std, -mean / std)
        if not (np.isfinite(factor).all() and np.isfinite(offset).all()):
            quotients = f"{scale_name} / {std_name} and {mean_name} / {std_name}"
            raise _problem(f"{quotients} must be finite", scale_name, mean_name, std_name)
        several = ((mean_name, mean), (std_name, std))
        names = tuple(name for name, array in several if array.size > 1)
        return InputScaleLayer(factor, offset, self.whole, names, self.scale)


def _problem(
    text: str, *names: str, kind: type[CnnCliError] = OptionError, hint: str | None = None
) -> CnnCliError:
    """Return the error of some numbers: of another kind where an option gave one of them."""
    is_option = any(name.startswith("--") for name in names)
    return (GivenOptionError if is_option else kind)(text, hint=hint)


def _numbers(name: str, value: Numbers) -> FloatArray:
    values: FloatArray = np.atleast_1d(np.asarray(value, np.float64))
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise _problem(f"{name} must be finite numbers, and there must be one", name)
    return values
