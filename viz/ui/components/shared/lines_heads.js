// The heads' buttons: a click shows or hides one, Shift, Alt or a double click shows it alone.

import { button, el } from "./dom.js";
import { smooth } from "./numbers.js";

export const DASHES = [[], [7, 4], [2, 3]]; // the ninth head reuses the first colour, so its lines are dashed

export function fillPills(view) {
  const { pills, header, shown } = view, { heads, words } = header;
  const all = heads.every(({ index }) => shown.value.includes(index));
  if (pills.childElementCount !== heads.length + 1) buildPills(view);
  heads.forEach((head, i) => {
    const pill = pills.children[i], dashes = DASHES.indexOf(view.dash(i));
    pill.lastChild.textContent = head.name;
    pill.firstChild.style.borderTopColor = view.colour(i);
    pill.firstChild.style.borderTopStyle = ["solid", "dashed", "dotted"][dashes];
    pill.setAttribute("aria-pressed", shown.value.includes(head.index));
    pill.classList.toggle("current", head.index === header.current_head);
  });
  pills.lastChild.textContent = all ? words.none : words.all;
}

/** Buttons stay while their number does, so that focus survives; they look their head up when they are used. */
function buildPills(view) {
  const { pills } = view;
  pills.replaceChildren();
  view.header.heads.forEach((_, head) => {
    const pill = button("pill", pills, null, (event) => toggleHead(view, head, event.shiftKey || event.altKey));
    el("i", "", pill);
    el("span", "", pill);
    pill.addEventListener("dblclick", () => toggleHead(view, head, true));
  });
  button("whole", pills, null, () => {
    const every = view.header.heads.map(({ index }) => index);
    setShown(view, every.every((index) => view.shown.value.includes(index)) ? [] : every);
  });
}

function toggleHead(view, head, alone) {
  const { heads } = view.header, { index } = heads[head], now = view.shown.value;
  const only = now.length === 1 && now[0] === index;
  if (alone) setShown(view, only ? heads.map((each) => each.index) : [index]);
  else setShown(view, now.includes(index) ? now.filter((each) => each !== index) : [...now, index].sort((a, b) => a - b));
}
function setShown(view, list) {
  view.shown.set(list, 400); // several clicks in a row are one answer from Python
  view.sheet.stale = true;
  fillPills(view);
  view.schedule();
}

/** How far a curve between the two sides has risen where it has come this share of the way across, both 0 to 1. */
export function riseAt(share) {
  let low = 0, high = 1; // x(t) = 1.5t − 1.5t² + t³ rises steadily, so halving finds t
  for (let i = 0; i < 20; i++) {
    const t = (low + high) / 2;
    if (1.5 * t - 1.5 * t * t + t * t * t < share) low = t;
    else high = t;
  }
  return smooth(low);
}
