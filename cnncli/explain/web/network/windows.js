"use strict";
// The arithmetic of layers that `LayerArithmetic` has: convolutions, also transposed, dense layers and
// pools. Nothing here touches the page.

/** The arithmetic of a layer with a window, made once. */
function layerArithmetic(layer) {
  if (!layer.arithmetic) {
    const { shape, rows, cols, planes } = byName.get(layer.inputs[0]);
    const input = { size: shape.slice(0, 2), channels: shape[2], largest: 0, rows, cols, planes };
    layer.arithmetic = arithmeticOf(input, layer.settings);
  }
  return layer.arithmetic;
}

/** A unit of a convolution, dense, transposed or not, or of a pool: its `step` as `LayerArithmetic` has it. */
function windowArithmetic(layer, unit) {
  const arithmetic = layerArithmetic(layer);
  const { activation } = layer.settings;
  const isShare = OVER_CHANNELS.includes(activation);
  const channels = isShare ? Array.from({ length: layer.shape[2] }, (_, k) => k) : [unit.channel];
  const isHere = (k) => arithmetic.sources(k).channels.every((c) => c in arithmetic.input.planes);
  const hasAll = channels.every(isHere);
  const knowsTotal = isShare && layer.settings.sumsShape;
  if (!(hasAll || (knowsTotal && isHere(unit.channel))) || !arithmetic.knows(...unit.at)) return null;
  const step = arithmetic.step(unit.channel, ...unit.at);
  const made = { step, arithmetic, sources: windowSources(arithmetic, layer, unit, step) };
  if (!isShare) return { ...made, value: step.value };
  const sumOfChannel = (channel) => ({ layer: layer.name, channel, at: unit.at, value: arithmetic.step(channel, ...unit.at).total });
  const softmax = hasAll
    ? shares(channels.map(sumOfChannel), unit.channel, activation)
    : shareOfKnown(layer, unit, sumOfChannel(unit.channel), channels.length);
  step.value = softmax.value;
  return { ...made, softmax, value: step.value };
}

/** The cells of the input under a unit's window: one that padding copies counts with all its weights. */
function windowSources(arithmetic, layer, unit, step) {
  const { input } = arithmetic;
  const { op } = layer.settings;
  const share = op === "pool" ? poolAmount(layer.settings, step) : (cell) => cell.product;
  const sources = new Map();
  for (const block of step.blocks) {
    block.cells.forEach((cell, index) => {
      const source = arithmetic.inputCell(unit.at, cell.i, cell.j);
      const amount = source && share(cell, index);
      if (amount === null) return;
      const key = (source[0] * input.size[1] + source[1]) * input.channels + block.channel;
      const known = sources.get(key);
      if (known) known.amount += amount;
      else sources.set(key, { layer: layer.inputs[0], channel: block.channel, at: source, amount });
    });
  }
  return [...sources.values()];
}

/** What a cell adds to a pool's value; null of one that does not count. */
function poolAmount({ mode, p }, { winner, divisor, value }) {
  if (mode === "average") return (cell) => cell.value / divisor;
  if (mode !== "lp") return (cell, index) => (index === winner ? cell.value : null);
  // What is 0 has no slope. Else the share of |x|^p in the sum of all; of p = ∞ the largest alone.
  if (p === Infinity) return (cell) => (value && Math.abs(cell.value) === value ? value : null);
  return (cell) => (cell.value === 0 ? null : value * (Math.abs(cell.value) / value) ** p);
}
