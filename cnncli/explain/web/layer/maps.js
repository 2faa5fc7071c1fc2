"use strict";
// The maps of a bank: small pictures of some of them, and a field for the number of any.

const THUMB = 64;
// Of more maps than these, the strip shows those of the same hundred, or fewer, as the chosen one.
const MOST_THUMBS = 100;
// So many stand beside each other; among more, a number finds one.
const FEW_MAPS = 10;

function startMaps() {
  const count = pageData.pictures.length;
  byId("maps-panel").hidden = count === 1;
  if (count === 1) return;
  if (count > FEW_MAPS) {
    const number = wholeInput("map", "Number of the map", { min: 0, max: count - 1 }, () => state.map, chooseMap);
    byId("maps-head").append(element("label", { class: "inline" }, "map ", number, ` of 0 to ${count - 1}`));
  }
  const strip = byId("maps");
  strip.addEventListener("keydown", (event) => {
    const step = arrowStep(event, 1);
    if (!step) return;
    event.preventDefault();
    chooseMap(Math.min(Math.max(state.map + step, 0), count - 1));
  });
  updates.push(drawMaps);
}

function chooseMap(map) {
  apply({ map, channel: 0 });
}

/** The maps of the strip, each with its small picture. */
function drawMaps() {
  if (shown.problem) return;
  const strip = byId("maps");
  const hasFocus = strip.contains(document.activeElement);
  const first = state.map - (state.map % MOST_THUMBS);
  const pictures = pageData.pictures.slice(first, first + MOST_THUMBS);
  if (strip.dataset.first !== String(first)) {
    strip.dataset.first = first;
    strip.replaceChildren(...pictures.map((picture, index) => mapButton(picture, first + index)));
  }
  const { rows, cols } = shown.small;
  const cell = THUMB / Math.max(rows.length, cols.length);
  const indices = pictures.map((_, index) => first + index);
  for (const index of indices) {
    const button = strip.children[index - first];
    button.setAttribute("aria-pressed", String(index === state.map));
    const canvas = button.querySelector("canvas");
    const [width, height] = [cols.length * cell, rows.length * cell];
    if (canvas.style.width !== `${width}px` || canvas.style.height !== `${height}px`) prepareCanvas(canvas, width, height);
  }
  const chosen = strip.children[state.map - first];
  scrollToChosen(strip, chosen, state.map);
  if (hasFocus) chosen.focus({ preventScroll: true });
  setTabStop(strip);
  // The chosen one first, then its neighbours.
  const far = (index) => Math.abs(index - state.map);
  thumbnails.waiting = indices.sort((one, other) => far(one) - far(other));
  cancelAnimationFrame(thumbnails.frame);
  drawThumbnails();
}

/** The maps whose small pictures are still to be drawn, in frames to come. */
const thumbnails = { waiting: [], frame: 0 };
const MOST_MS = 8;

/** Draw small pictures for as long as no frame is late. */
function drawThumbnails() {
  const start = performance.now();
  while (thumbnails.waiting.length && performance.now() - start < MOST_MS) drawThumbnail(thumbnails.waiting.shift());
  if (thumbnails.waiting.length) thumbnails.frame = requestAnimationFrame(drawThumbnails);
}

function drawThumbnail(index) {
  const { arithmetic, problem, small } = shown;
  if (problem) return;
  const { rows, cols } = small;
  const planes = small.planesOf(index);
  const range = rangeOf(arithmetic, planes, rows, cols, small, pageData.pictures[index].channels);
  const thumbnail = cellPicture(rows.length, cols.length, (r, c) => {
    const values = planes.map((plane) => plane[r * cols.length + c]);
    return cellColour(values, range, tables[state.colormap]);
  });
  const canvas = byId("maps").children[index % MOST_THUMBS].querySelector("canvas");
  const cell = THUMB / Math.max(rows.length, cols.length);
  drawCells(prepareCanvas(canvas, cols.length * cell, rows.length * cell), thumbnail, cell);
}

function mapButton(picture, index) {
  const name = picture.name || `map ${index}`;
  return element(
    "button",
    { type: "button", class: "thumb", "aria-label": `Map ${index}: ${name}`, click: () => chooseMap(index) },
    element("canvas", { "aria-hidden": "true" }),
    element("span", { class: "label", text: name }),
  );
}
