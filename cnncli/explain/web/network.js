"use strict";
// The page of a network: every layer with its maps, one unit, and its receptive field in all layers
// before it. The data tells which cells read which, by cnncli/core/geometry.py: for each output row,
// column and channel the first input row, column and channel, and the one after the last.

const pageData = JSON.parse(document.getElementById("page-data").textContent);
const byId = (id) => document.getElementById(id);
const tables = Object.fromEntries(
  Object.entries(pageData.tables).map(([name, data]) => [name, bytesOf(data)]),
);
const LARGE = 230;
const THUMB = 56;
const SWATCH = 16;
const LONGEST_NAME = 36;
let announceTimer = 0;

const layers = pageData.layers.map(readLayer);
const byName = new Map(layers.map((layer) => [layer.name, layer]));
const labels = shortNames([...byName.keys()]);

/** The chosen unit, and of every layer the map that is shown large. Only `apply` changes it. */
const state = {
  unit: { ...pageData.unit },
  maps: Object.fromEntries(layers.map((layer) => [layer.name, firstMap(layer)])),
};

function readLayer(record) {
  const raw = arrayOf(record);
  const count = (record.rows[1] - record.rows[0]) * (record.cols[1] - record.cols[0]);
  const planes = new Map();
  const largestCode = 2 ** (8 * raw.BYTES_PER_ELEMENT) - 1;
  record.channels.forEach((channel, index) => {
    const part = raw.subarray(index * count, (index + 1) * count);
    const [lo, step] = [record.ends[index][0], record.steps[index]];
    planes.set(channel, { step, at: record.dtype === "float32" ? (cell) => part[cell] : (cell) => roundedValue(part[cell], lo, step, largestCode) });
  });
  const reads = record.reads.map((axes) => ({
    rows: arrayOf(axes.rows),
    cols: arrayOf(axes.cols),
    channels: arrayOf(axes.channels),
  }));
  const ranges = record.pictures.map((picture) => picture.range);
  return { ...record, planes, reads, ranges, drawn: new Map() };
}

/** The value that a whole number stands for: the largest three are NaN, ∞ and −∞. */
function roundedValue(code, lo, step, largestCode) {
  const kind = largestCode - code;
  return kind < 3 ? [NaN, Infinity, -Infinity][kind] : lo + code * step;
}

/** The index of the picture that a layer begins with. */
function firstMap(layer) {
  if (layer.name !== pageData.unit.layer) return Math.max(0, strongestMap(layer, [0, Infinity]));
  return Math.max(0, layer.pictures.findIndex((picture) => picture.index === pageData.unit.map));
}

/**
 * Change the unit or a layer's large map: the one way in, for clicks, keys and tests.
 * `unit` is { layer, map, at: [row, column] }, map counting all maps of the layer.
 */
function apply({ unit, maps }) {
  if (unit) {
    const layer = byName.get(unit.layer);
    const at = unit.at.map((index, axis) => {
      const [first, last] = axis ? layer.cols : layer.rows;
      return Math.min(Math.max(index, first), last - 1);
    });
    state.unit = { ...unit, at };
    state.maps[unit.layer] = layer.pictures.findIndex((picture) => picture.index === unit.map);
  }
  Object.assign(state.maps, maps);
  if (unit) showFeedingMaps();
  draw();
}

/** Of layers before the unit, let the large map be one that the unit is made from. */
function showFeedingMaps() {
  const channels = channelsBehind();
  for (const layer of layers) {
    const span = channels.get(layer.name);
    if (!span || layer.name === state.unit.layer || isInSpan(layer, state.maps[layer.name], span)) continue;
    const feeding = strongestMap(layer, span);
    if (feeding >= 0) state.maps[layer.name] = feeding;
  }
}

/**
 * The index of the map with the largest magnitude among those of some channels, of maps of one row
 * and column with the largest value; -1 if none is in the page.
 */
function strongestMap(layer, span) {
  const endsOf = (channel) => layer.ends[layer.channels.indexOf(channel)];
  const sizeOf = isSingle(layer) ? (value) => value : Math.abs;
  const strength = ({ channels }) => Math.max(...channels.flatMap(endsOf).map(sizeOf));
  let best = -1;
  layer.pictures.forEach((picture, index) => {
    if (!isInSpan(layer, index, span)) return;
    if (best < 0 || strength(picture) > strength(layer.pictures[best])) best = index;
  });
  return best;
}

/** Whether a map has one of the channels [first, last). */
function isInSpan(layer, index, [first, last]) {
  return layer.pictures[index].channels.some((channel) => channel >= first && channel < last);
}

/** Channels [first, last) that the unit is made from, by layer. */
function channelsBehind() {
  const { channels } = unitPicture();
  const spans = new Map([[state.unit.layer, [Math.min(...channels), Math.max(...channels) + 1]]]);
  for (const layer of [...layers].reverse()) {
    const span = spans.get(layer.name);
    if (!span) continue;
    layer.inputs.forEach((name, index) => {
      const read = readRange(layer.reads[index].channels, span[0], span[1]);
      if (!read) return;
      const known = spans.get(name) ?? read;
      spans.set(name, [Math.min(known[0], read[0]), Math.max(known[1], read[1])]);
    });
  }
  return spans;
}

/** The map that the unit is on. */
function unitPicture() {
  return byName.get(state.unit.layer).pictures[state.maps[state.unit.layer]];
}

/** Boxes [top, left, bottom, right] of the cells that the unit depends on, by layer. */
function receptiveField() {
  const [row, col] = state.unit.at;
  const boxes = new Map([[state.unit.layer, [row, col, row + 1, col + 1]]]);
  for (const layer of [...layers].reverse()) {
    const box = boxes.get(layer.name);
    if (!box) continue;
    layer.inputs.forEach((name, index) => {
      const rows = readRange(layer.reads[index].rows, box[0], box[2]);
      const cols = readRange(layer.reads[index].cols, box[1], box[3]);
      const read = rows && cols ? [rows[0], cols[0], rows[1], cols[1]] : [0, 0, 0, 0];
      boxes.set(name, boxes.has(name) ? unionBox(boxes.get(name), read) : read);
    });
  }
  return boxes;
}

/** The cells from the first to the last that outputs [first, last) read; null if none. */
function readRange(spans, first, last) {
  let [low, high] = [Infinity, -Infinity];
  for (let output = first; output < last; output += 1) {
    const [begin, end] = [spans[2 * output], spans[2 * output + 1]];
    if (end <= begin) continue;
    low = Math.min(low, begin);
    high = Math.max(high, end);
  }
  return low < high ? [low, high] : null;
}

/** The smallest box around two; empty ones do not count. */
function unionBox(one, other) {
  if (one[2] <= one[0]) return other;
  if (other[2] <= other[0]) return one;
  return [0, 1].map((i) => Math.min(one[i], other[i])).concat([2, 3].map((i) => Math.max(one[i], other[i])));
}

/** A value of a layer, with the precision that the page has. */
function valueAt(layer, channel, row, col) {
  const plane = layer.planes.get(channel);
  const width = layer.cols[1] - layer.cols[0];
  return { value: plane.at((row - layer.rows[0]) * width + col - layer.cols[0]), step: plane.step };
}

function valueText(layer, picture, row, col) {
  const texts = picture.channels.map((channel) => {
    const { value, step } = valueAt(layer, channel, row, col);
    return step && Number.isFinite(value) ? `${numberText(value)} ± ${numberText(step / 2, 1)}` : numberText(value);
  });
  return texts.join(", ");
}

/** A map as a picture of one pixel a cell, drawn once. */
function pictureOf(layer, index) {
  if (!layer.drawn.has(index)) {
    const picture = layer.pictures[index];
    const width = layer.cols[1] - layer.cols[0];
    const planes = picture.channels.map((channel) => layer.planes.get(channel));
    const range = layer.ranges[index];
    const table = planes.length === 1 && range.kind === "symmetric" ? tables.diverging : null;
    layer.drawn.set(
      index,
      cellPicture(layer.rows[1] - layer.rows[0], width, (row, col) => {
        const values = planes.map((plane) => plane.at(row * width + col));
        return cellColour(values, range, table);
      }),
    );
  }
  return layer.drawn.get(index);
}

/** Draw a map, and the box of cells that the unit depends on. */
function drawMap(canvas, layer, index, size, box, colours) {
  const picture = pictureOf(layer, index);
  let cell = Math.min(size / Math.max(picture.width, picture.height), 40);
  if (cell >= 3) cell = Math.floor(cell);
  const context = prepareCanvas(canvas, picture.width * cell, picture.height * cell);
  drawCells(context, picture, cell);
  if (!box || box[2] <= box[0]) return;
  const inMap = box.map((edge, side) => edge - (side % 2 ? layer.cols[0] : layer.rows[0]));
  const isUnit = layer.name === state.unit.layer;
  const width = size === LARGE ? 2.5 : 1.5;
  outlineCells(context, inMap, cell, isUnit ? colours.window : colours.path, colours.halo, width);
}

function draw() {
  const boxes = receptiveField();
  const channels = channelsBehind();
  const colours = themeColours();
  for (const layer of layers) drawLayer(layer, boxes.get(layer.name), channels.get(layer.name), colours);
  const { unit } = state;
  const layer = byName.get(unit.layer);
  const picture = unitPicture();
  const [row, col] = unit.at;
  const name = layer.maps > 1 ? `, map ${mapName(picture)}` : "";
  const place = `${name}, row ${row}, column ${col}: ${valueText(layer, picture, row, col)}`;
  const source = boxes.get("input");
  const sentence =
    unit.layer === "input"
      ? "A pixel of the input."
      : source && source[2] > source[0]
        ? `It depends on ${boxText(source)} of the input: ${source[2] - source[0]} × ${source[3] - source[1]} pixels.`
        : "It depends on no pixel of the input.";
  byId("headline").replaceChildren(nameElement(unit.layer), place);
  byId("sentence").textContent = sentence;
  clearTimeout(announceTimer);
  announceTimer = setTimeout(() => {
    byId("live").textContent = `${unit.layer}${place}. ${sentence}`;
  }, 500);
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

function drawLayer(layer, box, span, colours) {
  const { card } = layer;
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
  drawMap(card.querySelector(".large"), layer, large, LARGE, boxOf(large), colours);
  const size = isSingle(layer) ? SWATCH : THUMB;
  card.querySelectorAll(".thumb").forEach((button) => {
    const index = Number(button.dataset.map);
    button.setAttribute("aria-pressed", String(index === large));
    drawMap(button.querySelector("canvas"), layer, index, size, boxOf(index), colours);
  });
  const text = [rangeText(layer, large), notFiniteText(layer.pictures[large].notFinite)].filter(Boolean).join("; ");
  card.querySelector(".range").textContent = text;
}

/** Which values of a map have the colours at the ends. */
function rangeText(layer, index) {
  const range = layer.ranges[index];
  const isColoured = range.kind === "symmetric" && layer.pictures[index].channels.length === 1;
  const ends = layer.pictures[index].channels.flatMap((channel) => layer.ends[layer.channels.indexOf(channel)]);
  if (range.lo === range.hi) return constantText(range, Math.max(...ends.map(Math.abs)));
  const [low, high] = isColoured ? ["blue", "red"] : ["black", "white"];
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
    "aria-label": `A map of ${layer.name}. Arrow keys move the unit.`,
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

/** Whether a layer has one row and one column, such as a classifier's output. */
function isSingle(layer) {
  return layer.shape[0] === 1 && layer.shape[1] === 1;
}

/** The pictures of a strip: all, or of many scores the largest, largest first. */
function stripOrder(layer) {
  const all = layer.pictures.map((_, index) => index);
  if (!layer.largest.length || all.length <= layer.largest.length) return all;
  const places = new Map(layer.pictures.map((picture, index) => [picture.index, index]));
  return layer.largest.map((index) => places.get(index)).filter((index) => index !== undefined);
}

/** The range of bars, as `bar_range` of render/scores.py: that of the squares, and zero. */
function barRange({ lo, hi }) {
  return { lo: Math.min(lo, 0), hi: Math.max(hi, 0) };
}

/** A bar from zero along that range. */
function scoreBar(range, value) {
  const { kind } = range;
  const { lo, hi } = barRange(range);
  const middle = kind === "symmetric" ? 50 : 0;
  const share = (number) => (hi > lo ? (100 * (Math.min(Math.max(number, lo), hi) - lo)) / (hi - lo) : middle);
  const bar = element("span", { class: "bar" });
  const [zero, end] = [share(0), Number.isFinite(value) ? share(value) : share(0)];
  bar.style.left = `${Math.min(zero, end)}%`;
  bar.style.width = `${Math.abs(end - zero)}%`;
  return element("span", { class: "track", "aria-hidden": "true" }, bar);
}

/** The ends of the range that bars have. */
function barEnds(range) {
  const { lo, hi } = barRange(range);
  const ends = lo < hi ? [lo, hi] : [];
  if (lo < 0 && lo === -hi) ends.splice(1, 0, 0);
  const texts = ends.map((value) => element("span", { text: numberText(value) }));
  return element("p", { class: "ends", "aria-hidden": "true" }, element("span", {}, ...texts));
}

/** Letters of the longest value, so that the bars of all rows are of one length. */
function longestNumber(layer) {
  const texts = stripOrder(layer).map((index) => valueText(layer, layer.pictures[index], layer.rows[0], layer.cols[0]));
  return Math.max(...texts.map((text) => text.length));
}

function makeStrip(layer) {
  const single = isSingle(layer);
  const scores = layer.largest.length > 0;
  const name = `Maps of ${layer.name}`;
  const strip = element("div", { class: scores ? "strip scores" : "strip wrap", role: "group", "aria-label": name });
  if (scores) {
    const longest = Math.max(...layer.pictures.map((picture) => mapLabel(picture).length));
    strip.style.setProperty("--label", `${Math.min(longest, 24) + 1}ch`);
    strip.style.setProperty("--number", `${longestNumber(layer) + 1}ch`);
    const picture = layer.pictures.find(({ index }) => index === layer.winner);
    let best = layer.winner === null ? "not a number: no score is finite, none is the largest" : "";
    if (picture) best = `largest: ${mapName(picture)} (${valueText(layer, picture, 0, 0)})`;
    strip.append(element("p", { class: "largest", text: best }), barEnds(layer.ranges[0]));
  }
  stripOrder(layer).forEach((index) => {
    const picture = layer.pictures[index];
    const label = mapLabel(picture);
    const button = element(
      "button",
      { type: "button", class: "thumb", "aria-label": `Map ${mapName(picture)} of ${layer.name}` },
      element("canvas", { "aria-hidden": "true" }),
      element("span", { text: label }),
    );
    button.dataset.map = index;
    if (scores) {
      button.append(scoreBar(layer.ranges[index], valueAt(layer, picture.channels[0], 0, 0).value));
      button.classList.toggle("best", picture.index === layer.winner);
    }
    if (single) {
      button.append(element("b", { text: valueText(layer, picture, layer.rows[0], layer.cols[0]) }));
    }
    button.addEventListener("click", () => {
      const isUnit = layer.name === state.unit.layer;
      if (single) apply({ unit: { layer: layer.name, map: picture.index, at: [layer.rows[0], layer.cols[0]] } });
      else if (isUnit) apply({ unit: { ...state.unit, map: picture.index } });
      else apply({ maps: { [layer.name]: index } });
    });
    strip.append(button);
  });
  const count = strip.querySelectorAll(".thumb").length;
  if (count < layer.maps) {
    strip.append(element("span", { class: "dim", text: `${count} of ${layer.maps} maps` }));
  }
  return strip;
}

const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

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
    const middle = [(layer.rows[0] + layer.rows[1]) >> 1, (layer.cols[0] + layer.cols[1]) >> 1];
    const isUnit = layer.name === state.unit.layer;
    const from = isUnit ? state.unit.at : middle;
    choose(from.map((index, axis) => index + times * (isUnit ? KEYS[event.key][axis] : 0)));
  });
}

function startNetworkPage() {
  byId("title").textContent = pageData.title;
  byId("notes").replaceChildren(...pageData.notes.map((text) => element("p", { text })));
  for (const layer of layers) {
    layer.card = makeCard(layer);
    byId("layers").append(layer.card);
  }
  startTheme(draw);
  apply({ unit: state.unit });
  // For tests, and for trying things in the browser's console.
  window.cnncli = {
    apply,
    state,
    field: () => Object.fromEntries(receptiveField()),
    channels: () => Object.fromEntries(channelsBehind()),
    value: (name, channel, row, col) => valueAt(byName.get(name), channel, row, col),
  };
}

startNetworkPage();
