"use strict";
// The page of a network: every layer with its maps, one unit, its receptive field in all layers before
// it, and the trail of strongest contributions to it. network/reads.js knows which cells read which,
// network/unit_values.js computes units, network/unit_panel.js shows their numbers, network/graph.js the layers as
// a graph, network/cards.js their maps. The page of a small network computes all layers, see
// network/live.js; those of others are in the page's data.

const byId = (id) => document.getElementById(id);
const tables = pageData.tables;
const LARGE = 230;
/** The same, where no other maps stand beside it. */
const LARGEST = 320;
const THUMB = 56;
const SWATCH = 16;
const MINI = 26;
const LONGEST_NAME = 36;
const COLOURS = ["red", "green", "blue"];

/** Whether the user stacks the layers, see playground/playground.js. */
const isPlayground = pageData.kind === "playground";

let layers = [];
let byName = new Map();
let labels = new Map();

/**
 * The chosen unit, and of every layer the map that is shown large; of a colour map the chosen colour,
 * and of a unit with a window the chosen input channel: null for the strongest. `against` is the map of scores
 * that the chosen one is compared with: null for the highest other one. `scale` is "layer" or
 * "map": what has one scale of colours. `open` tells by name which cards are open: the trail opens those
 * that it comes to; `whole` tells by list, such as "maps conv1" or "kernels conv1", which are shown whole. With `gradients` maps show those of the unit, and `cell`, { layer, channel, at }, is the one
 * of which the page tells who sends it: null for that before the unit on the trail. `kernel`, { layer, channel, depth },
 * tells which of its input channels has its weights listed for that map: null for that with the largest gradient. Only
 * `apply` changes it. `ofScore` tells whether gradients of a probability are those of the score before it: null where
 * it is saturated.
 */
const state = {
  unit: { ...pageData.unit },
  // Of a network that the page computes, see network/input.js.
  input: null,
  channel: null,
  block: null,
  against: null,
  quiz: null,
  maps: {},
  scale: "layer",
  open: {},
  whole: {},
  gradients: Boolean(pageData.gradients),
  ofScore: null,
  cell: pageData.gradients ?? null,
  kernel: null,
};

/** What the last `draw` showed: { boxes, channels, trail, colours, senders }; canvases are drawn by it later. */
let view = null;

/** The index of the picture that a layer begins with. */
function firstMap(layer) {
  if (layer.name !== pageData.unit.layer) return Math.max(0, strongestMap(layer, [0, Infinity]));
  return Math.max(0, layer.pictures.findIndex((picture) => picture.index === pageData.unit.map));
}

/**
 * Change the unit, a layer's large map, or the network: the one way in, for clicks, keys and tests.
 *
 * `unit` is { layer, map, at: [row, column] }, map counting all maps of the layer; `channel`, `block`,
 * `scale`, `open`, `whole`, `quiz`, `against`, `gradients`, `ofScore`, `cell` and `kernel` are as in `state`. `layers` has fields of settings by layer, such as
 * { conv1: { stride: [2, 2], off: [3] } }, and `input` is another input: of a network that the page
 * computes; `specs` are other layers altogether, and while they are computed `layers` are not taken. While a question
 * of the quiz is open only `maps` and `whole` change. Resolves when all is drawn.
 */
function apply(wanted) {
  const held = allowedChanges(wanted, ["maps", "whole"]);
  if (held.specs || (held.unit && held.unit.layer !== state.unit.layer)) leaveEditor();
  const { unit, maps, channel, scale, open, quiz = state.quiz, layers: changes, input, specs } = held;
  const { gradients: isOn = state.gradients, cell = state.cell, against = state.against, kernel = state.kernel } = held;
  const { ofScore = state.ofScore } = held;
  // Another unit has other input channels.
  const { block = unit || channel !== undefined ? null : state.block } = held;
  if (isOn !== state.gradients) for (const layer of layers) layer.drawn.clear();
  Object.assign(state, { block, quiz, gradients: isOn, ofScore, cell, against, kernel });
  const [chosen, before] = [state.unit.layer, trailNames()];
  if (unit) chooseUnit(unit);
  if (channel !== undefined) state.channel = channel;
  if (scale && scale !== state.scale) {
    state.scale = scale;
    for (const layer of layers) layer.drawn.clear();
  }
  const trail = chosenTrail();
  if (trail.length && (unit || channel !== undefined)) showFeedingMaps(trail);
  Object.assign(state.maps, maps);
  const [name, ...others] = trail.map(({ unit: { layer } }) => layer);
  for (const other of others) if (!before.includes(other)) state.open[other] = true;
  if (name && (name !== chosen || !before.length)) {
    state.open[name] = true;
    renewHeights();
  }
  if (held.cell) {
    state.maps[cell.layer] = pictureIndex(byName.get(cell.layer), cell.channel);
    state.open[cell.layer] = true;
  }
  Object.assign(state.open, open);
  Object.assign(state.whole, held.whole);
  if (input) state.input = input;
  if (changes || input || specs) return recompute({ specs, changes, input }).then(allDrawn);
  draw(trail);
  return requestGradients(trail).then(allDrawn);
}

/** Choose a unit, or that nearest to it. */
function chooseUnit(unit) {
  const layer = byName.get(unit.layer);
  state.unit = unit;
  // A layer that cannot be computed has no units; its own is shown again when it can.
  if (layer.problem) return;
  const at = unit.at.map((index, axis) => {
    const [first, last] = axis ? layer.cols : layer.rows;
    return Math.min(Math.max(index, first), last - 1);
  });
  const map = layer.pictures.findIndex((picture) => picture.index === unit.map);
  state.maps[unit.layer] = Math.max(map, 0);
  state.unit = { ...unit, at, map: map < 0 ? 0 : unit.map };
}

/** The trail of the chosen unit; empty where its layer cannot be computed. */
function chosenTrail() {
  return byName.get(state.unit.layer).problem ? [] : trailOf(chosenUnit());
}

/** The layers on the trail that was drawn last. */
function trailNames() {
  return view ? view.trail.map(({ unit }) => unit.layer) : [];
}

/** The unit as network/unit_values.js takes it: of a colour map one of its channels. */
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

function draw(trail = chosenTrail()) {
  // What waits shows the unit of before.
  postponed.clear();
  drawQuiz();
  // Most of the page is not there, see holdPage.
  if (isAsking()) {
    view = viewOfAsked();
    drawAskedMaps();
    return;
  }
  const isKnown = trail.length > 0;
  const [boxes, channels] = isKnown ? [receptiveField(), channelsBehind()] : [new Map(), new Map()];
  view = { boxes, channels, trail, colours: themeColours() };
  view.senders = findSenders();
  drawCards();
  drawGraph(trail, boxes);
  drawTools();
  drawInputTexts();
  drawOwnPicture();
  drawGradients();
  if (isKnown) drawUnit(trail, boxes);
  else drawProblem(byName.get(state.unit.layer));
  if (live) drawChanges();
  if (isPlayground) drawPlayground();
  // When panels are hidden or made anew: canvases of before may be of units that are not there any more.
  paintInSight();
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

const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [0, 0] };

function startMoving(canvas, layer) {
  const choose = (at) => {
    const index = state.maps[layer.name];
    if (hasGradient(layer)) apply({ cell: cellOfMap(layer, index, at) });
    else apply({ unit: { layer: layer.name, map: layer.pictures[index].index, at } });
  };
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
    const here = [state.unit, shownCell()].find((one) => one && one.layer === layer.name);
    const from = here ? here.at : beginning(layer);
    choose(from.map((index, axis) => index + times * (here ? KEYS[event.key][axis] : 0)));
  });
}

/** The cell of a layer from which keys begin: that on the trail, or the middle. */
function beginning(layer) {
  const onTrail = chosenTrail().find(({ unit }) => unit.layer === layer.name);
  const middle = [(layer.rows[0] + layer.rows[1]) >> 1, (layer.cols[0] + layer.cols[1]) >> 1];
  return onTrail ? onTrail.unit.at : middle;
}

function startNetworkPage() {
  drawInputTexts();
  if (isPlayground) startPlayground();
  else if (pageData.input) startLive();
  else startLayers(pageData.layers.map(readLayerMaps));
}

/** Show these layers in place of any others: their cards and their graph. */
function showLayers(records) {
  layers = records;
  byName = new Map(layers.map((layer) => [layer.name, layer]));
  labels = shortNames([...byName.keys()]);
  view = null;
  for (const layer of layers) {
    state.maps[layer.name] = firstMap(layer);
    layer.card = makeCard(layer);
  }
  byId("layers").replaceChildren(...layers.map(({ card }) => card.node));
  showGraph();
}

/** Put what words mean below where they are used. */
function startNetworkWords() {
  const lists = {
    "trail-panel": ["unit", "receptive field", "trail"],
    comparison: ["score", "softmax", "weight", "bias", "gradient"],
    looked: ["gradient"],
    weights: ["gradient", "dA, dW, db"],
    "gradient-panel": ["gradient", "upstream"],
    "how-panel": ["window", "weight", "channel", "bias", "activation"],
    "editor-fields": ["kernel", "stride", "padding", "dilation"],
  };
  for (const [id, names] of Object.entries(lists)) byId(id).append(wordsList(...names));
}

/** Show all layers, and begin with the unit of the page's data. */
function startLayers(records) {
  showLayers(records);
  byId("to-graph").addEventListener("click", () => goToGraph(state.unit.layer));
  startTools();
  startNetworkWords();
  if (!isPlayground) startComparison();
  startGradients();
  startArrows(byId("channels"));
  startTrail();
  startTheme(() => draw());
  startQuizPanel();
  startNetworkInput();
  apply({ unit: state.unit, cell: state.cell });
  window.addEventListener("resize", renewHeights);
  window.addEventListener("beforeprint", drawForPaper);
  window.addEventListener("afterprint", closeAfterPaper);
  // For tests, and for trying things in the browser's console.
  window.cnncli = {
    apply,
    state,
    field: () => Object.fromEntries(receptiveField()),
    channels: () => Object.fromEntries(channelsBehind()),
    trail: () => trailOf(chosenUnit()).map(({ unit }) => unit),
    arithmetic: unitArithmetic,
    quiz: startQuiz,
    value: (name, channel, row, col) => valueAt(byName.get(name), channel, row, col),
    layers: () => layers,
    gradients: () => gradients,
    senders: () => sendersOf(shownCell()),
  };
}

startNetworkPage();
