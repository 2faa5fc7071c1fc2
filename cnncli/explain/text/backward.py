"""The gradient of one input value as text for the terminal: a table of what adds up to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from cnncli.explain.backward import BackwardExplanation, GradientPath
from cnncli.explain.text.forward import TextOptions, labelled
from cnncli.explain.text.panels import choose_colours, choose_format, number_text, paint, wrap
from cnncli.explain.text.phrases import channel_name, kind, map_label

MOST_PATHS: Final = 25
"""Of more paths the strongest are shown."""

WEIGHTS: Final = {
    "conv": "weight",
    "conv-transpose": "weight",
    "dense": "weight",
    "pool": "share",
    "pad": "weight",
}
SUMMARIES: Final = {
    "dense": "each output sends back its gradient times the weight of this value",
    "conv": "each output that reads this value sends back its gradient times the weight",
    "conv-transpose": "each output that this value is added to sends back its gradient times the "
    "weight",
    "max": "each window sends its gradient to the cell that won",
    "min": "each window sends its gradient to the cell that won",
    "average": "each window sends an equal share of its gradient to all its cells",
    "lp": "each window sends a cell x its gradient times sign(x) (|x| / output)^(p-1)",
    "pad": "each output that copies this value sends back its gradient",
}


def backward_lines(explanation: BackwardExplanation, options: TextOptions) -> list[str]:
    """Return the gradient of one input value as lines.

    Examples
    --------
    >>> from cnncli.explain.backward import explain_backward
    >>> from cnncli.explain.explained_layer import ExplainedLayer, array_input
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.render.options import MapGroup
    >>> source = array_input(np.arange(16.0).reshape(1, 4, 4, 1), names=[""])
    >>> layer, groups = PoolLayer(stride=1), (MapGroup("", (0,)),)
    >>> pool = ExplainedLayer("pool1", layer, (source,), groups, np.dtype(float))
    >>> print("\\n".join(backward_lines(explain_backward(pool, (1, 3)), TextOptions())))
    pool1, max pool, backward: the input at row 1, column 3 of 4x4, 7
    each window sends its gradient to the cell that won
    <BLANKLINE>
    output at  cell  share x upstream = product
    0,2        1,1       1          1         1
    1,2        0,1       0          1         0
    <BLANKLINE>
    gradient   1, the sum of 2 products
    """
    paths, width = explanation.paths, options.width
    lines = [*wrap(backward_title(explanation), width)]
    lines += [*wrap(backward_summary(explanation), width), ""]
    if not paths:
        return [*lines, *labelled("gradient", ["0: no output reads this value"], width)]
    order = np.argsort([-abs(path.product) for path in paths], kind="stable").tolist()
    lines += _table(explanation.type, [paths[k] for k in sorted(order[:MOST_PATHS])], options)
    rest = [paths[k].product for k in order[MOST_PATHS:]]
    if rest:
        others = f"the other {len(rest)} add up to {number_text(sum(rest))}"
        lines += wrap(f"the strongest {MOST_PATHS} are shown; {others}", width)
    terms = f"the sum of {len(paths)} products" if len(paths) > 1 else "one product"
    return [
        *lines,
        "",
        *labelled("gradient", [f"{number_text(explanation.gradient)}, {terms}"], width),
    ]


def backward_title(explanation: BackwardExplanation) -> str:
    """Say which value's gradient is explained."""
    n_H, n_W, n_C = explanation.input_shape
    row, column = explanation.at
    name = channel_name(explanation.channel_name, explanation.channel)
    channel = f", {name}" if n_C > 1 else ""
    image = f", image {explanation.image} of {explanation.images}" if explanation.images > 1 else ""
    layer = f"{explanation.layer}, {kind(explanation.type, explanation.mode)}, backward{image}"
    position = f"row {row}, column {column} of {n_H}x{n_W}{channel}"
    return f"{layer}: the input at {position}, {number_text(explanation.value)}"


def backward_summary(explanation: BackwardExplanation) -> str:
    """Say in a line how a layer sends gradient back."""
    text = SUMMARIES.get(
        explanation.mode or explanation.type,
        "the gradient of the output times the slope",
    )
    if explanation.activation != "none" and explanation.type in ("conv", "dense"):
        text += f"; upstream is 1 times the slope of {explanation.activation}"
    if explanation.map is not None:
        text += f"; only the outputs of {map_label(explanation.map, explanation.map_name)} count"
    return text


def _table(type: str, paths: Sequence[GradientPath], options: TextOptions) -> list[str]:
    """A line for each path; where there is no room with shorter titles and smaller gaps."""
    texts = {"output at": [f"{path.output[0]},{path.output[1]}" for path in paths]}
    if len({path.channel for path in paths}) > 1:
        texts["map"] = [path.name or str(path.channel) for path in paths]
    if type in ("conv", "conv-transpose", "dense", "pool"):
        texts["cell"] = [f"{path.tap[0]},{path.tap[1]}" for path in paths]
    weights = {WEIGHTS.get(type, "slope"): [path.weight for path in paths]}
    upstream, products = [path.upstream for path in paths], [path.product for path in paths]
    numbers = {**weights, "x upstream": upstream, "= product": products}
    lines = _aligned(texts, numbers, "  ", colour=False)
    if len(lines[0]) <= options.width:
        return _aligned(texts, numbers, "  ", options.colour)
    texts = {"output": texts.pop("output at"), **texts}
    numbers = {**weights, "upstream": upstream, "product": products}
    if all(value == 1 for value in upstream):
        del numbers["upstream"]
    return _aligned(texts, numbers, " ", options.colour)


def _aligned(
    texts: Mapping[str, list[str]], numbers: Mapping[str, list[float]], gap: str, colour: bool
) -> list[str]:
    """Columns of texts and of numbers below their titles; numbers coloured by value."""
    columns = []
    for title, cells in texts.items():
        wide = max(map(len, [title, *cells]))
        columns.append([cell.ljust(wide) for cell in (title, *cells)])
    for title, values in numbers.items():
        array = np.array(values)
        form, colours = choose_format(array), choose_colours(array, signed=True)
        wide = max(form.width, len(title))
        cells = [form.write(value).rjust(wide) for value in values]
        if colour:
            backgrounds = map(colours.background, values)
            cells = [paint(*cell) for cell in zip(cells, backgrounds, strict=True)]
        columns.append([title.rjust(wide), *cells])
    return [gap.join(cells).rstrip() for cells in zip(*columns, strict=True)]
