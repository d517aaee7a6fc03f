// Above a text that scrolls: the asking token and the strongest one, each with where it stands and a way to it.

import { button, chip, el } from "../shared/dom.js";
import { announce, VIEW } from "../shared/sync.js";

const HEAD = 60; // px of the window that the head of the page covers
const LINE = 36; // px of a line and what is below it

export class Ends {
  constructor(flow) {
    this.flow = flow;
    this.box = el("div", "ends", flow.box);
    this.keys = {};
    for (const name of ["asked", "strongest"]) {
      const key = button(`end-${name}`, this.box, null, () => flow.goTo(this.keys[name].index));
      this.keys[name] = { key, index: null, said: "" };
    }
  }
  /** What the row says of this text: `index` null where the end is in the other text. */
  set(name, index, label, value) {
    const one = this.keys[name], { key } = one, { words } = this.flow.view.header;
    const said = JSON.stringify([index, label, value, words]);
    if (one.said === said) return;
    Object.assign(one, { index, said, where: undefined });
    key.hidden = index === null;
    if (key.hidden) return;
    const told = el("span", "", null, words[name]), place = el("span", "place", null, `#${index}`);
    one.way = el("span", "way");
    key.replaceChildren(told, chip(label), place, ...(value === undefined ? [] : [el("span", "value", null, value)]), one.way);
  }
  /** After a scroll: whether each end is in sight, in the text and in the window; for the list which tokens the text shows. */
  look() {
    const { flow } = this, { stage, tops } = flow, { words } = flow.view.header, from = stage.scrollTop;
    const { top: edge } = stage.getBoundingClientRect();
    const seen = [Math.max(0, HEAD - edge), Math.min(stage.clientHeight, window.innerHeight - edge)].map((y) => from + y);
    for (const one of Object.values(this.keys)) {
      if (one.index === null || one.index >= tops.length) continue;
      const top = tops[one.index], where = top < seen[0] - 8 ? "above" : top > seen[1] - LINE ? "below" : "seen";
      if (where === one.where) continue;
      one.where = where;
      one.way.textContent = words[`near_${where}`];
      one.key.dataset.where = where;
    }
    const first = firstFrom(tops, from - 8), last = firstFrom(tops, from + stage.clientHeight - LINE) - 1;
    if (first === this.first && last === this.last) return;
    Object.assign(this, { first, last });
    announce(VIEW, { side: flow.text.side, first, last });
  }
}

/** The first place of a rising array that is at least `least`; its length if none is. */
function firstFrom(tops, least) {
  let from = 0, to = tops.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (tops[middle] < least) from = middle + 1;
    else to = middle;
  }
  return from;
}
