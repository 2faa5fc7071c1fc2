"use strict";
// Reads layers and pictures of a page's data.

/** The settings of a layer, with arrays of its own. */
function readLayer(record) {
  const settings = { ...record };
  for (const [name, value] of Object.entries(record)) {
    if (ArrayBuffer.isView(value)) settings[name] = value.slice();
  }
  for (const name of ["padValue", "p"]) {
    if (settings[name]) [settings[name]] = settings[name];
  }
  return settings;
}

/** The input of a page's data, with a plane of values for each channel; `single`: they are float32. */
function readInput(record, single) {
  const { rows, cols, channels } = record;
  const raw = readPixels(record);
  const count = (rows[1] - rows[0]) * (cols[1] - cols[0]);
  const kind = single ? Float32Array : Float64Array;
  const planes = Array.from({ length: channels }, () => new kind(count));
  for (let cell = 0; cell < count; cell += 1) {
    for (let channel = 0; channel < channels; channel += 1) {
      planes[channel][cell] = raw[cell * channels + channel] / record.scale;
    }
  }
  return { ...record, planes };
}

/** The pixels [rows, columns, channels] of an input, which may be held as differences along columns and rows. */
function readPixels({ pixels, differences, cols, channels }) {
  if (!differences) return pixels;
  const sums = differences.slice();
  const width = (cols[1] - cols[0]) * channels;
  // Along a row the sums are of differences to the row above.
  for (let k = 0; k < sums.length; k += 1) if (k % width >= channels) sums[k] += sums[k - channels];
  for (let k = width; k < sums.length; k += 1) sums[k] += sums[k - width];
  return sums;
}
