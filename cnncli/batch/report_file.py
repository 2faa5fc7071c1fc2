"""The report of a batch as a file: every input, in order, with what became of it.

Entries wait on disk until the end, so that memory does not grow, and the file is written whole.
"""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cnncli._version import __version__
from cnncli.batch.report import Report, output_fields
from cnncli.batch.spool import Spool
from cnncli.errors import OptionError, printable, quote
from cnncli.io import atomic
from cnncli.pipeline.job import Outcome, Task
from cnncli.pipeline.output_checks import OutputPlan, check_file
from cnncli.pipeline.source import Source
from cnncli.render.to_json import json_text

COLUMNS: Final = (
    *("input", "status", "output", "layer", "shape", "min", "max", "mapping", "low", "high"),
    *("clipped", "non_finite", "seconds", "notes", "error", "hint", "class", "score"),
)
"""Of a table: a row for each output, or for each input without one.

The class is the map of the largest value, of a layer of one value a map.
"""

_FORMULAS: Final = "=+-@\uff1d\uff0b\uff0d\uff20"
_LATER: Final = "not done"


class ReportFile:
    """The report of one batch on its way to its file.

    Parameters
    ----------
    path : Path
        A ``.json`` or ``.csv`` file.
    plan : OutputPlan
        The inputs.
    overwrite : bool
        Whether there may be a file of that name.

    Raises
    ------
    CnnCliError
        If it is neither, or cannot or must not be written.
    """

    def __init__(self, path: Path, plan: OutputPlan, overwrite: bool) -> None:
        if path.suffix.lower() not in (".json", ".csv"):
            raise OptionError(f"--report must end in .json or .csv, got {quote(path)}")
        check_file(path, plan, overwrite)
        self.path, self.overwrite = path, overwrite
        self.sources = plan.targets.sources
        self._is_table = path.suffix.lower() == ".csv"
        self._entries = Spool()
        # Where the entry of each input is, counted from 1.
        self._entry_numbers = array("Q", bytes(8 * len(self.sources)))

    def add(self, task: Task, outcome: Outcome) -> None:
        """Take in what became of one input."""
        entry = _entry(outcome.source, outcome)
        self._entry_numbers[task.index] = 1 + self._entries.append(self._encoded(entry))

    def finish(self, report: Report, command: str, seconds: float) -> None:
        """Write the file: with inputs not done too, whatever made the batch end.

        Parameters
        ----------
        report : Report
        command : str
            As typed.
        seconds : float
            How long it took.

        Raises
        ------
        FileProblem
            If it cannot be written.
        """

        # It may be the folder of results, none of which was written.
        atomic.make_folder(self.path.parent)
        with atomic.open(self.path, overwrite=self.overwrite) as stream:
            if self._is_table:
                stream.write(_rows([list(COLUMNS)]))
                stream.writelines(self._all())
                return
            stream.write(_head(report, command, seconds))
            for index, entry in enumerate(self._all()):
                stream.write(b",\n" * (index > 0) + entry)
            stream.write(b"\n]}\n")

    def _all(self) -> Iterator[bytes]:
        for number, source in zip(self._entry_numbers, self.sources, strict=True):
            if number:
                yield self._entries.read(number - 1)
            else:
                yield self._encoded(_entry(source, None))

    def _encoded(self, entry: dict[str, Any]) -> bytes:
        return _rows(_table(entry)) if self._is_table else json_text(entry).encode()


def _head(report: Report, command: str, seconds: float) -> bytes:
    fields = {
        "cnncli": __version__,
        "command": printable(command),
        "images": report.total,
        "done": report.written,
        "skipped": report.skipped,
        "failed": report.failed,
        "not_done": report.left,
        "seconds": round(seconds, 3),
    }
    return json_text(fields)[:-1].encode() + b', "inputs": [\n'


def _entry(source: Source, outcome: Outcome | None) -> dict[str, Any]:
    """Return the entry of one input; None: it was not done."""
    if outcome is None:
        return {"input": source.argument, "status": _LATER}
    error = outcome.error
    status = "failed" if error else "skipped" if outcome.skipped else "done"
    return {
        "input": source.argument,
        "status": status,
        "seconds": round(outcome.seconds, 6),
        "outputs": output_fields(outcome),
        "notes": outcome.notes,
        **({} if error is None else {"error": str(error), "hint": error.hint}),
    }


def _table(entry: dict[str, Any]) -> Iterator[list[Any]]:
    own = {
        **{key: entry.get(key) for key in ("input", "status", "seconds", "error", "hint")},
        "notes": "; ".join(entry.get("notes", ())),
    }
    for output in entry.get("outputs") or [{}]:
        row = {**own, **output}
        row["shape"] = "x".join(map(str, output.get("shape", ())))
        row["low"], row["high"] = output.get("range") or ("", "")
        for best in output.get("answers", ())[:1]:
            row["class"], row["score"] = best["name"], best["value"]
        yield [_cell(row.get(column)) for column in COLUMNS]


def _cell(value: Any) -> Any:
    """Return one cell: text is printable, and never a formula to a program of spreadsheets."""
    if not isinstance(value, str):
        return "" if value is None else value
    text = printable(value)
    return f"'{text}" if text.startswith(tuple(_FORMULAS)) else text


def _rows(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
