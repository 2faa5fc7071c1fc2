"""Which files a batch reads, and which image writes which: none is overwritten or written twice."""

from __future__ import annotations

import os
from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from cnncli.errors import OptionError
from cnncli.io.urls import Url
from cnncli.pipeline.layer_result import OutFile
from cnncli.pipeline.output_names import is_device
from cnncli.pipeline.source import Source

Identity = tuple[int, int]
"""Device and inode of a file, or `Url.identity`."""


class InputFiles:
    """The inputs that no output may overwrite, 8 bytes each.

    Parameters
    ----------
    sources : iterable of Source
    read_too : iterable of Path
        Further files.

    Examples
    --------
    >>> (1, 2) in InputFiles([Source(Path("/nowhere.png"))])
    False
    """

    def __init__(self, sources: Iterable[Source], read_too: Iterable[Path] = ()) -> None:
        hashes = array("Q", map(hash64, _identities(sources, read_too)))
        self._hashes = np.sort(np.array(hashes))

    def __contains__(self, identity: object) -> bool:
        value = np.uint64(hash64(identity))
        index = np.searchsorted(self._hashes, value)
        return bool(index < len(self._hashes) and self._hashes[index] == value)


def hash64(key: Hashable) -> int:
    """Return 64 bits of a text, or of a tuple of numbers.

    Those of a text differ from process to process, so that nobody can choose names that collide;
    those of numbers do not.

    Examples
    --------
    >>> hash64("a") == hash64("a"), hash64("a") == hash64("b"), hash64((1, 2)) < 2**64
    (True, False, True)
    """
    return hash(key) & (1 << 64) - 1


def _identities(sources: Iterable[Source], read_too: Iterable[Path]) -> Iterator[Identity]:
    for path in chain((source.path for source in sources), read_too):
        if isinstance(path, Url):
            yield path.identity
            continue
        try:
            status = os.fstat(0) if path is None else os.stat(path)
        except OSError:
            continue  # a missing input is reported when it is read
        yield status.st_dev, status.st_ino


class OutputClaims:
    """The files that the images of a batch were given so far, and to which.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cnncli.io.formats import NPY
    >>> first, second = Source(Path("a.png")), Source(Path("a.jpg"))
    >>> claims, file = OutputClaims(), OutFile(Path("a.npy"), NPY, 0, (0,))
    >>> claims.claim(first, [file])
    >>> claims.claim(second, [file])
    Traceback (most recent call last):
    cnncli.errors.OptionError: 'a.npy': would hold both 'a.png' and 'a.jpg'
    """

    def __init__(self) -> None:
        self._owners: dict[int, tuple[int, str]] = {}
        """By 64 bits of the file's real name: 64 bits of the image, and what errors name it. The
        images themselves would take twice the memory."""

    def claim(self, source: Source, files: Sequence[OutFile]) -> None:
        """Refuse a file that another image was given; the rest is this image's from now on."""
        image = hash64(source), str(source)
        for file in files:
            if file.path is None or is_device(file.path):
                continue
            name = file.path.text if isinstance(file.path, Url) else os.path.realpath(file.path)
            owner = self._owners.setdefault(hash64(name), image)
            if owner != image:
                raise OptionError(
                    f"would hold both {owner[1]} and {source}",
                    path=file.path,
                    hint="a template such as 'out/{dir}/{name}-{map:03d}.png'",
                )
