"use strict";
// The panel that tells why one score of a network is higher than another: a sentence, and the maps that made the
// difference, each with what it looked at in the input. network/score_differences.js computes.

const LISTED_DIFFERENCES = 6;
const COMPARED_SIZE = 56;
const COMPARED_PIXELS = 120;

/** What was compared last, { chosen, unit, other }: the chosen unit, and the channels of its two scores. */
let compared = null;

/** The outlined pixels, { cells, channel }: those that would help the score of a channel most if they were bright. */
let helpful = null;

/** The score that is compared with: the chosen one, else the highest other one. */
function otherScore(layer, channel) {
  const isOther = (index) => index !== channel && index in layer.planes;
  if (state.against !== null && isOther(state.against)) return state.against;
  const scoreOf = (index) => (Number.isNaN(layer.planes[index][0]) ? -Infinity : layer.planes[index][0]);
  return layer.channels.filter(isOther).reduce((best, index) => (scoreOf(index) > scoreOf(best) ? index : best));
}

function startComparison() {
  byId("against").addEventListener("change", (event) => apply({ against: Number(event.target.value) }));
  byId("raise-other").addEventListener("click", () => {
    showWeights({ unit: { ...state.unit, map: Number(byId("against").value) }, against: state.unit.map });
  });
  byId("raise-own").addEventListener("click", () => showWeights({}));
  startArrows(byId("comparison-table"), () => 1, false);
  byId("brighten").addEventListener("click", () => {
    apply({ input: brightened(state.input, helpful.cells), against: helpful.channel });
  });
  byId("to-pad").addEventListener("click", () => {
    if (byId("own-pad").hidden) byId("own-pen").click();
    else byId("own-pad").querySelector("canvas").focus();
  });
  byId("to-comparison").addEventListener("click", () => {
    apply({ ...changesFor(compared.chosen), against: compared.other });
    byId("against").focus();
  });
}

/** Choose a unit of a map that the comparison lists; the button that has the focus then leads back. */
function leaveComparison(unit) {
  apply(changesFor(unit));
  byId("to-comparison").focus();
}

/** The two scores that were compared last, as units; none where they are not there. */
function comparedScores() {
  const layer = compared && byName.get(compared.unit.layer);
  if (!layer || layer.problem) return [];
  const scores = [compared.unit, { ...compared.unit, channel: compared.other }];
  return scores.every(({ channel }) => channel in layer.planes) ? scores : [];
}

/** The button that leads back to the scores that were compared last, while another unit is chosen. */
function drawWayBack() {
  const scores = comparedScores();
  const names = scores.map(({ layer, channel }) => channelName(byName.get(layer), channel));
  byId("to-comparison").hidden = !scores.length || !byId("comparison").hidden;
  byId("to-comparison").textContent = `Back to why ${names.join(" and not ")}`;
}

/** Compare the chosen score with another one, where the unit is a score. */
function drawComparison(chosen) {
  const unit = comparedUnit(chosen);
  const layer = unit && byName.get(unit.layer);
  const other = unit && otherScore(layer, unit.channel);
  const found = unit && scoreDifferences(unit, other);
  byId("comparison").hidden = !found;
  if (found) compared = { chosen, unit, other };
  drawWayBack();
  if (!found) return;
  const name = (channel) => channelName(layer, channel);
  const options = layer.channels.filter((channel) => channel !== unit.channel && channel in layer.planes);
  renew(byId("against"), ...options.map((value) => element("option", { value, text: name(value) })));
  byId("against").value = other;
  byId("why").textContent = `Why ${name(unit.channel)} and not`;
  byId("against-hint").hidden = state.against === other;
  byId("against-hint").textContent = `${name(other)} has the highest score of the others. Choose in the list which one you ask about.`;
  byId("raising").hidden = !live;
  byId("raise-other").textContent = `for more of ${name(other)}`;
  byId("raise-own").textContent = `for more of ${name(unit.channel)}`;
  drawDifferences(found, [name(unit.channel), name(other)]);
  drawComparedPixels(unit, other, found.total);
}

/**
 * Draw which pixels speak for the chosen score and which for the other one, where gradients take no time; and outline
 * those that would help the lower one of the scores most, where they can be drawn.
 */
function drawComparedPixels(unit, other, total) {
  const canvas = byId("compared-picture");
  canvas.hidden = byId("compared-key").hidden = !isPrompt();
  byId("helpful").hidden ||= canvas.hidden;
  if (canvas.hidden) return;
  const names = [unit.channel, other].map((channel) => channelName(byName.get(unit.layer), channel));
  byId("compared-key").textContent = `The picture: red pixels speak for ${names[0]}, blue ones for ${names[1]}. It is each pixel times the gradient of their difference.`;
  canvas.setAttribute("aria-label", `The pixels that speak for ${names.join(" and for ")}`);
  sizeCanvas(canvas, byName.get("input"), COMPARED_PIXELS);
  drawAfterPause(canvas, () => {
    const scores = [unit, { ...unit, channel: other }];
    const [ours, theirs] = scores.map(pixelShares);
    const { cell, width, height } = mapSize(byName.get("input"), COMPARED_PIXELS);
    const context = prepareCanvas(canvas, width, height);
    drawCells(context, sharesPicture(ours.map((share, index) => share - theirs[index])), cell);
    const lower = total[0] < total[1] ? 0 : 1;
    const isTold = canDraw(state.input) && total[0] !== total[1];
    const cells = isTold ? helpfulPixels(scores[lower], scores[1 - lower]) : [];
    byId("helpful").hidden = !cells.length;
    if (!cells.length) return;
    helpful = { cells, channel: scores[lower].channel };
    outlineGroup(context, cells, cell, view.colours.window, view.colours.halo, 1.5);
    const [row, col] = cells[0];
    byId("helpful-text").textContent = `What would help ${names[lower]} most against ${names[1 - lower]}: bright pixels in the outline, first of all at row ${row}, column ${col}. They may help others too.`;
  });
}

/** The sentence that sums up, and the maps that made the difference. */
function drawDifferences(found, names) {
  const [score, source] = [compared.unit.layer, byName.get(byName.get(compared.unit.layer).inputs[0])];
  const deciding = decidingUnits(compared.unit, compared.other);
  const placeOf = (channel) => {
    const place = deciding.has(channel) && cornerText(source.shape, deciding.get(channel).at);
    return place ? `${place}, of value ${numberText(unitValue(deciding.get(channel)), 3)}` : "";
  };
  const mapOf = ({ channel }) => ({ name: channelName(source, channel), place: placeOf(channel) });
  byId("comparison-text").textContent = whyText(found, names, mapOf);
  const looked = isPrompt()
    ? "Beside each map is what its outlined cell looked at: red pixels raise it, blue ones lower it."
    : "Beside each map is the input with the part that its outlined cell sees.";
  byId("comparison-key").textContent =
    `${score} adds up the maps of ${source.name}, each times its weights for ${names[0]} or for ${names[1]}; the largest difference stands first. ${looked} A click on a map leads to that cell.`;
  replaceItems(byId("comparison-table"), comparisonRows(found, names, deciding, source));
}

function comparisonRows({ rows, bias, total }, names, deciding, source) {
  const heads = [`map of ${source.name}`, ...names, "difference"].map((text) => element("th", { scope: "col", text }));
  const line = (label, ours, theirs, kind = "") => {
    const cells = [numberText(ours, 3), numberText(theirs, 3), signedText(ours - theirs)].map((text) => element("td", { text }));
    return element("tr", { class: kind }, element("th", { scope: "row" }, label), ...cells);
  };
  const listed = rows.slice(0, LISTED_DIFFERENCES).flatMap(({ channel, ours, theirs }) => {
    const unit = deciding.get(channel);
    if (!unit) return [line(channelName(source, channel), ours, theirs)];
    const text = productsText(unit, unitValue(unit), names, cornerText(source.shape, unit.at));
    const products = element("tr", { class: "products" }, element("td", { colspan: heads.length, text }));
    return [line(comparedMap(source, unit), ours, theirs), ...(text ? [products] : [])];
  });
  const rest = rows.slice(LISTED_DIFFERENCES);
  const sum = (key) => rest.reduce((all, row) => all + row[key], 0);
  if (rest.length) listed.push(line(`${rest.length} more`, sum("ours"), sum("theirs")));
  return [element("tr", {}, ...heads), ...listed, line("bias", ...bias), line("total", ...total, "total")];
}

/** A map, and what its unit with the most to say looked at: a button that chooses that unit. */
function comparedMap(source, unit) {
  const name = channelName(source, unit.channel);
  const [map, looked] = [0, 1].map(() => element("canvas", { "aria-hidden": "true" }));
  const label = `Map ${name} of ${source.name}: choose its unit that counts most here`;
  const attributes = { type: "button", class: "compared", "data-key": unit.channel, "aria-label": label, title: label };
  const button = element("button", attributes, map, looked, element("span", { text: name }));
  button.addEventListener("click", () => leaveComparison(unit));
  for (const [canvas, layer] of [[map, source], [looked, byName.get("input")]]) {
    sizeCanvas(canvas, layer, COMPARED_SIZE);
    // On a phone the style asks for their shape, also before they are drawn.
    const { width, height } = mapSize(layer, COMPARED_SIZE);
    [canvas.width, canvas.height] = [width, height];
  }
  paintWhenSeen(map, () => drawDecidingCell(map, source, unit));
  paintWhenSeen(looked, () => drawPixelShares(looked, unit, COMPARED_SIZE));
  return button;
}

function drawDecidingCell(canvas, source, unit) {
  const { cell, width, height } = mapSize(source, COMPARED_SIZE);
  const context = prepareCanvas(canvas, width, height);
  drawCells(context, pictureOf(source, pictureIndex(source, unit.channel), false), cell);
  if (isSingle(source)) return;
  const [row, col] = [unit.at[0] - source.rows[0], unit.at[1] - source.cols[0]];
  outlineCells(context, [row, col, row + 1, col + 1], cell, view.colours.window, view.colours.halo, 1.5);
}
