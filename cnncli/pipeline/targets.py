"""Names of output files: from one input, its maps and layers to paths and formats."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from cnncli.errors import OptionError, quote
from cnncli.io.atomic import is_folder_name, is_special
from cnncli.io.formats import FORMATS, NPY, NPZ, Format, find_format
from cnncli.io.urls import Location, Url, is_url, join, parse_url
from cnncli.pipeline.hash_table import hash64
from cnncli.pipeline.templates import Template, distinct, safe_folder, safe_name
from cnncli.render.options import MapGroup, picture_names


@dataclass(frozen=True)
class Source:
    """An input, as far as names go.

    Parameters
    ----------
    path : Path, Url or None
        None is standard input.
    below : str, optional
        For an image found in a folder or by a pattern: its folder below the one that was searched,
        "" for that one itself. Output folders mirror it.

    Examples
    --------
    >>> Source(Path("in/cat.jpg")).stem, Source(None).stem
    ('cat', 'stdin')
    """

    path: Location | None
    below: str | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name if self.path else "stdin"

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return self.path.stem if self.path else "stdin"

    @property
    def folder(self) -> str:
        """Its folder: below the one that was searched, or else as the user named it."""
        if self.below is not None or self.path is None:
            return self.below or ""
        return self.path.folder if isinstance(self.path, Url) else os.path.dirname(self.path)

    @property
    def label(self) -> str:
        """What errors about it name."""
        return os.fspath(self.path) if self.path else "standard input"

    def __str__(self) -> str:
        return quote(self.path) if self.path else "standard input"


def source_hash(source: Source) -> int:
    """Return 64 bits that stand for an image in tables of a million."""
    return hash64("" if source.path is None else os.fspath(source.path))


@dataclass(frozen=True)
class OutFile:
    """One file to write.

    Parameters
    ----------
    path : Path, Url or None
        None is standard output.
    format : Format
    result : int
        Index of the `LayerResult` it shows.
    maps : tuple of int
        Indices of that result's pictures in it; an archive holds those of all results.
    """

    path: Location | None
    format: Format
    result: int
    maps: tuple[int, ...]


@dataclass(frozen=True)
class LayerResult:
    """What one layer gives for an image: known before any value is computed.

    Parameters
    ----------
    name : str
        Of the layer in its network.
    shape : (N, n_H, n_W, n_C)
    groups : tuple of MapGroup
        Which channels are one picture.
    layer : str, optional
        The name again for a network from a file: outputs and reports bear it.
    files : tuple of OutFile
        Where it goes.
    is_last : bool
        Whether it is the last layer that may go out.

    Examples
    --------
    >>> LayerResult("conv1", (2, 8, 8, 1), (MapGroup("edge", (0,)),)).maps
    ('edge@0', 'edge@1')
    """

    name: str
    shape: tuple[int, int, int, int]
    groups: tuple[MapGroup, ...]
    layer: str | None = None
    files: tuple[OutFile, ...] = ()
    is_last: bool = False

    @cached_property
    def maps(self) -> tuple[str, ...]:
        """Names of its pictures."""
        return picture_names(self.groups, self.shape[0])

    @property
    def all_maps(self) -> tuple[int, ...]:
        """Indices of its pictures."""
        return tuple(range(len(self.maps)))


@cache
def unknown_results(layers: tuple[str, ...]) -> tuple[LayerResult, ...]:
    """Return results whose one map of no name stands for all, however many there will be."""
    one = LayerResult("", (1, 1, 1, 1), (MapGroup("", (0,)),))
    return tuple(replace(one, name=name, layer=name) for name in layers) or (one,)


@dataclass(frozen=True)
class Target:
    """Where the results of one input go. Small and picklable, for worker processes.

    Parameters
    ----------
    kind : str
        ``stdout``, ``file``, ``folder``, ``template``, or ``default``, a template of ours.
    source : Source
    place : str
        The file, folder or template text.
    op : str
        Name of the command.
    filter_name : str or None
        The one filter; with several filters each map bears its filter's name.
    format : Format or None
        The forced format.
    layers : tuple of str
        Of a network, the layers that may go out: all of them where there is room for several, else
        the last of them. Empty outside of networks.
    """

    kind: str
    source: Source
    place: str
    op: str
    filter_name: str | None = None
    format: Format | None = None
    layers: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What default names end with: the filter's name, or else the operation's."""
        return self.filter_name or self.op

    @property
    def archive(self) -> bool:
        """Whether one file holds the values of all layers."""
        own = self.place.lower().endswith(".npz") and self.kind not in ("stdout", "folder")
        return self.format == NPZ or (self.format is None and own)

    @property
    def per_map(self) -> bool:
        """Whether each map gets its own file."""
        if self.kind == "template":
            fields = Template.parse(self.place).fields
            return "map" in fields or ("filter" in fields and self.filter_name is None)
        return self.kind == "folder" and not self.layers and not self.archive

    @property
    def per_layer(self) -> bool:
        """Whether there is room for several layers of a network."""
        if self.kind == "template" and not self.archive:
            return "layer" in Template.parse(self.place).fields
        return self.kind == "folder" or self.archive

    @property
    def wanted(self) -> tuple[str, ...]:
        """The layers that go out."""
        return self.layers if self.per_layer else self.layers[-1:]

    def unknown(self) -> tuple[LayerResult, ...]:
        """Return results whose one map of no name stands for all, however many there will be."""
        return unknown_results(self.wanted)

    def files(self, results: Sequence[LayerResult]) -> tuple[OutFile, ...]:
        """Name the files for the results of this input.

        Parameters
        ----------
        results : sequence of LayerResult
            One, or one for each of the layers that are `wanted`.

        Returns
        -------
        tuple of OutFile

        Raises
        ------
        OptionError
            When a template gives two maps one name, or a name an unknown extension.

        Examples
        --------
        >>> target = Target("folder", Source(Path("cat.png")), "out", "conv")
        >>> groups = MapGroup("sobel", (0,)), MapGroup("emboss", (1,))
        >>> [str(file.path) for file in target.files([LayerResult("conv1", (1, 8, 8, 2), groups)])]
        ['out/cat-sobel.png', 'out/cat-emboss.png']
        """
        if self.archive:
            return (self._archive_file(results),)
        if self.kind == "stdout":
            format = self.format or NPY
            return tuple(OutFile(None, format, k, r.all_maps) for k, r in enumerate(results))
        if self.kind == "folder":
            return self._folder_files(results)
        if self.kind == "file":
            return tuple(self._out(self.place, k, r.all_maps) for k, r in enumerate(results))
        return self._template_files(results)

    def _archive_file(self, results: Sequence[LayerResult]) -> OutFile:
        if self.kind == "stdout":
            return OutFile(None, NPZ, 0, results[0].all_maps)
        if self.kind == "folder":
            path = join(self._folder, f"{safe_name(self.source.stem)}.npz")
            return OutFile(path, NPZ, 0, results[0].all_maps)
        if self.kind == "file":
            return self._out(self.place, 0, results[0].all_maps)
        template = Template.parse(self.place)
        if self.kind == "template" and template.fields & {"layer", "map"}:
            raise OptionError(
                f"--output .npz holds all layers in one file, got {quote(self.place)}",
                hint="leave {layer} and {map} away, or write .npy",
            )
        return self._out(self._filled(template, results[0], 0), 0, results[0].all_maps)

    @property
    def _folder(self) -> str:
        return os.path.join(self.place, self._mirrored)

    @property
    def _mirrored(self) -> str:
        """Where the image was found below the folder that was searched."""
        return safe_folder(self.source.below or "")

    def _folder_files(self, results: Sequence[LayerResult]) -> tuple[OutFile, ...]:
        format = self.format or FORMATS["png"]
        places = [(k, maps) for k, result in enumerate(results) for maps in self._shares(result)]
        stems = distinct(
            "-".join(safe_name(part) for part in self._parts(results[k], maps))
            for k, maps in places
        )
        return tuple(
            OutFile(join(self._folder, f"{stem}.{format.name}"), format, k, maps)
            for stem, (k, maps) in zip(stems, places, strict=True)
        )

    def _shares(self, result: LayerResult) -> list[tuple[int, ...]]:
        """The pictures of a result that go into one file each."""
        return [(m,) for m in result.all_maps] if self.per_map else [result.all_maps]

    def _parts(self, result: LayerResult, maps: tuple[int, ...]) -> list[str]:
        if result.layer is not None:
            return [self.source.stem, result.layer]
        own = self.label if len(result.maps) == 1 else _map_name(result.maps, maps[0])
        return [self.source.stem, own]

    def _template_files(self, results: Sequence[LayerResult]) -> tuple[OutFile, ...]:
        template = Template.parse(self.place)
        found: dict[str, OutFile] = {}
        for k, result in enumerate(results):
            for maps in self._shares(result):
                text = self._filled(template, result, maps[0] if maps else 0)
                if text in found:
                    raise OptionError(
                        f"--output template must give each map its own name, got {quote(text)} "
                        "twice",
                        hint="add {map}, and {layer} for several layers",
                    )
                found[text] = self._out(text, k, maps)
        return tuple(found.values())

    def _filled(self, template: Template, result: LayerResult, index: int) -> str:
        text = template.fill(self._values(result, index))
        return os.path.join(self._mirrored, text) if self.kind == "default" else text

    def _values(self, result: LayerResult, index: int) -> dict[str, str | int]:
        several = self.filter_name is None and len(result.maps) > 1
        return {
            "stem": self.source.stem,
            "name": self.source.name,
            "dir": self.source.folder,
            "op": self.op,
            "filter": result.maps[index] if several else self.label,
            "layer": self.op if result.layer is None else result.layer,
            "map": index,
            "ext": self._extension(),
        }

    def _extension(self) -> str:
        if self.format is not None:
            return self.format.name
        own = self.source.path.suffix.removeprefix(".") if self.source.path else ""
        return own if own.lower() in FORMATS else "png"

    def _out(self, text: str, result: int, maps: tuple[int, ...]) -> OutFile:
        # By what the user wrote: names that come into a template lead nowhere else.
        path = parse_url(text) if is_url(self.place) else Path(text)
        return OutFile(path, self.format or _format_of(path), result, maps)


def is_device(path: Location) -> bool:
    """Tell whether a path is a pipe or device that is there already."""
    if isinstance(path, Url):
        return False
    try:
        return is_special(path.stat())
    except OSError:
        return False


def _format_of(path: Location) -> Format:
    extension = path.suffix.removeprefix(".")
    if extension.lower() not in FORMATS and is_device(path):
        return NPY  # as on standard output
    try:
        return find_format(extension, option="--output extension")
    except OptionError as error:
        raise error.about(path) from None


def _map_name(maps: Sequence[str], index: int) -> str:
    name = maps[index]
    if name and not name.isdecimal():
        return name
    return f"{int(name) if name else index:0{max(3, len(str(len(maps) - 1)))}d}"


def output_folder(output: str | None) -> str | None:
    """Return the folder that results go below, as far as --output names one of its own.

    Examples
    --------
    >>> output_folder("photos/edges/"), output_folder("photos/edges/{dir}/{stem}.png")
    ('photos/edges/', 'photos/edges')
    >>> output_folder("edges.png"), output_folder("{stem}-edge.png"), output_folder(None)
    (None, None, None)
    """
    if output is None or is_url(output):
        return None
    if "{" in output:
        return os.path.dirname(output.partition("{")[0]) or None
    return output if is_folder_name(output) or os.path.isdir(output) else None
