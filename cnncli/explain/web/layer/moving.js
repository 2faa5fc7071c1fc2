"use strict";
// Moving the window of the layer's page: by mouse, finger, keys and numbers, step by step or by play.

/** The cell under a pointer on a canvas of [top, bottom, left, right] cells. */
function cellAt(event, canvas, [top, bottom, left, right]) {
  const box = canvas.getBoundingClientRect();
  const row = Math.floor(((event.clientY - box.top) / box.height) * (bottom - top));
  const col = Math.floor(((event.clientX - box.left) / box.width) * (right - left));
  return [row + top, col + left];
}

function outputCell(event) {
  return cellAt(event, byId("output"), outputRegion());
}

const KEYS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  Home: [0, -Infinity],
  End: [0, Infinity],
  PageUp: [-10, 0],
  PageDown: [10, 0],
};

function startMoving() {
  startPointer(byId("output"), outputCell, () => state.at, (at, changes) => apply({ at, ...changes }));
  const hold = (at) => apply({ at, pinned: true });
  startCellKeys(byId("output"), () => state.at, hold);
  startKeys();
  byId("output-closeup").addEventListener("pointerdown", (event) => {
    const at = closeupCell(event);
    if (at) hold(at);
  });
  if (!isTransposed) startDragging(byId("input"));
  startCellFields(["at-row", "at-col"], () => state.at, hold);
  byId("pin").addEventListener("click", () => apply({ pinned: !state.pinned }));
  const go = (at) => apply({ at, pinned: true, playing: false });
  byId("position").append(arrowButtons("the window", () => state.at, go));
}

const ARROWS = [
  ["←", "left", [0, -1]],
  ["↑", "up", [-1, 0]],
  ["↓", "down", [1, 0]],
  ["→", "right", [0, 1]],
];

/** Buttons for fingers, which choose the cell beside the chosen one: `go(at)` from the cell `chosen()`. */
function arrowButtons(what, chosen, go) {
  const buttons = ARROWS.map(([text, way, step]) => {
    const click = () => go(chosen().map((index, axis) => index + step[axis]));
    return element("button", { type: "button", "aria-label": `Move ${what} ${way} by one cell`, text, click });
  });
  return element("div", { class: "arrows", role: "group", "aria-label": `Move ${what}` }, ...buttons);
}

/**
 * Move by a pointer on a canvas: a finger or a pen while it is down, a mouse until a click holds what is chosen.
 * `go(at, changes)` chooses a cell, `chosen()` is the one of before.
 */
function startPointer(canvas, cellUnder, chosen, go) {
  canvas.addEventListener("pointermove", (event) => {
    if (shown.problem || state.playing || !event.isPrimary) return;
    if (event.pointerType === "mouse" ? !state.pinned : event.buttons) go(cellUnder(event), {});
  });
  canvas.addEventListener("pointerdown", (event) => {
    if (shown.problem || !event.isPrimary) return;
    const at = cellUnder(event);
    const isSame = at.join() === chosen().join();
    go(at, { pinned: event.pointerType === "mouse" && !(state.pinned && isSame), playing: false });
  });
}

/** Choose a cell by keys on a canvas, with Shift ten times as far: `go(at)` from the cell `chosen()`. */
function startCellKeys(canvas, chosen, go) {
  canvas.addEventListener("keydown", (event) => {
    if (shown.problem || !KEYS[event.key]) return;
    const times = event.shiftKey ? 10 : 1;
    go(chosen().map((index, axis) => index + times * KEYS[event.key][axis]));
    event.preventDefault();
  });
}

/** Choose a cell by the fields of its row and its column: `go(at)` from the cell `chosen()`. */
function startCellFields(ids, chosen, go) {
  ids.forEach((id, index) => {
    byId(id).addEventListener("input", () => {
      if (byId(id).value === "") return;
      const at = [...chosen()];
      at[index] = Math.round(byId(id).valueAsNumber);
      go(at);
    });
  });
}

/** A press on the input picks the output that is made there, and the window follows while the pointer is down. */
function startDragging(canvas) {
  const follow = (event) => {
    if (shown.problem || !event.isPrimary || !event.buttons) return;
    if (event.type === "pointerdown") canvas.setPointerCapture(event.pointerId);
    const { rows, cols } = shown.arithmetic.window;
    const [row, col] = cellAt(event, canvas, inputRegion());
    apply({ at: [outputAt(rows, row), outputAt(cols, col)], pinned: true, playing: false });
  };
  for (const type of ["pointerdown", "pointermove"]) canvas.addEventListener(type, follow);
}

function startKeys() {
  byId("output").addEventListener("keydown", (event) => {
    if (shown.problem || (event.key !== "Enter" && event.key !== " ")) return;
    apply({ pinned: true });
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") apply({ pinned: false, playing: false, filling: false });
  });
}

/** A brightest output is looked for so far around the window: CSS pixels of the picture, or cells. */
const NEAR = { pixels: 6, cells: 3 };

/** Let a button lead to the brightest output near the window: a finger or a mouse can hardly hit it. */
function startBrightestButton() {
  const button = byId("to-brightest");
  button.addEventListener("click", () => apply({ at: brightestNear(state.at), pinned: true, playing: false }));
  showWhere(button, () => !isInColours() && shown.range.lo < shown.range.hi && shown.planes[0].length > 1);
}

/** The output with the brightest colour near another one; of several the nearest. */
function brightestNear([row, col]) {
  const { outRows, outCols, planes, range } = shown;
  const reach = Math.max(NEAR.cells, Math.round((NEAR.pixels * outCols.length) / byId("output").clientWidth));
  const levelAt = (values) => (values.every(Number.isFinite) ? values.reduce((sum, value) => sum + levelOf(value, range), 0) : -1);
  let best = { level: -1 };
  outRows.forEach((r, down) => {
    outCols.forEach((c, across) => {
      const far = Math.max(Math.abs(r - row), Math.abs(c - col));
      if (far > reach || !shown.arithmetic.knows(r, c)) return;
      const level = levelAt(planes.map((plane) => plane[down * outCols.length + across]));
      if (level > best.level || (level === best.level && far < best.far)) best = { level, far, at: [r, c] };
    });
  });
  return best.at ?? [row, col];
}

const SPEEDS = [1, 2, 5, 10, 20, 50];
// Who wants less motion gets single steps alone.
const reduced = window.matchMedia("(prefers-reduced-motion: reduce)");

/** The next output in reading order, from the last one back to the first. */
function nextPosition() {
  const { outRows, outCols } = shown;
  let [row, col] = [state.at[0], state.at[1] + 1];
  if (col > outCols[outCols.length - 1]) [row, col] = [row + 1, outCols[0]];
  return row > outRows[outRows.length - 1] ? [outRows[0], outCols[0]] : [row, col];
}

function startPlaying() {
  byId("next").addEventListener("click", () => {
    const filling = state.filling || reduced.matches;
    if (!shown.problem) apply({ at: nextPosition(), pinned: true, playing: false, filling });
  });
  byId("play").addEventListener("click", () => {
    if (!shown.problem) apply({ playing: !state.playing, pinned: true, filling: true });
  });
  const speed = byId("speed");
  speed.append(...SPEEDS.map((value) => element("option", { value, text: `${value} a second` })));
  speed.addEventListener("change", () => apply({ speed: Number(speed.value) }));
  updates.push(() => setValue(speed, state.speed));
  const showPlay = () => {
    byId("play").hidden = speed.hidden = reduced.matches;
    if (reduced.matches && state.playing) apply({ playing: false });
  };
  reduced.addEventListener("change", showPlay);
  showPlay();
}

let playTimer = 0;

/** Step while it plays, and wait for as long as the speed says. */
function keepPlaying() {
  clearTimeout(playTimer);
  if (!state.playing) return;
  playTimer = setTimeout(() => {
    if (!shown.problem) apply({ at: nextPosition(), filling: true });
    keepPlaying();
  }, 1000 / state.speed);
}

/** The input cell in the middle of the window; null where there is none. */
function middleCell() {
  if (isTransposed || shown?.problem !== "") return null;
  const { rows, cols } = shown.arithmetic.window;
  return [rows, cols].map((axis, k) => state.at[k] * axis.stride - axis.begin + (axis.extent - 1) / 2);
}

/** The output whose window has its middle nearest to an input cell: another stride stays at the same place. */
function outputNear(cell) {
  const { rows, cols } = shown.arithmetic.window;
  return [rows, cols].map((axis, k) => outputAt(axis, cell[k]));
}
