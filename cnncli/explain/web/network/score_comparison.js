"use strict";
// Why one score of a network is higher than another: the sums of their input channels side by side.

const LISTED_DIFFERENCES = 8;
const COMPARED_THUMB = 28;

/** What was compared last, { chosen, unit, other }: the chosen unit, and the channels of its two scores. */
let compared = null;

/** The unit whose sums are compared: the score itself, or what a softmax of scores is made of. */
function comparedUnit(unit) {
  const layer = byName.get(unit.layer);
  if (!isSingle(layer) || layer.maps < 2) return null;
  if (layer.arithmetic?.weights) return unit;
  const before = byName.get(layer.inputs[0]);
  const isShare = OVER_CHANNELS.includes(layer.arithmetic?.activation);
  return isShare && before.arithmetic?.weights && isSingle(before) ? { ...unit, layer: before.name } : null;
}

/** The sum of each input channel for two scores and the difference, largest first; null where the page lacks values. */
function scoreDifferences(unit, other) {
  const [ours, theirs] = [unit, { ...unit, channel: other }].map((each) => unitArithmetic(each).step);
  if (!ours || !theirs) return null;
  const sums = new Map(theirs.blocks.map(({ channel, sum }) => [channel, sum]));
  const rows = ours.blocks.map(({ channel, sum }) => ({ channel, ours: sum, theirs: sums.get(channel) ?? 0 }));
  return { rows: sortedBySize(rows, (row) => row.ours - row.theirs), bias: [ours.bias, theirs.bias], total: [ours.total, theirs.total] };
}

/** By channel the unit whose products differ most between two scores. */
function decidingUnits(unit, other) {
  const differences = new Map();
  const add = (score, sign) => {
    for (const source of unitArithmetic({ ...unit, channel: score }).sources) {
      const before = differences.get(keyOf(source))?.amount ?? 0;
      differences.set(keyOf(source), { ...source, amount: before + sign * source.amount });
    }
  };
  add(unit.channel, 1);
  add(other, -1);
  const found = new Map();
  for (const source of sortedBySize([...differences.values()], ({ amount }) => amount)) {
    if (!found.has(source.channel)) found.set(source.channel, source);
  }
  return found;
}

/** The score that is compared with: the chosen one, else the highest other one. */
function otherScore(layer, channel) {
  const isOther = (index) => index !== channel && index in layer.planes;
  if (state.against !== null && isOther(state.against)) return state.against;
  const scoreOf = (index) => (Number.isNaN(layer.planes[index][0]) ? -Infinity : layer.planes[index][0]);
  return layer.channels.filter(isOther).reduce((best, index) => (scoreOf(index) > scoreOf(best) ? index : best));
}

function startComparison() {
  byId("against").addEventListener("change", (event) => apply({ against: Number(event.target.value) }));
  byId("raise-other").addEventListener("click", () => {
    showWeights({ unit: { ...state.unit, map: Number(byId("against").value) }, against: state.unit.map });
  });
  byId("lower-own").addEventListener("click", () => showWeights({}));
  startArrows(byId("comparison-table"), () => 1, false);
  byId("to-comparison").addEventListener("click", () => {
    apply({ ...changesFor(compared.chosen), against: compared.other });
    byId("against").focus();
  });
}

/** Choose a unit of a map that the comparison lists; the button that has the focus then leads back. */
function leaveComparison(unit) {
  apply(changesFor(unit));
  byId("to-comparison").focus();
}

/** The two scores that were compared last, as units; none where they are not there. */
function comparedScores() {
  const layer = compared && byName.get(compared.unit.layer);
  if (!layer || layer.problem) return [];
  const scores = [compared.unit, { ...compared.unit, channel: compared.other }];
  return scores.every(({ channel }) => channel in layer.planes) ? scores : [];
}

/** The button that leads back to the scores that were compared last, while another unit is chosen. */
function drawWayBack() {
  const scores = comparedScores();
  const names = scores.map(({ layer, channel }) => channelName(byName.get(layer), channel));
  byId("to-comparison").hidden = !scores.length || !byId("comparison").hidden;
  byId("to-comparison").textContent = `Back to why ${names.join(" and not ")}`;
}

/** Compare the chosen score with another one, where the unit is a score. */
function drawComparison(chosen) {
  const unit = comparedUnit(chosen);
  const layer = unit && byName.get(unit.layer);
  const other = unit && otherScore(layer, unit.channel);
  const found = unit && scoreDifferences(unit, other);
  byId("comparison").hidden = !found;
  if (found) compared = { chosen, unit, other };
  drawWayBack();
  if (!found) return;
  const name = (channel) => channelName(layer, channel);
  const options = layer.channels.filter((channel) => channel !== unit.channel && channel in layer.planes);
  renew(byId("against"), ...options.map((value) => element("option", { value, text: name(value) })));
  byId("against").value = other;
  byId("why").textContent = `Why ${name(unit.channel)} and not`;
  byId("raising").hidden = !live;
  byId("raise-other").textContent = `for more of ${name(other)}`;
  byId("lower-own").textContent = `for less of ${name(unit.channel)}`;
  const [ours, theirs] = found.total;
  const more = `${numberText(Math.abs(ours - theirs))} ${ours >= theirs ? "more" : "less"}`;
  const told = found.total.every(Number.isFinite) ? more : "they cannot be compared";
  byId("comparison-text").textContent =
    `${layer.name}: ${name(unit.channel)} has ${numberText(ours)}, ${name(other)} has ${numberText(theirs)}: ` +
    `${told}. Where it comes from, by map of ${layer.inputs[0]}:`;
  replaceItems(byId("comparison-table"), comparisonRows(found, name(unit.channel), name(other)));
}

function comparisonRows({ rows, bias, total }, ourName, theirName) {
  const listed = rows.slice(0, LISTED_DIFFERENCES);
  const rest = rows.slice(LISTED_DIFFERENCES);
  const deciding = decidingUnits(compared.unit, compared.other);
  const lines = listed.map(({ channel, ours, theirs }) => [comparedMap(channel, deciding.get(channel)), ours, theirs]);
  const sum = (key) => rest.reduce((all, row) => all + row[key], 0);
  if (rest.length) lines.push([`${rest.length} more`, sum("ours"), sum("theirs")]);
  lines.push(["bias", ...bias], ["total", ...total]);
  const heads = ["map", ourName, theirName, "difference"].map((text) => element("th", { scope: "col", text }));
  return [
    element("tr", {}, ...heads),
    ...lines.map(([label, ours, theirs]) => {
      const cells = [ours, theirs, ours - theirs].map((value) => element("td", { text: numberText(value, 3) }));
      return element("tr", { class: label === "total" ? "total" : "" }, element("th", { scope: "row" }, label), ...cells);
    }),
  ];
}

/** The name of a map, and its picture: a button that chooses its unit with the most to say. */
function comparedMap(channel, deciding) {
  const source = byName.get(byName.get(compared.unit.layer).inputs[0]);
  const name = channelName(source, channel);
  if (!deciding) return name;
  const canvas = element("canvas", { "aria-hidden": "true" });
  const label = `Map ${name} of ${source.name}: choose its unit that counts most here`;
  const button = element("button", { type: "button", class: "compared", "data-key": channel, "aria-label": label, title: label }, canvas, name);
  button.addEventListener("click", () => leaveComparison(deciding));
  const index = pictureIndex(source, channel);
  sizeCanvas(canvas, source, COMPARED_THUMB);
  paintWhenSeen(canvas, () => drawLayerMap(canvas, source, index, COMPARED_THUMB));
  return button;
}
