"use strict";
// The playground: a network's page whose layers the user stacks. This script holds the stack, the picture and
// the text that stands for both in the page's address; playground/panel.js has the controls.

/** Browsers refuse to change the address more often than some hundred times in half a minute. */
const ADDRESS_DELAY = 250;

/** The text of the stack that the page began with, where its address named one. */
let firstText = "";
let addressTimer = 0;

/** Begin with the first convolution chosen, whose filter can be drawn. */
async function startPlayground() {
  const told = readAddress();
  if (told.stack) firstText = addressText();
  await startLive();
  startStackPanel();
  tellStack(told.problem ?? "");
  const first = layers.find(({ name, problem }) => live.specs.get(name)?.settings.op === "conv" && !problem) ?? layers[layers.length - 1];
  await apply({ unit: strongestUnit(first), open: allOpen() });
  window.addEventListener("hashchange", showAddress);
}

/** What stands in the page's address behind its mark. */
function addressText() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return location.hash.slice(1);
  }
}

/** The stack { stack, picture } of the page's address, of an empty one the page's own; or { problem } that says what is wrong with it. */
function readAddress() {
  try {
    return readStack(addressText() || pageData.stack, pageData.filters);
  } catch (error) {
    if (!(error instanceof StackError)) throw error;
    return { problem: `The address of this page names no stack of layers: ${error.message}.` };
  }
}

/** Show the stack of the address, which the user has changed; not while a question is open. */
function showAddress() {
  if (isAsking() || addressText() === stateText()) return;
  const { stack, picture, problem } = readAddress();
  tellStack(problem ?? "");
  if (!problem) showStack(stack, { input: samplePicture(picture) });
}

/** What the page began with, as if read anew. */
function firstStack() {
  return readStack(firstText || pageData.stack, pageData.filters);
}

function firstPicture() {
  return samplePicture(firstStack().picture);
}

/** The sample picture in "color" or, by luminance as --gray makes it, in "gray". */
function samplePicture(picture) {
  const input = readInput(pageData.input, pageData.single);
  if (picture === "color") return { ...input, sample: picture };
  const levels = readPixels(pageData.input);
  const rgba = new Uint8Array((4 * levels.length) / 3);
  for (let index = 0; index < levels.length; index += 1) rgba[4 * Math.floor(index / 3) + (index % 3)] = levels[index];
  const planes = picturePlanes({ rgba, size: input.size }, input.size, { channels: 1 });
  return { ...input, channels: 1, planes, pictures: [{ name: "", channels: [0] }], sample: picture };
}

/** The sample picture that is shown, as it came; null of one of the user's, or with other pixels. */
function shownSample() {
  const { sample, own, changed } = state.input;
  return own || changed ? null : sample;
}

/** The settings of all layers: of the stack that was asked for last, though it may not be shown yet. */
function newestStack() {
  const specs = isStackAsked() ? live.askedStack : [...live.specs.values()];
  return specs.map(({ settings }) => settings);
}

/** The text of what is shown; of a picture of the user's only whether it has colours. */
function stateText() {
  return stackText(newestStack(), state.input.channels === 3 ? "color" : "gray", pageData.filters);
}

/**
 * Show other layers, and of the one with number `chosen` its strongest unit: by default of the last. Resolves with
 * whether they are what is shown, and no newer ones.
 */
async function showStack(stack, { input, chosen = stack.length - 1 } = {}) {
  // Several quick clicks may ask for more than a list that is drawn offers.
  if (!stack.length || stack.length > MOST_LAYERS) return false;
  const specs = stackSpecs(stack);
  await apply({ specs, input });
  if (live.askedStack !== specs) return false;
  await apply({ unit: strongestUnit(layers[1 + chosen]), open: allOpen() });
  return live.askedStack === specs;
}

function allOpen() {
  return Object.fromEntries(layers.map(({ name }) => [name, true]));
}

/** Show the state in the panel, and a little later in the address. */
function drawPlayground() {
  drawStackPanel();
  clearTimeout(addressTimer);
  addressTimer = setTimeout(writeAddress, ADDRESS_DELAY);
}

/** Let the page's address name what is shown; the page stays where it is. */
function writeAddress() {
  clearTimeout(addressTimer);
  const text = stateText();
  if (addressText() === text) return;
  try {
    history.replaceState(null, "", `#${text}`);
  } catch {
    // Not allowed to a page that is part of another's text.
    location.hash = text;
  }
}
