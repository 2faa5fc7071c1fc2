"use strict";
// The stack of layers of the playground: the settings of each layer, and the text that stands for the stack
// in the page's address, such as 1/gray/conv=sobel_v;stride=2/activation=relu/pool=max: a version, the
// picture, and the layers. Nothing here touches the page.

const STACK_VERSION = "1";
const MOST_LAYERS = 8;
const MOST_KERNEL = 31;
const MOST_STEP = 255;
const MOST_CHANNELS = 64;
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

function readNumbers(text) {
  const numbers = text.split(",").map((part) => (DECIMAL.test(part) ? Number(part) : NaN));
  if (!numbers.every(Number.isFinite)) throw new StackError(`${text} should be numbers`);
  return numbers;
}

function readNumber(text, least = -Infinity) {
  const [number, ...others] = readNumbers(text);
  const limit = least === -Infinity ? "" : ` of at least ${least}`;
  if (others.length || number < least) throw new StackError(`${text} should be one number${limit}`);
  return number;
}

/** So many whole numbers from `least` to `most`; one stands for all. */
function readWholes(text, count, least, most) {
  const numbers = readNumbers(text);
  const fits = numbers.every((number) => Number.isInteger(number) && number >= least && number <= most);
  if (!fits || ![1, count].includes(numbers.length)) {
    throw new StackError(`${text} should be ${count} whole numbers from ${least} to ${most}`);
  }
  return numbers.length === count ? numbers : Array(count).fill(numbers[0]);
}

function readWord(text, words) {
  if (!words.includes(text)) throw new StackError(`${text} should be one of ${words.join(", ")}`);
  return text;
}

/** Equal numbers as one. */
function sidesText(numbers) {
  return numbers.every((number) => number === numbers[0]) ? String(numbers[0]) : numbers.join();
}

const STEP = { write: sidesText, read: (text) => readWholes(text, 2, 1, MOST_STEP) };
const FLAG = { write: Number, read: (text) => readWord(text, ["0", "1"]) === "1" };
const numberField = (least) => ({ write: decimalText, read: (text) => readNumber(text, least) });
const WINDOW_FIELDS = {
  stride: STEP,
  padding: {
    write: (padding) => (Array.isArray(padding) ? sidesText(padding) : padding),
    read: (text) => (PADDINGS.includes(text) ? text : readWholes(text, 4, 0, MOST_STEP)),
  },
  dilation: STEP,
};
const OFF = {
  write: (off) => (off ?? []).join(),
  read: (text) => [...new Set(text.split(",").map((part) => readWholes(part, 1, 0, 2 ** 20)[0]))],
};

/** By kind of layer: the settings that a text may have, beside the first. */
const STACK_FIELDS = {
  conv: {
    ...WINDOW_FIELDS,
    bias: { write: numbersText, read: (text) => Float32Array.from(readNumbers(text)) },
    padMode: { write: String, read: (text) => readWord(text, BORDERS) },
    padValue: numberField(),
    activation: { write: String, read: (text) => readWord(text, ["none", ...STACK_ACTIVATIONS]) },
    off: OFF,
  },
  pool: {
    kernel: { write: sidesText, read: (text) => readWholes(text, 2, 1, MOST_STEP) },
    ...WINDOW_FIELDS,
    ceil: FLAG,
    countIncludePad: FLAG,
    p: numberField(LEAST_POWER),
    off: OFF,
  },
  activation: { off: OFF },
};

/** By kind of layer: its settings from the text behind its name. */
const STACK_LAYERS = {
  conv: (text, filters) => convSettings(readFilter(text, filters)),
  pool: (text) => poolSettings(readWord(text, STACK_POOLS)),
  activation: (text) => ({ op: "activation", activation: readWord(text, STACK_ACTIVATIONS) }),
};

/** The first text of a layer: its filter, mode or activation. */
function mainText(settings, filters) {
  if (settings.op === "pool") return settings.mode;
  if (settings.op === "activation") return settings.activation;
  const builtin = builtinOf(settings, filters);
  return builtin ? builtin.name : `${weightsShape(settings).join("x")}:${numbersText(settings.weights)}`;
}

/** A built-in filter by its name, or weights such as 1x3:-1,0,1. */
function readFilter(text, filters) {
  const builtin = filters.find(({ name }) => name === text);
  if (builtin) return builtin;
  const [sides, numbers, ...others] = text.split(":");
  if (numbers === undefined || others.length) throw new StackError(`${text} should be a built-in filter or weights`);
  const shape = sides.split("x").map((side) => readWholes(side, 1, 1, MOST_CHANNELS)[0]);
  const isKnown = [2, 4].includes(shape.length) && Math.max(shape[0], shape[1]) <= MOST_KERNEL;
  if (!isKnown) throw new StackError(`${sides} should be the size of a filter, such as 3x3`);
  const weights = readNumbers(numbers);
  const count = shape.reduce((product, side) => product * side, 1);
  if (weights.length !== count) throw new StackError(`a filter of ${sides} should have ${count} weights, not ${weights.length}`);
  return { name: "drawn", shape, weights };
}

/** The text of a stack on a picture: "gray" or "color". */
function stackText(stack, picture, filters) {
  const layers = stack.map((settings) => {
    const main = mainText(settings, filters);
    const plain = STACK_LAYERS[settings.op](main, filters);
    const fields = Object.entries(STACK_FIELDS[settings.op])
      .map(([name, { write }]) => [name, String(write(settings[name])), String(write(plain[name]))])
      .filter(([, text, usual]) => text !== usual);
    return [`${settings.op}=${main}`, ...fields.map(([name, text]) => `${name}=${text}`)].join(";");
  });
  return [STACK_VERSION, picture, ...layers].join("/");
}

/** What a text says: { stack, picture }. Throws a `StackError` where it says nothing. */
function readStack(text, filters) {
  const [version, picture, ...layers] = text.split("/");
  if (version !== STACK_VERSION) throw new StackError(`${version} is no version that this page knows`);
  readWord(picture ?? "", PICTURES);
  if (!layers.length || layers.length > MOST_LAYERS) throw new StackError(`a stack should have 1 to ${MOST_LAYERS} layers, not ${layers.length}`);
  return { picture, stack: layers.map((layer) => readStackLayer(layer, filters)) };
}

function readStackLayer(text, filters) {
  const [[op, main], ...fields] = text.split(";").map((part) => {
    const at = part.indexOf("=");
    return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
  });
  if (!Object.hasOwn(STACK_LAYERS, op)) throw new StackError(`${op} should be one of ${Object.keys(STACK_LAYERS).join(", ")}`);
  const settings = STACK_LAYERS[op](main, filters);
  for (const [name, value] of fields) {
    if (!Object.hasOwn(STACK_FIELDS[op], name)) throw new StackError(`${name} is no setting of ${op}`);
    settings[name] = STACK_FIELDS[op][name].read(value);
  }
  const { bias, maps } = settings;
  if (bias && ![1, maps].includes(bias.length)) throw new StackError(`${bias.length} biases do not fit ${maps} maps`);
  return settings;
}
