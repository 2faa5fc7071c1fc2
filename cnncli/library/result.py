"""What a network or layer gives for an image: arrays that show themselves as labelled sheets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError
from cnncli.io.formats import FORMATS
from cnncli.io.writers import holds_values
from cnncli.library.arguments import check_arguments
from cnncli.library.images import check_names, work_on
from cnncli.pipeline.files import LocalFiles, MemoryFiles
from cnncli.pipeline.job import Job
from cnncli.pipeline.layer_result import LayerResult, OutFile
from cnncli.pipeline.output_checks import OutputOptions, plan_targets
from cnncli.pipeline.picture_depth import holds_depth, in_16_bits
from cnncli.pipeline.planned_results import check_format_of, with_files
from cnncli.pipeline.source import Source
from cnncli.pipeline.write import ResultWriter, write_results
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
class MapsPicture:
    """The picture of a layer's values: what the commands would write.

    Parameters
    ----------
    job : Job
        Its `render` says how values become pixels.
    result : LayerResult
    rows : ArrayRows
        The values.
    source : Source
        The image that they were computed from.
    numbers : (LayerResult, ArrayRows), optional
        What files of numbers hold, where the picture shows something else.
    op : str, optional
        What names of files end with; default: as the job's command has them.
    notes : tuple of str
        What the command would say.
    """

    job: Job
    result: LayerResult
    rows: ArrayRows
    source: Source
    numbers: tuple[LayerResult, ArrayRows] | None = None
    op: str | None = None
    notes: tuple[str, ...] = ()

    def png(self) -> bytes:
        """Return the picture as the bytes of a PNG file."""
        file = OutFile(PICTURE, FORMATS["png"], 0, self.result.all_maps)
        access = MemoryFiles(OutputOptions())
        result = replace(self.result, files=(file,))
        check_format_of(self.job, file, result)
        with np.errstate(all="ignore"):
            ResultWriter(self.job, result, self.rows, access).write()
        return access.made[0][1]

    def save(self, path: str, overwrite: bool, depth: str | None) -> None:
        """Write what ``-o`` of the commands writes, with ``--depth`` if there is one."""
        result, rows = self.result, self.rows
        render = replace(self.job.render, depth=depth or "8")
        output = OutputOptions(path, overwrite=overwrite, depth=render.depth)
        job = replace(self.job, render=render, output=output, is_default_depth=depth is None)
        with work_on(self.source, job.read.max_memory):
            layers = (result.name,) if job.layers else ()
            plan = plan_targets(
                [self.source],
                output,
                op=self.op or job.op,
                filter_name=None if self.op else job.filter_name,
                read_too=job.read_too,
                layers=layers,
            )
            (target,) = plan.targets
            if self.numbers and holds_values(target.unknown_files()[0].format, output.depth):
                result, rows = self.numbers
            if result.clips and holds_depth(job, target, result.photo_metadata.bits):
                job = in_16_bits(job)
            access = LocalFiles(output, plan.inputs)
            files = access.select(target, target.files([result]))
            for file in files:
                check_format_of(job, file, result)
            access.check_disk(job, files, [result])
            access.prepare(target, files)
            write_results(job, with_files([result], files), iter([(result.name, rows)]), access)


class MapsArray(np.ndarray[Any, Any]):
    """The values of a layer, shape (n_H, n_W, n_C), or (N, n_H, n_W, n_C) of a batch.

    It is an array of numpy's in all respects. In a notebook it shows itself as the labelled sheet
    that the command would write. What is computed from it is a plain array; parts of it are
    without a sheet.
    """

    sheet: MapsPicture | None

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

    @property
    def notes(self) -> tuple[str, ...]:
        """What the command would say of the image: that an array may have its channels first."""
        return self.sheet.notes if self.sheet else ()

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
        sheet = self._whole()
        check_names("shown", rendering, Rendering.__annotations__)
        check_arguments(**rendering)
        render = replace(sheet.job.render, **rendering)
        return with_sheet(self, replace(sheet, job=replace(sheet.job, render=render)))

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        depth: int | str | None = None,
        overwrite: bool = False,
    ) -> None:
        """Write the picture or the values to a file, as ``-o`` of the commands does.

        Parameters
        ----------
        path : str or path
            ``.png``, ``.jpg``, ``.tif`` and others: the picture, drawn as `shown` says. ``.npy``:
            the values. ``folder/`` or ``{map}.png``: a file for each map.
        depth : {8, 16, "float"}, optional
            Bits of each sample: 16 for PNG and TIFF, ``"float"`` for TIFF. By default 8, or 16
            where a 16-bit image becomes a PNG or TIFF picture.
        overwrite : bool
            Whether a file that exists is replaced.

        Raises
        ------
        CnnCliError
            If the file exists or cannot be written or hold the picture, or this is a part of a
            result.

        Examples
        --------
        >>> import cnncli, tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> cnncli.conv(np.eye(5), "1 -1").save(f"{folder.name}/edges.png")
        >>> os.listdir(folder.name)
        ['edges.png']
        >>> folder.cleanup()
        """
        whole = self._whole()
        check_arguments(overwrite=overwrite)
        whole.save(os.fspath(path), overwrite, None if depth is None else str(depth))

    def _whole(self) -> MapsPicture:
        if self.sheet is None:
            need = "only the values of a whole layer can be drawn or saved"
            raise OptionError(f"{need}, this is a part of them")
        return self.sheet

    def _repr_png_(self) -> bytes | None:
        return self.sheet.png() if self.sheet and self.size else None


def maps_array(
    job: Job,
    result: LayerResult,
    rows: ResultRows,
    source: Source,
    op: str | None = None,
    notes: tuple[str, ...] = (),
) -> MapsArray:
    """Return the values of a layer as an array that shows itself.

    Parameters
    ----------
    job : Job
    result : LayerResult
    rows : ResultRows
        Its values; they are computed here.
    source : Source
        The image.
    op, notes
        As in `MapsPicture`.

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
    # The pixels of an image in memory need not stay beside its values.
    sheet = MapsPicture(job, result, kept, replace(source, data=None), op=op, notes=notes)
    return with_sheet(values if result.batched else values[0], sheet)


def with_sheet(values: np.ndarray[Any, Any], sheet: MapsPicture) -> MapsArray:
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
        return isinstance(name, str) and self.get(name) is not None

    def get(self, name: str, default: Any = None) -> Any:
        """Return a layer's values, or the default where there are none."""
        try:
            return self[name]
        except OptionError:
            return default

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
