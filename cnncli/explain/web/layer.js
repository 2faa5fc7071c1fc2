"use strict";
// The page of one layer: its state and its two pictures.
// geometry.js and arithmetic.js compute, arithmetic_panel.js shows one output's numbers, backward.js one
// pixel's gradient, moving.js moves the window, controls.js changes the layer.

const pageData = JSON.parse(document.getElementById("page-data").textContent);
const byId = (id) => document.getElementById(id);
const tables = Object.fromEntries(
  Object.entries(pageData.tables).map(([name, data]) => [name, bytesOf(data)]),
);
const COLOURS = ["red", "green", "blue"];
const isTransposed = pageData.layer.op === "conv-transpose";
// Of more the page would be slow.
const MOST_OUTPUTS = 2 ** 20;

/** The image that the page came with. */
const firstInput = { ...readInput(pageData.input, pageData.layer.single), clips: pageData.clipByDefault };

/** What the user chose. Only `apply` changes it. */
const state = {
  // See layer_input.js.
  input: firstInput,
  layer: readLayer(pageData.layer),
  at: pageData.at,
  map: pageData.map,
  // The chosen channel of a colour picture, and the chosen input channel of a bank.
  channel: 0,
  block: 0,
  pinned: false,
  playing: false,
  // Whether outputs after the window's are not there yet: play fills them in, and single steps go on.
  filling: false,
  // Steps a second.
  speed: 5,
  range: "auto",
  colormap: "gray",
  // The pixel whose gradient is explained, see backward.js.
  backward: null,
  // The question of the quiz, see quiz_panel.js.
  quiz: null,
  // Of a transposed convolution: the input cell that is followed to the output, see spread.js.
  source: null,
  // How the filter learns, see learning.js.
  learn: null,
  // The pixel of the input whose value can be changed, [row, column].
  pixel: null,
};

/** What was computed from the state, and is shown. */
let shown = null;

/**
 * Change anything: the one way in, for every control, key and pointer, and for tests.
 *
 * `changes` may hold at [row, column], map, channel, block, pinned, playing, filling, speed, range, colormap,
 * learn, quiz, pixel, input: another image, and layer: any fields of the layer, such as { stride: [2, 2],
 * padding: "same" }. Weights are laid out rows, columns, channels in, maps. While a question of the quiz is
 * open, block alone changes.
 */
function apply(changes) {
  const { layer, ...view } = allowedChanges(changes, ["block"]);
  const recompute = Boolean(layer) || ["input", "map", "range", "colormap"].some((name) => name in view);
  // Who goes to another output sees all of them.
  const filling = state.filling && !("at" in view);
  Object.assign(state, { filling, ...view });
  if (view.input) fitToInput();
  const cell = layer && !("at" in view) ? middleCell() : null;
  if (layer) state.layer = { ...state.layer, ...layer };
  if (recompute || !shown) shown = compute();
  if (cell && shown.problem === "") state.at = outputNear(cell);
  if (shown.problem === "") {
    const { outRows, outCols } = shown;
    const clamp = (index, list) => Math.min(Math.max(index, list[0]), list[list.length - 1]);
    state.at = [clamp(state.at[0], outRows), clamp(state.at[1], outCols)];
  }
  if ("playing" in view || "speed" in view) keepPlaying();
  requestDraw(recompute || ["channel", "block", "colormap", "learn"].some((name) => name in view));
}

/** Compute the chosen map, as far as the page has the pixels for it. */
function compute() {
  const made = shown?.problem === "" ? shown.arithmetic : null;
  const isSame = made?.layer === state.layer && made.input === state.input;
  const arithmetic = isSame ? made : arithmeticOf(state.input, state.layer);
  const problem = sizeProblem(arithmetic);
  if (problem) return { arithmetic, problem };
  const [outRows, outCols] = [arithmetic.knownRows, arithmetic.knownCols].map(outputRange);
  if (!outRows.length || !outCols.length) {
    return { arithmetic, problem: "This page does not hold the pixels that this layer needs." };
  }
  const picture = pageData.pictures[state.map];
  const planes = picture.channels.map((channel) => arithmetic.values(channel, outRows, outCols));
  // Another map changes nothing of this.
  const small = isSame ? shown.small : smallMaps(arithmetic, outRows, outCols);
  const range = rangeOf(arithmetic, planes, outRows, outCols, small, picture.channels);
  const missing = notFiniteText(planes.reduce((count, plane) => count + plane.filter((value) => !Number.isFinite(value)).length, 0));
  const notFinite = missing && `${missing}; `;
  return { arithmetic, problem: "", outRows, outCols, picture, planes, range, small, notFinite, pictures: {} };
}

/** Why the layer cannot be shown with its settings, or "". */
function sizeProblem({ window: { rows, cols }, fits }) {
  if (isTransposed && (!fits || rows.out * cols.out > MOST_OUTPUTS)) {
    return fits
      ? `The output would have ${rows.out} × ${cols.out} cells. Take a smaller stride.`
      : "The padding cuts off the whole output. Take less padding.";
  }
  if (fits) return "";
  const [axis, name] = rows.fits ? [cols, "columns"] : [rows, "rows"];
  return (
    `The window spans ${axis.extent} of ${axis.padded} ${name}: it must fit into ` +
    "the padded input. Take more padding, less dilation or a smaller window."
  );
}

/** Of these activations no result is negative. */
const NOT_NEGATIVE = ["relu", "sigmoid", "abs"];

/**
 * A part of the rows and columns of all maps, for thumbnails and for what is common to all. Each map
 * is computed when it is asked for: `planesOf` one of them, `all`, or as many as tell whether any is `negative`.
 */
function smallMaps(arithmetic, outRows, outCols) {
  const some = (list) => {
    const every = Math.max(1, Math.ceil(list.length / THUMB));
    return list.filter((_, index) => index % every === 0);
  };
  const [rows, cols] = [some(outRows), some(outCols)];
  const { pictures } = pageData;
  const made = new Map();
  const planesOf = (index) => {
    if (!made.has(index)) {
      made.set(index, pictures[index].channels.map((channel) => arithmetic.values(channel, rows, cols)));
    }
    return made.get(index);
  };
  const all = () => pictures.map((_, index) => planesOf(index));
  let negative = NOT_NEGATIVE.includes(arithmetic.layer.activation) ? false : null;
  return {
    rows,
    cols,
    planesOf,
    all,
    get negative() {
      negative ??= pictures.some((_, index) => planesOf(index).some(hasNegative));
      return negative;
    },
  };
}

/** The range of a map, by the rule for whole layers. */
function rangeOf(arithmetic, planes, outRows, outCols, small, channels) {
  const single = pageData.pictures.every((picture) => picture.channels.length === 1);
  const aboutZero = state.colormap === "diverging" && single;
  const clips = state.input.clips && !aboutZero;
  const negative = small.negative || aboutZero;
  if (outRows.length === 1 && outCols.length === 1) {
    // Maps of one cell share a range, and none is cut off.
    const spec = state.range !== "auto" || clips ? state.range : negative ? "symmetric" : "minmax";
    return chooseRange(small.all().flat(), spec, clips);
  }
  const inner = innerValues(arithmetic, planes, outRows, outCols);
  const range = chooseRange(planes, state.range, clips, { negative, inner });
  if (state.range !== "auto" || clips) return range;
  // A map that is zero but for rounding is drawn as zero.
  const limit = Math.max(...channels.map((channel) => arithmetic.roundingLimit(channel)));
  const isShown = ({ lo, hi }) => Math.max(-lo, hi) > limit;
  const all = chooseRange(planes, range.kind, false);
  return [range, all].find(isShown) || { kind: range.kind, lo: 0, hi: 0 };
}

/** The values whose windows saw no padding, if they are at least half of all. */
function innerValues(arithmetic, planes, outRows, outCols) {
  const { window } = arithmetic;
  const isInner = (axis) => (output) => arithmetic.seesNoPadding(axis, output);
  const rows = outRows.map(isInner(window.rows));
  const cols = outCols.map(isInner(window.cols));
  const count = rows.filter(Boolean).length * cols.filter(Boolean).length;
  if (2 * count < rows.length * cols.length) return planes;
  return planes.map((plane) =>
    plane.filter((_, cell) => rows[Math.floor(cell / cols.length)] && cols[cell % cols.length]),
  );
}

/** All indices from the first to the last that is known. */
function outputRange(known) {
  const first = known.indexOf(1);
  if (first < 0) return [];
  return Array.from({ length: known.lastIndexOf(1) - first + 1 }, (_, i) => first + i);
}

/** The output channel that is explained. */
function outputChannel() {
  const { channels } = shown.picture;
  return channels[Math.min(state.channel, channels.length - 1)];
}

function channelName(index) {
  const { channels } = pageData.input;
  return channels === 3 ? COLOURS[index] : channels === 1 ? "grey" : `channel ${index}`;
}

// Drawing waits for the next frame, so that a fast pointer costs no more than a slow one.
let waiting = null;
function requestDraw(all) {
  if (waiting) {
    waiting.all = waiting.all || all;
    return;
  }
  waiting = { all };
  requestAnimationFrame(() => {
    const { all: everything } = waiting;
    waiting = null;
    draw(everything);
  });
}

function draw(everything) {
  byId("problem").textContent = shown.problem;
  document.body.classList.toggle("broken", shown.problem !== "");
  if (everything) drawControls();
  if (shown.problem) return;
  drawInput();
  drawOutput();
  drawArithmetic();
  drawBackward(everything);
  if (isTransposed) drawSpread();
  drawLearning(everything);
  drawStatus();
  drawQuiz();
}

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

/** The colour of an input cell, counted from the image's first; null beyond border and page. */
function inputColour(row, col) {
  const { arithmetic } = shown;
  const { rows, cols } = arithmetic.window;
  const [down, across] = [row + rows.begin, col + cols.begin];
  const r = arithmetic.rowTable[down];
  const c = arithmetic.colTable[across];
  if (r === undefined || c === undefined || r === ELSEWHERE || c === ELSEWHERE) return null;
  const group = inputGroup();
  const values = group.channels.map((channel) => arithmetic.cell(channel, down, across));
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
  const context = prepareCanvas(byId("input"), width * cell, height * cell);
  drawCells(context, inputPicture(), cell);
  const colours = themeColours();
  hatchPads(context, [top, bottom, left, right], cell, colours);
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
  const key = String([inputGroup().channels, kernel, stride, dilation, padding, padMode, padValue, ceil]);
  if (drawnInput.input !== state.input || drawnInput.key !== key) {
    const picture = cellPicture(bottom - top, right - left, (r, c) => inputColour(r + top, c + left));
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
  const context = prepareCanvas(byId("output"), (right - left) * cell, (bottom - top) * cell);
  context.translate((outCols[0] - left) * cell, (outRows[0] - top) * cell);
  drawCells(context, shown.pictures[key], cell);
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
  byId("input-size").textContent = `${size[0]} × ${size[1]} × ${channels}`;
  byId("output-size").textContent = `${rows.out} × ${cols.out} × ${arithmetic.channels}`;
  // The range of few values would tell the one that the quiz asks for.
  byId("output-note").textContent = hiddenUnit() ? "" : outputNote();
  byId("input-note").textContent = isTransposed ? sourceText() : state.layer.op === "conv" ? paddingText() : "";
  for (const [index, id] of ["at-row", "at-col"].entries()) {
    if (document.activeElement !== byId(id)) byId(id).value = state.at[index];
    byId(id).max = [rows.out, cols.out][index] - 1;
  }
  byId("pin").setAttribute("aria-pressed", String(state.pinned));
  byId("pin").textContent = state.pinned ? "Release" : "Hold";
  byId("play").textContent = state.playing ? "❚❚ Stop" : "▶ Play";
  byId("play").setAttribute("aria-pressed", String(state.playing));
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
  const isColoured = tables[state.colormap] && shown.picture.channels.length === 1;
  const [low, high] = isColoured ? ["one end of the colours", "the other"] : ["black", "white"];
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

/** The padding around the image, in words. */
function paddingText() {
  const { rows, cols } = shown.arithmetic.window;
  const pads = [rows.begin, rows.end, cols.begin, cols.end];
  if (!pads.some(Boolean)) return "no padding";
  const { padMode, padValue } = state.layer;
  const same = pads.every((pad) => pad === pads[0]);
  const count = same ? `${pads[0]}` : `${pads.join(", ")} (top, bottom, left, right)`;
  return `padding: ${count}, ${padMode === "zeros" ? `value ${numberText(padValue)}` : padMode}`;
}

/** Start the page, once all scripts are loaded. */
function startLayerPage() {
  byId("title").textContent = pageData.title;
  byId("maps-of").textContent =
    pageData.layer.op === "pool" ? "one for each channel" : "one for each filter";
  fitToInput();
  startControls();
  startMoving();
  startPlaying();
  startBackward();
  startQuizPanel();
  if (isTransposed) startSpread();
  startLearning();
  if (!isTransposed) startPixels();
  updates.push(startOwnPicture(byId("own"), ownPictureTarget()));
  startTheme(() => requestDraw(true));
  new ResizeObserver(() => requestDraw(false)).observe(document.body);
  apply({});
  if (isTransposed) beginSpread();
  requestDraw(true);
  // For tests, and for trying things in the browser's console.
  window.cnncli = {
    apply,
    state,
    values: (channel) => shown.arithmetic.values(channel, shown.outRows, shown.outCols),
    shown: () => shown,
    backward: backwardArithmetic,
    quiz: startQuiz,
    learner: currentLearner,
  };
}
