// All heads of a run in one canvas: hover enlarges, a click selects, with Ctrl or Shift it picks; arrows, Enter and space do too.

import { fitCanvas, hatch } from "../shared/canvas.js";
import { el, focusable, mount, spokenLine, watchWidth } from "../shared/dom.js";
import { clamp, decimals } from "../shared/numbers.js";
import { unpack } from "../shared/payload.js";
import { listenFonts, shared } from "../shared/sync.js";
import { readTheme } from "../shared/theme.js";
import { fillCard, fillLegend, speakHead } from "./card.js";
import { drawAtlas, paintAtlas } from "./draw.js";
import { GAP, planAtlas, sectionsOf } from "./plan.js";

const MOST_PICKS = 12;
let PICTURES = new Map(); // of the last frame, by digest; they outlive the figure, which the page may make anew
const sameHead = (a, b) => Boolean(a && b) && a.site === b.site && a.head === b.head;

class Atlas {
  constructor(shadow) {
    this.shadow = shadow;
    this.root = el("div", "headlight atlas", shadow);
    this.canvas = focusable(el("canvas", "", this.root));
    this.foot = el("div", "foot", this.root);
    this.card = el("div", "card", this.root);
    this.live = spokenLine(this.root);
    this.card.hidden = true;
    this.screen = this.canvas.getContext("2d");
    this.base = document.createElement("canvas");
    this.selection = shared((value) => this.send("select", value));
    this.picks = shared((value) => this.send("picks", value));
    this.papers = new Map();
    this.asked = 0;
    this.hover = null;
    this.cursor = this.width = this.frame = this.drawn = 0;
    this.picking = this.fresh = false;
    this.listen();
    this.stops = [
      watchWidth(this.root, (width) => this.header && width !== this.width && this.arrange()),
      listenFonts(() => this.header && this.width && this.arrange()),
    ];
    this.root.__head = (site, head) => {
      const box = this.canvas.getBoundingClientRect(), place = this.plan.places[this.indexOf({ site, head })];
      return place && { x: box.left + place.x + this.plan.edge / 2, y: box.top + place.y + this.plan.edge / 2 };
    };
  }

  update(bytes) {
    this.header = this.recall(unpack(bytes));
    this.order = this.header.arrays.order.data;
    this.theme = readTheme(this.shadow);
    this.selection.answer(this.header.selection);
    this.picks.answer(this.header.picks);
    this.cursor = Math.max(0, this.indexOf(this.selection.value));
    this.setHover(null);
    this.canvas.setAttribute("aria-label", this.header.words.alt || "");
    this.canvas.setAttribute("aria-description", this.header.words.help || "");
    this.fresh = true;
    if (this.root.clientWidth) this.arrange();
    fillLegend(this);
  }
  /** The pictures that are named only are those of an earlier frame; one that is not there is asked for. */
  recall(header) {
    const kept = new Map();
    let lost = false;
    for (const site of header.sites.filter(({ digest }) => digest)) {
      const picture = header.arrays[site.pictures] || PICTURES.get(site.digest);
      if (picture) kept.set(site.digest, (header.arrays[site.pictures] = picture));
      else [lost, site.pictures] = [true, null];
    }
    PICTURES = kept;
    if (lost) this.send("lost", (this.asked += 1));
    return header;
  }
  destroy() {
    cancelAnimationFrame(this.frame);
    this.selection.stop();
    this.picks.stop();
    for (const stop of this.stops) stop();
    this.root.remove();
  }

  // ---- heads
  get count() {
    return this.order.length / 2;
  }
  head(index) {
    return { site: this.header.sites[this.order[2 * index]], head: this.order[2 * index + 1] };
  }
  indexOf(wanted) {
    if (!wanted) return -1;
    for (let i = 0; i < this.count; i++) if (this.order[2 * i + 1] === wanted.head && this.head(i).site.site === wanted.site) return i;
    return -1;
  }
  isPicked(index) {
    const { site, head } = this.head(index);
    return (this.picks.value || []).some(([s, h]) => s === site.site && h === head);
  }
  shortName(index) {
    const { site, head } = this.head(index);
    return this.header.parts ? `${site.short}.${head}` : String(head);
  }
  shortValue(index) {
    const value = this.header.arrays.values.data[index];
    if (Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    return decimals(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
  }
  hatching(context) {
    const tile = document.createElement("canvas");
    hatch(fitCanvas(tile, 64, 64), 0, 0, 64, 64, this.theme.line);
    const pattern = context.createPattern(tile, "repeat"), ratio = window.devicePixelRatio || 1;
    pattern.setTransform(new DOMMatrix().scale(1 / ratio));
    return pattern;
  }

  // ---- layout and frames
  arrange() {
    this.width = Math.floor(this.root.clientWidth);
    this.screen.font = `11px ${this.theme.font}`;
    const widest = this.header.sites.reduce((most, { label }) => Math.max(most, this.screen.measureText(label).width), 0);
    this.plan = planAtlas(sectionsOf(this.header, this.order), this.width, Math.ceil(widest) + 14, this.header);
    fitCanvas(this.canvas, this.width, this.plan.height + 4);
    paintAtlas(this);
    this.schedule();
  }
  schedule() {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }
  draw() {
    this.frame = 0;
    if (!this.plan) return;
    drawAtlas(this);
    if (!this.fresh) return;
    this.fresh = false;
    this.canvas.dataset.drawn = String((this.drawn += 1));
    const known = [...Array(this.count).keys()].filter((index) => this.head(index).site.pictures).length;
    window.performance.mark("headlight-atlas-drawn", { detail: known });
  }

  // ---- hover, selection, picks
  setHover(index) {
    if (index === this.hover) return;
    this.hover = index;
    fillCard(this, index);
    this.schedule();
  }
  select(index) {
    const { site, head } = this.head(index);
    this.cursor = index;
    if (!sameHead(this.selection.value, { site: site.site, head })) this.selection.set({ site: site.site, head });
    speakHead(this, index, this.header.words.selected);
    this.schedule();
  }
  pick(index) {
    const { site, head } = this.head(index), now = this.picks.value || [], picked = this.isPicked(index);
    const left = now.filter(([s, h]) => s !== site.site || h !== head);
    this.cursor = index;
    if (!picked && now.length >= MOST_PICKS) return void (this.live.textContent = this.header.words.full);
    this.picks.set(picked ? left : [...now, [site.site, head]]);
    speakHead(this, index, picked ? this.header.words.left : this.header.words.picked);
    this.schedule();
  }

  /** The head at a place of the canvas, its name included, or null. */
  at(event) {
    const box = this.canvas.getBoundingClientRect(), [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const { places, edge, under } = this.plan, out = GAP / 2;
    const found = places.findIndex((p) => x >= p.x - out && x < p.x + edge + out && y >= p.y - out && y < p.y + edge + under - out);
    return found < 0 ? null : found;
  }
  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointermove", (event) => {
      const index = this.plan ? this.at(event) : null;
      canvas.style.cursor = index === null ? "default" : "pointer";
      this.setHover(index);
    });
    canvas.addEventListener("pointerleave", () => this.setHover(null));
    canvas.addEventListener("click", (event) => {
      const index = this.plan ? this.at(event) : null;
      if (index === null) return;
      if (this.picking || event.ctrlKey || event.metaKey || event.shiftKey) this.pick(index);
      else this.select(index);
    });
    canvas.addEventListener("keydown", (event) => this.key(event));
    for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => this.schedule());
    canvas.addEventListener("blur", () => this.setHover(null));
  }
  key(event) {
    if (!this.plan || !this.count || event.altKey || event.metaKey) return;
    const { cursor, count } = this, way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (way) this.cursor = clamp(cursor + way, 0, count - 1);
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") this.cursor = this.beyond(cursor, event.key === "ArrowDown");
    else if (event.key === "Home") this.cursor = 0;
    else if (event.key === "End") this.cursor = count - 1;
    else if (event.key === "Enter") this.select(cursor);
    else if (event.key === " ") this.pick(cursor);
    else if (event.key === "Escape") return this.setHover(null);
    else return;
    event.preventDefault();
    if (this.cursor === cursor) return;
    const place = this.plan.places[this.cursor], box = this.canvas.getBoundingClientRect();
    if (box.top + place.y < 70 || box.top + place.y + this.plan.edge + this.plan.under > window.innerHeight) this.scrollTo(place);
    this.setHover(this.cursor);
    speakHead(this, this.cursor, "");
  }
  /** Brings a head into sight in whatever scrolls around the figure. */
  scrollTo(place) {
    const mark = el("i", "mark", this.root);
    Object.assign(mark.style, { top: `${this.canvas.offsetTop + place.y}px`, height: `${this.plan.edge + this.plan.under}px` });
    mark.scrollIntoView({ block: "center" });
    mark.remove();
  }
  /** The head in the next row of pictures below (or above) that is nearest across. */
  beyond(index, down) {
    const { places } = this.plan, here = places[index];
    const rows = places.map(({ y }) => y).filter((y) => (down ? y > here.y : y < here.y));
    if (!rows.length) return index;
    const y = down ? Math.min(...rows) : Math.max(...rows), away = (i) => Math.abs(places[i].x - here.x);
    return places.reduce((best, place, i) => (place.y === y && (best < 0 || away(i) < away(best)) ? i : best), -1);
  }
}

export default (component) => mount(component, Atlas);
