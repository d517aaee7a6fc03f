// Drawing of the long lines: all of them once into a bitmap, and over it what is chosen or under the pointer, and names.

const FAR_FADED = 0.08; // of all lines, while some are under the pointer
const FAR_PALE = 0.22; // of all lines beside those of the selected query

FarLines.prototype.curve = function (context, i) {
  const { lines, left, right } = this, y = this.y("left", lines.row[i]), z = this.y("right", lines.column[i]), half = (left + right) / 2;
  context.moveTo(left, y);
  context.bezierCurveTo(half, y, half, z, right, z);
};
// Both in proportion to the weight; thinner and paler the closer the tokens stand, so that a fan of lines is no blot.
const farWidth = (weight, pitch) => Math.max(0.5, clamp(5 * pitch, 0.8, 3) * weight);
const farOpacity = (weight, pitch) => Math.max(0.05, clamp(1.2 * pitch, 0.35, 0.85) * weight);

/** Every line, the weakest first, a few paths a head. */
FarLines.prototype.paint = function () {
  const { lines, count, pitch } = this, context = fitCanvas(this.sheet, this.width, FAR_HIGH), steps = new Map();
  for (let i = count - 1; i >= 0; i--) {
    const step = Math.min(11, Math.floor(lines.weight[i] * 12)), key = lines.head[i] * 12 + step;
    if (!steps.has(key)) steps.set(key, { head: lines.head[i], step, each: [] });
    steps.get(key).each.push(i);
  }
  for (const { head, each } of [...steps.values()].sort((a, b) => a.step - b.step)) {
    const mean = each.reduce((sum, i) => sum + lines.weight[i], 0) / each.length;
    context.strokeStyle = this.colour(head);
    context.setLineDash(this.dash(head));
    context.globalAlpha = farOpacity(mean, pitch);
    context.lineWidth = farWidth(mean, pitch);
    context.beginPath();
    for (const i of each) this.curve(context, i);
    context.stroke();
  }
};

/** The lines of what is under the pointer, or null. */
FarLines.prototype.picked = function () {
  const { hover, lines, count } = this, found = [];
  if (!hover) return null;
  if (hover.line !== undefined) return [hover.line];
  const of = hover.side === "left" ? lines.row : lines.column;
  for (let i = 0; i < count; i++) if (of[i] >= hover.from && of[i] < hover.to) found.push(i);
  return found;
};

/** The lines that stand out: under the pointer, or of the token hovered in another figure, or else of the selected query. */
FarLines.prototype.strong = function () {
  const { lines, count, foreign, selection } = this, hovered = this.picked();
  if (hovered) return hovered;
  const own = foreign.left !== null || foreign.right === null, of = own ? lines.row : lines.column;
  const wanted = own ? (foreign.left ?? selection.value.row) : foreign.right, found = [];
  for (let i = 0; i < count; i++) if (of[i] === wanted) found.push(i);
  return found;
};

FarLines.prototype.draw = function () {
  this.frame = 0;
  if (!this.width) return;
  const { header, theme, lines, selection, notes } = this, context = fitCanvas(this.canvas, this.width, FAR_HIGH);
  const picked = this.strong(), { words } = header;
  context.globalAlpha = this.hover ? FAR_FADED : picked.length ? FAR_PALE : 1;
  context.drawImage(this.sheet, 0, 0, this.width, FAR_HIGH);
  for (const i of [...picked].reverse()) {
    const weight = lines.weight[i], stroke = (colour, opacity, width) => {
      context.strokeStyle = colour;
      context.globalAlpha = opacity;
      context.lineWidth = width;
      context.beginPath();
      this.curve(context, i);
      context.stroke();
    };
    context.setLineDash([]);
    stroke(theme.background, 1, 3 + 3 * weight); // apart from the pale ones below
    context.setLineDash(this.dash(lines.head[i]));
    stroke(this.colour(lines.head[i]), 0.7 + 0.3 * weight, 1.3 + 3 * weight);
  }
  context.globalAlpha = 1;
  context.setLineDash([]);
  context.strokeStyle = theme.line;
  context.lineWidth = 1;
  for (const x of [this.left, this.right]) {
    context.beginPath();
    context.moveTo(Math.round(x) + 0.5, 0), context.lineTo(Math.round(x) + 0.5, FAR_HIGH);
    context.stroke();
  }
  const chosen = { left: selection.value.row, right: selection.value.column };
  for (const side of ["left", "right"]) this.writeNames(context, side, chosen[side], picked);
  if (this.canvas.matches(":focus-visible")) {
    context.strokeStyle = theme.accent;
    context.lineWidth = 2;
    context.strokeRect(1, 1, this.width - 2, FAR_HIGH - 2);
  }
  this.fillReadout(picked);
  notes.told.textContent = words.drawn;
  notes.legend.textContent = words.legend_far;
  notes.hint.textContent = words.help_far;
  this.root.dataset.lines = this.count;
  this.root.dataset.strong = picked.length;
  this.root.dataset.row = chosen.left;
  this.root.dataset.column = chosen.right;
  this.root.dataset.drawn = String((this.drawn += 1));
};

/** Names beside a side as far as there is room; a faint number for what has none near. */
FarLines.prototype.writeNames = function (context, side, chosen, picked) {
  const { theme, names, lines, count, foreign } = this, texts = names[side], taken = [], right = side === "right";
  const x = right ? this.right + 8 : this.left - 8, room = this.left - 12;
  const write = (index, strength) => {
    if (index === null || index === undefined || index >= texts.length) return;
    const y = clamp(this.y(side, index), 7, FAR_HIGH - 7);
    if (taken.some((other) => Math.abs(other - y) < FAR_NAMES)) return;
    taken.push(y);
    context.font = `11px ${theme.mono}`;
    context.textBaseline = "middle";
    context.textAlign = right ? "left" : "right";
    const place = `${index}`, wide = context.measureText(place).width + 6, text = clipText(context, texts[index], room - wide);
    context.fillStyle = theme.faint;
    context.fillText(place, right ? x + context.measureText(text).width + 6 : x - context.measureText(text).width - 6, y);
    context.font = `${strength === "plain" ? "" : "600 "}11px ${theme.mono}`;
    context.fillStyle = strength === "chosen" ? theme.accent : theme.text;
    context.fillText(text, x, y);
    // Where exactly it stands: a name at the upper or lower end may be beside its place.
    context.fillStyle = theme.faint;
    context.fillRect(right ? this.right + 1 : this.left - 4, Math.round(this.y(side, index)), 4, 1);
    if (strength !== "chosen") return;
    context.fillStyle = theme.accent;
    context.fillRect(right ? this.right : this.left - 5, this.y(side, index) - 5, 5, 10);
  };
  const of = right ? lines.column : lines.row;
  write(chosen, "chosen");
  write(foreign[side], "strong");
  for (const i of picked.slice(0, 60)) write(of[i], "strong");
  if (!this.hover) for (let i = 0; i < Math.min(count, 1500) && taken.length < FAR_HIGH / FAR_NAMES; i++) write(of[i], "plain");
};

FarLines.prototype.fillReadout = function (picked) {
  const { lines, names, header, selection } = this, { words } = header, parts = [];
  const say = (text, name) => parts.push(el("span", name, null, text));
  const token = (side, index) => {
    parts.push(chip({ text: names[side][index] ?? "" }));
    say(`#${index}`, "faint");
  };
  const chosen = picked.find((i) => lines.row[i] === selection.value.row && lines.column[i] === selection.value.column);
  if (picked.length) {
    const i = this.hover ? picked[0] : (chosen ?? picked[0]); // the strongest: lines are in falling order
    token("left", lines.row[i]);
    say("←", "faint");
    token("right", lines.column[i]);
    say(lines.weight[i].toPrecision(6).replace(/0+$/, ""), "value");
    say(header.heads[lines.head[i]].name, "faint");
    if (picked.length > 1) say(fill(words.more, { n: (picked.length - 1).toLocaleString() }), "faint");
  } else {
    if (!this.hover && this.foreign.right === null) token("left", this.foreign.left ?? selection.value.row);
    say(words.no_line, "faint");
  }
  this.readout.replaceChildren(...parts);
};

/** The text cut to a width, by whole graphemes. */
function clipText(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const parts = Array.from(new Intl.Segmenter().segment(text.slice(0, 120)), (part) => part.segment);
  while (parts.length > 1 && context.measureText(parts.join("") + "…").width > width) parts.pop();
  return parts.join("") + "…";
}
