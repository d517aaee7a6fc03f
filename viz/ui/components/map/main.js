// A head as a map: the whole, and down to single cells; tiles are fetched as they come into view. This part holds the state.

import { fitCanvas } from "../shared/canvas.js";
import { el, focusable, mount, spokenLine, watchWidth } from "../shared/dom.js";
import { clamp } from "../shared/numbers.js";
import { unpack } from "../shared/payload.js";
import { AFTER_SUMS, SETTLED, Sums } from "../shared/sums.js";
import { shared } from "../shared/sync.js";
import { readTheme } from "../shared/theme.js";
import { BELOW, drawMap, GAP, LARGEST, plot, smallBox } from "./draw.js";
import { listenMap, SINGLE } from "./input.js";
import { Tiles } from "./tiles.js";
import { describeCell, fillBar, fillMapReadout, hatching } from "./words.js";

const TURNED = 1500; // ms without another head before the column is asked for
const REST = 380; // ms without a move before the view is told to Python

/** The first token from `after` on, and round again, with which a piece of text begins that may span several tokens; −1. */
function findWord(tokens, wanted, after) {
  const starts = [];
  let whole = "";
  for (const token of tokens) {
    starts.push(whole.length);
    whole += (token ?? "").replace(/^##(?=.)/, "").replaceAll("·", " ").toLowerCase();
  }
  const hit = [starts[after] ?? 0, 0].map((from) => whole.indexOf(wanted, from)).find((at) => at >= 0) ?? -1;
  return hit < 0 ? -1 : starts.findLastIndex((start) => start <= hit);
}

class HeadMap {
  constructor(shadow) {
    this.shadow = shadow;
    this.root = el("div", "headlight map", shadow);
    this.bar = el("div", "bar", this.root);
    this.canvas = focusable(el("canvas", "", this.root));
    this.readout = el("div", "readout", this.root);
    this.sums = new Sums(this.root, () => this.selection.flush());
    this.foot = el("div", "foot faint", this.root);
    this.live = spokenLine(this.root);
    this.screen = this.canvas.getContext("2d");
    this.view = { x: 0, y: 0, scale: 1 };
    this.at = null; // the cell under the cross hair
    this.selection = shared((value) => this.send("select", value));
    this.told = shared((value) => this.send("area", value));
    this.tiles = new Tiles(() => this.schedule());
    this.frame = this.width = 0;
    listenMap(this);
    this.stops = [watchWidth(this.root, (width) => this.header && width !== this.width && this.arrange())];
    this.root.__map = this; // for tests
  }

  update(bytes) {
    const before = this.header;
    const header = (this.header = unpack(bytes));
    this.theme = readTheme(this.shadow);
    const { queries, keys, depth, base } = header, same = before && before.base === base && before.queries === queries && before.keys === keys;
    Object.assign(this, { queries, keys, depth, pattern: hatching(this.theme) });
    this.selection.answer(header.selection ?? null);
    if (!same) this.at = null;
    this.at ??= this.selection.value;
    if (!same) this.settle(REST);
    // A head that was turned to here is not turned back by an answer to an older request.
    if (!same || before.head !== header.head || before.how !== header.how) this.head = header.head;
    this.tiles.point({ base, head: this.head, how: header.how, theme: this.theme });
    this.sums.point(`${base}/${this.head}`, header.words);
    this.canvas.setAttribute("aria-label", header.words.alt);
    this.canvas.setAttribute("aria-description", header.words.help);
    fillBar(this);
    this.arrange(!same);
  }
  destroy() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.resting);
    clearTimeout(this.settling);
    this.selection.stop();
    this.told.stop();
    for (const stop of this.stops) stop();
    this.root.remove();
  }

  // ---- layout
  arrange(fresh = false) {
    this.width = Math.floor(this.root.clientWidth);
    if (!this.width) return;
    this.box = plot(this);
    this.total = this.box.bottom + GAP + BELOW;
    fitCanvas(this.canvas, this.width, this.total);
    if (fresh) {
      const area = this.header.area;
      if (area) this.look(area[1], area[0], Math.min(this.box.width, this.box.height) / area[2]);
      else this.whole();
    } else this.look(this.view.x, this.view.y, this.view.scale);
  }
  get fit() {
    return Math.min(LARGEST, this.box.width / this.keys, this.box.height / this.queries);
  }
  get zoomed() {
    return this.view.scale > this.fit * 1.15;
  }
  /** Show from this key and query on, a cell so large; as far as the head goes. */
  look(x, y, scale) {
    const { view, box } = this;
    view.scale = clamp(scale, this.fit, LARGEST);
    const room = (count, length) => Math.max(0, count - length / view.scale);
    view.x = clamp(x, 0, room(this.keys, box.width));
    view.y = clamp(y, 0, room(this.queries, box.height));
    this.rest();
    this.schedule();
  }
  whole() {
    this.look(0, 0, this.fit);
  }
  pan(dx, dy) {
    const { view } = this;
    this.look(view.x + dx / view.scale, view.y + dy / view.scale, view.scale);
  }
  zoomAt(x, y, factor) {
    const { view, box } = this, scale = clamp(view.scale * factor, this.fit, LARGEST);
    const [column, row] = [view.x + (x - box.x) / view.scale, view.y + (y - box.y) / view.scale];
    this.look(column - (x - box.x) / scale, row - (y - box.y) / scale, scale);
  }
  zoomToSpan({ axis, from, to }) {
    const { view, box } = this, [a, b] = [Math.min(from, to), Math.max(from, to)];
    const [edge, first, length] = axis === "key" ? [box.x, view.x, box.width] : [box.y, view.y, box.height];
    const start = first + (a - edge) / view.scale, scale = Math.min(LARGEST, (length * view.scale) / Math.max(4, b - a));
    const middle = axis === "key" ? view.y + box.height / view.scale / 2 : view.x + box.width / view.scale / 2;
    if (axis === "key") this.look(start, middle - box.height / scale / 2, scale);
    else this.look(middle - box.width / scale / 2, start, scale);
  }
  centreSmall({ x, y }) {
    const frame = smallBox(this), { view, box } = this;
    this.look((x - frame.x) / frame.unit - box.width / view.scale / 2, (y - frame.y) / frame.unit - box.height / view.scale / 2, view.scale);
  }
  /** The view, told to Python when it rests: first query, first key, cells along the shorter side. */
  rest() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      const { view, box } = this, cells = Math.round(Math.min(box.width, box.height) / view.scale);
      const area = this.zoomed ? [Math.round(view.y), Math.round(view.x), Math.max(1, cells)].join(".") : "";
      if (area !== (this.area ?? (this.header.area || []).join("."))) this.told.set((this.area = area));
    }, REST);
  }

  // ---- cells
  within(row, column) {
    return { row: clamp(row, 0, this.queries - 1), column: clamp(column, 0, this.keys - 1) };
  }
  cellAt({ x, y }) {
    const { view, box } = this;
    if (x < box.x || x > box.right || y < box.y || y > box.bottom) return null;
    const [row, column] = [Math.floor(view.y + (y - box.y) / view.scale), Math.floor(view.x + (x - box.x) / view.scale)];
    return row < this.queries && column < this.keys ? { row, column } : null;
  }
  point(cell) {
    this.at = cell ?? this.selection.value; // where nobody points, the selected cell is told of
    this.settle(SETTLED);
    this.schedule();
  }
  /** The column beside the map, which costs more than the row, is asked for once cell and head have stayed for a while. */
  settle(delay) {
    this.rested = false;
    clearTimeout(this.settling);
    this.settling = setTimeout(() => ((this.rested = true), this.schedule()), delay);
  }
  clicked(at) {
    const cell = this.cellAt(at);
    if (!cell) return;
    if (this.view.scale < SINGLE && this.fit < SINGLE) this.zoomAt(at.x, at.y, 4);
    else this.select(cell);
  }
  select(cell) {
    this.sums.show(cell, true);
    this.selection.set({ ...cell, head: this.head }, AFTER_SUMS);
    this.live.textContent = Object.values(describeCell(this, cell)).join(", ");
    this.schedule();
  }
  /** Another head of this site, seen at once; Python hears of it when it is kept. */
  turnTo(head) {
    this.head = (head + this.header.heads) % this.header.heads;
    this.tiles.point({ ...this.tiles, head: this.head, theme: this.theme });
    this.sums.point(`${this.tiles.base}/${this.head}`, this.header.words);
    fillBar(this);
    clearTimeout(this.turning);
    this.turning = setTimeout(() => this.send("head", this.head), 300);
    this.settle(TURNED);
    this.schedule();
  }
  goTo(text) {
    const { rows, columns } = this.header, wanted = text.trim().toLowerCase();
    if (!wanted) return false;
    const own = this.header.square, after = this.found?.text === wanted ? this.found.place + 1 : 0;
    let place = /^\d+$/.test(wanted) ? Number(wanted) : -1;
    if (place < 0) place = findWord(columns, wanted, after);
    if (place < 0 || place >= Math.max(this.keys, rows.length)) return false;
    this.found = { text: wanted, place };
    const scale = Math.max(this.view.scale, Math.min(LARGEST, 18)), { box } = this;
    const row = own || /^\d+$/.test(wanted) ? Math.min(place, this.queries - 1) : this.view.y + box.height / this.view.scale / 2;
    this.look(Math.min(place, this.keys - 1) + 0.5 - box.width / scale / 2, row + 0.5 - box.height / scale / 2, scale);
    this.point(this.within(Math.floor(row), place));
    return true;
  }

  // ---- drawing
  schedule() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.width || !this.header) return;
      drawMap(this);
      fillMapReadout(this);
      const whole = this.tiles.find(this.depth, 0, 0);
      if (whole && this.shown !== `${this.head} ${this.header.base}`) {
        this.shown = `${this.head} ${this.header.base}`;
        performance.mark("headlight-map-drawn");
      }
    });
  }
}

export default (component) => mount(component, HeadMap);
