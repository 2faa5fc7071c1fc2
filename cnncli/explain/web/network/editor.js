"use strict";
// The panel of a network's page that changes the chosen unit's layer: its settings and weights, and the switch of
// its map. All later layers follow, see network/live.js.

/** Numbers of layers that scale: a field for each that a layer has. */
const CHANNEL_NUMBERS = ["gamma", "beta", "mean", "var", "factor", "offset"];

/** The layer that shared/layer_fields.js changes: that of the chosen unit. */
const edited = {
  settings: () => settingsOn(live.specs.get(state.unit.layer).settings, editedInput().shape.slice(0, 2)),
  first: () => live.firstSpecs.get(state.unit.layer).settings,
  change: (fields) => apply({ layers: { [state.unit.layer]: fields }}),
  window: () => {
    const { kernel, stride, padding, dilation, op, ceil } = edited.settings();
    return placeWindow(editedInput().shape.slice(0, 2), kernel, stride, padding, dilation, op === "pool" && ceil);
  },
  isShown: () => !byName.get(state.unit.layer).problem,
  kernel: () => {
    const { maps, perChannel } = edited.settings();
    if (!edited.isShown()) return Math.min(state.unit.map, maps - 1);
    const { channel } = view.trail[0].unit;
    return perChannel ? Math.floor(channel / editedInput().shape[2]) : channel;
  },
  sources: () => view.trail[0].made.step?.blocks.map(({ channel }) => channel) ?? [],
  depth: () => {
    const made = edited.isShown() ? view.trail[0].made : {};
    return state.block ?? (made.step ? blockIndex(made) : 0);
  },
  chooseDepth: (block) => apply({ block }),
  nameOf: (channel) => channelName(editedInput(), channel),
  redraw: () => drawEditor(),
};

function editedInput() {
  return byName.get(live.specs.get(state.unit.layer).inputs[0]);
}

/** Whether the chosen layer has fields: not the input, nor one that is made from what cannot be computed. */
function isEditable() {
  return live.specs.has(state.unit.layer) && !editedInput().problem;
}

/** What the fields were made for: another layer has other ones. */
let editedName = null;

function startEditor() {
  byId("editor").hidden = false;
  byId("reset").addEventListener("click", resetLayers);
  byId("map-off").addEventListener("click", switchMap);
}

/** Leave the field that is typed into, before another layer has other fields; until then those of before take nothing. */
function leaveEditor() {
  if (byId("editor-body").contains(document.activeElement)) document.activeElement.blur();
  byId("editor-fields").inert = true;
}

/** All layers as the page began with them; the input stays, but for the sample picture of the playground. */
function resetLayers() {
  return apply({ specs: specsAtStart(), input: isPlayground ? firstPicture() : undefined });
}

/** Make the fields again: the chosen layer may be of another kind. */
function renewEditor() {
  editedName = null;
}

/** The answer of the last layer with scores as the page began, to compare with. */
let firstAnswer = null;

/** What the network answers now and answered at first, or why it cannot. */
function drawAnswer() {
  const problems = layers.filter(({ problem }) => problem);
  setText(byId("problem"), problems.length ? problems[0].problem : "");
  byId("misfits").hidden = problems.length === 0;
  const layer = layers.findLast(({ largest }) => largest.length > 0);
  if (!layer || layer.winner === null) {
    const told = layer ? `No score of ${layer.name} is a finite number.` : "All later layers follow.";
    setText(byId("answer"), problems.length ? "" : told);
    return;
  }
  const picture = layer.pictures[layer.winner];
  const now = `${mapName(picture)}, ${valueText(layer, picture, 0, 0)}`;
  firstAnswer ??= now;
  const before = now === firstAnswer ? "" : ` (at first ${firstAnswer})`;
  setText(byId("answer"), `The largest of ${layer.name}: ${now}${before}`);
}

/** What changed settings did to the scores that were compared last, or else to the chosen unit. */
function effectsText() {
  const scores = isPlayground ? [] : comparedScores();
  // Of a softmax its share comes first.
  const shares = scores.length && compared.chosen.layer !== compared.unit.layer ? [compared.chosen] : [];
  const units = scores.length ? [...shares, ...scores] : view.trail.slice(0, 1).map(({ unit }) => unit);
  return units.map(effectText).filter(Boolean).join(" ");
}

/** A unit's value before settings changed, and now; "" where it is the same, or its layer has another size. */
function effectText(unit) {
  const [before, layer] = [live.before.get(unit.layer), byName.get(unit.layer)];
  if (!before || before.problem || layer.problem || before.shape.join() !== layer.shape.join()) return "";
  const values = [before, layer].map(({ planes, shape }) => planes[unit.channel][unit.at[0] * shape[1] + unit.at[1]]);
  if (Object.is(...values)) return "";
  return `${unitText(unit)}: ${numberText(values[0])} before the change, ${numberText(values[1])} now.`;
}

/** Show what may be changed: the switch of the map, and the editor. */
function drawChanges() {
  drawMapSwitch();
  drawPanel(byId("editor"), drawEditor);
}

/** Show the settings of the chosen layer in the fields. */
function drawEditor() {
  drawAnswer();
  setText(byId("effect"), effectsText());
  const { layer } = state.unit;
  const isInput = !live.specs.has(layer);
  byId("editor-body").hidden = isInput;
  setText(byId("editor-title"), isInput ? "Change a layer: choose a unit of one" : `Change ${labels.get(layer)}`);
  byId("editor-fields").hidden = !isEditable();
  if (!isEditable()) return;
  byId("editor-fields").inert = isStackAsked();
  if (editedName !== layer) {
    editedName = layer;
    updates.length = 0;
    for (const id of ["settings", "filter-body"]) byId(id).replaceChildren();
    makeEditorFields();
  }
  for (const update of updates) update();
}

function makeEditorFields() {
  const { op, kernel, weights } = edited.settings();
  byId("filter-head").hidden = !weights;
  if (weights) filterPanel();
  if (op === "pool") field("Mode", poolMode());
  if (kernel && op !== "dense") windowFields();
  if (op === "conv" || op === "pool") addStrideNote();
  if (op === "pool") poolFields();
  if (op === "conv-transpose") field("Bias", biasField());
  else if (weights) convFields();
  if (op === "activation") field("Activation", activationInput());
  for (const name of CHANNEL_NUMBERS) if (edited.settings()[name]?.length) channelField(name);
}

/** Below the stride what it does. */
function addStrideNote() {
  const note = element("p", { class: "dim", id: "stride-note" });
  updates.push(() => setText(note, edited.isShown() ? strideText(edited.settings(), editedInput().shape) : ""));
  byId("stride").closest("fieldset").append(note);
}

/** A number of the chosen channel, such as the gamma of a batch-norm, or of the chosen cell. */
function channelField(name) {
  const index = () => {
    const { op, shape, [name]: numbers } = edited.settings();
    if (numbers.length === 1) return 0;
    const { channel, at } = edited.isShown() ? chosenUnit() : { channel: state.unit.map, at: state.unit.at };
    return op === "cell-scale" ? (at[0] * shape[1] + at[1]) * shape[2] + channel : channel;
  };
  const read = () => edited.settings()[name][index()];
  const input = valueField(`channel-${name}`, name, read, (value) => {
    const numbers = edited.settings()[name].slice();
    numbers[index()] = value;
    edited.change({ [name]: numbers });
  });
  field(name, input);
}

/** Whether all values of the chosen map are made 0. */
function isMapOff() {
  const off = edited.settings().off ?? [];
  return unitPicture().channels.every((channel) => off.includes(channel));
}

function switchMap() {
  const { channels } = unitPicture();
  const others = (edited.settings().off ?? []).filter((channel) => !channels.includes(channel));
  edited.change({ off: isMapOff() ? others : [...others, ...channels] });
}

/** The switch of the chosen map, and below it what that changed. */
function drawMapSwitch() {
  const isShown = live.specs.has(state.unit.layer) && edited.isShown();
  byId("map-off").hidden = !isShown;
  const isOff = isShown && isMapOff();
  setText(byId("off-effect"), isOff ? effectsText() : "");
  if (!isShown) return;
  const name = byName.get(state.unit.layer).maps > 1 ? `map ${mapName(unitPicture())}` : "this map";
  setText(byId("map-off"), `Switch ${name} ${isOff ? "on again" : "off"}`);
}
