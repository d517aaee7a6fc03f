// The pictures of all heads, drawn once into a bitmap; what is hovered, selected and picked goes over a copy of it.

import { fitCanvas } from "../shared/canvas.js";
import { GAP } from "./plan.js";

const TOP = 253, BEYOND = 254, BROKEN = 255; // bytes of a picture: as in viz/atlas/atlas.py
const NOTCHED = 7; // px: a cell with room for a corner cut out

/** Which bins each of `count` pixels stands for: [first, last] of each; a bin that is smaller than a pixel is not lost. */
function binsOf(count, bins) {
  return Array.from({ length: count }, (_, i) => {
    const first = Math.floor((i * bins) / count);
    return [first, bins > count ? Math.max(first, Math.ceil(((i + 1) * bins) / count) - 1) : first];
  });
}

/** One head as `edge` × `edge` pixels; of several bins in a pixel the largest is shown, as in the bins themselves. */
function developHead(atlas, index, edge) {
  const { site, head } = atlas.head(index), { arrays } = atlas.header, { theme } = atlas;
  const { data, shape: [, rows, columns] } = arrays[site.pictures], mask = site.mask && arrays[site.mask].data;
  const image = new ImageData(edge, edge), table = theme.sequential, last = table.length / 3 - 1;
  const across = binsOf(edge, columns), from = head * rows * columns, grey = theme.mode === "light" ? 150 : 120;
  binsOf(edge, rows).forEach(([top, bottom], y) => across.forEach(([left, right], x) => {
    let most = 0, open = false, broken = false;
    for (let i = top; i <= bottom; i++) for (let j = left; j <= right; j++) {
      const at = i * columns + j, value = data[from + at];
      if (mask && mask[at]) continue;
      open = true;
      if (value === BROKEN) broken = true;
      else if (value > most) most = value;
    }
    const p = 4 * (y * edge + x), colour = 3 * Math.round(Math.min(1, most / TOP) * last);
    for (let k = 0; k < 3; k++) image.data[p + k] = broken ? grey : table[colour + k];
    image.data[p + 3] = open ? 255 : 0;
  }));
  const paper = Object.assign(document.createElement("canvas"), { width: edge, height: edge });
  paper.getContext("2d").putImageData(image, 0, 0);
  return paper;
}

/** The same, kept: a click or another order brings the same pictures again, and making them is most of the work. */
function paperOf(atlas, index, edge) {
  const { site, head } = atlas.head(index), { data, shape: [, rows, columns] } = atlas.header.arrays[site.pictures];
  const own = data.subarray(head * rows * columns, (head + 1) * rows * columns), mask = site.mask && atlas.header.arrays[site.mask].data;
  const key = `${site.site}.${head} ${edge} ${atlas.theme.mode} ${columns}`, kept = atlas.papers.get(key);
  if (kept && sameBytes(kept.own, own) && sameBytes(kept.mask, mask)) return kept.paper;
  const paper = developHead(atlas, index, edge);
  atlas.papers.set(key, { own, mask, paper });
  return paper;
}
const sameBytes = (a, b) => a === b || Boolean(a && b && a.length === b.length && a.every((byte, i) => byte === b[i]));

/** Hatching where every cell of a bin is masked, then the head's picture, then its edge. */
export function drawHead(atlas, context, index, x, y, edge) {
  const { site } = atlas.head(index), { theme } = atlas;
  if (site.pictures) {
    if (site.mask) {
      context.fillStyle = atlas.hatching(context);
      context.fillRect(x, y, edge, edge);
    }
    const ratio = window.devicePixelRatio || 1;
    context.imageSmoothingEnabled = false;
    const size = Math.round(edge * ratio);
    context.drawImage(edge === atlas.plan.edge ? paperOf(atlas, index, size) : developHead(atlas, index, size), x, y, edge, edge);
  }
  if (site.pictures) notchBeyond(atlas, context, index, x, y, edge);
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  context.setLineDash(site.pictures ? [] : [3, 3]);
  context.strokeRect(x - 0.5, y - 0.5, edge + 1, edge + 1);
  context.setLineDash([]);
}

/** What is larger than where the colours end has a corner cut out, as in one head's matrix. */
function notchBeyond(atlas, context, index, x, y, edge) {
  const { site, head } = atlas.head(index), { data, shape: [, rows, columns] } = atlas.header.arrays[site.pictures];
  const [wide, high] = [edge / columns, edge / rows], size = Math.min(9, 0.4 * wide), from = head * rows * columns;
  if (Math.min(wide, high) < NOTCHED) return;
  context.fillStyle = atlas.theme.background;
  for (let at = 0; at < rows * columns; at++) {
    if (data[from + at] !== BEYOND) continue;
    const right = x + ((at % columns) + 1) * wide, top = y + Math.floor(at / columns) * high;
    context.beginPath();
    context.moveTo(right - size, top), context.lineTo(right, top), context.lineTo(right, top + size);
    context.fill();
  }
}

export function paintAtlas(atlas) {
  const { plan, theme, base } = atlas, context = fitCanvas(base, atlas.width, plan.height + 4);
  context.textBaseline = "alphabetic";
  context.font = `600 13px ${theme.font}`;
  context.fillStyle = theme.text;
  for (const { text, x, y } of plan.titles) context.fillText(text, x, y);
  context.font = `11px ${theme.font}`;
  context.textBaseline = "middle";
  context.fillStyle = theme.faint;
  for (const { text, x, y } of plan.labels) context.fillText(text, x, y);
  if (atlas.papers.size > 3 * plan.places.length) atlas.papers.clear(); // of other widths and texts
  plan.places.forEach(({ x, y }, index) => {
    drawHead(atlas, context, index, x, y, plan.edge);
    drawName(atlas, context, index, theme.faint, "");
  });
}

const nameFont = (edge, theme, weight) => `${weight} ${edge < 30 ? 9 : edge < 44 ? 10 : 11}px ${theme.font}`;
/** The head's number under its picture, with the number it is ordered by where there is room. */
function drawName(atlas, context, index, colour, weight) {
  const { plan, theme } = atlas, { x, y } = plan.places[index];
  context.font = nameFont(plan.edge, theme, weight);
  context.textAlign = "center";
  context.textBaseline = "alphabetic";
  context.fillStyle = colour;
  const [short, value] = [atlas.shortName(index), atlas.header.valued ? atlas.shortValue(index) : ""];
  const centre = x + plan.edge / 2, below = y + plan.edge + 12.5, long = `${short} · ${value}`;
  const line = value && !atlas.header.parts && context.measureText(long).width <= plan.edge ? long : short;
  context.fillText(line, centre, below);
  if (value && atlas.header.parts) {
    context.font = nameFont(plan.edge, theme, "");
    context.globalAlpha = colour === theme.faint ? 0.8 : 1;
    context.fillText(value, centre, below + 12);
    context.globalAlpha = 1;
  }
  context.textAlign = "left";
}

/** A ring around a head, `out` px from its picture. */
function ring(context, { x, y }, edge, colour, width, out) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  context.roundRect(x - out, y - out, edge + 2 * out, edge + 2 * out, 2.5);
  context.stroke();
}

export function drawAtlas(atlas) {
  const { screen, base, plan, theme, width } = atlas, ratio = window.devicePixelRatio || 1;
  screen.clearRect(0, 0, width, plan.height + 4);
  screen.drawImage(base, 0, 0, base.width / ratio, base.height / ratio);
  const chosen = atlas.indexOf(atlas.selection.value), keyboard = atlas.canvas.matches(":focus-visible");
  plan.places.forEach((place, index) => {
    const isPicked = atlas.isPicked(index);
    if (isPicked) drawPick(atlas, place, index);
    else if (index === chosen) rename(atlas, place, index, theme.accent);
    if (isPicked) ring(screen, place, plan.edge, theme.accent, 1.25, 1.5);
    if (index === chosen) ring(screen, place, plan.edge, theme.accent, 2.5, 2);
    if (index === atlas.hover || (keyboard && index === atlas.cursor)) ring(screen, place, plan.edge, theme.text, 1.5, index === chosen ? 4 : 1);
  });
}
function rename(atlas, { x, y }, index, colour) {
  const { screen, plan, theme } = atlas;
  screen.fillStyle = theme.background;
  screen.fillRect(x - GAP / 2, y + plan.edge + 3, plan.edge + GAP, plan.under - 5);
  drawName(atlas, screen, index, colour, "600");
}
/** A picked head's name stands on the accent, so that picks are found at a glance. */
function drawPick(atlas, { x, y }, index) {
  const { screen, plan, theme } = atlas;
  screen.fillStyle = theme.background;
  screen.fillRect(x - GAP / 2, y + plan.edge + 2, plan.edge + GAP, plan.under - 4);
  screen.fillStyle = theme.accent;
  screen.beginPath();
  screen.roundRect(x - 2, y + plan.edge + 2.5, plan.edge + 4, plan.under - 4.5, 3);
  screen.fill();
  drawName(atlas, screen, index, theme.background, "600");
}
