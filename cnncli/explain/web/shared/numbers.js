"use strict";
// Numbers as texts: what was typed, and what stands in fields and tables. Nothing here touches the page.

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

/** The largest input value of this page: below a ten-millionth of it all is rounding. */
const magnitude = { value: 0 };

/** A number with four significant digits, as short as it can be. */
function numberText(value, digits = 4) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const rounded = Number(value.toPrecision(digits));
  if (rounded === 0) return "0";
  const size = Math.abs(rounded);
  if (size < 1e-7 * magnitude.value) return "≈ 0";
  // One digit less, for the exponent takes room.
  const short = () => Number(rounded.toPrecision(Math.max(1, digits - 1))).toExponential();
  const text = size < 1e-4 || size >= 1e6 ? short() : String(rounded);
  return text.replaceAll("-", "−");
}

/** A number of three digits in a table whose largest magnitude is `most`: with the decimals that this one has, or three. */
function numberAmong(value, most) {
  const decimals = Math.max(3, 2 - Math.floor(Math.log10(most)));
  const rounded = decimals <= 20 ? Number(value.toFixed(decimals)) : value;
  return numberText(rounded || Number(value.toPrecision(1)), 3);
}

/** A number that is added, with its sign. */
function signedText(value) {
  return `${value > 0 ? "+" : ""}${numberText(value, 3)}`;
}

/** The digits of the numbers in a table of so many columns. */
function cellDigits(columns) {
  return columns <= 5 ? 3 : 2;
}
