// The picture: tiles from coarse to fine, the axes, the cross hair, the profiles beside it, and the small whole.

import { clamp, cut } from "../shared/numbers.js";
import { TILE } from "./tiles.js";

export const BELOW = 76; // px around the plot
export const GAP = 10;
const LEFT = 96, TOP = 56, BESIDE = 92;
export const LARGEST = 44; // px of a single cell at most
const LABELLED = 11; // px a cell needs before its tokens are written

/** Where things are: as large as the whole is at its largest, but long thin heads get room to be zoomed in. */
export function plot({ width, header, queries, keys }) {
  const most = Math.max(120, width - LEFT - BESIDE - GAP), unit = Math.min(LARGEST, most / keys, header.max_height / queries);
  const room = (count, limit) => Math.round(unit === LARGEST ? count * unit : clamp(count * unit, Math.min(limit, 240), limit));
  const [wide, tall] = [room(keys, most), room(queries, header.max_height)];
  return { x: LEFT, y: TOP, width: wide, height: tall, right: LEFT + wide, bottom: TOP + tall };
}

export function drawMap(map) {
  const { screen, theme, view, box } = map;
  screen.clearRect(0, 0, map.width, map.total);
  screen.save();
  screen.beginPath();
  screen.rect(box.x, box.y, box.width, box.height);
  screen.clip();
  const [left, top] = [box.x - view.x * view.scale, box.y - view.y * view.scale];
  const [wide, high] = [map.keys * view.scale, map.queries * view.scale];
  screen.fillStyle = map.pattern;
  screen.fillRect(Math.max(left, box.x), Math.max(top, box.y), Math.min(wide, box.width), Math.min(high, box.height));
  drawTiles(map);
  if (view.scale >= 9) drawGrid(map, left, top, wide, high);
  drawSelection(map);
  if (map.at) drawCross(map);
  screen.restore();
  screen.strokeStyle = theme.line;
  screen.lineWidth = 1;
  screen.strokeRect(Math.max(left, box.x) - 0.5, Math.max(top, box.y) - 0.5,
    Math.min(box.right, left + wide) - Math.max(left, box.x) + 1, Math.min(box.bottom, top + high) - Math.max(top, box.y) + 1);
  drawAxis(map, "key");
  drawAxis(map, "query");
  drawProfiles(map);
  if (small(map)) drawSmall(map);
  if (map.brush) drawBrush(map);
}

/** The level whose cells are about a device pixel wide, or single cells. */
function levelOf({ view, depth }) {
  const cell = view.scale * (window.devicePixelRatio || 1);
  return clamp(Math.ceil(Math.log2(1 / cell) - 0.001), 0, depth);
}

function drawTiles(map) {
  const { screen, view, box, depth, tiles } = map, finest = levelOf(map), wanted = new Set();
  for (let level = depth; level >= finest; level--) {
    const step = 2 ** level, span = TILE * step, size = step * view.scale;
    const rows = [Math.max(0, Math.floor(view.y / span)), Math.ceil(Math.min(map.queries, view.y + box.height / view.scale) / span)];
    const columns = [Math.max(0, Math.floor(view.x / span)), Math.ceil(Math.min(map.keys, view.x + box.width / view.scale) / span)];
    for (let row = rows[0]; row < rows[1]; row++)
      for (let column = columns[0]; column < columns[1]; column++) {
        const count = [map.queries, map.keys].map((n, k) => Math.min(TILE, Math.ceil(n / step) - [row, column][k] * TILE));
        // Coarser ones are drawn where they happen to be here; the finest are fetched.
        if (level === finest) {
          tiles.ask(level, row, column, ...count);
          wanted.add(tiles.key(level, row, column));
        }
        const tile = tiles.find(level, row, column);
        if (!tile) continue;
        screen.imageSmoothingEnabled = size < 1;
        const x = box.x + (column * span - view.x) * view.scale, y = box.y + (row * span - view.y) * view.scale;
        // A last cell that stands for fewer tokens is as wide as they are.
        const end = [Math.min(map.keys, (column * TILE + tile.columns) * step), Math.min(map.queries, (row * TILE + tile.rows) * step)];
        screen.save();
        screen.beginPath();
        screen.rect(x, y, (end[0] - column * span) * view.scale, (end[1] - row * span) * view.scale);
        screen.clip();
        screen.drawImage(tile.canvas, x, y, tile.columns * size, tile.rows * size);
        screen.restore();
      }
  }
  // The whole is asked for last, and so fetched first: something is seen at once, and the small map has it.
  tiles.ask(depth, 0, 0, Math.ceil(map.queries / 2 ** depth), Math.ceil(map.keys / 2 ** depth));
  tiles.keep(wanted.add(tiles.key(depth, 0, 0)));
  map.level = finest;
}

function drawGrid({ screen, theme, view, box, queries, keys }, left, top, wide, high) {
  screen.strokeStyle = theme.line;
  screen.lineWidth = 0.5;
  screen.beginPath();
  for (let j = Math.max(0, Math.ceil(view.x)); j <= Math.min(keys, view.x + box.width / view.scale); j++) {
    const x = box.x + (j - view.x) * view.scale;
    screen.moveTo(x, Math.max(top, box.y)), screen.lineTo(x, Math.min(top + high, box.bottom));
  }
  for (let i = Math.max(0, Math.ceil(view.y)); i <= Math.min(queries, view.y + box.height / view.scale); i++) {
    const y = box.y + (i - view.y) * view.scale;
    screen.moveTo(Math.max(left, box.x), y), screen.lineTo(Math.min(left + wide, box.right), y);
  }
  screen.stroke();
}

function drawSelection({ screen, theme, view, box, selection }) {
  const cell = selection.value;
  if (!cell) return;
  const size = Math.max(8, view.scale), x = box.x + (cell.column + 0.5 - view.x) * view.scale, y = box.y + (cell.row + 0.5 - view.y) * view.scale;
  screen.strokeStyle = theme.accent;
  screen.lineWidth = 2;
  screen.strokeRect(x - size / 2, y - size / 2, size, size);
}

function drawCross({ screen, theme, view, box, at }) {
  const x = box.x + (at.column + 0.5 - view.x) * view.scale, y = box.y + (at.row + 0.5 - view.y) * view.scale;
  screen.strokeStyle = theme.accent;
  screen.globalAlpha = 0.75;
  screen.lineWidth = 1;
  screen.beginPath();
  screen.moveTo(box.x, y), screen.lineTo(box.right, y);
  screen.moveTo(x, box.y), screen.lineTo(x, box.bottom);
  screen.stroke();
  screen.globalAlpha = 1;
}

/** Tokens where they fit, else places; the token under the cross hair always. */
function drawAxis(map, axis) {
  const { screen, theme, view, box, at } = map, key = axis === "key";
  const [first, count, length] = key ? [view.x, map.keys, box.width] : [view.y, map.queries, box.height];
  const labels = key ? map.header.columns : map.header.rows, here = at ? (key ? at.column : at.row) : null;
  screen.font = `12px ${theme.mono}`;
  screen.textBaseline = "middle";
  const write = (index, text, strong) => {
    const place = (index + 0.5 - first) * view.scale;
    if (place < 0 || place > length) return;
    screen.fillStyle = strong ? theme.accent : theme.faint;
    screen.save();
    if (key) {
      screen.translate(box.x + place, box.y - 7);
      screen.rotate(-Math.PI / 4);
      screen.textAlign = "left";
    } else {
      screen.translate(box.x - 8, box.y + place);
      screen.textAlign = "right";
    }
    screen.fillText(text, 0, 0);
    screen.restore();
  };
  const name = (index) => cut(labels[index] ?? String(index), key ? 9 : 12);
  const spelled = view.scale >= LABELLED, step = spelled ? 1 : nice(64 / view.scale);
  const start = Math.max(0, Math.ceil(first / step) * step), stop = Math.min(count, first + length / view.scale);
  for (let index = start; index < stop; index += step) {
    if (here !== null && Math.abs(index - here) * view.scale < (spelled ? 1 : key ? 34 : 15)) continue;
    write(index, spelled ? name(index) : index.toLocaleString("en"), false);
  }
  if (here !== null && here >= 0 && here < count) write(here, name(here), true);
}
const nice = (least) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return [1, 2, 5, 10].map((k) => k * power).find((step) => step >= least) || power * 10;
};

/** The exact row below and the exact column beside, 0 to 1; of more keys than pixels the largest of each pixel. */
function drawProfiles(map) {
  const { screen, theme, view, box, at } = map;
  const bars = (values, first, length, draw) => {
    const pixels = new Float32Array(Math.ceil(length));
    const from = Math.max(0, Math.floor(first)), to = Math.min(values.length, Math.ceil(first + length / view.scale));
    for (let i = from; i < to; i++) {
      const a = Math.max(0, Math.floor((i - first) * view.scale)), b = Math.max(a + 1, Math.floor((i + 1 - first) * view.scale - (view.scale > 4 ? 1 : 0)));
      for (let p = a; p < Math.min(b, pixels.length); p++) if (values[i] > pixels[p]) pixels[p] = values[i];
    }
    screen.fillStyle = theme.accent;
    pixels.forEach((value, p) => value > 0 && draw(p, value));
  };
  const low = box.bottom + GAP, side = box.right + GAP, tall = BELOW - 22, wide = BESIDE - 26;
  screen.strokeStyle = theme.line;
  screen.lineWidth = 1;
  screen.beginPath();
  screen.moveTo(box.x, low + tall + 0.5), screen.lineTo(box.right, low + tall + 0.5);
  screen.moveTo(side - 0.5, box.y), screen.lineTo(side - 0.5, box.bottom);
  screen.stroke();
  screen.font = `11px ${theme.font}`;
  screen.fillStyle = theme.faint;
  screen.textBaseline = "middle";
  screen.textAlign = "right";
  screen.fillText("1", box.x - 6, low + 4), screen.fillText("0", box.x - 6, low + tall);
  screen.fillText(map.header.words.profile_row, box.x - 18, low + tall / 2);
  screen.textAlign = "center";
  screen.fillText("0", side + 2, box.bottom + 9), screen.fillText("1", side + wide, box.bottom + 9);
  screen.fillText(map.header.words.profile_column, side + wide / 2, box.bottom + 26);
  if (!at) return;
  const row = map.tiles.profile("row", at.row), column = map.rested ? map.tiles.profile("column", at.column) : map.tiles.profiles.get(`${map.tiles.base}/${map.tiles.head}/column/${at.column}`);
  if (row) bars(row, view.x, box.width, (p, value) => screen.fillRect(box.x + p, low + tall - value * tall, 1, Math.max(0.7, value * tall)));
  if (column) bars(column, view.y, box.height, (p, value) => screen.fillRect(side, box.y + p, Math.max(0.7, value * wide), 1));
}

/** Whether the small whole is there: where somebody could lose the way. */
export const small = (map) => map.zoomed && Math.max(map.queries, map.keys) > 40;
/** The whole, small, with what is in sight framed. */
export function smallBox({ box, queries, keys }) {
  const longest = Math.min(132, box.width / 4, box.height / 3), unit = longest / Math.max(queries, keys);
  return { x: box.right - keys * unit - 10, y: box.y + 10, width: Math.max(6, keys * unit), height: Math.max(6, queries * unit), unit };
}
function drawSmall(map) {
  const { screen, theme, view, box } = map, frame = smallBox(map), whole = map.tiles.find(map.depth, 0, 0);
  screen.fillStyle = theme.background;
  screen.fillRect(frame.x - 4, frame.y - 4, frame.width + 8, frame.height + 8);
  screen.fillStyle = map.pattern;
  screen.fillRect(frame.x, frame.y, frame.width, frame.height);
  screen.imageSmoothingEnabled = true;
  if (whole) screen.drawImage(whole.canvas, frame.x, frame.y, frame.width, frame.height);
  screen.strokeStyle = theme.faint;
  screen.lineWidth = 1;
  screen.strokeRect(frame.x - 0.5, frame.y - 0.5, frame.width + 1, frame.height + 1);
  screen.strokeStyle = theme.accent;
  screen.lineWidth = 2;
  const wide = Math.min(map.keys, box.width / view.scale), high = Math.min(map.queries, box.height / view.scale);
  screen.strokeRect(frame.x + view.x * frame.unit, frame.y + view.y * frame.unit, Math.max(4, wide * frame.unit), Math.max(4, high * frame.unit));
}

function drawBrush({ screen, theme, box, brush }) {
  const [a, b] = [Math.min(brush.from, brush.to), Math.max(brush.from, brush.to)];
  screen.fillStyle = theme.accent;
  screen.globalAlpha = 0.22;
  if (brush.axis === "key") screen.fillRect(a, box.y, b - a, box.height);
  else screen.fillRect(box.x, a, box.width, b - a);
  screen.globalAlpha = 1;
}
