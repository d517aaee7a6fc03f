// The same cells at many steps of a training: a slider and a button that plays, over matrices that are all here already.

import { button, el } from "../shared/dom.js";
import { fill } from "../shared/numbers.js";

const EVERY = 420; // ms that a step stays while it plays

export class Scrub {
  /** changed(): another place is to be drawn at once; chosen(step): somebody let go at this step. */
  constructor(root, changed, chosen) {
    Object.assign(this, { changed, chosen, place: 0, steps: null, timer: 0, held: false, told: null, marked: false });
    this.bar = el("div", "scrub", root);
    this.bar.hidden = true;
    this.play = button("play", this.bar, null, () => (this.timer ? this.stop() : this.start()));
    this.range = el("input", "", this.bar);
    Object.assign(this.range, { type: "range", min: 0, step: 1 });
    this.text = el("output", "", this.bar);
    this.range.addEventListener("input", () => {
      this.held = true;
      clearInterval(this.timer);
      this.timer = 0;
      this.go(Number(this.range.value));
    });
    this.range.addEventListener("change", () => this.tell());
  }

  update({ steps, at, words }) {
    this.words = words;
    this.bar.hidden = !steps;
    if (!steps) return this.end();
    const others = this.steps?.join() !== steps.join(), news = at !== this.told;
    this.steps = steps;
    this.range.max = steps.length - 1;
    this.range.setAttribute("aria-label", words.steps);
    // What Python answers is older than a hand on the slider.
    if (others || (news && !this.held && !this.timer)) this.place = Math.max(0, steps.indexOf(at));
    this.told = at;
    this.note();
  }

  /** The rows of the step, where each step has names of its own for them. */
  rows({ rows, rows_at: named }) {
    return named ? rows.map((row, i) => ({ ...row, text: named[this.place][i] })) : rows;
  }
  /** The part of an array [steps, rows, columns] that belongs to the step; the whole of another. */
  layer({ data, shape }) {
    const size = shape.at(-1) * shape.at(-2);
    return this.steps ? data.subarray(this.place * size, (this.place + 1) * size) : data;
  }
  go(place) {
    this.place = place;
    this.note();
    this.changed();
  }
  note() {
    const step = this.steps[this.place];
    this.range.value = this.place;
    this.text.textContent = fill(this.words.step, { step: step.toLocaleString("en-US") });
    this.range.setAttribute("aria-valuetext", this.text.textContent);
    this.bar.dataset.step = step;
    this.mark(step !== this.told);
    this.play.textContent = this.timer ? "❚❚" : "▶";
    this.play.setAttribute("aria-label", this.timer ? this.words.pause : this.words.play);
  }
  /** What Python drew for the step where the slider was let go is pale while another is shown here (viz/ui/style.css). */
  mark(elsewhere) {
    if (elsewhere === this.marked) return;
    this.marked = elsewhere;
    document.documentElement.toggleAttribute("data-scrubbing", elsewhere);
  }
  start() {
    const last = this.steps.length - 1;
    this.timer = setInterval(() => (this.place < last ? this.go(this.place + 1) : this.stop()), EVERY);
    this.go(this.place < last ? this.place : 0);
  }
  stop() {
    this.end();
    this.tell();
  }
  end() {
    clearInterval(this.timer);
    this.timer = 0;
  }
  tell() {
    this.held = false;
    this.note();
    if (this.steps[this.place] === this.told) return;
    this.told = this.steps[this.place];
    this.mark(false);
    this.chosen(this.told);
  }
}
