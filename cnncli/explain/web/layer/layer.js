"use strict";
// The page of one layer: its state, and what is computed from it. layer/pictures.js draws its pictures,
// arithmetic/geometry.js and arithmetic/layer.js compute, layer/arithmetic_panel.js shows one output's numbers, layer/backward.js one
// pixel's gradient, layer/moving.js moves the window, layer/controls.js changes the layer.

const byId = (id) => document.getElementById(id);
const tables = pageData.tables;
const COLOURS = ["red", "green", "blue"];
const isTransposed = pageData.layer.op === "conv-transpose";
// Of more the page would be slow.
const MOST_OUTPUTS = 2 ** 20;

/** The image that the page came with. */
const firstInput = { ...readInput(pageData.input, pageData.layer.single), clips: pageData.clipByDefault };

/** What the user chose. Only `apply` changes it. */
const state = {
  // See layer/input.js.
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
  // The pixel whose gradient is explained, see layer/backward.js.
  backward: null,
  // The question of the quiz, see quiz/panel.js.
  quiz: null,
  // Of a transposed convolution: the input cell that is followed to the output, see layer/spread.js.
  source: null,
  // How the filter learns, see learning/learning.js.
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
  if (!arithmetic.fits) return { arithmetic, problem: misfitText(arithmetic.layer, arithmetic.window) };
  const [outRows, outCols] = [arithmetic.knownRows, arithmetic.knownCols].map(outputRange);
  if (!outRows.length || !outCols.length) {
    return { arithmetic, problem: "This page does not hold the pixels that this layer needs." };
  }
  if (isTransposed && outRows.length * outCols.length > MOST_OUTPUTS) {
    const problem = `The output would have ${outRows.length} × ${outCols.length} cells. Take a smaller stride.`;
    return { arithmetic, problem };
  }
  const picture = pageData.pictures[state.map];
  const planes = picture.channels.map((channel) => arithmetic.values(channel, outRows, outCols));
  // Another map changes nothing of this.
  const small = isSame ? shown.small : smallMaps(arithmetic, outRows, outCols);
  const range = rangeOf(arithmetic, planes, outRows, outCols, small, picture.channels);
  const missing = notFiniteText(countNotFinite(planes));
  const notFinite = missing && `${missing}; `;
  return { arithmetic, problem: "", outRows, outCols, picture, planes, range, small, notFinite, pictures: {} };
}

/** Of these activations no result is negative. */
const NOT_NEGATIVE = ["relu", "sigmoid", "abs"];

/**
 * A part of the rows and columns of all maps, for thumbnails and for what is common to all. Each map
 * is computed when it is asked for: `planesOf` one of them, `all`, or as many as tell whether any is `negative`.
 */
function smallMaps(arithmetic, outRows, outCols) {
  // The same of both, so that shapes stay.
  const every = Math.max(1, Math.ceil(Math.max(outRows.length, outCols.length) / THUMB));
  const some = (list) => list.filter((_, index) => index % every === 0);
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
  if (state.range !== "auto" || clips) return chooseRange(planes, state.range, clips);
  const limit = Math.max(...channels.map((channel) => arithmetic.roundingLimit(channel)));
  const { rows, cols } = arithmetic.window;
  const cells = [innerSpan(arithmetic, rows, outRows), innerSpan(arithmetic, cols, outCols)];
  const box = innerBox([cells], [outRows.length, outCols.length]);
  return autoRange(planes, { negative, limit, width: outCols.length, box });
}

/** Of some outputs of an axis the first whose window saw no padding, and the one after the last. */
function innerSpan(arithmetic, axis, outputs) {
  const isInner = outputs.map((output) => arithmetic.seesNoPadding(axis, output));
  return [Math.max(0, isInner.indexOf(true)), isInner.lastIndexOf(true) + 1];
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

/** Which of the page's pictures has an output channel. */
function pictureIndex(channel) {
  return pageData.pictures.findIndex(({ channels }) => channels.includes(channel));
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
