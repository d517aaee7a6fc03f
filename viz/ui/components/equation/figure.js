// The figure: the blocks in their places, the words on their axes, and the band that carries the query through them.

import { el, svg } from "../shared/dom.js";
import { clamp, fill } from "../shared/numbers.js";
import { drawBlock } from "./draw.js";
import { AIR, breakLines, isOperator } from "./layout.js";
import { fillReadout } from "./readout.js";
import { nameOf, symbol } from "./text.js";

export function buildFigure(equation) {
  const { root, figure } = equation;
  const active = root.getRootNode().activeElement?.dataset?.matrix;
  equation.width = root.clientWidth;
  if (!equation.width) return;
  figure.replaceChildren();
  equation.over = svg("svg", figure, { class: "over", "aria-hidden": "true" });
  equation.marks = null;
  equation.blocks = [];
  let y = 0;
  for (const line of breakLines(equation, equation.width)) y = placeLine(equation, line, y);
  figure.style.height = `${y - 8}px`;
  for (const [key, value] of [["width", equation.width], ["height", y]]) equation.over.setAttribute(key, value);
  drawBand(equation);
  figure.append(equation.over);
  for (const block of equation.blocks) drawBlock(equation, block, block.values);
  if (active) equation.find(active)?.canvas.focus({ preventScroll: true });
  fillReadout(equation);
}

/** Places a line's blocks from the left on one middle; the top of the next line. */
function placeLine(equation, line, y) {
  const { figure } = equation;
  let [x, up, down] = [0, 0, 0];
  for (const block of line) {
    if (isOperator(block)) {
      block.x = x + (x ? AIR : 0); // no air before an operator that opens a line
      x = block.x + block.width + AIR;
      continue;
    }
    const foot = (block.foot = el("div", "foot faint", figure));
    el("div", "shape", foot, block.item.shape);
    if (block.item.caption) el("div", "", foot, block.item.caption);
    block.head = el("div", "head", figure);
    symbol(block.head, nameOf(block.item));
    const slot = Math.max(block.width, block.slot);
    block.x = Math.round(x + block.left + (slot - block.width) / 2);
    x += block.left + slot;
    foot.style.width = `${slot + 20}px`;
    up = Math.max(up, block.tall / 2 + block.above + 26);
    down = Math.max(down, block.tall / 2 + 8 + foot.offsetHeight);
    equation.blocks.push(block);
  }
  const middle = y + up;
  for (const block of line) {
    if (isOperator(block)) {
      Object.assign(block.node.style, { left: `${block.x}px`, top: `${middle}px` });
      continue;
    }
    block.y = Math.round(middle - block.tall / 2);
    const centre = block.x + block.width / 2;
    Object.assign(block.head.style, { left: `${centre}px`, top: `${block.y - block.above - 24}px` });
    Object.assign(block.foot.style, { left: `${centre - block.foot.offsetWidth / 2}px`, top: `${block.y + block.tall + 6}px` });
    placeCanvas(equation, block);
    writeAxes(equation.over, block);
  }
  return middle + down + 14;
}

function placeCanvas(equation, block) {
  const { item, rows, columns } = block, { matrix } = item;
  const canvas = (block.canvas = el("canvas", item.result ? "result" : "", equation.figure));
  Object.assign(canvas.style, { left: `${block.x}px`, top: `${block.y}px` });
  canvas.tabIndex = 0;
  canvas.dataset.matrix = matrix;
  canvas.setAttribute("role", "application");
  const alt = fill(equation.header.words.alt, { symbol: nameOf(item), shape: item.shape });
  canvas.setAttribute("aria-label", [nameOf(item), item.shape, alt].filter(Boolean).join(", "));
  const point = (i, j) => equation.point({ matrix, row: clamp(i, 0, rows - 1), column: clamp(j, 0, columns - 1) });
  const own = () => (equation.cell?.matrix === matrix ? equation.cell : null);
  const follow = (event) => point(Math.floor(event.offsetY / block.height), Math.floor(event.offsetX / block.cell));
  canvas.addEventListener("pointermove", follow);
  for (const name of ["pointerleave", "blur"]) canvas.addEventListener(name, () => equation.point(null));
  canvas.addEventListener("focus", () => own() || point(item.highlight_row ?? 0, item.highlight_column ?? 0));
  canvas.addEventListener("click", () => equation.cell && equation.choose(equation.cell));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const { row, column } = own() ?? { row: 0, column: 0 };
    if (step) point(row + step[0], column + step[1]);
    else if (event.key === "Enter" || event.key === " ") equation.choose({ matrix, row, column });
    else return;
    event.preventDefault();
  });
}

/** Rows too low for words keep only the query's. */
function writeAxes(over, block) {
  const { item, height, cell } = block, fits = height >= 11;
  const token = (list, i) => (list[i]?.kind === "special" ? "token special" : "token");
  for (const [i, text] of (block.labels || []).entries())
    if (fits || i === item.highlight_row)
      svg("text", over, { x: block.x - 8, y: block.y + (i + 0.5) * height, class: `${token(block.named, i)} row` }, text);
  for (const [j, text] of (block.heads || []).entries()) {
    const [x, y] = [block.x + (j + 0.5) * cell, block.y - 7];
    const turn = block.slanted ? { transform: `rotate(-48 ${x} ${y})` } : {};
    const name = `${token(item.columns, j)} column${block.slanted ? " slanted" : ""}`;
    svg("text", over, { x: block.slanted ? x + 3 : x, y, ...turn, class: name }, text);
  }
}

/** Two hairlines that carry the query's row through every matrix that has it; likewise a column for the key. */
function drawBand({ over, blocks }) {
  const line = (x1, y1, x2, y2, name) => svg("line", over, { x1, y1, x2, y2, class: name });
  for (const [k, block] of blocks.entries()) {
    const { item, x, y, width, tall, height, cell } = block;
    if (item.highlight_row != null) {
      const next = blocks[k + 1];
      const level = next && next.y + next.item.highlight_row * next.height === y + item.highlight_row * height;
      const joined = next?.item.highlight_row != null && next.height === height && level;
      for (const edge of [0, 1]) {
        const at = y + (item.highlight_row + edge) * height;
        line(x - 5, at, x + width + 5, at, "band");
        if (joined && next.x > x) line(x + width + 5, at, next.x - 5, at, "band thin");
      }
    }
    if (item.highlight_column != null)
      for (const edge of [0, 1]) {
        const at = x + (item.highlight_column + edge) * cell;
        line(at, y - 5, at, y + tall + 5, "band");
      }
  }
}
