// Wheel, drag, pinch and keys: what moves the map; a drag along an axis brushes a span to zoom to.

import { clamp } from "../shared/numbers.js";
import { small, smallBox } from "./draw.js";

const CLICK = 4; // px a pointer may move and still have clicked
export const SINGLE = 4; // px a cell needs before a click means this cell

export function listenMap(map) {
  const { canvas } = map, pointers = new Map();
  let start = null, pinch = 0;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { x, y } = place(event);
    if (event.shiftKey) return map.pan(event.deltaY || event.deltaX, 0);
    map.zoomAt(x, y, Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0016)));
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    const at = place(event);
    pointers.set(event.pointerId, at);
    canvas.setPointerCapture(event.pointerId);
    start = { ...at, moved: false, kind: zone(map, at) };
    if (start.kind === "small") map.centreSmall(at);
    if (start.kind === "key" || start.kind === "query") map.brush = { axis: start.kind, from: start.kind === "key" ? at.x : at.y, to: start.kind === "key" ? at.x : at.y };
    if (pointers.size === 2) pinch = spread(pointers);
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = place(event), before = pointers.get(event.pointerId);
    if (!before) return map.point(map.cellAt(at));
    pointers.set(event.pointerId, at);
    if (pointers.size === 2) {
      const now = spread(pointers), [a, b] = [...pointers.values()];
      map.zoomAt((a.x + b.x) / 2, (a.y + b.y) / 2, now / pinch);
      pinch = now;
      start.moved = true;
      return;
    }
    if (Math.hypot(at.x - start.x, at.y - start.y) > CLICK) start.moved = true;
    if (start.kind === "small") map.centreSmall(at);
    else if (map.brush) {
      map.brush.to = map.brush.axis === "key" ? clamp(at.x, map.box.x, map.box.right) : clamp(at.y, map.box.y, map.box.bottom);
      map.schedule();
    } else if (start.moved) map.pan(before.x - at.x, before.y - at.y);
  });
  const up = (event) => {
    if (!pointers.delete(event.pointerId) || pointers.size) return;
    const { brush } = map, at = place(event);
    map.brush = null;
    if (brush && start.moved) map.zoomToSpan(brush);
    else if (!start.moved && start.kind === "plot") map.clicked(at);
    map.schedule();
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => pointers.size || map.point(null));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const { box, at } = map, middle = [(box.x + box.right) / 2, (box.y + box.bottom) / 2];
    if (step && event.shiftKey && at) map.point(map.within(at.row + step[1], at.column + step[0]));
    else if (step) map.pan(step[0] * box.width * 0.12, step[1] * box.height * 0.12);
    else if (event.key === "+" || event.key === "=") map.zoomAt(...middle, 1.6);
    else if (event.key === "-") map.zoomAt(...middle, 1 / 1.6);
    else if (event.key === "0" || event.key === "Home") map.whole();
    else if ((event.key === "Enter" || event.key === " ") && at) map.select(at);
    else if (event.key === "[" || event.key === "]") map.turnTo(map.head + (event.key === "]" ? 1 : -1));
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("focus", () => map.at ?? map.point(map.selection.value ?? map.cellAt({ x: (map.box.x + map.box.right) / 2, y: (map.box.y + map.box.bottom) / 2 })));
}

const spread = (pointers) => {
  const [a, b] = [...pointers.values()];
  return Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
};
/** Which part of the figure a place is in. */
function zone(map, { x, y }) {
  const { box } = map, inside = x >= box.x && x <= box.right && y >= box.y && y <= box.bottom;
  if (inside && small(map)) {
    const frame = smallBox(map);
    if (x >= frame.x - 4 && x <= frame.x + frame.width + 4 && y >= frame.y - 4 && y <= frame.y + frame.height + 4) return "small";
  }
  if (inside) return "plot";
  if (y < box.y && x >= box.x && x <= box.right) return "key";
  if (x < box.x && y >= box.y && y <= box.bottom) return "query";
  return "";
}
