"use strict";
// The panel on the backward pass of the layer's page: which outputs send gradient to one pixel of
// the input, the gradient of all pixels, and those of the weights and the bias.

const LISTED_TERMS = 4;
const GRADIENT_SIDE = 300;

/** What `drawBackward` drew last, so that a pointer on the output does not draw it again. */
let drawnBackward = {};
let backwardCache = {};
let chosenTap = [0, 0];

/** The backward pass of the layer as it is shown; all maps count, or the chosen one. */
function backwardArithmetic() {
  const { arithmetic, picture } = shown;
  const all = Array.from({ length: arithmetic.channels }, (_, channel) => channel);
  const chosen = state.backward.onlyMap ? picture.channels : all;
  const key = chosen.join();
  if (backwardCache.arithmetic !== arithmetic || backwardCache.key !== key) {
    backwardCache = { arithmetic, key, pass: new BackwardArithmetic(arithmetic, chosen) };
  }
  return backwardCache.pass;
}

/** Change which pixel is explained, its channel, and whether only the chosen map counts. */
function applyBackward(changes) {
  const begin = () => ({ at: pixelUnderWindow(), channel: 0, onlyMap: false });
  apply({ backward: insidePage({ ...(state.backward || begin()), ...changes }) });
}

/** The same, with a pixel that the page holds. */
function insidePage(backward) {
  return { ...backward, at: cellInside(backward.at) };
}

/** The pixel in the middle of the window, or the one next to it. */
function pixelUnderWindow() {
  const { rows, cols } = shown.arithmetic.window;
  const [row, col] = windowStart();
  return [row + Math.floor(rows.extent / 2), col + Math.floor(cols.extent / 2)];
}

function drawBackward(everything) {
  const { backward } = state;
  byId("backward").setAttribute("aria-pressed", String(Boolean(backward)));
  byId("backward-body").hidden = !backward;
  if (!backward) return;
  const now = { backward, arithmetic: shown.arithmetic, map: state.map, block: state.block };
  const isSame = Object.keys(now).every((key) => now[key] === drawnBackward[key]);
  if (isSame && !everything) return;
  drawnBackward = now;
  const pass = backwardArithmetic();
  const paths = pass.paths(backward.channel, ...backward.at);
  drawBackwardFields();
  byId("backward-sentence").textContent = backwardSentence(pass, paths);
  byId("paths").replaceChildren(senderTable(paths));
  drawGradient(pass);
  byId("weight-gradients").hidden = state.layer.op === "pool";
  if (state.layer.op !== "pool") drawWeightGradients(pass, byId("weight-gradients"), termsText);
}

function backwardSentence(pass, paths) {
  const { at, channel } = state.backward;
  const { op, mode, activation } = state.layer;
  const name = state.input.channels > 1 ? `, ${channelName(channel)}` : "";
  const pixel = `The input at row ${at[0]}, column ${at[1]}${name}`;
  if (!paths.length) return `${pixel} gets no gradient: no output that counts reads it.`;
  const gradient = gradientOf(paths);
  if (Number.isNaN(gradient)) return `${pixel} is read by outputs that this page does not hold.`;
  const ways = {
    max: "Each window sends its gradient to the cell that won.",
    min: "Each window sends its gradient to the cell that won.",
    average: "Each window shares its gradient out to all its cells.",
    lp: "Each window sends a cell x its gradient times sign(x) (|x| / output)^(p−1).",
  };
  const way = ways[mode] || "Each output that reads it sends back its gradient times the weight.";
  const slope = op !== "pool" && activation !== "none" ? `, times the slope of ${activation}` : "";
  return (
    `${pixel} gets ${numberText(gradient)}, the sum of ${countText(paths.length, "product")}, ` +
    `if the gradient of every output is 1${slope}. ${way}`
  );
}

/** The outputs that send gradient to the chosen pixel, by which weights. */
function senderTable(paths) {
  const hasMaps = new Set(paths.map((path) => path.channel)).size > 1;
  const head = ["output", ...(hasMaps ? ["map"] : []), state.layer.op === "pool" ? "share" : "weight"];
  return pathTable(paths, head, ({ row, col, channel }) => [`${row}, ${col}`, ...(hasMaps ? [mapNameOfChannel(channel)] : [])]);
}

/** The name of the map that an output channel belongs to. */
function mapNameOfChannel(channel) {
  const index = pictureIndex(channel);
  return pageData.pictures[index].name || String(index);
}

function drawBackwardFields() {
  const { at, channel, onlyMap } = state.backward;
  const { size, channels } = state.input;
  for (const [index, id] of ["pixel-row", "pixel-col"].entries()) {
    setValue(byId(id), at[index]);
    byId(id).max = size[index] - 1;
  }
  const select = byId("pixel-channel");
  select.hidden = channels === 1;
  if (select.options.length !== channels) {
    const names = Array.from({ length: channels }, (_, index) => channelName(index));
    select.replaceChildren(...names.map((text, value) => element("option", { value, text })));
  }
  setValue(select, channel);
  byId("only-map").checked = onlyMap;
  byId("only-map").parentElement.hidden = pageData.pictures.length === 1;
}

/** The gradient of an input channel as a map: blue below 0, red above. */
function drawGradient(pass) {
  const { rows, cols } = state.input;
  const { at, channel } = state.backward;
  const [height, width] = [rows[1] - rows[0], cols[1] - cols[0]];
  const gradient = pass.inputGradient(channel);
  const range = chooseRange([gradient], "symmetric", false);
  const isUnknown = (index) => Number.isNaN(gradient[index]);
  const picture = valuePicture(height, width, [gradient], range, tables.diverging, isUnknown);
  const side = Math.min(GRADIENT_SIDE, byId("backward-body").clientWidth);
  const exact = Math.min(side / Math.max(height, width), 36);
  const cell = exact >= 3 ? Math.floor(exact) : exact;
  const context = prepareCanvas(byId("gradient"), width * cell, height * cell);
  drawCells(context, picture, cell);
  const colours = themeColours();
  const [row, col] = [at[0] - rows[0], at[1] - cols[0]];
  outlineCells(context, [row, col, row + 1, col + 1], cell, colours.path, colours.halo);
  const name = state.input.channels > 1 ? `, ${channelName(channel)}` : "";
  byId("gradient-note").textContent =
    range.hi > 0
      ? `Gradient of the input${name} (dA): ${numberText(range.lo)} is blue, 0 white, ${numberText(range.hi)} red`
      : `Gradient of the input${name} (dA): 0 everywhere`;
}

/**
 * The gradient of each weight of the chosen kernel, and of its bias. `explain(pass, map, depth, [i, j])` is a
 * text on that of one weight.
 */
function drawWeightGradients(pass, box, explain) {
  const [kh, kw] = state.layer.kernel;
  if (!pass.isWhole) {
    const text = "The gradients of the weights need the whole image, which this page does not hold.";
    box.replaceChildren(element("p", { class: "dim", text }));
    return;
  }
  const [map, depth] = [edited.kernel(), shownDepth()];
  const gradient = element("b", { text: numberText(pass.biasGradient(map)) });
  const db = element("p", { class: "bias-gradient" }, "bias (db): ", gradient);
  if (kh > LISTED_SIDE || kw > LISTED_SIDE) {
    box.replaceChildren(element("p", { text: `${kh} × ${kw} weights are too many to list here.` }), db);
    return;
  }
  chosenTap = [Math.min(chosenTap[0], kh - 1), Math.min(chosenTap[1], kw - 1)];
  const values = Array.from({ length: kh }, (_, i) =>
    Array.from({ length: kw }, (__, j) => pass.weightGradient(map, depth, i, j)),
  );
  const choose = (i, j) => {
    chosenTap = [i, j];
    drawWeightGradients(pass, box, explain);
    box.querySelector("[aria-pressed=true]").focus();
  };
  const table = weightTable(values, `Gradient of each weight (dW)${depthText()}`, (i, j, text) => weightGradientButton(i, j, text, choose));
  startArrows(table, () => kw);
  setTabStop(table);
  box.replaceChildren(element("div", {}, table, db), element("p", { class: "dim", text: explain(pass, map, depth, chosenTap) }));
}

/** The input channel whose weights are shown, if there are several. */
function depthText() {
  if (depths() === 1) return "";
  return `, ${channelName(shown.arithmetic.sources(outputChannel()).channels[shownDepth()])}`;
}

function weightGradientButton(i, j, text, choose) {
  const isChosen = chosenTap[0] === i && chosenTap[1] === j;
  const label = `Gradient of the weight at row ${i}, column ${j}: ${text}`;
  return element("button", { type: "button", text, "aria-label": label, "aria-pressed": String(isChosen), click: () => choose(i, j) });
}

/** The largest terms { value, upstream } of the gradient of a weight, and how many there are. */
function largestTerms(pass, map, depth, [i, j]) {
  const largest = [];
  let count = 0;
  pass.eachTerm(map, depth, i, j, (value, upstream) => {
    count += 1;
    const size = Math.abs(value * upstream);
    if (largest.length === LISTED_TERMS && size <= largest[LISTED_TERMS - 1].size) return;
    largest.push({ size, value, upstream });
    largest.sort((a, b) => b.size - a.size);
    largest.length = Math.min(largest.length, LISTED_TERMS);
  });
  return { largest, count };
}

/** A sum of products: the largest terms, what the others add up to, and the total. */
function sumText({ largest, count }, total) {
  const rest = total - largest.reduce((sum, { value, upstream }) => sum + value * upstream, 0);
  const terms = largest.map(({ value, upstream }) => `${numberText(value)} × ${numberText(upstream)}`);
  if (count > largest.length) terms.push(`${numberText(rest)} from ${count - largest.length} more outputs`);
  return `${terms.join(" + ")} = ${numberText(total)}`;
}

/** The sum that makes the gradient of a weight. */
function termsText(pass, map, depth, tap) {
  const terms = largestTerms(pass, map, depth, tap);
  const sum = terms.count ? sumText(terms, pass.weightGradient(map, depth, ...tap)) : "0: none of its outputs counts";
  return `Weight at row ${tap[0]}, column ${tap[1]}: input × upstream of all outputs, added up: ${sum}`;
}

/** Mark the chosen pixel on the input. */
function markPixel(context, top, left, cell, colours) {
  if (!state.backward) return;
  const [row, col] = [state.backward.at[0] - top, state.backward.at[1] - left];
  outlineCells(context, [row, col, row + 1, col + 1], cell, colours.path, colours.halo);
}

/** Mark the part of the output that has all who send gradient to the chosen pixel. */
function markSenders(context, cell, colours) {
  if (!state.backward) return;
  const { outRows, outCols } = shown;
  const { at, channel } = state.backward;
  const paths = backwardArithmetic().paths(channel, ...at);
  const [rows, cols] = [paths.map(({ row }) => row - outRows[0]), paths.map(({ col }) => col - outCols[0])];
  if (!paths.length) return;
  const box = [Math.min(...rows), Math.min(...cols), Math.max(...rows) + 1, Math.max(...cols) + 1];
  outlineCells(context, box, cell, colours.path, colours.halo);
}

function startBackward() {
  const { backward } = pageData;
  if (backward) state.backward = insidePage(backward);
  byId("backward").addEventListener("click", () => {
    if (shown.problem) return;
    if (state.backward) apply({ backward: null });
    else applyBackward({});
  });
  const gradient = byId("gradient");
  gradient.addEventListener("pointerdown", (event) => {
    if (shown.problem) return;
    const { rows, cols } = state.input;
    applyBackward({ at: cellAt(event, gradient, [...rows, ...cols]) });
  });
  const [chosen, go] = [() => state.backward.at, (at) => applyBackward({ at })];
  startCellKeys(gradient, chosen, go);
  startCellFields(["pixel-row", "pixel-col"], chosen, go);
  byId("input").addEventListener("click", (event) => {
    if (!shown.problem && state.backward) applyBackward({ at: cellAt(event, byId("input"), inputRegion()) });
  });
  byId("pixel-col").closest(".row").append(arrowButtons("the pixel", chosen, go));
  byId("pixel-channel").addEventListener("change", () => applyBackward({ channel: Number(byId("pixel-channel").value) }));
  byId("only-map").addEventListener("change", () => applyBackward({ onlyMap: byId("only-map").checked }));
}
