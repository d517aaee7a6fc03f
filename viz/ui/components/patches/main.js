// A picture as its patches: left the patch that asks, right how much it reads of every other. Where a text is written of the
// picture, its tokens ask, and stand above the one picture that they read.

import { fitCanvas } from "../shared/canvas.js";
import { chip, el, mount } from "../shared/dom.js";
import { clamp, fill, number } from "../shared/numbers.js";
import { unpack } from "../shared/payload.js";
import { announceHover, axesOf, listenHover } from "../shared/sync.js";
import { ramp, readTheme, shade } from "../shared/theme.js";

const WIDEST = 300; // px of each of the two pictures

class Patches {
  constructor(shadow) {
    this.root = el("div", "headlight patches", shadow);
    this.shadow = shadow;
    this.tokens = el("div", "tokens", this.root);
    this.pictures = ["asking", "read"].map((name) => this.buildPicture(name));
    this.legend = el("div", "legend faint", this.root);
    this.bar = el("i", "ramp", this.legend);
    this.text = el("span", "", this.legend);
    this.hovered = { query: null, key: null };
    this.stop = listenHover((detail) => this.hear(detail));
    this.observer = new ResizeObserver(() => this.header && this.draw());
    this.observer.observe(this.root);
  }
  destroy() {
    this.stop();
    this.observer.disconnect();
    this.root.remove();
  }

  buildPicture(name) {
    const box = el("figure", name, this.root);
    const canvas = el("canvas", "", box);
    canvas.tabIndex = 0;
    const caption = el("figcaption", "faint", box);
    canvas.addEventListener("pointermove", (event) => this.hover(this.role, this.at(canvas, event)));
    canvas.addEventListener("pointerleave", () => this.hover(this.role, null));
    canvas.addEventListener("click", (event) => this.choose(name, this.at(canvas, event)));
    canvas.addEventListener("keydown", (event) => this.key(name, event));
    return { name, box, canvas, caption };
  }

  update(bytes) {
    this.header = unpack(bytes);
    this.arrays = this.header.arrays;
    this.theme = readTheme(this.shadow);
    const { data, shape } = this.arrays.image, [height, width] = shape;
    this.image = document.createElement("canvas");
    [this.image.width, this.image.height] = [width, height];
    const context = this.image.getContext("2d"), pixels = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) pixels.data.set([data[3 * i], data[3 * i + 1], data[3 * i + 2], 255], 4 * i);
    context.putImageData(pixels, 0, 0);
    const { words } = this.header;
    this.pictures[0].box.hidden = this.written;
    this.buildTokens();
    this.pictures[0].caption.textContent = words.asking;
    this.pictures[0].canvas.setAttribute("aria-label", words.alt);
    this.pictures[1].canvas.setAttribute("aria-label", words.alt);
    this.draw();
    window.performance.mark("headlight-patches-drawn");
  }

  /** The tokens that ask; none where the patches themselves do. */
  buildTokens() {
    this.chips = this.header.queries.map((token, row) => {
      const made = chip(token);
      made.tabIndex = 0;
      made.setAttribute("role", "button");
      made.addEventListener("pointerenter", () => this.hover("query", row));
      made.addEventListener("pointerleave", () => this.hover("query", null));
      made.addEventListener("click", () => this.send("select", { row, column: null }));
      made.addEventListener("keydown", (event) => ["Enter", " "].includes(event.key) && (event.preventDefault(), made.click()));
      return made;
    });
    this.tokens.replaceChildren(...this.chips);
    this.tokens.hidden = !this.written;
  }

  get written() {
    return this.header.queries.length > 0;
  }
  /** What a patch under the pointer is: the key that is read, or, where patches ask, the query. */
  get role() {
    return this.written ? "key" : "query";
  }
  /** The token whose row is shown: the one under the pointer, else the selected one. */
  get row() {
    return this.hovered.query ?? this.header.selection.row;
  }
  get column() {
    return this.hovered.key ?? this.header.selection.column;
  }
  at(canvas, event) {
    const { grid: [rows, columns], first } = this.header, box = canvas.getBoundingClientRect();
    const i = Math.floor(((event.clientY - box.top) / box.height) * rows), j = Math.floor(((event.clientX - box.left) / box.width) * columns);
    return i < 0 || j < 0 || i >= rows || j >= columns ? null : first + i * columns + j;
  }
  hover(role, token) {
    if (token === this.hovered[role]) return;
    this.hovered[role] = token;
    announceHover(this.header.sides[role], token, this, this.written ? role : undefined);
    this.draw();
  }
  hear({ side, index, source, role }) {
    if (source === this || !this.header) return;
    const axes = axesOf({ side, role }, this.header.sides);
    if (axes.includes("query")) this.hovered.query = index;
    else if (axes.includes("key") && this.written) this.hovered.key = index;
    else return;
    this.draw();
  }
  choose(name, token) {
    if (token === null) return;
    const { row } = this.header.selection;
    this.send("select", name === "asking" ? { row: token, column: null } : { row, column: token });
  }
  key(name, event) {
    const [, columns] = this.header.grid, { first, selection } = this.header;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const last = first + this.header.grid[0] * columns - 1, from = name === "asking" ? selection.row : selection.column;
    this.choose(name, clamp(Math.max(from, first) + step, first, last));
  }

  draw() {
    const [height, width] = this.arrays.image.shape;
    const size = Math.min(WIDEST, Math.floor((this.root.clientWidth - 24) / (this.written ? 1 : 2)));
    if (size < 20) return;
    const [w, h] = [size, Math.round((size * height) / width)];
    const { data, shape } = this.arrays.weights, row = data.subarray(this.row * shape[1], (this.row + 1) * shape[1]);
    const most = Math.max(...row.subarray(this.header.first), 1e-9);
    this.pictures.forEach(({ name, box, canvas }) => {
      if (box.hidden) return;
      const context = fitCanvas(canvas, w, h);
      context.imageSmoothingEnabled = true;
      context.drawImage(this.image, 0, 0, w, h);
      if (name === "read") this.shadeWeights(context, row, most, w, h);
      this.drawGrid(context, w, h);
      this.outline(context, name === "asking" ? this.row : this.column, w, h);
    });
    const { words, first, labels, queries } = this.header;
    this.chips.forEach((each, i) => each.classList.toggle("selected", i === this.row));
    this.pictures[1].caption.textContent = fill(words.read, { token: this.written ? queries[this.row].text : labels[this.row] });
    this.bar.style.background = ramp(this.theme.sequential);
    const others = Array.from({ length: first }, (_, j) => `${labels[j]} ${number(row[j])}`).join(", ");
    this.text.textContent = [fill(words.legend, { max: number(most) }), first ? fill(words.others, { others }) : ""].filter(Boolean).join(" · ");
  }

  /** Weights as the page's own colours over a paled picture: what is not read goes pale, never another hue. */
  shadeWeights(context, row, most, w, h) {
    const { grid: [rows, columns], first } = this.header, table = this.theme.sequential;
    context.fillStyle = this.theme.background;
    context.globalAlpha = 0.55;
    context.fillRect(0, 0, w, h);
    context.globalAlpha = 0.75;
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) {
        const weight = row[first + i * columns + j] / most, k = 3 * shade(weight, 0, 1, table.length / 3);
        if (weight < 0.004) continue;
        context.fillStyle = `rgb(${table[k]},${table[k + 1]},${table[k + 2]})`;
        context.globalAlpha = 0.15 + 0.7 * weight;
        context.fillRect((j * w) / columns, (i * h) / rows, w / columns, h / rows);
      }
    context.globalAlpha = 1;
  }
  drawGrid(context, w, h) {
    const [rows, columns] = this.header.grid;
    context.strokeStyle = this.theme.line;
    context.globalAlpha = 0.5;
    context.lineWidth = 0.5;
    context.beginPath();
    for (let i = 0; i <= rows; i++) context.moveTo(0, (i * h) / rows), context.lineTo(w, (i * h) / rows);
    for (let j = 0; j <= columns; j++) context.moveTo((j * w) / columns, 0), context.lineTo((j * w) / columns, h);
    context.stroke();
    context.globalAlpha = 1;
  }
  outline(context, token, w, h) {
    const { grid: [rows, columns], first } = this.header;
    if (token < first) return;
    const i = Math.floor((token - first) / columns), j = (token - first) % columns;
    context.strokeStyle = this.theme.accent;
    context.lineWidth = 2.5;
    context.strokeRect((j * w) / columns + 1, (i * h) / rows + 1, w / columns - 2, h / rows - 2);
  }
}

export default (component) => mount(component, Patches);
