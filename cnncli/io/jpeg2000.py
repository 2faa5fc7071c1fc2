"""JPEG 2000 files whose samples have other than 8 or 16 bits, as Pillow reads them."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image

from cnncli.errors import FileProblem
from cnncli.io.deep_samples import bits_of_file


def check_jpeg2000(image: Image.Image, stream: BinaryIO, name: str) -> None:
    """Refuse an open file of which Pillow would drop bits.

    It rounds up without a limit, which turns white into black.

    Raises
    ------
    FileProblem
    """
    bits = bits_of_file(image, stream)
    if bits > _kept_bits(image):
        kind = "grey" if image.mode in ("L", "LA") else "colour"
        raise FileProblem(
            f"JPEG 2000 with {bits}-bit {kind} is not read, save it as PNG or TIFF first", path=name
        )


def white_of_jpeg2000(image: Image.Image, stream: BinaryIO) -> float:
    """Return what Pillow makes of the greatest value of an open file: fewer bits go to the left.

    Examples
    --------
    >>> from io import BytesIO
    >>> file = BytesIO()
    >>> Image.new("L", (8, 8)).save(file, "JPEG2000")
    >>> white_of_jpeg2000(Image.open(file), file)
    255.0
    """
    kept = _kept_bits(image)
    bits = bits_of_file(image, stream) or kept
    # Numbers of a palette are not levels.
    fewer = 0 if image.mode == "P" else kept - bits
    return float(2**kept - 2**fewer)


def _kept_bits(image: Image.Image) -> int:
    return 16 if image.mode.startswith("I") else 8
