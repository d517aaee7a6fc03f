// The picture of the cells, cached as one bitmap: a hover only copies it and draws labels and hairlines over it.

import { cross, fitCanvas, hatch } from "../shared/canvas.js";
import { clamp, decimals, MORPH, smooth } from "../shared/numbers.js";
import { STATE } from "../shared/payload.js";
import { inkOn } from "../shared/theme.js";

const TEXT_FROM = 34; // px: cells at least this wide carry their number

/** One pixel a cell, or a block of cells where they are smaller than a pixel. */
export function develop(matrix, block) {
  const { header, theme, values, states } = matrix, { n, m } = matrix.grid;
  const high = Math.ceil(n / block), wide = Math.ceil(m / block);
  const table = theme[header.scale.kind], last = table.length / 3 - 1, { low, high: top } = header.scale;
  const zero = header.scale.kind === "diverging" ? last / 2 : 0, factor = top > low ? last / (top - low) : 0;
  const colours = new ImageData(wide, high), masks = new ImageData(wide, high);
  const page = 3 * zero, grey = theme.mode === "light" ? 110 : 150;
  for (let y = 0, p = 0; y < high; y++)
    for (let x = 0; x < wide; x++, p += 4) {
      let value = 0, state = STATE.masked, most = -1;
      const yEnd = Math.min(n, (y + 1) * block), xEnd = Math.min(m, (x + 1) * block);
      // In a block the strongest cell speaks for all: an average would wash single bright weights out.
      for (let row = y * block; row < yEnd; row++)
        for (let i = row * m + x * block, end = row * m + xEnd; i < end; i++) {
          const kind = states ? states[i] : 0, raw = values[i];
          if (kind === STATE.masked) continue;
          if (kind === STATE.nan || raw !== raw) { state = STATE.nan; most = Infinity; continue; }
          const strength = Math.abs(raw);
          if (strength > most) { most = strength; value = raw; state = kind; }
        }
      let from = page, alpha = 0;
      if (state === STATE.nan) {
        colours.data[p] = colours.data[p + 1] = colours.data[p + 2] = grey;
        colours.data[p + 3] = 70;
        continue;
      }
      if (state === STATE.masked) masks.data[p + 3] = 255;
      else {
        const index = Math.max(0, Math.min(last, Math.round((value - low) * factor)));
        from = 3 * index;
        alpha = index === zero ? 0 : 255; // zero is the page itself, whatever its colour
      }
      colours.data[p] = table[from];
      colours.data[p + 1] = table[from + 1];
      colours.data[p + 2] = table[from + 2];
      colours.data[p + 3] = alpha;
    }
  const sheet = (image) => {
    const paper = Object.assign(document.createElement("canvas"), { width: wide, height: high });
    paper.getContext("2d").putImageData(image, 0, 0);
    return paper;
  };
  return { block, colours, sheet: sheet(colours), masks: matrix.has(STATE.masked) ? sheet(masks) : null };
}

/** A morph from the pixels shown before, or null where nothing changed. */
export function beginMorph(matrix, before) {
  const { n, m } = matrix.grid, { data } = matrix.picture.colours;
  if (!data.some((channel, i) => channel !== before[i])) return null;
  const sheet = Object.assign(document.createElement("canvas"), { width: m, height: n });
  return { from: before, start: performance.now(), sheet };
}
/** This moment's mixture of the pixels before and now; null when the morph is over. */
function mixMorph(matrix) {
  const { morph, picture } = matrix, { n, m } = matrix.grid;
  const t = Math.min(1, (performance.now() - morph.start) / MORPH), ease = smooth(t);
  if (t === 1) return (matrix.morph = null);
  const mix = new ImageData(m, n), a = morph.from, b = picture.colours.data;
  for (let i = 0; i < b.length; i++) mix.data[i] = a[i] + (b[i] - a[i]) * ease;
  morph.sheet.getContext("2d").putImageData(mix, 0, 0);
  return morph.sheet;
}

/** The visible part of the picture at its full size, with hatching, numbers and signs, on the cached bitmap. */
export function paintBase(matrix) {
  const { grid, base } = matrix, { width: w, height: h, n, m } = grid;
  const ratio = window.devicePixelRatio || 1;
  const pixels = Math.min(grid.cellWidth, grid.cellHeight) * ratio, block = pixels >= 1 ? 1 : Math.ceil(1 / pixels);
  if (matrix.picture?.block !== block) matrix.picture = develop(matrix, block);
  const { picture } = matrix;
  matrix.foot.classList.toggle("coarse", block > 1);
  const context = fitCanvas(base, w, h);
  const stretch = (target, sheet) => {
    const part = [grid.x / block, grid.y / block, m / grid.zoom / block, n / grid.zoom / block];
    target.imageSmoothingEnabled = false;
    target.drawImage(sheet, ...part, 0, 0, w, h);
  };
  stretch(context, (matrix.morph && mixMorph(matrix)) || picture.sheet);
  if (picture.masks) {
    const { stencil } = matrix, s = fitCanvas(stencil, w, h);
    // Hatching repeats every 4 px, so a tile of it fills the plot many times faster than its lines would.
    const tile = document.createElement("canvas"), column = matrix.header.left_out ?? null;
    const cover = (left, width, leftOut) => {
      hatch(fitCanvas(tile, 64, 64), 0, 0, 64, 64, matrix.theme.mode === "light" ? "#b9bac6" : "#4a4d5b", leftOut);
      s.save();
      s.setTransform(1, 0, 0, 1, 0, 0);
      s.fillStyle = s.createPattern(tile, "repeat");
      s.clearRect(left * ratio, 0, width * ratio, stencil.height);
      s.fillRect(left * ratio, 0, width * ratio, stencil.height);
      s.restore();
    };
    cover(0, w, false);
    if (column !== null) cover(grid.leftOf(column) - grid.left, grid.cellWidth, true);
    s.globalCompositeOperation = "destination-in";
    stretch(s, picture.masks);
    context.drawImage(stencil, 0, 0, w, h);
  }
  paintCells(matrix, context);
}

/** What single cells carry besides colour: numbers, crosses for NaN, notches for clipped values. */
function paintCells(matrix, context) {
  const { grid, theme, values } = matrix, { scale } = matrix.header, { n, m } = grid;
  const cw = grid.cellWidth, ch = grid.cellHeight, text = cw >= TEXT_FROM && ch >= 15;
  if (!text && (Math.min(cw, ch) < 6 || !(matrix.has(STATE.nan) || matrix.has(STATE.clipped)))) return;
  const most = Math.max(Math.abs(scale.low), Math.abs(scale.high)) || 1;
  let places = scale.whole ? 0 : clamp(2 - Math.floor(Math.log10(most)) + (cw >= 52 && most <= 1 ? 1 : 0), 0, 6);
  let size = cw >= 44 ? 12 : 11;
  if (scale.low < 0) {
    // A sign takes a letter's width: all are set so that the longest with a sign has room, and none is left out beside others.
    context.font = `10px ${theme.mono}`;
    const at10 = () => context.measureText(`−${decimals(most, places)}`).width;
    while (places > 1 && at10() > cw - 7) places -= 1;
    size = clamp(Math.floor((10 * (cw - 7)) / at10()), 9, size);
  }
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.font = `${size}px ${theme.mono}`;
  for (let row = Math.floor(grid.y); row < Math.min(n, grid.y + n / grid.zoom); row++)
    for (let column = Math.floor(grid.x); column < Math.min(m, grid.x + m / grid.zoom); column++) {
      const i = row * m + column, state = matrix.stateAt(i), x = grid.leftOf(column) - grid.left, y = grid.topOf(row) - grid.top;
      if (state === STATE.nan) cross(context, x + cw / 2, y + ch / 2, Math.min(5, Math.min(cw, ch) * 0.28), theme.text);
      else if (state !== STATE.masked) {
        const ink = inkOn(theme, scale, values[i]);
        if (state === STATE.clipped) notch(context, x + cw, y, Math.min(9, cw * 0.3), ink);
        if (!text) continue;
        const label = decimals(values[i], places), nil = +label === 0;
        const half = context.measureText(label).width / 2, centre = x + cw / 2;
        if (half > cw / 2 - 1 || centre < half || centre + half > grid.width) continue;
        context.fillStyle = nil ? theme.faint : ink;
        context.fillText(label, x + cw / 2, y + ch / 2 + 0.5);
      }
    }
}
export function notch(context, right, y, size, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(right - size, y), context.lineTo(right, y), context.lineTo(right, y + size);
  context.fill();
}
