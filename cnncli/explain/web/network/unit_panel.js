"use strict";
// The panel on the chosen unit of a network: its value, the trail of strongest contributions to it,
// and its arithmetic, number by number. network/unit_values.js computes, shared/step_panel.js writes windows.

const LISTED_SHARES = 10;
const LISTED_READS = 16;
const NAMED_READS = 8;

/** What changes its height while the unit moves. */
const VARYING = "#headline, #sentence, .looked, #trail-panel > div, #how, #blocks";

/** Lets what varies keep the largest height that it had: what stands below it does not jump. */
const heights = new ResizeObserver((entries) => {
  for (const { target, borderBoxSize } of entries) {
    const [{ blockSize }] = borderBoxSize;
    if (blockSize) target.style.minHeight = `${blockSize}px`;
  }
});

/** Let what varies have its own height again: of another layer, or in a window of another size. */
function renewHeights() {
  for (const node of document.querySelectorAll(VARYING)) {
    node.style.minHeight = "";
    heights.unobserve(node);
    heights.observe(node);
  }
}

/** Show the unit at the head of a trail; `boxes` are the cells that it depends on, by layer. */
function drawUnit(trail, boxes) {
  const [{ unit, made }] = trail;
  const layer = byName.get(unit.layer);
  const picture = unitPicture();
  const [row, col] = unit.at;
  const name = layer.maps > 1 ? `, map ${mapName(picture)}` : "";
  const cell = isSingle(layer) ? "" : `, row ${row}, column ${col}`;
  const place = `${name}${cell}: ${valueText(layer, picture, row, col)}`;
  const sentence = fieldSentence(unit, boxes.get("input"));
  renew(byId("headline"), nameElement(unit.layer), document.createTextNode(place));
  setText(byId("sentence"), sentence);
  const subject = made.step ? subjectOf(unit, made) : null;
  const how = made.problem ?? (subject ? sentenceOf(subject) : ruleText(layer, made) + activationText(layer, made));
  drawPanel(byId("trail-panel"), () => drawTrail(trail));
  drawPanel(byId("how-panel"), () => {
    drawColours(picture, unit);
    drawNumbers(unit, made, subject, how);
  });
  if (!isPlayground) {
    drawComparison(unit);
    drawSharesPanel(unit);
  }
  announce(`${unit.layer}${place}. ${sentence} ${how}`);
}

/** Show how a unit is computed, in words and numbers. */
function drawNumbers(unit, made, subject, how) {
  const layer = byName.get(unit.layer);
  const rounded = layer.inputs.some((input) => byName.get(input).steps.some(Boolean));
  setText(byId("how"), rounded && !made.problem ? `${how} The page holds rounded inputs.` : how);
  byId("blocks").parentElement.classList.toggle("large", Boolean(subject));
  replaceBlocks(byId("blocks"), numberElements(made, subject, layer), unitKey(unit));
  renew(byId("result"), ...resultElements(made, subject));
  byId("result").dataset.value = String(made.value ?? "");
}

/** Say why a layer cannot be computed. */
function drawProblem(layer) {
  renewHeights();
  byId("headline").replaceChildren(nameElement(layer.name));
  byId("sentence").textContent = layer.problem;
  byId("how").textContent = "";
  for (const id of ["channels", "comparison", "to-comparison", "looked"]) byId(id).hidden = true;
  for (const id of ["trail", "blocks", "result"]) byId(id).replaceChildren();
}

function fieldSentence(unit, box) {
  if (unit.layer === "input") return "A pixel of the input.";
  if (!box || box[2] <= box[0]) return "It depends on no pixel of the input.";
  const [height, width] = [box[2] - box[0], box[3] - box[1]];
  const [rows, cols] = byName.get("input").shape;
  const isWhole = height === rows && width === cols;
  const { field } = byName.get(unit.layer);
  const isAtBorder = box[0] === 0 || box[1] === 0 || box[2] === rows || box[3] === cols;
  const isCut = !isWhole && isAtBorder && field && (height < field[0] || width < field[1]);
  const rest = isCut ? `, at the border fewer than ${field.join(" × ")}` : "";
  return `It depends on ${isWhole ? "the whole input" : `${boxText(box)} of the input`}: ${height} × ${width} pixels${rest}.`;
}

/** A button for each colour of a map of three channels; one of them is explained. */
function drawColours({ channels }, unit) {
  const bar = byId("channels");
  bar.hidden = channels.length === 1;
  if (bar.hidden) return;
  replaceItems(
    bar,
    channels.map((channel, index) => {
      const pressed = String(channel === unit.channel);
      const attributes = { type: "button", class: `tab ${COLOURS[index]}`, text: COLOURS[index], "data-key": index };
      const button = element("button", { ...attributes, "aria-pressed": pressed });
      button.addEventListener("click", () => apply({ channel: index }));
      return button;
    }),
  );
}

/** The trail as a list of buttons: each chooses the unit that it names, see `startTrail`. */
function drawTrail(trail) {
  const list = byId("trail");
  const before = Array.from(list.children, ({ firstChild }) => firstChild.dataset.key);
  const names = trail.map(({ unit }) => unit.layer);
  const buttons = trail.map(trailButton);
  if (before.join() === names.join()) buttons.forEach((button, index) => renew(list.children[index].firstChild, ...button.childNodes));
  else replaceItems(list, buttons.map((button) => element("li", {}, button)));
  setText(byId("trail-end"), trailEnd(trail));
}

function trailButton({ unit }, index) {
  const layer = byName.get(unit.layer);
  const picture = layer.pictures[pictureIndex(layer, unit.channel)];
  const map = layer.maps > 1 ? ` ${mapName(picture)}` : "";
  const place = isSingle(layer) ? "" : ` at ${unit.at.join(", ")}`;
  const text = element("span", {}, nameElement(layer.name), `${map}${place}`);
  const attributes = { type: "button", "data-key": layer.name, "aria-current": index === 0 ? "true" : undefined };
  return element("button", attributes, text, element("b", { text: numberText(unitValue(unit)) }));
}

function startTrail() {
  const list = byId("trail");
  startArrows(list, () => 1, false);
  list.addEventListener("click", ({ target }) => {
    const key = target.closest("button")?.dataset.key;
    const chosen = view.trail.find(({ unit }) => unit.layer === key);
    if (chosen) apply(changesFor(chosen.unit));
  });
}

/** The picture that has a channel, as an index; of those in the page. */
function pictureIndex(layer, channel) {
  return layer.pictures.findIndex((picture) => picture.channels.includes(channel));
}

/** What shared/step_panel.js needs to know of a unit with a window. */
function subjectOf(unit, made) {
  const layer = byName.get(unit.layer);
  const source = byName.get(layer.inputs[0]);
  const index = pictureIndex(layer, unit.channel);
  return {
    arithmetic: made.arithmetic,
    at: unit.at,
    channel: unit.channel,
    step: made.step,
    block: blockIndex(made),
    isSorted: true,
    source: source.name,
    choose: (block) => apply({ block }),
    nameOf: (channel) => channelName(source, channel),
    range: shownRange(layer, index),
    drawn: layer.pictures[index].channels.map((one) => unitValue({ ...unit, channel: one })),
    table: mapTable(layer, index),
    paint: (channel, value) => {
      const map = pictureIndex(source, channel);
      return cellColour([value], shownRange(source, map), mapTable(source, map));
    },
  };
}

/** Which input channel is shown in full: the chosen one, else that of the strongest contribution. */
function blockIndex(made) {
  if (state.block !== null) return state.block;
  const strongest = strongestSource(made);
  return Math.max(0, made.step.blocks.findIndex(({ channel }) => strongest && channel === strongest.channel));
}

/** A channel of a layer in words: its map, where it has several. */
function sourceText(layer, channel) {
  return layer.maps > 1 ? `map ${channelName(layer, channel)} of ${layer.name}` : channelName(layer, channel);
}

/** The name of one channel of a layer. */
function channelName(layer, channel) {
  const picture = layer.pictures[pictureIndex(layer, channel)];
  if (!picture) return String(channel);
  if (picture.channels.length > 1) return COLOURS[picture.channels.indexOf(channel)];
  return layer.maps > 1 ? mapName(picture) : layer.name;
}

/** The rule of a layer without a window, as one line. */
function ruleText(layer, made) {
  const { op, activation, axes = [], mode, padMode } = layer.settings;
  const over = `over ${axes.join(" and ")}`;
  const formula = activation && `${activation}: ${ACTIVATIONS[activation].formula || "z"}.`;
  const norm = "gamma * (x − mean) / sqrt(var + epsilon) + beta";
  const own = { "instance-norm": "its channel", "group-norm": "its group of channels" }[op] ?? `all values ${over}`;
  if (made.isConstant) return op === "pad" ? "The border holds a constant here." : "A channel of one value.";
  if (op === "pad" && made.isBorder) return `The border copies a cell of the input (${padMode}).`;
  if (op in PLACES) return "One value of an input, as it is.";
  const rules = {
    activation: formula,
    softmax: activation && `${formula.slice(0, -1)}, ${over}.`,
    batchnorm: `${norm}, with the mean and variance of training.`,
    "instance-norm": `${norm}, with the mean and variance of ${own}.`,
    "group-norm": `${norm}, with the mean and variance of ${own}.`,
    "layer-norm": `${norm}, with the mean and variance of ${own}.`,
    lrn: "x / (bias + alpha / size * squares)^beta, with the squares of its channel and of those beside it.",
    scale: layer.settings.whole ? "round(factor * x + offset)." : "factor * x + offset.",
    "cell-scale": "factor * x + offset, which each cell has for itself.",
    quotient: "trunc(x / divisor).",
    reduce: `${REDUCE_RULES[mode]} ${over}.`,
    resize: RESIZE_RULES[mode],
    matmul: `The sum of ${countText(made.reads.length + (made.others?.count ?? 0), "product")}: a row of the first input times a column of the second.`,
    add: "The sum of its inputs.",
    sub: "The first input less the second.",
    mul: "The product of its inputs.",
    div: "The first input divided by the second.",
    max: "The largest of its inputs.",
    min: "The smallest of its inputs.",
  };
  return rules[op];
}

/** Why a unit of an activation is 0, which a question on it does not tell. */
function activationText({ settings: { op, activation } }, made) {
  return op === "activation" ? reluText("It", activation, sumBefore(made)) : "";
}

/** What the activation of a layer, or a layer that is one, is computed of. */
function sumBefore({ step, reads }) {
  return step ? step.total : reads?.[0]?.value;
}

const REDUCE_RULES = {
  mean: "The sum, divided by the count,",
  sum: "The sum",
  max: "The largest value",
  min: "The smallest value",
  l1: "The sum of magnitudes",
  l2: "The root of the sum of squares",
};

const RESIZE_RULES = {
  nearest: "The cell of the input that is nearest to its place.",
  linear: "The cells of the input around its place, each times its weight: the nearer, the larger.",
  cubic: "The 4 × 4 cells of the input around its place, each times a weight of the cubic curve.",
};

/** The numbers that a unit is made from: windows, the inputs' values, or the shares of channels. */
function numberElements(made, subject, layer) {
  if (made.problem !== undefined) return [];
  const elements = subject ? blockElements(subject, byId("blocks")) : [];
  if (made.softmax) return [...elements, shareTable(made.softmax, layer)];
  return subject ? elements : [valueTable(made)];
}

/** The values that a layer without a window reads, each with its place; of many those that contribute most. */
function valueTable({ reads, others }) {
  const isSum = Boolean(others) || reads.some(({ weight, times }) => times || (weight !== undefined && weight !== 1));
  const isLong = reads.length > LISTED_READS;
  const ranked = isSum || isLong ? sortedBySize(reads, ({ amount }) => amount ?? 0) : reads;
  const named = isLong ? ranked.slice(0, NAMED_READS) : ranked;
  const isChoice = reads.some(({ amount }) => amount === null);
  const table = element("table", { class: isSum ? "shares sources" : "result sources" });
  const { head, nameOf } = placeNames(reads);
  if (isSum || head) table.append(headRow([head || "value of", "value", ...(isSum ? ["× weight", "= product"] : [])]));
  for (const read of named) {
    const name = read.times ? `${placeText(read)} × ${placeText(read.times)}` : nameOf(read);
    const numbers = isSum ? [read.value, read.weight, read.value * read.weight] : [read.value];
    table.append(numbersRow(name, numbers, isChoice && read.amount !== null ? "best" : ""));
  }
  const rest = ranked.slice(named.length);
  if (rest.length) {
    const sum = rest.reduce((total, { value, weight = 1 }) => total + value * weight, 0);
    const name = isSum ? `${rest.length} smaller products` : `${rest.length} more values, added up`;
    table.append(isSum ? numbersRow(name, [null, null, sum]) : numbersRow(name, [sum]));
  }
  if (others) table.append(numbersRow(`${countText(others.count, "product")} of values that this page does not hold`, [null, null, others.sum]));
  return table;
}

/** A row of a name and some numbers; null leaves a cell empty. */
function numbersRow(name, numbers, kind = "") {
  const cells = numbers.map((number) => element("td", { text: number === null ? "" : numberText(number) }));
  return element("tr", { class: kind }, element("th", { scope: "row", text: name }), ...cells);
}

function headRow(texts) {
  return element("tr", {}, ...texts.map((text) => element("th", { scope: "col", text })));
}

/** How rows of a table name units: those of one map by their place alone, and the map at the head. */
function placeNames(units) {
  const [{ layer, channel } = {}] = units;
  const isOneMap = units.length > 1 && units.every((unit) => unit.layer === layer && unit.channel === channel);
  if (!isOneMap || units[0].times) return { head: "", nameOf: placeText };
  return { head: mapText(units[0]), nameOf: ({ at }) => `at ${at.join(", ")}` };
}

function mapText({ layer: name, channel }) {
  const layer = byName.get(name);
  return layer.maps > 1 ? `${name} ${channelName(layer, channel)}` : name;
}

/** Where a unit is: its layer, map, row and column. */
function placeText(unit) {
  return `${mapText(unit)} at ${unit.at.join(", ")}`;
}

/** The largest values with their exponentials and shares, and the one of the unit. */
function shareTable({ units, values, chosen, largest, exponentials, total, isLog, count }, layer) {
  const order = values.map((_, index) => index).sort((a, b) => (values[b] > values[a]) - (values[b] < values[a]));
  const listed = order.filter((index, rank) => rank < LISTED_SHARES || index === chosen);
  const isOneCell = units.every(({ at }) => at.join() === units[0].at.join());
  const places = isOneCell ? { head: "map", nameOf: ({ channel }) => channelName(layer, channel) } : placeNames(units);
  const less = `${largest < 0 ? "+" : "−"} ${numberText(Math.abs(largest))}`;
  const heads = [places.head || "value of", "z", `exp(z ${less})`, isLog ? "log of share" : "share"];
  const table = element("table", { class: "shares" });
  table.append(headRow(heads));
  for (const index of listed) {
    const share = isLog ? values[index] - largest - Math.log(total) : exponentials[index] / total;
    const numbers = [values[index], exponentials[index], share];
    table.append(numbersRow(places.nameOf(units[index]), numbers, index === chosen ? "best" : ""));
  }
  const more = count - listed.length;
  table.append(numbersRow(`total${more ? `, with ${more} more` : ""}`, [null, total, null], "total"));
  return table;
}

/** The sums of a window, or the lines from an input's value to the unit's. */
function resultElements(made, subject) {
  if (made.problem !== undefined) return [];
  if (subject) return [resultElement(subject)];
  const table = element("table", { class: "result" });
  for (const [label, value] of made.lines ?? []) table.append(rowElement(label, numberText(value), ""));
  table.append(rowElement("output", numberText(made.value), "total value"));
  return [table];
}
