"""What `cnncli compare` says of two results or networks: lines for people, objects for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from cnncli.compare.difference import Difference, shape_text
from cnncli.errors import quote
from cnncli.render.text_table import text_table

if TYPE_CHECKING:
    from cnncli.compare.network_walk import LayerPair, Walk
    from cnncli.compare.run import Comparison

COLUMNS: Final = 80
_LONGEST: Final = 26
"""Characters of a layer's name in the table; of longer ones the end is shown."""

NO_CAUSE: Final = "no known convention explains the difference"
NO_NETWORK_CAUSE: Final = "none of those that were tried explains it"


def lines(comparisons: Sequence[Comparison]) -> list[str]:
    """Return what is said of comparisons to people.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Of one kind, or of layers.
    """
    if comparisons[0].kind == "results":
        return _results(comparisons[0])
    indent = max(len(comparison.names[1]) for comparison in comparisons) + 2
    return [line for comparison in comparisons for line in _of_layer(comparison, indent)]


def _results(comparison: Comparison) -> list[str]:
    size = " and ".join(dict.fromkeys(map(shape_text, comparison.shapes)))
    heading = f"{quote(comparison.names[0])} and {quote(comparison.names[1])}, {size}"
    if comparison.difference is None:
        return [f"{heading}: of different sizes", *comparison.explanations]
    if comparison.equal:
        largest = _largest(comparison.difference)
        return [f"{heading}: equal, {largest}", *comparison.explanations]
    if comparison.transparency is not None:
        found = _of_transparency(comparison.transparency)
        return [f"{heading}: different in transparency alone", found, *comparison.explanations]
    details = _details(comparison.difference)
    if all(text.startswith("note: ") for text in comparison.explanations):
        details.append(NO_CAUSE)
    return [f"{heading}: different", *details, *comparison.explanations]


def _of_transparency(found: Difference) -> str:
    (_, row, column, _), (a, b) = found.at, found.values
    return (
        f"{found.count} of {found.size} pixels ({_percent(found)}) differ in transparency, most at "
        f"row {row}, column {column}: {a:.3g} and {b:.3g}, where 1 is opaque"
    )


def _details(difference: Difference) -> list[str]:
    a, b = difference.values
    return [
        f"{_largest(difference)} {_position(difference)}: {a:.6g} and {b:.6g}",
        f"{difference.count} of {difference.size} values ({_percent(difference)}) further apart "
        f"than {difference.tolerance:.3g}, mean difference {difference.mean:.3g}",
    ]


def _percent(difference: Difference) -> str:
    return f"{100 * difference.count / difference.size:.3g} %"


def _largest(difference: Difference) -> str:
    return f"largest difference {difference.largest:.3g}"


def _position(difference: Difference) -> str:
    image, row, column, channel = difference.at
    where = f"at row {row}, column {column}, channel {channel}"
    return where if not image else f"{where} of image {image}"


def _of_layer(comparison: Comparison, indent: int) -> list[str]:
    """Two lines: how far a layer is apart from another tool's, and what that tool does."""
    difference = comparison.difference
    if comparison.error is not None:
        text = str(comparison.error).removeprefix(f"{comparison.names[1]} has ")
    elif difference is None:
        text = f"of another size, {shape_text(comparison.shapes[1])}"
    elif difference.equal:
        text = f"equal, {_largest(difference)}"
    else:
        text = f"{_percent(difference)} differ, {_largest(difference)} {_position(difference)}"
    lines = [comparison.names[1].ljust(indent) + text]
    if comparison.explanations:
        lines.append(" " * indent + "; ".join(comparison.explanations))
    return lines


def record(comparison: Comparison) -> dict[str, Any]:
    """Return what was found of two results, see `to_json`."""
    return {
        "kind": comparison.kind,
        "names": comparison.names,
        "shapes": comparison.shapes,
        "equal": comparison.equal,
        "difference": comparison.difference,
        "transparency": comparison.transparency,
        "explanations": comparison.explanations,
        "error": None if comparison.error is None else str(comparison.error),
    }


def network_lines(walk: Walk) -> list[str]:
    """Return a table of the layers, the first difference and its likely cause."""
    rows = [("LAYER", "SHAPE", "LARGEST DIFFERENCE", "ROW, COLUMN, MAP"), *map(_row, walk.pairs)]
    texts = text_table(rows, right=[2], width=COLUMNS)
    for name, others in zip(walk.labels, walk.unmatched, strict=True):
        if others:
            texts += _wrapped(f"only in {name}: {_some(others)}")
    return [*texts, *_conclusion(walk)]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(map(_short, names[:4])) + more


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"…{name[1 - _LONGEST :]}"


def _row(pair: LayerPair) -> tuple[str, str, str, str]:
    found = pair.difference
    name, shape = _short(pair.names[0]), shape_text(pair.shapes[0])
    if found is None:
        return name, shape, "other shape", shape_text(pair.shapes[1])
    if found.equal:
        return name, shape, "equal" if found.largest == 0 else f"{found.largest:.2g}, equal", ""
    return name, shape, f"{found.largest:.3g}", ", ".join(map(str, found.at[1:]))


def _conclusion(walk: Walk) -> list[str]:
    first = walk.first
    if first is None:
        count = len(walk.pairs)
        where = f"all {count} layers" if count > 1 else "their layer"
        texts = [f"{walk.labels[0]} and {walk.labels[1]}: equal in {where}"]
    else:
        one, other = first.names
        also = "" if one == other else f" ({other} in {walk.labels[1]})"
        how_far = _how_far(first)
        texts = [f"first difference: LAYER {one}{also}, {how_far[0]}", *how_far[1:]]
        texts += [f"likely cause: {cause}" for cause in walk.causes or (NO_NETWORK_CAUSE,)]
        if walk.pairs[-1].equal:
            texts.append(f"note: the last layer, {walk.pairs[-1].names[0]}, is equal")
    return [line for text in texts for line in _wrapped(text)]


def _wrapped(text: str) -> list[str]:
    # Names of files are whole words, so that they can be searched for.
    return textwrap.wrap(
        text, COLUMNS, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _how_far(pair: LayerPair) -> list[str]:
    found = pair.difference
    if found is None:
        return [f"of another size: {shape_text(pair.shapes[0])} and {shape_text(pair.shapes[1])}"]
    a, b = found.values
    _, row, column, channel = found.at
    share = 100 * found.count / found.size
    return [
        f"{found.largest:.3g} at row {row}, column {column}, map {channel}",
        f"values there: {a:.6g} and {b:.6g}; {share:.3g} % of all differ",
    ]


def network_records(walk: Walk) -> list[dict[str, Any]]:
    """Return an object for each layer, then one for both networks, see `to_json`."""
    layers = [
        {
            "kind": "layer",
            "names": pair.names,
            "shapes": pair.shapes,
            "equal": pair.equal,
            "difference": pair.difference,
        }
        for pair in walk.pairs
    ]
    total = {
        "kind": "networks",
        "names": walk.names,
        "equal": walk.equal,
        "first_difference": None if walk.first is None else walk.first.names[0],
        "causes": walk.causes,
        "unmatched": walk.unmatched,
    }
    return [*layers, total]
