// A head under the pointer, large enough to read its words.

import { fitCanvas, hatchMasked } from "../shared/canvas.js";
import { el } from "../shared/dom.js";
import { clamp, cut } from "../shared/numbers.js";
import { isCross, paintWeights } from "./weights.js";

const MAGNIFIED = 180; // px: the longer side of the matrix

export function magnify(overview, thumb, { part, stack, where }, head, name) {
  const { popover, header, arrays, model } = overview;
  const array = arrays[head.array], [rows, columns] = array.shape;
  if (!rows || !columns) return;
  const [rowTokens, columnTokens] = part.tokens ?? [];
  const own = model.stacks.find((entry) => entry.stack === stack).tokens;
  const queries = rowTokens ?? (isCross(part) ? header.target || own : own);
  const keys = columnTokens ?? (isCross(part) ? header.source : own);
  popover.replaceChildren();
  el("div", "title", popover, name);
  el("div", "faint", popover, where.join(" · "));
  const picture = { array, state: arrays[head.state], end: model.weights.end };
  drawMagnified(el("canvas", "", popover), overview.theme, picture, queries.slice(0, rows), keys.slice(0, columns));
  popover.hidden = false;
  placeAbove(popover, overview.root, thumb);
}

function drawMagnified(canvas, theme, { array, state, end }, queries, keys) {
  const [rows, columns] = array.shape, cell = MAGNIFIED / Math.max(rows, columns);
  const [width, height] = [cell * columns, cell * rows], labelled = cell >= 10;
  const font = `${clamp(cell * 0.8, 9, 12)}px ${theme.mono}`;
  const measure = canvas.getContext("2d");
  measure.font = font;
  const wide = (token) => measure.measureText(cut(token.text, 9)).width;
  const room = (list) => (labelled ? Math.ceil(Math.max(...list.map(wide))) + 6 : 0);
  const [left, above] = [room(queries), room(keys)];
  const context = fitCanvas(canvas, left + width + 1, above + height + 1);
  const paper = document.createElement("canvas");
  paintWeights(paper, array, theme, end, state);
  context.imageSmoothingEnabled = false;
  hatchMasked(context, state?.data, array.shape, { x: left, y: above, width: cell, height: cell }, theme.line);
  context.drawImage(paper, left, above, width, height);
  context.strokeStyle = theme.line;
  context.strokeRect(left + 0.5, above + 0.5, width - 1, height - 1);
  if (!labelled) return;
  context.font = font;
  context.textBaseline = "middle";
  context.fillStyle = theme.faint;
  context.textAlign = "right";
  for (let i = 0; i < rows; i++) context.fillText(cut(queries[i]?.text ?? "", 9), left - 5, above + (i + 0.5) * cell);
  context.textAlign = "left";
  for (let j = 0; j < columns; j++) {
    context.save();
    context.translate(left + (j + 0.5) * cell, above - 5);
    context.rotate(-Math.PI / 2);
    context.fillText(cut(keys[j]?.text ?? "", 9), 0, 0);
    context.restore();
  }
}

/** Above the thumbnail so that its neighbours stay in sight; where the window has no room there, below it. */
function placeAbove(popover, root, thumb) {
  const [frame, at] = [root.getBoundingClientRect(), thumb.getBoundingClientRect()];
  const over = at.top - popover.offsetHeight - 10;
  const x = at.left + at.width / 2 - frame.left - popover.offsetWidth / 2;
  popover.style.left = `${Math.max(0, Math.min(x, frame.width - popover.offsetWidth))}px`;
  popover.style.top = `${(over >= 0 ? over : at.bottom + 10) - frame.top}px`;
}
