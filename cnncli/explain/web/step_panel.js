"use strict";
// The numbers of one value that a window makes, on both pages: the window times the weights cell by
// cell, the sums, and the result.
//
// `subject` is what is shown: the `arithmetic` of a layer (arithmetic.js), `at`, the output's row and
// column, its `channel` and its `step`; the values `drawn` in its cell, one for each colour; `block`, the index of
// the chosen input channel, `choose`, called with the index of another one, and `nameOf`, which names a channel;
// `paint(channel, value)`, the colour of an input value; of the output the `range`, and the `table` of its colours,
// or null for grey; `isSorted`, whether the sums of many channels are listed by size, not in their order; and
// `isHidden`, whether the quiz asks for the value: then neither it nor sums nor a winner are shown, nor the product that is
// `asked`, { source, i, j }.

const LISTED_SIDE = 15;
const LISTED_BLOCKS = 3;
const LISTED_CELLS = 75;

function countText(count, what) {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}

/** One sentence on how the value is made. */
function sentenceOf(subject) {
  const { step } = subject;
  const cells = step.blocks[0].cells;
  const pads = cells.filter((cell) => cell.pad).length;
  const all = cells.length;
  const { layer } = subject.arithmetic;
  let text = "";
  if (layer.op === "conv-transpose") return transposedSentence(step);
  if (layer.op === "pool") text = poolSentence(subject, all, pads);
  else {
    const across = step.blocks.length > 1 ? ` in each of ${step.blocks.length} channels` : "";
    text =
      `The ${countText(all, "cell")} under the window${across}, each times its weight, ` +
      `added up${step.bias ? ", plus the bias" : ""}` +
      `${layer.activation !== "none" ? `, through ${layer.activation}: ${ACTIVATIONS[layer.activation].formula}` : ""}.`;
    if (pads) {
      const what = layer.padMode === "zeros" ? numberText(layer.padValue) : "copied pixels";
      text += ` ${countText(pads, "cell")} of ${all} ${pads === 1 ? "is" : "are"} padding (${what}).`;
    }
  }
  return text;
}

function transposedSentence({ blocks, bias }) {
  const count = blocks[0].cells.length;
  const plus = bias ? ", plus the bias" : "";
  if (!count) return `No input cell adds to it: it is ${bias ? "the bias" : "0"}.`;
  const across = blocks.length > 1 ? ` of each of ${blocks.length} channels` : "";
  return count === 1
    ? `One input cell${across} adds to it: its value times its weight${plus}.`
    : `${count} input cells${across} add to it: each value times its weight, added up${plus}.`;
}

function poolSentence(subject, all, pads) {
  const { step } = subject;
  const { mode, p } = subject.arithmetic.layer;
  if (subject.isHidden) return `A window of ${countText(all, "cell")}${pads ? `, ${pads} of padding` : ""}.`;
  const padding = pads ? ` Padding (${countText(pads, "cell")}) never wins.` : "";
  if (mode === "average") {
    return `The sum of the window, ${numberText(step.sum)}, divided by ${step.divisor}.`;
  }
  if (mode === "lp") {
    return `The p-norm: the sum of |x| to the power ${numberText(p)}, and a root of the sum.`;
  }
  if (step.winner < 0) return "The window meets padding only: there is no value to choose.";
  if (Number.isNaN(step.value)) return "The window has a NaN, and so the result is NaN, whatever else is there.";
  const which = mode === "max" ? "largest" : "smallest";
  const tie = step.ties > 1 ? ` ${step.ties} cells tie; the first one gets the gradient.` : "";
  const [row, col] = winnerCell(subject);
  return (
    `The ${which} of ${countText(all - pads, "cell")}, at row ${row}, column ${col} ` +
    `of the input.${padding}${tie}`
  );
}

/** A list with those of largest magnitude first, as contributions are listed; NaN before all. */
function sortedBySize(list, amountOf) {
  const sizes = new Map(list.map((one) => [one, Math.abs(amountOf(one))]));
  const rankOf = (one) => (Number.isNaN(sizes.get(one)) ? Infinity : sizes.get(one));
  // Sums may be infinite, so they are compared, not subtracted.
  return [...list].sort((a, b) => (rankOf(b) > rankOf(a)) - (rankOf(b) < rankOf(a)));
}

/** The blocks of a step in the order in which they are listed. */
function listedBlocks({ step: { blocks }, isSorted }) {
  return isSorted && blocks.length > LISTED_BLOCKS ? sortedBySize(blocks, ({ sum }) => sum) : blocks;
}

/** The blocks of a step: all of a few channels; of many, their sums and the chosen one. */
function blockElements(subject) {
  const { blocks } = subject.step;
  if (!blocks[0].cells.length) return [];
  const few = blocks.length <= LISTED_BLOCKS && blocks.length * blocks[0].cells.length <= LISTED_CELLS;
  if (few || blocks.length === 1) return blocks.map((block) => blockElement(subject, block));
  const chosen = blocks[Math.min(subject.block, blocks.length - 1)];
  const most = Math.max(largestMagnitude([blocks.map((block) => block.sum)]), 1e-300);
  const bars = listedBlocks(subject).map((block) => {
    const bar = element("span", { class: block.sum < 0 ? "amount below" : "amount" });
    bar.style.width = `${Math.min(Math.abs(block.sum) / most, 1) * 100}%`;
    const button = element(
      "button",
      { type: "button", class: "sum", "aria-pressed": String(block === chosen) },
      element("span", { text: subject.nameOf(block.channel) }),
      element("b", { text: subject.isHidden ? "?" : numberText(block.sum, 3) }),
      ...(subject.isHidden ? [] : [bar]),
    );
    button.addEventListener("click", () => subject.choose(blocks.indexOf(block)));
    return button;
  });
  const list = element("div", { class: "sums", role: "group", "aria-label": "Sums of the channels" });
  list.append(...bars);
  startArrows(list);
  return [list, blockElement(subject, chosen)];
}

/** One input channel: window times weights is products; of a pool the window alone. */
function blockElement(subject, block) {
  const { step } = subject;
  const { layer, input } = subject.arithmetic;
  const isPool = layer.op === "pool";
  const [kh, kw] = layer.kernel;
  const row = element("div", { class: "block" });
  const read = layer.op === "conv-transpose" ? "input" : "window";
  const caption = input.channels === 1 ? read : `${read}, ${subject.nameOf(block.channel)}`;
  if (kh > LISTED_SIDE || kw > LISTED_SIDE) {
    row.append(element("p", { text: `${kh} × ${kw} cells are too many to list here.` }));
    return row;
  }
  const paint = (value) => subject.paint(block.channel, value);
  if (isPool) {
    const winner = (cell) => step.winner === cell.i * kw + cell.j;
    const showsWinner = ["max", "min"].includes(layer.mode) && !subject.isHidden;
    row.append(
      cellTable(caption, block, (cell) => poolText(layer, cell), paint, showsWinner ? winner : null),
    );
    return row;
  }
  const weights = largestMagnitude([block.cells.map((cell) => cell.weight)]) || 1;
  const products = largestMagnitude([block.cells.map((cell) => cell.product)]) || 1;
  const { asked } = subject;
  const isAsked = ({ i, j }) => asked?.source === block.channel && asked.i === i && asked.j === j;
  const signed = (value, most) => cellColour([value], { kind: "symmetric", lo: -most, hi: most }, tables.diverging);
  row.append(
    cellTable(caption, block, (cell) => cell.value, paint, null),
    element("span", { class: "sign", text: "×" }),
    cellTable("weights", block, (cell) => cell.weight, (v) => signed(v, 1.5 * weights), null),
    element("span", { class: "sign", text: "=" }),
    cellTable("products", block, (cell) => cell.product, (v) => signed(v, 1.5 * products), null, isAsked),
  );
  if (step.blocks.length > 1) {
    const sum = element("b", { class: "blocksum", text: subject.isHidden ? "?" : numberText(block.sum) });
    row.append(element("span", { class: "blocktotal" }, element("span", { class: "sign", text: "Σ" }), sum));
  }
  return row;
}

/** The number that a pool's table shows in a cell: padding has none that could win. */
function poolText({ mode, countIncludePad }, cell) {
  if (!cell.pad) return cell.value;
  if (mode === "max" || mode === "min") return NaN;
  return mode === "average" && (cell.overhang || !countIncludePad) ? NaN : 0;
}

/** A table of the window's cells, coloured by value; of one that is asked for nothing is shown. */
function cellTable(caption, block, valueOf, colour, marked, isAsked = () => false) {
  const kw = Math.max(...block.cells.map((cell) => cell.j)) + 1;
  const size = kw <= 3 ? "wide" : kw <= 5 ? "middling" : "narrow";
  const isWindow = caption.startsWith("window");
  const table = element("table", { class: `cells ${size}${isWindow ? " window" : ""}` }, element("caption", { text: caption }));
  let line = null;
  for (const cell of block.cells) {
    if (cell.j === 0) {
      line = element("tr");
      table.append(line);
    }
    const value = valueOf(cell);
    const isPad = cell.pad && isWindow;
    const isEmpty = isPad && Number.isNaN(value);
    const text = isAsked(cell) ? "?" : isEmpty ? "–" : numberText(value, cellDigits(kw));
    const box = element("td", { text, "data-tap": `${cell.i},${cell.j}` });
    if (!isAsked(cell)) setBackground(box, colour(isEmpty ? 0 : value));
    if (isPad) {
      box.className = "pad";
      box.append(element("span", { class: "hidden", text: " (padding)" }));
    }
    if (marked && marked(cell)) {
      box.classList.add("winner");
      box.append(element("span", { class: "hidden", text: " (wins)" }));
    }
    line.append(box);
  }
  return table;
}

/** Sums, bias, activation and value, line by line. */
function resultElement(subject) {
  const { step } = subject;
  const { layer } = subject.arithmetic;
  const lines = [];
  const add = (label, value, kind = "") => lines.push([label, value, kind]);
  if (layer.op === "pool") {
    const power = numberText(layer.p);
    if (layer.mode === "average") {
      add("sum", step.sum);
      add("÷ cells", step.divisor);
    } else if (step.winner >= 0 && layer.mode !== "lp" && !subject.isHidden) {
      const [row, col] = winnerCell(subject);
      lines.push([`row ${row}, column ${col}`, step.value, ""]);
    } else if (layer.mode === "lp" && Number.isFinite(layer.p)) add(`Σ |x|^${power}`, step.powers);
  } else {
    if (step.blocks.length > 1) {
      const blocks = listedBlocks(subject);
      for (const block of blocks.slice(0, LISTED_BLOCKS)) add(subject.nameOf(block.channel), block.sum);
      const more = blocks.slice(LISTED_BLOCKS);
      if (more.length) add(`${more.length} more`, more.reduce((sum, block) => sum + block.sum, 0));
    }
    add("sum", step.sum, step.blocks.length > 1 ? "total" : "");
    add("+ bias", step.bias);
    if (layer.activation !== "none") {
      add("=", step.total, "total");
      for (const [name, number] of activationSettings(layer, subject.channel)) add(name, number);
      add(layer.activation, step.value);
    }
  }
  const table = element("table", { class: "result" });
  const isGiven = (label) => !subject.isHidden || ["+ bias"].includes(label);
  for (const [label, value, kind] of lines) {
    table.append(rowElement(label, isGiven(label) ? numberText(value) : "?", kind));
  }
  const last = rowElement("output", subject.isHidden ? "?" : numberText(step.value), "total value");
  table.append(last);
  return element("div", {}, table, ...(subject.isHidden ? [] : [levelElement(subject, step.value)]));
}

/** The input cell that won a pool's window. */
function winnerCell({ arithmetic, at, step }) {
  const { rows, cols } = arithmetic.window;
  const [row, col] = arithmetic.windowStart(...at);
  const tap = [Math.floor(step.winner / cols.kernel), step.winner % cols.kernel];
  return [row + tap[0] * rows.dilation, col + tap[1] * cols.dilation];
}

function rowElement(label, text, kind) {
  return element(
    "tr",
    { class: kind },
    element("th", { scope: "row", text: label }),
    element("td", { text }),
  );
}

/** The level and colour at which the value is drawn. */
function levelElement({ range, table, drawn }, value) {
  const swatch = element("span", { class: "swatch" });
  const colour = drawn.every(Number.isFinite) ? cellColour([value], range, table) : NOT_FINITE;
  swatch.style.backgroundColor = `rgb(${colour.join(" ")})`;
  return element("p", { class: "drawn dim" }, swatch, levelText({ range, table, drawn }, value));
}

/** How the value is drawn, in words. Sheets draw what is not finite as cnncli/render/grey_levels.py has it. */
function levelText({ range, table, drawn }, value) {
  const { kind, lo, hi } = range;
  const size = kind === "abs" ? Math.abs(value) : value;
  const [low, high] = table ? ["blue", "red"] : ["black", "white"];
  if (!Number.isFinite(value)) {
    const what = Number.isNaN(value) ? "not a number" : "infinite";
    return `${what}: drawn in magenta, and as ${size > 0 ? high : low} on sheets of cnncli`;
  }
  if (!drawn.every(Number.isFinite)) return "drawn in magenta: another colour here is NaN or infinite";
  if (size < lo && lo < hi) return `below ${numberText(lo)}, where the range begins: drawn as ${low}`;
  if (size > hi && lo < hi) return `above ${numberText(hi)}, where the range ends: drawn as ${high}`;
  return `drawn as level ${levelOf(value, range)} of 255`;
}

