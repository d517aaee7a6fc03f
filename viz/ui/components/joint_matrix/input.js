// Pointer and keyboard on the joint matrix.

import { clamp } from "../shared/numbers.js";
import { fillJointReadout } from "./draw.js";

export function listenJoint(joint) {
  const { canvas } = joint;
  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    return joint.locate(event.clientX - box.left, event.clientY - box.top);
  };
  const handlers = {
    pointermove(event) {
      const place = under(event);
      canvas.style.cursor = place ? "crosshair" : "default";
      joint.setHover(place);
    },
    pointerleave: () => joint.setHover(null),
    click(event) {
      const place = under(event);
      if (place) joint.select(place);
    },
    keydown(event) {
      const way = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!way || event.altKey || event.metaKey || event.ctrlKey) return;
      event.preventDefault();
      joint.setHover(null);
      joint.select(stepJoint(joint, joint.selection.value, way), 150);
      fillJointReadout(joint);
      joint.live.textContent = joint.told;
    },
  };
  for (const [name, handler] of Object.entries(handlers)) canvas.addEventListener(name, handler);
}

/** One cell on; from a block's edge into its neighbour. */
function stepJoint({ by }, { block, row, column }, [down, across]) {
  const n = by.encoder.shape[0];
  if (block === "encoder" && down === 1 && row === n - 1) return { block: "cross", row: 0, column };
  if (block === "cross" && down === -1 && row === 0) return { block: "encoder", row: n - 1, column };
  if (block === "cross" && across === 1 && column === n - 1) return { block: "decoder", row, column: 0 };
  if (block === "decoder" && across === -1 && column === 0) return { block: "cross", row, column: n - 1 };
  const [rows, columns] = by[block].shape;
  return { block, row: clamp(row + down, 0, rows - 1), column: clamp(column + across, 0, columns - 1) };
}
