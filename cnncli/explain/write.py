"""Write an explanation to a file: an interactive page, an animation, a picture for each frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnncli.explain.page.file_names import is_page

# What makes pages and what draws frames is imported where it is needed: each starts sooner alone.
if TYPE_CHECKING:
    from cnncli.explain.animation.frames import FrameOptions
    from cnncli.explain.animation.write import FramesDone
    from cnncli.explain.page.write import PageDone
    from cnncli.explain.run import ExplainRequest
    from cnncli.pipeline.source import Source


def write_explanation(
    request: ExplainRequest, source: Source, frames: FrameOptions, backward: bool = False
) -> PageDone | FramesDone:
    """Explain a value of one image in a file: a page or frames, as its name says.

    Parameters
    ----------
    request : ExplainRequest
        Its output names the file.
    source : Source
        The image.
    frames : FrameOptions
        For all but pages.
    backward : bool
        Whether the gradient of an input value is explained.

    Raises
    ------
    CnnCliError
        As `write_page` and `write_frames` say.
    """
    if is_page(request.job.output.output or ""):
        from cnncli.explain.page.write import write_page

        return write_page(request, source, backward)
    from cnncli.explain.animation.write import write_frames

    return write_frames(request, source, frames, backward)
