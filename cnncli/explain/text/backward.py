"""The way back to one input value as text for the terminal. Prints nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from cnncli.explain.backward import Path, Received
from cnncli.explain.text.forward import View, said
from cnncli.explain.text.panels import Colours, colours_for, number, numbers_for, painted, wrapped
from cnncli.explain.text.phrases import channel_name, kind

MOST_PATHS: Final = 25
"""Of more paths the strongest are shown."""

WEIGHTS: Final = {"conv": "weight", "pool": "share", "pad": "weight"}
GISTS: Final = {
    "conv": "every output that reads this value sends back its own gradient times the weight it "
    "reads it with",
    "max": "a window sends its whole gradient to its winner",
    "min": "a window sends its whole gradient to its winner",
    "average": "a window sends each of its input cells an equal share of its gradient",
    "lp": "a window sends a value sign(x) (|x| / output)^(p-1) of its gradient",
    "pad": "every output that shows this value sends its gradient back",
}


def received_lines(found: Received, view: View) -> list[str]:
    """Return the way back to one input value as lines.

    Examples
    --------
    >>> from cnncli.explain.backward import receive
    >>> from cnncli.explain.explained_layer import Subject, array_input
    >>> from cnncli.network.layers import PoolLayer
    >>> from cnncli.render.options import MapGroup
    >>> given = array_input(np.arange(16.0).reshape(1, 4, 4, 1), names=[""])
    >>> groups = (MapGroup("", (0,)),)
    >>> subject = Subject("pool1", PoolLayer(stride=1), (given,), groups, np.dtype(float))
    >>> print("\\n".join(received_lines(receive(subject, (1, 3)), View())))
    pool1, max pool, backward: the input at row 1, column 3 of 4x4, 7
    a window sends its whole gradient to its winner
    <BLANKLINE>
    output at  tap   share x upstream = product
    0,2        1,1       1          1         1
    1,2        0,1       0          1         0
    <BLANKLINE>
    gradient   1, the sum of 2 products
    """
    lines = [*wrapped(_title(found), view.width), *wrapped(_gist(found), view.width), ""]
    if not found.paths:
        return [*lines, *said("gradient", ["0: no output reads this value"], view.width)]
    order = np.argsort([-abs(path.product) for path in found.paths], kind="stable").tolist()
    lines += _table(found, [found.paths[k] for k in sorted(order[:MOST_PATHS])], view)
    rest = [found.paths[k].product for k in order[MOST_PATHS:]]
    if rest:
        left = f"the other {len(rest)} add up to {number(sum(rest))}"
        lines += wrapped(f"shown: the strongest {MOST_PATHS}; {left}", view.width)
    count = len(found.paths)
    of = f"the sum of {count} products" if count > 1 else "one product"
    return [*lines, "", *said("gradient", [f"{number(found.total)}, {of}"], view.width)]


def _title(found: Received) -> str:
    n_H, n_W, n_C = found.input_shape
    channel = f", {channel_name(found.channel_name, found.channel)}" if n_C > 1 else ""
    image = f", image {found.image}" if found.image else ""
    place = f"row {found.at[0]}, column {found.at[1]} of {n_H}x{n_W}"
    what = f"{found.name}, {kind(found.op, found.mode)}, backward{image}"
    return f"{what}: the input at {place}{channel}, {number(found.value)}"


def _gist(found: Received) -> str:
    said = GISTS.get(found.mode or found.op, "a value's gradient is its output's times the slope")
    if found.activation != "none" and found.op == "conv":
        said += f"; upstream is 1 times the slope of {found.activation}"
    if found.map is not None:
        name = f" ({found.map_name})" if found.map_name not in ("", str(found.map)) else ""
        said += f"; only the outputs of map {found.map}{name} count"
    return said


def _table(found: Received, paths: Sequence[Path], view: View) -> list[str]:
    """A line for each path, the columns of one width each; narrower where there is no room."""
    texts = [["output at", *(f"{path.output[0]},{path.output[1]}" for path in paths)]]
    if len({path.channel for path in paths}) > 1:
        texts.append(["map", *(path.name or str(path.channel) for path in paths)])
    if found.op in ("conv", "pool"):
        texts.append(["tap", *(f"{path.tap[0]},{path.tap[1]}" for path in paths)])
    factor = WEIGHTS.get(found.op, "slope")
    titles = {"weight": factor, "upstream": "x upstream", "product": "= product"}
    if _width(_columns(texts, titles, paths, colour=False), "  ") <= view.width:
        return _joined(_columns(texts, titles, paths, view.colour), "  ")
    texts[0][0], titles["upstream"], titles["product"] = "output", "upstream", "product"
    if all(path.upstream == 1 for path in paths):
        del titles["upstream"]
    return _joined(_columns(texts, titles, paths, view.colour), " ")


def _columns(
    texts: Sequence[list[str]], titles: dict[str, str], paths: Sequence[Path], colour: bool
) -> list[list[str]]:
    """Columns of texts and of those numbers of each path that have a title."""
    numbers = [
        _numbers(title, np.array([getattr(path, name) for path in paths]), colour)
        for name, title in titles.items()
    ]
    return [*([cell.ljust(max(map(len, cells))) for cell in cells] for cells in texts), *numbers]


def _width(columns: Sequence[Sequence[str]], gap: str) -> int:
    return sum(len(cells[0]) + len(gap) for cells in columns) - len(gap)


def _joined(columns: Sequence[Sequence[str]], gap: str) -> list[str]:
    return [gap.join(cells).rstrip() for cells in zip(*columns, strict=True)]


def _numbers(title: str, values: np.ndarray, colour: bool) -> list[str]:
    """A title over numbers, coloured by value."""
    write = numbers_for(values)
    wide = max(write.width, len(title))
    colours = colours_for(values, signed=True) if colour else None
    return [title.rjust(wide), *(_cell(write.write(v).rjust(wide), v, colours) for v in values)]


def _cell(text: str, value: float, colours: Colours | None) -> str:
    return text if colours is None else painted(text, colours.background(value))
