"use strict";
// The page of a transposed convolution: which outputs one input cell adds to, and by which weights.
// What adds up to one output is in the panel of the arithmetic, as on the page of any layer.

/** The input channel that is followed: the chosen one of those that the output reads. */
function sourceChannel() {
  const { channels } = shown.arithmetic.sources(outputChannel());
  return channels[Math.min(state.block, channels.length - 1)];
}

/** Follow an input cell, the nearest one that the page holds. */
function applySource(at, changes = {}) {
  apply({ source: cellInside(at), ...changes });
}

/** Begin with the cell asked for, the strongest that adds to the output, or the one in the middle. */
function beginSpread() {
  const { rows, cols } = state.input;
  const middle = [rows, cols].map(([first, last]) => Math.floor((first + last) / 2));
  if (shown.problem) {
    applySource(middle);
    return;
  }
  const { channels } = shown.arithmetic.sources(outputChannel());
  if (pageData.source) {
    applySource(pageData.source.at, { block: Math.max(0, channels.indexOf(pageData.source.channel)) });
    return;
  }
  const { blocks } = shown.arithmetic.step(outputChannel(), ...state.at);
  const cells = blocks.flatMap((block) => block.cells);
  cells.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  applySource(cells.length ? [cells[0].row, cells[0].col] : middle);
}

function drawSpread() {
  const [row, col] = state.source;
  const spread = shown.arithmetic.spread(outputChannel(), sourceChannel(), row, col);
  const name = state.input.channels > 1 ? `, ${channelName(sourceChannel())}` : "";
  byId("spread-title").textContent = `Input at row ${row}, column ${col}${name}: ${numberText(spread.value)}`;
  byId("spread-sentence").textContent = spreadSentence(spread.cells);
  byId("spread").replaceChildren(...spreadElements(spread));
  const gradient = numberText(shown.arithmetic.inputGradient(sourceChannel(), row, col));
  const maps = shown.arithmetic.channels > 1 ? ", over all maps" : "";
  byId("spread-note").replaceChildren(
    "Backward: if the gradient of every output is 1, that of this input is ",
    element("b", { id: "source-gradient", text: gradient }),
    `, the sum of the weights by which it is added${maps}.`,
  );
  for (const [index, id] of ["source-row", "source-col"].entries()) {
    setValue(byId(id), state.source[index]);
    byId(id).max = state.input.size[index] - 1;
  }
}

/** The different rows or columns of some cells, as text. */
function placesText(word, places) {
  const list = [...new Set(places)];
  if (list.length === 1) return `${word} ${list[0]}`;
  const [first, last] = [list[0], list[list.length - 1]];
  const isRun = list.every((place, k) => place === first + k);
  return isRun ? `${word}s ${first} to ${last}` : `${word}s ${list.join(", ")}`;
}

function spreadSentence(cells) {
  const kept = cells.filter(({ isCut }) => !isCut);
  const lost = cells.length - kept.length;
  if (!kept.length) return "All its products fall on what the padding cuts off.";
  const rows = placesText("row", kept.map((cell) => cell.row));
  const cols = placesText("column", kept.map((cell) => cell.col));
  const cut = lost ? ` ${countText(lost, "product")} more ${lost === 1 ? "falls" : "fall"} on what the padding cuts off.` : "";
  return `It is multiplied by every weight and added to ${rows} and ${cols} of the output.${cut}`;
}

/** Value times weights is products; and the outputs that they are added to. */
function spreadElements({ value, cells }) {
  const [kh, kw] = state.layer.kernel;
  if (kh > LISTED_SIDE || kw > LISTED_SIDE) {
    return [element("p", { text: `${kh} × ${kw} weights are too many to list here.` })];
  }
  const sign = (text) => element("span", { class: "sign", text });
  const most = (field) => 1.5 * (largestMagnitude([cells.map((cell) => cell[field])]) || 1);
  const signed = (field) => {
    const limit = most(field);
    const range = { kind: "symmetric", lo: -limit, hi: limit };
    return (cell) => cellColour([cell[field]], range, tables.diverging);
  };
  const number = (field) => (cell) => numberText(cell[field], kw <= 5 ? 3 : 2);
  const input = [{ i: 0, j: 0, row: state.source[0], col: state.source[1], value }];
  const paint = (cell) => cellColour([cell.value], state.input.range, null);
  return [
    spreadTable("input", input, number("value"), paint),
    sign("×"),
    spreadTable("weights", cells, number("weight"), signed("weight"), false),
    sign("="),
    spreadTable("products", cells, number("product"), signed("product")),
    sign("→"),
    spreadTable("output, all added up", cells, outputText, ({ row, col }) => outputColour(row, col)),
  ];
}

/** The value of the output at a cell; nothing where it is cut off, or not known. */
function outputText({ row, col, isCut }) {
  if (isCut || !shown.arithmetic.knows(row, col)) return "";
  return numberText(shown.arithmetic.step(outputChannel(), row, col).value, 3);
}

/** A table of cells with their rows and columns beside them; what is cut off is dashed. */
function spreadTable(caption, cells, textOf, colour, hasPlaces = true) {
  const kw = Math.max(...cells.map((cell) => cell.j)) + 1;
  const size = kw <= 3 ? "wide" : kw <= 5 ? "middling" : "narrow";
  const table = element("table", { class: `cells ${size}` }, element("caption", { text: caption }));
  const place = (text, scope) => element("th", { class: "place", scope, text });
  if (hasPlaces) {
    const columns = cells.slice(0, kw).map((cell) => place(cell.col, "col"));
    table.append(element("tr", {}, element("td", { class: "corner" }), ...columns));
  }
  for (let first = 0; first < cells.length; first += kw) {
    const line = element("tr", {}, ...(hasPlaces ? [place(cells[first].row, "row")] : []));
    for (const cell of cells.slice(first, first + kw)) {
      const box = element("td", { text: textOf(cell), "data-tap": `${cell.i},${cell.j}` });
      const ground = colour(cell);
      if (ground) setBackground(box, ground);
      if (hasPlaces && cell.isCut) {
        box.className = "pad";
        box.append(element("span", { class: "hidden", text: " (cut off)" }));
      }
      line.append(box);
    }
    table.append(line);
  }
  return table;
}

/** Mark the input cell that is followed. */
function markSource(context, top, left, cell, colours) {
  const [row, col] = [state.source[0] - top, state.source[1] - left];
  // Wider than the window's outline, which may be on the same cell.
  outlineCells(context, [row, col, row + 1, col + 1], cell, colours.path, colours.halo, 6);
}

/** Hatch what is cut off the output, and mark what the input cell adds to. */
function markSpread(context, cell, colours) {
  const { outRows, outCols, arithmetic } = shown;
  const [top, bottom, left, right] = outputRegion();
  const { rows, cols } = arithmetic.window;
  const [down, across] = [-outRows[0], -outCols[0]];
  // Above, below, and beside what is kept.
  const boxes = [
    [top, left, Math.max(top, 0), right],
    [Math.min(bottom, rows.out), left, bottom, right],
    [Math.max(top, 0), left, Math.min(bottom, rows.out), Math.max(left, 0)],
    [Math.max(top, 0), Math.min(right, cols.out), Math.min(bottom, rows.out), right],
  ];
  const moved = ([y0, x0, y1, x1]) => [y0 + down, x0 + across, y1 + down, x1 + across];
  for (const box of boxes) hatchCells(context, moved(box), cell, colours.pad);
  const [first, last] = spreadEnds();
  const box = moved([first[0], first[1], last[0] + 1, last[1] + 1]);
  outlineCells(context, box, cell, colours.path, colours.halo);
}

/** The first and the last output to which the input cell adds, also where that is cut off. */
function spreadEnds() {
  const { rows, cols } = shown.arithmetic.window;
  const first = [rows, cols].map((axis, k) => state.source[k] * axis.stride - axis.cut[0]);
  return [first, [first[0] + rows.extent - 1, first[1] + cols.extent - 1]];
}

/** How to follow an input cell, and how far apart neighbours add. */
function spreadHint() {
  const [down, across] = state.layer.stride;
  const far = down === across ? countText(down, "cell") : `${countText(down, "row")} or ${countText(across, "column")}`;
  return `Point at a cell, or use the arrow keys, to follow it to the output. The next cell adds ${far} further on.`;
}

/**
 * The close-up of the input as the output sees it: its cells as far apart as the stride, with gaps
 * between them, and the span of the kernel that ends at this output.
 */
function drawStretchedCloseup(size) {
  const { arithmetic } = shown;
  const axes = [arithmetic.window.rows, arithmetic.window.cols];
  const starts = axes.map((axis, k) => state.at[k] + axis.cut[0] - axis.extent + 1);
  const canvas = byId("input-closeup");
  const tooLarge = axes.some((axis) => axis.extent > 64);
  canvas.parentElement.hidden = tooLarge;
  if (tooLarge) return;
  const [[top, bottom], [left, right]] = axes.map((axis, k) => closeupSpan(starts[k], axis.extent));
  const [height, width] = [bottom - top, right - left];
  const cell = Math.max(1, Math.floor(size / Math.max(height, width)));
  const at = (axis, place) => (place % axis.stride === 0 ? place / axis.stride : NaN);
  const isCell = (axis, index) => index >= 0 && index < axis.size;
  const group = inputGroup();
  const paint = (r, c) => {
    const [row, col] = [at(axes[0], r + top), at(axes[1], c + left)];
    return isCell(axes[0], row) && isCell(axes[1], col) ? inputColour(row, col, group) : null;
  };
  const picture = cellPicture(height, width, paint, closeupCells.input);
  const context = prepareCanvas(canvas, width * cell, height * cell);
  const colours = themeColours();
  drawCells(context, picture, cell);
  const [row, col] = [starts[0] - top, starts[1] - left];
  const box = [row, col, row + axes[0].extent, col + axes[1].extent];
  dimOutside(context, box, cell, width * cell, height * cell);
  outlineCells(context, box, cell, colours.window, colours.halo, 3);
  const [rows, cols] = arithmetic.windowCells(...state.at);
  if (state.layer.dilation.some((dilation) => dilation > 1)) {
    for (const r of rows) {
      for (const c of cols) drawDot(context, r * axes[0].stride - top, c * axes[1].stride - left, cell, colours);
    }
  }
  const spaced = state.layer.stride.some((stride) => stride > 1);
  const apart = spaced ? "The input with its cells as far apart as the stride. " : "";
  const count = rows.length * cols.length;
  const places = count ? `: ${placesText("row", rows)}, ${placesText("column", cols)}` : "";
  byId("input-closeup-note").textContent = `${apart}${countText(count, "cell")} under a weight${places}`;
}

function startSpread() {
  document.body.classList.add("transposed");
  byId("spread-panel").hidden = false;
  // Both ask about windows on the input.
  byId("backward-panel").hidden = byId("quiz").hidden = true;
  const canvas = byId("input");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "The input. Arrow keys choose the cell that is followed to the output.");
  startPointer(canvas, (event) => cellAt(event, canvas, inputRegion()), () => state.source, applySource);
  const [chosen, go] = [() => state.source, (at) => applySource(at, { pinned: true })];
  startCellKeys(canvas, chosen, go);
  startCellFields(["source-row", "source-col"], chosen, go);
  byId("source-col").closest(".row").append(arrowButtons("the input cell", chosen, go));
  startTaps("spread");
}
