"use strict";
// The two pictures of the layer's page, the input with the window on it and the output, and what is written
// below them.

/** The input's cells that are shown, with their border: [top, bottom, left, right]. */
function inputRegion() {
  const { rows, cols } = shown.arithmetic.window;
  const { input } = state;
  const span = (axis, cells) => [
    cells[0] === 0 ? -axis.begin : cells[0],
    cells[1] === axis.size ? axis.size + axis.end + axis.overhang : cells[1],
  ];
  return [...span(rows, input.rows), ...span(cols, input.cols)];
}

/** The colour of an input cell, counted from the image's first, in a picture of the input; null beyond border and page. */
function inputColour(row, col, { channels }) {
  const { arithmetic } = shown;
  const { rows, cols } = arithmetic.window;
  const [down, across] = [row + rows.begin, col + cols.begin];
  const r = arithmetic.rowTable[down];
  const c = arithmetic.colTable[across];
  if (r === undefined || c === undefined || r === ELSEWHERE || c === ELSEWHERE) return null;
  const values = channels.map((channel) => arithmetic.cell(channel, down, across));
  return cellColour(values, state.input.range, null);
}

/** The picture of the input that has the chosen channel. */
function inputGroup() {
  const { channels } = shown.arithmetic.sources(outputChannel());
  const channel = channels[Math.min(state.block, channels.length - 1)];
  return state.input.pictures.find((group) => group.channels.includes(channel));
}

/** The size of a cell at which height x width of them fill the box around a canvas. */
function cellSize(box, height, width) {
  const most = Math.max(box.clientHeight, 120);
  const cell = Math.min(box.clientWidth / width, most / height, 36);
  return cell >= 3 ? Math.floor(cell) : cell;
}

function drawInput() {
  const [top, bottom, left, right] = inputRegion();
  const [height, width] = [bottom - top, right - left];
  const cell = cellSize(byId("input-box"), height, width);
  const [picture, colours] = [inputPicture(), themeColours()];
  const context = drawBackground(byId("input"), width * cell, height * cell, [picture, cell, colours], (below) => {
    drawCells(below, picture, cell);
    hatchPads(below, [top, bottom, left, right], cell, colours);
  });
  if (isTransposed) markSource(context, top, left, cell, colours);
  const box = windowBox(top, left);
  if (box) outlineCells(context, box, cell, colours.window, colours.halo);
  if (cell >= 8) markTaps(context, top, left, cell, colours);
  markPixel(context, top, left, cell, colours);
}

/** The picture of the input last drawn: other weights do not change it. */
let drawnInput = {};

function inputPicture() {
  const [top, bottom, left, right] = inputRegion();
  const { kernel, stride, dilation, padding, padMode, padValue, ceil } = state.layer;
  const group = inputGroup();
  const key = String([group.channels, kernel, stride, dilation, padding, padMode, padValue, ceil]);
  if (drawnInput.input !== state.input || drawnInput.key !== key) {
    const picture = cellPicture(bottom - top, right - left, (r, c) => inputColour(r + top, c + left, group));
    drawnInput = { input: state.input, key, picture };
  }
  return drawnInput.picture;
}

/** The input cell under the window's first tap. */
function windowStart() {
  return shown.arithmetic.windowStart(...state.at);
}

/** The corners of the window among input cells from `top` and `left` on; null if no cell is under it. */
function windowBox(top, left) {
  const [rows, cols] = shown.arithmetic.windowCells(...state.at);
  if (!rows.length || !cols.length) return null;
  return [rows[0] - top, cols[0] - left, rows[rows.length - 1] + 1 - top, cols[cols.length - 1] + 1 - left];
}

/** Hatch the padding within a region of the input. */
function hatchPads(context, region, cell, colours) {
  const [top, bottom, left, right] = region;
  const { rows, cols } = shown.arithmetic.window;
  const inside = (axis, from, to) => [
    Math.min(Math.max(from, 0), axis.size) - from,
    Math.min(Math.max(to, 0), axis.size) - from,
  ];
  const down = [
    Math.max(top, -rows.begin) - top,
    Math.min(bottom, rows.size + rows.end + rows.overhang) - top,
  ];
  const across = [
    Math.max(left, -cols.begin) - left,
    Math.min(right, cols.size + cols.end + cols.overhang) - left,
  ];
  const [y0, y1] = inside(rows, top, bottom);
  const [x0, x1] = inside(cols, left, right);
  hatchCells(context, [down[0], across[0], y0, across[1]], cell, colours.pad);
  hatchCells(context, [y1, across[0], down[1], across[1]], cell, colours.pad);
  hatchCells(context, [y0, across[0], y1, x0], cell, colours.pad);
  hatchCells(context, [y0, x1, y1, across[1]], cell, colours.pad);
}

/** A dot on every cell under a tap, where they do not touch each other, as with dilation. */
function markTaps(context, top, left, cell, colours) {
  const [rows, cols] = shown.arithmetic.windowCells(...state.at);
  const touches = (cells) => cells.every((one, k) => k === 0 || one === cells[k - 1] + 1);
  if (touches(rows) && touches(cols)) return;
  for (const row of rows) {
    for (const col of cols) drawDot(context, row - top, col - left, cell, colours);
  }
}

/** A dot on a cell. */
function drawDot(context, row, col, cell, colours) {
  const radius = Math.max(1.5, cell / 7);
  const [y, x] = [(row + 0.5) * cell, (col + 0.5) * cell];
  for (const [size, colour] of [[radius + 1, colours.halo], [radius, colours.window]]) {
    context.beginPath();
    context.arc(x, y, size, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
  }
}

/** The colour of an output value, one for each channel of the chosen map. */
function outputColour(row, col) {
  const { outRows, outCols, planes, range } = shown;
  const [r, c] = [row - outRows[0], col - outCols[0]];
  if (r < 0 || c < 0 || r >= outRows.length || c >= outCols.length) return null;
  if (!shown.arithmetic.knows(row, col)) return null;
  const values = planes.map((plane) => plane[r * outCols.length + c]);
  return cellColour(values, range, tables[state.colormap]);
}

/** The output's cells that are shown, with what is cut off: [top, bottom, left, right]. */
function outputRegion() {
  const { outRows, outCols, arithmetic } = shown;
  const { rows, cols } = arithmetic.window;
  const span = (axis, list) => {
    const [first, last] = [list[0], list[list.length - 1] + 1];
    const [begin, end] = axis.cut ?? [0, 0];
    return [first === 0 ? -begin : first, last === axis.out ? last + end : last];
  };
  return [...span(rows, outRows), ...span(cols, outCols)];
}

function drawOutput() {
  const { outRows, outCols } = shown;
  const [height, width] = [outRows.length, outCols.length];
  const [top, bottom, left, right] = outputRegion();
  const cell = cellSize(byId("output-box"), bottom - top, right - left);
  const key = `output ${state.colormap}`;
  if (!shown.pictures[key]) {
    const isBlank = (at) => !shown.arithmetic.knows(outRows[Math.floor(at / width)], outCols[at % width]);
    shown.pictures[key] = valuePicture(height, width, shown.planes, shown.range, tables[state.colormap], isBlank);
  }
  const picture = shown.pictures[key];
  const [x, y] = [(outCols[0] - left) * cell, (outRows[0] - top) * cell];
  const context = drawBackground(byId("output"), (right - left) * cell, (bottom - top) * cell, [picture, cell], (below) => {
    below.translate(x, y);
    drawCells(below, picture, cell);
  });
  context.translate(x, y);
  const colours = themeColours();
  const [row, col] = [state.at[0] - outRows[0], state.at[1] - outCols[0]];
  if (state.filling) clearAfter(context, row, col, cell);
  coverHidden(context, outRows[0], outCols[0], cell, colours);
  if (isTransposed) markSpread(context, cell, colours);
  markSenders(context, cell, colours);
  outlineCells(context, [row, col, row + 1, col + 1], cell, colours.window, colours.halo);
}

/** While the window fills the output, those after it are not there yet. */
function clearAfter(context, row, col, cell) {
  const { width, height } = context.canvas;
  context.clearRect((col + 1) * cell, row * cell, width, cell);
  context.clearRect(0, (row + 1) * cell, width, height);
}

/** Sizes, ranges, and the window's position. */
function drawStatus() {
  const { arithmetic } = shown;
  const { rows, cols } = arithmetic.window;
  const { size, channels } = state.input;
  setText(byId("input-size"), `${size[0]} × ${size[1]} × ${channels}`);
  setText(byId("output-size"), `${rows.out} × ${cols.out} × ${arithmetic.channels}`);
  // For the strip that stays in sight on a phone.
  byId("output-box").dataset.size = byId("output-size").textContent;
  // The range of few values would tell the one that the quiz asks for.
  setText(byId("output-note"), hiddenUnit() ? "" : outputNote());
  setText(byId("stride-note"), hiddenUnit() || isTransposed ? "" : strideText(state.layer, state.input.size));
  const note = isTransposed ? spreadHint() : state.layer.op === "conv" ? paddingText() : "";
  setText(byId("input-note"), [notFiniteInput, note].filter(Boolean).join("; "));
  for (const [index, id] of ["at-row", "at-col"].entries()) {
    if (document.activeElement !== byId(id)) byId(id).value = state.at[index];
    byId(id).max = [rows.out, cols.out][index] - 1;
  }
  byId("pin").setAttribute("aria-pressed", String(state.pinned));
  setText(byId("pin"), state.pinned ? "Release" : "Hold");
  setText(byId("play"), state.playing ? "❚❚ Stop" : "▶ Play");
  byId("play").setAttribute("aria-pressed", String(state.playing));
}

/** Whether the output's values have colours of a table, not grey levels or those of a colour picture. */
function isInColours() {
  return tables[state.colormap] && shown.picture.channels.length === 1;
}

/** Which values of the output have the colours at the ends, and which part of it is shown. */
function outputNote() {
  const { arithmetic, outRows, outCols, range } = shown;
  const { rows, cols } = arithmetic.window;
  const explained = {
    clip: "values outside 0..1 are clipped",
    minmax: "smallest to largest",
    symmetric: "0 is the middle",
  };
  const of = range.kind === "abs" ? "magnitudes " : "";
  const what = explained[range.kind] ? `; ${explained[range.kind]}` : "";
  const [low, high] = isInColours() ? ["one end of the colours", "the other"] : ["black", "white"];
  const part = outRows.length < rows.out || outCols.length < cols.out;
  const ends = `${of}${numberText(range.lo)} is ${low}, ${numberText(range.hi)} ${high}${what}`;
  return (
    shown.notFinite +
    (range.lo < range.hi ? ends : constantText(range, largestMagnitude(shown.planes))) +
    (part
      ? `. Shown: rows ${outRows[0]} to ${outRows[outRows.length - 1]}, columns ${outCols[0]} to ` +
        `${outCols[outCols.length - 1]}.`
      : "")
  );
}

/** What padding holds, in words. */
const PAD_WORDS = {
  edge: "copies of the nearest pixel",
  reflect: "the picture mirrored at its outermost pixels",
  symmetric: "the picture mirrored at its edge",
  wrap: "pixels of the opposite side",
};

/** The padding around the image, in words. */
function paddingText() {
  const { rows, cols } = shown.arithmetic.window;
  const pads = [rows.begin, rows.end, cols.begin, cols.end];
  if (!pads.some(Boolean)) return "no padding";
  const { padMode, padValue } = state.layer;
  const same = pads.every((pad) => pad === pads[0]);
  const count = same ? `${countText(pads[0], "cell")} on each side` : ["↑", "↓", "←", "→"].map((arrow, side) => arrow + pads[side]).join(" ");
  return `padding: ${count}, ${PAD_WORDS[padMode] ?? `all ${numberText(padValue)}`}`;
}

/** Let a button lead to the nearest side whose windows see padding, where there is one. */
function startBorderButton() {
  const button = byId("to-border");
  const sides = () => {
    const { rows, cols } = shown.arithmetic.window;
    const [row, col] = state.at;
    const [down, across] = [rows.out - 1, cols.out - 1];
    return [[rows.begin, 0, col], [rows.end, down, col], [cols.begin, row, 0], [cols.end, row, across]]
      .filter(([pads, ...at]) => pads && shown.arithmetic.knows(...at))
      .sort((one, other) => distance(one) - distance(other));
  };
  const distance = ([, row, col]) => Math.abs(row - state.at[0]) + Math.abs(col - state.at[1]);
  button.addEventListener("click", () => apply({ at: sides()[0].slice(1), pinned: true, playing: false }));
  showWhere(button, () => state.layer.op === "conv" && sides().length > 0);
}
