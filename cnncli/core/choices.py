"""What may be chosen: paddings, borders, preparations, activations, algorithms; loads no numpy."""

from __future__ import annotations

from typing import Final

NAMED_PADDINGS: Final = ("same", "same-lower", "valid")
FITS: Final = ("stretch", "crop", "pad")
PREPARATIONS: Final[dict[str, dict[str, float | tuple[float, ...]]]] = {
    "imagenet": {"scale": 1.0, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "imagenet-tf": {"scale": 2.0, "mean": 1.0, "std": 1.0},
    "0..1": {"scale": 1.0, "mean": 0.0, "std": 1.0},
    "-1..1": {"scale": 2.0, "mean": 1.0, "std": 1.0},
    "0..255": {"scale": 255.0, "mean": 0.0, "std": 1.0},
}
"""Pixels as well-known networks take them: ``x = (x*scale - mean) / std`` of values in 0..1.

``imagenet`` is that of torchvision, ``imagenet-tf`` that of Keras's mode ``tf``.
"""
PAD_MODES: Final = ("zeros", "edge", "reflect", "symmetric", "wrap")
PAD_MODE_NAMES: Final = ("auto", *PAD_MODES)
"""What can be asked for; `borders.border_mode` says what auto is."""
POOL_MODES: Final = ("max", "average", "min", "lp")
AVERAGE_NAMES: Final = {"avg": "average", "mean": "average"}
"""What other tools call a mode, which commands and Python take too."""
ACTIVATION_NAMES: Final = ("none", "relu", "leaky-relu", "sigmoid", "tanh", "abs")
FILTER_LAYOUTS: Final = ("hwio", "oihw")
ALGORITHM_NAMES: Final = (
    "shift-add",
    "low-rank",
    "banded",
    "matmul",
    "winograd",
    "fourier",
)
CONVENTION_NAMES: Final = ("torch", "tf", "onnx", "opencv", "scipy", "imagemagick")
POOL_CONVENTION_NAMES: Final = CONVENTION_NAMES[:3]
"""Those of tools that have pooling."""
PEER_NAMES: Final = ("torch", "onnxruntime", "scipy", "opencv")
