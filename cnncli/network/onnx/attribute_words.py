"""Attributes of ONNX whose values are words. An unknown word would be taken for the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cnncli.network.onnx.values import UnsupportedNode

_AUTO_PADS: Final = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", "")
_REDUCTIONS: Final = ("none", "add", "mul", "min", "max")
_DIRECTIONS: Final = ("forward", "reverse", "bidirectional")

_WORDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    **dict.fromkeys(
        ("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "MaxPool", "AveragePool", "LpPool"),
        {"auto_pad": _AUTO_PADS},
    ),
    **dict.fromkeys(("ScatterElements", "ScatterND"), {"reduction": _REDUCTIONS}),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), {"direction": _DIRECTIONS}),
    "BitShift": {"direction": ("", "LEFT", "RIGHT")},
    "DepthToSpace": {"mode": ("DCR", "CRD")},
    "Gelu": {"approximate": ("none", "tanh")},
    "GridSample": {
        "mode": ("linear", "bilinear", "nearest", "cubic", "bicubic"),
        "padding_mode": ("zeros", "border", "reflection"),
    },
    "Pad": {"mode": ("constant", "reflect", "edge", "wrap")},
    "Resize": {
        "mode": ("nearest", "linear", "cubic"),
        "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
        "keep_aspect_ratio_policy": ("stretch", "not_larger", "not_smaller"),
    },
    "RoiAlign": {
        "mode": ("avg", "max"),
        "coordinate_transformation_mode": ("half_pixel", "output_half_pixel"),
    },
    "Upsample": {"mode": ("nearest", "linear")},
}


def check_words(operator: str, attributes: Mapping[str, Any]) -> None:
    """Refuse a node with a word that its operator does not know.

    Raises
    ------
    UnsupportedNode

    Examples
    --------
    >>> check_words("DepthToSpace", {"mode": "crd"})
    Traceback (most recent call last):
    cnncli.network.onnx.values.UnsupportedNode: its mode must be one of DCR, CRD, got 'crd'
    """
    for name, words in _WORDS.get(operator, {}).items():
        word = attributes.get(name, words[0])
        if word not in words:
            known = ", ".join(filter(None, words))
            raise UnsupportedNode(f"its {name} must be one of {known}, got {word!r}")
