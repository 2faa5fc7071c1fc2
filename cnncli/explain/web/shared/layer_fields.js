"use strict";
// Fields for the settings of one layer: its window, padding, bias and activation, or a pool's options.
// Both pages use them. `edited` is the layer that they change: its settings(), change(fields), window(),
// isShown() whether it can be computed, first() the settings that it came with, kernel() the number of the chosen kernel, depth() the chosen one of its
// channels, chooseDepth(depth), sources() those that the kernel reads, nameOf(channel)
// and redraw().

const OPTIONS = {
  padModes: ["zeros", "edge", "reflect", "symmetric", "wrap"],
  activations: ["none", "relu", "leaky-relu", "sigmoid", "tanh", "abs"],
  pools: ["max", "average", "min", "lp"],
  paddings: [
    ["same", "same"],
    ["same-lower", "same-lower"],
    ["valid", "valid (none)"],
    ["sides", "numbers"],
  ],
};
const FIELD_ENDS = { stride: 8, dilation: 8, padding: 8, kernel: 15, typed: 64 };

/** A slider for both axes and a number for each, that of rows for both while they are equal; numbers may be larger than the slider's end. */
function pairField(name, label, least, most) {
  const read = () => edited.settings()[name];
  const largest = Math.max(most, ...read());
  const change = (pair) => applyPair(name, pair);
  const slider = element("input", { type: "range", id: name, min: least, max: largest });
  slider.setAttribute("aria-label", `${label} of rows and columns`);
  slider.addEventListener("input", () => {
    change([slider.valueAsNumber, slider.valueAsNumber]);
  });
  updates.push(() => setValue(slider, Math.max(...read())));
  const limits = { min: least, max: Math.max(FIELD_ENDS.typed, largest) };
  // The digits of a number are typed one by one: what holds at the first holds for all.
  let areEqual = false;
  const rows = wholeInput(`${name}-rows`, `${label} of rows`, limits, () => read()[0], (value) =>
    change([value, areEqual ? value : read()[1]]),
  );
  rows.addEventListener("focus", () => {
    areEqual = read()[0] === read()[1];
  });
  const cols = wholeInput(`${name}-cols`, `${label} of columns`, limits, () => read()[1], (value) =>
    change([read()[0], value]),
  );
  return field(label, slider, element("span", { class: "pair" }, rows, "×", cols));
}

/** By weights that a resize has made: { kernel, weights } before the first of several. */
const beforeResizes = new WeakMap();

/** The weights in another size: of several sizes one after another, from those before the first. */
function weightsInSize({ kernel, weights }, size) {
  const before = beforeResizes.get(weights) ?? { kernel, weights };
  const made = resizedWeights(before.weights, before.kernel, size);
  beforeResizes.set(made, before);
  return made;
}

function applyPair(name, pair) {
  const layer = { [name]: pair };
  // A pool whose stride equals its window keeps them equal.
  const settings = edited.settings();
  const { op, kernel, stride } = settings;
  if (name === "kernel" && op === "pool" && stride.join() === kernel.join()) layer.stride = pair;
  if (name === "kernel" && settings.weights) layer.weights = weightsInSize(settings, pair);
  edited.change(layer);
}

/** Weights of a kernel of another size: the middle stays, what is new is 0. */
function resizedWeights(weights, [height, width], [newHeight, newWidth]) {
  const depth = weights.length / (height * width);
  const resized = new weights.constructor(newHeight * newWidth * depth);
  const [down, across] = [Math.floor(newHeight / 2) - Math.floor(height / 2), Math.floor(newWidth / 2) - Math.floor(width / 2)];
  for (let i = 0; i < height; i += 1) {
    for (let j = 0; j < width; j += 1) {
      const [row, col] = [i + down, j + across];
      if (row < 0 || col < 0 || row >= newHeight || col >= newWidth) continue;
      const from = (i * width + j) * depth;
      resized.set(weights.subarray(from, from + depth), (row * newWidth + col) * depth);
    }
  }
  return resized;
}

/** Kernel or window, stride, padding and dilation. */
function windowFields() {
  const isPool = edited.settings().op === "pool";
  pairField("kernel", isPool ? "Window" : "Kernel", 1, FIELD_ENDS.kernel);
  pairField("stride", "Stride", 1, FIELD_ENDS.stride);
  paddingField();
  // One tap cannot be set apart from others.
  const dilation = pairField("dilation", "Dilation", 1, FIELD_ENDS.dilation);
  showWhere(dilation, () => edited.settings().kernel.some((side) => side > 1));
}

/** What a stride above 1 does to the output of a layer whose input is `size`, in words; "" of stride 1. */
function strideText({ op, kernel, stride, padding, dilation, ceil }, size) {
  if (stride.every((step) => step === 1)) return "";
  const [own, all] = [stride, [1, 1]].map((steps) => placeWindow(size, kernel, steps, padding, dilation, op === "pool" && ceil));
  const outText = ({ rows, cols }) => `${rows.out} × ${cols.out}`;
  const firstText = ({ rows, cols }) => `row ${numberText(-rows.begin)}, column ${numberText(-cols.begin)}`;
  const shift = firstText(own) === firstText(all) ? "" : ` Padding "${padding}" shifts: the first window begins at ${firstText(own)}, with stride 1 at ${firstText(all)}, so windows see other cells.`;
  const isSame = stride[0] === stride[1];
  const steps = isSame ? `${stride[0]} cells` : `${countText(stride[0], "row")} down or ${countText(stride[1], "column")} across`;
  return `Stride ${isSame ? stride[0] : stride.join(" × ")}: the window moves ${steps} at a time. That makes ${outText(own)} outputs; stride 1 makes ${outText(all)}.${shift}`;
}

function poolMode() {
  return selectInput("mode", "Mode", OPTIONS.pools, () => edited.settings().mode, (mode) => edited.change({ mode }));
}

/** The padding of the four sides in numbers. */
function resolvedPads() {
  const { op, padding } = edited.settings();
  if (op === "conv-transpose") return padding;
  const { rows, cols } = edited.window();
  return [rows.begin, rows.end, cols.begin, cols.end];
}

function namedPadding() {
  const read = () => (Array.isArray(edited.settings().padding) ? "sides" : edited.settings().padding);
  return selectInput("padding", "Padding", OPTIONS.paddings, read, (value) =>
    edited.change({ padding: value === "sides" ? resolvedPads() : value }),
  );
}

function paddingField() {
  const slider = element("input", { type: "range", id: "padding-all", min: 0, max: FIELD_ENDS.padding });
  slider.setAttribute("aria-label", "Padding of all sides");
  slider.addEventListener("input", () => {
    edited.change({ padding: Array(4).fill(slider.valueAsNumber) });
  });
  updates.push(() => setValue(slider, Math.max(...resolvedPads())));
  const sides = ["top", "bottom", "left", "right"].map((side, index) =>
    wholeInput(`padding-${side}`, `Padding ${side}`, { min: 0, max: FIELD_ENDS.typed }, () => resolvedPads()[index], (value) => {
      const padding = [...resolvedPads()];
      padding[index] = value;
      edited.change({ padding });
    }),
  );
  const arrows = ["↑", "↓", "←", "→"];
  const labelled = sides.map((input, index) =>
    element("label", { class: "side" }, arrows[index], input),
  );
  // A transposed convolution has its padding in numbers alone.
  const isTransposed = edited.settings().op === "conv-transpose";
  const named = isTransposed ? [] : [namedPadding()];
  field(isTransposed ? "Padding, cut off" : "Padding", ...named, slider, element("span", { class: "sides" }, ...labelled));
}

function convFields() {
  const padValue = valueField("pad-value", "Value of the padding", () => edited.settings().padValue, (value) =>
    edited.change({ padValue: edited.settings().single ? Math.fround(value) : value }),
  );
  const border = field(
    "Border",
    selectInput("pad-mode", "What the padding holds", OPTIONS.padModes, () => edited.settings().padMode, (padMode) =>
      edited.change({ padMode }),
    ),
    showWhere(padValue, () => edited.settings().padMode === "zeros"),
  );
  showWhere(border, () => resolvedPads().some(Boolean));
  field(
    "Bias and activation",
    biasField(),
    activationInput(),
  );
}

/** The activation, with the settings that the layer came with or, of another one, the defaults. */
function activationInput() {
  const { activation, alpha = null, beta = null, low = null, high = null } = edited.first();
  const first = { activation, alpha, beta, low, high };
  const all = [...new Set([...OPTIONS.activations, activation, edited.settings().activation])];
  return selectInput("activation", "Activation", all, () => edited.settings().activation, (chosen) =>
    edited.change(chosen === activation ? first : { activation: chosen, alpha: null, beta: null, low: null, high: null }),
  );
}

function biasField() {
  return valueField("bias", "Bias", () => edited.settings().bias[biasIndex()], (value) => {
    const bias = edited.settings().bias.slice();
    bias[biasIndex()] = value;
    edited.change({ bias });
  });
}

function biasIndex() {
  return edited.settings().bias.length === 1 ? 0 : edited.kernel();
}

function poolFields() {
  const countsPads = checkbox("count-include-pad", "divide averages by the padding too", () => edited.settings().countIncludePad, (countIncludePad) =>
    edited.change({ countIncludePad }),
  );
  field(
    "Options",
    checkbox("ceil", "add a last window that reaches over the end", () => edited.settings().ceil, (ceil) =>
      edited.change({ ceil }),
    ),
    showWhere(countsPads, () => edited.settings().mode === "average" && resolvedPads().some(Boolean)),
  );
  const power = valueField("p", "Power", () => edited.settings().p, (p) => edited.change({ p }), LEAST_POWER);
  showWhere(field("Power of lp", power), () => edited.settings().mode === "lp");
}
