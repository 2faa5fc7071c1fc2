"""How other tools do the same operation: what they flip, where they pad, what they divide by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, TypeVar

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair, pair, same_pads
from cnncli.errors import OptionError
from cnncli.filters.filter import flip
from cnncli.network.layers import ConvLayer, PoolLayer
from cnncli.network.layers.base import OPEN_SIDE

OneLayer = ConvLayer | PoolLayer
ConvOrPool = TypeVar("ConvOrPool", bound=ConvLayer | PoolLayer)


@dataclass(frozen=True)
class Convention:
    """What a tool does where tools differ.

    Parameters
    ----------
    name : str
    flip : bool
        Whether the filter is turned by 180 degrees: the convolution of mathematics.
    same : str
        Where the odd cell of padding "same" goes: ``same`` to the end, ``same-lower`` to the start.
    pad_mode : str
        What the border holds, in numpy's words.
    image_filter : bool
        Whether the tool knows no stride: a stride then takes every n-th of the results.
    count_include_pad : bool
        Whether an average divides by the pads too.
    rounding : str, optional
        How results become whole levels of 8-bit pictures, where the tool does that itself.
    same_needs_stride_1 : bool
        Whether the tool has padding "same" at stride 1 alone.
    """

    name: str
    flip: bool = False
    same: str = "same"
    pad_mode: str = "zeros"
    image_filter: bool = False
    count_include_pad: bool = False
    rounding: str | None = None
    same_needs_stride_1: bool = False

    def phrases(self, layer: OneLayer, levels: bool = False) -> tuple[str, ...]:
        """What it does where a layer leaves a choice, one phrase each; `levels` are rounded."""
        odd = "odd padding at the " + ("start" if self.same == "same-lower" else "end")
        if isinstance(layer, PoolLayer):
            cells = "all cells" if self.count_include_pad else "cells that are no padding"
            averages = (f"averages divide by {cells}",) if layer.mode == "average" else ()
            return odd, *averages, *self.missing_layer_notes(layer)
        return (
            "flips the filter" if self.flip else "does not flip",
            odd,
            f"border {self.pad_mode}",
            *((f"clips, rounds {self.rounding}",) if levels and self.rounding else ()),
            *self.missing_layer_notes(layer),
        )

    def missing_layer_notes(self, layer: OneLayer) -> tuple[str, ...]:
        """Say that the tool has no such layer, and which of its layers is near."""
        is_global = isinstance(layer, PoolLayer) and layer.size == "global"
        is_same = layer.padding in ("same", "same-lower") and not is_global
        if not (self.same_needs_stride_1 and is_same):
            return ()
        window = layer.window((1, OPEN_SIDE, OPEN_SIDE, 1))
        if window.kernel == (1, 1) or (window.rows.stride, window.cols.stride) == (1, 1):
            return ()
        sides = [str((axis.extent - 1) // 2) for axis in (window.rows, window.cols)]
        pads = sides[0] if sides[0] == sides[1] else ",".join(sides)
        return (f"PyTorch has no padding same at a stride above 1, but --padding {pads}",)


CONVENTIONS: Final = {
    convention.name: convention
    for convention in (
        Convention(  # torch.nn.functional conv2d, avg_pool2d
            "torch", count_include_pad=True, same_needs_stride_1=True
        ),
        Convention("tf"),  # tf.nn conv2d, avg_pool2d, padding SAME
        Convention("onnx"),  # Conv, AveragePool, auto_pad SAME_UPPER
        Convention(  # cv2.filter2D
            "opencv", same="same-lower", pad_mode="reflect", image_filter=True,
            rounding="half to even",
        ),
        Convention(  # scipy.ndimage.convolve
            "scipy", flip=True, pad_mode="symmetric", image_filter=True
        ),
        Convention(  # -morphology Convolve
            "imagemagick", flip=True, same="same-lower", pad_mode="edge", image_filter=True,
            rounding="half up",
        ),
    )
}  # fmt: skip
"""Each found by running the tool on filters of even and of odd sides, and so tested."""

SCIPY_CORRELATE: Final = Convention(
    "scipy.ndimage.correlate", same="same-lower", pad_mode="symmetric", image_filter=True
)
"""What `compare` recognizes too; a layer with --pad-mode symmetric is as much."""


def centres_lower(padding: object, flips: bool, convention: Convention | None) -> bool:
    """Tell whether filters of even sides have their centre behind the middle, as they are stacked.

    Parameters
    ----------
    padding : PaddingLike or None
        Of the layer; that of the convention counts more.
    flips : bool
        Whether the filters will be flipped.
    convention : Convention, optional
        Whose padding and flip come after.

    Examples
    --------
    >>> centres_lower("same", False, None), centres_lower("same", False, CONVENTIONS["opencv"])
    (False, True)
    """
    same = padding if convention is None else convention.same
    flips = flips or (convention is not None and convention.flip)
    return (same == "same-lower") != flips


def by_convention(layer: ConvOrPool, convention: Convention) -> ConvOrPool:
    """Return a layer as a tool would do it.

    Parameters
    ----------
    layer : ConvLayer or PoolLayer
    convention : Convention

    Returns
    -------
    ConvLayer or PoolLayer
        Padding in numbers stays as it was given, and so does a border other than ``auto``.

    Raises
    ------
    OptionError
        If the tool cannot do such a layer.

    Examples
    --------
    >>> from cnncli.filters.files import load_filter
    >>> layer = ConvLayer(load_filter("1 2; 3 4"))
    >>> other = by_convention(layer, CONVENTIONS["opencv"])
    >>> other.padding, other.pad_mode
    (((1, 0), (1, 0)), 'reflect')
    """
    if isinstance(layer, PoolLayer):
        return replace(layer, **_pool_fields(layer, convention))
    return replace(layer, **_conv_fields(layer, convention))


def _conv_fields(layer: ConvLayer, convention: Convention) -> dict[str, Any]:
    padding = layer.padding
    if isinstance(padding, str) and padding.startswith("same"):
        padding = _same(layer, convention)
    # A filter that was flipped already (--flip) is not turned back.
    flips = convention.flip and not layer.filter.flipped
    return {
        "filter": flip(layer.filter) if flips else layer.filter,
        "pad_mode": convention.pad_mode if layer.pad_mode == "auto" else layer.pad_mode,
        "padding": padding,
    }


def _pool_fields(layer: PoolLayer, convention: Convention) -> dict[str, Any]:
    if convention.image_filter:
        raise OptionError(f"{convention.name} has no pooling", hint="torch, tf or onnx")
    if layer.mode == "lp" and convention.name == "tf":
        raise OptionError("tf has no lp pooling", hint="--convention onnx")
    if layer.mode == "lp" and convention.name == "torch" and not is_lp_of_torch(layer):
        raise OptionError(
            "torch's lp pooling has other values with ceil, and with a p that is no even number",
            hint="--convention onnx",
        )
    padding = convention.same if layer.padding in ("same", "same-lower") else layer.padding
    return {"padding": padding, "count_include_pad": convention.count_include_pad}


def is_lp_of_torch(layer: PoolLayer) -> bool:
    """Tell whether lp_pool2d gives what an lp pool gives.

    It takes the mean of powers with their signs, and multiplies that by all cells of a window.

    Examples
    --------
    >>> is_lp_of_torch(PoolLayer("lp", p=2.0)), is_lp_of_torch(PoolLayer("lp", p=3.0))
    (True, False)
    """
    return not layer.ceil and layer.p % 2 == 0


def _same(layer: ConvLayer, convention: Convention) -> str | tuple[Pair, Pair]:
    if not convention.image_filter:
        return convention.same
    kernels, dilations = layer.filter.weights.shape[:2], pair(layer.dilation, "dilation")
    lower = convention.same == "same-lower"
    # At stride 1 the pads do not depend on the size.
    rows, cols = (same_pads(1, kernels[i], 1, dilations[i], lower) for i in (0, 1))
    return rows, cols
