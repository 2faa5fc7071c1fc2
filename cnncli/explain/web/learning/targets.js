"use strict";
// What a filter may learn on the layer's page: what another filter makes of the input, or a picture of the
// user's.

/** What the outputs may be taught: { id, name, rows }, by filters with a kernel of this size, or a picture. */
function learningTargets() {
  const { kernel, maps } = state.layer;
  const presets = pageData.presets
    .filter(({ rows }) => rows.length === kernel[0] && rows[0].length === kernel[1])
    .map(({ name, rows }) => ({ id: name, name: depths() > 1 ? `${name} of the mean of the channels` : name, rows }));
  const own = takesPicture() ? [{ id: "picture", name: "a picture of yours", rows: null }] : [];
  if (firstLayer.kernel.join() !== kernel.join()) return [...presets, ...own];
  const isBank = maps > 1 || depths() > 1;
  const isFirst = ({ rows }) => rows.flat().every((value, tap) => Math.abs(value - firstLayer.weights[tap]) < 1e-6);
  const name = isBank ? "this map" : firstLayer.filterName;
  const first = { id: "first", name: `${name}, as the page began`, rows: null };
  return [first, ...presets.filter((preset) => isBank || !isFirst(preset)), ...own];
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
      weights[(tap * depths() + depth) * maps + edited.kernel()] = value / depths();
    }
  });
  bias[biasIndex()] = 0;
  return { weights, bias };
}

/** The outputs that learn, and what they shall become: what a filter with the weights `wanted` makes, or a picture. */
function learningTask(target, wanted) {
  const { arithmetic, picture, outRows, outCols } = shown;
  const { channels } = picture;
  const known = [
    outRows.filter((row) => arithmetic.knownRows[row]),
    outCols.filter((col) => arithmetic.knownCols[col]),
  ];
  const { rows, cols } = learningOutputs(arithmetic, channels, known);
  const filter = wanted && arithmetic.with(wanted);
  const targets = channels.map((channel, index) =>
    filter ? filter.values(channel, rows, cols) : crossings(state.learn.picture.planes[index], rows, cols),
  );
  return { channels, rows, cols, targets };
}

/** Whether a picture can be the target: outputs that are grey or coloured, of an input from 0 to 1. */
function takesPicture() {
  const { rows, cols } = shown.arithmetic.window;
  const { length } = shown.picture.channels;
  return state.input.range.kind === "clip" && (length === 1 || length === 3) && rows.out * cols.out > 1;
}

/** Why a target cannot be learned, in words; "" if it can. */
function targetProblem({ id }) {
  if (id !== "picture") return "";
  const { rows, cols } = shown.arithmetic.window;
  const { picture } = state.learn;
  const size = `${rows.out} × ${cols.out}`;
  if (!picture) return `Open a picture of ${size} pixels: what the filter shall make of the input. It stays on this machine.`;
  if (!picture.planes) return unreadableText(picture.name);
  if (picture.size.join(" × ") === size) return "";
  return `${picture.name} has ${picture.size.join(" × ")} pixels, the output ${size}: they must be the same.`;
}

/** The values of a whole picture at the crossings of some rows and columns. */
function crossings(plane, rows, cols) {
  const width = shown.arithmetic.window.cols.out;
  return Float64Array.from({ length: rows.length * cols.length }, (_, at) =>
    plane[rows[Math.floor(at / cols.length)] * width + cols[at % cols.length]],
  );
}

/** Make what was read of a file the target; the panel says so of a picture without planes. */
function takeTarget(name, pixels) {
  // Learning was closed while the browser decoded it.
  if (!state.learn) return;
  const channels = pageData.pictures[state.map].channels.length;
  const read = pixels && { size: pixels.size, planes: picturePlanes(pixels, pixels.size, { channels }) };
  applyLearning({ picture: { name, ...read }, running: false });
}

/** The button that opens a picture as the target, and its file field. */
function targetOpener() {
  const file = element("input", { type: "file", id: "learn-file", accept: "image/*", "aria-label": "Target", hidden: true });
  const open = element("button", { type: "button", id: "learn-open", text: "Open…" });
  startOpening(open, file, pictureReader(takeTarget).read);
  updates.push(() => {
    open.hidden = !state.learn || Boolean(shown.problem) || chosenTarget()?.id !== "picture";
  });
  return [open, file];
}
