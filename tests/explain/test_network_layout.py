"""network/layout.js in node: where layers stand in the graph of a network, and how lines go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.node import NODE, run_alone

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(NODE is None, reason="neither node nor the extra browser is installed"),
]

Layers = list[dict[str, Any]]

REACHED = """(layers) => {
  const graph = layoutNetwork(layers);
  const reached = new Set([0]);
  for (const index of reached) {
    for (const key of ["Up", "Down", "Left", "Right"]) {
      reached.add(layerBeside(graph, index, `Arrow${key}`));
    }
  }
  return [...reached].sort((one, other) => one - other);
}"""


def chain(count: int) -> Layers:
    return [{"name": str(k), "inputs": [str(k - 1)] if k else []} for k in range(count)]


def named(**inputs: str) -> Layers:
    """Layers by name, each with the names of its inputs in one text."""
    layers = [{"name": name, "inputs": names.split()} for name, names in inputs.items()]
    return [{"name": "input", "inputs": []}, *layers]


U_NET = named(
    a="input",
    b="a",
    down="b",
    c="down",
    d="c",
    low="d",
    up="low",
    e="up d",
    f="e",
    g="f b",
    end="g",
)
INCEPTION = named(
    stem="input",
    one="stem",
    three_before="stem",
    three="three_before",
    five_before="stem",
    five="five_before",
    pool="stem",
    pool_after="pool",
    all="one three five pool_after",
    end="all",
)
RESIDUAL = named(a="input", b="a", c="b", add="c a", d="add", e="d", side="add", add2="e side")


def random_layers(rng: np.random.Generator) -> Layers:
    layers = chain(1)
    for k in range(1, int(rng.integers(2, 60))):
        count = min(k, int(rng.choice([1, 1, 1, 1, 2, 2, 3])))
        near = rng.integers(max(0, k - int(rng.choice([1, 3, 12]))), k, count)
        layers.append({"name": str(k), "inputs": [str(one) for one in near]})
    return layers


def cases() -> list[Layers]:
    rng = np.random.default_rng(8)
    return [chain(50), U_NET, INCEPTION, RESIDUAL, *(random_layers(rng) for _ in range(60))]


def test_layers_do_not_overlap_and_lines_go_down_beside_them() -> None:
    for layers, graph in zip(
        cases(), run_alone("network/layout.js", "layoutNetwork", cases()), strict=True
    ):
        nodes = graph["nodes"]
        assert [node["name"] for node in nodes] == [layer["name"] for layer in layers]
        places = [(node["row"], node["column"]) for node in nodes]
        assert len(set(places)) == len(places)
        assert all(0 <= row < graph["rows"] for row, _ in places)
        columns = graph["columns"]
        assert [k for k, has in enumerate(columns) if has] == sorted({c for _, c in places})
        pairs = {(edge["from"], edge["to"]) for edge in graph["edges"]}
        names = [layer["name"] for layer in layers]
        assert pairs == {
            (names.index(name), k) for k, layer in enumerate(layers) for name in layer["inputs"]
        }
        for edge in graph["edges"]:
            points = [tuple(point) for point in edge["points"]]
            ends = places[edge["from"]], places[edge["to"]]
            assert (points[0], points[-1]) == ends
            rows = [row for row, _ in points]
            assert rows == list(range(rows[0], rows[-1] + 1)) and len(rows) > 1
            assert not set(points[1:-1]) & set(places)
            assert all(0 <= column < len(columns) for _, column in points)


def test_chains_are_straight() -> None:
    for graph in run_alone("network/layout.js", "layoutNetwork", cases()):
        nodes = graph["nodes"]
        for index, node in enumerate(nodes):
            alone = [k for k in node["outputs"] if nodes[k]["inputs"] == [index]]
            if len(node["outputs"]) == 1 and alone:
                assert nodes[alone[0]]["column"] == node["column"]


def test_branches_stand_side_by_side_and_skipping_lines_on_their_own() -> None:
    (net,) = run_alone("network/layout.js", "layoutNetwork", [INCEPTION])
    rows = {node["name"]: node["row"] for node in net["nodes"]}
    assert rows["one"] == rows["three_before"] == rows["five_before"] == rows["pool"] == 2
    assert net["columns"] == [True] * 4
    (unet,) = run_alone("network/layout.js", "layoutNetwork", [U_NET])
    # The inner one of two lines is nearer to the layers: they do not cross.
    assert unet["columns"] == [True, False, False]
    lanes = {edge["to"]: edge["points"][1][1] for edge in unet["edges"] if len(edge["points"]) > 2}
    names = [node["name"] for node in unet["nodes"]]
    assert (lanes[names.index("e")], lanes[names.index("g")]) == (1, 2)


def test_arrow_keys_reach_every_layer() -> None:
    for layers, reached in zip(
        cases(), run_alone("network/layout.js", REACHED, cases()), strict=True
    ):
        assert reached == list(range(len(layers)))


def test_columns_of_lines_alone_are_narrow() -> None:
    source = "(columns) => columnMiddles(columns, 100, 10, 6)"
    (found,) = run_alone("network/layout.js", source, [[True, False, True]])
    assert found == {"middles": [50, 111, 172], "width": 222}
