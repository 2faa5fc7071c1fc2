"use strict";
// The gradient of one unit of a network with respect to every value behind it, as the backward passes of
// cnncli/core and cnncli/network make it. Nothing here touches the page: network/worker.js runs it beside the page.

/** Of layers that combine values, by how much the result grows with each of them. */
const COMBINED_SLOPES = {
  add: (values) => values.map(() => 1),
  sub: () => [1, -1],
  mul: productOfOthers,
  div: ([x, by]) => [1 / by, -(1 / by) * (x / by)],
  max: onlyChosen(Math.max),
  min: onlyChosen(Math.min),
};

/** The value of a chosen one counts alone, of equal ones the first. */
function onlyChosen(choose) {
  return (values) => {
    const chosen = values.indexOf(choose(...values));
    return values.map((_, index) => (index === chosen ? 1 : 0));
  };
}

/** Each value of a product counts as often as the others say. */
function productOfOthers(values) {
  return values.map((_, index) => values.reduce((product, value, k) => (k === index ? product : product * value), 1));
}

/**
 * The gradients of a unit { layer, channel, at }: a Map from the name of its layer and of each layer that it
 * depends on to { planes, most, notFinite }: for each channel the gradients of all cells, the largest magnitude of
 * them, and how many are not finite.
 * Null where the unit cannot be computed. `layers` are those of `describeLayer`, the input first, and
 * `settings` theirs, in the same order. Maps that are switched off have the gradient 0: they send nothing. With
 * `isSum` they are those of the unit's sum, before its activation.
 */
function networkGradients(layers, settings, { layer: name, channel, at, isSum = false }) {
  const last = layers.findIndex((layer) => layer.name === name);
  const { output, problem } = layers[last] ?? { problem: "no such layer" };
  if (problem || channel >= output.channels || at.some((index, axis) => index >= output.size[axis])) return null;
  const known = new Map([[name, zeroPlanes(output)]]);
  known.get(name)[channel][at[0] * output.size[1] + at[1]] = 1;
  for (let index = last; index > 0; index -= 1) {
    const planes = known.get(layers[index].name);
    if (!planes) continue;
    for (const off of settings[index].off ?? []) planes[off]?.fill(0);
    const inputs = layers[index].inputs.map((input) => layers.find((layer) => layer.name === input));
    for (const input of inputs) if (!known.has(input.name)) known.set(input.name, zeroPlanes(input.output));
    const sinks = inputs.map((input) => known.get(input.name));
    const own = isSum && index === last ? withoutActivation(settings[index]) : settings[index];
    passBack(own, inputs.map((input) => input.output), planes, sinks);
  }
  const measured = (planes) => {
    const seen = planes.map(measurePlane);
    return { planes, most: seen.map(({ lo, hi }) => Math.max(-lo, hi)), notFinite: seen.map(({ notFinite }) => notFinite) };
  };
  return new Map(Array.from(known, ([layer, planes]) => [layer, measured(planes)]));
}

/** The settings of a layer that ends with its sums. */
function withoutActivation(settings) {
  return { ...settings, activation: "none" };
}

function zeroPlanes({ size, channels }) {
  return Array.from({ length: channels }, () => new Float64Array(size[0] * size[1]));
}

/** Add to `sinks`, planes for each input, what a layer sends back of the gradients of its output. */
function passBack(settings, inputs, planes, sinks) {
  const overAxes = overAxesSettings(settings);
  if (overAxes) {
    passValueSetsBack(overAxes, inputs[0], planes, sinks[0]);
    return;
  }
  if (settings.kernel) {
    const pass = windowPass(settings, inputs[0], planes);
    sinks[0].forEach((sink, source) => {
      pass.inputGradient(source).forEach((gradient, cell) => {
        sink[cell] += gradient;
      });
    });
    return;
  }
  eachLink(settings, inputs, (input, source, from, channel, cell, weight) => {
    sinks[input][source][from] += weight * planes[channel][cell];
  });
}

/**
 * The backward pass of a convolution, also transposed, dense layer or pool, from the gradients of its output; `outputsOf`
 * tells of its `LayerArithmetic` the only outputs { rows, cols } that count.
 */
function windowPass(settings, input, planes, outputsOf = () => null) {
  const isShare = OVER_CHANNELS.includes(settings.activation);
  const own = isShare ? { ...settings, activation: "none" } : settings;
  const arithmetic = windowLayer(input, own);
  const all = Array.from({ length: arithmetic.channels }, (_, channel) => channel);
  if (settings.op === "conv-transpose") return new TransposedBackward(arithmetic, all, null, planes);
  const outputs = outputsOf(arithmetic);
  if (!isShare) return new BackwardArithmetic(arithmetic, all, outputs, planes);
  const sums = windowOutput(own, [input]);
  const upstream = zeroPlanes(sums);
  passBack({ op: "activation", activation: settings.activation }, [sums], planes, [upstream]);
  return new BackwardArithmetic(arithmetic, all, outputs, upstream);
}

/** The outputs that read a cell of the input. */
function outputsReading({ window, rowTable, colTable }, [row, col]) {
  const readers = (axis, table, index) => [...new Set(readersAlong(axis, table, index).map(({ output }) => output))];
  return { rows: readers(window.rows, rowTable, row), cols: readers(window.cols, colTable, col) };
}

/** The pass for gradients of weights: of one unit few outputs have any gradient, and only these count. */
function weightPass(settings, input, planes) {
  // 0 times what is not finite is NaN, as in cnncli.
  if (!input.planes.every((plane) => plane.every(Number.isFinite))) return windowPass(settings, input, planes);
  return windowPass(settings, input, planes, ({ window }) => outputsWithGradient(planes, window));
}

/** The rows and the columns of outputs in which any gradient is not 0. */
function outputsWithGradient(planes, { rows, cols }) {
  const [down, across] = [new Set(), new Set()];
  for (const plane of planes) {
    for (let cell = 0; cell < plane.length; cell += 1) {
      if (plane[cell] === 0) continue;
      down.add(Math.floor(cell / cols.out));
      across.add(cell % cols.out);
    }
  }
  const ordered = (places, count) => Array.from({ length: count }, (_, k) => k).filter((k) => places.has(k));
  return { rows: ordered(down, rows.out), cols: ordered(across, cols.out) };
}

/**
 * Call `use(input, source, from, channel, cell, weight)` for each value of an input, at the cell `from` of its
 * channel `source`, that a value of the output is made from: that grows `weight` times as much.
 */
function eachLink(settings, inputs, use) {
  LINKS[settings.op](settings, inputs, use);
}

const LINKS = {
  ...LINKED,
  activation: (settings, [input], use) => ownLinks(input, (value, channel) => activationSlope(value, settings, channel), use),
  batchnorm: ({ gamma, var: variance, epsilon }, [input], use) =>
    ownLinks(input, (_, channel) => ofChannel(gamma, channel) / Math.sqrt(ofChannel(variance, channel) + epsilon), use),
  lrn: lrnLinks,
  // Rounding to whole numbers counts as no change, as in cnncli.
  scale: ({ factor }, [input], use) => ownLinks(input, (_, channel) => ofChannel(factor, channel), use),
  "cell-scale": ({ factor }, [input], use) =>
    ownLinks(input, (_, channel, cell) => ofChannel(factor, cell * input.channels + channel), use),
  // Quotients stay or jump.
  quotient: () => {},
  concat: concatLinks,
};
for (const op of Object.keys(COMBINE)) {
  LINKS[op] = (_, inputs, use) => combinedLinks(COMBINED_SLOPES[op], inputs, use);
}

/** A layer that changes each value on its own. */
function ownLinks(input, slopeOf, use) {
  input.planes.forEach((plane, channel) => {
    for (let cell = 0; cell < plane.length; cell += 1) use(0, channel, cell, channel, cell, slopeOf(plane[cell], channel, cell));
  });
}

/** A local response normalisation: x / base^beta, and the squares of channels nearby are in the base. */
function lrnLinks(settings, [input], use) {
  const { size, alpha, beta } = settings;
  input.planes.forEach((plane, channel) => {
    const [first, end] = nearChannels(settings, channel, input.channels);
    const bases = lrnBases(settings, input, channel);
    for (let cell = 0; cell < plane.length; cell += 1) {
      const share = bases[cell] ** -beta;
      const slope = ((-2 * alpha * beta) / size) * plane[cell] * (share / bases[cell]);
      for (let near = first; near < end; near += 1) {
        use(0, near, cell, channel, cell, (near === channel ? share : 0) + slope * input.planes[near][cell]);
      }
    }
  });
}

/** A layer that combines a value of each input; one row, column or channel serves all. */
function combinedLinks(slopesOf, inputs, use) {
  const [height, width] = [0, 1].map((axis) => Math.max(...inputs.map(({ size }) => size[axis])));
  const channels = Math.max(...inputs.map((input) => input.channels));
  const down = inputs.map(({ size }) => (size[0] === 1 ? 0 : size[1]));
  const across = inputs.map(({ size }) => (size[1] === 1 ? 0 : 1));
  for (let channel = 0; channel < channels; channel += 1) {
    const sources = inputs.map((input) => (input.channels === 1 ? 0 : channel));
    for (let row = 0; row < height; row += 1) {
      for (let col = 0; col < width; col += 1) {
        const cells = inputs.map((_, k) => row * down[k] + col * across[k]);
        const slopes = slopesOf(inputs.map(({ planes }, k) => planes[sources[k]][cells[k]]));
        for (let k = 0; k < inputs.length; k += 1) {
          use(k, sources[k], cells[k], channel, row * width + col, slopes[k]);
        }
      }
    }
  }
}

/** Inputs one behind the other along rows (0), columns (1) or channels (2). */
function concatLinks({ axis }, inputs, use) {
  const width = axis === 1 ? inputs.reduce((sum, { size }) => sum + size[1], 0) : inputs[0].size[1];
  let start = 0;
  inputs.forEach(({ size, channels }, k) => {
    const [down, right, deep] = [0, 1, 2].map((one) => (one === axis ? start : 0));
    for (let channel = 0; channel < channels; channel += 1) {
      for (let cell = 0; cell < size[0] * size[1]; cell += 1) {
        const [row, col] = [Math.floor(cell / size[1]) + down, (cell % size[1]) + right];
        use(k, channel, cell, channel + deep, row * width + col, 1);
      }
    }
    start += [...size, channels][axis];
  });
}

/**
 * Every way by which a value of an input, { input, channel, at }, changes a layer's output: { at, channel, weight,
 * upstream, product }, output by output. `planes` are the gradients of the output; of convolutions the upstream
 * gradient is that of the sum, before the activation. `size` is that of the output.
 */
function gradientPaths(settings, inputs, size, planes, { input, channel: source, at }) {
  if (settings.kernel) {
    const paths = windowPass(settings, inputs[0], planes, (arithmetic) => outputsReading(arithmetic, at)).paths(source, ...at);
    return paths.map(({ row, col, ...path }) => ({ ...path, at: [row, col] }));
  }
  const overAxes = overAxesSettings(settings);
  if (overAxes) return valueSetPaths(overAxes, inputs[0], size[1], planes, source, at);
  const [paths, own] = [[], at[0] * inputs[input].size[1] + at[1]];
  eachLink(settings, inputs, (k, readChannel, from, channel, cell, weight) => {
    if (k !== input || from !== own || readChannel !== source) return;
    const upstream = planes[channel][cell];
    const place = [Math.floor(cell / size[1]), cell % size[1]];
    paths.push({ at: place, channel, weight, upstream, product: weight * upstream });
  });
  return paths;
}
