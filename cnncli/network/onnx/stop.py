"""Why a model cannot be read to its last node."""

from __future__ import annotations

from cnncli._dataclass import dataclass
from cnncli.errors import one_line
from cnncli.network.onnx.model import OnnxNode
from cnncli.network.onnx.node_layer import UnsupportedOperator
from cnncli.network.onnx.values import SizeUnknown


@dataclass(frozen=True)
class Stop:
    """A node that cannot be read, and so is all behind it.

    Parameters
    ----------
    reason : str
    layer : str
        The last layer before it.
    needs_size : bool
        Whether the size of the picture may be what is missing.
    hint : str, optional
        What helps.
    """

    reason: str
    layer: str
    needs_size: bool = False
    hint: str | None = None


def stop_reason(node: OnnxNode, error: Exception) -> str:
    """Say why a node cannot be read, from what was raised."""
    if isinstance(error, UnsupportedOperator):
        return f"unsupported operator {node.operator} ({node.label})"
    if isinstance(error, SizeUnknown):
        return f"{error}, for {node.operator} ({node.label})"
    return f"unsupported {node.operator} ({node.label}): {one_line(error)}"
