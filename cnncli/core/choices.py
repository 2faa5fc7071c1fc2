"""The names of paddings, borders, activations, algorithms and conventions; loads no numpy."""

from __future__ import annotations

from typing import Final

NAMED_PADDINGS: Final = ("same", "same-lower", "valid")
FITS: Final = ("stretch", "crop", "pad")
PAD_MODES: Final = ("zeros", "edge", "reflect", "symmetric", "wrap")
PAD_MODE_NAMES: Final = ("auto", *PAD_MODES)
"""What can be asked for; `borders.border_mode` says what auto is."""
POOL_MODES: Final = ("max", "average", "min", "lp")
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
