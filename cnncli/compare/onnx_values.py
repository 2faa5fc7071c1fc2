"""The values of an ONNX model's layers as ONNX Runtime computes them, some layers at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Final

import numpy as np

from cnncli.compare.difference import Values
from cnncli.core.arrays import Shape
from cnncli.errors import CnnCliError, FileProblem, one_line
from cnncli.network.graph import NORMALIZE, SOURCE
from cnncli.network.layers.view import Layout
from cnncli.network.model import Model

AT_ONCE: Final = 2**26
"""Bytes of layers that are asked for together; a larger layer is asked for alone."""

_COPIES: Final = 3
_TYPES: Final = {"float": "float32", "double": "float64", "bool": "bool"}


def runtime_names(model: Model) -> list[str]:
    """Return the layers that are values of the model's ONNX file, without its input."""
    known = _computed(_load(model, weights=False))
    named = (node.name for node in model.network.nodes if node.name in model.tensors)
    return [name for name in named if model.tensors[name][0] in known]


def runtime_bytes(model: Model, shapes: dict[str, Shape]) -> int:
    """Estimate the memory that `runtime_values` takes at the most.

    Parameters
    ----------
    model : Model
    shapes : dict of str to Shape
        Of all layers' outputs.

    Returns
    -------
    int
        Bytes: the model as it was read, as it is handed over, and as ONNX Runtime holds it; what
        it computes on the way, and the layers that are asked for together, also as maps.
    """
    weights = sum(file.stat().st_size for file in model.files)
    sizes = [4 * math.prod(shape) for shape in shapes.values()]
    return _COPIES * weights + sum(sizes) + 2 * max(AT_ONCE, *sizes)


def runtime_values(
    model: Model, X: Values, names: Sequence[str], shapes: dict[str, Shape]
) -> Iterator[tuple[str, Values]]:
    """Run an ONNX model by ONNX Runtime and yield the values of its layers as maps.

    The values in between are made outputs of the model, in memory, some at a time.

    Parameters
    ----------
    model : Model
        As it was read from the file.
    X : ndarray, shape (1, n_H, n_W, n_C)
        The picture with its scale, mean and std.
    names : sequence of str
        Of layers, see `runtime_names`.
    shapes : dict of str to Shape
        Of their outputs.

    Yields
    ------
    tuple of (str, ndarray)
        A layer's name and its output, (1, n_H, n_W, n_C).

    Raises
    ------
    CnnCliError
        If ONNX Runtime is missing or cannot run the model.
    """
    proto = _load(model)
    first = NORMALIZE if NORMALIZE in model.tensors else SOURCE
    given, layout = model.tensors[first]
    tensor = layout.load(X)[0]
    for some in _chunks(names, shapes):
        wanted = [model.tensors[name][0] for name in some]
        results = _run(model, proto, {given: tensor}, wanted)
        for name in some:
            made = results.pop(0)
            layout = model.tensors[name][1]
            Y = made if made.dtype.kind == "f" else made.astype(np.float64)
            yield name, layout.store(Y[None], _cells(layout, Y.shape, shapes[name]))
            del made, Y


def _cells(layout: Layout, shape: tuple[int, ...], ours: Shape) -> tuple[int, int, int]:
    """Return the maps' rows, columns and channels: ours, where they stand for the same tensor."""
    cells = ours[1:]
    same = math.prod(cells) == math.prod(shape) and layout.shape(cells) == shape
    return cells if same else layout.cells(shape)


def _chunks(names: Sequence[str], shapes: dict[str, Shape]) -> Iterator[list[str]]:
    some: list[str] = []
    held = 0
    for name in names:
        size = 4 * math.prod(shapes[name])
        if some and held + size > AT_ONCE:
            yield some
            some, held = [], 0
        some.append(name)
        held += size
    if some:
        yield some


def _load(model: Model, weights: bool = True) -> Any:
    onnx = import_module("onnx")
    path = model.files[0]
    try:
        return onnx.load(path, load_external_data=weights)
    except MemoryError:
        raise
    except Exception as error:  # protobuf, files beside the model: no common base
        raise FileProblem(one_line(error), path=path) from None


def _computed(proto: Any) -> set[str]:
    return {name for node in proto.graph.node for name in node.output}


def _run(model: Model, proto: Any, inputs: dict[str, Any], wanted: Sequence[str]) -> list[Any]:
    """Return some values of a model, whose own outputs they become."""
    try:
        runtime = import_module("onnxruntime")
    except ImportError:
        raise CnnCliError(
            "--against onnxruntime needs the package onnxruntime, which is not installed",
            hint="pip install 'cnncli[onnxruntime]'",
        ) from None
    del proto.graph.output[:]
    for name in wanted:
        proto.graph.output.add().name = name
    settings = runtime.SessionOptions()
    settings.log_severity_level = 4
    # Fused nodes round elsewhere, and leave no values in between.
    settings.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = runtime.InferenceSession(
            proto.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        types = {one.name: one.type[len("tensor(") : -1] for one in session.get_inputs()}
        cast = {k: v.astype(_TYPES.get(types[k], types[k])) for k, v in inputs.items()}
        results: list[Any] = session.run(list(wanted), cast)
    except MemoryError:
        raise
    except Exception as error:  # its errors have no common base
        reason = f"onnxruntime cannot run it: {one_line(error)}"
        raise CnnCliError(reason, path=model.files[0]) from None
    return results
