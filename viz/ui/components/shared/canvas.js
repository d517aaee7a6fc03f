// Canvases: sharp on every screen, one pixel a cell for pictures of numbers, hatching for what is masked, texts cut to fit.

import { STATE } from "./payload.js";
import { shade } from "./theme.js";

/** Canvas sized in CSS pixels and drawn in device pixels. */
export function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** One pixel a cell; masked and broken cells stay transparent so that the hatching behind them shows.
 *  `scale` is {low, high, unit}: a stored value times `unit` is what low and high are stated in. */
export function paintPixels(canvas, values, [rows, columns], table, { low, high, unit = 1 }, state) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(columns, rows);
  const count = table.length / 3;
  for (let i = 0; i < rows * columns; i++) {
    const from = 3 * shade(values[i] * unit, low, high, count);
    for (let k = 0; k < 3; k++) picture.data[4 * i + k] = table[from + k];
    const broken = state && (state[i] === STATE.masked || state[i] === STATE.nan);
    picture.data[4 * i + 3] = broken || Number.isNaN(values[i]) ? 0 : 255;
  }
  context.putImageData(picture, 0, 0);
}

/** Fine diagonal hatching: "masked", never a colour of the scale. `leftOut`: crossed the other way, which is no mask's. */
export function hatch(context, x, y, width, height, colour, leftOut = false) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 0.75;
  context.beginPath();
  for (let d = -height; d < width; d += 4) {
    context.moveTo(x + d, leftOut ? y : y + height);
    context.lineTo(x + d + height, leftOut ? y + height : y);
  }
  context.stroke();
  context.restore();
}

/** Runs of masked cells instead of single ones, so that the hatching is even; `cell` is {x, y, width, height} of the first. */
export function hatchMasked(context, state, [rows, columns], cell, colour) {
  for (let i = 0; state && i < rows; i++)
    for (let j = 0, k; j < columns; j = Math.max(k, j + 1)) {
      for (k = j; k < columns && state[i * columns + k] === STATE.masked; k++);
      if (k > j) hatch(context, cell.x + j * cell.width, cell.y + i * cell.height, (k - j) * cell.width, cell.height, colour);
    }
}

/** Two short strokes: "not a number". */
export function cross(context, x, y, size, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x - size, y - size), context.lineTo(x + size, y + size);
  context.moveTo(x - size, y + size), context.lineTo(x + size, y - size);
  context.stroke();
}

/** Grey with crosses where there is room for them: cells that are not a number. */
export function markNaN(context, values, state, [rows, columns], { width, height }, colour) {
  const size = Math.min(5, Math.min(width, height) * 0.28);
  for (let k = 0; k < rows * columns; k++) {
    if (state?.[k] === STATE.masked || !Number.isNaN(values[k])) continue;
    const [x, y] = [(k % columns) * width, Math.floor(k / columns) * height];
    context.save();
    context.globalAlpha = 0.16;
    context.fillStyle = colour;
    context.fillRect(x, y, width, height);
    context.restore();
    if (size >= 1.4) cross(context, x + width / 2, y + height / 2, size, colour);
  }
}

/** The text cut to a width, by whole graphemes so that emoji and accents stay whole. */
export function clipText(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const parts = Array.from(new Intl.Segmenter().segment(text.slice(0, 120)), (part) => part.segment);
  while (parts.length > 1 && context.measureText(parts.join("") + "…").width > width) parts.pop();
  return parts.join("") + "…";
}
