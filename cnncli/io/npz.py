"""Reads archives of arrays (``.npz``) member by member without trusting their content."""

from __future__ import annotations

import contextlib
import os
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, cast

import numpy as np

from cnncli.errors import FileProblem, quote
from cnncli.io.npy import (
    DEFAULT_MAX_BYTES,
    ArrayHeader,
    Source,
    check_length,
    foreign_kind_text,
    is_zip,
    opened,
    read_header,
    tidy,
)
from cnncli.io.regular_files import fault_text, unreadable

_CHUNK = 2**20
# Deflate cannot do better, so a member that declares more is lying.
_DEFLATE_RATIO = 1_032
_BOMB_BYTES = 2**26
_BOMB_RATIO = 100
_MAX_MEMBERS = 10_000
_ZIP_FAULTS = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error) + (
    # What zipfile lets through for bad offsets, names, methods and flags.
    (EOFError, IndexError, OSError, OverflowError, RuntimeError, ValueError)
)


def read_npz(
    source: Source,
    *,
    name: str,
    max_bytes: int = DEFAULT_MAX_BYTES,
    keys: Collection[str] | None = None,
) -> dict[str, np.ndarray]:
    """Read arrays of an ``.npz`` archive.

    Parameters
    ----------
    source : Path or bytes
        The archive, or its content.
    name : str
        The name to use in messages.
    max_bytes : int
        The most bytes the members that are read may unfold to, all together.
    keys : collection of str, optional
        The members to read; default: all.

    Returns
    -------
    dict of str to numpy.ndarray
        By member name without ``.npy``, in the order of the archive. A name is untrusted text:
        it may look like a path.

    Raises
    ------
    FileProblem
        If the archive is empty or corrupt, unfolds to too much, or has a member that is encrypted,
        appears twice or anything but an array of plain numbers.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> np.savez(file, W=np.ones((3, 3)), b=np.zeros(1))
    >>> sorted(read_npz(file.getvalue(), name="layer.npz"))
    ['W', 'b']
    """
    with _archive(source, name) as (archive, size):
        members = _members(archive, size, name)
        chosen = {key: m for key, m in members.items() if keys is None or key in keys}
        _check_unfolded(list(chosen.values()), size, max_bytes, name)
        return {key: _member(archive, member, name) for key, member in chosen.items()}


def npz_keys(source: Source, *, name: str) -> list[str]:
    """Return the names of the arrays of an archive; nothing is unpacked.

    Raises
    ------
    FileProblem
        As `read_npz`.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> np.savez(file, W=np.ones((3, 3)), b=np.zeros(1))
    >>> npz_keys(file.getvalue(), name="layer.npz")
    ['W', 'b']
    """
    with _archive(source, name) as (archive, size):
        return list(_members(archive, size, name))


def read_npz_header(source: Source, key: str, *, name: str) -> ArrayHeader:
    """Read the header of one array of an archive, and nothing of its data.

    Raises
    ------
    FileProblem
        As `read_npz`.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> np.savez(file, W=np.ones((3, 3)))
    >>> read_npz_header(file.getvalue(), "W", name="layer.npz").shape
    (3, 3)
    """
    with _archive(source, name) as (archive, size):
        member = _members(archive, size, name)[key]
        label = _label(name, member)
        with archive.open(member) as file:
            header = read_header(cast(BinaryIO, file), label)
        check_length(header, member.file_size, label)
        return header


@contextlib.contextmanager
def _archive(source: Source, name: str) -> Iterator[tuple[zipfile.ZipFile, int]]:
    """Open an archive; whatever goes wrong inside becomes a FileProblem."""
    with opened(source, name) as stream:
        head = stream.read(8)
        if not is_zip(head):
            raise FileProblem(f"not an .npz archive{foreign_kind_text(head)}", path=name)
        size = stream.seek(0, os.SEEK_END)
        try:
            with zipfile.ZipFile(stream) as archive:
                yield archive, size
        except _ZIP_FAULTS as error:
            raise FileProblem(f"corrupt archive: {fault_text(error)}", path=name) from error
        except MemoryError as error:
            raise unreadable(name, error) from error


def _members(archive: zipfile.ZipFile, size: int, name: str) -> dict[str, zipfile.ZipInfo]:
    """Return the members by their arrays' names, each checked against the archive."""
    members = archive.infolist()
    if not members:
        raise FileProblem("an empty archive, at least one array is needed", path=name)
    if len(members) > _MAX_MEMBERS:
        raise FileProblem(f"{len(members)} members, at most {_MAX_MEMBERS} are read", path=name)
    by_name: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        _check_member(member, size, name)
        if member.filename[:-4] in by_name:
            raise FileProblem(
                f"member {quote(member.orig_filename[:200])}: appears twice", path=name
            )
        by_name[member.filename[:-4]] = member
    return by_name


def _check_unfolded(members: list[zipfile.ZipInfo], size: int, max_bytes: int, name: str) -> None:
    total = sum(member.file_size for member in members)
    if total > max_bytes or (total > _BOMB_BYTES and total > _BOMB_RATIO * size):
        raise FileProblem(
            f"{size} bytes that unpack to {total}, at most "
            f"{min(max_bytes, max(_BOMB_BYTES, _BOMB_RATIO * size))} are read",
            path=name,
        )


def _check_member(member: zipfile.ZipInfo, size: int, name: str) -> None:
    where = f"member {quote(member.orig_filename[:200])}"
    if member.flag_bits & 0x1:
        raise FileProblem(f"{where}: encrypted, only plain members are read", path=name)
    if not member.filename.endswith(".npy") or member.orig_filename != member.filename:
        raise FileProblem(
            f"{where}: not an array, an .npz archive holds .npy members only", path=name
        )
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FileProblem(f"{where}: an unusual compression, only deflate is read", path=name)
    ratio = 1 if member.compress_type == zipfile.ZIP_STORED else _DEFLATE_RATIO
    beyond_end = member.header_offset + member.compress_size > size
    if beyond_end or member.file_size > ratio * member.compress_size:
        raise FileProblem(f"{where}: corrupt: it declares more bytes than it can hold", path=name)


def _label(name: str, member: zipfile.ZipInfo) -> str:
    return f"{name}:{member.filename[:200]}"


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> np.ndarray:
    label = _label(name, member)
    with archive.open(member) as file:
        stream: Any = file
        header = read_header(stream, label)
        check_length(header, member.file_size, label)
        data = np.empty(header.nbytes, np.uint8)
        for start in range(0, header.nbytes, _CHUNK):
            part = stream.read(min(_CHUNK, header.nbytes - start))
            if len(part) < min(_CHUNK, header.nbytes - start):
                raise FileProblem("cut off", path=label)
            data[start : start + len(part)] = np.frombuffer(part, np.uint8)
        # Reading past the last byte is what makes zipfile compare the checksum.
        if stream.read(1):
            raise FileProblem("followed by foreign bytes", path=label)
    raw = data if header.dtype.kind == "b" else data.view(header.dtype)
    return tidy(raw, header)
