"""Single 2-D filters on each channel of a 6-megapixel RGB float32 image, zeros around it.

Ours is one call of `conv_forward`, choice and preparation included, as the peers' calls are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.measure import Contender, compare
from benchmarks.table import OURS, Row, row_of
from cnncli import conv_forward
from cnncli.filters import kernels

Array = NDArray[Any]

PIXEL_STEPS: Final = 1.01 / 255
"""Pillow's pixels are whole steps; rounding may differ by one."""


def random_kernel(side: int) -> Array:
    """Return a kernel of full rank, centred on zero, whose magnitudes sum to about 1."""
    weights = np.random.default_rng(side).standard_normal((side, side))
    weights /= np.abs(weights).sum()
    return weights


def cases() -> dict[str, tuple[Array, dict[str, float]]]:
    """Return each kernel and the ratios to reach, by peer.

    Examples
    --------
    >>> cases()["random 7"][1]["OpenCV"]
    4.0
    """
    level, scipy = {"OpenCV": 1.0}, {"scipy": 0.25}
    return {
        "sobel": (kernels.sobel(3), level | scipy),
        "laplacian": (kernels.laplacian(), level | scipy),
        "random 3": (random_kernel(3), scipy),
        "gauss 7": (kernels.gaussian(7), level | scipy),
        "gauss 15": (kernels.gaussian(15), level | scipy),
        "LoG 15": (kernels.log(15), level | scipy),
        "random 7": (random_kernel(7), {"OpenCV": 4.0} | scipy),
        "random 15": (random_kernel(15), scipy),
        "gauss 61": (kernels.gaussian(61), scipy),
    }


def measure(repeats: int, quick: bool = False) -> Iterator[Row]:
    """Yield a row for each filter.

    Parameters
    ----------
    repeats : int
        Blocks of each contender.
    quick : bool
        Whether the image is shrunk to 200x300.
    """
    shape = (200, 300, 3) if quick else (2000, 3000, 3)
    # Whole steps of 1/255, so that Pillow sees the same image.
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for name, (weights, limits) in cases().items():
        contenders = contenders_of(pixels, weights.astype(np.float32))
        compared = compare(contenders, repeats)
        yield row_of("filters", name, contenders, compared, limits)


def contenders_of(pixels: Array, kernel: Array) -> list[Contender]:
    """Return ours and the peers that are there."""
    image = pixels.astype(np.float32) / np.float32(255)
    found = [Contender(OURS, ours(image, kernel), lambda made: made[0][0])]
    if (cv2 := peers.module("OpenCV")) is not None:
        border = cv2.BORDER_CONSTANT
        run = partial(cv2.filter2D, image, -1, kernel, borderType=border)
        found.append(Contender("OpenCV", run))
        if (sides := separated(kernel)) is not None:
            run = partial(cv2.sepFilter2D, image, -1, *sides, borderType=border)
            found.append(Contender("sepFilter2D", run, competes=False))
    if peers.module("scipy") is not None:
        from scipy import ndimage

        run = partial(ndimage.correlate, image, kernel[:, :, None], mode="constant")
        found.append(Contender("scipy", run))
    if peers.module("Pillow") is not None and kernel.shape in ((3, 3), (5, 5)):
        found.append(pillow(pixels, image, kernel))
    return found


def ours(image: Array, kernel: Array) -> partial[Any]:
    """Return one call of ours: the kernel on each channel, as a layer with a group for each."""
    channels = image.shape[2]
    W = np.repeat(kernel[:, :, None, None], channels, axis=3)
    hparameters = {"pad": "same", "groups": channels}
    return partial(conv_forward, image[None], W, np.zeros(1, np.float32), hparameters)


def separated(kernel: Array) -> tuple[Array, Array] | None:
    """Return the row and column whose product the kernel is, None if its rank is above 1."""
    columns, strengths, rows = np.linalg.svd(kernel.astype(np.float64))
    if strengths[1:].max(initial=0) > 1e-6 * strengths[0]:
        return None
    root = strengths[0] ** 0.5
    return (rows[0] * root).astype(np.float32), (columns[:, 0] * root).astype(np.float32)


def pillow(pixels: Array, image: Array, kernel: Array) -> Contender:
    """Return Pillow's Kernel: on whole pixels, so it stands beside the others.

    It reads the kernel from its bottom row, clips to 0..255 and copies the border. So its inside
    is compared with our values as they would be shown, and the rest counts as equal.
    """
    from PIL import Image, ImageFilter

    picture = Image.fromarray(pixels)
    weights = ImageFilter.Kernel(kernel.shape, kernel[::-1].ravel().tolist(), scale=1)
    edge = kernel.shape[0] // 2
    values = ours(image, kernel)()[0][0]

    def read(made: Any) -> Array:
        shown = np.asarray(made) / np.float32(255)
        same = np.abs(np.clip(values, 0, 1) - shown) <= PIXEL_STEPS
        same[:edge] = same[-edge:] = same[:, :edge] = same[:, -edge:] = True
        return np.where(same, values, shown + 1)

    return Contender("Pillow uint8", partial(picture.filter, weights), read, competes=False)
