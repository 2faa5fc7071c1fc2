"""Names of output files: from one input, its maps and layers to paths and formats."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from functools import cached_property
from pathlib import Path

from cnncli._dataclass import dataclass
from cnncli.errors import OptionError, quote
from cnncli.io.atomic import is_folder_name, is_special
from cnncli.io.formats import FORMATS, NPY, NPZ, Format, find_format
from cnncli.io.safe_names import distinct, safe_folder, safe_name
from cnncli.io.urls import Location, Url, is_url, join, parse_url
from cnncli.pipeline.layer_result import LayerResult, OutFile
from cnncli.pipeline.source import Source
from cnncli.pipeline.templates import Template
from cnncli.render.options import MapGroup

_Part = tuple[int, tuple[int, ...]]
"""What goes into one file: a result's index, and the indices of its pictures."""


class OutputKind(Enum):
    """What ``--output`` names."""

    STDOUT = "standard output"
    FILE = "one file"
    FOLDER = "a folder"
    TEMPLATE = "names with fields such as {stem}"
    DEFAULT = "a template of ours: nothing was named"


@dataclass(frozen=True)
class OutputPattern:
    """How the files of any input are named.

    Parameters
    ----------
    kind : OutputKind
    text : str
        The file, folder or template.
    op : str
        Name of the command.
    filter_name : str, optional
        The one filter; with several filters each map bears its filter's name.
    format : Format, optional
        The forced format.
    layers : tuple of str
        Of a network, the layers that may go out. Empty outside of networks.

    Examples
    --------
    >>> OutputPattern(OutputKind.TEMPLATE, "{stem}-{map}.png", "conv").per_map
    True
    """

    kind: OutputKind
    text: str
    op: str
    filter_name: str | None = None
    format: Format | None = None
    layers: tuple[str, ...] = ()

    @cached_property
    def is_archive(self) -> bool:
        """Whether one file holds the values of all layers."""
        if self.format is not None or self.kind in (OutputKind.STDOUT, OutputKind.FOLDER):
            return self.format == NPZ
        return self.text.lower().endswith(".npz")

    @cached_property
    def template(self) -> Template:
        """What names are made from, where they are neither given nor in a folder."""
        return Template.parse(self.text)

    @cached_property
    def per_map(self) -> bool:
        """Whether each map gets its own file."""
        if self.kind is OutputKind.TEMPLATE:
            fields = self.template.fields
            return "map" in fields or ("filter" in fields and self.filter_name is None)
        return self.kind is OutputKind.FOLDER and not self.layers and not self.is_archive

    @cached_property
    def per_layer(self) -> bool:
        """Whether there may be several layers of a network."""
        if self.is_archive or self.kind is OutputKind.FOLDER:
            return True
        return self.kind is OutputKind.TEMPLATE and "layer" in self.template.fields

    @cached_property
    def chosen_layers(self) -> tuple[str, ...]:
        """The layers that go out: all, or the last where only one may."""
        return self.layers if self.per_layer else self.layers[-1:]

    @cached_property
    def unknown_results(self) -> tuple[LayerResult, ...]:
        """Results whose one map of no name stands for all, however many there will be."""
        one = LayerResult("", (1, 1, 1, 1), (MapGroup("", (0,)),))
        return tuple(replace(one, name=name, layer=name) for name in self.chosen_layers) or (one,)


@dataclass(frozen=True)
class Target:
    """Where the results of one input go. Small and picklable, for worker processes.

    Parameters
    ----------
    source : Source
    pattern : OutputPattern
        The same for all inputs of a batch.
    """

    source: Source
    pattern: OutputPattern

    @property
    def to_stdout(self) -> bool:
        """Whether they go to standard output."""
        return self.pattern.kind is OutputKind.STDOUT

    def unknown_files(self) -> tuple[OutFile, ...]:
        """Name the files as far as they are known before the image is."""
        return self.files(self.pattern.unknown_results)

    def files(self, results: Sequence[LayerResult]) -> tuple[OutFile, ...]:
        """Name the files for the results of this input.

        Parameters
        ----------
        results : sequence of LayerResult
            One, or one for each of the pattern's `chosen_layers`.

        Returns
        -------
        tuple of OutFile

        Raises
        ------
        OptionError
            When a template gives two maps one name, or a name has an unknown extension or that of
            another format than the forced one.

        Examples
        --------
        >>> pattern = OutputPattern(OutputKind.FOLDER, "out", "conv")
        >>> target = Target(Source(Path("cat.png")), pattern)
        >>> groups = MapGroup("sobel", (0,)), MapGroup("emboss", (1,))
        >>> [str(file.path) for file in target.files([LayerResult("conv1", (1, 8, 8, 2), groups)])]
        ['out/cat-sobel.png', 'out/cat-emboss.png']
        """
        parts = self._parts(results)
        if self.to_stdout:
            format = self.pattern.format or NPY
            return tuple(OutFile(None, format, index, maps) for index, maps in parts)
        if self.pattern.kind is OutputKind.FOLDER:
            return self._folder_files(results, parts)
        return self._named_files(results, parts)

    def _parts(self, results: Sequence[LayerResult]) -> list[_Part]:
        """Return what goes into one file each; an archive is named by its first result."""
        if self.pattern.is_archive:
            return [(0, results[0].all_maps)]
        if not self.pattern.per_map:
            return [(index, result.all_maps) for index, result in enumerate(results)]
        return [(index, (m,)) for index, result in enumerate(results) for m in result.all_maps]

    @property
    def _mirrored(self) -> str:
        """Where the image was found below the folder that was searched."""
        return safe_folder(self.source.below or "")

    def _folder_files(
        self, results: Sequence[LayerResult], parts: Sequence[_Part]
    ) -> tuple[OutFile, ...]:
        folder = os.path.join(self.pattern.text, self._mirrored)
        format = self.pattern.format or FORMATS["png"]
        stem = safe_name(self.source.stem)
        if self.pattern.is_archive:
            stems = [stem]
        else:
            ends = (self._map_name(results[index], maps) for index, maps in parts)
            stems = distinct(f"{stem}-{safe_name(end)}" for end in ends)
        return tuple(
            OutFile(join(folder, f"{stem}.{format.name}"), format, index, maps)
            for stem, (index, maps) in zip(stems, parts, strict=True)
        )

    def _map_name(self, result: LayerResult, maps: tuple[int, ...]) -> str:
        if result.layer is not None:
            return result.layer
        if len(result.maps) == 1:
            return self.pattern.filter_name or self.pattern.op
        name = result.maps[maps[0]]
        if name and not name.isdecimal():
            return name
        digits = max(3, len(str(len(result.maps) - 1)))
        return f"{int(name) if name else maps[0]:0{digits}d}"

    def _named_files(
        self, results: Sequence[LayerResult], parts: Sequence[_Part]
    ) -> tuple[OutFile, ...]:
        pattern = self.pattern
        is_template = pattern.kind is OutputKind.TEMPLATE
        fields = pattern.template.fields if is_template else frozenset()
        if pattern.is_archive and fields & {"layer", "map"}:
            raise OptionError(
                f"--output .npz holds all layers in one file, got {quote(pattern.text)}",
                hint="leave {layer} and {map} away, or write .npy",
            )
        files: dict[str, OutFile] = {}
        for index, maps in parts:
            text = pattern.text
            if pattern.kind is not OutputKind.FILE:
                text = pattern.template.fill(self._fields(results[index], maps[0]))
            if pattern.kind is OutputKind.DEFAULT:
                text = os.path.join(self._mirrored, text)
            if text in files:
                raise OptionError(
                    f"--output template must give each map its own name, got {quote(text)} twice",
                    hint="add {map}, and {layer} for several layers",
                )
            # By what the user wrote: names that come into a template lead nowhere else.
            path = parse_url(text) if is_url(pattern.text) else Path(text)
            files[text] = OutFile(path, _format_of(path, pattern.format), index, maps)
        return tuple(files.values())

    def _fields(self, result: LayerResult, index: int) -> dict[str, str | int]:
        source, pattern = self.source, self.pattern
        several = pattern.filter_name is None and len(result.maps) > 1
        suffix = source.path.suffix.removeprefix(".") if source.path else ""
        own = suffix if suffix.lower() in FORMATS else "png"
        return {
            "stem": source.stem,
            "name": source.name,
            "dir": source.folder,
            "op": pattern.op,
            "filter": result.maps[index] if several else pattern.filter_name or pattern.op,
            "layer": pattern.op if result.layer is None else result.layer,
            "map": index,
            "ext": own if pattern.format is None else pattern.format.name,
        }


def is_device(path: Location) -> bool:
    """Tell whether a path is a pipe or device that is there already."""
    if isinstance(path, Url):
        return False
    try:
        return is_special(path.stat())
    except OSError:
        return False


def _format_of(path: Location, forced: Format | None) -> Format:
    """Return the forced format, or else the one a name says; refuse a name that says another."""
    extension = path.suffix.removeprefix(".").lower()
    named = FORMATS.get(extension)
    if forced is not None:
        is_pnm_family = extension == "pnm" and forced.pillow == "PPM"
        if named is None or named == forced or is_pnm_family:
            return forced
        raise OptionError(
            f"--format {forced.name} needs a name that ends in .{forced.name}, got .{extension}",
            hint="another ending, {ext} in a template, or no --format",
            path=path,
        )
    if named is None and is_device(path):
        return NPY  # as on standard output
    try:
        return find_format(extension, option="--output extension")
    except OptionError as error:
        raise error.about(path) from None


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
