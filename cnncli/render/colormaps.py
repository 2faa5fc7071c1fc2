"""Colour tables of 256 distinct colours, so that every one can be turned back into its level."""

from __future__ import annotations

from functools import cache

import numpy as np

from cnncli.errors import FileProblem
from cnncli.render.options import COLORMAPS

__all__ = ["COLORMAPS", "apply", "invert", "pack", "table"]


@cache
def table(name: str) -> np.ndarray:
    """Return one colour table.

    Parameters
    ----------
    name : str
        One of `COLORMAPS`.

    Returns
    -------
    ndarray of uint8, shape (256, 3)
        Read-only; no colour appears twice.

    Raises
    ------
    KeyError
        For an unknown name.

    Notes
    -----
    ``viridis``, ``magma``, ``inferno`` and ``plasma`` are those of Nathaniel Smith, Stéfan van der
    Walt and (viridis) Eric Firing, CC0. ``diverging`` is made by tools/make_colormaps.py.

    Examples
    --------
    >>> table("gray")[[0, 255]].tolist()
    [[0, 0, 0], [255, 255, 255]]
    """
    if name == "gray":
        colours = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    else:
        from importlib import resources

        with resources.files("cnncli.render").joinpath("colormaps.npz").open("rb") as file:
            colours = np.load(file, allow_pickle=False)[name]
    colours.flags.writeable = False
    return colours


def apply(levels: np.ndarray, name: str) -> np.ndarray:
    """Colour a map.

    Parameters
    ----------
    levels : ndarray of uint8, shape (H, W)
    name : str
        One of `COLORMAPS`.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3), or the levels themselves for ``gray``

    Examples
    --------
    >>> apply(np.array([[0, 255]], np.uint8), "viridis").tolist()
    [[[68, 1, 84], [253, 231, 37]]]
    """
    return levels if name == "gray" else np.take(table(name), levels, axis=0)


def invert(pixels: np.ndarray, name: str) -> np.ndarray:
    """Turn the colours of a table back into levels.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
    name : str
        The table they came from.

    Returns
    -------
    ndarray of uint8, shape (H, W)

    Raises
    ------
    FileProblem
        When there are colours that are not in the table.

    Examples
    --------
    >>> levels = np.arange(256, dtype=np.uint8)[None]
    >>> bool((invert(apply(levels, "diverging"), "diverging") == levels).all())
    True
    """
    codes = pack(table(name))
    order = np.argsort(codes)
    pixel_codes = pack(pixels)
    nearest = np.minimum(np.searchsorted(codes, pixel_codes, sorter=order), 255)
    levels = order[nearest].astype(np.uint8)
    if not np.array_equal(codes[levels], pixel_codes):
        raise FileProblem(
            f"holds colours that are not in the colormap {name}: the picture was changed",
            hint="keep feature maps in PNG or .npy",
        )
    return levels


def pack(colours: np.ndarray) -> np.ndarray:
    """Return each colour (..., 3) as one number, red first.

    Examples
    --------
    >>> pack(np.array([[0, 1, 2]], np.uint8))
    array([258], dtype=uint32)
    """
    return colours.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
