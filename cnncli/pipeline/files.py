"""Reads images and writes results: the files, pipes and remote objects of one image's work."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import field
from io import BytesIO
from typing import Any, BinaryIO, Protocol

from cnncli._dataclass import dataclass
from cnncli.errors import FileProblem
from cnncli.io import atomic
from cnncli.io.images import Picture, read_bytes, read_image, read_stream
from cnncli.io.read_options import ReadOptions
from cnncli.io.regular_files import fault_text, open_regular
from cnncli.io.urls import Location, Url
from cnncli.pipeline.disk_estimate import check_disk
from cnncli.pipeline.files_of_batch import Identity, OutputClaims
from cnncli.pipeline.job import Job, Task
from cnncli.pipeline.layer_result import LayerResult, OutFile
from cnncli.pipeline.output_checks import OutputOptions, make_folders, select_files
from cnncli.pipeline.output_names import Target
from cnncli.pipeline.source import Source
from cnncli.system.files import is_open

MadeFiles = list[tuple[OutFile, bytes]]
"""Files with their content, to be written by `write_made`."""


class FileAccess(Protocol):
    """What the work on one image needs of the world outside.

    A batch on this machine has a `LocalFiles`. What runs elsewhere brings its own: it may have the
    image's bytes with the task, and hand the bytes of files back instead of writing them.
    """

    def all_there(self, target: Target) -> bool:
        """Whether nothing is to be written, known before the image is read."""

    def read(self, job: Job, task: Task) -> Picture:
        """Read the image."""

    def select(self, target: Target, planned: Sequence[OutFile]) -> tuple[OutFile, ...]:
        """Choose the files to write; refuse what must not be, before the first pixel is made."""

    def check_disk(
        self, job: Job, files: Sequence[OutFile], results: Sequence[LayerResult]
    ) -> None:
        """Refuse files that do not fit on their disk."""

    def prepare(self, target: Target, files: Sequence[OutFile]) -> None:
        """Make ready for files that are about to be written."""

    def open(self, file: OutFile) -> AbstractContextManager[BinaryIO]:
        """Open a file to write: it is there, whole, once the ``with`` block has ended."""


class Claims(Protocol):
    """Who writes what: no two images of a batch may write one file."""

    def claim(self, source: Source, files: Sequence[OutFile]) -> None:
        """Refuse a file that another image was given; the rest is this image's from now on."""


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
        if target.pattern.per_map or not self.options.skip_existing:
            return False
        return not select_files(target.unknown_files(), self.options, self.inputs)

    def read(self, job: Job, task: Task) -> Picture:
        """Read the image that came with the task, or its file, or standard input."""
        return read_source(task.source, job.read, task.data)

    def select(self, target: Target, planned: Sequence[OutFile]) -> tuple[OutFile, ...]:
        """Choose the files to write: the overwrite guard.

        Files of each map are claimed: how many there are was not known to `plan_targets`.
        """
        if target.pattern.per_map:
            self.claims.claim(target.source, planned)
        return select_files(planned, self.options, self.inputs)

    def check_disk(
        self, job: Job, files: Sequence[OutFile], results: Sequence[LayerResult]
    ) -> None:
        """Refuse files that do not fit on their disk."""
        check_disk(job, files, results)

    def prepare(self, target: Target, files: Sequence[OutFile]) -> None:
        """Make the folders that are missing."""
        make_folders(target, files)

    def open(self, file: OutFile) -> AbstractContextManager[BinaryIO]:
        """Open a file to write, which appears whole or not at all, or standard output."""
        return open_output(file.path, overwrite=self.options.overwrite, sync=self.sync)


@dataclass(frozen=True)
class MemoryFiles(LocalFiles):
    """Files that are kept in memory, for another machine to choose from and to write.

    Parameters
    ----------
    made : list of (OutFile, bytes)
        What was made so far.
    """

    made: MadeFiles = field(default_factory=list)

    def select(self, target: Target, planned: Sequence[OutFile]) -> tuple[OutFile, ...]:
        """Choose all."""
        return tuple(planned)

    def check_disk(self, *arguments: Any) -> None:
        """Refuse nothing: they are for another disk."""

    def prepare(self, *arguments: Any) -> None:
        """Make no folders."""

    @contextmanager
    def open(self, file: OutFile) -> Iterator[BinaryIO]:
        """Keep a file's content."""
        stream = BytesIO()
        yield stream
        self.made.append((file, stream.getvalue()))


def write_made(made: MadeFiles, target: Target, files: LocalFiles) -> frozenset[str]:
    """Write files that were made elsewhere, as far as they may be; return their names.

    Raises
    ------
    CnnCliError
        If a file may not be written or cannot.
    """
    chosen = files.select(target, [file for file, _ in made])
    files.prepare(target, chosen)
    for file, content in made:
        if file in chosen:
            with files.open(file) as stream:
                stream.write(content)
    return frozenset(file.argument for file in chosen)


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


def read_content(source: Source, limit: int) -> bytes:
    """Return the content of an image's file or object, or standard input, undecoded.

    Parameters
    ----------
    source : Source
    limit : int
        Bytes; of what is longer one more is returned, which `read_source` refuses.

    Raises
    ------
    FileProblem
        If it cannot be read.
    """
    path, name = source.path, source.label
    try:
        if isinstance(path, Url):
            from cnncli.io.remote import read_url

            return read_url(path, limit)
        if path is not None:
            with open_regular(path, name=name) as stream:
                return stream.read(limit + 1)
        return _standard_input().read(limit + 1)
    except OSError as error:
        raise FileProblem(f"cannot be read: {fault_text(error)}", path=name) from error


def read_source(source: Source, options: ReadOptions, data: bytes | None = None) -> Picture:
    """Read an image: the bytes of its file if they are there, or its file, or standard input.

    Raises
    ------
    FileProblem
        If it cannot be read.

    Examples
    --------
    >>> from pathlib import Path
    >>> read_source(Source(Path("/nowhere.png")), ReadOptions())
    Traceback (most recent call last):
    cnncli.errors.FileProblem: '/nowhere.png': cannot be read: No such file or directory
    """
    path = source.path
    data = source.data if data is None else data
    if data is not None:
        return read_bytes(data, options, source.label)
    if isinstance(path, Url):
        from cnncli.io.remote import read_url

        return read_bytes(read_url(path, options.max_input_bytes), options, str(path))
    if path is not None:
        return read_image(path, options)
    return read_stream(_standard_input(), options)


def _standard_input() -> BinaryIO:
    if not is_open(sys.stdin):
        raise FileProblem("standard input is closed", hint="give an IMAGE")
    return sys.stdin.buffer
