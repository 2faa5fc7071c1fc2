"use strict";
// Why one score of a network is higher than another: the sums of their input channels side by side.

const LISTED_DIFFERENCES = 8;

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
}

/** Compare the chosen score with another one, where the unit is a score. */
function drawComparison(chosen) {
  const unit = comparedUnit(chosen);
  const layer = unit && byName.get(unit.layer);
  const other = unit && otherScore(layer, unit.channel);
  const found = unit && scoreDifferences(unit, other);
  byId("comparison").hidden = !found;
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
  renew(byId("comparison-table"), ...comparisonRows(found, byName.get(layer.inputs[0]), name(unit.channel), name(other)));
}

function comparisonRows({ rows, bias, total }, source, ourName, theirName) {
  const listed = rows.slice(0, LISTED_DIFFERENCES);
  const rest = rows.slice(LISTED_DIFFERENCES);
  const lines = listed.map(({ channel, ours, theirs }) => [channelName(source, channel), ours, theirs]);
  const sum = (key) => rest.reduce((all, row) => all + row[key], 0);
  if (rest.length) lines.push([`${rest.length} more`, sum("ours"), sum("theirs")]);
  lines.push(["bias", ...bias], ["total", ...total]);
  const heads = ["map", ourName, theirName, "difference"].map((text) => element("th", { scope: "col", text }));
  return [
    element("tr", {}, ...heads),
    ...lines.map(([label, ours, theirs]) => {
      const cells = [ours, theirs, ours - theirs].map((value) => element("td", { text: numberText(value, 3) }));
      return element("tr", { class: label === "total" ? "total" : "" }, element("th", { scope: "row", text: label }), ...cells);
    }),
  ];
}
