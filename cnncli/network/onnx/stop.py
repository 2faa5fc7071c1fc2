"""Says why a model cannot be read to its last node."""

from __future__ import annotations

from cnncli.errors import one_line
from cnncli.network.onnx.model import OnnxNode
from cnncli.network.onnx.node_layer import UnsupportedOperator
from cnncli.network.onnx.values import SizeUnknown


def stop_reason(node: OnnxNode, error: Exception) -> str:
    """Say why a node cannot be read, from what was raised."""
    if isinstance(error, UnsupportedOperator):
        return f"unsupported operator {node.operator} ({node.label})"
    if isinstance(error, SizeUnknown):
        return f"{error}, for {node.operator} ({node.label})"
    return f"unsupported {node.operator} ({node.label}): {one_line(error)}"
