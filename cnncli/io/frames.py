"""The frames of a picture file: which one is read, and how many there are."""

from __future__ import annotations

import contextlib

from PIL import Image

from cnncli.errors import OptionError

_MOST_FRAMES_COUNTED = 1_000


def select_frame(image: Image.Image, frame: int, name: str) -> None:
    """Go to a frame of a picture; raise OptionError if it has none of that number."""
    try:
        if frame < 0:
            raise EOFError
        image.seek(frame)
    except EOFError as error:
        count = _frame_count(image)
        if 0 <= frame < count:
            raise
        need = f"--frame must be from 0 to {count - 1}"
        if count == 1:
            need = "the picture has one frame, so --frame must be 0"
        raise OptionError(f"{need}, got {frame}", path=name) from error


def refuse_frame(frame: int | None, has_several: bool, what: str, name: str) -> None:
    """Refuse ``--frame`` for what is read whole; 0 is taken where there is one image or page."""
    if frame is not None and (frame or has_several):
        raise OptionError(
            f"--frame picks one frame of a picture, {what} is read whole",
            hint="leave --frame away",
            path=name,
        )


def _frame_count(image: Image.Image) -> int:
    """Count the frames; of a TIFF only so many, as Pillow's way takes quadratic time."""
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1))
    count = 1
    with contextlib.suppress(Exception):
        while count < _MOST_FRAMES_COUNTED:
            image.seek(count)
            count += 1
    return count


def frame_notes(image: Image.Image, is_own: bool = False) -> tuple[str, ...]:
    """Say how many frames there are, of which the first is read, also of values of our own."""
    if image.format == "ICO":
        sizes = len(image.info.get("sizes", ()))
        return (f"largest of {sizes} pictures in the file",) if sizes > 1 else ()
    # The further pictures of an MPO are previews and depth maps of the same photograph.
    if image.format == "MPO" or not getattr(image, "is_animated", False):
        return ()
    try:
        count = str(_frame_count(image))
    except Exception:
        # The first frame is whole; a later one that is broken only hides their number.
        count = "several"
    whole = "; --as-values reads all" if is_own else ""
    return (f"first of {count} frames (--frame N picks another{whole})",)
