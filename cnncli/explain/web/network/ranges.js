"use strict";
// Which values of a network's maps have which colours: one scale for all maps of a layer, or one for
// each map, and the bars that tell.

/** The range that a map is drawn by: that of its layer, or its own. */
function shownRange(layer, index) {
  return state.scale === "layer" ? layer.range : layer.ranges[index];
}

/** The colours of a map: about zero blue to red, else grey. */
function mapTable(layer, index) {
  const isColoured = layer.ranges[index].kind === "symmetric" && layer.pictures[index].channels.length === 1;
  return isColoured ? tables.diverging : null;
}

/** The range and the colours of what is drawn: the values, or the gradients. */
function drawnRange(layer, index, ofGradients = showsGradients()) {
  return ofGradients ? gradientRange(layer, index) : shownRange(layer, index);
}

function drawnTable(layer, index, ofGradients = showsGradients()) {
  return ofGradients ? tables.diverging : mapTable(layer, index);
}

/** The smallest and largest values of a map's channels. */
function mapEnds(layer, index) {
  return layer.pictures[index].channels.flatMap((channel) => layer.ends[layer.channels.indexOf(channel)]);
}

/** Whether a map of several cells is 0 everywhere. */
function isDead(layer, index) {
  return !isSingle(layer) && mapEnds(layer, index).every((end) => end === 0) && !layer.pictures[index].notFinite;
}

/** Which values of a map have the colours at the ends. */
function rangeText(layer, index) {
  if (showsGradients()) return gradientRangeText(layer, index);
  const own = layer.ranges[index];
  const most = Math.max(...mapEnds(layer, index).map(Math.abs));
  if (own.lo === own.hi) return constantMapText(layer, index, constantText(own, most));
  const { lo, hi } = shownRange(layer, index);
  const [low, high] = mapTable(layer, index) ? ["blue", "red"] : ["black", "white"];
  return `${numberText(lo)} ${low}, ${numberText(hi)} ${high}`;
}

/** What the finite values of a map are that are all one; "" where there are none. */
function constantMapText(layer, index, text) {
  const { notFinite, channels } = layer.pictures[index];
  if (!notFinite) return text;
  const isNone = notFinite === channels.reduce((sum, channel) => sum + layer.planes[channel].length, 0);
  return isNone ? "" : `${text} else`;
}

/** How many values, or gradients, of a map are not finite. */
function notFiniteCount(layer, index) {
  const { notFinite, channels } = layer.pictures[index];
  if (!showsGradients()) return notFinite;
  const counts = gradients.byLayer.get(layer.name)?.notFinite ?? [];
  return channels.reduce((sum, channel) => sum + (counts[channel] ?? 0), 0);
}

/** A bar of all colours with the numbers at its ends, to stand by a large map. */
function makeColourBar() {
  const canvas = element("canvas", { class: "colour-bar", "aria-hidden": "true" });
  const ends = element("div", { class: "bar-ends", "aria-hidden": "true" });
  return element("div", { class: "colour-scale" }, canvas, ends, element("p", { class: "dim beyond" }));
}

/** Draw the colour bar of a map as wide as the map is. */
function drawColourBar(node, layer, index, width) {
  const range = drawnRange(layer, index);
  node.hidden = range.lo === range.hi;
  const [canvas, ends, beyond] = node.children;
  // The numbers could tell what the quiz asks for.
  if (isAsking()) ends.replaceChildren();
  setText(beyond, isAsking() || showsGradients() ? "" : beyondText(layer, index));
  if (node.hidden || isAsking()) return;
  const table = drawnTable(layer, index);
  const key = [width, table === null, range.kind].join();
  if (canvas.dataset.drawn !== key) {
    canvas.dataset.drawn = key;
    node.style.width = `${width}px`;
    const bar = { kind: "minmax", lo: 0, hi: 255 };
    const levels = valuePicture(1, 256, [Uint8Array.from({ length: 256 }, (_, level) => level)], bar, table);
    prepareCanvas(canvas, width, BAR_HEIGHT).drawImage(levels, 0, 0, width, BAR_HEIGHT);
  }
  renew(ends, endNumbers(range.lo, range.hi));
}

/** How values beyond the ends of a bar are drawn, in words; "" where there are none. */
function beyondText(layer, index) {
  const { kind, lo, hi } = shownRange(layer, index);
  const values = state.scale === "layer" ? layer.ends.flat() : mapEnds(layer, index);
  const drawn = kind === "abs" ? values.map(Math.abs) : values;
  const [least, most] = [Math.min(...drawn), Math.max(...drawn)].map((value) => numberText(value));
  const up = most === numberText(hi) || Math.max(...drawn) < hi ? "" : `Values up to ${most} are drawn like ${numberText(hi)}.`;
  const down = least === numberText(lo) || Math.min(...drawn) > lo ? "" : `Values down to ${least} are drawn like ${numberText(lo)}.`;
  return [up, down].filter(Boolean).join(" ");
}

/** The numbers at the ends of a bar, and in its middle where that is 0. */
function endNumbers(lo, hi) {
  const values = lo === -hi ? [lo, 0, hi] : [lo, hi];
  return element("span", { class: "end-numbers" }, ...values.map((value) => element("span", { text: numberText(value) })));
}

const BAR_HEIGHT = 10;
const SHORTEST_BAR = 110;
const SCALES = [
  ["layer", "one for the layer"],
  ["map", "one for each map"],
];

/** The buttons that choose the scale, and those that open and close cards. */
function startTools() {
  const group = byId("scales");
  for (const [scale, text] of SCALES) {
    group.append(element("button", { type: "button", "data-scale": scale, text, click: () => apply({ scale }) }));
  }
  startArrows(group);
  const openWhere = (holds) => apply({ open: Object.fromEntries(layers.map(({ name }) => [name, holds(name)])) });
  byId("open-all").addEventListener("click", () => openWhere(() => true));
  byId("open-trail").addEventListener("click", () => openWhere((name) => trailNames().includes(name)));
}

function drawTools() {
  for (const button of byId("scales").children) {
    button.setAttribute("aria-pressed", String(button.dataset.scale === state.scale));
  }
  setTabStop(byId("scales"));
}
