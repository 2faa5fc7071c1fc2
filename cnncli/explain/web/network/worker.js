"use strict";
// Computes all layers of a network beside the page, so that the page never stands still. This script runs in
// the worker; where a browser allows none, the page uses `NetworkOutputs` itself.

/** A network on its input: computes its layers, and after a change only those that may have changed. */
class NetworkOutputs {
  #specs = [];
  /** What the page has of each layer, the input first. */
  #layers = [];

  /**
   * Take in what has changed, compute, and return the layers from the first that was computed on.
   *
   * `specs` are all layers in order, as `describeLayer` takes them, where they are others than before;
   * `input` is another input, as `describeInput` takes it; `changes` are fields of settings by layer.
   */
  compute({ specs, input, changes = {} }) {
    if (specs) this.#specs = [...specs];
    let first = specs ? 0 : this.#specs.length;
    this.#specs.forEach((spec, index) => {
      if (!changes[spec.name]) return;
      // A label of before may be wrong now.
      const isNamed = spec.settings.kernel || spec.settings.op === "activation";
      this.#specs[index] = { ...spec, label: isNamed ? null : spec.label, settings: { ...spec.settings, ...changes[spec.name] } };
      first = Math.min(first, index);
    });
    const known = input ? [describeInput(input)] : this.#layers.slice(0, first + 1);
    const count = known.length;
    const byName = new Map(known.map((layer) => [layer.name, layer]));
    for (const spec of this.#specs.slice(count - 1)) {
      const layer = this.#computeLayer(spec, byName);
      byName.set(spec.name, layer);
      known.push(layer);
    }
    this.#layers = known;
    return known.slice(input ? 0 : count);
  }

  /**
   * Compute what a request changes, and the gradients of its `unit` where it asks for them: { layers, unit,
   * gradients }, as `compute` and `networkGradients` return them.
   */
  answer(request) {
    const layers = this.compute(request);
    const settings = [{}, ...this.#specs.map((spec) => spec.settings)];
    const gradients = request.unit ? networkGradients(this.#layers, settings, request.unit) : null;
    return { layers, unit: request.unit, gradients };
  }

  #computeLayer(spec, known) {
    const { name } = spec;
    const inputs = spec.inputs.map((one) => known.get(one));
    const missing = inputs.find((input) => input.problem);
    if (missing) return describeProblem(spec, `It is made from ${missing.name}, which cannot be computed.`);
    try {
      return describeLayer(spec, layerOutput(spec.settings, inputs.map((input) => input.output)), inputs, known);
    } catch (error) {
      if (!(error instanceof ForwardError)) throw error;
      return describeProblem(spec, `${name} cannot be computed. ${error.message}`);
    }
  }
}

/** Answer the page's requests, in the worker. */
function answerRequests() {
  const outputs = new NetworkOutputs();
  self.addEventListener("message", ({ data }) => {
    const answer = outputs.answer(data);
    // Gradients are handed over, not copied; the values of layers stay here too.
    const planes = Array.from(answer.gradients?.values() ?? [], (gradient) => gradient.planes).flat();
    self.postMessage(answer, planes.map(({ buffer }) => buffer));
  });
}
