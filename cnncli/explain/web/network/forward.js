"use strict";
// The values of a network's layers, from its input and its weights, as cnncli/core computes them.
// Nothing here touches the page: network/worker.js runs it beside the page.

/** Layers that combine two values into one, and the result with the next. */
const COMBINE = {
  add: (sum, value) => sum + value,
  sub: (rest, value) => rest - value,
  mul: (product, value) => product * value,
  div: (share, value) => share / value,
  max: (most, value) => Math.max(most, value),
  min: (least, value) => Math.min(least, value),
};

/** What a layer cannot be computed for, in words for the page. */
class ForwardError extends Error {}

/**
 * The output of a layer: { size: [rows, columns], channels, planes }, a plane of values for each channel.
 *
 * `settings` are those of page/settings_data.py with their arrays read; `inputs` are outputs of other
 * layers. Maps in `settings.off` are zero; another input may leave a layer fewer maps than are named there.
 */
function layerOutput(settings, inputs) {
  const output = FORWARD[settings.op](settings, inputs);
  for (const channel of settings.off ?? []) output.planes[channel]?.fill(0);
  return output;
}

const FORWARD = {
  conv: windowOutput,
  dense: windowOutput,
  pool: windowOutput,
  "conv-transpose": windowOutput,
  activation: (settings, [input]) => activatedOutput(settings, input),
  batchnorm: ({ gamma, beta, mean, var: variance, epsilon }, [input]) =>
    eachValue(input, (value, channel) => {
      const [g, b, m, v] = [gamma, beta, mean, variance].map((numbers) => ofChannel(numbers, channel));
      return normalValue(value, { g, b, mean: m, variance: v, epsilon });
    }),
  lrn: (settings, [input]) => {
    const bases = input.planes.map((_, channel) => lrnBases(settings, input, channel));
    return eachValue(input, (value, channel, cell) => value / bases[channel][cell] ** settings.beta);
  },
  scale: ({ factor, offset, whole }, [input]) =>
    eachValue(input, (value, channel) => {
      const scaled = ofChannel(factor, channel) * value + ofChannel(offset, channel);
      return whole ? roundedToEven(scaled) : scaled;
    }),
  "cell-scale": (settings, [input]) => {
    checkShape(settings, input);
    const { factor, offset } = settings;
    const indexOf = (channel, cell) => cell * input.channels + channel;
    return eachValue(input, (value, channel, cell) => {
      const index = indexOf(channel, cell);
      return ofChannel(factor, index) * value + ofChannel(offset, index);
    });
  },
  quotient: ({ divisor }, [input]) =>
    eachValue(input, (value, channel) => quotientOf(value, ofChannel(divisor, channel), input.planes[channel])),
  concat: ({ axis }, inputs) => concatOutput(axis, inputs),
  resize: resizedOutput,
  matmul: productOutput,
};
for (const op of Object.keys(OVER_AXES)) FORWARD[op] = (settings, [input]) => overAxesOutput(settings, input);
for (const op of Object.keys(MOVED_SHAPES)) FORWARD[op] = movedOutput;
for (const op of Object.keys(COMBINE)) FORWARD[op] = (_, inputs) => combinedOutput(COMBINE[op], inputs);

/** The number of a channel of an array that may have one for all. */
function ofChannel(numbers, channel) {
  return numbers[numbers.length === 1 ? 0 : channel];
}

/** An output of planes in the type of another: float32 or float64. */
function emptyOutput(size, channels, kind) {
  const planes = Array.from({ length: channels }, () => new kind(size[0] * size[1]));
  return { size, channels, planes };
}

/** A layer that changes each value on its own. */
function eachValue(input, change) {
  const planes = input.planes.map((plane, channel) => plane.map((value, cell) => change(value, channel, cell)));
  return { size: input.size, channels: input.channels, planes };
}

/** An activation layer, also a softmax over the channels of each cell. */
function activatedOutput(settings, input) {
  const overAxes = overAxesSettings(settings);
  if (overAxes) return overAxesOutput(overAxes, input);
  return eachValue(input, (value, channel) => activate(value, settings, channel));
}

/** A quotient toward zero; as float32 where the values of a plane are, so that whole ones are never missed. */
function quotientOf(value, divisor, plane) {
  const isSingle = plane instanceof Float32Array;
  return Math.trunc(isSingle ? Math.fround(value / Math.fround(divisor)) : value / divisor);
}

/** What each value of a channel is divided by, to the power beta, in a local response normalisation. */
function lrnBases(settings, { channels, planes }, channel) {
  const near = planes.slice(...nearChannels(settings, channel, channels));
  return Float64Array.from(planes[channel], (_, cell) => {
    let squares = 0;
    for (const plane of near) squares += plane[cell] ** 2;
    return lrnBase(settings, squares);
  });
}

/** Products of one layer, and values that come out, beyond which a browser would take too long. */
const MOST_PRODUCTS = 3e9;
const MOST_OUTPUTS = 2 ** 24;

/** What makes a layer smaller that no setting of its own enlarges. */
const SMALLER_INPUT = "Take a larger stride in a layer before it.";

/** Refuse a layer of windows that settings have made too large. */
function checkCost({ op, kernel, weights }, { window: { rows, cols }, channels }) {
  const shape = [rows.out, cols.out, channels];
  const isTransposed = op === "conv-transpose";
  const windows = isTransposed ? rows.size * cols.size : rows.out * cols.out;
  const products = windows * (weights ? weights.length : kernel[0] * kernel[1] * channels);
  checkProducts(products, shape, isTransposed ? "Take a smaller kernel." : "Take a larger stride, less padding or a smaller kernel.");
  checkOutputs(shape, isTransposed ? "Take a smaller stride or less dilation." : "Take a larger stride or less padding.");
}

/** Refuse a layer of too many products. */
function checkProducts(products, shape, hint = SMALLER_INPUT) {
  if (products <= MOST_PRODUCTS) return;
  throw new ForwardError(`It would have ${valueCount(shape)} values, made of ${products} products in all: too many for a page. ${hint}`);
}

/** Refuse a layer of too many values. */
function checkOutputs(shape, hint = SMALLER_INPUT) {
  if (valueCount(shape) > MOST_OUTPUTS) throw new ForwardError(`It would have ${valueCount(shape)} values, too many for a page. ${hint}`);
}

function valueCount(shape) {
  return shape.reduce((product, length) => product * length, 1);
}

/** A convolution, also transposed, a dense layer or a pool. */
function windowOutput(settings, [input]) {
  const isShare = OVER_CHANNELS.includes(settings.activation);
  const arithmetic = windowLayer(input, isShare ? { ...settings, activation: "none" } : settings);
  const { rows, cols } = arithmetic.window;
  checkFilter(settings, input);
  if (!arithmetic.fits) throw new ForwardError(misfitText(settings, arithmetic.window));
  checkCost(arithmetic.layer, arithmetic);
  const [outRows, outCols] = [rows, cols].map((axis) => Array.from({ length: axis.out }, (_, index) => index));
  const kind = input.planes[0].constructor;
  const planes = Array.from({ length: arithmetic.channels }, (_, channel) =>
    kind.from(arithmetic.values(channel, outRows, outCols)),
  );
  const output = { size: [rows.out, cols.out], channels: planes.length, planes };
  return isShare ? activatedOutput({ op: "activation", activation: settings.activation }, output) : output;
}

/** A filter that sums over channels is made for so many; that of a dense layer, which never slides, for one size too. */
function checkFilter({ op, weights, kernel, maps, perChannel, groups }, input) {
  if (!weights || perChannel) return;
  const needed = (weights.length / (kernel[0] * kernel[1] * maps)) * groups;
  const [taken, shape] = [[...kernel, needed], shapeOf(input)];
  if (op === "dense" && kernel.join() !== input.size.join()) {
    throw new ForwardError(`Its matrix takes ${valueCount(taken)} values (${taken.join(" × ")}), not ${shape.join(" × ")}.`);
  }
  if (needed !== input.channels) {
    throw new ForwardError(`Its filter is for an input of ${needed} channel${needed === 1 ? "" : "s"}, this one has ${input.channels}.`);
  }
}

/** The arithmetic of a layer with a window on the whole of an input. */
function windowLayer({ size, channels, planes, largest = 0 }, settings) {
  const whole = { size, channels, planes, largest, rows: [0, size[0]], cols: [0, size[1]] };
  return arithmeticOf(whole, settings);
}

/** A layer that combines the values of several inputs; one row, column or channel serves all. */
function combinedOutput(combine, inputs) {
  const shapes = inputs.map(({ size, channels }) => [...size, channels]);
  const [height, width, count] = [0, 1, 2].map((axis) => Math.max(...shapes.map((shape) => shape[axis])));
  if (shapes.some((shape) => shape.some((length, axis) => length !== 1 && length !== [height, width, count][axis]))) {
    throw new ForwardError(`Its inputs must have the same size, got ${shapes.map((shape) => shape.join(" × ")).join(" and ")}.`);
  }
  const output = emptyOutput([height, width], count, inputs[0].planes[0].constructor);
  output.planes.forEach((plane, channel) => {
    const sources = inputs.map((input) => ({
      plane: ofChannel(input.planes, channel),
      down: input.size[0] === 1 ? 0 : input.size[1],
      across: input.size[1] === 1 ? 0 : 1,
    }));
    for (let row = 0; row < height; row += 1) {
      for (let col = 0; col < width; col += 1) {
        let value = sources[0].plane[row * sources[0].down + col * sources[0].across];
        for (let k = 1; k < sources.length; k += 1) {
          const { plane: other, down, across } = sources[k];
          value = combine(value, other[row * down + col * across]);
        }
        plane[row * width + col] = value;
      }
    }
  });
  return output;
}

/** Inputs one behind the other along rows (0), columns (1) or channels (2). */
function concatOutput(axis, inputs) {
  const [{ size, channels }] = inputs;
  const shape = [...size, channels];
  const lengths = inputs.map((input) => [...input.size, input.channels]);
  if (lengths.some((other) => other.some((length, k) => k !== axis && length !== shape[k]))) {
    throw new ForwardError(`Its inputs must be alike but for one axis, got ${lengths.map((one) => one.join(" × ")).join(" and ")}.`);
  }
  if (axis === 2) {
    const planes = inputs.flatMap((input) => input.planes);
    return { size, channels: planes.length, planes: planes.map((plane) => plane.slice()) };
  }
  shape[axis] = lengths.reduce((sum, one) => sum + one[axis], 0);
  const output = emptyOutput(shape.slice(0, 2), channels, inputs[0].planes[0].constructor);
  let start = 0;
  for (const input of inputs) {
    const [down, across] = axis === 0 ? [start, 0] : [0, start];
    input.planes.forEach((plane, channel) => {
      for (let row = 0; row < input.size[0]; row += 1) {
        const line = plane.subarray(row * input.size[1], (row + 1) * input.size[1]);
        output.planes[channel].set(line, (row + down) * shape[1] + across);
      }
    });
    start += input.size[axis];
  }
  return output;
}
