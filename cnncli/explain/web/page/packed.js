"use strict";
// Reads what cnncli/explain/page/pack.py writes: JSON, a line feed, and the arrays that the JSON names;
// and bytes that are written as text there.
/* global TextDecoder */

const ARRAYS = {
  uint8: Uint8Array,
  uint16: Uint16Array,
  int32: Int32Array,
  float32: Float32Array,
  float64: Float64Array,
};

/** The data of some bytes; arrays of float16 become float32. */
function readPacked(bytes) {
  const end = bytes.indexOf("\n".charCodeAt(0));
  const text = new TextDecoder().decode(bytes.subarray(0, end));
  const place = end + 1;
  return JSON.parse(text, (_, value) => {
    if (typeof value?.array !== "string") return value;
    const { buffer } = bytes.slice(place + value.bytes[0], place + value.bytes[1]);
    return value.array === "float16" ? halfValues(new Uint16Array(buffer)) : new ARRAYS[value.array](buffer);
  });
}

/** Numbers of 16 bits each. */
function halfValues(halves) {
  // One table entry for each number: there may be millions.
  const table = Float32Array.from({ length: 2 ** 16 }, (_, bits) => halfValue(bits));
  return Float32Array.from(halves, (bits) => table[bits]);
}

/** The number that 16 bits stand for: a sign, 5 bits of exponent, 10 of fraction. */
function halfValue(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  return sign * size;
}

/** What stands for two characters: see as_text in pack.py. */
const KEPT_OUT = "<\0\b\t\n\v\f\r\x1a\x1b\x1c\x1d\x1e\x7f";

/** The `count` bytes of a text with 7 bits in each character, or 14 in those that are not of ASCII. */
function bytesOf(text, count) {
  const bytes = new Uint8Array(count);
  let [held, bits, place] = [0, 0, 0];
  const take = (seven) => {
    held = ((held & 127) << 7) | seven;
    bits += 7;
    if (bits < 8) return;
    bits -= 8;
    bytes[place] = held >> bits;
    place += 1;
  };
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 127) take(KEPT_OUT.charCodeAt((code >> 7) - 2));
    take(code & 127);
  }
  return bytes;
}
