"use strict";
// The layers of a network's page, and which cells read which. The data tells it, by
// cnncli/core/geometry.py: for each output row, column and channel the first input row, column and
// channel, and the one after the last.

/** A layer of the page's data: `planes` has the values of each channel whose picture is in the page. */
function readLayerMaps(record) {
  const raw = record.values;
  const count = (record.rows[1] - record.rows[0]) * (record.cols[1] - record.cols[0]);
  const planes = {};
  const shownChannels = new Set(record.pictures.flatMap(({ channels }) => channels));
  const largestCode = 2 ** (8 * raw.BYTES_PER_ELEMENT) - 1;
  record.channels.forEach((channel, index) => {
    const part = raw.subarray(index * count, (index + 1) * count);
    const [lo, step] = [record.ends[index][0], record.steps[index]];
    if (!shownChannels.has(channel)) return;
    let values = raw instanceof Float32Array ? part : null;
    const decode = () => Float64Array.from(part, (code) => roundedValue(code, lo, step, largestCode));
    Object.defineProperty(planes, channel, { enumerable: true, get: () => (values ??= decode()) });
  });
  const reads = record.reads.map((axes) => ({
    rows: expandRuns(axes.rows),
    cols: expandRuns(axes.cols),
    channels: expandRuns(axes.channels),
  }));
  const ranges = record.pictures.map((picture) => picture.range);
  return {
    ...record,
    planes,
    reads,
    ranges,
    drawn: new Map(),
    settings: record.settings && readLayer(record.settings),
  };
}

/** The first and the end of each span in runs [first, end, step, count], one after another. */
function expandRuns(runs) {
  const spans = runs.flatMap(([first, end, step, count]) =>
    Array.from({ length: count }, (_, k) => [first + k * step, end + k * step]),
  );
  return Int32Array.from(spans.flat());
}

/** The value that a whole number stands for: the largest three are NaN, ∞ and −∞. */
function roundedValue(code, lo, step, largestCode) {
  const kind = largestCode - code;
  return kind < 3 ? [NaN, Infinity, -Infinity][kind] : lo + code * step;
}

/** Whether a layer has one row and one column, such as a classifier's output. */
function isSingle(layer) {
  return layer.shape[0] === 1 && layer.shape[1] === 1;
}

/**
 * The index of the map with the largest magnitude among those of some channels, of maps of one row
 * and column with the largest value; -1 if none is in the page.
 */
function strongestMap(layer, span) {
  let best = -1;
  layer.pictures.forEach((_, index) => {
    if (!isInSpan(layer, index, span)) return;
    if (best < 0 || strengthOf(layer, index) > strengthOf(layer, best)) best = index;
  });
  return best;
}

/** Rows and columns at most among which the strongest unit of a layer is looked for. */
const MIDDLE = 64;

/**
 * The unit that is chosen where only a layer is, as cnncli/explain/explained_layer.py chooses it: of one row and column
 * the largest value, of shares the one furthest above the mean of its map, else the largest magnitude near the middle.
 */
function strongestUnit(layer) {
  let best = { layer: layer.name, map: 0, at: [layer.rows[0], layer.cols[0]] };
  let most = -Infinity;
  const isSpread = isSharing(layer) && !isSingle(layer);
  const [rows, cols] = isSpread ? [layer.rows, layer.cols] : [layer.rows, layer.cols].map(middleOf);
  const width = layer.cols[1] - layer.cols[0];
  for (const { index, channels } of layer.pictures) {
    for (const plane of channels.map((channel) => layer.planes[channel])) {
      const mean = isSpread ? plane.reduce((sum, value) => sum + value, 0) / plane.length : 0;
      for (let row = rows[0]; row < rows[1]; row += 1) {
        for (let col = cols[0]; col < cols[1]; col += 1) {
          const value = plane[(row - layer.rows[0]) * width + col - layer.cols[0]] - mean;
          const size = isSpread || isSingle(layer) ? value : Math.abs(value);
          if (size > most) [most, best] = [size, { layer: layer.name, map: index, at: [row, col] }];
        }
      }
    }
  }
  return best;
}

/** Whether the channels of each position are shares of 1, as those of a softmax are. */
function isSharing({ settings }) {
  if (settings?.op === "softmax") return settings.activation === "softmax" && settings.axes.join() === "channels";
  return settings?.activation === "softmax";
}

/** The middle half of some rows or columns [first, last), but no more than `MIDDLE`. */
function middleOf([first, last]) {
  const length = Math.min(Math.max((last - first) >> 1, 1), MIDDLE);
  const begin = first + ((last - first - length) >> 1);
  return [begin, Math.min(begin + length, last)];
}

/** The largest magnitude of a map, or of one row and column its value. */
function strengthOf(layer, index) {
  const endsOf = (channel) => layer.ends[layer.channels.indexOf(channel)];
  const sizeOf = isSingle(layer) ? (value) => value : Math.abs;
  return Math.max(...layer.pictures[index].channels.flatMap(endsOf).map(sizeOf));
}

/** Whether a map has one of the channels [first, last). */
function isInSpan(layer, index, [first, last]) {
  return layer.pictures[index].channels.some((channel) => channel >= first && channel < last);
}

/** Channels [first, last) that the unit is made from, by layer. */
function channelsBehind() {
  const { channels } = unitPicture();
  const spans = new Map([[state.unit.layer, [Math.min(...channels), Math.max(...channels) + 1]]]);
  for (const layer of [...layers].reverse()) {
    const span = spans.get(layer.name);
    if (!span) continue;
    layer.inputs.forEach((name, index) => {
      const read = readRange(layer.reads[index].channels, span[0], span[1]);
      if (!read) return;
      const known = spans.get(name) ?? read;
      spans.set(name, [Math.min(known[0], read[0]), Math.max(known[1], read[1])]);
    });
  }
  return spans;
}

/** The map that the unit is on. */
function unitPicture() {
  return byName.get(state.unit.layer).pictures[state.maps[state.unit.layer]];
}

/** The changes that choose a unit { layer, channel, at }: its map, and of a colour map its channel. */
function changesFor({ layer: name, channel, at }) {
  const layer = byName.get(name);
  const { index, channels } = layer.pictures[pictureIndex(layer, channel)];
  return { unit: { layer: name, map: index, at }, channel: channels.indexOf(channel) };
}

/** Boxes [top, left, bottom, right] of the cells that a unit depends on, by layer: of the chosen one, or another. */
function receptiveField({ layer: first, at: [row, col] } = state.unit) {
  const boxes = new Map([[first, [row, col, row + 1, col + 1]]]);
  for (const layer of [...layers].reverse()) {
    const box = boxes.get(layer.name);
    if (!box) continue;
    layer.inputs.forEach((name, index) => {
      const rows = readRange(layer.reads[index].rows, box[0], box[2]);
      const cols = readRange(layer.reads[index].cols, box[1], box[3]);
      const read = rows && cols ? [rows[0], cols[0], rows[1], cols[1]] : [0, 0, 0, 0];
      boxes.set(name, boxes.has(name) ? unionBox(boxes.get(name), read) : read);
    });
  }
  return boxes;
}

/** The cells from the first to the last that outputs [first, last) read; null if none. */
function readRange(spans, first, last) {
  let [low, high] = [Infinity, -Infinity];
  for (let output = first; output < last; output += 1) {
    const [begin, end] = [spans[2 * output], spans[2 * output + 1]];
    if (end <= begin) continue;
    low = Math.min(low, begin);
    high = Math.max(high, end);
  }
  return low < high ? [low, high] : null;
}

/** The smallest box around two; empty ones do not count. */
function unionBox(one, other) {
  if (one[2] <= one[0]) return other;
  if (other[2] <= other[0]) return one;
  return [0, 1].map((i) => Math.min(one[i], other[i])).concat([2, 3].map((i) => Math.max(one[i], other[i])));
}

/** A value of a layer, with the precision that the page has. */
function valueAt(layer, channel, row, col) {
  const width = layer.cols[1] - layer.cols[0];
  const cell = (row - layer.rows[0]) * width + col - layer.cols[0];
  return { value: layer.planes[channel][cell], step: layer.steps[layer.channels.indexOf(channel)] };
}
