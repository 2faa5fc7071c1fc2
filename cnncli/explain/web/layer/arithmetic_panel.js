"use strict";
// The panel on the arithmetic of one output of the layer: close-ups of the pixels around it, and its
// numbers, which shared/step_panel.js writes.

/** Show how the output at `state.at` is computed. */
function drawArithmetic() {
  const channel = outputChannel();
  const [row, col] = state.at;
  const known = shown.arithmetic.knows(row, col);
  const subject = subjectOf(shown.arithmetic.step(channel, row, col));
  const { step } = subject;
  const isHidden = Boolean(hiddenUnit());
  const valueText = (value) => (isHidden ? "?" : numberText(value));
  // Asked before anything is written: asking later has the page laid out once more.
  const size = closeupSize();
  drawChannels();
  drawInputCloseup(size);
  drawOutputCloseup(size);
  const name = shown.picture.channels.length === 3 ? `, ${COLOURS[state.channel]}` : "";
  const headline = `Output at row ${row}, column ${col}${name}: ${known ? valueText(step.value) : "not known here"}`;
  setText(byId("headline"), headline);
  const sentence = known
    ? sentenceOf(subject)
    : "It needs pixels of the image that this page does not hold.";
  setText(byId("sentence"), sentence);
  const { classList } = byId("blocks").parentElement;
  classList.toggle("large", state.layer.kernel[1] > 3 || step.blocks.length > 1);
  classList.toggle("tall", state.layer.kernel[1] > MOST_BESIDE);
  replaceBlocks(byId("blocks"), known ? blockElements(subject, byId("blocks")) : []);
  for (const block of byId("blocks").children) blockSizes.observe(block);
  renew(byId("result"), ...(known ? [resultElement(subject)] : []));
  byId("result").dataset.value = isHidden ? "" : String(known ? step.value : NaN);
  // What was said of the output that the quiz asks for must not stay.
  if (isHidden) byId("live").textContent = "";
  announce(`${headline}. ${sentence}`);
}

/** Tables of more columns do not fit beside each other. */
const MOST_BESIDE = 5;

/** Lets the tables fade where they go on beyond their panel. */
const blockSizes = new ResizeObserver(fadeBlocks);

function fadeBlocks() {
  const { scrollLeft, scrollWidth, clientWidth, classList } = byId("blocks");
  classList.toggle("cut", scrollWidth - scrollLeft - clientWidth > 1);
}

/** What shared/step_panel.js needs to know of the output that is shown. */
function subjectOf(step) {
  const { outRows, outCols, planes } = shown;
  const cell = (state.at[0] - outRows[0]) * outCols.length + state.at[1] - outCols[0];
  return {
    arithmetic: shown.arithmetic,
    at: state.at,
    channel: outputChannel(),
    step,
    isHidden: Boolean(hiddenUnit()),
    asked: hiddenUnit()?.asked,
    block: state.block,
    choose: (index) => apply({ block: index }),
    nameOf: channelName,
    range: shown.range,
    drawn: planes.map((plane) => plane[cell]),
    paint: (_, value) => cellColour([value], state.input.range, null),
    table: shown.picture.channels.length === 3 ? null : tables[state.colormap],
  };
}

/** For a colour picture a button for each channel, with its value. */
function drawChannels() {
  const { channels } = shown.picture;
  const bar = byId("channels");
  bar.hidden = channels.length === 1;
  if (bar.hidden) return;
  const [row, col] = state.at;
  const { outRows, outCols, planes } = shown;
  const cell = (row - outRows[0]) * outCols.length + col - outCols[0];
  const texts = channels.map((_, index) => `${COLOURS[index]} ${hiddenUnit() ? "?" : numberText(planes[index][cell], 3)}`);
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
  setTabStop(bar);
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

/** The input's cells in its close-up: [top, bottom, left, right]. */
function closeupRegion() {
  const { rows, cols } = shown.arithmetic.window;
  const [row, col] = windowStart();
  return [...closeupSpan(row, rows.extent), ...closeupSpan(col, cols.extent)];
}

/** The cells of the close-ups, one pixel each, on canvases that are used again. */
const closeupCells = { input: document.createElement("canvas"), output: document.createElement("canvas") };

function drawInputCloseup(size) {
  if (isTransposed) {
    drawStretchedCloseup(size);
    return;
  }
  const { rows, cols } = shown.arithmetic.window;
  const [row, col] = windowStart();
  const canvas = byId("input-closeup");
  const tooLarge = rows.extent > 64 || cols.extent > 64;
  canvas.parentElement.hidden = tooLarge;
  if (tooLarge) return;
  const [top, bottom, left, right] = closeupRegion();
  const [height, width] = [bottom - top, right - left];
  const cell = Math.max(1, Math.floor(size / Math.max(height, width)));
  const group = inputGroup();
  const paint = (r, c) => inputColour(r + top, c + left, group);
  const picture = cellPicture(height, width, paint, closeupCells.input);
  const context = prepareCanvas(canvas, width * cell, height * cell);
  const colours = themeColours();
  drawCells(context, picture, cell);
  hatchPads(context, [top, bottom, left, right], cell, colours);
  const box = [row - top, col - left, row - top + rows.extent, col - left + cols.extent];
  dimOutside(context, box, cell, width * cell, height * cell);
  outlineCells(context, box, cell, colours.window, colours.halo, 3);
  markTaps(context, top, left, cell, colours);
  markChosenPixel(context, top, left, cell, colours);
  drawPixelFields();
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

function drawOutputCloseup(size) {
  const { outRows, outCols } = shown;
  const isSmall = outRows.length < 3 && outCols.length < 3;
  byId("output-closeup-figure").hidden = isSmall;
  if (isSmall) return;
  const [top, left] = outputCloseupStart();
  const cell = Math.floor(size / OUTPUT_CLOSEUP);
  const paint = (r, c) => outputColour(r + top, c + left);
  const picture = cellPicture(OUTPUT_CLOSEUP, OUTPUT_CLOSEUP, paint, closeupCells.output);
  const side = OUTPUT_CLOSEUP * cell;
  const context = prepareCanvas(byId("output-closeup"), side, side);
  const colours = themeColours();
  drawCells(context, picture, cell);
  coverHidden(context, top, left, cell, colours);
  const half = (OUTPUT_CLOSEUP - 1) / 2;
  if (state.filling) clearAfter(context, half, half, cell);
  const box = [half, half, half + 1, half + 1];
  outlineCells(context, box, cell, colours.window, colours.halo, 3);
  setText(byId("output-closeup-note"), `The output around row ${state.at[0]}, column ${state.at[1]}`);
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
function startTaps(id) {
  const blocks = byId(id);
  const mark = (tap) => {
    for (const cell of blocks.querySelectorAll("td")) {
      cell.classList.toggle("tap", cell.dataset.tap === tap);
    }
  };
  blocks.addEventListener("pointerover", (event) => mark(event.target.dataset.tap || ""));
  blocks.addEventListener("pointerleave", () => mark(""));
}
