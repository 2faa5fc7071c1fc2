"use strict";
// The backward pass of a transposed convolution: the gradient of an input cell is that of the outputs that it adds
// to, each times its weight. Arrays in, arrays out; nothing here touches the page.

/** See `BackwardArithmetic`; `arithmetic` is a `TransposedArithmetic`. */
class TransposedBackward extends BackwardArithmetic {
  /** Call `use(cell, output)` for each cell of the input that adds to an output by a tap. */
  eachAdded(i, j, use) {
    const { cols } = this.arithmetic.window;
    this.places ??= this.arithmetic.tapPlaces(this.rows, this.cols);
    const [downs, acrosses] = [this.places.downs[i], this.places.acrosses[j]];
    for (let a = 0; a < downs.length; a += 2) {
      for (let b = 0; b < acrosses.length; b += 2) {
        use(downs[a + 1] * cols.size + acrosses[b + 1], downs[a] * cols.out + acrosses[b]);
      }
    }
  }

  addMap(gradient, { channel, map, depth }) {
    const { arithmetic } = this;
    const upstream = this.upstream(channel);
    if (upstream.every((one) => one === 0)) return;
    for (let i = 0; i < arithmetic.layer.kernel[0]; i += 1) {
      for (let j = 0; j < arithmetic.layer.kernel[1]; j += 1) {
        const weight = arithmetic.weight(i, j, depth, map);
        this.eachAdded(i, j, (cell, output) => {
          gradient[cell] += weight * upstream[output];
        });
      }
    }
  }

  paths(source, row, col) {
    const { arithmetic } = this;
    const { rows, cols } = arithmetic.window;
    const isKept = ({ isCut }) => !isCut;
    const paths = [];
    for (const { output: outRow, tap: i } of reachedOutputs(rows, row).filter(isKept)) {
      for (const { output: outCol, tap: j } of reachedOutputs(cols, col).filter(isKept)) {
        for (const { channel, map, depth } of this.readers(source)) {
          const weight = arithmetic.weight(i, j, depth, map);
          const upstream = this.upstream(channel)[outRow * cols.out + outCol];
          paths.push({ row: outRow, col: outCol, channel, i, j, weight, upstream, product: weight * upstream });
        }
      }
    }
    return paths;
  }

  makeWeightGradient(map, depth, i, j) {
    let sum = 0;
    for (const { channel, source } of this.madeBy(map, depth)) {
      const [plane, upstream] = [this.arithmetic.input.planes[source], this.upstream(channel)];
      this.eachAdded(i, j, (cell, output) => {
        sum += plane[cell] * upstream[output];
      });
    }
    return sum;
  }
}
