"use strict";
// What a unit of a network looked at: each pixel times the gradient of the unit, as a picture of the input. Where the
// page does not compute gradients at once, the input with the unit's receptive field.

/** Products of all layers up to which the page waits for gradients of some units: 150,000 take 2.5 ms for each. */
const PROMPT_PRODUCTS = 1e6;

/** By output of a layer, by key the gradients of its units for the pixels. */
const sharesKnown = new WeakMap();

/** Whether the gradients of a few units take no time. */
function isPrompt() {
  if (!live) return false;
  const products = layers.map(({ settings, shape }) => (settings?.weights?.length ?? 0) * shape[0] * shape[1]);
  return products.reduce((sum, count) => sum + count, 0) <= PROMPT_PRODUCTS;
}

/** What is known of the units of a layer, as long as its values stay. */
function sharesOfLayer({ layer }) {
  const { output } = byName.get(layer);
  if (!sharesKnown.has(output)) sharesKnown.set(output, new Map());
  return sharesKnown.get(output);
}

/** How much each pixel, times the gradient of a unit, adds to it: one plane of the input, its channels added up. */
function pixelShares(unit) {
  return pixelSums(unit, (value) => value);
}

/** How much a unit would grow, by its gradient, if a pixel were as bright as can be: for each pixel. */
function brighteningGains(unit) {
  return pixelSums(unit, (value) => state.input.range.hi - value);
}

/** For each pixel an amount of its value times the gradient of a unit, its channels added up. */
function pixelSums(unit, amountOf) {
  const [known, key] = [sharesOfLayer(unit), gradientKey(unit)];
  const settings = layers.map((layer) => layer.settings ?? {});
  if (!known.has(key)) known.set(key, networkGradients(layers, settings, unit)?.get("input").planes ?? []);
  const { planes } = byName.get("input").output;
  const sums = new Float64Array(planes[0].length);
  known.get(key).forEach((plane, channel) => {
    for (let cell = 0; cell < sums.length; cell += 1) sums[cell] += plane[cell] * amountOf(planes[channel][cell]);
  });
  return sums;
}

/** The pixels [row, column] that would help a score most against another one if they were bright; the largest gain first. */
function helpfulPixels(score, other) {
  const [gains, others] = [score, other].map(brighteningGains);
  const width = byName.get("input").shape[1];
  const found = Array.from(gains, (gain, cell) => ({ at: [Math.floor(cell / width), cell % width], gain: gain - others[cell] }));
  const sorted = sortedBySize(found.filter(({ gain }) => gain > 0), ({ gain }) => gain);
  return sorted.filter(({ gain }) => gain >= sorted[0].gain / 2).map(({ at }) => at);
}

/** An input whose cells [row, column] are as bright as can be. */
function brightened(input, cells) {
  const planes = input.planes.map((plane) => {
    const copy = plane.slice();
    for (const [row, col] of cells) copy[row * input.size[1] + col] = input.range.hi;
    return copy;
  });
  return changedInput(input, planes);
}

/** Draw what a unit looked at, about so large; before its gradients are known the input alone. */
function drawPixelShares(canvas, unit, size) {
  const isKnown = isPrompt() && sharesOfLayer(unit).has(gradientKey(unit));
  drawSharesOrInput(canvas, unit, size, isKnown);
  if (isKnown || !isPrompt()) return;
  drawAfterPause(canvas, () => {
    pixelShares(unit);
    drawSharesOrInput(canvas, unit, size, true);
  });
}

function drawSharesOrInput(canvas, unit, size, isKnown) {
  const input = byName.get("input");
  const { cell, width, height } = mapSize(input, size);
  const context = prepareCanvas(canvas, width, height);
  drawCells(context, isKnown ? sharesPicture(pixelShares(unit)) : pictureOf(input, state.maps.input, false), cell);
  const box = receptiveField(unit).get("input") ?? [0, 0, 0, 0];
  const [rows, cols] = [input.rows, input.cols];
  const isWhole = box[0] <= rows[0] && box[2] >= rows[1] && box[1] <= cols[0] && box[3] >= cols[1];
  if (isWhole || box[2] <= box[0]) return;
  const inMap = box.map((edge, side) => edge - (side % 2 ? cols[0] : rows[0]));
  outlineCells(context, inMap, cell, view.colours.path, view.colours.halo, 1.5);
}

/** Shares of the input's pixels, blue below 0 and red above. */
function sharesPicture(shares) {
  const most = largestMagnitude([shares]);
  return valuePicture(...byName.get("input").shape.slice(0, 2), [shares], { kind: "symmetric", lo: -most, hi: most }, tables.diverging);
}

const LOOKED_SIZE = 160;

/** Show what the chosen unit looked at: of a share the score before it. */
function drawSharesPanel(unit) {
  const isShown = isPrompt() && unit.layer !== "input";
  byId("looked").hidden = !isShown;
  if (isShown) drawAfterPause(byId("looked"), () => fillSharesPanel(unit));
}

function fillSharesPanel(unit) {
  const told = gradientUnit(unit);
  const shares = pixelShares(told);
  const best = shares.reduce((most, share, cell) => (Math.abs(share) > Math.abs(shares[most]) ? cell : most), 0);
  const { shape } = byName.get("input");
  const place = `row ${Math.floor(best / shape[1])}, column ${best % shape[1]}`;
  const rule = `Each pixel times the gradient of ${gradientName(told)}: red pixels raise it, blue ones lower it.`;
  const end = view.trail[view.trail.length - 1].unit;
  const isElsewhere = end.layer === "input" && end.at[0] * shape[1] + end.at[1] !== best;
  const other = isElsewhere ? ` That is by all ways together; the trail, the strongest step at each layer, ends at row ${end.at[0]}, column ${end.at[1]}.` : "";
  const most = `${rule} Most: ${place}, ${signedText(shares[best])}.${other}`;
  const stops = view.trail.map((step) => reluText(unitText(step.unit), byName.get(step.unit.layer).settings?.activation, sumBefore(step.made)));
  byId("looked-text").textContent = shares[best] ? most : `No pixel changes ${gradientName(told)}.${stops.find(Boolean) ?? ""}`;
  byId("looked-picture").hidden = !shares[best];
  drawPixelShares(byId("looked-picture"), told, LOOKED_SIZE);
}
