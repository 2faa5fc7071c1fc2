"""What a picture's file holds beside its colours: depth, ICC profile, EXIF and transparency."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from PIL import Image

from cnncli._dataclass import dataclass

_KEPT: Final = (270, 271, 272, 282, 283, 296, 305, 306, 315, 33432)
"""EXIF tags that say where a picture is from; all others are about how its file is made."""

_INNER: Final = (34665, 34853)
"""The parts of EXIF on the camera and on the place."""

_RESOLUTION: Final = (282, 283)
_RESOLUTION_UNIT: Final = 296
_SIZES: Final = (40962, 40963)
_DESCRIPTION: Final = 270
_PROFILE_TAG: Final = 34675
_LONGEST: Final = 65_500
"""Bytes of EXIF that a JPEG file can hold."""

_DPI: Final = (1.0, 65_535.0)
"""Pixels per inch that every format holds."""


@dataclass(frozen=True, eq=False)
class PhotoMetadata:
    """What a picture's file holds beside its colours.

    Parameters
    ----------
    bits : int
        Of a sample: 8 or 16.
    profile : bytes, optional
        ICC profile.
    exif : bytes, optional
        EXIF, without what turns the picture or tells its size.
    alpha : ndarray of uint8 or uint16, shape (H, W), optional
        Transparency that was not flattened.
    dpi : float, optional
        Pixels per inch, the same down and across.
    """

    bits: int = 8
    profile: bytes | None = None
    exif: bytes | None = None
    alpha: np.ndarray | None = None
    dpi: float | None = None

    def profile_for(self, colour: bool) -> bytes | None:
        """Return the profile if it is one of colour pictures, or of grey ones."""
        space = b"RGB " if colour else b"GRAY"
        return self.profile if self.profile is not None and self.profile[16:20] == space else None


def read_photo_metadata(image: Image.Image, bits: int) -> PhotoMetadata:
    """Return what a loaded picture's file holds beside its colours; what is broken is left out.

    Examples
    --------
    >>> read_photo_metadata(Image.new("L", (2, 2)), 8).profile is None
    True
    """
    tags = getattr(image, "tag_v2", {})
    profile = image.info.get("icc_profile") or tags.get(_PROFILE_TAG)
    is_profile = isinstance(profile, bytes) and len(profile) > 128 and profile[36:40] == b"acsp"
    try:
        exif = _exif(image)
    except Exception:
        # Broken EXIF is no reason to refuse the picture.
        exif = None
    try:
        dpi = _dpi(image.info.get("dpi")) if _tells_dpi(image) else None
    except Exception:
        dpi = None
    return PhotoMetadata(bits, profile if is_profile else None, exif, dpi=dpi)


def _tells_dpi(image: Image.Image) -> bool:
    """Whether a TIFF or JPEG file tells its pixels per inch: without, Pillow says 1 or 72."""
    if image.format == "TIFF":
        return set(_RESOLUTION) <= set(image.tag_v2)  # type: ignore[attr-defined]
    if image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in (1, 2):
        return {*_RESOLUTION, _RESOLUTION_UNIT} <= set(image.getexif())
    return True


def _dpi(found: Any) -> float | None:
    """Return pixels per inch; None where they differ by axis, which a turned picture would swap."""
    try:
        across, down = map(float, found)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return across if across == down and _DPI[0] <= across <= _DPI[1] else None


def _exif(image: Image.Image) -> bytes | None:
    found = image.getexif()
    kept = Image.Exif()
    for tag in _KEPT:
        if tag in found and not _is_ours(tag, found[tag]):
            kept[tag] = found[tag]
    for tag in _INNER:
        inner = {key: value for key, value in found.get_ifd(tag).items() if key not in _SIZES}
        if inner:
            kept[tag] = inner
    data = kept.tobytes() if kept else None
    return data if data is not None and len(data) <= _LONGEST else None


def _is_ours(tag: int, value: Any) -> bool:
    """Whether it is a record of cnncli's, which the next one replaces."""
    return tag == _DESCRIPTION and str(value).startswith('{"cnncli"')
