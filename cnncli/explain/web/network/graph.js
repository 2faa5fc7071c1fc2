"use strict";
// The graph of a network's layers: a button for each, a line for each input. network/layout.js says
// where they stand.

const ROW = 36;
const NODE_HEIGHT = 24;
const GAP = 8;
const LINE_WIDTH = 4;
/** How wide a layer is, by the number of columns that hold layers; of more columns the last. */
const NODE_WIDTHS = [132, 104, 84, 68];
const LETTER = 8;

/** What `layoutNetwork` returns, with the elements of its nodes and edges. */
let graph = null;

function showGraph() {
  const before = graph;
  graph = layoutNetwork(layers);
  const { columns, rows } = graph;
  const wide = NODE_WIDTHS[Math.min(columns.filter(Boolean).length, NODE_WIDTHS.length) - 1];
  const { middles, width } = columnMiddles(columns, wide, LINE_WIDTH, GAP);
  const sheet = byId("graph-sheet");
  for (const { button } of before?.nodes ?? []) button.remove();
  sheet.style.width = `${width}px`;
  const lines = byId("graph-lines");
  lines.replaceChildren();
  lines.setAttribute("width", width);
  lines.setAttribute("height", rows * ROW);
  for (const edge of graph.edges) {
    edge.path = document.createElementNS(lines.namespaceURI, "path");
    edge.path.setAttribute("d", wayOf(edge.points, middles));
    lines.append(edge.path);
  }
  graph.nodes.forEach((node, index) => {
    node.button = nodeButton(node, wide);
    node.button.style.left = `${middles[node.column] - wide / 2}px`;
    node.button.style.top = `${node.row * ROW + (ROW - NODE_HEIGHT) / 2}px`;
    node.button.addEventListener("keydown", (event) => moveInGraph(event, index));
    sheet.append(node.button);
  });
  byId("graph").dataset.unit = "";
}

/** A line through cells: level in none, down in each, with bends between rows. */
function wayOf(points, middles) {
  const top = (row) => row * ROW + (ROW - NODE_HEIGHT) / 2;
  let [x, way] = [middles[points[0][1]], ""];
  points.forEach(([row, column], index) => {
    const next = middles[column];
    if (index === 0) way = `M${next} ${top(row) + NODE_HEIGHT}`;
    else {
      const [from, to] = [top(row) - (ROW - NODE_HEIGHT), top(row)];
      const middle = (from + to) / 2;
      way += next === x ? `V${to}` : `C${x} ${middle + 3} ${next} ${middle - 3} ${next} ${to}`;
      if (index < points.length - 1) way += `V${to + NODE_HEIGHT}`;
    }
    x = next;
  });
  return way;
}

function nodeButton({ name }, width) {
  const text = nodeText(labels.get(name), Math.floor(width / LETTER) - 1);
  const button = element("button", { type: "button", class: "node", tabindex: "-1", text, title: name, click: () => chooseLayer(name) });
  button.style.width = `${width}px`;
  return button;
}

/**
 * Go to a layer, and choose its unit on the trail, else its strongest; where the maps of the layers before the unit
 * show gradients, choose such a cell there.
 */
function chooseLayer(name) {
  const layer = byName.get(name);
  const onTrail = view.trail.find(({ unit }) => unit.layer === name)?.unit;
  if (hasGradient(layer)) apply({ cell: onTrail ?? steepestCell(layer) });
  else if (name !== state.unit.layer) apply(onTrail ? changesFor(onTrail) : { unit: strongestUnit(layer) });
  goToLayer(name);
}

/** Of a long path the end; other names are cut by the page's style. */
function nodeText(name, letters) {
  return name.length > letters && /[/.]/.test(name) ? `…${name.slice(1 - letters)}` : name;
}

/** Arrow keys go along the lines, Home and End to the first and the last layer. */
function moveInGraph(event, index) {
  if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
  const ends = { Home: 0, End: graph.nodes.length - 1 };
  const isArrow = event.key.startsWith("Arrow");
  if (!isArrow && !(event.key in ends)) return;
  event.preventDefault();
  const next = isArrow ? layerBeside(graph, index, event.key) : ends[event.key];
  setGraphStop(next);
  graph.nodes[next].button.focus({ preventScroll: true });
  scrollGraph(graph.nodes[next].button);
}

/** One layer is the tab stop of the graph. */
function setGraphStop(index) {
  for (const { button } of graph.nodes) button.tabIndex = -1;
  graph.nodes[index].button.tabIndex = 0;
}

/** Scroll the graph, but not the page, until a layer is seen in it. */
function scrollGraph(button) {
  const box = byId("graph");
  const [outer, inner] = [box.getBoundingClientRect(), button.getBoundingClientRect()];
  const [above, below] = [inner.top - outer.top - ROW, inner.bottom - outer.bottom + ROW];
  const [before, after] = [inner.left - outer.left - GAP, inner.right - outer.right + GAP];
  if (above < 0) box.scrollTop += above;
  else if (below > 0) box.scrollTop += below;
  if (before < 0) box.scrollLeft += before;
  else if (after > 0) box.scrollLeft += after;
}

/** Go from anywhere to a layer in the graph. */
function goToGraph(name) {
  const index = graph.nodes.findIndex((node) => node.name === name);
  setGraphStop(index);
  graph.nodes[index].button.focus();
  scrollGraph(graph.nodes[index].button);
}

/** What marks a layer, and how it is said: the chosen unit's, on its trail, in its receptive field. */
const MARKS = [
  ["chosen", "the chosen unit's"],
  ["on-trail", "on the trail"],
  ["field", "in the field of the unit"],
];

/** Mark the layers and lines of the unit, its trail and its receptive field. */
function drawGraph(trail, boxes) {
  const names = trail.length ? trail.map(({ unit }) => unit.layer) : [state.unit.layer];
  const before = byId("graph").dataset.unit;
  graph.nodes.forEach(({ name, inputs, outputs, button }) => {
    const isIn = [name === names[0], names.includes(name), boxes.has(name)];
    const marks = MARKS.filter((_, index) => isIn[index]);
    for (const [mark] of MARKS) button.classList.toggle(mark, mark === marks[0]?.[0]);
    const { label, shape, problem } = byName.get(name);
    button.classList.toggle("broken", Boolean(problem));
    const nameOf = (index) => graph.nodes[index].name;
    const read = inputs.length ? `, of ${inputs.map(nameOf).join(" and ")}` : "";
    const readBy = outputs.length ? `, read by ${outputs.map(nameOf).join(" and ")}` : "";
    const said = marks.length ? `; ${marks[0][1]}` : "";
    const size = problem ? "cannot be computed" : shape.join(" × ");
    button.setAttribute("aria-label", `${name}: ${label}, ${size}${read}${readBy}${said}`);
    if (name === names[0]) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
  for (const { from, to, path } of graph.edges) {
    const [source, reader] = [graph.nodes[from].name, graph.nodes[to].name];
    const place = names.indexOf(reader);
    const isTrail = place >= 0 && names[place + 1] === source;
    const mark = isTrail ? "on-trail" : boxes.has(reader) ? "field" : "";
    if (path.getAttribute("class") === mark) continue;
    path.setAttribute("class", mark);
    // What is on the trail lies above other lines.
    if (isTrail) path.parentNode.append(path);
  }
  if (before === names[0]) return;
  byId("graph").dataset.unit = names[0];
  const index = graph.nodes.findIndex(({ name }) => name === names[0]);
  if (!byId("graph").contains(document.activeElement)) setGraphStop(index);
  scrollGraph(graph.nodes[index].button);
}
