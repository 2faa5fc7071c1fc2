"use strict";
// What a unit of a network looked at: each pixel times the gradient of the unit, as a picture of the input. Where the
// page does not compute gradients at once, the input with the unit's receptive field.

/** Products of all layers up to which the page waits for gradients of some units: 150,000 take 2.5 ms for each. */
const PROMPT_PRODUCTS = 1e6;

/** By output of a layer, by key the shares of the pixels for its units. */
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
  const known = sharesOfLayer(unit);
  const key = gradientKey(unit);
  if (!known.has(key)) known.set(key, computeShares(unit));
  return known.get(key);
}

function computeShares(unit) {
  const settings = layers.map((layer) => layer.settings ?? {});
  const found = networkGradients(layers, settings, unit)?.get("input");
  const { planes } = byName.get("input").output;
  const shares = new Float64Array(planes[0].length);
  found?.planes.forEach((plane, channel) => {
    for (let cell = 0; cell < shares.length; cell += 1) shares[cell] += plane[cell] * planes[channel][cell];
  });
  return shares;
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
  drawCells(context, isKnown ? sharesPicture(pixelShares(unit)) : pictureOf(input, state.maps.input), cell);
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
  byId("looked-text").textContent = shares[best] ? `${rule} Most: ${place}, ${signedText(shares[best])}.` : `No pixel changes ${gradientName(told)}.`;
  byId("looked-picture").hidden = !shares[best];
  drawPixelShares(byId("looked-picture"), told, LOOKED_SIZE);
}
