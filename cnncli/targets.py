"""Names of output files: from one input, its maps and layers to paths and formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnncli.errors import OptionError, quote
from cnncli.formats import FORMATS, NPY, Format, find_format
from cnncli.templates import Template, distinct, safe_name
from cnncli.wholefile import is_special


@dataclass(frozen=True)
class Source:
    """An input, as far as names go.

    Parameters
    ----------
    path : Path or None
        None is standard input.

    Examples
    --------
    >>> Source(Path("in/cat.jpg")).stem, Source(None).stem
    ('cat', 'stdin')
    """

    path: Path | None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name if self.path else "stdin"

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return self.path.stem if self.path else "stdin"

    def __str__(self) -> str:
        return quote(self.path) if self.path else "standard input"


@dataclass(frozen=True)
class Result:
    """The pictures one input gives in one layer.

    Parameters
    ----------
    maps : tuple of str
        Their names, in order, see `cnncli.maps.picture_names`.
    layer : str, optional
        None outside of networks.
    """

    maps: tuple[str, ...]
    layer: str | None = None


@dataclass(frozen=True)
class OutFile:
    """One file to write.

    Parameters
    ----------
    path : Path or None
        None is standard output.
    format : Format
    result : int
        Index of the `Result` it shows.
    maps : tuple of int
        Indices of that result's pictures in it.
    """

    path: Path | None
    format: Format
    result: int
    maps: tuple[int, ...]


@dataclass(frozen=True)
class Target:
    """Where the results of one input go. Small and picklable, for worker processes.

    Parameters
    ----------
    kind : str
        ``stdout``, ``file``, ``folder`` or ``template``.
    source : Source
    place : str
        The file, folder or template text.
    op : str
        Name of the command.
    filter_name : str or None
        The one filter; with several filters each map bears its filter's name.
    format : Format or None
        The forced format.
    """

    kind: str
    source: Source
    place: str
    op: str
    filter_name: str | None = None
    format: Format | None = None

    @property
    def label(self) -> str:
        """What default names end with: the filter's name, or else the operation's."""
        return self.filter_name or self.op

    @property
    def per_map(self) -> bool:
        """Whether each map gets its own file."""
        if self.kind == "template":
            fields = Template.parse(self.place).fields
            return "map" in fields or ("filter" in fields and self.filter_name is None)
        return self.kind == "folder"

    @property
    def per_layer(self) -> bool:
        """Whether all layers of a network are wanted."""
        if self.kind == "template":
            return "layer" in Template.parse(self.place).fields
        return self.kind == "folder"

    def files(self, results: Sequence[Result]) -> tuple[OutFile, ...]:
        """Name the files for the results of this input.

        Parameters
        ----------
        results : sequence of Result
            One, or one for each layer where `per_layer` says so.

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
        >>> [str(file.path) for file in target.files([Result(("sobel", "emboss"))])]
        ['out/cat-sobel.png', 'out/cat-emboss.png']
        """
        if self.kind == "stdout":
            format = self.format or NPY
            return tuple(OutFile(None, format, k, _all(r)) for k, r in enumerate(results))
        if self.kind == "folder":
            return self._folder_files(results)
        if self.kind == "file":
            return tuple(self._out(self.place, k, _all(r)) for k, r in enumerate(results))
        return self._template_files(results)

    def _folder_files(self, results: Sequence[Result]) -> tuple[OutFile, ...]:
        format = self.format or FORMATS["png"]
        places = [(k, m) for k, result in enumerate(results) for m in range(len(result.maps))]
        stems = distinct(
            "-".join(safe_name(part) for part in self._parts(results[k], m)) for k, m in places
        )
        return tuple(
            OutFile(Path(self.place, f"{stem}.{format.name}"), format, k, (m,))
            for stem, (k, m) in zip(stems, places, strict=True)
        )

    def _parts(self, result: Result, index: int) -> list[str]:
        parts = [self.source.stem]
        if result.layer is not None:
            parts.append(result.layer)
        elif len(result.maps) == 1:
            parts.append(self.label)
        if len(result.maps) > 1:
            parts.append(_map_name(result.maps, index))
        return parts

    def _template_files(self, results: Sequence[Result]) -> tuple[OutFile, ...]:
        template = Template.parse(self.place)
        found: dict[str, OutFile] = {}
        for k, result in enumerate(results):
            for maps in [(m,) for m in _all(result)] if self.per_map else [_all(result)]:
                text = template.fill(self._values(result, maps[0] if maps else 0))
                if text in found:
                    raise OptionError(
                        f"--output template must give each map its own name, got {quote(text)} "
                        "twice",
                        hint="add {map}, and {layer} for several layers",
                    )
                found[text] = self._out(text, k, maps)
        return tuple(found.values())

    def _values(self, result: Result, index: int) -> dict[str, str | int]:
        several = self.filter_name is None and len(result.maps) > 1
        return {
            "stem": self.source.stem,
            "name": self.source.name,
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
        path = Path(text)
        return OutFile(path, self.format or _format_of(path), result, maps)


def is_device(path: Path) -> bool:
    """Tell whether a path is a pipe or device that is there already."""
    try:
        return is_special(path.stat())
    except OSError:
        return False


def _format_of(path: Path) -> Format:
    extension = path.suffix.removeprefix(".")
    if extension.lower() not in FORMATS and is_device(path):
        return NPY  # as on standard output
    try:
        return find_format(extension, option="--output extension")
    except OptionError as error:
        raise OptionError(f"{quote(path)}: {error}", hint=error.hint) from None


def _all(result: Result) -> tuple[int, ...]:
    return tuple(range(len(result.maps)))


def _map_name(maps: Sequence[str], index: int) -> str:
    name = maps[index]
    if name and not name.isdecimal():
        return name
    return f"{int(name) if name else index:0{max(3, len(str(len(maps) - 1)))}d}"
