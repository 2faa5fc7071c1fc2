"""How much memory decoding a picture takes, told by its header, and what its samples take then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PIL import Image

from cnncli.io.deep_samples import is_read_deep
from cnncli.io.read_options import ReadOptions
from cnncli.io.samples import GREY_MODES
from cnncli.system.memory import check_memory

if TYPE_CHECKING:
    from cnncli.io.tiff_samples import Layout

_PIXEL_BYTES: Final = {"1": 2, "L": 2, "P": 8, "RGB": 7, "YCbCr": 11, "CMYK": 11, "F": 8} | {
    **dict.fromkeys(("I;16", "I;16B", "I;16L", "I;16N"), 4),
    **dict.fromkeys(("LA", "La"), 10),
    "I": 12,
    # All others have colour and alpha, or may have.
    "": 20,
}
_DEEP_BYTES: Final = 36


def check_decoding_memory(needed: int, options: ReadOptions, name: str) -> None:
    """Refuse a picture that does not fit into memory, before it is decoded.

    Raises
    ------
    FileProblem
    """
    check_memory(needed, "the picture", "a smaller picture", limit=options.max_memory, path=name)


def decoding_bytes(image: Image.Image, options: ReadOptions, page: Layout | None = None) -> int:
    """Estimate the memory that decoding takes at the most, from an open picture's header.

    Pillow's samples, four bytes for all colours, with numpy's beside them; in other modes with
    those in RGB too, or with values flattened on the background.

    Parameters
    ----------
    image : Image
        Opened, not loaded.
    options : ReadOptions
    page : Layout, optional
        Of a TIFF page that `tiff_samples` reads.

    Examples
    --------
    >>> decoding_bytes(Image.new("RGB", (20, 10)), ReadOptions())
    1400
    """
    if page is not None:
        return 4 * page.unpacked_bytes + 4 * page.width * page.height * page.samples
    if is_read_deep(image, options):
        return image.width * image.height * _DEEP_BYTES
    transparent = "transparency" in image.info
    pixel = _PIXEL_BYTES.get("" if transparent else image.mode, _PIXEL_BYTES[""])
    luminance = 4 if options.gray and image.mode not in GREY_MODES else 0
    return image.width * image.height * (pixel + luminance)


def sample_bytes(image: Image.Image, options: ReadOptions, page: Layout | None = None) -> int:
    """Return the bytes of each sample that is read, from an open picture's header.

    Parameters are those of `decoding_bytes`.

    Examples
    --------
    >>> sample_bytes(Image.new("RGB", (20, 10)), ReadOptions())
    1
    """
    if page is not None:
        return page.sample_bytes
    if is_read_deep(image, options) or image.mode.startswith("I"):
        return 2
    return 4 if image.mode == "F" else 1
