"""Leaves results of earlier runs out of a folder's images, where they stand beside their inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import groupby

from cnncli.batch.listing import ListedFile
from cnncli.io.images import is_own_picture


class OwnResults:
    """Tells results from images; counts what it leaves out.

    A result is a picture that cnncli made, by the record in it, and that is named after another
    file of its folder: ``cat-edge.png`` beside ``cat.jpg``. A folder of results alone is one of
    images like any other.
    """

    def __init__(self) -> None:
        self.left_out = 0

    def without(self, files: Iterable[ListedFile]) -> Iterator[ListedFile]:
        """Yield the files that are no results.

        Parameters
        ----------
        files : iterable of (str, str)
            Names of files, those of a folder together, each with its folder.
        """
        for _, group in groupby(files, lambda file: os.path.dirname(file[0])):
            listed = list(group)
            stems = {_stem(name) for name, _ in listed}
            for file in listed:
                if _is_named_after_another(_stem(file[0]), stems) and is_own_picture(file[0]):
                    self.left_out += 1
                else:
                    yield file


def _stem(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]


def _is_named_after_another(stem: str, stems: set[str]) -> bool:
    """Tell whether a name begins with that of another file, and goes on with no letter.

    Examples
    --------
    >>> _is_named_after_another("cat-edge", {"cat"}), _is_named_after_another("cats", {"cat"})
    (True, False)
    """
    ends = (end for end, letter in enumerate(stem) if not letter.isalnum())
    return any(stem[:end] in stems for end in ends)
