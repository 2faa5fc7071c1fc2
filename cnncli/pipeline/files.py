"""Where images come from and results go: the world outside, as one image's work sees it."""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from cnncli.errors import FileProblem, OptionError
from cnncli.io import atomic
from cnncli.io.images import Picture, read_bytes, read_image, read_stream
from cnncli.io.urls import Location, Url
from cnncli.pipeline.hash_table import HashTable, hash64
from cnncli.pipeline.job import Job, Task
from cnncli.pipeline.outputs import (
    Identity,
    OutFile,
    OutputOptions,
    Source,
    Target,
    make_folders,
    select_files,
)
from cnncli.pipeline.targets import is_device, source_hash


class FileAccess(Protocol):
    """What the work on one image needs of the world outside.

    A batch on this machine has a `LocalFiles`. What runs elsewhere brings its own: it may have the
    image's bytes with the task, and hand the bytes of files back instead of writing them.
    """

    def all_there(self, target: Target) -> bool:
        """Whether nothing is to be written, known before the image is read."""
        ...

    def read(self, job: Job, task: Task) -> Picture:
        """Read the image."""
        ...

    def select(self, target: Target, planned: Sequence[OutFile]) -> tuple[OutFile, ...]:
        """Choose the files to write; refuse what must not be, before the first pixel is made."""
        ...

    def prepare(self, target: Target, files: Sequence[OutFile]) -> None:
        """Make ready for files that are about to be written."""
        ...

    def open(self, file: OutFile) -> AbstractContextManager[BinaryIO]:
        """Open a file to write: it is there, whole, once the ``with`` block has ended."""
        ...


class Claims(Protocol):
    """Who writes what: no two images of a batch may write one file."""

    def claim(self, source: Source, files: Sequence[OutFile]) -> None:
        """Refuse a file that another image was given; the rest is this image's from now on."""
        ...


class OutputClaims:
    """The files that the images of a batch were given so far, by their real names.

    Of each no more is kept than 64 bits, and 64 of its image.

    Parameters
    ----------
    sources : iterable of Source
        The batch, to tell the name of an image by its bits.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cnncli.io.formats import NPY
    >>> first, second = Source(Path("a.png")), Source(Path("a.jpg"))
    >>> claims, file = OutputClaims([first, second]), OutFile(Path("a.npy"), NPY, 0, (0,))
    >>> claims.claim(first, [file])
    >>> claims.claim(second, [file])
    Traceback (most recent call last):
    cnncli.errors.OptionError: 'a.npy': would hold both 'a.png' and 'a.jpg'
    """

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self._sources = sources
        self._owners = HashTable()

    def claim(self, source: Source, files: Sequence[OutFile]) -> None:
        """Refuse a file that another image was given; the rest is this image's from now on."""
        own = source_hash(source)
        for file in files:
            if file.path is None or is_device(file.path):
                continue
            owner = self._owners.insert(hash64(_real_name(file.path)), own)
            if owner not in (None, own):
                raise OptionError(
                    f"would hold both {self._name(owner)} and {source}",
                    path=file.path,
                    hint="a template such as 'out/{stem}-{ext}-{map:03d}.png'",
                )

    def _name(self, owner: int | None) -> str:
        names = (str(source) for source in self._sources if source_hash(source) == owner)
        return next(names, "another image")


@dataclass(frozen=True)
class LocalFiles:
    """Files, standard input and standard output of this process.

    Parameters
    ----------
    options : OutputOptions
    inputs : container of (int, int)
        Device and inode of all inputs of the batch, none of which is ever overwritten.
    claims : Claims
    sync : bool
        Whether each file's name is put safely on the disk at once, see `cnncli.io.atomic.open`.
    """

    options: OutputOptions
    inputs: Container[Identity] = ()
    claims: Claims = field(default_factory=OutputClaims)
    sync: bool = True

    def all_there(self, target: Target) -> bool:
        """Whether nothing is to be written, known before the image is read."""
        if target.per_map or not self.options.skip_existing:
            return False
        return not select_files(target.files(target.unknown()), self.options, self.inputs)

    def read(self, job: Job, task: Task) -> Picture:
        """Read the image that came with the task, or its file, or standard input.

        Examples
        --------
        >>> from pathlib import Path
        >>> from cnncli.network.layers import PoolLayer
        >>> from cnncli.network.graph import Network
        >>> from cnncli.io.images import ReadOptions
        >>> from cnncli.render.options import RenderOptions
        >>> options = ReadOptions(), RenderOptions(), OutputOptions(), ""
        >>> job = Job(Network.chain(PoolLayer()), *options)
        >>> task = Task(0, Target("file", Source(Path("/nowhere.png")), "a.png", "pool"))
        >>> LocalFiles(job.output).read(job, task)
        Traceback (most recent call last):
        cnncli.errors.FileProblem: '/nowhere.png': cannot be read: No such file or directory
        """
        return read_task(job, task)

    def select(self, target: Target, planned: Sequence[OutFile]) -> tuple[OutFile, ...]:
        """Choose the files to write: the overwrite guard.

        Files of each map are claimed: how many there are was not known to `plan_targets`.
        """
        if target.per_map:
            self.claims.claim(target.source, planned)
        return select_files(planned, self.options, self.inputs)

    def prepare(self, target: Target, files: Sequence[OutFile]) -> None:
        """Make the folders that are missing."""
        make_folders(target, files)

    def open(self, file: OutFile) -> AbstractContextManager[BinaryIO]:
        """Open a file to write, which appears whole or not at all, or standard output."""
        return open_output(file.path, overwrite=self.options.overwrite, sync=self.sync)


def _real_name(path: Location) -> str:
    return path.text if isinstance(path, Url) else os.path.realpath(path)


def open_output(
    path: Location | None, *, overwrite: bool, sync: bool = True
) -> AbstractContextManager[BinaryIO]:
    """Open a file or an object to write, whole or not at all; None is standard output.

    Raises
    ------
    FileProblem
        When it cannot be written or exists. What was there before is still there, unchanged.
    """
    if path is None:
        return atomic.open_stdout()
    if isinstance(path, Url):
        from cnncli.io.remote import open_url

        return open_url(path, overwrite=overwrite)
    return atomic.open(path, overwrite=overwrite, sync=sync)


def read_task(job: Job, task: Task) -> Picture:
    """Read the image that came with the task, or its file, its address, or standard input.

    Raises
    ------
    FileProblem
        If it cannot be read.
    """
    path = task.source.path
    if task.data is not None:
        return read_bytes(task.data, job.read, "standard input" if path is None else str(path))
    if isinstance(path, Url):
        from cnncli.io.remote import read_url

        return read_bytes(read_url(path, job.read.max_input_bytes), job.read, str(path))
    if path is not None:
        return read_image(path, job.read)
    if sys.stdin is None or sys.stdin.closed:
        raise FileProblem("standard input is closed", hint="give an IMAGE")
    return read_stream(sys.stdin.buffer, job.read)
