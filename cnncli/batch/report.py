"""The report of a batch: counts and exit code, lines for people, objects for programs."""

from __future__ import annotations

import math
from collections.abc import Set
from typing import Any, Final

from cnncli._dataclass import dataclass
from cnncli.errors import CnnCliError, printable, quote
from cnncli.pipeline.job import WARNING, Outcome
from cnncli.pipeline.written_file import WrittenFile
from cnncli.render.to_json import json_text, to_json

NAMES_SHOWN = 3
"""Above this number of files a dry run names the first and the last."""

IMAGES_NAMED = 5
"""Images of a batch whose largest maps the report names."""

_EXACT: Final = ("symmetric", "minmax")
"""Ranges that show all values when they are asked for."""

MUCH_CLIPPED = 0.02
"""Above this share of clipped values the report says which option shows them."""


@dataclass
class Report:
    """Counts outcomes and yields the exit code.

    Parameters
    ----------
    total : int
        How many images there are.
    written, skipped, failed : int
        What became of those that ended.
    warned : int
        How many of them had warnings.
    first_error : CnnCliError, optional

    Examples
    --------
    >>> from cnncli.pipeline.output_checks import Source
    >>> report = Report(3)
    >>> for outcome in (Outcome(Source(None)), Outcome(Source(None), skipped=True)):
    ...     report.add(outcome)
    >>> report.exit_code, report.done, report.left
    (0, 2, 1)
    """

    total: int = 1
    written: int = 0
    skipped: int = 0
    failed: int = 0
    warned: int = 0
    first_error: CnnCliError | None = None

    def add(self, outcome: Outcome) -> None:
        """Take in one outcome."""
        if outcome.error is not None:
            self.failed += 1
            self.first_error = self.first_error or outcome.error
        elif outcome.skipped:
            self.skipped += 1
        else:
            self.written += 1
        self.warned += any(note.startswith(WARNING) for note in outcome.notes)

    @property
    def done(self) -> int:
        """How many have their outputs, now or from before."""
        return self.written + self.skipped

    @property
    def left(self) -> int:
        """How many have not ended."""
        return self.total - self.done - self.failed

    @property
    def exit_code(self) -> int:
        """0 all done; a single image's own code; else 1 if any failed."""
        if self.first_error is None:
            return 0
        return self.first_error.exit_code if self.total == 1 else 1


def lines(outcome: Outcome, said: Set[str] = frozenset()) -> list[str]:
    """Return the report of one image for people: a line for each output, and its notes.

    Parameters
    ----------
    outcome : Outcome
    said : set of str
        Notes that stand above already, of another image.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from cnncli.pipeline.output_checks import Source
    >>> lines(Outcome(Source(None), skipped=True))
    ['standard input: skipped, its output exists']
    """
    if outcome.skipped:
        return [f"{outcome.source}: skipped, its output exists"]
    names = [printable(name) for name in outcome.in_place]
    return [
        *map(_line, outcome.written),
        *(f"{name}, written; its worker died before it told more" for name in names),
        *(_note(outcome, note) for note in outcome.notes if note not in said),
    ]


def _note(outcome: Outcome, note: str) -> str:
    kind = WARNING if note.startswith(WARNING) else "note: "
    return f"{kind}{outcome.source}: {note.removeprefix(WARNING)}"


def json_lines(outcome: Outcome) -> list[str]:
    """Return the report of one image for programs: a JSON object for each output.

    Parameters
    ----------
    outcome : Outcome

    Returns
    -------
    list of str
        A skipped or failed image gives one object with ``skipped`` or ``error``, and so does one
        of a dry run, with ``planned``.

    Examples
    --------
    >>> from cnncli.pipeline.output_checks import Source
    >>> json_lines(Outcome(Source(None), skipped=True))
    ['{"input": "-", "skipped": true}']
    """
    records: list[dict[str, Any]]
    if outcome.error is not None:
        records = [{"error": str(outcome.error), "hint": outcome.error.hint}]
    elif outcome.skipped:
        records = [{"skipped": True}]
    elif outcome.planned:
        notes = {"notes": outcome.notes} if outcome.notes else {}
        records = [{"planned": outcome.planned, **notes}]
    else:
        records = [{**fields, "notes": outcome.notes} for fields in output_fields(outcome)]
    return [json_text({"input": outcome.source.argument, **record}) for record in records]


def planned_line(outcome: Outcome) -> str:
    """Return what a dry run says of one image: its name and those of its outputs.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cnncli.pipeline.output_checks import Source
    >>> planned_line(Outcome(Source(Path("photo.png")), planned=("out/photo-edge.png",)))
    'photo.png -> out/photo-edge.png'
    """
    names = [printable(name) for name in (outcome.source.argument, *outcome.planned)]
    if len(outcome.planned) <= NAMES_SHOWN:
        return f"{names[0]} -> {', '.join(names[1:])}"
    return f"{names[0]} -> {names[1]} ... {names[-1]} ({len(outcome.planned)} files)"


def left_out_lines(left_out: dict[str, int], sub_folders: dict[str, int]) -> list[str]:
    """Return what is said of results of earlier runs that are not taken for images.

    Examples
    --------
    >>> for line in left_out_lines({"photos": 2}, {"photos": 3}):
    ...     print(line)
    note: 'photos': 2 results of earlier runs left out; a pattern or their names takes them
    note: 'photos': 3 sub-folders left out; --recursive takes them
    """
    results = [
        f"note: {quote(folder)}: {count} {'result' if count == 1 else 'results'} of earlier runs "
        "left out; a pattern or their names takes them"
        for folder, count in left_out.items()
    ]
    folders = [
        f"note: {quote(folder)}: {count} {'sub-folder' if count == 1 else 'sub-folders'} left out; "
        "--recursive takes them"
        for folder, count in sub_folders.items()
        if count
    ]
    return [*results, *folders]


def summary(report: Report, seconds: float | None, brief: bool = False, repeated: int = 0) -> str:
    """Return the last line on several images.

    Parameters
    ----------
    report : Report
    seconds : float, optional
        How long it took; None for a dry run.
    brief : bool
        Whether the notes of the images were not shown.
    repeated : int
        Images of which a note was left out that another image had.

    Examples
    --------
    >>> print(summary(Report(40, written=37, skipped=1, failed=2), 75.0))
    40 images in 1 min 15 s: 37 done, 1 skipped, 2 failed
    """
    counts = {
        "to do" if seconds is None else "done": report.written,
        "skipped": report.skipped,
        "failed": report.failed,
        "not done": report.left,
    }
    first, *others = counts.items()
    shown = [first, *(pair for pair in others if pair[1])]
    text = ", ".join(f"{count} {kind}" for kind, count in shown)
    if brief and report.warned:
        text += f"; {report.warned} with warnings (-v shows them)"
    if repeated:
        text += f"; {repeated} more with the same notes (-v shows them)"
    if seconds is None:
        return f"dry run of {report.total} images: {text}"
    return f"{report.total} images in {duration(seconds)}: {text}"


def duration(seconds: float) -> str:
    """Return a time in words.

    Examples
    --------
    >>> duration(1.234), duration(75), duration(7290)
    ('1.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _line(written: WrittenFile) -> str:
    output = "standard output" if written.output == "-" else written.output
    names = [printable(name) for name in (output, written.layer) if name is not None]
    values = f"values {written.low:.4g} to {written.high:.4g}"
    if written.non_finite == math.prod(written.shape):
        values = "no finite value"
    form = written.form if written.drawn is None else f"{written.form}, {written.drawn}"
    parts = [*names, form, values, _mapping(written)]
    parts += _largest(written)
    if written.window is not None:
        parts.append(written.window)
    if written.pad_mode is not None:
        value = f", pad value {written.pad_value:.4g}" if written.pad_value else ""
        parts.append(f"pad mode {written.pad_mode}{value}")
    return ", ".join(parts)


def _largest(written: WrittenFile) -> list[str]:
    """Name the largest map, or that of each image of a batch, of the first few."""
    texts = []
    for one in written.largest[:IMAGES_NAMED]:
        if one is None:
            texts.append("no finite value")
            continue
        named = f"{one.map}" if one.name == str(one.map) else f"{one.map} {printable(one.name)}"
        texts.append(f"largest {named} ({one.value:.4g})")
    if len(written.largest) < 2:
        return [] if written.largest == (None,) else texts
    more = len(written.largest) - len(texts)
    of_images = [f"image {image}: {text}" for image, text in enumerate(texts)]
    return [*of_images, *([f"and {more} more images"] if more else [])]


def _mapping(written: WrittenFile) -> str:
    if written.mapping == "values":
        return "values unchanged"
    # Only the range auto cuts off; the same word, asked for, shows all.
    trimmed = written.clipped and written.mapping in _EXACT
    kind = f"auto, {written.mapping} without extremes" if trimmed else written.mapping
    if written.range is None:
        return f"range {kind}, each map its own{_clipping(written)}"
    low, high = written.range
    return f"range {kind} {low:.4g}..{high:.4g}{_clipping(written)}"


def _clipping(written: WrittenFile) -> str:
    if not written.clipped:
        return ""
    percent = "under 1 %" if written.clipped < 0.01 else f"{100 * written.clipped:.0f} %"
    if written.mapping in _EXACT:
        percent = "under 0.1 %" if written.clipped < 0.001 else f"{100 * written.clipped:.1f} %"
        return f" ({percent} clipped; --range {written.mapping} shows all)"
    share = f" ({percent} clipped"
    if written.clipped < MUCH_CLIPPED or written.has_white_note:
        return share + ")"
    if written.mapping == "clip" and written.low >= 0 and 100 < written.high <= 255:
        return f"{share}; pictures hold 0..1: --range 0,255 for values of 8 bits)"
    better = "symmetric" if written.low < 0 else "minmax"
    return f"{share}; --range {better} shows all)"


def output_fields(outcome: Outcome) -> list[dict[str, Any]]:
    """Return the fields of each output of an image, for programs."""
    in_place = [{"output": name} for name in outcome.in_place]
    return [*map(_written_fields, outcome.written), *in_place]


def _written_fields(written: WrittenFile) -> Any:
    fields: dict[str, Any] = {
        "output": written.output,
        **({} if written.layer is None else {"layer": written.layer}),
        "shape": written.shape,
        "maps": written.maps,
        "min": written.low,
        "max": written.high,
        "mapping": written.mapping,
        "range": written.range,
        "ranges": written.ranges,
        "clipped": written.clipped,
        "non_finite": written.non_finite,
        "pad_mode": written.pad_mode,
        **({"pad_value": written.pad_value} if written.pad_mode and written.pad_value else {}),
        **({} if written.window is None else {"window": written.window}),
        **({} if written.drawn is None else {"drawn": written.drawn}),
    }
    best = [
        None if one is None else {"map": one.map, "name": one.name, "value": one.value}
        for one in written.largest
    ]
    if best and best != [None]:
        fields["largest"] = best if len(best) > 1 else best[0]
    if written.largest_values:
        fields["answers"] = [one._asdict() for one in written.largest_values]
    return to_json(fields)
