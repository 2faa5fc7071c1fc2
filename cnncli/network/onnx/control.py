"""If, Loop and Scan whose course depends on the picture: their graphs, run node by node.

Every node in them is checked as nodes outside are, with the arrays that it really gets, and all
results together are held against a limit, as the number of turns is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

import numpy as np

from cnncli.network.onnx.reference import (
    MOST_NUMBERS,
    Array,
    NotRun,
    Tensor,
    check_operator,
    evaluate,
    infer,
    is_elsewhere,
    one_line,
    ran_node,
)

CONTROL: Final = ("If", "Loop", "Scan")

MOST_TURNS: Final = 10_000
"""Turns of loops, those of loops in loops counted together."""

Values = dict[str, Array | None]


@dataclass(frozen=True)
class RanGraph:
    """A node with graphs in it, as `RanNode` is one without: picklable, and run the same way.

    Parameters
    ----------
    proto : bytes
        A NodeProto.
    opset : int
    captured : tuple of str
        Values from outside that its graphs need, which follow its inputs.
    """

    proto: bytes
    opset: int
    captured: tuple[str, ...]

    @property
    def op(self) -> str:
        """Its operator."""
        return str(_node(self.proto).op_type)

    @property
    def names(self) -> tuple[str, ...]:
        """What its inputs are called."""
        return (*_node(self.proto).input, *self.captured)

    def tensors(
        self, inputs: Sequence[Tensor | None], known: Mapping[int, Array]
    ) -> tuple[Tensor | None, ...]:
        """Return what its outputs will be, as far as ONNX's inference of shapes knows."""
        node = _node(self.proto)
        check_graphs(node)
        types = dict(zip(self.names, inputs, strict=True))
        given = {self.names[number]: array for number, array in known.items()}
        return infer(node, self.opset, types, given)

    def tried(
        self, inputs: Sequence[Tensor | None], known: Mapping[int, Array]
    ) -> tuple[Tensor | None, ...]:
        """Return what its outputs are of zeros, for graphs that do not say what they make.

        Raises
        ------
        NotRun
            As `run` says, or if the inputs' sizes are not known.
        """
        arrays: list[Array | None] = []
        for number, tensor in enumerate(inputs):
            if tensor is None or number in known:
                arrays.append(known.get(number))
                continue
            if tensor.numbers is None:
                raise NotRun("the size of its inputs is not known beforehand")
            arrays.append(np.zeros([length or 0 for length in tensor.dims], tensor.dtype))
        # How often a loop turns may depend on the values.
        carried = len(_node(self.proto).input) - 2 if self.op == "Loop" else None
        return tuple(
            Tensor(
                str(made.dtype),
                made.shape if carried is None or k < carried else (None, *made.shape[1:]),
            )
            for k, made in enumerate(self.run(arrays))
        )

    def run(self, inputs: Sequence[Array | None]) -> list[Array]:
        """Return its outputs.

        Raises
        ------
        NotRun
            If a node in it must not run, or turns or results become too many.
        """
        values = dict(zip(self.names, inputs, strict=True))
        try:
            outputs = _Course(self.opset).node(_node(self.proto), values)
        except (NotRun, MemoryError):
            raise
        except Exception as error:
            # Whatever numbers of no meaning raise in a graph of a broken file.
            raise NotRun(one_line(error)) from None
        if any(output is None for output in outputs):
            raise NotRun("one of its outputs has no value")
        return [output for output in outputs if output is not None]


def check_graphs(proto: Any) -> None:
    """Raise NotRun unless all nodes in a node's graphs may run.

    Raises
    ------
    NotRun
    """
    for graph in (each.g for each in proto.attribute if each.HasField("g")):
        for node in graph.node:
            if node.op_type in CONTROL and node.domain in ("", "ai.onnx"):
                check_graphs(node)
            elif node.op_type != "Constant":
                check_operator(node)


class _Course:
    """One run of a node, with what is left of its turns and its results."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.turns, self.numbers = MOST_TURNS, MOST_NUMBERS

    def node(self, node: Any, values: Values) -> list[Array | None]:
        """Return the outputs of a node."""
        inputs = [values[name] if name else None for name in node.input]
        fields = {each.name: each for each in node.attribute}
        if node.op_type == "Constant":
            made: list[Array | None] = [_constant(fields)]
        elif node.op_type in _COURSES and node.domain in ("", "ai.onnx"):
            made = _COURSES[node.op_type](self, fields, inputs, values)
        else:
            made = [*evaluate(ran_node(node, self.opset), inputs)]
        self.numbers -= sum(array.size for array in made if array is not None)
        if self.numbers < 0:
            raise NotRun(f"its results are more than {MOST_NUMBERS} numbers")
        return made

    def graph(self, graph: Any, inputs: Sequence[Array | None], outer: Values) -> list[Any]:
        """Return the outputs of a graph."""
        values = {**outer, **{tensor.name: _array(tensor) for tensor in graph.initializer}}
        values.update(zip((each.name for each in graph.input), inputs, strict=False))
        for node in graph.node:
            unknown = [name for name in node.input if name and name not in values]
            if unknown:
                raise NotRun(f"a graph in it needs {unknown[0]!r}, which is nowhere")
            values.update(zip(node.output, self.node(node, values), strict=False))
        if any(output.name not in values for output in graph.output):
            raise NotRun("a graph in it does not make its outputs")
        return [values[output.name] for output in graph.output]

    def turn(self) -> None:
        """Count one turn of a loop."""
        self.turns -= 1
        if self.turns < 0:
            raise NotRun(f"its loops take more than {MOST_TURNS} turns")


def _if(course: _Course, fields: Any, inputs: Sequence[Any], values: Values) -> list[Any]:
    branch = "then_branch" if bool(np.all(inputs[0])) else "else_branch"
    return course.graph(fields[branch].g, (), values)


def _loop(course: _Course, fields: Any, inputs: Sequence[Any], values: Values) -> list[Any]:
    most, condition, *carried = inputs
    body, number, kept = fields["body"].g, 0, list[list[Any]]()
    going = condition is None or bool(np.all(condition))
    while going and (most is None or number < int(np.asarray(most).item())):
        course.turn()
        turn = [np.array(number, np.int64), np.array(True), *carried]
        going, *made = course.graph(body, turn, values)
        going = bool(np.all(going))
        carried = made[: len(carried)]
        kept.append(made[len(carried) :])
        number += 1
    scans = len(body.output) - 1 - len(carried)
    return [*carried, *_stacked(body, kept, scans)]


def _scan(course: _Course, fields: Any, inputs: Sequence[Any], values: Values) -> list[Any]:
    if course.opset < 9 or {*fields} - {"body", "num_scan_inputs"}:
        raise NotRun("it goes over other axes than the first, or backward")
    count = int(fields["num_scan_inputs"].i)
    carried, scanned = list(inputs[: len(inputs) - count]), inputs[len(inputs) - count :]
    body, kept = fields["body"].g, list[list[Any]]()
    if count < 1 or len({len(array) for array in scanned}) > 1:
        raise NotRun("what it goes over differs in length")
    for each in zip(*scanned, strict=True):
        course.turn()
        made = course.graph(body, [*carried, *each], values)
        carried = made[: len(carried)]
        kept.append(made[len(carried) :])
    return [*carried, *_stacked(body, kept, len(body.output) - len(carried))]


_COURSES: Final[dict[str, Callable[..., list[Any]]]] = {"If": _if, "Loop": _loop, "Scan": _scan}


def _stacked(body: Any, kept: Sequence[Sequence[Any]], count: int) -> list[Array]:
    """Return what each turn gave, one above the other; nothing where there was no turn."""
    if kept:
        shapes = {tuple(np.shape(turn[k]) for k in range(count)) for turn in kept}
        if len(shapes) > 1:
            raise NotRun("its turns give results of several shapes")
        return [np.stack([turn[k] for turn in kept]) for k in range(count)]
    helper, empty = import_module("onnx").helper, []
    for output in body.output[len(body.output) - count :] if count else ():
        kind = output.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type or 1)
        empty.append(np.zeros((0, *(max(axis.dim_value, 0) for axis in kind.shape.dim)), dtype))
    return empty


def _array(tensor: Any) -> Array:
    """Return an array that stands in a graph; none from a file beside the model."""
    onnx = import_module("onnx")
    if is_elsewhere(tensor) or tensor.data_type == onnx.TensorProto.STRING:
        raise NotRun("an array in it is text, or in another file")
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError, OverflowError) as error:
        raise NotRun(f"an array in it cannot be read: {error}") from None


def _constant(fields: Any) -> Array:
    if "value" in fields:
        return _array(fields["value"].t)
    for name, kind in (("float", np.float32), ("int", np.int64)):
        if f"value_{name}" in fields:
            value = getattr(fields[f"value_{name}"], name[0])
            return np.array(value, kind)
        if f"value_{name}s" in fields:
            return np.array(getattr(fields[f"value_{name}s"], f"{name}s"), kind)
    raise NotRun("a constant in it is no number")


@lru_cache(256)
def _node(proto: bytes) -> Any:
    return import_module("onnx").NodeProto.FromString(proto)
