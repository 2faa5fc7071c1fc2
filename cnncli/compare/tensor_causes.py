"""How another program made the tensor that it gives a network: found from the photograph.

Candidates are ways to resize and orders of channels. What is left of the difference, range, mean
and std, is one factor and one offset for each channel, by least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnncli._dataclass import dataclass
from cnncli.compare.chance import tells
from cnncli.compare.difference import APART, Values
from cnncli.core.choices import FITS, PREPARATIONS
from cnncli.io.resize import resize
from cnncli.network.layers import ResizeLayer
from cnncli.network.preparation import Preparation

Size = tuple[int, int]

_PILLOW: Final = ("NEAREST", "BOX", "HAMMING", "BICUBIC", "LANCZOS")
_PLAIN: Final = {
    "linear without antialias, as OpenCV's INTER_LINEAR": ("linear", "half-pixel"),
    "linear with align_corners": ("linear", "align-corners"),
    "cubic without antialias, as OpenCV's INTER_CUBIC": ("cubic", "half-pixel"),
    "nearest, as OpenCV's INTER_NEAREST": ("nearest", "asymmetric"),
}
_SHARE: Final = 2e-4
"""Of a tensor's largest value: what rounding may leave."""


@dataclass(frozen=True, eq=False)
class _Candidate:
    """Pixels of 0..1 as another program may have them, and what it does otherwise than cnncli."""

    texts: tuple[str, ...]
    pixels: Values


def tensor_causes(
    pixels: Values, resized: Values, own: Preparation, tensor: Values, name: str
) -> list[str]:
    """Return what is done to a photograph otherwise than a network's preparation says.

    Parameters
    ----------
    pixels : ndarray, shape (1, H, W, C)
        Of 0..1, red first, in the photograph's own size.
    resized : ndarray
        The same in the size that the network's preparation gives them.
    own : Preparation
    tensor : ndarray, shape (1, n_H, n_W, C)
        What the other program gives the network.
    name : str
        What it is called.

    Returns
    -------
    list of str
        Empty, if nothing that was tried explains it.

    Examples
    --------
    >>> pixels = np.random.default_rng(1).random((1, 4, 4, 3))
    >>> tensor_causes(pixels, pixels, Preparation(), 255 * pixels[..., ::-1], "x.npy")
    ['channels: blue first in x.npy (--bgr)', 'range: pixels of 0..255 in x.npy (--scale 255)']
    """
    best: tuple[float, _Candidate, tuple[Any, Any]] | None = None
    largest = max(float(np.abs(tensor).max(initial=0)), 1e-6)
    for candidate in _candidates(pixels, resized, own, tensor, name):
        fitted = _fit(candidate.pixels, tensor)
        if fitted is None:
            continue
        factor, offset, apart = fitted
        if not tells(tensor, float(apart.max())):
            continue
        levels = float(np.max(apart / np.maximum(np.abs(factor), 1e-12))) * 255
        if apart.max() <= _SHARE * largest:
            return [*candidate.texts, *_numbers(factor, offset, own, name)]
        if levels <= APART and (best is None or levels < best[0]):
            best = levels, candidate, (factor, offset)
    if best is None:
        return []
    _, candidate, numbers = best
    texts = [*candidate.texts, *_numbers(numbers[0], numbers[1], own, name)]
    return [f"{text}; to within one level of 255" for text in texts]


def _candidates(
    pixels: Values, resized: Values, own: Preparation, tensor: Values, name: str
) -> Iterator[_Candidate]:
    """Yield pixels of the tensor's size, the fewest changes first."""
    size = tensor.shape[1], tensor.shape[2]
    made: list[tuple[tuple[str, ...], Callable[[], Values]]] = [((), lambda: resized)]
    if size != pixels.shape[1:3]:
        made += [((f"resize: {text} in {name}",), make) for text, make in _resized(pixels, size)]
    for (texts, make), bgr in product(made, (own.bgr, not own.bgr)):
        X = make()
        if X.shape != tensor.shape:
            continue
        order = "blue" if bgr else "red"
        turned = () if bgr == own.bgr else (f"channels: {order} first in {name} (--bgr)",)
        yield _Candidate((*turned, *texts), X[..., ::-1] if bgr else X)


def _resized(pixels: Values, size: Size) -> Iterator[tuple[str, Callable[[], Values]]]:
    for fit in FITS:
        yield f"--fit {fit}", partial(resize, pixels, size, fit)
    yield "the short side to 8/7 of the size, then its middle", partial(_middle, pixels, size)
    for filter in _PILLOW:
        yield f"Pillow's {filter}", partial(_by_pillow, pixels, size, filter)
    for text, (mode, coordinates) in _PLAIN.items():
        layer = ResizeLayer(size, None, mode, coordinates, "floor")
        yield text, partial(_by_layer, pixels, layer)


def _middle(pixels: Values, size: Size) -> Values:
    """Return the middle of a larger picture, as torchvision's Resize(256), CenterCrop(224)."""
    n_H, n_W = pixels.shape[1:3]
    factor = max(size) * 8 / 7 / min(n_H, n_W)
    larger = max(size[0], int(n_H * factor)), max(size[1], int(n_W * factor))
    X: Values = resize(pixels, larger)
    top, left = (round((one - other) / 2) for one, other in zip(larger, size, strict=True))
    return X[:, top : top + size[0], left : left + size[1]]


def _by_layer(pixels: Values, layer: ResizeLayer) -> Values:
    return layer.forward(pixels)[0]


def _by_pillow(pixels: Values, size: Size, filter: str) -> Values:
    kind = Image.Resampling[filter]
    planes = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size[::-1], kind))
        for plane in np.moveaxis(pixels[0], -1, 0)
    ]
    return np.asarray(np.clip(np.stack(planes, axis=-1)[None], 0, 1))


def _fit(
    X: Values, Y: Values
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
    """Return factor and offset of each channel from `X` to `Y`, and the largest error of each."""
    x, y = (v.reshape(-1, v.shape[3]).astype(np.float64) for v in (X, Y))
    middle, target = x.mean(axis=0), y.mean(axis=0)
    spread = ((x - middle) ** 2).sum(axis=0)
    if not spread.all() or not np.isfinite(y).all():
        return None
    factor = ((x - middle) * (y - target)).sum(axis=0) / spread
    offset = target - factor * middle
    return factor, offset, np.abs(factor * x + offset - y).max(axis=0)


def _numbers(factor: Any, offset: Any, own: Preparation, name: str) -> list[str]:
    """Say by which range, mean and std a tensor was made, if they are not the network's own."""

    def close(scale: float, mean: Any, std: Any) -> bool:
        """Tell whether ``(x*scale - mean) / std`` is the same to a level of 255."""
        low, high = -np.asarray(mean) / std, (scale - np.asarray(mean)) / std
        room = np.abs(factor) / 255
        ends = np.abs(low - offset) <= room, np.abs(high - factor - offset) <= room
        return bool(np.all(ends))

    if close(own.scale, own.mean, own.std):
        return []
    if close(own.scale, np.atleast_1d(own.mean)[::-1], np.atleast_1d(own.std)[::-1]):
        return [f"mean and std: turned with the channels in {name}"]
    for known, numbers in PREPARATIONS.items():
        if close(numbers["scale"], numbers["mean"], numbers["std"]):  # type: ignore[arg-type]
            if known == "0..255":
                return [f"range: pixels of 0..255 in {name} (--scale 255)"]
            return [f"mean, std and range: those of --prep {known} in {name}"]
    mean, std = (",".join(f"{v:.4g}" for v in each) for each in (-offset / factor, 1 / factor))
    return [f"mean and std of pixels 0..1: {mean} and {std} in {name}"]
