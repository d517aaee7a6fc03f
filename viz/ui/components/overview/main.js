// The first screen: how each written word looks at the typed ones, then the whole model as Vaswani et al. 2017 draw it.
// This part keeps the other ones together; the hero and the model are made anew for new data.

import { button, el, mount } from "../shared/dom.js";
import { fill, number } from "../shared/numbers.js";
import { unpack } from "../shared/payload.js";
import { announceHover, listenFonts, listenHover } from "../shared/sync.js";
import { ramp, readTheme } from "../shared/theme.js";
import { Hero, ROOMY } from "./hero.js";
import { Model } from "./model.js";

const SIDE_BY_SIDE = 520; // px; below it the decoder stands on the encoder

class Overview {
  constructor(shadow) {
    this.shadow = shadow;
    this.root = el("div", "headlight overview", shadow);
    this.stop = listenHover((detail) => this.mark(detail.side, detail.index));
    this.observer = new ResizeObserver(() => {
      if (this.root.clientWidth !== this.width) this.arrange();
    });
    this.observer.observe(this.root);
    this.fonts = listenFonts(() => this.arrange()); // chips were measured in the face that stood in for the real one
  }
  destroy() {
    this.stop();
    this.fonts();
    this.observer.disconnect();
    this.root.remove();
  }

  update(bytes) {
    const focus = this.root.getRootNode().activeElement?.dataset?.key; // survives the redraw that a click causes
    const along = this.hero ? this.hero.scroll.scrollLeft : 0, before = JSON.stringify(this.header?.selection);
    this.header = unpack(bytes);
    this.arrays = this.header.arrays;
    this.theme = readTheme(this.shadow);
    this.tokens = {}; // side -> its chips
    this.root.replaceChildren();
    this.root.style.setProperty("--ink", `rgb(${[...this.theme.sequential.slice(-3)]})`);
    this.hero = this.header.hero || this.header.editable ? new Hero(this) : null;
    this.model = new Model(this);
    this.buildLegend();
    this.buildDoors();
    this.popover = el("div", "popover", this.root);
    this.popover.hidden = true;
    this.arrange();
    if (this.hero) this.hero.scroll.scrollLeft = along;
    if (JSON.stringify(this.header.selection) !== before) {
      this.hero?.reveal();
      this.model.reveal();
    }
    if (focus) this.root.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
    performance.mark("headlight-overview-drawn");
  }
  go(place) {
    this.send("go", place);
  }

  /** A word's chip; hovering or focusing it is told to the page. */
  token(token, side, index, parent, tag = "span") {
    const node = tag === "button" ? button("", parent, token.text, null) : el(tag, "", parent);
    node.className = `chip ${token.kind || "word"} ${token.segment || ""} ${token.left_out ? "left-out" : ""}`;
    el("bdi", "", node, token.text);
    const tell = (at) => announceHover(side, at, this.root);
    for (const name of ["pointerenter", "focus"]) node.addEventListener(name, () => tell(index));
    for (const name of ["pointerleave", "blur"]) node.addEventListener(name, () => tell(null));
    (this.tokens[side] ??= []).push({ node, index });
    return node;
  }

  /** Where to go from here: above the shorter encoder, where the paper's figure has room, else below the picture. */
  buildDoors() {
    this.doors = el("nav", "doors", this.root);
    for (const { page, text, why } of this.header.doors || []) {
      const door = button("door", this.doors, text, () => this.go({ page }));
      door.dataset.key = `door ${page}`;
      el("span", "name", door, `${text} →`);
      el("span", "faint", door, why);
    }
  }

  buildLegend() {
    const { words, stacks } = this.header, { ffn, norm } = this.model.peaks;
    const legend = el("div", "legend faint", this.root);
    const has = (kind) => stacks.some((stack) => stack.layers.some((layer) => layer.parts.some((part) => part.kind === kind)));
    const item = (text, max, look) => {
      const line = el("span", "item", legend);
      const mark = el("i", look, line);
      if (look === "ramp") mark.style.background = ramp(this.theme.sequential);
      if (look === "steps") for (const height of [35, 60, 100]) el("b", "", mark).style.height = `${height}%`;
      el("span", "", line, fill(text, { max: number(max) }));
    };
    const { end, beyond } = this.model.weights;
    item(words.legend + (beyond ? words.legend_beyond : ""), end, "ramp");
    if (this.header.hatched) item(this.header.hatched, 1, "hatch");
    if (has("ffn")) item(words.ffn_legend, ffn, "ramp");
    if (has("norm")) item(words.norm_legend, norm, "steps");
    if (this.root.querySelector(".chip.left-out")) {
      const line = el("span", "item", legend);
      el("i", "chip left-out", line);
      el("span", "", line, words.left_out);
    }
    if (this.root.querySelector(".chip.selected")) {
      const line = el("span", "item", legend);
      el("i", "chip selected", line);
      el("span", "", line, words.outlined);
    }
  }

  /** A word under the pointer, here or in another figure: its ribbons, its chips and its row or column in every head. */
  mark(side, index) {
    if (!this.header) return;
    for (const [name, list] of Object.entries(this.tokens))
      for (const { node, index: own } of list) node.classList.toggle("hover", name === side && own === index);
    const merged = this.header.hero?.merged;
    const rows = merged ? "written-words" : "decoder-output", columns = merged ? "words" : this.hero?.keys;
    this.hero?.ribbons?.mark({ row: side === rows ? index : null, column: side === columns ? index : null });
    this.model.mark(side, index);
  }

  /** Everything that depends on the width. */
  arrange() {
    const width = (this.width = this.root.clientWidth);
    if (!width || !this.header) return;
    const single = this.model.stacks.length === 1 || this.model.apart;
    this.root.dataset.layout = width >= (single ? SIDE_BY_SIDE : ROOMY) ? "roomy" : width >= SIDE_BY_SIDE || single ? "close" : "stacked";
    const beside = this.root.querySelector(".stack.encoder");
    const above = beside && !single && this.root.dataset.layout !== "stacked";
    (above ? beside : this.root).append(this.doors);
    this.hero?.arrange(width);
    this.model.arrange();
  }
}

export default (component) => mount(component, Overview);
