"use strict";
// A picture of the user's as the page's input: from a file, by drop or paste, or from the camera. The
// browser decodes it, pictures/pixels.js makes numbers of it, and nothing is sent.
//
// `target` is the page: `first` and `input()`, the input that it came with and the present one, each
// { size, channels, planes, range, own }; `most`, how many pixels a picture may have, or `fixed`, the size
// that it gets, with `fit` and `bgr`, as in a network file; `change(planes, size, own)`, `paint(planes)` and
// `reset()`; and `beside`, an element that stands beside the pad. `own` is { name, note }.

/** Of a picture with more pixels the browser makes a smaller one before anything is computed. */
const MOST_DECODED = 2 ** 24;

/** Put the controls of one's own picture into a place; returns a function that shows the state. */
function startOwnPicture(place, target) {
  const { channels } = target.first;
  if (channels !== 1 && channels !== 3) {
    place.hidden = true;
    return () => {};
  }
  const controls = ownControls();
  const { file, open, camera, first, note, problem } = controls;
  const fit = fitField(target);
  /** The picture that was taken last, before it got the size of the page; where that is fixed. */
  let last = null;
  const reader = pictureReader((name, picture) => {
    problem.textContent = picture ? "" : unreadableText(name);
    if (!picture) return;
    if (target.fixed) last = { name, picture };
    usePicture(target, { name, picture });
  });
  fit.addEventListener("change", () => usePicture(target, last));
  startOpening(open, file, reader.read);
  first.addEventListener("click", () => {
    reader.drop();
    open.focus();
    target.reset();
  });
  const drawPad = startPad(target, controls);
  const promise = element("p", { class: "dim", text: "or drop or paste one. It stays on this machine: this page sends nothing." });
  const row = element("div", { class: "row" }, open, camera, controls.pen, file, promise);
  // What appears with the first stroke stands below the pad, which stays where it is.
  place.append(row, controls.view, controls.pad, element("div", { class: "row" }, first, fit, note), problem);
  startDrop(place, reader.read, problem);
  startCamera(camera, controls.view, reader.read, problem);
  let shownInput = target.first;
  return () => {
    const { own, changed } = target.input();
    // What was said of a file goes once the input is another one.
    if (target.input() !== shownInput) problem.textContent = "";
    shownInput = target.input();
    first.hidden = target.input() === target.first;
    fit.hidden = !target.fixed || !own || own.name !== last?.name;
    note.textContent = [own?.note, changed ? "Pixels were changed." : ""].filter(Boolean).join(" ");
    drawPad();
  };
}

/**
 * What decodes pictures: `read(name, source)` calls `use(name, picture)`, without a picture where the source is none.
 * One that is decoded after a newer one was asked for, or after `drop()`, is dropped.
 */
function pictureReader(use) {
  let asked = 0;
  const drop = () => {
    asked += 1;
  };
  const read = async (name, source) => {
    drop();
    const number = asked;
    const picture = await pixelsOf(source).catch(() => null);
    if (number === asked) use(name, picture);
  };
  return { read, drop };
}

/** Let a button open a file by a hidden field, for `takes(name, file)`. */
function startOpening(open, file, takes) {
  open.addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files.length) takes(file.files[0].name, file.files[0]);
    // The same file may be chosen again.
    file.value = "";
  });
}

/** Says that a file is no picture. */
function unreadableText(name) {
  return `This browser cannot read ${name} as a picture.`;
}

function ownControls() {
  const button = (id, text) => element("button", { type: "button", id, text });
  return {
    file: element("input", { type: "file", id: "own-file", accept: "image/*", "aria-label": "Picture", hidden: true }),
    open: button("own-open", "Open…"),
    camera: button("own-camera", "Camera"),
    pen: button("own-pen", "Draw"),
    first: button("own-first", "First picture"),
    view: element("div", { id: "own-view", hidden: true }),
    pad: element("div", { id: "own-pad", class: "pad-box follows", hidden: true }),
    note: element("p", { class: "dim", id: "own-note", role: "status" }),
    problem: element("p", { class: "problem", id: "own-problem", role: "alert" }),
  };
}

/** What is done to a picture of another shape than the page's input. */
const FITS = [["stretch", "stretched"], ["crop", "its middle"], ["pad", "the whole, in black"]];

function fitField(target) {
  const select = element("select", { id: "own-fit", "aria-label": "What is done to a picture of another shape" });
  select.append(...FITS.map(([value, text]) => element("option", { value, text })));
  select.value = target.fit ?? "stretch";
  select.addEventListener("change", () => {
    target.fit = select.value;
  });
  return select;
}

/** Make a picture the input of the page. */
function usePicture(target, { name, picture }) {
  const { first, fixed, fit, bgr, most } = target;
  const size = fixed ?? shrunkSize(picture.size, most);
  const planes = picturePlanes(picture, size, { fit, bgr, channels: first.channels });
  target.change(planes, size, { name, note: ownNote(name, picture, size, first.channels) });
}

/** The page's title; with a picture of the user's, its name in place of the image's. */
function titleOf(own) {
  return own ? [own.name, pageData.titleEnd].filter(Boolean).join(", ") : pageData.title;
}

function showTitle(title) {
  setText(byId("title"), title);
  const whole = `${title} – cnncli`;
  if (document.title !== whole) document.title = whole;
}

/** An input with other numbers in its pixels. */
function changedInput(input, planes) {
  return { ...input, planes, largest: Math.max(input.largest, largestMagnitude(planes)), changed: true };
}

/** What was done to a picture, in words. Its sides are named: photographs are told by their width first elsewhere. */
function ownNote(name, { full, isTransparent, isColour }, size, channels) {
  const sides = ([rows, columns]) => `${countText(rows, "row")} × ${countText(columns, "column")}`;
  const made = full.join() === size.join() ? "" : `, made ${sides(size)} here`;
  const parts = [`${sides(full)}${made}`];
  if (channels === 1 && isColour) parts.push("made grey");
  if (isTransparent) parts.push("its transparent parts are white");
  return `${name}: ${parts.join("; ")}.`;
}

/**
 * The bytes of a file or of what the camera shows, upright: { rgba, size, full }, where `full` is its size before the browser
 * made it smaller.
 */
async function pixelsOf(source) {
  const bitmap = await createImageBitmap(source, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  const full = [bitmap.height, bitmap.width];
  const size = shrunkSize(full, MOST_DECODED);
  const canvas = document.createElement("canvas");
  [canvas.height, canvas.width] = size;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, size[1], size[0]);
  bitmap.close();
  const read = () => context.getImageData(0, 0, size[1], size[0]).data;
  let rgba = read();
  const isTransparent = someCell(rgba, (first) => rgba[first + 3] < 255);
  if (isTransparent) {
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "#ffffff";
    context.fillRect(0, 0, size[1], size[0]);
    rgba = read();
  }
  const isColour = someCell(rgba, (first) => rgba[first] !== rgba[first + 1] || rgba[first] !== rgba[first + 2]);
  return { rgba, size, full, isTransparent, isColour };
}

/** Whether any cell of a picture's bytes is as a function of its first byte's index says. */
function someCell(rgba, holds) {
  for (let first = 0; first < rgba.length; first += 4) {
    if (holds(first)) return true;
  }
  return false;
}

/** A picture that is dropped anywhere on the page, or pasted. */
function startDrop(place, takes, problem) {
  const pictureOf = (files) => [...files].find((file) => file.type.startsWith("image/")) ?? files[0];
  const hasFiles = (event) => [...event.dataTransfer.types].includes("Files");
  const mark = (isOver) => place.classList.toggle("drop", isOver);
  // A text may be dropped into a field; an address elsewhere would be opened.
  const isOurs = (event) => hasFiles(event) || !event.target.closest?.("input");
  document.addEventListener("dragover", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    mark(hasFiles(event));
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener("drop", (event) => {
    if (!isOurs(event)) return;
    event.preventDefault();
    mark(false);
    const file = pictureOf(event.dataTransfer.files);
    if (file) takes(file.name, file);
    else problem.textContent = "That is no file. Save the picture first; this page loads nothing from an address.";
  });
  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    takes("pasted picture", file);
  });
}

/** Stops the camera: a quiz hides it. */
let stopCamera = () => {};

/** The camera: its picture moves in the page until one is taken. */
function startCamera(button, view, takes, problem) {
  // Browsers have it on pages of a file, of this machine and of https alone.
  button.hidden = !navigator.mediaDevices?.getUserMedia;
  const video = element("video", { autoplay: true, playsinline: true, "aria-label": "What the camera sees" });
  video.muted = true;
  const take = element("button", { type: "button", id: "own-take", text: "Take the picture" });
  let [stream, isWaiting] = [null, false];
  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.srcObject = null;
    view.hidden = true;
    button.setAttribute("aria-pressed", "false");
  };
  view.append(video, take);
  video.addEventListener("loadeddata", () => {
    view.hidden = !stream;
  });
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", async () => {
    // A second stream would never be stopped.
    if (isWaiting) return;
    if (stream) {
      stop();
      return;
    }
    isWaiting = true;
    stream = await openCamera(problem);
    isWaiting = false;
    if (!stream) return;
    video.srcObject = stream;
    button.setAttribute("aria-pressed", "true");
    // A quiz began while the browser asked for permission.
    if (isAsking()) stop();
  });
  take.addEventListener("click", async () => {
    await takes("camera picture", video);
    stop();
    button.focus();
  });
  stopCamera = stop;
}

/** What the camera sees; null where there is no picture from it, and why. */
async function openCamera(problem) {
  problem.textContent = "";
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  } catch (error) {
    problem.textContent = cameraProblem(error);
    return null;
  }
}

/** Why there is no picture from the camera. */
function cameraProblem({ name }) {
  if (name === "NotAllowedError") return "The camera was refused, by you or by the browser.";
  if (name === "NotFoundError") return "There is no camera.";
  return "The camera gives no picture; another program may have it.";
}
