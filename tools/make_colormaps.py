"""Make cnncli/render/colormaps.npz: python tools/make_colormaps.py (needs matplotlib).

viridis, magma, inferno and plasma: Nathaniel J. Smith, Stéfan van der Walt and (viridis) Eric
Firing, released under CC0, https://bids.github.io/colormap/; taken from matplotlib's tables.
diverging: straight lines in OKLab (Björn Ottosson, https://bottosson.github.io/posts/oklab/) from
a near-white to a blue and a red of equal lightness; level 128, which is zero of a symmetric range,
is the near-white itself.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np

LISTED = ("viridis", "magma", "inferno", "plasma")
TARGET = Path(__file__).parents[1] / "cnncli" / "render" / "colormaps.npz"

# From OKLab to the cube roots of cone responses, and from cone responses to linear sRGB.
TO_ROOTS = np.array(
    [
        [1.0, 0.3963377774, 0.2158037573],
        [1.0, -0.1055613458, -0.0638541728],
        [1.0, -0.0894841775, -1.2914855480],
    ]
)
TO_LINEAR = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)

NEUTRAL = (0.97, 0.0, 0.0)
# Equal lightness on both ends; the chroma of each is a little under what sRGB can show there.
BLUE_END = (0.47, 0.140 * np.cos(np.deg2rad(257)), 0.140 * np.sin(np.deg2rad(257)))
RED_END = (0.47, 0.180 * np.cos(np.deg2rad(25)), 0.180 * np.sin(np.deg2rad(25)))


def srgb(lab: np.ndarray) -> np.ndarray:
    """Turn OKLab colours (..., 3) into sRGB in 0..255, as floats, clipped to what screens show."""
    linear = np.clip((lab @ TO_ROOTS.T) ** 3 @ TO_LINEAR.T, 0.0, 1.0)
    curved = 1.055 * linear ** (1 / 2.4) - 0.055
    return 255.0 * np.where(linear <= 0.0031308, 12.92 * linear, curved)


def diverging() -> np.ndarray:
    """Return the 256 colours, (256, 3) floats in 0..255."""
    place = np.clip((np.arange(256) - 128) / 127.5, -1.0, 1.0)[:, None]
    ends = np.where(place < 0, BLUE_END, RED_END)
    share = np.abs(place)
    return srgb((1 - share) * np.array(NEUTRAL) + share * ends)


def distinct(colours: np.ndarray) -> np.ndarray:
    """Round to 8 bits so that no colour appears twice: the nearest free one is taken."""
    taken: dict[tuple[int, ...], None] = {}
    for colour in colours:
        corner = np.rint(colour)
        steps = product((0, 1, -1), repeat=3)
        near = sorted((corner + step for step in steps), key=lambda c: np.abs(c - colour).sum())
        inside = (tuple(int(x) for x in c) for c in near if c.min() >= 0 and c.max() <= 255)
        taken[next(c for c in inside if c not in taken)] = None
    return np.array(list(taken), dtype=np.uint8)


def main() -> None:
    """Write the file."""
    import matplotlib

    tables = {name: matplotlib.colormaps[name](np.arange(256))[:, :3] * 255 for name in LISTED}
    tables["diverging"] = diverging()
    np.savez_compressed(TARGET, **{name: distinct(colours) for name, colours in tables.items()})


if __name__ == "__main__":
    main()
