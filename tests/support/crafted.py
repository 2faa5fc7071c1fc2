"""Files made by hand, byte by byte: headers that lie and pictures Pillow does not write."""

from __future__ import annotations

import struct
import zlib

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def npy(descr: str, shape: str, data: bytes = b"", *, fortran: str = "False") -> bytes:
    """A version 1.0 .npy file with these literals in its header, true or not."""
    text = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"
    return npy_raw(text.encode("latin-1")) + data


def npy_raw(header: bytes, version: tuple[int, int] = (1, 0), length: int | None = None) -> bytes:
    """A .npy header with any text, claiming any length."""
    size = len(header) if length is None else length
    return (
        b"\x93NUMPY"
        + bytes(version)
        + struct.pack("<H" if version[0] == 1 else "<I", size)
        + header
    )


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, depth: int, colour: int, rows: list[bytes], extra: bytes = b""
) -> bytes:
    """A PNG of unfiltered rows; ``extra`` chunks stand before the data."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return PNG_MAGIC + header + extra + data + png_chunk(b"IEND", b"")


def tiff(
    width: int,
    height: int,
    bits: tuple[int, ...],
    photometric: int,
    data: bytes,
    *,
    order: str = "<",
    sample_format: int = 1,
    extra: dict[int, tuple[int, ...]] | None = None,
) -> bytes:
    """An uncompressed one-strip TIFF; every tag is of type SHORT but the strip's."""
    tags: dict[int, tuple[str, tuple[int, ...]]] = {
        256: ("H", (width,)),
        257: ("H", (height,)),
        258: ("H", bits),
        259: ("H", (1,)),
        262: ("H", (photometric,)),
        273: ("I", (8,)),
        277: ("H", (len(bits),)),
        278: ("H", (height,)),
        279: ("I", (len(data),)),
        339: ("H", (sample_format,) * len(bits)),
    }
    tags.update({tag: ("H", values) for tag, values in (extra or {}).items()})
    data += b"\0" * (len(data) % 2)
    start = 8 + len(data)
    after = start + 2 + 12 * len(tags) + 4
    entries, overflow = b"", b""
    for tag, (code, values) in sorted(tags.items()):
        packed = struct.pack(order + code * len(values), *values)
        entries += struct.pack(order + "HHI", tag, 3 if code == "H" else 4, len(values))
        if len(packed) > 4:
            entries += struct.pack(order + "I", after + len(overflow))
            overflow += packed
        else:
            entries += packed.ljust(4, b"\0")
    magic = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    ifd = struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", 0)
    return magic + data + ifd + overflow
