"""How much memory the work on an image takes, told before it begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from cnncli.core.strips import STRIP_BYTES
from cnncli.io.image_headers import ImageHeader
from cnncli.io.images import Picture
from cnncli.io.writers import encoding_bytes, holds_values
from cnncli.pipeline.feature_maps import BLOCK_BYTES, HELD_BYTES, held_in_layers
from cnncli.pipeline.job import Job
from cnncli.pipeline.layer_result import LayerResult, OutFile
from cnncli.pipeline.sheets import is_colour, sheet_size
from cnncli.render.result_rows import Shape
from cnncli.system.memory import check_memory
from cnncli.system.threads import cores

AT_ONCE: Final = 3
"""Strips that a thread keeps busy: what it reads, what it makes, what it makes of that."""


def check_memory_for(
    job: Job, picture: Picture | ImageHeader, results: Sequence[LayerResult]
) -> None:
    """Refuse an image for which the results, or their files, do not fit into memory.

    Parameters
    ----------
    job : Job
    picture : Picture or ImageHeader
    results : sequence of LayerResult

    Raises
    ------
    CnnCliError
        With what is needed and what there is.
    """
    held = picture.held_bytes
    needed = needed_bytes(job, picture.shape, picture.dtype, results, held)
    subject = "the network" if job.layers else job.op
    hint = "a smaller image, less padding, or fewer maps"
    check_memory(needed, subject, hint, limit=job.read.max_memory, held=held)


def needed_bytes(
    job: Job, shape: Shape, dtype: np.dtype[Any], results: Sequence[LayerResult], held: int = 0
) -> int:
    """Estimate the memory that the results of an image take beside its pixels, at the most.

    Parameters
    ----------
    job : Job
    shape : (N, H, W, C)
        Of the image.
    dtype : dtype
        Of the values.
    results : sequence of LayerResult
        What goes to files; one layer is written after the other.
    held : int
        Memory of the image's pixels, which is free again when a single layer is encoded.

    Returns
    -------
    int
        Bytes: the outputs of layers that are held, the strips at work, and the most that the files
        of one layer need.
    """
    names = [result.name for result in results]
    layers = held_in_layers(job.network, shape, dtype, names)
    free = held if len(results) == 1 else 0
    files = max(_result_bytes(job, result, dtype, free, layers > 0) for result in results)
    return layers + _strip_bytes(job, shape, dtype) + files


def _strip_bytes(job: Job, shape: Shape, dtype: np.dtype[Any]) -> int:
    shapes = (shape, *job.network.shapes(shape).values())
    row = max(width * channels for _, _, width, channels in shapes) * dtype.itemsize
    all_rows = max(math.prod(shape) for shape in shapes) * dtype.itemsize
    return min(_threads(job) * max(STRIP_BYTES, row), all_rows) * AT_ONCE


def _threads(job: Job) -> int:
    return cores() if job.jobs is None else job.jobs


def _result_bytes(
    job: Job, result: LayerResult, dtype: np.dtype[Any], free: int, kept_in_layers: bool
) -> int:
    """What a layer takes on its way into its files, as `write_results` writes them."""
    value_files = [file for file in result.files if holds_values(file.format, job.output.depth)]
    pictures = [file for file in result.files if file not in value_files]
    shown = bool(job.show_width) and result.is_last
    single = len(result.maps) == len(result.files) == len(pictures) == 1
    if single and not shown and pictures[0].format.pillow == "PNG":
        kept = 0 if kept_in_layers else _kept_bytes(result, dtype, whole=False)
        # Strips wait in memory for those above them.
        _, height, width, _ = result.shape
        threads = _threads(job)
        return kept + height * width * _pixel_bytes(job, result) * (threads - 1) // threads
    values = _value_bytes(result, dtype, value_files, kept_in_layers)
    return values + (_drawn_bytes(job, result, pictures, free) if pictures or shown else 0)


def _kept_bytes(result: LayerResult, dtype: np.dtype[Any], whole: bool) -> int:
    """Values that are kept for several passes: all, or as many as are kept anyway."""
    values = math.prod(result.shape) * dtype.itemsize
    return values if whole else min(values, max(HELD_BYTES, BLOCK_BYTES))


def _value_bytes(
    result: LayerResult, dtype: np.dtype[Any], value_files: Sequence[OutFile], kept_in_layers: bool
) -> int:
    """Values and float pictures of them."""
    floats = any(file.format.pillow is not None for file in value_files)
    kept = 0 if kept_in_layers else _kept_bytes(result, dtype, whole=floats or len(value_files) > 1)
    # The planes that Pillow is given, and the file made of them.
    planes = math.prod(result.shape) * np.dtype(np.float32).itemsize
    return kept + (2 * planes if floats else 0)


def _drawn_bytes(job: Job, result: LayerResult, pictures: Sequence[OutFile], free: int) -> int:
    """All maps as pictures, and the sheet and the bytes of the largest file."""
    _, height, width, _ = result.shape
    maps = len(result.maps) * height * width * _pixel_bytes(job, result)
    files = max((_file_bytes(job, result, file) for file in pictures), default=0)
    return max(maps, maps + files - free)


def _file_bytes(job: Job, result: LayerResult, file: OutFile) -> int:
    width, height = sheet_size(result, file.maps, job.render, job.op)
    pixels = height * width
    sheet = pixels * _pixel_bytes(job, result) if len(file.maps) > 1 else 0
    colour = is_colour(result, result.all_maps, job.render)
    settings = {"depth": job.output.depth, "compress": job.render.compress}
    return sheet + encoding_bytes(file.format, pixels, colour=colour, **settings)


def _pixel_bytes(job: Job, result: LayerResult) -> int:
    colour = is_colour(result, result.all_maps, job.render)
    return (3 if colour else 1) * (2 if job.output.depth == "16" else 1)
