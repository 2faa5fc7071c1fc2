"""The frames of an explanation: from an image to an animation, or to a picture for each frame."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from cnncli.errors import OptionError, quote
from cnncli.explain.animation.draw import draw_frames, plan_frames
from cnncli.explain.animation.encode import FORMATS, Pixels, encode_film
from cnncli.explain.animation.frames import FrameOptions, Shots, shoot
from cnncli.explain.run import ExplainJob, run
from cnncli.io.atomic import make_folder, write_whole
from cnncli.io.urls import local_path
from cnncli.io.writers import encode
from cnncli.pipeline.outputs import OutputOptions, Source, plan_targets, select_files
from cnncli.system.memory import check_memory

NUMBER: Final = re.compile(r"\{frame(?::0?(\d{1,2})d)?\}")
PIXEL_BYTES: Final = 24
"""Of each pixel of each frame while an animation is made."""


@dataclass(frozen=True)
class FramesDone:
    """Frames that were written.

    Parameters
    ----------
    outputs : tuple of str
    size : int
        Bytes of all.
    layer : str
    map : int
    places : tuple of (row, column)
        Of the output, one for each frame.
    shape : (height, width)
        Of a frame.
    durations : tuple of int
        Milliseconds.
    notes : tuple of str
    """

    outputs: tuple[str, ...]
    size: int
    layer: str
    map: int
    places: tuple[tuple[int, int], ...]
    shape: tuple[int, int]
    durations: tuple[int, ...]
    notes: tuple[str, ...]


def write_frames(wanted: ExplainJob, source: Source, options: FrameOptions) -> FramesDone:
    """Slide the window over the places around one, and write what is seen.

    Parameters
    ----------
    wanted : ExplainJob
        Its job's output names the animation; or a picture for each frame, by a folder or by
        ``{frame}`` in the name.
    source : Source
        The image.
    options : FrameOptions

    Raises
    ------
    CnnCliError
        Before any work if the file cannot be written; then as `run` and `shoot` say.
    """
    name = _name(wanted)
    stills = NUMBER.search(name) is not None
    _paths(wanted, source, [_numbered(name, 0)])
    done = run(wanted, source)
    found = done.explanation
    # What is not finite in an image is shown as it is.
    with np.errstate(all="ignore"):
        shots = shoot(done.subject, found.at, options, found.map, found.image)
    plan = plan_frames(shots)
    count = len(shots.found) if stills else 1
    paths = _paths(wanted, source, [_numbered(name, k) for k in range(count)])
    held = 1 if stills else len(shots.found)
    needed = PIXEL_BYTES * plan.width * plan.height * held
    check_memory(
        *(needed, f"{held} frames of {plan.width}x{plan.height}", "fewer --cells or --frames"),
        limit=wanted.job.read.max_memory,
    )
    frames = draw_frames(shots, plan)
    durations = options.durations(len(shots.found))
    if stills:
        size = sum(_write(wanted, p, _still(f, p)) for p, f in zip(paths, frames, strict=True))
    else:
        (path,) = paths
        size = _write(wanted, path, encode_film(list(frames), durations, path.suffix.lower()))
    return FramesDone(
        outputs=tuple(os.fspath(path) for path in paths),
        size=size,
        layer=found.name,
        map=found.map,
        places=_places(shots),
        shape=(plan.height, plan.width),
        durations=durations,
        notes=(*done.notes, *shots.notes),
    )


def _places(shots: Shots) -> tuple[tuple[int, int], ...]:
    return tuple(found.at for found in shots.found)


def _name(wanted: ExplainJob) -> str:
    """Return the name of the file or, with ``{frame}`` in it, of the files."""
    given = wanted.job.output.output or ""
    name = os.fspath(local_path(given, "-o"))
    if given.endswith(os.sep) or Path(name).is_dir():
        name = os.path.join(name, "{frame:03d}.png")
    if Path(name).suffix.lower() not in FORMATS:
        raise OptionError(
            f"-o must end in .html, .gif, .webp or .png, got {quote(given)}",
            hint="-o page.html is a page, -o steps.gif an animation",
        )
    return name


def _numbered(name: str, frame: int) -> str:
    return NUMBER.sub(lambda found: f"{frame:0{found[1] or 1}d}", name)


def _paths(wanted: ExplainJob, source: Source, names: Sequence[str]) -> list[Path]:
    """Check where everything goes."""
    paths = []
    for name in names:
        # What stands in a folder that is still to be made cannot be there already.
        if NUMBER.search(_name(wanted)) and not Path(name).parent.exists():
            paths.append(Path(name))
            continue
        options = OutputOptions(name, None, wanted.job.output.overwrite)
        plan = plan_targets(
            *([source], options),
            op="explain",
            one_picture=True,
            read_too=tuple(wanted.job.read_too),
        )
        (target,) = plan.targets
        (file,) = select_files(target.files(target.unknown()), options, plan.inputs)
        assert isinstance(file.path, Path)  # local_path sees to that
        paths.append(file.path)
    return paths


def _still(frame: Pixels, path: Path) -> bytes:
    return encode(frame, path.suffix.lower())


def _write(wanted: ExplainJob, path: Path, data: bytes) -> int:
    if NUMBER.search(_name(wanted)):
        make_folder(path.parent)
    write_whole(path, data, overwrite=wanted.job.output.overwrite)
    return len(data)


def report_line(done: FramesDone) -> str:
    """Return the report for people.

    Examples
    --------
    >>> places = ((3, 4), (3, 5))
    >>> done = FramesDone(("a.gif",), 9000, "conv1", 0, places, (300, 640), (500, 1500), ())
    >>> report_line(done)
    'a.gif, 9 kB, 2 frames of 640x300: rows 3 to 3 and columns 4 to 5 of conv1'
    """
    files = done.outputs[0] if len(done.outputs) == 1 else f"{done.outputs[0]} and so on"
    rows, cols = zip(*done.places, strict=True)
    notes = "".join(f"; {note}" for note in done.notes)
    height, width = done.shape
    return (
        f"{quote(files)[1:-1]}, {round(done.size / 1000)} kB, {len(done.places)} frames of "
        f"{width}x{height}: rows {min(rows)} to {max(rows)} and columns {min(cols)} to {max(cols)} "
        f"of {quote(done.layer)[1:-1]}{notes}"
    )


def report_fields(done: FramesDone) -> dict[str, Any]:
    """Return the report for programs."""
    return {
        "outputs": list(done.outputs),
        "bytes": done.size,
        "layer": done.layer,
        "map": done.map,
        "frames": [list(place) for place in done.places],
        "size": list(done.shape),
        "durations": list(done.durations),
        "notes": list(done.notes),
    }
