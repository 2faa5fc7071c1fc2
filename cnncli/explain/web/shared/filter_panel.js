"use strict";
// The filter of a layer: its weights as fields or, of large kernels, as buttons with one field,
// and the built-in filters to choose from.

/** The weights of the chosen kernel and input channel, row by row. */
function shownKernel() {
  return shownKernelOf(edited.settings().weights);
}

/** Of numbers laid out as weights those of the chosen kernel and input channel, row by row. */
function shownKernelOf(weights) {
  const { kernel, maps } = edited.settings();
  // Which kernel is chosen may need the arithmetic of a unit, so it is asked once.
  const [first, step] = [shownWeightIndex(0, 0), depths() * maps];
  return Array.from({ length: kernel[0] }, (_, i) =>
    Array.from({ length: kernel[1] }, (__, j) => weights[first + (i * kernel[1] + j) * step]),
  );
}

/** The channels that a filter is made for, which its input may not have. */
function depths() {
  const { weights, kernel, maps } = edited.settings();
  return weights.length / (kernel[0] * kernel[1] * maps);
}

function shownDepth() {
  return Math.min(edited.depth(), depths() - 1);
}

/** Where a weight of the chosen kernel and input channel stands among all. */
function shownWeightIndex(i, j) {
  const { kernel, maps } = edited.settings();
  return ((i * kernel[1] + j) * depths() + shownDepth()) * maps + edited.kernel();
}

/** Change one weight. */
function setWeight(i, j, value) {
  const weights = edited.settings().weights.slice();
  weights[shownWeightIndex(i, j)] = value;
  edited.change({ weights });
}

/** Whether a preset can replace the kernel: a bank's kernels are of one size. */
function presetFits(rows) {
  const { kernel, maps } = edited.settings();
  return (maps === 1 && depths() === 1) || (rows.length === kernel[0] && rows[0].length === kernel[1]);
}

function applyPreset(rows) {
  const { maps, weights: before } = edited.settings();
  if (maps === 1 && depths() === 1) {
    const kernel = [rows.length, rows[0].length];
    edited.change({ kernel, weights: before.constructor.from(rows.flat()) });
    return;
  }
  const weights = before.slice();
  rows.forEach((line, i) => line.forEach((value, j) => (weights[shownWeightIndex(i, j)] = value)));
  edited.change({ weights });
}

function filterPanel() {
  const select = element("select", { id: "preset", "aria-label": "Choose a built-in filter" });
  select.addEventListener("change", () => {
    const chosen = pageData.presets.find(({ name }) => name === select.value);
    if (chosen) applyPreset(chosen.rows);
  });
  updates.push(() => {
    const kernel = shownKernel();
    const same = presetOf(kernel);
    const options = pageData.presets
      .filter((preset) => presetFits(preset.rows))
      .map((preset) => element("option", { value: preset.name, text: preset.name }));
    const own = element("option", { value: "", text: "choose a filter" });
    renew(select, own, ...options);
    select.value = same ? same.name : "";
    setText(about, same ? `${same.about}.` : "");
  });
  showWhere(select, () => pageData.presets.some((preset) => presetFits(preset.rows)));
  const about = element("p", { class: "dim", id: "preset-about" });
  const depth = element("select", { id: "depth", "aria-label": "Input channel of the weights" });
  depth.addEventListener("change", () => edited.chooseDepth(Number(depth.value)));
  const grid = element("table", { class: "grid" });
  startArrows(grid, () => grid.rows[0].cells.length);
  const single = singleWeight();
  const box = element("div", { class: "grid-box" }, grid);
  byId("filter-body").append(element("div", { class: "row" }, select, depth), about, box, single);
  byId("filter-body").append(
    element("p", { class: "dim", text: "Change any weight, to 0.5 or 1/9." }),
  );
  updates.push(() => {
    depth.hidden = depths() === 1;
    if (!edited.isShown()) return;
    renew(
      depth,
      ...edited.sources().map((channel, index) => element("option", { value: index, text: edited.nameOf(channel) })),
    );
    depth.value = shownDepth();
    drawGrid(grid, single);
  });
}

/** The built-in filter with these weights; undefined where there is none. */
function presetOf(rows) {
  return pageData.presets?.find((preset) => sameKernel(preset.rows, rows));
}

function sameKernel(rows, kernel) {
  if (rows.length !== kernel.length || rows[0].length !== kernel[0].length) return false;
  return rows.every((line, i) => line.every((value, j) => Math.abs(value - kernel[i][j]) < 1e-6));
}

// Kernels with more columns have buttons, and a number for the chosen weight.
const GRID_INPUTS = 5;
const NARROWEST = 15;
let chosenWeight = [0, 0];

/** The weights, coloured by sign and size. */
function drawGrid(grid, single) {
  const kernel = shownKernel();
  const [height, width] = [kernel.length, kernel[0].length];
  const flat = kernel.flat();
  const most = 1.5 * Math.max(largestMagnitude([flat]), 1e-300);
  const isWide = width > GRID_INPUTS;
  if (grid.rows.length !== height || grid.rows[0].cells.length !== width) {
    grid.className = `grid ${isWide ? "narrow" : "wide"}`;
    grid.style.minWidth = isWide ? `${NARROWEST * width}px` : "";
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
  setTabStop(grid);
  single.hidden = !isWide;
  const [i, j] = chosenWeight;
  setText(single.firstChild, `row ${i}, column ${j} `);
  if (isWide) setValue(single.lastChild, shortest(kernel[i][j]));
  const { maps, kernelNames } = edited.settings();
  const map = maps > 1 ? `${kernelNames[edited.kernel()] || edited.kernel()}, ` : "";
  const sum = numberText(flat.reduce((total, weight) => total + weight, 0), 3);
  setText(byId("filter-size"), `${map}${height} × ${width}, sum ${sum}`);
}

function weightInput(i, j) {
  const read = () => shownKernel()[i][j];
  const label = `Weight at row ${i}, column ${j}`;
  return valueInput(label, read, (value) => setWeight(i, j, value), { brief: fittingText });
}

function weightButton(i, j) {
  const button = element("button", { type: "button" });
  button.addEventListener("click", () => {
    chosenWeight = [i, j];
    edited.redraw();
  });
  return button;
}

/** Put the focus on the control of a weight. */
function goToWeight(i, j) {
  const control = byId("filter-body").querySelector(".grid").rows[i].cells[j].firstChild;
  if (control.tagName === "BUTTON") control.click();
  control.scrollIntoView({ block: "nearest" });
  control.focus({ preventScroll: true });
}

function singleWeight() {
  const read = () => shownKernel()[chosenWeight[0]][chosenWeight[1]];
  const input = valueInput("", read, (value) => setWeight(...chosenWeight, value));
  input.removeAttribute("aria-label");
  return element("label", { class: "inline" }, "", input);
}
