"use strict";
// The page of a network: every layer with its maps, one unit, its receptive field in all layers before
// it, and the trail of strongest contributions to it. network_reads.js knows which cells read which,
// network_arithmetic.js computes, unit_panel.js shows the numbers of the unit.

const pageData = JSON.parse(document.getElementById("page-data").textContent);
const byId = (id) => document.getElementById(id);
const tables = Object.fromEntries(
  Object.entries(pageData.tables).map(([name, data]) => [name, bytesOf(data)]),
);
const LARGE = 230;
const THUMB = 56;
const SWATCH = 16;
const LONGEST_NAME = 36;
const COLOURS = ["red", "green", "blue"];

const layers = pageData.layers.map(readLayerMaps);
const byName = new Map(layers.map((layer) => [layer.name, layer]));
const labels = shortNames([...byName.keys()]);

/**
 * The chosen unit, and of every layer the map that is shown large; of a colour map the chosen colour,
 * and of a unit with a window the chosen input channel: null for the strongest. Only `apply` changes it.
 */
const state = {
  unit: { ...pageData.unit },
  channel: null,
  block: null,
  maps: Object.fromEntries(layers.map((layer) => [layer.name, firstMap(layer)])),
};

/** The index of the picture that a layer begins with. */
function firstMap(layer) {
  if (layer.name !== pageData.unit.layer) return Math.max(0, strongestMap(layer, [0, Infinity]));
  return Math.max(0, layer.pictures.findIndex((picture) => picture.index === pageData.unit.map));
}

/**
 * Change the unit or a layer's large map: the one way in, for clicks, keys and tests.
 * `unit` is { layer, map, at: [row, column] }, map counting all maps of the layer; `channel` and
 * `block` are as in `state`.
 */
function apply({ unit, maps, channel, block = null }) {
  state.block = block;
  if (unit) {
    const layer = byName.get(unit.layer);
    const at = unit.at.map((index, axis) => {
      const [first, last] = axis ? layer.cols : layer.rows;
      return Math.min(Math.max(index, first), last - 1);
    });
    state.unit = { ...unit, at };
    state.maps[unit.layer] = layer.pictures.findIndex((picture) => picture.index === unit.map);
  }
  if (channel !== undefined) state.channel = channel;
  const trail = trailOf(chosenUnit());
  if (unit || channel !== undefined) showFeedingMaps(trail);
  Object.assign(state.maps, maps);
  draw(trail);
}

/** The unit as network_arithmetic.js takes it: of a colour map one of its channels. */
function chosenUnit() {
  const { channels } = unitPicture();
  const units = channels.map((channel) => ({ layer: state.unit.layer, channel, at: state.unit.at }));
  const sizes = units.map((unit) => Math.abs(unitValue(unit)));
  const strongest = Math.max(0, sizes.indexOf(Math.max(...sizes)));
  return units[Math.min(state.channel ?? strongest, units.length - 1)];
}

/** Of layers before the unit, let the large map be that on the trail, or one that feeds the unit. */
function showFeedingMaps(trail) {
  for (const { unit } of trail.slice(1)) state.maps[unit.layer] = pictureIndex(byName.get(unit.layer), unit.channel);
  const channels = channelsBehind();
  for (const layer of layers) {
    const span = channels.get(layer.name);
    if (!span || layer.name === state.unit.layer || isInSpan(layer, state.maps[layer.name], span)) continue;
    const feeding = strongestMap(layer, span);
    if (feeding >= 0) state.maps[layer.name] = feeding;
  }
}

function valueText(layer, picture, row, col) {
  const texts = picture.channels.map((channel) => {
    const { value, step } = valueAt(layer, channel, row, col);
    return step && Number.isFinite(value) ? `${numberText(value)} ± ${numberText(step / 2, 1)}` : numberText(value);
  });
  return texts.join(", ");
}

/** The colours of a map: about zero blue to red, else grey. */
function mapTable(layer, index) {
  const isColoured = layer.ranges[index].kind === "symmetric" && layer.pictures[index].channels.length === 1;
  return isColoured ? tables.diverging : null;
}

/** A map as a picture of one pixel a cell, drawn once. */
function pictureOf(layer, index) {
  if (!layer.drawn.has(index)) {
    const picture = layer.pictures[index];
    const width = layer.cols[1] - layer.cols[0];
    const planes = picture.channels.map((channel) => layer.planes[channel]);
    const range = layer.ranges[index];
    const table = mapTable(layer, index);
    layer.drawn.set(
      index,
      cellPicture(layer.rows[1] - layer.rows[0], width, (row, col) => {
        const values = planes.map((plane) => plane[row * width + col]);
        return cellColour(values, range, table);
      }),
    );
  }
  return layer.drawn.get(index);
}

/** Draw a map, the box of cells that the unit depends on, and in it the cell on the trail. */
function drawMap(canvas, layer, index, size, box, cellOnTrail, colours) {
  const picture = pictureOf(layer, index);
  let cell = Math.min(size / Math.max(picture.width, picture.height), 40);
  if (cell >= 3) cell = Math.floor(cell);
  const context = prepareCanvas(canvas, picture.width * cell, picture.height * cell);
  drawCells(context, picture, cell);
  const width = size === LARGE ? 2.5 : 1.5;
  const outline = (edges, colour) => {
    const inMap = edges.map((edge, side) => edge - (side % 2 ? layer.cols[0] : layer.rows[0]));
    outlineCells(context, inMap, cell, colour, colours.halo, width);
  };
  if (box && box[2] > box[0] && layer.name !== state.unit.layer) outline(box, colours.path);
  if (cellOnTrail) outline([...cellOnTrail, cellOnTrail[0] + 1, cellOnTrail[1] + 1], colours.window);
}

function draw(trail = trailOf(chosenUnit())) {
  const boxes = receptiveField();
  const channels = channelsBehind();
  const colours = themeColours();
  for (const layer of layers) {
    drawLayer(layer, boxes.get(layer.name), channels.get(layer.name), trail, colours);
  }
  drawUnit(trail, boxes);
}

function boxText(box) {
  const rangeText = (what, from, to) => (to - from === 1 ? `${what} ${from}` : `${what}s ${from} to ${to - 1}`);
  return `${rangeText("row", box[0], box[2])}, ${rangeText("column", box[1], box[3])}`;
}

function mapLabel(picture) {
  return picture.name || String(picture.index);
}

function mapName(picture) {
  return picture.name && picture.name !== String(picture.index)
    ? `${picture.index} (${picture.name})`
    : String(picture.index);
}

function drawLayer(layer, box, span, trail, colours) {
  const { card } = layer;
  const place = trail.findIndex(({ unit }) => unit.layer === layer.name);
  const onTrail = place < 0 ? null : trail[place].unit;
  const mapOnTrail = onTrail && pictureIndex(layer, onTrail.channel);
  const cellOf = (index) => (index === mapOnTrail ? onTrail.at : null);
  /** The cells to outline in a map: none in one that the unit is not made from. */
  const boxOf = (index) => (box && span && isInSpan(layer, index, span) ? box : null);
  const isUnit = layer.name === state.unit.layer;
  card.classList.toggle("chosen", isUnit);
  card.classList.toggle("lit", Boolean(box) && !isUnit);
  const lit = card.querySelector(".lit-text");
  if (!box || isUnit) lit.textContent = "";
  else if (!boxOf(state.maps[layer.name])) lit.textContent = "the unit does not depend on this map";
  else lit.textContent = box[2] > box[0] ? `lit: ${boxText(box)}` : "lit: nothing, only padding";
  const large = state.maps[layer.name];
  drawMap(card.querySelector(".large"), layer, large, LARGE, boxOf(large), cellOf(large), colours);
  const size = isSingle(layer) ? SWATCH : THUMB;
  for (const button of card.querySelectorAll(".thumb")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.map) === large));
  }
  sortStrip(layer, place > 0 ? trail[place - 1].made : null);
  card.querySelectorAll(".thumb").forEach((button) => {
    const index = Number(button.dataset.map);
    if (!button.hidden) drawMap(button.querySelector("canvas"), layer, index, size, boxOf(index), cellOf(index), colours);
  });
  for (const strip of card.querySelectorAll(".strip")) setTabStop(strip);
  const text = [rangeText(layer, large), notFiniteText(layer.pictures[large].notFinite)].filter(Boolean).join("; ");
  card.querySelector(".range").textContent = text;
}

/** Which values of a map have the colours at the ends. */
function rangeText(layer, index) {
  const range = layer.ranges[index];
  const ends = layer.pictures[index].channels.flatMap((channel) => layer.ends[layer.channels.indexOf(channel)]);
  if (range.lo === range.hi) return constantText(range, Math.max(...ends.map(Math.abs)));
  const [low, high] = mapTable(layer, index) ? ["blue", "red"] : ["black", "white"];
  return `${numberText(range.lo)} ${low}, ${numberText(range.hi)} ${high}`;
}

/** The card of a layer: its facts, the large map, and the strip of maps. */
function makeCard(layer) {
  const [height, width, channels] = layer.shape;
  const text = element("div", { class: "about" });
  text.append(
    nameElement(layer.name, "h2"),
    element("p", {}, ...aboutParts(layer)),
    element("p", { class: "shape", text: `${height} × ${width} × ${channels}` }),
  );
  if (layer.formula) {
    const [rows, cols] = layer.formula.map((formula) => formula.replaceAll("*", "×").replaceAll("//", " // "));
    const texts = rows === cols ? [`rows and columns: ${rows}`] : [`rows: ${rows}`, `columns: ${cols}`];
    text.append(...texts.map((line) => element("p", { class: "dim", text: line })));
  }
  if (layer.field) {
    text.append(element("p", { class: "dim", text: fieldText(layer.field) }));
  }
  text.append(element("p", { class: "lit-text" }));
  const large = element("canvas", {
    class: "large",
    tabindex: "0",
    role: "application",
    "aria-label": `A map of ${layer.name}. Enter chooses a unit, arrow keys move it.`,
  });
  startMoving(large, layer);
  const figure = element("figure", { class: "map-figure" }, large, element("figcaption", { class: "dim range" }));
  const card = element("li", { class: "panel card" }, text, figure);
  if (layer.pictures.length > 1) card.append(makeStrip(layer));
  return card;
}

/** The size of a unit's receptive field; with padding it may be larger than the input. */
function fieldText(field) {
  const [height, width] = byName.get("input").shape;
  const text = `each unit sees ${field.join(" × ")} pixels`;
  if (field[0] <= height && field[1] <= width) return `${text} of the input`;
  const beyond = field[0] >= height && field[1] >= width ? "the whole input and padding" : "padding too";
  return `${text}: ${beyond}`;
}

/** Names without their middle where they are long, by name; whole where two would be alike. */
function shortNames(names) {
  const end = Math.ceil(LONGEST_NAME * 0.7);
  const shorten = (name) =>
    name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1 - end)}…${name.slice(-end)}` : name;
  const counts = new Map();
  for (const name of names) counts.set(shorten(name), (counts.get(shorten(name)) ?? 0) + 1);
  return new Map(names.map((name) => [name, counts.get(shorten(name)) === 1 ? shorten(name) : name]));
}

/** A layer's short name, with the whole one as its tooltip; lines break behind its parts. */
function nameElement(name, tag = "span") {
  const label = labels.get(name);
  const node = element(tag, { class: "name", title: label === name ? undefined : name });
  for (const part of label.match(/[^-_./…]*[-_./…]*/g)) node.append(part, document.createElement("wbr"));
  return node;
}

/** What a layer is, and of which layers. */
function aboutParts(layer) {
  if (layer.name === "input") return ["the image"];
  const names = layer.inputs.flatMap((name, index) => [index ? " and " : " of ", nameElement(name)]);
  return [layer.label, ...names];
}

const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [0, 0] };

function startMoving(canvas, layer) {
  const choose = (at) =>
    apply({ unit: { layer: layer.name, map: layer.pictures[state.maps[layer.name]].index, at } });
  const cellAt = (event) => {
    const box = canvas.getBoundingClientRect();
    const [height, width] = [layer.rows[1] - layer.rows[0], layer.cols[1] - layer.cols[0]];
    const row = Math.floor(((event.clientY - box.top) / box.height) * height);
    const col = Math.floor(((event.clientX - box.left) / box.width) * width);
    return [row + layer.rows[0], col + layer.cols[0]];
  };
  canvas.addEventListener("pointerdown", (event) => choose(cellAt(event)));
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) choose(cellAt(event));
  });
  canvas.addEventListener("keydown", (event) => {
    if (!KEYS[event.key]) return;
    event.preventDefault();
    const times = event.shiftKey ? 10 : 1;
    const isUnit = layer.name === state.unit.layer;
    const from = isUnit ? state.unit.at : beginning(layer);
    choose(from.map((index, axis) => index + times * (isUnit ? KEYS[event.key][axis] : 0)));
  });
}

/** The cell of a layer from which keys begin: that on the trail, or the middle. */
function beginning(layer) {
  const onTrail = trailOf(chosenUnit()).find(({ unit }) => unit.layer === layer.name);
  const middle = [(layer.rows[0] + layer.rows[1]) >> 1, (layer.cols[0] + layer.cols[1]) >> 1];
  return onTrail ? onTrail.unit.at : middle;
}

function startNetworkPage() {
  byId("title").textContent = pageData.title;
  byId("notes").replaceChildren(...pageData.notes.map((text) => element("p", { text })));
  for (const layer of layers) {
    layer.card = makeCard(layer);
    byId("layers").append(layer.card);
  }
  startTheme(() => draw());
  apply({ unit: state.unit });
  // For tests, and for trying things in the browser's console.
  window.cnncli = {
    apply,
    state,
    field: () => Object.fromEntries(receptiveField()),
    channels: () => Object.fromEntries(channelsBehind()),
    trail: () => trailOf(chosenUnit()).map(({ unit }) => unit),
    arithmetic: unitArithmetic,
    value: (name, channel, row, col) => valueAt(byName.get(name), channel, row, col),
  };
}

startNetworkPage();
