"use strict";
// The numbers of one value that a window makes, on both pages: the window times the weights cell by
// cell, the sums, and the result.
//
// `subject` is what is shown: the `arithmetic` of a layer (arithmetic/layer.js), `at`, the output's row and
// column, its `channel` and its `step`; the values `drawn` in its cell, one for each colour; `block`, the index of
// the chosen input channel, `choose`, called with the index of another one, and `nameOf`, which names a channel;
// `paint(channel, value)`, the colour of an input value; of the output the `range`, and the `table` of its colours,
// or null for grey; `source`, the name of what it is made of, in a network; `isSorted`, whether the sums of
// many channels are listed by size, not in their order; and
// `isHidden`, whether the quiz asks for the value: then neither it nor sums nor a winner are shown, nor the product that is
// `asked`, { source, i, j }.

const LISTED_SIDE = 15;
const LISTED_BLOCKS = 3;
const LISTED_CELLS = 75;
/** Of so few products one sees without words which ones make the sum. */
const FEW_PRODUCTS = 4;

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
  const relu = subject.isHidden ? "" : reluText("It", layer.activation, step.total);
  if (layer.op === "conv-transpose") return transposedSentence(step) + relu;
  if (layer.op === "pool") return poolSentence(subject, all, pads);
  const across = step.blocks.length > 1 ? ` in each of ${step.blocks.length} channels` : "";
  let text =
    `The ${countText(all, "cell")} under the window${across}, each times its weight, ` +
    `added up${step.bias ? ", plus the bias" : ""}` +
    `${layer.activation !== "none" ? `, through ${layer.activation}: ${ACTIVATIONS[layer.activation].formula}` : ""}.`;
  if (pads) {
    const what = layer.padMode === "zeros" ? numberText(layer.padValue) : "copied pixels";
    text += ` ${countText(pads, "cell")} of ${all} ${pads === 1 ? "is" : "are"} padding (${what}).`;
  }
  return subject.isHidden ? text : text + signsText(step.blocks) + relu;
}

/** Why a value is 0 that relu makes of its sum, in words; "" of others. */
function reluText(name, activation, sum) {
  return activation === "relu" && sum < 0 ? ` ${name} is ${numberText(sum)} before relu: below 0, so relu makes it 0.` : "";
}

/** What the products of both signs add up to, in words; "" for few products or those of one sign. */
function signsText(blocks) {
  if (blocks.length * blocks[0].cells.length <= FEW_PRODUCTS) return "";
  let [above, below] = [0, 0];
  for (const { cells } of blocks) {
    for (const { product } of cells) {
      if (product > 0) above += product;
      else if (product < 0) below += product;
    }
  }
  if (!above || !below) return "";
  return ` Products above 0 give ${numberText(above)}, those below 0 give ${numberText(below)}.`;
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
    `of ${subject.source ?? "the input"}.${padding}${tie}`
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

/**
 * The blocks of a step: all of a few channels; of many, their sums and the chosen one. `box` has those of another
 * step: they are used again where they have room for the same.
 */
function blockElements(subject, box) {
  const { blocks } = subject.step;
  if (!blocks[0].cells.length) return [];
  const few = blocks.length <= LISTED_BLOCKS && blocks.length * blocks[0].cells.length <= LISTED_CELLS;
  const isAll = few || blocks.length === 1;
  const listed = isAll ? blocks : [blocks[Math.min(subject.block, blocks.length - 1)]];
  const before = box.querySelectorAll(".block");
  const elements = listed.map((block, index) => blockElement(subject, block, before[index]));
  return isAll ? elements : [sumsElement(subject, box.querySelector(".sums")), ...elements];
}

/** The sums of all channels, each with a bar: a button that chooses its block. */
function sumsElement(subject, before) {
  const { blocks } = subject.step;
  const chosen = blocks[Math.min(subject.block, blocks.length - 1)];
  const most = Math.max(largestMagnitude([blocks.map((block) => block.sum)]), 1e-300);
  const list = before?.children.length === blocks.length ? before : makeSums(subject, blocks.length);
  listedBlocks(subject).forEach((block, place) => {
    const button = list.children[place];
    const [name, number, bar] = button.children;
    button.dataset.block = blocks.indexOf(block);
    button.setAttribute("aria-pressed", String(block === chosen));
    setText(name, subject.nameOf(block.channel));
    setText(number, subject.isHidden ? "?" : numberText(block.sum, 3));
    bar.classList.toggle("below", block.sum < 0 && !subject.isHidden);
    bar.style.width = `${subject.isHidden ? 0 : Math.min(Math.abs(block.sum) / most, 1) * 100}%`;
  });
  return list;
}

function makeSums(subject, count) {
  const list = element("div", { class: "sums", role: "group", "aria-label": "Sums of the channels" });
  for (let place = 0; place < count; place += 1) {
    const parts = [element("span"), element("b"), element("span", { class: "amount" })];
    const button = element("button", { type: "button", class: "sum" }, ...parts);
    button.addEventListener("click", () => subject.choose(Number(button.dataset.block)));
    list.append(button);
  }
  startArrows(list);
  return list;
}

/**
 * One input channel: window times weights is products; of a pool the window alone. `before` is the element of
 * another step: where it has the same tables, numbers and colours alone are changed.
 */
function blockElement(subject, block, before) {
  const { layer, input } = subject.arithmetic;
  const isPool = layer.op === "pool";
  const [kh, kw] = layer.kernel;
  if (kh > LISTED_SIDE || kw > LISTED_SIDE) {
    return element("div", { class: "block" }, element("p", { text: `${kh} × ${kw} cells are too many to list here.` }));
  }
  const read = layer.op === "conv-transpose" ? "input" : "window";
  const caption = input.channels === 1 ? read : `${read}, ${subject.nameOf(block.channel)}`;
  const captions = isPool ? [caption] : [caption, "weights", "products"];
  const { i, j } = block.cells[block.cells.length - 1];
  const hasSum = !isPool && subject.step.blocks.length > 1;
  const made = [read, captions.length, i, j, hasSum].join();
  const row = before?.dataset.made === made ? before : makeBlock(captions, [i + 1, j + 1], { isWindow: read === "window", hasSum });
  if (row !== before) row.dataset.made = made;
  const grids = row.querySelectorAll("table");
  setText(grids[0].caption, caption);
  const paint = (value) => subject.paint(block.channel, value);
  if (isPool) {
    const winner = ["max", "min"].includes(layer.mode) && !subject.isHidden ? subject.step.winner : -1;
    fillCells(grids[0], block, (cell) => poolText(layer, cell), paint, winner);
    return row;
  }
  fillCells(grids[0], block, (cell) => cell.value, paint);
  fillCells(grids[1], block, (cell) => cell.weight, signedColours(block, "weight"));
  fillCells(grids[2], block, (cell) => cell.product, signedColours(block, "product"), -1, askedCell(subject, block));
  if (hasSum) setText(row.querySelector(".blocksum"), subject.isHidden ? "?" : numberText(block.sum));
  return row;
}

/** The tables of a block, without numbers; the first of them may be a window on the input. */
function makeBlock(captions, size, { isWindow, hasSum }) {
  const row = element("div", { class: "block" });
  captions.forEach((caption, index) => {
    if (index) row.append(element("span", { class: "sign", text: ["×", "="][index - 1] }));
    row.append(cellTable(caption, size, isWindow && index === 0));
  });
  const sign = element("span", { class: "sign", text: "Σ" });
  if (hasSum) row.append(element("span", { class: "blocktotal" }, sign, element("b", { class: "blocksum" })));
  return row;
}

/** The colours of a block's weights or products: about 0, and none so dark as the ends of the table. */
function signedColours({ cells }, name) {
  const most = 1.5 * (largestMagnitude([cells.map((cell) => cell[name])]) || 1);
  return (value) => cellColour([value], { kind: "symmetric", lo: -most, hi: most }, tables.diverging);
}

/** The number that a pool's table shows in a cell: padding has none that could win. */
function poolText({ mode, countIncludePad }, cell) {
  if (!cell.pad) return cell.value;
  if (mode === "max" || mode === "min") return NaN;
  return mode === "average" && (cell.overhang || !countIncludePad) ? NaN : 0;
}

/** A table of a window's cells, without numbers. */
function cellTable(caption, [height, width], isWindow) {
  const size = width <= 3 ? "wide" : width <= 5 ? "middling" : "narrow";
  const table = element("table", { class: `cells ${size}${isWindow ? " window" : ""}` }, element("caption", { text: caption }));
  for (let i = 0; i < height; i += 1) {
    const cells = Array.from({ length: width }, (_, j) => element("td", { "data-tap": `${i},${j}` }));
    table.append(element("tr", {}, ...cells));
  }
  return table;
}

/** What is said of a cell beside its look. */
const SAID = { pad: " (padding)", winner: " (wins)" };

/** The cell of a block whose product the quiz asks for, as its place in reading order; -1 for none. */
function askedCell({ asked }, { channel, cells }) {
  return asked?.source === channel ? cells.findIndex(({ i, j }) => i === asked.i && j === asked.j) : -1;
}

/**
 * Write the numbers of a block into a table, coloured by value. One cell of a pool may be the `winner`, and of one that
 * is `asked` for nothing is shown.
 */
function fillCells(table, { cells }, valueOf, colour, winner = -1, asked = -1) {
  const isWindow = table.classList.contains("window");
  const digits = cellDigits(table.rows[0].cells.length);
  const boxes = table.querySelectorAll("td");
  cells.forEach((cell, index) => {
    const [box, value] = [boxes[index], valueOf(cell)];
    const isPad = cell.pad && isWindow;
    const isEmpty = isPad && Number.isNaN(value);
    const text = index === asked ? "?" : isEmpty ? "–" : numberText(value, digits);
    const kind = isPad ? "pad" : index === winner ? "winner" : "";
    if (box.dataset.kind !== kind) {
      box.dataset.kind = kind;
      for (const name of Object.keys(SAID)) box.classList.toggle(name, name === kind);
      box.replaceChildren("", ...(kind ? [element("span", { class: "hidden", text: SAID[kind] })] : []));
    }
    if (box.firstChild.data !== text) box.firstChild.data = text;
    if (index === asked) box.removeAttribute("style");
    else setBackground(box, colour(isEmpty ? 0 : value));
  });
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
  const isGiven = (label) => !subject.isHidden || label === "+ bias";
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
  swatch.style.backgroundColor = `rgb(${cellColour(drawn, range, table).join(" ")})`;
  return element("p", { class: "drawn dim" }, swatch, levelText({ range, table, drawn }, value));
}

/** How the value is drawn, in words. Sheets draw what is not finite as cnncli/render/grey_levels.py has it. */
function levelText({ range, table, drawn }, value) {
  const { kind, lo, hi } = range;
  const size = kind === "abs" ? Math.abs(value) : value;
  const isColour = drawn.length > 1;
  const [low, high] = table ? ["blue", "red"] : isColour ? ["no light", "full light"] : ["black", "white"];
  if (!Number.isFinite(value)) {
    const what = Number.isNaN(value) ? "not a number" : "infinite";
    return `${what}: drawn in magenta, and as ${size > 0 ? high : low} on sheets of cnncli`;
  }
  if (!drawn.every(Number.isFinite)) return "drawn in magenta: another colour here is NaN or infinite";
  if (size < lo && lo < hi) return `below ${numberText(lo)}, where the range begins: drawn as ${low}`;
  if (size > hi && lo < hi) return `above ${numberText(hi)}, where the range ends: drawn as ${high}`;
  if (!table) return `drawn as ${isColour ? "" : "grey "}level ${levelOf(value, range)}: 0 is ${low}, 255 ${high}${isColour ? " of this colour" : ""}`;
  if (lo === hi) return `drawn as ${kind === "symmetric" ? "white" : low}`;
  // The table is white in the middle of its range.
  const middle = (lo + hi) / 2;
  const share = Math.round((200 * Math.abs(size - middle)) / (hi - lo));
  const [name, end] = size < middle ? [low, lo] : [high, hi];
  return share ? `drawn ${share} % ${name}: ${numberText(middle)} is white, ${numberText(end)} ${name}` : `drawn as white: ${numberText(middle)} is white`;
}

