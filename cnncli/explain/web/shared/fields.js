"use strict";
// Fields of a page: numbers, lists and boxes, which show the state and change it.

/** Functions that show the state in a control, in the order in which the controls were made. */
const updates = [];

/** Set a control's value, unless the user is typing into it. */
function setValue(control, value) {
  if (document.activeElement !== control || control.type === "range") control.value = value;
}

/** A row of the settings: a label over its controls. */
function field(label, ...controls) {
  const group = element("fieldset", {}, element("legend", { text: label }), ...controls);
  byId("settings").append(group);
  return group;
}

/** Show an element only where it changes something. */
function showWhere(node, isOfUse) {
  updates.push(() => {
    if (edited.isShown()) node.hidden = !isOfUse();
  });
  return node;
}

function selectInput(name, label, values, read, change) {
  const select = element("select", { id: name, "aria-label": label });
  select.append(
    ...values.map((option) => {
      const [value, text] = Array.isArray(option) ? option : [option, option];
      return element("option", { value, text });
    }),
  );
  select.addEventListener("change", () => change(select.value));
  updates.push(() => setValue(select, read()));
  return select;
}

/** A field for a whole number. */
function wholeInput(name, label, limits, read, change) {
  const input = element("input", { type: "number", id: name, "aria-label": label, step: 1, ...limits });
  const typed = () => {
    const value = input.valueAsNumber;
    return Number.isInteger(value) && value >= limits.min && value <= limits.max ? value : NaN;
  };
  startTyping(input, read, change, typed, () => `${label} must be a whole number from ${limits.min} to ${limits.max}.`);
  input.addEventListener("blur", () => {
    input.value = read();
  });
  updates.push(() => setValue(input, read()));
  return input;
}

/**
 * Change a number while it is typed, `typed` being what stands in the field, NaN for what cannot be. Such text
 * is marked, `rule()` says what must hold, and who leaves it gets the number of before, not the first digits of it.
 */
function startTyping(input, read, change, typed, rule) {
  let [before, said] = [null, null];
  const say = (isWrong) => {
    if (isWrong && said) return;
    said?.remove();
    said = isWrong ? element("p", { class: "problem rule", role: "alert", text: rule() }) : null;
    const group = input.closest("fieldset");
    if (isWrong && group) group.append(said);
    else if (isWrong) (input.closest("table, label") ?? input).after(said);
  };
  input.addEventListener("focus", () => {
    before = read();
  });
  input.addEventListener("input", () => {
    const value = typed();
    input.setAttribute("aria-invalid", String(Number.isNaN(value)));
    say(Number.isNaN(value));
    if (!Number.isNaN(value)) change(value);
  });
  input.addEventListener("blur", () => {
    if (input.getAttribute("aria-invalid") === "true" && before !== null) change(before);
    input.removeAttribute("aria-invalid");
    // Nothing moves from under a pointer that is pressed: its click would be lost.
    if (!said || !isPressed) {
      say(false);
      return;
    }
    const hide = () => setTimeout(() => say(input.getAttribute("aria-invalid") === "true"));
    window.addEventListener("pointerup", hide, { once: true });
    window.addEventListener("pointercancel", hide, { once: true });
  });
}

// A wheel over the field that is typed in scrolls the page; else it would change the number.
window.addEventListener("wheel", ({ target }) => target === document.activeElement && target.blur(), { passive: true });

/** Whether a pointer is pressed. */
let isPressed = false;
for (const type of ["pointerdown", "pointerup", "pointercancel"]) {
  window.addEventListener(type, () => (isPressed = type === "pointerdown"), true);
}

/**
 * A field for any number, also for a fraction such as 1/9. What is no number changes nothing and is
 * marked. While it is changed it shows all digits, else what `brief` makes of it. `limits()` are { least, most }.
 */
function valueInput(label, read, change, { id, limits = () => ({}), brief = shortest } = {}) {
  const input = element("input", { type: "text", id, "aria-label": label, autocomplete: "off", spellcheck: "false" });
  const typed = () => {
    const value = parseNumber(input.value);
    const { least = -Infinity, most = Infinity } = limits();
    return value >= least && value <= most ? value : NaN;
  };
  const rule = () => {
    const { least, most } = limits();
    const ends = most !== undefined ? ` from ${least} to ${most}` : least !== undefined ? ` of at least ${least}` : "";
    return `${label || "This"} must be a number${ends}, such as 0.5 or 1/9.`;
  };
  startTyping(input, read, change, typed, rule);
  input.addEventListener("focus", () => {
    input.value = shortest(read());
    input.select();
  });
  input.addEventListener("blur", () => {
    input.value = brief(read());
  });
  return input;
}

/** A field for any number of the settings, at least `least`. */
function valueField(id, label, read, change, least) {
  const input = valueInput(label, read, change, { id, limits: () => ({ least }) });
  updates.push(() => setValue(input, shortest(read())));
  return input;
}

function checkbox(name, label, read, change) {
  const input = element("input", { type: "checkbox", id: name });
  input.addEventListener("change", () => change(input.checked));
  updates.push(() => {
    input.checked = read();
  });
  return element("label", { class: "inline" }, input, ` ${label}`);
}
