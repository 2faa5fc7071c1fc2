"use strict";
// Receptive fields of layers along one axis, as cnncli/network/receptive_fields.py finds them: where all units of a
// layer move alike they follow from those of its inputs, else the unit in the middle is traced back to the input.
// Nothing here touches the page: network/worker.js runs it beside the page.

/**
 * Which cells of an input the units of a layer read along an axis, pads counted as cells: unit i from
 * floor((i * step + low) / over) to floor((i * step + high) / over); null where any. `size` and `out` are the cells of
 * the input and of the layer, `axis` is that of the layer's window, if it has one.
 */
function readingOf(settings, k, size, out, axis) {
  const { op } = settings;
  if (op === "conv-transpose") {
    const begin = axis.cut[0];
    return { step: 1, over: axis.stride, low: begin - axis.extent + axis.stride, high: begin };
  }
  if (axis) return { step: axis.stride, over: 1, low: -axis.begin, high: axis.extent - 1 - axis.begin };
  if (op in READINGS) return READINGS[op](settings, k, size, out);
  const isWhole = op === "concat" ? settings.axis === k : overAxesSettings(settings)?.axes.includes(AXES[k]);
  return isWhole || size !== out ? null : { step: 1, over: 1, low: 0, high: 0 };
}

/** The same by kind of layer. */
const READINGS = {
  "depth-to-space": ({ block }) => ({ step: 1, over: block, low: 0, high: 0 }),
  "space-to-depth": ({ block }) => ({ step: block, over: 1, low: 0, high: block - 1 }),
  slice: ({ taken }, k) => {
    const [low, step] = taken[k];
    return step < 0 ? null : { step, over: 1, low, high: low };
  },
  view: ({ readings }, k) => readings[k],
  matmul: () => null,
  resize: resizeReading,
};

/** Of a resize: unit i lies at cell (i * step + start) / over of the input. */
function resizeReading({ mode, coordinates, rounding, scale }, k, size, out) {
  const [numerator, denominator] = scale[k] ? ratioOf(scale[k]) : [out, size];
  let [step, start, over] = [2 * denominator, 0, 2 * numerator];
  if (coordinates === "align-corners") [step, over] = [2 * (size - 1), 2 * Math.max(out - 1, 1)];
  else if (coordinates !== "asymmetric") start = denominator - numerator;
  if (out === 1 && ["align-corners", "pytorch-half-pixel"].includes(coordinates)) start = 0;
  const more = { "prefer-floor": over / 2 - 1, "prefer-ceil": over / 2, floor: 0, ceil: over - 1 }[rounding];
  let [low, high] = [start + more, start + more];
  if (mode !== "nearest") [low, high] = [start, start + (mode === "linear" ? over - 1 : 0)];
  // Where units lie on cells these alone count.
  if (mode === "cubic" && (step % over || start % over)) [low, high] = [start - over, start + 2 * over - 1];
  const common = divisorOf(step, over);
  return { step: step / common, over: over / common, low: Math.floor(low / common), high: Math.floor(high / common) };
}

/** A number as a fraction of whole ones. */
function ratioOf(number) {
  let over = 1;
  while (!Number.isInteger(number * over)) over *= 2;
  return [number * over, over];
}

/** The greatest common divisor. */
function divisorOf(one, other) {
  return other ? divisorOf(other, one % other) : one;
}

/** The cells [first, last) that units [first, last) read. */
function cellsRead({ step, over, low, high }, [first, last]) {
  return [Math.floor((first * step + low) / over), Math.floor(((last - 1) * step + high) / over) + 1];
}

/** The smallest span around some. */
function hullOf(spans) {
  return [Math.min(...spans.map(([first]) => first)), Math.max(...spans.map(([, last]) => last))];
}

/**
 * The receptive field of a layer along an axis, { size, step, first }: unit i sees `size` pixels from first + i * step
 * on. Where units do not move alike { size, isUneven }, of the one in the middle. `sources` are { name, readings }
 * for each input, `count` is the number of units, `known` has the layers before by name.
 */
function fieldOf(sources, k, count, known) {
  const even = sources.map((source) => evenField(source, k, known));
  const steps = new Set(even.filter(Boolean).map(({ step }) => step));
  if (even.every(Boolean) && steps.size === 1) {
    const [first, last] = hullOf(even.map((field) => [field.first, field.first + field.size]));
    return { size: last - first, step: even[0].step, first };
  }
  if (steps.has(0)) {
    const [first, last] = tracedPixels(sources, k, [0, count], known);
    return { size: last - first, step: 0, first };
  }
  const [first, last] = tracedPixels(sources, k, [count >> 1, (count >> 1) + 1], known);
  return { size: last - first, isUneven: true };
}

/** The field of units that read an input so; null if they do not all move alike. */
function evenField({ name, readings }, k, known) {
  const { facts, shape } = known.get(name);
  const [field, reading] = [facts.fields[k], readings[k]];
  if (!reading) {
    const [first, last] = field.isUneven ? tracedPixels(facts.sources, k, [0, shape[k]], known) : pixelsSeen(field, [0, shape[k]]);
    return { size: last - first, step: 0, first };
  }
  if (field.isUneven || (reading.over !== 1 && field.step !== 0)) return null;
  const { step, low, high } = reading;
  return { size: field.size + (high - low) * field.step, step: field.step * step, first: field.first + low * field.step };
}

/** The pixels [first, last) that units [first, last) of an even field see. */
function pixelsSeen({ size, step, first: begin }, [first, last]) {
  return [begin + first * step, begin + (last - 1) * step + size];
}

/** The same of units that read `sources`, back from layer to layer until all units of one move alike. */
function tracedPixels(sources, k, units, known) {
  const [wanted, found] = [new Map(), []];
  const follow = (from, span) => {
    for (const { name, readings } of from) {
      const { facts, shape } = known.get(name);
      const cells = readings[k] ? cellsRead(readings[k], span) : [0, shape[k]];
      // A unit between the windows of a transposed convolution reads nothing.
      if (cells[0] >= cells[1]) continue;
      if (facts.fields[k].isUneven) wanted.set(name, hullOf([cells, wanted.get(name) ?? cells]));
      else found.push(pixelsSeen(facts.fields[k], cells));
    }
  };
  follow(sources, units);
  for (const { name, facts } of [...known.values()].reverse()) {
    if (wanted.has(name)) follow(facts.sources, wanted.get(name));
  }
  return found.length ? hullOf(found) : [0, 0];
}
