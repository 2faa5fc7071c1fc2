"use strict";
// Layers whose values are values of their inputs times weights, added up: those that move values, resizes and
// products of matrices. Resizes add the products up by what is told here, and the backward pass sends gradients by
// it; forward, values that move are copied, and products of matrices have a loop of their own. Nothing here touches
// the page: network/worker.js runs it beside the page.

/** By kind of layer that moves values: its rows, columns and channels, from the shapes of its inputs. */
const MOVED_SHAPES = {
  slice: ({ taken }) => taken.map(([, , count]) => count),
  view: ({ newShape }) => newShape,
  pad: ({ begin, end }, [[height, width, channels]]) => [height + begin[0] + end[0], width + begin[1] + end[1], channels],
  "pad-channels": ({ before, after }, [[height, width, channels]]) => [height, width, channels + before.length + after.length],
  "depth-to-space": ({ block }, [[height, width, channels]]) => {
    if (channels % block ** 2) throw new ForwardError(`Its channels must fill blocks of ${block} × ${block}, got ${channels}.`);
    return [height * block, width * block, channels / block ** 2];
  },
  "space-to-depth": ({ block }, [[height, width, channels]]) => {
    if (height % block || width % block) throw new ForwardError(`Blocks of ${block} must fill rows and columns, got ${height} × ${width}.`);
    return [height / block, width / block, channels * block ** 2];
  },
};

/**
 * By kind of layer: calls `use(input, source, from, channel, cell, weight)` for each value of an input, at the
 * cell `from` of its channel `source`, that counts so often in the value of the output at `cell` of `channel`.
 */
const LINKED = {
  ...Object.fromEntries(Object.keys(MOVED_SHAPES).map((op) => [op, movedLinks])),
  resize: resizeLinks,
  matmul: matmulLinks,
};

function shapeOf({ size, channels }) {
  return [...size, channels];
}

/** Some layers are made for one shape. */
function checkShape({ shape }, input) {
  if (!shape || shape.join() === shapeOf(input).join()) return;
  throw new ForwardError(`It is made for an input of ${shape.join(" × ")}, this one has ${shapeOf(input).join(" × ")}.`);
}

/** The output of a layer that moves values. */
function movedOutput(settings, [input]) {
  checkShape(settings, input);
  const { shape: [height, width, count], constants } = placesOf(settings, input);
  const output = emptyOutput([height, width], count, input.planes[0].constructor);
  movedLinks(settings, [input], (_, source, from, channel, cell) => {
    output.planes[channel][cell] = input.planes[source][from];
  });
  for (const { channel, cell, constant } of constants) output.planes[channel][cell] = constant;
  return output;
}

/** Where the values of a layer come from, by its settings, see `placesOf`. */
const knownPlaces = new WeakMap();

/**
 * Of a layer that moves values { shape, channels, cells, constants }: its shape, the channel and the cell of the input
 * that each value is, channel by channel of the output: -1 of those that are a constant, which `constants` lists.
 * Found once for each shape `from` of the input: it follows from that alone.
 */
function placesOf(settings, input) {
  const [from, known] = [shapeOf(input), knownPlaces.get(settings)];
  if (known?.from.join() === from.join()) return known;
  const shape = MOVED_SHAPES[settings.op](settings, [from]);
  checkOutputs(shape);
  const [height, width, count] = shape;
  const [channels, cells] = [new Int32Array(height * width * count).fill(-1), new Int32Array(height * width * count)];
  const made = { from, shape, channels, cells, constants: [] };
  const place = PLACES[settings.op](settings, [from], shape);
  for (let index = 0; index < channels.length; index += 1) {
    const [channel, own] = [Math.floor(index / (height * width)), index % (height * width)];
    const { cell, constant } = place([Math.floor(own / width), own % width, channel]);
    if (cell) [channels[index], cells[index]] = [cell[2], cell[0] * input.size[1] + cell[1]];
    else made.constants.push({ channel, cell: own, constant });
  }
  knownPlaces.set(settings, made);
  return made;
}

function movedLinks(settings, [input], use) {
  const { shape: [height, width, count], channels, cells } = placesOf(settings, input);
  let index = 0;
  for (let channel = 0; channel < count; channel += 1) {
    for (let cell = 0; cell < height * width; cell += 1) {
      if (channels[index] >= 0) use(0, channels[index], cells[index], channel, cell, 1);
      index += 1;
    }
  }
}

/** As ONNX has it: sizes times scales in float32, rounded down. */
function resizedShape({ size, scale }, [[height, width, channels]]) {
  const times = (length, axis) => Math.floor(Math.fround(length * Math.fround(scale[axis])));
  const shape = [...(size ?? [height, width].map(times)), channels];
  if (Math.min(...shape) < 1) throw new ForwardError(`An input of ${height} × ${width} leaves nothing of it.`);
  return shape;
}

/** The output of a resize: its taps added up. */
function resizedOutput(settings, [input]) {
  const shape = resizedShape(settings, [shapeOf(input)]);
  checkOutputs(shape);
  const [size, kind] = [shape.slice(0, 2), input.planes[0].constructor];
  const sums = zeroPlanes({ size, channels: input.channels });
  resizeLinks(settings, [input], (_, source, from, channel, cell, weight) => {
    sums[channel][cell] += weight * input.planes[source][from];
  });
  return { size, channels: input.channels, planes: sums.map((plane) => kind.from(plane)) };
}

function resizeLinks(settings, [input], use) {
  const [height, width] = resizedShape(settings, [shapeOf(input)]);
  const tapsOf = (axis, out) => Array.from({ length: out }, (_, index) => resizeTaps(settings, axis, input.size[axis], out, index));
  const [downs, acrosses] = [tapsOf(0, height), tapsOf(1, width)];
  for (let channel = 0; channel < input.channels; channel += 1) {
    downs.forEach((down, row) => {
      acrosses.forEach((across, col) => {
        for (const [r, rowWeight] of down) {
          for (const [c, colWeight] of across) {
            use(0, channel, r * input.size[1] + c, channel, row * width + col, rowWeight * colWeight);
          }
        }
      });
    });
  }
}

function productShape(_, [one, other]) {
  if (one[2] !== other[1] || (one[0] !== other[0] && Math.min(one[0], other[0]) !== 1)) {
    const shown = [one, other].map((shape) => shape.join(" × ")).join(" and ");
    throw new ForwardError(`Its second input must have as many columns as the first has channels, and as many rows, got ${shown}.`);
  }
  return [Math.max(one[0], other[0]), one[1], other[2]];
}

/** The output of a product of matrices. */
function productOutput(settings, inputs) {
  const [one, other] = inputs;
  const [height, width, channels] = productShape(settings, inputs.map(shapeOf));
  checkProducts(height * width * channels * one.channels, [height, width, channels]);
  checkOutputs([height, width, channels]);
  const output = emptyOutput([height, width], channels, one.planes[0].constructor);
  for (let row = 0; row < height; row += 1) {
    const [first, second] = inputs.map(({ size }) => Math.min(row, size[0] - 1) * size[1]);
    for (let col = 0; col < width; col += 1) {
      const values = Float64Array.from(one.planes, (plane) => plane[first + col]);
      for (let channel = 0; channel < channels; channel += 1) {
        const weights = other.planes[channel];
        let sum = 0;
        for (let k = 0; k < values.length; k += 1) sum += values[k] * weights[second + k];
        output.planes[channel][row * width + col] = sum;
      }
    }
  }
  return output;
}

/** Each row is a matrix of columns by channels; one row serves all of the other input. */
function matmulLinks(settings, inputs, use) {
  const [one, other] = inputs;
  const [height, width, channels] = productShape(settings, inputs.map(shapeOf));
  for (let row = 0; row < height; row += 1) {
    const [first, second] = inputs.map(({ size }) => Math.min(row, size[0] - 1) * size[1]);
    for (let col = 0; col < width; col += 1) {
      for (let channel = 0; channel < channels; channel += 1) {
        for (let k = 0; k < one.channels; k += 1) {
          const cell = row * width + col;
          use(0, k, first + col, channel, cell, other.planes[channel][second + k]);
          use(1, channel, second + k, channel, cell, one.planes[k][first + col]);
        }
      }
    }
  }
}
