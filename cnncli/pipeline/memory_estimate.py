"""How much memory the work on an image takes, told before it begins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from cnncli.core.strips import STRIP_BYTES
from cnncli.io.images import Picture
from cnncli.io.writers import encoding_bytes, holds_values
from cnncli.pipeline.feature_maps import BLOCK_BYTES, HELD_BYTES, held_in_layers
from cnncli.pipeline.job import Job
from cnncli.pipeline.outputs import OutFile
from cnncli.pipeline.targets import is_device
from cnncli.pipeline.write import Share
from cnncli.render.result_rows import Shape
from cnncli.render.tiles import plan_grid
from cnncli.system.memory import check_memory
from cnncli.system.threads import cores

AT_ONCE: Final = 3
"""Strips that a thread keeps busy: what it reads, what it makes, what it makes of that."""


def check_memory_for(job: Job, picture: Picture, shares: Sequence[Share]) -> None:
    """Refuse an image for which the results, or their files, do not fit into memory.

    Parameters
    ----------
    job : Job
    picture : Picture
    shares : sequence of Share

    Raises
    ------
    CnnCliError
        With what is needed and what there is.
    """
    held = picture.pixels.nbytes if picture.is_picture else 0
    needed = needed_bytes(job, picture.shape, picture.dtype, shares, held)
    subject = "the network" if job.layers else job.op
    hint = "a smaller image, less padding, or fewer maps"
    check_memory(needed, subject, hint, limit=job.read.max_memory, held=held)


def needed_bytes(
    job: Job, shape: Shape, dtype: np.dtype[Any], shares: Sequence[Share], held: int = 0
) -> int:
    """Estimate the memory that the results of an image take beside its pixels, at the most.

    Parameters
    ----------
    job : Job
    shape : (N, H, W, C)
        Of the image.
    dtype : dtype
        Of the values.
    shares : sequence of Share
        What goes to files; one layer is delivered after the other.
    held : int
        Memory of the image's pixels, which is free again when a single layer is encoded.

    Returns
    -------
    int
        Bytes: the outputs of layers that are held, the strips at work, and the most that the files
        of one layer need.
    """
    names = [share.expected.name for share in shares]
    layers = held_in_layers(job.network, shape, dtype, names)
    free = held if len(shares) == 1 else 0
    files = max(_share_bytes(job, share, dtype, free, layers > 0) for share in shares)
    return layers + _strip_bytes(job, shape, dtype) + files


def _strip_bytes(job: Job, shape: Shape, dtype: np.dtype[Any]) -> int:
    shapes = (shape, *job.network.shapes(shape).values())
    row = max(width * channels for _, _, width, channels in shapes) * dtype.itemsize
    all_rows = max(math.prod(each) for each in shapes) * dtype.itemsize
    return min(_threads(job) * max(STRIP_BYTES, row), all_rows) * AT_ONCE


def _threads(job: Job) -> int:
    return cores() if job.jobs is None else job.jobs


def _share_bytes(job: Job, share: Share, dtype: np.dtype[Any], free: int, made: bool) -> int:
    """What a layer takes on its way into its files, as `write_results` writes them."""
    valued = [file for file in share.files if holds_values(file.format, job.output.depth)]
    pictures = [file for file in share.files if file not in valued]
    shown = bool(job.show_width) and share.is_last
    single = len(share.expected.maps) == len(share.files) == len(pictures) == 1
    if single and not shown and pictures[0].format.pillow == "PNG":
        kept = 0 if made else _kept_bytes(share, dtype, whole=False)
        return kept + _row_png_bytes(job, share, pictures[0])
    values = _value_bytes(share, dtype, valued, made)
    return values + (_drawn_bytes(job, share, pictures, free) if pictures or shown else 0)


def _kept_bytes(share: Share, dtype: np.dtype[Any], whole: bool) -> int:
    """Values that are kept for several passes: all, or as many as are kept anyway."""
    values = math.prod(share.expected.shape) * dtype.itemsize
    return values if whole else min(values, max(HELD_BYTES, BLOCK_BYTES))


def _value_bytes(share: Share, dtype: np.dtype[Any], valued: Sequence[OutFile], made: bool) -> int:
    """Values and float pictures of them."""
    floats = any(file.format.pillow is not None for file in valued)
    kept = 0 if made else _kept_bytes(share, dtype, whole=floats or len(valued) > 1)
    # The planes that Pillow is given, and the file made of them.
    planes = math.prod(share.expected.shape) * np.dtype(np.float32).itemsize
    return kept + (2 * planes if floats else 0)


def _row_png_bytes(job: Job, share: Share, file: OutFile) -> int:
    """A PNG picture written as its rows are made: rows wait in memory for those before them."""
    _, height, width, _ = share.expected.shape
    picture = height * width * _pixel_bytes(job, share)
    threads = _threads(job)
    gathered = picture if file.path is None or is_device(file.path) else 0
    return picture * (threads - 1) // threads + gathered


def _drawn_bytes(job: Job, share: Share, pictures: Sequence[OutFile], free: int) -> int:
    """All maps as pictures, and the sheet and the bytes of the largest file."""
    _, height, width, _ = share.expected.shape
    maps = len(share.expected.maps) * height * width * _pixel_bytes(job, share)
    files = max((_file_bytes(job, share, file) for file in pictures), default=0)
    return max(maps, maps + files - free)


def _file_bytes(job: Job, share: Share, file: OutFile) -> int:
    _, height, width, _ = share.expected.shape
    look = job.render
    layout = plan_grid(height, width, len(file.maps), look.columns, look.labels)
    pixels = layout.height * layout.width
    sheet = pixels * _pixel_bytes(job, share) if len(file.maps) > 1 else 0
    colour = _is_colour(job, share)
    settings = {"depth": job.output.depth, "compress": look.compress}
    return sheet + encoding_bytes(file.format, pixels, colour=colour, **settings)


def _pixel_bytes(job: Job, share: Share) -> int:
    return (3 if _is_colour(job, share) else 1) * (2 if job.output.depth == "16" else 1)


def _is_colour(job: Job, share: Share) -> bool:
    return job.render.colormap != "gray" or any(group.colour for group in share.expected.groups)
