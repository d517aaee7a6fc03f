// Pointer and keyboard on tokens and curves.

import { riseAt } from "../shared/lines_heads.js";
import { clamp } from "../shared/numbers.js";
import { lane } from "./sheet.js";
import { markTokens } from "./tokens.js";

const NEAR = 4; // px: a curve this close is under the pointer

const only = ({ side, index }) => ({ left: side === "left" ? index : null, right: side === "right" ? index : null });

function tokenAt(event) {
  const element = event.target.closest?.(".chip");
  return element ? { side: element.dataset.side, index: +element.dataset.index } : null;
}

/** The drawn curve under the pointer: the heaviest of the near ones. */
function lineAt(view, event) {
  const { layout } = view;
  const box = view.field.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const share = (x - layout.from) / (layout.to - layout.from);
  if (!(share > 0.02 && share < 0.98)) return null;
  const rise = riseAt(share);
  let best = null, most = 0;
  for (const kept of view.sheet.lines) {
    const offset = kept.length ? lane(view, kept[0]) : 0;
    for (let i = 0; i < kept.length; i += 3) {
      const row = kept[i + 1], column = kept[i + 2], from = view.middle(row), weight = view.at(kept[i], row, column);
      if (weight > most && Math.abs(from + (view.middle(column) - from) * rise + offset - y) < NEAR) {
        most = weight;
        best = { left: row, right: column };
      }
    }
  }
  return best;
}

/** The token on the other side that the current head joins most to this one. */
function strongest(view, side, index) {
  const head = view.current();
  let best = 0, most = -1;
  for (let other = 0; other < (side === "left" ? view.m : view.n); other++) {
    const [row, column] = side === "left" ? [index, other] : [other, index], weight = view.at(head, row, column);
    if (!view.masked(row, column) && weight > most) [best, most] = [other, weight];
  }
  return best;
}
/** A query is chosen with its strongest key; a key for the query chosen before. */
function chooseToken(view, { side, index }) {
  if (side === "left") view.select(index, strongest(view, "left", index));
  else view.select(view.selection.value ? view.selection.value.row : strongest(view, "right", index), index);
}

/** Attaches the handlers to the stage; they go with it. */
export function listenInput(view) {
  const { stage, chips } = view;
  const handlers = {
    pointermove(event) {
      const token = tokenAt(event), line = token ? null : lineAt(view, event);
      stage.style.cursor = line ? "pointer" : "default";
      view.setHover(token ? only(token) : line);
    },
    pointerleave: () => view.setHover(null),
    click(event) {
      const token = tokenAt(event), line = token ? null : lineAt(view, event);
      if (token) chooseToken(view, token);
      else if (line) view.select(line.left, line.right);
    },
    focusin: (event) => tokenAt(event) && event.target.matches(":focus-visible") && view.setHover(only(tokenAt(event))),
    focusout: () => view.setHover(null),
    scroll: () => view.schedule(),
    keydown(event) {
      const token = tokenAt(event), { key } = event;
      if (!token || event.ctrlKey || event.metaKey || event.altKey) return;
      const { side, index } = token, last = chips[side].length - 1, other = side === "left" ? "right" : "left";
      const steps = { ArrowUp: index - 1, ArrowDown: index + 1, Home: 0, End: last };
      if (key in steps) chips[side][clamp(steps[key], 0, last)].focus();
      else if (key === (side === "left" ? "ArrowRight" : "ArrowLeft")) chips[other][strongest(view, side, index)].focus();
      else if (key === "Enter" || key === " ") chooseToken(view, token);
      else if (key === "Escape") view.setHover(null);
      else if (!/^Arrow/.test(key)) return;
      event.preventDefault();
      markTokens(view);
    },
  };
  for (const [name, handler] of Object.entries(handlers)) stage.addEventListener(name, handler);
}
