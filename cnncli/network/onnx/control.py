"""If, Loop and Scan whose course depends on the picture: their graphs, run node by node.

Every node in them is checked as nodes outside are, with the arrays that it really gets, and all
results together are held against a limit, as the number of turns is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.core.arrays import Array, is_placeholder
from cnncli.errors import CnnCliError, one_line, printable, quote
from cnncli.network.onnx.picture_values import (
    OfPicture,
    OpenOfPicture,
    given,
    of_picture,
    one_above_the_other,
    size_is_open,
    sized,
)
from cnncli.network.onnx.reference import (
    MOST_NUMBERS,
    ReferenceNode,
    check_operator,
    evaluate,
    parsed_node,
    reference_node,
)
from cnncli.network.onnx.shapes import Known, NotRun, Tensor, infer
from cnncli.network.onnx.tensors import OWN_DOMAINS, read_tensor
from cnncli.system.memory import check_while_running

CONTROL: Final = ("If", "Loop", "Scan")

MOST_TURNS: Final = 10_000
"""Turns of loops, those of loops in loops counted together."""

_TURNS_TRIED: Final = 16
"""Of a loop whose values change their shapes with each turn."""

Values = dict[str, Array | None]


@dataclass(frozen=True)
class ReferenceGraph:
    """A node with graphs in it, as `ReferenceNode` is one without: picklable, run the same way.

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
        return str(parsed_node(self.proto).op_type)

    @property
    def names(self) -> tuple[str, ...]:
        """What its inputs are called."""
        return (*parsed_node(self.proto).input, *self.captured)

    def tensors(self, inputs: Sequence[Tensor | None], known: Known) -> tuple[Tensor | None, ...]:
        """Return what its outputs will be.

        By ONNX's inference of shapes; where graphs do not say what they make, by running them on
        zeros: both branches of an If, and as many turns of a Loop as tell its shapes.

        Raises
        ------
        NotRun
            As `run` says, or if the inputs' sizes are not known.
        """
        node = parsed_node(self.proto)
        _prepared(self.proto, self.opset)
        types = dict(zip(self.names, inputs, strict=True))
        given = {self.names[number]: array for number, array in known.items()}
        found = infer(node, self.opset, types, given)
        if any(tensor is None or (tensor.is_open and not _any_open(inputs)) for tensor in found):
            return self._tensors_of_zeros(inputs, known)
        return found

    def _tensors_of_zeros(
        self, inputs: Sequence[Tensor | None], known: Known
    ) -> tuple[Tensor, ...]:
        if any(tensor is not None and tensor.largest is None for tensor in inputs):
            raise NotRun("the size of its inputs is not known beforehand")
        found = self._tensors_of(inputs, known, lambda tensor: tensor.largest or ())
        if not _any_open(inputs):
            return found
        # What differs where open lengths are as small as they may be is open too.
        small = self._tensors_of(
            inputs, known, lambda tensor: tuple(1 if n is None else n for n in tensor.dims)
        )
        return tuple(map(_of_both, found, small))

    def _tensors_of(
        self,
        inputs: Sequence[Tensor | None],
        known: Known,
        shape: Callable[[Tensor], tuple[int, ...]],
    ) -> tuple[Tensor, ...]:
        """Return what the outputs are where inputs are zeros of a shape."""
        values: Values = {}
        for number, (name, tensor) in enumerate(zip(self.names, inputs, strict=True)):
            array = known.get(number)
            if array is not None:
                values[name] = array.view(OfPicture) if is_placeholder(array) else array
            elif tensor is None:
                values[name] = None
            else:
                values[name] = np.zeros(shape(tensor), tensor.dtype).view(OfPicture)
        run, node = _GraphRun(), _prepared(self.proto, self.opset)
        with _plain_errors():
            if self.op == "If":
                return _merged([run.graph(graph, (), values) for graph in node.graphs.values()])
            if self.op == "Loop":
                return _tensors_of_loop(run, node, values)
            return _merged([run.node(node, values)])

    def run(self, inputs: Sequence[Array | None]) -> list[Array]:
        """Return its outputs.

        Raises
        ------
        NotRun
            If a node in it must not run, or turns or results become too many.
        CnnCliError
            If memory does not suffice.
        """
        values = dict(zip(self.names, inputs, strict=True))
        with _plain_errors():
            outputs = _GraphRun().node(_prepared(self.proto, self.opset), values)
        if any(output is None for output in outputs):
            raise NotRun("one of its outputs has no value")
        return [output for output in outputs if output is not None]


@dataclass(frozen=True, eq=False)
class _InnerGraph:
    """A graph in a node, with its arrays."""

    nodes: tuple[_InnerNode, ...]
    arrays: Mapping[str, Array]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    types: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class _InnerNode:
    """A node of such a graph: a constant, one that the ReferenceEvaluator runs, or graphs again."""

    op: str
    label: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    work: ReferenceNode | Array | None
    graphs: Mapping[str, _InnerGraph]
    scanned: int = 0


@lru_cache(32)
def _prepared(proto: bytes, opset: int) -> _InnerNode:
    """Return a node with its graphs read and checked, once for all its turns and images."""
    return _inner_node(parsed_node(proto), opset)


def _inner_node(proto: Any, opset: int) -> _InnerNode:
    fields = {each.name: each for each in proto.attribute}
    label = f"{printable(proto.op_type)} (node {quote(proto.name or ''.join(proto.output[:1]))})"
    work: ReferenceNode | Array | None = None
    graphs: dict[str, _InnerGraph] = {}
    if proto.op_type in CONTROL and proto.domain in OWN_DOMAINS:
        if proto.op_type == "Scan" and (opset < 9 or {*fields} - {"body", "num_scan_inputs"}):
            raise NotRun("it goes over other axes than the first, or backward")
        for name in _GRAPHS[proto.op_type]:
            if name not in fields:
                raise NotRun(f"it has no {name}")
            graphs[name] = _inner_graph(fields[name].g, opset)
    elif proto.op_type == "Constant" and proto.domain in OWN_DOMAINS:
        work = _constant(fields)
    else:
        check_operator(proto)
        work = reference_node(proto, opset)
    scanned = int(fields["num_scan_inputs"].i) if "num_scan_inputs" in fields else 0
    inputs, outputs = tuple(proto.input), tuple(proto.output)
    return _InnerNode(proto.op_type, label, inputs, outputs, work, graphs, scanned)


def _inner_graph(graph: Any, opset: int) -> _InnerGraph:
    try:
        arrays = {tensor.name: read_tensor(tensor) for tensor in graph.initializer}
    except (ValueError, TypeError, OverflowError) as error:
        raise NotRun(f"an array in it cannot be read: {one_line(error)}") from None
    return _InnerGraph(
        tuple(_inner_node(node, opset) for node in graph.node),
        arrays,
        tuple(each.name for each in graph.input),
        tuple(each.name for each in graph.output),
        tuple(each.type.tensor_type for each in graph.output),
    )


class _GraphRun:
    """One run of a node, with what is left of its turns and its results."""

    def __init__(self) -> None:
        self.turns, self.numbers = MOST_TURNS, MOST_NUMBERS

    def node(self, node: _InnerNode, values: Values) -> list[Array | None]:
        """Return the outputs of a node."""
        inputs = [values[name] if name else None for name in node.inputs]
        if isinstance(node.work, np.ndarray):
            made: list[Array | None] = [node.work]
        elif node.work is None:
            made = _RUNS[node.op](self, node, inputs, values)
        else:
            made = [*_evaluated(node, node.work, inputs)]
        self.numbers -= sum(array.size for array in made if array is not None)
        if self.numbers < 0:
            raise NotRun(f"its results are more than {MOST_NUMBERS} numbers")
        return made

    def graph(
        self, graph: _InnerGraph, inputs: Sequence[Array | None], outer: Values
    ) -> list[Array | None]:
        """Return the outputs of a graph."""
        values: Values = {**outer, **graph.arrays}
        values.update(zip(graph.inputs, inputs, strict=False))
        for node in graph.nodes:
            unknown = [name for name in node.inputs if name and name not in values]
            if unknown:
                raise NotRun(f"a graph in it needs {quote(unknown[0])}, which is nowhere")
            values.update(zip(node.outputs, self.node(node, values), strict=False))
        if any(output not in values for output in graph.outputs):
            raise NotRun("a graph in it does not make its outputs")
        return [values[output] for output in graph.outputs]

    def turn(self, kept: int = 0) -> None:
        """Count one turn of a loop, with the bytes that earlier turns left."""
        self.turns -= 1
        if self.turns < 0:
            raise NotRun(f"its loops take more than {MOST_TURNS} turns")
        # Twice: they are put together in the end.
        check_while_running(2 * kept, "what its turns leave")


def _evaluated(
    node: _InnerNode, work: ReferenceNode, inputs: Sequence[Array | None]
) -> list[Array]:
    depends = any(isinstance(array, OfPicture) for array in inputs)
    open_inputs = [array for array in inputs if isinstance(array, OpenOfPicture)]
    try:
        is_open = depends and size_is_open(work, inputs)
        made = evaluate(work, [None if each is None else np.asarray(each) for each in inputs])
    except NotRun as error:
        raise NotRun(f"{node.label}: {error}") from None
    except CnnCliError as error:
        raise CnnCliError(f"{node.label}: {error.message}", hint=error.hint) from None
    if is_open:
        first = open_inputs[0].node if open_inputs else node.label
        return [OpenOfPicture.of(array, first) for array in made]
    if open_inputs or (depends and node.op not in ("Shape", "Size")):
        return [array.view(OfPicture) for array in made]
    return made


def _if(
    run: _GraphRun, node: _InnerNode, inputs: Sequence[Array | None], values: Values
) -> list[Array | None]:
    holds = bool(np.all(given(inputs[0])))
    chosen, other = ("then_branch", "else_branch") if holds else ("else_branch", "then_branch")
    made = run.graph(node.graphs[chosen], (), values)
    if isinstance(inputs[0], OfPicture):
        also = run.graph(node.graphs[other], (), values)
        if _shapes(made) != _shapes(also):
            raise NotRun("the branches of an If in it give results of several shapes")
        return of_picture(made)
    return made


def _shapes(arrays: Sequence[Array | None]) -> list[tuple[int, ...] | None]:
    return [None if array is None else array.shape for array in arrays]


def _loop(
    run: _GraphRun, node: _InnerNode, inputs: Sequence[Array | None], values: Values
) -> list[Array | None]:
    most, condition, *carried = inputs
    body, number, kept, held = node.graphs["body"], 0, list[list[Array]](), 0
    depends = isinstance(most, OfPicture) or isinstance(condition, OfPicture)
    going = depends or condition is None or bool(np.all(condition))
    limit = 1 if depends else None if most is None else int(most.item())
    while going and (limit is None or number < limit):
        run.turn(held)
        turn = [np.array(number, np.int64), np.array(True), *carried]
        going_on, *made = run.graph(body, turn, values)
        going = bool(np.all(given(going_on)))
        before, carried = carried, made[: len(carried)]
        if depends or isinstance(going_on, OfPicture):
            if len(made) > len(carried) or _shapes(before) != _shapes(carried):
                raise NotRun("the turns of a loop in it, and so its sizes, depend on the picture")
            return of_picture(carried)
        kept.append([given(array) for array in made[len(carried) :]])
        held += sum(array.nbytes for array in kept[-1])
        number += 1
    scans = len(body.outputs) - 1 - len(carried)
    return [*carried, *_stacked(body, kept, scans)]


def _scan(
    run: _GraphRun, node: _InnerNode, inputs: Sequence[Array | None], values: Values
) -> list[Array | None]:
    count = node.scanned
    carried = list(inputs[: len(inputs) - count])
    scanned = [given(array) for array in inputs[len(inputs) - count :]]
    body, kept, held = node.graphs["body"], list[list[Array]](), 0
    if count < 1 or len({len(array) for array in scanned}) > 1:
        raise NotRun("what it goes over differs in length")
    scanned = [sized(array) for array in scanned]
    for number in range(len(scanned[0])):
        run.turn(held)
        made = run.graph(body, [*carried, *(array[number, ...] for array in scanned)], values)
        carried = made[: len(carried)]
        kept.append([given(array) for array in made[len(carried) :]])
        held += sum(array.nbytes for array in kept[-1])
    return [*carried, *_stacked(body, kept, len(body.outputs) - len(carried))]


_GRAPHS: Final = {"If": ("then_branch", "else_branch"), "Loop": ("body",), "Scan": ("body",)}
_RUNS: Final[dict[str, Callable[..., list[Array | None]]]] = {
    "If": _if,
    "Loop": _loop,
    "Scan": _scan,
}


def _stacked(body: _InnerGraph, kept: Sequence[Sequence[Array]], count: int) -> list[Array]:
    """Return what each turn gave, one above the other; nothing where there was no turn."""
    if count < 0:
        raise NotRun("a graph in it makes too few outputs")
    if kept:
        shapes = {tuple(np.shape(turn[k]) for k in range(count)) for turn in kept}
        if len(shapes) > 1:
            raise NotRun("its turns give results of several shapes")
        return [one_above_the_other([turn[k] for turn in kept]) for k in range(count)]
    helper, empty = import_module("onnx").helper, []
    for kind in body.types[len(body.types) - count :] if count else ():
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type or 1)
        empty.append(np.zeros((0, *(max(axis.dim_value, 0) for axis in kind.shape.dim)), dtype))
    return empty


def _merged(ends: Sequence[Sequence[Array | None]], bounded: bool = True) -> tuple[Tensor, ...]:
    """Return what is common to results that a node may give: lengths that differ are open."""
    merged = []
    for arrays in zip(*ends, strict=True):
        shapes = [sized(array).shape for array in arrays]
        if len({len(shape) for shape in shapes}) > 1 or len({str(a.dtype) for a in arrays}) > 1:
            raise NotRun("its result may have different numbers of axes, or types")
        lengths = [sorted(set(along)) for along in zip(*shapes, strict=True)]
        most = tuple(along[-1] for along in lengths) if bounded else None
        dims = tuple(along[0] if len(along) == 1 else None for along in lengths)
        merged.append(Tensor(str(given(arrays[0]).dtype), dims, most if None in dims else None))
    return tuple(merged)


def _tensors_of_loop(run: _GraphRun, node: _InnerNode, values: Values) -> tuple[Tensor, ...]:
    """Return what a loop gives of zeros: all shapes with which it may end."""
    most, condition, *carried = [values[name] if name else None for name in node.inputs]
    body, number = node.graphs["body"], 0
    limit = None if most is None or isinstance(most, OfPicture) else int(most.item())
    going: Array = np.array(True) if condition is None else condition
    ends, kept = list[list[Array | None]](), list[list[Array]]()
    settled = False
    while True:
        sure = not isinstance(going, OfPicture) and not isinstance(most, OfPicture)
        over = number == limit or (sure and not np.all(going))
        few = sure and limit is not None and limit <= _TURNS_TRIED
        last = over or (settled and not few) or number == _TURNS_TRIED
        if last or not sure:
            ends.append(carried)
        if last:
            break
        run.turn()
        turn = [np.array(number, np.int64), np.array(True), *carried]
        going_on, *made = run.graph(body, turn, values)
        going = given(going_on)
        before, carried = carried, made[: len(carried)]
        settled = _shapes(before) == _shapes(carried)
        kept.append([sized(array) for array in made[len(carried) :]])
        number += 1
    scans = _stacked(body, kept, len(body.outputs) - 1 - len(carried))
    exact = over and len(ends) == 1
    return (
        *_merged(ends, bounded=over or settled),
        *(_of_turns(array, exact, limit) for array in scans),
    )


def _of_turns(array: Array, exact: bool, limit: int | None) -> Tensor:
    """Return what a loop leaves of its turns, as many as there may be."""
    if exact:
        return Tensor(str(array.dtype), array.shape)
    most = (MOST_TURNS if limit is None else min(limit, MOST_TURNS), *array.shape[1:])
    return Tensor(str(array.dtype), (None, *array.shape[1:]), most)


def _of_both(one: Tensor, other: Tensor) -> Tensor:
    """Return what is common to results of two sizes of the same inputs, the larger one first."""
    if (one.dtype, len(one.dims)) != (other.dtype, len(other.dims)):
        raise NotRun("its result may have different numbers of axes, or types")
    dims = tuple(a if a == b else None for a, b in zip(one.dims, other.dims, strict=True))
    if one.largest is None or other.largest is None:
        return Tensor(one.dtype, dims)
    most = tuple(map(max, one.largest, other.largest))
    return Tensor(one.dtype, dims, most if None in dims else None)


def _any_open(tensors: Sequence[Tensor | None]) -> bool:
    return any(tensor is not None and tensor.is_open for tensor in tensors)


def _constant(fields: Any) -> Array:
    for name, kind in (("float", np.float32), ("int", np.int64)):
        if f"value_{name}" in fields:
            value = getattr(fields[f"value_{name}"], name[0])
            return np.array(value, kind)
        if f"value_{name}s" in fields:
            return np.array(getattr(fields[f"value_{name}s"], f"{name}s"), kind)
    try:
        return read_tensor(fields["value"].t)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise NotRun(f"a constant in it cannot be read: {one_line(error)}") from None


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Make one kind of error of what numbers of no meaning raise in a graph of a broken file."""
    try:
        yield
    except (NotRun, CnnCliError, MemoryError):
        raise
    except Exception as error:
        raise NotRun(one_line(error)) from None
