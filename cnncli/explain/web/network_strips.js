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

/** A bar from zero along that range. */
function scoreBar(range, value) {
  const { kind } = range;
  const { lo, hi } = barRange(range);
  const middle = kind === "symmetric" ? 50 : 0;
  const share = (number) => (hi > lo ? (100 * (Math.min(Math.max(number, lo), hi) - lo)) / (hi - lo) : middle);
  const bar = element("span", { class: "bar" });
  const [zero, end] = [share(0), Number.isFinite(value) ? share(value) : share(0)];
  bar.style.left = `${Math.min(zero, end)}%`;
  bar.style.width = `${Math.abs(end - zero)}%`;
  return element("span", { class: "track", "aria-hidden": "true" }, bar);
}

/** The ends of the range that bars have. */
function barEnds(range) {
  const { lo, hi } = barRange(range);
  const ends = lo < hi ? [lo, hi] : [];
  if (lo < 0 && lo === -hi) ends.splice(1, 0, 0);
  const texts = ends.map((value) => element("span", { text: numberText(value) }));
  return element("p", { class: "ends", "aria-hidden": "true" }, element("span", {}, ...texts));
}

/** Letters of the longest value, so that the bars of all rows are of one length. */
function longestNumber(layer) {
  const texts = stripOrder(layer).map((index) => valueText(layer, layer.pictures[index], layer.rows[0], layer.cols[0]));
  return Math.max(...texts.map((text) => text.length));
}

function makeStrip(layer) {
  const single = isSingle(layer);
  const scores = layer.largest.length > 0;
  const name = `Maps of ${layer.name}`;
  const strip = element("div", { class: scores ? "strip scores" : "strip wrap", role: "group", "aria-label": name });
  if (scores) {
    const longest = Math.max(...layer.pictures.map((picture) => mapLabel(picture).length));
    strip.style.setProperty("--label", `${Math.min(longest, 24) + 1}ch`);
    strip.style.setProperty("--number", `${longestNumber(layer) + 1}ch`);
    const picture = layer.pictures.find(({ index }) => index === layer.winner);
    let best = layer.winner === null ? "not a number: no score is finite, none is the largest" : "";
    if (picture) best = `largest: ${mapName(picture)} (${valueText(layer, picture, 0, 0)})`;
    strip.append(element("p", { class: "largest", text: best }), barEnds(layer.ranges[0]));
  }
  stripOrder(layer).forEach((index) => {
    const picture = layer.pictures[index];
    const label = mapLabel(picture);
    const button = element(
      "button",
      { type: "button", class: "thumb" },
      element("canvas", { "aria-hidden": "true" }),
      element("span", { class: "hidden", text: "Map " }),
      element("span", { text: label }),
    );
    button.dataset.map = index;
    if (!scores) button.append(element("span", { class: "share" }));
    if (scores) {
      button.append(scoreBar(layer.ranges[index], valueAt(layer, picture.channels[0], 0, 0).value));
      button.classList.toggle("best", picture.index === layer.winner);
    }
    if (single) {
      button.append(element("b", { text: valueText(layer, picture, layer.rows[0], layer.cols[0]) }));
    }
    button.addEventListener("click", () => {
      const isUnit = layer.name === state.unit.layer;
      if (single) apply({ unit: { layer: layer.name, map: picture.index, at: [layer.rows[0], layer.cols[0]] } });
      else if (isUnit) apply({ unit: { ...state.unit, map: picture.index } });
      else apply({ maps: { [layer.name]: index } });
    });
    strip.append(button);
  });
  const count = Math.min(strip.querySelectorAll(".thumb").length, scores ? Infinity : LISTED_MAPS);
  if (count < layer.maps) {
    strip.append(element("span", { class: "dim", text: `${count} of ${layer.maps} maps` }));
  }
  startArrows(strip);
  return strip;
}

/** Sort the maps of a strip by how much they contribute to a unit, or as they are counted. */
function sortStrip(layer, made) {
  const strip = layer.card.querySelector(".strip");
  if (!strip || layer.largest.length) return;
  const amounts = made ? channelAmounts(made, layer.name) : new Map();
  const shareOf = (button) => {
    const { channels } = layer.pictures[Number(button.dataset.map)];
    const known = channels.filter((channel) => amounts.has(channel));
    return known.length ? known.reduce((sum, channel) => sum + amounts.get(channel), 0) : null;
  };
  const rankOf = (button) => (shareOf(button) === null ? -1 : Math.abs(shareOf(button)));
  const buttons = [...strip.querySelectorAll(".thumb")].sort((a, b) => a.dataset.map - b.dataset.map);
  for (const button of buttons) {
    const share = shareOf(button);
    button.querySelector(".share").textContent = share === null ? "" : `${share > 0 ? "+" : ""}${numberText(share, 3)}`;
  }
  // Sums may be infinite, so they are compared, not subtracted.
  const sorted = buttons.sort((a, b) => (rankOf(b) > rankOf(a)) - (rankOf(b) < rankOf(a)));
  sorted.forEach((button, rank) => {
    button.hidden = rank >= LISTED_MAPS && button.getAttribute("aria-pressed") !== "true";
  });
  if ([...strip.querySelectorAll(".thumb")].every((button, index) => button === sorted[index])) return;
  const focused = document.activeElement;
  strip.prepend(...sorted);
  if (strip.contains(focused)) focused.focus();
}
