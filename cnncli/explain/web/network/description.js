"use strict";
// What a network's page shows of a layer's output beside its values: shape, pictures and their ranges, which
// cells are read, receptive field. It follows from the settings, so it is found again when they change.
// Nothing here touches the page: network/worker.js runs it beside the page.

/** Activations whose results may be rounding where their inputs are, as in pipeline/feature_maps.py. */
const SCALED = [
  "none", "relu", "leaky-relu", "prelu", "tanh", "abs", "clip", "hard-swish", "truncate",
  "wrap", "neg", "sign", "floor", "ceil", "round",
];

/** Layers of which the same holds, if their activation is one of those. */
const SUMS = [
  "conv", "dense", "conv-transpose", "pool", "activation", "add", "sub", "max", "min", "concat", "scale", "batchnorm",
  "instance-norm", "group-norm", "layer-norm", "resize", "pad", "pad-channels", "slice", "view", "space-to-depth",
  "depth-to-space",
];

/** Layers whose channels are made of any of the input's. */
const MIXED = ["view", "depth-to-space", "space-to-depth", "matmul"];

/** Scores that a strip shows as bars, as in render/scores.py. */
const MOST_BARS = 20;

/** The input as a layer of the page. `input` is { size, channels, planes, largest, pictures, range }. */
function describeInput(input) {
  const facts = {
    groups: input.pictures,
    fields: [0, 1].map(() => ({ size: 1, step: 1, first: 0 })),
    inner: [[0, input.size[0]], [0, input.size[1]]],
    sums: { hasConv: false, scaled: true },
  };
  const chosen = { ranges: input.pictures.map(() => input.range), range: input.range };
  return { ...describeValues("input", input, facts, chosen), label: "input", inputs: [], reads: [] };
}

/**
 * A layer of the page: `spec` is { name, inputs, label, maps, clips, settings }, `output` is what `layerOutput`
 * computed, `inputs` are the layers that it reads, as this function returns them, and `known` has all before by name.
 */
function describeLayer(spec, output, inputs, known) {
  const { settings } = spec;
  const isConv = settings.op === "conv" || settings.op === "dense";
  const arithmetic = settings.kernel ? windowLayer(inputs[0].output, settings) : null;
  const moving = movingAxes(settings, inputs[0].output, arithmetic);
  const axes = settings.op === "conv-transpose" ? null : moving;
  const sources = inputs.map(({ name, shape }) => ({
    name,
    readings: [0, 1].map((k) => readingOf(settings, k, shape[k], output.size[k], moving?.[k])),
  }));
  const facts = {
    sources,
    groups: spec.maps ? spec.maps.map((name, channel) => ({ name, channels: [channel] })) : groupsOf(settings, inputs, output),
    fields: [0, 1].map((k) => fieldOf(sources, k, output.size[k], known)),
    inner: innerCells(inputs, output, axes),
    sums: {
      hasConv: isConv || inputs.some((input) => input.facts.sums.hasConv),
      scaled: isScaled(settings) && inputs.every((input) => input.facts.sums.scaled),
    },
  };
  const own = axes ? axes.map((axis) => innerOutputs(axis, [0, axis.size])) : null;
  const isFirst = isConv && inputs[0].name === "input";
  const limitOf = isFirst ? ({ channels }) => Math.max(...channels.map((channel) => arithmetic.roundingLimit(channel))) : null;
  const chosen = rangesOf(output, facts, own, spec.clips, limitOf);
  return {
    ...describeValues(spec.name, output, facts, chosen),
    label: spec.label ?? labelOf(settings),
    inputs: spec.inputs,
    reads: readsOf(settings, inputs, output, arithmetic, sources),
    formula: moving && moving.map(axes ? axisFormula : transposedFormula),
    field: facts.fields.map(({ size }) => size),
  };
}

function isScaled({ op, activation = "none" }) {
  return SUMS.includes(op) && SCALED.includes(activation);
}

/** The rows and columns along which a window moves: over the input, of a transposed convolution over the output. */
function movingAxes({ op, begin, end }, { size }, arithmetic) {
  if (op === "pad") return [0, 1].map((k) => makeAxis(size[k], 1, 1, 1, begin[k], end[k], false));
  return arithmetic && [arithmetic.window.rows, arithmetic.window.cols];
}

/** A layer that cannot be computed, and why: it has no cells and no maps. */
function describeProblem({ name, inputs, settings, label }, problem) {
  const none = { rows: [], cols: [], channels: [] };
  return {
    ...{ name, inputs, problem, label: label ?? labelOf(settings), shape: [0, 0, 0], rows: [0, 0], cols: [0, 0] },
    ...{ channels: [], planes: [], ends: [], steps: [], pictures: [], maps: 0, ranges: [], range: null, largest: [], winner: null },
    reads: inputs.map(() => none),
  };
}

/** What the page needs of any layer's values. */
function describeValues(name, output, facts, { ranges, range }) {
  const { size, channels, planes } = output;
  const seen = planes.map(measurePlane);
  const pictures = facts.groups.map((group, index) => ({
    ...group,
    index,
    range: ranges[index],
    notFinite: group.channels.reduce((sum, channel) => sum + seen[channel].notFinite, 0),
  }));
  const isScores = size[0] * size[1] === 1 && pictures.length === channels && channels > 1;
  const order = isScores ? largestScores(planes.map(([value]) => value)) : [];
  return {
    name,
    output,
    facts,
    shape: [...size, channels],
    rows: [0, size[0]],
    cols: [0, size[1]],
    channels: planes.map((_, channel) => channel),
    planes,
    ends: seen.map(({ lo, hi }) => [lo, hi]),
    steps: planes.map(() => 0),
    pictures,
    maps: pictures.length,
    ranges,
    range,
    largest: order.slice(0, MOST_BARS),
    winner: order.length && Number.isFinite(planes[order[0]][0]) ? order[0] : null,
  };
}

/** The smallest and the largest finite value of a plane, and how many are not finite. */
function measurePlane(plane) {
  let [lo, hi, notFinite] = [Infinity, -Infinity, 0];
  for (const value of plane) {
    if (!Number.isFinite(value)) notFinite += 1;
    else {
      if (value < lo) lo = value;
      if (value > hi) hi = value;
    }
  }
  return lo > hi ? { lo: 0, hi: 0, notFinite } : { lo, hi, notFinite };
}

/** Indices of scores, the largest first and those that are not finite last. */
function largestScores(values) {
  const rank = (index) => (Number.isFinite(values[index]) ? values[index] : -Infinity);
  return values.map((_, index) => index).sort((a, b) => (rank(b) > rank(a)) - (rank(b) < rank(a)));
}

/** Which channels of a layer's output are one picture, and their names, as the layers' output_groups say. */
function groupsOf(settings, inputs, made) {
  const [{ facts, output }] = inputs;
  if (settings.weights) {
    if (!settings.perChannel) return numberedGroups(settings.kernelNames);
    return settings.kernelNames.flatMap((name, index) =>
      facts.groups.map((group) => ({
        name: [name, group.name].filter(Boolean).join("-"),
        channels: group.channels.map((channel) => index * output.channels + channel),
      })),
    );
  }
  if (settings.op === "concat" && settings.axis === 2) return joinedGroups(inputs);
  if (["slice", "pad-channels"].includes(settings.op)) return movedNames(settings, inputs[0], made);
  if (MIXED.includes(settings.op) || (settings.op === "reduce" && settings.axes.includes("channels"))) {
    return numberedGroups(made.planes.map(() => ""));
  }
  if (inputs.length === 1) return facts.groups;
  const most = Math.max(...inputs.map((input) => input.output.channels));
  const all = inputs.filter((input) => input.output.channels === most).map((input) => input.facts.groups);
  const isCommon = all.every((groups) => JSON.stringify(groups) === JSON.stringify(all[0]));
  return isCommon ? all[0] : numberedGroups(Array.from({ length: most }, () => ""));
}

/** A picture for each channel: its name, or its number. */
function numberedGroups(names) {
  return names.map((name, channel) => ({ name: name || String(channel), channels: [channel] }));
}

/** A picture for each channel that is moved, with its name where it has one. */
function movedNames(settings, { facts, output: { size, channels } }, output) {
  const names = new Map();
  for (const group of facts.groups) {
    group.channels.forEach((channel, k) => {
      const colour = group.channels.length > 1 ? ["red", "green", "blue"][k] : "";
      names.set(channel, [group.name, colour].filter(Boolean).join("-"));
    });
  }
  const place = PLACES[settings.op](settings, [[...size, channels]], shapeOf(output));
  const named = (channel) => {
    const { cell } = place([0, 0, channel]);
    const name = cell ? names.get(cell[2]) : "";
    return /^[0-9]+$/.test(name) ? "" : name;
  };
  return numberedGroups(output.planes.map((_, channel) => named(channel)));
}

/** The pictures of inputs one behind the other, their numbers counted on. */
function joinedGroups(inputs) {
  let start = 0;
  return inputs.flatMap(({ facts, output }) => {
    const moved = facts.groups.map(({ name, channels }) => {
      const own = channels.map((channel) => channel + start);
      const isNumber = name === String(channels[0]) || (!name && channels.length === 1);
      return { name: isNumber ? String(own[0]) : name, channels: own };
    });
    start += output.channels;
    return moved;
  });
}

/** The outputs whose whole window lies on some cells [first, last) of an axis. */
function innerOutputs(axis, [first, last]) {
  const from = Math.max(0, Math.ceil((first + axis.begin) / axis.stride));
  const to = Math.min(axis.out, Math.floor((last + axis.begin - axis.extent) / axis.stride) + 1);
  return [from, Math.max(from, to)];
}

/** The rows and columns of an output that no padding has reached, in this layer or any before it. */
function innerCells(inputs, output, axes) {
  if (axes) return axes.map((axis, k) => innerOutputs(axis, inputs[0].facts.inner[k]));
  const alike = inputs.filter((input) => input.shape.slice(0, 2).join() === output.size.join());
  return output.size.map((length, k) => {
    const spans = alike.map((input) => input.facts.inner[k]);
    return [Math.max(0, ...spans.map(([first]) => first)), Math.min(length, ...spans.map(([, last]) => last))];
  });
}

/** The range of each picture of a layer and one for all, by the rule "auto" of whole layers. */
function rangesOf({ size, planes }, { groups, inner, sums }, own, clips, limitOf) {
  const pictures = groups.map(({ channels }) => channels.map((channel) => planes[channel]));
  const negative = planes.some(hasNegative);
  const kind = negative ? "symmetric" : "minmax";
  const shared = chooseRange(planes, kind, clips);
  if (clips || size[0] * size[1] === 1) {
    const range = clips ? chooseRange(planes, "clip", true) : shared;
    return { ranges: groups.map(() => range), range };
  }
  const box = innerBox([inner, own].filter(Boolean), size);
  const most = Math.max(-shared.lo, shared.hi);
  const step = 8 * (planes[0] instanceof Float32Array ? 2 ** -23 : Number.EPSILON);
  const limits = groups.map((group) => (!sums.hasConv || !sums.scaled ? 0 : limitOf ? limitOf(group) : step * most));
  const rangeOf = (shown, limit) => autoRange(shown, { negative, limit, width: size[1], box });
  const ranges = pictures.map((shown, index) => rangeOf(shown, limits[index]));
  return { ranges, range: pictures.length === 1 ? ranges[0] : rangeOf(planes, Math.max(...limits)) };
}

/** For each input the first row, column and channel that each output's reads, and the one after the last. */
function readsOf(settings, inputs, output, arithmetic, sources) {
  const shapes = inputs.map(({ shape }) => shape);
  return inputs.map((input, number) => {
    const sides = [0, 1].map((axis) => sideSpans(settings, { shapes, number, axis, output, arithmetic }, sources[number].readings[axis]));
    return { rows: sides[0], cols: sides[1], channels: channelSpans(settings, { shapes, number, axis: 2, output, arithmetic }) };
  });
}

/** Layers whose rows, columns and channels each come from those of one place. */
const SEPARATE = ["slice", "pad", "pad-channels", "concat"];

/** The rows or columns of an input that each of a layer's reads. */
function sideSpans(settings, about, reading) {
  const { shapes, number, axis, output, arithmetic } = about;
  const [length, total] = [output.size[axis], shapes[number][axis]];
  if (settings.op === "conv-transpose") {
    const adding = axis ? arithmetic.addingCols : arithmetic.addingRows;
    return makeSpans(length, (index) => spanOfCells(adding[index].map(({ cell }) => cell)));
  }
  if (arithmetic) return windowSpans(...(axis ? [arithmetic.window.cols, arithmetic.colTable] : [arithmetic.window.rows, arithmetic.rowTable]));
  if (settings.op === "resize") {
    const tapsOf = (index) => resizeTaps(settings, axis, total, length, index).map(([cell]) => cell);
    return makeSpans(length, (index) => spanOfCells(tapsOf(index)));
  }
  if (SEPARATE.includes(settings.op)) return placedSpans(settings, about);
  if (!reading) return makeSpans(length, () => [0, total]);
  return makeSpans(length, (index) => cellsRead(reading, [index, index + 1]));
}

/** The channels of an input that each of a layer's reads. */
function channelSpans(settings, about) {
  const { shapes, number, output, arithmetic } = about;
  const [length, total] = [output.channels, shapes[number][2]];
  if (OVER_CHANNELS.includes(settings.activation) && settings.op !== "softmax") return makeSpans(length, () => [0, total]);
  if (arithmetic) return makeSpans(length, (channel) => spanOfCells(arithmetic.sources(channel).channels));
  if (settings.op === "lrn") return makeSpans(length, (channel) => nearChannels(settings, channel, total));
  if (SEPARATE.includes(settings.op)) return placedSpans(settings, about);
  const isAll = settings.axes?.includes("channels") || MIXED.includes(settings.op);
  return makeSpans(length, (channel) => (isAll || total === 1 ? [0, total] : [channel, channel + 1]));
}

/** Along one axis, where each row, column or channel comes from; nowhere where it is a constant. */
function placedSpans(settings, { shapes, number, axis, output }) {
  // Along the other axes each input of a concat lies at its own place.
  if (settings.op === "concat" && settings.axis !== axis) return makeSpans(shapeOf(output)[axis], (index) => [index, index + 1]);
  // A place along the other axes that is no constant.
  const inside = settings.op === "pad" ? [...settings.begin, 0] : [0, 0, settings.before?.length ?? 0];
  const place = PLACES[settings.op](settings, shapes, shapeOf(output));
  return makeSpans(shapeOf(output)[axis], (index) => {
    const { cell, input = 0 } = place(inside.map((own, k) => (k === axis ? index : own)));
    return cell && input === number ? [cell[axis], cell[axis] + 1] : [0, 0];
  });
}

function makeSpans(length, spanOf) {
  return Int32Array.from({ length: 2 * length }, (_, index) => spanOf(index >> 1)[index & 1]);
}

/** From the first to the last of some cells; none of none. */
function spanOfCells(cells) {
  return cells.length ? [Math.min(...cells), Math.max(...cells) + 1] : [0, 0];
}

/** The cells from the first to the last under each window of an axis; none where all is padding. */
function windowSpans(axis, table) {
  return makeSpans(axis.out, (output) => {
    let [first, last] = [Infinity, -1];
    for (let tap = 0; tap < axis.kernel; tap += 1) {
      const cell = table[output * axis.stride + tap * axis.dilation];
      if (cell >= 0) [first, last] = [Math.min(first, cell), Math.max(last, cell)];
    }
    return last < 0 ? [0, 0] : [first, last + 1];
  });
}

/** What a layer is, as network/summary.py says it. */
function labelOf({ op, mode, kernel, stride, dilation, activation, global: isGlobal }) {
  if (!kernel) return op === "activation" ? activation : op;
  const pair = (sign, numbers) => (numbers.every((one) => one === 1) ? "" : sign + [...new Set(numbers)].join());
  const window = isGlobal ? "global" : `${kernel.join("x")}${pair("/", stride)}${pair(" dilation ", dilation)}`;
  return [mode, op, window, activation === "none" ? "" : activation].filter(Boolean).join(" ");
}
