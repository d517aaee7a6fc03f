// Beside a long text: the whole of it as a strip, each line of pixels the largest weight that stands there.

import { fitCanvas } from "../shared/canvas.js";
import { el } from "../shared/dom.js";
import { announce, VIEW } from "../shared/sync.js";

const STRIP = 16; // px

export class Strip {
  constructor(flow) {
    this.flow = flow;
    this.canvas = el("canvas", "strip", flow.stage.parentElement);
    this.canvas.setAttribute("aria-hidden", "true");
    let held = false;
    const go = (event) => {
      const box = this.canvas.getBoundingClientRect(), { stage } = flow;
      stage.scrollTop = ((event.clientY - box.top) / box.height) * stage.scrollHeight - stage.clientHeight / 2;
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      held = true;
      this.canvas.setPointerCapture(event.pointerId);
      go(event);
    });
    this.canvas.addEventListener("pointermove", (event) => held && go(event));
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => (held = false));
    flow.stage.addEventListener("scroll", () => this.later());
  }
  later() {
    this.frame ||= requestAnimationFrame(() => this.paint());
  }
  /** The picture of the whole; the part in sight is drawn over it. */
  draw() {
    const { flow } = this, { stage, view } = flow, long = stage.scrollHeight > stage.clientHeight + 4;
    flow.box.classList.toggle("long", long);
    this.canvas.title = view.header.words.strip;
    if (!long) announce(VIEW, { side: flow.text.side, first: 0, last: Infinity });
    if (!long || !view.colours) return;
    if (!flow.measured) flow.measure();
    const high = stage.clientHeight, most = new Float32Array(high), { table } = view.colours, { shown, tops } = flow;
    const masked = new Uint8Array(high).fill(1);
    for (let i = 0; i < tops.length; i++) {
      const y = Math.min(high - 1, Math.floor((tops[i] / flow.height) * high));
      if (shown[i] !== -2) masked[y] = 0;
      if (shown[i] > most[y]) most[y] = shown[i];
    }
    const each = (this.each = Math.max(2, Math.round((high / flow.height) * 26))); // px that a line of the text takes at least
    this.sheet ??= document.createElement("canvas");
    const context = fitCanvas(this.sheet, STRIP, high);
    for (let y = 0; y < high; y++) {
      if (!most[y]) continue;
      const k = 3 * most[y];
      context.fillStyle = `rgb(${table[k]},${table[k + 1]},${table[k + 2]})`;
      context.fillRect(3, y, STRIP - 6, each);
    }
    this.paint();
  }
  paint() {
    this.frame = 0;
    const { flow, canvas } = this, { stage, view } = flow, high = stage.clientHeight, { theme } = view;
    if (!this.sheet || !theme) return;
    flow.ends.look();
    const context = fitCanvas(canvas, STRIP, high);
    context.drawImage(this.sheet, 0, 0, STRIP, high);
    const scale = high / stage.scrollHeight;
    const mark = (index, width) => {
      if (index === undefined || index === null) return;
      context.fillStyle = theme.accent;
      context.fillRect(STRIP - width, Math.floor(flow.tops[index] * scale) - 1, width, 3);
    };
    mark(flow.asking, STRIP);
    if (flow.strongest !== null) {
      const y = Math.floor(flow.tops[flow.strongest] * scale + this.each / 2);
      context.fillStyle = theme.text;
      context.beginPath();
      context.moveTo(0, y - 5), context.lineTo(6, y), context.lineTo(0, y + 5);
      context.fill();
    }
    context.strokeStyle = theme.faint;
    context.lineWidth = 1;
    context.strokeRect(0.5, stage.scrollTop * scale + 0.5, STRIP - 1, Math.max(8, stage.clientHeight * scale - 1));
  }
}
