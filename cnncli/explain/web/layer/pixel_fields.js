"use strict";
// Changing single pixels of the layer's input: one is chosen in the close-up of the window, or by a
// number of the window, and has a field for each of its channels.

function startPixels() {
  const canvas = byId("input-closeup");
  const label = "The input's pixels around the window. Arrow keys choose one, Enter changes it.";
  const attributes = { tabindex: 0, role: "application", "aria-label": label };
  for (const [name, value] of Object.entries(attributes)) canvas.setAttribute(name, value);
  canvas.addEventListener("pointerdown", (event) => choosePixel(cellAt(event, canvas, closeupRegion())));
  // The first key chooses the pixel under the window, wherever it points.
  const go = (at) => choosePixel(cellInside(state.pixel ? at : pixelUnderWindow()));
  startCellKeys(canvas, () => state.pixel ?? pixelUnderWindow(), go);
  canvas.addEventListener("keydown", (event) => {
    if (shown.problem || event.key !== "Enter" || !state.pixel) return;
    focusPixel();
    event.preventDefault();
  });
  byId("blocks").classList.add("choosable");
  byId("blocks").addEventListener("click", (event) => {
    const cell = event.target.closest(".window td[data-tap]");
    const at = cell && shown.arithmetic.inputCell(state.at, ...cell.dataset.tap.split(",").map(Number));
    if (!at) return;
    choosePixel(at);
    focusPixel();
  });
}

/** Choose a pixel that the page has; none beyond it. */
function choosePixel(at) {
  if (isHeld(at)) apply({ pixel: at, pinned: true, playing: false });
}

/** Once the fields are there, go to the first. */
function focusPixel() {
  drawPixelFields();
  byId("pixel-fields").querySelector("input")?.focus();
}

function pixelIndex([row, col]) {
  const { rows, cols } = state.input;
  return (row - rows[0]) * (cols[1] - cols[0]) + col - cols[0];
}

function setPixel(channel, value) {
  if (!state.pixel) return;
  const planes = [...state.input.planes];
  planes[channel] = planes[channel].slice();
  planes[channel][pixelIndex(state.pixel)] = value;
  apply({ input: changedInput(state.input, planes) });
}

/** The fields of the chosen pixel: one, or one for each colour. */
function drawPixelFields() {
  const box = byId("pixel-fields");
  box.hidden = !state.pixel;
  byId("pixel-hint").hidden = Boolean(state.pixel);
  if (!state.pixel) return;
  const { channels } = inputGroup();
  const key = channels.join();
  if (box.dataset.channels !== key) {
    box.dataset.channels = key;
    box.replaceChildren(element("span"), ...channels.map(pixelField));
  }
  box.firstChild.textContent = `pixel at row ${state.pixel[0]}, column ${state.pixel[1]}`;
  const inputs = box.querySelectorAll("input");
  channels.forEach((channel, index) => {
    setValue(inputs[index], fittingText(state.input.planes[channel][pixelIndex(state.pixel)]));
  });
}

function pixelField(channel) {
  // A field that is hidden, since a smaller input has no such pixel, loses the focus and is read once more.
  const read = () => (state.pixel ? state.input.planes[channel][pixelIndex(state.pixel)] : NaN);
  const options = { limits: () => pixelLimits(state.input), brief: fittingText };
  const name = channelName(channel);
  const input = valueInput(`Value of the pixel, ${name}`, read, (value) => setPixel(channel, value), options);
  return element("label", { class: "inline" }, `${name} `, input);
}

/** Outline the chosen pixel in the close-up, which begins at (top, left). */
function markChosenPixel(context, top, left, cell, colours) {
  if (!state.pixel) return;
  const [row, col] = [state.pixel[0] - top, state.pixel[1] - left];
  outlineCells(context, [row, col, row + 1, col + 1], cell, colours.pad, colours.halo);
}
