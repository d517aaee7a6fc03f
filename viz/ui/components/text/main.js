// The text itself: click a token, and the text is coloured by what a head attends to from there, or by who attends to it.
// The text comes once; the row comes from the list beside it (text_row/main.js), so that a click moves one row of numbers.

import { chip, el, mount, spokenLine } from "../shared/dom.js";
import { exact, fill, SMALL } from "../shared/numbers.js";
import { unpack } from "../shared/payload.js";
import { announce, announceHover, GOTO, listen, listenFonts, listenHover, ROW, shared, WANTED } from "../shared/sync.js";
import { inks, ramp, readTheme } from "../shared/theme.js";
import { Find } from "./find.js";
import { Flow } from "./flow.js";
import { listenText } from "./input.js";

class Reading {
  constructor(shadow) {
    this.shadow = shadow;
    this.root = el("div", "headlight reading", shadow);
    const bar = el("div", "bar", this.root);
    this.readout = el("div", "readout", bar);
    this.find = new Find(this, bar);
    this.texts = el("div", "texts", this.root);
    this.foot = el("div", "foot", this.root);
    this.live = spokenLine(this.root);
    this.flows = [];
    this.row = null; // the last row that is about this text
    this.over = null; // {flow, index} under the pointer
    this.asked = shared((index) => this.send("ask", { index, mode: this.row?.mode }));
    this.drawn = this.width = 0;
    const observer = new ResizeObserver(() => this.resized());
    observer.observe(this.root);
    // What is in sight depends on the window too; a scroll does not bubble, so it is caught on its way down.
    const scrolled = () => this.flows.forEach((flow) => flow.strip.later());
    document.addEventListener("scroll", scrolled, { capture: true, passive: true });
    window.addEventListener("resize", scrolled);
    this.stops = [
      () => observer.disconnect(),
      () => document.removeEventListener("scroll", scrolled, { capture: true }),
      () => window.removeEventListener("resize", scrolled),
      listen(ROW, (row) => this.take(row)),
      listen(GOTO, ({ side, index }) => this.flows.find((flow) => flow.text.side === side)?.goTo(index)),
      listenHover((detail) => this.hear(detail)),
      listenFonts(() => this.resized(true)),
      () => this.asked.stop(),
    ];
  }

  update(bytes) {
    const header = (this.header = unpack(bytes)), { words } = header;
    const before = this.theme?.mode;
    this.theme = readTheme(this.shadow);
    if (this.theme.mode !== before) {
      const table = this.theme.sequential;
      const css = Array.from({ length: table.length / 3 }, (_, i) => `rgb(${table[3 * i]},${table[3 * i + 1]},${table[3 * i + 2]})`);
      this.colours = { table, css, ink: inks(table) };
      this.repaint = true;
    }
    const key = JSON.stringify(header.texts);
    if (key !== this.textKey) {
      this.textKey = key;
      while (this.flows.length < header.texts.length) {
        const flow = new Flow(this, this.texts);
        listenText(this, flow);
        this.flows.push(flow);
      }
      for (const flow of this.flows.splice(header.texts.length)) flow.box.remove();
      header.texts.forEach((text, i) => this.flows[i].fill(text));
      this.root.classList.toggle("two", header.texts.length > 1);
      this.over = null;
    }
    this.find.input.placeholder = words.find;
    this.find.input.setAttribute("aria-label", words.find);
    if (this.row?.of !== header.of) this.row = null;
    if (this.row) this.show();
    else announce(WANTED);
    this.fillReadout();
  }

  destroy() {
    for (const stop of this.stops) stop();
    this.root.remove();
  }

  /** The text whose tokens are asked, and the one that is coloured: in self-attention they are one. */
  asks() {
    return this.row?.mode === "attended" ? "key" : "query";
  }
  clickable() {
    const role = this.asks();
    return this.flows.find((flow) => flow.text.roles.includes(role));
  }
  coloured() {
    const role = this.asks() === "query" ? "key" : "query";
    return this.flows.find((flow) => flow.text.roles.includes(role));
  }

  take(row) {
    if (!this.header || row.of !== this.header.of) return;
    if (this.row && this.row.mode !== row.mode) this.asked.value = null;
    this.row = row;
    this.show();
  }
  show() {
    const { row, header } = this, { words } = header;
    this.asked.answer(row.index);
    for (const flow of this.flows) {
      const on = flow === this.coloured();
      flow.colour(on ? row.arrays.values.data : null, on ? row.masked : [], row.end);
      const asks = flow === this.clickable(), name = flow.text.title;
      flow.title.textContent = this.flows.length > 1 ? `${name} · ${asks ? words.ask_here : words.coloured}` : words.ask_here;
      flow.page.setAttribute("aria-label", fill(words.alt, { n: flow.spans.length.toLocaleString() }));
      flow.mark("other", on && row.other !== this.asked.value ? row.other : null);
      flow.box.classList.toggle("asks", asks);
      flow.setStrongest(on && row.top.length ? row.top[0] : null, row);
    }
    this.repaint = false;
    this.markAsking();
    if (this.revealed !== `${row.of} ${row.mode}`) {
      this.revealed = `${row.of} ${row.mode}`;
      this.open(row);
    }
    this.fillFoot();
    this.fillReadout();
    this.root.dataset.drawn = String((this.drawn += 1));
    this.root.dataset.asking = row.index;
    window.performance.mark("headlight-reading-drawn");
  }
  /** Both ends in sight where the text can show them together; of two texts each shows its own. */
  open(row) {
    const asks = this.clickable(), colours = this.coloured(), best = row.top[0]?.index ?? row.index;
    if (asks === colours) asks.revealBoth(row.index, best);
    else asks.reveal(row.index, true), colours.reveal(best, true);
  }
  resized(always = false) {
    const width = this.root.clientWidth;
    if (!width || (width === this.width && !always)) return;
    this.width = width;
    for (const flow of this.flows) {
      flow.measured = false;
      flow.strip.draw();
    }
  }

  // ---- asking and hover
  ask(index, delay) {
    this.asked.set(index, delay);
    this.markAsking();
    this.fillReadout();
    const label = this.clickable().label(index, this.asks());
    this.live.textContent = `${index}: ${label.text}`;
  }
  /** The other end of the selection: a token of the coloured text. */
  choose(index) {
    this.send("choose", { index, mode: this.row?.mode });
  }
  markAsking() {
    const asks = this.clickable();
    for (const flow of this.flows) {
      flow.mark("asking", flow === asks ? this.asked.value : null);
      const { asking } = flow, known = asking !== null && asking < flow.spans.length;
      flow.ends.set("asked", known ? asking : null, known && flow.label(asking, this.asks()));
      flow.strip.paint();
    }
  }
  hover(flow, index) {
    if (this.over?.flow === flow && this.over.index === index) return;
    this.over = index === null ? null : { flow, index };
    announceHover(flow.text.side, index, this);
    this.fillReadout();
  }
  hear({ source, side, index }) {
    if (source === this) return;
    for (const flow of this.flows) flow.mark("hover", flow.text?.side === side ? index : null);
  }

  // ---- words around the text
  fillReadout() {
    const { header, row, over } = this, { words } = header, asks = this.clickable(), parts = [];
    const index = this.asked.value;
    const say = (text, name) => parts.push(el("span", name, null, text));
    if (asks && index !== null && index < asks.spans.length) {
      parts.push(chip(asks.label(index, this.asks())));
      say(`#${index}`, "faint place");
    }
    if (over && row) {
      const { flow, index: at } = over;
      say(row.mode === "attends" ? words.to : words.from, "faint");
      parts.push(chip(flow.label(at, flow === this.coloured() && this.asks() === "query" ? "key" : "query")));
      say(`#${at}`, "faint place");
      if (flow === this.coloured()) {
        const value = row.arrays.values.data[at];
        if (flow.masked?.[at]) say(words.masked, "faint");
        else say(exact(value, SMALL), "value");
      }
    } else if (row) say(words.hover, "faint help");
    this.readout.replaceChildren(...parts);
  }
  fillFoot() {
    const { foot, row, colours, header, theme } = this, { words } = header;
    foot.replaceChildren();
    const key = el("span", "key", foot);
    el("span", "end", key, "0");
    el("span", "ramp", key).style.background = ramp(colours.table, 17);
    el("span", "end", key, exact(row.end, SMALL));
    el("span", "name", foot, row.told.legend);
    const flow = this.coloured();
    if (row.masked.length) {
      const item = el("span", "key", foot);
      el("span", "swatch masked", item);
      el("span", "", item, words.masked);
    }
    if (flow.shown.includes(-3)) el("span", "broken", foot, words.nan);
    if (row.arrays.values.data.some((value) => value > row.end * 1.00001)) el("span", "", foot, words.clipped);
    el("span", "hint", foot, words.help);
    foot.style.setProperty("--line", theme.line);
  }
}

export default (component) => mount(component, Reading);
