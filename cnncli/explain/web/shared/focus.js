"use strict";
// Where the focus is: a group of buttons or fields is one stop of the Tab key, arrow keys move inside it,
// and it keeps the focus while what it shows is replaced. Screen readers are told what changed.

const ITEMS = "button:not([hidden]), input:not([hidden])";

/** Of a group's items one is a tab stop: the one with the focus, else the pressed or the last one used. */
function setTabStop(group) {
  const items = [...group.querySelectorAll(ITEMS)];
  const stop =
    items.find((item) => item === document.activeElement) ??
    items.find((item) => item.getAttribute("aria-pressed") === "true") ??
    items.find((item) => item.tabIndex === 0) ??
    items[0];
  for (const item of items) item.tabIndex = item === stop ? 0 : -1;
}

/** How far an arrow key moves in a group of so many columns; 0 for other keys and inside a text. */
function arrowStep(event, columns) {
  const { key, target } = event;
  if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return 0;
  if (key === "ArrowUp") return -columns;
  if (key === "ArrowDown") return columns;
  const isText = target.type === "text";
  if (key === "ArrowLeft") return isText && target.selectionStart > 0 ? 0 : -1;
  if (key === "ArrowRight") return isText && target.selectionEnd < target.value.length ? 0 : 1;
  return 0;
}

/** Let arrow keys move inside a group of buttons or fields; a button that is reached is pressed, if it `presses`. */
function startArrows(group, columns = () => 1, presses = true) {
  group.addEventListener("keydown", (event) => {
    const items = [...group.querySelectorAll(ITEMS)];
    const step = arrowStep(event, columns());
    if (!step) return;
    event.preventDefault();
    const next = items[items.indexOf(event.target) + step];
    if (!next) return;
    next.focus();
    if (presses && next.tagName === "BUTTON") next.click();
  });
  group.addEventListener("focusin", () => setTabStop(group));
}

/** Put other children into a group; the item with the focus keeps it, found again by its `data-key`. */
function replaceItems(group, children) {
  const key = group.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  group.replaceChildren(...children);
  if (key !== undefined) {
    const items = [...group.querySelectorAll("[data-key]")];
    (items.find((item) => item.dataset.key === key) ?? items[0])?.focus({ preventScroll: true });
  }
  setTabStop(group);
}

/** Show other blocks in the arithmetic; of its list of sums the chosen one is seen. `key` tells whose sums they are. */
function replaceBlocks(container, blocks, key = "") {
  renew(container, ...blocks);
  const sums = container.querySelector(".sums");
  if (!sums) return;
  setTabStop(sums);
  const chosen = sums.querySelector("[aria-pressed='true']");
  scrollToChosen(sums, chosen, [key, [...sums.children].indexOf(chosen)]);
}

/**
 * Let an element have other children. What it has already stays as it is, with its focus and its layout; where elements
 * differ in their texts alone these change, so that listeners must not tell one from the other.
 */
function renew(node, ...children) {
  children.forEach((child, index) => {
    const there = node.childNodes[index];
    if (there === child || there?.isEqualNode(child)) return;
    if (!there) node.append(child);
    else if (there.nodeName === "#text" && child.nodeName === "#text") there.data = child.data;
    else if (there.cloneNode().isEqualNode(child.cloneNode())) renew(there, ...child.childNodes);
    else there.replaceWith(child);
  });
  while (node.childNodes.length > children.length) node.lastChild.remove();
}

/** Let an element say something: a text that is there changes. */
function setText(node, text) {
  const { firstChild } = node;
  const said = firstChild?.nodeName === "#text" && !firstChild.nextSibling ? firstChild : node;
  if (said.textContent !== text) said.textContent = text;
}

let announceTimer = 0;

/** Announce a text to screen readers, once nothing has changed for a while. */
function announce(text) {
  stopAnnouncing();
  announceTimer = setTimeout(() => {
    byId("live").textContent = text;
  }, 500);
}

function stopAnnouncing() {
  clearTimeout(announceTimer);
}
