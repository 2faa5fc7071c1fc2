"""Leaves results of earlier runs out of a folder's images, where they stand beside their inputs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, groupby

from cnncli.batch.listing import ListedFile
from cnncli.io.images import is_own_picture


class OwnResults:
    """Tells results from images; counts what it leaves out.

    A result is a picture that cnncli made, by the record in it, and that is named after another
    file of its folder: ``cat-edge.png`` or ``edge-cat.png`` beside ``cat.jpg``. A folder of
    results alone is one of images like any other.
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
            stems = Counter(_stem(name) for name, _ in listed)
            for file in listed:
                if _is_named_after_another(_stem(file[0]), stems) and is_own_picture(file[0]):
                    self.left_out += 1
                else:
                    yield file


def _stem(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]


def _is_named_after_another(stem: str, stems: Mapping[str, int]) -> bool:
    """Tell whether a name holds that of another file, with no letter before it or behind.

    Parameters
    ----------
    stem : str
    stems : mapping
        How many files have which name, this one among them.

    Examples
    --------
    >>> stems = {"cat": 1, "cat-edge": 1, "box-cat": 1, "cats": 1}
    >>> [_is_named_after_another(stem, stems) for stem in stems]
    [False, True, True, False]
    """
    if stems.get(stem, 0) > 1:
        return True
    ends = [end for end, letter in enumerate(stem) if not letter.isalnum()]
    spans = combinations([-1, *ends, len(stem)], 2)
    parts = (stem[before + 1 : end] for before, end in spans)
    return any(part in stems for part in parts if part != stem)
