"use strict";
// Why one score of a network is higher than another, in numbers and words: the sums of their input channels side
// by side, and of each channel the unit that counts most. Nothing here touches the page.

/** The unit whose sums are compared: the score itself, or what a softmax of scores is made of. */
function comparedUnit(unit) {
  const layer = byName.get(unit.layer);
  if (!isSingle(layer) || layer.maps < 2) return null;
  if (layer.settings?.weights) return unit;
  const before = byName.get(layer.inputs[0]);
  const isShare = OVER_CHANNELS.includes(layer.settings?.activation);
  return isShare && before.settings?.weights && isSingle(before) ? { ...unit, layer: before.name } : null;
}

/** The sum of each input channel for two scores and the difference, largest first; null where the page lacks values. */
function scoreDifferences(unit, other) {
  const [ours, theirs] = [unit, { ...unit, channel: other }].map((each) => unitArithmetic(each).step);
  if (!ours || !theirs) return null;
  const sums = new Map(theirs.blocks.map(({ channel, sum }) => [channel, sum]));
  const rows = ours.blocks.map(({ channel, sum }) => ({ channel, ours: sum, theirs: sums.get(channel) ?? 0 }));
  return { rows: sortedBySize(rows, differenceOf), bias: [ours.bias, theirs.bias], total: [ours.total, theirs.total] };
}

function differenceOf({ ours, theirs }) {
  return ours - theirs;
}

/** By channel the unit whose products differ most between two scores, with what it adds to each: `ours` and `theirs`. */
function decidingUnits(unit, other) {
  const units = new Map();
  const add = (score, name) => {
    for (const { amount, ...source } of unitArithmetic({ ...unit, channel: score }).sources) {
      const key = unitKey(source);
      if (!units.has(key)) units.set(key, { ...source, ours: 0, theirs: 0 });
      units.get(key)[name] += amount;
    }
  };
  add(unit.channel, "ours");
  add(other, "theirs");
  const found = new Map();
  for (const source of sortedBySize([...units.values()], differenceOf)) {
    if (!found.has(source.channel)) found.set(source.channel, source);
  }
  return found;
}

const SIDES = { 2: ["top", "bottom"], 3: ["top", "", "bottom"] };
const ENDS = { 2: ["left", "right"], 3: ["left", "", "right"] };

/** Where a cell of a map is, in words: of a small map its corner or side; "" of a map of one cell. */
function cornerText([height, width], [row, col]) {
  if (height === 1 && width === 1) return "";
  if (height > 3 || width > 3) return `row ${row}, column ${col}`;
  const words = [SIDES[height]?.[row], ENDS[width]?.[col]].filter(Boolean);
  return words.join(" ") || "middle";
}

/**
 * Which score is higher and why, in lines: the maps whose sums differ most in favour of each. `names` are theirs;
 * `mapOf` tells of a row the map's `name`, and the `place` of the cell that counts most.
 */
function whyText({ rows, total }, names, mapOf) {
  const [ours, theirs] = total;
  const given = `${names[0]} has the score ${numberText(ours)}, ${names[1]} has ${numberText(theirs)}:`;
  if (!total.every(Number.isFinite)) return `${given} they cannot be compared.`;
  if (ours === theirs) return `${given} they are equal.`;
  const ahead = `${given} ${names[0]} ${ours > theirs ? "won" : "lost"} by ${numberText(Math.abs(ours - theirs))}.`;
  const most = [1, -1].map((sign) => rows.find((row) => sign * differenceOf(row) > 0));
  const order = ours > theirs ? [0, 1] : [1, 0];
  const told = order.filter((side) => most[side]).map((side) => {
    const row = most[side];
    const { name, place } = mapOf(row);
    const amounts = `${signedText(row.ours)} to ${names[0]} and ${signedText(row.theirs)} to ${names[1]}`;
    return `Largest difference for ${names[side]}: map ${name} gives ${amounts}${place && `, most of it at its ${place}`}.`;
  });
  return [ahead, ...told].join("\n");
}

/** What the unit of a map that decides adds to both scores: its value times two weights; "" where it adds nothing. */
function productsText({ ours, theirs }, value, names, place) {
  if (!value) return "";
  const [first, second] = [ours, theirs].map((amount) => `× ${numberText(amount / value, 3)} = ${signedText(amount)}`);
  const where = place ? `${place}: ` : "";
  return `${where}${numberText(value, 3)} ${first} for ${names[0]}, ${second} for ${names[1]}`;
}
