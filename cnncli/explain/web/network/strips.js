"use strict";
// The strips of a network's page: the maps of a layer side by side, or as bars where each is one score.

/** Of more maps a strip shows those that contribute most. */
const LISTED_MAPS = 64;

/** Whether a list of a layer, its "maps" or its "kernels", is shown whole. */
function isWhole(list, { name }) {
  return Boolean(state.whole[`${list} ${name}`]);
}

/** A button that shows a list of a layer whole, or only the first of it again. */
function wholeButton(list, layer) {
  const click = () => apply({ whole: { [`${list} ${layer.name}`]: !isWhole(list, layer) } });
  return element("button", { type: "button", class: "quiet", click });
}

/** Let that button tell what it does, where the list has more than a `few`. */
function drawWholeButton(button, list, layer, few, all) {
  button.hidden = all <= few;
  setText(button, isWhole(list, layer) ? `Show only ${few} ${list}` : `Show all ${all} ${list}`);
}

/** How many maps a strip shows that is not shown whole. */
function fewMaps(layer) {
  return layer.largest.length || LISTED_MAPS;
}

/** The pictures of a strip: all, or of many scores the largest, largest first. */
function stripOrder(layer) {
  const all = layer.pictures.map((_, index) => index);
  if (!layer.largest.length || all.length <= layer.largest.length) return all;
  if (isWhole("maps", layer)) return largestScores(layer.pictures.map(({ channels }) => layer.planes[channels[0]][0]));
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

/** What a strip is made for: another number of maps, or maps of one cell, need another one. */
function stripKey(layer) {
  return [stripOrder(layer).length, isSingle(layer), isWhole("maps", layer)].join();
}

function makeStrip(layer) {
  const scores = layer.largest.length > 0;
  const name = `Maps of ${layer.name}`;
  const strip = element("div", { class: scores ? "strip scores" : "strip wrap", role: "group", "aria-label": name });
  const { length } = stripOrder(layer);
  if (scores) {
    const longest = Math.max(...layer.pictures.map((picture) => mapLabel(picture).length));
    strip.style.setProperty("--label", `${Math.min(longest, 24) + 1}ch`);
    const ends = element("p", { class: "ends", "aria-hidden": "true" }, element("span"));
    strip.append(element("p", { class: "largest" }), ends);
  }
  strip.dataset.made = stripKey(layer);
  const count = scores || isWhole("maps", layer) ? length : Math.min(length, LISTED_MAPS);
  // Beyond those that are listed is a place for the chosen one.
  const places = Math.min(count + 1, length);
  strip.append(...Array.from({ length: places }, () => mapButton(layer, scores)));
  if (count < layer.maps) {
    strip.append(element("span", { class: "dim", text: `${count} of ${layer.maps} maps` }));
  }
  startArrows(strip);
  return strip;
}

/** A button for any map of a strip: its picture and name, and room for what it contributes, or for its score. */
function mapButton(layer, scores) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const names = [element("span", { class: "hidden", text: "Map " }), element("span", { class: "label" })];
  const button = element("button", { type: "button", class: "thumb" }, canvas, ...names);
  if (scores) button.append(element("span", { class: "track", "aria-hidden": "true" }, element("span", { class: "bar" })));
  else button.append(element("span", { class: "share" }));
  if (isSingle(layer)) button.append(element("b"));
  const size = isSingle(layer) ? SWATCH : THUMB;
  sizeCanvas(canvas, layer, size);
  const shown = () => Number(button.dataset.map);
  paintWhenSeen(canvas, () => drawLayerMap(canvas, layer, shown(), size));
  button.addEventListener("click", () => chooseMap(layer, shown()));
  return button;
}

function chooseMap(layer, index) {
  const { index: map } = layer.pictures[index];
  if (isSingle(layer)) apply({ unit: { layer: layer.name, map, at: [layer.rows[0], layer.cols[0]] } });
  else if (layer.name === state.unit.layer) apply({ unit: { ...state.unit, map } });
  else apply({ maps: { [layer.name]: index } });
}

/** Draw all of a strip but its canvases: each button shows the map that has its place now, so that none has to move. */
function drawStrip(layer) {
  const { strip } = layer.card;
  const large = state.maps[layer.name];
  const shares = mapShares(layer);
  const order = layer.largest.length ? stripOrder(layer) : sortedMaps(layer, shares);
  const focused = strip.contains(document.activeElement) ? document.activeElement.dataset.map : undefined;
  strip.querySelectorAll(".thumb").forEach((button, place) => {
    const index = order[place];
    button.hidden = index === undefined;
    if (!button.hidden) showMap(button, layer, index, shares);
  });
  if (layer.largest.length) drawScores(layer);
  else setText(layer.card.order, orderText(layer, shares));
  const buttonOf = (index) => strip.querySelector(`[data-map="${index}"]`);
  if (focused !== undefined && document.activeElement.dataset.map !== focused) buttonOf(focused)?.focus({ preventScroll: true });
  setTabStop(strip);
  const chosen = order.indexOf(large);
  if (chosen >= 0) scrollToChosen(strip, buttonOf(large), [large, chosen]);
}

/** In which order the maps stand, in words. */
function orderText(layer, shares) {
  const first = shares.size ? ["those that contribute most first"] : [];
  const last = layer.pictures.some((_, index) => isDead(layer, index)) ? ["those that are all 0 last"] : [];
  return [`${layer.maps} maps, counted from 0`, ...first, ...last].join(", ");
}

/** Let a button of a strip show a map, with its share. */
function showMap(button, layer, index, shares) {
  button.dataset.map = index;
  const isChosen = index === state.maps[layer.name];
  button.setAttribute("aria-pressed", String(isChosen));
  button.classList.toggle("dead", isDead(layer, index));
  setText(button.querySelector(".label"), mapLabel(layer.pictures[index]));
  if (isSingle(layer)) setText(button.querySelector("b"), scoreText(layer, index));
  const share = button.querySelector(".share");
  if (share) setText(share, shares.has(index) ? signedText(shares.get(index)) : isDead(layer, index) ? "all 0" : "");
}

/** Draw the bars of scores on one axis, and name the largest. */
function drawScores(layer) {
  const { strip } = layer.card;
  // Letters of the longest value, so that the bars of all rows are of one length.
  const longest = Math.max(...stripOrder(layer).map((index) => scoreText(layer, index).length));
  strip.style.setProperty("--number", `${longest + 1}ch`);
  const best = layer.pictures.findIndex(({ index }) => index === layer.winner);
  let text = layer.winner === null ? "not a number: no score is finite, none is the largest" : "";
  if (showsGradients()) text = gradientTitle(layer);
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

/** What the maps of a layer contribute to the unit after it on the trail: by index, of those that do. */
function mapShares(layer) {
  const place = view.trail.findIndex(({ unit }) => unit.layer === layer.name);
  const amounts = place > 0 ? channelAmounts(view.trail[place - 1].made, layer.name) : new Map();
  const shares = new Map();
  layer.pictures.forEach(({ channels }, index) => {
    const known = channels.filter((channel) => amounts.has(channel));
    if (known.length) shares.set(index, known.reduce((sum, channel) => sum + amounts.get(channel), 0));
  });
  return shares;
}

/** The maps by how much they contribute, the others as they are counted, dead ones last; the chosen one is among them. */
function sortedMaps(layer, shares) {
  const rankOf = (index) => (shares.has(index) ? Math.abs(shares.get(index)) : -1 - isDead(layer, index));
  const ranks = layer.pictures.map((_, index) => rankOf(index));
  // Sums may be infinite, so they are compared, not subtracted.
  const sorted = stripOrder(layer).sort((a, b) => (ranks[b] > ranks[a]) - (ranks[b] < ranks[a]));
  const large = state.maps[layer.name];
  return sorted.filter((index, place) => isWhole("maps", layer) || place < LISTED_MAPS || index === large);
}
