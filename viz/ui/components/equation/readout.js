// The cell under the pointer: its value, what it is computed from in words, and those cells marked in the figure.

import { el, svg } from "../shared/dom.js";
import { fill } from "../shared/numbers.js";
import { STATE } from "../shared/payload.js";
import { nameOf, precise, printed, symbol, textOf } from "./text.js";

const TERMS = 4; // products written out before "+ n more"

const valueAt = (block, i, j) => block.values[i * block.columns + j];

export function fillReadout(equation) {
  equation.marks?.remove();
  const { readout, cell, header } = equation;
  const block = cell && equation.find(cell.matrix);
  writeSums(equation, block?.item.weights ? cell : null);
  readout.replaceChildren();
  readout.classList.toggle("faint", !block);
  if (!block || cell.row >= block.rows || cell.column >= block.columns) {
    readout.textContent = header.words.help || "";
    return;
  }
  const { row, column } = cell;
  equation.marks = svg("g", equation.over, {});
  const link = header.link?.result === cell.matrix ? header.link : null;
  const part = writeName(readout, block, row, column);
  if (link?.kind === "product") writeProduct(equation, part, link, block, row, column);
  el("b", "", part, describe(header, block, row, column));
  for (const name of link?.operands || []) {
    const other = equation.find(name);
    if (!other) continue;
    const [i, j] = [Math.min(row, other.rows - 1), Math.min(column, other.columns - 1)]; // a single row or column is broadcast
    if (link.kind === "rows") mark(equation, other, i, 0, 1, other.columns);
    else mark(equation, other, i, j);
    writeName(readout, other, i, j).append(describe(header, other, i, j));
  }
  mark(equation, block, row, column, 1, 1, "here");
}

/** The arithmetic of the pointed weight; where none is pointed at, of the one that was clicked here while it is still selected. */
function writeSums({ sums, header, chosen }, pointed) {
  const item = header.items.find(({ weights }) => weights);
  if (!item) return;
  const place = ({ row, column }) => ({ row: row + item.row_start, column: column + item.column_start });
  if (pointed) return sums.show(place(pointed));
  const at = place({ row: item.highlight_row, column: item.highlight_column });
  const kept = chosen && at.row === chosen.row && at.column === chosen.column;
  sums.show(kept ? at : null, true);
}

/** A frame around cells of the figure. */
function mark(equation, block, i, j, tall = 1, wide = 1, name = "from") {
  const { x, y, cell, height } = block;
  svg("rect", equation.marks, { x: x + j * cell, y: y + i * height, width: wide * cell, height: tall * height, class: name });
}

/** "q[cats, 7] = ", to be gone on with. */
function writeName(readout, block, i, j) {
  const part = el("span", "entry", readout);
  symbol(part, nameOf(block.item));
  part.append("[");
  el("bdi", "", part, textOf(block.names[0], i)); // isolated: right-to-left words leave the brackets in place
  part.append(", ");
  el("bdi", "", part, textOf(block.names[1], j));
  part.append("] = ");
  return part;
}
function describe({ words }, block, i, j) {
  const state = block.state?.[i * block.columns + j];
  const states = { [STATE.masked]: words.masked, [STATE.nan]: words.nan, [STATE.clipped]: words.clipped };
  return [precise(valueAt(block, i, j)), states[state]].filter(Boolean).join(", ");
}

/** The sum of products, written out only where it is what the result says (not under a rotation). */
function writeProduct(equation, part, link, block, row, column) {
  const left = equation.find(link.left), right = equation.find(link.right), { items, words } = equation.header;
  if (!left || !right) return;
  mark(equation, left, row, 0, 1, left.columns);
  mark(equation, right, 0, column, right.rows, 1);
  const after = items.findIndex((item) => item.matrix === link.right) + 1;
  const bias = equation.find(link.bias ?? (items[after]?.operator === "+" ? items[after + 1]?.matrix : null));
  if (bias) mark(equation, bias, 0, column);
  const whole = sumOf(left, right, bias, row, column);
  if (!(Math.abs(whole.value - valueAt(block, row, column)) <= 1e-4 * whole.size + 1e-6)) return;
  const shown = left.columns <= TERMS + 1 ? left.columns : TERMS;
  for (let k = 0; k < shown; k++) {
    part.append(k ? " + " : "", printed(valueAt(left, row, k), left.item.digits));
    el("span", "times", part, "·"); // its own air: "·−" must not read as one sign
    part.append(printed(valueAt(right, k, column), right.item.digits));
  }
  if (left.columns > shown) part.append(` ${fill(words.more, { n: left.columns - shown })}`);
  if (bias) part.append(` + ${printed(valueAt(bias, 0, column), bias.item.digits)}`);
  part.append(" = ");
}
/** The sum, and the size of its terms, by which rounding is judged. */
function sumOf(left, right, bias, row, column) {
  let value = bias ? bias.values[column] : 0;
  let size = Math.abs(value);
  for (let k = 0; k < left.columns; k++) {
    const term = valueAt(left, row, k) * valueAt(right, k, column);
    value += term;
    size += Math.abs(term);
  }
  return { value, size };
}
