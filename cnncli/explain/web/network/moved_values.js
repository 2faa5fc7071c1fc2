"use strict";
// The arithmetic of layers that move values: slices, concats, borders, blocks, views, and resizes,
// which add a few cells by their weights. Nothing here touches the page.

/** Rows, columns and channels by letter, as cnncli/network/layers/view.py counts cells. */
const CELL_LETTERS = "hwc";

/**
 * By kind of layer: where values come from. `PLACES[op](settings, shapes, shape)` is a function of a place
 * [row, column, channel], which gives { cell, input }, the cell of one of the inputs, or { constant }; `shapes` are
 * the inputs', `shape` is the layer's.
 */
const PLACES = {
  slice: ({ taken }) => (at) => ({ cell: at.map((index, axis) => taken[axis][0] + index * taken[axis][1]) }),
  concat: ({ axis }, shapes) => (at) => {
    const cell = [...at];
    let input = 0;
    while (cell[axis] >= shapes[input][axis]) {
      cell[axis] -= shapes[input][axis];
      input += 1;
    }
    return { cell, input };
  },
  pad: ({ begin, padMode, padValue }, [shape]) => ([row, col, channel]) => {
    const [r, c] = [row, col].map((index, axis) => borderSource(index - begin[axis], shape[axis], padMode));
    return r < 0 || c < 0 ? { constant: padValue } : { cell: [r, c, channel] };
  },
  "pad-channels": ({ before, after }, [shape]) => ([row, col, channel]) => {
    const number = channel - before.length;
    if (number < 0) return { constant: before[channel] };
    return number < shape[2] ? { cell: [row, col, number] } : { constant: after[number - shape[2]] };
  },
  "depth-to-space": ({ block, order }, _, shape) => ([row, col, channel]) => {
    const number = (row % block) * block + (col % block);
    const isBlockFirst = order === "block-first";
    const found = isBlockFirst ? number * shape[2] + channel : channel * block ** 2 + number;
    return { cell: [Math.floor(row / block), Math.floor(col / block), found] };
  },
  "space-to-depth": ({ block, order }, [shape]) => ([row, col, channel]) => {
    const count = order === "block-first" ? shape[2] : block ** 2;
    const [slow, fast] = [Math.floor(channel / count), channel % count];
    const [number, found] = order === "block-first" ? [slow, fast] : [fast, slow];
    return { cell: [row * block + Math.floor(number / block), col * block + (number % block), found] };
  },
  view: ({ lengths, order, permutation, newOrder }, [shape], newShape) => {
    const [own, steps, found] = [cellSteps(newShape, newOrder), stepsOf(lengths), cellSteps(shape, order)];
    return ([row, col, channel]) => {
      let rest = row * own[0] + col * own[1] + channel * own[2];
      let number = 0;
      for (let k = permutation.length - 1; k >= 0; k -= 1) {
        const axis = permutation[k];
        number += (rest % lengths[axis]) * steps[axis];
        rest = Math.floor(rest / lengths[axis]);
      }
      return { cell: found.map((step, axis) => Math.floor(number / step) % shape[axis]) };
    };
  },
};

/** How far apart neighbours along each axis of an array are, counted along the last axis first. */
function stepsOf(lengths) {
  return lengths.map((_, axis) => lengths.slice(axis + 1).reduce((product, length) => product * length, 1));
}

/** The same of rows, columns and channels that are counted in some order. */
function cellSteps(shape, order) {
  const steps = stepsOf(Array.from(order, (letter) => shape[CELL_LETTERS.indexOf(letter)]));
  return Array.from(CELL_LETTERS, (letter) => steps[order.indexOf(letter)]);
}

/** A value of a layer that moves values: one of an input, as it is, or a constant. */
function movedArithmetic(layer, unit) {
  const { op } = layer.settings;
  const shapes = layer.inputs.map((name) => byName.get(name).shape);
  const { cell, input, constant } = PLACES[op](layer.settings, shapes, layer.shape)([...unit.at, unit.channel]);
  if (!cell) return { value: constant, reads: [], isConstant: true };
  const read = readCell(layer, cell, input);
  const isBorder = op === "pad" && unit.at.some((index, axis) => index - layer.settings.begin[axis] !== cell[axis]);
  return read && { value: read.value, isBorder, reads: [{ ...read, amount: read.value }] };
}

/** Where the middle of an output cell lies on an axis of the input; `round` has the precision of the core's values. */
const COORDINATES = {
  "half-pixel": (round, place, scale) => round(round((place + 0.5) / scale) - 0.5),
  "pytorch-half-pixel": (round, place, scale, size, out) => (out > 1 ? COORDINATES["half-pixel"](round, place, scale) : 0),
  asymmetric: (round, place, scale) => round(place / scale),
  "align-corners": (round, place, _, size, out) => (out > 1 ? round(round(place * (size - 1)) / (out - 1)) : 0),
};

/** Half a cell, and what places in float32 may be off it. */
const RESIZE_TIE = 0.5 + 1e-6;

/** Which cell is nearest. */
const ROUNDINGS = {
  "prefer-floor": (place) => Math.ceil(place - RESIZE_TIE),
  "prefer-ceil": (place) => Math.floor(place + RESIZE_TIE),
  floor: Math.floor,
  ceil: Math.ceil,
};

/** The weight of a cell at some distance in a cubic resize (Keys, 1981). */
function cubicWeight(distance) {
  const [a, d] = [-0.75, Math.abs(distance)];
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

/** The cells of an axis of `size` that one of `out` cells of a resize is made of: [cell, weight] each. */
function resizeTaps({ mode, coordinates, rounding, scale, single }, axis, size, out, index) {
  const round = single || mode === "nearest" ? Math.fround : (number) => number;
  let place = COORDINATES[coordinates](round, index, round(scale[axis] ?? out / size), size, out);
  const inside = (cell) => Math.min(Math.max(cell, 0), size - 1);
  if (mode === "nearest") return [[inside(ROUNDINGS[rounding](place)), 1]];
  if (mode === "linear") place = inside(place);
  const [first, share] = [Math.floor(place), place - Math.floor(place)];
  if (mode === "cubic") return [-1, 0, 1, 2].map((step) => [inside(first + step), cubicWeight(share - step)]);
  // Both are the last cell: a weight of 0 would make NaN of an infinity in it.
  const weights = first === size - 1 ? [0.5, 0.5] : [1 - share, share];
  return weights.map((weight, step) => [inside(first + step), weight]);
}

/** A value of a resize: the cells nearest to its place, each times its weight. */
function resizedArithmetic(layer, unit) {
  const { shape } = byName.get(layer.inputs[0]);
  const [down, across] = unit.at.map((index, axis) =>
    resizeTaps(layer.settings, axis, shape[axis], layer.shape[axis], index),
  );
  const reads = new Map();
  for (const [row, rowWeight] of down) {
    for (const [col, colWeight] of across) {
      const key = row * shape[1] + col;
      const read = reads.get(key) ?? readCell(layer, [row, col, unit.channel]);
      if (!read) return null;
      const weight = (read.weight ?? 0) + rowWeight * colWeight;
      reads.set(key, { ...read, weight, amount: weight * read.value });
    }
  }
  const all = [...reads.values()];
  const value = all.reduce((sum, { amount }) => sum + amount, 0);
  return { value, reads: all.filter(({ weight }) => weight !== 0) };
}
