"use strict";
// The network of a page that computes all values itself: its settings, and the worker that computes.

/** The network that the page computes; null where its values are in the page's data. */
let live = null;

/** Compute the page's layers; resolves when they are drawn. */
function startLive() {
  byId("sentence").textContent = "Computing all layers…";
  live = new LiveNetwork(takeLayers);
  startEditor();
  state.input = isPlayground ? firstPicture() : readInput(pageData.input, pageData.single);
  return recompute({ specs: specsAtStart(), input: state.input });
}

/** The layers that the page begins with. */
function specsAtStart() {
  if (isPlayground) return stackSpecs(firstStack().stack);
  return pageData.layers.map((spec) => ({ ...spec, settings: readLayer(spec.settings) }));
}

/**
 * Take over layers that were computed, all at first, later those that may have changed, and the gradients of a
 * unit. With `specs` they are the layers of another stack, which from now on is the one that the page shows; they
 * get new cards and another graph where they have other names. Where another unit is chosen then, what it returns
 * resolves when its gradients are drawn.
 */
function takeLayers({ layers: records, unit, gradients }, { request: { specs }, known }) {
  // A question is about values that are not there any more. Its end draws the layers and gradients of before.
  if (records.length && isAsking()) endQuiz();
  if (specs) takeSpecs(specs);
  takeGradients(unit, gradients);
  if (!records.length) {
    draw();
    return null;
  }
  const made = records.map((record) => {
    const settings = known.get(record.name)?.settings ?? null;
    return { problem: "", ...record, settings, drawn: new Map(), arithmetic: null };
  });
  if (!layers.length) {
    startLayers(made);
    return null;
  }
  if (specs && specs.map(({ name }) => name).join() !== layers.slice(1).map(({ name }) => name).join()) {
    showLayers(made[0].name === "input" ? made : [byName.get("input"), ...made]);
    return apply({ unit: byName.has(state.unit.layer) ? state.unit : strongestUnit(layers[layers.length - 1]) });
  }
  const { winner, shape } = byName.get(state.unit.layer);
  const isOtherInput = made[0]?.name === "input";
  keepBefore(made, Boolean(isOtherInput || specs));
  if (!isOtherInput) renewHeights();
  for (const layer of made) {
    Object.assign(byName.get(layer.name), layer);
    if (!layer.pictures[state.maps[layer.name]]) state.maps[layer.name] = 0;
  }
  const there = { ...state.unit, at: placeIn(byName.get(state.unit.layer).shape, state.unit.at, shape) };
  return keepInPlace(() => apply({ unit: isOtherInput ? unitAfter(there, winner) : there, block: state.block }));
}

/** Let a stack be the one that is shown and changed. */
function takeSpecs(specs) {
  live.shownStack = specs;
  live.specs = specsByName(specs);
  live.firstSpecs = specsByName(specs);
  renewEditor();
}

function specsByName(specs) {
  return new Map(specs.map((spec) => [spec.name, spec]));
}

/** The cell at the same place of a map as one of a map of another size; of a layer that cannot be computed the same cell. */
function placeIn(size, at, sizeBefore) {
  return at.map((index, axis) => (size[axis] && sizeBefore[axis] ? Math.floor(((index + 0.5) * size[axis]) / sizeBefore[axis]) : index));
}

/** Keep the values of layers before they change; where all begins anew, forget those of before. */
function keepBefore(made, isAnew) {
  if (isAnew) live.before.clear();
  else for (const { name } of made) if (!live.before.has(name)) live.before.set(name, { ...byName.get(name) });
}

/** Changes of a layer: a global pool whose window or stride is set has that window from then on. */
function withOwnWindow({ settings, inputs }, fields) {
  if (!settings.global || !(fields.kernel || fields.stride)) return fields;
  const { kernel, stride } = settingsOn(settings, byName.get(inputs[0]).shape.slice(0, 2));
  return { global: false, kernel, stride, ...fields };
}

/**
 * Change settings of layers, such as { conv1: { stride: [2, 2] } }, or the input; all later layers follow.
 * `specs` are other layers altogether: until they are computed those of before are shown, and take no changes.
 */
function recompute({ specs, changes: wanted = {}, input }) {
  if (specs) live.askedStack = specs;
  const changes = isStackAsked() ? {} : { ...wanted };
  for (const [name, wantedFields] of Object.entries(changes)) {
    const spec = live.specs.get(name);
    const fields = (changes[name] = withOwnWindow(spec, wantedFields));
    live.specs.set(name, { ...spec, settings: { ...spec.settings, ...fields } });
  }
  const unit = state.gradients && !isStackAsked() && view.trail.length ? gradientUnit(chosenUnit()) : undefined;
  return live.request({ changes, unit, ...(specs && { specs }), ...(input && { input }) });
}

/** Whether another stack is being computed than the one that is shown. */
function isStackAsked() {
  return live.askedStack !== live.shownStack;
}

/** Sends changes of a network to the worker, and hands the layers that it computed on. */
class LiveNetwork {
  /** By name the layers as they were before settings changed, since the newest input. */
  before = new Map();
  /** By name the layers of the stack that is shown: as they are now, and as it began with them. */
  specs = null;
  firstSpecs = null;
  /** The stack that is shown and the newest one that was asked for, as they were asked for. */
  shownStack = null;
  askedStack = null;
  #sent = null;
  #worker = null;
  #outputs = null;
  #waiting = null;
  #listeners = [];
  #isBusy = false;

  /**
   * `receive(answer, sent)` takes what `NetworkOutputs.answer` computed, and { request, known } that it was
   * computed from: `known` are all specs by name, of the stack of the request.
   */
  constructor(receive) {
    this.receive = receive;
    try {
      this.#worker = startWorker();
      this.#worker.addEventListener("message", ({ data }) => this.#finish(data));
      this.#worker.addEventListener("error", (event) => this.#replaceWorker(event));
    } catch {
      this.#worker = null;
    }
  }

  /**
   * Compute again with `changes` as `NetworkOutputs.compute` takes them. While the worker computes, changes
   * are gathered: the page follows the newest. Resolves when they are drawn.
   */
  request(changes) {
    this.#waiting = mergeRequests(this.#waiting, changes);
    const drawn = new Promise((resolve) => this.#listeners.push(resolve));
    if (!this.#isBusy) this.#send();
    return drawn;
  }

  #send() {
    const [request, listeners] = [this.#waiting, this.#listeners];
    [this.#waiting, this.#listeners, this.#isBusy] = [null, [], true];
    this.#sent = { request, listeners, known: request.specs ? specsByName(request.specs) : new Map(this.specs) };
    if (this.#worker) this.#worker.postMessage(request);
    else setTimeout(() => this.#computeHere());
  }

  /** Hand an answer on, null where there is none: then the page stays as it is. */
  #finish(answer) {
    const { request, listeners } = this.#sent;
    this.#isBusy = false;
    let drawn = null;
    try {
      if (answer) drawn = this.receive(answer, this.#sent);
      else if (request.specs === this.askedStack) this.askedStack = this.shownStack;
    } finally {
      for (const resolve of listeners) resolve(drawn);
      if (this.#waiting && !this.#isBusy) this.#send();
    }
  }

  /** Without a worker, which some browsers do not allow: the page waits while it computes. */
  #computeHere(request = this.#sent.request) {
    let answer = null;
    try {
      this.#outputs ??= new NetworkOutputs();
      answer = this.#outputs.answer(request);
    } catch (error) {
      byId("sentence").textContent = `The page cannot compute this: ${error.message}.`;
      throw error;
    } finally {
      this.#finish(answer);
    }
  }

  /** The worker cannot go on: the page computes from here on, the whole network first. */
  #replaceWorker(event) {
    event.preventDefault();
    this.#worker.terminate();
    this.#worker = null;
    const { request, known } = this.#sent;
    this.#computeHere({ ...request, specs: [...known.values()], changes: {}, input: state.input });
  }
}

/** Two requests as one. */
function mergeRequests(before, after) {
  if (!before) return after;
  if (after.specs) return { input: before.input, unit: before.unit, ...after };
  const changes = { ...before.changes };
  for (const [name, fields] of Object.entries(after.changes ?? {})) changes[name] = { ...changes[name], ...fields };
  return { ...before, ...after, changes };
}

/** A worker that runs those scripts of the page that need no page. */
function startWorker() {
  const scripts = [...document.querySelectorAll("script[data-worker]")].map((script) => script.textContent);
  const url = URL.createObjectURL(new Blob([...scripts, "\nanswerRequests();"], { type: "text/javascript" }));
  const policy = window.trustedTypes?.createPolicy("cnncli", { createScriptURL: () => url });
  return new Worker(policy ? policy.createScriptURL(url) : url);
}
