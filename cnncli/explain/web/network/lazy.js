"use strict";
// Canvases of a network's page that are drawn while they are in sight: a page may have thousands.

const painters = new WeakMap();
const inSight = new Set();

const sight = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) inSight.delete(target);
      else if (!inSight.has(target)) {
        inSight.add(target);
        painters.get(target)();
      }
    }
  },
  { rootMargin: "100px 0px" },
);

/**
 * Let a canvas be drawn by `paint` whenever it comes in sight, and with `paintInSight`. One that is taken off
 * the page goes out of sight, and nothing here keeps it: an observer holds what it observes weakly.
 */
function paintWhenSeen(canvas, paint) {
  painters.set(canvas, paint);
  sight.observe(canvas);
}

function paintInSight() {
  for (const canvas of inSight) {
    if (canvas.isConnected) painters.get(canvas)();
  }
}
