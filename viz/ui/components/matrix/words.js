// The words around the matrix: the cell in the line above, the legend below, and what a screen reader is told.

import { cross, fitCanvas, hatch } from "../shared/canvas.js";
import { chip, el } from "../shared/dom.js";
import { exact, number } from "../shared/numbers.js";
import { STATE } from "../shared/payload.js";
import { ramp } from "../shared/theme.js";
import { notch } from "./picture.js";

/** A scale's end without trailing zeros: 0.5 and not 0.500. */
const brief = (value) => (exact(value).length > 6 ? number(value) : exact(value));

/** Why a hatched cell is empty: it is left out of the picture, it comes later under a causal mask, or it is masked otherwise. */
function whyEmpty({ header }, row, column) {
  const { words } = header;
  if (column === header.left_out) return words.left_out;
  const later = header.causal && column + header.column_start > row + header.row_start;
  return (later && words.masked_later) || words.masked;
}

/** The cell under the pointer, else the chosen one; `chosen`: it has just been clicked. */
export function fillReadout(matrix, chosen = false) {
  const { header, hover, values } = matrix, { words } = header;
  const free = hover.row === null && hover.column === null;
  const { row, column } = (free && matrix.selection.value) || hover, parts = [];
  const whole = row !== null && column !== null;
  matrix.sums.show(whole && header.sums ? { row: row + header.first[0], column: column + header.first[1] } : null, free || chosen);
  const say = (text, name) => parts.push(el("span", name, null, text));
  if (free && header.said) return matrix.readout.replaceChildren(el("span", "faint help", null, words.help));
  if (row !== null) parts.push(chip(header.rows[row], header.rows[row].text));
  if (row !== null && column !== null) say(words.arrow, "faint");
  if (column !== null) parts.push(chip(header.columns[column], header.columns[column].text));
  if (row !== null && column !== null) {
    const i = row * matrix.grid.m + column, value = values[i], state = matrix.stateAt(i);
    if (state === STATE.masked) {
      const why = whyEmpty(matrix, row, column);
      say(why, "faint why");
      parts.at(-1).title = why;
    } else if (state === STATE.nan) say(words.nan, "faint");
    else {
      say(exact(value), "value"); // once, with every digit
      if (state === STATE.clipped) say(words.clipped, "faint exact");
    }
  }
  if (column !== null && header.notes?.[column]) say(header.notes[column], "faint exact");
  say(words.help, parts.length ? "faint help quiet" : "faint help");
  parts.at(-1).title = words.help;
  matrix.readout.replaceChildren(...parts);
}

export function fillFoot(matrix) {
  const { foot, theme, header } = matrix, { scale, words } = header, { m } = matrix.grid;
  const column = header.left_out ?? null;
  // A column that is left out is hatched too: where nothing else is, that is what hatching says.
  const masked = column === null ? matrix.has(STATE.masked) : matrix.states.some((state, i) => state === STATE.masked && i % m !== column);
  foot.replaceChildren();
  const key = el("span", "key", foot);
  el("span", "end", key, brief(scale.low));
  el("span", "bar", key).style.background = ramp(theme[scale.kind], 17);
  el("span", "end", key, brief(scale.high));
  el("span", "name", foot, words.legend);
  if (header.curve?.length) {
    const item = el("span", "key", foot);
    el("span", "stroke", item);
    el("span", "", item, words.curve);
  }
  const signs = [[STATE.masked, words.masked, masked], [STATE.masked, words.left_out, column !== null]];
  signs.push([STATE.nan, words.nan, matrix.has(STATE.nan)], [STATE.clipped, words.clipped, matrix.has(STATE.clipped)]);
  for (const [kind, word, there] of signs) {
    if (!there) continue;
    const item = el("span", "key", foot), context = fitCanvas(el("canvas", "swatch", item), 14, 14);
    if (kind === STATE.masked) hatch(context, 0, 0, 14, 14, theme.faint, word === words.left_out);
    else if (kind === STATE.nan) cross(context, 7, 7, 4, theme.text);
    else notch(context, 13, 1, 7, theme.text);
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.strokeRect(0.5, 0.5, 13, 13);
    el("span", "", item, word);
  }
  if (words.pooled) el("span", "pooled", foot, words.pooled);
  if (words.thinned) el("span", "thinned", foot, words.thinned);
}

/** The chosen cell in one sentence. */
export function speak(matrix) {
  const { header } = matrix, { words } = header, { row, column } = matrix.selection.value;
  const i = row * matrix.grid.m + column;
  const kinds = { [STATE.masked]: whyEmpty(matrix, row, column), [STATE.nan]: words.nan };
  const what = kinds[matrix.stateAt(i)] ?? `${words.value} ${number(matrix.values[i])}`;
  const names = `${header.row_title} ${header.rows[row].text}, ${header.column_title} ${header.columns[column].text}`;
  matrix.live.textContent = `${names}: ${what}, ${words.selected}`;
}
