"use strict";
// What is out of sight is drawn later, for a network's page may have thousands of canvases and long panels: canvases
// when they come in sight, panels when changes pause. So is what takes long to compute. While the window moves only
// what is seen follows it.

/** A little more than what is in sight. */
const NEAR_SIGHT = { rootMargin: "100px 0px" };

/** Whether a panel is in sight; it counts as seen until that is known. */
const isSeen = new WeakMap();

/** By panel what is to draw it, when changes pause or it comes in sight. */
const postponed = new Map();
const waiting = [];
let restTimer = 0;

/** Milliseconds without a change, such as a stroke on the pad or the next step of a held key, before what can wait is drawn. */
const PAUSE_MS = 50;

const panelSight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    isSeen.set(target, isIntersecting);
    if (isIntersecting) drawPostponed(target);
  }
});

/** Draw a panel at once while it is in sight, else after a pause; nobody waits for those of a hidden tab. */
function drawPanel(panel, draw) {
  if (!isSeen.has(panel)) {
    isSeen.set(panel, true);
    panelSight.observe(panel);
  }
  if (isSeen.get(panel) || document.hidden) {
    postponed.delete(panel);
    draw();
    return;
  }
  // Each change begins with none, see `draw`.
  if (!postponed.size) {
    clearTimeout(restTimer);
    restTimer = setTimeout(drawRest, PAUSE_MS);
  }
  postponed.set(panel, draw);
}

function drawPostponed(panel) {
  const draw = postponed.get(panel);
  postponed.delete(panel);
  // What was taken off the page since may be of a layer that is not there any more.
  if (draw && panel.isConnected) draw();
}

/** Draw all panels that are postponed. */
function drawRest() {
  try {
    keepInPlace(() => [...postponed.keys()].forEach(drawPostponed));
  } finally {
    for (const resolve of waiting.splice(0)) resolve();
  }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) drawRest();
});

/** Resolves when no panel is postponed. */
function allDrawn() {
  return postponed.size ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve();
}

/** By canvas or panel what is to be drawn when no more changes come. */
const drawnAfterPause = new Map();
let pauseTimer = 0;

function drawAfterPause(node, draw) {
  drawnAfterPause.set(node, draw);
  clearTimeout(pauseTimer);
  pauseTimer = setTimeout(() => {
    const drawings = [...drawnAfterPause];
    drawnAfterPause.clear();
    // What was taken away or hidden since may be of a layer that is not there any more.
    for (const [shown, drawShown] of drawings) if (shown.getClientRects().length) drawShown();
  }, PAUSE_MS);
}

const painters = new WeakMap();
const inSight = new Set();

const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) inSight.delete(target);
    else if (!inSight.has(target)) {
      inSight.add(target);
      painters.get(target)();
    }
  }
}, NEAR_SIGHT);

/**
 * Let a canvas be drawn by `paint` whenever it comes in sight, and with `paintInSight`. One that is taken off
 * the page goes out of sight, and nothing here keeps it: an observer holds what it observes weakly.
 */
function paintWhenSeen(canvas, paint) {
  painters.set(canvas, paint);
  sight.observe(canvas);
}

/** What a panel that is hidden since shows may be of layers that cannot be computed any more. */
function paintInSight() {
  for (const canvas of inSight) {
    if (canvas.isConnected && !canvas.closest("[hidden]")) painters.get(canvas)();
  }
}
