"use strict";
// The panel on the chosen unit of a network: its value, the trail of strongest contributions to it,
// and its arithmetic, number by number. network_arithmetic.js computes, step_panel.js writes windows.

const LISTED_SHARES = 10;
let announceTimer = 0;

/** Show the unit at the head of a trail; `boxes` are the cells that it depends on, by layer. */
function drawUnit(trail, boxes) {
  const [{ unit, made }] = trail;
  const layer = byName.get(unit.layer);
  const picture = unitPicture();
  const [row, col] = unit.at;
  const name = layer.maps > 1 ? `, map ${mapName(picture)}` : "";
  const place = `${name}, row ${row}, column ${col}: ${valueText(layer, picture, row, col)}`;
  const sentence = fieldSentence(unit, boxes.get("input"));
  byId("headline").replaceChildren(nameElement(unit.layer), place);
  byId("sentence").textContent = sentence;
  drawColours(picture, unit);
  drawTrail(trail);
  const subject = made.step ? subjectOf(unit, made) : null;
  const how = made.problem ?? (subject ? sentenceOf(subject) : ruleText(layer));
  const rounded = layer.inputs.some((input) => byName.get(input).steps.some(Boolean));
  byId("how").textContent = rounded && !made.problem ? `${how} The page holds rounded inputs.` : how;
  byId("blocks").parentElement.classList.toggle("large", Boolean(subject));
  replaceBlocks(byId("blocks"), numberElements(made, subject, layer));
  byId("result").replaceChildren(...resultElements(made, subject));
  byId("result").dataset.value = String(made.value ?? "");
  clearTimeout(announceTimer);
  announceTimer = setTimeout(() => {
    byId("live").textContent = `${unit.layer}${place}. ${sentence} ${how}`;
  }, 500);
}

function fieldSentence(unit, box) {
  if (unit.layer === "input") return "A pixel of the input.";
  if (!box || box[2] <= box[0]) return "It depends on no pixel of the input.";
  return `It depends on ${boxText(box)} of the input: ${box[2] - box[0]} × ${box[3] - box[1]} pixels.`;
}

/** A button for each colour of a map of three channels; one of them is explained. */
function drawColours({ channels }, unit) {
  const bar = byId("channels");
  bar.hidden = channels.length === 1;
  if (bar.hidden) return;
  bar.replaceChildren(
    ...channels.map((channel, index) => {
      const pressed = String(channel === unit.channel);
      const attributes = { type: "button", class: `tab ${COLOURS[index]}`, text: COLOURS[index] };
      const button = element("button", { ...attributes, "aria-pressed": pressed });
      button.addEventListener("click", () => apply({ channel: index }));
      return button;
    }),
  );
}

/** The trail as a list of buttons: each chooses the unit that it names. */
function drawTrail(trail) {
  byId("trail").replaceChildren(
    ...trail.map(({ unit }, index) => {
      const layer = byName.get(unit.layer);
      const picture = layer.pictures[pictureIndex(layer, unit.channel)];
      const map = layer.maps > 1 ? ` ${mapName(picture)}` : "";
      const place = isSingle(layer) ? "" : ` at ${unit.at.join(", ")}`;
      const text = element("span", {}, nameElement(layer.name), `${map}${place}`);
      const button = element("button", { type: "button" }, text, element("b", { text: numberText(unitValue(unit)) }));
      if (index === 0) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => apply({ unit: { layer: layer.name, map: picture.index, at: unit.at } }));
      return element("li", {}, button);
    }),
  );
}

/** The picture that has a channel, as an index; of those in the page. */
function pictureIndex(layer, channel) {
  return layer.pictures.findIndex((picture) => picture.channels.includes(channel));
}

/** What step_panel.js needs to know of a unit with a window. */
function subjectOf(unit, made) {
  const layer = byName.get(unit.layer);
  const source = byName.get(layer.inputs[0]);
  const index = pictureIndex(layer, unit.channel);
  return {
    arithmetic: made.arithmetic,
    at: unit.at,
    step: made.step,
    block: blockIndex(made),
    choose: (block) => apply({ block }),
    nameOf: (channel) => channelName(source, channel),
    range: layer.ranges[index],
    table: mapTable(layer, index),
    paint: (channel, value) => {
      const map = pictureIndex(source, channel);
      return cellColour([value], source.ranges[map], mapTable(source, map));
    },
  };
}

/** Which input channel is shown in full: the chosen one, else that of the strongest contribution. */
function blockIndex(made) {
  if (state.block !== null) return state.block;
  const strongest = strongestSource(made);
  return Math.max(0, made.step.blocks.findIndex(({ channel }) => strongest && channel === strongest.channel));
}

/** The name of one channel of a layer. */
function channelName(layer, channel) {
  const picture = layer.pictures[pictureIndex(layer, channel)];
  if (picture.channels.length > 1) return COLOURS[picture.channels.indexOf(channel)];
  return layer.maps > 1 ? mapName(picture) : layer.name;
}

/** The rule of a layer without a window, as one line. */
function ruleText(layer) {
  const { op, activation, formula } = layer.arithmetic;
  if (op === "activation") return `${activation}: ${formula}.`;
  if (op === "batchnorm") return "gamma * (x − mean) / sqrt(var + epsilon) + beta.";
  if (op === "scale") return "factor * x + offset.";
  if (op === "copy" || op === "concat") return "One value of an input, as it is.";
  return { add: "The sum of its inputs.", sub: "The first input less the others.", mul: "The product of its inputs.", div: "The first input divided by the others.", max: "The largest of its inputs.", min: "The smallest of its inputs." }[op];
}

/** The numbers that a unit is made from: windows, the inputs' values, or the shares of channels. */
function numberElements(made, subject, layer) {
  if (made.problem !== undefined) return [];
  const elements = subject ? blockElements(subject) : [valueTable(made)];
  return made.softmax ? [...elements, shareTable(made.softmax, layer)] : elements;
}

/** The values that a layer without a window reads, each with its place. */
function valueTable({ sources }) {
  const table = element("table", { class: "result sources" });
  for (const source of sources) {
    const layer = byName.get(source.layer);
    const map = layer.maps > 1 ? ` ${channelName(layer, source.channel)}` : "";
    const label = `${source.layer}${map} at ${source.at.join(", ")}`;
    table.append(rowElement(label, numberText(unitValue(source)), ""));
  }
  return table;
}

/** The largest values with their exponentials and shares, and the one of the unit. */
function shareTable({ values, channel, largest, exponentials, total, isLog }, layer) {
  const order = values.map((_, index) => index).sort((a, b) => values[b] - values[a]);
  const listed = order.filter((index, rank) => rank < LISTED_SHARES || index === channel);
  const heads = ["map", "z", `exp(z − ${numberText(largest)})`, isLog ? "log of share" : "share"];
  const table = element("table", { class: "shares" });
  table.append(element("tr", {}, ...heads.map((text) => element("th", { scope: "col", text }))));
  for (const index of listed) {
    const share = isLog ? values[index] - largest - Math.log(total) : exponentials[index] / total;
    const texts = [values[index], exponentials[index], share].map((value) => numberText(value));
    const name = element("th", { scope: "row", text: channelName(layer, index) });
    const cells = texts.map((text) => element("td", { text }));
    table.append(element("tr", { class: index === channel ? "best" : "" }, name, ...cells));
  }
  const more = values.length - listed.length;
  const label = `total${more ? `, with ${more} more` : ""}`;
  const sum = [element("th", { scope: "row", text: label }), element("td"), element("td", { text: numberText(total) }), element("td")];
  table.append(element("tr", { class: "total" }, ...sum));
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
