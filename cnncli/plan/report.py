"""A plan as text: a table for people, JSON lines and CSV for programs. Prints nothing itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cnncli.core.geometry import Pads
from cnncli.errors import quote
from cnncli.network.summary import LayerPlan, NetworkPlan, Runs, Unread

_GAP = "  "
_ELLIPSIS = "…"
_SIDES = ("top", "bottom", "left", "right")


@dataclass(frozen=True)
class _Column:
    title: str
    cell: Callable[[LayerPlan], str]
    number: bool = False


def table(plan: NetworkPlan, width: int | None = None) -> list[str]:
    """Return a plan as aligned columns, and below them its totals.

    Parameters
    ----------
    plan : NetworkPlan
    width : int, optional
        Columns of the terminal: what is wider goes on in a further table below, under the layers'
        names once more. None: as wide as it takes.

    Returns
    -------
    list of str
        Lines.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.network.graph import Network
    >>> from cnncli.network.summary import plan_network
    >>> plan = plan_network(Network.chain(PoolLayer(), PoolLayer()), (8, 8, 3))
    >>> print("\\n".join(table(plan, 60)[:3]))
    LAYER  TYPE          OUTPUT  ROWS AND COLUMNS    PADS
    pool1  max pool 2x2/2  4x4x3   (8+2*0-2)//2+1 = 4  0
    pool2  max pool 2x2/2  2x2x3   (4+2*0-2)//2+1 = 2  0
    """
    columns = [_filled(column, plan) for column in _columns(plan)]
    name, *others = columns
    lines: list[str] = []
    for block in _blocks(name, others, width):
        lines += [""] if lines else []
        lines += [_cut(_GAP.join(cells).rstrip(), width) for cells in zip(*block, strict=True)]
    return [*lines, "", *_totals(plan)]


def _columns(plan: NetworkPlan) -> list[_Column]:
    square = all(_formula(layer, 0) == _formula(layer, 1) for layer in plan.layers)
    formulas = [_Column("ROWS AND COLUMNS", lambda layer: _formula(layer, 0))]
    if not square:
        formulas = [
            _Column("ROWS", lambda layer: _formula(layer, 0)),
            _Column("COLUMNS", lambda layer: _formula(layer, 1)),
        ]
    return [
        _Column("LAYER", lambda layer: quote(layer.name)[1:-1]),
        _Column("TYPE", lambda layer: layer.label),
        _Column("OUTPUT", lambda layer: _sizes(layer.shape)),
        *formulas,
        _Column("PADS", lambda layer: _pads(layer.window.pads) if layer.window else ""),
        _Column("PARAMETERS", lambda layer: _count(layer.parameters), number=True),
        _Column("MULTIPLY-ADDS", lambda layer: _count(layer.multiply_adds), number=True),
        _Column("FIELD", lambda layer: _pair([f.size for f in layer.field], "x"), number=True),
        _Column("STEP", lambda layer: _pair([f.step for f in layer.field], "x"), number=True),
        _Column("CENTRE", lambda layer: _pair([f.centre for f in layer.field], ","), number=True),
        _Column("MEMORY", lambda layer: _memory(layer.bytes), number=True),
        _Column("HELD", lambda layer: _memory(layer.held_bytes), number=True),
        _Column("ALGORITHM", lambda layer: layer.choice.algorithm if layer.choice else ""),
        _Column("REASON", lambda layer: layer.choice.reason if layer.choice else ""),
    ]


def _filled(column: _Column, plan: NetworkPlan) -> list[str]:
    """A column's title and cells, all of one width."""
    cells = [column.title, *(column.cell(layer) for layer in plan.layers)]
    wide = max(map(len, cells))
    return [cell.rjust(wide) if column.number else cell.ljust(wide) for cell in cells]


def _blocks(
    name: list[str], others: Sequence[list[str]], width: int | None
) -> list[list[list[str]]]:
    """Columns side by side as far as there is room, and the others below."""
    blocks = [[name]]
    for column in others:
        used = sum(len(each[0]) + len(_GAP) for each in blocks[-1])
        # The last column of a block is cut at the edge, so only its longest cell counts.
        if width is not None and len(blocks[-1]) > 1 and used + len(column[0]) > width:
            blocks.append([name])
        blocks[-1].append(column)
    return blocks


def _cut(line: str, width: int | None) -> str:
    if width is None or len(line) <= width:
        return line
    return line[: max(width - 1, 0)] + _ELLIPSIS


def _totals(plan: NetworkPlan) -> list[str]:
    field = [f.size for f in plan.last.field]
    step = [f.step for f in plan.last.field]
    return [
        f"{_sizes(plan.input)} to {_sizes(plan.last.shape)}, layers: {len(plan.layers)}, "
        f"parameters: {plan.parameters:,}, multiply-adds: {plan.multiply_adds:,}",
        f"receptive field of a unit of {quote(plan.last.name)[1:-1]}: {field[0]}x{field[1]} of "
        f"{plan.input[0]}x{plan.input[1]} input cells, step {step[0]}x{step[1]}",
        f"outputs held at once, if each is made whole: {_memory(plan.peak_bytes)} at most",
    ]


def _formula(layer: LayerPlan, side: int) -> str:
    if layer.window is None:
        return ""
    return (layer.window.rows, layer.window.cols)[side].formula


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _pads(pads: Pads) -> str:
    """Write pads as --padding takes them."""
    (top, bottom), (left, right) = pads
    if top == bottom and left == right:
        return str(top) if top == left else f"{top},{left}"
    return f"{top},{bottom},{left},{right}"


def _pair(numbers: Sequence[float], joint: str) -> str:
    return joint.join(f"{number:g}" for number in numbers)


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _memory(count: int) -> str:
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:,.0f} {unit}" if amount >= 100 else f"{amount:.3g} {unit}"


def warnings(plan: NetworkPlan) -> list[str]:
    """Return a plan's warnings as lines for people."""
    return [f"warning: {quote(text)[1:-1]}" for text in plan.warnings]


def json_lines(plan: NetworkPlan) -> list[str]:
    """Return a plan as JSON: an object for each layer, then one for the totals.

    Parameters
    ----------
    plan : NetworkPlan

    Returns
    -------
    list of str
        Unread cells are stretches ``[start, stop)``, counted from 0.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.network.graph import Network
    >>> from cnncli.network.summary import plan_network
    >>> lines = json_lines(plan_network(Network.chain(PoolLayer()), (9, 8, 3)))
    >>> json.loads(lines[0])["shape"], json.loads(lines[0])["unread_rows"]
    ([4, 4, 3], [[8, 9]])
    """
    return [
        json.dumps(fields) for fields in (*map(_layer_fields, plan.layers), _total_fields(plan))
    ]


def _layer_fields(layer: LayerPlan) -> dict[str, Any]:
    window = layer.window
    return {
        "layer": layer.name,
        "type": layer.type,
        "label": layer.label,
        "inputs": list(layer.inputs),
        "shape": list(layer.shape),
        "formula": None if window is None else [window.rows.formula, window.cols.formula],
        "pads": None if window is None else dict(zip(_SIDES, sum(window.pads, ()), strict=True)),
        "parameters": layer.parameters,
        "multiply_adds": layer.multiply_adds,
        "receptive_field": _field_fields(layer),
        "bytes": layer.bytes,
        "held_bytes": layer.held_bytes,
        "algorithm": None if layer.choice is None else layer.choice.algorithm,
        "reason": None if layer.choice is None else layer.choice.reason,
        **_unread_fields(layer.unread),
    }


def _total_fields(plan: NetworkPlan) -> dict[str, Any]:
    return {
        "totals": {
            "layers": len(plan.layers),
            "input": list(plan.input),
            "output": list(plan.last.shape),
            "parameters": plan.parameters,
            "multiply_adds": plan.multiply_adds,
            "receptive_field": _field_fields(plan.last),
            "peak_bytes": plan.peak_bytes,
            **_unread_fields(plan.unread),
            "warnings": list(plan.warnings),
        }
    }


def _field_fields(layer: LayerPlan) -> dict[str, list[float]]:
    return {
        "size": [field.size for field in layer.field],
        "step": [field.step for field in layer.field],
        "centre": [field.centre for field in layer.field],
    }


def _unread_fields(unread: Unread) -> dict[str, list[list[int]]]:
    def stretches(runs: Runs) -> list[list[int]]:
        return [[run.start, run.stop] for run in runs]

    return {"unread_rows": stretches(unread.rows), "unread_columns": stretches(unread.columns)}


def csv_text(plan: NetworkPlan) -> str:
    """Return a plan as comma-separated values, a line for each layer under one of titles.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.network.graph import Network
    >>> from cnncli.network.summary import plan_network
    >>> text = csv_text(plan_network(Network.chain(PoolLayer()), (8, 8, 3)))
    >>> text.splitlines()[1].split(",")[:7]
    ['pool1', 'pool', 'max pool 2x2/2', 'input', '4', '4', '3']
    """
    stream = io.StringIO()
    rows = [_csv_fields(layer) for layer in plan.layers]
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _csv_fields(layer: LayerPlan) -> dict[str, Any]:
    pads = ("",) * 4 if layer.window is None else sum(layer.window.pads, ())
    fields: dict[str, Any] = {
        "layer": layer.name,
        "type": layer.type,
        "label": layer.label,
        "inputs": " ".join(layer.inputs),
        **dict(zip(("rows", "columns", "channels"), layer.shape, strict=True)),
        "rows_formula": _formula(layer, 0),
        "columns_formula": _formula(layer, 1),
        **{f"pad_{side}": pad for side, pad in zip(_SIDES, pads, strict=True)},
        "parameters": layer.parameters,
        "multiply_adds": layer.multiply_adds,
    }
    for axis, field in zip(("rows", "columns"), layer.field, strict=True):
        fields[f"field_{axis}"] = field.size
        fields[f"step_{axis}"] = field.step
        fields[f"centre_{axis}"] = f"{field.centre:g}"
    return {
        **fields,
        "bytes": layer.bytes,
        "held_bytes": layer.held_bytes,
        "algorithm": "" if layer.choice is None else layer.choice.algorithm,
        "reason": "" if layer.choice is None else layer.choice.reason,
        "unread_rows": _stretches(layer.unread.rows),
        "unread_columns": _stretches(layer.unread.columns),
    }


def _stretches(runs: Runs) -> str:
    return " ".join(f"{run.start}:{run.stop}" for run in runs)
