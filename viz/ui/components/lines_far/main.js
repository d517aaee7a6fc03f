// The lines of a long input over its whole length: both sides are scaled, and only the lines that the rule asks for are here.
// A token is named where there is room: the chosen pair, what is under the pointer, then the ends of the strongest lines.

import { el, focusable, mount, watchWidth } from "../shared/dom.js";
import { DASHES, fillPills } from "../shared/lines_heads.js";
import { clamp } from "../shared/numbers.js";
import { unpack } from "../shared/payload.js";
import { announceHover, axesOf, listenHover, shared } from "../shared/sync.js";
import { readTheme } from "../shared/theme.js";
import { drawLines, HIGH, paintLines } from "./draw.js";
import { listenFar } from "./input.js";

const WIDE = 960;

class FarLines {
  constructor(shadow) {
    this.shadow = shadow;
    this.root = el("div", "headlight lines far", shadow);
    this.pills = el("div", "pills", this.root);
    this.readout = el("div", "readout", this.root);
    const titles = el("div", "titles", this.root);
    this.titles = { left: el("span", "left", titles), right: el("span", "right", titles) };
    this.canvas = focusable(el("canvas", "whole", this.root));
    const foot = el("div", "foot", this.root);
    this.notes = { told: el("span", "told", foot), legend: el("span", "", foot), hint: el("span", "hint", foot) };
    this.sheet = document.createElement("canvas");
    this.hover = null; // {line} or {side, from, to}: one line, or a run of tokens of one side
    this.foreign = { left: null, right: null };
    this.selection = shared((value) => this.send("select", value));
    this.shown = shared((value) => this.send("heads", value));
    this.width = this.frame = this.drawn = 0;
    listenFar(this);
    this.stops = [
      watchWidth(this.root, (width) => this.header && Math.min(WIDE, width) !== this.width && this.arrange()),
      listenHover((detail) => this.hear(detail)),
      () => this.selection.stop(),
      () => this.shown.stop(),
    ];
  }
  update(bytes) {
    const header = (this.header = unpack(bytes)), { arrays } = header;
    this.theme = readTheme(this.shadow);
    this.lines = { head: arrays.head.data, row: arrays.row.data, column: arrays.column.data, weight: arrays.weight.data };
    this.count = this.lines.weight.length;
    this.names = { left: header.left, right: header.right ?? header.left };
    this.selection.answer(header.selection);
    this.shown.answer(header.shown);
    this.hover = null;
    this.canvas.setAttribute("aria-label", header.words.alt || "");
    for (const side of ["left", "right"]) this.titles[side].textContent = header[`${side}_title`];
    fillPills(this);
    this.arrange();
  }
  destroy() {
    cancelAnimationFrame(this.frame);
    for (const stop of this.stops) stop();
    this.root.remove();
  }

  // ---- what the heads' buttons ask
  colour(head) {
    return this.theme.heads[head % this.theme.heads.length];
  }
  dash(head) {
    return DASHES[Math.min(2, Math.floor(head / this.theme.heads.length))];
  }

  // ---- places
  arrange() {
    const width = (this.width = Math.min(WIDE, this.root.clientWidth)), { titles } = this;
    if (!width) return;
    const side = clamp(width * 0.24, 96, 190);
    this.left = side;
    this.right = width - side;
    this.pitch = HIGH / Math.max(1, this.names.left.length, this.names.right.length);
    titles.left.style.right = `calc(100% - ${side}px)`;
    titles.right.style.left = `${this.right}px`;
    paintLines(this);
    this.schedule();
  }
  y(side, index) {
    return ((index + 0.5) / this.names[side].length) * HIGH;
  }
  schedule() {
    this.frame ||= requestAnimationFrame(() => drawLines(this));
  }

  // ---- hover and selection
  setHover(next) {
    if (JSON.stringify(next) === JSON.stringify(this.hover)) return;
    this.hover = next;
    const { header, lines } = this, place = { left: null, right: null };
    if (next?.line !== undefined) Object.assign(place, { left: lines.row[next.line], right: lines.column[next.line] });
    else if (next) place[next.side] = next.from;
    announceHover(header.left_side, place.left, this, "query");
    announceHover(header.right_side, place.right, this, "key");
    this.schedule();
  }
  hear(detail) {
    if (detail.source === this || !this.header) return;
    const axes = axesOf(detail, { query: this.header.left_side, key: this.header.right_side });
    this.foreign = { left: axes.includes("query") ? detail.index : null, right: axes.includes("key") ? detail.index : null };
    this.schedule();
  }
  select(row, column) {
    this.selection.set({ row, column }, 0);
    this.schedule();
  }
}

export default (component) => mount(component, FarLines);
