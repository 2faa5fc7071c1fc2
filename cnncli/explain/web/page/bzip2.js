"use strict";
// Unpacks what bzip2 packed: each block has its bytes sorted by what follows them, as places in a list of the bytes
// that were used last, in codes of 1 to 20 bits. Scripts and pictures take an eighth less than deflated.

const BLOCK = 0x314159;
const MOST_OF_BLOCK = 900000;
const SYMBOLS_OF_CODE = 50;
const LONGEST_CODE = 20;

/** Whether bytes begin as bzip2's do, with a B. */
function isBzip2(packed) {
  return packed[0] === 0x42;
}

/** The bytes, `count` in all, that were packed into others. */
function unpackedBytes(packed, count) {
  const bits = new BitReader(packed);
  const bytes = new Uint8Array(count);
  let end = 0;
  for (bits.take(32); bits.take(24) === BLOCK; ) {
    bits.take(24);
    const sum = bits.take(32);
    bits.take(1);
    const first = bits.take(24);
    const start = end;
    end = repeatBytes(inOrder(readSorted(bits), first), bytes, start);
    if (checksum(bytes.subarray(start, end)) !== sum) throw new Error("bytes were changed");
  }
  if (end !== count) throw new Error("bytes are missing");
  return bytes;
}

/** Reads bits, the highest of each byte first. */
class BitReader {
  constructor(bytes) {
    this.bytes = bytes;
    this.place = 0;
  }

  one() {
    const byte = this.place >> 3;
    if (byte >= this.bytes.length) throw new Error("bytes are missing");
    const bit = (this.bytes[byte] >> (7 - (this.place & 7))) & 1;
    this.place += 1;
    return bit;
  }

  /** A number of some bits, at most 32. */
  take(count) {
    let number = 0;
    for (let index = 0; index < count; index += 1) number = number * 2 + this.one();
    return number;
  }

  /** How many bits come that are 1. */
  ones() {
    let count = 0;
    while (this.one()) count += 1;
    return count;
  }
}

/** The bytes of a block, sorted by what follows them. */
function readSorted(bits) {
  const recent = readUsed(bits);
  const numbers = Array.from({ length: bits.take(3) }, (_, index) => index);
  const chosen = Array.from({ length: bits.take(15) }, () => moveToFront(numbers, bits.ones()));
  const codes = numbers.map(() => readCode(bits, recent.length + 2));
  const sorted = new Uint8Array(MOST_OF_BLOCK);
  let [end, run, weight] = [0, 0, 1];
  for (let read = 0; ; read += 1) {
    const symbol = readSymbol(bits, codes[chosen[Math.floor(read / SYMBOLS_OF_CODE)]]);
    if (symbol < 2) {
      // How often the last byte comes again: digits 1 and 2 of a number to base 2, the lowest first.
      run += weight << symbol;
      weight *= 2;
      if (end + run > MOST_OF_BLOCK) throw new Error("bytes were changed");
      continue;
    }
    if (run) sorted.fill(recent[0], end, end + run);
    end += run;
    [run, weight] = [0, 1];
    if (symbol > recent.length) return sorted.subarray(0, end);
    sorted[end] = moveToFront(recent, symbol - 1);
    end += 1;
  }
}

/** The bytes that a block uses. */
function readUsed(bits) {
  const sixteen = Array.from({ length: 16 }, (_, index) => index);
  const parts = sixteen.filter(() => bits.one());
  return Uint8Array.from(parts.flatMap((part) => sixteen.filter(() => bits.one()).map((byte) => 16 * part + byte)));
}

/** What stands at a place of a list, which becomes its first. */
function moveToFront(list, place) {
  const value = list[place];
  for (let index = place; index > 0; index -= 1) list[index] = list[index - 1];
  list[0] = value;
  return value;
}

/** A code of symbols: its symbols by length, and how many have each length. */
function readCode(bits, count) {
  const lengths = [];
  let length = bits.take(5);
  for (let symbol = 0; symbol < count; symbol += 1) {
    while (bits.one()) length += bits.one() ? -1 : 1;
    lengths.push(length);
  }
  const symbols = lengths.map((_, symbol) => symbol).sort((a, b) => lengths[a] - lengths[b] || a - b);
  const counts = Array.from({ length: LONGEST_CODE + 1 }, (_, size) => lengths.filter((one) => one === size).length);
  return { symbols, counts };
}

function readSymbol(bits, { symbols, counts }) {
  // Codes of one length are numbers that follow each other, behind all that are shorter.
  let [number, first, place] = [0, 0, 0];
  for (let length = 1; length <= LONGEST_CODE; length += 1) {
    number = number * 2 + bits.one();
    if (number - first < counts[length]) return symbols[place + number - first];
    place += counts[length];
    first = (first + counts[length]) * 2;
  }
  throw new Error("bytes were changed");
}

/** Bytes that are sorted by what follows them, as they follow; `first` is the place of the first. */
function inOrder(sorted, first) {
  const places = new Int32Array(256);
  for (const byte of sorted) places[byte] += 1;
  let before = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    before += places[byte];
    places[byte] = before - places[byte];
  }
  const next = new Int32Array(sorted.length);
  for (let place = 0; place < sorted.length; place += 1) {
    next[places[sorted[place]]] = place;
    places[sorted[place]] += 1;
  }
  const bytes = new Uint8Array(sorted.length);
  let at = next[first];
  for (let place = 0; place < bytes.length; place += 1) {
    bytes[place] = sorted[at];
    at = next[at];
  }
  return bytes;
}

/** Write bytes from a place on, where a fifth after four that are equal is how often they come again; returns the end. */
function repeatBytes(given, bytes, start) {
  let [end, same] = [start, 0];
  for (let place = 0; place < given.length; place += 1) {
    const byte = given[place];
    if (same === 4) {
      bytes.fill(given[place - 1], end, end + byte);
      end += byte;
      same = 0;
      continue;
    }
    same = place > 0 && same > 0 && byte === given[place - 1] ? same + 1 : 1;
    bytes[end] = byte;
    end += 1;
  }
  return end;
}

/** The cyclic redundancy check of bytes. */
function checksum(bytes) {
  const table = Int32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte << 24;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum << 1) ^ (sum < 0 ? 0x04c11db7 : 0);
    return sum;
  });
  let sum = -1;
  for (const byte of bytes) sum = (sum << 8) ^ table[(sum >>> 24) ^ byte];
  return ~sum >>> 0;
}
