"""The options of single layers, in groups that are dataclasses: a border, a convolution, a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cnncli._dataclass import dataclass
from cnncli.cli.command import OptionGroup, flag, option
from cnncli.cli.options import ONE_OR_TWO
from cnncli.cli.types import Choice, FilterName, FiniteFloat, Numbers, WholeNumber
from cnncli.core.choices import (
    ACTIVATION_NAMES,
    ALGORITHM_NAMES,
    AVERAGE_NAMES,
    CONVENTION_NAMES,
    FILTER_LAYOUTS,
    NAMED_PADDINGS,
    PAD_MODE_NAMES,
    POOL_CONVENTION_NAMES,
    POOL_MODES,
)

if TYPE_CHECKING:
    from cnncli.core.geometry import PaddingLike, Pair

PADDING: Final = Numbers(
    (1, 2, 4),
    0,
    "same|same-lower|valid|N|H,W|TOP,BOTTOM,LEFT,RIGHT",
    words=NAMED_PADDINGS,
)
POOL_MODE: Final = Choice(POOL_MODES, AVERAGE_NAMES)


# fmt: off
def filter_layout_option(**settings: Any) -> Any:
    """Return the option --filter-layout."""
    return option(
        "--filter-layout", type=Choice(FILTER_LAYOUTS), default="hwio",
        help="Order of the axes in filter files: hwio as in Keras, oihw as in PyTorch and ONNX.",
        **settings,
    )


_BORDER: Final = (
    "Border: same (keeps the size at stride 1), same-lower (the odd cell upper left), valid "
    "(none), N, H,W or TOP,BOTTOM,LEFT,RIGHT."
)


def _padding_option(**settings: Any) -> Any:
    return option(
        "--padding", type=PADDING, metavar="P", common=True,
        help=_BORDER,
        **settings,
    )


def _pad_mode_option(auto: str) -> Any:
    return option(
        "--pad-mode", type=Choice(PAD_MODE_NAMES), default="auto", common=True,
        help=f"What the border holds; {auto}",
    )


@dataclass(frozen=True)
class PadOptions(OptionGroup):
    """The border that `pad` adds."""

    padding: PaddingLike = option(
        "--padding", type=PADDING, metavar="P", required=True,
        help="Border: N, H,W or TOP,BOTTOM,LEFT,RIGHT; same and valid add none.",
    )
    pad_mode: str = _pad_mode_option("auto is zeros.")
    pad_value: float | None = option(
        "--pad-value", type=FiniteFloat(), metavar="V",
        help="Value of the border instead of 0, with --pad-mode zeros.",
    )


def _filter_option(**settings: Any) -> Any:
    return option(
        "-f", "--filter", type=FilterName(), multiple=True, metavar="FILTER", common=True,
        help='File, built-in name, gaussian:2.5, model.onnx:LAYER, - or numbers such as '
        '"1 0 -1". Several make one bank.',
        **settings,
    )


@dataclass(frozen=True)
class ConvOptions(OptionGroup):
    """The layer of `conv`."""

    filter_texts: tuple[str, ...] = _filter_option(required=True)
    filter_layout: str = filter_layout_option()
    bias: str | None = option(
        "--bias", metavar="NUMBER|FILE", common=True, help="Added to each map.  [default: 0]",
        several_values=' One for each filter: --bias "0.1 0.2".',
    )
    flip: bool = flag(
        "--flip", common=True, help="Turn the filter by 180 degrees."
    )
    normalize: bool = flag("--normalize", help="Divide each filter by its sum.")
    activation: str = option(
        "--activation", default="none", type=Choice(ACTIVATION_NAMES), common=True,
        help="Applied after the bias.",
    )
    stride: int | Pair = option(
        "--stride", type=ONE_OR_TWO, default=1, common=True, help="Step of the window."
    )
    padding: PaddingLike = _padding_option(default="same")
    pad_mode: str = _pad_mode_option("auto: edge for 2-D filters, else zeros.")
    pad_value: float | None = PadOptions.pad_value
    dilation: int | Pair = option(
        "--dilation", type=ONE_OR_TWO, default=1, common=True,
        help="Spacing of the window's cells.",
    )
    groups: int = option(
        "--groups", type=WholeNumber(min=1), default=1, metavar="G",
        help="Split the channels into G groups, as nn.Conv2d does.",
    )
    algorithm: str = option(
        "--algorithm", type=Choice(("auto", *ALGORITHM_NAMES)), default="auto",
        help="How to compute it. auto takes the fastest, -v says which.",
    )
    convention: str | None = option(
        "--convention", type=Choice(CONVENTION_NAMES),
        help="Follow another tool's rules for flipping, odd padding, borders and dividing.",
    )


@dataclass(frozen=True)
class PoolOptions(OptionGroup):
    """The layer of `pool`."""

    mode: str = option(
        "--mode", type=POOL_MODE, default="max", common=True,
        help="How a window becomes one value; lp: the p-norm.",
    )
    size: int | Pair | str = option(
        "--size", type=Numbers((1, 2), 1, "N|H,W|global", words=("global",)), default=2,
        common=True, help="Size of the window. global: the whole image.",
    )
    stride: int | Pair | None = option(
        "--stride", type=ONE_OR_TWO, common=True,
        help="Step of the window.  [default: the size]",
    )
    padding: PaddingLike = _padding_option(default="valid")
    dilation: int | Pair = ConvOptions.dilation
    ceil: bool = flag("--ceil", help="Let the last window reach beyond the end of the image.")
    count_include_pad: bool = flag(
        "--count-include-pad",
        help="Average over all cells of the window, those in the padding too.",
    )
    p: float = option(
        "--p", type=FiniteFloat(above=0, allow_inf=True), default=2.0, metavar="P",
        help="Power of lp pools.",
    )
    convention: str | None = option(
        "--convention", type=Choice(POOL_CONVENTION_NAMES),
        help="Follow another tool's rules for odd padding and for what averages are divided by.",
    )


@dataclass(frozen=True)
class LayerOptions(OptionGroup):
    """One layer of either kind, a convolution or a pool: for commands that look at one."""

    rare = ("bias", "flip", "activation", "pad_mode", "dilation")

    filter_texts: tuple[str, ...] = _filter_option()
    mode: str | None = option(
        "--pool", type=POOL_MODE, metavar="MODE", common=True,
        help="A pool instead: max, average, min or lp.",
    )
    filter_layout: str = ConvOptions.filter_layout
    bias: str | None = ConvOptions.bias
    flip: bool = ConvOptions.flip
    normalize: bool = ConvOptions.normalize
    activation: str = ConvOptions.activation
    size: int | Pair | str = option(
        "--size", type=Numbers((1, 2), 1, "N|H,W|global", words=("global",)), default=2,
        show_default=False, common=True,
        help="Size of a pool's window; with NETWORK of its pictures.  [default: 2; NETWORK's own]",
    )
    stride: int | Pair | None = option(
        "--stride", type=ONE_OR_TWO, common=True,
        help="Step of the window.  [default: 1; pools: size]",
    )
    padding: PaddingLike | None = option(
        "--padding", type=PADDING, metavar="P", common=True,
        help=f"{_BORDER}  [default: same; pools: valid]",
    )
    pad_mode: str = ConvOptions.pad_mode
    pad_value: float | None = ConvOptions.pad_value
    dilation: int | Pair = ConvOptions.dilation
    groups: int = ConvOptions.groups
    ceil: bool = PoolOptions.ceil
    count_include_pad: bool = PoolOptions.count_include_pad
    p: float = PoolOptions.p
