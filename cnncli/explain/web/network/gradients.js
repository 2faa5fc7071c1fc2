"use strict";
// Gradients on a network's page: each map shows how much the chosen unit grows with each of its values, and a
// panel tells who sends gradient to one cell. network/backward.js computes them, of all layers in the worker.

/** Of `unit` the gradients by layer, as `networkGradients` returns them, and its key; null before they are here. */
let gradients = null;

function unitKey({ layer, channel, at }) {
  return [layer, channel, ...at].join();
}

/** Activations whose values are probabilities: near 0 and 1 they hardly grow. */
const PROBABILITIES = ["softmax", "log-softmax", "sigmoid"];
const SATURATED = 0.01;

/** The score that a probability is made of, as a unit: of the layer before, or `isSum`, of the same; null of others. */
function scoreBefore(unit) {
  const { settings, inputs } = byName.get(unit.layer);
  if (!PROBABILITIES.includes(settings?.activation)) return null;
  return settings.kernel ? { ...unit, isSum: true } : { ...unit, layer: inputs[0] };
}

/** Whether a probability is so near to 0 or 1 that its gradients are nearly 0. */
function isSaturated(unit) {
  const value = unitValue(unit);
  if (byName.get(unit.layer).settings.activation === "log-softmax") return value > Math.log(1 - SATURATED);
  return value < SATURATED || value > 1 - SATURATED;
}

/** The unit whose gradients are shown for another: that itself, or the score before it. */
function gradientUnit(unit) {
  const score = scoreBefore(unit);
  return score && (state.ofScore ?? isSaturated(unit)) ? score : unit;
}

/** What gradients are of, in words. */
function gradientName(unit) {
  return unit.isSum ? `the score of ${unitText(unit)} before ${byName.get(unit.layer).settings.activation}` : unitText(unit);
}

function gradientKey(unit) {
  return `${unitKey(unit)}${unit.isSum ? ",sum" : ""}`;
}

/** The settings by which a layer sends gradients back: where they are of its sums, without its activation. */
function gradientSettings({ name, settings }) {
  const { unit } = gradients;
  return unit.isSum && unit.layer === name ? withoutActivation(settings) : settings;
}

/** Whether maps show gradients. */
function showsGradients() {
  return state.gradients && gradients !== null && !isAsking();
}

/** Ask the worker for the gradients of the chosen unit, unless they are here; resolves when they are drawn. */
function requestGradients(trail) {
  if (!live || !state.gradients || !trail.length || isStackAsked()) return Promise.resolve();
  const unit = gradientUnit(trail[0].unit);
  if (gradients?.key === gradientKey(unit)) return Promise.resolve();
  return live.request({ unit });
}

/** Take over what the worker found for a unit: nothing, where layers have changed and it was not asked. */
function takeGradients(unit, byLayer) {
  gradients = byLayer ? { unit, key: gradientKey(unit), byLayer } : null;
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
  // Above scores it is said by the strip.
  if (!gradients.byLayer.has(layer.name)) return layer.largest.length ? "" : gradientTitle(layer);
  if (hi === 0) return "gradient 0 everywhere";
  return `gradient: ${numberText(lo)} blue, 0 white, ${numberText(hi)} red`;
}

/** What stands above the gradients of a layer's scores: why there are none, or which are not 0. */
function gradientTitle({ name }) {
  const { unit, byLayer } = gradients;
  if (!byLayer.has(name)) return `no gradients: those of ${gradientName(unit)} are shown, which is not made from ${name}`;
  return name === unit.layer ? `gradients: 1 of ${unitText(unit)} itself, 0 of the others` : "gradients";
}

/** The cell of a map: of a colour map in the channel with the largest gradient. */
function cellOfMap(layer, index, at) {
  const inside = at.map((place, axis) => Math.min(Math.max(place, 0), layer.shape[axis] - 1));
  const { channels } = layer.pictures[index];
  const sizes = channels.map((channel) => Math.abs(gradientAt({ layer: layer.name, channel, at: inside })));
  return { layer: layer.name, channel: channels[Math.max(0, sizes.indexOf(Math.max(...sizes)))], at: inside };
}

/** The cell of a layer with the largest gradient, of some channels. */
function steepestCell(layer, channels = layer.channels) {
  let [best, most] = [{ layer: layer.name, channel: channels[0], at: [0, 0] }, -1];
  const { planes } = gradients.byLayer.get(layer.name);
  for (const channel of channels) {
    planes[channel].forEach((gradient, index) => {
      if (!(Math.abs(gradient) > most)) return;
      most = Math.abs(gradient);
      best = { layer: layer.name, channel, at: [Math.floor(index / layer.shape[1]), index % layer.shape[1]] };
    });
  }
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
  const place = view.trail.findIndex(({ unit }) => unit.layer === gradients.unit.layer);
  const other = (view.trail[place + 1] ?? view.trail[0]).unit;
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
      const paths = gradientPaths(gradientSettings(layer), inputs, layer.output.size, found.planes, { ...cell, input });
      senders.push(...paths.map((path) => ({ layer: layer.name, ...path })));
    });
  }
  return senders;
}

/**
 * Who sends gradient to the cell that is told of: { cell, paths, cells }, each way of `sendersOf` to it, and by layer for
 * each picture a Map of the cells [row, column] that send some. No way leads to the unit itself. Kept with the gradients.
 */
function findSenders() {
  const cell = shownCell();
  if (!cell) return { cell, paths: [], cells: new Map() };
  if (gradients.senders && unitKey(gradients.senders.cell) === unitKey(cell)) return gradients.senders;
  const paths = unitKey(cell) === unitKey(gradients.unit) ? [] : sendersOf(cell);
  const cells = new Map();
  for (const { layer: name, channel, at, product } of paths) {
    if (product === 0) continue;
    const layer = byName.get(name);
    if (!cells.has(name)) cells.set(name, layer.pictures.map(() => new Map()));
    cells.get(name)[pictureIndex(layer, channel)].set(at.join(), at);
  }
  gradients.senders = { cell, paths, cells };
  return gradients.senders;
}

/** How many cells of a layer's large map send gradient, and of all its maps, in words. */
function sendText(layer) {
  const byPicture = view.senders.cells.get(layer.name);
  if (!byPicture) return "";
  const all = byPicture.reduce((sum, { size }) => sum + size, 0);
  const here = byPicture[state.maps[layer.name]].size;
  if (!here) return `${countText(all, "cell")} of other maps ${all === 1 ? "sends" : "send"} gradient`;
  const others = all > here ? `, ${all - here} of other maps` : "";
  return `outlined: ${countText(here, "cell")} that ${here === 1 ? "sends" : "send"} gradient${others}`;
}

function startGradients() {
  startWeights();
  byId("gradients").hidden = !live;
  byId("gradients").addEventListener("click", () => apply({ gradients: !state.gradients }));
  for (const button of gradientChoices()) {
    button.addEventListener("click", () => apply({ ofScore: button.dataset.of === "score", cell: null }));
  }
  startArrows(byId("gradient-of"));
  byId("cell-to-unit").addEventListener("click", () => apply({ ...changesFor(shownCell()), cell: null }));
}

function gradientChoices() {
  return [...byId("gradient-of").querySelectorAll("button")];
}

/** The choice between a probability and the score before it. */
function drawGradientChoice(unit) {
  const score = scoreBefore(unit);
  byId("gradient-of").hidden = !score;
  if (!score) return;
  const { activation } = byName.get(unit.layer).settings;
  const texts = { score: `the score ${score.isSum ? "" : `${unitText(score)} `}before ${activation}`, probability: unitText(unit) };
  const shown = gradients.key === gradientKey(score) ? "score" : "probability";
  for (const button of gradientChoices()) {
    button.textContent = texts[button.dataset.of];
    button.setAttribute("aria-pressed", String(button.dataset.of === shown));
  }
  setTabStop(byId("gradient-of"));
}

/** Draw the switch, what gradients mean, and the panel on one cell. */
function drawGradients() {
  byId("gradients").setAttribute("aria-pressed", String(state.gradients));
  byId("ask-weights").hidden = !live || state.gradients || !view.trail.some(({ unit }) => byName.get(unit.layer).settings?.weights);
  const { cell, paths } = view.senders;
  for (const id of ["gradient-meaning", "gradient-panel", "weights"]) byId(id).hidden = !cell;
  byId("gradient-of").hidden = true;
  if (!cell) return;
  const [{ unit }] = view.trail;
  drawGradientChoice(unit);
  const isNear = scoreBefore(unit) && isSaturated(unit);
  const why = isNear ? ` ${unitText(unit)} is ${numberText(unitValue(unit))}: it can hardly change, so its own gradients are nearly 0.` : "";
  byId("gradient-meaning").textContent =
    `The maps show gradients: how much ${gradientName(gradients.unit)} grows when a value grows. ` +
    `Red: it grows too; blue: it falls; white: it stays.${why}`;
  const isUnit = unitKey(cell) === unitKey(gradients.unit);
  byId("cell-to-unit").hidden = isUnit;
  const itself = `${gradients.unit.isSum ? "The score" : "The unit"} itself: its gradient is 1.`;
  byId("gradient-sentence").textContent = isUnit ? itself : senderSentence(cell, paths);
  const counting = paths.filter(({ product }) => product !== 0);
  byId("paths").hidden = !counting.length;
  byId("paths").replaceChildren(...(counting.length ? [networkPathTable(counting)] : []));
  drawWeights(cell, gradients.unit);
}

function senderSentence(cell, paths) {
  const text = `${placeText(cell)}, value ${numberText(unitValue(cell))}, gets the gradient ${numberText(gradientAt(cell))}`;
  if (byName.get(cell.layer).settings?.off?.includes(cell.channel)) return `${text}: its map is switched off.`;
  if (!paths.length) return `${text}: no output that counts reads it.`;
  const names = [...new Set(paths.map(({ layer }) => layer))];
  const zeros = paths.filter(({ product }) => product === 0).length;
  const some = zeros === paths.length ? "all 0" : `${zeros} of them 0`;
  const sum = `the sum of ${countText(paths.length, "product")}${zeros ? `, ${some}` : ""}`;
  const outlined = zeros < paths.length ? " The cells that send some are outlined in purple on their maps." : "";
  return `${text}: ${sum}. ${names.map(sendingText).join(" ")}${outlined}`;
}

/** How a layer sends gradient back, in a sentence. */
function sendingText(name) {
  const { op, mode, activation = "none" } = gradientSettings(byName.get(name));
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
  return pathTable(paths, ["output", "weight"], ({ layer, channel, at }) => [placeText({ layer, channel, at })]);
}
