"""Refuses results that the disk has no room for, before any work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cnncli.errors import FileProblem, OptionError
from cnncli.io.writers import holds_values
from cnncli.pipeline.job import Job
from cnncli.pipeline.layer_result import LayerResult, OutFile
from cnncli.pipeline.output_checks import existing_parent
from cnncli.pipeline.output_names import is_device
from cnncli.pipeline.sheets import is_colour, sheet_size
from cnncli.system.files import free_bytes
from cnncli.system.memory import bytes_text

LEAST_VALUE_BYTES: Final = 4
"""Of float32; float64 takes twice as many."""


def check_disk(job: Job, files: Sequence[OutFile], results: Sequence[LayerResult]) -> None:
    """Refuse maps of more pixels than ``--max-pixels``, and files that do not fit on their disk.

    What compresses takes less than its pixels: such a file counts only where it has more pixels
    than ``--max-pixels``.

    Parameters
    ----------
    job : Job
    files : sequence of OutFile
        Those that are to be written.
    results : sequence of LayerResult

    Raises
    ------
    OptionError
        If a map has too many pixels.
    FileProblem
        With what is needed and what is free.
    """
    _check_pixels(job, results)
    needed: dict[Path, int] = defaultdict(int)
    most_pixels = 0
    for file in files:
        if not isinstance(file.path, Path) or is_device(file.path):
            continue
        pixels, size = _pixels_and_bytes(job, file, results[file.result])
        if _compresses(job, file):
            if pixels <= job.read.max_pixels:
                continue
            most_pixels = max(most_pixels, pixels)
        folder = existing_parent(file.path.parent)
        needed[folder] += size
        free = free_bytes(folder)
        if free is not None and needed[folder] > free:
            hint = "a smaller image, less padding or another disk"
            if most_pixels:
                hint = f"--max-pixels {most_pixels} if it compresses well"
            raise FileProblem(
                f"needs about {bytes_text(needed[folder])} of disk, {bytes_text(free)} is free",
                hint=hint,
                path=file.path,
            )


def _check_pixels(job: Job, results: Sequence[LayerResult]) -> None:
    """Refuse maps of more pixels than an image may have: only a padding makes them so large."""
    for result in results:
        height, width = result.shape[1:3]
        if height * width > job.read.max_pixels:
            raise OptionError(
                f"a result may have {job.read.max_pixels} pixels, "
                f"got {height}x{width} = {height * width}",
                hint=f"less padding, or --max-pixels {height * width}",
            )


def _compresses(job: Job, file: OutFile) -> bool:
    plain = file.format.name == "tif" and job.render.compress == "fast"
    return file.format.compressed and not plain


def _pixels_and_bytes(job: Job, file: OutFile, result: LayerResult) -> tuple[int, int]:
    """Return how many pixels a file has, and the bytes that they take uncompressed."""
    if holds_values(file.format, job.output.depth):
        pixels = result.shape[1] * result.shape[2]
        shown = (result.groups[index % len(result.groups)] for index in file.maps)
        return pixels, pixels * LEAST_VALUE_BYTES * sum(len(group.channels) for group in shown)
    width, height = sheet_size(result, file.maps, job.render, job.op)
    colour = is_colour(result, file.maps, job.render)
    samples = (3 if colour else 1) * (2 if job.output.depth == "16" else 1)
    return width * height, width * height * samples
