// One text: a span a token that wraps as people read it, coloured by one row of numbers; where each token is on the page.

import { el } from "../shared/dom.js";
import { number } from "../shared/numbers.js";
import { shade } from "../shared/theme.js";
import { Ends } from "./ends.js";
import { Strip } from "./strip.js";

export const FOLLOWS = { joined: "0", gap: "1", space: "2", rest: "3" };

export class Flow {
  constructor(view, parent) {
    this.view = view;
    this.box = el("section", "text", parent);
    const head = el("div", "texthead", this.box);
    this.title = el("span", "texttitle", head);
    this.ends = new Ends(this);
    this.stage = el("div", "stage", this.box);
    this.page = el("div", "page", this.stage);
    this.page.tabIndex = 0;
    this.page.setAttribute("role", "application");
    this.strip = new Strip(this);
    this.spans = [];
  }

  /** New spans only for a new text. */
  fill(text) {
    this.text = text;
    const { tokens, follows, kinds } = text, breaks = new Set(text.breaks), pieces = document.createDocumentFragment();
    this.spans = tokens.map((token, i) => {
      if (i && (follows[i] === FOLLOWS.gap || follows[i] === FOLLOWS.space)) pieces.append(" ");
      const span = document.createElement("span");
      span.textContent = token;
      span.dataset.i = i;
      if (kinds[i] !== "w") span.className = kinds[i] === "s" ? "special" : "blank";
      // A frame has room where a gap is on both sides; a piece of a word has its frame within.
      if (follows[i] === FOLLOWS.joined || follows[i] === FOLLOWS.rest || "03".includes(follows[i + 1] ?? "1")) span.classList.add("tight");
      pieces.append(span);
      if (breaks.has(i)) pieces.append(document.createElement("br"));
      return span;
    });
    this.page.replaceChildren(pieces);
    this.shown = new Int16Array(tokens.length).fill(-1); // colour of each token; −1 none, −2 masked, −3 not a number
    this.values = this.strongest = null;
    this.measured = false;
  }

  /** The token as it stands in the vocabulary, its own space or ## with it; a decoder's query with what it writes. */
  label(i, role) {
    const { tokens, follows, kinds, writes } = this.text, query = role === "query";
    const before = follows[i] === FOLLOWS.space ? "·" : follows[i] === FOLLOWS.rest ? "##" : "";
    const after = query && writes[i] !== undefined ? ` ▸ ${writes[i]}` : "";
    return { text: before + tokens[i] + after, kind: kinds[i] === "s" ? "special" : "word" };
  }

  /** Colours only what changes; `values` null takes all colours away. */
  colour(values, masked, end) {
    const { spans, shown, view } = this, { table, ink, css } = view.colours, count = table.length / 3;
    const next = new Int16Array(spans.length).fill(-1);
    this.values = values;
    this.masked = null;
    if (values) {
      for (let i = 0; i < spans.length; i++) {
        const value = values[i];
        next[i] = Number.isNaN(value) ? -3 : shade(value, 0, end, count) || -1;
      }
      this.masked = new Uint8Array(spans.length);
      for (const [from, to] of masked) {
        next.fill(-2, from, to);
        this.masked.fill(1, from, to);
      }
    }
    for (let i = 0; i < spans.length; i++) {
      const now = next[i], span = spans[i];
      if (now === shown[i] && !view.repaint) continue;
      if (now === -2 || shown[i] === -2) span.classList.toggle("masked", now === -2);
      if (now === -3 || shown[i] === -3) span.classList.toggle("broken", now === -3);
      if (now >= 0) span.style.cssText = `background:${css[now]};color:${ink[now]}`;
      else if (shown[i] >= 0) span.style.cssText = "";
    }
    this.shown = next;
    this.strip.draw();
  }

  // ---- places
  /** Left, top and height of every token on the page, read at once after each layout. */
  measure() {
    const { spans } = this;
    this.lefts = new Float32Array(spans.length);
    this.tops = new Float32Array(spans.length);
    for (let i = 0; i < spans.length; i++) {
      this.lefts[i] = spans[i].offsetLeft;
      this.tops[i] = spans[i].offsetTop;
    }
    this.height = this.page.scrollHeight;
    this.measured = true;
  }
  /** The token of the next line up (−1) or down (1) that is nearest. */
  beside(index, way) {
    if (!this.measured) this.measure();
    const { tops, lefts } = this;
    let line = index;
    while (line >= 0 && line < tops.length && Math.abs(tops[line] - tops[index]) < 4) line += way;
    if (line < 0 || line >= tops.length) return index;
    let best = line;
    for (let i = line; i >= 0 && i < tops.length && Math.abs(tops[i] - tops[line]) < 4; i += way)
      if (Math.abs(lefts[i] - lefts[index]) < Math.abs(lefts[best] - lefts[index])) best = i;
    return best;
  }
  /** Scrolls only what is out of sight. */
  reveal(index, middle = false) {
    const span = this.spans[index], { stage } = this;
    if (!span) return;
    const top = span.offsetTop, bottom = top + span.offsetHeight, { scrollTop, clientHeight } = stage;
    if (top >= scrollTop + 4 && bottom <= scrollTop + clientHeight - 4) return;
    if (middle || top < scrollTop || bottom > scrollTop + clientHeight) stage.scrollTop = top - clientHeight / (middle ? 2 : 3);
  }
  /** The token with the largest weight, one of the list, or null. */
  setStrongest(best, row) {
    this.strongest = best ? best.index : null;
    this.ends.first = null; // the list is new: it is told again
    this.ends.set("strongest", this.strongest, best?.label, best && number(row.arrays.values.data[best.index]));
  }
  /** Brings a token into the middle of the text, the text into the window, and shows for a moment which it is. */
  goTo(index) {
    const span = this.spans[index];
    if (!span) return;
    this.reveal(index, true);
    span.scrollIntoView({ block: "nearest" });
    span.classList.remove("shown");
    void span.offsetWidth; // so that it begins anew
    span.classList.add("shown");
  }
  /** At the opening: both tokens if the text can show them together, or else the first. */
  revealBoth(index, other) {
    const [one, two] = [index, other].map((i) => this.spans[i]?.offsetTop ?? 0), { stage } = this;
    if (Math.abs(one - two) > stage.clientHeight - 70) return this.reveal(index, true);
    if ([index, other].every((i) => this.sees(i))) return;
    stage.scrollTop = (one + two) / 2 - stage.clientHeight / 2 + 28;
  }
  sees(index) {
    const top = this.spans[index]?.offsetTop ?? 0, { scrollTop, clientHeight } = this.stage;
    return top >= scrollTop - 8 && top <= scrollTop + clientHeight - 36;
  }
  mark(name, index) {
    const before = this[name];
    if (before === index) return;
    if (before !== undefined && before !== null) this.spans[before]?.classList.remove(name);
    if (index !== null) this.spans[index]?.classList.add(name);
    this[name] = index;
  }
}
