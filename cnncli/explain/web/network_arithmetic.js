"use strict";
// The arithmetic of one unit of a network, { layer, channel, at: [row, column] }, and how much each
// value that it reads contributes. Nothing here touches the page.

const OVER_CHANNELS = ["softmax", "log-softmax"];
const NOT_HERE = "It is made from maps or cells that this page does not hold.";

/**
 * How a unit is computed: { value, sources } and what its kind of layer has to tell, or { problem },
 * why the page cannot tell.
 *
 * `sources` are the units that it is made of, each with its `amount`: weight times value, as
 * cnncli/explain/trail.py has it.
 */
function unitArithmetic(unit) {
  const layer = byName.get(unit.layer);
  const { arithmetic } = layer;
  if (layer.name === "input") return { problem: "", sources: [] };
  if (!arithmetic) {
    const [row, col] = unit.at;
    const command = `cnncli explain with --layer ${layer.name} --at ${row},${col}`;
    const problem = `This page does not hold the numbers that this layer computes with; ${command} prints them.`;
    return { problem, sources: [] };
  }
  if (arithmetic.kernel) return windowArithmetic(layer, unit);
  const sources = sourcesOf(layer, unit);
  const values = sources.map(unitValue);
  if (values.some((value) => value === null)) return { problem: NOT_HERE, sources: [] };
  const made = VALUES[arithmetic.op](arithmetic, values, unit);
  if (made.problem) return { ...made, sources: [] };
  const amounts = made.amounts ?? values;
  const contributing = sources.map((source, index) => ({ ...source, amount: amounts[index] }));
  return { ...made, sources: contributing.filter(({ amount }) => amount !== null) };
}

/** The value of a unit; null if it is not in the page. */
function unitValue({ layer: name, channel, at: [row, col] }) {
  const layer = byName.get(name);
  const isHere = row >= layer.rows[0] && row < layer.rows[1] && col >= layer.cols[0] && col < layer.cols[1];
  return isHere && channel in layer.planes ? valueAt(layer, channel, row, col).value : null;
}

/** The units that a layer without a window reads for one of its own: one of each input at most. */
function sourcesOf(layer, unit) {
  const { op, axis } = layer.arithmetic;
  if (op === "copy") {
    const [{ rows, cols, channels }] = layer.reads;
    const at = [rows[2 * unit.at[0]], cols[2 * unit.at[1]]];
    return [{ layer: layer.inputs[0], channel: channels[2 * unit.channel], at }];
  }
  if (op === "concat") {
    const cell = [...unit.at, unit.channel];
    const lengths = layer.inputs.map((name) => byName.get(name).shape[axis]);
    let number = 0;
    while (cell[axis] >= lengths[number]) {
      cell[axis] -= lengths[number];
      number += 1;
    }
    return [{ layer: layer.inputs[number], channel: cell[2], at: cell.slice(0, 2) }];
  }
  return layer.inputs.map((name) => {
    // An input of one row, column or channel serves all.
    const { shape } = byName.get(name);
    const [row, col, channel] = [...unit.at, unit.channel].map((index, k) => (shape[k] === 1 ? 0 : index));
    return { layer: name, channel, at: [row, col] };
  });
}

/** The number of a channel of an array that may have one for all. */
function ofChannel(numbers, channel) {
  return numbers[numbers.length === 1 ? 0 : channel];
}

/** Elementwise layers: a value from the values of the inputs, with the lines that lead to it. */
function combined(combine, amountsOf) {
  return (_, values) => ({ value: values.reduce(combine), amounts: amountsOf && amountsOf(values) });
}

/** The value of a chosen one counts alone: the others have no amount. */
function onlyChosen(choose) {
  return (values) => {
    const chosen = values.indexOf(choose(...values));
    return values.map((value, index) => (index === chosen ? value : null));
  };
}

/** Of a product or a quotient all of it is due to each of its values. */
function eachWhole(combine) {
  return (values) => values.map(() => values.reduce(combine));
}

/** By kind of layer: { value, lines, amounts, softmax } from its settings, the values and the unit. */
const VALUES = {
  add: combined((sum, value) => sum + value),
  sub: combined((sum, value) => sum - value, ([first, ...others]) => [first, ...others.map((value) => -value)]),
  mul: combined((product, value) => product * value, eachWhole((product, value) => product * value)),
  div: combined((share, value) => share / value, eachWhole((share, value) => share / value)),
  max: combined((most, value) => Math.max(most, value), onlyChosen(Math.max)),
  min: combined((least, value) => Math.min(least, value), onlyChosen(Math.min)),
  copy: (_, [value]) => ({ value }),
  concat: (_, [value]) => ({ value }),
  scale: ({ factor, offset, whole }, [x], { channel }) => {
    const [a, b] = [ofChannel(factor, channel), ofChannel(offset, channel)];
    // Halves go to the even number.
    const rounded = (value) => (Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));
    const lines = [["× factor", a], ["=", a * x], ["+ offset", b]];
    return { value: whole ? rounded(a * x + b) : a * x + b, lines, amounts: [a * x] };
  },
  batchnorm: ({ gamma, beta, mean, var: variance, epsilon }, [x], { channel }) => {
    const [g, b, m, v] = [gamma, beta, mean, variance].map((numbers) => ofChannel(numbers, channel));
    const deviation = Math.sqrt(v + epsilon);
    const normal = (x - m) / deviation;
    const lines = [
      ["− mean", m],
      ["=", x - m],
      [`÷ √(${numberText(v)} + ${numberText(epsilon)})`, deviation],
      ["=", normal],
      ["× gamma", g],
      ["+ beta", b],
    ];
    return { value: normal * g + b, lines, amounts: [(g / deviation) * x] };
  },
  activation: (settings, [z], unit) => {
    const layer = byName.get(unit.layer);
    if (!OVER_CHANNELS.includes(settings.activation)) {
      const value = activated(layer, z, unit);
      return { value, amounts: [value] };
    }
    const [source] = sourcesOf(layer, unit);
    const count = byName.get(source.layer).shape[2];
    const values = Array.from({ length: count }, (_, channel) => unitValue({ ...source, channel }));
    if (values.includes(null)) return { problem: NOT_HERE };
    const softmax = shares(values, unit.channel, settings.activation);
    return { value: softmax.value, softmax, amounts: [softmax.value] };
  },
};

/** The activation of a layer: computed here, or of rarer ones the value that the core computed. */
function activated(layer, z, unit) {
  const value = activate(z, layer.arithmetic, unit.channel);
  return Number.isNaN(value) ? unitValue(unit) : value;
}

/** The exponentials of all channels and their sum, less the largest so that none overflows. */
function shares(values, channel, name) {
  const largest = values.reduce((most, value) => Math.max(most, value));
  const exponentials = values.map((value) => Math.exp(value - largest));
  const total = exponentials.reduce((sum, value) => sum + value);
  const isLog = name === "log-softmax";
  const value = isLog ? values[channel] - largest - Math.log(total) : exponentials[channel] / total;
  return { values, channel, largest, exponentials, total, value, isLog };
}

/** The arithmetic of a layer with a window, made once. */
function arithmeticOf(layer) {
  if (!layer.computed) {
    const { shape, rows, cols, planes } = byName.get(layer.inputs[0]);
    const input = { size: shape.slice(0, 2), channels: shape[2], largest: 0, rows, cols, planes };
    layer.computed = new LayerArithmetic(input, layer.arithmetic);
  }
  return layer.computed;
}

/** A unit of a convolution, a dense layer or a pool: its `step` as `LayerArithmetic` has it. */
function windowArithmetic(layer, unit) {
  const arithmetic = arithmeticOf(layer);
  const { activation } = layer.arithmetic;
  const isShare = OVER_CHANNELS.includes(activation);
  const channels = isShare ? Array.from({ length: layer.shape[2] }, (_, k) => k) : [unit.channel];
  const isHere = channels.every((k) => arithmetic.sources(k).channels.every((c) => c in arithmetic.input.planes));
  if (!isHere || !arithmetic.knows(...unit.at)) return { problem: NOT_HERE, sources: [] };
  const step = arithmetic.step(unit.channel, ...unit.at);
  const sources = windowSources(layer, unit, step);
  if (layer.arithmetic.op === "pool") return { step, arithmetic, value: step.value, sources };
  const totals = isShare ? channels.map((k) => arithmetic.step(k, ...unit.at).total) : [];
  const softmax = isShare ? shares(totals, unit.channel, activation) : null;
  step.value = isShare ? softmax.value : activated(layer, step.total, unit);
  return { step, arithmetic, softmax, value: step.value, sources };
}

/** The cells of the input under a unit's window: one that padding copies counts with all its weights. */
function windowSources(layer, unit, step) {
  const { window: { rows, cols }, rowTable, colTable, input, layer: settings } = arithmeticOf(layer);
  const amountOf = settings.op === "pool" ? poolAmount(settings, step) : (cell) => cell.product;
  const sources = new Map();
  for (const block of step.blocks) {
    block.cells.forEach((cell, index) => {
      const row = rowTable[unit.at[0] * rows.stride + cell.i * rows.dilation];
      const col = colTable[unit.at[1] * cols.stride + cell.j * cols.dilation];
      const amount = row < 0 || col < 0 ? null : amountOf(cell, index);
      if (amount === null) return;
      const key = (row * colTable.length + col) * input.channels + block.channel;
      const at = [row + input.rows[0], col + input.cols[0]];
      const source = sources.get(key) ?? { layer: layer.inputs[0], channel: block.channel, at, amount: 0 };
      sources.set(key, { ...source, amount: source.amount + amount });
    });
  }
  return [...sources.values()];
}

/** What a cell adds to a pool's value; null of one that does not count. */
function poolAmount({ mode, p }, { winner, divisor, value }) {
  if (mode === "average") return (cell) => cell.value / divisor;
  if (mode !== "lp") return (cell, index) => (index === winner ? cell.value : null);
  if (p === Infinity) return (cell) => (Math.abs(cell.value) === value ? value : null);
  // The share of |x|^p in the sum of all.
  return (cell) => (value ? value * (Math.abs(cell.value) / value) ** p : 0);
}

/**
 * The source that contributes most to a unit: of largest magnitude, NaN before all, and of equal ones
 * the first by row, column and channel. Null where nothing contributes.
 */
function strongestSource({ sources }) {
  const sizeOf = ({ amount }) => (Number.isNaN(amount) ? Infinity : Math.abs(amount));
  const isBefore = (one, other) => {
    if (one.layer !== other.layer) return false;
    const order = [one.at[0] - other.at[0], one.at[1] - other.at[1], one.channel - other.channel];
    return (order.find(Boolean) ?? 0) < 0;
  };
  let best = sources[0] ?? null;
  for (const source of sources) {
    const more = sizeOf(source) - sizeOf(best);
    if (more > 0 || (more === 0 && isBefore(source, best))) best = source;
  }
  return best && sizeOf(best) === 0 && sources.length > 1 ? null : best;
}

/** A unit, its strongest source, the strongest source of that, and on to the input. */
function trailOf(unit) {
  const trail = [];
  for (let next = unit; next; next = strongestSource(trail[trail.length - 1].made)) {
    trail.push({ unit: next, made: unitArithmetic(next) });
  }
  return trail;
}

/** How much each channel of a layer contributes to a unit, all of its cells together. */
function channelAmounts({ sources }, name) {
  const amounts = new Map();
  for (const source of sources) {
    if (source.layer !== name) continue;
    amounts.set(source.channel, (amounts.get(source.channel) ?? 0) + source.amount);
  }
  return amounts;
}
