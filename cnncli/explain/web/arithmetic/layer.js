"use strict";
// The arithmetic of one layer, as cnncli/core does it: convolution and pooling. arithmetic/geometry.js says where
// the windows lie, arithmetic/window_sums.js adds them up, arithmetic/activations.js has the activations. Arrays in,
// arrays out; nothing here touches the page. Tests compare every part with the core.

/** The least power of lp that a page takes. */
const LEAST_POWER = 0.01;

/**
 * The arithmetic of one layer on one image.
 *
 * `input` is { size, channels, largest, rows, cols, planes }: of an image of `size`, the cells [first, last)
 * of rows and cols, one array for each channel. `layer` has the fields of ConvLayer or PoolLayer:
 * op, kernel, stride, padding, dilation; conv: weights, perChannel, groups, bias, padMode,
 * padValue, activation, alpha, single (whether numbers are float32); pool: mode, ceil,
 * countIncludePad, p.
 */
class LayerArithmetic {
  constructor(input, layer) {
    this.input = input;
    this.layer = layer;
    this.window = this.placeAxes();
    this.fits = this.window.rows.fits && this.window.cols.fits;
    if (this.fits) this.prepare();
  }

  placeAxes() {
    const { op, kernel, stride, padding, dilation, ceil } = this.layer;
    return placeWindow(this.input.size, kernel, stride, padding, dilation, op === "pool" && ceil);
  }

  /** Find the source of each padded cell, and which outputs the page can compute. */
  prepare() {
    const { input, layer } = this;
    const mode = layer.op === "pool" ? "zeros" : layer.padMode;
    this.rowTable = sourceTable(this.window.rows, mode, input.rows);
    this.colTable = sourceTable(this.window.cols, mode, input.cols);
    this.knownRows = knownOutputs(this.window.rows, this.rowTable);
    this.knownCols = knownOutputs(this.window.cols, this.colTable);
    const [[top, height], [left, width]] = [this.rowTable, this.colTable].map(heldCells);
    this.held = { top, left, height, width, size: height * width };
  }

  /** The same layer with other weights, biases or activation, on the same padded image. */
  with(fields) {
    const other = new LayerArithmetic(this.input, { ...this.layer, ...fields });
    if (this.fits) [other.planes, other.filled] = [this.paddedPlanes([]), this.filled];
    return other;
  }

  /** How many channels come out. */
  get channels() {
    if (this.layer.op === "pool") return this.input.channels;
    return this.layer.maps * (this.layer.perChannel ? this.input.channels : 1);
  }

  /** Whether the page has every cell that an output is made from. */
  knows(row, col) {
    return Boolean(this.knownRows[row] && this.knownCols[col]);
  }

  /** The input cell under the window's first tap. */
  windowStart(row, col) {
    const { rows, cols } = this.window;
    return [row * rows.stride - rows.begin, col * cols.stride - cols.begin];
  }

  /** The rows and the columns of the input under the window; before 0 and from the size on is padding. */
  windowCells(row, col) {
    const { rows, cols } = this.window;
    const under = (axis, start) => Array.from({ length: axis.kernel }, (_, tap) => start + tap * axis.dilation);
    const [top, left] = this.windowStart(row, col);
    return [under(rows, top), under(cols, left)];
  }

  /** Whether the window of an output lies on the input alone, along an axis. */
  seesNoPadding(axis, output) {
    const first = output * axis.stride - axis.begin;
    return first >= 0 && first + axis.extent <= axis.size;
  }

  /** The kernel of an output channel and the input channels that it sums over. */
  sources(channel) {
    const { layer, input } = this;
    if (layer.op === "pool") return { map: 0, channels: [channel] };
    if (layer.perChannel) {
      return { map: Math.floor(channel / input.channels), channels: [channel % input.channels] };
    }
    const depth = input.channels / layer.groups;
    const group = Math.floor(channel / (layer.maps / layer.groups));
    return { map: channel, channels: Array.from({ length: depth }, (_, i) => group * depth + i) };
  }

  /** A weight: rows, columns, channels in of one group, maps out. */
  weight(i, j, depth, map) {
    return this.layer.weights[this.weightIndex(i, j, depth, map)];
  }

  /** Where a weight stands among all of the layer. */
  weightIndex(i, j, depth, map) {
    const { kernel, maps, perChannel, groups } = this.layer;
    const depths = perChannel ? 1 : this.input.channels / groups;
    return ((i * kernel[1] + j) * depths + depth) * maps + map;
  }

  /** The magnitude up to which a sum may be rounding, as in render/rounding_noise.py. */
  roundingLimit(channel) {
    const { layer } = this;
    // Pools make no sums that cancel, and results of sigmoid may be as small as they like.
    if (layer.op === "pool" || layer.activation === "sigmoid") return 0;
    const { map, channels } = this.sources(channel);
    let sum = 0;
    for (let i = 0; i < layer.kernel[0]; i += 1) {
      for (let j = 0; j < layer.kernel[1]; j += 1) {
        const depths = layer.perChannel ? 1 : channels.length;
        for (let depth = 0; depth < depths; depth += 1) sum += Math.abs(this.weight(i, j, depth, map));
      }
    }
    const bound = sum * Math.max(this.input.largest, Math.abs(layer.padValue)) + Math.abs(this.bias(map));
    return 8 * (layer.single ? 2 ** -23 : Number.EPSILON) * bound;
  }

  bias(map) {
    const { bias } = this.layer;
    return bias.length === 1 ? bias[0] : bias[map];
  }

  /** The value of an input channel at padded cell (row, col); pads hold the border's constant. */
  cell(channel, row, col) {
    const r = this.rowTable[row];
    const c = this.colTable[col];
    if (r < 0 || c < 0) return this.layer.op === "pool" ? 0 : this.layer.padValue;
    return this.input.planes[channel][r * (this.input.cols[1] - this.input.cols[0]) + c];
  }

  /** Whether a padded cell is outside of the image, and whether it is beyond the padding. */
  outside(row, col) {
    const { rows, cols } = this.window;
    const inside = (cell, axis) => cell >= axis.begin && cell < axis.begin + axis.size;
    return {
      pad: !(inside(row, rows) && inside(col, cols)),
      overhang: row >= rows.padded || col >= cols.padded,
    };
  }

  /**
   * The values of one output channel at all crossings of some rows and columns: Float64Array,
   * row by row. What the page does not know is NaN.
   */
  values(channel, outRows, outCols) {
    if (this.layer.op === "pool") return this.pooled(channel, outRows, outCols);
    return this.convolved(channel, outRows, outCols);
  }

  convolved(channel, outRows, outCols) {
    const { map, channels } = this.sources(channel);
    const values = this.windowSums(channels, this.kernelOf(map), outRows, outCols);
    const bias = this.bias(map);
    for (let k = 0; k < values.length; k += 1) values[k] += bias;
    if (this.layer.activation === "none") return values;
    for (let k = 0; k < values.length; k += 1) values[k] = this.activate(values[k], channel);
    return values;
  }

  pooled(channel, outRows, outCols) {
    const { mode, p, countIncludePad, kernel } = this.layer;
    const offsets = this.tapOffsets();
    if (mode === "average") {
      const ones = new Float64Array(kernel[0] * kernel[1]).fill(1);
      const values = this.windowSums([channel], ones, outRows, outCols);
      const { rows, cols } = this.window;
      const down = outRows.map((row) => countedTaps(rows, this.rowTable, row, countIncludePad));
      const across = outCols.map((col) => countedTaps(cols, this.colTable, col, countIncludePad));
      return values.map((sum, k) => {
        const divisor = down[Math.floor(k / across.length)] * across[k % across.length];
        return sum / Math.max(divisor, 1);
      });
    }
    const planes = this.paddedPlanes([channel]);
    const choose = { max: largestCell, min: smallestCell }[mode] || ((...cells) => normOfCells(...cells, p)[0]);
    return this.eachOutput(channel, outRows, outCols, (values, at, start) => {
      values[at] = choose(planes, start, offsets);
    });
  }

  /** The weights of a map, in the order of `tapOffsets`. */
  kernelOf(map) {
    const { kernel, perChannel, groups } = this.layer;
    const depths = perChannel ? 1 : this.input.channels / groups;
    const weights = new Float64Array(depths * kernel[0] * kernel[1]);
    let tap = 0;
    for (let depth = 0; depth < depths; depth += 1) {
      for (let i = 0; i < kernel[0]; i += 1) {
        for (let j = 0; j < kernel[1]; j += 1) {
          weights[tap] = this.weight(i, j, depth, map);
          tap += 1;
        }
      }
    }
    return weights;
  }

  /** From the first cell under a window to each: channel by channel, each in reading order. */
  tapOffsets() {
    if (!this.offsets) {
      const { rows, cols } = this.window;
      const { width, size } = this.held;
      const depths = this.sources(0).channels.length;
      this.offsets = new Int32Array(depths * rows.kernel * cols.kernel);
      for (let tap = 0; tap < this.offsets.length; tap += 1) {
        const j = tap % cols.kernel;
        const i = Math.floor(tap / cols.kernel) % rows.kernel;
        const depth = Math.floor(tap / (cols.kernel * rows.kernel));
        this.offsets[tap] = depth * size + i * rows.dilation * width + j * cols.dilation;
      }
    }
    return this.offsets;
  }

  /** Weight times value, added up over each window. */
  windowSums(channels, weights, outRows, outCols) {
    const planes = this.paddedPlanes(channels);
    const offsets = this.tapOffsets();
    const one = (sums, at, start) => {
      sums[at] = windowSum(planes, start, offsets, weights);
    };
    const eight = (sums, at, start, step) => eightSums(sums, at, planes, start, step, offsets, weights);
    return this.eachOutput(channels[0], outRows, outCols, one, eight);
  }

  /**
   * Values at the crossings of some rows and columns. `one(values, at, start)` makes one of them from
   * the cells that begin at `start` of the padded planes; `eight` makes eight of one row, `step` cells apart.
   */
  eachOutput(channel, outRows, outCols, one, eight) {
    const { top, left, width, size } = this.held;
    const { rows, cols } = this.window;
    const count = outCols.length;
    const values = new Float64Array(outRows.length * count).fill(NaN);
    const starts = Int32Array.from(outCols, (col) => col * cols.stride - left);
    const step = outCols.every((col) => this.knownCols[col]) ? commonStep(starts) : 0;
    const isInEights = eight && step && count >= 8;
    for (let a = 0; a < outRows.length; a += 1) {
      if (!this.knownRows[outRows[a]]) continue;
      const row = channel * size + (outRows[a] * rows.stride - top) * width;
      for (let b = 0; b < count; b += isInEights ? 8 : 1) {
        // The last eight may begin among those before them.
        const first = isInEights ? Math.min(b, count - 8) : b;
        if (isInEights) eight(values, a * count + first, row + starts[first], step);
        else if (this.knownCols[outCols[b]]) one(values, a * count + b, row + starts[b]);
      }
    }
    return values;
  }

  /**
   * All channels with their border, one after another, as far as the page has them: `held` tells
   * which cells. Those of `channels` are filled in, and kept until the layer changes.
   */
  paddedPlanes(channels) {
    const { size } = this.held;
    this.planes = this.planes || new Float64Array(this.input.channels * size);
    this.filled = this.filled || new Set();
    for (const channel of channels) {
      if (this.filled.has(channel)) continue;
      this.filled.add(channel);
      this.fillPlane(channel, this.planes.subarray(channel * size, (channel + 1) * size));
    }
    return this.planes;
  }

  fillPlane(channel, plane) {
    const { top, left, width, height } = this.held;
    const source = this.input.planes[channel];
    const sourceWidth = this.input.cols[1] - this.input.cols[0];
    const columns = this.colTable.subarray(left, left + width);
    // Pads never win.
    const losing = { max: -Infinity, min: Infinity }[this.layer.mode] || 0;
    plane.fill(this.layer.op === "pool" ? losing : this.layer.padValue);
    for (let row = 0; row < height; row += 1) {
      const from = this.rowTable[top + row];
      if (from < 0) continue;
      for (let col = 0; col < width; col += 1) {
        if (columns[col] >= 0) plane[row * width + col] = source[from * sourceWidth + columns[col]];
      }
    }
  }

  /** The row and column of the input under a tap of the window of an output; null for a constant. */
  inputCell(at, i, j) {
    const { rows, cols } = this.window;
    const row = this.rowTable[at[0] * rows.stride + i * rows.dilation];
    const col = this.colTable[at[1] * cols.stride + j * cols.dilation];
    return row < 0 || col < 0 ? null : [row + this.input.rows[0], col + this.input.cols[0]];
  }

  /** One window of a pool: its value, and what led to it. Pads never win; NaN does. */
  poolWindow(channel, row, col) {
    const { rows, cols } = this.window;
    const { mode, p, countIncludePad } = this.layer;
    const sign = mode === "min" ? -1 : 1;
    const width = this.input.cols[1] - this.input.cols[0];
    const plane = this.input.planes[channel];
    let [best, winner, ties, sum, divisor] = [-Infinity, -1, 0, 0, 0];
    for (let i = 0; i < rows.kernel; i += 1) {
      const down = row * rows.stride + i * rows.dilation;
      const r = this.rowTable[down];
      for (let j = 0; j < cols.kernel; j += 1) {
        const across = col * cols.stride + j * cols.dilation;
        const c = this.colTable[across];
        if (r < 0 || c < 0) {
          if (countIncludePad && down < rows.padded && across < cols.padded) divisor += 1;
          continue;
        }
        const value = plane[r * width + c];
        divisor += 1;
        sum += value;
        const signed = sign * value;
        const wins = winner < 0 || signed > best || (Number.isNaN(signed) && !Number.isNaN(best));
        if (wins) [best, winner, ties] = [signed, i * cols.kernel + j, 1];
        else if (signed === best) ties += 1;
      }
    }
    divisor = Math.max(divisor, 1);
    let value = sign * best;
    if (mode === "average") value = sum / divisor;
    let powers = 0;
    if (mode === "lp") {
      const { top, left, width: across, size } = this.held;
      const start = channel * size + (row * rows.stride - top) * across + col * cols.stride - left;
      [value, powers] = normOfCells(this.paddedPlanes([channel]), start, this.tapOffsets(), p);
    }
    return { value, winner, ties, sum, divisor, powers };
  }

  /** The activation of one value of an output channel. */
  activate(z, channel) {
    return activate(z, this.layer, channel);
  }

  /**
   * Everything about one output value: for each input channel under the window a block
   * { channel, depth, cells } with cells { value, weight, product, pad, overhang } in reading
   * order and their sum; then bias, total and value, or the results of `poolWindow`.
   */
  step(channel, row, col) {
    const { rows, cols } = this.window;
    const { map, channels } = this.sources(channel);
    const isPool = this.layer.op === "pool";
    const blocks = channels.map((source, depth) => {
      const cells = [];
      for (let i = 0; i < rows.kernel; i += 1) {
        for (let j = 0; j < cols.kernel; j += 1) {
          const down = row * rows.stride + i * rows.dilation;
          const across = col * cols.stride + j * cols.dilation;
          const value = this.cell(source, down, across);
          const cell = { i, j, value, ...this.outside(down, across) };
          if (!isPool) {
            cell.weight = this.weight(i, j, depth, map);
            cell.product = value * cell.weight;
          }
          cells.push(cell);
        }
      }
      const sum = isPool ? 0 : cells.reduce((total, cell) => total + cell.product, 0);
      return { channel: source, depth, cells, sum };
    });
    if (isPool) return { map, blocks, ...this.poolWindow(channel, row, col) };
    const sum = blocks.reduce((total, block) => total + block.sum, 0);
    const total = sum + this.bias(map);
    const value = this.activate(total, channel);
    return { map, blocks, sum, bias: this.bias(map), total, value };
  }
}
