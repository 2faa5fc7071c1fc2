"use strict";
// The controls of the layer's page: the filter's weights and presets or the pool's mode, settings,
// and the strip of maps. Every control calls `apply`; `drawControls` shows the state in all of them.

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
const LARGEST = { stride: 8, dilation: 8, padding: 8, kernel: 15 };

/** Functions that show the state in a control, in the order in which the controls were made. */
const updates = [];

function drawControls() {
  for (const update of updates) update();
  const { rows, cols } = shown.arithmetic.window;
  byId("formula").replaceChildren(
    element("span", { text: `rows: ${axisFormula(rows)}` }),
    element("span", { text: `columns: ${axisFormula(cols)}` }),
    element("span", { class: "dim", text: "⌊(input + padding − span of the window) / stride⌋ + 1" }),
  );
}

/** Set a control's value, unless the user is typing into it. */
function setValue(control, value) {
  if (document.activeElement !== control || control.type === "range") control.value = value;
}

/** A row of the settings: a label over its controls. */
function field(label, ...controls) {
  const group = element("fieldset", {}, element("legend", { text: label }), ...controls);
  byId("settings").append(group);
  return group;
}

function selectInput(name, label, values, read, change) {
  const select = element("select", { id: name, "aria-label": label });
  select.append(
    ...values.map((option) => {
      const [value, text] = Array.isArray(option) ? option : [option, option];
      return element("option", { value, text });
    }),
  );
  select.addEventListener("change", () => change(select.value));
  updates.push(() => setValue(select, read()));
  return select;
}

function numberInput(name, label, limits, read, change) {
  const input = element("input", { type: "number", id: name, "aria-label": label, ...limits });
  input.addEventListener("input", () => {
    const value = input.valueAsNumber;
    const fits = !(value < limits.min) && !(value > limits.max);
    const whole = limits.step === "any" || Number.isInteger(value);
    if (!Number.isNaN(value) && fits && whole) change(value);
  });
  input.addEventListener("blur", () => {
    input.value = read();
  });
  updates.push(() => setValue(input, read()));
  return input;
}

function checkbox(name, label, read, change) {
  const input = element("input", { type: "checkbox", id: name });
  input.addEventListener("change", () => change(input.checked));
  updates.push(() => {
    input.checked = read();
  });
  return element("label", { class: "inline" }, input, ` ${label}`);
}

/** A slider for both axes and a number for preset. */
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
  const limits = { min: least, step: 1 };
  const rows = numberInput(`${name}-rows`, `${label} of rows`, limits, () => read()[0], (value) =>
    change([value, read()[1]]),
  );
  const cols = numberInput(`${name}-cols`, `${label} of columns`, limits, () => read()[1], (value) =>
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
  const { rows, cols } = shown.arithmetic.window;
  return [rows.begin, rows.end, cols.begin, cols.end];
}

function paddingField() {
  const named = () => (Array.isArray(state.layer.padding) ? "sides" : state.layer.padding);
  const select = selectInput("padding", "Padding", OPTIONS.paddings, named, (value) =>
    apply({ layer: { padding: value === "sides" ? resolvedPads() : value } }),
  );
  const slider = element("input", { type: "range", id: "padding-all", min: 0, max: LARGEST.padding });
  slider.setAttribute("aria-label", "Padding of all sides");
  slider.addEventListener("input", () => {
    apply({ layer: { padding: Array(4).fill(slider.valueAsNumber) } });
  });
  updates.push(() => setValue(slider, Math.max(...resolvedPads())));
  const sides = ["top", "bottom", "left", "right"].map((side, index) =>
    numberInput(`padding-${side}`, `Padding ${side}`, { min: 0, max: 64, step: 1 }, () => resolvedPads()[index], (value) => {
      const padding = resolvedPads();
      padding[index] = value;
      apply({ layer: { padding } });
    }),
  );
  const arrows = ["↑", "↓", "←", "→"];
  const labelled = sides.map((input, index) =>
    element("label", { class: "side" }, arrows[index], input),
  );
  field("Padding", select, slider, element("span", { class: "sides" }, ...labelled));
}

function convFields() {
  field(
    "Border",
    selectInput("pad-mode", "What the padding holds", OPTIONS.padModes, () => state.layer.padMode, (padMode) =>
      apply({ layer: { padMode } }),
    ),
    valueField(),
  );
  const activations = [...new Set([...OPTIONS.activations, pageData.layer.activation])];
  field(
    "Bias and activation",
    numberInput("bias", "Bias", { step: "any" }, () => shortest(state.layer.bias[biasIndex()]), (value) => {
      const bias = state.layer.bias.slice();
      bias[biasIndex()] = value;
      apply({ layer: { bias } });
    }),
    selectInput("activation", "Activation", activations, () => state.layer.activation, (activation) =>
      apply({ layer: { activation } }),
    ),
  );
}

function valueField() {
  const input = numberInput("pad-value", "Value of the padding", { step: "any" }, () => shortest(state.layer.padValue), (value) =>
    apply({ layer: { padValue: state.layer.single ? Math.fround(value) : value } }),
  );
  updates.push(() => {
    input.disabled = state.layer.padMode !== "zeros";
  });
  return input;
}

function biasIndex() {
  return state.layer.bias.length === 1 ? 0 : chosenKernel();
}

/** The kernel of the chosen output channel. */
function chosenKernel() {
  return shown.problem ? 0 : shown.arithmetic.sources(outputChannel()).map;
}

function poolFields() {
  field(
    "Options",
    checkbox("ceil", "add a last window that reaches over the end", () => state.layer.ceil, (ceil) =>
      apply({ layer: { ceil } }),
    ),
    checkbox("count-include-pad", "divide averages by the padding too", () => state.layer.countIncludePad, (countIncludePad) =>
      apply({ layer: { countIncludePad } }),
    ),
  );
  field(
    "Power of lp",
    numberInput("p", "Power", { min: 0.01, step: "any" }, () => state.layer.p, (p) => apply({ layer: { p } })),
  );
}

/** A number with seven digits: 0.1, not the float32 nearest to it. */
function shortest(value) {
  return Number(value.toPrecision(7));
}

/** A number in five characters and a sign: as many digits as a cell of the filter has room for. */
function fittingText(value) {
  for (let digits = 5; digits > 0; digits -= 1) {
    const text = String(Number(value.toPrecision(digits)));
    if (text.replace("-", "").length <= 5) return text;
  }
  return value.toExponential(0);
}

/** The page's title: of the filter or the mode that was chosen, where it is another one. */
function drawTitle() {
  const { title, layer, presets } = pageData;
  const name = layer.filterName ?? `${layer.mode} pool`;
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

// The filter --------------------------------------------------------------------------------

/** The weights of the chosen kernel and input channel, row by row. */
function shownKernel() {
  const { kernel } = state.layer;
  const depth = shownDepth();
  return Array.from({ length: kernel[0] }, (_, i) =>
    Array.from({ length: kernel[1] }, (__, j) =>
      shown.arithmetic.weight(i, j, depth, chosenKernel()),
    ),
  );
}

function depths() {
  return state.layer.perChannel ? 1 : state.input.channels / state.layer.groups;
}

function shownDepth() {
  return Math.min(state.block, depths() - 1);
}

/** Change one weight. */
function setWeight(i, j, value) {
  const { kernel, maps } = state.layer;
  const weights = state.layer.weights.slice();
  weights[((i * kernel[1] + j) * depths() + shownDepth()) * maps + chosenKernel()] = value;
  apply({ layer: { weights } });
}

/** Whether a preset can replace the kernel: a bank's kernels are of one size. */
function presetFits(rows) {
  const { kernel, maps } = state.layer;
  return (maps === 1 && depths() === 1) || (rows.length === kernel[0] && rows[0].length === kernel[1]);
}

function applyPreset(rows) {
  const { maps, single } = state.layer;
  const kind = single ? Float32Array : Float64Array;
  if (maps === 1 && depths() === 1) {
    const kernel = [rows.length, rows[0].length];
    apply({ layer: { kernel, weights: kind.from(rows.flat()) } });
    return;
  }
  const weights = state.layer.weights.slice();
  const kernel = state.layer.kernel;
  rows.flat().forEach((value, index) => {
    const [i, j] = [Math.floor(index / kernel[1]), index % kernel[1]];
    weights[((i * kernel[1] + j) * depths() + shownDepth()) * maps + chosenKernel()] = value;
  });
  apply({ layer: { weights } });
}

function filterPanel() {
  const select = element("select", { id: "preset", "aria-label": "Choose a built-in filter" });
  select.addEventListener("change", () => {
    const preset = pageData.presets.find((preset) => preset.name === select.value);
    if (preset) applyPreset(preset.rows);
  });
  updates.push(() => {
    const same = pageData.presets.find((preset) => sameKernel(preset.rows));
    const options = pageData.presets
      .filter((preset) => presetFits(preset.rows))
      .map((preset) => element("option", { value: preset.name, text: preset.name }));
    const own = element("option", { value: "", text: "choose a filter" });
    select.replaceChildren(own, ...options);
    select.value = same ? same.name : "";
  });
  const depth = element("select", { id: "depth", "aria-label": "Input channel of the weights" });
  depth.addEventListener("change", () => apply({ block: Number(depth.value) }));
  const grid = element("table", { class: "grid" });
  const single = singleWeight();
  byId("filter-body").append(element("div", { class: "row" }, select, depth), grid, single);
  byId("filter-body").append(
    element("p", { class: "dim", text: "Change any weight; the output is computed again." }),
  );
  updates.push(() => {
    depth.hidden = depths() === 1;
    if (shown.problem) return;
    const { channels } = shown.arithmetic.sources(outputChannel());
    depth.replaceChildren(
      ...channels.map((channel, index) =>
        element("option", { value: index, text: channelName(channel) }),
      ),
    );
    depth.value = shownDepth();
    drawGrid(grid, single);
  });
}

function sameKernel(rows) {
  const kernel = shownKernel();
  if (rows.length !== kernel.length || rows[0].length !== kernel[0].length) return false;
  return rows.every((line, i) => line.every((value, j) => Math.abs(value - kernel[i][j]) < 1e-6));
}

// Kernels with more columns have buttons, and a number for the chosen weight.
const GRID_INPUTS = 5;
let chosenWeight = [0, 0];

/** The weights, coloured by sign and size. */
function drawGrid(grid, single) {
  const kernel = shownKernel();
  const [height, width] = [kernel.length, kernel[0].length];
  const flat = kernel.flat();
  const most = 1.5 * Math.max(...flat.map(Math.abs), 1e-300);
  const isWide = width > GRID_INPUTS;
  if (grid.rows.length !== height || grid.rows[0].cells.length !== width) {
    grid.className = `grid ${isWide ? "narrow" : "wide"}`;
    chosenWeight = [Math.floor(height / 2), Math.floor(width / 2)];
    const make = isWide ? weightButton : weightInput;
    grid.replaceChildren(
      ...kernel.map((line, i) =>
        element("tr", {}, ...line.map((_, j) => element("td", {}, make(i, j)))),
      ),
    );
  }
  kernel.forEach((line, i) =>
    line.forEach((weight, j) => {
      const control = grid.rows[i].cells[j].firstChild;
      const level = levelOf(weight, { kind: "symmetric", lo: -most, hi: most });
      setBackground(control, colourOf(level, tables.diverging));
      if (!isWide) {
        control.title = String(shortest(weight));
        setValue(control, fittingText(weight));
        return;
      }
      const isChosen = chosenWeight[0] === i && chosenWeight[1] === j;
      control.setAttribute("aria-pressed", String(isChosen));
      control.setAttribute("aria-label", `Weight at row ${i}, column ${j}: ${numberText(weight)}`);
    }),
  );
  single.hidden = !isWide;
  const [i, j] = chosenWeight;
  single.firstChild.textContent = `row ${i}, column ${j} `;
  if (isWide) setValue(single.lastChild, shortest(kernel[i][j]));
  const { maps, kernelNames } = state.layer;
  const map = maps > 1 ? `${kernelNames[chosenKernel()] || chosenKernel()}, ` : "";
  const sum = numberText(flat.reduce((total, weight) => total + weight, 0), 3);
  byId("filter-size").textContent = `${map}${height} × ${width}, sum ${sum}`;
}

function weightInput(i, j) {
  const label = `Weight at row ${i}, column ${j}`;
  const input = element("input", { type: "number", step: "any", "aria-label": label });
  input.addEventListener("input", () => {
    if (!Number.isNaN(input.valueAsNumber)) setWeight(i, j, input.valueAsNumber);
  });
  // All digits while it is changed, and else as many as the cell has room for.
  input.addEventListener("focus", () => {
    input.value = shortest(shownKernel()[i][j]);
  });
  input.addEventListener("blur", () => {
    input.value = fittingText(shownKernel()[i][j]);
  });
  return input;
}

function weightButton(i, j) {
  const button = element("button", { type: "button" });
  button.addEventListener("click", () => {
    chosenWeight = [i, j];
    requestDraw(true);
  });
  return button;
}

function singleWeight() {
  const input = element("input", { type: "number", step: "any" });
  input.addEventListener("input", () => {
    if (!Number.isNaN(input.valueAsNumber)) setWeight(...chosenWeight, input.valueAsNumber);
  });
  return element("label", { class: "inline" }, "", input);
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

// The maps of a bank --------------------------------------------------------------------------

const THUMB = 64;

/** One small picture for preset map, from some of its values. */
function drawMaps() {
  const { arithmetic, problem } = shown;
  byId("maps-panel").hidden = pageData.pictures.length === 1;
  if (byId("maps-panel").hidden || problem) return;
  const strip = byId("maps");
  if (strip.children.length !== pageData.pictures.length) {
    strip.replaceChildren(...pageData.pictures.map((picture, index) => mapButton(picture, index)));
  }
  const { rows, cols, maps } = shown.small;
  pageData.pictures.forEach((picture, index) => {
    const button = strip.children[index];
    button.setAttribute("aria-pressed", String(index === state.map));
    const planes = maps[index];
    const range = rangeOf(arithmetic, planes, rows, cols, shown.small, picture.channels);
    const thumbnail = cellPicture(rows.length, cols.length, (r, c) => {
      const values = planes.map((plane) => plane[r * cols.length + c]);
      return cellColour(values, range, tables[state.colormap]);
    });
    const canvas = button.querySelector("canvas");
    const cell = THUMB / Math.max(rows.length, cols.length);
    drawCells(prepareCanvas(canvas, cols.length * cell, rows.length * cell), thumbnail, cell);
  });
}

function mapButton(picture, index) {
  const name = picture.name || `map ${index}`;
  const button = element(
    "button",
    { type: "button", class: "thumb", "aria-label": `Map ${index}: ${name}` },
    element("canvas", { "aria-hidden": "true" }),
    element("span", { text: name }),
  );
  button.addEventListener("click", () => apply({ map: index, channel: 0 }));
  return button;
}

function startControls() {
  if (pageData.layer.op === "pool") {
    poolPanel();
    pairField("kernel", "Window", 1, LARGEST.kernel);
  } else filterPanel();
  pairField("stride", "Stride", 1, LARGEST.stride);
  paddingField();
  pairField("dilation", "Dilation", 1, LARGEST.dilation);
  if (pageData.layer.op === "pool") poolFields();
  else convFields();
  field(
    "Display",
    selectInput("range", "Range of values", OPTIONS.ranges, () => state.range, (range) =>
      apply({ range }),
    ),
    selectInput("colormap", "Colours", OPTIONS.colormaps, () => state.colormap, (colormap) =>
      apply({ colormap }),
    ),
  );
  updates.push(drawMaps, drawTitle);
  byId("reset").addEventListener("click", () => {
    apply({ layer: readLayer(pageData.layer), at: pageData.at, map: pageData.map, range: "auto", colormap: "gray", channel: 0, block: 0 });
  });
  startTaps();
}

startLayerPage();
