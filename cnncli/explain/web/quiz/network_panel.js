"use strict";
// The quiz on the page of a network: while a question is open, its numbers stand in the quiz alone. Beside it are the
// maps of the layers before; the rest of the page is taken away, since many parts of it would tell the answer.

/** While a question is open, what was taken away: { parent, nodes } each. */
let heldPage = null;

/** After an answer { before, unit }: what was shown before, and the unit of the question. */
let questionShown = null;

/**
 * The changes that show where a question is: none before it is answered; at the end of the quiz those that bring
 * back what was shown before.
 */
function viewOfQuestion(question, isAnswered) {
  if (!question) return viewBeforeQuiz();
  const { unit } = question;
  if (!unit || !isAnswered) return {};
  const changes = changesFor(unit);
  questionShown = { before: isQuestionShown() ? questionShown.before : shownView(), unit: changes.unit };
  return changes;
}

/** Whether the unit is that of an answered question, and not one that the user has chosen since. */
function isQuestionShown() {
  if (!questionShown) return false;
  const { layer, map, at } = questionShown.unit;
  return state.unit.layer === layer && state.unit.map === map && state.unit.at.join() === at.join();
}

/** The changes that bring back the unit and the maps that are shown now. */
function shownView() {
  const { unit, channel, block, against, maps, open } = state;
  return { unit, channel, block, against, maps: { ...maps }, open: { ...open } };
}

function viewBeforeQuiz() {
  const isShown = isQuestionShown();
  const { before } = questionShown ?? {};
  questionShown = null;
  // Another stack of layers may lack that one, or some of its maps.
  if (!isShown || !byName.has(before.unit.layer)) return {};
  const maps = Object.entries(before.maps).filter(([name, index]) => byName.get(name)?.pictures[index]);
  return { ...before, maps: Object.fromEntries(maps) };
}

/** Take the page away while a question is open, all but the quiz and the maps, and give it back. */
function holdPage(isOpen) {
  if (isOpen && !heldPage) {
    stopAnnouncing();
    const [side, maps] = [document.querySelector(".unit-side"), byId("layers")];
    const kept = [[document.querySelector("main"), side, maps.parentNode], [side, byId("quiz-panel")], [maps.parentNode, maps]];
    heldPage = kept.map(([parent, ...stay]) => {
      const nodes = [...parent.childNodes];
      parent.replaceChildren(...nodes.filter((node) => stay.includes(node)));
      return { parent, nodes };
    });
    forgetPictures();
    window.scrollTo(0, 0);
  } else if (!isOpen && heldPage) {
    for (const { parent, nodes } of heldPage) parent.replaceChildren(...nodes);
    heldPage = null;
    byId("live").textContent = "";
    forgetPictures();
    for (const { card } of layers) card.large?.removeAttribute("inert");
    byId("layers").replaceChildren(...layers.map(({ card }) => card.node));
  }
}

/** Gradients are not shown while a question is open. */
function forgetPictures() {
  if (state.gradients) for (const layer of layers) layer.drawn.clear();
}

/** The layers whose maps do not tell the answer: those before the unit that is asked for, but for scores. */
function layersBeforeAnswer() {
  const { unit } = state.quiz.question;
  const end = unit ? layers.findIndex(({ name }) => name === unit.layer) : layers.length;
  return layers.slice(0, end).filter((layer) => !isSingle(layer) && !layer.problem);
}

/** Whether the card of a layer is open while a question is: the input, and what the unit that is asked for reads. */
function isOpenAsked({ name }) {
  const { unit } = state.quiz.question;
  return name === "input" || Boolean(unit && byName.get(unit.layer).inputs.includes(name));
}

/** What maps beside a question show: the cells that the unit depends on, but no trail. */
function viewOfAsked() {
  const { unit } = state.quiz.question;
  const boxes = unit ? receptiveField(unit) : new Map();
  const channels = new Map(layers.map(({ name, shape }) => [name, [0, shape[2]]]));
  return { boxes, channels, trail: [], colours: themeColours(), senders: { cell: null, paths: [], cells: new Map() } };
}

/** Draw the maps beside a question, without numbers. */
function drawAskedMaps() {
  const [list, shown] = [byId("layers"), layersBeforeAnswer().map(({ card }) => card.node)];
  // Those that are there stay, and keep the focus.
  if (shown.length !== list.children.length || shown.some((node, k) => node !== list.children[k])) list.replaceChildren(...shown);
  drawCards();
  // What cards far from the window told before must go too.
  for (const layer of layers.filter(({ card }) => card.large)) {
    drawBody(layer);
    layer.card.large.setAttribute("inert", "");
  }
  paintInSight();
}

/** What a question is about: the numbers of a unit without their sum, or the input. */
function questionElements({ topic, unit, maps, source }) {
  if (["strongest", "size", "winner"].includes(topic)) return [];
  const layer = byName.get(unit.layer);
  const made = unitArithmetic(unit);
  if (!made.step) {
    return [element("p", { class: "dim", text: ruleText(layer, made) }), valueTable(made)];
  }
  const nameOf = (channel) => inputName(byName.get(layer.inputs[0]), channel);
  const subject = { ...subjectOf(unit, made), isHidden: true, nameOf };
  const isListed = ({ channel }) => !maps || maps.some((index) => byName.get(source).pictures[index].channels.includes(channel));
  const blocks = made.step.blocks.filter(isListed).map((block) => blockElement(subject, block));
  return [element("div", { class: "quiz-blocks" }, ...blocks), ...(maps ? [] : [resultElement(subject)])];
}
