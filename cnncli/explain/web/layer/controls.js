"use strict";
// The controls of the layer's page: the layer's settings and the pool's mode. Every control calls
// `apply`; `drawControls` shows the state in all of them.

/** The layer that shared/layer_fields.js changes: the page's own. */
const edited = {
  settings: () => state.layer,
  first: () => firstLayer,
  change: (fields) => apply({ layer: fields }),
  window: () => shown.arithmetic.window,
  isShown: () => !shown.problem,
  kernel: () => (shown.problem ? 0 : shown.arithmetic.sources(outputChannel()).map),
  sources: () => shown.arithmetic.sources(outputChannel()).channels,
  depth: () => state.block,
  chooseDepth: (block) => apply({ block }),
  nameOf: channelName,
  redraw: () => requestDraw(true),
};

const RANGES = ["auto", "clip", "minmax", "symmetric", "abs"];
const COLORMAPS = ["gray", "diverging"];

function drawControls() {
  for (const update of updates) update();
  const { rows, cols } = shown.arithmetic.window;
  const [formula, words] = isTransposed
    ? [transposedFormula, "(input − 1) × stride + span of the kernel + output padding − padding"]
    : [axisFormula, sizeText(rows.ceil)];
  const { padding } = state.layer;
  const isSame = padding === "same" || padding === "same-lower";
  const sameText = (axis, what) => samePaddingText(axis, what, padding === "same-lower");
  const same = isSame ? [sameText(rows, "rows"), sameText(cols, "columns")] : [];
  byId("sizes").replaceChildren(
    element("span", { text: `rows: ${formula(rows)}` }),
    element("span", { text: `columns: ${formula(cols)}` }),
    // On a phone in place of that below the output, whose panel keeps its height.
    ...(isTransposed || shown.problem ? [] : [element("span", { class: "stride dim", text: strideText(state.layer, state.input.size) })]),
  );
  byId("size-words").replaceChildren(
    element("p", { text: words }),
    ...same.map((text) => element("p", { class: "same", text })),
  );
}

/** How an output's size is counted, in words. */
function sizeText(ceil) {
  const [open, close, less] = ceil ? ["⌈", "⌉", ", less a window that starts in the end padding"] : ["⌊", "⌋", ""];
  return `${open}(input + padding − span of the window) / stride${close} + 1${less}; ${roundingText(open)}`;
}

/** The page's title: of the filter or the mode that was chosen, where it is another one. */
function drawTitle() {
  const { layer } = pageData;
  const name = layer.filterName ?? `${layer.mode} pool`;
  const title = titleOf(state.input.own);
  if (!title.endsWith(`, ${name}`)) {
    showTitle(title);
    return;
  }
  let chosen = layer.filterName ? name : `${state.layer.mode} pool`;
  if (layer.filterName && !hasFirstWeights()) {
    const isSingle = state.layer.maps === 1 && depths() === 1;
    const preset = isSingle && presetOf(shownKernel());
    chosen = preset ? preset.name : `${name}, changed`;
  }
  showTitle(title.slice(0, -name.length) + chosen);
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
  const select = poolMode();
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

/** Put what words mean below where they are used. */
function startWords() {
  const isPool = pageData.layer.op === "pool";
  const lists = {
    explanation: isPool ? ["window", "pool", "channel"] : ["window", "weight", "bias", "activation", "z", "channel"],
    "maps-panel": ["feature map", ...(isPool ? [] : ["filter"])],
    "settings-panel": [...(isPool ? ["p-norm"] : ["kernel"]), "stride", "padding", "dilation"],
    "backward-body": ["gradient", "upstream", ...(isPool ? [] : ["dA, dW, db"])],
    "learn-body": ["loss", "gradient", "learning rate", "momentum"],
  };
  for (const [id, names] of Object.entries(lists)) byId(id).append(wordsList(...names));
}

/** Say what the sum of a filter's weights does to an even area. */
function sayWhatSumMeans() {
  const text = element("p", { class: "dim", id: "sum-meaning" });
  byId("filter-body").append(text);
  // With several channels the kernel of one does not tell, and a transposed one reaches outputs by some of its weights.
  showWhere(text, () => depths() === 1 && !isTransposed);
  updates.push(() => {
    if (shown.problem) return;
    const sum = shownKernel().flat().reduce((total, weight) => total + weight, 0);
    const said = numberText(sum, 3);
    const output = said.endsWith(" 0") || said === "0" ? "0" : said === "1" ? "their value" : `${said} times their value`;
    setText(text, `Sum ${said}: where all cells under the window are equal, the products add up to ${output}.`);
  });
}

function startControls() {
  startWords();
  if (pageData.layer.op === "pool") poolPanel();
  else {
    filterPanel();
    sayWhatSumMeans();
  }
  startBorderButton();
  startBrightestButton();
  windowFields();
  if (pageData.layer.op === "pool") poolFields();
  else if (isTransposed) {
    pairField("outputPadding", "Output padding", 0, FIELD_ENDS.padding);
    field("Bias", biasField());
  } else convFields();
  const colormap = selectInput("colormap", "Colours", COLORMAPS, () => state.colormap, (chosen) =>
    apply({ colormap: chosen }),
  );
  field(
    "Display",
    selectInput("range", "Range of values", RANGES, () => state.range, (range) =>
      apply({ range }),
    ),
    // A colour picture has colours of its own.
    showWhere(colormap, () => shown.picture.channels.length === 1),
  );
  for (const id of ["moves", "position"]) showWhere(byId(id), () => shown.outRows.length * shown.outCols.length > 1);
  startMaps();
  startStrip();
  updates.push(drawTitle, drawOverview);
  byId("reset").addEventListener("click", () => {
    apply({ learn: null, layer: readLayer(pageData.layer), at: pageData.at, map: pageData.map, range: "auto", colormap: "gray", channel: 0, block: 0 });
  });
  startArrows(byId("channels"));
  startTaps("blocks");
  byId("blocks").addEventListener("scroll", fadeBlocks);
  // On a phone the strip with the output may have come over what was pressed.
  document.addEventListener("click", ({ target }) => {
    if (target.closest(".follows")) target.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}

/** On a phone keep the output in sight beside settings that are: a strip shows it while its panel is out of sight. */
function startStrip() {
  const inSight = new Map();
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) inSight.set(target, isIntersecting);
    const followed = [...document.querySelectorAll(".follows")].some((panel) => inSight.get(panel));
    document.querySelector("main").classList.toggle("away", followed && !inSight.get(byId("output-panel")));
  });
  for (const panel of [byId("output-panel"), ...document.querySelectorAll(".follows")]) observer.observe(panel);
  byId("to-settings").addEventListener("click", () => {
    byId("settings-panel").scrollIntoView({ block: "start" });
    byId("settings").querySelector("input, select").focus({ preventScroll: true });
  });
}

startLayerPage();
