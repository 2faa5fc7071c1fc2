"use strict";
// Which filter made a map of a network: below the large map of a layer with weights stands its filter, the kernel of
// each input map as a picture and one of them in numbers. Of a pool and of others that keep maps apart it is said
// which layer before them has the filter.

/** Kernels with more columns are pictures alone. */
const WIDEST_NUMBERS = 5;
/** Of more input maps those with the largest weights are listed. */
const LISTED_KERNELS = 12;
/** About so many pixels is the picture of a kernel in that list. */
const KERNEL_THUMB = 27;

/** By card what its filter was drawn from last. */
const filterKeys = new WeakMap();

/** Layers of one input whose maps are made of one map each. */
const KEEPING_MAPS = ["pool", "activation", "batchnorm", "instance-norm", "scale"];

/** The layer whose filter made a channel of a layer, and which of its channels: that itself, or one before it; or null. */
function filterBehind(layer, channel) {
  const { op, activation, weights, kernel } = layer.settings ?? {};
  if (weights && kernel) return { maker: layer, channel };
  if (!KEEPING_MAPS.includes(op) || OVER_CHANNELS.includes(activation)) return null;
  return filterBehind(byName.get(layer.inputs[0]), channel);
}

/** The part of a card that tells of the filter. */
function makeMapFilter(layer) {
  const kernels = element("div", { class: "kernels", role: "group", "aria-label": `Kernels of ${layer.name}` });
  startArrows(kernels);
  kernels.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button) apply({ kernel: { layer: layer.name, channel: largeChannel(layer), depth: Number(button.dataset.key) } });
  });
  const before = element("button", { type: "button", class: "quiet" });
  before.addEventListener("click", () => {
    const { maker, channel } = filterBehind(layer, largeChannel(layer));
    apply({ maps: { [maker.name]: pictureIndex(maker, channel) } });
    goToLayer(maker.name);
  });
  return element("div", { class: "map-filter" }, element("p"), before, kernels, wholeButton("kernels", layer), element("div"));
}

/** The first channel of the map that is shown large. */
function largeChannel(layer) {
  return layer.pictures[state.maps[layer.name]].channels[0];
}

/** Draw the filter of a card's large map, where it is another one than before. */
function drawMapFilter(layer) {
  const panel = layer.card.filter;
  const found = isAsking() ? null : filterBehind(layer, largeChannel(layer));
  panel.hidden = !found;
  if (!found) return;
  const { maker, channel } = found;
  const { weights, bias } = maker.settings;
  const { kernel } = state;
  const depth = kernel?.layer === layer.name && kernel.channel === channel ? kernel.depth : null;
  const key = [weights, bias, maker, channel, depth, isWhole("kernels", layer)];
  if (filterKeys.get(panel)?.every((value, index) => value === key[index])) return;
  filterKeys.set(panel, key);
  const [told, before, kernels, whole, numbers] = panel.children;
  const isOwn = maker === layer;
  before.hidden = isOwn;
  kernels.hidden = whole.hidden = numbers.hidden = !isOwn;
  if (isOwn) {
    drawOwnFilter(layer, channel, depth, [told, kernels, whole, numbers]);
    return;
  }
  setText(told, "The filter behind this map:");
  setText(before, filterName(maker, channel));
}

/** What a filter is called. */
function filterName(layer, channel) {
  return layer.maps > 1 ? `filter ${channelName(layer, channel)} of ${layer.name}` : `the filter of ${layer.name}`;
}

/** The kernels of a filter { channel, depth, rows, most }, of largest magnitude first. */
function kernelsBySize(arithmetic, channel) {
  const { map, channels } = arithmetic.sources(channel);
  const [height, width] = arithmetic.layer.kernel;
  const kernels = channels.map((source, depth) => {
    const rows = Array.from({ length: height }, (_, i) => Array.from({ length: width }, (__, j) => arithmetic.weight(i, j, depth, map)));
    return { channel: source, depth, rows, most: largestMagnitude([rows.flat()]) };
  });
  return sortedBySize(kernels, ({ most }) => most);
}

/** Draw the filter that made a channel of its layer; `depth` is the kernel in numbers, null for the largest. */
function drawOwnFilter(layer, channel, depth, [told, list, whole, numbers]) {
  const arithmetic = layerArithmetic(layer);
  const source = byName.get(layer.inputs[0]);
  const kernels = kernelsBySize(arithmetic, channel);
  const chosen = kernels.find((kernel) => kernel.depth === depth) ?? kernels[0];
  const { most } = kernels[0];
  const isBank = kernels.length > 1;
  const preset = isBank ? null : presetOf(chosen.rows);
  const does = preset ? `${preset.name}: ${preset.about}.` : "";
  // The channels of a colour picture are no maps of their own, and a group reads some of the maps.
  const inputs = source.maps === kernels.length ? `the ${source.maps} maps` : `${kernels.length} channels`;
  const each = isBank ? ` for each of ${inputs} of ${source.name}, largest first` : "";
  const bias = numberText(arithmetic.bias(arithmetic.sources(channel).map), 3);
  const size = `${arithmetic.layer.kernel.join(" × ")} weights${each}; bias ${bias}.`;
  const rest = document.createTextNode(` ${[does, size].filter(Boolean).join(" ")}`);
  renew(told, element("b", { text: `Made by ${filterName(layer, channel)}.` }), rest);
  const listed = isWhole("kernels", layer) ? kernels : kernels.slice(0, LISTED_KERNELS);
  if (!listed.includes(chosen)) listed[listed.length - 1] = chosen;
  list.hidden = !isBank;
  replaceItems(list, isBank ? listed.map((kernel) => kernelButton(kernel, source, most, kernel === chosen)) : []);
  if (isBank) {
    list.dataset.chosen = "";
    scrollToChosen(list, list.querySelector("[aria-pressed='true']"), chosen.depth);
  }
  drawWholeButton(whole, "kernels", layer, LISTED_KERNELS, kernels.length);
  const title = isBank ? `for ${sourceText(source, chosen.channel)}` : "";
  const isListed = arithmetic.layer.kernel[1] <= WIDEST_NUMBERS;
  const make = (i, j) => element("span", { text: numberAmong(chosen.rows[i][j], most) });
  numbers.replaceChildren(isListed ? weightTable(chosen.rows, title, make, most) : weightPicture(chosen.rows, title, KERNEL_PICTURE));
}

/** A kernel as a small picture with the name of its input map, blue below 0 and red above; `most` is the end of both. */
function kernelButton({ channel, depth, rows }, source, most, isChosen) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const [height, width] = [rows.length, rows[0].length];
  const cell = Math.min(Math.max(1, Math.floor(KERNEL_THUMB / Math.max(height, width))), KERNEL_THUMB / 2);
  const range = { kind: "symmetric", lo: -most, hi: most };
  drawCells(prepareCanvas(canvas, width * cell, height * cell), valuePicture(height, width, [rows.flat()], range, tables.diverging), cell);
  const name = channelName(source, channel);
  const attributes = { type: "button", class: "kernel", "data-key": depth, "aria-pressed": String(isChosen), "aria-label": `Weights for ${sourceText(source, channel)}` };
  return element("button", attributes, canvas, element("span", { text: name }));
}
