"use strict";
// Reads the arrays of a page's data.

/** Bytes of a base64 text. */
function bytesOf(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = letters.charCodeAt(index);
  return bytes;
}

const ARRAYS = {
  uint8: Uint8Array,
  uint16: Uint16Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** A little-endian array from a record { dtype, data }; float16 becomes float32. Pixels are packed as `differences`. */
function arrayOf(record) {
  if (record.differences) {
    const { BYTES_PER_ELEMENT: size } = ARRAYS[record.dtype];
    const bytes = inflate(bytesOf(record.data), record.differences.reduce((product, side) => product * side, size));
    return addDifferences(new ARRAYS[record.dtype](bytes.buffer), record.differences);
  }
  if (record.dtype === "float16") {
    // one table entry for each number: there may be millions.
    halfValues ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => halfValue(bits));
    const halves = new Uint16Array(bytesOf(record.data).buffer);
    const values = new Float32Array(halves.length);
    for (let index = 0; index < values.length; index += 1) values[index] = halfValues[halves[index]];
    return values;
  }
  return new ARRAYS[record.dtype](bytesOf(record.data).buffer);
}

let halfValues = null;

/** The number that 16 bits stand for: a sign, 5 bits of exponent, 10 of fraction. */
function halfValue(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  return sign * size;
}

/** The settings of a layer, with its records { dtype, data } as arrays. */
function readLayer(record) {
  const settings = { ...record };
  for (const [name, value] of Object.entries(record)) {
    if (value && value.dtype) settings[name] = arrayOf(value);
  }
  for (const name of ["padValue", "p"]) {
    if (settings[name]) [settings[name]] = settings[name];
  }
  return settings;
}

/** The input of a page's data, with a plane of values for each channel; `single`: they are float32. */
function readInput(record, single) {
  const { rows, cols, channels } = record;
  const raw = arrayOf(record);
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
