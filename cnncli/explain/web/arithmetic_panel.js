"use strict";
// Why one output has its value: the pixels around the window, the window times the weights cell by
// cell, the sums, and what becomes of them.

const LISTED_SIDE = 15;
const LISTED_BLOCKS = 3;
const LISTED_CELLS = 75;
let telling = 0;

/** Show how the output at `state.at` comes about. */
function drawWhy() {
  const channel = outputChannel();
  const [row, col] = state.at;
  const known = shown.arithmetic.knows(row, col);
  const step = shown.arithmetic.step(channel, row, col);
  const value = known ? step.value : NaN;
  drawChannels();
  drawInputLens();
  drawOutputLens();
  const name = shown.picture.channels.length === 3 ? `, ${COLOURS[state.channel]}` : "";
  const headline = `Output at row ${row}, column ${col}${name}: ${known ? numberText(value) : "not known here"}`;
  byId("headline").textContent = headline;
  const sentence = known
    ? sentenceOf(step)
    : "It needs pixels of the image that are not in this page.";
  byId("sentence").textContent = sentence;
  byId("blocks").parentElement.classList.toggle("large", state.layer.kernel[1] > 3);
  byId("blocks").replaceChildren(...(known ? blockElements(step) : []));
  byId("result").replaceChildren(...(known ? [resultElement(step)] : []));
  byId("result").dataset.value = String(value);
  tell(`${headline}. ${sentence}`);
}

/** Say it to those who listen, once the window rests. */
function tell(text) {
  clearTimeout(telling);
  telling = setTimeout(() => {
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
      `The ${countText(all, "cell")} under the window${across}, each times the weight in its ` +
      `place, added up${step.bias ? ", plus the bias" : ""}` +
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
  const real = pads ? ` Padding (${countText(pads, "cell")}) never wins.` : "";
  if (mode === "average") {
    return `The sum of the window, ${numberText(step.sum)}, divided by ${step.divisor}.`;
  }
  if (mode === "lp") {
    return `The sum of |x| to the power ${numberText(p)}, and of that the root.`;
  }
  if (step.winner < 0) return "The window meets padding only: there is no value to choose.";
  const which = mode === "max" ? "largest" : "smallest";
  const tie = step.ties > 1 ? ` ${step.ties} cells tie; the first one gets the gradient.` : "";
  const where = winnerPlace(step);
  return (
    `The ${which} of ${countText(all - pads, "cell")}, at row ${where[0]}, column ${where[1]} ` +
    `of the input.${real}${tie}`
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
  const place = (row - outRows[0]) * outCols.length + col - outCols[0];
  const texts = channels.map((_, index) => `${COLOURS[index]} ${numberText(planes[index][place], 3)}`);
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
  const made = element("div", { class: "block" });
  const caption = state.input.channels === 1 ? "window" : `window, ${channelName(block.channel)}`;
  if (kh > LISTED_SIDE || kw > LISTED_SIDE) {
    made.append(element("p", { text: `${kh} × ${kw} cells are too many to list here.` }));
    return made;
  }
  const { range } = state.input;
  const grey = (value) => colourOf(levelOf(value, range), null);
  if (isPool) {
    const winner = (cell) => step.winner === cell.i * kw + cell.j;
    const showsWinner = ["max", "min"].includes(state.layer.mode);
    made.append(
      cellTable(caption, block, (cell) => poolText(cell), grey, showsWinner ? winner : null),
    );
    return made;
  }
  const weights = Math.max(...block.cells.map((cell) => Math.abs(cell.weight)), 1e-300);
  const products = Math.max(...block.cells.map((cell) => Math.abs(cell.product)), 1e-300);
  const signed = (value, most) =>
    colourOf(levelOf(Number.isFinite(value) ? value : 0, { kind: "symmetric", lo: -most, hi: most }), tables.diverging);
  made.append(
    cellTable(caption, block, (cell) => cell.value, grey, null),
    element("span", { class: "sign", text: "×" }),
    cellTable("weights", block, (cell) => cell.weight, (v) => signed(v, 1.5 * weights), null),
    element("span", { class: "sign", text: "=" }),
    cellTable("products", block, (cell) => cell.product, (v) => signed(v, 1.5 * products), null),
  );
  if (step.blocks.length > 1) {
    made.append(
      element("span", { class: "sign", text: "Σ" }),
      element("b", { class: "blocksum", text: numberText(block.sum) }),
    );
  }
  return made;
}

/** What a pool makes of a cell: pads hold nothing that could win. */
function poolText(cell) {
  const { mode, countIncludePad } = state.layer;
  if (!cell.pad) return cell.value;
  if (mode === "max" || mode === "min") return NaN;
  return mode === "average" && (cell.overhang || !countIncludePad) ? NaN : 0;
}

/** A table of the window's cells, each on its colour. */
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
    const [red, green, blue] = colour(Number.isNaN(value) ? 0 : value);
    box.style.backgroundColor = `rgb(${red} ${green} ${blue})`;
    box.style.color = 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#111" : "#fff";
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
      const [row, col] = winnerPlace(step);
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
    table.append(lineElement(label, numberText(value), kind));
  }
  const last = lineElement("output", numberText(step.value), "total value");
  table.append(last);
  return element("div", {}, table, shownElement(step.value));
}

/** The input cell that won a pool's window. */
function winnerPlace(step) {
  const { rows, cols } = shown.arithmetic.window;
  const [row, col] = windowStart();
  const tap = [Math.floor(step.winner / cols.kernel), step.winner % cols.kernel];
  return [row + tap[0] * rows.dilation, col + tap[1] * cols.dilation];
}

function lineElement(label, text, kind) {
  return element(
    "tr",
    { class: kind },
    element("th", { scope: "row", text: label }),
    element("td", { text }),
  );
}

/** How the value becomes a pixel. */
function shownElement(value) {
  const { range } = shown;
  const level = levelOf(value, range);
  const table = shown.picture.channels.length === 3 ? null : tables[state.colormap];
  const swatch = element("span", { class: "swatch" });
  swatch.style.backgroundColor = `rgb(${colourOf(level, table).join(" ")})`;
  const given = range.kind === "abs" ? Math.abs(value) : value;
  let text = `drawn as level ${level} of 255`;
  if (given < range.lo) text = `below ${numberText(range.lo)}, the range: drawn black`;
  if (given > range.hi) text = `above ${numberText(range.hi)}, the range: drawn white`;
  return element("p", { class: "drawn dim" }, swatch, text);
}

/** The cells [first, last) of an axis that a lens shows: some on both sides of a stretch. */
function lensSpan(start, extent) {
  const margin = Math.max(2, Math.ceil((9 - extent) / 2));
  return [start - margin, start + extent + margin];
}

/** As many pixels as the style gives a lens. */
function lensSize() {
  return parseFloat(getComputedStyle(byId("input-lens").parentElement).width) || 198;
}

function drawInputLens() {
  const { rows, cols } = shown.arithmetic.window;
  const [row, col] = windowStart();
  const canvas = byId("input-lens");
  const tooLarge = rows.extent > 64 || cols.extent > 64;
  canvas.parentElement.hidden = tooLarge;
  if (tooLarge) return;
  const [top, bottom] = lensSpan(row, rows.extent);
  const [left, right] = lensSpan(col, cols.extent);
  const [height, width] = [bottom - top, right - left];
  const cell = Math.max(1, Math.floor(lensSize() / Math.max(height, width)));
  const picture = cellPicture(height, width, (r, c) => inputColour(r + top, c + left));
  const context = prepareCanvas(canvas, width * cell, height * cell);
  const colours = themeColours();
  drawCells(context, picture, cell);
  hatchPads(context, [top, bottom, left, right], cell, colours);
  const box = [row - top, col - left, row - top + rows.extent, col - left + cols.extent];
  veilOutside(context, box, cell, width * cell, height * cell);
  outlineCells(context, box, cell, colours.window, colours.halo, 3);
  markTaps(context, row - top, col - left, cell, colours);
  const pads = shown.arithmetic
    .step(outputChannel(), ...state.at)
    .blocks[0].cells.some((each) => each.pad);
  const stretch = (from, to) => (to - from === 1 ? `${from}` : `${from} to ${to - 1}`);
  byId("input-lens-note").textContent =
    `Input rows ${stretch(row, row + rows.extent)}, columns ${stretch(col, col + cols.extent)}` +
    (pads ? "; hatched is padding" : "");
}

/** Dim what is around the window, so that the eye goes to it. */
function veilOutside(context, box, cell, width, height) {
  const [top, left, bottom, right] = box.map((edge) => edge * cell);
  context.save();
  // Only over what was drawn: beyond the padding there is nothing.
  context.globalCompositeOperation = "source-atop";
  context.fillStyle = "rgb(0 0 0 / 0.25)";
  context.beginPath();
  context.rect(0, 0, width, height);
  context.rect(left, top, right - left, bottom - top);
  context.fill("evenodd");
  context.restore();
}

const OUTPUT_LENS = 9;

function outputLensStart() {
  const half = (OUTPUT_LENS - 1) / 2;
  return [state.at[0] - half, state.at[1] - half];
}

function drawOutputLens() {
  const { outRows, outCols } = shown;
  const few = outRows.length < 3 && outCols.length < 3;
  byId("output-lens-figure").hidden = few;
  if (few) return;
  const [top, left] = outputLensStart();
  const cell = Math.floor(lensSize() / OUTPUT_LENS);
  const picture = cellPicture(OUTPUT_LENS, OUTPUT_LENS, (r, c) => outputColour(r + top, c + left));
  const size = OUTPUT_LENS * cell;
  const context = prepareCanvas(byId("output-lens"), size, size);
  const colours = themeColours();
  drawCells(context, picture, cell);
  const half = (OUTPUT_LENS - 1) / 2;
  const box = [half, half, half + 1, half + 1];
  outlineCells(context, box, cell, colours.window, colours.halo, 3);
  byId("output-lens-note").textContent = `The output around row ${state.at[0]}, column ${state.at[1]}`;
}

/** The output cell under a pointer on the output's lens. */
function lensCell(event) {
  const box = byId("output-lens").getBoundingClientRect();
  const [top, left] = outputLensStart();
  const row = Math.floor(((event.clientY - box.top) / box.height) * OUTPUT_LENS) + top;
  const col = Math.floor(((event.clientX - box.left) / box.width) * OUTPUT_LENS) + left;
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
