// One matrix of weights or scores: tokens on both axes, colour for the value, hover and selection without asking Python.
// This part holds the state; the grid says where cells are, the others draw, write and listen.

import { fitCanvas } from "../shared/canvas.js";
import { el, focusable, mount, spokenLine, watchWidth } from "../shared/dom.js";
import { reducedMotion } from "../shared/numbers.js";
import { STATE, unpack } from "../shared/payload.js";
import { AFTER_SUMS, Sums } from "../shared/sums.js";
import { announceHover, axesOf, listenFonts, listenHover, outside, shared, within } from "../shared/sync.js";
import { readTheme } from "../shared/theme.js";
import { drawFrame } from "./draw.js";
import { Grid } from "./grid.js";
import { listenInput } from "./input.js";
import { beginMorph, develop } from "./picture.js";
import { Scrub } from "./scrub.js";
import { fillFoot, fillReadout } from "./words.js";

const MORPH_CELLS = 16384; // more than these change at once: mixing them would take longer than a frame

class Matrix {
  constructor(shadow) {
    this.shadow = shadow;
    this.root = el("div", "headlight matrix", shadow);
    this.scrub = new Scrub(this.root, () => this.turn(), (step) => this.send("step", step));
    this.readout = el("div", "readout", this.root);
    this.canvas = focusable(el("canvas", "", this.root));
    this.sums = new Sums(this.root, () => this.chosen && this.selection.flush());
    this.foot = el("div", "foot", this.root);
    this.live = spokenLine(this.root);
    this.screen = this.canvas.getContext("2d");
    this.base = document.createElement("canvas");
    this.stencil = document.createElement("canvas");
    this.grid = new Grid();
    this.hover = { row: null, column: null };
    this.foreign = { row: null, column: null }; // what is hovered in another figure
    this.selection = shared((value) => this.send("select", value));
    this.width = this.frame = this.drawn = 0;
    this.stale = true; // the cached picture is not the one to show
    this.fresh = false; // new data has not been shown yet
    this.picture = this.morph = null;
    listenInput(this);
    const resized = (width) => {
      if (!this.header || width === this.width) return;
      this.width = width;
      this.arrange();
    };
    this.stops = [
      watchWidth(this.root, resized),
      listenHover((detail) => this.hear(detail)),
      listenFonts(() => this.header && this.width && this.arrange()),
    ];
    this.root.__cell = (row, column) => {
      const box = this.canvas.getBoundingClientRect();
      return { x: box.left + this.grid.leftOf(column + 0.5), y: box.top + this.grid.topOf(row + 0.5) };
    };
  }

  update(bytes) {
    const { grid, selection, root, canvas } = this;
    const before = { mode: this.theme?.mode, block: this.picture?.block, pixels: this.picture?.colours.data };
    const header = (this.header = unpack(bytes));
    this.theme = readTheme(this.shadow);
    this.scrub.update(header);
    this.takeLayer();
    const [n, m] = header.arrays.values.shape.slice(-2), same = n === grid.n && m === grid.m;
    if (!same) grid.resize(n, m);
    Object.assign(this.foreign, { row: null, column: null });
    selection.answer(header.selection ?? null);
    const { row, column } = selection.value ?? { row: 0, column: 0 };
    if (row >= n || column >= m) selection.value = header.selection ?? null;
    if (!same) this.setHover(null, null);
    this.note();
    canvas.setAttribute("aria-label", header.words.alt || "");
    canvas.setAttribute("aria-description", header.words.help || "");
    this.width = Math.floor(root.clientWidth);
    this.picture = this.morph = null;
    this.fresh = true;
    if (this.width) this.arrange();
    const alike = same && before.block === 1 && before.mode === this.theme.mode;
    if (this.width && alike && n * m && n * m <= MORPH_CELLS && !reducedMotion()) {
      this.picture = develop(this, 1);
      this.morph = beginMorph(this, before.pixels);
    }
    this.sums.point(header.sums, header.words);
    fillFoot(this);
    fillReadout(this);
    this.moved();
  }

  takeLayer() {
    const { values, state } = this.header.arrays;
    this.values = this.scrub.layer(values);
    this.states = state && this.scrub.layer(state);
    this.header.rows = this.scrub.rows(this.header);
    this.present = new Set(this.states || []);
    if (!this.has(STATE.nan) && this.values.some(Number.isNaN)) this.present.add(STATE.nan);
  }
  /** The cells of another step, at once: a slider is not waited for. */
  turn() {
    this.takeLayer();
    this.picture = this.morph = null;
    this.fresh = true;
    fillReadout(this);
    if (this.header.rows_at && this.width) this.arrange();
    this.moved();
  }

  destroy() {
    this.scrub.end();
    this.scrub.mark(false);
    if (this.header) this.setHover(null, null);
    cancelAnimationFrame(this.frame);
    this.selection.stop();
    for (const stop of this.stops) stop();
    this.root.remove();
  }

  /** Whether any cell is in this state. */
  has(state) {
    return this.present.has(state);
  }
  stateAt(i) {
    const state = this.states ? this.states[i] : STATE.plain;
    return state !== STATE.masked && Number.isNaN(this.values[i]) ? STATE.nan : state;
  }

  // ---- layout and frames
  arrange() {
    this.grid.arrange(this.screen, this.header, this.theme, this.width);
    fitCanvas(this.canvas, this.width, this.grid.total);
    this.moved();
  }
  /** Other cells are in sight, or the same ones elsewhere. */
  moved() {
    this.canvas.style.touchAction = this.grid.zoom > 1 ? "none" : "pan-y";
    this.stale = true;
    this.schedule();
  }
  schedule() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }
  draw() {
    this.frame = 0;
    if (!this.width || !this.grid.n || !this.grid.m) return;
    drawFrame(this);
    if (this.morph) this.schedule();
    else if (this.fresh) {
      this.fresh = false;
      this.canvas.dataset.drawn = String((this.drawn += 1));
      window.performance.mark("headlight-matrix-drawn");
    }
  }

  // ---- hover and selection
  setHover(row, column) {
    const { hover, header } = this, before = { ...hover };
    if (row === before.row && column === before.column) return;
    Object.assign(hover, { row, column });
    if (row !== before.row) announceHover(header.row_side, outside(row, header.row_start), this, "query");
    if (column !== before.column) announceHover(header.column_side, outside(column, header.column_start), this, "key");
    fillReadout(this);
    this.schedule();
  }
  hear(detail) {
    if (detail.source === this || !this.header) return;
    const { foreign, grid, header } = this, { index } = detail;
    const axes = axesOf(detail, { query: header.row_side, key: header.column_side });
    if (axes.includes("query")) foreign.row = within(index, grid.n, header.row_start);
    if (axes.includes("key")) foreign.column = within(index, grid.m, header.column_start);
    this.schedule();
  }
  /** By a click at once, that is after the arithmetic of the cell; by keys when the last one is pressed. */
  select(row, column, delay) {
    this.chosen = delay === undefined;
    this.selection.set({ row, column }, this.header.sums ? (delay ?? AFTER_SUMS) : delay);
    this.note();
    fillReadout(this, this.chosen);
    this.schedule();
  }
  /** The selection where a test or a style sheet can read it. */
  note() {
    const { row = "", column = "" } = this.selection.value ?? {};
    Object.assign(this.canvas.dataset, { row, column });
  }
}

export default (component) => mount(component, Matrix);
