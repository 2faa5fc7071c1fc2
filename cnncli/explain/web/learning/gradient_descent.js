"use strict";
// How a filter learns, as a training loop over cnncli/core does it: the mean squared error of the
// outputs from a target, its gradients, and steps of gradient descent. Arrays in, arrays out;
// nothing here touches the page. tests/explain/test_learning.py compares every step with the core.

/** Products of one step of learning that take some 20 ms. */
const MOST_LEARNING_PRODUCTS = 8e6;
const MOST_ITERATIONS = 30;

/** So many outputs tell the curvature of the loss well enough. */
const CURVATURE_OUTPUTS = 1e4;

/** The numbers of the kernels that make some output channels. */
function kernelNumbers(arithmetic, channels) {
  return [...new Set(channels.map((channel) => arithmetic.sources(channel).map))];
}

/** The outputs that a filter learns from: all that the page knows, or so many in their middle. */
function learningOutputs(arithmetic, channels, known, most = MOST_LEARNING_PRODUCTS) {
  const [rows, cols] = known;
  const { kernel } = arithmetic.layer;
  const each = kernel[0] * kernel[1] * arithmetic.sources(channels[0]).channels.length * channels.length;
  // Forward and backward.
  const fits = Math.max(1, Math.floor(most / (2 * each)));
  if (rows.length * cols.length <= fits) return { rows, cols };
  const side = Math.floor(Math.sqrt(fits));
  const height = Math.min(rows.length, Math.max(side, Math.floor(fits / cols.length)));
  const width = Math.max(1, Math.min(cols.length, Math.floor(fits / height)));
  const middle = (list, count) => {
    const first = Math.floor((list.length - count) / 2);
    return list.slice(first, first + count);
  };
  return { rows: middle(rows, height), cols: middle(cols, width) };
}

/**
 * The backward pass of a loss: the mean of (output − target)² over all `task.channels` at the
 * crossings of `task.rows` and `task.cols`. `task.targets` has one array for each of the channels.
 */
class LossArithmetic extends BackwardArithmetic {
  constructor(arithmetic, task) {
    super(arithmetic, task.channels, task);
    this.task = task;
    this.count = task.channels.length * task.rows.length * task.cols.length;
    this.squares = task.channels.map(() => 0);
  }

  /** dZ: the gradient of the loss with respect to the sums of an output channel. */
  makeUpstream(channel) {
    const index = this.chosen.indexOf(channel);
    const target = this.task.targets[index];
    const isCurved = this.arithmetic.layer.activation !== "none";
    // The sums, of which each is replaced by its gradient.
    const upstream = this.linear.values(channel, this.rows, this.cols);
    let squares = 0;
    for (let k = 0; k < upstream.length; k += 1) {
      const output = isCurved ? this.arithmetic.activate(upstream[k], channel) : upstream[k];
      const slope = isCurved ? activationSlope(upstream[k], this.arithmetic.layer, channel) : 1;
      const error = output - target[k];
      squares += error * error;
      upstream[k] = (2 / this.count) * error * slope;
    }
    this.squares[index] = squares;
    return upstream;
  }

  /** The mean squared error. */
  get loss() {
    for (const channel of this.chosen) this.upstream(channel);
    return this.squares.reduce((sum, squares) => sum + squares, 0) / this.count;
  }

  /** dW and db, laid out as the layer's weights and bias; 0 for kernels that do not count. */
  get parameters() {
    this.made ??= this.makeParameters();
    return this.made;
  }

  makeParameters() {
    const { arithmetic } = this;
    const { layer } = arithmetic;
    const [weights, bias] = [layer.weights, layer.bias].map(({ length }) => new Float64Array(length));
    const depths = arithmetic.sources(this.chosen[0]).channels.length;
    for (const map of kernelNumbers(arithmetic, this.chosen)) {
      for (let i = 0; i < layer.kernel[0]; i += 1) {
        for (let j = 0; j < layer.kernel[1]; j += 1) {
          for (let depth = 0; depth < depths; depth += 1) {
            weights[arithmetic.weightIndex(i, j, depth, map)] = this.weightGradient(map, depth, i, j);
          }
        }
      }
      bias[bias.length === 1 ? 0 : map] = this.biasGradient(map);
    }
    return { weights, bias };
  }
}

/**
 * One step of gradient descent: { weights, bias, velocity }. The velocity is the gradient plus
 * `momentum` times the velocity before; null before the first step.
 */
function learningStep(layer, gradient, velocity, { rate, momentum }) {
  const follow = (values, slopes, before) => {
    const speeds = slopes.map((slope, k) => slope + momentum * (before ? before[k] : 0));
    // Numbers of a layer of float32 stay float32.
    return [values.map((value, k) => value - rate * speeds[k]), speeds];
  };
  const [weights, weightSpeeds] = follow(layer.weights, gradient.weights, velocity?.weights);
  const [bias, biasSpeeds] = follow(layer.bias, gradient.bias, velocity?.bias);
  return { weights, bias, velocity: { weights: weightSpeeds, bias: biasSpeeds } };
}

/** Numbers of a normal distribution, the same ones for the same seed. */
function normalNumbers(seed, count) {
  const uniform = makeRandom(seed);
  return Array.from({ length: count }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    return radius * Math.cos(2 * Math.PI * uniform());
  });
}

/**
 * Random weights for the kernels of some output channels, and 0 for their bias. Their scale is one
 * over the root of the number of weights, so that outputs are about as large as inputs; with three
 * decimals they are easily read.
 */
function randomParameters(arithmetic, channels, seed) {
  const { layer } = arithmetic;
  const [weights, bias] = [layer.weights.slice(), layer.bias.slice()];
  const each = weights.length / layer.maps;
  const numbers = normalNumbers(seed, weights.length);
  for (const map of kernelNumbers(arithmetic, channels)) {
    for (let k = map; k < weights.length; k += layer.maps) {
      weights[k] = Math.round((1000 * numbers[k]) / Math.sqrt(each)) / 1000;
    }
    bias[bias.length === 1 ? 0 : map] = 0;
  }
  return { weights, bias };
}

/**
 * The largest curvature of the loss without activation: the largest eigenvalue of its second
 * derivatives, by power iteration. With no target, the gradient at some weights is the matrix of
 * second derivatives times these weights.
 */
function largestCurvature(arithmetic, task) {
  const every = Math.ceil(Math.sqrt((task.rows.length * task.cols.length) / CURVATURE_OUTPUTS));
  const [rows, cols] = [task.rows, task.cols].map((list) => list.filter((_, index) => index % every === 0));
  const targets = task.channels.map(() => new Float64Array(rows.length * cols.length));
  const noTarget = { channels: task.channels, rows, cols, targets };
  const random = randomParameters(arithmetic, task.channels, 1);
  const begin = (values) => Float64Array.from(values, (value) => 1 + value);
  let direction = { weights: begin(random.weights), bias: begin(random.bias) };
  let curvature = 0;
  for (let count = 0; count < MOST_ITERATIONS; count += 1) {
    const length = Math.sqrt(sumOfSquares(direction.weights) + sumOfSquares(direction.bias));
    const before = curvature;
    curvature = count ? length : 0;
    if (length === 0 || !Number.isFinite(length)) break;
    if (count > 1 && Math.abs(curvature - before) <= 0.002 * curvature) break;
    const [weights, bias] = [direction.weights, direction.bias].map((values) => values.map((value) => value / length));
    const unit = arithmetic.with({ weights, bias, activation: "none" });
    direction = new LossArithmetic(unit, noTarget).parameters;
  }
  return curvature;
}

function sumOfSquares(values) {
  return values.reduce((sum, value) => sum + value * value, 0);
}

/** The steepest slope of an activation. */
function steepestSlope({ activation, alpha }) {
  return activation === "sigmoid" ? 1 / 4 : Math.max(1, ...(alpha ?? []).map(Math.abs));
}

/**
 * A learning rate: half of the largest one with which such a loss falls, which is
 * 2 (1 + momentum) / curvature. Slopes of the activation make the loss less curved.
 */
function suggestedRate(layer, curvature, momentum) {
  return (1 + momentum) / (curvature * steepestSlope(layer) ** 2);
}

/** So much larger than at its start the loss has left for good. */
const DIVERGED = 100;
/** So small a share of the target's own mean square is none to be seen. */
const REACHED = 1e-9;
/** Of more losses every second one is dropped. */
const MOST_LOSSES = 4096;

/** Kernels that learn: the weights now, the losses so far, and one step after another. */
class Learner {
  constructor(arithmetic, task) {
    this.task = task;
    this.curvature = largestCurvature(arithmetic, task);
    this.scale = task.targets.map(sumOfSquares).reduce((sum, value) => sum + value, 0) / (task.channels.length * task.targets[0].length);
    this.begin(arithmetic);
  }

  /** Begin with the weights of a layer. */
  begin(arithmetic) {
    // Losses that are kept, the newest as the last, and the steps after which they were.
    [this.losses, this.steps, this.every] = [[0], [0], 1];
    this.take(arithmetic);
  }

  /** Go on with the weights of a layer, which somebody changed. */
  take(arithmetic) {
    this.pass = new LossArithmetic(arithmetic, this.task);
    this.velocity = null;
    this.losses[this.losses.length - 1] = this.pass.loss;
  }

  get layer() {
    return this.pass.arithmetic.layer;
  }

  get loss() {
    return this.losses[this.losses.length - 1];
  }

  /** How many steps were made. */
  get count() {
    return this.steps[this.steps.length - 1];
  }

  /** Make one step. */
  step(update) {
    const { velocity, ...next } = learningStep(this.layer, this.pass.parameters, this.velocity, update);
    this.velocity = velocity;
    this.pass = new LossArithmetic(this.pass.arithmetic.with(next), this.task);
    this.keep(this.pass.loss);
  }

  /** Keep the loss of a new step; of the steps before, those that are multiples of `every`. */
  keep(loss) {
    const next = this.count + 1;
    const isKept = (step) => step % this.every === 0;
    if (!isKept(this.count)) for (const list of [this.losses, this.steps]) list.pop();
    this.losses.push(loss);
    this.steps.push(next);
    if (this.steps.length <= MOST_LOSSES) return;
    this.every *= 2;
    this.losses = this.losses.filter((_, index) => isKept(this.steps[index]) || this.steps[index] === next);
    this.steps = this.steps.filter((step) => isKept(step) || step === next);
  }

  /** Why no further step is of use: "diverged", "reached" or "flat"; "" if one is. */
  get end() {
    if (!(this.loss <= DIVERGED * (this.losses[0] + this.scale))) return "diverged";
    if (this.loss <= REACHED * this.scale) return "reached";
    const { weights, bias } = this.pass.parameters;
    return [weights, bias].every((list) => list.every((slope) => slope === 0)) ? "flat" : "";
  }
}
