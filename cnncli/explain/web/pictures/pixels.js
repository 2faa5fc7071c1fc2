"use strict";
// The arithmetic of pictures that a user brings to a page: bytes of pixels to the numbers of an input, as
// cnncli/io reads a picture, and strokes of a drawing to pixels. Nothing here touches the page.

/** Shares of red, green and blue in grey, by ITU-R BT.601, as cnncli/io/images.py has them. */
const LUMINANCE = [0.299, 0.587, 0.114].map(Math.fround);

/** Bits behind the point of a weight of `resizePlane`: Pillow resizes bytes by whole numbers. */
const WEIGHT_BITS = 22;

/** The largest size of a picture's shape with at most so many pixels; its own if it has no more. */
function shrunkSize([height, width], most) {
  if (height * width <= most) return [height, width];
  const factor = Math.sqrt(most / (height * width));
  const rows = Math.min(most, Math.max(1, Math.floor(height * factor)));
  return [rows, Math.max(1, Math.min(Math.floor(width * factor), Math.floor(most / rows)))];
}

/** Rows and columns of the whole picture, as large as fits into a size. */
function innerSize(from, to) {
  const factor = Math.min(to[0] / from[0], to[1] / from[1]);
  return from.map((side, axis) => Math.min(Math.max(roundedToEven(side * factor), 1), to[axis]));
}

/** The middle of a picture in the shape of a size, [first, last] of rows and of columns. */
function middleBox(from, to) {
  const factor = Math.min(from[0] / to[0], from[1] / to[1]);
  return from.map((side, axis) => {
    const first = Math.max((side - to[axis] * factor) / 2, 0);
    return [first, Math.min((side - to[axis] * factor) / 2 + to[axis] * factor, side)];
  });
}

/**
 * For each cell of an axis that is made `count` long: the first cell that it averages, and their whole
 * weights. A triangle as wide as the step is long, as Pillow's BILINEAR.
 */
function axisWeights(size, [begin, end], count) {
  const step = (end - begin) / count;
  const reach = Math.max(step, 1);
  return Array.from({ length: count }, (_, cell) => {
    const centre = begin + (cell + 0.5) * step;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(size, Math.trunc(centre + reach + 0.5));
    const shares = Array.from({ length: last - first }, (__, k) =>
      Math.max(0, 1 - Math.abs((first + k - centre + 0.5) / reach)),
    );
    const total = shares.reduce((sum, share) => sum + share, 0);
    const weights = shares.map((share) => Math.trunc(0.5 + (share / total) * 2 ** WEIGHT_BITS));
    return { first, weights };
  });
}

/**
 * A plane of bytes in another size, by the columns and then by the rows of a box of it. Pillow begins with
 * the rows where that is quicker: a level may differ by one.
 */
function resizePlane(plane, from, to, box) {
  const isWhole = (axis) => from[axis] === to[axis] && box[axis][0] === 0 && box[axis][1] === from[axis];
  const across = isWhole(1) ? plane : resizeAxis(plane, from[0], from[1], axisWeights(from[1], box[1], to[1]), true);
  return isWhole(0) ? across : resizeAxis(across, from[0], to[1], axisWeights(from[0], box[0], to[0]), false);
}

/** Resize one axis of a plane: each of its rows, or its columns. */
function resizeAxis(plane, height, width, cells, isAlongRows) {
  const lines = isAlongRows ? height : width;
  const [step, stride] = isAlongRows ? [1, width] : [width, 1];
  const [outStep, outStride] = isAlongRows ? [1, cells.length] : [width, 1];
  const out = new Uint8Array(lines * cells.length);
  for (let line = 0; line < lines; line += 1) {
    for (let cell = 0; cell < cells.length; cell += 1) {
      const { first, weights } = cells[cell];
      let sum = 2 ** (WEIGHT_BITS - 1);
      for (let k = 0; k < weights.length; k += 1) sum += weights[k] * plane[line * stride + (first + k) * step];
      out[line * outStride + cell * outStep] = Math.min(sum >> WEIGHT_BITS, 255);
    }
  }
  return out;
}

/** Red, green and blue of a picture's bytes { rgba, size }, in another size, as cnncli's --fit says. */
function fittedPlanes({ rgba, size }, to, fit) {
  const planes = [0, 1, 2].map((channel) => {
    const plane = new Uint8Array(size[0] * size[1]);
    for (let cell = 0; cell < plane.length; cell += 1) plane[cell] = rgba[4 * cell + channel];
    return plane;
  });
  if (size.join() === to.join()) return planes;
  const box = fit === "crop" ? middleBox(size, to) : size.map((side) => [0, side]);
  if (fit !== "pad") return planes.map((plane) => resizePlane(plane, size, to, box));
  const inner = innerSize(size, to);
  const [top, left] = [0, 1].map((axis) => Math.floor((to[axis] - inner[axis]) / 2));
  return planes.map((plane) => {
    const whole = resizePlane(plane, size, inner, box);
    const out = new Uint8Array(to[0] * to[1]);
    for (let row = 0; row < inner[0]; row += 1) {
      out.set(whole.subarray(row * inner[1], (row + 1) * inner[1]), (top + row) * to[1] + left);
    }
    return out;
  });
}

/**
 * The numbers of an input, one array for each of its channels, from a picture's bytes { rgba, size }:
 * in the size `to`, 0 to 1, colours in their order or the other way round, or grey.
 */
function picturePlanes(picture, to, { fit = "stretch", channels, bgr = false }) {
  const colours = fittedPlanes(picture, to, fit);
  const count = to[0] * to[1];
  if (channels === 3) {
    const planes = colours.map((plane) => Float32Array.from(plane, (level) => level / 255));
    return bgr ? planes.reverse() : planes;
  }
  const grey = new Float32Array(count);
  const [red, green, blue] = colours;
  const part = (channel, cell) => Math.fround(Math.fround(colours[channel][cell] / 255) * LUMINANCE[channel]);
  for (let cell = 0; cell < count; cell += 1) {
    const isGrey = red[cell] === green[cell] && green[cell] === blue[cell];
    const luminance = () => Math.fround(part(0, cell) + part(1, cell)) + part(2, cell);
    grey[cell] = isGrey ? red[cell] / 255 : luminance();
  }
  return [grey];
}

/** Dots along each side of a pixel of a drawing. */
const DOTS = 4;

/**
 * A drawing on an input { size, planes }: each pixel has DOTS × DOTS dots, and is their mean. So the
 * digits of the UCI repository were made: bitmaps of 32x32 dots, counted in blocks of 4x4.
 *
 * `inks` are the colours, each a value for every channel; a dot is 0 where the picture below shows, or
 * the number of an ink from 1. `range` is { lo, hi }: means are rounded to its 255 levels.
 */
class Drawing {
  constructor(size, planes, inks, { lo, hi }) {
    [this.height, this.width] = size;
    Object.assign(this, { below: planes, inks, lo, hi });
    this.planes = planes.map((plane) => plane.slice());
    this.dots = new Uint8Array(this.height * this.width * DOTS * DOTS);
  }

  /**
   * Paint the dots within `radius` of a line, in pixels, with an ink; with 0 the picture below shows
   * again. The planes are new arrays afterwards.
   */
  stroke([row0, col0], [row1, col1], radius, ink) {
    const [down, across] = [row1 - row0, col1 - col0];
    const length = down ** 2 + across ** 2;
    const { top, bottom, left, right } = this.reach([row0, col0], [row1, col1], radius);
    for (let r = top * DOTS; r < bottom * DOTS; r += 1) {
      for (let c = left * DOTS; c < right * DOTS; c += 1) {
        const [y, x] = [(r + 0.5) / DOTS - row0, (c + 0.5) / DOTS - col0];
        const share = length ? Math.min(Math.max((y * down + x * across) / length, 0), 1) : 0;
        const distance = (y - share * down) ** 2 + (x - share * across) ** 2;
        if (distance <= radius ** 2) this.dots[r * this.width * DOTS + c] = ink;
      }
    }
    this.average(top, bottom, left, right);
  }

  /** The pixels that a line may touch. */
  reach([row0, col0], [row1, col1], radius) {
    const span = (a, b, size) => [
      Math.max(0, Math.floor(Math.min(a, b) - radius)),
      Math.min(size, Math.ceil(Math.max(a, b) + radius)),
    ];
    const [top, bottom] = span(row0, row1, this.height);
    const [left, right] = span(col0, col1, this.width);
    return { top, bottom, left, right };
  }

  /** Paint all dots of one pixel. */
  fill(row, col, ink) {
    for (let i = 0; i < DOTS; i += 1) {
      this.dots.fill(ink, this.dotIndex(row, col, i, 0), this.dotIndex(row, col, i, DOTS));
    }
    this.average(row, row + 1, col, col + 1);
  }

  /** Give one channel of a pixel a value, in place of its dots. */
  put(row, col, channel, value) {
    const cell = row * this.width + col;
    this.below = this.below.map((plane, k) => {
      const changed = plane.slice();
      changed[cell] = k === channel ? value : this.planes[k][cell];
      return changed;
    });
    this.fill(row, col, 0);
  }

  dotIndex(row, col, i, j) {
    return (row * DOTS + i) * this.width * DOTS + col * DOTS + j;
  }

  /** The means of some pixels' dots. */
  average(top, bottom, left, right) {
    this.planes = this.planes.map((plane, channel) => {
      const means = plane.slice();
      for (let row = top; row < bottom; row += 1) {
        for (let col = left; col < right; col += 1) means[row * this.width + col] = this.mean(row, col, channel);
      }
      return means;
    });
  }

  mean(row, col, channel) {
    const below = this.below[channel][row * this.width + col];
    let [sum, painted] = [0, 0];
    for (let i = 0; i < DOTS; i += 1) {
      for (let j = 0; j < DOTS; j += 1) {
        const dot = this.dots[this.dotIndex(row, col, i, j)];
        if (dot) painted += 1;
        sum += dot ? this.inks[dot - 1][channel] : below;
      }
    }
    if (!painted) return below;
    const level = (255 * (sum / DOTS ** 2 - this.lo)) / (this.hi - this.lo);
    return this.lo + (Math.round(level) * (this.hi - this.lo)) / 255;
  }

  /** The value of a dot, one for each channel. */
  dot(r, c) {
    const ink = this.dots[r * this.width * DOTS + c];
    const cell = Math.floor(r / DOTS) * this.width + Math.floor(c / DOTS);
    return ink ? this.inks[ink - 1] : this.below.map((plane) => plane[cell]);
  }
}
