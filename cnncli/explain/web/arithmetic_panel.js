"use strict";
// The panel on the arithmetic of one output: close-ups of the pixels around it, the window times
// the weights cell by cell, the sums, and the result.

const LISTED_SIDE = 15;
const LISTED_BLOCKS = 3;
const LISTED_CELLS = 75;
let announceTimer = 0;

/** Show how the output at `state.at` is computed. */
function drawArithmetic() {
  const channel = outputChannel();
  const [row, col] = state.at;
  const known = shown.arithmetic.knows(row, col);
  const step = shown.arithmetic.step(channel, row, col);
  const value = known ? step.value : NaN;
  drawChannels();
  drawInputCloseup();
  drawOutputCloseup();
  const name = shown.picture.channels.length === 3 ? `, ${COLOURS[state.channel]}` : "";
  const headline = `Output at row ${row}, column ${col}${name}: ${known ? numberText(value) : "not known here"}`;
  byId("headline").textContent = headline;
  const sentence = known
    ? sentenceOf(step)
    : "It needs pixels of the image that this page does not hold.";
  byId("sentence").textContent = sentence;
  byId("blocks").parentElement.classList.toggle("large", state.layer.kernel[1] > 3 || step.blocks.length > 1);
  byId("blocks").replaceChildren(...(known ? blockElements(step) : []));
  byId("result").replaceChildren(...(known ? [resultElement(step)] : []));
  byId("result").dataset.value = String(value);
  announce(`${headline}. ${sentence}`);
}

/** Announce a text to screen readers, once the window stays where it is. */
function announce(text) {
  clearTimeout(announceTimer);
  announceTimer = setTimeout(() => {
    byId("live").textContent = text;
  }, 500);
}

function countText(count, what) {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}

/** One sentence on how the value is made. */
function sentenceOf(step) {
  const cells = step.blocks[0].cells;
  const pads = cells.filter((cell) => cell.pad).length;
  const all = cells.length;
  const { layer } = state;
  let text = "";
  if (layer.op === "pool") text = poolSentence(step, all, pads);
  else {
    const across = step.blocks.length > 1 ? ` in each of ${step.blocks.length} channels` : "";
    text =
      `The ${countText(all, "cell")} under the window${across}, each times its weight, ` +
      `added up${step.bias ? ", plus the bias" : ""}` +
      `${layer.activation !== "none" ? `, through ${layer.activation}` : ""}.`;
    if (pads) {
      const what = layer.padMode === "zeros" ? numberText(layer.padValue) : "copied pixels";
      text += ` ${countText(pads, "cell")} of ${all} ${pads === 1 ? "is" : "are"} padding (${what}).`;
    }
  }
  return text;
}

function poolSentence(step, all, pads) {
  const { mode, p } = state.layer;
  const padding = pads ? ` Padding (${countText(pads, "cell")}) never wins.` : "";
  if (mode === "average") {
    return `The sum of the window, ${numberText(step.sum)}, divided by ${step.divisor}.`;
  }
  if (mode === "lp") {
    return `The p-norm: the sum of |x| to the power ${numberText(p)}, and a root of the sum.`;
  }
  if (step.winner < 0) return "The window meets padding only: there is no value to choose.";
  const which = mode === "max" ? "largest" : "smallest";
  const tie = step.ties > 1 ? ` ${step.ties} cells tie; the first one gets the gradient.` : "";
  const [row, col] = winnerCell(step);
  return (
    `The ${which} of ${countText(all - pads, "cell")}, at row ${row}, column ${col} ` +
    `of the input.${padding}${tie}`
  );
}

/** For a colour picture a button for each channel, with its value. */
function drawChannels() {
  const { channels } = shown.picture;
  const bar = byId("channels");
  bar.hidden = channels.length === 1;
  if (bar.hidden) return;
  const [row, col] = state.at;
  const { outRows, outCols, planes } = shown;
  const index = (row - outRows[0]) * outCols.length + col - outCols[0];
  const texts = channels.map((_, k) => `${COLOURS[k]} ${numberText(planes[k][index], 3)}`);
  if (bar.children.length !== channels.length) {
    bar.replaceChildren(
      ...channels.map((_, index) => {
        const button = element("button", { type: "button", class: `tab ${COLOURS[index]}` });
        button.addEventListener("click", () => apply({ channel: index }));
        return button;
      }),
    );
  }
  texts.forEach((text, index) => {
    bar.children[index].textContent = text;
    bar.children[index].setAttribute("aria-pressed", String(index === state.channel));
  });
}

/** The blocks of a step: all of a few channels; of many, their sums and the chosen one. */
function blockElements(step) {
  const { blocks } = step;
  const few = blocks.length <= LISTED_BLOCKS && blocks.length * blocks[0].cells.length <= LISTED_CELLS;
  if (few || blocks.length === 1) return blocks.map((block) => blockElement(block, step));
  const chosen = Math.min(state.block, blocks.length - 1);
  const most = Math.max(...blocks.map((block) => Math.abs(block.sum)), 1e-300);
  const bars = blocks.map((block, index) => {
    const bar = element("span", { class: block.sum < 0 ? "amount below" : "amount" });
    bar.style.width = `${(Math.abs(block.sum) / most) * 100}%`;
    const button = element(
      "button",
      { type: "button", class: "sum", "aria-pressed": String(index === chosen) },
      element("span", { text: channelName(block.channel) }),
      element("b", { text: numberText(block.sum, 3) }),
      bar,
    );
    button.addEventListener("click", () => apply({ block: index }));
    return button;
  });
  const list = element("div", { class: "sums", role: "group", "aria-label": "Sums of the channels" });
  list.append(...bars);
  return [list, blockElement(blocks[chosen], step)];
}

/** One input channel: window times weights is products; of a pool the window alone. */
function blockElement(block, step) {
  const isPool = state.layer.op === "pool";
  const [kh, kw] = state.layer.kernel;
  const row = element("div", { class: "block" });
  const caption = state.input.channels === 1 ? "window" : `window, ${channelName(block.channel)}`;
  if (kh > LISTED_SIDE || kw > LISTED_SIDE) {
    row.append(element("p", { text: `${kh} × ${kw} cells are too many to list here.` }));
    return row;
  }
  const { range } = state.input;
  const grey = (value) => cellColour([value], range, null);
  if (isPool) {
    const winner = (cell) => step.winner === cell.i * kw + cell.j;
    const showsWinner = ["max", "min"].includes(state.layer.mode);
    row.append(
      cellTable(caption, block, (cell) => poolText(cell), grey, showsWinner ? winner : null),
    );
    return row;
  }
  const weights = Math.max(...block.cells.map((cell) => Math.abs(cell.weight)), 1e-300);
  const products = Math.max(...block.cells.map((cell) => Math.abs(cell.product)), 1e-300);
  const signed = (value, most) =>
    colourOf(levelOf(Number.isFinite(value) ? value : 0, { kind: "symmetric", lo: -most, hi: most }), tables.diverging);
  row.append(
    cellTable(caption, block, (cell) => cell.value, grey, null),
    element("span", { class: "sign", text: "×" }),
    cellTable("weights", block, (cell) => cell.weight, (v) => signed(v, 1.5 * weights), null),
    element("span", { class: "sign", text: "=" }),
    cellTable("products", block, (cell) => cell.product, (v) => signed(v, 1.5 * products), null),
  );
  if (step.blocks.length > 1) {
    row.append(
      element("span", { class: "sign", text: "Σ" }),
      element("b", { class: "blocksum", text: numberText(block.sum) }),
    );
  }
  return row;
}

/** The number that a pool's table shows in a cell: padding has none that could win. */
function poolText(cell) {
  const { mode, countIncludePad } = state.layer;
  if (!cell.pad) return cell.value;
  if (mode === "max" || mode === "min") return NaN;
  return mode === "average" && (cell.overhang || !countIncludePad) ? NaN : 0;
}

/** A table of the window's cells, coloured by value. */
function cellTable(caption, block, valueOf, colour, marked) {
  const kw = state.layer.kernel[1];
  const size = kw <= 3 ? "wide" : kw <= 5 ? "middling" : "narrow";
  const table = element("table", { class: `cells ${size}` }, element("caption", { text: caption }));
  let line = null;
  for (const cell of block.cells) {
    if (cell.j === 0) {
      line = element("tr");
      table.append(line);
    }
    const value = valueOf(cell);
    const isPad = cell.pad && caption.startsWith("window");
    const text = isPad && Number.isNaN(value) ? "–" : numberText(value, kw <= 5 ? 3 : 2);
    const box = element("td", { text, "data-tap": `${cell.i},${cell.j}` });
    setBackground(box, colour(Number.isNaN(value) ? 0 : value));
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
function resultElement(step) {
  const { layer } = state;
  const lines = [];
  const add = (label, value, kind = "") => lines.push([label, value, kind]);
  if (layer.op === "pool") {
    const power = numberText(layer.p);
    if (layer.mode === "average") {
      add("sum", step.sum);
      add("÷ cells", step.divisor);
    } else if (step.winner >= 0 && layer.mode !== "lp") {
      const [row, col] = winnerCell(step);
      lines.push([`row ${row}, column ${col}`, step.value, ""]);
    } else if (layer.mode === "lp" && Number.isFinite(layer.p)) add(`Σ |x|^${power}`, step.powers);
  } else {
    if (step.blocks.length > 1) {
      for (const block of step.blocks.slice(0, LISTED_BLOCKS)) {
        add(channelName(block.channel), block.sum);
      }
      const more = step.blocks.length - LISTED_BLOCKS;
      if (more > 0) {
        const rest = step.blocks.slice(LISTED_BLOCKS).reduce((sum, block) => sum + block.sum, 0);
        add(`${more} more`, rest);
      }
    }
    add("sum", step.sum, step.blocks.length > 1 ? "total" : "");
    add("+ bias", step.bias);
    if (layer.activation !== "none") {
      add("=", step.total, "total");
      add(layer.activation, step.value);
    }
  }
  const table = element("table", { class: "result" });
  for (const [label, value, kind] of lines) {
    table.append(rowElement(label, numberText(value), kind));
  }
  const last = rowElement("output", numberText(step.value), "total value");
  table.append(last);
  return element("div", {}, table, levelElement(step.value));
}

/** The input cell that won a pool's window. */
function winnerCell(step) {
  const { rows, cols } = shown.arithmetic.window;
  const [row, col] = windowStart();
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
function levelElement(value) {
  const { range } = shown;
  const level = levelOf(value, range);
  const table = shown.picture.channels.length === 3 ? null : tables[state.colormap];
  const swatch = element("span", { class: "swatch" });
  swatch.style.backgroundColor = `rgb(${colourOf(level, table).join(" ")})`;
  const drawn = range.kind === "abs" ? Math.abs(value) : value;
  let text = `drawn as level ${level} of 255`;
  if (drawn < range.lo) text = `below ${numberText(range.lo)}, where the range begins: drawn black`;
  if (drawn > range.hi) text = `above ${numberText(range.hi)}, where the range ends: drawn white`;
  return element("p", { class: "drawn dim" }, swatch, text);
}

/** The cells [first, last) of an axis in a close-up: the window and some on both sides. */
function closeupSpan(start, extent) {
  const margin = Math.max(2, Math.ceil((9 - extent) / 2));
  return [start - margin, start + extent + margin];
}

/** The width of a close-up in pixels, by the style. */
function closeupSize() {
  return parseFloat(getComputedStyle(byId("input-closeup").parentElement).width) || 198;
}

function drawInputCloseup() {
  const { rows, cols } = shown.arithmetic.window;
  const [row, col] = windowStart();
  const canvas = byId("input-closeup");
  const tooLarge = rows.extent > 64 || cols.extent > 64;
  canvas.parentElement.hidden = tooLarge;
  if (tooLarge) return;
  const [top, bottom] = closeupSpan(row, rows.extent);
  const [left, right] = closeupSpan(col, cols.extent);
  const [height, width] = [bottom - top, right - left];
  const cell = Math.max(1, Math.floor(closeupSize() / Math.max(height, width)));
  const picture = cellPicture(height, width, (r, c) => inputColour(r + top, c + left));
  const context = prepareCanvas(canvas, width * cell, height * cell);
  const colours = themeColours();
  drawCells(context, picture, cell);
  hatchPads(context, [top, bottom, left, right], cell, colours);
  const box = [row - top, col - left, row - top + rows.extent, col - left + cols.extent];
  dimOutside(context, box, cell, width * cell, height * cell);
  outlineCells(context, box, cell, colours.window, colours.halo, 3);
  markTaps(context, row - top, col - left, cell, colours);
  const pads = shown.arithmetic
    .step(outputChannel(), ...state.at)
    .blocks[0].cells.some((windowCell) => windowCell.pad);
  const rangeText = (from, to) => (to - from === 1 ? `${from}` : `${from} to ${to - 1}`);
  byId("input-closeup-note").textContent =
    `Input rows ${rangeText(row, row + rows.extent)}, columns ${rangeText(col, col + cols.extent)}` +
    (pads ? "; hatched is padding" : "");
}

/** Dim the cells around the window. */
function dimOutside(context, box, cell, width, height) {
  const [top, left, bottom, right] = box.map((edge) => edge * cell);
  context.save();
  // Only over what was drawn: beyond the padding the canvas is empty.
  context.globalCompositeOperation = "source-atop";
  context.fillStyle = "rgb(0 0 0 / 0.25)";
  context.beginPath();
  context.rect(0, 0, width, height);
  context.rect(left, top, right - left, bottom - top);
  context.fill("evenodd");
  context.restore();
}

const OUTPUT_CLOSEUP = 9;

function outputCloseupStart() {
  const half = (OUTPUT_CLOSEUP - 1) / 2;
  return [state.at[0] - half, state.at[1] - half];
}

function drawOutputCloseup() {
  const { outRows, outCols } = shown;
  const isSmall = outRows.length < 3 && outCols.length < 3;
  byId("output-closeup-figure").hidden = isSmall;
  if (isSmall) return;
  const [top, left] = outputCloseupStart();
  const cell = Math.floor(closeupSize() / OUTPUT_CLOSEUP);
  const picture = cellPicture(OUTPUT_CLOSEUP, OUTPUT_CLOSEUP, (r, c) => outputColour(r + top, c + left));
  const size = OUTPUT_CLOSEUP * cell;
  const context = prepareCanvas(byId("output-closeup"), size, size);
  const colours = themeColours();
  drawCells(context, picture, cell);
  const half = (OUTPUT_CLOSEUP - 1) / 2;
  const box = [half, half, half + 1, half + 1];
  outlineCells(context, box, cell, colours.window, colours.halo, 3);
  byId("output-closeup-note").textContent = `The output around row ${state.at[0]}, column ${state.at[1]}`;
}

/** The output cell under a pointer on the output's close-up. */
function closeupCell(event) {
  const box = byId("output-closeup").getBoundingClientRect();
  const [top, left] = outputCloseupStart();
  const row = Math.floor(((event.clientY - box.top) / box.height) * OUTPUT_CLOSEUP) + top;
  const col = Math.floor(((event.clientX - box.left) / box.width) * OUTPUT_CLOSEUP) + left;
  return outputColour(row, col) ? [row, col] : null;
}

/** Pointing at a cell of one table marks the same tap in all of them. */
function startTaps() {
  const blocks = byId("blocks");
  const mark = (tap) => {
    for (const cell of blocks.querySelectorAll("td")) {
      cell.classList.toggle("tap", cell.dataset.tap === tap);
    }
  };
  blocks.addEventListener("pointerover", (event) => mark(event.target.dataset.tap || ""));
  blocks.addEventListener("pointerleave", () => mark(""));
}
