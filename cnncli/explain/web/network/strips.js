"use strict";
// The strips of a network's page: the maps of a layer side by side, or as bars where each is one score.

/** Of more maps a strip shows those that contribute most. */
const LISTED_MAPS = 64;

/** The pictures of a strip: all, or of many scores the largest, largest first. */
function stripOrder(layer) {
  const all = layer.pictures.map((_, index) => index);
  if (!layer.largest.length || all.length <= layer.largest.length) return all;
  const places = new Map(layer.pictures.map((picture, index) => [picture.index, index]));
  return layer.largest.map((index) => places.get(index)).filter((index) => index !== undefined);
}

/** The range of bars, as `bar_range` of render/scores.py: that of the squares, and zero. */
function barRange({ lo, hi }) {
  return { lo: Math.min(lo, 0), hi: Math.max(hi, 0) };
}

/** Let a bar go from zero along that range. */
function drawScoreBar(bar, range, value) {
  const { kind } = range;
  const { lo, hi } = barRange(range);
  const middle = kind === "symmetric" ? 50 : 0;
  const share = (number) => (hi > lo ? (100 * (Math.min(Math.max(number, lo), hi) - lo)) / (hi - lo) : middle);
  const [zero, end] = [share(0), Number.isFinite(value) ? share(value) : share(0)];
  bar.style.left = `${Math.min(zero, end)}%`;
  bar.style.width = `${Math.abs(end - zero)}%`;
}

/** The ends of the range that bars have. */
function barEnds(range) {
  const { lo, hi } = barRange(range);
  return lo < hi ? [endNumbers(lo, hi)] : [];
}

/** The value of a map of one row and column, as a text. */
function scoreText(layer, index) {
  if (showsGradients()) return numberText(gradientPlane(layer, index)[0]);
  return valueText(layer, layer.pictures[index], layer.rows[0], layer.cols[0]);
}

/** What a strip is made for: other maps, or maps of one cell, need another one. */
function stripKey(layer) {
  return `${stripOrder(layer).join()} ${isSingle(layer)}`;
}

function makeStrip(layer) {
  const scores = layer.largest.length > 0;
  const name = `Maps of ${layer.name}`;
  const strip = element("div", { class: scores ? "strip scores" : "strip wrap", role: "group", "aria-label": name });
  const order = stripOrder(layer);
  if (scores) {
    const longest = Math.max(...layer.pictures.map((picture) => mapLabel(picture).length));
    strip.style.setProperty("--label", `${Math.min(longest, 24) + 1}ch`);
    const ends = element("p", { class: "ends", "aria-hidden": "true" }, element("span"));
    strip.append(element("p", { class: "largest" }), ends);
  }
  strip.dataset.pictures = stripKey(layer);
  strip.append(...order.map((index) => mapButton(layer, index, scores)));
  const count = Math.min(order.length, scores ? Infinity : LISTED_MAPS);
  if (count < layer.maps) {
    strip.append(element("span", { class: "dim", text: `${count} of ${layer.maps} maps` }));
  }
  startArrows(strip);
  return strip;
}

/** A button for one map of a strip: its picture and name, and room for what changes. */
function mapButton(layer, index, scores) {
  const picture = layer.pictures[index];
  const canvas = element("canvas", { "aria-hidden": "true" });
  const names = [element("span", { class: "hidden", text: "Map " }), element("span", { text: mapLabel(picture) })];
  const button = element("button", { type: "button", class: "thumb", "data-map": index }, canvas, ...names);
  if (scores) button.append(element("span", { class: "track", "aria-hidden": "true" }, element("span", { class: "bar" })));
  else button.append(element("span", { class: "share" }));
  if (isSingle(layer)) button.append(element("b"));
  const size = isSingle(layer) ? SWATCH : THUMB;
  sizeCanvas(canvas, layer, size);
  paintWhenSeen(canvas, () => drawLayerMap(canvas, layer, index, size));
  button.addEventListener("click", () => {
    const isUnit = layer.name === state.unit.layer;
    if (isSingle(layer)) apply({ unit: { layer: layer.name, map: picture.index, at: [layer.rows[0], layer.cols[0]] } });
    else if (isUnit) apply({ unit: { ...state.unit, map: picture.index } });
    else apply({ maps: { [layer.name]: index } });
  });
  return button;
}

/** Draw all of a strip but its canvases: which map is large, what each contributes, the scores. */
function drawStrip(layer) {
  const { strip } = layer.card;
  const large = state.maps[layer.name];
  for (const button of strip.querySelectorAll(".thumb")) {
    const index = Number(button.dataset.map);
    button.setAttribute("aria-pressed", String(index === large));
    button.classList.toggle("dead", isDead(layer, index));
    if (isSingle(layer)) setText(button.querySelector("b"), scoreText(layer, index));
  }
  if (layer.largest.length) drawScores(layer);
  else {
    const place = view.trail.findIndex(({ unit }) => unit.layer === layer.name);
    sortStrip(layer, place > 0 ? view.trail[place - 1].made : null);
  }
  setTabStop(strip);
  const chosen = strip.querySelector(`[data-map="${large}"]`);
  if (chosen) scrollToChosen(strip, chosen, [large, [...strip.children].indexOf(chosen)]);
}

/** Draw the bars of scores on one axis, and name the largest. */
function drawScores(layer) {
  const { strip } = layer.card;
  // Letters of the longest value, so that the bars of all rows are of one length.
  const longest = Math.max(...stripOrder(layer).map((index) => scoreText(layer, index).length));
  strip.style.setProperty("--number", `${longest + 1}ch`);
  const best = layer.pictures.findIndex(({ index }) => index === layer.winner);
  let text = layer.winner === null ? "not a number: no score is finite, none is the largest" : "";
  if (showsGradients()) text = "gradients";
  else if (best >= 0) text = `largest: ${mapName(layer.pictures[best])} (${scoreText(layer, best)})`;
  setText(strip.querySelector(".largest"), text);
  renew(strip.querySelector(".ends > span"), ...barEnds(showsGradients() ? gradientRange(layer, 0) : layer.ranges[0]));
  for (const button of strip.querySelectorAll(".thumb")) {
    const index = Number(button.dataset.map);
    const [channel] = layer.pictures[index].channels;
    const [range, value] = showsGradients()
      ? [gradientRange(layer, index), gradientPlane(layer, index)[0]]
      : [layer.ranges[index], valueAt(layer, channel, 0, 0).value];
    drawScoreBar(button.querySelector(".bar"), range, value);
    button.classList.toggle("best", index === best);
  }
}

/** Sort the maps of a strip by how much they contribute to a unit, or as they are counted, dead ones last. */
function sortStrip(layer, made) {
  const { strip } = layer.card;
  const amounts = made ? channelAmounts(made, layer.name) : new Map();
  const shareOf = (button) => {
    const { channels } = layer.pictures[Number(button.dataset.map)];
    const known = channels.filter((channel) => amounts.has(channel));
    return known.length ? known.reduce((sum, channel) => sum + amounts.get(channel), 0) : null;
  };
  const rankOf = (button) => {
    const share = shareOf(button);
    return share === null ? -1 - button.classList.contains("dead") : Math.abs(share);
  };
  const buttons = [...strip.querySelectorAll(".thumb")].sort((a, b) => a.dataset.map - b.dataset.map);
  for (const button of buttons) {
    const share = shareOf(button);
    const text = share === null ? "" : `${share > 0 ? "+" : ""}${numberText(share, 3)}`;
    setText(button.querySelector(".share"), text || (button.classList.contains("dead") ? "all 0" : ""));
  }
  // Sums may be infinite, so they are compared, not subtracted.
  const ranks = new Map(buttons.map((button) => [button, rankOf(button)]));
  const sorted = buttons.sort((a, b) => (ranks.get(b) > ranks.get(a)) - (ranks.get(b) < ranks.get(a)));
  sorted.forEach((button, rank) => {
    button.hidden = rank >= LISTED_MAPS && button.getAttribute("aria-pressed") !== "true";
  });
  const focused = document.activeElement;
  let next = strip.firstChild;
  for (const button of sorted) {
    if (button === next) next = next.nextSibling;
    else strip.insertBefore(button, next);
  }
  if (document.activeElement !== focused && strip.contains(focused)) focused.focus();
}
