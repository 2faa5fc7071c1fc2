"use strict";
// Numbers as texts in fields: what was typed, and what stands there. Nothing here touches the page.

const DECIMAL = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i;

/** The number that a text says: 0.5, −3, 1e-3, or a fraction such as 1/9; NaN for any other text. */
function parseNumber(text) {
  const parts = text.replaceAll("−", "-").split("/").map((part) => part.trim());
  if (parts.length > 2 || !parts.every((part) => DECIMAL.test(part))) return NaN;
  const value = parts.length === 2 ? Number(parts[0]) / Number(parts[1]) : Number(parts[0]);
  return Number.isFinite(value) ? value : NaN;
}

/** A number with seven digits: 0.1, not the float32 nearest to it. */
function shortest(value) {
  return Number(value.toPrecision(7));
}

/** A number in five characters and a sign: as many digits as a cell of the filter has room for. */
function fittingText(value) {
  for (let digits = 5; digits > 0; digits -= 1) {
    const text = String(Number(value.toPrecision(digits)));
    if (text.replace("-", "").length <= 5) return text;
  }
  return value.toExponential(0);
}
