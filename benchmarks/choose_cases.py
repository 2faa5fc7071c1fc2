"""The layers that `benchmarks.choose` tries: those of well-known networks, and 2-D filters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cnncli.core.algorithms.base import ConvTask
from cnncli.core.geometry import place_window

Array = NDArray[Any]

PHOTO: Final = (512, 768)
"""Rows and columns that 2-D filters are tried on."""

SIDES: Final = (3, 5, 7, 9, 11, 15, 21, 31)
"""Sides of 2-D filters."""


@dataclass(frozen=True)
class Case:
    """One layer on one image, padded so that stride 1 keeps its size.

    Parameters
    ----------
    network : str
        Where it is from, or what kind of filter it has.
    n_C_prev, n_C, kernel, stride : int
    size : tuple of int
        Rows and columns of the input.
    groups : int
    rank : int
        0 for random weights, else that of the one kernel that all channels share.
    """

    network: str
    n_C_prev: int
    n_C: int
    kernel: int
    size: tuple[int, int]
    stride: int = 1
    groups: int = 1
    rank: int = 0

    @property
    def name(self) -> str:
        """As in ``VGG 64->64, 3x3, 224x224``."""
        step = f" stride {self.stride}" if self.stride > 1 else ""
        channels = f"{self.n_C_prev}->{self.n_C}" if self.groups == 1 else f"{self.n_C} channels"
        rows, columns = self.size
        return f"{self.network} {channels}, {self.kernel}x{self.kernel}{step}, {rows}x{columns}"

    @property
    def small(self) -> Case:
        """The layer with fewer channels and cells, to try the program out."""
        parts = min(8, self.n_C_prev) if self.n_C_prev % 8 == 0 == self.n_C % 8 else 1
        return Case(
            self.network,
            self.n_C_prev // parts,
            self.n_C // parts,
            self.kernel,
            (max(7, self.size[0] // 8), max(7, self.size[1] // 8)),
            self.stride,
            max(1, self.groups // parts),
            self.rank,
        )

    @property
    def task(self) -> ConvTask:
        """The layer as the engine takes it."""
        window = place_window(self.size, self.kernel, self.stride, self.kernel // 2)
        dtype = np.dtype(np.float32)
        return ConvTask(window, self.groups, 1, self.n_C_prev, self.n_C, dtype)

    @property
    def filters(self) -> Array:
        """Weights (k, k, n_C_prev / groups, n_C)."""
        rng = np.random.default_rng(self.kernel)
        depth = self.n_C_prev // self.groups
        if not self.rank:
            return rng.standard_normal((self.kernel, self.kernel, depth, self.n_C), np.float32)
        pairs = rng.standard_normal((2, self.rank, self.kernel))
        plane = np.einsum("ri,rj->ij", *pairs).astype(np.float32)
        return np.repeat(plane[:, :, None, None], self.n_C, axis=3)


def cases() -> Iterator[Case]:
    """Yield every layer and filter that is tried.

    Examples
    --------
    >>> len({case.name for case in cases()}) >= 60
    True
    """
    for network, (n_C_prev, n_C, kernel, size, *stride) in DENSE:
        yield Case(network, n_C_prev, n_C, kernel, (size, size), *stride)
    for network, (channels, kernel, size, *stride) in DEPTHWISE:
        yield Case(network, channels, channels, kernel, (size, size), *stride, groups=channels)
    for side in SIDES:
        for rank, kind in ((1, "rank 1"), (2, "rank 2"), (side, "full rank")):
            yield Case(kind, 3, 3, side, PHOTO, groups=3, rank=rank)


DENSE: Final[tuple[tuple[str, tuple[int, ...]], ...]] = (
    ("ResNet", (3, 64, 7, 224, 2)),
    ("ResNet", (64, 64, 3, 56)),
    ("ResNet", (64, 128, 3, 56, 2)),
    ("ResNet", (64, 256, 1, 56)),
    ("ResNet", (128, 128, 3, 28)),
    ("ResNet", (256, 256, 3, 14)),
    ("ResNet", (256, 512, 3, 14, 2)),
    ("ResNet", (512, 512, 3, 7)),
    ("VGG", (3, 64, 3, 224)),
    ("VGG", (64, 64, 3, 224)),
    ("VGG", (64, 128, 3, 112)),
    ("VGG", (128, 128, 3, 112)),
    ("VGG", (128, 256, 3, 56)),
    ("VGG", (256, 256, 3, 56)),
    ("VGG", (256, 512, 3, 28)),
    ("VGG", (512, 512, 3, 28)),
    ("VGG", (512, 512, 3, 14)),
    ("YOLO", (3, 16, 3, 640, 2)),
    ("YOLO", (16, 16, 3, 160)),
    ("YOLO", (32, 32, 3, 80)),
    ("YOLO", (64, 64, 3, 40)),
    ("YOLO", (128, 128, 3, 20)),
    ("YOLO", (256, 256, 3, 20)),
    ("AlexNet", (64, 192, 5, 27)),
    ("GoogLeNet", (16, 32, 5, 28)),
    ("GoogLeNet", (32, 128, 5, 14)),
    ("SqueezeNet", (16, 64, 3, 55)),
    ("SqueezeNet", (64, 256, 3, 13)),
)
"""Channels in and out, side, size and stride."""

DEPTHWISE: Final[tuple[tuple[str, tuple[int, ...]], ...]] = (
    ("MobileNetV2", (32, 3, 112)),
    ("MobileNetV2", (96, 3, 112, 2)),
    ("MobileNetV2", (144, 3, 56)),
    ("MobileNetV2", (192, 3, 28)),
    ("MobileNetV2", (384, 3, 14)),
    ("MobileNetV2", (960, 3, 7)),
    ("EfficientNet", (144, 5, 56, 2)),
    ("EfficientNet", (240, 5, 28)),
    ("EfficientNet", (672, 5, 14)),
    ("EfficientNet", (1152, 5, 7)),
)
"""Channels, side, size and stride."""
