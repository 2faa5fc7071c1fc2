"use strict";
// The arithmetic of one unit of a network, { layer, channel, at: [row, column] }, and how much each
// value that it reads contributes. network/windows.js, network/reductions.js, network/norms.js and
// network/moved_values.js have the kinds of layers that need more than a line. Nothing here touches the page.

const NOT_HERE = "It is made from maps or cells that this page does not hold.";

/**
 * How a unit is computed: { value, reads, sources } and what its kind of layer has to tell, or
 * { problem }, why the page cannot tell.
 *
 * `reads` are the units that it is computed from, each with its `value`, and its `weight` where
 * products are added up; `sources` those that contribute, each with its `amount`: weight times
 * value, as cnncli/explain/trail.py has it. `lines` lead from the values read to the unit's.
 */
function unitArithmetic(unit) {
  const layer = byName.get(unit.layer);
  const { settings } = layer;
  if (layer.name === "input") return { problem: "", sources: [] };
  if (settings?.off?.includes(unit.channel)) return { problem: "This map is switched off: all its values are 0.", sources: [] };
  if (!settings) {
    const [row, col] = unit.at;
    const command = `cnncli explain with --layer ${layer.name} --at ${row},${col}`;
    const problem = `This page does not hold the numbers that this layer computes with; ${command} prints them.`;
    return { problem, sources: [] };
  }
  if (settings.op === "onnx") return { problem: "It is run by ONNX, and its arithmetic is not shown.", sources: [] };
  const made = KINDS[settings.op](layer, unit);
  if (!made) return { problem: NOT_HERE, sources: [] };
  return { ...made, sources: made.sources ?? counting(made.reads) };
}

/** The value of a unit; null if it is not in the page. */
function unitValue({ layer: name, channel, at: [row, col] }) {
  const { rows, cols, planes } = byName.get(name);
  const isHere = row >= rows[0] && row < rows[1] && col >= cols[0] && col < cols[1];
  if (!isHere || !(channel in planes)) return null;
  return planes[channel][(row - rows[0]) * (cols[1] - cols[0]) + col - cols[0]];
}

/** The unit at a cell [row, column, channel] of one of a layer's inputs, with its value; null if it is not in the page. */
function readCell(layer, [row, col, channel], input = 0) {
  const unit = { layer: layer.inputs[input], channel, at: [row, col], input };
  const value = unitValue(unit);
  return value === null ? null : { ...unit, value };
}

/** The reads that contribute. */
function counting(reads) {
  return reads.filter(({ amount }) => amount !== null);
}

/** What a value contributes by a weight; null of one that does not count. */
function amountOf({ value }, weight) {
  return weight === 0 ? null : weight * value;
}

/** A layer of one value of each input: `combine` two, by the weights of all values. */
function elementwise(combine, weightsOf) {
  return (layer, unit) => {
    const reads = layer.inputs.map((name, input) => {
      // An input of one row, column or channel serves all.
      const { shape } = byName.get(name);
      const cell = [...unit.at, unit.channel].map((index, axis) => (shape[axis] === 1 ? 0 : index));
      return readCell(layer, cell, input);
    });
    if (reads.includes(null)) return null;
    const values = reads.map(({ value }) => value);
    const weights = weightsOf(values);
    return {
      value: values.reduce(combine),
      reads: reads.map((read, index) => ({ ...read, amount: amountOf(read, weights[index]) })),
    };
  };
}

/** A layer of the one value at its place: `compute(settings, value, unit, layer)` is { value, lines, amount }. */
function pointwise(compute) {
  return (layer, unit) => {
    const read = ownRead(layer, unit);
    if (!read) return null;
    const { value, lines, amount = value } = compute(layer.settings, read.value, unit, layer);
    return { value, lines, reads: [{ ...read, amount }] };
  };
}

/** factor * x + offset, line by line. */
function scaled(x, a, b, finish = (value) => value) {
  const lines = [["× factor", a], ["=", a * x], ["+ offset", b]];
  return { value: finish(a * x + b), lines, amount: a * x };
}

const plainActivation = pointwise((settings, z, { channel }) => ({
  value: activate(z, settings, channel),
  lines: activationSettings(settings, channel),
}));

/** By kind of layer: how a unit is computed; null where the page lacks a value. */
const KINDS = {
  conv: windowArithmetic,
  dense: windowArithmetic,
  pool: windowArithmetic,
  "conv-transpose": windowArithmetic,
  ...Object.fromEntries(Object.keys(COMBINE).map((op) => [op, elementwise(COMBINE[op], COMBINED_SLOPES[op])])),
  activation: (layer, unit) => {
    const isShare = OVER_CHANNELS.includes(layer.settings.activation);
    return isShare ? softmaxArithmetic(layer, unit, ["channels"]) : plainActivation(layer, unit);
  },
  softmax: (layer, unit) => softmaxArithmetic(layer, unit),
  scale: pointwise(({ factor, offset, whole }, x, { channel }) =>
    scaled(x, ofChannel(factor, channel), ofChannel(offset, channel), whole ? roundedToEven : undefined),
  ),
  "cell-scale": pointwise(({ factor, offset }, x, { at, channel }, { shape }) => {
    const cell = (at[0] * shape[1] + at[1]) * shape[2] + channel;
    return scaled(x, ofChannel(factor, cell), ofChannel(offset, cell));
  }),
  quotient: pointwise(({ divisor }, x, { channel }, { planes }) => {
    const by = ofChannel(divisor, channel);
    return { value: quotientOf(x, by, planes[channel]), lines: [["÷ divisor", by], ["=", x / by]] };
  }),
  batchnorm: batchNormArithmetic,
  "instance-norm": normArithmetic,
  "group-norm": normArithmetic,
  "layer-norm": normArithmetic,
  lrn: lrnArithmetic,
  reduce: reduceArithmetic,
  matmul: matmulArithmetic,
  resize: resizedArithmetic,
  ...Object.fromEntries(Object.keys(PLACES).map((op) => [op, movedArithmetic])),
};

/**
 * The source that contributes most to a unit: of largest magnitude, NaN before all, and of equal ones
 * the first by input, row, column and channel. Null where nothing contributes.
 */
function strongestSource({ sources }) {
  let best = sources[0] ?? null;
  for (const source of sources) {
    const [size, most] = [amountSize(source), amountSize(best)];
    if (size > most || (size === most && isBefore(source, best))) best = source;
  }
  return best && best.amount === 0 && sources.length > 1 ? null : best;
}

/** A magnitude, and of NaN more than all: two numbers that are not finite are told apart. */
function amountSize({ amount }) {
  if (Number.isNaN(amount)) return Infinity;
  return Math.min(Math.abs(amount), Number.MAX_VALUE);
}

/** Whether a source comes before another: by input, row, column and channel. */
function isBefore({ input = 0, at, channel }, other) {
  if (input !== (other.input ?? 0)) return input < (other.input ?? 0);
  if (at[0] !== other.at[0]) return at[0] < other.at[0];
  return at[1] === other.at[1] ? channel < other.channel : at[1] < other.at[1];
}

/** A unit, its strongest source, the strongest source of that, and on to the input. */
function trailOf(unit) {
  const trail = [];
  for (let next = unit; next; next = strongestSource(trail[trail.length - 1].made)) {
    trail.push({ unit: next, made: unitArithmetic(next) });
  }
  return trail;
}

/** Why a trail ends before the input, as cnncli/explain/trail.py says it; nothing if it does not. */
function trailEnd(trail) {
  const { unit, made } = trail[trail.length - 1];
  if (unit.layer === "input") return "";
  if (made.problem) return `Ends at ${unit.layer}. ${made.problem}`;
  if (made.isPart) return `Ends at ${unit.layer}: this page holds only a part of what it reads.`;
  const why = made.sources.length ? "all that this value is made of contributes 0" : "only a constant is behind this value";
  return `Ends at ${unit.layer}: ${why}.`;
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
