"use strict";
// The arithmetic of layers that make one value of many: reductions, softmax and products of matrices, as
// cnncli/explain/normalized.py tells it; and which values those and normalisations look at. Nothing here
// touches the page.

const AXES = ["rows", "columns", "channels"];

/** The first and the one after the last of rows, columns and channels that a unit looks at: whole along some axes. */
function spansOf(layer, unit, axes) {
  const { shape } = byName.get(layer.inputs[0]);
  const own = [...unit.at, unit.channel];
  return AXES.map((name, axis) => (axes.includes(name) ? [0, shape[axis]] : [own[axis], own[axis] + 1]));
}

/** The planes of some spans of a layer's input, and where their rows begin; null if the page has not all of them. */
function planesUnder(layer, [rows, cols, channels], input) {
  const { rows: ownRows, cols: ownCols, planes } = byName.get(layer.inputs[input]);
  const isHere = ([first, last], [from, to]) => first >= from && last <= to;
  if (!isHere(rows, ownRows) || !isHere(cols, ownCols)) return null;
  const found = [];
  for (let channel = channels[0]; channel < channels[1]; channel += 1) found.push(planes[channel]);
  const startOf = (row) => (row - ownRows[0]) * (ownCols[1] - ownCols[0]) - ownCols[0];
  return found.includes(undefined) ? null : { planes: found, startOf };
}

/** The values of some spans of a layer's input; null if the page has not all of them. */
function valuesIn(layer, spans) {
  const [rows, cols] = spans;
  const found = planesUnder(layer, spans, 0);
  const values = [];
  for (const plane of found?.planes ?? []) {
    for (let row = rows[0]; row < rows[1]; row += 1) {
      const start = found.startOf(row);
      for (let col = cols[0]; col < cols[1]; col += 1) values.push(plane[start + col]);
    }
  }
  return found && values;
}

function sumOf(values) {
  return values.reduce((sum, value) => sum + value, 0);
}

/** What a layer reads of some spans, row by row; null if the page has not all of them. */
function readSpans(layer, spans, input = 0) {
  const [rows, cols, channels] = spans;
  const found = planesUnder(layer, spans, input);
  if (!found) return null;
  const reads = [];
  for (let row = rows[0]; row < rows[1]; row += 1) {
    for (let col = cols[0]; col < cols[1]; col += 1) {
      const [cell, at] = [found.startOf(row) + col, [row, col]];
      found.planes.forEach((plane, k) => {
        reads.push({ layer: layer.inputs[input], channel: channels[0] + k, at, input, value: plane[cell], amount: null });
      });
    }
  }
  return reads;
}

/** The only value that a unit is made of: the one at its place. */
function ownRead(layer, unit) {
  return readCell(layer, [...unit.at, unit.channel]);
}

/** What the page has of all values that a unit looks at, where it has not the values: mean and variance, or shares' total. */
function knownSums(layer, unit, group) {
  const { sumsShape: [rows, cols, groups], mean, var: variance, largest, total, reduced, squares } = layer.settings;
  const row = rows > 1 ? unit.at[0] - layer.rows[0] : 0;
  const col = cols > 1 ? unit.at[1] - layer.cols[0] : 0;
  const index = (row * cols + col) * groups + (groups > 1 ? group : 0);
  if (reduced) return { reduced: reduced[index] };
  if (squares) return { squares: squares[index] };
  return mean ? { mean: mean[index], variance: variance[index] } : { largest: largest[index], total: total[index] };
}

/** A value of a reduction, and what each value adds to it; of more values than the page has their sum alone. */
function reduceArithmetic(layer, unit) {
  const { mode, axes } = layer.settings;
  const spans = spansOf(layer, unit, axes);
  const reads = readSpans(layer, spans);
  if (!reads) return knownReduction(layer, unit, spans);
  const { value, lines, weightOf } = reductionOf(mode, reads.map((read) => read.value));
  for (const read of reads) read.amount = amountOf(read, weightOf(read.value));
  return { value, lines, reads };
}

function knownReduction(layer, unit, spans) {
  if (!layer.settings.sumsShape) return null;
  const { tell } = REDUCTIONS[layer.settings.mode];
  return { ...tell(knownSums(layer, unit, unit.channel).reduced, sizeOfSpans(spans)), reads: [], isPart: true };
}

function sizeOfSpans(spans) {
  return spans.reduce((product, [first, last]) => product * (last - first), 1);
}

/** The reduction of some values: { value, lines, weightOf }. */
function reductionOf(mode, values) {
  const { gather, tell, weigh } = REDUCTIONS[mode];
  const gathered = gather(values);
  return { ...tell(gathered, values.length), weightOf: weigh(gathered, values) };
}

/**
 * By mode: `gather(values)` is what it takes of them, `tell(gathered, count)` its value with the lines that lead to
 * it, and `weigh(gathered, values)` a function of a value: by what weight that counts.
 */
const REDUCTIONS = {
  mean: {
    gather: sumOf,
    tell: (sum, count) => ({ value: sum / count, lines: [["sum", sum], ["÷ count", count]] }),
    weigh: (_, { length }) => () => 1 / length,
  },
  sum: {
    gather: sumOf,
    tell: (sum, count) => ({ value: sum, lines: [["sum", sum], ["count", count]] }),
    weigh: () => () => 1,
  },
  l1: {
    gather: (values) => sumOf(values.map(Math.abs)),
    tell: (sum, count) => ({ value: sum, lines: [["sum of magnitudes", sum], ["count", count]] }),
    weigh: () => Math.sign,
  },
  l2: {
    gather: (values) => sumOf(values.map((value) => value ** 2)),
    tell: (squares, count) => {
      const root = Math.sqrt(squares);
      return { value: root, lines: [["sum of squares", squares], ["count", count], ["root", root]] };
    },
    weigh: (squares) => (value) => (squares ? value / Math.sqrt(squares) : 0),
  },
  max: extreme("largest", (one, other) => Math.max(one, other)),
  min: extreme("smallest", (one, other) => Math.min(one, other)),
};

/** Values that share an extreme share its gradient. */
function extreme(name, choose) {
  return {
    gather: (values) => values.reduce(choose),
    tell: (best, count) => ({ value: best, lines: [[`${name} of ${count}`, best]] }),
    weigh: (best, values) => {
      const ties = values.filter((value) => value === best).length;
      return (value) => (value === best ? 1 / ties : 0);
    },
  };
}

/** A value of a softmax over some axes: its share of the exponentials. */
function softmaxArithmetic(layer, unit, axes = layer.settings.axes) {
  const spans = spansOf(layer, unit, axes);
  const reads = readSpans(layer, spans);
  if (!reads) return knownShare(layer, unit, spans);
  const chosen = reads.findIndex(({ at, channel }) => channel === unit.channel && at.every((k, i) => k === unit.at[i]));
  const softmax = shares(reads, chosen, layer.settings.activation);
  return { value: softmax.value, softmax, reads: [{ ...reads[chosen], amount: softmax.value }] };
}

/** A share of values that the page has not all of: by their largest, and the total of their exponentials. */
function knownShare(layer, unit, spans) {
  const read = ownRead(layer, unit);
  if (!read || !layer.settings.sumsShape) return null;
  const softmax = shareOfKnown(layer, unit, read, sizeOfSpans(spans));
  return { value: softmax.value, softmax, reads: [{ ...read, amount: softmax.value }] };
}

/** The share of a value { value, layer, channel, at } in a total that the page has, of so many. */
function shareOfKnown(layer, unit, read, count) {
  const { largest, total } = knownSums(layer, unit, unit.channel);
  const exponential = Math.exp(read.value - largest);
  const isLog = layer.settings.activation === "log-softmax";
  const value = isLog ? read.value - largest - Math.log(total) : exponential / total;
  return { units: [read], values: [read.value], chosen: 0, largest, exponentials: [exponential], total, value, isLog, count };
}

/**
 * The exponentials of some units { value, layer, channel, at } and their sum, less the largest so that
 * none overflows; `chosen` is the index of the one whose share is wanted.
 */
function shares(units, chosen, name) {
  const values = units.map(({ value }) => value);
  const { largest, exponentials, total } = exponentialsOf(values);
  const isLog = name === "log-softmax";
  const value = isLog ? values[chosen] - largest - Math.log(total) : exponentials[chosen] / total;
  return { units, values, chosen, largest, exponentials, total, value, isLog, count: values.length };
}

/** The exponentials of values less the largest, and their sum. */
function exponentialsOf(values) {
  const largest = values.reduce((most, value) => Math.max(most, value), -Infinity);
  const exponentials = values.map((value) => Math.exp(value - largest));
  return { largest, exponentials, total: sumOf(exponentials) };
}

/** A value of a product of matrices: a row of one input times a column of the other. */
function matmulArithmetic(layer, unit) {
  const [one, other] = layer.inputs.map((name) => byName.get(name).shape);
  const [row, otherRow] = [one, other].map(([rows]) => Math.min(unit.at[0], rows - 1));
  const pairOf = (_, k) => [readCell(layer, [row, unit.at[1], k]), readCell(layer, [otherRow, k, unit.channel], 1)];
  const pairs = Array.from({ length: one[2] }, pairOf).filter((pair) => !pair.includes(null));
  const weighted = (reads, others) =>
    reads.map((read, k) => ({ ...read, weight: others[k].value, amount: amountOf(read, others[k].value) }));
  const [firsts, seconds] = [0, 1].map((side) => pairs.map((pair) => pair[side]));
  const reads = weighted(firsts, seconds).map((read, k) => ({ ...read, times: seconds[k] }));
  const sum = sumOf(reads.map((read) => read.value * read.weight));
  if (pairs.length === one[2]) return { value: sum, reads, sources: counting([...reads, ...weighted(seconds, firsts)]) };
  // What the products that the page lacks add up to is the rest of the value.
  const value = unitValue(unit);
  return value === null ? null : { value, reads, sources: [], isPart: true, others: { count: one[2] - pairs.length, sum: value - sum } };
}
