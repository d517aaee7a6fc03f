// Drawing of the long lines: all of them once into a bitmap, and over it what is chosen or under the pointer, and names.

import { clipText, fitCanvas } from "../shared/canvas.js";
import { chip, el } from "../shared/dom.js";
import { clamp, fill } from "../shared/numbers.js";

export const HIGH = 640; // px
const NAMES = 15; // px between two names
const FADED = 0.08; // of all lines, while some are under the pointer
const PALE = 0.22; // of all lines beside those of the selected query

function curve(view, context, i) {
  const { lines, left, right } = view, y = view.y("left", lines.row[i]), z = view.y("right", lines.column[i]), half = (left + right) / 2;
  context.moveTo(left, y);
  context.bezierCurveTo(half, y, half, z, right, z);
}
// Both in proportion to the weight; thinner and paler the closer the tokens stand, so that a fan of lines is no blot.
const widthOf = (weight, pitch) => Math.max(0.5, clamp(5 * pitch, 0.8, 3) * weight);
const opacityOf = (weight, pitch) => Math.max(0.05, clamp(1.2 * pitch, 0.35, 0.85) * weight);

/** Every line, the weakest first, a few paths a head. */
export function paintLines(view) {
  const { lines, count, pitch } = view, context = fitCanvas(view.sheet, view.width, HIGH), steps = new Map();
  for (let i = count - 1; i >= 0; i--) {
    const step = Math.min(11, Math.floor(lines.weight[i] * 12)), key = lines.head[i] * 12 + step;
    if (!steps.has(key)) steps.set(key, { head: lines.head[i], step, each: [] });
    steps.get(key).each.push(i);
  }
  for (const { head, each } of [...steps.values()].sort((a, b) => a.step - b.step)) {
    const mean = each.reduce((sum, i) => sum + lines.weight[i], 0) / each.length;
    context.strokeStyle = view.colour(head);
    context.setLineDash(view.dash(head));
    context.globalAlpha = opacityOf(mean, pitch);
    context.lineWidth = widthOf(mean, pitch);
    context.beginPath();
    for (const i of each) curve(view, context, i);
    context.stroke();
  }
}

/** The lines of what is under the pointer, or null. */
export function underPointer(view) {
  const { hover, lines, count } = view, found = [];
  if (!hover) return null;
  if (hover.line !== undefined) return [hover.line];
  const of = hover.side === "left" ? lines.row : lines.column;
  for (let i = 0; i < count; i++) if (of[i] >= hover.from && of[i] < hover.to) found.push(i);
  return found;
}

/** The lines that stand out: under the pointer, or of the token hovered in another figure, or else of the selected query. */
function strongLines(view) {
  const { lines, count, foreign, selection } = view, hovered = underPointer(view);
  if (hovered) return hovered;
  const own = foreign.left !== null || foreign.right === null, of = own ? lines.row : lines.column;
  const wanted = own ? (foreign.left ?? selection.value.row) : foreign.right, found = [];
  for (let i = 0; i < count; i++) if (of[i] === wanted) found.push(i);
  return found;
}

export function drawLines(view) {
  view.frame = 0;
  if (!view.width) return;
  const { header, theme, lines, selection, notes } = view, context = fitCanvas(view.canvas, view.width, HIGH);
  const picked = strongLines(view), { words } = header;
  context.globalAlpha = view.hover ? FADED : picked.length ? PALE : 1;
  context.drawImage(view.sheet, 0, 0, view.width, HIGH);
  for (const i of [...picked].reverse()) {
    const weight = lines.weight[i], stroke = (colour, opacity, width) => {
      context.strokeStyle = colour;
      context.globalAlpha = opacity;
      context.lineWidth = width;
      context.beginPath();
      curve(view, context, i);
      context.stroke();
    };
    context.setLineDash([]);
    stroke(theme.background, 1, 2.3 + 3 * weight); // apart from the pale ones below
    context.setLineDash(view.dash(lines.head[i]));
    stroke(view.colour(lines.head[i]), 0.25 + 0.75 * weight, 0.8 + 3 * weight);
  }
  context.globalAlpha = 1;
  context.setLineDash([]);
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  for (const x of [view.left, view.right]) {
    context.beginPath();
    context.moveTo(Math.round(x) + 0.5, 0), context.lineTo(Math.round(x) + 0.5, HIGH);
    context.stroke();
  }
  const chosen = { left: selection.value.row, right: selection.value.column };
  for (const side of ["left", "right"]) writeNames(view, context, side, chosen[side], picked);
  if (view.canvas.matches(":focus-visible")) {
    context.strokeStyle = theme.accent;
    context.lineWidth = 2;
    context.strokeRect(1, 1, view.width - 2, HIGH - 2);
  }
  fillReadout(view, picked);
  notes.told.textContent = words.drawn;
  notes.legend.textContent = words.legend_far;
  notes.hint.textContent = words.help_far;
  view.root.dataset.lines = view.count;
  view.root.dataset.strong = picked.length;
  view.root.dataset.row = chosen.left;
  view.root.dataset.column = chosen.right;
  view.root.dataset.drawn = String((view.drawn += 1));
}

/** Names beside a side as far as there is room; a faint number for what has none near. */
function writeNames(view, context, side, chosen, picked) {
  const { theme, names, lines, count, foreign } = view, texts = names[side], taken = [], right = side === "right";
  const x = right ? view.right + 8 : view.left - 8, room = view.left - 12;
  const write = (index, strength) => {
    if (index === null || index === undefined || index >= texts.length) return;
    const y = clamp(view.y(side, index), 7, HIGH - 7);
    if (taken.some((other) => Math.abs(other - y) < NAMES)) return;
    taken.push(y);
    context.font = `11px ${theme.mono}`;
    context.textBaseline = "middle";
    context.textAlign = right ? "left" : "right";
    const place = `${index}`, wide = context.measureText(place).width + 6, text = clipText(context, texts[index], room - wide);
    context.fillStyle = theme.faint;
    context.fillText(place, right ? x + context.measureText(text).width + 6 : x - context.measureText(text).width - 6, y);
    context.font = `${strength === "plain" ? "" : "600 "}11px ${theme.mono}`;
    context.fillStyle = strength === "chosen" ? theme.accent : theme.text;
    context.fillText(text, x, y);
    // Where exactly it stands: a name at the upper or lower end may be beside its place.
    context.fillStyle = theme.faint;
    context.fillRect(right ? view.right + 1 : view.left - 4, Math.round(view.y(side, index)), 4, 1);
    if (strength !== "chosen") return;
    context.fillStyle = theme.accent;
    context.fillRect(right ? view.right : view.left - 5, view.y(side, index) - 5, 5, 10);
  };
  const of = right ? lines.column : lines.row;
  write(chosen, "chosen");
  write(foreign[side], "strong");
  for (const i of picked.slice(0, 60)) write(of[i], "strong");
  if (!view.hover) for (let i = 0; i < Math.min(count, 1500) && taken.length < HIGH / NAMES; i++) write(of[i], "plain");
}

function fillReadout(view, picked) {
  const { lines, names, header, selection } = view, { words } = header, parts = [];
  const say = (text, name) => parts.push(el("span", name, null, text));
  const token = (side, index) => {
    parts.push(chip({ text: names[side][index] ?? "" }));
    say(`#${index}`, "faint");
  };
  const chosen = picked.find((i) => lines.row[i] === selection.value.row && lines.column[i] === selection.value.column);
  if (picked.length) {
    const i = view.hover ? picked[0] : (chosen ?? picked[0]); // the strongest: lines are in falling order
    token("left", lines.row[i]);
    say("←", "faint");
    token("right", lines.column[i]);
    say(lines.weight[i].toPrecision(6).replace(/0+$/, ""), "value");
    say(header.heads[lines.head[i]].name, "faint");
    if (picked.length > 1) say(fill(words.more, { n: (picked.length - 1).toLocaleString() }), "faint");
  } else {
    if (!view.hover && view.foreign.right === null) token("left", view.foreign.left ?? selection.value.row);
    say(words.no_line, "faint");
  }
  view.readout.replaceChildren(...parts);
}
