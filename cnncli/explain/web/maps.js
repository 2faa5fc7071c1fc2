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

/** One small picture for each map of the strip, from some of its values. */
function drawMaps() {
  const { arithmetic, problem } = shown;
  if (problem) return;
  const strip = byId("maps");
  const hasFocus = strip.contains(document.activeElement);
  const first = state.map - (state.map % MOST_THUMBS);
  const pictures = pageData.pictures.slice(first, first + MOST_THUMBS);
  if (strip.dataset.first !== String(first)) {
    strip.dataset.first = first;
    strip.replaceChildren(...pictures.map((picture, index) => mapButton(picture, first + index)));
  }
  const { rows, cols, maps } = shown.small;
  pictures.forEach((picture, index) => {
    const button = strip.children[index];
    button.setAttribute("aria-pressed", String(first + index === state.map));
    const planes = maps[first + index];
    const range = rangeOf(arithmetic, planes, rows, cols, shown.small, picture.channels);
    const thumbnail = cellPicture(rows.length, cols.length, (r, c) => {
      const values = planes.map((plane) => plane[r * cols.length + c]);
      return cellColour(values, range, tables[state.colormap]);
    });
    const canvas = button.querySelector("canvas");
    const cell = THUMB / Math.max(rows.length, cols.length);
    drawCells(prepareCanvas(canvas, cols.length * cell, rows.length * cell), thumbnail, cell);
  });
  const chosen = strip.children[state.map - first];
  scrollStrip(strip, chosen);
  if (hasFocus) chosen.focus({ preventScroll: true });
  setTabStop(strip);
}

/** Scroll the strip, but not the page, until one of its buttons is seen whole. */
function scrollStrip(strip, button) {
  const [outer, inner] = [strip.getBoundingClientRect(), button.getBoundingClientRect()];
  if (inner.left < outer.left) strip.scrollLeft += inner.left - outer.left - 3;
  if (inner.right > outer.right) strip.scrollLeft += inner.right - outer.right + 3;
}

function mapButton(picture, index) {
  const name = picture.name || `map ${index}`;
  const button = element(
    "button",
    { type: "button", class: "thumb", "aria-label": `Map ${index}: ${name}` },
    element("canvas", { "aria-hidden": "true" }),
    element("span", { text: name }),
  );
  button.addEventListener("click", () => chooseMap(index));
  return button;
}
