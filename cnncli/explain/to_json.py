"""An explanation as one object for programs: shapes and lists."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnncli.explain.backward import Received
from cnncli.explain.model import Block, Explanation, Side, Step


def record(found: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON can hold it; what is not finite is null.

    Parameters
    ----------
    found : Explanation

    Returns
    -------
    dict
        ``rows`` and ``columns`` are null for layers without a window; rows and columns count
        from 0, and those outside of the input are padding.

    Examples
    --------
    >>> from cnncli.explain.forward import explain
    >>> from cnncli.explain.explained_layer import Subject, array_input
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.render.options import MapGroup
    >>> given = array_input(np.arange(16.0).reshape(1, 4, 4, 1))
    >>> groups = (MapGroup("", (0,)),)
    >>> subject = Subject("pool1", PoolLayer(), (given,), groups, np.dtype(float))
    >>> fields = record(explain(subject, (0, 1)))
    >>> fields["steps"][0]["value"], fields["columns"]["cells"]
    (7.0, [2, 3])
    """
    return {
        "layer": found.name,
        "type": found.op,
        "mode": found.mode or None,
        "p": found.p if found.mode == "lp" and math.isfinite(found.p) else None,
        "image": found.image,
        "at": list(found.at),
        "inputs": list(found.inputs),
        "input_shapes": [list(shape) for shape in found.input_shapes],
        "output_shape": list(found.output_shape),
        "rows": _side(found.rows),
        "columns": _side(found.cols),
        "padding": found.padding.tolist(),
        "pad_mode": found.pad_mode,
        "pad_value": finite(found.pad_value),
        "map": found.map,
        "map_name": found.map_name,
        "maps": found.maps,
        "dtype": found.dtype,
        "steps": [_step(step) for step in found.steps],
    }


def received_record(found: Received) -> dict[str, Any]:
    """Return the way back to one input value as JSON can hold it."""
    return {
        "layer": found.name,
        "type": found.op,
        "mode": found.mode or None,
        "image": found.image,
        "at": list(found.at),
        "channel": found.channel,
        "channel_name": found.channel_name,
        "input_shape": list(found.input_shape),
        "output_shape": list(found.output_shape),
        "map": found.map,
        "map_name": found.map_name,
        "pad_mode": found.pad_mode,
        "activation": found.activation,
        "value": finite(found.value),
        "paths": [
            {
                "output": list(path.output),
                "channel": path.channel,
                "name": path.name,
                "tap": list(path.tap),
                "weight": finite(path.weight),
                "upstream": finite(path.upstream),
                "product": finite(path.product),
            }
            for path in found.paths
        ],
        "gradient": finite(found.total),
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    axis = side.axis
    return {
        "size": axis.size,
        "kernel": axis.kernel,
        "stride": axis.stride,
        "dilation": axis.dilation,
        "pads": [axis.begin, axis.end],
        "ceil": axis.ceil,
        "out": axis.out,
        "formula": axis.formula,
        "cells": list(side.cells),
        "sources": list(side.sources),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "channel": step.channel,
        "name": step.name,
        "blocks": [_block(block) for block in step.blocks],
        "operands": {each.name: finite(each.value) for each in step.operands},
        "formula": step.formula or None,
        "bias": finite(step.bias),
        "divisor": step.divisor,
        "total": finite(step.total),
        "activation": step.activation,
        "value": finite(step.value),
        "fast": finite(step.fast),
        "difference": finite(step.difference),
    }


def _block(block: Block) -> dict[str, Any]:
    return {
        "name": block.name,
        "channel": block.channel,
        "window": lists(block.window),
        "weights": lists(block.weights),
        "products": lists(block.products),
        "sum": finite(block.sum),
        "winner": None if block.winner is None else block.winner.tolist(),
        "ties": block.ties,
    }


def lists(values: np.ndarray | None) -> Any:
    """Return an array as nested lists; None stays.

    Examples
    --------
    >>> lists(np.array([[1.0, np.inf]]))
    [[1.0, None]]
    """
    if values is None:
        return None
    return [[finite(value) for value in row] for row in values.tolist()]


def finite(value: float | None) -> float | None:
    """Return a number that JSON can hold, or None.

    Examples
    --------
    >>> finite(1.5), finite(float("nan"))
    (1.5, None)
    """
    return value if value is not None and math.isfinite(value) else None
