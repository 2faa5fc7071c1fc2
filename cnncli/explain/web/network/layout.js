"use strict";
// Where the layers of a network stand in its graph: a row each by the longest way from the input, and
// columns such that a chain is straight and no line crosses a layer. Nothing here touches the page.

/**
 * The graph of layers [{ name, inputs }], each after its inputs: { nodes, edges, columns, rows }.
 *
 * `nodes` are { name, inputs, outputs, row, column }, inputs and outputs as indices; `edges` are
 * { from, to, points }, the cells [row, column] that a line goes through, from the one to the other;
 * `columns` tell of each whether it holds a layer, or lines alone.
 */
function layoutNetwork(layers) {
  const nodes = graphNodes(layers);
  const layerBelow = chooseLayersBelow(nodes);
  const tracks = makeTracks(nodes, layerBelow);
  placeTracks(tracks);
  const lanes = tracks.map(({ lane }) => lane);
  const first = Math.min(...lanes);
  const columns = Array.from({ length: Math.max(...lanes) - first + 1 }, () => false);
  const wayDown = new Map();
  for (const track of tracks) {
    for (const index of track.nodes) nodes[index].column = track.lane - first;
    if (track.nodes.length) columns[track.lane - first] = true;
    if (track.source !== null) wayDown.set(track.source, track.lane - first);
  }
  const edges = nodes.flatMap((node, to) => node.inputs.map((from) => edgeOf(nodes, from, to, wayDown.get(from))));
  return { nodes, edges, columns, rows: Math.max(...nodes.map(({ row }) => row)) + 1 };
}

/** The layers with indices for names, what reads each, and its row. */
function graphNodes(layers) {
  const places = new Map(layers.map(({ name }, index) => [name, index]));
  const nodes = [];
  layers.forEach(({ name, inputs }, index) => {
    const read = [...new Set(inputs.map((input) => places.get(input)))];
    const row = 1 + Math.max(-1, ...read.map((input) => nodes[input].row));
    nodes.push({ name, inputs: read, outputs: [], row, column: 0 });
    for (const input of read) nodes[input].outputs.push(index);
  });
  return nodes;
}

/**
 * For each layer the one that stands below it in the same column, or null: of those that read it, in the
 * next row, the one from which the way to the end is longest. Of several that lead to one layer, the
 * longest chain goes on.
 */
function chooseLayersBelow(nodes) {
  const reach = nodes.map(() => 0);
  for (let index = nodes.length - 1; index >= 0; index -= 1) {
    for (const input of nodes[index].inputs) reach[input] = Math.max(reach[input], reach[index] + 1);
  }
  const best = nodes.map(({ row, outputs }) => {
    const next = outputs.filter((output) => nodes[output].row === row + 1);
    return next.reduce((one, other) => (one === null || reach[other] > reach[one] ? other : one), null);
  });
  const [layerBelow, lengths] = [nodes.map(() => null), nodes.map(() => 1)];
  nodes.forEach(({ inputs }, index) => {
    const candidates = inputs.filter((input) => best[input] === index);
    if (!candidates.length) return;
    const above = candidates.reduce((one, other) => (lengths[other] > lengths[one] ? other : one));
    layerBelow[above] = index;
    lengths[index] = lengths[above] + 1;
  });
  return layerBelow;
}

/**
 * What takes a column from one row to another, the one with the input first: chains of layers, and the
 * lines of a layer to those that read it some rows below. At the end of a chain they go on in its
 * column; `source` is the layer that they come from, or null.
 */
function makeTracks(nodes, layerBelow) {
  const isBelow = new Set(layerBelow.filter((below) => below !== null));
  const [chains, lines] = [[], []];
  nodes.forEach((node, index) => {
    const far = Math.max(...node.outputs.map((output) => nodes[output].row), -1) - 1;
    const isFar = far > node.row;
    if (isFar && layerBelow[index] !== null) lines.push({ nodes: [], from: node.row + 1, to: far, source: index });
    if (isBelow.has(index)) return;
    const chain = [];
    for (let next = index; next !== null; next = layerBelow[next]) chain.push(next);
    const last = chain[chain.length - 1];
    const below = Math.max(...nodes[last].outputs.map((output) => nodes[output].row - 1), nodes[last].row);
    chains.push({ nodes: chain, from: node.row, to: below, source: below > nodes[last].row ? last : null });
  });
  return [...chains, ...lines];
}

/**
 * Give each track its lane: 0 to the first. The others follow from the shortest to the longest, each as
 * near to 0 as there is room: chains on either side, lines to the right.
 */
function placeTracks(tracks) {
  const [first, ...others] = tracks;
  const lanes = new Map([[0, [first]]]);
  first.lane = 0;
  const length = ({ from, to }) => to - from;
  for (const track of others.sort((one, other) => length(one) - length(other) || one.from - other.from)) {
    const isFree = (lane) => (lanes.get(lane) ?? []).every(({ from, to }) => track.to < from || track.from > to);
    let lane = track.nodes.length ? 0 : 1;
    while (!isFree(lane)) lane = lane > 0 && track.nodes.length ? -lane : Math.abs(lane) + 1;
    track.lane = lane;
    lanes.set(lane, [...(lanes.get(lane) ?? []), track]);
  }
}

/** The way of a line: straight to the next row, else down the lane of its source's lines. */
function edgeOf(nodes, from, to, lane) {
  const [start, end] = [nodes[from], nodes[to]];
  const points = [[start.row, start.column]];
  for (let row = start.row + 1; row < end.row; row += 1) points.push([row, lane]);
  return { from, to, points: [...points, [end.row, end.column]] };
}

/**
 * The layer that an arrow key leads to from another, as an index: up and down along the lines, if it
 * can be in the same column; left and right to the next one of the row. Itself where none is.
 */
function layerBeside({ nodes }, index, key) {
  const { row, column, inputs, outputs } = nodes[index];
  const away = (other) => Math.abs(nodes[other].column - column);
  const nearest = (others) => others.reduce((one, other) => (away(other) < away(one) ? other : one), others[0]) ?? index;
  if (key === "ArrowUp") return nearest(inputs);
  if (key === "ArrowDown") return nearest(outputs);
  const side = key === "ArrowLeft" ? -1 : 1;
  const all = [...nodes.keys()];
  return nearest(all.filter((other) => nodes[other].row === row && (nodes[other].column - column) * side > 0));
}

/** The middle of each column in pixels, and the width of all; those with lines alone are narrow. */
function columnMiddles(columns, wide, narrow, gap) {
  const middles = [];
  let edge = 0;
  for (const holdsLayer of columns) {
    const width = holdsLayer ? wide : narrow;
    middles.push(edge + width / 2);
    edge += width + gap;
  }
  return { middles, width: edge - gap };
}
