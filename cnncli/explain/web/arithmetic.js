"use strict";
// The arithmetic of one layer, as cnncli/core does it: sizes, borders, convolution, pooling and
// activations. Arrays in, arrays out; nothing here touches the page.
// tests/explain/test_browser.py compares every part with the core.

/** In a table of source cells: a border's constant, and a cell that is not in this page. */
const CONSTANT = -1;
const ELSEWHERE = -2;

const LEAKY_SLOPE = 0.01;

/**
 * One axis of a sliding window: `size` cells, `kernel` taps, pads `begin` and `end`.
 * `out` is less than 1 when the window does not fit.
 */
function makeAxis(size, kernel, stride, dilation, begin, end, ceil) {
  const extent = dilation * (kernel - 1) + 1;
  const padded = size + begin + end;
  const steps = padded - extent;
  let out = Math.floor(steps / stride) + 1;
  if (ceil && steps >= 0) {
    out = Math.ceil(steps / stride) + 1;
    // A window may not start in the end pad.
    if ((out - 1) * stride >= size + begin) out -= 1;
  }
  const overhang = Math.max(0, (out - 1) * stride + extent - padded);
  const fits = out >= 1 && steps >= 0;
  return { size, kernel, stride, dilation, begin, end, ceil, extent, padded, out, overhang, fits };
}

/** The output whose window has its middle nearest to an input cell; it may be before or after all. */
function outputAt(axis, cell) {
  return Math.round((cell + axis.begin - (axis.extent - 1) / 2) / axis.stride);
}

/** The output size with its numbers filled in. */
function axisFormula(axis) {
  const pads = axis.begin === axis.end ? `2×${axis.begin}` : `${axis.begin} + ${axis.end}`;
  const [open, close] = axis.ceil ? ["⌈", "⌉"] : ["⌊", "⌋"];
  return (
    `${open}(${axis.size} + ${pads} − ${axis.extent}) / ${axis.stride}${close} + 1` +
    ` = ${axis.out}`
  );
}

/** Pads for which the output has ceil(size / stride) cells; the odd one at the end, or not. */
function samePads(size, kernel, stride, dilation, lower) {
  const out = Math.ceil(size / stride);
  const total = Math.max(0, (out - 1) * stride + dilation * (kernel - 1) + 1 - size);
  const small = Math.floor(total / 2);
  return lower ? [total - small, small] : [small, total - small];
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

/** The activation of one value of a channel; NaN where a page does not compute it. */
function activate(z, { activation, alpha }, channel) {
  const slope = () => (alpha ? alpha[alpha.length === 1 ? 0 : channel] : LEAKY_SLOPE);
  switch (activation) {
    case "none":
      return z;
    case "relu":
      return Number.isNaN(z) ? z : Math.max(z, 0);
    case "leaky-relu":
    case "prelu":
      return z > 0 ? z : z * slope();
    case "sigmoid": {
      // exp of the negative magnitude never overflows.
      const small = Math.exp(-Math.abs(z));
      return z >= 0 ? 1 / (1 + small) : small / (1 + small);
    }
    case "tanh":
      return Math.tanh(z);
    case "abs":
      return Math.abs(z);
    default:
      return NaN;
  }
}

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
    const { kernel, stride, padding, dilation } = layer;
    const isPool = layer.op === "pool";
    this.window = placeWindow(input.size, kernel, stride, padding, dilation, isPool && layer.ceil);
    this.fits = this.window.rows.fits && this.window.cols.fits;
    if (!this.fits) return;
    const mode = isPool ? "zeros" : layer.padMode;
    this.rowTable = sourceTable(this.window.rows, mode, input.rows);
    this.colTable = sourceTable(this.window.cols, mode, input.cols);
    this.knownRows = knownOutputs(this.window.rows, this.rowTable);
    this.knownCols = knownOutputs(this.window.cols, this.colTable);
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
    const { weights, kernel, maps, perChannel, groups } = this.layer;
    const depths = perChannel ? 1 : this.input.channels / groups;
    return weights[((i * kernel[1] + j) * depths + depth) * maps + map];
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
    const values =
      this.layer.op === "pool"
        ? this.pooled(channel, outRows, outCols)
        : this.convolved(channel, outRows, outCols);
    for (let a = 0; a < outRows.length; a += 1) {
      for (let b = 0; b < outCols.length; b += 1) {
        if (!this.knows(outRows[a], outCols[b])) values[a * outCols.length + b] = NaN;
      }
    }
    return values;
  }

  convolved(channel, outRows, outCols) {
    const { rows, cols } = this.window;
    const { map, channels } = this.sources(channel);
    const width = outCols.length;
    const sums = new Float64Array(outRows.length * width);
    channels.forEach((source, depth) => {
      const plane = this.paddedPlane(source);
      for (let i = 0; i < rows.kernel; i += 1) {
        for (let j = 0; j < cols.kernel; j += 1) {
          const weight = this.weight(i, j, depth, map);
          for (let a = 0; a < outRows.length; a += 1) {
            const row = (outRows[a] * rows.stride + i * rows.dilation) * this.colTable.length;
            const shift = row + j * cols.dilation;
            for (let b = 0; b < width; b += 1) {
              sums[a * width + b] += weight * plane[shift + outCols[b] * cols.stride];
            }
          }
        }
      }
    });
    const bias = this.bias(map);
    for (let k = 0; k < sums.length; k += 1) sums[k] = this.activate(sums[k] + bias, channel);
    return sums;
  }

  /** One channel with its border, kept until the layer changes. */
  paddedPlane(channel) {
    this.planes = this.planes || new Map();
    if (!this.planes.has(channel)) {
      const width = this.colTable.length;
      const plane = new Float64Array(this.rowTable.length * width);
      for (let row = 0; row < this.rowTable.length; row += 1) {
        for (let col = 0; col < width; col += 1) {
          plane[row * width + col] = this.cell(channel, row, col);
        }
      }
      this.planes.set(channel, plane);
    }
    return this.planes.get(channel);
  }

  pooled(channel, outRows, outCols) {
    const values = new Float64Array(outRows.length * outCols.length);
    for (let a = 0; a < outRows.length; a += 1) {
      for (let b = 0; b < outCols.length; b += 1) {
        values[a * outCols.length + b] = this.poolWindow(channel, outRows[a], outCols[b]).value;
      }
    }
    return values;
  }

  /** One window of a pool: its value, and what led to it. Pads never win; NaN does. */
  poolWindow(channel, row, col) {
    const { rows, cols } = this.window;
    const { mode, p, countIncludePad } = this.layer;
    const sign = mode === "min" ? -1 : 1;
    const width = this.input.cols[1] - this.input.cols[0];
    const plane = this.input.planes[channel];
    let [best, winner, ties, sum, divisor, largest] = [-Infinity, -1, 0, 0, 0, 0];
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
        largest = Math.max(largest, Math.abs(value));
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
    if (mode === "lp") [value, powers] = this.norm(channel, row, col, largest, p);
    return { value, winner, ties, sum, divisor, powers };
  }

  /** (sum |x|^p)^(1/p), divided by the largest value so that no power overflows; and the sum. */
  norm(channel, row, col, largest, p) {
    if (p === Infinity || largest === 0 || Number.isNaN(largest)) return [largest, largest];
    const { rows, cols } = this.window;
    let shares = 0;
    for (let i = 0; i < rows.kernel; i += 1) {
      for (let j = 0; j < cols.kernel; j += 1) {
        const value = this.cell(
          channel,
          row * rows.stride + i * rows.dilation,
          col * cols.stride + j * cols.dilation,
        );
        shares += (Math.abs(value) / largest) ** p;
      }
    }
    return [largest * shares ** (1 / p), largest ** p * shares];
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
