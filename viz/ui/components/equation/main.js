// One step of the arithmetic as pictures: small matrices with the operators between them, read left to right.
// This part holds the state; the others lay out, build, draw and write.

import { fitCanvas, hatch, markNaN } from "../shared/canvas.js";
import { el, mount } from "../shared/dom.js";
import { number, reducedMotion } from "../shared/numbers.js";
import { STATE, unpack } from "../shared/payload.js";
import { AFTER_SUMS, Sums } from "../shared/sums.js";
import { shared } from "../shared/sync.js";
import { ramp, readTheme } from "../shared/theme.js";
import { animate } from "./draw.js";
import { buildFigure } from "./figure.js";
import { fillReadout } from "./readout.js";
import { nameOf, symbol } from "./text.js";

class Equation {
  constructor(shadow) {
    this.shadow = shadow;
    this.root = el("div", "headlight equation", shadow);
    this.figure = el("div", "figure", this.root);
    this.readout = el("div", "readout", this.root);
    this.readout.setAttribute("aria-live", "polite");
    this.selection = shared((value) => this.send("select", value));
    this.sums = new Sums(this.root, () => this.selection.flush());
    this.legend = el("div", "legend faint", this.root);
    this.blocks = []; // the matrices; stays empty while the component is hidden and has no width
    this.cell = null; // {matrix, row, column} under the pointer or the keyboard
    this.chosen = null; // {row, column} of the whole head: the weight that was clicked last
    this.measure = document.createElement("canvas").getContext("2d");
    this.root.__cell = (name, row, column) => this.centre(name, row, column);
    this.observer = new ResizeObserver(() => {
      if (this.header && this.root.clientWidth !== this.width) buildFigure(this);
    });
    this.observer.observe(this.root);
  }
  destroy() {
    cancelAnimationFrame(this.frame);
    this.selection.stop();
    this.observer.disconnect();
    this.root.remove();
  }

  update(bytes) {
    const before = this.blocks;
    cancelAnimationFrame(this.frame);
    this.header = unpack(bytes);
    this.theme = readTheme(this.shadow);
    this.sums.point(this.header.sums, this.header.words);
    const morph = new Map();
    for (const item of this.header.items) {
      if (!item.matrix) continue;
      const { kind, low, high } = item.scale;
      if (!(high > low)) item.scale = { kind, low: kind === "diverging" ? -1 : 0, high: 1 }; // all zeros: still zero's colour
      const { data, shape } = this.array(item.matrix);
      if (this.cell?.matrix === item.matrix && moved(before, item)) this.cell = null; // another token is under the pointer now
      const old = before.find((block) => block.item.matrix === item.matrix && block.item.result);
      const same = old && String(old.shape) === String(shape);
      if (same && item.result && data.some((value, k) => !Object.is(value, old.values[k]))) morph.set(item.matrix, old.values);
    }
    buildFigure(this);
    this.buildLegend();
    if (morph.size && !reducedMotion()) animate(this, morph);
    performance.mark("headlight-equation-drawn");
  }

  /** A matrix by its name; a vector is one row. */
  array(name) {
    const { data, shape } = this.header.arrays[name];
    return { data, shape: shape.length === 2 ? shape : [1, data.length] };
  }
  find(name) {
    return this.blocks.find(({ item }) => item.matrix === name);
  }
  point(cell) {
    this.cell = cell;
    fillReadout(this);
  }
  /** A clicked cell: first its arithmetic, then Python, with its place in the whole head. */
  choose(cell) {
    const { item } = this.find(cell.matrix), at = { row: cell.row + (item.row_start ?? 0), column: cell.column + (item.column_start ?? 0) };
    if (item.weights) this.sums.show((this.chosen = at), true);
    this.selection.set({ matrix: cell.matrix, ...at }, item.weights ? AFTER_SUMS : undefined);
  }
  /** A cell's middle in the window. */
  centre(name, row, column) {
    const block = this.find(name), box = block.canvas.getBoundingClientRect();
    return { x: box.left + (column + 0.5) * block.cell, y: box.top + (row + 0.5) * block.height };
  }

  /** One entry a scale; where there are several, each says whose it is. */
  buildLegend() {
    const { legend, theme, header } = this;
    legend.replaceChildren();
    const scales = new Map();
    for (const item of header.items) {
      if (!item.matrix) continue;
      const key = `${item.scale.kind} ${item.scale.low} ${item.scale.high}`;
      if (!scales.has(key)) scales.set(key, []);
      if (!scales.get(key).some((other) => other.matrix === item.matrix)) scales.get(key).push(item);
    }
    if (header.words.legend) el("span", "", legend, header.words.legend);
    for (const items of scales.values()) {
      const { kind, low, high } = items[0].scale;
      const entry = el("span", "item", legend);
      const whose = scales.size > 1 ? el("span", "", entry) : null;
      for (const [k, item] of (whose ? items : []).entries()) {
        if (k) whose.append(", ");
        symbol(whose, nameOf(item));
      }
      el("span", "", entry, number(low));
      el("span", "ramp", entry).style.background = ramp(theme[kind]);
      el("span", "", entry, number(high));
    }
    this.explain(STATE.masked, header.words.masked);
    this.explain(STATE.nan, header.words.nan);
  }

  /** What cells without a colour mean, where there are such. */
  explain(kind, word) {
    if (!word || !this.blocks.some(({ state }) => state?.includes(kind))) return;
    const entry = el("span", "item", this.legend), context = fitCanvas(el("canvas", "swatch", entry), 14, 14);
    if (kind === STATE.masked) hatch(context, 0, 0, 14, 14, this.theme.faint);
    else markNaN(context, [NaN], null, [1, 1], { width: 14, height: 14 }, this.theme.faint);
    el("span", "", entry, word);
  }
}

/** Whether a long text's window has come to lie elsewhere. */
function moved(before, { matrix, row_start, column_start }) {
  const old = before.find(({ item }) => item.matrix === matrix)?.item;
  return Boolean(old) && (old.row_start !== row_start || old.column_start !== column_start);
}

export default (component) => mount(component, Equation);
