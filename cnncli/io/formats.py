"""The file formats cnncli writes, and what each can hold. Knows neither numpy nor Pillow."""

from __future__ import annotations

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError, quote


@dataclass(frozen=True)
class Format:
    """What one file format can hold.

    Parameters
    ----------
    name : str
        The name users write, without a dot.
    pillow : str or None
        Pillow's name of its encoder; None for arrays.
    max_side : int
        Longest width or height in pixels.
    lossless : bool
        Whether levels come back as they were written.
    compressed : bool
        Whether it may take less than its pixels or values.
    depths : tuple of str
        Values of ``--depth`` it can hold.
    colour : bool
        Whether it can hold a colour picture.
    deep_colour : bool
        Whether a colour picture may have 16 bits.
    alpha : bool
        Whether it can hold transparency.
    note : str or None
        Where the metadata goes, in words; None when there is no place for it.
    """

    name: str
    pillow: str | None
    max_side: int
    lossless: bool = True
    compressed: bool = True
    depths: tuple[str, ...] = ("8",)
    colour: bool = True
    deep_colour: bool = False
    alpha: bool = False
    note: str | None = None


_DEEP = ("8", "16")
_FLOAT = ("8", "16", "float")
_PNG = Format(
    name="png",
    pillow="PNG",
    max_side=2**31 - 1,
    depths=_DEEP,
    deep_colour=True,
    alpha=True,
    note="text chunk",
)
# Pillow's own limit for JPEG is libjpeg's 65,500, a little under the 65,535 of the format.
_JPEG = Format("jpg", "JPEG", 65_500, lossless=False, note="comment")
_TIFF = Format(
    name="tif",
    pillow="TIFF",
    max_side=2**31 - 1,
    depths=_FLOAT,
    deep_colour=True,
    alpha=True,
    note="ImageDescription",
)
_WEBP = Format("webp", "WEBP", 16_383, alpha=True, note="EXIF ImageDescription")
_GIF = Format("gif", "GIF", 65_535, note="comment")
_BMP = Format("bmp", "BMP", 2**31 - 1, compressed=False)
_PPM = Format("ppm", "PPM", 2**31 - 1, compressed=False, depths=_DEEP)
_PGM = Format("pgm", "PPM", 2**31 - 1, compressed=False, depths=_DEEP, colour=False)
NPY = Format("npy", None, 2**63 - 1, compressed=False, depths=_FLOAT, deep_colour=True)
NPZ = Format("npz", None, 2**63 - 1, depths=_FLOAT, deep_colour=True)
"""An archive that holds one array for each layer."""

FORMATS: dict[str, Format] = {
    "png": _PNG,
    "jpg": _JPEG,
    "jpeg": _JPEG,
    "tif": _TIFF,
    "tiff": _TIFF,
    "webp": _WEBP,
    "gif": _GIF,
    "bmp": _BMP,
    "ppm": _PPM,
    "pgm": _PGM,
    "pnm": _PPM,
    "npy": NPY,
    "npz": NPZ,
}


def find_format(name: str, *, option: str = "--format") -> Format:
    """Look a format up by name or extension.

    Parameters
    ----------
    name : str
        With or without its dot, in any case.
    option : str
        The option to name when it is unknown.

    Returns
    -------
    Format

    Raises
    ------
    OptionError
        For an unknown name; the message lists the known ones.

    Examples
    --------
    >>> find_format(".JPEG").name
    'jpg'
    """
    format = FORMATS.get(name.lower().removeprefix("."))
    if format is None:
        got = quote(name) if name else "no extension"
        hint = "--format png" if option == "--format" else "a name that ends in .png"
        raise OptionError(f"{option} must be one of {' '.join(FORMATS)}, got {got}", hint=hint)
    return format


def check_format(
    format: Format, width: int, height: int, *, colour: bool = False, depth: str = "8"
) -> None:
    """Refuse a picture that a format cannot hold, before any work is done.

    Parameters
    ----------
    format : Format
    width, height : int
        In pixels.
    colour : bool
        Whether the picture is in colour.
    depth : str
        ``8``, ``16`` or ``float``.

    Raises
    ------
    OptionError

    Examples
    --------
    >>> check_format(FORMATS["png"], 640, 480, colour=True)
    """
    if depth not in format.depths:
        able = [name for name, other in FORMATS.items() if depth in other.depths]
        raise OptionError(
            f"--depth {depth} needs {' '.join(able)}, got {format.name}",
            hint=f"--depth {' or '.join(format.depths)}, or another extension",
        )
    if colour and not format.colour:
        raise OptionError(f"a colour picture does not fit into {format.name}", hint="ppm or --gray")
    if colour and depth == "16" and not format.deep_colour:
        raise OptionError(
            f"16-bit colour cannot be written as {format.name}",
            hint="png, tif, .npy, or --gray",
        )
    if max(width, height) > format.max_side:
        raise OptionError(
            f"{format.name} holds at most {format.max_side} pixels a side, got {height}x{width}",
            hint="png or tif" if format.pillow != "PNG" else ".npy",
        )
