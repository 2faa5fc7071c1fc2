"""The operators of ONNX that cnncli has layers for: one table, made of one file a family.

What they compute: https://github.com/onnx/onnx/blob/main/docs/Operators.md and, for older
versions, Changelog.md beside it. Operators that are in no family run by ONNX's ReferenceEvaluator,
see `cnncli.network.onnx.reference`. To move one here: a layer in ``network/layers/``, a builder in
``families/``, and its family's module in the list below; the reader needs no change. The list in
docs/network-files.md is made from these tables.
"""

from __future__ import annotations

from typing import Final

from cnncli.network.onnx.attribute_words import check_words
from cnncli.network.onnx.families import (
    activations,
    arithmetic,
    blocks,
    channels,
    conv,
    norm,
    pad,
    pool,
    reduce,
    repeats,
    resize,
    types,
    views,
)
from cnncli.network.onnx.families.table import Builder, Result
from cnncli.network.onnx.values import NodeInputs

FAMILIES: Final = (
    activations,
    arithmetic,
    blocks,
    channels,
    conv,
    norm,
    pad,
    pool,
    reduce,
    repeats,
    resize,
    types,
    views,
)

OPERATORS: Final[dict[str, Builder]] = {
    name: builder for family in FAMILIES for name, builder in family.OPERATORS.items()
}
"""What makes a layer, a value or an array of a node of each operator."""


def build(operator: str, node: NodeInputs) -> Result:
    """Return what a node of an operator in `OPERATORS` becomes, if its words are known."""
    check_words(operator, node.attributes)
    return OPERATORS[operator](node)
