"use strict";
// The input of the layer's page: the image that the page came with, a picture of the user's, and single
// pixels that are changed.

/** Pixels of the largest picture that a user may bring, as in page/layer_data.py: of most layers, and of those that enlarge. */
const MOST_CELLS = 512 * 512;
const MOST_SPREAD = 128 * 128;

/** A picture of the user's as the page's input; `own` is { name, note }. */
function pictureInput(planes, size, own) {
  return {
    size,
    channels: planes.length,
    rows: [0, size[0]],
    cols: [0, size[1]],
    planes,
    range: { kind: "clip", lo: 0, hi: 1 },
    largest: largestMagnitude(planes),
    pictures: pageData.input.pictures,
    clips: pageData.clipsPictures,
    own,
  };
}

/** What pictures/own_picture.js needs to know of the page. */
function ownPictureTarget() {
  return {
    first: firstInput,
    input: () => state.input,
    most: isTransposed ? MOST_SPREAD : MOST_CELLS,
    change: (planes, size, own) => apply({ input: pictureInput(planes, size, own) }),
    /** Change pixels of the input and keep all else. */
    paint: (planes) => apply({ input: changedInput(state.input, planes) }),
    reset: () => apply({ input: firstInput }),
  };
}

/** The cell of the input that the page holds nearest to another one. */
function cellInside(at) {
  const { rows, cols } = state.input;
  return [rows, cols].map(([first, end], axis) => Math.min(Math.max(at[axis], first), end - 1));
}

/** Whether the page holds a cell of the input. */
function isHeld(at) {
  return cellInside(at).join() === at.join();
}

/** How many values of the input are NaN or infinite, in words. */
let notFiniteInput = "";

/** Let all that depends on the image follow it: its notes, the pixels that are chosen, what counts as rounding. */
function fitToInput() {
  const { range, own } = state.input;
  notFiniteInput = notFiniteText(countNotFinite(state.input.planes));
  magnitude.value = Math.max(Math.abs(range.lo), Math.abs(range.hi));
  const notes = own ? [] : pageData.notes;
  byId("notes").replaceChildren(...notes.map((text) => element("p", { text })));
  if (state.backward) state.backward = insidePage(state.backward);
  if (state.source) state.source = cellInside(state.source);
  if (state.pixel && !isHeld(state.pixel)) state.pixel = null;
}
