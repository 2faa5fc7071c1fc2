"""A plan as text: a table for people, JSON lines and CSV for programs. Prints nothing itself."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final

from cnncli._dataclass import dataclass
from cnncli.errors import printable
from cnncli.network.summary import LayerSummary, NetworkSummary, Ranges
from cnncli.render.text_table import ELLIPSIS, text_table
from cnncli.render.to_json import json_text

_GAP = "  "
MOST_NAME: Final = 30
"""Letters of a layer's name that the table shows."""
_SIDES = ("top", "bottom", "left", "right")


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Parameters
    ----------
    cells : list of str
        The first is its title.
    number : bool
        Whether the others are numbers, to be set on the right.
    """

    cells: list[str]
    number: bool

    @property
    def width(self) -> int:
        """Letters of the longest cell."""
        return max(map(len, self.cells))


def table(
    plan: NetworkSummary,
    width: int | None = None,
    verbose: bool = False,
    names: Sequence[str] = (),
) -> list[str]:
    """Return a plan as aligned columns, and below them its totals.

    Parameters
    ----------
    plan : NetworkSummary
    width : int, optional
        Columns of the terminal: what is wider goes on in a further table below, under the layers'
        names once more. None: as wide as it takes.
    verbose : bool
        Also the algorithm of each layer, and why it was chosen.
    names : sequence of str
        All layers of the network, by which they are numbered; those of the plan if not given.

    Returns
    -------
    list of str
        Lines.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.network.graph import Network
    >>> from cnncli.network.summary import summarize
    >>> plan = summarize(Network.chain(PoolLayer(), PoolLayer()), (8, 8, 3))
    >>> print("\\n".join(table(plan, 60)[:3]))
    LAYER  NO  TYPE          OUTPUT  ROWS AND COLUMNS    PADS
    pool1   1  max pool 2x2/2  4x4x3   (8+2*0-2)//2+1 = 4  0
    pool2   2  max pool 2x2/2  2x2x3   (4+2*0-2)//2+1 = 2  0
    """
    name, *others = columns(plan, verbose, names)
    if width is not None and not verbose:
        name = Column([_end(cell) for cell in name.cells], name.number)
    lines: list[str] = []
    for block in _blocks(name, others, width):
        right = [index for index, column in enumerate(block) if column.number]
        rows = list(zip(*(column.cells for column in block), strict=True))
        lines += [""] if lines else []
        lines += text_table(rows, right=right, gap=_GAP, width=width)
    below = totals(plan)
    if width is not None:
        below = [part for line in below for part in textwrap.wrap(line, max(width, 40))]
    return [*lines, "", *below]


def _end(name: str) -> str:
    """Return a long name's end: in models of ONNX the beginning is that of many."""
    return name if len(name) <= MOST_NAME else f"{ELLIPSIS}{name[1 - MOST_NAME :]}"


def columns(plan: NetworkSummary, verbose: bool, names: Sequence[str]) -> list[Column]:
    """Return all columns of a plan's table; see `table`."""
    numbers = {name: k for k, name in enumerate(names or [one.name for one in plan.layers], 1)}

    def column(title: str, cell: Callable[[LayerSummary], str], number: bool = False) -> Column:
        return Column([title, *map(cell, plan.layers)], number)

    formulas = [
        column("ROWS", lambda layer: layer.formulas[0]),
        column("COLUMNS", lambda layer: layer.formulas[1]),
    ]
    if formulas[0].cells[1:] == formulas[1].cells[1:]:
        formulas = [column("ROWS AND COLUMNS", lambda layer: layer.formulas[0])]
    reasons = [
        column("ALGORITHM", lambda layer: layer.choice.algorithm if layer.choice else ""),
        column("REASON", lambda layer: layer.choice.reason if layer.choice else ""),
    ]
    return [
        column("LAYER", lambda layer: printable(layer.name)),
        column("NO", lambda layer: str(numbers[layer.name]), number=True),
        column("TYPE", lambda layer: layer.label),
        column("OUTPUT", lambda layer: _sizes(layer.shape)),
        *formulas,
        column("PADS", _pads),
        column("PARAMETERS", lambda layer: _count(layer.parameters), number=True),
        column("MULTIPLY-ADDS", _products, number=True),
        column("FIELD", lambda layer: _pair([f.size for f in layer.field], "x"), number=True),
        column("STEP", _step, number=True),
        column("CENTRE", lambda layer: _pair([f.centre for f in layer.field], ","), number=True),
        column("MEMORY", lambda layer: _memory(layer.bytes), number=True),
        column("PEAK MEMORY", lambda layer: _memory(layer.held_bytes), number=True),
        *(reasons if verbose else []),
    ]


def _blocks(name: Column, others: Sequence[Column], width: int | None) -> list[list[Column]]:
    """Columns side by side as far as they fit, and the others below."""
    blocks = [[name]]
    for column in others:
        used = sum(previous.width + len(_GAP) for previous in blocks[-1])
        # The last column of a block is cut at the edge, so only its longest cell counts.
        if width is not None and len(blocks[-1]) > 1 and used + column.width > width:
            blocks.append([name])
        blocks[-1].append(column)
    return blocks


def totals(plan: NetworkSummary) -> list[str]:
    """Return the lines below the table."""
    field = [f.size for f in plan.last.field]
    step = _step(plan.last)
    height, width = plan.input[:2]
    seen = f"{field[0]}x{field[1]} of {height}x{width} input cells"
    if field[0] >= height and field[1] >= width and field != [height, width]:
        seen = f"{field[0]}x{field[1]} (more than the {height}x{width} input)"
    count = "1 layer" if len(plan.layers) == 1 else f"{len(plan.layers)} layers"
    return [
        f"{_sizes(plan.input)} to {_sizes(plan.last.shape)}, {count}",
        f"parameters: {plan.parameters:,}, multiply-adds: {_all_products(plan)}",
        f"receptive field of a unit of {printable(plan.last.name)}: {seen}"
        + (f", step {step}" if step else ""),
        f"peak memory: {_memory(plan.peak_bytes)} for the outputs held at once",
    ]


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _step(layer: LayerSummary) -> str:
    """Write how far apart the fields of neighbours are; nothing where all have one field."""
    steps = [float(field.step) for field in layer.field]
    return _pair(steps, "x") if any(steps) else ""


def _pads(layer: LayerSummary) -> str:
    """Write pads as --padding takes them, and what they hold if that is not 0."""
    if layer.window is None:
        return ""
    mode = "" if layer.pad_mode in (None, "zeros") else f" {layer.pad_mode}"
    (top, bottom), (left, right) = layer.window.pads
    if top == bottom and left == right:
        return (str(top) if top == left else f"{top},{left}") + mode
    return f"{top},{bottom},{left},{right}{mode}"


def _pair(numbers: Sequence[float], joint: str) -> str:
    return joint.join(f"{number:g}" for number in numbers)


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _products(layer: LayerSummary) -> str:
    return "not counted" if layer.multiply_adds is None else _count(layer.multiply_adds)


def _all_products(plan: NetworkSummary) -> str:
    """Write the sum of multiply-adds; where layers are left out, how many."""
    left_out = len(plan.not_counted)
    if not left_out:
        return f"{plan.multiply_adds:,}"
    layers = "layer is" if left_out == 1 else "layers are"
    return f"at least {plan.multiply_adds:,}; {left_out} {layers} not counted"


def _memory(count: int) -> str:
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:,.0f} {unit}" if amount >= 100 else f"{amount:.3g} {unit}"


def warnings(plan: NetworkSummary) -> list[str]:
    """Return a plan's warnings as lines for people."""
    return [f"warning: {printable(text)}" for text in plan.warnings]


def json_lines(plan: NetworkSummary) -> list[str]:
    """Return a plan as JSON: an object for each layer, then one for the totals.

    Parameters
    ----------
    plan : NetworkSummary

    Returns
    -------
    list of str
        Unread cells are ranges ``[start, stop)``, counted from 0.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.network.graph import Network
    >>> from cnncli.network.summary import summarize
    >>> lines = json_lines(summarize(Network.chain(PoolLayer()), (9, 8, 3)))
    >>> import json
    >>> json.loads(lines[0])["shape"], json.loads(lines[0])["unread_rows"]
    ([4, 4, 3], [[8, 9]])
    """
    totals = {
        "layers": len(plan.layers),
        "input": plan.input,
        "output": plan.last.shape,
        "parameters": plan.parameters,
        "multiply_adds": plan.multiply_adds,
        "multiply_adds_not_counted": plan.not_counted,
        "receptive_field": _field_fields(plan.last),
        "peak_bytes": plan.peak_bytes,
        "unread_rows": plan.unread.rows,
        "unread_columns": plan.unread.columns,
        "warnings": plan.warnings,
    }
    return [json_text(fields) for fields in (*map(_layer_fields, plan.layers), {"totals": totals})]


def _layer_fields(layer: LayerSummary) -> dict[str, Any]:
    window, choice = layer.window, layer.choice
    return {
        "layer": layer.name,
        "type": layer.type,
        "label": layer.label,
        "inputs": layer.inputs,
        "shape": layer.shape,
        "formula": layer.formulas if any(layer.formulas) else None,
        "pads": window and dict(zip(_SIDES, sum(window.pads, ()), strict=True)),
        "pad_mode": layer.pad_mode,
        "parameters": layer.parameters,
        "multiply_adds": layer.multiply_adds,
        "receptive_field": _field_fields(layer),
        "bytes": layer.bytes,
        "held_bytes": layer.held_bytes,
        "algorithm": choice and choice.algorithm,
        "reason": choice and choice.reason,
        "unread_rows": layer.unread.rows,
        "unread_columns": layer.unread.columns,
    }


def _field_fields(layer: LayerSummary) -> dict[str, list[float]]:
    return {
        "size": [field.size for field in layer.field],
        "step": [_number(field.step) for field in layer.field],
        "centre": [field.centre for field in layer.field],
    }


def _number(step: int | Fraction) -> float:
    """Return a step, a whole one without a point."""
    return step.numerator if step.denominator == 1 else float(step)


def csv_text(plan: NetworkSummary) -> str:
    """Return a plan as comma-separated values, a line for each layer under one of titles.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.network.graph import Network
    >>> from cnncli.network.summary import summarize
    >>> text = csv_text(summarize(Network.chain(PoolLayer()), (8, 8, 3)))
    >>> text.splitlines()[1].split(",")[:7]
    ['pool1', 'pool', 'max pool 2x2/2', 'input', '4', '4', '3']
    """
    stream = io.StringIO()
    rows = [_csv_fields(layer) for layer in plan.layers]
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _csv_fields(layer: LayerSummary) -> dict[str, Any]:
    pads = ("",) * 4 if layer.window is None else sum(layer.window.pads, ())
    fields: dict[str, Any] = {
        "layer": layer.name,
        "type": layer.type,
        "label": layer.label,
        "inputs": " ".join(layer.inputs),
        **dict(zip(("rows", "columns", "channels"), layer.shape, strict=True)),
        "rows_formula": layer.formulas[0],
        "columns_formula": layer.formulas[1],
        **{f"pad_{side}": pad for side, pad in zip(_SIDES, pads, strict=True)},
        "pad_mode": layer.pad_mode,
        "parameters": layer.parameters,
        "multiply_adds": layer.multiply_adds,
    }
    for axis, field in zip(("rows", "columns"), layer.field, strict=True):
        fields[f"field_{axis}"] = field.size
        fields[f"step_{axis}"] = _number(field.step)
        fields[f"centre_{axis}"] = f"{field.centre:g}"
    return {
        **fields,
        "bytes": layer.bytes,
        "held_bytes": layer.held_bytes,
        "algorithm": layer.choice and layer.choice.algorithm,
        "reason": layer.choice and layer.choice.reason,
        "unread_rows": _ranges(layer.unread.rows),
        "unread_columns": _ranges(layer.unread.columns),
    }


def _ranges(runs: Ranges) -> str:
    return " ".join(f"{run.start}:{run.stop}" for run in runs)
