// An encoder–decoder's three attentions as one matrix over [encoder tokens ; decoder tokens]. Upper right nothing is ever
// attended. This part holds the state; the others draw and listen.

import { paintPixels } from "../shared/canvas.js";
import { el, focusable, mount, spokenLine, watchWidth } from "../shared/dom.js";
import { clamp } from "../shared/numbers.js";
import { unpack } from "../shared/payload.js";
import { announceHover, listenFonts, listenHover, shared } from "../shared/sync.js";
import { readTheme } from "../shared/theme.js";
import { drawJoint, fillJointFoot } from "./draw.js";
import { listenJoint } from "./input.js";

const JOINT_HIGH = 760; // px: what all rows take at most

class Joint {
  constructor(shadow) {
    this.shadow = shadow;
    this.root = el("div", "headlight joint", shadow);
    this.readout = el("div", "readout", this.root);
    this.canvas = focusable(el("canvas", "", this.root));
    this.foot = el("div", "foot", this.root);
    this.live = spokenLine(this.root);
    this.hover = null; // {block, row, column}
    this.selection = shared((value) => this.send("select", value));
    this.foreign = { query: {}, key: {} };
    this.width = this.frame = this.drawn = 0;
    listenJoint(this);
    this.stops = [
      watchWidth(this.root, (width) => this.header && width !== this.width && this.arrange()),
      listenHover((detail) => this.hear(detail)),
      listenFonts(() => this.header && this.arrange()),
      () => this.selection.stop(),
    ];
  }
  update(bytes) {
    const header = (this.header = unpack(bytes)), { arrays } = header;
    this.theme = readTheme(this.shadow);
    this.blocks = header.blocks.map((block) => ({
      ...block, values: arrays[block.name].data, states: arrays[`${block.name}_state`].data, shape: arrays[block.name].shape,
    }));
    this.by = Object.fromEntries(this.blocks.map((block) => [block.name, block]));
    this.selection.answer(header.selection);
    const { block, row, column } = this.selection.value, [n, m] = this.by[block].shape;
    if (row >= n || column >= m) this.selection.value = header.selection;
    this.hover = null;
    this.canvas.setAttribute("aria-label", header.words.alt || "");
    for (const each of this.blocks) {
      each.sheet = document.createElement("canvas");
      paintPixels(each.sheet, each.values, each.shape, this.theme.sequential, { low: 0, high: header.end }, each.states);
    }
    this.arrange();
    fillJointFoot(this);
  }
  destroy() {
    cancelAnimationFrame(this.frame);
    for (const stop of this.stops) stop();
    this.root.remove();
  }

  /** The encoder's tokens and the decoder's share one size of cell; between them stand titles and labels. */
  arrange() {
    const width = (this.width = Math.floor(this.root.clientWidth));
    if (!width) return;
    const { encoder, decoder } = this.by, n = encoder.shape[0], m = decoder.shape[0], context = this.canvas.getContext("2d");
    context.font = `12px ${this.theme.mono}`;
    const widest = (tokens, most) => tokens.reduce((max, { text }) => Math.max(max, Math.min(most, context.measureText(text).width)), 0);
    const gutter = Math.ceil(widest([...encoder.rows, ...decoder.rows], width * 0.2)) + 14;
    const heads = [encoder, decoder].map(({ columns }) => Math.ceil(widest(columns, 84)) + 10), gap = 18;
    // A block of few tokens is still as wide as its title.
    const cell = Math.min(clamp(210 / Math.max(1, Math.min(n, m)), 34, 72), (width - gutter - gap - 2) / (n + m), JOINT_HIGH / (n + m)), size = cell >= 6 ? Math.floor(cell) : cell;
    const top = 22 + heads[0], lower = top + n * size + 30 + heads[1], right = gutter + n * size + gap;
    this.size = size;
    this.places = {
      encoder: { x: gutter, y: top }, cross: { x: gutter, y: lower }, decoder: { x: right, y: lower },
      never: { x: right, y: top, width: m * size, height: n * size },
    };
    this.heads = { encoder: heads[0], decoder: heads[1] };
    this.gutter = gutter;
    this.high = Math.ceil(lower + m * size + 4);
    this.schedule();
  }
  box({ name, shape: [rows, columns] }) {
    const { x, y } = this.places[name];
    return { x, y, width: columns * this.size, height: rows * this.size };
  }
  schedule() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.width) return;
      drawJoint(this);
      this.canvas.dataset.drawn = String((this.drawn += 1));
      Object.assign(this.canvas.dataset, this.selection.value);
    });
  }

  locate(x, y) {
    for (const block of this.blocks) {
      const box = this.box(block), column = Math.floor((x - box.x) / this.size), row = Math.floor((y - box.y) / this.size);
      if (row >= 0 && column >= 0 && row < block.shape[0] && column < block.shape[1]) return { block: block.name, row, column };
    }
    return null;
  }
  setHover(next) {
    if (JSON.stringify(next) === JSON.stringify(this.hover)) return;
    const block = (next ?? this.hover) && this.by[(next ?? this.hover).block];
    this.hover = next;
    if (block && !block.pooled) {
      announceHover(block.row_side, next?.row ?? null, this, "query");
      announceHover(block.column_side, next?.column ?? null, this, "key");
    }
    this.schedule();
  }
  hear(detail) {
    if (detail.source === this || !this.header || this.blocks.some(({ pooled }) => pooled)) return;
    for (const role of ["query", "key"]) if (!detail.role || detail.role === role) this.foreign[role] = { [detail.side]: detail.index };
    this.schedule();
  }
  select(value, delay) {
    this.selection.set(value, delay);
    this.schedule();
  }
}

export default (component) => mount(component, Joint);
