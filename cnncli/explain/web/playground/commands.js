"use strict";
// The stack of the playground as commands, as Python and as a network file, which give the page's numbers.
// `layers` are { name, settings, channels }, the channels of a layer's output. Nothing here touches the page.

/** Longer pipes are harder to read than a network file. */
const LONGEST_PIPE = 2;

/** Of a layer with a window the settings that differ from those of the command, by the command's names. */
function windowOptions({ op, kernel, stride, padding, dilation, ceil, countIncludePad, mode, p }) {
  const isPool = op === "pool";
  const options = {};
  if (isPool && kernel.join() !== "2,2") options.size = kernel;
  if (stride.join() !== (isPool ? kernel : [1, 1]).join()) options.stride = stride;
  if (padding !== (isPool ? "valid" : "same")) options.padding = padding;
  if (dilation.join() !== "1,1") options.dilation = dilation;
  if (ceil) options.ceil = true;
  if (countIncludePad) options.count_include_pad = true;
  if (isPool && mode === "lp" && p !== 2) options.p = p;
  return options;
}

/** The same of a convolution; `isFlat`: its filter is written as 2-D ones, which keep the border by themselves. */
function convOptions(settings, isFlat) {
  const { padMode, padValue, bias, activation } = settings;
  const options = windowOptions(settings);
  if (padMode !== (isFlat ? "edge" : "zeros")) options.pad_mode = padMode;
  if (padMode === "zeros" && padValue) options.pad_value = padValue;
  if (bias.some(Boolean)) options.bias = bias.length === 1 ? bias[0] : [...bias];
  if (activation !== "none") options.activation = activation;
  return options;
}

/** The filter of a convolution: the name of a built-in one, or the weights of its kernels row by row. */
function filterOf(settings, filters) {
  const builtin = builtinOf(settings, filters);
  const [height, width, depth = 1, maps = 1] = weightsShape(settings);
  if (builtin) return { name: builtin.name, isFlat: settings.perChannel };
  if (depth > 1) return { shape: [height, width, depth, maps], weights: settings.weights, isFlat: false };
  const kernels = Array.from({ length: maps }, (_, map) =>
    Array.from({ length: height }, (__, i) =>
      Array.from({ length: width }, (___, j) => settings.weights[(i * width + j) * maps + map]),
    ),
  );
  return { kernels, isFlat: true };
}

function matrixText(rows) {
  return rows.map((row) => row.map(decimalText).join(" ")).join("; ");
}

/** The maps of a layer that are switched off: of those that it has on this picture. */
function mapsOff({ settings: { off = [] }, channels }) {
  return off.filter((channel) => channel < channels);
}

/** A stack as calls { op, filter, options, off }: an activation behind a convolution is an option of it. */
function stackCalls(layers, filters) {
  const calls = [];
  for (const layer of layers) {
    const { settings } = layer;
    const { op } = settings;
    const off = mapsOff(layer);
    const last = calls[calls.length - 1];
    if (op === "conv") {
      const filter = filterOf(settings, filters);
      calls.push({ op, filter, options: convOptions(settings, filter.isFlat), off });
    } else if (op === "pool") {
      calls.push({ op, mode: settings.mode, options: windowOptions(settings), off });
    } else if (last?.op === "conv" && !last.options.activation && !last.off.length) {
      Object.assign(last, { options: { ...last.options, activation: settings.activation }, off });
    } else {
      // A filter of one weight 1 changes nothing.
      calls.push({ op: "conv", filter: { kernels: [[[1]]], isFlat: true }, options: { activation: settings.activation }, off });
    }
  }
  return calls;
}

/** Whether options of a command can say all of a call. */
function isCommand({ filter, options, off }) {
  return !off.length && !Array.isArray(options.bias) && !filter?.shape;
}

/** A word of a command line. */
function quoted(text) {
  return /^[-\w.,/]+$/.test(text) ? text : `'${text}'`;
}

function optionWord(value) {
  if (Array.isArray(value)) return sidesText(value);
  return typeof value === "number" ? decimalText(value) : value;
}

function commandWords({ op, filter, mode, options }) {
  const words = ["cnncli", op];
  if (filter?.name) words.push("--filter", filter.name);
  for (const rows of filter?.kernels ?? []) words.push("--filter", `'${matrixText(rows)}'`);
  if (op === "pool") words.push("--mode", mode);
  for (const [name, value] of Object.entries(options)) {
    words.push(`--${name.replaceAll("_", "-")}`);
    if (value !== true) words.push(quoted(optionWord(value)));
  }
  return words;
}

/**
 * Commands that compute a stack on a picture's file: a pipe of few, or a network file and the command that
 * runs it. `gray`: the picture is made grey first.
 */
function commandText(layers, filters, file, gray) {
  const calls = stackCalls(layers, filters);
  if (calls.length > LONGEST_PIPE || !calls.every(isCommand)) return networkCommand(layers, filters, file, gray);
  const commands = calls.map((call, index) => {
    const [name, op, ...options] = commandWords(call);
    const input = index ? ["-"] : [quoted(file), ...(gray ? ["--gray"] : [])];
    return [name, op, ...input, ...options, "-o", index < calls.length - 1 ? "-" : "result.npy"].join(" ");
  });
  return `${commands.join(" \\\n  | ")}\n`;
}

/** Commands that write a network file, with the weights that it cannot hold, and run it. */
function networkCommand(layers, filters, file, gray) {
  const saved = layers.flatMap(({ name, settings }) => {
    const { shape, weights } = settings.weights ? filterOf(settings, filters) : {};
    if (!shape) return [];
    const array = `np.array([${numbersText(weights)}]).reshape(${shape.join(", ")})`;
    return [`python -c "import numpy as np; np.save('${name}.npy', ${array})"`];
  });
  const text = `cat > net.toml <<'END'\n${networkText(layers, filters, gray)}END`;
  return `${[...saved, text, `cnncli run net.toml ${quoted(file)} -o values.npz`].join("\n")}\n`;
}

/** A stack as a network file. */
function networkText(layers, filters, gray) {
  const tables = gray ? ["[input]\ngray = true\n"] : [];
  for (const layer of layers) {
    const { name, settings, channels } = layer;
    const { op } = settings;
    const off = mapsOff(layer);
    const lines = { name, type: op };
    if (op === "conv") {
      const filter = filterOf(settings, filters);
      const texts = filter.kernels?.map(matrixText);
      lines.filter = filter.name ?? (filter.shape ? `${name}.npy` : texts.length === 1 ? texts[0] : texts);
      Object.assign(lines, convOptions(settings, filter.isFlat));
    } else if (op === "pool") Object.assign(lines, { mode: settings.mode }, windowOptions(settings));
    else lines.activation = settings.activation;
    tables.push(tableText(lines));
    // A map that is switched off is multiplied by 0.
    const factor = Array.from({ length: channels }, (_, channel) => Number(!off.includes(channel)));
    if (off.length) tables.push(tableText({ name: `${name}_off`, type: "scale", factor }));
  }
  return tables.join("\n");
}

/** One layer of a network file. */
function tableText(fields) {
  const lines = Object.entries(fields).map(([name, value]) => {
    const short = ["bias", "factor"].includes(name) ? value : shortValue(value);
    return `${name} = ${typeof value === "boolean" ? value : pythonText(short)}\n`;
  });
  return `[[layers]]\n${lines.join("")}`;
}

/** A value in Python; of a network file too, but for true and false. */
function pythonText(value) {
  if (typeof value === "string") return `"${value}"`;
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(pythonText).join(", ")}]`;
  return decimalText(value);
}

/** A pair or four sides; equal ones as one. */
function shortValue(value) {
  const isSides = Array.isArray(value) && typeof value[0] === "number";
  return isSides && value.every((side) => side === value[0]) ? value[0] : value;
}

/** An option as a keyword argument of Python. */
function keywordText([name, value]) {
  if (name === "bias") return `bias=${pythonText(value)}`;
  const short = shortValue(value);
  const text = pythonText(short);
  return `${name}=${Array.isArray(short) ? `(${text.slice(1, -1)})` : text}`;
}

/** A filter as an argument of Python. */
function filterArgument({ name, kernels, shape, weights }) {
  if (name) return pythonText(name);
  if (shape) return `np.array([${numbersText(weights)}]).reshape(${shape.join(", ")})`;
  return pythonText(kernels.length === 1 ? kernels[0] : kernels.map(matrixText));
}

/** Python that computes a stack on a picture's file, layer by layer. */
function pythonStackText(layers, filters, file, gray) {
  const lines = stackCalls(layers, filters).flatMap(({ op, filter, mode, options, off }, index) => {
    const words = [index ? "x" : pythonText(file), filter ? filterArgument(filter) : pythonText(mode)];
    words.push(...Object.entries(options).map(keywordText));
    if (gray && index === 0) words.push("gray=True");
    const call = `x = cnncli.${op}(${words.join(", ")})`;
    return off.length ? [call, `x[..., ${pythonText(off)}] = 0`] : [call];
  });
  const needsNumpy = lines.some((line) => line.includes("np."));
  return ["import cnncli", ...(needsNumpy ? ["import numpy as np"] : []), "", ...lines, "print(x.shape)", ""].join("\n");
}
