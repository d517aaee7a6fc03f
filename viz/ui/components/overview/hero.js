// The sentence that was typed, the one that was written, and between them the ribbons; the typed one is edited in place.

import { button, el } from "../shared/dom.js";
import { clamp } from "../shared/numbers.js";
import { chipsAt, placeOf, Ribbons, THIN } from "./ribbons.js";
import { percent, unitOf } from "./weights.js";

export const ROOMY = 820; // px; from here on labels stand beside the pictures
const TIGHT = 15; // px: a letter smaller than this stands in a narrower chip
const SIDES = 380; // px: the captions left and right of the words

export class Hero {
  constructor(overview) {
    const { header } = overview;
    this.overview = overview;
    this.box = el("section", "hero", overview.root);
    this.source = header.hero?.source || (header.source.length ? header.source : header.shifted || []);
    const typed = el("div", "caption typed", this.box);
    el("span", "", typed, header.words.source);
    this.scroll = el("div", "scroll", this.box);
    this.scroll.addEventListener("scroll", () => this.slide(), { passive: true });
    this.stage = el("div", "stage", this.scroll);
    this.buildSource(typed);
    if (header.hero) this.buildTarget();
    else for (const node of this.chosen()) node.classList.add("selected");
  }

  buildSource(typed) {
    const { overview, stage, source } = this, { header } = overview;
    const keys = header.hero?.keys ?? header.stacks[0].name;
    this.keys = keys;
    const side = header.hero?.merged ? "words" : keys; // a word is no token of the other pictures
    const row = el("div", "words source", stage);
    row.dir = header.direction || "auto";
    const tag = header.editable || header.hero ? "button" : "span";
    this.sources = source.map((token, j) => overview.token(token, side, placeOf(token, j), row, tag));
    if (!header.editable) return;
    const edit = button("edit", typed, header.words.edit, () => this.edit(row));
    edit.textContent = header.words.edit;
    edit.dataset.key = "edit";
    row.classList.add("editable");
    row.addEventListener("click", (event) => event.target !== this.input && this.edit(row));
  }

  buildTarget() {
    const { overview, box, stage, source, sources } = this, { header, arrays } = overview, { hero, words } = header;
    const { data, shape } = arrays.hero, unit = unitOf(arrays.hero);
    const weight = (i, j) => data[i * shape[1] + j] * unit;
    const ribbons = (this.ribbons = new Ribbons(stage, words.alt || hero.title, weight, (row, column) => this.look(row, column)));
    const row = el("div", "words target", stage);
    row.dir = header.target_direction || "auto";
    const targets = header.target.slice(0, shape[0]).map((token, i) => {
      const node = overview.token(token, hero.merged ? "written-words" : "decoder-output", i, row, "button"), order = ribbons.order(i, source.length);
      const looks = order.slice(0, 3).filter((j) => weight(i, j) >= THIN);
      node.setAttribute("aria-label", [token.text, ...looks.map((j) => `${source[j].text} ${percent(weight(i, j))}`)].join(", "));
      node.dataset.key = `target ${i}`;
      node.addEventListener("click", () => this.look(i, order[0]));
      return node;
    });
    ribbons.attach(sources, targets);
    for (const [j, node] of sources.entries())
      node.addEventListener("click", (event) => {
        event.stopPropagation(); // beside the words a click edits them
        this.look(targets.reduce((best, _, i) => (weight(i, j) > weight(best, j) ? i : best), 0), j);
      });
    this.targets = targets;
    const chosen = header.selection;
    if (chosen && chosen.site === hero.site && chosen.head === hero.head) for (const node of this.chosen()) node.classList.add("selected");
    el("div", "caption written", box, words.target);
    const which = el("div", "caption which", box);
    const label = button("plain", which, hero.title, () => overview.go({ page: "heads", site: hero.site, head: hero.head }));
    label.textContent = hero.title;
    el("span", "hint", which, words.hover);
  }

  /** The selected pair's chips, the written one first. */
  chosen() {
    const { hero, hero_at: at, marked } = this.overview.header;
    if (hero) return [this.targets[at?.[0]], this.sources[at?.[1]]].filter(Boolean);
    return chipsAt(marked?.[this.keys], this.source, this.sources);
  }
  /** A row that is longer than the page goes to the selected pair where that is out of sight: to its middle, or where that
   *  leaves it out, to its query. */
  reveal() {
    const nodes = this.chosen();
    if (!nodes.length) return;
    const { scroll } = this, frame = scroll.getBoundingClientRect(), boxes = nodes.map((node) => node.getBoundingClientRect());
    if (boxes.every(({ left, right }) => left >= frame.left && right <= frame.right)) return;
    const places = boxes.map(({ left, width }) => left + width / 2 - frame.left + scroll.scrollLeft);
    const span = Math.max(...places) - Math.min(...places), fits = span < 0.8 * frame.width;
    const middle = fits ? places.reduce((sum, x) => sum + x, 0) / places.length : places[0];
    scroll.scrollLeft = middle - frame.width / 2;
    this.slide();
  }

  /** To this head's page, with this pair chosen. */
  look(row, column) {
    const { site, head } = this.overview.header.hero;
    this.overview.go({ site, head, row, column, page: "heads" });
  }

  edit(row) {
    if (this.input) return;
    const { source_text: before, words } = this.overview.header;
    const chips = [...row.childNodes];
    const form = el("label", "editor", row);
    const input = (this.input = el("input", "", form));
    input.value = before;
    input.dir = "auto";
    input.spellcheck = false;
    input.setAttribute("aria-label", words.edit);
    el("small", "hint", form, words.run);
    row.classList.add("editing");
    const close = () => {
      this.input = null;
      form.remove();
      row.classList.remove("editing");
      chips[0]?.focus?.({ preventScroll: true });
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.isComposing || event.keyCode === 229) return; // Enter that confirms a Chinese word is not "run"
      if (event.key === "Escape") close();
      if (event.key !== "Enter") return;
      event.preventDefault(); // the word that has the focus next is not pressed by it
      const text = input.value.trim();
      close();
      if (!text || text === before) return;
      this.box.classList.add("waiting");
      setTimeout(() => this.box.classList.remove("waiting"), 4000); // an answer without new data must not stay grey
      this.overview.send("text", text);
    });
    input.addEventListener("blur", () => this.input === input && input.value === before && close());
    input.focus({ preventScroll: true });
    input.select();
  }

  /** Words as large and as far apart as the width allows; past that they shrink, then both rows scroll together. */
  arrange(width) {
    const { box } = this;
    const rows = [...box.querySelectorAll(".words")];
    box.style.setProperty("--size", "20px");
    const measure = (gap) => rows.map((row) => [...row.querySelectorAll(".chip")].reduce((sum, node) => sum + node.offsetWidth + gap, 0));
    box.classList.remove("tight");
    let sums = measure(10), part = 2; // a gap is this part of a letter's size
    const inset = width >= ROOMY && Math.max(...sums) <= width - SIDES;
    const room = width - (inset ? SIDES : 16);
    if ((20 * room) / Math.max(...sums) < TIGHT) {
      box.classList.add("tight"); // closer together before words or ribbons are cut off at an end
      [sums, part] = [measure(4), 5];
    }
    const longest = Math.max(...sums), count = rows[sums.indexOf(longest)].querySelectorAll(".chip").length;
    const edges = 3 * count; // borders do not shrink with the letters, and each width is rounded up
    const size = clamp((20 * (room - edges)) / (longest - edges), 11, 20);
    const space = Math.max(room, (longest * size) / 20 / 0.94); // rows that scroll still end together
    box.classList.toggle("inset", inset);
    box.style.setProperty("--size", `${size}px`);
    this.height = width >= ROOMY ? 136 : 112;
    rows.forEach((row, k) => {
      const chips = row.querySelectorAll(".chip").length;
      // A short row stays in sight, and its ribbons follow, while a much longer one scrolls beside it.
      const stays = space > room && sums[k] < 0.6 * longest && (sums[k] * size) / 20 < room;
      const air = ((stays ? room : space) * 0.94 - (sums[k] * size) / 20) / Math.max(1, chips - 1);
      row.classList.toggle("stays", stays);
      row.style.width = stays ? `${this.scroll.clientWidth}px` : "";
      row.style.gap = `${size / part + clamp(air, 0, width >= ROOMY ? 64 : 30)}px`;
    });
    this.ribbons?.draw(this.height);
    this.fade();
  }

  slide() {
    this.fade();
    if (this.stage.querySelector(".stays")) this.ribbons?.draw(this.height);
  }
  /** A row that goes on past the edge fades there. */
  fade() {
    const { scrollLeft, scrollWidth, clientWidth } = this.scroll;
    this.scroll.style.setProperty("--from", scrollLeft > 1 ? "36px" : "0px");
    this.scroll.style.setProperty("--to", scrollLeft + clientWidth < scrollWidth - 1 ? "36px" : "0px");
  }
}
