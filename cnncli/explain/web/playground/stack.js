"use strict";
// The stack of layers of the playground: the settings of each layer, and the text that stands for the stack
// in the page's address, such as 1/gray/conv=sobel_v;stride=2/activation=relu/pool=max: a version, the
// picture, and the layers. Nothing here touches the page.

const STACK_VERSION = "1";
const MOST_LAYERS = 8;
const MOST_KERNEL = 31;
const MOST_STEP = 255;
const MOST_CHANNELS = 64;
const MOST_MAP = 2 ** 20;
const PICTURES = ["gray", "color"];

/** The activations that the commands have. */
const STACK_ACTIVATIONS = ["relu", "leaky-relu", "sigmoid", "tanh", "abs"];
const STACK_POOLS = ["max", "average", "min", "lp"];
const BORDERS = ["zeros", "edge", "reflect", "symmetric", "wrap"];
const PADDINGS = ["same", "same-lower", "valid"];

/** What is wrong with the text of a stack, in words for the page. */
class StackError extends Error {}

/** The settings of a convolution with a filter { name, shape, weights, maps }, whose numbers are in the order of `shape`. */
function convSettings({ name, shape, weights, maps: names }) {
  const isFlat = shape.length === 2;
  const maps = isFlat ? 1 : shape[3];
  return {
    op: "conv",
    kernel: shape.slice(0, 2),
    stride: [1, 1],
    padding: "same",
    dilation: [1, 1],
    single: true,
    weights: Float32Array.from(weights),
    maps,
    perChannel: isFlat,
    filterName: name,
    kernelNames: names ?? Array.from({ length: maps }, (_, index) => (isFlat ? name : String(index))),
    groups: 1,
    bias: Float32Array.of(0),
    // As the commands choose it: a 2-D filter keeps a picture a picture.
    padMode: isFlat ? "edge" : "zeros",
    padValue: 0,
    activation: "none",
    alpha: null,
  };
}

function poolSettings(mode) {
  const window = { kernel: [2, 2], stride: [2, 2], padding: "valid", dilation: [1, 1], single: true };
  return { op: "pool", ...window, mode, ceil: false, countIncludePad: false, p: 2 };
}

/** The shape of a convolution's weights: two sides, or also the channels that are read and the maps. */
function weightsShape({ kernel, weights, maps, perChannel }) {
  if (perChannel) return kernel;
  return [...kernel, weights.length / (kernel[0] * kernel[1] * maps), maps];
}

/** The built-in filter with just these weights, if there is one. */
function builtinOf(settings, filters) {
  const shape = weightsShape(settings).join();
  const isSame = (filter) =>
    filter.shape.join() === shape && filter.weights.every((weight, index) => Math.fround(weight) === settings.weights[index]);
  const named = filters.find(({ name }) => name === settings.filterName);
  return [...(named ? [named] : []), ...filters].find(isSame) ?? null;
}

/** The layers of a network's page from the settings of a stack, each on the one before it. */
function stackSpecs(stack) {
  const counts = {};
  let isPicture = true;
  let before = "input";
  return stack.map((settings) => {
    const { op } = settings;
    counts[op] = (counts[op] ?? 0) + 1;
    isPicture &&= op === "pool";
    const spec = { name: `${op}${counts[op]}`, inputs: [before], label: null, maps: null, clips: isPicture, settings };
    before = spec.name;
    return spec;
  });
}

/** A number as the shortest decimal that gives the same float32, or float64. */
function decimalText(value) {
  if (Math.fround(value) !== value) return String(value);
  for (let digits = 1; digits < 9; digits += 1) {
    const text = String(Number(value.toPrecision(digits)));
    if (Math.fround(Number(text)) === value) return text;
  }
  return String(Number(value.toPrecision(9)));
}

function numbersText(numbers) {
  return Array.from(numbers, decimalText).join();
}

/** Longer texts are cut where a message tells them. */
const LONGEST_TOLD = 40;

/** Refuse a part of a text: what must hold of it, and what it is. */
function refuse(name, need, got) {
  const isLong = typeof got === "string" && got.length > LONGEST_TOLD;
  throw new StackError(`${name} must be ${need}, got ${JSON.stringify(isLong ? `${got.slice(0, LONGEST_TOLD)}…` : got)}`);
}

function readNumbers(text, name, need = "numbers with commas between them") {
  const numbers = text.split(",").map((part) => (DECIMAL.test(part) ? Number(part) : NaN));
  return numbers.every(Number.isFinite) ? numbers : refuse(name, need, text);
}

function readNumber(text, name, least = -Infinity) {
  const need = least === -Infinity ? "a number" : `a number of at least ${least}`;
  const [number, ...others] = readNumbers(text, name, need);
  return others.length || number < least ? refuse(name, need, text) : number;
}

/** So many whole numbers from `least` to `most`, one of which stands for all; `words` is what else may stand there. */
function readWholes(text, name, { count = 1, least = 1, most = MOST_STEP, words = [] } = {}) {
  const one = [...words, `a whole number from ${least} to ${most}`];
  const need = (count === 1 ? one : [...one, `or ${count} of them`]).join(", ");
  const numbers = readNumbers(text, name, need);
  const fits = numbers.every((number) => Number.isInteger(number) && number >= least && number <= most);
  if (!fits || ![1, count].includes(numbers.length)) refuse(name, need, text);
  return numbers.length === count ? numbers : Array(count).fill(numbers[0]);
}

function readWord(text, name, words) {
  return words.includes(text) ? text : refuse(name, words.length > 1 ? `one of ${words.join(", ")}` : words[0], text);
}

/** Equal numbers as one. */
function sidesText(numbers) {
  return numbers.every((number) => number === numbers[0]) ? String(numbers[0]) : numbers.join();
}

const STEP = { write: sidesText, read: (text, name) => readWholes(text, name, { count: 2 }) };
const FLAG = { write: Number, read: (text, name) => readWord(text, name, ["0", "1"]) === "1" };
const numberField = (least) => ({ write: decimalText, read: (text, name) => readNumber(text, name, least) });
const WINDOW_FIELDS = {
  stride: STEP,
  padding: {
    write: (padding) => (Array.isArray(padding) ? sidesText(padding) : padding),
    read: (text, name) => (PADDINGS.includes(text) ? text : readWholes(text, name, { count: 4, least: 0, words: PADDINGS })),
  },
  dilation: STEP,
};
const OFF = {
  write: (off) => (off ?? []).join(),
  read: (text, name) => [...new Set(text.split(",").map((part) => readWholes(part, name, { least: 0, most: MOST_MAP })[0]))],
};

/** By kind of layer: the settings that a text may have, beside the first. */
const STACK_FIELDS = {
  conv: {
    ...WINDOW_FIELDS,
    bias: { write: numbersText, read: (text, name) => Float32Array.from(readNumbers(text, name)) },
    padMode: { write: String, read: (text, name) => readWord(text, name, BORDERS) },
    padValue: numberField(),
    activation: { write: String, read: (text, name) => readWord(text, name, ["none", ...STACK_ACTIVATIONS]) },
    off: OFF,
  },
  pool: {
    kernel: STEP,
    ...WINDOW_FIELDS,
    ceil: FLAG,
    countIncludePad: FLAG,
    p: numberField(LEAST_POWER),
    off: OFF,
  },
  activation: { off: OFF },
};

/** By kind of layer: its settings from the text behind its kind; `layer` names it in messages. */
const STACK_LAYERS = {
  conv: (text, layer, filters) => convSettings(readFilter(text, layer, filters)),
  pool: (text, layer) => poolSettings(readWord(text, `the mode of ${layer}`, STACK_POOLS)),
  activation: (text, layer) => ({ op: "activation", activation: readWord(text, `the activation of ${layer}`, STACK_ACTIVATIONS) }),
};

/** The first text of a layer: its filter, mode or activation. */
function mainText(settings, filters) {
  if (settings.op === "pool") return settings.mode;
  if (settings.op === "activation") return settings.activation;
  const builtin = builtinOf(settings, filters);
  return builtin ? builtin.name : `${weightsShape(settings).join("x")}:${numbersText(settings.weights)}`;
}

/** A built-in filter by its name, or weights such as 1x3:-1,0,1. */
function readFilter(text, layer, filters) {
  const builtin = filters.find(({ name }) => name === text);
  if (builtin) return builtin;
  const [sides, numbers, ...others] = text.split(":");
  if (numbers === undefined || others.length) {
    refuse(`the filter of ${layer}`, "the name of a built-in one, such as edge, or a size and weights, such as 1x3:-1,0,1", text);
  }
  const size = `the size of the filter of ${layer}`;
  const shape = sides.split("x").map((side) => readWholes(side, size, { most: MOST_CHANNELS })[0]);
  const isKnown = [2, 4].includes(shape.length) && Math.max(shape[0], shape[1]) <= MOST_KERNEL;
  if (!isKnown) refuse(size, `rows x columns of at most ${MOST_KERNEL}, such as 3x3, or these x channels x maps, such as 3x3x1x2`, sides);
  const weights = readNumbers(numbers, `the weights of ${layer}`);
  const count = shape.reduce((product, side) => product * side, 1);
  if (weights.length !== count) refuse(`the number of weights of ${layer}`, `${count}, as a filter of ${sides} has`, weights.length);
  return { name: "drawn", shape, weights };
}

/** The text of a stack on a picture: "gray" or "color". */
function stackText(stack, picture, filters) {
  const layers = stack.map((settings) => {
    const main = mainText(settings, filters);
    const plain = STACK_LAYERS[settings.op](main, "the layer", filters);
    const fields = Object.entries(STACK_FIELDS[settings.op])
      .map(([name, { write }]) => [name, String(write(settings[name])), String(write(plain[name]))])
      .filter(([, text, usual]) => text !== usual);
    return [`${settings.op}=${main}`, ...fields.map(([name, text]) => `${name}=${text}`)].join(";");
  });
  return [STACK_VERSION, picture, ...layers].join("/");
}

/** What a text says: { stack, picture }. Throws a `StackError` where it says nothing. */
function readStack(text, filters) {
  const [version, picture = "", ...layers] = text.split("/");
  if (version !== STACK_VERSION) refuse("the version", STACK_VERSION, version);
  readWord(picture, "the picture", PICTURES);
  if (!layers.length || layers.length > MOST_LAYERS) refuse("the number of layers", `from 1 to ${MOST_LAYERS}`, layers.length);
  return { picture, stack: layers.map((layer, index) => readStackLayer(layer, filters, `layer ${index + 1}`)) };
}

/** The settings of one layer; `layer` names it in messages. */
function readStackLayer(text, filters, layer = "the layer") {
  const [[op, main], ...fields] = text.split(";").map((part) => {
    const at = part.indexOf("=");
    return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
  });
  const settings = STACK_LAYERS[readWord(op, `the kind of ${layer}`, Object.keys(STACK_LAYERS))](main, layer, filters);
  const known = STACK_FIELDS[op];
  for (const [name, value] of fields) {
    readWord(name, `a setting of ${layer}, ${op},`, Object.keys(known));
    settings[name] = known[name].read(value, `${name} of ${layer}`);
  }
  const { bias, maps } = settings;
  if (bias && ![1, maps].includes(bias.length)) {
    refuse(`bias of ${layer}`, maps === 1 ? "one number" : `one number, or ${maps}, one for each map`, numbersText(bias));
  }
  return settings;
}
