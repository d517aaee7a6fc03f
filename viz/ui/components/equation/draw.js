// One matrix on its canvas: colours, hatching, a grid where cells are large, numbers where they fit.

import { fitCanvas, hatchMasked, markNaN, paintPixels } from "../shared/canvas.js";
import { clamp, MORPH, smooth } from "../shared/numbers.js";
import { STATE } from "../shared/payload.js";
import { inkOn } from "../shared/theme.js";
import { printed } from "./text.js";

export function drawBlock({ theme }, block, values) {
  const { item, shape, rows, columns, cell, height, state } = block;
  const context = fitCanvas(block.canvas, block.width, block.tall);
  const source = new OffscreenCanvas(columns, rows);
  paintPixels(source, values, shape, theme[item.scale.kind], item.scale, state);
  context.imageSmoothingEnabled = cell < 1 || height < 1; // a picture smaller than its cells is averaged, not sampled
  context.drawImage(source, 0, 0, block.width, block.tall);
  hatchMasked(context, state, shape, { x: 0, y: 0, width: cell, height }, theme.line);
  if (Math.min(cell, height) >= 9) {
    context.strokeStyle = theme.line;
    context.lineWidth = 0.5;
    context.beginPath();
    for (let i = 1; i < rows; i++) context.rect(0, i * height, block.width, 0);
    for (let j = 1; j < columns; j++) context.rect(j * cell, 0, 0, block.tall);
    context.stroke();
  }
  if (!block.prints) markNaN(context, values, state, shape, { width: cell, height }, theme.faint);
  if (block.prints) printNumbers(context, theme, block, values);
}

function printNumbers(context, theme, { item, columns, cell, height, state }, values) {
  const texts = Array.from(values, (value, k) => {
    if (state?.[k] === STATE.masked) return value === 0 ? "0" : "−∞";
    return state?.[k] === STATE.nan ? "NaN" : printed(value, item.digits);
  });
  const longest = Math.max(...texts.map((text) => text.length));
  const size = clamp(Math.min(height * 0.62, (cell - 6) / (longest * 0.6)), 9, item.digits === 0 ? 17 : 13.5);
  context.font = `${size}px ${theme.mono}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const pad = Math.max(...texts.map((text) => (text.includes(".") ? text.length : 0))); // equal lengths keep the points aligned
  texts.forEach((text, k) => {
    const plain = !state?.[k] && Number.isFinite(values[k]);
    context.fillStyle = plain || state?.[k] === STATE.clipped ? inkOn(theme, item.scale, values[k]) : theme.faint;
    const aligned = text.includes(".") ? text.padStart(pad, "\u2007") : text;
    context.fillText(aligned, ((k % columns) + 0.5) * cell, (Math.floor(k / columns) + 0.5) * height + 0.5);
  });
}

/** The new result grows out of the old one, cell by cell; `morph` has the old values by the matrix's name. */
export function animate(equation, morph) {
  cancelAnimationFrame(equation.frame);
  const start = performance.now();
  const step = (now) => {
    const t = clamp((now - start) / MORPH, 0, 1), eased = smooth(t);
    for (const block of equation.blocks) {
      const old = morph.get(block.item.matrix);
      const moves = (value, k) => t < 1 && Number.isFinite(old[k]) && Number.isFinite(value);
      const between = (value, k) => (moves(value, k) ? old[k] + (value - old[k]) * eased : value);
      if (old) drawBlock(equation, block, block.values.map(between));
    }
    if (t < 1) equation.frame = requestAnimationFrame(step);
  };
  step(start);
}
