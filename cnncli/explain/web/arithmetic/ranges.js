"use strict";
// Which values become black and white in a feature map, as cnncli/render/layer_ranges.py chooses them.
// Nothing here touches the page.

/** Share of the values of a feature map that the range "auto" may leave out. */
const CUT = 0.003;

/** Share of all values that a range may leave out because their cells saw padding. */
const MOST_CLIPPED = 0.15;

/**
 * The range of values that becomes black to white: { kind, lo, hi } of "auto", "clip", "minmax",
 * "symmetric" or "abs".
 *
 * With "auto" `negative` tells whether any map of the layer has negative values, and `inner` are
 * the values that saw no padding.
 */
function chooseRange(planes, spec, clipByDefault, { negative = false, inner = planes } = {}) {
  if (spec === "clip" || (spec === "auto" && clipByDefault)) return { kind: "clip", lo: 0, hi: 1 };
  if (spec === "auto") {
    const kind = negative || planes.some(hasNegative) ? "symmetric" : "minmax";
    return trimmedRange(planes, inner, kind) || chooseRange(planes, kind, false);
  }
  let [lo, hi] = [Infinity, -Infinity];
  for (const plane of planes) {
    for (const value of plane) {
      if (!Number.isFinite(value)) continue;
      if (value < lo) lo = value;
      if (value > hi) hi = value;
    }
  }
  if (lo > hi) [lo, hi] = [0, 0];
  const kind = spec;
  const most = Math.max(-lo, hi, 0);
  if (kind === "symmetric") return { kind, lo: -most, hi: most };
  return kind === "abs" ? { kind, lo: 0, hi: most } : { kind, lo, hi };
}

/**
 * The range "auto" of a map of several cells: by the values of a `box` of cells that saw no padding, if
 * there is one. A map that is nowhere larger than `limit` is zero but for rounding, and is drawn as zero.
 */
function autoRange(planes, { negative, limit, width, box }) {
  const inner = box ? planes.map((plane) => boxValues(plane, width, box)) : planes;
  const range = chooseRange(planes, "auto", false, { negative, inner });
  const isShown = ({ lo, hi }) => Math.max(-lo, hi) > limit;
  return [range, chooseRange(planes, range.kind, false)].find(isShown) ?? { kind: range.kind, lo: 0, hi: 0 };
}

/** The first of some boxes [[top, bottom], [left, right]] with at least half of all cells, if there is one. */
function innerBox(boxes, [rows, cols]) {
  const lengthOf = ([first, last]) => Math.max(0, last - first);
  return boxes.find(([down, across]) => 2 * lengthOf(down) * lengthOf(across) >= rows * cols);
}

/** The values of a box of cells [[top, bottom], [left, right]]. */
function boxValues(plane, width, [[top, bottom], [left, right]]) {
  const values = new plane.constructor((bottom - top) * (right - left));
  for (let row = top; row < bottom; row += 1) {
    values.set(plane.subarray(row * width + left, row * width + right), (row - top) * (right - left));
  }
  return values;
}

/** The largest magnitude of some values. */
function largestMagnitude(planes) {
  const { lo, hi } = chooseRange(planes, "symmetric", false);
  return Math.max(-lo, hi);
}

/** Whether any finite value is below 0. */
function hasNegative(plane) {
  return plane.some((value) => value < 0 && value !== -Infinity);
}

/**
 * The narrowest range that holds all inner values but for a share of `CUT`; null if it is a constant's.
 * Of a small map, where it would leave out too many of all, border cells count too, unless they are 0.
 */
function trimmedRange(planes, inner, kind) {
  const inside = sortedValues(inner, kind);
  const found = narrowestRange(inside, kind);
  const count = planes.reduce((sum, plane) => sum + plane.length, 0);
  if (count - inside.length <= MOST_CLIPPED * count) return found;
  const all = sortedValues(planes, kind);
  const low = found && kind === "symmetric" ? 0 : found?.lo;
  if (found && countOutside(all, low, found.hi) <= MOST_CLIPPED * count) return found;
  const zeros = countOf(all, 0) - countOf(inside, 0);
  const first = firstFrom(all, 0);
  const kept = Float64Array.from([...all.subarray(0, first), ...all.subarray(first + zeros)]);
  return narrowestRange(kept, kind);
}

/** The finite values of some planes in order; for ranges about zero their magnitudes. */
function sortedValues(planes, kind) {
  const values = new Float64Array(planes.reduce((sum, plane) => sum + plane.length, 0));
  let count = 0;
  for (const plane of planes) {
    for (const value of plane) {
      if (Number.isFinite(value)) values[count++] = kind === "symmetric" ? Math.abs(value) : value;
    }
  }
  return values.subarray(0, count).sort();
}

/** The narrowest range of sorted values that leaves out no more than `CUT` of them. */
function narrowestRange(values, kind) {
  for (const cut of [Math.floor(CUT * values.length), 0]) {
    const kept = values.length - cut;
    if (kept < 1) return null;
    let first = 0;
    for (let index = 1; kind === "minmax" && index <= cut; index += 1) {
      const width = values[index + kept - 1] - values[index];
      if (width < values[first + kept - 1] - values[first]) first = index;
    }
    const hi = values[first + kept - 1];
    const lo = kind === "symmetric" ? -hi : values[first];
    if (lo < hi) return { kind, lo, hi };
  }
  return null;
}

/** The index of the first of sorted values that is at least `least`. */
function firstFrom(values, least) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many of some sorted values are one number. */
function countOf(values, number) {
  let last = firstFrom(values, number);
  const first = last;
  while (values[last] === number) last += 1;
  return last - first;
}

/** How many of some sorted values are below one number or above another. */
function countOutside(values, low, high) {
  let above = values.length;
  while (above > 0 && values[above - 1] > high) above -= 1;
  return firstFrom(values, low) + values.length - above;
}
