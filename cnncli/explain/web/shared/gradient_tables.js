"use strict";
// Tables of gradients, for the pages of layers and of networks: who sends how much, and those of weights; weights
// that are too many to list as a picture.

const LISTED_PATHS = 25;

/** What some ways { product } add up to. */
function gradientOf(paths) {
  return paths.reduce((sum, path) => sum + path.product, 0);
}

/**
 * The strongest paths { weight, upstream, product }, strongest first, what the others add up to, and the sum of
 * all. `head` names the columns up to that of the weights, `placeOf(path)` has the texts of those before it.
 */
function pathTable(paths, head, placeOf) {
  const headers = [...head, "× upstream", "= product"].map((text) => element("th", { scope: "col", text }));
  const table = element("table", { class: "paths" }, element("tr", {}, ...headers));
  const order = sortedBySize(paths, ({ product }) => product);
  for (const path of order.slice(0, LISTED_PATHS)) {
    const { weight, upstream, product } = path;
    const texts = [...placeOf(path), ...[weight, upstream, product].map((value) => numberText(value))];
    table.append(element("tr", {}, ...texts.map((text) => element("td", { text }))));
  }
  const total = (label, value) => {
    const name = element("th", { scope: "row", colspan: headers.length - 1, text: label });
    table.append(element("tr", { class: "total" }, name, element("td", { text: numberText(value) })));
  };
  const rest = order.slice(LISTED_PATHS);
  if (rest.length) total(`${rest.length} weaker ones`, gradientOf(rest));
  total("gradient", gradientOf(paths));
  return table;
}

/**
 * A table of numbers, blue below 0 and red above up to 1.5 times `most`; `make(i, j, text)` makes each cell's element.
 */
function weightTable(values, title, make, most = largestMagnitude([values.flat()])) {
  const range = { kind: "symmetric", lo: -1.5 * most, hi: 1.5 * most };
  const cellOf = (value, i, j) => {
    const node = make(i, j, numberText(value, 3));
    setBackground(node, cellColour([value], range, tables.diverging));
    return element("td", {}, node);
  };
  const lines = values.map((line, i) => element("tr", {}, ...line.map((value, j) => cellOf(value, i, j))));
  return element("table", { class: "grid narrow weights" }, element("caption", { class: "dim", text: title }), ...lines);
}

/** Weights as a picture, blue below 0 and red above, of about `side` pixels. */
function weightPicture(values, title, side) {
  const plane = values.flat();
  const range = chooseRange([plane], "symmetric", false);
  const [height, width] = [values.length, values[0].length];
  const cell = Math.max(1, Math.floor(side / Math.max(height, width)));
  const ends = `${numberText(range.lo, 3)} is blue, 0 white, ${numberText(range.hi, 3)} red`;
  const told = [ends, notFiniteText(countNotFinite([plane]))].filter(Boolean).join("; ");
  const text = [title, told].filter(Boolean).join(": ");
  const canvas = element("canvas", { role: "img", "aria-label": text });
  const picture = valuePicture(height, width, [plane], range, tables.diverging);
  drawCells(prepareCanvas(canvas, width * cell, height * cell), picture, cell);
  return element("figure", {}, canvas, element("figcaption", { class: "dim", text }));
}
