"use strict";
// The arithmetic of a transposed convolution, as cnncli/network/layers/conv_transpose.py does it: each
// input cell adds its value, times the kernel, to the output. Arrays in, arrays out; nothing here
// touches the page. tests/explain/test_transposed_arithmetic.py compares every part with the layer.

/**
 * One axis: input cell i adds to the outputs from i * stride on, before `cut` takes away cells at
 * both ends; `extra` cells are added at the end. The input has no padding: `begin` and `end` are 0.
 */
function makeTransposedAxis(size, kernel, stride, dilation, cut, extra) {
  const extent = dilation * (kernel - 1) + 1;
  const out = (size - 1) * stride + extent + extra - cut[0] - cut[1];
  const padding = { begin: 0, end: 0, padded: size, overhang: 0 };
  return { size, kernel, stride, dilation, cut, extra, extent, out, fits: out >= 1, ...padding };
}

/** Each { cell, tap } of an axis that adds to an output, in the order of the cells. */
function addingCells(axis, output) {
  const found = [];
  for (let tap = axis.kernel - 1; tap >= 0; tap -= 1) {
    const start = output + axis.cut[0] - tap * axis.dilation;
    const cell = start / axis.stride;
    if (start >= 0 && Number.isInteger(cell) && cell < axis.size) found.push({ cell, tap });
  }
  return found;
}

/** Each { output, tap, isCut } of an axis to which an input cell adds; what is cut is lost. */
function reachedOutputs(axis, cell) {
  return Array.from({ length: axis.kernel }, (_, tap) => {
    const output = cell * axis.stride + tap * axis.dilation - axis.cut[0];
    return { output, tap, isCut: output < 0 || output >= axis.out };
  });
}

/** By tap, pairs: the place of an output in a list of some, and the cell of the page that adds to it by that tap. */
function placesByTap(outputs, adding, kernel, table) {
  const places = Array.from({ length: kernel }, () => []);
  outputs.forEach((output, place) => {
    for (const { cell, tap } of adding[output]) places[tap].push(place, table[cell]);
  });
  return places;
}

/**
 * A transposed convolution on one image, see `LayerArithmetic`. `layer` has op "conv-transpose",
 * kernel, stride, dilation, padding ([top, bottom, left, right], which is cut off), outputPadding,
 * groups, bias, and weights in the order of a convolution's: rows, columns, channels in of one group,
 * channels out.
 */
class TransposedArithmetic extends LayerArithmetic {
  placeAxes() {
    const { kernel, stride, padding, outputPadding, dilation } = this.layer;
    const [rows, cols] = [0, 1].map((i) => {
      const cut = padding.slice(2 * i, 2 * i + 2);
      return makeTransposedAxis(this.input.size[i], kernel[i], stride[i], dilation[i], cut, outputPadding[i]);
    });
    return { rows, cols };
  }

  prepare() {
    const { rows, cols } = this.window;
    const { input } = this;
    this.rowTable = sourceTable(rows, "zeros", input.rows);
    this.colTable = sourceTable(cols, "zeros", input.cols);
    const adding = (axis) => Array.from({ length: axis.out }, (_, output) => addingCells(axis, output));
    [this.addingRows, this.addingCols] = [adding(rows), adding(cols)];
    const known = (lists, table) =>
      Uint8Array.from(lists, (list) => Number(list.every(({ cell }) => table[cell] !== ELSEWHERE)));
    this.knownRows = known(this.addingRows, this.rowTable);
    this.knownCols = known(this.addingCols, this.colTable);
  }

  /** The rows and the columns of the input that add to an output; there may be none. */
  windowCells(row, col) {
    const cells = (list) => list.map(({ cell }) => cell);
    return [cells(this.addingRows[row]), cells(this.addingCols[col])];
  }

  inputCell(at, i, j) {
    return [this.addingRows[at[0]][i].cell, this.addingCols[at[1]][j].cell];
  }

  seesNoPadding() {
    return true;
  }

  with(fields) {
    return new TransposedArithmetic(this.input, { ...this.layer, ...fields });
  }

  values(channel, outRows, outCols) {
    const { map, channels } = this.sources(channel);
    const [kernelRows, kernelCols] = this.layer.kernel;
    const values = new Float64Array(outRows.length * outCols.length).fill(this.bias(map));
    const { downs, acrosses } = this.tapPlaces(outRows, outCols);
    channels.forEach((source, depth) => {
      for (let i = 0; i < kernelRows; i += 1) {
        for (let j = 0; j < kernelCols; j += 1) {
          this.addTap(values, outCols.length, this.input.planes[source], this.weight(i, j, depth, map), downs[i], acrosses[j]);
        }
      }
    });
    return values.map((value, index) => {
      const [row, col] = [outRows[Math.floor(index / outCols.length)], outCols[index % outCols.length]];
      return this.knows(row, col) ? value : NaN;
    });
  }

  /** For each tap which of some rows of the output a row of the input adds to, and the same of columns. */
  tapPlaces(outRows, outCols) {
    return {
      downs: placesByTap(outRows, this.addingRows, this.layer.kernel[0], this.rowTable),
      acrosses: placesByTap(outCols, this.addingCols, this.layer.kernel[1], this.colTable),
    };
  }

  /** Add a weight times the input's cells under one tap to the outputs that they reach. */
  addTap(values, width, plane, weight, downs, acrosses) {
    const inputWidth = this.input.cols[1] - this.input.cols[0];
    for (let a = 0; a < downs.length; a += 2) {
      const [target, from] = [downs[a] * width, downs[a + 1] * inputWidth];
      for (let b = 0; b < acrosses.length; b += 2) {
        values[target + acrosses[b]] += weight * plane[from + acrosses[b + 1]];
      }
    }
  }

  /**
   * Everything about one output value, see `LayerArithmetic`: the cells of a block are the input
   * cells that add to it, { i, j, row, col, value, weight, product }, with i and j their places among these.
   */
  step(channel, row, col) {
    const { map, channels } = this.sources(channel);
    const blocks = channels.map((source, depth) => {
      const cells = this.addingRows[row].flatMap(({ cell: r, tap: down }, i) =>
        this.addingCols[col].map(({ cell: c, tap: across }, j) => {
          const [value, weight] = [this.cell(source, r, c), this.weight(down, across, depth, map)];
          return { i, j, row: r, col: c, value, weight, product: value * weight, pad: false };
        }),
      );
      return { channel: source, depth, cells, sum: cells.reduce((sum, cell) => sum + cell.product, 0) };
    });
    const sum = blocks.reduce((total, block) => total + block.sum, 0);
    const total = sum + this.bias(map);
    return { map, blocks, sum, bias: this.bias(map), total, value: total };
  }

  /**
   * Where a value of an input channel goes in an output channel: { value, cells }, with a cell
   * { i, j, row, col, isCut, weight, product } for each tap of the kernel, row by row; null where the
   * output channel does not read that input channel.
   */
  spread(channel, source, row, col) {
    const { map, channels } = this.sources(channel);
    const depth = channels.indexOf(source);
    if (depth < 0) return null;
    const value = this.cell(source, row, col);
    const acrosses = reachedOutputs(this.window.cols, col);
    const cells = reachedOutputs(this.window.rows, row).flatMap((down) =>
      acrosses.map((across) => {
        const weight = this.weight(down.tap, across.tap, depth, map);
        const isCut = down.isCut || across.isCut;
        return { i: down.tap, j: across.tap, row: down.output, col: across.output, isCut, weight, product: value * weight };
      }),
    );
    return { value, cells };
  }

  /** The gradient of an input value if that of every output is 1: the weights by which it is added. */
  inputGradient(source, row, col) {
    let sum = 0;
    for (let channel = 0; channel < this.channels; channel += 1) {
      const cells = this.spread(channel, source, row, col)?.cells ?? [];
      for (const { weight, isCut } of cells) sum += isCut ? 0 : weight;
    }
    return sum;
  }
}

/** The arithmetic of a layer of any kind that a page of one layer has. */
function arithmeticOf(input, layer) {
  if (layer.op === "conv-transpose") return new TransposedArithmetic(input, layer);
  return new LayerArithmetic(input, settingsOn(layer, input.size));
}

/** The size of the output of a transposed convolution with its numbers filled in. */
function transposedFormula({ size, stride, extent, extra, cut, out }) {
  const pads = cut[0] === cut[1] ? `2×${cut[0]}` : `${cut[0]} − ${cut[1]}`;
  return `(${size} − 1)×${stride} + ${extent}${extra ? ` + ${extra}` : ""} − ${pads} = ${out}`;
}
