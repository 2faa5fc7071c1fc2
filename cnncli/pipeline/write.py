"""Writes the results of an image, as arrays or pictures, and describes them for the report."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, BinaryIO, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli._version import __version__
from cnncli.core.arrays import non_finite_text
from cnncli.io.formats import NPZ
from cnncli.io.png_writer import PngFile
from cnncli.io.safe_names import distinct, safe_member
from cnncli.io.writers import (
    NpyFile,
    encode,
    encode_float_tiff,
    holds_values,
    open_member,
    open_npz,
    to_text,
)
from cnncli.network.parameters import faulty_weights
from cnncli.pipeline.files import FileAccess
from cnncli.pipeline.job import WARNING, Job
from cnncli.pipeline.largest_values import LargestValue, find_largest_values, largest_values_note
from cnncli.pipeline.layer_result import LayerResult, OutFile
from cnncli.pipeline.output_names import is_device
from cnncli.pipeline.sheets import as_computed, draw_for_terminal, make_sheet, shows_scores
from cnncli.pipeline.transparency import with_alpha
from cnncli.pipeline.written_file import WrittenFile
from cnncli.render.finite_values import ValueRange, measure
from cnncli.render.grey_levels import are_levels
from cnncli.render.grid import Sheet, grid
from cnncli.render.result_record import describe_values, picture_record
from cnncli.render.result_rows import ResultRows, Values
from cnncli.render.rounding_noise import are_rounding, rounding_notes
from cnncli.render.scores import winner
from cnncli.render.tiles import Tile, make_tiles, plan_tiles, render_notes

EIGHT_BITS: Final = 127
"""The least white of a range that may be meant for pixels of 8 bits, signed ones."""
FAR_DARKER: Final = 20
"""Times as much as all values is a white that none comes near to."""
NARROW: Final = 32
"""How many times as long as wide maps are of which nobody sees anything."""

Outputs = tuple[tuple[WrittenFile, ...], tuple[str, ...], str]
"""What was written, what the report says of it, and the drawing for the terminal."""


def write_results(
    job: Job,
    results: Sequence[LayerResult],
    computed: Iterator[tuple[str, ResultRows]],
    access: FileAccess,
) -> Outputs:
    """Write results to their files as they come.

    Parameters
    ----------
    job : Job
    results : sequence of LayerResult
        Those that have files.
    computed : iterator of (str, ResultRows)
        Their layers, in the same order.
    access : FileAccess
        Opens the files.

    Returns
    -------
    tuple
        What was written, what the report says of it, and the drawing of the last layer.
    """
    if results[0].files[0].format == NPZ:
        return _write_archive(job, results, computed, access)
    written: list[WrittenFile] = []
    notes: list[str] = []
    drawing = ""
    for expected, (_, maps) in zip(results, computed, strict=True):
        result = as_computed(expected, maps.shape)
        files, own_notes, drawing = ResultWriter(job, result, maps, access).write()
        written += files
        notes += own_notes
        # What comes next may need its memory.
        del maps
    return tuple(written), tuple(dict.fromkeys(notes)), drawing


def _write_archive(
    job: Job,
    results: Sequence[LayerResult],
    computed: Iterator[tuple[str, ResultRows]],
    access: FileAccess,
) -> Outputs:
    """Write all layers' values into one .npz file."""
    file = results[0].files[0]
    members = distinct(safe_member(result.name) for result in results)
    written: list[WrittenFile] = []
    notes: list[str] = []
    drawing = ""
    with access.open(file) as stream, open_npz(stream) as archive:
        for member, result, (_, maps) in zip(members, results, computed, strict=True):
            writer = ResultWriter(job, as_computed(result, maps.shape), maps, access)
            with open_member(archive, member) as out:
                written.append(writer.write_array(out, replace(file, maps=result.all_maps)))
            tiles = writer.tiles() if result.is_last and job.show_width else []
            notes += writer.notes(written[-1].non_finite, tiles)
            drawing = writer.drawing(tiles)
            del maps, writer
    return tuple(written), tuple(dict.fromkeys(notes)), drawing


@dataclass(frozen=True, eq=False)
class ResultWriter:
    """Writes what one layer gives to its files.

    Parameters
    ----------
    job : Job
    result : LayerResult
    maps : ResultRows
        Its values.
    access : FileAccess
        Opens the files.
    """

    job: Job
    result: LayerResult
    maps: ResultRows
    access: FileAccess

    def write(self) -> Outputs:
        """Write all files, those of values first."""
        job, files, depth = self.job, self.result.files, self.job.output.depth
        show = job.show_width and self.result.is_last
        as_it_is = len(self.result.maps) == len(files) == 1 and not (
            job.render.legend or self.result.keys or shows_scores(self.result)
        )
        if as_it_is and not show and files[0].format.name == "png":
            return self._write_png_in_strips(files[0])
        value_files = [file for file in files if holds_values(file.format, depth)]
        if len(value_files) > 1:
            self.maps.whole()
        written = {file: self._write_values(file) for file in value_files}
        tiles = self.tiles() if show or len(value_files) < len(files) else []
        in_values = (done.non_finite for done in written.values())
        non_finite = max(sum(tile.non_finite for tile in tiles), *in_values, 0)
        notes = self.notes(non_finite, tiles)
        # Encoding needs memory of its own: a decoded picture need not stand beside it.
        self.maps.release_pixels()
        for file in files:
            if file not in written:
                written[file] = self._write_picture(file, [tiles[index] for index in file.maps])
        return tuple(written[f] for f in files), notes, self.drawing(tiles if show else [])

    def _write_png_in_strips(self, file: OutFile) -> Outputs:
        """Write a picture as its strips are made; a pipe gives nothing back and gets it whole."""
        if file.path is None or is_device(file.path):
            gathered = io.BytesIO()
            tile = self._paint_png(gathered)
            with self.access.open(file) as stream:
                stream.write(gathered.getbuffer())
        else:
            with self.access.open(file) as stream:
                tile = self._paint_png(stream)
        written = self._written_picture(file, grid([tile]), [tile])
        return (written,), self.notes(tile.non_finite, [tile]), ""

    def _paint_png(self, stream: BinaryIO) -> Tile:
        """Compute, paint and compress each strip."""
        render, colour = self.job.render, self.result.groups[0].colour
        (tile,) = plan_tiles(self.maps, self.result.groups, render, self.result.clips)
        text = to_text(picture_record([tile], self.job.command, __version__))
        bits, small = int(tile.depth), render.compress == "small"
        photo_metadata, alpha = self.result.photo_metadata, self.result.photo_metadata.alpha
        shape = tile.shape if alpha is None else (*tile.shape[:2], 4 if colour else 2)
        profile = photo_metadata.profile_for(colour)
        exif, dpi = photo_metadata.exif, photo_metadata.dpi
        png = PngFile(stream.write, shape, bits, text, small, profile, exif, dpi)
        paint, row, dtype = tile.painter, tile.shape[1:], tile.pixels.dtype

        def write_strip(_: int, rows: slice, values: Values) -> ValueRange:
            pixels = np.empty((len(values), *row), dtype)
            seen = paint(values if colour else values[:, :, 0], out=pixels)
            png.add(rows, pixels if alpha is None else with_alpha(pixels, alpha[rows]))
            return seen

        in_levels = are_levels(tile.mapping, tile.depth)
        for seen in self.maps.map_strips(write_strip, in_levels):
            tile = replace(tile, seen=tile.seen | seen)
        png.close()
        return tile

    def _write_values(self, file: OutFile) -> WrittenFile:
        with self.access.open(file) as stream:
            write = self.write_array if file.format.pillow is None else self._write_float_tiff
            return write(stream, file)

    def write_array(self, stream: BinaryIO, file: OutFile) -> WrittenFile:
        """Write values in the .npy format, strip by strip."""
        dtype, seen = self.maps.dtype, ValueRange()
        array = NpyFile(stream.write, self._shape(file), dtype)
        for strip in self._strips(file):
            seen |= measure(strip)
            array.add(strip)
        return self._written_values(file, seen, f"{dtype} array")

    def _write_float_tiff(self, stream: BinaryIO, file: OutFile) -> WrittenFile:
        values = self.maps.whole()
        if len(file.maps) < len(self.result.maps):
            image, channels = self._part(file)
            values = values[image : image + 1][..., list(channels)]
        with np.errstate(over="ignore"):
            values = values.astype(np.float32, copy=False)
        record = describe_values(values.shape, self.job.command, __version__)
        compress = self.job.render.compress
        stream.write(encode_float_tiff(values, metadata=record, compress=compress))
        return self._written_values(file, measure(values), "float32 pages")

    def _write_picture(self, file: OutFile, tiles: Sequence[Tile]) -> WrittenFile:
        job = self.job
        sheet = make_sheet(self.result, file.maps, tiles, job.render, job.op)
        is_single = len(tiles) == 1 and sheet.pixels.shape == tiles[0].shape
        data = encode(
            with_alpha(sheet.pixels, self.result.photo_metadata.alpha),
            file.format,
            depth=job.output.depth,
            metadata=picture_record(
                tiles, job.command, __version__, sheet, are_values=self.result.field is None
            ),
            compress=job.render.compress,
            jobs=job.jobs,
            photo_metadata=self.result.photo_metadata if is_single else None,
        )
        with self.access.open(file) as stream:
            stream.write(data)
        return self._written_picture(file, sheet, tiles)

    def tiles(self) -> list[Tile]:
        """Return every picture of the result."""
        options = self.job.render
        # Float files hold values; what is drawn beside them in the terminal has 8 bits.
        options = replace(options, depth="8") if options.depth == "float" else options
        return make_tiles(self.maps, self.result.groups, options, self.result.clips)

    def drawing(self, tiles: Sequence[Tile]) -> str:
        """Return tiles as text for the terminal."""
        return draw_for_terminal(self.result, tiles, self.job.render, self.job.show_width)

    def _part(self, file: OutFile) -> tuple[int, tuple[int, ...]]:
        """Return the image and the channels of a file's one picture."""
        image, group = divmod(file.maps[0], len(self.result.groups))
        return image, self.result.groups[group].channels

    def _strips(self, file: OutFile) -> Iterator[Values]:
        """Yield the values in a file, in strips: of all pictures, or of one."""
        own_image, channels = self._part(file)
        for image, strip in self.maps.blocks():
            if len(file.maps) == len(self.result.maps):
                yield strip
            elif image == own_image:
                yield strip[..., list(channels)]

    def _shape(self, file: OutFile) -> tuple[int, ...]:
        """Return the shape of the values in a file, with the batch axis if it stays."""
        n, height, width, channels = self.maps.shape
        if len(file.maps) < len(self.result.maps):
            return height, width, len(self._part(file)[1])
        whole = height, width, channels
        return (n, *whole) if self.result.batched else whole

    def _written_values(self, file: OutFile, seen: ValueRange, form: str) -> WrittenFile:
        maps = tuple(self.result.maps[index] for index in file.maps)
        written = written_values(file, self._shape(file), seen, form, maps, self.result.layer)
        return replace(written, **self._window(), **self._best(file))

    def _window(self) -> dict[str, Any]:
        """Return what is told of the layer's border and window."""
        return {name: getattr(self.result, name) for name in ("pad_mode", "pad_value", "window")}

    def _written_picture(self, file: OutFile, sheet: Sheet, tiles: Sequence[Tile]) -> WrittenFile:
        ranges = tuple((tile.mapping.lo, tile.mapping.hi) for tile in tiles)
        field, batched = self.result.field, self.result.batched
        written = WrittenFile(
            output=file.argument,
            form=_picture_form(sheet, tiles, self.result.photo_metadata.alpha is not None),
            shape=self._shape(file),
            maps=tuple(tile.name for tile in tiles),
            low=min(tile.vmin for tile in tiles),
            high=max(tile.vmax for tile in tiles),
            mapping=tiles[0].mapping.kind,
            clipped=sum(tile.clipped_fraction for tile in tiles) / len(tiles),
            non_finite=sum(tile.non_finite for tile in tiles),
            ranges=ranges,
            layer=self.result.layer,
            **self._best(file),
            **self._window(),
            has_white_note=self.result.has_white_note,
        )
        return written if field is None else field.describe(written, file.maps, batched)

    def notes(self, non_finite: int, tiles: Sequence[Tile]) -> tuple[str, ...]:
        """Return what the report says of the values and of what was made of them."""
        return (
            *(self._value_notes(non_finite) if non_finite else ()),
            *(render_notes(self.result.groups, self.job.render) if tiles else ()),
            *self._dark_notes(tiles),
            *self._rounding_notes(tiles),
            *self._narrow_notes(tiles),
            *(
                [largest_values_note(self.result.layer, self._largest_values)]
                if self._largest_values
                else ()
            ),
        )

    def _dark_notes(self, tiles: Sequence[Tile]) -> tuple[str, ...]:
        """Say of a range of 8 or 16 bits that values of 0..1 are nearly black in it."""
        given = self.job.render.range
        reached = max((max(abs(tile.vmin), abs(tile.vmax)) for tile in tiles), default=0.0)
        white = 0.0 if isinstance(given, str) else given[1]
        if white < EIGHT_BITS or not 0 < FAR_DARKER * reached < white:
            return ()
        text = f"values reach {reached:.4g}, and --range makes {white:g} white"
        return (f"{text}: pictures hold 0..1",)

    def _narrow_notes(self, tiles: Sequence[Tile]) -> tuple[str, ...]:
        """Say of a layer's maps that are long and narrow, as a detector's table, what to read."""
        _, height, width, _ = self.result.shape
        if not tiles or max(height, width) < NARROW * min(height, width):
            return ()
        return (f"{height}x{width} is a narrow strip as a picture: -o NAME.npy has the numbers",)

    def _rounding_notes(self, tiles: Sequence[Tile]) -> tuple[str, ...]:
        """Say which maps are rounding, where a range may make more of it; single cells may be."""
        if not tiles or tiles[0].mapping.kind == "clip" or self.result.shape[1:3] == (1, 1):
            return ()
        seen = [tile.seen for tile in tiles]
        found = are_rounding(self.maps, self.result.groups, seen)
        return rounding_notes([tile.name for tile in tiles], seen, found)

    def _value_notes(self, non_finite: int) -> tuple[str, ...]:
        count, layer = math.prod(self.maps.shape), self.result.layer
        values = "values" if layer is None else f"values of {layer}"
        faulty, source, is_noted = self._faulty_weights(), self.maps.source, self.result.is_noted
        if not faulty and not is_noted and source is not None:
            faulty = non_finite_text("values of the input", source)
        why = f", as {faulty}" if faulty else "" if is_noted else ": the numbers grew too large"
        return (f"{WARNING}{non_finite} of {count} {values} are NaN or infinite{why}",)

    def _faulty_weights(self) -> str:
        """Say which of the layers that make the result has weights that are NaN or infinite."""
        network, name = self.job.network, self.result.name
        return faulty_weights(network.until(name) if name in network.names else network)

    @cached_property
    def _scores(self) -> Values | None:
        """The values of maps of one row and column, such as a classifier's; else None.

        First asked for while the pixels are there.
        """
        if not shows_scores(self.result) or len(self.result.maps) < 2:
            return None
        order = [channel for group in self.result.groups for channel in group.channels]
        return self.maps.whole()[:, 0, 0, order].reshape(-1)

    def _best(self, file: OutFile) -> dict[str, Any]:
        """Return the largest values of a file's maps, as fields of its `WrittenFile`."""
        largest = self._largest(file)
        return {"largest": largest, "largest_values": self._largest_values if largest else ()}

    def _largest(self, file: OutFile) -> tuple[LargestValue | None, ...]:
        """Return the largest map of each image, in a file of several."""
        groups = self.result.groups
        if self._scores is None or len(file.maps) < 2 or len(groups) < 2:
            return ()
        images = self._scores.reshape(-1, len(groups))
        best = [(winner(values), values) for values in images]
        return tuple(
            None if k is None else LargestValue(k, groups[k].name, float(values[k]))
            for k, values in best
        )

    @cached_property
    def _largest_values(self) -> tuple[LargestValue, ...]:
        """The largest values of a layer of one unit a map, such as a classifier's."""
        values = self._scores
        if values is None or self.result.layer is None or self.result.shape[0] > 1:
            return ()
        is_last = self.result.name == self.job.network.names[-1]
        return find_largest_values(values, self.result.maps, is_last)


def written_values(
    file: OutFile,
    shape: tuple[int, ...],
    seen: ValueRange,
    form: str,
    maps: tuple[str, ...],
    layer: str | None = None,
) -> WrittenFile:
    """Describe a file that values were written to as they are."""
    text, (low, high) = f"{'x'.join(map(str, shape))} {form}", seen.limits
    return WrittenFile(file.argument, text, shape, maps, low, high, seen.non_finite, layer=layer)


def _picture_form(sheet: Sheet, tiles: Sequence[Tile], has_alpha: bool) -> str:
    height, width = sheet.pixels.shape[:2]
    kind = "RGB" if sheet.pixels.ndim == 3 else "grey"
    deep = " 16-bit" if sheet.pixels.dtype == np.uint16 else ""
    form = f"{height}x{width}{deep} {kind}{' with transparency' if has_alpha else ''}"
    if len(tiles) == 1:
        return form
    rows, columns = tiles[0].pixels.shape[:2]
    return f"{form}, {len(tiles)} maps of {rows}x{columns}"
