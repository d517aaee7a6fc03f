// The arithmetic of one weight in a line: five numbers that the app's own server computes in float64 (model/steps/weight.py).
// They are on the screen before the page, which is told of the cell afterwards, is drawn again.

import { el } from "./dom.js";
import { decimals, number } from "./numbers.js";

export const SETTLED = 140; // ms that a pointer rests on a cell before its numbers are asked for
export const AFTER_SUMS = 120; // ms that the page waits for the numbers of a chosen cell before it is told of it
const MOST_SUMS = 256;

export class Sums {
  /** written: called whenever a cell's line has been painted. */
  constructor(parent, written = () => {}) {
    this.root = el("div", "sums", parent);
    this.root.hidden = true;
    this.written = written;
    this.kept = new Map(); // address of a cell -> product, scale, score, log-sum-exp, weight
    this.key = "";
  }
  /** The address of a head and the words; without an address there is no line. */
  point(address, words) {
    if (address !== this.address) this.show(null);
    Object.assign(this, { address, words });
    this.root.hidden = !address;
  }
  /** {row, column} of the whole head, or null: at once, or when the pointer has rested on it. */
  show(cell, now = false) {
    const key = cell && this.address ? `${this.address}/cell/${cell.row}/${cell.column}` : "";
    if (key !== this.key) {
      clearTimeout(this.timer);
      Object.assign(this, { key, cell });
      if (this.kept.has(key)) return this.write();
      this.root.replaceChildren();
      delete this.root.dataset.cell;
      if (key && !now) this.timer = setTimeout(() => this.fetch(key), SETTLED);
    }
    if (now && key && !this.kept.has(key)) this.fetch(key);
  }
  async fetch(key) {
    clearTimeout(this.timer);
    if (this.running === key) return;
    this.running = key;
    try {
      const answer = await fetch(new URL(key, document.baseURI));
      if (!answer.ok) return; // the page is a new one, or about to be
      this.kept.set(key, new Float64Array(await answer.arrayBuffer()));
      if (this.kept.size > MOST_SUMS) this.kept.delete(this.kept.keys().next().value);
      if (this.key === key) this.write();
    } catch {
      // no server: the page itself says so
    } finally {
      if (this.running === key) this.running = "";
    }
  }
  write() {
    const { root, words, cell } = this, [product, scale, score, logSum, weight] = this.kept.get(this.key);
    const scaled = product * scale, added = score - scaled;
    const digit = digitsOf(score - logSum), told = (value) => (digit > 2 ? decimals(value, digit) : number(value));
    const parts = [`q·k = ${told(product)}`, `${divided(scale, digit)} = ${told(scaled)}`];
    if (score === -Infinity) parts.push(`+ M = −∞`, "e^(−∞) = 0");
    else {
      if (Math.abs(added) > 1e-9 * Math.max(1, Math.abs(score))) parts.push(`${words.added} ${told(added)} = ${told(score)}`);
      parts.push(`− ln Σ eˢ (${told(logSum)}) = ${number(score - logSum)}`, `e^(${number(score - logSum)}) = ${number(weight)}`);
    }
    root.replaceChildren();
    el("span", "faint", root, words.sums);
    for (const part of parts) {
      const term = el("span", "term", root, part);
      if (part.includes("Σ")) term.title = words.log_sum;
    }
    root.dataset.cell = `${cell.row}.${cell.column}`;
    requestAnimationFrame(() => setTimeout(this.written));
  }
}

const MOST_DIGITS = 7;
/** How many decimals two numbers need so that their difference has three digits: what is told can be followed by hand. */
const digitsOf = (difference) => (difference && Number.isFinite(difference) ? Math.min(MOST_DIGITS, 2 - Math.floor(Math.log10(Math.abs(difference)))) : 0);

/** What q·k is made smaller by: √d as one reads it in the formula, where the scale is one over the root of a whole number. */
function divided(scale, digit) {
  const d = 1 / scale ** 2, whole = Math.round(d), told = (value) => (digit > 2 ? decimals(value, digit) : number(value));
  return whole > 1 && Math.abs(d / whole - 1) < 1e-6 ? `÷ (√${whole} = ${told(1 / scale)})` : `× ${told(scale)}`;
}
