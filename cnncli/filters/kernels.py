"""Filters with parameters, each from its formula. `generators` lists them.

Rows grow downward and columns to the right. All weights are float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from cnncli.errors import OptionError
from cnncli.io.limits import MAX_SIDE

Weights = np.ndarray[Any, np.dtype[np.float64]]
Size = int | Sequence[int]

MAX_WEIGHTS = 2**25
_MAX_SOBEL = 31


def identity(size: Size = 3) -> Weights:
    """Return the kernel that changes nothing.

    Parameters
    ----------
    size : int or (int, int)
        Rows and columns. For an even side the 1 stands where ``same`` padding has its centre.

    Returns
    -------
    ndarray, shape (kh, kw)

    Examples
    --------
    >>> identity((1, 4)).tolist()
    [[0.0, 1.0, 0.0, 0.0]]
    """
    height, width = _check_size(size)
    weights = np.zeros((height, width))
    weights[(height - 1) // 2, (width - 1) // 2] = 1
    return weights


def box(size: Size = 3) -> Weights:
    """Return the mean of the window.

    Parameters
    ----------
    size : int or (int, int)
        Rows and columns.

    Returns
    -------
    ndarray, shape (kh, kw)
        Sums to 1.

    Examples
    --------
    >>> box(2).tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    height, width = _check_size(size)
    return np.full((height, width), 1 / (height * width))


def binomial(size: Size = 3) -> Weights:
    """Return rows of Pascal's triangle along both axes, divided by their sum.

    Parameters
    ----------
    size : int or (int, int)
        Rows and columns.

    Returns
    -------
    ndarray, shape (kh, kw)
        Sums to 1; near a Gaussian of variance ``(size - 1) / 4``.

    Notes
    -----
    P. J. Burt and E. H. Adelson, "The Laplacian pyramid as a compact image code", 1983,
    blur their pyramids with a near relative of the 5x5 one.

    Examples
    --------
    >>> (binomial((1, 3)) * 4).tolist()
    [[1.0, 2.0, 1.0]]
    """
    height, width = _check_size(size)
    column, row = (
        np.array([math.comb(k - 1, i) / 2 ** (k - 1) for i in range(k)]) for k in (height, width)
    )
    return np.outer(column, row)


def gaussian(size: Size | None = None, sigma: float | None = None) -> Weights:
    """Return a Gaussian sampled at the pixels, divided by its sum.

    Parameters
    ----------
    size : int or (int, int), optional
        Rows and columns. By default 5, or 3 sigma to each side.
    sigma : float, optional
        Standard deviation in pixels, 0.01 to 10000. By default
        ``0.3 * ((k - 1) / 2 - 1) + 0.8`` for a side of k pixels, the rule of OpenCV's
        ``getGaussianKernel``.

    Returns
    -------
    ndarray, shape (kh, kw)
        Sums to 1.

    Examples
    --------
    >>> gaussian(3, 0.85).round(2).tolist()
    [[0.06, 0.12, 0.06], [0.12, 0.25, 0.12], [0.06, 0.12, 0.06]]
    """
    column, row = (
        _gaussian_1d(k, 0.3 * ((k - 1) * 0.5 - 1) + 0.8 if sigma is None else _check_sigma(sigma))
        for k in _window(size, 5, sigma)
    )
    return np.outer(column, row)


def log(size: Size | None = None, sigma: float | None = None) -> Weights:
    """Return the Laplacian of a Gaussian, zero-sum.

    Parameters
    ----------
    size : int or (int, int), optional
        Rows and columns. By default 9, or 3 sigma to each side.
    sigma : float, optional
        In pixels; by default a sixth of the smaller side.

    Returns
    -------
    ndarray, shape (kh, kw)
        Negative in the centre: dark spots answer positive.

    Notes
    -----
    ``G * (r**2 - m) / sigma**4`` with the Gaussian G and m the mean of r**2 under it: 2 sigma**2
    but for what the window cuts off. So it sums to zero and keeps rank 2.

    D. Marr and E. Hildreth, "Theory of edge detection", 1980.

    Examples
    --------
    >>> bool(abs(log(9, 1.4).sum()) < 1e-12), bool(log(9, 1.4)[4, 4] < 0)
    (True, True)
    """
    height, width = _window(size, 9, sigma)
    sigma = _check_sigma(min(height, width) / 6 if sigma is None else sigma)
    squares = _offsets(height)[:, None] ** 2 + _offsets(width)[None, :] ** 2
    window = gaussian((height, width), sigma)
    weights: Weights = window * (squares - (window * squares).sum()) / sigma**4
    return weights


def dog(size: Size | None = None, sigma: float | None = None, ratio: float = 1.6) -> Weights:
    """Return a narrow Gaussian minus a wide one.

    Parameters
    ----------
    size : int or (int, int), optional
        Rows and columns. By default 9, or 3 sigma to each side.
    sigma : float, optional
        Of the narrow Gaussian, in pixels; by default a sixth of the smaller side over `ratio`.
    ratio : float
        Wide sigma over narrow sigma, above 1. With 1.6 it is nearest to the (negated)
        Laplacian of Gaussian.

    Returns
    -------
    ndarray, shape (kh, kw)
        Zero-sum, positive in the centre: bright spots answer positive.

    Notes
    -----
    D. Marr and E. Hildreth, "Theory of edge detection", 1980.

    Examples
    --------
    >>> bool(abs(dog(9).sum()) < 1e-12), bool(dog(9)[4, 4] > 0)
    (True, True)
    """
    ratio = _check_number("ratio", ratio, 1, 1000, above=True)
    height, width = _window(size, 9, None if sigma is None else sigma * ratio)
    sigma = _check_sigma(min(height, width) / 6 / ratio if sigma is None else sigma)
    return gaussian((height, width), sigma) - gaussian((height, width), sigma * ratio)


def gabor(
    size: Size | None = None,
    wavelength: float | None = None,
    theta: float = 0.0,
    sigma: float | None = None,
    gamma: float = 0.5,
    phase: float = 0.0,
    orientations: int = 1,
) -> Weights:
    """Return a cosine wave in a Gaussian window, or a bank of them turned by equal angles.

    Parameters
    ----------
    size : int or (int, int), optional
        Rows and columns. By default 15, or 3 sigma to each side.
    wavelength : float
        In pixels, 2 to 10000; by default 6.
    theta : float
        Direction in which the wave runs, degrees clockwise from rightwards: 0 answers
        vertical structures, 90 horizontal ones.
    sigma : float, optional
        Of the window along the wave, in pixels. By default 0.56 wavelengths: one octave.
    gamma : float
        Sigma along the wave over sigma across it.
    phase : float
        Degrees. 0: bright bar in the centre; -90: edge, brighter towards theta.
    orientations : int
        1, or the number of maps of a bank; theta grows by ``180 / orientations`` each.

    Returns
    -------
    ndarray, shape (kh, kw), or (kh, kw, 1, orientations) for a bank
        Peak 1, not exactly zero-sum for phase 0 (as OpenCV's ``getGaborKernel``).

    Notes
    -----
    J. G. Daugman, "Uncertainty relation for resolution in space, spatial frequency, and
    orientation optimized by two-dimensional visual cortical filters", 1985.

    Examples
    --------
    >>> gabor(15).shape, gabor(15, orientations=8).shape
    ((15, 15), (15, 15, 1, 8))
    """
    follows = sigma is not None or wavelength is not None
    wavelength = _check_number("wavelength", 6.0 if wavelength is None else wavelength, 2, 10_000)
    sigma = _check_sigma(0.56 * wavelength if sigma is None else sigma)
    gamma = _check_number("gamma", gamma, 0.001, 1000)
    height, width = _window(size, 15, sigma / min(1.0, gamma) if follows else None)
    count = _check_count("orientations", orientations, MAX_WEIGHTS // (height * width))
    theta = math.radians(_check_number("theta", theta, -36_000, 36_000))
    phase = math.radians(_check_number("phase", phase, -36_000, 36_000))
    angles = theta + np.pi * np.arange(count) / count
    rows, columns = _offsets(height)[:, None, None], _offsets(width)[None, :, None]
    along = columns * np.cos(angles) + rows * np.sin(angles)
    across = rows * np.cos(angles) - columns * np.sin(angles)
    window = np.exp(-(along**2 + (gamma * across) ** 2) / (2 * sigma**2))
    weights = window * np.cos(2 * np.pi * along / wavelength + phase)
    return weights[:, :, 0] if count == 1 else weights[:, :, None, :]


def sobel(size: int = 3, axis: str = "h") -> Weights:
    """Return a derivative across an edge, smoothed along and across it by binomials.

    Parameters
    ----------
    size : int
        Rows and columns, odd, 3 to 31.
    axis : {"h", "v"}
        ``"h"`` finds horizontal edges (positive: brighter downward), ``"v"`` vertical ones
        (positive: brighter to the right).

    Returns
    -------
    ndarray, shape (size, size)
        Whole numbers, not divided by their sum, as in textbooks.

    Notes
    -----
    I. Sobel and G. Feldman, "A 3x3 isotropic gradient operator for image processing", 1968.

    Examples
    --------
    >>> sobel(3, "v").tolist()
    [[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]
    """
    size, _ = _check_size((_check_count("size", size, _MAX_SOBEL), 1))
    if size % 2 == 0 or size < 3:
        raise OptionError(f"size must be odd and at least 3 for sobel, got {size}")
    smooth = np.array([math.comb(size - 1, i) for i in range(size)], dtype=float)
    narrow = np.array([math.comb(size - 3, i) for i in range(size - 2)], dtype=float)
    weights = np.outer(np.convolve(narrow, [-1, 0, 1]), smooth)
    return weights if _check_word("axis", axis, ("h", "v")) == "h" else weights.T.copy()


def laplacian(neighbours: str | int = "4") -> Weights:
    """Return the sum of the neighbours minus as many times the centre.

    Parameters
    ----------
    neighbours : {"4", "8"}
        Beside and above only, or the corners too.

    Returns
    -------
    ndarray, shape (3, 3)
        Positive where a pixel is darker than its neighbours.

    Examples
    --------
    >>> laplacian("4").tolist()
    [[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]
    """
    if _check_word("neighbours", str(neighbours), ("4", "8")) == "4":
        return np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=float)
    return np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]], dtype=float)


def sharpen(amount: float = 1.0) -> Weights:
    """Return the identity minus `amount` times the 4-neighbour Laplacian.

    Parameters
    ----------
    amount : float
        0 changes nothing; 1 is the textbook kernel.

    Returns
    -------
    ndarray, shape (3, 3)
        Sums to 1.

    Examples
    --------
    >>> sharpen().tolist()
    [[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]]
    """
    amount = _check_number("amount", amount, -1000, 1000)
    # Adding 0.0 turns the -0.0 of the corners into 0.0.
    return identity(3) - amount * laplacian() + 0.0


def unsharp(size: Size | None = None, sigma: float | None = None, amount: float = 1.0) -> Weights:
    """Return the identity plus `amount` times its difference from a Gaussian blur.

    Parameters
    ----------
    size : int or (int, int), optional
        Rows and columns, odd. By default 5, or 3 sigma to each side.
    sigma : float, optional
        As for `gaussian`.
    amount : float
        0 changes nothing.

    Returns
    -------
    ndarray, shape (kh, kw)
        Sums to 1.

    Examples
    --------
    >>> float(unsharp(5).sum().round(12))
    1.0
    """
    height, width = _window(size, 5, sigma)
    if height % 2 == 0 or width % 2 == 0:
        raise OptionError(f"size must be odd for unsharp, got {height},{width}")
    amount = _check_number("amount", amount, -1000, 1000)
    return (1 + amount) * identity((height, width)) - amount * gaussian((height, width), sigma)


def motion(size: Size = 9, angle: float = 0.0) -> Weights:
    """Return the mean along a straight line through the centre of the window.

    Parameters
    ----------
    size : int or (int, int)
        Rows and columns. The line crosses the window from side to side along its longer
        direction; what falls outside a narrow window is left out.
    angle : float
        Degrees counter-clockwise from rightwards: 0 horizontal, 45 rising to the right.

    Returns
    -------
    ndarray, shape (kh, kw)
        Sums to 1. Between pixels the weight is shared by the two nearest.

    Examples
    --------
    >>> motion((1, 4)).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    height, width = _check_size(size)
    angle = math.radians(_check_number("angle", angle, -36_000, 36_000))
    sine, cosine = math.sin(angle), math.cos(angle)
    if abs(cosine) >= abs(sine) - 1e-12:
        weights = _line(height, width, -sine / cosine)
    else:
        weights = _line(width, height, -cosine / sine).T.copy()
    mean: Weights = weights / weights.sum()
    return mean


def random(size: Size = 3, channels_in: int = 3, channels_out: int = 8, seed: int = 0) -> Weights:
    """Return He-normal weights, as an untrained layer followed by ReLU starts with.

    Parameters
    ----------
    size : int or (int, int)
        Rows and columns.
    channels_in, channels_out : int
        Channels of the input and number of feature maps.
    seed : int
        0 or more; the same seed gives the same weights.

    Returns
    -------
    ndarray, shape (kh, kw, channels_in, channels_out)
        Mean 0, variance ``2 / (kh * kw * channels_in)``.

    Notes
    -----
    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", 2015.

    Examples
    --------
    >>> random(3, 3, 8).shape
    (3, 3, 3, 8)
    """
    height, width = _check_size(size)
    depth = _check_count("channels_in", channels_in, MAX_WEIGHTS // (height * width))
    fan_in = height * width * depth
    maps = _check_count("channels_out", channels_out, MAX_WEIGHTS // fan_in)
    generator = np.random.default_rng(_check_count("seed", seed, 2**63 - 1, low=0))
    return generator.normal(0.0, math.sqrt(2 / fan_in), (height, width, depth, maps))


def _offsets(side: int) -> Weights:
    return np.arange(side, dtype=np.float64) - (side - 1) / 2


def _gaussian_1d(side: int, sigma: float) -> Weights:
    exponents = -((_offsets(side) / sigma) ** 2) / 2
    # An even side has no pixel in the centre: without the shift a tiny sigma would give 0/0.
    weights: Weights = np.exp(exponents - exponents.max())
    weights /= weights.sum()
    return weights


def _line(height: int, width: int, slope: float) -> Weights:
    """Return a window with a weight of 1 in every column, on the line of that slope."""
    # Rounding takes away what the tangent of 45 degrees is short of 1.
    rows = np.round((height - 1) / 2 + slope * _offsets(width), 9)
    upper = np.floor(rows).astype(int)
    weights = np.zeros((height + 1, width))
    for row, share in ((upper, 1 - (rows - upper)), (upper + 1, rows - upper)):
        inside = np.flatnonzero((row >= 0) & (row < height))
        weights[row[inside], inside] += share[inside]
    return weights[:height]


def _check_size(size: Size) -> tuple[int, int]:
    sides = tuple(size) if isinstance(size, Sequence) else (size, size)
    whole = all(_is_whole(side) for side in sides)
    if len(sides) != 2 or not whole or not all(1 <= side <= MAX_SIDE for side in sides):
        shown = ",".join(str(side) for side in sides)
        raise OptionError(f"size must be N or H,W with sides of 1 to {MAX_SIDE}, got {shown}")
    return int(sides[0]), int(sides[1])


def _window(size: Size | None, default: int, sigma: float | None) -> tuple[int, int]:
    """Return rows and columns: as given, or 3 sigma to each side, or the default."""
    if size is not None or sigma is None:
        return _check_size(default if size is None else size)
    side = 2 * math.ceil(3 * _check_sigma(sigma)) + 1
    if side > MAX_SIDE:
        raise OptionError(f"sigma {sigma:g} needs a window of {side}, over {MAX_SIDE}: give a size")
    return side, side


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _check_count(name: str, value: int, high: int, *, low: int = 1) -> int:
    if not _is_whole(value) or not low <= value <= high:
        raise OptionError(f"{name} must be a whole number of {low} to {high}, got {value}")
    return int(value)


def _check_number(name: str, value: float, low: float, high: float, above: bool = False) -> float:
    if not low <= value <= high or (above and value == low):
        least = f"above {low:g}" if above else f"at least {low:g}"
        raise OptionError(f"{name} must be {least} and at most {high:g}, got {value}")
    return float(value)


def _check_sigma(sigma: float) -> float:
    return _check_number("sigma", sigma, 0.01, 10_000)


def _check_word(name: str, word: str, words: tuple[str, ...]) -> str:
    if word not in words:
        raise OptionError(f"{name} must be {' or '.join(words)}, got {word!a}")
    return word
