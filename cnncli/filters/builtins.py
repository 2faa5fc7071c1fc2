"""The formula of every built-in filter.

``python tools/make_filters.py`` writes them to the folder ``filters``. All are cross-correlated, as
every CNN does: nothing is flipped.
A positive response to ``*_h`` means brighter downward, to ``*_v`` brighter to the right.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.filters import kernels
from cnncli.filters.kernels import Weights

_RING = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
_COMPASS = ("n", "ne", "e", "se", "s", "sw", "w", "nw")
_SIDES = ("top", "top right", "right", "bottom right", "bottom", "bottom left", "left", "top left")
_TOWARDS = tuple(f"edges; above 0: brighter towards the {side}" for side in _SIDES)


@dataclass(frozen=True)
class BuiltIn:
    """One built-in filter.

    Parameters
    ----------
    summary : str
        What it does, one line.
    sign : str
        What a positive response means.
    make : callable
        Returns the weights as float64, ``(kh, kw)`` or ``(kh, kw, C_in, C_out)``.
    source : str
        Author and year, where there is one.
    map_names : tuple of str
        One name per feature map of a bank.
    map_summaries : tuple of str
        What each map of a bank does, one line, where its name alone does not tell.

    Examples
    --------
    >>> BUILTINS["sobel_v"].sign
    'brighter to the right'
    """

    summary: str
    sign: str
    make: Callable[[], Weights]
    source: str = ""
    map_names: tuple[str, ...] = ()
    map_summaries: tuple[str, ...] = ()


def _rows(*rows: list[float], divisor: float = 1) -> Callable[[], Weights]:
    return lambda: np.array(rows, dtype=float) / divisor


def _turned(row: list[float], *, down: bool) -> Callable[[], Weights]:
    """Return a vertical-edge kernel (smoothing column times -1 0 1), or its transpose."""
    weights = np.outer(row, [-1.0, 0.0, 1.0])
    return lambda: (weights.T if down else weights).copy()


def _compass(ring: list[float]) -> Callable[[], Weights]:
    """Return the eight turns of a 3x3 border, given clockwise from the upper left corner."""

    def make() -> Weights:
        bank = np.zeros((3, 3, 1, 8))
        for turn in range(8):
            for cell, value in zip(_RING, np.roll(ring, turn), strict=True):
                bank[*cell, 0, turn] = value
        return bank

    return make


def _balanced(theta: float, phase: float, wavelength: float) -> Weights:
    """Return an 11x11 Gabor kernel that sums to 0 and whose positive weights sum to 1."""
    sigma, gamma = 0.4 * wavelength, 0.8
    kernel = kernels.gabor(11, wavelength, theta, sigma, gamma, phase)
    # A wave of endless length leaves the window itself.
    steps = np.arange(11) - 5.0
    x = steps * np.cos(np.radians(theta)) + steps[:, None] * np.sin(np.radians(theta))
    y = steps[:, None] * np.cos(np.radians(theta)) - steps * np.sin(np.radians(theta))
    window = np.exp(-(x**2 + (gamma * y) ** 2) / (2 * sigma**2))
    kernel = kernel - window * (kernel.sum() / window.sum())
    balanced: Weights = kernel / kernel[kernel > 0].sum()
    return balanced


_COLOURS = {"bw": (1 / 3, 1 / 3, 1 / 3), "rg": (1.0, -1.0, 0.0), "by": (-0.5, -0.5, 1.0)}
_GABOR_COLOUR = tuple(
    (f"{colour}_{form}_{theta}", colour, phase, wavelength, theta)
    for colour, form, phase, wavelength in (
        ("bw", "bar", 0, 6),
        ("bw", "edge", -90, 6),
        ("rg", "bar", 0, 9),
        ("by", "edge", -90, 9),
    )
    for theta in (0, 45, 90, 135)
)


def _gabor_color() -> Weights:
    maps = []
    for _, colour, phase, wavelength, theta in _GABOR_COLOUR:
        mix = np.array(_COLOURS[colour])
        weights = _balanced(theta, phase, wavelength)[:, :, None] * mix
        maps.append(weights / weights[weights > 0].sum())
    return np.stack(maps, axis=-1)


def _color_opponent() -> Weights:
    mixes = np.array([_COLOURS[name] for name in ("rg", "by", "bw")]).T
    weights: Weights = kernels.gaussian(5)[:, :, None, None] * mixes
    return weights


def _dct() -> Weights:
    """Return the orthonormal type-II cosine basis of 8x8 blocks, map 8u+v."""
    order, cell = np.arange(8)[:, None], np.arange(8)
    basis = np.cos(np.pi * order * (2 * cell + 1) / 16) / 2
    basis[0] = np.sqrt(1 / 8)
    weights: Weights = np.einsum("uy,vx->yxuv", basis, basis).reshape(8, 8, 1, 64)
    return weights


_DOWN, _RIGHT = "brighter downward", "brighter to the right"
_LIGHT, _DARK = "brighter than its surroundings", "darker than its surroundings"
_SAME = "bright (the mean is kept)"
_BRIGHT_LINE = "a line brighter than both sides"

BUILTINS: dict[str, BuiltIn] = {
    "identity": BuiltIn("changes nothing", _SAME, kernels.identity),
    "sharpen": BuiltIn("picture minus its 4-neighbour Laplacian", _SAME, kernels.sharpen),
    "unsharp": BuiltIn(
        "twice the picture minus its 5x5 binomial blur",
        _SAME,
        lambda: 2 * kernels.identity(5) - kernels.binomial(5),
    ),
    "emboss": BuiltIn(
        "relief: picture plus its slope to the lower right",
        "bright, or brighter to the lower right",
        _rows([-2, -1, 0], [-1, 1, 1], [0, 1, 2]),
    ),
    "edge": BuiltIn(
        "edge detector: 8 times the pixel minus its 8 neighbours",
        _LIGHT,
        lambda: -kernels.laplacian("8"),
    ),
    "high_pass": BuiltIn(
        "picture minus its 5x5 Gaussian blur",
        _LIGHT,
        lambda: kernels.identity(5) - kernels.gaussian(5),
    ),
    "laplacian": BuiltIn("4 neighbours minus 4 times the pixel", _DARK, kernels.laplacian),
    "laplacian_8": BuiltIn(
        "8 neighbours minus 8 times the pixel", _DARK, lambda: kernels.laplacian("8")
    ),
    "log": BuiltIn(
        "Laplacian of Gaussian, sigma 1.4",
        _DARK,
        lambda: kernels.log(9, 1.4),
        "Marr and Hildreth 1980",
    ),
    "dog": BuiltIn(
        "difference of Gaussians, sigma 1 minus 1.6",
        _LIGHT,
        lambda: kernels.dog(9, 1.0, 1.6),
        "Marr and Hildreth 1980",
    ),
    "sobel_h": BuiltIn(
        "horizontal edges", _DOWN, lambda: kernels.sobel(3, "h"), "Sobel and Feldman 1968"
    ),
    "sobel_v": BuiltIn(
        "vertical edges", _RIGHT, lambda: kernels.sobel(3, "v"), "Sobel and Feldman 1968"
    ),
    "prewitt_h": BuiltIn("horizontal edges", _DOWN, _turned([1, 1, 1], down=True), "Prewitt 1970"),
    "prewitt_v": BuiltIn("vertical edges", _RIGHT, _turned([1, 1, 1], down=False), "Prewitt 1970"),
    "scharr_h": BuiltIn(
        "horizontal edges, better at all angles",
        _DOWN,
        _turned([3, 10, 3], down=True),
        "Scharr 2000",
    ),
    "scharr_v": BuiltIn(
        "vertical edges, better at all angles",
        _RIGHT,
        _turned([3, 10, 3], down=False),
        "Scharr 2000",
    ),
    "roberts": BuiltIn(
        "diagonal edges, falling pair: roberts_a",
        "brighter to the upper left",
        _rows([1, 0], [0, -1]),
        "Roberts 1963",
    ),
    "roberts_a": BuiltIn(
        "diagonal edges, falling pair",
        "brighter to the upper left",
        _rows([1, 0], [0, -1]),
        "Roberts 1963",
    ),
    "roberts_b": BuiltIn(
        "diagonal edges, rising pair",
        "brighter to the upper right",
        _rows([0, 1], [-1, 0]),
        "Roberts 1963",
    ),
    "central_difference_h": BuiltIn(
        "horizontal edges, no smoothing", _DOWN, _rows([-1], [0], [1], divisor=2)
    ),
    "central_difference_v": BuiltIn(
        "vertical edges, no smoothing", _RIGHT, _rows([-1, 0, 1], divisor=2)
    ),
    "line_h": BuiltIn(
        "horizontal lines", _BRIGHT_LINE, _rows([-1, -1, -1], [2, 2, 2], [-1, -1, -1])
    ),
    "line_v": BuiltIn("vertical lines", _BRIGHT_LINE, _rows([-1, 2, -1], [-1, 2, -1], [-1, 2, -1])),
    "line_45": BuiltIn(
        "lines that rise to the right", _BRIGHT_LINE, _rows([-1, -1, 2], [-1, 2, -1], [2, -1, -1])
    ),
    "line_135": BuiltIn(
        "lines that fall to the right", _BRIGHT_LINE, _rows([2, -1, -1], [-1, 2, -1], [-1, -1, 2])
    ),
    "box": BuiltIn("3x3 mean", _SAME, kernels.box),
    "box_5": BuiltIn("5x5 mean", _SAME, lambda: kernels.box(5)),
    "binomial_3": BuiltIn("3x3 binomial blur, 1 2 1", _SAME, lambda: kernels.binomial(3)),
    "binomial_5": BuiltIn("5x5 binomial blur, 1 4 6 4 1", _SAME, lambda: kernels.binomial(5)),
    "gaussian": BuiltIn("5x5 Gaussian, sigma 1.1: gaussian_5", _SAME, kernels.gaussian),
    "gaussian_3": BuiltIn("3x3 Gaussian, sigma 0.8", _SAME, lambda: kernels.gaussian(3)),
    "gaussian_5": BuiltIn("5x5 Gaussian, sigma 1.1", _SAME, lambda: kernels.gaussian(5)),
    "gaussian_7": BuiltIn("7x7 Gaussian, sigma 1.4", _SAME, lambda: kernels.gaussian(7)),
    "gaussian_15": BuiltIn("15x15 Gaussian, sigma 2.6", _SAME, lambda: kernels.gaussian(15)),
    "motion_blur": BuiltIn(
        "blur along the diagonal that falls to the right, 9 pixels",
        _SAME,
        lambda: kernels.motion(9, -45),
    ),
    "motion_blur_h": BuiltIn("blur along rows, 9 pixels", _SAME, lambda: kernels.motion((1, 9), 0)),
    "kirsch": BuiltIn(
        "edges in 8 directions",
        "brighter towards the map's compass point",
        _compass([5, 5, 5, -3, -3, -3, -3, -3]),
        "Kirsch 1971",
        tuple(f"kirsch_{point}" for point in _COMPASS),
        _TOWARDS,
    ),
    "robinson": BuiltIn(
        "edges in 8 directions, Sobel's weights",
        "brighter towards the map's compass point",
        _compass([1, 2, 1, 0, -1, -2, -1, 0]),
        "Robinson 1977",
        tuple(f"robinson_{point}" for point in _COMPASS),
        _TOWARDS,
    ),
    "gabor_bank": BuiltIn(
        "bars 6 pixels apart in 8 orientations, 22.5 degrees each",
        "a bright bar across the map's angle",
        lambda: np.stack([_balanced(22.5 * i, 0, 6) for i in range(8)], axis=-1)[:, :, None],
        "Daugman 1985",
        tuple(f"gabor_{22.5 * i:g}" for i in range(8)),
    ),
    "dct_8": BuiltIn(
        "cosines of JPEG's 8x8 blocks, use --stride 8",
        "the wave of map 8u+v as it stands",
        _dct,
        "Ahmed, Natarajan and Rao 1974",
        tuple(f"dct_{u}_{v}" for u in range(8) for v in range(8)),
    ),
    "gabor_color": BuiltIn(
        "bars and edges in grey, red-green, blue-yellow, as trained first layers have",
        "the map's first colour on the bar, or towards its angle",
        _gabor_color,
        "after Krizhevsky, Sutskever and Hinton 2012",
        tuple(name for name, *_ in _GABOR_COLOUR),
    ),
    "color_opponent": BuiltIn(
        "red against green, blue against yellow, light; 5x5 Gaussian",
        "red, blue, light",
        _color_opponent,
        "after Hering 1878",
        ("red_green", "blue_yellow", "black_white"),
    ),
    "luminance": BuiltIn(
        "grey from colour, 1x1",
        "bright",
        lambda: np.array([[[[0.299], [0.587], [0.114]]]]),
        "ITU-R BT.601",
    ),
}
