"use strict";
// The backward pass of one layer, as cnncli/core does it: the gradients of its input, its weights
// and its biases, if that of every output is 1, or as a network sends it. Arrays in, arrays out; nothing
// here touches the page. tests/explain/test_browser_backward.py compares every part with the core.

/** The outputs of an axis with a tap on one of the page's cells. */
function touchingOutputs(axis, table) {
  const outputs = [];
  for (let output = 0; output < axis.out; output += 1) {
    const taps = Array.from({ length: axis.kernel }, (_, tap) => output * axis.stride + tap * axis.dilation);
    if (taps.some((cell) => table[cell] >= 0)) outputs.push(output);
  }
  return outputs;
}

/** Each { output, tap } of an axis that reads a cell of the page, or a copy of it. */
function readersAlong(axis, table, cell) {
  const readers = [];
  table.forEach((source, padded) => {
    if (source !== cell) return;
    for (let tap = 0; tap < axis.kernel; tap += 1) {
      const start = padded - tap * axis.dilation;
      const output = start / axis.stride;
      if (start >= 0 && Number.isInteger(output) && output < axis.out) readers.push({ output, tap });
    }
  });
  return readers.sort((a, b) => a.output - b.output || a.tap - b.tap);
}

/** The sum of cells of a row times gradients; four sums at a time are faster than one. */
function rowProduct(plane, shift, across, upstream, first) {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const end = across.length - (across.length % 4);
  for (let k = 0; k < end; k += 4) {
    a += plane[shift + across[k]] * upstream[first + k];
    b += plane[shift + across[k + 1]] * upstream[first + k + 1];
    c += plane[shift + across[k + 2]] * upstream[first + k + 2];
    d += plane[shift + across[k + 3]] * upstream[first + k + 3];
  }
  for (let k = end; k < across.length; k += 1) a += plane[shift + across[k]] * upstream[first + k];
  return a + b + c + d;
}

/**
 * The backward pass of a `LayerArithmetic`. `chosen` lists the output channels whose gradient is 1;
 * that of the others is 0. What needs cells that the page does not have is NaN. `outputs`, { rows, cols },
 * are those that count; without it all do. `planes` has for each output channel the gradients of all
 * outputs where they are not 1.
 */
class BackwardArithmetic {
  constructor(arithmetic, chosen, outputs = null, planes = null) {
    this.arithmetic = arithmetic;
    this.planes = planes;
    this.chosen = chosen;
    const { window, rowTable, colTable, knownRows, knownCols, input } = arithmetic;
    // Of all outputs that count, also of those whose windows hold padding only.
    this.isWhole = Boolean(outputs) || (knownRows.every(Boolean) && knownCols.every(Boolean));
    const all = (axis) => Array.from({ length: axis.out }, (_, k) => k);
    if (outputs) [this.rows, this.cols] = [outputs.rows, outputs.cols];
    else if (this.isWhole) [this.rows, this.cols] = [window.rows, window.cols].map(all);
    else {
      this.rows = touchingOutputs(window.rows, rowTable);
      this.cols = touchingOutputs(window.cols, colTable);
    }
    this.linear = arithmetic.with({ activation: "none" });
    this.width = input.cols[1] - input.cols[0];
    this.upstreams = new Map();
    this.gradients = new Map();
    this.weightGradients = new Map();
  }

  /** The gradient of an output channel's sums, at the crossings of `rows` and `cols`. */
  upstream(channel) {
    if (!this.upstreams.has(channel)) this.upstreams.set(channel, this.makeUpstream(channel));
    return this.upstreams.get(channel);
  }

  makeUpstream(channel) {
    const { arithmetic, rows, cols } = this;
    const { op, activation } = arithmetic.layer;
    const isCurved = op !== "pool" && activation !== "none";
    const sums = isCurved ? this.linear.values(channel, rows, cols) : null;
    const upstream = new Float64Array(rows.length * cols.length);
    for (let k = 0; k < upstream.length; k += 1) {
      const isKnown = arithmetic.knows(rows[Math.floor(k / cols.length)], cols[k % cols.length]);
      upstream[k] = !isKnown ? NaN : sums ? activationSlope(sums[k], arithmetic.layer, channel) : 1;
    }
    if (!this.planes) return upstream;
    for (let k = 0; k < upstream.length; k += 1) {
      const cell = rows[Math.floor(k / cols.length)] * arithmetic.window.cols.out + cols[k % cols.length];
      upstream[k] *= this.planes[channel][cell];
    }
    return upstream;
  }

  /** The upstream gradient of one output. */
  upstreamAt(channel, row, col) {
    const [a, b] = [this.rows.indexOf(row), this.cols.indexOf(col)];
    return this.upstream(channel)[a * this.cols.length + b];
  }

  /** The chosen output channels that read an input channel, { channel, map, depth }: by that depth of that kernel. */
  readers(source) {
    this.readersOf ??= this.findReaders();
    return this.readersOf[source];
  }

  findReaders() {
    const readers = Array.from({ length: this.arithmetic.input.channels }, () => []);
    for (const channel of this.chosen) {
      const { map, channels } = this.arithmetic.sources(channel);
      channels.forEach((source, depth) => readers[source].push({ channel, map, depth }));
    }
    return readers;
  }

  /** How much of a window's gradient each of its cells gets, tap by tap: 0 for padding. */
  shares(channel, row, col) {
    const { arithmetic } = this;
    const { mode, p } = arithmetic.layer;
    const { value, winner, divisor } = arithmetic.poolWindow(channel, row, col);
    const cells = this.cellsUnder(row, col);
    if (mode === "average") return cells.map((cell) => (cell < 0 ? 0 : 1 / divisor));
    if (mode !== "lp") return cells.map((_, tap) => (tap === winner ? 1 : 0));
    const plane = arithmetic.input.planes[channel];
    const inside = cells.map((cell) => (cell < 0 ? 0 : plane[cell]));
    if (p === Infinity) {
      const first = inside.findIndex((x) => Math.abs(x) === value);
      return inside.map((x, tap) => (tap === first ? Math.sign(x) : 0));
    }
    // d(sum |x|^p)^(1/p) = sign(x) (|x| / norm)^(p-1), and 0 at 0.
    return inside.map((x) => (x === 0 ? 0 : Math.sign(x) * (Math.abs(x) / value) ** (p - 1)));
  }

  /** The gradient of an input channel: one number for each cell of the page, row by row. */
  inputGradient(source) {
    if (!this.gradients.has(source)) {
      const { rows } = this.arithmetic.input;
      const gradient = new Float64Array((rows[1] - rows[0]) * this.width);
      const add = this.arithmetic.layer.op === "pool" ? "addWindows" : "addMap";
      for (const reader of this.readers(source)) this[add](gradient, reader);
      this.gradients.set(source, gradient);
    }
    return this.gradients.get(source);
  }

  /** Add what one map of a convolution sends back: its upstream gradient times each weight. */
  addMap(gradient, { channel, map, depth }) {
    const { arithmetic, rows, cols } = this;
    const { window, rowTable, colTable } = arithmetic;
    const upstream = this.upstream(channel);
    if (upstream.every((one) => one === 0)) return;
    for (let i = 0; i < window.rows.kernel; i += 1) {
      for (let j = 0; j < window.cols.kernel; j += 1) {
        const weight = arithmetic.weight(i, j, depth, map);
        const across = cols.map((col) => colTable[col * window.cols.stride + j * window.cols.dilation]);
        for (let a = 0; a < rows.length; a += 1) {
          const r = rowTable[rows[a] * window.rows.stride + i * window.rows.dilation];
          // What lands on constant padding is lost.
          if (r < 0) continue;
          for (let b = 0; b < cols.length; b += 1) {
            if (across[b] >= 0) gradient[r * this.width + across[b]] += weight * upstream[a * cols.length + b];
          }
        }
      }
    }
  }

  /** Add what the windows of a pool send back: to the winner, or shared out. */
  addWindows(gradient, { channel }) {
    const { rows, cols } = this;
    const upstream = this.upstream(channel);
    rows.forEach((row, a) => {
      cols.forEach((col, b) => {
        if (upstream[a * cols.length + b] === 0) return;
        const shares = this.shares(channel, row, col);
        this.cellsUnder(row, col).forEach((cell, tap) => {
          // A cell without a share gets nothing, also of a gradient that is not finite.
          if (cell >= 0 && shares[tap] !== 0) gradient[cell] += shares[tap] * upstream[a * cols.length + b];
        });
      });
    });
  }

  /** The page's cell under each tap of an output's window; -1 for padding and what is elsewhere. */
  cellsUnder(row, col) {
    const { window, rowTable, colTable } = this.arithmetic;
    const cells = [];
    for (let i = 0; i < window.rows.kernel; i += 1) {
      const r = rowTable[row * window.rows.stride + i * window.rows.dilation];
      for (let j = 0; j < window.cols.kernel; j += 1) {
        const c = colTable[col * window.cols.stride + j * window.cols.dilation];
        cells.push(r < 0 || c < 0 ? -1 : r * this.width + c);
      }
    }
    return cells;
  }

  /**
   * Every way from an output to one input value: { row, col, channel, i, j, weight, upstream,
   * product }, output by output. Of pools the weight is the share of the window's gradient.
   */
  paths(source, row, col) {
    const { arithmetic } = this;
    const { window, rowTable, colTable, input, layer } = arithmetic;
    const downs = readersAlong(window.rows, rowTable, row - input.rows[0]);
    const acrosses = readersAlong(window.cols, colTable, col - input.cols[0]);
    const paths = [];
    for (const { output: outRow, tap: i } of downs) {
      for (const { output: outCol, tap: j } of acrosses) {
        for (const { channel, map, depth } of this.readers(source)) {
          const weight =
            layer.op === "pool"
              ? this.shares(channel, outRow, outCol)[i * window.cols.kernel + j]
              : arithmetic.weight(i, j, depth, map);
          const upstream = this.upstreamAt(channel, outRow, outCol);
          paths.push({ row: outRow, col: outCol, channel, i, j, weight, upstream, product: weight * upstream });
        }
      }
    }
    return paths;
  }

  /** The chosen output channels that one kernel makes, each with the input channel it reads. */
  madeBy(map, depth) {
    const made = this.chosen.filter((channel) => this.arithmetic.sources(channel).map === map);
    return made.map((channel) => ({ channel, source: this.arithmetic.sources(channel).channels[depth] }));
  }

  /**
   * Call `use(plane, shift, upstream, first, row, channel)` for each row of outputs that a weight makes: the
   * cell under it for a column `col` is plane[shift + col * stride], the row's gradients begin at upstream[first].
   */
  eachRow(map, depth, i, j, use) {
    const { arithmetic, rows, cols } = this;
    const { window } = arithmetic;
    const { top, left, width, size } = arithmetic.held;
    for (const { channel, source } of this.madeBy(map, depth)) {
      const [plane, upstream] = [arithmetic.paddedPlanes([source]), this.upstream(channel)];
      for (let a = 0; a < rows.length; a += 1) {
        const row = rows[a] * window.rows.stride + i * window.rows.dilation - top;
        const shift = source * size + row * width + j * window.cols.dilation - left;
        use(plane, shift, upstream, a * cols.length, rows[a], channel);
      }
    }
  }

  /** Call `add(value, upstream, row, col, channel)` for each term of the gradient of a weight. */
  eachTerm(map, depth, i, j, add) {
    const { stride } = this.arithmetic.window.cols;
    this.eachRow(map, depth, i, j, (plane, shift, upstream, first, row, channel) => {
      this.cols.forEach((col, b) => add(plane[shift + col * stride], upstream[first + b], row, col, channel));
    });
  }

  /** The gradient of a weight: input times upstream of all outputs, added up. */
  weightGradient(map, depth, i, j) {
    if (!this.isWhole) return NaN;
    const key = [map, depth, i, j].join();
    if (!this.weightGradients.has(key)) this.weightGradients.set(key, this.makeWeightGradient(map, depth, i, j));
    return this.weightGradients.get(key);
  }

  makeWeightGradient(map, depth, i, j) {
    const { stride } = this.arithmetic.window.cols;
    const across = Int32Array.from(this.cols, (col) => col * stride);
    let sum = 0;
    this.eachRow(map, depth, i, j, (plane, shift, upstream, first) => {
      sum += rowProduct(plane, shift, across, upstream, first);
    });
    return sum;
  }

  /** The gradient of a kernel's bias; of one bias for all kernels, of that. */
  biasGradient(map) {
    if (!this.isWhole) return NaN;
    const { bias } = this.arithmetic.layer;
    const isShared = bias.length === 1;
    const made = this.chosen.filter((channel) => isShared || this.arithmetic.sources(channel).map === map);
    return made.reduce((total, channel) => this.upstream(channel).reduce((sum, one) => sum + one, total), 0);
  }
}
