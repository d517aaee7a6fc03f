// Sizes: every matrix gets what it needs to be read, the rest of the width is shared. A block is one matrix or one operator.

import { el } from "../shared/dom.js";
import { clamp, cut } from "../shared/numbers.js";
import { indexed, nameOf, printed, textOf } from "./text.js";

const SMALLEST_PRINT = { width: 34, height: 18 }; // px a cell needs before its number is printed
export const AIR = 12; // px on both sides of an operator

export const isOperator = (block) => block.operator !== undefined;

function prepareOperator(item, figure) {
  const node = el("div", "operator", figure, item.operator);
  return { item, node, operator: item.operator, width: node.offsetWidth };
}

/** What a matrix wants: its height, the least and the most width of its cells, the width of its name. */
function prepareMatrix(equation, item) {
  const { header, measure } = equation, { data, shape } = equation.array(item.matrix), [rows, columns] = shape;
  const tall = (header.max_height || 170) / rows;
  const cap = header.items.some((other) => other.matrix && other.digits !== 0) ? 24 : 30; // one cap a figure: the band stays level
  const height = tall >= 3 ? clamp(Math.floor(tall), 3, cap) : tall;
  let most = clamp(height * 1.5, 2, 40);
  let least = Math.min(columns * most, Math.max(20, Math.min(columns * 1.4, 84)));
  let fits = SMALLEST_PRINT.width;
  const numbered = item.digits != null && height >= SMALLEST_PRINT.height && columns <= 16;
  if (numbered) {
    let longest = 1;
    for (const value of data) longest = Math.max(longest, printed(value, item.digits).length);
    fits = item.digits === 0 ? Math.min(SMALLEST_PRINT.width, longest * 9 + 14) : SMALLEST_PRINT.width;
    most = clamp(longest * 8.4 + 12, SMALLEST_PRINT.width + (item.digits === 0 ? 4 : 0), 62);
    least = columns * fits;
  }
  measure.font = "italic 17px Georgia, serif";
  let slot = Math.max(22, measure.measureText(nameOf(item)).width + 2); // a narrow column still needs room for its name
  measure.font = "12px system-ui, sans-serif";
  slot = Math.ceil(Math.max(slot, measure.measureText(item.shape ?? "").width + 2));
  const state = header.arrays[`${item.matrix}.state`]?.data;
  // Words that another matrix of the figure has on the same axis name this one's cells too.
  const borrowed = (axis, mark, count) =>
    item[axis] ?? header.items.find((o) => o[axis]?.length === count && o[mark] != null && item[mark] != null)?.[axis];
  const names = [borrowed("rows", "highlight_row", rows), borrowed("columns", "highlight_column", columns)];
  return { item, names, fits, slot, values: data, state, shape, rows, columns, height, most, least };
}

/** The words beside a matrix; `seen` are those that its line has already. One that opens a further line is named again. */
function labelRows(equation, block, seen, opens = false) {
  const { measure, theme } = equation, list = (block.named = opens ? block.names[0] : block.item.rows);
  const key = list?.map((_, i) => textOf(list, i)).join("\n");
  block.labels = list && !indexed(list) && !seen.has(key) ? list.map((_, i) => cut(textOf(list, i), textOf(list, i).includes("▸") ? 17 : 10)) : null;
  if (block.labels) seen.add(key);
  measure.font = `12px ${theme.mono}`;
  block.left = block.labels ? Math.ceil(Math.max(...block.labels.map((text) => measure.measureText(text).width))) + 10 : 0;
}

/** The blocks of all items in lines that fit the width. */
export function breakLines(equation, width) {
  const units = []; // an operator never ends a line: it travels with the matrix after it
  let waiting = [];
  for (const item of equation.header.items) {
    waiting.push(item.operator !== undefined ? prepareOperator(item, equation.figure) : prepareMatrix(equation, item));
    if (item.matrix) [waiting] = [[], units.push(waiting)];
  }
  if (waiting.length) units.push(waiting);
  const lines = [[]];
  const seen = new Set(); // the same words are written once a line
  const least = (block) => (isOperator(block) ? block.width + 2 * AIR : block.left + Math.max(block.least, block.slot));
  const need = (line) => line.reduce((sum, block) => sum + least(block), 0);
  for (const unit of units) {
    const block = unit.at(-1);
    if (!isOperator(block)) labelRows(equation, block, seen);
    if (lines.at(-1).length && need([...lines.at(-1), ...unit]) > width) {
      lines.push([]);
      seen.clear();
      if (!isOperator(block)) labelRows(equation, block, seen, true);
    }
    lines.at(-1).push(...unit);
  }
  for (const line of lines) shareWidth(equation, line, width);
  return lines;
}

/** Widths within one line: more columns get more, but less than in proportion. */
function shareWidth(equation, line, width) {
  const matrices = line.filter((block) => !isOperator(block));
  const fixed = line.reduce((sum, block) => sum + (isOperator(block) ? block.width + 2 * AIR : block.left), 0);
  const want = (block, t) => clamp(t * Math.sqrt(block.columns), block.least, block.columns * block.most);
  let [low, high] = [0, 400];
  for (let k = 0; k < 30; k++) {
    const t = (low + high) / 2;
    if (matrices.reduce((sum, block) => sum + Math.max(want(block, t), block.slot), fixed) <= width) low = t;
    else high = t;
  }
  for (const block of matrices) {
    const room = matrices.length === 1 ? width - fixed : width - block.left; // a matrix alone leaves its operator room
    let cell = Math.min(want(block, low), room) / block.columns;
    if (cell >= 4) cell = Math.floor(cell);
    block.cell = cell;
    block.width = cell * block.columns;
    block.tall = block.height * block.rows;
    block.prints = block.item.digits != null && cell >= block.fits && block.height >= SMALLEST_PRINT.height;
    labelColumns(equation, block);
  }
}

/** The words above a matrix: level where they fit a cell, else on a slant. */
function labelColumns({ measure, theme }, block) {
  const heads = block.item.columns, { cell } = block;
  block.heads = null;
  if (heads && cell >= 14 && !indexed(heads)) block.heads = heads.map((_, j) => cut(textOf(heads, j), 8));
  measure.font = `11.5px ${theme.mono}`;
  const widest = block.heads ? Math.max(...block.heads.map((text) => measure.measureText(text).width)) : 0;
  block.slanted = widest > cell - 2;
  block.above = !block.heads ? 4 : block.slanted ? Math.ceil(widest * 0.75) + 14 : 20;
}
