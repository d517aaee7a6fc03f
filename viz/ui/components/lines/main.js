// The head view: queries on the left, keys on the right, one curve a pair and head; width and opacity are the weight.
// This part holds the state; the others lay out, draw, and listen.

import { button, el, mount } from "../shared/dom.js";
import { DASHES, fillPills } from "../shared/lines_heads.js";
import { STATE, unpack } from "../shared/payload.js";
import { announceHover, axesOf, listenFonts, listenHover, outside, shared, within } from "../shared/sync.js";
import { readTheme } from "../shared/theme.js";
import { drawFrame } from "./draw.js";
import { listenInput } from "./input.js";
import { Sheet } from "./sheet.js";
import { arrange, chosenPlace, fillTokens, markTokens, revealChosen, WIDEST } from "./tokens.js";

class Lines {
  constructor(shadow) {
    this.shadow = shadow;
    this.root = el("div", "headlight lines", shadow);
    this.pills = el("div", "pills", this.root);
    const titles = el("div", "titles", this.root);
    this.titles = { left: el("span", "left", titles), right: el("span", "right", titles) };
    this.stage = el("div", "stage", this.root);
    this.stage.setAttribute("role", "group");
    this.field = el("div", "field", this.stage);
    this.canvas = el("canvas", "", this.field);
    this.canvas.setAttribute("aria-hidden", "true"); // the tokens are real elements; the group's label tells of the curves
    this.columns = { left: el("div", "column left", this.field), right: el("div", "column right", this.field) };
    const foot = el("div", "foot", this.root);
    this.every = false; // whether all curves that the rule asks for are drawn, however many
    this.notes = { told: el("span", "told", foot), every: button("every", foot, null, () => this.drawEvery()), legend: el("span", "", foot), hint: el("span", "hint", foot) };
    this.chips = { left: [], right: [] };
    this.hover = null; // or {left, right}: both for a line, one of them null for a token
    this.foreign = { left: null, right: null, sure: false }; // what is hovered in another figure
    this.selection = shared((value) => this.send("select", value));
    this.shown = shared((value) => this.send("heads", value));
    this.sheet = new Sheet(this);
    this.n = this.m = this.frame = this.drawn = 0;
    this.fresh = false; // new data has not been shown yet
    listenInput(this);
    const observer = new ResizeObserver(() => {
      const width = Math.min(WIDEST, this.stage.clientWidth);
      if (width && this.layout?.width !== width) this.rearrange();
    });
    observer.observe(this.root);
    this.stops = [
      () => observer.disconnect(),
      listenHover((detail) => this.hear(detail)),
      listenFonts(() => this.rearrange()),
      () => this.selection.stop(),
      () => this.shown.stop(),
    ];
  }

  update(bytes) {
    const header = (this.header = unpack(bytes)), { selection, foreign, hover, columns } = this;
    this.theme = readTheme(this.shadow);
    this.weights = header.arrays.weights.data;
    this.states = header.arrays.state?.data;
    this.wanted = header.arrays.asked.data;
    [this.n, this.m] = header.arrays.weights.shape.slice(1);
    const { n, m } = this;
    this.shown.answer(header.shown ?? []);
    selection.answer(header.selection ?? null);
    const { row, column } = selection.value ?? { row: 0, column: 0 };
    if (row >= n || column >= m) selection.value = header.selection ?? null;
    Object.assign(foreign, { left: null, right: null });
    if (hover && (hover.left >= n || hover.right >= m)) this.hover = null;
    this.stage.setAttribute("aria-label", header.words.alt || "");
    columns.left.setAttribute("aria-label", header.left_title);
    columns.right.setAttribute("aria-label", header.right_title);
    fillTokens(this);
    markTokens(this);
    fillPills(this);
    this.fresh = true;
    this.rearrange();
  }

  destroy() {
    if (this.header) this.setHover(null);
    cancelAnimationFrame(this.frame);
    for (const stop of this.stops) stop();
    this.root.remove();
  }

  // ---- what the parts ask: `head` is the place in the header's list
  at(head, row, column) {
    return this.weights[(head * this.n + row) * this.m + column];
  }
  /** Whether the rule asks for this line. */
  asked(head, row, column) {
    return this.wanted[(head * this.n + row) * this.m + column] === 1;
  }
  masked(row, column) {
    return this.states && this.states[row * this.m + column] === STATE.masked;
  }
  colour(head) {
    const { heads } = this.theme;
    return heads[this.header.heads[head].index % heads.length];
  }
  dash(head) {
    return DASHES[Math.min(2, Math.floor(this.header.heads[head].index / this.theme.heads.length))];
  }
  visible() {
    const { heads } = this.header;
    return heads.map((_, head) => head).filter((head) => this.shown.value.includes(heads[head].index));
  }
  current() {
    return Math.max(0, this.header.heads.findIndex((head) => head.index === this.header.current_head));
  }
  /** The head whose weights are written as numbers: the current one, or the first shown. */
  lead() {
    const visible = this.visible();
    return visible.includes(this.current()) ? this.current() : visible[0];
  }
  middle(index) {
    return (index + 0.5) * this.layout.pitch;
  }

  // ---- layout and frames
  rearrange() {
    if (!this.header) return;
    arrange(this);
    revealChosen(this);
    this.schedule();
  }
  drawEvery() {
    this.every = !this.every;
    this.sheet.stale = true;
    this.schedule();
  }
  schedule() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }
  draw() {
    this.frame = 0;
    if (!this.layout) return;
    drawFrame(this);
    if (this.sheet.queue) this.schedule();
    else if (this.fresh) {
      this.fresh = false;
      this.root.dataset.drawn = String((this.drawn += 1));
      window.performance.mark("headlight-lines-drawn");
    }
  }

  // ---- hover and selection
  setHover(next) {
    const { header, hover } = this;
    if (next?.left === hover?.left && next?.right === hover?.right) return;
    for (const [side, role, start] of [["left", "query", header.row_start], ["right", "key", header.column_start]]) {
      const index = next?.[side] ?? null;
      if (index !== (hover?.[side] ?? null)) announceHover(header[`${side}_side`], outside(index, start), this, role);
    }
    this.hover = next;
    markTokens(this);
    this.schedule();
  }
  hear(detail) {
    if (detail.source === this || !this.header) return;
    const { foreign, header } = this, { index } = detail;
    const axes = axesOf(detail, { query: header.left_side, key: header.right_side });
    if (axes.includes("query")) Object.assign(foreign, { left: within(index, this.n, header.row_start), sure: axes.length === 1 });
    if (axes.includes("key")) foreign.right = within(index, this.m, header.column_start);
    markTokens(this);
    this.schedule();
  }
  select(row, column) {
    this.selection.set({ row, column }, 0);
    this.revealed = chosenPlace(this); // what is clicked here is in sight: nothing moves under the pointer
    markTokens(this);
    this.schedule();
  }
}

export default (component) => mount(component, Lines);
