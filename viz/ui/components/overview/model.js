// The model as the paper draws it: stacks of layers from bottom to top, each layer a card of its parts, the parts buttons.

import { button, chip, el, svg } from "../shared/dom.js";
import { clamp, decimals, fill } from "../shared/numbers.js";
import { magnify } from "./popover.js";
import { chipsAt, placeOf } from "./ribbons.js";
import { endOf, isCross, paintWeights, percent } from "./weights.js";
import { drawWires } from "./wires.js";

/** A long, narrow picture is averaged when it shrinks; repeating its few columns (or rows) first keeps their edges. */
function widen(canvas) {
  const { width, height } = canvas;
  const times = (few, many) => (many > 40 && few < 32 ? Math.ceil(64 / few) : 1);
  const [x, y] = [times(width, height), times(height, width)];
  if (x * y === 1) return;
  const copy = new OffscreenCanvas(width, height);
  copy.getContext("2d").drawImage(canvas, 0, 0);
  [canvas.width, canvas.height] = [width * x, height * y];
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(copy, 0, 0, canvas.width, canvas.height);
}

export class Model {
  constructor(overview) {
    const { header, arrays } = (this.overview = overview);
    this.box = el("section", "model", overview.root);
    this.wires = svg("svg", this.box, { class: "wires", "aria-hidden": "true" });
    this.parts = []; // of all layers, in one list
    const parts = header.stacks.flatMap((stack) => stack.layers.flatMap((layer) => layer.parts));
    const highest = ({ values }) => arrays[values].data.reduce((a, b) => (b > a ? b : a), 0);
    const peak = (kind) => Math.max(1e-9, ...parts.filter((part) => part.kind === kind).map(highest));
    this.peaks = { ffn: peak("ffn"), norm: peak("norm") }; // one scale for all layers: they compare
    const heads = parts.flatMap((part) => part.heads ?? []);
    this.weights = endOf(heads.map((head) => arrays[head.array]));
    this.stacks = header.stacks.map((stack) => this.buildStack(stack));
    this.deep = Math.max(...this.stacks.map((entry) => entry.cards.length)) > 4;
    this.apart = header.stacks.some((stack) => stack.tokens); // neither encoder nor decoder: one below the other
    this.box.classList.toggle("single", this.stacks.length === 1 && !this.apart);
    this.box.classList.toggle("apart", this.apart);
    this.box.classList.toggle("deep", this.deep);
    this.tall = this.stacks.length === 1 && this.stacks[0].cards.length > 8; // one line a layer, or it would not end
    this.box.classList.toggle("tall", this.tall);
    this.box.style.setProperty("--heads", Math.max(1, ...parts.map((part) => part.heads?.length ?? 0)));
    if (this.stacks.length > 1 && !this.apart && header.words.memory) this.memory = el("div", "memory faint", this.box, header.words.memory);
  }

  buildStack(stack) {
    const { overview } = this, { header } = overview, encoder = stack.name === "encoder", side = stack.tokens || encoder ? stack.name : "decoder";
    const box = el("div", `stack ${stack.name}`, this.box);
    const entry = { stack, cards: [] };
    for (const layer of stack.layers) {
      const card = el("section", "card", el("div", "layer", box));
      el("div", "name faint", card.parentElement, layer.title);
      entry.cards.push({ card, parts: layer.parts.map((part) => this.buildPart(part, layer, stack, card)) });
    }
    el("div", "title", el("div", "top", box), stack.title);
    const last = stack === header.stacks.at(-1);
    if (header.next && last && (!encoder || header.next.encoder)) this.buildNext((entry.next = el("div", "next", box)));
    entry.inputs = el("div", `inputs ${stack.name}`, this.box);
    const row = el("div", "chips", entry.inputs);
    row.dir = "auto";
    entry.tokens = stack.tokens || (!encoder && header.shifted?.length ? header.shifted : header.source);
    const chips = entry.tokens.map((token, i) => overview.token(token, side, placeOf(token, i), row));
    entry.marked = chipsAt(header.marked?.[stack.name], entry.tokens, chips);
    for (const chip of entry.marked) chip.classList.add("selected");
    const typed = encoder || header.stacks.length === 1;
    el("div", "faint", entry.inputs, stack.tokens ? stack.title : typed ? header.words.source : header.words.shifted);
    if (!stack.tokens) el("div", "added faint", entry.inputs, header.words.inputs);
    return entry;
  }

  buildPart(part, layer, stack, card) {
    const { overview } = this, { arrays } = overview;
    const node = el("div", `part ${part.kind}`, card);
    el("div", "label faint", node, part.title);
    const body = el("div", "body", node);
    const where = [stack.title, layer.title, part.title];
    const entry = { node, part, stack, where, body, thumbs: [] };
    const array = arrays[part.kind === "attention" ? part.heads[0].array : part.values];
    node.style.setProperty("--rows", part.rows ?? array.shape[0]); // of tokens: a long head comes in blocks
    node.style.setProperty("--columns", part.columns ?? array.shape[part.kind === "norm" ? 0 : 1]);
    if (part.kind === "attention") entry.thumbs = part.heads.map((head, k) => this.buildThumb(entry, head, head.head ?? k));
    else {
      const strip = button(`strip ${part.kind}`, body, where.join(", "), () => overview.go({ page: "steps", site: part.target }));
      strip.dataset.key = `${part.target} ${part.kind}`;
      if (part.kind === "ffn") paintWeights(el("canvas", "", strip), array, overview.theme, this.peaks.ffn);
      else for (const value of array.data) el("i", "", strip).style.height = `${(100 * value) / this.peaks.norm}%`;
    }
    this.parts.push(entry);
    return entry;
  }

  buildThumb(entry, head, h) {
    const { overview } = this, { header, arrays, theme } = overview, { part, where } = entry, chosen = header.selection;
    const name = head.title || fill(header.words.head || "{n}", { n: h + 1 });
    const go = () => overview.go({ page: "heads", site: part.site, head: h });
    const thumb = button("thumb", entry.body, [...where, name].join(", "), go);
    thumb.dataset.key = `${part.site} ${h}`;
    thumb.classList.toggle("selected", Boolean(chosen) && chosen.site === part.site && chosen.head === h);
    const canvas = el("canvas", "", thumb);
    paintWeights(canvas, arrays[head.array], theme, this.weights.end, arrays[head.state]);
    widen(canvas);
    for (const event of ["pointerenter", "focus"]) thumb.addEventListener(event, () => magnify(overview, thumb, entry, head, name));
    for (const event of ["pointerleave", "blur"]) thumb.addEventListener(event, () => (overview.popover.hidden = true));
    return thumb;
  }

  /** The likeliest next words, on top of the decoder. */
  buildNext(box) {
    const { next } = this.overview.header;
    const summary = [next.title, ...next.bars.map((bar) => `${bar.text} ${bar.score ?? percent(bar.probability)}`)].join(", ");
    const bars = button("bars", box, summary, () => this.overview.go({ page: "steps", part: "output" }));
    bars.dataset.key = "output";
    const title = el("span", "title", bars);
    if (next.after) title.append(chip({ text: next.after, kind: next.after_kind }), "→ ");
    title.append(next.title);
    for (const bar of next.bars) {
      const line = el("span", "bar", bars);
      line.append(chip(bar));
      el("i", "", el("span", "track", line)).style.width = `${100 * bar.probability}%`;
      el("span", "value", line, bar.score ?? (bar.probability < 0.001 ? "<0.1%" : `${decimals(100 * bar.probability, 1)}%`));
    }
  }

  /** Chips that go on below the edge of their box go to the selected ones, the query's before the key's. */
  reveal() {
    for (const { inputs, marked } of this.stacks)
      for (const chip of [...marked].reverse()) {
        const box = inputs.firstChild, at = chip.getBoundingClientRect(), frame = box.getBoundingClientRect();
        if (at.top < frame.top || at.bottom > frame.bottom) box.scrollTop += at.top + at.height / 2 - frame.top - frame.height / 2;
      }
  }

  /** A hovered word's row or column in every part. */
  mark(side, index) {
    for (const { node, part, stack } of this.parts) {
      const encoder = stack.name === "encoder", attention = part.kind === "attention";
      const crosses = attention && isCross(part), [queries, columns] = part.sides ?? [stack.name, crosses ? "encoder" : stack.name];
      const own = part.sides || stack.tokens; // lists of their own: "decoder" is no other name for them
      const mine = index !== null && (own ? side === queries : encoder ? side === "encoder" : side !== "encoder");
      const keys = own || crosses ? side === columns : mine && side !== "decoder-output";
      node.classList.toggle("mark-row", mine && part.kind !== "norm");
      node.classList.toggle("mark-column", index !== null && (attention ? keys : part.kind === "norm" && mine));
      node.style.setProperty("--at", index ?? 0);
    }
  }

  arrange() {
    // All reads before all writes: one layout, not one a part. Rounded down, or the last head falls to a line of its own.
    const spaces = this.parts.map(({ body }) => Math.floor(body.getBoundingClientRect().width));
    let span = 0; // a strip is as long as the row of heads before it
    for (const [p, entry] of this.parts.entries()) {
      if (entry.thumbs.length) span = this.arrangeThumbs(entry, spaces[p]);
      else this.arrangeStrip(entry, Math.min(spaces[p], span || spaces[p]));
    }
    drawWires(this);
  }
  /** In as few lines as leave each head 20 px; the width that a line takes. */
  arrangeThumbs({ part, body, thumbs }, space) {
    const gap = thumbs.length > 8 ? 4 : 6, most = this.tall ? 46 : this.deep ? 44 : 64;
    let [size, lines] = [0, 1];
    const count = () => Math.ceil(thumbs.length / lines);
    for (; lines <= thumbs.length; lines++) {
      size = Math.min(most, Math.floor((space - gap * (count() - 1)) / count()));
      if (size >= 20) break;
    }
    body.style.setProperty("--thumb", `${Math.max(14, size)}px`);
    body.style.gap = `${gap}px`;
    const longest = Math.max(...this.overview.arrays[part.heads[0].array].shape);
    thumbs.forEach((thumb) => thumb.classList.toggle("fine", longest > size));
    return count() * size + gap * (count() - 1);
  }
  arrangeStrip({ part, body }, full) {
    const [rows] = this.overview.arrays[part.values].shape, strip = body.firstChild;
    strip.style.width = `${part.kind === "norm" ? Math.min(full, rows * 9) : full}px`;
    strip.style.setProperty("--gap", `${full / rows > 6 ? 4 : full / rows > 3 ? 1 : 0}px`);
    if (part.kind === "ffn") strip.style.height = `${clamp(rows * 5, 18, this.deep ? 24 : 44)}px`;
  }
}
