"use strict";
// The questions of the quiz on a network: which unit of the last layer is strongest, which map contributes
// most to a unit, the value of a unit with few inputs. Nothing here touches the page.

const QUIZ_LAYERS = 4;
const UNIT_TRIES = 30;
const MOST_OPTIONS = 6;
/** So much more than the next one the answer must be, to be told from it. */
const LEAST_LEAD = 1.2;
const WINDOW_OPS = ["conv", "dense", "pool"];
const FEW_INPUTS = ["activation", "add", "sub", "mul", "max", "min"];
const FEW_CHANNELS = 3;

/** The kinds of questions, each a function of a source of random numbers. */
function quizTopics() {
  const known = layers.filter(({ problem }) => !problem);
  const windows = known.filter((layer) => WINDOW_OPS.includes(layer.settings?.op));
  const pools = windows.filter((layer) => ["max", "min"].includes(layer.settings.mode));
  const few = windows.filter((layer) => layer.settings.op === "pool" || byName.get(layer.inputs[0]).shape[2] <= FEW_CHANNELS);
  const simple = known.filter((layer) => FEW_INPUTS.includes(layer.settings?.op));
  const sums = windows.filter((layer) => layer.settings.op !== "pool" && byName.get(layer.inputs[0]).pictures.length > 2);
  const onSome = (some, ask) => (random) => firstOf(pickSome(random, some, QUIZ_LAYERS), (layer) => ask(random, layer));
  const sizes = (random) => sizeQuestion(random, windows.length ? pickFrom(random, windows).settings : { op: "conv" });
  const topics = [
    [known.slice(-1), strongestQuestion],
    [sums, contributionQuestion],
    [[...few, ...simple], (random, layer) => (layer.settings.kernel ? unitQuestion(random, layer, valueQuestion) : simpleQuestion(random, layer))],
    [pools, (random, layer) => unitQuestion(random, layer, winnerQuestion)],
  ];
  return [...topics.filter(([some]) => some.length).map(([some, ask]) => onSome(some, ask)), sizes];
}

/** The first answer that is not null. */
function firstOf(list, ask) {
  for (const one of list) {
    const found = ask(one);
    if (found) return found;
  }
  return null;
}

/** Indices from the first to before the last. */
function indicesOf([first, last]) {
  return Array.from({ length: Math.max(0, last - first) }, (_, index) => first + index);
}

/** The channels of a layer whose maps are in the page. */
function shownChannels(layer) {
  return layer.pictures.flatMap(({ channels }) => channels);
}

/** A unit of a layer that is in the page, at random. */
function someUnit(random, layer) {
  const at = [layer.rows, layer.cols].map((span) => pickFrom(random, indicesOf(span)));
  return { layer: layer.name, channel: pickFrom(random, shownChannels(layer)), at };
}

/** Where a unit is, in words. */
function unitName({ layer: name, channel, at }) {
  const layer = byName.get(name);
  const map = layer.maps > 1 ? `, map ${channelName(layer, channel)}` : "";
  return isSingle(layer) ? `${name}${map}` : `${name}${map}, at row ${at[0]}, column ${at[1]}`;
}

/** The name of an input channel of a window. */
function inputName(source, channel) {
  return `${source.maps > 1 ? "map " : ""}${channelName(source, channel)}`;
}

/** A question of quiz/window.js on a unit of a layer with a window. */
function unitQuestion(random, layer, ask) {
  const { arithmetic, problem } = unitArithmetic(someUnit(random, layer));
  if (problem || !arithmetic) return null;
  const source = byName.get(layer.inputs[0]);
  const isHere = (channel) => arithmetic.sources(channel).channels.every((index) => index in source.planes);
  const channels = shownChannels(layer).filter(isHere);
  if (!channels.length) return null;
  const place = {
    arithmetic,
    rows: indicesOf(layer.rows),
    cols: indicesOf(layer.cols),
    channels,
    isSeen: (channel, at) => !unitArithmetic({ layer: layer.name, channel, at }).step,
    nameOf: (channel) => inputName(source, channel),
    nameOfOutput: (channel) => ` of ${layer.name}${layer.maps > 1 ? `, map ${channelName(layer, channel)}` : ""}`,
  };
  const question = ask(random, place);
  return question && { ...question, unit: { ...question.unit, layer: layer.name } };
}

/** The value of a unit that is made from one value of each of a few inputs. */
function simpleQuestion(random, layer) {
  const found = [];
  for (let tries = 0; tries < UNIT_TRIES; tries += 1) {
    const unit = someUnit(random, layer);
    const { problem, value, reads } = unitArithmetic(unit);
    if (problem || !reads || !Number.isFinite(value)) continue;
    const values = reads.map((read) => read.value);
    if (values.every(Number.isFinite) && values.some(Boolean)) found.push(simpleRecord(layer, unit, value, values));
  }
  // A wrong answer tells most where the usual mistakes lead to other numbers.
  const most = Math.max(...found.map(({ mistakes }) => mistakes.length));
  const telling = found.filter(({ mistakes }) => mistakes.length === most);
  return telling.length ? pickFrom(random, telling) : null;
}

function simpleRecord(layer, unit, value, values) {
  const { op, activation } = layer.settings;
  const tolerance = roundedUp((OWN_ROUNDING / 2) * Math.max(...values.map(Math.abs), Math.abs(value)));
  const texts = values.map((number) => numberText(number));
  const signs = { add: " + ", sub: " − ", mul: " × " };
  const lines = {
    activation: `${activation}(${texts[0]}) = ${numberText(value)}`,
    max: `max(${texts.join(", ")}) = ${numberText(value)}`,
    min: `min(${texts.join(", ")}) = ${numberText(value)}`,
  };
  return {
    topic: "value",
    control: "number",
    unit,
    text: `What is the value of ${unitName(unit)}?`,
    hint: exactText(tolerance),
    answers: [value],
    tolerance,
    mistakes: tellableMistakes(simpleMistakes(op, activation, values), value, tolerance),
    lines: [lines[op] ?? `${joinedText(texts, signs[op])} = ${numberText(value)}`],
  };
}

/** What usual mistakes make of some values: { text, value } each. */
function simpleMistakes(op, activation, values) {
  const sumOf = (list) => list.reduce((sum, value) => sum + value);
  const [first, ...others] = values;
  if (op === "activation") {
    return [
      { text: `This is the value before ${activation}.`, value: first },
      { text: `This is what ReLU makes of it; the layer has ${activation}.`, value: Math.max(first, 0) },
      { text: "The sign is the wrong way round.", value: -first },
    ];
  }
  const made = {
    add: ["the sum", sumOf(values)],
    sub: ["the first less the others", first - others.reduce((sum, value) => sum + value, 0)],
    mul: ["the product", values.reduce((product, value) => product * value)],
    max: ["the largest", Math.max(...values)],
    min: ["the smallest", Math.min(...values)],
  };
  const rule = made[op][0];
  const wrong = Object.entries(made).filter(([name]) => name !== op);
  const mistakes = wrong.map(([, [what, value]]) => ({ text: `This is ${what}; the layer takes ${rule}.`, value }));
  if (op === "sub") mistakes.push({ text: "This takes the first from the others; it is the other way round.", value: -made.sub[1] });
  if (op === "add" || op === "mul") {
    values.forEach((_, index) => {
      const rest = values.filter((__, other) => other !== index);
      const value = op === "add" ? sumOf(rest) : rest.reduce((product, number) => product * number);
      mistakes.push({ text: "This forgets an input.", value });
    });
  }
  return mistakes;
}

/** Which of some options is first by `amounts`; null where the first is not clear. */
function choiceOf(random, indices, amountOf, rank = 0) {
  const sizeOf = (index) => amountOf(index).size;
  if (!indices.every((index) => Number.isFinite(sizeOf(index)))) return null;
  const order = [...indices].sort((a, b) => sizeOf(b) - sizeOf(a));
  const around = [order[rank - 1], order[rank], order[rank + 1]].filter((index) => index !== undefined).map(sizeOf);
  const isClear = around.every((size, k) => !k || isLess(size, around[k - 1]));
  if (order.length < rank + 2 || !isClear) return null;
  const answer = order[rank];
  const kept = [answer, ...pickSome(random, order.filter((index) => index !== answer), MOST_OPTIONS - 1)];
  return { answer, order, kept: kept.sort((a, b) => a - b) };
}

/** Whether a number is clearly less than another. */
function isLess(size, than) {
  return size < than && (than <= 0 || than >= LEAST_LEAD * size);
}

/** Which map of the last layer has the strongest unit, or the second strongest. */
function strongestQuestion(random, layer) {
  const amounts = layer.pictures.map(({ notFinite }, index) => ({ size: notFinite ? NaN : strengthOf(layer, index) }));
  const rank = layer.pictures.length > 3 ? pickFrom(random, [0, 0, 1]) : 0;
  const choice = choiceOf(random, [...amounts.keys()], (index) => amounts[index], rank);
  if (!choice) return null;
  const { answer, order, kept } = choice;
  const nameOf = (index) => mapName(layer.pictures[index]);
  const textOf = (index) => numberText(amounts[index].size, 3);
  const wrong = kept.filter((index) => index !== answer);
  const what = rank ? "second strongest" : "strongest";
  return {
    topic: "strongest",
    control: "choice",
    text: `Which map of the last layer, ${layer.name}, has the ${what} unit for this input?`,
    hint: rank ? "One map has a stronger one." : "",
    options: kept.map((index) => `map ${nameOf(index)}`),
    answers: [kept.indexOf(answer)],
    tolerance: 0,
    mistakes: wrong.map((index) => ({
      answers: [kept.indexOf(index)],
      text: `Map ${nameOf(index)} has ${textOf(index)}, map ${nameOf(answer)} has ${textOf(answer)}.`,
    })),
    lines: order.slice(0, 3).map((index, place) => `${place + 1}. map ${nameOf(index)}: ${textOf(index)}`),
  };
}

/** Which map of the layer before contributes most to a unit. */
function contributionQuestion(random, layer) {
  const source = byName.get(layer.inputs[0]);
  for (let tries = 0; tries < UNIT_TRIES; tries += 1) {
    const unit = someUnit(random, layer);
    const made = unitArithmetic(unit);
    if (made.problem || !made.step) continue;
    const shares = channelAmounts(made, source.name);
    const indices = [...source.pictures.keys()].filter((index) => source.pictures[index].channels.some((channel) => shares.has(channel)));
    const amounts = new Map(indices.map((index) => [index, mapAmount(source, index, shares, made)]));
    const choice = indices.length > 2 && choiceOf(random, indices, (index) => amounts.get(index));
    if (choice) return contributionRecord(source, unit, amounts, choice);
  }
  return null;
}

/** What a map contributes, and what its window holds. */
function mapAmount(source, index, shares, { step }) {
  const { channels } = source.pictures[index];
  const amount = channels.reduce((sum, channel) => sum + (shares.get(channel) ?? 0), 0);
  const cells = step.blocks.filter(({ channel }) => channels.includes(channel)).flatMap((block) => block.cells);
  const held = cells.reduce((sum, { value }) => sum + Math.abs(value), 0);
  return { amount, size: Math.abs(amount), held };
}

function contributionRecord(source, unit, amounts, { answer, order, kept }) {
  const nameOf = (index) => mapName(source.pictures[index]);
  const amountText = (index) => {
    const { amount } = amounts.get(index);
    return `${amount > 0 ? "+" : ""}${numberText(amount, 3)}`;
  };
  const most = (keyOf) => kept.reduce((best, index) => (keyOf(amounts.get(index)) > keyOf(amounts.get(best)) ? index : best));
  const [fullest, largest] = [most(({ held }) => held), most(({ amount }) => amount)];
  const textOf = (index) => {
    const both = `map ${nameOf(index)} contributes ${amountText(index)}, map ${nameOf(answer)} ${amountText(answer)}`;
    if (index === largest && amounts.get(answer).amount < 0) return `What is taken away counts too: ${both}.`;
    if (index === fullest) return `Its values are the largest, but not its products with the weights: ${both}.`;
    return `${both[0].toUpperCase()}${both.slice(1)}.`;
  };
  return {
    topic: "contribution",
    control: "choice",
    unit,
    source: source.name,
    maps: kept,
    text: `Which of these maps of ${source.name} contributes most to ${unitName(unit)}, by adding or by taking away?`,
    hint: "The sum of its products counts, whatever its sign.",
    options: kept.map((index) => `map ${nameOf(index)}`),
    answers: [kept.indexOf(answer)],
    tolerance: 0,
    mistakes: kept.filter((index) => index !== answer).map((index) => ({ answers: [kept.indexOf(index)], text: textOf(index) })),
    lines: order.filter((index) => kept.includes(index)).map((index) => `map ${nameOf(index)}: ${amountText(index)}`),
  };
}
