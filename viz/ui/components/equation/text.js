// Symbols, words and numbers of an equation.

import { el } from "../shared/dom.js";
import { decimals, number } from "../shared/numbers.js";

/** W_Q, kT, A_ij·v_j, S'' as they are set in print: italic, what follows "_" lowered, a final T raised. */
export function symbol(parent, text) {
  const node = el("i", "symbol", parent);
  for (const [k, factor] of text.replaceAll("'", "′").split("·").entries()) {
    const [, plain, raised] = /^(.+[a-z]|[A-Za-z])(T)$/.exec(factor) || [null, factor, ""];
    const [base, low] = plain.split(/_(.*)/);
    node.append(k ? "·" : "", base);
    if (low) el("sub", "", node, low);
    if (raised) el("sup", "", node, raised);
  }
  return node;
}
export const nameOf = (item) => item.symbol ?? item.matrix;

export const textOf = (list, i) => (list?.[i] === undefined ? String(i) : (list[i].text ?? String(list[i])));
export const indexed = (list) => list.every((token, i) => textOf(list, i) === String(i)); // plain positions need no printed labels

/** Seven digits: what a float32 holds, without the noise of a double. */
export const precise = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(7))).replace("-", "−") : number(value));
export const printed = (value, digits) => (digits == null ? number(value) : decimals(value, digits));
