"use strict";
// The quiz on the page of a network: while a question is open, its numbers and pictures stand in the quiz
// alone, and the rest of the page is taken away, since many parts of it would tell the answer.

let heldPage = null;

/** After an answer { before, unit }: what was shown before, and the unit of the question. */
let questionShown = null;

function quizTopics() {
  return networkTopics();
}

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

/** Take the page away while a question is open, and give it back. */
function holdPage(isOpen) {
  const main = document.querySelector("main");
  if (isOpen && !heldPage) {
    clearTimeout(announceTimer);
    heldPage = [...main.childNodes];
    main.replaceChildren();
  } else if (!isOpen && heldPage) {
    main.replaceChildren(...heldPage);
    heldPage = null;
    byId("live").textContent = "";
  }
}

/** What a question is about: the numbers of a unit without their sum, or the input. */
function questionElements({ topic, unit, maps, source }) {
  if (topic === "strongest") return [pictureElement(byName.get("input"))];
  if (topic === "size" || topic === "winner") return [];
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

/** The input, as large as a layer's map. */
function pictureElement(layer) {
  const picture = pictureOf(layer, state.maps[layer.name]);
  const cell = Math.min(LARGE / Math.max(picture.width, picture.height), 40);
  const canvas = element("canvas", { role: "img", "aria-label": "The input" });
  drawCells(prepareCanvas(canvas, picture.width * cell, picture.height * cell), picture, cell);
  return canvas;
}
