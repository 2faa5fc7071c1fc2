"""The alpha that ``--alpha keep`` carries into a result: which results can have it, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnncli.errors import OptionError
from cnncli.io.samples import is_opaque
from cnncli.io.writers import holds_values
from cnncli.pipeline.job import Job
from cnncli.pipeline.layer_result import LayerResult, OutFile
from cnncli.pipeline.sheets import shows_scores
from cnncli.render.result_rows import Values


def with_alpha_kept(job: Job, results: Sequence[LayerResult]) -> list[LayerResult]:
    """Return results with the alpha that ``--alpha keep`` asks for.

    Raises
    ------
    OptionError
        Where a file cannot hold it, or a picture has another size; an opaque one is left out there.
    """
    kept = []
    for result in results:
        alpha = result.photo_metadata.alpha
        misfit = next((file for file in result.files if not _holds_alpha(job, result, file)), None)
        if alpha is None or misfit is None:
            kept.append(result)
        elif is_opaque(alpha):
            kept.append(replace(result, photo_metadata=replace(result.photo_metadata, alpha=None)))
        else:
            height, width = result.shape[1:3]
            raise OptionError(
                "--alpha keep needs one picture of the image's size, in png, tif or webp; "
                f"got {len(result.maps)} of {height}x{width} in {misfit.format.name}",
                hint="--alpha flatten",
            )
    return kept


def _holds_alpha(job: Job, result: LayerResult, file: OutFile) -> bool:
    """Whether a file of a result can hold its picture's alpha."""
    alpha = result.photo_metadata.alpha
    fits = alpha is not None and result.shape[1:3] == alpha.shape
    single = len(result.maps) == 1 and not (job.render.legend or shows_scores(result))
    return fits and single and file.format.alpha and not holds_values(file.format, job.output.depth)


def with_alpha(pixels: Values, alpha: NDArray[Any] | None) -> Values:
    """Return a picture with its transparency behind the colours, as deep as they are.

    Examples
    --------
    >>> with_alpha(np.zeros((1, 2), np.uint8), np.array([[0, 65535]], np.uint16)).tolist()
    [[[0, 0], [0, 255]]]
    """
    if alpha is None:
        return pixels
    share = alpha / np.iinfo(alpha.dtype).max
    levels = np.rint(share * np.iinfo(pixels.dtype).max).astype(pixels.dtype)
    return np.dstack([pixels, levels])
