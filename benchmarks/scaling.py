"""How time grows: with pixels, with the kernel's side, with channels, and how threads share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np

from benchmarks import layers, peers
from benchmarks.filters import Array, random_kernel
from benchmarks.layers import Layer
from benchmarks.machine import THREADS
from benchmarks.measure import Contender, compare
from benchmarks.table import OURS, Curve, Row, row_of
from cnncli.core import engine
from cnncli.core.geometry import place_window
from cnncli.filters import kernels

MEGAPIXELS: Final = (1, 3, 10, 30, 100)
SIDES: Final = (3, 5, 7, 11, 15, 21, 31, 61, 101)
CHANNELS: Final = (8, 16, 32, 64, 128, 256, 512)


def measure(repeats: int, quick: bool = False) -> Iterator[Curve | Row]:
    """Yield the curves, and rows for one and two threads.

    Parameters
    ----------
    repeats : int
        Blocks of each contender.
    quick : bool
        Whether a few small places are enough.
    """
    few = min(repeats, 3)
    yield from pixels(few, (1, 2) if quick else MEGAPIXELS)
    yield from sides(few, (3, 7) if quick else SIDES, 0.1 if quick else 6)
    yield channels(few, (8, 16) if quick else CHANNELS)
    yield from threads(repeats, 0.1 if quick else 6)


def pixels(repeats: int, places: Sequence[float]) -> Iterator[Curve]:
    """Yield time by megapixels of grey float32, for a small, a separable and a full kernel."""
    cases = {
        "3x3 sharpen": kernels.sharpen(),
        "15x15 Gaussian": kernels.gaussian(15),
        "15x15 random": random_kernel(15),
    }
    for name, kernel in cases.items():
        lines = measured((filter_contenders(grey(size), kernel) for size in places), repeats)
        yield Curve(f"{name} by image size", "megapixels", list(places), lines, limit=1.1)


def sides(repeats: int, places: Sequence[int], size: float) -> Iterator[Curve]:
    """Yield time by the side of a Gaussian and of a random kernel, on a grey image."""
    image = grey(size)
    kinds: dict[str, tuple[Callable[[int], Array], float, float]] = {
        "Gaussian": (kernels.gaussian, 1.1, 0),
        "random kernel": (random_kernel, 0.5, 31),
    }
    for name, (make, limit, since) in kinds.items():
        lines = measured((filter_contenders(image, make(side)) for side in places), repeats)
        title = f"{name} on {size:g} megapixels by its side"
        yield Curve(title, "side", [*map(float, places)], lines, limit, since)


def channels(repeats: int, places: Sequence[int]) -> Curve:
    """Return time by channels of a 3x3 layer on 56x56 cells, planned; work grows as the square."""
    every = (layers.contenders_of(Layer(count, count, 3, 56)) for count in places)
    competing = ([c for c in contenders if c.competes] for contenders in every)
    lines = measured(competing, repeats)
    return Curve("3x3 layer on 56x56 cells by channels", "channels", [*map(float, places)], lines)


def threads(repeats: int, size: float) -> Iterator[Row]:
    """Yield ours on two threads, with one thread in the place of a peer."""
    W = np.random.default_rng(0).standard_normal((3, 3, 128, 128), np.float32)
    X = np.random.default_rng(1).standard_normal((1, 112, 112, 128), np.float32)
    plans = {
        f"3x3 sharpen, {size:g} MP": (plan_of(grey(size), kernels.sharpen()), grey(size)),
        f"15x15 Gaussian, {size:g} MP": (plan_of(grey(size), kernels.gaussian(15)), grey(size)),
        f"15x15 random, {size:g} MP": (plan_of(grey(size), random_kernel(15)), grey(size)),
        "3x3 layer, 128->128, 112": (
            engine.prepare_convolution(W, place_window((112, 112), 3, padding=1)),
            X,
        ),
    }
    for name, (plan, image) in plans.items():
        contenders = [
            Contender("two threads", partial(plan, image, THREADS)),
            Contender("one thread", partial(plan, image, 1), tolerance=0.0),
        ]
        yield row_of("threads", name, contenders, compare(contenders, repeats))


def grey(megapixels: float) -> Array:
    """Return a random grey image (1, H, W, 1), three columns to two rows."""
    rows = round((megapixels * 1e6 / 1.5) ** 0.5)
    return np.random.default_rng(0).random((1, rows, rows * 3 // 2, 1), np.float32)


def plan_of(image: Array, kernel: Array) -> engine.Convolution:
    """Return the plan of a kernel on an image, zeros around it."""
    window = place_window(image.shape[1:3], kernel.shape, padding="same")
    return engine.prepare_convolution(kernel.astype(np.float32)[:, :, None, None], window)


def filter_contenders(image: Array, kernel: Array) -> list[Contender]:
    """Return ours, planning included, and OpenCV's."""
    weights = kernel.astype(np.float32)
    grid = image[0, :, :, 0]
    found = [Contender(OURS, lambda: plan_of(image, weights)(image, THREADS), squeezed)]
    if (cv2 := peers.module("OpenCV")) is not None:
        run = partial(cv2.filter2D, grid, -1, weights, borderType=cv2.BORDER_CONSTANT)
        found.append(Contender("OpenCV", run))
    return found


def squeezed(made: Array) -> Array:
    """Return (1, H, W, 1) as (H, W)."""
    return made[0, :, :, 0]


def measured(places: Iterable[list[Contender]], repeats: int) -> dict[str, list[float | None]]:
    """Return the milliseconds of each contender at each place; None where a result is wrong."""
    found = [(contenders, compare(contenders, repeats).seconds) for contenders in places]
    names = dict.fromkeys(c.name for contenders, _ in found for c in contenders)
    return {
        name: [1000 * seconds[name] if name in seconds else None for _, seconds in found]
        for name in names
    }
