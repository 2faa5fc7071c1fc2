"use strict";
// The quiz: random choice from a seed, questions on the size of an output, and what an answer tells of
// the thinking. quiz/window.js asks for values. Nothing here touches the page.
//
// A question is { topic, control, text, answers, tolerance, mistakes, lines }: `control` says how it is
// answered ("number", "choice" of its `options`, or "cell" of its `cells`); an answer is right within
// `tolerance` of one of `answers`; each of `mistakes` has the answers that it leads to, and a text that
// names it; `lines` are the formula with its numbers. `unit` is the value that the page must hide.

/** Numbers from 0 up to 1, the same ones for a seed each time: mulberry32. */
function makeRandom(seed) {
  let place = seed >>> 0;
  return () => {
    place = (place + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(place ^ (place >>> 15), place | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function pickFrom(random, list) {
  return list[Math.floor(random() * list.length)];
}

/** A whole number from least to most. */
function pickWhole(random, least, most) {
  return least + Math.floor(random() * (most - least + 1));
}

/** So many of a list, in random order. */
function pickSome(random, list, count) {
  const rest = [...list];
  const picked = [];
  while (rest.length && picked.length < count) {
    picked.push(...rest.splice(Math.floor(random() * rest.length), 1));
  }
  return picked;
}

/** The first of some topics, from a random one on, that has a question. */
function firstQuestion(random, topics, number) {
  for (let index = 0; index < topics.length; index += 1) {
    const question = topics[(number + index) % topics.length](random);
    if (question) return question;
  }
  return null;
}

function isNear(value, answers, tolerance) {
  return answers.some((answer) => Math.abs(value - answer) <= tolerance * (1 + 1e-9));
}

/** What an answer tells: { isRight, texts }, the mistakes that lead to it, or how far off it is. */
function judgeAnswer(question, given) {
  const { answers, tolerance, mistakes, control } = question;
  if (isNear(given, answers, tolerance)) return { isRight: true, texts: [] };
  const fitting = mistakes.filter((mistake) => isNear(given, mistake.answers, tolerance));
  if (fitting.length) return { isRight: false, texts: fitting.map(({ text }) => text) };
  if (control !== "number") return { isRight: false, texts: [] };
  const off = given - answers[0];
  const amount = `${numberText(Math.abs(off), 3)} too ${off > 0 ? "large" : "small"}`;
  return { isRight: false, texts: [`It is ${amount}, which is none of the usual mistakes.`] };
}

/** Mistakes that can be told from the right answer: of those that lead to one number, the first two. */
function tellableMistakes(mistakes, answer, tolerance) {
  const kept = [];
  for (const { text, value } of mistakes) {
    if (!Number.isFinite(value) || Math.abs(value - answer) <= 2 * tolerance) continue;
    const same = kept.filter((other) => Math.abs(other.answers[0] - value) <= tolerance);
    if (same.length < 2) kept.push({ text, answers: [value] });
  }
  return kept;
}

const SIZE_ROUNDINGS = { down: [Math.floor, "⌊", "⌋"], up: [Math.ceil, "⌈", "⌉"] };

/** What usual mistakes make of an output's size: { text, value } each. */
function sizeMistakes(axis) {
  const { size, begin, kernel, stride, dilation, extent, ceil } = axis;
  const rules = ceil ? ["up", "down"] : ["down", "up"];
  const make = (text, { pads = `2×${begin}`, padding = 2 * begin, span = extent, step = stride, rule = rules[0], one = 1 }) => {
    const [round, open, close] = SIZE_ROUNDINGS[rule];
    const value = round((size + padding - span) / step) + one;
    const formula = `${open}(${size} + ${pads} − ${span}) / ${step}${close}${one ? " + 1" : ""} = ${value}`;
    return { text: `${text}: ${formula}.`, value };
  };
  return [
    make("This forgets the + 1, for the window's first place", { one: 0 }),
    make(ceil ? "This rounds down, but the layer adds a last window" : "This rounds up, but the last window must fit", { rule: rules[1] }),
    make("This counts the padding once, but both ends have it", { pads: begin, padding: begin }),
    make("This forgets the padding", { pads: 0, padding: 0 }),
    make("This ignores the dilation, which makes the window span more", { span: kernel }),
    make("This takes dilation × kernel as the span; it is dilation × (kernel − 1) + 1", { span: dilation * kernel }),
    make("This forgets that the window itself takes room", { span: 0 }),
    make("This takes the window off and adds no 1, and forgets the padding too", { pads: 0, padding: 0, one: 0 }),
    make("This ignores the stride", { step: 1 }),
    { text: `This divides the input by the stride alone: ${size} / ${stride}.`, value: Math.round(size / stride) },
  ];
}

const SIZE_TRIES = 200;
const LEAST_SIZE_MISTAKES = 4;

/** A question on how many rows or columns come out, with settings chosen at random. */
function sizeQuestion(random, layer) {
  if (layer.op === "conv-transpose") return transposedSizeQuestion(random);
  const isPool = layer.op === "pool";
  const ceil = isPool && Boolean(layer.ceil);
  for (let tries = 0; tries < SIZE_TRIES; tries += 1) {
    const size = pickWhole(random, 6, 32);
    const kernel = pickFrom(random, isPool ? [2, 2, 3, 3, 4] : [1, 2, 3, 3, 3, 4, 5, 5, 7]);
    const stride = pickWhole(random, 1, 3);
    const padding = pickWhole(random, 0, isPool ? Math.floor(kernel / 2) : Math.min(3, kernel - 1));
    const dilation = pickFrom(random, isPool ? [1, 1, 1, 2] : [1, 1, 2, 3]);
    const axis = makeAxis(size, kernel, stride, dilation, padding, padding, ceil);
    if (!axis.fits || axis.out < 2 || axis.less || axis.overhang >= stride) continue;
    const mistakes = tellableMistakes(sizeMistakes(axis), axis.out, 0);
    if (new Set(mistakes.map(({ answers }) => answers[0])).size < LEAST_SIZE_MISTAKES) continue;
    return sizeRecord(axis, pickFrom(random, ["rows", "columns"]), isPool ? `${layer.mode} pool` : "convolution", mistakes);
  }
  return null;
}

function sizeRecord(axis, what, name, mistakes) {
  const { size, kernel, stride, dilation, begin, extent, ceil, out } = axis;
  const window = name === "convolution" ? "kernel" : "window";
  const last = ceil ? " It adds a last window that reaches over the end." : "";
  const lines = dilation > 1 ? [`span of the window: dilation × (${window} − 1) + 1 = ${dilation} × (${kernel} − 1) + 1 = ${extent}`] : [];
  return {
    topic: "size",
    control: "number",
    settings: { size, kernel, stride, dilation, padding: begin, ceil },
    text:
      `The input of a ${name} has ${size} ${what}; ${window} ${kernel}, stride ${stride}, padding ${begin} at both ends, ` +
      `dilation ${dilation}.${last} How many ${what} has the output?`,
    hint: "A whole number.",
    answers: [out],
    tolerance: 0,
    mistakes,
    lines: [...lines, `${what}: ${axisFormula(axis)}`],
  };
}

/** The same of a transposed convolution. */
function transposedSizeQuestion(random) {
  for (let tries = 0; tries < SIZE_TRIES; tries += 1) {
    const [size, kernel, stride] = [pickWhole(random, 4, 16), pickWhole(random, 2, 5), pickWhole(random, 2, 3)];
    const [padding, dilation] = [pickWhole(random, 0, 2), pickFrom(random, [1, 1, 2])];
    const axis = makeTransposedAxis(size, kernel, stride, dilation, [padding, padding], pickFrom(random, [0, 0, 1]));
    const mistakes = tellableMistakes(transposedMistakes(axis), axis.out, 0);
    if (axis.out < 2 || new Set(mistakes.map(({ answers }) => answers[0])).size < LEAST_SIZE_MISTAKES) continue;
    return transposedRecord(axis, pickFrom(random, ["rows", "columns"]), mistakes);
  }
  return null;
}

/** What usual mistakes make of the size of a transposed convolution's output. */
function transposedMistakes({ size, kernel, stride, dilation, extent, extra, cut }) {
  const make = (text, { cells = size - 1, span = extent, more = extra, less = 2 * cut[0] }) => {
    const sign = less < 0 ? "+" : "−";
    const value = cells * stride + span + more - less;
    return { text: `${text}: ${cells}×${stride} + ${span}${more ? ` + ${more}` : ""} ${sign} ${Math.abs(less)} = ${value}.`, value };
  };
  const begin = cut[0];
  return [
    make("This moves the window size times, but its first place needs no step", { cells: size }),
    make("This adds the padding; a transposed convolution cuts it off", { less: -2 * begin }),
    make("This counts the padding once, but both ends have it", { less: begin }),
    make("This forgets the padding", { less: 0 }),
    make("This ignores the dilation, which makes the window span more", { span: kernel }),
    make("This forgets the output padding", { more: 0 }),
    make("This forgets that the window itself takes room", { span: 0 }),
    { text: "This is the size that a convolution would make; a transposed one goes the other way.", value: makeAxis(size, kernel, stride, dilation, begin, begin, false).out },
    { text: `This multiplies the input by the stride alone: ${size} × ${stride}.`, value: size * stride },
  ];
}

function transposedRecord(axis, what, mistakes) {
  const { size, kernel, stride, dilation, extent, extra, cut, out } = axis;
  const spans = dilation > 1 ? [`span of the kernel: ${dilation} × (${kernel} − 1) + 1 = ${extent}`] : [];
  const more = extra ? `, output padding ${extra}` : "";
  return {
    topic: "size",
    control: "number",
    settings: { size, kernel, stride, dilation, padding: cut[0], extra },
    text:
      `The input of a transposed convolution has ${size} ${what}; kernel ${kernel}, stride ${stride}, padding ${cut[0]} at both ` +
      `ends, dilation ${dilation}${more}. How many ${what} has the output?`,
    hint: "A whole number.",
    answers: [out],
    tolerance: 0,
    mistakes,
    lines: [...spans, `${what}: ${transposedFormula(axis)}`],
  };
}
