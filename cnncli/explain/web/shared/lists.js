"use strict";
// Lists that scroll: their ends fade where there is more, and the chosen item is in sight.

/** Room at the ends of a list where it fades, as page/page.css has it. */
const FADE = 40;

/** Lists whose ends fade while more of them is out of sight. They are measured when they have been laid out. */
const fading = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    target.onscroll ??= () => fadeEnds(target);
    fadeEnds(target);
  }
});

function fadeEnds(list) {
  const isWide = list.scrollWidth > list.clientWidth;
  const [place, shown, all] = isWide
    ? [list.scrollLeft, list.clientWidth, list.scrollWidth]
    : [list.scrollTop, list.clientHeight, list.scrollHeight];
  const sides = isWide ? ["left", "right"] : ["top", "bottom"];
  list.dataset.more = sides.filter((_, end) => (end ? all - shown - place : place) > 1).join(" ");
}

/** By list its chosen item, where it is still to be scrolled to. */
const waitingLists = new Map();

/**
 * Scroll a list, but not the page, until its chosen item is seen whole; `key` tells whether it is another one. All
 * lists scroll once everything is drawn: each one alone would have the page laid out.
 */
function scrollToChosen(list, item, key) {
  fading.observe(list);
  if (list.dataset.chosen === String(key)) return;
  list.dataset.chosen = key;
  if (!waitingLists.size) Promise.resolve().then(scrollLists);
  waitingLists.set(list, item);
}

function scrollLists() {
  const past = (first, last, [least, most]) => Math.min(first - least - FADE, 0) || Math.max(last - most + FADE, 0);
  const found = Array.from(waitingLists, ([list, item]) => {
    const [outer, inner] = [list.getBoundingClientRect(), item.getBoundingClientRect()];
    const across = past(inner.left, inner.right, [outer.left, outer.left + list.clientWidth]);
    return [list, across, past(inner.top, inner.bottom, [outer.top, outer.top + list.clientHeight])];
  });
  waitingLists.clear();
  for (const [list, across, down] of found) if (across || down) list.scrollBy({ left: across, top: down, behavior: "instant" });
}
