// One frame of the matrix: the cached picture, and over it the hairlines, the chosen cell and the labels.

import { clamp } from "../shared/numbers.js";
import { paintBase } from "./picture.js";

const GROUPS_FROM = 70; // of 256 colours: the first group can still be seen on the page
const LABEL_PITCH = 11; // px: labels closer than this collide, so they are thinned out
const RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

export function drawFrame(matrix) {
  const { screen, grid, theme, header, hover, foreign } = matrix, selection = matrix.selection.value;
  if (matrix.stale || matrix.morph) paintBase(matrix);
  matrix.stale = false;
  screen.clearRect(0, 0, matrix.width, grid.total);
  screen.drawImage(matrix.base, grid.left, grid.top, grid.width, grid.height);
  // The keyboard's focus ring is the frame itself: a ring around the canvas would enclose the labels and empty space.
  const ring = matrix.canvas.matches(":focus-visible");
  screen.strokeStyle = ring ? theme.accent : theme.line;
  screen.lineWidth = ring ? 2 : 1;
  const gap = ring ? 1 : 0.5;
  screen.strokeRect(grid.left - gap, grid.top - gap, grid.width + 2 * gap, grid.height + 2 * gap);
  screen.save();
  screen.beginPath();
  screen.rect(grid.left - 2, grid.top - 2, grid.width + 4, grid.height + 4);
  screen.clip();
  drawBreaks(matrix);
  drawCurve(matrix);
  const soft = theme.mode === "light" ? "rgba(27,28,38,0.55)" : "rgba(232,230,225,0.6)";
  if (selection) drawBand(matrix, selection, theme.accent);
  drawBand(matrix, foreign, soft);
  drawBand(matrix, hover, soft);
  if (selection) drawOutline(matrix, selection);
  screen.restore();
  const thinned = [true, false].map((isRow) => drawLabels(matrix, isRow));
  matrix.foot.classList.toggle("sparse", thinned.includes(true));
  screen.font = `11px ${theme.font}`;
  screen.fillStyle = theme.faint;
  screen.direction = "inherit";
  screen.textBaseline = "alphabetic";
  screen.textAlign = "left";
  screen.fillText(`${header.column_title} →`, grid.left, 11);
  screen.textAlign = "right";
  // Above the first row's label, which reaches over the edge of a low row.
  screen.fillText(`${header.row_title} ↓`, grid.left - 8, grid.top - Math.max(7, 13 - grid.cellHeight / 2));
}

/** Dashes where the second text of a pair begins; plain lines of the page's colour between many groups. */
function drawBreaks({ screen, grid, header, theme }) {
  const plain = header.breaks === "lines";
  screen.strokeStyle = plain ? theme.background : theme.faint;
  screen.lineWidth = 1;
  if (!plain) screen.setLineDash([5, 3]);
  screen.beginPath();
  for (const row of header.row_breaks || []) {
    const y = Math.round(grid.topOf(row)) - 0.5;
    screen.moveTo(grid.left, y), screen.lineTo(grid.left + grid.width, y);
  }
  for (const column of header.column_breaks || []) {
    const x = Math.round(grid.leftOf(column)) - 0.5;
    screen.moveTo(x, grid.top), screen.lineTo(x, grid.top + grid.height);
  }
  screen.stroke();
  screen.setLineDash([]);
}

/** A row of each column as one line over the cells, on a rim of the page's colour. */
function drawCurve({ screen, grid, header, theme }) {
  if (!header.curve?.length) return;
  screen.beginPath();
  header.curve.forEach((row, column) => screen.lineTo(grid.leftOf(column + 0.5), grid.topOf(row + 0.5)));
  screen.lineJoin = "round";
  for (const [colour, width] of [[theme.background, 4], [theme.text, 1.5]]) {
    screen.strokeStyle = colour;
    screen.lineWidth = width;
    screen.stroke();
  }
}

/** Of a cell so small that its frame would cover it, how far off the frame stands, px. */
const airAround = (size) => (size < 5 ? 2 : 0);

/** Hairlines on both edges of a row and of a column: they frame the numbers instead of striking them out. */
function drawBand({ screen, grid }, { row, column }, colour) {
  screen.strokeStyle = colour;
  screen.lineWidth = 1;
  screen.beginPath();
  const above = airAround(grid.cellHeight), beside = airAround(grid.cellWidth);
  for (const edge of row === null ? [] : [grid.topOf(row) - above, grid.topOf(row + 1) + above]) {
    const y = Math.round(edge) - 0.5;
    screen.moveTo(grid.left, y), screen.lineTo(grid.left + grid.width, y);
  }
  for (const edge of column === null ? [] : [grid.leftOf(column) - beside, grid.leftOf(column + 1) + beside]) {
    const x = Math.round(edge) - 0.5;
    screen.moveTo(x, grid.top), screen.lineTo(x, grid.top + grid.height);
  }
  screen.stroke();
}

function drawOutline({ screen, grid, theme }, { row, column }) {
  const right = airAround(grid.cellWidth), down = airAround(grid.cellHeight);
  const x = grid.leftOf(column) - right, y = grid.topOf(row) - down, w = grid.cellWidth + 2 * right, h = grid.cellHeight + 2 * down;
  // The inner ring of page colour keeps the accent visible on a cell of nearly the same colour.
  if (Math.min(w, h) >= 8) {
    screen.strokeStyle = theme.background;
    screen.lineWidth = 1;
    screen.strokeRect(x + 1, y + 1, w - 3, h - 3);
  }
  screen.strokeStyle = theme.accent;
  screen.lineWidth = 2;
  screen.strokeRect(x - 0.5, y - 0.5, w, h);
}

/** Which group an item belongs to, as a colour beside its edge. */
function drawGroups({ screen, grid, theme, header }, isRow, start, end) {
  if (!header.band) return;
  const table = theme.sequential, last = table.length / 3 - 1;
  header.band.forEach((share, i) => {
    const from = Math.max(start, isRow ? grid.topOf(i) : grid.leftOf(i)), to = Math.min(end, isRow ? grid.topOf(i + 1) : grid.leftOf(i + 1));
    if (to <= from) return;
    const k = 3 * Math.round(GROUPS_FROM + share * (last - GROUPS_FROM));
    screen.fillStyle = `rgb(${table[k]},${table[k + 1]},${table[k + 2]})`;
    if (isRow) screen.fillRect(grid.left - 6, from, 4, to - from);
    else screen.fillRect(from, grid.top - 6, to - from, 4);
  });
}

/** One label a group, in its middle, but for those that a strong label of an item would cover. */
function drawTicks({ screen, grid, theme, header }, isRow, strong, start, end) {
  let before = -Infinity;
  for (const { at, text } of header.ticks) {
    const middle = isRow ? grid.topOf(at) : grid.leftOf(at), pitch = isRow ? grid.cellHeight : grid.cellWidth;
    if (middle < start || middle > end || middle - before < LABEL_PITCH) continue;
    if (strong.some((i) => Math.abs(i + 0.5 - at) * pitch < LABEL_PITCH)) continue;
    before = middle;
    screen.save();
    screen.font = `11px ${theme.mono}`;
    screen.fillStyle = theme.text;
    screen.textBaseline = "middle";
    screen.textAlign = isRow ? "right" : "left";
    screen.translate(isRow ? grid.left - 10 : middle, isRow ? middle + 0.5 : grid.top - 10);
    if (!isRow) screen.rotate(-Math.PI / 2);
    screen.fillText(text, 0, 0);
    screen.restore();
  }
}

/** -> Whether words are left out for want of room; of numbers one goes on counting. */
function drawLabels(matrix, isRow) {
  const { screen, grid, theme, header, hover, foreign } = matrix;
  const tokens = isRow ? header.rows : header.columns, labels = isRow ? grid.rows : grid.columns;
  const axis = isRow ? "row" : "column", pitch = isRow ? grid.cellHeight : grid.cellWidth;
  const step = Math.ceil((LABEL_PITCH - 0.01) / pitch);
  const first = isRow ? grid.y : grid.x, count = (isRow ? grid.n : grid.m) / grid.zoom;
  const chosen = matrix.selection.value?.[axis] ?? null;
  const strong = [hover[axis], foreign[axis], chosen].filter((index) => index !== null);
  const common = grid.across + 10 <= grid.cellWidth ? "level" : grid.way === "slant" ? "slant" : "upright";
  const size = clamp(0.92 * step * pitch, 10, 12); // neighbours in low rows do not touch
  const start = isRow ? grid.top : grid.left, end = start + (isRow ? grid.height : grid.width);
  drawGroups(matrix, isRow, start, end);
  // Where items have no room for labels of their own, groups of them may have: a layer's heads.
  const ticks = step > 1 && header.ticks;
  if (ticks) drawTicks(matrix, isRow, strong, start, end);
  for (let i = Math.floor(first); i < Math.min(tokens.length, first + count); i++) {
    const middle = isRow ? grid.topOf(i + 0.5) : grid.leftOf(i + 0.5), bold = strong.includes(i);
    if (middle < start || middle > end || (!bold && (ticks || i % step))) continue;
    if (!bold && step > 1 && strong.some((other) => Math.abs(other - i) * pitch < LABEL_PITCH)) continue;
    screen.save();
    screen.font = `${bold ? "600 " : ""}${size}px ${theme.mono}`;
    screen.fillStyle = i === chosen ? theme.accent : tokens[i].kind === "word" || bold ? theme.text : theme.faint;
    // One letter stands level among upright ones where its column is as wide: letters are read, not turned.
    const level = common === "upright" && screen.measureText(labels[i]).width + 3 <= grid.cellWidth, way = level ? "level" : common;
    screen.direction = RTL.test(tokens[i].text) ? "rtl" : "ltr";
    screen.textBaseline = "middle";
    const apart = header.band ? 3 : 0;
    if (isRow) screen.translate(grid.left - 8 - apart, middle + 0.5);
    else screen.translate(middle, grid.top - apart - (way === "level" ? 12 : 7));
    screen.textAlign = isRow ? "right" : way === "level" ? "center" : "left";
    if (!isRow && way !== "level") screen.rotate(way === "slant" ? -Math.PI / 4 : -Math.PI / 2);
    screen.fillText(labels[i], 0, 0);
    screen.restore();
  }
  return step > 1 && !ticks && tokens.some(({ text }) => !/^[\d.]+$/.test(text));
}
