"use strict";
// Where windows lie, as cnncli/core/geometry.py has it: sizes, pads, and the cell that each tap of an
// axis reads. Numbers in, numbers out; nothing here touches the page.

/** In a table of source cells: a border's constant, and a cell that is not in this page. */
const CONSTANT = -1;
const ELSEWHERE = -2;

/**
 * One axis of a sliding window: `size` cells, `kernel` taps, pads `begin` and `end`.
 * `out` is less than 1 when the window does not fit.
 */
function makeAxis(size, kernel, stride, dilation, begin, end, ceil) {
  const extent = dilation * (kernel - 1) + 1;
  const padded = size + begin + end;
  const steps = padded - extent;
  const up = ceil && steps >= 0;
  let out = (up ? Math.ceil(steps / stride) : Math.floor(steps / stride)) + 1;
  // A window may not start in the end pad.
  const less = up && (out - 1) * stride >= size + begin ? 1 : 0;
  out -= less;
  const overhang = Math.max(0, (out - 1) * stride + extent - padded);
  const fits = out >= 1 && steps >= 0;
  return { size, kernel, stride, dilation, begin, end, ceil, extent, padded, out, up, less, overhang, fits };
}

/** The output whose window has its middle nearest to an input cell; it may be before or after all. */
function outputAt(axis, cell) {
  return Math.round((cell + axis.begin - (axis.extent - 1) / 2) / axis.stride);
}

/** The output size with its numbers filled in; `+ 1 − 1` where one window does not count. */
function axisFormula(axis) {
  const pads = axis.begin === axis.end ? `2×${axis.begin}` : `${axis.begin} + ${axis.end}`;
  const [open, close] = axis.up ? ["⌈", "⌉"] : ["⌊", "⌋"];
  return (
    `${open}(${axis.size} + ${pads} − ${axis.extent}) / ${axis.stride}${close} + 1` +
    `${axis.less ? " − 1" : ""} = ${axis.out}`
  );
}

/** What the brackets of a size's formula mean; "" where it has none. */
function roundingText(formula) {
  if (formula.includes("⌊")) return "⌊ ⌋ rounds down";
  return formula.includes("⌈") ? "⌈ ⌉ rounds up" : "";
}

/** Pads for which the output has ceil(size / stride) cells; the odd one at the end, or not. */
function samePads(size, kernel, stride, dilation, lower) {
  const out = Math.ceil(size / stride);
  const total = Math.max(0, (out - 1) * stride + dilation * (kernel - 1) + 1 - size);
  const small = Math.floor(total / 2);
  return lower ? [total - small, small] : [small, total - small];
}

/** How much padding "same" is at both ends of an axis of `what`, rows or columns, and why, in words. */
function samePaddingText({ size, stride, extent, begin, end, out }, what, lower) {
  const span = (out - 1) * stride + extent;
  const more = Math.max(0, span - size);
  const name = lower ? "same-lower" : "same";
  const windows =
    `Padding ${name}, ${what}: ⌈${size} / ${stride}⌉ = ${out} come out. Their windows span ` +
    `(${out} − 1) × ${stride} + ${extent} = ${span}, ${more || "no"} more than the input has`;
  if (!more) return `${windows}: no padding.`;
  const [first, last] = what === "rows" ? ["above", "below"] : ["on the left", "on the right"];
  const why = begin === end ? "" : `, as ${name} puts an odd one at the ${lower ? "beginning" : "end"}`;
  return `${windows}: ${begin} of padding ${first} and ${end} ${last}${why}.`;
}

/**
 * Both axes of a layer. `padding` is "same", "same-lower", "valid" or
 * [top, bottom, left, right].
 */
function placeWindow(size, kernel, stride, padding, dilation, ceil) {
  const axes = [0, 1].map((i) => {
    let pads = [0, 0];
    if (Array.isArray(padding)) pads = padding.slice(2 * i, 2 * i + 2);
    else if (padding !== "valid") {
      pads = samePads(size[i], kernel[i], stride[i], dilation[i], padding === "same-lower");
    }
    return makeAxis(size[i], kernel[i], stride[i], dilation[i], pads[0], pads[1], ceil);
  });
  return { rows: axes[0], cols: axes[1] };
}

/** A layer's settings on an input of `size`: the window of a global pool is the whole of it. */
function settingsOn(settings, size) {
  if (!settings.global || !size[0]) return settings;
  const isEqual = settings.stride.join() === settings.kernel.join();
  return { ...settings, kernel: size, stride: isEqual ? size : settings.stride };
}

/** Why a layer's window does not fit. */
function misfitText({ op }, { rows, cols }) {
  if (op === "conv-transpose") return "The padding cuts off the whole output. Take less padding.";
  const [axis, name] = rows.fits ? [cols, "columns"] : [rows, "rows"];
  return (
    `The window spans ${axis.extent} of ${axis.padded} ${name}: it must fit into the padded input. ` +
    "Take more padding, less dilation or a smaller window."
  );
}

/** The input cell that a cell before 0 or from `size` on copies, or CONSTANT. */
function borderSource(cell, size, mode) {
  if (cell >= 0 && cell < size) return cell;
  if (mode === "zeros") return CONSTANT;
  if (mode === "edge" || (mode === "reflect" && size === 1)) return cell < 0 ? 0 : size - 1;
  const modulo = (period) => ((cell % period) + period) % period;
  if (mode === "wrap") return modulo(size);
  const period = mode === "reflect" ? 2 * (size - 1) : 2 * size;
  const folded = modulo(period);
  if (folded < size) return folded;
  return mode === "reflect" ? period - folded : period - 1 - folded;
}

/**
 * For each padded cell of an axis, and those of windows beyond the end: the index of its source
 * among the cells [first, last) that this page has, CONSTANT, or ELSEWHERE.
 */
function sourceTable(axis, mode, cells) {
  const table = new Int32Array(axis.padded + axis.overhang);
  for (let k = 0; k < table.length; k += 1) {
    const cell = k < axis.padded ? borderSource(k - axis.begin, axis.size, mode) : CONSTANT;
    const isHere = cell >= cells[0] && cell < cells[1];
    table[k] = cell === CONSTANT ? CONSTANT : isHere ? cell - cells[0] : ELSEWHERE;
  }
  return table;
}

/** For each output whether this page has all cells under its taps. */
function knownOutputs(axis, table) {
  const known = new Uint8Array(Math.max(0, axis.out));
  for (let output = 0; output < axis.out; output += 1) {
    known[output] = 1;
    for (let tap = 0; tap < axis.kernel; tap += 1) {
      if (table[output * axis.stride + tap * axis.dilation] === ELSEWHERE) known[output] = 0;
    }
  }
  return known;
}

/** The first padded cell of an axis that this page has, and how many there are up to the last. */
function heldCells(table) {
  const isHere = (cell) => cell !== ELSEWHERE;
  const first = table.findIndex(isHere);
  return first < 0 ? [0, 0] : [first, table.findLastIndex(isHere) + 1 - first];
}

/** How many taps of an output an average divides by, along one axis. */
function countedTaps(axis, table, output, countIncludePad) {
  let count = 0;
  for (let tap = 0; tap < axis.kernel; tap += 1) {
    const cell = output * axis.stride + tap * axis.dilation;
    if (table[cell] >= 0 || (countIncludePad && cell < axis.padded)) count += 1;
  }
  return count;
}

/** The difference of neighbours in a list of numbers, where it is the same for all; else 0. */
function commonStep(list) {
  const step = list.length > 1 ? list[1] - list[0] : 1;
  return list.every((value, index) => value === list[0] + index * step) ? step : 0;
}
