"""What a network or layer gives for an image: arrays that show themselves as labelled sheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError
from cnncli.io.formats import FORMATS
from cnncli.pipeline.files import MemoryFiles
from cnncli.pipeline.job import Job
from cnncli.pipeline.output_checks import OutputOptions
from cnncli.pipeline.output_names import LayerResult, OutFile
from cnncli.pipeline.planned_results import check_format_of
from cnncli.pipeline.write import ResultWriter
from cnncli.render.result_rows import ArrayRows, ResultRows

PICTURE = Path("maps.png")


class Rendering(TypedDict, total=False):
    """How values become pixels: the options of the commands, by the same names with ``_``."""

    range: str | tuple[float, float]
    shared_range: bool
    colormap: str
    labels: bool
    legend: bool
    columns: int | None


@dataclass(frozen=True, eq=False)
class Sheet:
    """The picture of a layer's values: what the commands would write.

    Parameters
    ----------
    job : Job
        Its `render` says how values become pixels.
    result : LayerResult
    rows : ArrayRows
        The values.
    """

    job: Job
    result: LayerResult
    rows: ArrayRows

    def png(self) -> bytes:
        """Return the picture as the bytes of a PNG file."""
        file = OutFile(PICTURE, FORMATS["png"], 0, self.result.all_maps)
        access = MemoryFiles(OutputOptions())
        result = replace(self.result, files=(file,))
        check_format_of(self.job, file, result)
        with np.errstate(all="ignore"):
            ResultWriter(self.job, result, self.rows, access).write()
        return access.made[0][1]


class MapsArray(np.ndarray[Any, Any]):
    """The values of a layer, shape (n_H, n_W, n_C), or (N, n_H, n_W, n_C) of a batch.

    It is an array of numpy's in all respects. In a notebook it shows itself as the labelled sheet
    that the command would write. What is computed from it is a plain array; parts of it are
    without a sheet.
    """

    sheet: Sheet | None

    def __array_finalize__(self, parent: Any) -> None:
        """Let views and copies have no sheet: nothing is known of what is in them."""
        self.sheet = None

    def __array_wrap__(
        self, array: np.ndarray[Any, Any], context: Any = None, return_scalar: bool = False
    ) -> Any:
        """Return what a function of numpy's made of it as a plain array or number."""
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pictures on its sheet: of its maps, or of colour pictures."""
        return self.sheet.result.maps if self.sheet else ()

    def shown(self, **rendering: Unpack[Rendering]) -> MapsArray:
        """Return the same values with a sheet that is drawn otherwise.

        Parameters
        ----------
        **rendering
            range, shared_range, colormap, labels, legend, columns: as the commands' options.

        Raises
        ------
        OptionError
            If an option cannot be so, or this is a part of a result, which has no sheet.
        """
        if self.sheet is None:
            raise OptionError("only a whole layer's values have a sheet, this is a part of them")
        job = self.sheet.job
        render = replace(job.render, **rendering)
        return with_sheet(self, replace(self.sheet, job=replace(job, render=render)))

    def _repr_png_(self) -> bytes | None:
        return self.sheet.png() if self.sheet and self.size else None


def maps_array(job: Job, result: LayerResult, rows: ResultRows) -> MapsArray:
    """Return the values of a layer as an array that shows itself.

    Parameters
    ----------
    job : Job
    result : LayerResult
    rows : ResultRows
        Its values; they are computed here.

    Examples
    --------
    >>> import cnncli
    >>> edges = cnncli.conv(np.eye(5), "1 -1")
    >>> edges.shape, edges.dtype.name, float(edges.max())
    ((5, 5, 1), 'float64', 1.0)
    >>> edges._repr_png_()[:4], type(edges * 2).__name__
    (b'\\x89PNG', 'ndarray')
    """
    values = rows.whole()
    kept = ArrayRows(values, rows.inner_cells, rows.sum_bounds)
    return with_sheet(values if result.batched else values[0], Sheet(job, result, kept))


def with_sheet(values: np.ndarray[Any, Any], sheet: Sheet) -> MapsArray:
    """Return an array as one that shows a sheet; it has the same memory."""
    array = np.asarray(values).view(MapsArray)
    array.sheet = sheet
    return array


class Result(Mapping[str, MapsArray]):
    """What the layers of a network give for an image: `MapsArray` by the layers' names.

    Parameters
    ----------
    maps : mapping of str to MapsArray
        In the network's order. In a notebook the last one is shown.
    notes : tuple of str
        What the commands would say of the image and the network.
    find : callable
        Returns the name of a layer by a beginning of it, as `Model.find` does.
    """

    def __init__(
        self, maps: Mapping[str, MapsArray], notes: tuple[str, ...], find: Callable[[str], str]
    ) -> None:
        self._maps, self.notes, self._find = maps, notes, find

    def __getitem__(self, name: str) -> MapsArray:
        """Return a layer's values.

        Raises
        ------
        OptionError
            If there is no such layer, or it was not asked for.
        """
        if not isinstance(name, str):
            hint = f"result[{[*self._maps][-1]!r}], or result.last"
            raise OptionError(f"a layer must be given by its name, got {name!r}", hint=hint)
        found = self._find(name)
        if found not in self._maps:
            kept = ", ".join(self._maps)
            raise OptionError(f"layer {found} was not asked for, only {kept}", hint="layers=[...]")
        return self._maps[found]

    def __contains__(self, name: object) -> bool:
        return name in self._maps

    def __iter__(self) -> Iterator[str]:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)

    def __repr__(self) -> str:
        lines = [f"{name} {'x'.join(map(str, maps.shape))}" for name, maps in self.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    @property
    def last(self) -> MapsArray:
        """The values of the last layer."""
        return [*self._maps.values()][-1]

    def _repr_png_(self) -> bytes | None:
        return self.last._repr_png_()
