"""What the IMAGE arguments stand for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from cnncli.errors import FileProblem, OptionError, quote
from cnncli.images import images_in_folder
from cnncli.targets import Source


def gather(images: Sequence[str], recursive: bool, stdin_is_terminal: bool) -> list[Source]:
    """Return what the IMAGE arguments stand for.

    Parameters
    ----------
    images : sequence of str
        Files, folders and ``-``; none means standard input.
    recursive : bool
        Whether folders are taken with their sub-folders.
    stdin_is_terminal : bool
        Whether nobody pipes anything in.

    Returns
    -------
    list of Source
        An image that is missing is among them: reading it says so.

    Raises
    ------
    OptionError
        If standard input is asked for twice or is a terminal.
    FileProblem
        If a folder holds no images or cannot be listed.

    Examples
    --------
    >>> [source.name for source in gather(["a.png", "b.npy"], False, True)]
    ['a.png', 'b.npy']
    """
    words = list(images) or ["-"]
    if words.count("-") > 1:
        raise OptionError("standard input can be read once, got '-' several times")
    if "-" in words and stdin_is_terminal:
        raise OptionError(
            "an IMAGE must be given or piped in, but standard input is a terminal",
            hint="give a file or folder, or pipe an image in: < photo.png",
        )
    return [source for word in words for source in _sources(word, recursive)]


def _sources(word: str, recursive: bool) -> Iterator[Source]:
    if word == "-":
        yield Source(None)
        return
    if not os.path.isdir(word):
        yield Source(Path(word))
        return
    found = [Source(path) for path in images_in_folder(Path(word), recursive)]
    if not found:
        hint = None if recursive else "--recursive looks into sub-folders too"
        raise FileProblem(f"{quote(word)}: a folder without images", hint=hint)
    yield from found
