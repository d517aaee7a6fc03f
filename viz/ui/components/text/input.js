// Pointer and keyboard on a text.

import { clamp } from "../shared/numbers.js";

const tokenUnder = (event) => {
  const span = event.target.closest?.("span[data-i]");
  return span ? +span.dataset.i : null;
};

/** Attaches the handlers to a text; they go with it. */
export function listenText(view, flow) {
  const { page, stage } = flow;
  const handlers = {
    pointerover: (event) => view.hover(flow, tokenUnder(event)),
    pointerleave: () => view.hover(flow, null),
    click(event) {
      const index = tokenUnder(event);
      if (index === null || String(document.getSelection?.() ?? "").length > 1) return; // a text may be marked and copied
      if (view.clickable() === flow) view.ask(index);
      else view.choose(index);
    },
    keydown(event) {
      if (event.altKey || event.metaKey || event.ctrlKey || view.clickable() !== flow) return;
      const last = flow.spans.length - 1, from = flow.asking ?? 0;
      const steps = {
        ArrowLeft: () => from - 1, ArrowRight: () => from + 1, ArrowUp: () => flow.beside(from, -1),
        ArrowDown: () => flow.beside(from, 1), Home: () => 0, End: () => last,
      };
      if (event.key === "Escape") view.hover(flow, null);
      if (!(event.key in steps)) return;
      event.preventDefault();
      view.hover(flow, null);
      view.ask(clamp(steps[event.key](), 0, last), 120);
      flow.reveal(flow.asking);
    },
  };
  for (const [name, handler] of Object.entries(handlers)) (name === "keydown" ? page : stage).addEventListener(name, handler);
}
