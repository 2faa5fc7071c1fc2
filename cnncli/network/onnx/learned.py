"""Which numbers of an ONNX model were learned: what nodes make of its tensors, and no constants."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from cnncli.network.graph import Network, Node
from cnncli.network.onnx.tensors import Constants
from cnncli.network.onnx.values import Value
from cnncli.network.parameters import count_parameters

_CONSTANT: Final = re.compile(r"Constant(_\d+)?_output_\d+$")
"""What PyTorch calls a constant, and tools that move those to where a file's tensors are."""

_FLOATS: Final = (1, 10, 11, 16)
_QUANTIZED: Final = (2, 3, 6, 17, 18, 19, 20, 21, 22)
"""ONNX's numbers of the types in which weights are: uint8, int8, int32 of biases, 8 and 4 bits.
Those of 64 bits are shapes and indices."""


class LearnedNumbers:
    """How many numbers of each value of a graph were learned, and of each layer made of them.

    Parameters
    ----------
    constants : Constants
        The arrays of the file. Where none of them can be a filter, those are in nodes of constants.
    """

    def __init__(self, constants: Constants) -> None:
        self._tensors = constants.tensors
        self._values: dict[str, int] = {}
        self._layers: dict[str, int] = {}
        self._counted: set[str] = set()
        self._in_nodes = not any(
            tensor.data_type in (*_FLOATS, *_QUANTIZED) and len(tensor.dims) > 1
            for tensor in self._tensors.values()
        )

    def of_value(self, name: str) -> int:
        """Return how many numbers of a value were learned; 0 of what is made of the picture."""
        if name in self._values or name not in self._tensors or _CONSTANT.search(name):
            return self._values.get(name, 0)
        tensor = self._tensors[name]
        return math.prod(tensor.dims) if tensor.data_type in (*_FLOATS, *_QUANTIZED) else 0

    def note_value(self, name: str, value: Value, inputs: Iterable[str]) -> None:
        """Note what a node makes of values known beforehand; of none, if it is a constant."""
        if not isinstance(value, np.ndarray):
            return
        size = value.size
        known = [each for each in inputs if each]
        all_learned = not known and self._in_nodes
        self._values[name] = min(size, size if all_learned else sum(map(self.of_value, known)))

    def note_layer(self, layer: str, inputs: Iterable[str]) -> None:
        """Note which values a layer is made of; one that several share counts for the first."""
        own = {*inputs} - self._counted
        self._counted |= own
        self._layers[layer] = sum(map(self.of_value, own))

    def noted(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """Return layers with a note where not all of their numbers were learned."""
        nodes = tuple(nodes)
        counts = count_parameters(Network(nodes))
        return tuple(
            replace(node, parameters=self._layers[node.name])
            if self._layers.get(node.name, counts[node.name]) < counts[node.name]
            else node
            for node in nodes
        )
