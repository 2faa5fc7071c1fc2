"use strict";
// The panel of the playground: the stack as a list, what can be added to it, the filter to draw, and the links
// and commands to copy.

/** The file that the commands read. */
const PICTURE_FILE = "picture.png";
/** Whether others can open the page's address: not that of a file. */
const HAS_LINK = location.protocol.startsWith("http");
const LAYERS_HINT = " Others put it behind the address of their playground, which cnncli explain --blank -o playground.html writes.";
/** Larger filters are changed by numbers, in the panel that changes the layer. */
const LARGEST_DRAWN = 7;
/** About so many pixels has the map beside the filter that is drawn, where a screen is too narrow for the cards. */
const DRAWN_MAP = 130;
const drawnMap = element("canvas", { id: "drawn-map", "aria-hidden": "true" });
/** A filter to draw on, which at first leaves the picture as it is. */
const OWN_FILTER = "conv=3x3:0,0,0,0,1,0,0,0,0";
/** What a pool's output is. */
const POOL_RULES = { max: "The largest value", average: "The mean", min: "The smallest value", lp: "The p-norm" };
/** What a click on a weight makes of it, one after another. */
const PAINTS = [0, 1, -1];

function startStackPanel() {
  const panel = element("section", { class: "panel stack", id: "stack", "aria-labelledby": "stack-title" });
  panel.append(
    element("h2", { id: "stack-title", text: "Stack layers" }),
    element("ol", { id: "stack-list" }),
    addRow(),
    wordsList("filter", "weight", "activation", "pool"),
    element("p", { class: "problem", id: "stack-problem", role: "alert" }),
    element("div", { id: "paint", hidden: true }),
    element("button", { type: "button", id: "to-window", hidden: true, click: goToStride }),
    copyRow(),
    element("p", { class: "dim", id: "copied", role: "status" }),
    element("pre", { id: "copied-text", tabindex: "0", role: "region", "aria-label": "What was copied", hidden: true }),
  );
  const main = document.querySelector("main");
  main.classList.add("playground");
  main.prepend(element("div", { class: "stack-side" }, panel, document.querySelector(".graph")));
  paintWhenSeen(drawnMap, () => drawLayerMap(drawnMap, byName.get(state.unit.layer), state.maps[state.unit.layer], DRAWN_MAP));
  startArrows(byId("paint"), () => byId("paint").querySelector("tr").cells.length, false);
}

/** Say what is wrong with a stack, or nothing. */
function tellStack(problem) {
  byId("stack-problem").textContent = problem;
}

/** What may be added, the picture, and the button that adds. */
function addRow() {
  const option = (value, text) => element("option", { value, text });
  const group = (label, ...options) => element("optgroup", { label }, ...options);
  const kinds = element("select", { id: "add-kind", "aria-label": "Layer to add" });
  kinds.append(
    group("Convolution", option(OWN_FILTER, "conv, own filter"), ...pageData.filters.map(({ name }) => option(`conv=${name}`, `conv ${name}`))),
    group("Activation", ...STACK_ACTIVATIONS.map((name) => option(`activation=${name}`, name))),
    group("Pool", ...STACK_POOLS.map((mode) => option(`pool=${mode}`, `${mode} pool`))),
  );
  kinds.value = "conv=sobel_h";
  const about = element("p", { class: "dim", id: "add-about" });
  const tell = () => setText(about, aboutKind(kinds.value));
  kinds.addEventListener("change", tell);
  tell();
  const button = element("button", { type: "button", id: "add", text: "Add", click: () => addLayer(kinds.value) });
  const picture = element("select", { id: "sample" });
  picture.append(option("gray", "grey"), option("color", "in colour"));
  picture.addEventListener("change", () => apply({ input: samplePicture(picture.value) }));
  const label = element("label", { class: "inline" }, "Sample picture ", picture);
  return element("div", {}, kinds, about, element("div", { class: "row" }, button, label));
}

/** What the layer that a text names does. */
function aboutKind(text) {
  const [kind, name] = text.split("=");
  if (kind === "activation") return `${ACTIVATIONS[name].formula}.`;
  if (kind === "pool") return `${POOL_RULES[name]} of each window of 2 × 2.`;
  const about = pageData.filters.find((filter) => filter.name === name)?.about;
  return about ? `${about}.` : "Weights that you draw.";
}

/** Add the layer that a text names, and go to its map; one with an own filter opens with the drawing of it. */
async function addLayer(text) {
  if (!(await showStack([...newestStack(), readStackLayer(text, pageData.filters)]))) return;
  layers[layers.length - 1].card.node.scrollIntoView({ block: "nearest" });
  if (text !== OWN_FILTER) return;
  byId("paint").scrollIntoView({ block: "nearest" });
  byId("paint").querySelector("td button").focus({ preventScroll: true });
}

function copyRow() {
  const button = (id, text, click) => element("button", { type: "button", id, text, click });
  // A picture is saved with three colours: a command has to make it grey.
  const texts = () => [shownCalls(), pageData.filters, PICTURE_FILE, state.input.channels === 1];
  return element(
    "div",
    { class: "row" },
    button("copy-link", HAS_LINK ? "Copy link" : "Copy the layers", copyLink),
    button("copy-command", "Copy as cnncli command", () => copyText("The command", commandText(...texts()), pictureHint())),
    button("copy-python", "Copy as Python", () => copyText("The Python", pythonStackText(...texts()), pictureHint())),
    button("save-picture", "Save the picture", savePicture),
  );
}

/** The layers as playground/commands.js takes them. */
function shownCalls() {
  return Array.from(live.specs.values(), ({ name, settings }) => ({ name, settings, channels: byName.get(name).shape[2] ?? 0 }));
}

function pictureHint() {
  const told = ` It reads ${PICTURE_FILE}: save the picture there first.`;
  return shownSample() ? told : `${told} Its values are rounded to 8 bits there.`;
}

/** Copy the page's address or, of a file, what stands behind its name and is the same in all playgrounds. */
function copyLink() {
  writeAddress();
  const own = shownSample() ? "" : " Your picture is not in it.";
  if (HAS_LINK) copyText("The link", location.href, own);
  else copyText("The text of the layers", location.hash, LAYERS_HINT + own);
}

/** Put a text into the clipboard, and show it: not every browser lets a page copy. */
async function copyText(what, text, hint) {
  const shown = byId("copied-text");
  shown.hidden = false;
  shown.textContent = text;
  let done = "was copied.";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = "stands below, to be copied.";
    shown.focus();
  }
  byId("copied").textContent = `${what} ${done}${hint}`;
}

/** Save the picture as a file of 8 bits: the sample in colour, or what is shown of the user's. */
function savePicture() {
  const sample = shownSample();
  const { size, planes } = sample ? samplePicture("color") : state.input;
  const range = { kind: "clip", lo: 0, hi: 1 };
  valuePicture(...size, planes, range, null).toBlob((blob) => {
    const link = element("a", { href: URL.createObjectURL(blob), download: PICTURE_FILE });
    link.click();
    URL.revokeObjectURL(link.href);
    byId("copied").textContent = `${PICTURE_FILE} was saved among the browser's downloads.`;
  });
}

function drawStackPanel() {
  const list = byId("stack-list");
  // Not made yet, while the first layers are computed.
  if (!list) return;
  const specs = [...live.specs.values()];
  replaceItems(list, specs.map((spec, index) => stackItem(spec, index, specs.length)));
  byId("add").disabled = specs.length >= MOST_LAYERS;
  setValue(byId("sample"), state.input.channels === 3 ? "color" : "gray");
  drawPaint();
  const { layer } = state.unit;
  byId("to-window").hidden = !isEditable() || !live.specs.get(layer).settings.kernel;
  setText(byId("to-window"), `Stride, padding and size of ${layer}`);
}

/** Go to the field of the chosen layer's stride. */
async function goToStride() {
  // The fields of a layer that was just chosen may not be made yet.
  await allDrawn();
  byId("stride").scrollIntoView({ block: "center" });
  byId("stride").focus({ preventScroll: true });
}

/** A layer of the list: its name, and buttons to move and remove it. */
function stackItem({ name, settings }, index, count) {
  const button = (key, text, label, click) =>
    element("button", { type: "button", class: "quiet", "data-key": `${key} ${index}`, "aria-label": `${label} ${name}`, text, click });
  const { problem } = byName.get(name);
  const text = element("span", { class: "stack-name" }, element("b", { text: name }), ` ${stackLabel(settings)}`);
  const click = () => chooseLayer(name);
  const isChosen = String(name === state.unit.layer);
  const choose = element("button", { type: "button", class: "choose", "data-key": `choose ${index}`, "aria-pressed": isChosen, click }, text);
  return element(
    "li",
    {},
    choose,
    ...(index > 0 ? [button("up", "↑", "Move up", () => moveLayer(name, -1))] : []),
    ...(index < count - 1 ? [button("down", "↓", "Move down", () => moveLayer(name, 1))] : []),
    ...(count > 1 ? [button("remove", "×", "Remove", () => removeLayer(name))] : []),
    ...(problem ? [element("p", { class: "problem", text: problem })] : []),
  );
}

/** Move a layer of the list up (-1) or down (1), and choose it. */
function moveLayer(name, step) {
  const [stack, from] = findInNewest(name);
  const to = from + step;
  if (from < 0 || !stack[to]) return;
  [stack[from], stack[to]] = [stack[to], stack[from]];
  showStack(stack, { chosen: to });
}

/** Remove a layer of the list, and choose the one before it. */
function removeLayer(name) {
  const [stack, index] = findInNewest(name);
  if (index >= 0) showStack(stack.filter((_, other) => other !== index), { chosen: Math.max(0, index - 1) });
}

/** The newest stack, and where a layer of the list is in it: -1 where an earlier click has removed it. */
function findInNewest(name) {
  const stack = newestStack();
  return [stack, stack.indexOf(live.specs.get(name).settings)];
}

/** What a layer is: of a convolution its filter too. */
function stackLabel(settings) {
  const builtin = settings.op === "conv" ? builtinOf(settings, pageData.filters) : null;
  return [labelOf(settings), builtin?.name].filter(Boolean).join(", ");
}

/** The filter of the chosen layer as buttons to paint on, if it is one of few cells. */
function drawPaint() {
  const { layer: name } = state.unit;
  const settings = live.specs.get(name)?.settings;
  const isSmall = settings?.perChannel && Math.max(...settings.kernel) <= LARGEST_DRAWN;
  const place = byId("paint");
  place.hidden = !isSmall;
  if (!isSmall) return;
  const { kernel, weights } = settings;
  // A button that is pressed while an answer comes has to stay.
  if (place.dataset.made !== `${name} ${kernel}`) makePaint(name, kernel);
  const most = 1.5 * Math.max(...weights.map(Math.abs), 1e-300);
  place.querySelectorAll("td button").forEach((button, index) => {
    const weight = weights[index];
    const at = `row ${Math.floor(index / kernel[1])}, column ${index % kernel[1]}`;
    button.setAttribute("aria-label", `Weight at ${at}: ${numberText(weight)}`);
    setText(button, fittingText(weight).replace("-", "−"));
    setBackground(button, colourOf(levelOf(weight, { kind: "symmetric", lo: -most, hi: most }), tables.diverging));
  });
  const layer = byName.get(name);
  drawnMap.hidden = Boolean(layer.problem);
  if (!layer.problem) sizeCanvas(drawnMap, layer, DRAWN_MAP);
}

/** A button for each weight of a layer's filter, and one that makes all of them 0. */
function makePaint(name, kernel) {
  const place = byId("paint");
  place.dataset.made = `${name} ${kernel}`;
  const weights = () => live.specs.get(name).settings.weights.slice();
  const change = (changed) => apply({ layers: { [name]: { weights: changed } } });
  const paint = (index) => {
    const changed = weights();
    changed[index] = PAINTS[(PAINTS.indexOf(changed[index]) + 1) % PAINTS.length];
    change(changed);
  };
  const cell = (index) => element("td", {}, element("button", { type: "button", "data-key": index, click: () => paint(index) }));
  const rows = Array.from({ length: kernel[0] }, (_, i) =>
    element("tr", {}, ...Array.from({ length: kernel[1] }, (__, j) => cell(i * kernel[1] + j))),
  );
  const click = () => change(weights().fill(0));
  const clear = element("button", { type: "button", class: "quiet", id: "clear", "data-key": "clear", text: "All zeros", click });
  const told = element("p", { class: "dim", text: `Click a weight: 0, 1, −1. Other numbers: in "Change ${name}".` });
  replaceItems(place, [
    element("div", { class: "head" }, element("h3", { text: `Draw the filter of ${name}` }), clear),
    element("div", { class: "row" }, element("table", { class: "grid narrow" }, ...rows), drawnMap),
    told,
  ]);
}
