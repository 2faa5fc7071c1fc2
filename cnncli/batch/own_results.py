"""Leaves results of earlier runs out of a folder's images, where they stand beside their inputs."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import combinations, groupby

from cnncli.batch.listing import ListedFile
from cnncli.io.image_headers import is_own_picture


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
            names = defaultdict[str, list[str]](list)
            for name, _ in listed:
                names[_stem(name)].append(name)
            for file in listed:
                if _is_result(file[0], names):
                    self.left_out += 1
                else:
                    yield file


def _stem(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]


def _is_result(name: str, names: Mapping[str, list[str]]) -> bool:
    """Tell whether a file was made of another one of its folder, whose names are told by stem."""
    stem = _stem(name)
    is_longer = _holds_another(stem, names)
    others = [other for other in names[stem] if other != name]
    if not (is_longer or others) or not is_own_picture(name):
        return False
    # Of two results with one stem neither was made of the other.
    return is_longer or not all(map(is_own_picture, others))


def _holds_another(stem: str, stems: Container[str]) -> bool:
    """Tell whether a name holds another one, with no letter before it or behind.

    Examples
    --------
    >>> stems = ["cat", "cat-edge", "box-cat", "cats"]
    >>> [_holds_another(stem, stems) for stem in stems]
    [False, True, True, False]
    """
    ends = [end for end, letter in enumerate(stem) if not letter.isalnum()]
    spans = combinations([-1, *ends, len(stem)], 2)
    parts = (stem[before + 1 : end] for before, end in spans)
    return any(part in stems for part in parts if part != stem)
