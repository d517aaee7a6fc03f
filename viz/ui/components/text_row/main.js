// The list beside the text: the tokens with the largest weights, and what it leaves out. It receives the row and hands it on.

import { button, chip, el, mount } from "../shared/dom.js";
import { exact, SMALL } from "../shared/numbers.js";
import { unpack } from "../shared/payload.js";
import { announce, announceHover, GOTO, listen, listenHover, ROW, VIEW, WANTED } from "../shared/sync.js";

class Row {
  constructor(shadow) {
    this.root = el("div", "headlight reading-row", shadow);
    this.title = el("div", "title", this.root);
    this.list = el("ol", "list", this.root);
    this.rest = el("div", "rest", this.root);
    this.stops = [listen(WANTED, () => this.header && announce(ROW, this.header)), listenHover((detail) => this.hear(detail)),
      listen(VIEW, (view) => this.place(view))];
    this.views = {};
    this.drawn = 0;
  }
  update(bytes) {
    const header = (this.header = unpack(bytes)), { told } = header, values = header.arrays.values.data;
    this.title.textContent = told.listed;
    this.list.setAttribute("aria-label", told.listed);
    this.items = header.top.map(({ index, label }) => {
      const item = el("li", header.other === index ? "chosen" : ""), value = values[index];
      const press = button("pick", item, null, () => {
        announce(GOTO, { side: header.side, index });
        this.send("choose", { index, mode: header.mode });
      });
      const bar = el("i", "", el("span", "lane", press));
      bar.style.width = `${100 * Math.min(1, value / header.end)}%`;
      el("span", "way", press);
      el("span", "place", press, `#${index}`);
      press.append(chip(label, label.text));
      el("span", "value", press, exact(value, SMALL));
      for (const name of ["pointerenter", "focus"]) press.addEventListener(name, () => announceHover(header.side, index, this));
      for (const name of ["pointerleave", "blur"]) press.addEventListener(name, () => announceHover(header.side, null, this));
      return item;
    });
    this.list.replaceChildren(...this.items);
    this.rest.textContent = told.rest;
    this.place(this.views[header.side]);
    this.root.dataset.drawn = String((this.drawn += 1));
    announce(ROW, header);
  }
  /** Which way out of sight each token is. */
  place(view) {
    if (view) this.views[view.side] = view;
    const { header, items } = this;
    if (!view || !items || view.side !== header.side) return;
    items.forEach((item, i) => {
      const { index } = header.top[i], where = index < view.first ? "above" : index > view.last ? "below" : "", way = item.querySelector(".way");
      way.textContent = { above: "↑", below: "↓" }[where] ?? "";
      way.title = where && header.told[where];
    });
  }
  hear({ source, side, index }) {
    if (source === this || !this.items) return;
    this.items.forEach((item, i) => item.classList.toggle("hover", side === this.header.side && this.header.top[i].index === index));
  }
  destroy() {
    for (const stop of this.stops) stop();
    this.root.remove();
  }
}

export default (component) => mount(component, Row);
