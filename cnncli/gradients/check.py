"""Gradients against finite differences, at random cells, in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cnncli._dataclass import dataclass
from cnncli.gradients.gradient import Gradient, find_gradient, parameter_names
from cnncli.network.graph import SOURCE, Network
from cnncli.network.layers import ConvLayer, FloatArray, Shape
from cnncli.network.passes import Forward
from cnncli.system.progress import track

TOLERANCE: Final = 1e-6
"""The largest difference allowed, relative to the largest gradient by the same array."""

STEPS: Final = (1e-3, 1e-4, 1e-5, 1e-6)
"""Relative to the number that is changed; the next one is tried where a kink is met."""

MOST_CELLS, LEAST_CELLS = 20, 3
"""Cells of each array that are compared, if no number is asked for."""

QUICK_WORK: Final = 2e10
"""Products of a check that takes some seconds: large networks have fewer cells compared."""

VALUE_WORK: Final = 20
"""Products that take as long as one value of an output, beside the sums of convolutions."""

_SURE: Final = TOLERANCE / 4
_AXES_BUT_ONE: Final = ((0, 2, 3), (0, 1, 3))


@dataclass(frozen=True)
class Check:
    """What a comparison found.

    Parameters
    ----------
    compared : int
        Cells of the input and of parameters.
    left_out : int
        Cells whose slopes differ from one side to the other however small the step, because a
        relu or a maximum has its kink there, or drown in rounding.
    difference : float
        The largest one.
    relative : float
        The largest one by the largest gradient by the same array.
    where : str
        The array of the largest relative difference.
    """

    compared: int
    left_out: int
    difference: float
    relative: float
    where: str

    @property
    def passed(self) -> bool:
        """Whether something was compared, and nothing was off."""
        return self.compared > 0 and self.relative <= TOLERANCE


def check_line(check: Check) -> str:
    """Say what a comparison found.

    Examples
    --------
    >>> check_line(Check(90, 2, 1e-9, 2e-10, "conv1-W"))[:76]
    'gradients checked at 90 cells: largest difference 1e-09, relative 2e-10 (con'
    """
    line = (
        f"gradients checked at {check.compared} cells: largest difference {check.difference:.3g}, "
        f"relative {check.relative:.3g} ({check.where})"
    )
    if not check.left_out:
        return line
    return (
        f"{line}; {check.left_out} cells left out: their slope differs from side to side, as at "
        "the kink of a relu, or is lost in rounding"
    )


def quick_count(network: Network, shape: Shape) -> int:
    """Return of how many cells of each array a check is done in some seconds.

    Parameters
    ----------
    network : Network
    shape : (m, n_H, n_W, n_C)

    Returns
    -------
    int
        From `LEAST_CELLS` to `MOST_CELLS`.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> network = Network.chain(PoolLayer())
    >>> quick_count(network, (1, 8, 8, 1)), quick_count(network, (1, 20000, 20000, 3))
    (20, 3)
    """
    shapes = network.shapes(shape)
    total = after = 0
    for node in reversed(network.nodes):
        after += VALUE_WORK * math.prod(shapes[node.name])
        if isinstance(node.layer, ConvLayer):
            after += node.layer.multiply_adds(shapes[node.inputs[0]])
        # A change of a parameter is followed from its layer to the end.
        total += after * len(parameter_names(node.layer))
    total += after
    return min(max(int(QUICK_WORK / (4 * total)), LEAST_CELLS), MOST_CELLS)


def check_gradient(
    network: Network, X: FloatArray, layer: str, upstream: FloatArray, count: int
) -> Check:
    """Compare gradients with finite differences.

    Parameters
    ----------
    network, X, layer, upstream
        As in `find_gradient`; computed in float64 whatever their dtype.
    count : int
        Random cells that are compared: of the input cells that the layer is made from, and of
        each parameter.

    Returns
    -------
    Check

    Notes
    -----
    The slope at x comes from the four between x - 2h, x - h, x, x + h and x + 2h, by the central
    formula whose error falls with the fourth power of h (Fornberg, 1988). Those of a smooth
    function lie on a line: where they do not, h is too large or there is a kink.

    Examples
    --------
    >>> from cnncli.network.layers import PoolLayer
    >>> X = np.arange(16.0).reshape(1, 4, 4, 1)
    >>> found = check_gradient(Network.chain(PoolLayer()), X, "pool1", np.ones((1, 2, 2, 1)), 5)
    >>> found.passed, found.compared
    (True, 5)
    """
    upstream = upstream.astype(np.float64)
    rng = np.random.default_rng(0)
    checks = []
    with np.errstate(all="ignore"):
        gradient = find_gradient(network, X.astype(np.float64), layer, upstream)
        arrays = {(SOURCE, "pixels"): gradient.input}
        arrays |= {
            (name, key): dP
            for name, gradients in gradient.parameters.items()
            for key, dP in gradients.items()
        }
        chosen = {}
        for (name, key), dP in arrays.items():
            among = _reached(gradient) if name == SOURCE else np.arange(dP.size)
            chosen[name, key] = rng.choice(among, min(count, len(among)), replace=False)
        total = sum(map(len, chosen.values()))
        counter = track(range(total), "checking the gradient", total)
        for (name, key), dP in arrays.items():
            changes = _Changes(gradient.done, upstream, name, key)
            label = SOURCE if name == SOURCE else f"{name}-{key}"
            checks.append(_compare(changes, dP, chosen[name, key].tolist(), label, counter))
    worst = max(checks, key=lambda check: check.relative)
    return Check(
        sum(check.compared for check in checks),
        sum(check.left_out for check in checks),
        max(check.difference for check in checks),
        worst.relative,
        worst.where,
    )


def _reached(gradient: Gradient) -> NDArray[np.intp]:
    """The flat indices of the input cells that geometry lets the unit depend on."""
    network, X = gradient.done.network, gradient.input
    rows, cols = (np.flatnonzero(gradient.upstream.any(axis=axes)) for axes in _AXES_BUT_ONE)
    if not rows.size:
        return np.arange(X.size)
    box = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    m, n_H, n_W, n_C = X.shape
    down, across = network.reads((m, n_H, n_W, n_C), network.names[-1], box)[SOURCE]
    return np.arange(X.size).reshape(X.shape)[:, down, across].ravel()


@dataclass(frozen=True)
class _Slope:
    """A slope with what speaks against it: how far it is from straight, and rounding."""

    value: float
    doubt: float


@dataclass(frozen=True, eq=False)
class _Changes:
    """What becomes of a layer's output when one number of the input or a parameter changes."""

    done: Forward
    upstream: FloatArray
    name: str
    key: str

    def array(self, shape: tuple[int, ...]) -> FloatArray:
        """The array that is changed; biases that were not given are 0."""
        if self.name == SOURCE:
            return self.done.values[SOURCE]
        parameters = self.done.network.node(self.name).layer.parameters
        return parameters.get(self.key, np.zeros(shape)).astype(np.float64)

    def output(self, changed: FloatArray) -> FloatArray:
        """Return the last layer's output, running again what depends on the array."""
        values = dict(self.done.values)
        stale = {self.name}
        if self.name == SOURCE:
            values[SOURCE] = changed
        for node in self.done.network.nodes:
            layer = node.layer
            if node.name == self.name:
                layer = layer.with_parameters({self.key: changed})
            elif stale.isdisjoint(node.inputs):
                continue
            values[node.name], _ = layer.forward(*(values[name] for name in node.inputs))
            stale.add(node.name)
        return values[self.done.network.nodes[-1].name]

    def slopes(
        self, array: FloatArray, index: int, size: float, doubt: float, steps: list[float]
    ) -> list[_Slope]:
        """Return the slopes at one cell by one step after the other, until one is sure.

        That step moves to the front of `steps`: it is likely to do for the next cell too.
        """
        slopes: list[_Slope] = []
        for relative in tuple(steps):
            slopes.append(self._slope(array, index, relative * size))
            if slopes[-1].doubt <= doubt:
                steps.remove(relative)
                steps.insert(0, relative)
                break
        return slopes

    def _slope(self, array: FloatArray, index: int, step: float) -> _Slope:
        parts = []
        for before, Y in pairwise(self._moved(array, index, k * step) for k in (-2, -1, 0, 1, 2)):
            # Cell by cell: what does not change takes no part, and brings no rounding.
            parts.append(float(np.sum((Y - before) * self.upstream)) / step)
        a, b, c, d = parts
        bend = max(abs(a - 2 * b + c), abs(b - 2 * c + d))
        # Of all cells: those of a saturated softmax may change by less than their last digit.
        size = float(np.linalg.norm(Y * self.upstream))
        rounding = np.finfo(np.float64).eps * size / step
        return _Slope((7 * (b + c) - a - d) / 12, max(bend, rounding))

    def _moved(self, array: FloatArray, index: int, by: float) -> FloatArray:
        if by == 0:
            return self.done.values[self.done.network.names[-1]]
        changed = array.copy()
        changed.flat[index] += by
        return self.output(changed)


def _compare(
    changes: _Changes, gradient: FloatArray, cells: list[int], label: str, counter: Iterator[int]
) -> Check:
    array = changes.array(gradient.shape)
    exact = gradient.ravel()
    largest = float(np.abs(exact).max())
    typical = float(np.median(np.abs(array))) or 1.0
    tried: dict[int, list[_Slope]] = {}
    relative_steps = list(STEPS)
    for index in cells:
        next(counter)
        size = max(abs(float(array.flat[index])), typical)
        tried[index] = changes.slopes(array, index, size, _SURE * largest, relative_steps)
    # A gradient that is wrongly 0 must not be the measure of itself.
    firsts = [abs(slopes[0].value) for slopes in tried.values()]
    largest = max([largest, *(value for value in firsts if np.isfinite(value))])
    differences = []
    for index, slopes in tried.items():
        sure = [slope.value for slope in slopes if slope.doubt <= _SURE * largest]
        differences += [abs(slope - float(exact[index])) for slope in sure[:1]]
    most = max(differences, default=0.0)
    relative = most / largest if largest else 0.0
    return Check(len(differences), len(cells) - len(differences), most, relative, label)
