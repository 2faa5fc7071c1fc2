"use strict";
// The controls of the layer's page: the layer's settings and the pool's mode. Every control calls
// `apply`; `drawControls` shows the state in all of them.

const OPTIONS = {
  padModes: ["zeros", "edge", "reflect", "symmetric", "wrap"],
  activations: ["none", "relu", "leaky-relu", "sigmoid", "tanh", "abs"],
  pools: ["max", "average", "min", "lp"],
  ranges: ["auto", "clip", "minmax", "symmetric", "abs"],
  colormaps: ["gray", "diverging"],
  paddings: [
    ["same", "same"],
    ["same-lower", "same-lower"],
    ["valid", "valid (none)"],
    ["sides", "numbers"],
  ],
};
const LARGEST = { stride: 8, dilation: 8, padding: 8, kernel: 15, typed: 64 };

function drawControls() {
  for (const update of updates) update();
  const { rows, cols } = shown.arithmetic.window;
  const [formula, words] = isTransposed
    ? [transposedFormula, "(input − 1) × stride + span of the kernel + output padding − padding"]
    : [axisFormula, "⌊(input + padding − span of the window) / stride⌋ + 1"];
  byId("formula").replaceChildren(
    element("span", { text: `rows: ${formula(rows)}` }),
    element("span", { text: `columns: ${formula(cols)}` }),
    element("span", { class: "dim", text: words }),
  );
}

/** A slider for both axes and a number for each; numbers may be larger than the slider's end. */
function pairField(name, label, least, most) {
  const read = () => state.layer[name];
  const largest = Math.max(most, ...read());
  const change = (pair) => applyPair(name, pair);
  const slider = element("input", { type: "range", id: name, min: least, max: largest });
  slider.setAttribute("aria-label", `${label} of rows and columns`);
  slider.addEventListener("input", () => {
    change([slider.valueAsNumber, slider.valueAsNumber]);
  });
  updates.push(() => setValue(slider, Math.max(...read())));
  const limits = { min: least, max: Math.max(LARGEST.typed, largest) };
  const rows = wholeInput(`${name}-rows`, `${label} of rows`, limits, () => read()[0], (value) =>
    change([value, read()[1]]),
  );
  const cols = wholeInput(`${name}-cols`, `${label} of columns`, limits, () => read()[1], (value) =>
    change([read()[0], value]),
  );
  return field(label, slider, element("span", { class: "pair" }, rows, "×", cols));
}

function applyPair(name, pair) {
  const layer = { [name]: pair };
  // A pool whose stride equals its window keeps them equal.
  if (name === "kernel" && state.layer.stride.join() === state.layer.kernel.join()) {
    layer.stride = pair;
  }
  apply({ layer });
}

/** The padding of the four sides in numbers. */
function resolvedPads() {
  if (isTransposed) return state.layer.padding;
  const { rows, cols } = shown.arithmetic.window;
  return [rows.begin, rows.end, cols.begin, cols.end];
}

function namedPadding() {
  const read = () => (Array.isArray(state.layer.padding) ? "sides" : state.layer.padding);
  return selectInput("padding", "Padding", OPTIONS.paddings, read, (value) =>
    apply({ layer: { padding: value === "sides" ? resolvedPads() : value } }),
  );
}

function paddingField() {
  const slider = element("input", { type: "range", id: "padding-all", min: 0, max: LARGEST.padding });
  slider.setAttribute("aria-label", "Padding of all sides");
  slider.addEventListener("input", () => {
    apply({ layer: { padding: Array(4).fill(slider.valueAsNumber) } });
  });
  updates.push(() => setValue(slider, Math.max(...resolvedPads())));
  const sides = ["top", "bottom", "left", "right"].map((side, index) =>
    wholeInput(`padding-${side}`, `Padding ${side}`, { min: 0, max: LARGEST.typed }, () => resolvedPads()[index], (value) => {
      const padding = [...resolvedPads()];
      padding[index] = value;
      apply({ layer: { padding } });
    }),
  );
  const arrows = ["↑", "↓", "←", "→"];
  const labelled = sides.map((input, index) =>
    element("label", { class: "side" }, arrows[index], input),
  );
  // A transposed convolution has its padding in numbers alone.
  const named = isTransposed ? [] : [namedPadding()];
  field(isTransposed ? "Padding, cut off" : "Padding", ...named, slider, element("span", { class: "sides" }, ...labelled));
}

function convFields() {
  const padValue = valueField("pad-value", "Value of the padding", () => state.layer.padValue, (value) =>
    apply({ layer: { padValue: state.layer.single ? Math.fround(value) : value } }),
  );
  const border = field(
    "Border",
    selectInput("pad-mode", "What the padding holds", OPTIONS.padModes, () => state.layer.padMode, (padMode) =>
      apply({ layer: { padMode } }),
    ),
    showWhere(padValue, () => state.layer.padMode === "zeros"),
  );
  showWhere(border, () => resolvedPads().some(Boolean));
  const activations = [...new Set([...OPTIONS.activations, pageData.layer.activation])];
  field(
    "Bias and activation",
    biasField(),
    selectInput("activation", "Activation", activations, () => state.layer.activation, (activation) =>
      apply({ layer: { activation } }),
    ),
  );
}

function biasField() {
  return valueField("bias", "Bias", () => state.layer.bias[biasIndex()], (value) => {
    const bias = state.layer.bias.slice();
    bias[biasIndex()] = value;
    apply({ layer: { bias } });
  });
}

function biasIndex() {
  return state.layer.bias.length === 1 ? 0 : chosenKernel();
}

/** The kernel of the chosen output channel. */
function chosenKernel() {
  return shown.problem ? 0 : shown.arithmetic.sources(outputChannel()).map;
}

function poolFields() {
  const countsPads = checkbox("count-include-pad", "divide averages by the padding too", () => state.layer.countIncludePad, (countIncludePad) =>
    apply({ layer: { countIncludePad } }),
  );
  field(
    "Options",
    checkbox("ceil", "add a last window that reaches over the end", () => state.layer.ceil, (ceil) =>
      apply({ layer: { ceil } }),
    ),
    showWhere(countsPads, () => state.layer.mode === "average" && resolvedPads().some(Boolean)),
  );
  const power = valueField("p", "Power", () => state.layer.p, (p) => apply({ layer: { p } }), 0.01);
  showWhere(field("Power of lp", power), () => state.layer.mode === "lp");
}

/** The page's title: of the filter or the mode that was chosen, where it is another one. */
function drawTitle() {
  const { layer, presets } = pageData;
  const name = layer.filterName ?? `${layer.mode} pool`;
  const { own } = state.input;
  const title = own ? `${own.name}, ${name}` : pageData.title;
  if (!title.endsWith(`, ${name}`)) return;
  let chosen = layer.filterName ? name : `${state.layer.mode} pool`;
  if (layer.filterName && !hasFirstWeights()) {
    const isSingle = state.layer.maps === 1 && depths() === 1;
    const preset = isSingle && presets.find(({ rows }) => sameKernel(rows));
    chosen = preset ? preset.name : `${name}, changed`;
  }
  const text = title.slice(0, -name.length) + chosen;
  byId("title").textContent = text;
  document.title = `${text} – cnncli`;
}

const firstLayer = readLayer(pageData.layer);

/** Whether all weights are those that the page began with. */
function hasFirstWeights() {
  const { kernel, weights } = state.layer;
  const isSameSize = kernel.join() === firstLayer.kernel.join();
  return isSameSize && weights.every((weight, index) => Object.is(weight, firstLayer.weights[index]));
}

function poolPanel() {
  byId("filter-title").textContent = "Pool";
  const select = selectInput("mode", "Mode", OPTIONS.pools, () => state.layer.mode, (mode) =>
    apply({ layer: { mode } }),
  );
  const text = element("p", { class: "pool-text" });
  updates.push(() => {
    const [kh, kw] = state.layer.kernel;
    const { mode, stride } = state.layer;
    const what = { max: "the largest", min: "the smallest", average: "the mean", lp: "the p-norm" };
    text.textContent = `Each output is ${what[mode]} of a window of ${kh} × ${kw} cells.`;
    byId("filter-size").textContent = `${kh} × ${kw}, every ${stride.join(" × ")}`;
  });
  byId("filter-body").append(select, text);
}

function startControls() {
  if (pageData.layer.op === "pool") {
    poolPanel();
    pairField("kernel", "Window", 1, LARGEST.kernel);
  } else filterPanel();
  pairField("stride", "Stride", 1, LARGEST.stride);
  paddingField();
  // One tap cannot be set apart from others.
  const dilation = pairField("dilation", "Dilation", 1, LARGEST.dilation);
  showWhere(dilation, () => state.layer.kernel.some((side) => side > 1));
  if (pageData.layer.op === "pool") poolFields();
  else if (isTransposed) {
    pairField("outputPadding", "Output padding", 0, LARGEST.padding);
    field("Bias", biasField());
  } else convFields();
  const colormap = selectInput("colormap", "Colours", OPTIONS.colormaps, () => state.colormap, (chosen) =>
    apply({ colormap: chosen }),
  );
  field(
    "Display",
    selectInput("range", "Range of values", OPTIONS.ranges, () => state.range, (range) =>
      apply({ range }),
    ),
    // A colour picture has colours of its own.
    showWhere(colormap, () => shown.picture.channels.length === 1),
  );
  showWhere(byId("moves"), () => shown.outRows.length * shown.outCols.length > 1);
  startMaps();
  updates.push(drawTitle, drawOverview);
  byId("reset").addEventListener("click", () => {
    apply({ input: firstInput, pixel: null, layer: readLayer(pageData.layer), at: pageData.at, map: pageData.map, range: "auto", colormap: "gray", channel: 0, block: 0 });
  });
  startArrows(byId("channels"));
  startTaps("blocks");
}

startLayerPage();
