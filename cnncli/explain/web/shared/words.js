"use strict";
// The words of a page in plain language: a list of some of them, which folds out where they are first used.

const WORDS = {
  window: "the cells of the input that one output is made from",
  weight: "one number of a filter; a cell under the window is multiplied by it",
  filter: "the weights that make one feature map",
  kernel: "the weights of a filter for one channel of the input",
  "feature map": "all outputs of one filter, as a picture",
  channel: "one layer of numbers of a picture or a result: red, green and blue are three channels",
  stride: "how many cells the window moves from one output to the next: 2 gives half the rows and columns",
  padding: "cells added around the input, so that the window has room at the border",
  dilation: "the distance between the cells of a window: 2 leaves out every second one",
  bias: "a number added to every sum of a feature map",
  activation: "a function of each value, applied after the bias: relu makes negative values 0",
  pool: "one value of each window: its largest, its mean or its smallest",
  z: "the sum with the bias, before the activation",
  "p-norm": "the sum of |x| to the power p, and its p-th root: p = 2 is the length of an arrow",
  unit: "one value of a layer: at one row and column of one map",
  "receptive field": "the pixels of the input that a unit depends on",
  trail: "the way from a unit back to a pixel, in each layer by the value that contributes most",
  score: "one number for each class: the largest wins. Other names: logit, the value before softmax",
  softmax: "makes probabilities of scores: exp(score), divided by the sum of exp of all scores",
  gradient: "how much a result grows when a value grows a little",
  upstream: "the gradient of an output, which its window sends back",
  "dA, dW, db": "the gradients of the input, of the weights and of the bias",
  loss: "one number for how far output and target are apart: learning makes it smaller",
  "learning rate": "each step changes a weight by its gradient times this number",
  momentum: "the part of the last change that the next step makes again",
};

/** A list of words that folds out: what each of `names` means. */
function wordsList(...names) {
  const list = element("dl", {}, ...names.flatMap((name) => [element("dt", { text: name }), element("dd", { text: WORDS[name] })]));
  const summary = element("summary", { text: `Words: ${names.join(", ")}` });
  return element("details", { class: "words" }, summary, list);
}
