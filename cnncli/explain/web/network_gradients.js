"use strict";
// Gradients on a network's page: each map shows how much the chosen unit grows with each of its values, and a
// panel tells who sends gradient to one cell. network_backward.js computes them, of all layers in the worker.

/** Of the unit with this key the gradients by layer, as `networkGradients` returns them; null before they are here. */
let gradients = null;

function keyOf({ layer, channel, at }) {
  return [layer, channel, ...at].join();
}

/** Whether maps show gradients. */
function showsGradients() {
  return state.gradients && gradients !== null;
}

/** Ask the worker for the gradients of the chosen unit, unless they are here; resolves when they are drawn. */
function requestGradients(trail) {
  if (!live || !state.gradients || !trail.length) return Promise.resolve();
  const { layer, channel, at } = trail[0].unit;
  if (gradients?.key === keyOf(trail[0].unit)) return Promise.resolve();
  return live.request({ unit: { layer, channel, at } });
}

/** Take over what the worker found for a unit: nothing, where layers have changed and it was not asked. */
function takeGradients(unit, byLayer) {
  gradients = byLayer ? { key: keyOf(unit), byLayer } : null;
  for (const layer of layers) layer.drawn.clear();
}

/** Whether a layer lies behind the unit, so that clicks on its maps choose a cell. */
function hasGradient({ name }) {
  return showsGradients() && name !== state.unit.layer && gradients.byLayer.has(name);
}

/** The gradients of a map; of a colour map that of largest magnitude in each cell, as `cnncli grad` draws it. */
function gradientPlane(layer, index) {
  const { channels } = layer.pictures[index];
  const found = gradients.byLayer.get(layer.name);
  if (!found) return new Float64Array(layer.planes[0].length);
  const planes = channels.map((channel) => found.planes[channel]);
  const larger = (one, other) => (Math.abs(other) > Math.abs(one) ? other : one);
  return planes.length === 1 ? planes[0] : planes[0].map((_, cell) => planes.map((plane) => plane[cell]).reduce(larger));
}

/** The range of a map's gradients about zero: of all maps of the layer, or its own. */
function gradientRange(layer, index) {
  const most = gradients.byLayer.get(layer.name)?.most ?? [0];
  const { channels } = layer.pictures[index];
  const hi = Math.max(...(state.scale === "layer" ? most : channels.map((channel) => most[channel] ?? 0)));
  return { kind: "symmetric", lo: -hi, hi };
}

function gradientRangeText(layer, index) {
  const { lo, hi } = gradientRange(layer, index);
  if (hi === 0) return "gradient 0 everywhere";
  return `gradient: ${numberText(lo)} blue, 0 white, ${numberText(hi)} red`;
}

/** The cell of a map: of a colour map in the channel with the largest gradient. */
function cellOfMap(layer, index, at) {
  const inside = at.map((place, axis) => Math.min(Math.max(place, 0), layer.shape[axis] - 1));
  const { channels } = layer.pictures[index];
  const sizes = channels.map((channel) => Math.abs(gradientAt({ layer: layer.name, channel, at: inside })));
  return { layer: layer.name, channel: channels[Math.max(0, sizes.indexOf(Math.max(...sizes)))], at: inside };
}

/** The cell of a layer with the largest gradient. */
function steepestCell(layer) {
  let [best, most] = [{ layer: layer.name, channel: 0, at: [0, 0] }, -1];
  gradients.byLayer.get(layer.name).planes.forEach((plane, channel) => {
    plane.forEach((gradient, index) => {
      if (!(Math.abs(gradient) > most)) return;
      most = Math.abs(gradient);
      best = { layer: layer.name, channel, at: [Math.floor(index / layer.shape[1]), index % layer.shape[1]] };
    });
  });
  return best;
}

function gradientAt({ layer, channel, at }) {
  return gradients.byLayer.get(layer).planes[channel][at[0] * byName.get(layer).shape[1] + at[1]];
}

/** The cell whose gradient is told: the chosen one while the unit depends on it, else that on the trail. */
function shownCell() {
  if (!showsGradients() || !view?.trail.length) return null;
  const { cell } = state;
  const layer = cell && gradients.byLayer.has(cell.layer) ? byName.get(cell.layer) : null;
  const isHere = layer && [...cell.at, cell.channel].every((index, axis) => index < layer.shape[axis]);
  const other = (view.trail[1] ?? view.trail[0]).unit;
  const shown = isHere ? cell : other;
  return gradients.byLayer.has(shown.layer) ? shown : null;
}

/** Where that cell is in a map; null if it is in another. */
function cellInMap(layer, index) {
  const cell = shownCell();
  return cell && cell.layer === layer.name && pictureIndex(layer, cell.channel) === index ? cell.at : null;
}

/** Each way from an output back to a cell, with the layer of that output. */
function sendersOf(cell) {
  const senders = [];
  for (const layer of layers) {
    const found = gradients.byLayer.get(layer.name);
    if (!found) continue;
    const inputs = layer.inputs.map((name) => byName.get(name).output);
    layer.inputs.forEach((name, input) => {
      if (name !== cell.layer) return;
      const paths = gradientPaths(layer.arithmetic, inputs, layer.output.size, found.planes, { ...cell, input });
      senders.push(...paths.map((path) => ({ layer: layer.name, ...path })));
    });
  }
  return senders;
}

function startGradients() {
  byId("gradients").hidden = !live;
  byId("gradients").addEventListener("click", () => apply({ gradients: !state.gradients }));
  byId("cell-to-unit").addEventListener("click", () => apply({ ...changesFor(shownCell()), cell: null }));
}

/** Draw the switch, what gradients mean, and the panel on one cell. */
function drawGradients() {
  byId("gradients").setAttribute("aria-pressed", String(state.gradients));
  const cell = shownCell();
  byId("gradient-meaning").hidden = byId("gradient-panel").hidden = !cell;
  if (!cell) return;
  byId("gradient-meaning").textContent =
    `The maps show gradients: how much ${placeText(view.trail[0].unit)} grows when a value grows. ` +
    "Red: it grows too; blue: it falls; white: it stays.";
  const isUnit = keyOf(cell) === gradients.key;
  byId("cell-to-unit").hidden = isUnit;
  const paths = isUnit ? [] : sendersOf(cell);
  byId("gradient-sentence").textContent = isUnit ? "The unit itself: its gradient is 1." : senderSentence(cell, paths);
  const counting = paths.filter(({ product }) => product !== 0);
  byId("paths").hidden = !counting.length;
  byId("paths").replaceChildren(...(counting.length ? [networkPathTable(counting)] : []));
  const elements = weightGradientElements(cell);
  byId("weight-gradients").hidden = !elements.length;
  byId("weight-gradients").replaceChildren(...elements);
}

function senderSentence(cell, paths) {
  const text = `${placeText(cell)}, value ${numberText(unitValue(cell))}, gets the gradient ${numberText(gradientAt(cell))}`;
  if (byName.get(cell.layer).arithmetic?.off?.includes(cell.channel)) return `${text}: its map is switched off.`;
  if (!paths.length) return `${text}: no output that counts reads it.`;
  const names = [...new Set(paths.map(({ layer }) => layer))];
  const zeros = paths.filter(({ product }) => product === 0).length;
  const some = zeros === paths.length ? "all 0" : `${zeros} of them 0`;
  const sum = `the sum of ${countText(paths.length, "product")}${zeros ? `, ${some}` : ""}`;
  return `${text}: ${sum}. ${names.map(sendingText).join(" ")}`;
}

/** How a layer sends gradient back, in a sentence. */
function sendingText(name) {
  const { op, mode, activation = "none" } = byName.get(name).arithmetic;
  const ways = {
    max: "each window sends its gradient to the cell that won: weight 1, and 0 for all others.",
    min: "each window sends its gradient to the cell that won: weight 1, and 0 for all others.",
    average: "each window shares its gradient out to all its cells: the weight is 1 / their count.",
    lp: "each window sends a cell x its gradient times sign(x) (|x| / output)^(p−1).",
  };
  if (op === "pool") return `${name}: ${ways[mode]}`;
  if (!["conv", "dense", "conv-transpose"].includes(op)) return `${name}: the weight is how much its output grows with this value.`;
  const slope = activation === "none" ? "" : `, times the slope of ${activation}`;
  return `${name}: upstream is the gradient of an output that reads it${slope}.`;
}

function networkPathTable(paths) {
  return pathTable(sortedBySize(paths, ({ product }) => product), ["output", "weight"], ({ layer, channel, at }) => [placeText({ layer, channel, at })]);
}

/** The weights of the kernel that makes a cell's map, and the gradient of each beside it. */
function weightGradientElements({ layer: name, channel }) {
  const layer = byName.get(name);
  const { arithmetic: settings } = layer;
  if (!settings?.weights || !settings.kernel) return [];
  const pass = windowPass(settings, byName.get(layer.inputs[0]).output, gradients.byLayer.get(name).planes);
  const { map, channels } = pass.arithmetic.sources(channel);
  const [kh, kw] = settings.kernel;
  const amounts = channels.map((_, depth) => kernelGradient(pass, map, depth));
  const sizes = amounts.map((grid) => Math.max(...grid.flat().map(Math.abs)));
  const depth = Math.max(0, sizes.indexOf(Math.max(...sizes)));
  const of = channels.length > 1 ? ` for ${channelName(byName.get(layer.inputs[0]), channels[depth])}` : "";
  const title = element("p", { text: `The weights of ${mapText({ layer: name, channel })}${of}, and the gradient of each:` });
  const weights = amounts[depth].map((line, i) => line.map((_, j) => pass.arithmetic.weight(i, j, depth, map)));
  const grids = [["Weights (W)", weights], ["Gradients (dW)", amounts[depth]]];
  const isListed = kh <= LISTED_SIDE && kw <= LISTED_SIDE;
  const tablesOf = grids.map(([text, grid]) =>
    isListed ? weightTable(grid, text, (i, j, number) => element("span", { text: number })) : gridPicture(grid, text),
  );
  const bias = element("p", { class: "bias-gradient" }, "bias (db): ", element("b", { text: numberText(pass.biasGradient(map)) }));
  return [title, element("div", { class: "weight-pair" }, ...tablesOf), bias];
}

function kernelGradient(pass, map, depth) {
  const [kh, kw] = pass.arithmetic.layer.kernel;
  return Array.from({ length: kh }, (_, i) => Array.from({ length: kw }, (__, j) => pass.weightGradient(map, depth, i, j)));
}

/** A grid of numbers that are too many to list, as a picture: blue below 0, red above. */
function gridPicture(grid, text) {
  const canvas = element("canvas", { role: "img", "aria-label": text });
  const range = chooseRange([grid.flat()], "symmetric", false);
  const [height, width] = [grid.length, grid[0].length];
  const cell = Math.max(1, Math.floor(120 / Math.max(height, width)));
  const context = prepareCanvas(canvas, width * cell, height * cell);
  drawCells(context, valuePicture(height, width, [grid.flat()], range, tables.diverging), cell);
  const notFinite = grid.flat().filter((value) => !Number.isFinite(value)).length;
  const told = [`${text}: ${numberText(range.lo)} blue, ${numberText(range.hi)} red`, notFiniteText(notFinite)];
  const ends = told.filter(Boolean).join("; ");
  return element("figure", {}, canvas, element("figcaption", { class: "dim", text: ends }));
}
