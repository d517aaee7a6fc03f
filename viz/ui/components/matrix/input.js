// Pointer, wheel and keyboard on the matrix.

import { clamp } from "../shared/numbers.js";
import { speak } from "./words.js";

/** Attaches the handlers to the canvas; they go with it. */
export function listenInput(matrix) {
  const { canvas, grid } = matrix;
  let press = null, armed = false;
  const locate = (event) => {
    const box = canvas.getBoundingClientRect();
    return grid.locate(event.clientX - box.left, event.clientY - box.top);
  };
  const zoom = (...how) => {
    grid.zoomBy(...how);
    matrix.moved();
  };
  const handlers = {
    pointermove(event) {
      const moved = press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > 4;
      if (moved && grid.zoom > 1) press.drag = true;
      if (press?.drag) {
        grid.x = press.gridX - (event.clientX - press.x) / grid.cellWidth;
        grid.y = press.gridY - (event.clientY - press.y) / grid.cellHeight;
        grid.clamp();
        matrix.moved();
        return;
      }
      const { row, column } = locate(event);
      canvas.style.cursor = row !== null && column !== null ? "crosshair" : "default";
      matrix.setHover(row, column);
    },
    pointerdown(event) {
      if (event.button) return;
      armed = true;
      press = { x: event.clientX, y: event.clientY, gridX: grid.x, gridY: grid.y, drag: false };
      canvas.setPointerCapture(event.pointerId);
    },
    pointerup(event) {
      const { row, column } = locate(event), click = press && !press.drag;
      press = null;
      if (click && row !== null && column !== null) matrix.select(row, column);
    },
    pointercancel: () => void (press = null),
    pointerleave() {
      armed = false;
      matrix.setHover(null, null);
    },
    dblclick: () => zoom(0),
    focus: () => matrix.schedule(), // the ring appears and goes
    blur: () => matrix.schedule(),
    wheel(event) {
      // A click arms the wheel until the pointer leaves, so that the page scrolls on when one only passes over.
      const pinch = event.ctrlKey || event.metaKey, focused = matrix.shadow.activeElement === canvas;
      const wanted = pinch || (focused && (armed || canvas.matches(":focus-visible")));
      const { x, y } = locate(event), out = event.deltaY > 0;
      if (!wanted || (!pinch && out && grid.zoom === 1) || (!pinch && !out && grid.zoom >= grid.farthest)) return;
      event.preventDefault();
      zoom(Math.exp(-clamp(event.deltaY, -60, 60) * (pinch ? 0.01 : 0.004)), x, y);
    },
    keydown(event) {
      if (event.altKey || event.metaKey) return;
      const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (way || event.key === "Home" || event.key === "End") step(matrix, event, way);
      else if (event.key === "+" || event.key === "=") zoom(1.5);
      else if (event.key === "-") zoom(1 / 1.5);
      else if (event.key === "0") zoom(0);
      else if (event.key === "Escape") matrix.setHover(null, null);
      else return;
      if (event.key !== "Escape" && !(event.ctrlKey && !/^(Arrow|Home|End)/.test(event.key))) event.preventDefault();
    },
  };
  for (const [name, handler] of Object.entries(handlers)) canvas.addEventListener(name, handler, { passive: false });
}

/** An arrow goes one cell on, Home and End to the row's ends, with Ctrl to the matrix's. The choice waits for the last key. */
function step(matrix, { key, ctrlKey }, way) {
  const { grid, selection } = matrix;
  let { row, column } = selection.value || { row: 0, column: 0 };
  if (selection.value && way) [row, column] = [row + way[0], column + way[1]];
  if (key === "Home") column = 0;
  if (key === "End") column = grid.m - 1;
  if (!way && ctrlKey) row = key === "Home" ? 0 : grid.n - 1;
  matrix.setHover(null, null);
  matrix.select(clamp(row, 0, grid.n - 1), clamp(column, 0, grid.m - 1), 150);
  grid.reveal(selection.value);
  matrix.moved();
  speak(matrix);
}
