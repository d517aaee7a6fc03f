// The lines between the cards: upwards through each stack, around each sub-layer, and from the encoder to the decoder.

import { svg } from "../shared/dom.js";
import { isCross } from "./weights.js";

export function drawWires(model) {
  const { wires, box, stacks } = model;
  const frame = box.getBoundingClientRect();
  const pen = {
    line: (d, name) => svg("path", wires, { d, class: name || "wire" }),
    tip(x, y, dx, dy) {
      const [bx, by, sx, sy] = [x - 5 * dx, y - 5 * dy, 3.5 * dy, 3.5 * dx];
      pen.line(`M${bx - sx} ${by - sy}L${x} ${y}L${bx + sx} ${by + sy}`);
    },
    up(x, from, to) {
      pen.line(`M${x} ${from}V${to + 1}`);
      pen.tip(x, to + 0.5, 0, -1);
    },
    rect(node) {
      const at = node.getBoundingClientRect();
      const [left, top] = [at.left - frame.left, at.top - frame.top];
      const [right, bottom] = [left + at.width, top + at.height];
      return { left, top, right, bottom, x: (left + right) / 2, y: (top + bottom) / 2 };
    },
  };
  wires.replaceChildren();
  wires.setAttribute("width", frame.width);
  wires.setAttribute("height", frame.height);
  for (const stack of stacks) wireStack(wires, pen, stack, model.tall);
  if (stacks.length > 1 && !model.apart) wireMemory(model, pen, frame);
}

function wireStack(wires, { line, up, rect }, { cards, inputs, next }, tall) {
  const boxes = cards.map(({ card }) => rect(card));
  const x = tall ? rect(inputs).x : boxes[0].x;
  up(x, rect(inputs.firstChild).top - 5, boxes[0].bottom + 2);
  for (let i = 1; i < boxes.length && !tall; i++) up(x, boxes[i - 1].top, boxes[i].bottom + 2);
  if (next) up(x, boxes.at(-1).top, rect(next).bottom + 4);
  for (const [c, { parts }] of cards.entries()) {
    if (parts.some(({ part }) => part.stream)) continue; // where such a model adds and normalises is not recorded
    const edge = boxes[c].right - 9;
    const pre = parts[0]?.part.kind === "norm"; // GPT-2 normalises before the sub-layer, the paper after it
    for (let p = 0; p + 1 < parts.length; p += 2) {
      const [low, high] = [rect(parts[p].node), rect(parts[p + 1].node)];
      const [from, to] = [low.bottom + 1, pre ? high.top + 2 : high.y];
      line(`M${edge - 12} ${from}h7q5 0 5 -5V${to + 5}q0 -5 -5 -5h-3`, "skip");
      svg("circle", wires, { cx: edge - 11.5, cy: to, r: 3.5, class: "skip" });
      line(`M${edge - 14} ${to}h5M${edge - 11.5} ${to - 2.5}v5`, "skip");
    }
  }
}

/** From the encoder's top a trunk between the stacks, or beside them, with a branch to every cross-attention. */
function wireMemory({ stacks, memory, overview }, { line, tip, rect }, frame) {
  const [encoder, decoder] = stacks;
  const from = rect(encoder.cards.at(-1).card);
  const crossing = ({ part }) => part.kind === "attention" && isCross(part);
  const targets = decoder.cards.flatMap(({ parts }) => parts.filter(crossing));
  if (!targets.length) return;
  const side = rect(decoder.cards[0].card).left;
  const stacked = overview.root.dataset.layout === "stacked";
  const trunk = stacked ? side - 9 : (from.right + side) / 2;
  const start = stacked ? from.top + 16 : from.top - 16;
  const heights = targets.map(({ body }) => rect(body).y);
  const turn = stacked ? 8 : -8;
  if (stacked) line(`M${from.left} ${start}H${trunk + turn}`); // out at the side: above the card stand its titles
  else line(`M${from.x} ${from.top}V${start + 8}q0 -8 8 -8H${trunk + turn}`);
  const lowest = Math.max(...heights);
  const highest = Math.min(...heights);
  line(`M${trunk + turn} ${start}q${-turn} 0 ${-turn} ${highest < start ? -8 : 8}`);
  if (highest < start) line(`M${trunk} ${start - 8}V${highest + 8}`);
  if (lowest > start) line(`M${trunk} ${start + (highest < start ? -8 : 8)}V${lowest - 8}`);
  for (const y of heights) {
    const bend = y > start ? 1 : -1;
    line(`M${trunk} ${y - 8 * bend}q0 ${8 * bend} 8 ${8 * bend}H${side - 1}`);
    tip(side - 1, y, 1, 0);
  }
  if (!memory) return;
  Object.assign(memory.style, {
    left: `${from.x + 10}px`,
    width: `${Math.max(60, (stacked ? from.right : trunk) - from.x - 16)}px`,
    bottom: `${frame.height - (stacked ? from.top - 6 : start) + 3}px`,
  });
}
