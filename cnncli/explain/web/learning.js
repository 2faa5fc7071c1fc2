"use strict";
// Learning a filter on the layer's page: what its outputs shall become, and steps of gradient descent,
// one by one or frame by frame. learning_arithmetic.js computes them, learning_panel.js shows them.

/** Milliseconds of a frame that steps may take. */
const STEPS_BUDGET = 8;
/** Milliseconds between two drawings of the rest of the page while it learns. */
const PAGE_EVERY = 150;
/** Steps at once for who wants less motion. */
const STEPS_AT_ONCE = 100;

/** What learns, and for which target, map and settings; made again where one of them changes. */
let learning = {};

/** Change the target, seed, rate, momentum, or whether it runs. */
function applyLearning(changes) {
  const begin = { target: "first", seed: 1, rate: null, momentum: 0.9, running: false };
  apply({ learn: { ...(state.learn ?? begin), ...changes } });
}

/** What the outputs may be taught: { id, name, rows }, the filter that the page began with and built-in ones. */
function learningTargets() {
  const { kernel, maps } = state.layer;
  const presets = pageData.presets
    .filter(({ rows }) => rows.length === kernel[0] && rows[0].length === kernel[1])
    .map(({ name, rows }) => ({ id: name, name: depths() > 1 ? `${name} of the mean of the channels` : name, rows }));
  if (firstLayer.kernel.join() !== kernel.join()) return presets;
  const isBank = maps > 1 || depths() > 1;
  const isFirst = ({ rows }) => rows.flat().every((value, tap) => Math.abs(value - firstLayer.weights[tap]) < 1e-6);
  const name = isBank ? "this map" : firstLayer.filterName;
  const first = { id: "first", name: `${name}, as the page began`, rows: null };
  return [first, ...presets.filter((preset) => isBank || !isFirst(preset))];
}

/** The target that is chosen, or the first one there is. */
function chosenTarget() {
  const targets = learningTargets();
  return targets.find(({ id }) => id === state.learn.target) ?? targets[0];
}

/** Weights and biases of a target; a 2-D filter is spread over the input channels. */
function targetParameters({ rows }) {
  if (!rows) return { weights: firstLayer.weights, bias: firstLayer.bias };
  const { maps } = state.layer;
  const [weights, bias] = [state.layer.weights, state.layer.bias].map((values) => Float64Array.from(values));
  rows.flat().forEach((value, tap) => {
    for (let depth = 0; depth < depths(); depth += 1) {
      weights[(tap * depths() + depth) * maps + chosenKernel()] = value / depths();
    }
  });
  bias[biasIndex()] = 0;
  return { weights, bias };
}

/** The learner for what is chosen, with the weights that the page has; null if there is no target. */
function currentLearner() {
  const target = shown.problem ? null : chosenTarget();
  if (!target) return null;
  const { arithmetic } = shown;
  const { weights, bias, ...settings } = state.layer;
  const key = JSON.stringify([target.id, state.map, { ...settings, alpha: String(settings.alpha) }]);
  if (learning.key !== key || learning.input !== state.input) {
    learning = { key, input: state.input, target, learner: new Learner(arithmetic, learningTask(target)) };
  } else if (learning.weights !== weights || learning.bias !== bias) {
    learning.learner.take(arithmetic);
  }
  Object.assign(learning, { weights, bias });
  return learning.learner;
}

/** The outputs that learn, and what they shall become. */
function learningTask(target) {
  const { arithmetic, picture, outRows, outCols } = shown;
  const { channels } = picture;
  const known = [
    outRows.filter((row) => arithmetic.knownRows[row]),
    outCols.filter((col) => arithmetic.knownCols[col]),
  ];
  const { rows, cols } = learningOutputs(arithmetic, channels, known);
  const wanted = arithmetic.with(targetParameters(target));
  return { channels, rows, cols, targets: channels.map((channel) => wanted.values(channel, rows, cols)) };
}

/** The learning rate: what was typed, or the suggested one. */
function learningRate(learner) {
  return state.learn.rate ?? suggestion(learner);
}

/** The suggested learning rate, in three digits. */
function suggestion({ layer, curvature }) {
  return Number(suggestedRate(layer, curvature, state.learn.momentum).toPrecision(3));
}

/** Let the page have the weights that were learned. */
function applyLearned(learner, changes = {}) {
  const { weights, bias } = learner.layer;
  [learning.weights, learning.bias] = [weights, bias];
  apply({ layer: { weights, bias }, learn: { ...state.learn, ...changes } });
}

function startRandom() {
  const { weights, bias } = randomParameters(shown.arithmetic, shown.picture.channels, state.learn.seed);
  // A new curve begins.
  learning = {};
  apply({ layer: { weights, bias }, learn: { ...state.learn, running: false } });
}

/** Make one step, and show it. */
function learnOnce() {
  const learner = currentLearner();
  if (!learner) return;
  learner.step({ rate: learningRate(learner), momentum: state.learn.momentum });
  applyLearned(learner, { running: false });
}

/** Make steps frame by frame until it is stopped or nothing more is to be learned. */
function runLearning() {
  const count = reduced.matches ? STEPS_AT_ONCE : Infinity;
  let [done, drawnAt] = [0, 0];
  const frame = () => {
    if (!state.learn?.running) return;
    if (isAsking()) {
      requestAnimationFrame(frame);
      return;
    }
    const learner = currentLearner();
    const start = performance.now();
    while (learner && !learner.end && done < count) {
      learner.step({ rate: learningRate(learner), momentum: state.learn.momentum });
      done += 1;
      if (performance.now() - start > STEPS_BUDGET) break;
    }
    if (!learner || learner.end || done >= count) {
      if (learner) applyLearned(learner, { running: false });
      else applyLearning({ running: false });
      return;
    }
    if (!reduced.matches && start - drawnAt > PAGE_EVERY) {
      drawnAt = start;
      applyLearned(learner);
    } else if (!reduced.matches) drawLearning(false);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

function startLearning() {
  byId("learn-panel").hidden = pageData.layer.op !== "conv";
  if (byId("learn-panel").hidden) return;
  byId("learn").addEventListener("click", () => {
    if (state.learn) apply({ learn: null });
    else applyLearning({});
  });
  byId("learn-start").addEventListener("click", () => {
    if (!shown.problem) startRandom();
  });
  byId("learn-step").addEventListener("click", learnOnce);
  byId("learn-run").addEventListener("click", () => {
    const learner = currentLearner();
    if (!learner) return;
    applyLearned(learner, { running: !state.learn.running });
    if (state.learn.running) runLearning();
  });
  startLearningFields();
}
