"use strict";
// The quiz of the layer's page: what it asks for, and how the page hides it.

/** The kinds of questions, each a function of a source of random numbers. */
function quizTopics() {
  takeBackLayer();
  const sizes = (random) => sizeQuestion(random, state.layer);
  if (shown.problem || !["conv", "pool"].includes(state.layer.op)) return [sizes];
  const values = (random) => valueQuestion(random, quizPlace(random)) ?? easierQuestion(random);
  const winners = (random) => winnerQuestion(random, quizPlace(random));
  const { op, mode, kernel } = state.layer;
  if (op === "pool") return ["max", "min"].includes(mode) ? [winners, values, sizes] : [values, sizes];
  const products = (random) => productQuestion(random, quizPlace(random));
  return kernel[0] * kernel[1] * depths() > MOST_TERMS ? [products, values, sizes] : [values, sizes];
}

/** Where a question on an output may be: on any map but not at the output that is shown. */
function quizPlace(random) {
  const { arithmetic, outRows: rows, outCols: cols } = shown;
  const channels = pickSome(random, pageData.pictures, QUIZ_MAPS).flatMap((picture) => picture.channels);
  const [row, col] = state.at;
  const isSeen = (_, at) => at[0] === row && at[1] === col && rows.length * cols.length > 1;
  const most = hasOneKernel() ? EASY_TERMS : undefined;
  return { arithmetic, rows, cols, channels, isSeen, nameOf: channelName, nameOfOutput, most };
}

/** Of a bank of many maps so many are looked at. */
const QUIZ_MAPS = 12;
/** A kernel that can be exchanged for another has no more products than these. */
const EASY_TERMS = 12;

/** Whether the layer has one 2-D kernel, which a built-in filter may stand in for. */
function hasOneKernel() {
  return state.layer.op === "conv" && state.layer.maps === 1 && depths() === 1;
}

/** A question with a built-in filter in place of a kernel that is too large to compute with. */
function easierQuestion(random) {
  if (!hasOneKernel()) return null;
  const isEasy = (weight) => Number.isInteger(weight);
  const easy = pageData.presets.filter(({ rows }) => rows.flat().every(isEasy) && rows.flat().filter(Boolean).length > 1);
  if (!easy.length) return null;
  const { name, rows } = pickFrom(random, easy);
  const layer = { kernel: [rows.length, rows[0].length], weights: Float64Array.from(rows.flat()) };
  const arithmetic = new LayerArithmetic(state.input, { ...state.layer, ...layer });
  if (!arithmetic.fits) return null;
  const [outRows, outCols] = [arithmetic.knownRows, arithmetic.knownCols].map(outputRange);
  const question = valueQuestion(random, { ...quizPlace(random), arithmetic, rows: outRows, cols: outCols });
  return question && { ...question, layer, text: `The filter is ${name} now. ${question.text}` };
}

/** The user's own kernel, { kernel, weights }, while a question has another one: its weights are `asked`. */
let ownKernel = null;

/** Take back the user's kernel, unless the question's was changed since its answer. */
function takeBackLayer() {
  if (ownKernel && state.layer.weights === ownKernel.asked) {
    const { kernel, weights } = ownKernel;
    apply({ layer: { kernel, weights }, quiz: state.quiz });
  }
  ownKernel = null;
}

/** The map and colour of an output channel, where there are several. */
function nameOfOutput(channel) {
  const { channels } = pageData.pictures[pictureIndex(channel)];
  const map = pageData.pictures.length > 1 ? `, map ${mapNameOfChannel(channel)}` : "";
  return channels.length > 1 ? `${map}, ${COLOURS[channels.indexOf(channel)]}` : map;
}

/** The changes that show where a question is. */
function viewOfQuestion(question, isAnswered) {
  if (isAnswered) return {};
  if (!question) {
    takeBackLayer();
    return {};
  }
  const { unit, layer } = question;
  if (layer) {
    const { kernel, weights } = state.layer;
    ownKernel = { kernel, weights, asked: layer.weights };
  }
  const learn = state.learn && { ...state.learn, running: false };
  const still = { pinned: true, playing: false, filling: false, backward: null, pixel: null, learn, ...(layer && { layer }) };
  if (!unit) return still;
  const map = pictureIndex(unit.channel);
  const { channels } = shown.arithmetic.sources(unit.channel);
  const block = Math.max(0, channels.indexOf(unit.asked?.source));
  return { ...still, at: unit.at, map, channel: pageData.pictures[map].channels.indexOf(unit.channel), block };
}

/** While a question is open the filter cannot be changed; other controls are not shown. */
function holdPage(isOpen) {
  byId("filter-body").inert = isOpen;
}

/** The page itself shows what a question is about. */
function questionElements() {
  return [];
}

/** Cover the output that is asked for, on a canvas whose first cell is (top, left). */
function coverHidden(context, top, left, cell, colours) {
  const unit = hiddenUnit();
  if (!unit) return;
  const [row, col] = [unit.at[0] - top, unit.at[1] - left];
  context.clearRect(col * cell - 0.5, row * cell - 0.5, cell + 1, cell + 1);
  hatchCells(context, [row, col, row + 1, col + 1], cell, colours.pad);
}
