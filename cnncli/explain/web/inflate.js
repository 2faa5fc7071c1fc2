"use strict";
// Pixels as a page holds them: differences of neighbours, deflated as in PNG files (RFC 1951).

const LONGEST_WORD = 15;
const END_OF_BLOCK = 256;
/** The order in which a block tells the lengths of the words that tell lengths. */
const LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** The first of the values behind each symbol, if so many bits follow it. */
function firstValues(bits, first) {
  let value = first;
  return bits.map((count) => {
    value += 2 ** count;
    return value - 2 ** count;
  });
}

// Each count of bits comes so many times, for the lengths of copies and for their distances.
const COPY_BITS = Array.from({ length: 29 }, (_, k) => (k < 8 || k === 28 ? 0 : Math.floor(k / 4) - 1));
const COPY_LENGTHS = [...firstValues(COPY_BITS, 3).slice(0, 28), 258];
const DISTANCE_BITS = Array.from({ length: 30 }, (_, k) => (k < 4 ? 0 : Math.floor(k / 2) - 1));
const DISTANCES = firstValues(DISTANCE_BITS, 1);

/** A prefix code from the length of each symbol's word: how many words of each length, and their symbols in order. */
function makeCode(lengths) {
  const counts = new Uint16Array(LONGEST_WORD + 1);
  for (const length of lengths) counts[length] += 1;
  counts[0] = 0;
  const places = new Uint16Array(LONGEST_WORD + 2);
  for (let length = 1; length <= LONGEST_WORD; length += 1) places[length + 1] = places[length] + counts[length];
  const symbols = new Uint16Array(lengths.length);
  lengths.forEach((length, symbol) => {
    if (length === 0) return;
    symbols[places[length]] = symbol;
    places[length] += 1;
  });
  return { counts, symbols };
}

/** Reads bits, the lowest of each byte first. */
class BitReader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  bit() {
    const bit = (this.bytes[this.at >> 3] >> (this.at & 7)) & 1;
    this.at += 1;
    return bit;
  }

  number(bits) {
    let value = 0;
    for (let place = 0; place < bits; place += 1) value += this.bit() << place;
    return value;
  }

  /** The next symbol of a code. */
  symbol({ counts, symbols }) {
    let [word, first, index] = [0, 0, 0];
    for (let length = 1; length <= LONGEST_WORD; length += 1) {
      word = 2 * word + this.bit();
      first *= 2;
      if (word - first < counts[length]) return symbols[index + word - first];
      index += counts[length];
      first += counts[length];
    }
    throw new Error("these are no deflated bytes");
  }
}

/** The codes of a block for literals and lengths, and for distances. */
function readCodes(reader) {
  const [literals, distances, count] = [reader.number(5) + 257, reader.number(5) + 1, reader.number(4) + 4];
  const ofLengths = new Array(LENGTH_ORDER.length).fill(0);
  for (const symbol of LENGTH_ORDER.slice(0, count)) ofLengths[symbol] = reader.number(3);
  const code = makeCode(ofLengths);
  const lengths = [];
  while (lengths.length < literals + distances) {
    const symbol = reader.symbol(code);
    if (symbol < 16) lengths.push(symbol);
    else {
      // 16 repeats the length before it, 17 and 18 are runs of zeros.
      const [least, bits] = [[3, 2], [3, 3], [11, 7]][symbol - 16];
      const length = symbol === 16 ? lengths[lengths.length - 1] : 0;
      lengths.push(...new Array(least + reader.number(bits)).fill(length));
    }
  }
  return [makeCode(lengths.slice(0, literals)), makeCode(lengths.slice(literals))];
}

function fixedCodes() {
  const lengths = Array.from({ length: 288 }, (_, k) => (k < 144 ? 8 : k < 256 ? 9 : k < 280 ? 7 : 8));
  return [makeCode(lengths), makeCode(new Array(30).fill(5))];
}

/** Inflate bytes to so many. */
function inflate(bytes, size) {
  const reader = new BitReader(bytes);
  const out = new Uint8Array(size);
  let at = 0;
  let isLast = false;
  while (!isLast) {
    isLast = reader.bit() === 1;
    const kind = reader.number(2);
    if (kind === 0) {
      const start = Math.ceil(reader.at / 8);
      const count = bytes[start] + 256 * bytes[start + 1];
      out.set(bytes.subarray(start + 4, start + 4 + count), at);
      at += count;
      reader.at = 8 * (start + 4 + count);
    } else {
      at = readBlock(reader, kind === 1 ? fixedCodes() : readCodes(reader), out, at);
    }
  }
  return out;
}

/** Read literals and copies of what stands before; returns where the next block begins. */
function readBlock(reader, [literals, distances], out, begin) {
  let at = begin;
  for (;;) {
    const symbol = reader.symbol(literals);
    if (symbol === END_OF_BLOCK) return at;
    if (symbol < END_OF_BLOCK) {
      out[at] = symbol;
      at += 1;
    } else {
      const length = COPY_LENGTHS[symbol - 257] + reader.number(COPY_BITS[symbol - 257]);
      const far = reader.symbol(distances);
      const distance = DISTANCES[far] + reader.number(DISTANCE_BITS[far]);
      for (let k = 0; k < length; k += 1, at += 1) out[at] = out[at - distance];
    }
  }
}

/** Pixels of [rows, columns, channels] from their differences along columns and rows, in place. */
function addDifferences(pixels, [rows, cols, channels]) {
  const width = cols * channels;
  for (let row = 0; row < rows; row += 1) {
    for (let k = row * width; k < (row + 1) * width; k += 1) {
      if (k >= row * width + channels) pixels[k] += pixels[k - channels];
    }
  }
  // Along a row the sums are of differences to the row above.
  for (let k = width; k < rows * width; k += 1) pixels[k] += pixels[k - width];
  return pixels;
}
