// Pointer and keyboard on the long lines.

import { riseAt } from "../shared/lines_heads.js";
import { clamp } from "../shared/numbers.js";
import { HIGH, underPointer } from "./draw.js";

const NEAR = 4; // px: a line this close is under the pointer

export function listenFar(view) {
  const { canvas } = view;
  const handlers = {
    pointermove(event) {
      const found = locate(view, event);
      canvas.style.cursor = found ? "pointer" : "default";
      view.setHover(found);
    },
    pointerleave: () => view.setHover(null),
    click(event) {
      const found = locate(view, event), { lines } = view;
      if (found?.line !== undefined) return view.select(lines.row[found.line], lines.column[found.line]);
      const best = found && underPointer(view)?.[0]; // the strongest: lines are in falling order
      if (best !== undefined && best !== null) view.select(lines.row[best], lines.column[best]);
    },
    keydown(event) {
      const way = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!way || event.altKey || event.metaKey) return;
      event.preventDefault();
      // From query to query that has a line, to its strongest key.
      const { lines, count, selection } = view, from = selection.value.row;
      let best = -1;
      for (let i = 0; i < count; i++) {
        const ahead = (lines.row[i] - from) * way;
        if (ahead > 0 && (best < 0 || ahead < (lines.row[best] - from) * way)) best = i;
      }
      if (best >= 0) view.selection.set({ row: lines.row[best], column: lines.column[best] }, 150);
      view.schedule();
    },
    focus: () => view.schedule(),
    blur: () => view.schedule(),
  };
  for (const [name, handler] of Object.entries(handlers)) canvas.addEventListener(name, handler);
}

/** A line near the pointer, the strongest of those; beside the sides the tokens that stand there. */
function locate(view, event) {
  const box = view.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  const { left, right, lines, count, names } = view, share = (x - left) / (right - left);
  if (share <= 0.02 || share >= 0.98) {
    const side = share < 0.5 ? "left" : "right", total = names[side].length, each = total / HIGH;
    const from = clamp(Math.floor((y - 2) * each), 0, total - 1);
    return { side, from, to: Math.max(from + 1, Math.ceil((y + 2) * each)) };
  }
  const rise = riseAt(share);
  for (let i = 0; i < count; i++) {
    const from = view.y("left", lines.row[i]), to = view.y("right", lines.column[i]);
    if (Math.abs(from + (to - from) * rise - y) < NEAR) return { line: i };
  }
  return null;
}
