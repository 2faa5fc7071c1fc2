"use strict";
// The cards of a network's page, one for each layer: one line, or opened with the large map, its
// colour bar and the strip of maps. What a card shows is drawn from its layer and the state each time.

/** Pages of no more maps have all cards ready. */
const FEW_BUTTONS = 400;

/** Cards near the window have what they show; others of a large network are filled when they come near. */
const nearness = new IntersectionObserver(
  (entries) => {
    keepInPlace(() => {
      for (const { target, isIntersecting } of entries) {
        const layer = byName.get(target.dataset.layer);
        layer.card.isNear = isIntersecting;
        if (isIntersecting) drawBody(layer);
      }
    });
  },
  { rootMargin: "1000px 0px" },
);

/**
 * Change the page so that a card in sight does not move, that with the focus, else the first one, nor the field of
 * a setting that has the focus; returns what `change` returns.
 */
function keepInPlace(change) {
  const cards = layers.map(({ card }) => card.node);
  const isSeen = (node) => {
    const { top, bottom } = node.getBoundingClientRect();
    return bottom > 0 && top < window.innerHeight;
  };
  const focused = cards.filter((node) => node.contains(document.activeElement));
  const kept = [...focused, ...cards].find(isSeen);
  const field = document.activeElement?.closest("#editor") && document.activeElement;
  const topOf = (node) => node.getBoundingClientRect().top;
  const before = [kept, field].map((node) => node && topOf(node));
  const result = change();
  if (kept) window.scrollBy(0, topOf(kept) - before[0]);
  if (!field?.isConnected) return result;
  const side = field.closest(".unit-side");
  // On a narrow screen the side does not scroll for itself.
  (side.clientHeight ? side : window).scrollBy(0, topOf(field) - before[1]);
  return result;
}

/** The parts of a layer's card: { node, head, body, toggle, ... }; its body is filled when it is near. */
function makeCard(layer) {
  const body = element("div", { class: "card-body", id: `card-${layers.indexOf(layer)}` });
  const label = `Maps of ${layer.name}`;
  const toggle = element("button", { type: "button", class: "toggle quiet", "aria-label": label, "aria-controls": body.id });
  const mini = element("canvas", { class: "mini", "aria-hidden": "true" });
  const about = element("div", { class: "about" });
  const head = element("div", { class: "card-head" }, toggle, mini, about);
  const node = element("li", { class: "panel card", "data-layer": layer.name }, head, body);
  const change = () => apply({ open: { [layer.name]: !isOpen(layer) } });
  toggle.addEventListener("click", change);
  head.addEventListener("click", ({ target }) => {
    if (!toggle.contains(target) && !isOpen(layer)) change();
  });
  node.addEventListener("keydown", (event) => moveFromCard(event, layer));
  paintWhenSeen(mini, () => drawMini(layer));
  const count = layers.reduce((sum, { pictures }) => sum + Math.min(pictures.length, LISTED_MAPS), 0);
  if (count > FEW_BUTTONS) nearness.observe(node);
  return { node, about, toggle, mini, body, isNear: count <= FEW_BUTTONS };
}

/** A layer that cannot be computed has nothing to open. */
function isOpen(layer) {
  return Boolean(isAsking() ? isOpenAsked(layer) : state.open[layer.name]) && !layer.problem;
}

/** PageUp and PageDown go to the layer before and after, Escape to the layer in the graph. */
function moveFromCard(event, layer) {
  const step = { PageUp: -1, PageDown: 1 }[event.key];
  if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
  if (!step && event.key !== "Escape") return;
  event.preventDefault();
  const next = layers[layers.indexOf(layer) + step];
  if (event.key === "Escape") goToGraph(layer.name);
  else if (next) goToLayer(next.name);
}

/** Open a layer's card, bring it into sight and put the focus on its large map. */
function goToLayer(name) {
  const layer = byName.get(name);
  if (!isOpen(layer)) apply({ open: { [name]: true } });
  drawBody(layer);
  layer.card.node.scrollIntoView({ block: "start" });
  // A layer that cannot be computed has no map.
  (layer.problem ? layer.card.toggle : layer.card.large).focus({ preventScroll: true });
}

/** Draw all cards: those that open or close move nothing in sight. */
function drawCards() {
  const isOther = (layer) => layer.card.body.hidden === isOpen(layer);
  const drawAll = () => layers.forEach(drawCard);
  if (layers.some(isOther)) keepInPlace(drawAll);
  else drawAll();
}

/** Draw what does not depend on how near a card is: its line, its marks, and whether it is open. */
function drawCard(layer) {
  const { node, about, toggle, body } = layer.card;
  const isUnit = isUnitLayer(layer);
  const open = isOpen(layer);
  const isChanged = body.hidden === open;
  node.classList.toggle("chosen", isUnit);
  node.classList.toggle("lit", view.boxes.has(layer.name) && !isUnit);
  node.classList.toggle("open", open);
  node.classList.toggle("on-paper", isOnPaper(layer));
  toggle.setAttribute("aria-expanded", String(open));
  body.hidden = !open;
  const told = layer.problem ? { class: "problem", text: layer.problem } : { class: "shape", text: layer.shape.join(" × ") };
  const shape = element("p", told);
  renew(about, nameElement(layer.name, "h2"), element("p", {}, ...aboutParts(layer)), shape);
  if (!layer.card.isNear) return;
  if (isChanged) drawBody(layer);
  else drawPanel(node, () => drawBody(layer));
}

/** Whether paper shows a layer: the unit's, the one before it on the trail, and the input. */
function isOnPaper({ name }) {
  return trailNames().slice(0, 2).includes(name) || name === "input";
}

/** Cards that were closed before paper showed them. */
let openedForPaper = [];

/** Make and draw what paper shows, though it may be closed, or far from the window. */
function drawForPaper() {
  const shown = layers.filter((layer) => isOnPaper(layer) && !layer.problem);
  openedForPaper.push(...shown.filter((layer) => !isOpen(layer)).map(({ name }) => name));
  if (openedForPaper.length) apply({ open: Object.fromEntries(openedForPaper.map((name) => [name, true])) });
  drawRest();
  for (const layer of shown) {
    drawBody(layer);
    drawLarge(layer);
  }
}

/** Close again what was opened for paper. */
function closeAfterPaper() {
  if (openedForPaper.length) apply({ open: Object.fromEntries(openedForPaper.map((name) => [name, false])) });
  openedForPaper = [];
}

/** Fill the body of an open card, and draw all of it but its canvases, which are drawn in sight. */
function drawBody(layer) {
  const { card } = layer;
  if (!isOpen(layer) || !view) return;
  if (!card.large) fillBody(layer);
  const large = state.maps[layer.name];
  const { width } = mapSize(layer, largeSize(layer));
  const notFinite = notFiniteCount(layer, large);
  const text = [notFiniteText(notFinite), rangeText(layer, large)].filter(Boolean).join("; ");
  setText(card.range, isAsking() ? "" : text);
  drawColourBar(card.bar, layer, large, Math.max(width, SHORTEST_BAR));
  card.caption.hidden = isAsking();
  card.caption.style.maxWidth = `${Math.max(width, LARGE)}px`;
  card.range.classList.toggle("hidden", !card.bar.hidden && !notFinite);
  renew(card.facts, ...(isAsking() ? [] : factElements(layer)), card.lit, card.send);
  setText(card.lit, litText(layer));
  setText(card.send, sendText(layer));
  drawMapFilter(layer);
  if (card.strip?.dataset.made !== stripKey(layer)) renewStrip(layer);
  if (card.strip) drawStrip(layer);
  drawWholeButton(card.whole, "maps", layer, fewMaps(layer), layer.pictures.length);
}

function fillBody(layer) {
  const { card } = layer;
  card.large = element("canvas", {
    class: "large",
    tabindex: "0",
    role: "application",
    "aria-label": `A map of ${layer.name}. Enter chooses a unit, arrow keys move it, Page Up and Page Down go to other layers.`,
  });
  startMoving(card.large, layer);
  card.bar = makeColourBar();
  card.range = element("p", { class: "dim range" });
  card.facts = element("div", { class: "facts" });
  [card.lit, card.send] = ["lit-text", "send-text"].map((name) => element("p", { class: name }));
  card.order = element("p", { class: "order dim" });
  card.whole = wholeButton("maps", layer);
  card.rest = element("div", { class: "rest" }, card.facts, card.order, card.whole);
  card.caption = element("figcaption", {}, card.bar, card.range);
  card.filter = makeMapFilter(layer);
  card.body.append(element("figure", { class: "map-figure" }, card.large, card.caption, card.filter), card.rest);
  sizeCanvas(card.large, layer, largeSize(layer));
  paintWhenSeen(card.large, () => drawLarge(layer));
}

/** Put another strip into a card; a layer of one map has none. */
function renewStrip(layer) {
  layer.card.strip?.remove();
  layer.card.strip = layer.pictures.length > 1 ? makeStrip(layer) : null;
  if (layer.card.strip) layer.card.whole.before(layer.card.strip);
}

/** Whether it has the unit: while a question is asked no layer has. */
function isUnitLayer(layer) {
  return layer.name === state.unit.layer && !isAsking();
}

/** Which cells of the large map the unit is made from, in words. */
function litText(layer) {
  const box = view.boxes.get(layer.name);
  if (!box || isUnitLayer(layer)) return "";
  if (!litBox(layer, state.maps[layer.name])) return "the unit does not depend on this map";
  return `in the receptive field: ${box[2] > box[0] ? boxText(box) : "only padding"}`;
}

/** The cells to outline in a map: none in one that the unit is not made from. */
function litBox(layer, index) {
  const [box, span] = [view.boxes.get(layer.name), view.channels.get(layer.name)];
  return box && span && isInSpan(layer, index, span) ? box : null;
}

/** The cell of a map that is on the trail. */
function trailCell(layer, index) {
  const place = view.trail.find(({ unit }) => unit.layer === layer.name);
  return place && pictureIndex(layer, place.unit.channel) === index ? place.unit.at : null;
}

/** How large the large map is: larger where it is the only one. */
function largeSize(layer) {
  return layer.pictures.length > 1 ? LARGE : LARGEST;
}

/** The pixels of a cell and of a whole map that is drawn about so large. */
function mapSize(layer, size) {
  const [height, width] = [layer.rows, layer.cols].map(([first, last]) => last - first);
  let cell = Math.min(size / Math.max(height, width), 40);
  if (cell >= 3) cell = Math.floor(cell);
  return { cell, height: height * cell, width: width * cell };
}

/** Keep the room of a canvas that is not drawn yet. */
function sizeCanvas(canvas, layer, size) {
  const { height, width } = mapSize(layer, size);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
}

function drawLarge(layer) {
  drawLayerMap(layer.card.large, layer, state.maps[layer.name], largeSize(layer));
}

function drawMini(layer) {
  drawLayerMap(layer.card.mini, layer, state.maps[layer.name], MINI);
}

/** By canvas all that its map was drawn from last. */
const mapKeys = new WeakMap();

/** Draw a map, the box of cells that the unit depends on, those that send gradient, and the cell on the trail. */
function drawLayerMap(canvas, layer, index, size) {
  if (layer.problem) return;
  const picture = pictureOf(layer, index);
  const { cell } = mapSize(layer, size);
  const { colours } = view;
  const [lit, onTrail] = [litBox(layer, index), cellInMap(layer, index) ?? trailCell(layer, index)];
  const box = lit && lit[2] > lit[0] && !isUnitLayer(layer) ? lit : null;
  const sending = view.senders.cells.get(layer.name)?.[index];
  const key = [picture, cell, colours, window.devicePixelRatio, String(box), sending, String(onTrail)];
  if (mapKeys.get(canvas)?.every((value, place) => value === key[place])) return;
  mapKeys.set(canvas, key);
  const context = prepareCanvas(canvas, picture.width * cell, picture.height * cell);
  drawCells(context, picture, cell);
  const width = size >= LARGE ? 2.5 : 1.5;
  const outline = (edges, colour) => {
    const inMap = edges.map((edge, side) => edge - (side % 2 ? layer.cols[0] : layer.rows[0]));
    outlineCells(context, inMap, cell, colour, colours.halo, width);
  };
  if (box) outline(box, colours.path);
  if (sending?.size) outlineGroup(context, [...sending.values()], cell, colours.pad, colours.halo, width);
  if (onTrail) outline([...onTrail, onTrail[0] + 1, onTrail[1] + 1], colours.window);
}

/** A map, or its gradients, as a picture of one pixel a cell, drawn once. */
function pictureOf(layer, index, ofGradients = showsGradients()) {
  const key = ofGradients ? `gradients ${index}` : index;
  if (!layer.drawn.has(key)) {
    const picture = layer.pictures[index];
    const width = layer.cols[1] - layer.cols[0];
    const planes = ofGradients ? [gradientPlane(layer, index)] : picture.channels.map((channel) => layer.planes[channel]);
    const height = layer.rows[1] - layer.rows[0];
    const look = [drawnRange, drawnTable].map((of) => of(layer, index, ofGradients));
    layer.drawn.set(key, valuePicture(height, width, planes, ...look));
  }
  return layer.drawn.get(key);
}

/** What a layer is, and of which layers. */
function aboutParts(layer) {
  if (layer.name === "input") return ["the image"];
  const names = layer.inputs.flatMap((name, index) => [index ? " and " : " of ", nameElement(name)]);
  return [layer.label, ...names];
}

/** The formulas of a layer's size, and how many pixels each unit sees. */
function factElements(layer) {
  const texts = [];
  if (layer.formula) {
    const [rows, cols] = layer.formula.map((formula) => formula.replaceAll("*", "×").replaceAll("//", " // "));
    texts.push(...(rows === cols ? [`rows and columns: ${rows}`] : [`rows: ${rows}`, `columns: ${cols}`]));
    const rounding = roundingText(rows + cols);
    if (rounding) texts.push(rounding);
  }
  if (layer.field) texts.push(fieldText(layer.field));
  return texts.map((text) => element("p", { class: "dim", text }));
}

/** The size of a unit's receptive field; with padding it may be larger than the input. */
function fieldText(field) {
  const [height, width] = byName.get("input").shape;
  const text = `each unit sees ${field.join(" × ")} pixels`;
  if (field[0] <= height && field[1] <= width) return `${text} of the input`;
  const beyond = field[0] >= height && field[1] >= width ? "the whole input and padding" : "padding too";
  return `${text}: ${beyond}`;
}
