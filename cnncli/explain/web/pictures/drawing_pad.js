"use strict";
// A pad to draw on the page's input, where it is small, by mouse, finger, pen or keys.
// pictures/pixels.js makes pixels of the strokes.

/** Rows and columns up to which an input can be drawn on. */
const LARGEST_PAD = 64;
const PAD_SIDE = 256;
const PAD_TEXT = `Draw on the pad, or move with the arrow keys and paint with Space. A pixel is the mean of its ${DOTS} × ${DOTS} dots.`;
const BRUSHES = [0.5, 0.75, 1, 1.5, 2.5];

/** The inks of a pad, each a name and a value for every channel. */
function padInks({ range, channels }) {
  const of = (...levels) => Array.from({ length: channels }, (_, k) => (levels[k % levels.length] ? range.hi : range.lo));
  const inks = [["white", of(1)], ["black", of(0)]];
  return channels === 3 ? [...inks, ["red", of(1, 0, 0)], ["green", of(0, 1, 0)], ["blue", of(0, 0, 1)]] : inks;
}

/** What a pixel of an input may be: of a picture 0 to 1, of an array anything. */
function pixelLimits({ range }) {
  return range.kind === "clip" ? { least: 0, most: 1 } : {};
}

/** Whether an input can be drawn on. */
function canDraw({ size, range }) {
  return Math.max(...size) <= LARGEST_PAD && range.lo < range.hi;
}

/** Make the pad that the button `pen` opens; returns a function that shows the state. */
function startPad(target, { pen, pad }) {
  const view = { ink: 1, brush: 0.75, cell: null, byKeys: false, drawing: null };
  const canvas = element("canvas", { tabindex: "0", role: "application", "aria-label": "Drawing pad. Arrow keys move the cell, Space paints it." });
  const said = element("p", { class: "hidden", role: "status" });
  const fields = padFields(target, view, () => redraw());
  const redraw = () => {
    if (pad.hidden) return;
    drawPad(canvas, view);
    fields.show();
  };
  const tools = padTools(target, view, redraw);
  tools.append(fields.node, element("p", { class: "dim", text: PAD_TEXT }), said);
  pad.append(element("div", { class: "pad" }, canvas), ...(target.beside ? [target.beside] : []), tools);
  pen.setAttribute("aria-expanded", "false");
  pen.setAttribute("aria-controls", pad.id);
  pen.addEventListener("click", () => {
    pad.hidden = !pad.hidden;
    showPad();
    if (!pad.hidden) canvas.focus();
  });
  for (const type of ["focusin", "focusout"]) pad.addEventListener(type, redraw);
  startStrokes(canvas, view, target, redraw);
  startPadKeys(canvas, view, target, (text) => {
    said.textContent = text;
    redraw();
  });
  const showPad = () => {
    const input = target.input();
    pen.hidden = !canDraw(input);
    if (pen.hidden) pad.hidden = true;
    pen.setAttribute("aria-expanded", String(!pad.hidden));
    if (pad.hidden) return;
    if (view.drawing?.planes !== input.planes) {
      view.drawing = new Drawing(input.size, input.planes, padInks(input).map(([, values]) => values), input.range);
      view.drawing.planes = input.planes;
      view.cell = padCell(view.cell ?? input.size.map((side) => side / 2), view.drawing);
    }
    redraw();
  };
  return showPad;
}

/** The inks, the brush, and a button that empties the pad. */
function padTools(target, view, redraw) {
  const names = padInks(target.first).map(([name]) => name);
  // The last one lets the picture below show again.
  const numbers = [...names.map((_, index) => index + 1), 0];
  const buttons = numbers.map((number) => {
    const button = element("button", { type: "button", text: number ? names[number - 1] : "erase" });
    button.addEventListener("click", () => {
      view.ink = number;
      press();
    });
    return button;
  });
  const group = element("div", { class: "row", role: "group", "aria-label": "Ink" }, ...buttons);
  const press = () => {
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(numbers[index] === view.ink)));
    setTabStop(group);
  };
  startArrows(group);
  press();
  const brush = element("select", { "aria-label": "Brush" });
  brush.append(...BRUSHES.map((radius) => element("option", { value: radius, text: `${2 * radius} pixels wide` })));
  brush.value = view.brush;
  brush.addEventListener("change", () => {
    view.brush = Number(brush.value);
  });
  const clear = element("button", { type: "button", id: "pad-clear", text: "Clear" });
  clear.addEventListener("click", () => {
    const { size, planes, range } = target.input();
    const empty = planes.map((plane) => plane.slice().fill(range.lo));
    view.drawing = new Drawing(size, empty, view.drawing.inks, range);
    target.paint(view.drawing.planes);
    redraw();
  });
  return element("div", { class: "pad-tools" }, group, element("div", { class: "row" }, element("label", { class: "inline" }, "brush ", brush), clear));
}

/** Fields for the value of the cell that the keys are on: one, or one for each colour. */
function padFields(target, view, redraw) {
  const { channels } = target.first;
  const options = { limits: () => pixelLimits(target.input()), brief: fittingText };
  const read = (channel) => view.drawing.planes[channel][view.cell[0] * view.drawing.width + view.cell[1]];
  const place = element("span");
  const inputs = Array.from({ length: channels }, (_, channel) => {
    const name = channels === 3 ? COLOURS[channel] : "grey";
    const change = (value) => {
      view.drawing.put(...view.cell, channel, value);
      target.paint(view.drawing.planes);
      redraw();
    };
    const input = valueInput(`Value on the pad, ${name}`, () => read(channel), change, options);
    return element("label", { class: "inline" }, `${name} `, input);
  });
  const show = () => {
    place.textContent = `row ${view.cell[0]}, column ${view.cell[1]}:`;
    inputs.forEach((label, channel) => setValue(label.lastChild, fittingText(read(channel))));
  };
  return { node: element("div", { class: "row pad-fields" }, place, ...inputs), show };
}

/** Strokes of a mouse, a finger or a pen, one at a time. */
function startStrokes(canvas, view, target, redraw) {
  // The pointer that draws, and where it was.
  let [pointer, last] = [null, null];
  const placeOf = (event) => {
    const box = canvas.getBoundingClientRect();
    const { height, width } = view.drawing;
    return [((event.clientY - box.top) / box.height) * height, ((event.clientX - box.left) / box.width) * width];
  };
  const strokeTo = (places) => {
    for (const place of places) {
      view.drawing.stroke(last ?? place, place, view.brush, view.ink);
      last = place;
    }
    view.cell = padCell(last, view.drawing);
    target.paint(view.drawing.planes);
    redraw();
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null) return;
    canvas.setPointerCapture(event.pointerId);
    [pointer, last, view.byKeys] = [event.pointerId, null, false];
    strokeTo([placeOf(event)]);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer || !event.buttons) return;
    // Places between two events that the browser put together; they make round lines.
    const events = event.getCoalescedEvents?.() ?? [];
    strokeTo((events.length ? events : [event]).map(placeOf));
  });
  for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(type, (event) => {
      if (event.pointerId === pointer) pointer = null;
    });
  }
}

function padCell([row, col], { height, width }) {
  return [Math.min(Math.max(Math.floor(row), 0), height - 1), Math.min(Math.max(Math.floor(col), 0), width - 1)];
}

/** Keys: arrows move a cell, with Shift they paint on their way; Space and Enter paint it. */
function startPadKeys(canvas, view, target, say) {
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  canvas.addEventListener("focus", () => {
    view.byKeys = canvas.matches(":focus-visible");
  });
  canvas.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    const paints = event.key === " " || event.key === "Enter";
    if (!step && !paints) return;
    event.preventDefault();
    view.byKeys = true;
    const { drawing } = view;
    if (step) view.cell = padCell([view.cell[0] + step[0], view.cell[1] + step[1]], drawing);
    const [row, col] = view.cell;
    if (paints || event.shiftKey) {
      drawing.fill(row, col, view.ink);
      target.paint(drawing.planes);
    }
    const values = drawing.planes.map((plane) => numberText(plane[row * drawing.width + col]));
    say(`row ${row}, column ${col}: ${values.join(", ")}`);
  });
}

/** The dots of the drawing, lines between its pixels, and the cell that keys paint or a field changes, while one does. */
function drawPad(canvas, { drawing, cell, byKeys }) {
  const { height, width, lo, hi } = drawing;
  const dots = cellPicture(height * DOTS, width * DOTS, (r, c) => cellColour(drawing.dot(r, c), { lo, hi }, null));
  const room = Math.min(PAD_SIDE, canvas.parentElement.clientWidth || PAD_SIDE);
  const size = room / Math.max(height, width);
  const context = prepareCanvas(canvas, width * size, height * size);
  drawCells(context, dots, size / DOTS);
  const colours = themeColours();
  if (size >= 8) drawGridLines(context, height, width, size);
  const { activeElement } = document;
  if (activeElement === canvas ? byKeys : activeElement.matches(".pad-fields input")) {
    outlineCells(context, [cell[0], cell[1], cell[0] + 1, cell[1] + 1], size, colours.window, colours.halo);
  }
}

function drawGridLines(context, height, width, size) {
  context.strokeStyle = "rgb(128 128 128 / 0.7)";
  context.lineWidth = 1;
  context.beginPath();
  for (let row = 1; row < height; row += 1) {
    context.moveTo(0, row * size);
    context.lineTo(width * size, row * size);
  }
  for (let col = 1; col < width; col += 1) {
    context.moveTo(col * size, 0);
    context.lineTo(col * size, height * size);
  }
  context.stroke();
}
