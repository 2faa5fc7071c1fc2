"use strict";
// Drawing for both pages: values to colours, cells to canvases, elements, the theme.

/** The level 0..255 of a value. */
function levelOf(value, range) {
  if (range.lo === range.hi) return range.kind === "symmetric" ? 128 : 0;
  const drawn = range.kind === "abs" ? Math.abs(value) : value;
  // A range about 0 puts 0 at 127.5, which rounds to 128 here and, half to even, in cnncli.
  const level = ((drawn - range.lo) / (range.hi - range.lo)) * 255;
  return Number.isNaN(level) ? 0 : Math.round(Math.min(Math.max(level, 0), 255));
}

/** The colour of a level: of a table of 256 colours, or grey without one. */
function colourOf(level, table) {
  return table ? [...table.subarray(3 * level, 3 * level + 3)] : [level, level, level];
}

/** The colour of cells that are NaN or infinite; no table of colours has it. */
const NOT_FINITE = [255, 0, 255];

/** The colour of a cell: of one value, by a table or grey, or of red, green and blue. */
function cellColour(values, range, table) {
  if (!values.every(Number.isFinite)) return NOT_FINITE;
  const levels = values.map((value) => levelOf(value, range));
  return levels.length === 3 ? levels : colourOf(levels[0], table);
}

/** Says what a map of one value is, which may be rounding: its largest magnitude is `most`. */
function constantText({ lo }, most) {
  return lo === 0 && most > 0 ? `zero but for rounding, at most ${most.toExponential(1)}` : `${numberText(lo)} everywhere`;
}

/** How many values of some planes are NaN or infinite. */
function countNotFinite(planes) {
  return planes.reduce((count, plane) => count + plane.filter((value) => !Number.isFinite(value)).length, 0);
}

/** Says how many values are NaN or infinite; "" for none. */
function notFiniteText(count) {
  if (!count) return "";
  return `${count} ${count === 1 ? "value is" : "values are"} NaN or infinite, drawn in magenta`;
}

/** How bright a colour is, 0 to 1: the relative luminance of the guidelines for accessible pages. */
function luminance(colour) {
  const [red, green, blue] = colour.map((level) => {
    const share = level / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Give an element a background, and the text colour with more contrast: at least 4.58 to 1. */
function setBackground(node, colour) {
  const ground = `rgb(${colour.join(", ")})`;
  if (node.style.backgroundColor === ground) return;
  node.style.backgroundColor = ground;
  // Black has the contrast (luminance + 0.05) / 0.05, white 1.05 / (luminance + 0.05).
  node.style.color = (luminance(colour) + 0.05) ** 2 > 0.05 * 1.05 ? "#000" : "#fff";
}

/** An element with attributes and children. Text stays text; a function listens to the event whose name it has. */
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** The colours of the theme that is shown; null where they are still to be read, which has all styles computed. */
let coloursRead = null;

/** The theme's colours that canvases need. */
function themeColours() {
  if (coloursRead) return coloursRead;
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  coloursRead = {
    window: read("--window"),
    halo: read("--halo"),
    pad: read("--pad"),
    paper: read("--paper"),
    line: read("--line"),
    path: read("--path"),
  };
  return coloursRead;
}

/**
 * Give a canvas a size in CSS pixels, of at least one, and the resolution of the screen; returns its context. What a
 * flat picture has no height for is drawn all the same.
 */
function prepareCanvas(canvas, ...size) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = size.map((side) => Math.max(1, side));
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** By canvas what it showed below all that moves, as { key, picture }. */
const backgrounds = new WeakMap();

/**
 * Prepare a canvas, and draw on it what stays while the window moves: what `paint(context)` draws or, where the
 * values of `key` are those of before, a copy of that. Returns its context.
 */
function drawBackground(canvas, width, height, key, paint) {
  const context = prepareCanvas(canvas, width, height);
  const size = [canvas.width, canvas.height];
  const all = [...size, ...key];
  const before = backgrounds.get(canvas);
  context.save();
  if (before && all.every((value, index) => value === before.key[index])) {
    context.resetTransform();
    context.drawImage(before.picture, 0, 0);
  } else {
    paint(context);
    const picture = document.createElement("canvas");
    [picture.width, picture.height] = size;
    picture.getContext("2d").drawImage(canvas, 0, 0);
    backgrounds.set(canvas, { key: all, picture });
  }
  context.restore();
  return context;
}

/** A picture of one pixel a cell: `paint(row, col)` returns [red, green, blue], or null for none. */
function cellPicture(height, width, paint, canvas = document.createElement("canvas")) {
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let row = 0; row < height; row += 1) {
    for (let col = 0; col < width; col += 1) {
      const colour = paint(row, col);
      if (!colour) continue;
      image.data.set(colour, 4 * (row * width + col));
      image.data[4 * (row * width + col) + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * A picture of one pixel a cell from arrays of values, row by row: of one array by a table of colours or
 * grey, of three in colour. Cells for which `isBlank(cell)` holds are left out.
 */
function valuePicture(height, width, planes, range, table, isBlank = () => false) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const { data } = image;
  const [red, green, blue] = planes.length === 3 ? planes : Array(3).fill(planes[0]);
  const colours = planes.length === 1 ? table : null;
  for (let cell = 0; cell < height * width; cell += 1) {
    if (isBlank(cell)) continue;
    const at = 4 * cell;
    data[at + 3] = 255;
    if (!(Number.isFinite(red[cell]) && Number.isFinite(green[cell]) && Number.isFinite(blue[cell]))) {
      data.set(NOT_FINITE, at);
    } else if (colours) {
      const first = 3 * levelOf(red[cell], range);
      for (let k = 0; k < 3; k += 1) data[at + k] = colours[first + k];
    } else {
      data[at] = levelOf(red[cell], range);
      data[at + 1] = levelOf(green[cell], range);
      data[at + 2] = levelOf(blue[cell], range);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Draw a picture of cells so that it fills a box; small cells of a large picture are averaged. */
function drawCells(context, picture, cell) {
  context.imageSmoothingEnabled = cell < 1;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, picture.width * cell, picture.height * cell);
}

/** Outline a box of cells, visible on light and dark. */
function outlineCells(context, box, cell, colour, halo, width = 2) {
  const [top, left, bottom, right] = box.map((edge) => edge * cell);
  // A small box is enlarged, so that its outline does not cover it.
  const grow = Math.max(0, (7 - Math.min(bottom - top, right - left)) / 2);
  const frame = [left - grow, top - grow, right - left + 2 * grow, bottom - top + 2 * grow];
  context.lineJoin = "round";
  context.strokeStyle = halo;
  context.lineWidth = width + 2;
  context.strokeRect(...frame);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.strokeRect(...frame);
}

/** Outline cells [row, column] together: a line wherever one of them ends and none of them begins. */
function outlineGroup(context, cells, cell, colour, halo, width = 2) {
  let [top, left, bottom, right] = [Infinity, Infinity, 0, 0];
  for (const [row, col] of cells) {
    [top, left] = [Math.min(top, row), Math.min(left, col)];
    [bottom, right] = [Math.max(bottom, row + 1), Math.max(right, col + 1)];
  }
  const isWhole = cells.length === (bottom - top) * (right - left);
  if (isWhole || cell < 3) {
    outlineCells(context, [top, left, bottom, right], cell, colour, halo, width);
    return;
  }
  const known = new Set(cells.map(String));
  const isIn = (row, col) => known.has(String([row, col]));
  context.beginPath();
  const line = (...places) => {
    const [y0, x0, y1, x1] = places.map((place) => place * cell);
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
  };
  for (const [row, col] of cells) {
    if (!isIn(row - 1, col)) line(row, col, row, col + 1);
    if (!isIn(row + 1, col)) line(row + 1, col, row + 1, col + 1);
    if (!isIn(row, col - 1)) line(row, col, row + 1, col);
    if (!isIn(row, col + 1)) line(row, col + 1, row + 1, col + 1);
  }
  context.lineCap = "square";
  for (const [stroke, thickness] of [[halo, width + 2], [colour, width]]) {
    context.strokeStyle = stroke;
    context.lineWidth = thickness;
    context.stroke();
  }
}

/** Hatch a box of cells, which marks padding. */
function hatchCells(context, box, cell, colour) {
  const [top, left, bottom, right] = box.map((edge) => edge * cell);
  if (bottom <= top || right <= left) return;
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  const step = 6;
  // Lines start from multiples of the step, so that those of neighbouring boxes meet.
  const first = Math.floor((top + left) / step) * step;
  for (let sum = first; sum < bottom + right; sum += step) {
    context.moveTo(sum - top, top);
    context.lineTo(sum - bottom, bottom);
  }
  context.stroke();
  context.restore();
}

/** The theme is that of the system until the button changes it; it is not stored. */
function startTheme(redraw) {
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let dark = system.matches;
  let chosen = false;
  const show = () => {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    coloursRead = null;
    button.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", `Change to ${dark ? "light" : "dark"} colours`);
  };
  button.addEventListener("click", () => {
    [dark, chosen] = [!dark, true];
    show();
    redraw();
  });
  system.addEventListener("change", () => {
    if (chosen) return;
    dark = system.matches;
    show();
    redraw();
  });
  show();
}
