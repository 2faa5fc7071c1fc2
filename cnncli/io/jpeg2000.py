"""What Pillow makes of JPEG 2000 files whose samples have other than 8 or 16 bits."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image

from cnncli.errors import FileProblem
from cnncli.io.deep_samples import bits_of_file


def white_of_jpeg2000(image: Image.Image, stream: BinaryIO, name: str) -> float:
    """Return what Pillow makes of the greatest value of an open JPEG 2000 file.

    Raises
    ------
    FileProblem
        Where Pillow would drop bits: it rounds up without a limit, which turns white into black.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = BytesIO()
    >>> Image.new("L", (8, 8)).save(file, "JPEG2000")
    >>> white_of_jpeg2000(Image.open(file), file, "a.jp2")
    255.0
    """
    kept = 16 if image.mode.startswith("I") else 8
    bits = bits_of_file(image, stream) or kept
    if bits > kept:
        kind = "grey" if image.mode == "L" else "colour"
        raise FileProblem(
            f"JPEG 2000 with {bits}-bit {kind} is not read, save it as PNG or TIFF first", path=name
        )
    # Fewer bits are shifted to the left; numbers of a palette are not levels.
    fewer = 0 if image.mode == "P" else kept - bits
    return float(2**kept - 2**fewer)
