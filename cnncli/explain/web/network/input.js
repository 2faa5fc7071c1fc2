"use strict";
// The input of a network's page that computes all values itself: the image that it came with, or a picture of
// the user's. pictures/own_picture.js has the controls.

/** Shows the state in the controls of one's own picture; there are none where the page cannot compute. */
let drawOwnPicture = () => {};

function startNetworkInput() {
  const place = byId("own");
  place.hidden = !live;
  if (!live) return;
  const first = state.input;
  const { fit, bgr } = pageData.reading ?? {};
  const scores = element("div", { class: "pad-scores" });
  const drawControls = startOwnPicture(place, {
    first,
    beside: scores,
    input: () => state.input,
    fixed: first.size,
    fit,
    bgr,
    change: (planes, _, own) => apply({ input: ownInput(first, planes, own) }),
    paint: (planes) => apply({ input: changedInput(state.input, planes) }),
    reset: () => apply({ input: first }),
  });
  drawOwnPicture = () => {
    drawControls();
    drawPadScores(scores);
  };
}

/** The planes of the scores that stand beside the pad. */
let padScores = null;

/** The scores of the last layer that has some, which follow a drawing at once. */
function drawPadScores(place) {
  const layer = layers.findLast(({ largest }) => largest.length > 0);
  place.hidden = !layer;
  if (!layer || layer.planes === padScores) return;
  padScores = layer.planes;
  const lines = stripOrder(layer).map((index) => {
    const picture = layer.pictures[index];
    const { value } = valueAt(layer, picture.channels[0], 0, 0);
    const name = element("th", { scope: "row", text: mapLabel(picture) });
    const bar = element("span", { class: "bar" });
    drawScoreBar(bar, layer.ranges[index], value);
    const track = element("td", {}, element("span", { class: "track", "aria-hidden": "true" }, bar));
    const best = picture.index === layer.winner ? "best" : "";
    return element("tr", { class: best }, name, track, element("td", { text: numberText(value, 3) }));
  });
  renew(place, element("table", {}, element("caption", { class: "dim", text: layer.name }), ...lines));
}

/** A picture of the user's as the network's input. */
function ownInput(first, planes, own) {
  return { ...first, planes, range: { kind: "clip", lo: 0, hi: 1 }, largest: largestMagnitude(planes), own };
}

/** The title and the notes, of the image that is shown. */
function drawInputTexts() {
  const own = state.input?.own;
  showTitle(titleOf(own));
  const notes = own ? pageData.notes.slice(pageData.imageNotes) : pageData.notes;
  renew(byId("notes"), ...notes.map((text) => element("p", { text })));
}

/** The unit that is shown after another input: of scores the largest, if it was shown before. */
function unitAfter(unit, winner) {
  const layer = byName.get(unit.layer);
  const follows = winner !== null && unit.map === winner && layer.winner !== null;
  return follows ? { ...unit, map: layer.winner } : unit;
}
