"""What a family of operators is: a module with a table ``OPERATORS`` of builders, and ``LAYERS``.

``LAYERS`` are the types of layers, as network files call them, that its nodes become.

A builder takes a node's inputs and returns what becomes of it:

- a `BuiltLayer`, a layer of cnncli's own and the values it works on; or several, one an output;
- a `Signal`, where the node is no work: the same maps in another layout, or of another type;
- an array, where the result is known beforehand.

It raises `UnsupportedNode` for what its layer cannot do: the node is then run by ONNX's
ReferenceEvaluator, as nodes of all other operators are, and nothing is lost but speed and gradient.
"""

from __future__ import annotations

from collections.abc import Callable

from cnncli.core.arrays import Array
from cnncli.network.onnx.values import BuiltLayer, NodeInputs, Signal

Result = BuiltLayer | Signal | Array | tuple[BuiltLayer | Signal, ...]
Builder = Callable[[NodeInputs], Result]
