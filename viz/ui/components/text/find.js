// Find a word, or go to a place: "#120". Enter asks from what was found, and from the next one.

import { el } from "../shared/dom.js";
import { FOLLOWS } from "./flow.js";

export class Find {
  constructor(view, parent) {
    this.view = view;
    this.box = el("label", "find", parent);
    this.input = el("input", "", this.box);
    this.input.type = "search";
    this.input.spellcheck = false;
    this.count = el("span", "count", this.box);
    this.count.setAttribute("aria-live", "polite");
    this.found = [];
    this.at = -1;
    this.input.addEventListener("input", () => this.search());
    this.input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") this.next(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") this.clear();
    });
  }
  clear() {
    this.input.value = "";
    this.search();
  }
  /** The tokens that a match begins in. */
  search() {
    const { view } = this, flow = view.clickable(), wanted = this.input.value.trim().toLowerCase();
    for (const each of view.flows) for (const i of each.matches ?? []) each.spans[i]?.classList.remove("match");
    this.found = [];
    this.at = -1;
    if (flow && wanted) {
      const place = /^#(\d+)$/.exec(wanted);
      if (place) this.found = +place[1] < flow.spans.length ? [+place[1]] : [];
      else this.found = occurrences(flow.text, wanted);
      flow.matches = this.found.slice(0, 2000);
      for (const i of flow.matches) flow.spans[i].classList.add("match");
      if (this.found.length) flow.reveal(this.found[0], true);
    }
    this.tellCount();
  }
  next(way) {
    const { found, view } = this;
    if (!found.length) return;
    this.at = (this.at + way + found.length) % found.length;
    const index = found[this.at];
    view.ask(index);
    view.clickable().reveal(index, true);
    this.tellCount();
  }
  tellCount() {
    const { words } = this.view.header, wanted = this.input.value.trim();
    const now = this.at < 0 ? "" : `${this.at + 1} / `;
    this.box.classList.toggle("counted", Boolean(wanted));
    this.count.textContent = wanted ? (this.found.length ? now + this.found.length.toLocaleString() : words.find_none) : "";
  }
}

/** The tokens in which the text `wanted` begins; it may go over several. */
function occurrences({ tokens, follows }, wanted) {
  const starts = [], parts = [];
  let length = 0;
  tokens.forEach((token, i) => {
    const piece = (i && follows[i] !== FOLLOWS.joined && follows[i] !== FOLLOWS.rest ? " " : "") + token.toLowerCase();
    starts.push(length);
    parts.push(piece);
    length += piece.length;
  });
  const whole = parts.join(""), found = [];
  for (let at = whole.indexOf(wanted), i = 0; at >= 0; at = whole.indexOf(wanted, at + 1)) {
    while (i + 1 < starts.length && starts[i + 1] <= at) i += 1;
    if (found.at(-1) !== i) found.push(i);
  }
  return found;
}
