"use strict";
// Which weight of a network should grow: on a network's page the weights that make the map of one cell, the
// gradient of each, and the weight of the layer with the largest one. network/backward.js computes.

/** Layers whose gradients of weights take more products are searched in one map alone. */
const SEARCHED_PRODUCTS = 4e7;

/** A change that is so small that a gradient tells what it does. */
const SMALL_CHANGE = 0.01;

/** About so many pixels is the picture of a kernel that is too large to list. */
const KERNEL_PICTURE = 120;

/**
 * What is known of a layer's weights, kept with the gradients: { pass, steepest }, the pass for their gradients, and
 * what `steepestWeight` found with it.
 */
function weightsKnown(name) {
  gradients.weights ??= new Map();
  if (!gradients.weights.has(name)) {
    const layer = byName.get(name);
    const input = byName.get(layer.inputs[0]).output;
    const pass = weightPass(gradientSettings(layer), input, gradients.byLayer.get(name).planes);
    gradients.weights.set(name, { pass, steepest: new Map() });
  }
  return gradients.weights.get(name);
}

/** Whether the gradients of a layer's weights can be told. */
function hasWeights(name) {
  const settings = byName.get(name).settings;
  return Boolean(settings?.weights && settings.kernel && gradients.byLayer.has(name));
}

/**
 * The weight of a layer with the largest gradient, { map, depth, i, j, gradient, count, notFinite, isWhole }: of `count`
 * weights, all of the layer, or where those are too many for a page that shall not wait, those of one map; `notFinite`
 * of them have a gradient that is NaN or infinite.
 */
function steepestWeight(name, ownMap) {
  const { pass, steepest } = weightsKnown(name);
  const { kernel, maps, weights } = pass.arithmetic.layer;
  const isWhole = weights.length * pass.rows.length * pass.cols.length <= SEARCHED_PRODUCTS;
  const key = isWhole ? "all" : ownMap;
  if (steepest.has(key)) return steepest.get(key);
  const count = isWhole ? weights.length : weights.length / maps;
  let [best, notFinite] = [{ map: ownMap, depth: 0, i: 0, j: 0, gradient: 0 }, 0];
  for (const map of isWhole ? indicesOf([0, maps]) : [ownMap]) {
    for (const depth of indicesOf([0, weights.length / maps / kernel[0] / kernel[1]])) {
      kernelGradient(pass, map, depth).forEach((line, i) =>
        line.forEach((gradient, j) => {
          if (!Number.isFinite(gradient)) notFinite += 1;
          else if (Math.abs(gradient) > Math.abs(best.gradient)) best = { map, depth, i, j, gradient };
        }),
      );
    }
  }
  steepest.set(key, { ...best, count, notFinite, isWhole });
  return steepest.get(key);
}

/** The gradients of a kernel's weights for one of its input channels, row by row. */
function kernelGradient(pass, map, depth) {
  const [kh, kw] = pass.arithmetic.layer.kernel;
  return Array.from({ length: kh }, (_, i) => Array.from({ length: kw }, (__, j) => pass.weightGradient(map, depth, i, j)));
}

function startWeights() {
  byId("to-own-weights").addEventListener("click", () => showWeights({ cell: chosenUnit() }));
  byId("ask-weights").addEventListener("click", () => showWeights({}));
  byId("kernel-channel").addEventListener("change", ({ target }) => {
    const { layer, channel } = shownCell();
    apply({ kernel: { layer, channel, depth: Number(target.value) } });
  });
  byId("to-steepest").addEventListener("click", goToSteepest);
  startArrows(byId("layer-weights"), () => 1, false);
  byId("to-weights").addEventListener("click", () => chooseLayer(nearestWeights(shownCell().layer)));
}

/** Show gradients after some changes, and go to the panel that tells of weights. */
async function showWeights(changes) {
  await apply({ cell: null, ...changes, gradients: true });
  const title = byId("weights-title");
  // Not for the Tab key.
  title.tabIndex = -1;
  title.scrollIntoView({ block: "nearest" });
  byId("weight-answer").scrollIntoView({ block: "nearest" });
  title.focus({ preventScroll: true });
}

/** Show the weight of the layer with the largest gradient, or where it is shown, the fields that change it. */
async function goToSteepest() {
  const cell = shownCell();
  const { steepest, isShown } = shownWeights(cell);
  if (isShown) {
    await changeWeight(cell, steepest);
    return;
  }
  const there = madeCell(cell.layer, steepest);
  apply({ cell: there, kernel: { layer: cell.layer, channel: there.channel, depth: steepest.depth } });
}

/** Choose a cell as the unit, and go to the field that changes a weight of its map. */
async function changeWeight(cell, { depth, i, j }) {
  await apply({ ...changesFor(cell), block: depth, cell: null });
  byId("editor-title").scrollIntoView({ block: "nearest" });
  goToWeight(i, j);
}

/** Change a weight a little, so that the unit grows; the gradients follow. */
function stepWeight(name, { map, depth, i, j, gradient }) {
  const weights = live.specs.get(name).settings.weights.slice();
  weights[weightsKnown(name).pass.arithmetic.weightIndex(i, j, depth, map)] += Math.sign(gradient) * SMALL_CHANGE;
  apply({ layers: { [name]: { weights } } });
}

/** The cell with the largest gradient on the maps that a weight of a layer makes. */
function madeCell(name, { map, depth }) {
  const made = weightsKnown(name).pass.madeBy(map, depth).map(({ channel }) => channel);
  return steepestCell(byName.get(name), made);
}

/** The layers with weights, each with its steepest weight, while these take few products; and the other layers. */
function steepestOfLayers() {
  const [found, others] = [[], []];
  let products = 0;
  for (const { name } of layers.filter((layer) => hasWeights(layer.name))) {
    const { pass } = weightsKnown(name);
    products += pass.arithmetic.layer.weights.length * pass.rows.length * pass.cols.length;
    const steepest = products <= SEARCHED_PRODUCTS ? steepestWeight(name, 0) : null;
    if (!steepest || steepest.notFinite) others.push(name);
    else if (steepest.gradient !== 0) found.push({ name, steepest });
  }
  return { found: sortedBySize(found, ({ steepest }) => steepest.gradient), others };
}

/** The weight of each layer that counts most, the steepest of all first, with a button that changes it a little. */
function drawLayerWeights() {
  gradients.steepest ??= steepestOfLayers();
  const { found, others } = gradients.steepest;
  byId("layer-weights").hidden = !found.length;
  byId("unsearched").textContent = others.length ? `Not in this table: ${others.join(", ")}.` : "";
  const heads = ["the weight of each layer that counts most", "now", "gradient"].map((text) => element("th", { scope: "col", text }));
  const rows = found.map(({ name, steepest }) => {
    const { map, depth, i, j, gradient } = steepest;
    const now = weightsKnown(name).pass.arithmetic.weight(i, j, depth, map);
    const place = weightPlace(name, steepest);
    const way = `${gradient > 0 ? "Grow" : "Fall"} by ${SMALL_CHANGE}`;
    const button = element("button", { type: "button", class: "quiet", "data-key": name, "aria-label": `${way}: ${place}`, text: way });
    button.addEventListener("click", () => stepWeight(name, steepest));
    const numbers = [now, gradient].map((value) => element("td", { text: numberText(value, 3) }));
    return element("tr", {}, element("th", { scope: "row", text: place }), ...numbers, element("td", {}, button));
  });
  replaceItems(byId("layer-weights"), [element("tr", {}, ...heads), ...rows]);
}

/** Which weight of a layer, in words. */
function weightPlace(name, { map, depth, i, j }) {
  const isOne = weightsKnown(name).pass.arithmetic.layer.kernel.every((side) => side === 1);
  const words = [...kernelWords(name, map, depth), ...(isOne ? [] : [`at row ${i}, column ${j}`])];
  return `${name}, ${words.join(" ").replace(/^of /, "")}`;
}

/** What is shown of the weights that make a cell's map: gradients by input channel, and which of them is listed. */
function shownWeights({ layer: name, channel }) {
  const { pass } = weightsKnown(name);
  const { map, channels } = pass.arithmetic.sources(channel);
  const amounts = channels.map((_, depth) => kernelGradient(pass, map, depth));
  const sizes = amounts.map((grid) => largestMagnitude([grid.flat()]));
  const depth = chosenDepth(name, channel, sizes);
  const steepest = steepestWeight(name, map);
  const isShown = !steepest.notFinite && steepest.map === map && steepest.depth === depth;
  return { pass, map, channels, amounts, sizes, depth, steepest, isShown };
}

/** The nearest layer before another, on any branch, or the first of all, that has weights; null where none has. */
function nearestWeights(name) {
  const near = new Set([name]);
  for (const before of near) {
    if (hasWeights(before)) return before;
    for (const input of byName.get(before).inputs) near.add(input);
  }
  return layers.find((layer) => hasWeights(layer.name))?.name ?? null;
}

/** Draw which weights count most, and those that make a cell's map; of a layer that has none, where the nearest are. */
function drawWeights({ layer: name, channel }, unit) {
  const isHere = hasWeights(name);
  const nearest = isHere ? null : nearestWeights(name);
  byId("weights").hidden = !isHere && !nearest;
  byId("weight-body").hidden = !isHere;
  byId("to-weights").hidden = isHere;
  byId("other-weights").hidden = layers.filter((layer) => hasWeights(layer.name)).length < 2;
  byId("to-weights").textContent = `Weights of ${nearest}`;
  byId("no-weights").textContent = isHere ? "" : `${name} has no weights.`;
  if (!isHere && !nearest) return;
  drawLayerWeights();
  setText(byId("weight-effect"), effectsText());
  byId("weight-answer").textContent = weightAnswer(unit);
  byId("weight-rule").textContent = weightRule(unit);
  if (!isHere) return;
  const shown = shownWeights({ layer: name, channel });
  const { steepest, isShown } = shown;
  byId("steepest").textContent = steepestText(name, shown);
  byId("to-steepest").hidden = steepest.notFinite > 0 || steepest.gradient === 0;
  byId("to-steepest").textContent = isShown ? "Go to it" : "Show it";
  drawDepths(name, shown);
  byId("weight-gradients").replaceChildren(...weightElements(shown));
}

/** Which input channel's weights are shown: the chosen one, else that with the largest gradient. */
function chosenDepth(name, channel, sizes) {
  const { kernel } = state;
  const isChosen = kernel && kernel.layer === name && kernel.channel === channel && kernel.depth < sizes.length;
  return isChosen ? kernel.depth : Math.max(0, sizes.indexOf(Math.max(...sizes)));
}

/** Which weight of all layers should grow or fall, and what a small change does, in sentences; "" where none is known. */
function weightAnswer(unit) {
  const [best] = gradients.steepest.found;
  if (!best) return "";
  const { name, steepest } = best;
  const { map, depth, i, j, gradient } = steepest;
  const now = weightsKnown(name).pass.arithmetic.weight(i, j, depth, map);
  const [way, ways] = gradient > 0 ? ["grow", "grows"] : ["fall", "falls"];
  const raised = gradientName(unit);
  // Of a layer of one cell each weight is used once.
  const isUsedOnce = unit.layer === name && isSingle(byName.get(name));
  const why = isUsedOnce ? " It counts most because of all values that its filter reads it multiplies the one of largest magnitude." : "";
  return (
    `The weight that counts most for ${raised} should ${way}: ${weightPlace(name, steepest)}. It is ${numberText(now, 3)}; ` +
    `if it ${ways} by ${SMALL_CHANGE}, ${raised} grows by about ${numberText(SMALL_CHANGE * Math.abs(gradient), 3)}.${why}`
  );
}

/** Which way weights should go, in a sentence. */
function weightRule(unit) {
  return (
    "The others: those with a positive gradient (red) should grow, those with a negative one (blue) fall. " +
    `To lower ${gradientName(unit)}, the other way round.`
  );
}

/** The unit in a sentence: its place, where its layer has several. */
function unitText(unit) {
  return isSingle(byName.get(unit.layer)) ? mapText(unit) : placeText(unit);
}

/** Which kernel of a layer, in words: of which filter and for which channel of the input, where there are several. */
function kernelWords(name, map, depth) {
  const [layer, { pass }] = [byName.get(name), weightsKnown(name)];
  const [{ channel, source }] = pass.madeBy(map, depth);
  const words = layer.maps > 1 ? [`of filter ${channelName(layer, channel)}`] : [];
  const { arithmetic } = pass;
  if (!arithmetic.layer.perChannel && arithmetic.input.channels > 1) words.push(`for ${sourceText(byName.get(layer.inputs[0]), source)}`);
  return words;
}

/** Which weight counts most, in sentences: where it is, which way it should go, and what the tables show. */
function steepestText(name, { pass, map: shownMap, depth: shownDepth, steepest, isShown }) {
  const { map, depth, i, j, gradient, count, notFinite, isWhole } = steepest;
  const [{ channel }] = pass.madeBy(map, depth);
  const all = isWhole ? `${countText(count, "weight")} of ${name}` : `${countText(count, "weight")} of ${mapText({ layer: name, channel })}`;
  if (notFinite) return `${notFinite} of the gradients of the ${all} are NaN or infinite: they cannot be compared.`;
  if (gradient === 0) return `All gradients of the ${all} are 0: changing one a little changes nothing.`;
  const { kernel } = pass.arithmetic.layer;
  const parts = kernelWords(name, map, depth);
  if (kernel.some((side) => side > 1)) parts.push(`at row ${i}, column ${j}`);
  const way = `${gradient > 0 ? "grow" : "fall"} from ${numberText(pass.arithmetic.weight(i, j, depth, map))}`;
  const framed = isShown ? " It is framed below." : ` The tables below are ${kernelWords(name, shownMap, shownDepth).join(" ")}.`;
  return `Of the ${all}, the one ${parts.join(" ")} counts most: its gradient is ${numberText(gradient)}, so let it ${way}.${framed}`;
}

/** The list of input channels, those with the largest gradients first; of one channel there is none. */
function drawDepths(name, { channels, sizes, depth: chosen }) {
  const select = byId("kernel-channel");
  select.parentNode.hidden = channels.length === 1;
  const source = byName.get(byName.get(name).inputs[0]);
  const order = sortedBySize(channels.map((channel, depth) => ({ channel, depth })), ({ depth }) => sizes[depth]);
  const textOf = ({ channel, depth }) => `${channelName(source, channel)}: gradients up to ${numberText(sizes[depth], 3)}`;
  renew(select, ...order.map((one) => element("option", { value: one.depth, text: textOf(one) })));
  select.value = chosen;
}

/** Weights and their gradients side by side, and the gradient of the bias; the steepest weight is framed. */
function weightElements({ pass, map, depth, amounts, steepest, isShown }) {
  const [kh, kw] = pass.arithmetic.layer.kernel;
  const weights = amounts[depth].map((line, i) => line.map((_, j) => pass.arithmetic.weight(i, j, depth, map)));
  const isListed = kh <= LISTED_SIDE && kw <= LISTED_SIDE;
  const kindOf = (i, j) => (isShown && steepest.gradient !== 0 && steepest.i === i && steepest.j === j ? "steepest" : "");
  const tablesOf = [["Weights (W)", weights], ["Gradients (dW)", amounts[depth]]].map(([text, grid]) =>
    isListed ? weightTable(grid, text, (i, j, number) => element("span", { class: kindOf(i, j), text: number })) : weightPicture(grid, text, KERNEL_PICTURE),
  );
  const bias = element("p", { class: "bias-gradient" }, "bias (db): ", element("b", { text: numberText(pass.biasGradient(map)) }));
  return [element("div", { class: "weight-pair" }, ...tablesOf), bias];
}
