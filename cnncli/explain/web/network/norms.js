"use strict";
// The arithmetic of normalisations, as cnncli/explain/normalized.py tells it. Nothing here touches the page.

/** A value of an instance, group or layer norm. */
function normArithmetic(layer, unit) {
  const { axes, groups, gamma, beta, epsilon } = layer.settings;
  const size = layer.shape[2] / groups;
  const first = Math.floor(unit.channel / size) * size;
  const [rows, cols] = spansOf(layer, unit, axes);
  const all = valuesIn(layer, [rows, cols, [first, first + size]]);
  const read = ownRead(layer, unit);
  if (!read || !(all || layer.settings.sumsShape)) return null;
  const count = (rows[1] - rows[0]) * (cols[1] - cols[0]) * size;
  const { mean, variance } = all ? meanAndVariance(all) : knownSums(layer, unit, Math.floor(unit.channel / size));
  const [g, b] = [gamma, beta].map((numbers) => ofChannel(numbers, unit.channel));
  const values = count === 1 ? "1 value" : `${count} values`;
  const known = [[`mean of ${values}`, mean], [`variance of ${values}`, variance]];
  return normalized(read, { g, b, mean, variance, epsilon }, known);
}

function meanAndVariance(values) {
  const mean = sumOf(values) / values.length;
  return { mean, variance: sumOf(values.map((value) => (value - mean) ** 2)) / values.length };
}

/** gamma * (x - mean) / sqrt(var + epsilon) + beta. */
function normalValue(x, { g, b, mean, variance, epsilon }) {
  return ((x - mean) / Math.sqrt(variance + epsilon)) * g + b;
}

/** The same, line by line. */
function normalized(read, numbers, known = []) {
  const { g, b, mean, variance, epsilon } = numbers;
  const deviation = Math.sqrt(variance + epsilon);
  const lines = [
    ...known,
    ["x − mean", read.value - mean],
    [`÷ √(${numberText(variance)} + ${numberText(epsilon)})`, deviation],
    ["=", (read.value - mean) / deviation],
    ["× gamma", g],
    ["+ beta", b],
  ];
  return { value: normalValue(read.value, numbers), lines, reads: [{ ...read, amount: (g / deviation) * read.value }] };
}

/** A value of a batch normalisation: its mean and variance were counted in training. */
function batchNormArithmetic(layer, unit) {
  const { gamma, beta, mean, var: variance, epsilon } = layer.settings;
  const [g, b, m, v] = [gamma, beta, mean, variance].map((numbers) => ofChannel(numbers, unit.channel));
  const read = ownRead(layer, unit);
  return read && normalized(read, { g, b, mean: m, variance: v, epsilon }, [["mean", m]]);
}

/** The channels [first, end) whose squares a local response normalisation adds up for one. */
function nearChannels({ size }, channel, count) {
  return [Math.max(0, channel - Math.floor((size - 1) / 2)), Math.min(count, channel + Math.floor(size / 2) + 1)];
}

/** What a value is divided by, to the power beta, by the sum of those squares. */
function lrnBase({ size, alpha, bias }, squares) {
  return bias + (alpha / size) * squares;
}

/** The sum of squares that the page has of a unit, since it lacks some of its neighbours; else null. */
function knownSquares(layer, unit) {
  const place = layer.settings.sumsChannels?.indexOf(unit.channel) ?? -1;
  return place < 0 ? null : knownSums(layer, unit, place).squares;
}

/** A value of a local response normalisation: the squares of its neighbours' channels lessen it. */
function lrnArithmetic(layer, unit) {
  const { size, alpha, beta, bias } = layer.settings;
  const [first, end] = nearChannels(layer.settings, unit.channel, layer.shape[2]);
  const [rows, cols] = spansOf(layer, unit, []);
  const all = readSpans(layer, [rows, cols, [first, end]]);
  const own = ownRead(layer, unit);
  const squares = all ? all.reduce((sum, { value }) => sum + value ** 2, 0) : knownSquares(layer, unit);
  if (!own || squares === null) return null;
  const near = all ?? [{ ...own, amount: null }];
  const base = lrnBase(layer.settings, squares);
  const x = own.value;
  const value = x / base ** beta;
  const lines = [
    [end - first === 1 ? "square" : `squares of ${end - first} channels`, squares],
    [`${numberText(bias)} + ${numberText(alpha)} ÷ ${size} × that`, base],
    [`to the power ${numberText(beta)}`, base ** beta],
    ["x ÷ that", value],
  ];
  const reads = near.map((read) => ({ ...read, amount: read.channel === unit.channel ? value : null }));
  return { value, lines, reads };
}
