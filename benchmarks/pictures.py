"""Makes the pictures that commands are measured on, in a temporary folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

SAMPLES: Final = Path(__file__).resolve().parents[1] / "sample_images"

SIZES: Final = {12: (4000, 3000), 100: (11547, 8660)}
"""Columns and rows by megapixels."""

GRAIN: Final = 2.0
"""Standard deviation of the noise, in steps of 255: enlarged without it, a photograph would be far
smoother than one of that size, and its PNG less than half as long."""

FOLDER_IMAGES: Final = 200

HALF_MEGAPIXEL: Final = (816, 612)

DIFFERENT: Final = 50
"""Photographs of a folder of many that have pixels of their own."""


class Workshop:
    """A folder that pictures are made in when they are first asked for.

    Parameters
    ----------
    folder : Path
        Empty, and removed by the caller.
    quick : bool
        Whether photographs get a hundredth of their pixels and the folder a tenth of its images.
    """

    def __init__(self, folder: Path, quick: bool = False) -> None:
        self.folder = folder
        self.quick = quick
        self.peaks: dict[tuple[str, str], int] = {}
        self.environment = environment(folder / "bytecode")

    def photo(self, megapixels: int, suffix: str) -> Path:
        """Return a colour photograph of that size, as ``.png`` or ``.jpg``."""
        path = self.folder / f"photo-{megapixels}{suffix}"
        if not path.exists():
            columns, rows = SIZES[megapixels]
            shrink = 10 if self.quick else 1
            picture = enlarged("astronaut.png", columns // shrink, rows // shrink)
            picture.save(path, quality=95) if suffix == ".jpg" else picture.save(
                path, compress_level=1
            )
        return path

    def small(self) -> Path:
        """Return a sample photograph, 451x300."""
        path = self.folder / "small.png"
        if not path.exists():
            with Image.open(SAMPLES / "chelsea.png") as picture:
                picture.convert("RGB").save(path)
        return path

    def many(self) -> Path:
        """Return a folder of small photographs, each a little different."""
        folder = self.folder / "many"
        if not folder.exists():
            folder.mkdir()
            with Image.open(self.small()) as picture:
                pixels = np.asarray(picture)
            for index in range(FOLDER_IMAGES // (10 if self.quick else 1)):
                shifted = Image.fromarray(np.roll(pixels, 2 * index, axis=1))
                shifted.save(folder / f"{index:03d}.png")
        return folder

    def photos(self, suffix: str, count: int, small: bool = False) -> Path:
        """Return a folder of photographs of half a megapixel, or a thousandth of it if `small`.

        Each of the first `DIFFERENT` has its own pixels, the others are links to them.
        """
        folder = self.folder / f"photos-{count}{'-small' * small}{suffix}"
        if folder.exists():
            return folder
        folder.mkdir()
        columns, rows = (34, 26) if small else HALF_MEGAPIXEL
        scene = np.asarray(enlarged("astronaut.png", columns + 2 * DIFFERENT, rows))
        for index in range(count):
            path = folder / f"{index:05d}{suffix}"
            if index >= DIFFERENT:
                path.hardlink_to(folder / f"{index % DIFFERENT:05d}{suffix}")
                continue
            picture = Image.fromarray(scene[:, 2 * index : 2 * index + columns])
            picture.save(path, **{".jpg": {"quality": 95}, ".png": {"compress_level": 1}}[suffix])
        return folder

    def text(self, name: str, content: str) -> Path:
        """Return a text file with that content."""
        path = self.folder / name
        path.write_text(content, "utf-8")
        return path


def environment(bytecode: Path) -> dict[str, str]:
    """Return this environment, in which Python keeps compiled modules as an installation does.

    They go to a folder of their own: nothing is left in the repository.
    """
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(bytecode)}


def enlarged(sample: str, columns: int, rows: int) -> Image.Image:
    """Return a sample photograph enlarged, with the grain of a sensor."""
    with Image.open(SAMPLES / sample) as picture:
        large = picture.convert("RGB").resize((columns, rows), Image.Resampling.LANCZOS)
    pixels = np.array(large)
    rng = np.random.default_rng(0)
    for strip in np.array_split(pixels, max(1, rows // 100)):
        grain = rng.standard_normal(strip.shape, np.float32) * np.float32(GRAIN)
        np.copyto(strip, np.clip(np.rint(strip + grain), 0, 255), casting="unsafe")
    return Image.fromarray(pixels)
