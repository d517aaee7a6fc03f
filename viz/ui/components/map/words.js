// What the map says: its buttons, the cell under the cross hair, what a pixel stands for, and the legend.

import { fitCanvas, hatch } from "../shared/canvas.js";
import { button, el } from "../shared/dom.js";
import { fill, number } from "../shared/numbers.js";
import { ramp } from "../shared/theme.js";
import { MASKED_BYTE, TILE } from "./tiles.js";

/** Head, zoom and "go to" in one row; kept while only the head changes, so that the field keeps what was typed. */
export function fillBar(map) {
  const { bar, header } = map, { words } = header;
  if (bar.dataset.words !== words.go) {
    bar.replaceChildren();
    bar.dataset.words = words.go;
    const heads = el("div", "group", bar);
    button("step", heads, words.before, () => map.turnTo(map.head - 1)).textContent = "‹";
    map.headName = el("span", "head", heads);
    button("step", heads, words.after, () => map.turnTo(map.head + 1)).textContent = "›";
    const zoom = el("div", "group", bar);
    const middle = () => [(map.box.x + map.box.right) / 2, (map.box.y + map.box.bottom) / 2];
    button("step", zoom, words.closer, () => map.zoomAt(...middle(), 2)).textContent = "+";
    button("step", zoom, words.farther, () => map.zoomAt(...middle(), 0.5)).textContent = "−";
    button("plain", zoom, null, () => map.whole()).textContent = words.whole;
    const field = el("input", "go", bar);
    Object.assign(field, { type: "search", placeholder: words.go, maxLength: 80 });
    field.setAttribute("aria-label", words.go);
    field.addEventListener("input", () => field.classList.remove("missing"));
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") field.classList.toggle("missing", !map.goTo(field.value));
    });
  }
  map.headName.textContent = fill(words.head, { head: map.head });
}

/** Query, key and weight; exact where the row is here, else as the colour says. */
export function describeCell(map, { row, column }) {
  const { header, tiles } = map, { words } = header;
  const exact = tiles.profiles.get(`${tiles.base}/${tiles.head}/row/${row}`);
  const value = exact ? exact[column] : null;
  return {
    query: `${header.rows[row] ?? ""} (${row})`, key: `${header.columns[column] ?? ""} (${column})`,
    weight: value === null || value === undefined ? "…" : value === 0 && maskedAt(map, row, column) ? words.masked : number(value),
  };
}
/** Whether the finest tile at hand says that the cell is masked. */
function maskedAt({ tiles }, row, column) {
  const tile = tiles.find(0, Math.floor(row / TILE), Math.floor(column / TILE));
  return tile ? tile.bytes[(row % TILE) * tile.columns + (column % TILE)] === MASKED_BYTE : false;
}

export function fillMapReadout(map) {
  const { readout, foot, header, at, level, tiles, theme } = map, { words } = header;
  readout.replaceChildren();
  if (tiles.failed) el("span", "failed", readout, words.failed);
  else if (at) {
    const said = describeCell(map, at);
    for (const [name, text] of [[words.query, said.query], [words.key, said.key]]) {
      el("span", "faint", readout, name);
      el("bdi", "token", readout, text);
    }
    el("span", "faint", readout, words.value);
    el("b", "", readout, said.weight);
  } else el("span", "faint", readout, words.help);
  const chosen = map.selection.value;
  map.sums.show(tiles.failed ? null : at, Boolean(at && chosen && chosen.row === at.row && chosen.column === at.column));
  const step = 2 ** level, key = `${level} ${header.how} ${theme.mode} ${words.scale} ${tiles.busy}`;
  if (foot.dataset.key === key) return;
  foot.dataset.key = key;
  foot.replaceChildren();
  el("span", "", foot, "0");
  el("span", "ramp", foot).style.background = ramp(theme.sequential, 17);
  el("span", "", foot, "1");
  el("span", "", foot, words.scale);
  el("span", "level", foot, level ? fill(header.how === "max" ? words.largest : words.average, { step: step.toLocaleString("en") }) : words.exact);
  const masked = el("span", "key", foot), context = fitCanvas(el("canvas", "swatch", masked), 14, 14);
  hatch(context, 0, 0, 14, 14, theme.faint);
  context.strokeStyle = theme.line;
  context.strokeRect(0.5, 0.5, 13, 13);
  el("span", "", masked, words.masked);
  if (tiles.busy) el("span", "busy", foot, words.loading);
}

/** A pattern of fine strokes that does not grow with the zoom. */
export function hatching(theme) {
  const paper = Object.assign(document.createElement("canvas"), { width: 6, height: 6 }), context = paper.getContext("2d");
  context.strokeStyle = theme.line;
  context.lineWidth = 0.8;
  context.beginPath();
  for (const d of [-6, 0, 6]) context.moveTo(d, 6), context.lineTo(d + 6, 0);
  context.stroke();
  return context.createPattern(paper, "repeat");
}
