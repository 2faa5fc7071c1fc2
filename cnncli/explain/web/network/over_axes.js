"use strict";
// Layers whose values depend on all values along whole axes: reductions, softmax, instance, group and layer norm.
// Values that are taken together are a value set: what a layer makes of them, and how much that grows with each.
// Nothing here touches the page: network/worker.js runs it beside the page.

/**
 * By kind of layer what it makes of the `values` of a set: { values, weight, back }. `weight(i, j)` is how much value j
 * of the result grows with value i, `back(upstream)` the gradients of the set from those of the result;
 * without it they are found by the weights. `channels` are those of the values.
 */
const OVER_AXES = {
  reduce: ({ mode }, values) => {
    const { value, weightOf } = reductionOf(mode, values);
    return { values: [value], weight: (i) => weightOf(values[i]) };
  },
  softmax: sharesOfSet,
  "instance-norm": normalizedSet,
  "group-norm": normalizedSet,
  "layer-norm": normalizedSet,
};

/** The settings of a layer over axes, an activation over channels among them; null of others. */
function overAxesSettings(settings) {
  const { op, activation } = settings;
  if (op === "activation" && OVER_CHANNELS.includes(activation)) return { op: "softmax", activation, axes: ["channels"] };
  return op in OVER_AXES ? settings : null;
}

function sharesOfSet({ activation }, values) {
  const { largest, exponentials, total } = exponentialsOf(values);
  const shares = exponentials.map((power) => power / total);
  const best = values.indexOf(largest);
  // 1 less a share near 1 would be rounding alone: the others are added up.
  const others = (i) => shares.reduce((sum, share, k) => (k === i ? sum : sum + share), 0);
  if (activation === "log-softmax") {
    return {
      values: values.map((value) => value - largest - Math.log(total)),
      weight: (i, j) => (i === j ? others(i) : -shares[i]),
      back: (upstream) => {
        const sum = sumOf(upstream);
        return upstream.map((gradient, i) => gradient - shares[i] * sum);
      },
    };
  }
  return {
    values: shares,
    weight: (i, j) => (i === j ? shares[i] * others(i) : -shares[i] * shares[j]),
    back: (upstream) => {
      // A constant taken off all gradients changes nothing; with that of the largest share nothing cancels.
      const less = upstream.map((gradient) => gradient - upstream[best]);
      const mean = less.reduce((sum, gradient, i) => sum + gradient * shares[i], 0);
      return less.map((gradient, i) => shares[i] * (gradient - mean));
    },
  };
}

function normalizedSet({ gamma, beta, epsilon }, values, channels) {
  const { mean, variance } = meanAndVariance(values);
  const inverse = 1 / Math.sqrt(variance + epsilon);
  const normal = values.map((value) => (value - mean) * inverse);
  const gammaOf = (i) => ofChannel(gamma, channels[i]);
  const numbersOf = (i) => ({ g: gammaOf(i), b: ofChannel(beta, channels[i]), mean, variance, epsilon });
  return {
    values: values.map((value, i) => normalValue(value, numbersOf(i))),
    weight: (i, j) => gammaOf(j) * inverse * (Number(i === j) - (1 + normal[i] * normal[j]) / values.length),
    back: (upstream) => {
      const scaled = upstream.map((gradient, i) => gradient * gammaOf(i));
      const own = sumOf(scaled) / values.length;
      const along = sumOf(scaled.map((gradient, i) => gradient * normal[i])) / values.length;
      return scaled.map((gradient, i) => (gradient - own - normal[i] * along) * inverse);
    },
  };
}

/** How many rows, columns and channels of an input are one value set. */
function valueSetLengths({ axes, groups }, { size, channels }) {
  const deep = axes.includes("channels") ? channels : 1;
  return [axes.includes("rows") ? size[0] : 1, axes.includes("columns") ? size[1] : 1, groups ? channels / groups : deep];
}

/**
 * The value set that begins at a row, column and channel: its values with the channel and the cell of each, `make()`
 * what the layer makes of them, and `targets` where that stands in the output.
 */
function valueSetAt(settings, input, lengths, [top, left, first]) {
  const [values, channels, cells] = [[], [], []];
  for (let row = top; row < top + lengths[0]; row += 1) {
    for (let col = left; col < left + lengths[1]; col += 1) {
      const cell = row * input.size[1] + col;
      for (let channel = first; channel < first + lengths[2]; channel += 1) {
        values.push(input.planes[channel][cell]);
        channels.push(channel);
        cells.push(cell);
      }
    }
  }
  const [row, col, channel] = [top, left, first].map((start, axis) => start / lengths[axis]);
  const only = { channels: [channel], cells: [(row * input.size[1]) / lengths[1] + col] };
  const targets = settings.op === "reduce" ? only : { channels, cells };
  return { channels, cells, targets, make: () => OVER_AXES[settings.op](settings, values, channels) };
}

/** Call `use` for each value set of an input. */
function eachValueSet(settings, input, use) {
  const lengths = valueSetLengths(settings, input);
  for (let row = 0; row < input.size[0]; row += lengths[0]) {
    for (let col = 0; col < input.size[1]; col += lengths[1]) {
      for (let channel = 0; channel < input.channels; channel += lengths[2]) {
        use(valueSetAt(settings, input, lengths, [row, col, channel]));
      }
    }
  }
}

/** The output of a layer over axes. */
function overAxesOutput(settings, input) {
  const [height, width, deep] = valueSetLengths(settings, input);
  const isReduced = settings.op === "reduce";
  const size = isReduced ? [input.size[0] / height, input.size[1] / width] : input.size;
  const output = emptyOutput(size, isReduced ? input.channels / deep : input.channels, input.planes[0].constructor);
  eachValueSet(settings, input, ({ targets, make }) => {
    make().values.forEach((value, k) => {
      output.planes[targets.channels[k]][targets.cells[k]] = value;
    });
  });
  return output;
}

/** The gradients of a value set's result. */
function upstreamOf({ channels, cells }, planes) {
  return channels.map((channel, k) => planes[channel][cells[k]]);
}

/** Add to `sink`, planes of the input, what a layer over axes sends back of the gradients of its output. */
function passValueSetsBack(settings, input, planes, sink) {
  eachValueSet(settings, input, ({ channels, cells, targets, make }) => {
    const upstream = upstreamOf(targets, planes);
    if (upstream.every((gradient) => gradient === 0)) return;
    const { weight, back } = make();
    const byWeights = (_, i) => upstream.reduce((sum, gradient, j) => sum + weight(i, j) * gradient, 0);
    (back ? back(upstream) : cells.map(byWeights)).forEach((gradient, i) => {
      sink[channels[i]][cells[i]] += gradient;
    });
  });
}

/** Every way by which a value of the input changes the result of its set, see `gradientPaths`. */
function valueSetPaths(settings, input, width, planes, channel, at) {
  const lengths = valueSetLengths(settings, input);
  const start = [...at, channel].map((index, axis) => index - (index % lengths[axis]));
  const { channels, cells, targets, make } = valueSetAt(settings, input, lengths, start);
  const own = at[0] * input.size[1] + at[1];
  const i = cells.findIndex((cell, k) => cell === own && channels[k] === channel);
  const { weight } = make();
  return upstreamOf(targets, planes).map((upstream, j) => {
    const cell = targets.cells[j];
    const made = weight(i, j);
    return { at: [Math.floor(cell / width), cell % width], channel: targets.channels[j], weight: made, upstream, product: made * upstream };
  });
}
