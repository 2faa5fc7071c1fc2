"use strict";
// What the panel on learning shows: target, output and difference, the curve of the loss, the weights and
// their gradients, and in words how far it is.

const LEARNING_SIDE = 190;
const CURVE = { width: 300, height: 170, left: 48, right: 12, top: 10, bottom: 22 };
const MOMENTA = [
  [0, "0: plain gradient descent"],
  [0.5, "0.5"],
  [0.9, "0.9"],
  [0.98, "0.98"],
];

/** What `drawLearning` drew last. */
let drawnLearning = {};

function startLearningFields() {
  const target = element("select", { id: "learn-target" });
  target.addEventListener("change", () => beginLearning({ target: target.value }));
  updates.push(() => {
    if (!state.learn || shown.problem) return;
    const targets = learningTargets();
    target.replaceChildren(...targets.map(({ id, name }) => element("option", { value: id, text: name })));
    if (targets.length) target.value = chosenTarget().id;
  });
  const read = (name) => () => state.learn?.[name] ?? 0;
  const seed = wholeInput("learn-seed", "Seed", { min: 0, max: 2 ** 31 }, read("seed"), (value) => applyLearning({ seed: value }));
  const rate = valueInput("Learning rate", shownRate, (value) => applyLearning({ rate: value }), { id: "learn-rate", limits: () => ({ least: 0 }) });
  updates.push(() => setValue(rate, shownRate()));
  const suggested = element("button", { type: "button", id: "learn-suggested", class: "quiet", click: () => applyLearning({ rate: null }) });
  const momentum = selectInput("learn-momentum", "Momentum", MOMENTA, read("momentum"), (value) =>
    applyLearning({ momentum: Number(value) }),
  );
  const labels = [["target", target], ["random seed", seed], ["learning rate", rate], ["momentum", momentum]];
  const nodes = labels.map(([text, control]) => element("label", { class: "inline" }, text, control));
  nodes.splice(3, 0, suggested);
  nodes.splice(1, 0, ...targetOpener());
  byId("learn-fields").append(...nodes);
  const pictures = ["target", "output", "difference"].map((name) =>
    element("figure", {}, element("canvas", { id: `learn-${name}-map`, role: "img" }), element("figcaption", { class: "dim" })),
  );
  byId("learn-pictures").append(...pictures);
}

/** The learning rate as a text; "" while nothing learns. */
function shownRate() {
  const learner = state.learn && currentLearner();
  return learner ? shortest(learningRate(learner)) : 0;
}

function drawLearning(everything) {
  const { learn } = state;
  byId("learn").setAttribute("aria-pressed", String(Boolean(learn)));
  byId("learn-body").hidden = !learn;
  // A question hides the panel, which has no width then.
  if (!learn || isAsking()) return;
  const learner = currentLearner();
  const now = { learn, learner, pass: learner?.pass, channel: state.channel, block: state.block };
  const isSame = Object.keys(now).every((key) => now[key] === drawnLearning[key]);
  if (isSame && !everything) return;
  drawnLearning = now;
  drawLearningButtons(learner);
  byId("learn-sentence").textContent = learningSentence(learner);
  byId("learn-rate-note").textContent = learner ? rateText(learner) : "";
  byId("learn-problem").textContent = learner ? endText(learner) : "";
  byId("learn-problem").classList.toggle("problem", learner?.end !== "reached");
  for (const part of document.querySelectorAll(".learning")) part.hidden = !learner;
  byId("learn-answer").textContent = learner ? countingWeightText(learner) : "";
  if (!learner) return;
  drawLearningPictures(learner);
  drawCurve(learner);
  drawLearningWeights(learner);
}

function drawLearningButtons(learner) {
  const { running } = state.learn;
  const run = byId("learn-run");
  run.setAttribute("aria-pressed", String(running));
  run.textContent = reduced.matches ? `${STEPS_AT_ONCE} steps` : running ? "❚❚ Pause" : "▶ Run";
  for (const name of ["learn-start", "learn-step", "learn-run"]) byId(name).disabled = !learner;
  const suggested = byId("learn-suggested");
  suggested.hidden = !learner || state.learn.rate === null;
  byId("learn-status").textContent = "";
  if (!learner) return;
  suggested.textContent = `suggested: ${numberText(suggestion(learner))}`;
  // A running number would be read out again and again.
  byId("learn-status").setAttribute("aria-live", running ? "off" : "polite");
  const { losses, loss, count } = learner;
  const since = count ? ` (${numberText(losses[0])} at the start)` : "";
  byId("learn-status").textContent = `Step ${count}, loss ${numberText(loss)}${since}`;
}

/** What the loss is, and of which outputs. */
function learningSentence(learner) {
  if (!learner) {
    const target = chosenTarget();
    return target ? targetProblem(target) : "No built-in filter has a kernel of this size: give it 3 × 3 weights.";
  }
  const { rows, cols } = learner.task;
  const isPart = rows.length < shown.outRows.length || cols.length < shown.outCols.length;
  const { count } = learner.pass;
  const counted = `${count.toLocaleString("en")} ${count === 1 ? "output" : "outputs"}`;
  const part = isPart
    ? `, those in rows ${rows[0]} to ${rows[rows.length - 1]}, columns ${cols[0]} to ${cols[cols.length - 1]}: with all a step would take too long`
    : "";
  const began = state.learn.anew
    ? "The filter made the target already, so it began anew with random weights; Reset brings the page's first ones back. "
    : "";
  return `${began}The loss is the mean of (output − target)² of ${counted}${part}. Each step moves every weight against its gradient.`;
}

/** Which weight of the kernel that is shown counts most, and which way it should go; "" where all gradients are 0. */
function countingWeightText({ pass }) {
  const gradients = shownKernelOf(pass.parameters.weights);
  const found = gradients.flatMap((line, i) => line.map((gradient, j) => ({ i, j, gradient })));
  const [{ i, j, gradient }] = sortedBySize(found, (one) => one.gradient);
  if (!gradient || !Number.isFinite(gradient)) return "";
  const [way, does] = gradient > 0 ? ["fall", "falls"] : ["grow", "grows"];
  return `Of the weights shown, that at row ${i}, column ${j}${depthText()} counts most and should ${way}: its gradient is ${numberText(gradient)}, so the loss falls when it ${does}.`;
}

/** Where the suggested learning rate comes from. */
function rateText({ curvature, layer }) {
  const { momentum } = state.learn;
  const bound = 2 * suggestedRate(layer, curvature, momentum);
  const grows = layer.activation === "none" ? "the loss grows" : "the loss may grow";
  const sum = momentum ? `2 × (1 + ${momentum})` : "2";
  const slope = steepestSlope(layer) === 1 ? "" : ` / ${numberText(steepestSlope(layer))}² (the steepest slope of ${layer.activation})`;
  const moves = momentum ? ` With momentum each step goes on by ${momentum} of the step before.` : "";
  return (
    `Learning rate: above ${sum} / ${numberText(curvature, 3)}${slope} = ${numberText(bound, 3)} ${grows}; half of it is suggested. ` +
    `${numberText(curvature, 3)} is the largest curvature of the loss, computed from the picture.${moves}`
  );
}

/** Why no further step is of use, in words. */
function endText(learner) {
  const rate = numberText(suggestion(learner));
  const texts = {
    "": "",
    diverged: `The loss grows without end. Take a smaller learning rate, such as ${rate}, and start again.`,
    reached: learner.count ? "The output is the target." : "These weights make the target already. Start from random weights.",
    flat: `All gradients are 0, but the loss is not: ${state.layer.activation} lets none through here. Start from another seed, or choose another activation.`,
  };
  return texts[learner.end];
}

/** Target, output and difference of the outputs that learn, with about one cell for each pixel. */
function drawLearningPictures(learner) {
  const { channels, rows, cols, targets } = learner.task;
  const width = byId("learn-target-map").parentElement.clientWidth;
  const every = Math.max(1, Math.floor(Math.max(rows.length / LEARNING_SIDE, cols.length / width)));
  const [someRows, someCols] = [rows, cols].map((list) => list.filter((_, index) => index % every === 0));
  if (learning.every !== every) {
    Object.assign(learning, { every, some: targets.map((target) => thinned(target, cols.length, every)) });
  }
  const { some } = learning;
  const outputs = channels.map((channel) => learner.pass.arithmetic.values(channel, someRows, someCols));
  const chosen = Math.min(state.channel, channels.length - 1);
  const difference = outputs[chosen].map((value, cell) => value - some[chosen][cell]);
  learning.range ??= chooseRange(targets, "auto", state.input.clips);
  const { lo, hi } = learning.range;
  const most = Math.max(Math.abs(lo), Math.abs(hi)) || 1;
  const about = { kind: "symmetric", lo: -most, hi: most };
  const of = channels.length > 1 ? ` of the ${COLOURS[chosen]} channel` : "";
  const by = { first: "by the page's first filter", picture: state.learn.picture?.name };
  const name = by[learning.target.id] ?? `by ${learning.target.name}`;
  const [low, high, size] = [lo, hi, most].map((value) => numberText(value, 3));
  const exact = Math.min(width / someCols.length, LEARNING_SIDE / someRows.length, 24);
  const cell = exact >= 3 ? Math.floor(exact) : exact;
  const show = (id, planes, range, table, text) => {
    const canvas = byId(`learn-${id}-map`);
    const picture = valuePicture(someRows.length, someCols.length, planes, range, table);
    drawCells(prepareCanvas(canvas, someCols.length * cell, someRows.length * cell), picture, cell);
    canvas.setAttribute("aria-label", text);
    canvas.nextElementSibling.textContent = text;
  };
  show("target", some, learning.range, null, `Target, ${name}: ${low} is black, ${high} white`);
  show("output", outputs, learning.range, null, "Output, in the same colours");
  show("difference", [difference], about, tables.diverging, `Output − target${of}: −${size} is blue, 0 white, ${size} red`);
}

/** The values at every so many rows and columns. */
function thinned(values, width, every) {
  return every === 1 ? values : values.filter((_, at) => Math.floor(at / width) % every === 0 && (at % width) % every === 0);
}

/** The powers of ten between which losses lie; what is 0 counts as the smallest of the others. */
function decades(losses) {
  const positive = losses.filter((loss) => loss > 0 && loss < Infinity);
  if (!positive.length) return [-1, 0];
  const [lo, hi] = [Math.min, Math.max].map((better) => Math.log10(positive.reduce((best, loss) => better(best, loss))));
  return [Math.floor(lo), Math.max(Math.ceil(hi), Math.floor(lo) + 1)];
}

/** The loss after each step, on a logarithmic scale. */
function drawCurve({ losses, steps, count }) {
  const { width, height, left, right, top, bottom } = CURVE;
  const canvas = byId("learn-curve");
  const context = prepareCanvas(canvas, width, height);
  const style = getComputedStyle(canvas);
  const [least, most] = decades(losses);
  const last = Math.max(count, 10);
  const x = (step) => left + (step / last) * (width - left - right);
  const y = (power) => top + ((most - power) / (most - least)) * (height - top - bottom);
  context.font = `11px ${style.fontFamily}`;
  [context.fillStyle, context.strokeStyle, context.lineWidth] = [style.color, themeColours().line, 1];
  [context.textAlign, context.textBaseline] = ["right", "middle"];
  const every = Math.ceil((most - least) / 5);
  for (let power = most; power >= least; power -= every) {
    context.fillText(power < -3 ? `1e${power}`.replace("-", "−") : String(Number(`1e${power}`)), left - 6, y(power));
    context.strokeRect(left, y(power), width - left - right, 0);
  }
  [context.textAlign, context.textBaseline] = ["center", "bottom"];
  context.fillText("0", left, height - 4);
  context.textAlign = "right";
  context.fillText(`step ${last}`, width - right, height - 4);
  [context.strokeStyle, context.lineWidth, context.lineJoin] = [themeColours().window, 2, "round"];
  context.beginPath();
  const stride = Math.max(1, Math.floor(losses.length / 600));
  losses.forEach((loss, index) => {
    if (index % stride && index < losses.length - 1) return;
    const power = Math.min(Math.max(Math.log10(loss), least), most);
    context.lineTo(x(steps[index]), y(Number.isNaN(power) ? most : power));
  });
  context.stroke();
  byId("learn-curve-note").textContent = "Loss (mean squared error) after each step; each line is a power of ten";
  canvas.setAttribute("aria-label", `The loss after ${count} steps: ${numberText(losses[0])} at the start, ${numberText(losses[losses.length - 1])} now`);
}

/** Weights and bias of the chosen kernel: the weights as a table or, many of them, as a picture. */
function parametersElement({ weights, bias }, title, isListed) {
  const kernel = shownKernelOf(weights);
  const shownWeights = isListed ? weightTable(kernel, title, (i, j, text) => element("span", { text })) : weightPicture(kernel, title, LEARNING_SIDE);
  return element("div", {}, shownWeights, element("p", {}, "bias (b): ", element("b", { text: numberText(bias[biasIndex()]) })));
}

/** The weights beside those of the target and their gradients, and the sum that makes the gradient of the chosen one. */
function drawLearningWeights(learner) {
  const isListed = learner.layer.kernel.every((side) => side <= LISTED_SIDE);
  const { wanted } = learning;
  byId("learn-weights").replaceChildren(
    parametersElement(learner.layer, `Weights (W)${depthText()}`, isListed),
    ...(wanted ? [parametersElement(wanted, `The target's weights${depthText()}`, isListed)] : []),
  );
  const box = byId("learn-gradients");
  if (!isListed) {
    const gradients = shownKernelOf(learner.pass.parameters.weights);
    const db = element("b", { text: numberText(learner.pass.biasGradient(edited.kernel())) });
    const figure = weightPicture(gradients, `Gradient of each weight (dW)${depthText()}`, LEARNING_SIDE);
    box.replaceChildren(element("div", {}, figure, element("p", { class: "bias-gradient" }, "bias (db): ", db)));
    return;
  }
  // Who is inside keeps the focus.
  const hasFocus = box.contains(document.activeElement);
  drawWeightGradients(learner.pass, box, (...which) => (state.learn.running ? "" : learningTermsText(learner, ...which)));
  if (hasFocus) box.querySelector("[aria-pressed=true]")?.focus({ preventScroll: true });
}

/** How the gradient of a weight is made, and what the next step does with it. */
function learningTermsText(learner, pass, map, depth, [i, j]) {
  const { momentum } = state.learn;
  const gradient = pass.weightGradient(map, depth, i, j);
  const scale = 2 / pass.count;
  const terms = largestTerms(pass, map, depth, [i, j]);
  // In the tiny gradients of single outputs the same factor stands everywhere.
  for (const term of terms.largest) term.upstream /= scale;
  const slope = learner.layer.activation === "none" ? "" : ` × slope of ${learner.layer.activation}`;
  const weight = pass.arithmetic.weight(i, j, depth, map);
  const before = learner.velocity?.weights[shownWeightIndex(i, j)] ?? 0;
  const speed = gradient + momentum * before;
  const [w, dW, rate] = [weight, gradient, learningRate(learner)].map((value) => numberText(value));
  const next = numberText(weight - learningRate(learner) * speed);
  const moves = momentum
    ? `With momentum it moves by ${dW} + ${momentum} × ${numberText(before)} = ${numberText(speed)}. Next weight: ${w} − ${rate} × ${numberText(speed)} = ${next}`
    : `Next weight: ${w} − ${rate} × ${dW} = ${next}`;
  return (
    `Weight at row ${i}, column ${j}: input × (output − target)${slope} of all outputs, added up: ${sumText(terms, gradient / scale)}. ` +
    `Times 2 / ${pass.count.toLocaleString("en")} that is its gradient, ${dW}. ${moves}`
  );
}
