// Drawing of the joint matrix, and the words around it.

import { clipText, fitCanvas, hatch, hatchMasked } from "../shared/canvas.js";
import { chip, el } from "../shared/dom.js";
import { clamp, exact, number } from "../shared/numbers.js";
import { STATE } from "../shared/payload.js";
import { ramp } from "../shared/theme.js";

const PITCH = 11; // px: labels closer than this are thinned out

export function drawJoint(joint) {
  const { theme, blocks, places, size, header } = joint, context = fitCanvas(joint.canvas, joint.width, joint.high);
  const hatching = theme.mode === "light" ? "#b9bac6" : "#4a4d5b";
  context.imageSmoothingEnabled = false;
  for (const block of blocks) {
    const box = joint.box(block);
    hatchMasked(context, block.states, block.shape, { x: box.x, y: box.y, width: size, height: size }, hatching);
    context.drawImage(block.sheet, box.x, box.y, box.width, box.height);
    context.strokeStyle = theme.line;
    context.lineWidth = 1;
    context.strokeRect(box.x - 0.5, box.y - 0.5, box.width + 1, box.height + 1);
    drawTitle(joint, context, block, box);
  }
  const { never } = places;
  hatch(context, never.x, never.y, never.width, never.height, hatching);
  context.strokeRect(never.x - 0.5, never.y - 0.5, never.width + 1, never.height + 1);
  drawNever(joint, context, never, header.words.never);
  drawJointLabels(joint, context);
  drawMarks(joint, context);
  fillJointReadout(joint);
}

/** Above its block; where that is narrow, the title ends with the block beside it. */
function drawTitle({ theme, places, heads, width }, context, { name, title }, box) {
  const above = name === "encoder" ? heads.encoder : heads.decoder; // the lower two stand on one line
  const room = name === "decoder" ? width - box.x : name === "cross" ? places.decoder.x - box.x - 12 : width - box.x;
  context.font = `600 12px ${theme.font}`;
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  context.fillStyle = theme.text;
  context.fillText(clipText(context, title, room), box.x, box.y - above - 8);
}

/** Why nothing is here, on page colour so that it can be read, where there is room. */
function drawNever({ theme }, context, never, text) {
  context.font = `12px ${theme.font}`;
  const words = /[\u3400-\u9fff]/.test(text) ? [...text] : text.split(" "), space = /[\u3400-\u9fff]/.test(text) ? "" : " ";
  const rows = [];
  for (const word of words) {
    const longer = rows.length ? rows.at(-1) + space + word : word;
    if (rows.length && context.measureText(longer).width <= never.width - 24) rows[rows.length - 1] = longer;
    else rows.push(word);
  }
  const wide = Math.max(...rows.map((row) => context.measureText(row).width)), high = rows.length * 17;
  if (wide > never.width - 12 || high > never.height - 12) return;
  const x = never.x + never.width / 2, y = never.y + never.height / 2 - high / 2;
  context.fillStyle = theme.background;
  context.fillRect(x - wide / 2 - 8, y - 6, wide + 16, high + 12);
  context.fillStyle = theme.faint;
  context.textAlign = "center";
  context.textBaseline = "middle";
  rows.forEach((row, i) => context.fillText(row, x, y + 17 * i + 8.5));
}

function drawJointLabels(joint, context) {
  const { theme, by, places, size, gutter, hover } = joint, chosen = joint.selection.value, step = Math.ceil(PITCH / size - 0.01);
  const write = (tokens, at, upright, strong, accent) => {
    tokens.forEach((token, i) => {
      const bold = strong.includes(i);
      if (!bold && (i % step || (step > 1 && strong.some((other) => Math.abs(other - i) * size < PITCH)))) return;
      context.save();
      context.font = `${bold ? "600 " : ""}${clamp(size * 0.92 * step, 10, 12)}px ${theme.mono}`;
      context.fillStyle = accent === i ? theme.accent : token.kind === "word" || bold ? theme.text : theme.faint;
      context.textBaseline = "middle";
      const [x, y] = at(i);
      context.translate(x, y);
      const text = clipText(context, token.text, upright ? 84 : gutter - 14), level = upright && context.measureText(text).width + 3 <= size;
      context.textAlign = !upright ? "right" : level ? "center" : "left";
      if (upright && !level) context.rotate(-Math.PI / 2);
      context.fillText(text, 0, level ? -6 : 0);
      context.restore();
    });
  };
  const marked = (names, axis) => [hover, chosen].filter((place) => place && names.includes(place.block)).map((place) => place[axis]);
  const accent = (names, axis) => (names.includes(chosen.block) ? chosen[axis] : null);
  const down = (place) => (i) => [gutter - 8, place.y + (i + 0.5) * size], across = (place) => (i) => [place.x + (i + 0.5) * size, place.y - 6];
  write(by.encoder.rows, down(places.encoder), false, marked(["encoder"], "row"), accent(["encoder"], "row"));
  write(by.decoder.rows, down(places.decoder), false, marked(["cross", "decoder"], "row"), accent(["cross", "decoder"], "row"));
  write(by.encoder.columns, across(places.encoder), true, marked(["encoder", "cross"], "column"), accent(["encoder", "cross"], "column"));
  write(by.decoder.columns, across(places.decoder), true, marked(["decoder"], "column"), accent(["decoder"], "column"));
}

/** Hairlines of what is under the pointer, here or in another figure, and the chosen cell with its own. */
function drawMarks(joint, context) {
  const { theme, by, size, hover, foreign } = joint, chosen = joint.selection.value;
  const soft = theme.mode === "light" ? "rgba(27,28,38,0.5)" : "rgba(232,230,225,0.55)";
  const band = (name, row, column, colour) => {
    const box = joint.box(by[name]);
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.beginPath();
    const inside = (i, count) => i !== null && i !== undefined && i < count;
    if (inside(row, by[name].shape[0]))
      for (const k of [0, 1]) context.moveTo(box.x, box.y + (row + k) * size - 0.5), context.lineTo(box.x + box.width, box.y + (row + k) * size - 0.5);
    if (inside(column, by[name].shape[1]))
      for (const k of [0, 1]) context.moveTo(box.x + (column + k) * size - 0.5, box.y), context.lineTo(box.x + (column + k) * size - 0.5, box.y + box.height);
    context.stroke();
  };
  const both = ({ block, row, column }, colour) => {
    band(block, row, column, colour);
    // The row goes on through the block beside it, the column through the one above or below.
    if (block === "cross") band("decoder", row, null, colour), band("encoder", null, column, colour);
    if (block === "decoder") band("cross", row, null, colour);
    if (block === "encoder") band("cross", null, column, colour);
  };
  both(chosen, theme.accent);
  if (hover) both(hover, soft);
  else
    for (const { name, row_side, column_side } of joint.blocks) band(name, foreign.query[row_side] ?? null, foreign.key[column_side] ?? null, soft);
  const box = joint.box(by[chosen.block]), x = box.x + chosen.column * size, y = box.y + chosen.row * size;
  context.strokeStyle = theme.accent;
  context.lineWidth = 2;
  context.strokeRect(x - 0.5, y - 0.5, size, size);
}

export function fillJointReadout(joint) {
  const { by, readout, header } = joint, { words } = header, place = joint.hover ?? joint.selection.value, parts = [];
  const block = by[place.block], i = place.row * block.shape[1] + place.column, value = block.values[i];
  const say = (text, name) => parts.push(el("span", name, null, text));
  parts.push(chip(block.rows[place.row]));
  say("←", "faint");
  parts.push(chip(block.columns[place.column]));
  if (block.states[i] === STATE.masked) say(words.masked, "faint");
  else if (Number.isNaN(value)) say(words.nan, "faint");
  else {
    say(number(value), "value");
    if (exact(value) !== number(value)) say(exact(value), "faint exact");
  }
  say(block.title, "faint exact");
  readout.replaceChildren(...parts);
  joint.told = parts.map((part) => part.textContent).join(" ");
}

export function fillJointFoot({ foot, theme, header, blocks }) {
  const { words } = header;
  foot.replaceChildren();
  const key = el("span", "key", foot);
  el("span", "", key, "0");
  el("span", "ramp", key).style.background = ramp(theme.sequential, 17);
  el("span", "", key, exact(header.end));
  el("span", "", foot, header.legend);
  const item = el("span", "key", foot);
  hatch(fitCanvas(el("canvas", "swatch", item), 14, 14), 0, 0, 14, 14, theme.faint);
  el("span", "", item, words.masked);
  if (blocks.some(({ pooled }) => pooled)) el("span", "", foot, words.pooled);
  el("span", "", foot, words.help);
}
