// One frame of the head view: the cached curves, and over them the chosen and the isolated lines with their weights.

import { clamp, decimals, fill } from "../shared/numbers.js";
import { lane, opacity, readable, thickness, trace } from "./sheet.js";

const FADED = 0.06;

export function drawFrame(view) {
  const { layout, sheet } = view, selection = view.selection.value;
  sheet.paint();
  const context = view.canvas.getContext("2d"), ratio = window.devicePixelRatio || 1, scroll = view.stage.scrollTop;
  const heads = view.visible(), pick = isolated(view);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, layout.width, layout.height);
  context.globalAlpha = pick ? FADED : 1;
  sheet.copy(context, scroll);
  context.translate(0, -scroll);
  if (selection) drawHalo(context, view, selection);
  if (pick)
    for (const head of heads)
      for (const [row, column] of pairs(view, pick)) {
        const weight = view.at(head, row, column);
        if (view.asked(head, row, column) && !view.masked(row, column)) strokeLine(context, view, head, row, column, weight);
      }
  context.globalAlpha = 1;
  context.setLineDash([]);
  if (pick && heads.length) writeWeights(context, view, pick, heads);
  fillNotes(view, pick);
}

/** What is isolated: own hover first, then a query hovered elsewhere on the page where it is sure to be one. */
function isolated({ hover, foreign }) {
  if (hover) return hover;
  return foreign.left !== null && foreign.sure ? { left: foreign.left, right: null } : null;
}
function pairs({ header }, { left, right }) {
  if (left !== null && right !== null) return [[left, right]];
  return left !== null ? header.right.map((_, column) => [left, column]) : header.left.map((_, row) => [row, right]);
}

function strokeLine(context, view, head, row, column, weight) {
  context.strokeStyle = view.colour(head);
  context.setLineDash(view.dash(head));
  context.globalAlpha = Math.max(opacity(weight), 0.25); // an isolated line stays in sight
  context.lineWidth = thickness(view.layout, weight);
  context.beginPath();
  trace(context, view.layout, row, column, lane(view, head));
  context.stroke();
}

/** The chosen pair's line with a rim of the accent colour, both as strong as its weight: a faint pair stays faint. */
function drawHalo(context, view, { row, column }) {
  const { theme, layout } = view, head = view.lead() ?? view.current(), weight = view.at(head, row, column) || 0;
  if (view.masked(row, column)) return;
  context.setLineDash([]);
  // Glow, edge, then page under the line itself, so that the accent never mixes with the head's colour.
  const size = thickness(layout, weight), fine = size < 1.5, own = opacity(weight);
  for (const [extra, tint, alpha] of [[8, theme.accent, 0.2 * own], [fine ? 1 : 3, theme.accent, own], [0, theme.background, fine ? 0 : 1]]) {
    context.strokeStyle = tint;
    context.globalAlpha = alpha;
    context.lineWidth = size + extra;
    context.beginPath();
    trace(context, layout, row, column, lane(view, head));
    context.stroke();
  }
  if (!fine) strokeLine(context, view, head, row, column, weight);
}

/** Beside the other column: a short bar for each shown head and the leading head's weight as a number. */
function writeWeights(context, view, pick, heads) {
  const { layout, theme } = view;
  const outward = pick.left !== null, sign = outward ? 1 : -1, wide = layout.zone > 60;
  const start = outward ? layout.width - layout.zone + 8 : layout.zone - 8, main = view.lead();
  const each = clamp((layout.pitch - 6) / heads.length, 1, 4);
  context.font = `${layout.pitch < 20 ? 10 : 11}px ${theme.mono}`;
  context.textBaseline = "middle";
  context.textAlign = outward ? "left" : "right";
  for (const [row, column] of pairs(view, pick)) {
    if (view.masked(row, column)) continue;
    const y = view.middle(outward ? column : row);
    if (wide)
      heads.forEach((head, i) => {
        const length = 36 * Math.min(1, view.at(head, row, column) || 0);
        const x = sign > 0 ? start : start - length;
        context.fillStyle = view.colour(head);
        context.fillRect(x, y + (i - heads.length / 2) * each, length, Math.max(0.75, each - 0.5));
      });
    const weight = view.at(main, row, column);
    if (main === undefined || !view.asked(main, row, column)) continue;
    context.fillStyle = theme.text;
    context.fillText(decimals(weight, wide ? 3 : 2), start + sign * (wide ? 43 : 0), y + 0.5);
  }
}

function fillNotes(view, pick) {
  const { header, notes, sheet } = view, { words } = header, main = view.lead();
  notes.legend.textContent = words.legend;
  notes.told.textContent = tellDrawn(words, sheet.told);
  const { asked } = sheet.told, crowded = asked > readable(view.visible());
  notes.every.hidden = !crowded;
  if (crowded) notes.every.textContent = fill(view.every ? words.fewer : words.every, { asked: asked.toLocaleString() });
  notes.hint.textContent = pick && main !== undefined ? fill(words.share, { head: header.heads[main].name }) : words.help;
}

/** How many lines are drawn of how many, and what they hold, as exact numbers. */
function tellDrawn(words, { drawn, asked, cells, share }) {
  const values = {
    n: drawn.toLocaleString(), asked: asked.toLocaleString(), m: cells.toLocaleString(), more: (asked - drawn).toLocaleString(),
    share: `${decimals(100 * share, share > 0.9995 && share < 1 ? 3 : 1)} %`,
  };
  return fill(words.drawn, values) + (asked > drawn ? ` ${fill(words.strongest, values)}` : "");
}
