"use strict";
// A small picture of the whole image, with a box around the part that the page holds.

function drawOverview() {
  const { overview, size, rows, cols } = pageData.input;
  // Of a picture of the user's the page holds all pixels.
  const isShown = Boolean(overview) && !state.input.own;
  byId("overview-figure").hidden = !isShown;
  if (!isShown) return;
  const [height, width] = overview.size;
  const picture = cellPicture(height, width, (row, col) => {
    const first = 3 * (row * width + col);
    return overview.levels.subarray(first, first + 3);
  });
  const context = prepareCanvas(byId("overview"), width, height);
  drawCells(context, picture, 1);
  const [down, across] = [height / size[0], width / size[1]];
  const box = [rows[0] * down, cols[0] * across, rows[1] * down, cols[1] * across];
  const { window: colour, halo } = themeColours();
  outlineCells(context, box, 1, colour, halo);
}
