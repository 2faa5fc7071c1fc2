"""Write the sliding window as an animation, or as a picture for each frame."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.core.geometry import Pair
from cnncli.errors import OptionError, printable, quote
from cnncli.explain.animation.added_windows import AddedWindows
from cnncli.explain.animation.backward_frames import plan_backward_animation
from cnncli.explain.animation.draw import FrameLayout, draw_frames, layout_frames
from cnncli.explain.animation.draw_added import AddedLayout, draw_added_frames, layout_added_frames
from cnncli.explain.animation.encode import FORMATS, encode_animation
from cnncli.explain.animation.frames import Animation, FrameOptions, plan_animation
from cnncli.explain.animation.transposed_backward_frames import (
    plan_transposed_backward_animation,
)
from cnncli.explain.animation.transposed_frames import plan_transposed_animation
from cnncli.explain.backward import BackwardExplanation
from cnncli.explain.model import Explanation
from cnncli.explain.run import ExplainRequest, ExplainResult, run, run_backward
from cnncli.io.atomic import is_folder_name
from cnncli.io.formats import find_format
from cnncli.io.urls import local_path
from cnncli.io.writers import encode
from cnncli.network.layers import ConvTransposeLayer
from cnncli.pipeline.layer_result import OutFile
from cnncli.pipeline.one_output import OneOutput, one_output_file
from cnncli.pipeline.source import Source
from cnncli.pipeline.templates import FIELDS, Template, refuse_printf
from cnncli.system.memory import check_memory
from cnncli.system.progress import set_step, track

FRAME_NUMBER: Final = re.compile(r"\{frame(?::0?(\d{1,2})?d)?\}")
PIXEL_BYTES: Final = 24
"""Of each pixel of each frame while an animation is made."""


@dataclass(frozen=True)
class FramesDone:
    """The report on frames that were written.

    Parameters
    ----------
    outputs : tuple of str
    bytes : int
        Of all files.
    layer : str
    map : int, optional
        Of a backward pass None: all maps count.
    frames : tuple of (row, column)
        The output that each shows.
    size : (height, width)
        Of a frame.
    durations : tuple of int
        Milliseconds.
    notes : tuple of str
    of_input : bool
        Whether the positions are cells of the layer's input, as those of transposed convolutions.

    Examples
    --------
    >>> frames = ((3, 4), (3, 5))
    >>> done = FramesDone(("a.gif",), 9000, "conv1", 0, frames, (300, 640), (500, 1500), ())
    >>> done.report_line
    'a.gif, 9 kB, 2 frames of 300x640: row 3 and columns 4 to 5 of conv1'
    """

    outputs: tuple[str, ...]
    bytes: int
    layer: str
    map: int | None
    frames: tuple[Pair, ...]
    size: Pair
    durations: tuple[int, ...]
    notes: tuple[str, ...]
    of_input: bool = False

    @property
    def report_line(self) -> str:
        """The report for people."""
        files = self.outputs[0] if len(self.outputs) == 1 else f"{self.outputs[0]} and so on"
        rows, cols = map(_span_text, ("row", "column"), zip(*self.frames, strict=True))
        count = f"{len(self.frames)} frame{'s' if len(self.frames) > 1 else ''}"
        notes = "".join(f"; {note}" for note in self.notes)
        height, width = self.size
        layer = f"{'the input of ' if self.of_input else ''}{printable(self.layer)}"
        return (
            f"{printable(files)}, {round(self.bytes / 1000)} kB, {count} of "
            f"{height}x{width}: {rows} and {cols} of {layer}{notes}"
        )


def _span_text(what: str, indices: Sequence[int]) -> str:
    """Name rows or columns.

    Examples
    --------
    >>> _span_text("row", (3, 4, 5)), _span_text("column", (5, 5))
    ('rows 3 to 5', 'column 5')
    """
    first, last = min(indices), max(indices)
    return f"{what} {first}" if first == last else f"{what}s {first} to {last}"


def write_frames(
    request: ExplainRequest, source: Source, options: FrameOptions, backward: bool = False
) -> FramesDone:
    """Slide the window over the positions around one, and write what is seen.

    Parameters
    ----------
    request : ExplainRequest
        Its output names the animation; or a picture for each frame, by a folder or by
        ``{frame}`` in the name.
    source : Source
        The image.
    options : FrameOptions
    backward : bool
        Whether the frames show what each window adds to the gradient of the input.

    Raises
    ------
    CnnCliError
        Before any work if the file cannot be written; then as `run` and `plan_animation` say.
    """
    name = _file_name(request)
    _output(request, source, name, 0)
    plan_frames = _backward_frames if backward else _forward_frames
    frames = plan_frames(request, source, options)
    count, (height, width) = len(frames.positions), frames.size
    is_numbered = FRAME_NUMBER.search(name) is not None
    outputs = [_output(request, source, name, k) for k in range(count if is_numbered else 1)]
    held = 1 if is_numbered else count
    needed, what = PIXEL_BYTES * width * height * held, f"{held} frames of {height}x{width}"
    limit = request.job.read.max_memory
    check_memory(needed, what, "fewer --cells or --frames", limit=limit)
    pictures = track(frames.pictures, "drawing the frames", count)
    durations = options.durations(count)
    if is_numbered:
        files: Iterable[bytes] = (encode(one, outputs[0].file.format) for one in pictures)
    else:
        drawn = list(pictures)
        set_step("encoding the animation")
        files = [encode_animation(drawn, durations, Path(name).suffix.lower())]
    size = 0
    for output, data in zip(outputs, files, strict=True):
        output.write(data)
        size += len(data)
    return FramesDone(
        outputs=tuple(map(str, outputs)),
        bytes=size,
        layer=frames.layer,
        map=frames.map,
        frames=frames.positions,
        size=frames.size,
        durations=durations,
        notes=frames.notes,
        of_input=frames.of_input,
    )


@dataclass(frozen=True, eq=False)
class _Frames:
    """Frames that are yet to be drawn, and what the report tells of them."""

    pictures: Iterator[NDArray[np.uint8]]
    positions: tuple[Pair, ...]
    size: Pair
    layer: str
    map: int | None
    notes: tuple[str, ...]
    of_input: bool = False


def _forward_frames(request: ExplainRequest, source: Source, options: FrameOptions) -> _Frames:
    result = run(request, source)
    explanation = result.explanation
    # Values of an image that are not finite are shown as they are.
    with np.errstate(all="ignore"):
        if explanation.spread is not None:
            added = plan_transposed_animation(result.explained, explanation, options)
            return _added_frames(added, result, of_input=True)
        animation = plan_animation(result.explained, explanation.at, options, explanation.map)
        return _window_frames(animation, result)


def _backward_frames(request: ExplainRequest, source: Source, options: FrameOptions) -> _Frames:
    result = run_backward(request, source)
    given = result.explained, result.explanation, options
    with np.errstate(all="ignore"):
        if isinstance(result.explained.layer, ConvTransposeLayer):
            animation = plan_transposed_backward_animation(*given)
            return _window_frames(animation, result, of_input=True)
        return _added_frames(plan_backward_animation(*given), result)


_Result = ExplainResult[Explanation] | ExplainResult[BackwardExplanation]


def _window_frames(animation: Animation, result: _Result, of_input: bool = False) -> _Frames:
    layout = layout_frames(animation)
    pictures = draw_frames(animation, layout)
    positions = [one.at for one in animation.explanations]
    return _frames_of(result, animation, layout, pictures, positions, of_input)


def _added_frames(animation: AddedWindows, result: _Result, of_input: bool = False) -> _Frames:
    layout = layout_added_frames(animation)
    pictures = draw_added_frames(animation, layout)
    positions = [window.at for window in animation.windows]
    return _frames_of(result, animation, layout, pictures, positions, of_input)


def _frames_of(
    result: _Result,
    animation: Animation | AddedWindows,
    layout: FrameLayout | AddedLayout,
    pictures: Iterator[NDArray[np.uint8]],
    positions: Sequence[Pair],
    of_input: bool,
) -> _Frames:
    explanation: Explanation | BackwardExplanation = result.explanation
    return _Frames(
        pictures=pictures,
        positions=tuple(positions),
        size=(layout.height, layout.width),
        layer=explanation.layer,
        map=explanation.map,
        notes=(*result.notes, *animation.notes),
        of_input=of_input,
    )


def _file_name(request: ExplainRequest) -> str:
    """The name of the file or, with ``{frame}`` in it, of the files."""
    text = request.job.output.output or ""
    name = os.fspath(local_path(text, "-o"))
    if is_folder_name(text) or Path(name).is_dir():
        name = os.path.join(name, "{frame:03d}.png")
    elif "{" in name:
        Template.parse(FRAME_NUMBER.sub("0", name), (*FIELDS, "frame"))
    refuse_printf(name, "frame")
    if Path(name).suffix.lower() not in FORMATS:
        raise OptionError(
            f"-o must end in .html, .gif, .webp or .png, got {quote(text)}",
            hint="-o page.html is a page, -o steps.gif an animation",
        )
    return name


def _output(request: ExplainRequest, source: Source, name: str, frame: int) -> OneOutput:
    """Check where a file goes; ``{frame}`` in its name becomes the frame's number."""
    options, read_too = request.job.output, tuple(request.job.read_too)
    numbered = FRAME_NUMBER.sub(lambda match: f"{frame:0{match[1] or 1}d}", name)
    path = Path(numbered)
    if numbered != name and "{" not in numbered and not path.parent.exists():
        # The folder is made with the first frame: no other file can be in it.
        return OneOutput(OutFile(path, find_format(path.suffix), 0, (0,)), options.overwrite)
    options = replace(options, output=numbered)
    return one_output_file(source, options, op="explain", read_too=read_too)
