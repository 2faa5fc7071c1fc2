"use strict";
// The panel of the quiz, on both pages: one question at a time, its answer, and what the answer tells.
// Of each page are `quizTopics`, what it asks; `questionElements`, what the panel shows of a question; and how
// the page hides the answer until it is given: `holdPage` and `viewOfQuestion`.

let drawnQuiz = null;

/** Whether a question is open. */
function isAsking() {
  return Boolean(state.quiz && !state.quiz.verdict);
}

/** The output that is asked for, which the page must not show; null for none. */
function hiddenUnit() {
  return isAsking() ? (state.quiz.question.unit ?? null) : null;
}

/** While a question is open the page is held: of some changes those that tell nothing of the answer. */
function allowedChanges(changes, names) {
  if (!isAsking() || "quiz" in changes) return changes;
  return Object.fromEntries(Object.entries(changes).filter(([name]) => names.includes(name)));
}

/** Begin with the first question from a seed, which makes the quiz the same each time. */
function startQuiz(seed = Math.floor(Math.random() * 2 ** 32)) {
  askQuestion({ seed, number: 0, answered: 0, right: 0 });
}

/** Ask the next question. */
function askQuestion(quiz) {
  const number = quiz.number + 1;
  const first = makeRandom(quiz.seed)();
  const random = makeRandom(quiz.seed + Math.imul(number, 0x9e3779b1));
  const topics = quizTopics();
  const question = firstQuestion(random, topics, Math.floor(first * topics.length) + number);
  changeQuiz({ ...quiz, number, question, verdict: null, given: null }, viewOfQuestion(question, false));
}

function answerQuestion(given) {
  const { quiz } = state;
  const verdict = judgeAnswer(quiz.question, given);
  const [answered, right] = [quiz.answered + 1, quiz.right + (verdict.isRight ? 1 : 0)];
  changeQuiz({ ...quiz, given, verdict, answered, right }, viewOfQuestion(quiz.question, true));
}

function endQuiz() {
  changeQuiz(null, viewOfQuestion(null, false));
}

function changeQuiz(quiz, view = {}) {
  holdPage(Boolean(quiz && !quiz.verdict));
  apply({ ...view, quiz });
  if (isAsking()) stopCamera();
  drawQuiz();
  const focus = quiz ? byId("quiz-panel").querySelector("[data-first]") : byId("quiz");
  focus.focus();
}

function drawQuiz() {
  const { quiz } = state;
  document.body.classList.toggle("asking", isAsking());
  if (quiz === drawnQuiz) return;
  drawnQuiz = quiz;
  byId("quiz").textContent = quiz ? "End the quiz" : "Quiz me";
  byId("quiz").setAttribute("aria-pressed", String(Boolean(quiz)));
  byId("quiz-panel").hidden = !quiz;
  if (!quiz) return;
  byId("quiz-score").textContent = quiz.answered ? `${quiz.right} of ${quiz.answered} right` : "";
  byId("quiz-text").textContent = quiz.question.text;
  byId("quiz-shown").replaceChildren(...(isAsking() ? questionElements(quiz.question) : []));
  byId("quiz-form").hidden = !isAsking();
  byId("quiz-form").replaceChildren(...(isAsking() ? answerControls(quiz.question) : []));
  byId("quiz-verdict").replaceChildren(...(isAsking() ? [] : verdictElements(quiz)));
}

/** What a question is answered with. */
function answerControls(question) {
  const make = { number: numberControl, choice: choiceControl, cell: cellControl }[question.control];
  const submit = element("button", { type: "submit", text: "Answer" });
  const hint = element("span", { id: "quiz-hint", class: "dim", text: question.hint });
  return question.control === "cell" ? [make(question), hint, submit] : [make(question), submit, hint];
}

function numberControl() {
  const input = element("input", { type: "text", id: "quiz-answer", "data-first": true, autocomplete: "off", spellcheck: "false", "aria-describedby": "quiz-hint" });
  return element("label", { class: "inline" }, "Your answer ", input);
}

function choiceControl({ options }) {
  const select = element("select", { id: "quiz-answer", "data-first": true, "aria-describedby": "quiz-hint" });
  select.append(...options.map((text, value) => element("option", { value, text })));
  return element("label", { class: "inline" }, "Your answer ", select);
}

/** The cells of a window as buttons; one of them is pressed. */
function cellControl({ cells }) {
  const table = element("table", { class: "grid quiz-cells", role: "group", "aria-label": "Cells of the window" });
  let line = null;
  for (const cell of cells) {
    if (cell.j === 0) {
      line = element("tr");
      table.append(line);
    }
    const label = `Row ${cell.i}, column ${cell.j} of the window: ${cell.pad ? "padding" : cell.text}`;
    const button = element("button", { type: "button", "aria-label": label, "aria-pressed": "false", "data-tap": `${cell.i},${cell.j}`, text: cell.text });
    button.addEventListener("click", () => pressCell(button));
    line.append(element("td", {}, button));
  }
  table.querySelector("button").setAttribute("data-first", "");
  startArrows(table, () => table.rows[0].cells.length);
  setTabStop(table);
  return table;
}

function pressCell(button) {
  for (const other of byId("quiz-form").querySelectorAll("td button")) other.setAttribute("aria-pressed", String(other === button));
}

/** The number that was typed, chosen or pressed; NaN for none. */
function givenAnswer() {
  const { control } = state.quiz.question;
  if (control === "cell") {
    const index = [...byId("quiz-form").querySelectorAll("td button")].findIndex((button) => button.getAttribute("aria-pressed") === "true");
    return index < 0 ? NaN : index;
  }
  const { value } = byId("quiz-answer");
  return control === "choice" ? Number(value) : parseNumber(value);
}

/** An answer in words. */
function answerText({ control, options, cells }, answer) {
  if (control === "choice") return options[answer];
  if (control === "number") return numberText(answer);
  const { i, j, pad, text } = cells[answer];
  return `row ${i}, column ${j} of the window (${pad ? "padding" : text})`;
}

/** Right or wrong, the mistakes that the answer fits, and the formula with its numbers. */
function verdictElements({ question, given, verdict }) {
  const answer = answerText(question, question.answers[0]);
  const head = verdict.isRight ? `Right: ${answer}.` : `Not so: it is ${answer}, and you answered ${answerText(question, given)}.`;
  const texts = verdict.texts.map((text, index) => element("p", { class: "mistake", text: `${index ? "Or: " : ""}${text}` }));
  const lines = question.lines.map((text) => element("li", { text }));
  const result = element("p", { class: verdict.isRight ? "right" : "wrong" }, element("b", { text: head }));
  const click = () => askQuestion(state.quiz);
  const another = element("button", { type: "button", id: "quiz-another", "data-first": true, text: "Another", click });
  return [element("div", { class: "inline" }, result, another), ...texts, element("ul", { class: "steps" }, ...lines)];
}

/** Take an answer; what is none is asked for again. */
function submitAnswer(event) {
  event.preventDefault();
  const given = givenAnswer();
  if (!Number.isNaN(given)) {
    answerQuestion(given);
    return;
  }
  const isCell = state.quiz.question.control === "cell";
  byId("quiz-hint").textContent = isCell ? "Choose a cell first." : "Type a number, such as 12, −0.5 or 1/9.";
  if (isCell) return;
  byId("quiz-answer").setAttribute("aria-invalid", "true");
  byId("quiz-answer").focus();
}

/** The panel, and the keys and buttons of the quiz. */
function startQuizPanel() {
  const head = [element("h2", { id: "quiz-title", text: "Quiz" }), element("span", { id: "quiz-score", class: "dim" })];
  byId("quiz-panel").append(
    element("div", { class: "head" }, ...head),
    element("p", { id: "quiz-text" }),
    element("form", { id: "quiz-form" }),
    element("div", { id: "quiz-shown" }),
    element("div", { id: "quiz-verdict", role: "status" }),
  );
  byId("quiz-form").addEventListener("submit", submitAnswer);
  byId("quiz").addEventListener("click", () => (state.quiz ? endQuiz() : startQuiz()));
  // The cells of the window can be pressed where the page shows them, too.
  byId("blocks").addEventListener("click", ({ target }) => {
    const button = byId("quiz-form").querySelector(`button[data-tap="${target.dataset.tap}"]`);
    if (button) pressCell(button);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.quiz) endQuiz();
  });
}
