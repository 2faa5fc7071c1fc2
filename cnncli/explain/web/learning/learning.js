"use strict";
// Learning a filter on the layer's page: steps of gradient descent, one by one or frame by frame.
// learning/gradient_descent.js computes them, learning/targets.js has what is learned, learning/panel.js shows it.

/** Milliseconds of a frame that steps may take. */
const STEPS_BUDGET = 8;
/** Milliseconds between two drawings of the rest of the page while it learns. */
const PAGE_EVERY = 150;
/** Steps at once for who wants less motion. */
const STEPS_AT_ONCE = 100;

/** What learns, and for which target, map and settings; made again where one of them changes. */
let learning = {};

/** Change the target, seed, rate, momentum, or whether it runs; `anew` is whether the filter made the target already. */
function applyLearning(changes) {
  const begin = { target: "first", seed: 1, rate: null, momentum: 0.9, running: false, picture: null, anew: false };
  apply({ learn: { ...(state.learn ?? begin), ...changes } });
}

/** The learner for what is chosen, with the weights that the page has; null if there is no target. */
function currentLearner() {
  const target = shown.problem ? null : chosenTarget();
  if (!target || targetProblem(target)) return null;
  const { arithmetic } = shown;
  const { weights, bias, ...settings } = state.layer;
  const key = JSON.stringify([target.id, state.map, { ...settings, alpha: String(settings.alpha) }]);
  const { input, learn } = state;
  if (learning.key !== key || learning.input !== input || learning.picture !== learn.picture) {
    const wanted = target.id === "picture" ? null : targetParameters(target);
    const learner = new Learner(arithmetic, learningTask(target, wanted));
    learning = { key, input, picture: learn.picture, target, wanted, learner };
  } else if (learning.weights !== weights || learning.bias !== bias) {
    learning.learner.take(arithmetic);
  }
  Object.assign(learning, { weights, bias });
  return learning.learner;
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

function startRandom(anew = false) {
  const { weights, bias } = randomParameters(shown.arithmetic, shown.picture.channels, state.learn.seed);
  // A new curve begins.
  learning = {};
  apply({ layer: { weights, bias }, learn: { ...state.learn, running: false, anew } });
}

/** Choose a target: a filter that makes it already has nothing to learn, and begins anew with random weights. */
function beginLearning(changes) {
  applyLearning({ ...changes, anew: false });
  const learner = state.learn && currentLearner();
  if (learner && !learner.count && learner.end === "reached") startRandom(true);
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
    else beginLearning({});
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
