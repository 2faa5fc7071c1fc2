"use strict";
// Questions of the quiz on one output of a layer with a window: its number, and which cell wins a pool.
// Outputs are chosen that a person can compute. Nothing here touches the page.
//
// `place` is where to choose: the `arithmetic` of a layer, its `rows`, `cols` and `channels` of the output,
// `nameOf`, which names an input channel, `nameOfOutput`, `isSeen`, whether an output is not to be asked for, and
// `most`, how many products there may be.

const OUTPUT_TRIES = 80;
const BEST_OUTPUTS = 10;
const MOST_TERMS = 30;
const LISTED_TERMS_EACH = 12;
const FEW_BLOCKS = 4;
/** An answer may be off by this share of the largest number in its sum, and by the rounding of those shown. */
const OWN_ROUNDING = 0.01;

/** Rounded up to one digit. */
function roundedUp(value) {
  if (value === 0) return 0;
  const unit = 10 ** Math.floor(Math.log10(value));
  return Number((Math.ceil(value / unit - 1e-9) * unit).toPrecision(1));
}

/** A value as a table with so many columns shows it. */
function asShown(value, columns) {
  return Number(value.toPrecision(cellDigits(columns)));
}

/**
 * Outputs of which one can be asked for: { channel, at, step }. `effortOf` tells how much there is to
 * compute, null where a step is of no use; those with the least of many are kept.
 */
function easyOutputs(random, place, effortOf) {
  const found = new Map();
  for (let tries = 0; tries < OUTPUT_TRIES; tries += 1) {
    const channel = pickFrom(random, place.channels);
    const at = [pickFrom(random, place.rows), pickFrom(random, place.cols)];
    const key = `${channel} ${at}`;
    if (found.has(key) || place.isSeen(channel, at) || !place.arithmetic.knows(...at)) continue;
    const step = place.arithmetic.step(channel, ...at);
    const cells = step.blocks.flatMap((block) => block.cells);
    const effort = cells.every(({ value }) => Number.isFinite(value)) ? effortOf(step, cells) : null;
    found.set(key, effort === null ? null : { channel, at, step, effort });
  }
  const kept = [...found.values()].filter(Boolean);
  return kept.sort((a, b) => a.effort - b.effort).slice(0, BEST_OUTPUTS);
}

/** Digits of a number in a table. */
function digitsOf(value, columns) {
  return numberText(value, cellDigits(columns)).replace(/[−.]/g, "").length;
}

/** How much there is to multiply and add: null for nothing, or too much. */
function convEffort(columns, most = MOST_TERMS) {
  return (step, cells) => {
    if (!Number.isFinite(step.value)) return null;
    const terms = cells.filter(({ value, weight }) => value && weight);
    if (terms.length < Math.min(2, cells.length) || terms.length > most) return null;
    const digits = terms.map(({ value, weight }) => digitsOf(value, columns) + digitsOf(weight, columns));
    return digits.reduce((sum, count) => sum + count);
  };
}

/** The same of a pool: the digits of its cells. */
function poolEffort(columns) {
  return (step, cells) => {
    const inside = cells.filter(({ pad }) => !pad);
    if (!Number.isFinite(step.value) || inside.length < 2 || cells.length > MOST_TERMS) return null;
    if (inside.every(({ value }) => value === inside[0].value)) return null;
    return inside.reduce((sum, { value }) => sum + digitsOf(value, columns), 0);
  };
}

/** The number of one output of a convolution or a pool; null where none can be computed by a person. */
function valueQuestion(random, place) {
  const { layer } = place.arithmetic;
  const columns = layer.kernel[1];
  const isPool = layer.op === "pool";
  if (isPool && layer.mode === "lp" && ![1, 2, Infinity].includes(layer.p)) return null;
  const outputs = easyOutputs(random, place, isPool ? poolEffort(columns) : convEffort(columns, place.most));
  const questions = outputs.map((output) => valueRecord(place, output));
  // Those from which most can be learnt: an answer tells which mistake was made.
  const most = Math.max(...questions.map(({ mistakes }) => mistakes.length));
  const telling = questions.filter(({ mistakes }) => mistakes.length >= most - 1);
  return telling.length ? pickFrom(random, telling) : null;
}

function valueRecord(place, { channel, at, step }) {
  const isPool = place.arithmetic.layer.op === "pool";
  const tolerance = isPool ? poolTolerance(place, step) : convTolerance(place, step, channel);
  const mistakes = isPool ? poolMistakes(place, step, channel, at) : convMistakes(place, step, channel, at);
  return {
    topic: "value",
    control: "number",
    unit: { channel, at },
    text: `What is the output at row ${at[0]}, column ${at[1]}${place.nameOfOutput(channel)}?`,
    hint: exactText(tolerance),
    answers: [step.value],
    tolerance,
    mistakes: tellableMistakes(mistakes, step.value, tolerance),
    lines: isPool ? poolLines(place, step, at) : convLines(place, step),
  };
}

/** How exact an answer must be, in words. */
function exactText(tolerance) {
  return tolerance ? `Compute with the numbers as shown; within ${numberText(tolerance)} counts as right.` : "Exactly.";
}

/** How far an answer may be off: by the rounding of the numbers shown, and one's own. */
function convTolerance({ arithmetic }, step, channel) {
  const columns = arithmetic.layer.kernel[1];
  const cells = step.blocks.flatMap((block) => block.cells);
  const sumOf = (termOf) => cells.reduce((sum, cell) => sum + termOf(cell), 0);
  const ways = [
    sumOf(({ product }) => asShown(product, columns)),
    sumOf(({ value, weight }) => asShown(value, columns) * asShown(weight, columns)),
  ];
  const largest = Math.max(...cells.map(({ product }) => Math.abs(product)), Math.abs(step.bias));
  const off = Math.max(...ways.map((way) => Math.abs(way - step.sum))) + OWN_ROUNDING * largest;
  const ends = [step.total - off, step.total + off].map((z) => arithmetic.activate(z, channel));
  const moved = Math.max(...ends.map((end) => Math.abs(end - step.value)));
  // Where an activation makes all one, such as 0, some room remains: none would tell.
  return roundedUp(Math.max(moved, (OWN_ROUNDING / 2) * Math.abs(step.value), off / 10));
}

function poolTolerance({ arithmetic }, step) {
  const columns = arithmetic.layer.kernel[1];
  const largest = Math.max(...step.blocks[0].cells.map(({ value }) => Math.abs(value)));
  return roundedUp(largest * Math.max(OWN_ROUNDING / 2, 10 ** (1 - cellDigits(columns)) / 2));
}

/** The same output of the layer with other settings; NaN where it has none. Padding stays in numbers. */
function valueWith({ arithmetic }, changes, channel, at) {
  const { rows, cols } = arithmetic.window;
  const padding = [rows.begin, rows.end, cols.begin, cols.end];
  const changed = new LayerArithmetic(arithmetic.input, { ...arithmetic.layer, padding, ...changes });
  return changed.fits && changed.knows(...at) ? changed.step(channel, ...at).value : NaN;
}

/** What usual mistakes with a window's place make of an output. */
function placeMistakes(place, channel, at) {
  const { rows, cols } = place.arithmetic.window;
  const other = (changes) => valueWith(place, changes, channel, at);
  const [row, col] = place.arithmetic.windowStart(...at);
  const forgotten = `row ${row + rows.begin}, column ${col + cols.begin}`;
  return [
    {
      text: `This begins the window at ${forgotten} of the input; with the padding it begins at row ${numberText(row)}, column ${numberText(col)}.`,
      value: other({ padding: [0, rows.begin + rows.end, 0, cols.begin + cols.end] }),
    },
    { text: "This ignores the stride: the window moves by more than one cell.", value: other({ stride: [1, 1] }) },
    { text: "This ignores the dilation: the cells under the window do not touch each other.", value: other({ dilation: [1, 1] }) },
  ];
}

/** What usual mistakes make of an output of a convolution: { text, value } each. */
function convMistakes(place, step, channel, at) {
  const { arithmetic } = place;
  const { layer } = arithmetic;
  const activate = (z) => arithmetic.activate(z, channel);
  const cells = step.blocks.flatMap((block) => block.cells);
  const mistakes = [{ text: "This forgets the bias.", value: activate(step.sum) }];
  const add = (text, value) => mistakes.push({ text, value });
  const flipped = step.blocks.reduce((sum, block) => sum + flippedSum(block), 0) + step.bias;
  add("This flips the kernel, as a convolution of mathematics does; a layer lays it on as it is (cross-correlation).", activate(flipped));
  if (layer.activation !== "none") {
    add(`This is the sum before ${layer.activation}.`, step.total);
    add(`This adds the bias after ${layer.activation}; it comes before.`, activate(step.sum) + step.bias);
  } else add("This makes negative sums 0, as ReLU does; the layer has no activation.", Math.max(step.total, 0));
  if (step.blocks.length > 1) {
    for (const block of step.blocks.filter(({ sum }) => sum)) {
      add(`This forgets a channel: ${place.nameOf(block.channel)}.`, activate(step.total - block.sum));
      if (step.blocks.length <= FEW_BLOCKS) add(`This counts one channel alone: ${place.nameOf(block.channel)}.`, activate(block.sum + step.bias));
    }
  }
  if (cells.some(({ pad }) => pad)) {
    const isCopy = layer.padMode !== "zeros";
    const zeros = valueWith(place, { padMode: "zeros", padValue: 0 }, channel, at);
    add(`This takes the padding as 0; ${isCopy ? "it copies pixels" : `it is ${numberText(layer.padValue)}`}.`, zeros);
    const inside = cells.filter(({ pad }) => pad).every(({ value }) => value === 0);
    if (!inside) add("This leaves out the padding.", activate(cells.reduce((sum, { pad, product }) => sum + (pad ? 0 : product), step.bias)));
  }
  mistakes.push(...placeMistakes(place, channel, at));
  add("This adds up the window without its weights.", activate(cells.reduce((sum, { value }) => sum + value, step.bias)));
  add("The sign is the wrong way round.", -step.value);
  return mistakes;
}

/** The sum of a channel, were its kernel turned by half a turn. */
function flippedSum({ cells }) {
  return cells.reduce((sum, { value }, index) => sum + value * cells[cells.length - 1 - index].weight, 0);
}

/** One product of a window, where there are too many for a person; null where none is found. */
function productQuestion(random, place) {
  for (let tries = 0; tries < BEST_OUTPUTS; tries += 1) {
    const channel = pickFrom(random, place.channels);
    const at = [pickFrom(random, place.rows), pickFrom(random, place.cols)];
    if (place.isSeen(channel, at) || !place.arithmetic.knows(...at)) continue;
    const step = place.arithmetic.step(channel, ...at);
    const block = pickFrom(random, step.blocks);
    // The larger ones, which have the simpler numbers.
    const least = largestMagnitude([block.cells.map(({ product }) => product)]) / 4;
    const isOfUse = ({ product }) => Number.isFinite(product) && product && Math.abs(product) >= least;
    const cells = pickSome(random, block.cells.filter(isOfUse), BEST_OUTPUTS);
    const questions = cells.map((cell) => productRecord(place, { channel, at, step }, block, cell));
    const most = Math.max(...questions.map(({ mistakes }) => mistakes.length));
    if (questions.length) return questions.find(({ mistakes }) => mistakes.length === most);
  }
  return null;
}

function productRecord(place, { channel, at, step }, block, cell) {
  const [kh, kw] = place.arithmetic.layer.kernel;
  const { i, j, value, weight, product } = cell;
  const [v, w] = [value, weight].map((number) => asShown(number, kw));
  const tolerance = roundedUp(Math.abs(v * w - product) + OWN_ROUNDING * Math.abs(product));
  const [first, second] = [v, w].map((number) => numberText(number));
  const name = step.blocks.length > 1 ? `, ${place.nameOf(block.channel)}` : "";
  const isListed = Math.max(kh, kw) <= LISTED_SIDE;
  const given = isListed ? "" : ` The window has ${first} there, and the kernel ${second}.`;
  const count = step.blocks.reduce((sum, { cells }) => sum + cells.length, 0);
  return {
    topic: "product",
    control: "number",
    unit: { channel, at, asked: { source: block.channel, i, j } },
    text:
      `What is the product at row ${i}, column ${j} of the window${name}, for the output at row ${at[0]}, column ` +
      `${at[1]}${place.nameOfOutput(channel)}?${given}`,
    hint: exactText(tolerance),
    answers: [product],
    tolerance,
    mistakes: tellableMistakes(productMistakes(block, cell, [kh, kw]), product, tolerance),
    lines: [
      `${first} × ${bracketed(second)} = ${numberText(product)}`,
      `all ${count} products and the bias: ${numberText(step.sum)} + ${bracketed(numberText(step.bias))} = ${numberText(step.total)}`,
    ],
  };
}

/** What usual mistakes make of one product: { text, value } each. */
function productMistakes({ cells }, { i, j, pad, value, weight, product }, [kh, kw]) {
  const weightAt = (row, col) => cells[row * kw + col]?.weight;
  const mistakes = [
    { text: "This takes the weight of the flipped kernel; a layer lays the kernel on as it is.", value: value * weightAt(kh - 1 - i, kw - 1 - j) },
    { text: "This is the window's number alone; it is multiplied by the weight.", value },
    { text: "This is the weight alone; it is multiplied by the window's number.", value: weight },
    { text: "This adds the weight to the window's number; they are multiplied.", value: value + weight },
    { text: "The sign is the wrong way round.", value: -product },
  ];
  if (kh === kw) mistakes.splice(1, 0, { text: "This exchanges rows and columns of the kernel.", value: value * weightAt(j, i) });
  return pad ? [{ text: "This takes the padding as 0.", value: 0 }, ...mistakes] : mistakes;
}

/** What usual mistakes make of an output of a pool. */
function poolMistakes(place, step, channel, at) {
  const { layer } = place.arithmetic;
  const cells = step.blocks[0].cells;
  const other = (changes) => valueWith(place, changes, channel, at);
  const modes = { max: "the largest cell", min: "the smallest cell", average: "the mean of the cells" };
  const mistakes = [];
  const add = (text, value) => mistakes.push({ text, value });
  for (const [mode, what] of Object.entries(modes)) {
    if (mode !== layer.mode) add(`This is ${what}, but the pool takes ${modes[layer.mode] ?? "the p-norm"}.`, other({ mode }));
  }
  if (layer.mode === "average") {
    const counts = layer.countIncludePad;
    add(`This divides by the cells ${counts ? "without the" : "and the"} padding.`, other({ countIncludePad: !counts }));
    add("This is the sum; an average is divided by the number of cells.", step.sum);
  } else if (layer.mode === "lp") add("This is the sum of the powers; its root is still to be taken.", step.powers);
  else if (cells.some(({ pad }) => pad)) {
    const best = layer.mode === "max" ? Math.max(step.value, 0) : Math.min(step.value, 0);
    add("This lets a 0 of the padding win; padding never wins.", best);
  }
  return [...mistakes, ...placeMistakes(place, channel, at)];
}

/** Which cell wins a max or min pool; null where no window shows it. */
function winnerQuestion(random, place) {
  const { layer } = place.arithmetic;
  if (!["max", "min"].includes(layer.mode)) return null;
  const columns = layer.kernel[1];
  const textOf = (value) => numberText(value, cellDigits(columns));
  const effort = poolEffort(columns);
  const outputs = easyOutputs(random, place, (step, cells) => {
    // As shown, one cell must be the best.
    const best = textOf(step.value);
    const isClear = cells.filter(({ pad, value }) => !pad && textOf(value) === best).length === 1;
    return isClear ? effort(step, cells) : null;
  });
  if (!outputs.length) return null;
  const { channel, at, step } = pickFrom(random, outputs);
  const cells = step.blocks[0].cells.map(({ i, j, pad, value }) => ({ i, j, pad, text: pad ? "–" : textOf(value) }));
  return {
    topic: "winner",
    control: "cell",
    unit: { channel, at },
    text: `Which cell of the window wins the ${layer.mode} pool at row ${at[0]}, column ${at[1]}${place.nameOfOutput(channel)}?`,
    hint: "Choose it by a click or with the arrow keys.",
    cells,
    answers: [step.winner],
    tolerance: 0,
    mistakes: winnerMistakes(layer, step),
    lines: poolLines(place, step, at),
  };
}

/** What each wrong cell of a window tells. */
function winnerMistakes({ mode }, step) {
  const { cells } = step.blocks[0];
  const inside = cells.filter(({ pad }) => !pad).map(({ value }) => value);
  const [least, most] = [Math.min(...inside), Math.max(...inside)];
  const [worst, size] = [mode === "max" ? least : most, Math.max(Math.abs(least), Math.abs(most))];
  const textOf = ({ pad, value }) => {
    if (pad) return "This is padding, which never wins.";
    if (value === worst) return `This is the ${mode === "max" ? "smallest" : "largest"} cell, which wins a ${mode === "max" ? "min" : "max"} pool.`;
    if (Math.abs(value) === size) return "This is the largest without its sign; a pool compares with the sign.";
    return `This is ${numberText(value)}; another cell is ${mode === "max" ? "larger" : "smaller"}.`;
  };
  const wrong = cells.map((cell, index) => ({ text: textOf(cell), answers: [index] }));
  return wrong.filter(({ answers }) => answers[0] !== step.winner);
}

/** Brackets around a negative number behind a sign. */
function bracketed(text) {
  return text.startsWith("−") ? `(${text})` : text;
}

/** Numbers joined by a sign, those of a long list left out. */
function joinedText(texts, sign = " + ") {
  if (texts.length <= LISTED_TERMS_EACH) return texts.map((text, index) => (index ? bracketed(text) : text)).join(sign);
  return `${texts.length} numbers added up`;
}

/** The formula of an output of a convolution, with its numbers. */
function convLines(place, step) {
  const { layer } = place.arithmetic;
  const textOf = (value) => numberText(value, cellDigits(layer.kernel[1]));
  const isMany = step.blocks.length > 1;
  const counting = isMany ? step.blocks.filter(({ sum }) => sum) : step.blocks;
  const lines = counting.slice(0, LISTED_TERMS_EACH).map((block) => {
    const terms = block.cells.filter(({ product }) => product).map(({ value, weight }) => `${textOf(value)}×${bracketed(textOf(weight))}`);
    const sum = terms.length ? joinedText(terms) : "all products are 0";
    return `${isMany ? `${place.nameOf(block.channel)}: ` : ""}${sum} = ${numberText(block.sum)}`;
  });
  const sums = isMany ? joinedText(counting.map(({ sum }) => numberText(sum))) : numberText(step.sum);
  lines.push(`${isMany ? "all channels" : "sum"} and bias: ${sums} + ${bracketed(numberText(step.bias))} = ${numberText(step.total)}`);
  if (layer.activation !== "none") lines.push(`${layer.activation}(${numberText(step.total)}) = ${numberText(step.value)}`);
  return lines;
}

/** The formula of an output of a pool, with its numbers. */
function poolLines({ arithmetic }, step, at) {
  const { mode, p, countIncludePad, kernel } = arithmetic.layer;
  const textOf = (value) => numberText(value, cellDigits(kernel[1]));
  const inside = step.blocks[0].cells.filter(({ pad }) => !pad).map(({ value }) => textOf(value));
  if (mode === "average") {
    const pads = countIncludePad && step.divisor > inside.length ? `, with ${step.divisor - inside.length} of padding` : "";
    return [`(${joinedText(inside)}) ÷ ${step.divisor} cells${pads} = ${numberText(step.value)}`];
  }
  if (mode === "lp") {
    if (p === Infinity) return [`the largest of |${inside.join("|, |")}| = ${numberText(step.value)}`];
    const powers = joinedText(inside.map((text) => `|${text}|^${p}`));
    return [`${powers} = ${numberText(step.powers)}`, `to the power 1/${p}: ${numberText(step.value)}`];
  }
  const [row, col] = winnerCell({ arithmetic, at, step });
  return [`${mode}(${inside.join(", ")}) = ${numberText(step.value)}, at row ${row}, column ${col} of the input`];
}
