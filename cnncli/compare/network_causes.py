"""Why two networks part: another preparation of the picture, a missing layer, a changed layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np

from cnncli._dataclass import dataclass
from cnncli.compare.difference import Values
from cnncli.compare.layer_causes import AnyLayer, Case, is_equal, layer_causes, setting_text
from cnncli.compare.network_walk import LayerPair, Side
from cnncli.compare.tensor_causes import tensor_causes
from cnncli.errors import CnnCliError
from cnncli.io.images import read_image
from cnncli.io.read_options import ReadOptions
from cnncli.network.graph import SOURCE
from cnncli.network.layers import ActivationLayer
from cnncli.network.model import Model
from cnncli.network.passes import forward_layers
from cnncli.network.preparation import Preparation

ONE_STEP: Final = "whole numbers one step apart, as a quantised layer rounds otherwise"
_ROUNDING: Final = 1e-3
"""Of the largest value: what the rounding of float32 may add up to in a whole network."""
HALVES: Final = "computed in float16, where cnncli computes in float32"


@dataclass(frozen=True)
class NetworkPicture:
    """The picture that goes through networks.

    Parameters
    ----------
    path : Path
    read : ReadOptions
    """

    path: Path
    read: ReadOptions

    def prepared(self, model: Model, prepared: Preparation) -> Values:
        """Return the picture as a network's first layer gets it, by some preparation."""
        read = replace(self.read, **replace(model, input=prepared).read_fields(self.read.gray))
        X: Values = read_image(self.path, read).values()[:1]
        layer = prepared.layer()
        if layer is None:
            return X
        layer.output_shape(X.shape)
        return layer.forward(X)[0]


@dataclass(frozen=True, eq=False)
class NetworkCauses:
    """Finds what explains the first difference of two networks.

    Parameters
    ----------
    a, b : Side
    models : sequence of Model
        One, if another program runs the same file.
    picture : NetworkPicture
    made_elsewhere : bool
        Whether the second side's input was made by another program.
    """

    a: Side
    b: Side
    models: Sequence[Model]
    picture: NetworkPicture
    made_elsewhere: bool = False

    def explain(self, pair: LayerPair, matched: Sequence[Sequence[str]], B: Values) -> list[str]:
        """Return the likely causes, as `walk` asks for them."""
        found = pair.difference
        tolerance = 0.0 if found is None else found.tolerance
        if pair.names[0] == SOURCE and self.made_elsewhere:
            return self._of_tensor(B)
        if pair.names[0] == SOURCE:
            return self._of_input(tolerance)
        missing = self._missing(self.a, self.b, pair.names[0], matched[0], B, tolerance)
        if missing is None:
            A = self._values(self.a, [pair.names[0]])[pair.names[0]]
            missing = self._missing(self.b, self.a, pair.names[1], matched[1], A, tolerance)
        if missing is not None:
            return [missing]
        node = self.a.network.node(pair.names[0])
        known = self._values(self.a, node.inputs)
        inputs = [known[name] for name in node.inputs]
        other = None if len(self.models) == 1 else self.b.network.node(pair.names[1]).layer
        names = self.a.label, self.b.label
        causes = layer_causes(Case(names, node.layer, other, inputs, B, tolerance))
        causes = causes or ([] if found is None else _of_rounding(found.largest, B))
        return causes or self._of_float32(pair.names[0], B)

    def _of_float32(self, name: str, B: Values) -> list[str]:
        """Say how far both sides are from float64, if what differs is rounding alone."""
        if self.b.runtime is None or B.dtype != np.float32 or not np.isfinite(B).all():
            return []
        A = self._values(self.a, [name])[name]
        exact = replace(self.a, X=self.a.X.astype(np.float64))
        Y = self._values(exact, [name])[name]
        own, theirs = (float(np.abs(values - Y).max()) for values in (A, B))
        # Not also true where NaN is: a comparison with it is False.
        if not max(own, theirs) <= _ROUNDING * max(1.0, float(np.abs(Y).max())):
            return []
        shares = f"{own:.2g} in {self.a.label}, {theirs:.2g} in {self.b.label}"
        return [f"rounding of float32 that adds up: {shares}, from the values in float64"]

    def _values(self, side: Side, names: Sequence[str]) -> dict[str, Values]:
        """Return layers' values as cnncli computes them, the input's too."""
        known, wanted = {SOURCE: side.X}, {SOURCE, *names}
        # All are asked for, so that none is folded: the values are those that were compared.
        for name, Y in forward_layers(side.network, side.X, side.network.names):
            if name in wanted:
                known[name] = Y
            if len(known) == len(wanted):
                break
        return known

    def _missing(
        self, has: Side, lacks: Side, name: str, matched: Sequence[str], Y: Values, tolerance: float
    ) -> str | None:
        """Say which layers of one network the other lacks, if that explains its values `Y`."""
        for layer, inputs, left_out in _without(has, name, matched):
            known = self._values(has, inputs)
            given = [known[one] for one in inputs]
            try:
                made = given[0] if layer is None else layer.forward(*given)[0]
            except (CnnCliError, ValueError):
                continue
            if is_equal(made, Y, tolerance):
                layers = ", ".join(_named(has, one) for one in left_out)
                return f"missing in {lacks.label}: {layers}"
        return None

    def _of_tensor(self, tensor: Values) -> list[str]:
        """Return how another program made its input of the picture."""
        model = self.models[0]
        raw = replace(model.input, bgr=False, scale=1.0, mean=0.0, std=1.0)
        resized = self.picture.prepared(model, replace(raw, whole=False))
        as_stored = replace(model, own_size=None)
        pixels = self.picture.prepared(as_stored, replace(raw, whole=False, size=None))
        return tensor_causes(pixels, resized, model.input, tensor, self.b.label)

    def _of_input(self, tolerance: float) -> list[str]:
        """Return the fewest fields of the second preparation that explain the second input."""
        one, other = (model.input for model in self.models)
        differing = {
            f.name: getattr(other, f.name)
            for f in fields(Preparation)
            if getattr(one, f.name) != getattr(other, f.name)
        }
        for count in range(1, len(differing) + 1):
            for names in combinations(differing, count):
                try:
                    changed = replace(one, **{name: differing[name] for name in names})
                    X = self.picture.prepared(self.models[0], changed)
                except CnnCliError:
                    continue
                if is_equal(X, self.b.X, tolerance):
                    sides = self.a.label, self.b.label
                    return [_of_field(n, getattr(one, n), differing[n], sides) for n in names]
        return []


def _without(
    side: Side, name: str, matched: Sequence[str]
) -> Iterator[tuple[AnyLayer | None, list[str], list[str]]]:
    """Yield a layer with the inputs that it has if layers without a partner are left out.

    With them, those layers. No layer: it is left out itself.
    """
    node = side.network.node(name)
    inputs, left_out = [], []
    for each in node.inputs:
        while each != SOURCE and each not in matched:
            before = side.network.node(each)
            if len(before.inputs) != 1:
                break
            left_out.append(each)
            each = before.inputs[0]
        inputs.append(each)
    if left_out:
        yield node.layer, inputs, list(dict.fromkeys(left_out))
    layer = node.layer
    changes = not isinstance(layer, ActivationLayer) or layer.activation != "none"
    if len(node.inputs) == 1 and changes:
        yield None, list(node.inputs), [name]


def _named(side: Side, name: str) -> str:
    layer = side.network.node(name).layer
    kind = layer.activation if isinstance(layer, ActivationLayer) else layer.op
    return f"{name} ({kind})"


def _of_field(name: str, one: Any, other: Any, sides: tuple[str, str]) -> str:
    """Say how a field of two preparations differs."""
    if name == "bgr":
        first, second = ("blue" if value else "red" for value in (one, other))
        return f"channels: {first} first in {sides[0]}, {second} first in {sides[1]} (--bgr)"
    if name == "scale":
        return f"range of pixels: 0..{one:g} in {sides[0]}, 0..{other:g} in {sides[1]} (--scale)"
    if name == "whole":
        sort = "floats", "whole numbers"
        return f"pixels: {sort[one]} in {sides[0]}, {sort[other]} in {sides[1]}"
    texts = [setting_text(value) for value in (one, other)]
    return f"{name}: {texts[0]} in {sides[0]}, {texts[1]} in {sides[1]} (--{name})"


def _of_rounding(largest: float, B: Values) -> list[str]:
    """Say what the second side's values are rounded to, if that explains a largest difference."""
    if largest == 1 and bool((np.rint(B) == B).all()):
        return [ONE_STEP]
    with np.errstate(over="ignore"):
        are_halves = np.array_equal(B.astype(np.float16), B)
    return [HALVES] if are_halves and largest < np.abs(B).max() / 256 else []
