"""An explanation as one object for programs: records of `cnncli explain --json`."""

from __future__ import annotations

from typing import Any

from cnncli.explain.backward import BackwardExplanation
from cnncli.explain.model import AxisWindow, Explanation, Step
from cnncli.render.to_json import to_json


def record(explanation: Explanation | BackwardExplanation) -> dict[str, Any]:
    """Return an explanation as JSON can hold it; what is not finite is null.

    Parameters
    ----------
    explanation : Explanation or BackwardExplanation

    Returns
    -------
    dict
        ``rows`` and ``columns`` are null for layers without a window; rows and columns count
        from 0, and those outside of the input are padding.

    Examples
    --------
    >>> import numpy as np
    >>> from cnncli.explain.explained_layer import ExplainedLayer, array_input
    >>> from cnncli.explain.forward import explain
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.render.options import MapGroup
    >>> source, groups = array_input(np.arange(16.0).reshape(1, 4, 4, 1)), (MapGroup("", (0,)),)
    >>> pool = ExplainedLayer("pool1", PoolLayer(), (source,), groups, np.dtype(float))
    >>> fields = record(explain(pool, (0, 1)))
    >>> fields["steps"][0]["value"], fields["columns"]["cells"]
    (7.0, [2, 3])
    """
    fields: dict[str, Any] = {}
    for name, value in vars(explanation).items():
        if name == "axes":
            rows, columns = value or (None, None)
            fields |= {"rows": _axis(rows), "columns": _axis(columns)}
        elif name == "steps":
            fields[name] = [_step(step) for step in value]
        else:
            fields[name] = to_json(value)
    return fields


def _axis(window: AxisWindow | None) -> dict[str, Any] | None:
    if window is None:
        return None
    axis = window.axis
    return {
        "size": axis.size,
        "kernel": axis.kernel,
        "stride": axis.stride,
        "dilation": axis.dilation,
        "pads": [axis.begin, axis.end],
        "ceil": axis.ceil,
        "out": axis.out,
        "formula": axis.formula,
        "cells": list(window.cells),
        "sources": list(window.sources),
    }


def _step(step: Step) -> dict[str, Any]:
    operands = to_json(dict(step.operands))
    return {**to_json(step), "operands": operands, "difference": to_json(step.difference)}
