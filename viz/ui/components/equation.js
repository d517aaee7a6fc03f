// One step of the arithmetic as pictures: small matrices with the operators between them, read left to right.

const SVG = "http://www.w3.org/2000/svg";
const MORPH = 300; // ms
const TERMS = 4; // products written out before "+ n more"
const SMALLEST_PRINT = { width: 34, height: 18 }; // px a cell needs before its number is printed

function el(tag, name, parent, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}
function svg(tag, parent, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const fill = (template, values) => (template || "").replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
const textOf = (list, i) => (list?.[i] === undefined ? String(i) : (list[i].text ?? String(list[i])));
const cut = (text, count) => ([...text].length > count ? [...text].slice(0, count - 1).join("") + "…" : text);
const indexed = (list) => list.every((token, i) => textOf(list, i) === String(i)); // plain positions need no printed labels

/** W_Q, kT, A_ij·v_j, S'' as they are set in print: italic, what follows "_" lowered, a final T raised. */
function symbol(parent, text) {
  const node = el("i", "symbol", parent);
  for (const [k, factor] of text.replaceAll("'", "′").split("·").entries()) {
    const [, plain, raised] = /^(.+[a-z]|[A-Za-z])(T)$/.exec(factor) || [null, factor, ""];
    const [base, low] = plain.split(/_(.*)/);
    node.append(k ? "·" : "", base);
    if (low) el("sub", "", node, low);
    if (raised) el("sup", "", node, raised);
  }
  return node;
}
/** Every digit that a float32 has, without the noise of a double. */
const exact = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(7))).replace("-", "−") : number(value));
function printed(value, digits) {
  if (digits == null || !Number.isFinite(value)) return number(value);
  const rounded = Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value; // never "−0.00"
  return rounded.toFixed(digits).replace("-", "−");
}

class Equation {
  constructor(parent) {
    this.root = el("div", "headlight equation", parent);
    this.figure = el("div", "figure", this.root);
    this.readout = el("div", "readout", this.root);
    this.readout.setAttribute("aria-live", "polite");
    this.legend = el("div", "legend faint", this.root);
    this.blocks = []; // stays empty while the component is hidden and has no width
    this.measure = document.createElement("canvas").getContext("2d");
    this.root.__cell = (name, row, column) => this.centre(name, row, column);
    this.observer = new ResizeObserver(() => {
      if (this.header && this.root.clientWidth !== this.width) this.build();
    });
    this.observer.observe(this.root);
  }
  destroy() {
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
    this.root.remove();
  }

  update({ data, parentElement, setTriggerValue }) {
    const before = this.blocks;
    cancelAnimationFrame(this.frame);
    this.header = unpack(data);
    this.theme = readTheme(parentElement);
    this.select = (value) => setTriggerValue("select", value);
    this.morph = new Map();
    for (const item of this.header.items) {
      if (!item.matrix) continue;
      const { kind, low, high } = item.scale;
      if (!(high > low)) item.scale = { kind, low: kind === "diverging" ? -1 : 0, high: 1 }; // all zeros: still zero's colour
      const values = this.array(item.matrix).data;
      const old = before.find((block) => block.item.matrix === item.matrix && block.item.result);
      const same = old && String(old.shape) === String(this.array(item.matrix).shape);
      if (same && item.result && values.some((value, k) => !Object.is(value, old.values[k]))) this.morph.set(item.matrix, old.values);
    }
    this.build();
    this.buildLegend();
    if (this.morph.size && !reducedMotion()) this.animate();
    performance.mark("headlight-equation-drawn");
  }

  array(name) {
    const { data, shape } = this.header.arrays[name];
    return { data, shape: shape.length === 2 ? shape : [1, data.length] };
  }

  // ---- sizes: every matrix gets what it needs to be read, the rest of the width is shared

  prepare(item) {
    if (item.operator !== undefined) {
      const node = el("div", "operator", this.figure, item.operator);
      return { item, node, operator: item.operator, width: node.offsetWidth };
    }
    const { data, shape } = this.array(item.matrix);
    const [rows, columns] = shape;
    const tall = (this.header.max_height || 170) / rows;
    const cap = this.header.items.some((other) => other.matrix && other.digits !== 0) ? 24 : 30; // one cap a figure: the band stays level
    const height = tall >= 3 ? clamp(Math.floor(tall), 3, cap) : tall;
    let most = clamp(height * 1.5, 2, 40);
    let least = Math.min(columns * most, Math.max(20, Math.min(columns * 1.4, 84)));
    let fits = SMALLEST_PRINT.width;
    const numbered = item.digits != null && height >= SMALLEST_PRINT.height && columns <= 16;
    if (numbered) {
      let longest = 1;
      for (const value of data) longest = Math.max(longest, printed(value, item.digits).length);
      fits = item.digits === 0 ? Math.min(SMALLEST_PRINT.width, longest * 9 + 14) : SMALLEST_PRINT.width;
      most = clamp(longest * 8.4 + 12, SMALLEST_PRINT.width + (item.digits === 0 ? 4 : 0), 62);
      least = columns * fits;
    }
    this.measure.font = "italic 17px Georgia, serif";
    let slot = Math.max(22, this.measure.measureText(item.symbol ?? item.matrix).width + 2); // a narrow column still needs room for its name
    this.measure.font = "12px system-ui, sans-serif";
    slot = Math.ceil(Math.max(slot, this.measure.measureText(item.shape ?? "").width + 2));
    const state = this.header.arrays[`${item.matrix}.state`]?.data;
    // Words that another matrix of the figure has on the same axis name this one's cells too.
    const shared = (axis, mark, count) =>
      item[axis] ?? this.header.items.find((o) => o[axis]?.length === count && o[mark] != null && item[mark] != null)?.[axis];
    const names = [shared("rows", "highlight_row", rows), shared("columns", "highlight_column", columns)];
    return { item, names, fits, slot, values: data, state, shape, rows, columns, height, most, least };
  }

  side(block, seen) {
    const list = block.item.rows;
    const key = list?.map((_, i) => textOf(list, i)).join("\n");
    block.labels = list && !indexed(list) && !seen.has(key) ? list.map((_, i) => cut(textOf(list, i), 10)) : null;
    if (block.labels) seen.add(key);
    this.measure.font = `12px ${this.theme.mono}`;
    block.left = block.labels ? Math.ceil(Math.max(...block.labels.map((text) => this.measure.measureText(text).width))) + 10 : 0;
  }

  lines(width) {
    const units = []; // an operator never ends a line: it travels with the matrix after it
    let waiting = [];
    for (const item of this.header.items) {
      waiting.push(this.prepare(item));
      if (item.matrix) [waiting] = [[], units.push(waiting)];
    }
    if (waiting.length) units.push(waiting);
    const lines = [[]];
    const seen = new Set(); // the same words are written once a line
    const least = (block) => (block.item.matrix ? block.left + Math.max(block.least, block.slot) : block.width + 24);
    const need = (line) => line.reduce((sum, block) => sum + least(block), 0);
    for (const unit of units) {
      const block = unit.at(-1);
      if (block.item.matrix) this.side(block, seen);
      if (lines.at(-1).length && need([...lines.at(-1), ...unit]) > width) {
        lines.push([]);
        if (block.item.matrix) this.side(block, (seen.clear(), seen));
      }
      lines.at(-1).push(...unit);
    }
    for (const line of lines) {
      const matrices = line.filter((block) => block.item.matrix);
      const fixed = line.reduce((sum, block) => sum + (block.operator !== undefined ? block.width + 24 : block.left), 0);
      const want = (block, t) => clamp(t * Math.sqrt(block.columns), block.least, block.columns * block.most);
      let [low, high] = [0, 400];
      for (let k = 0; k < 30; k++) {
        const t = (low + high) / 2;
        if (matrices.reduce((sum, block) => sum + Math.max(want(block, t), block.slot), fixed) <= width) low = t;
        else high = t;
      }
      for (const block of matrices) {
        let cell = Math.min(want(block, low), width - block.left) / block.columns;
        if (cell >= 4) cell = Math.floor(cell);
        block.cell = cell;
        block.width = cell * block.columns;
        block.tall = block.height * block.rows;
        block.prints = block.item.digits != null && cell >= block.fits && block.height >= SMALLEST_PRINT.height;
        const heads = block.item.columns;
        block.heads = null;
        if (heads && cell >= 14 && !indexed(heads)) block.heads = heads.map((_, j) => cut(textOf(heads, j), 8));
        this.measure.font = `11.5px ${this.theme.mono}`;
        const widest = block.heads ? Math.max(...block.heads.map((text) => this.measure.measureText(text).width)) : 0;
        block.slanted = widest > cell - 2;
        block.above = !block.heads ? 4 : block.slanted ? Math.ceil(widest * 0.75) + 14 : 20;
      }
    }
    return lines;
  }

  build() {
    const active = this.root.getRootNode().activeElement?.dataset?.matrix;
    const { figure } = this;
    this.width = this.root.clientWidth;
    if (!this.width) return;
    figure.replaceChildren();
    this.over = svg("svg", figure, { class: "over", "aria-hidden": "true" });
    this.marks = null;
    this.blocks = [];
    let y = 0;
    for (const line of this.lines(this.width)) {
      let x = 0;
      let [up, down] = [0, 0];
      for (const block of line) {
        if (block.operator !== undefined) {
          block.x = x + (x ? 12 : 0); // no air before an operator that opens a line
          x = block.x + block.width + 12;
          continue;
        }
        const foot = (block.foot = el("div", "foot faint", figure));
        el("div", "shape", foot, block.item.shape);
        if (block.item.caption) el("div", "", foot, block.item.caption);
        block.head = el("div", "head", figure);
        symbol(block.head, block.item.symbol ?? block.item.matrix);
        const slot = Math.max(block.width, block.slot);
        block.x = Math.round(x + block.left + (slot - block.width) / 2);
        x += block.left + slot;
        foot.style.width = `${slot + 20}px`;
        up = Math.max(up, block.tall / 2 + block.above + 26);
        down = Math.max(down, block.tall / 2 + 8 + foot.offsetHeight);
        this.blocks.push(block);
      }
      const middle = y + up;
      for (const block of line) {
        if (block.operator !== undefined) {
          Object.assign(block.node.style, { left: `${block.x}px`, top: `${middle}px` });
          continue;
        }
        block.y = Math.round(middle - block.tall / 2);
        const centre = block.x + block.width / 2;
        Object.assign(block.head.style, { left: `${centre}px`, top: `${block.y - block.above - 24}px` });
        Object.assign(block.foot.style, { left: `${centre - block.foot.offsetWidth / 2}px`, top: `${block.y + block.tall + 6}px` });
        this.place(block);
      }
      y = middle + down + 14;
    }
    figure.style.height = `${y - 8}px`;
    for (const [key, value] of [["width", this.width], ["height", y]]) this.over.setAttribute(key, value);
    this.band();
    figure.append(this.over);
    for (const block of this.blocks) this.draw(block, block.values);
    if (active) this.blocks.find((block) => block.item.matrix === active)?.canvas.focus({ preventScroll: true });
    this.show();
  }

  place(block) {
    const { item, rows, columns, height } = block;
    const canvas = (block.canvas = el("canvas", item.result ? "result" : "", this.figure));
    Object.assign(canvas.style, { left: `${block.x}px`, top: `${block.y}px` });
    canvas.tabIndex = 0;
    canvas.dataset.matrix = item.matrix;
    canvas.setAttribute("role", "application");
    const name = item.symbol ?? item.matrix;
    const alt = fill(this.header.words.alt, { symbol: name, shape: item.shape });
    canvas.setAttribute("aria-label", [name, item.shape, alt].filter(Boolean).join(", "));
    const point = (i, j) => {
      this.cell = { matrix: item.matrix, row: clamp(i, 0, rows - 1), column: clamp(j, 0, columns - 1) };
      this.show();
    };
    const leave = () => this.show((this.cell = null));
    const follow = (event) => point(Math.floor(event.offsetY / block.height), Math.floor(event.offsetX / block.cell));
    canvas.addEventListener("pointermove", follow);
    canvas.addEventListener("pointerleave", leave);
    canvas.addEventListener("blur", leave);
    canvas.addEventListener("focus", () => {
      if (this.cell?.matrix !== item.matrix) point(item.highlight_row ?? 0, item.highlight_column ?? 0);
    });
    canvas.addEventListener("click", () => this.cell && this.select({ ...this.cell }));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      const { row, column } = this.cell?.matrix === item.matrix ? this.cell : { row: 0, column: 0 };
      if (step) point(row + step[0], column + step[1]);
      else if (event.key === "Enter" || event.key === " ") this.select({ matrix: item.matrix, row, column });
      else return;
      event.preventDefault();
    });
    const tokens = (list, i) => (list[i]?.kind === "special" ? "token special" : "token");
    const fits = block.height >= 11;
    for (const [i, text] of (block.labels || []).entries())
      if (fits || i === item.highlight_row)
        svg("text", this.over, { x: block.x - 8, y: block.y + (i + 0.5) * height, class: `${tokens(item.rows, i)} row` }, text);
    for (const [j, text] of (block.heads || []).entries()) {
      const [x, y] = [block.x + (j + 0.5) * block.cell, block.y - 7];
      const turn = block.slanted ? { transform: `rotate(-48 ${x} ${y})` } : {};
      const name = `${tokens(item.columns, j)} column${block.slanted ? " slanted" : ""}`;
      svg("text", this.over, { x: block.slanted ? x + 3 : x, y, ...turn, class: name }, text);
    }
  }

  /** Two hairlines that carry the query's row through every matrix that has it; likewise a column for the key. */
  band() {
    const line = (x1, y1, x2, y2, name) => svg("line", this.over, { x1, y1, x2, y2, class: name });
    for (const [k, block] of this.blocks.entries()) {
      const { item, x, y, width, tall, height, cell } = block;
      if (item.highlight_row != null) {
        const next = this.blocks[k + 1];
        const level = next && next.y + next.item.highlight_row * next.height === y + item.highlight_row * height;
        const joined = next?.item.highlight_row != null && next.height === height && level;
        for (const edge of [0, 1]) {
          const at = y + (item.highlight_row + edge) * height;
          line(x - 5, at, x + width + 5, at, "band");
          if (joined && next.x > x) line(x + width + 5, at, next.x - 5, at, "band thin");
        }
      }
      if (item.highlight_column != null)
        for (const edge of [0, 1]) {
          const at = x + (item.highlight_column + edge) * cell;
          line(at, y - 5, at, y + tall + 5, "band");
        }
    }
  }

  // ---- drawing

  draw(block, values) {
    const { item, rows, columns, cell, height, state, prints } = block;
    const { theme } = this;
    const context = fitCanvas(block.canvas, block.width, block.tall);
    const source = new OffscreenCanvas(columns, rows);
    const inner = source.getContext("2d");
    const picture = inner.createImageData(columns, rows);
    const table = theme[item.scale.kind];
    for (let k = 0; k < values.length; k++) {
      const from = 3 * shade(values[k], item.scale.low, item.scale.high, table.length / 3);
      for (let c = 0; c < 3; c++) picture.data[4 * k + c] = table[from + c];
      const broken = state?.[k] === STATE.masked || state?.[k] === STATE.nan || Number.isNaN(values[k]);
      picture.data[4 * k + 3] = broken ? 0 : 255;
    }
    inner.putImageData(picture, 0, 0);
    context.imageSmoothingEnabled = cell < 1 || height < 1; // a picture smaller than its cells is averaged, not sampled
    context.drawImage(source, 0, 0, block.width, block.tall);
    for (let i = 0; state && i < rows; i++)
      for (let j = 0, k; j < columns; j = Math.max(k, j + 1)) {
        for (k = j; k < columns && state[i * columns + k] === STATE.masked; k++);
        if (k > j) hatch(context, j * cell, i * height, (k - j) * cell, height, theme.line);
      }
    if (Math.min(cell, height) >= 9) {
      context.strokeStyle = theme.line;
      context.lineWidth = 0.5;
      context.beginPath();
      for (let i = 1; i < rows; i++) context.rect(0, i * height, block.width, 0);
      for (let j = 1; j < columns; j++) context.rect(j * cell, 0, 0, block.tall);
      context.stroke();
    }
    if (!prints) return;
    const texts = Array.from(values, (value, k) => {
      if (state?.[k] === STATE.masked) return value === 0 ? "0" : "−∞";
      return state?.[k] === STATE.nan ? "NaN" : printed(value, item.digits);
    });
    const longest = Math.max(...texts.map((text) => text.length));
    const size = clamp(Math.min(height * 0.62, (cell - 6) / (longest * 0.6)), 9, item.digits === 0 ? 17 : 13.5);
    context.font = `${size}px ${theme.mono}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const pad = Math.max(...texts.map((text) => (text.includes(".") ? text.length : 0))); // equal lengths keep the points aligned
    texts.forEach((text, k) => {
      const plain = !state?.[k] && Number.isFinite(values[k]);
      context.fillStyle = plain || state?.[k] === STATE.clipped ? inkOn(theme, item.scale, values[k]) : theme.faint;
      const aligned = text.includes(".") ? text.padStart(pad, "\u2007") : text;
      context.fillText(aligned, ((k % columns) + 0.5) * cell, (Math.floor(k / columns) + 0.5) * height + 0.5);
    });
  }

  /** The new result grows out of the old one, cell by cell. */
  animate() {
    cancelAnimationFrame(this.frame);
    const start = performance.now();
    const step = (now) => {
      const t = clamp((now - start) / MORPH, 0, 1);
      const eased = t * t * (3 - 2 * t);
      for (const block of this.blocks) {
        const old = this.morph.get(block.item.matrix);
        const moves = (value, k) => t < 1 && Number.isFinite(old[k]) && Number.isFinite(value);
        const between = (value, k) => (moves(value, k) ? old[k] + (value - old[k]) * eased : value);
        if (old) this.draw(block, block.values.map(between));
      }
      if (t < 1) this.frame = requestAnimationFrame(step);
    };
    step(start);
  }

  buildLegend() {
    const { legend, theme } = this;
    legend.replaceChildren();
    const scales = new Map();
    for (const item of this.header.items) {
      if (!item.matrix) continue;
      const key = `${item.scale.kind} ${item.scale.low} ${item.scale.high}`;
      if (!scales.has(key)) scales.set(key, []);
      if (!scales.get(key).some((other) => other.matrix === item.matrix)) scales.get(key).push(item);
    }
    if (this.header.words.legend) el("span", "", legend, this.header.words.legend);
    for (const items of scales.values()) {
      const { kind, low, high } = items[0].scale;
      const entry = el("span", "item", legend);
      if (scales.size > 1)
        items.forEach((item, k) => {
          if (k) entry.append(", ");
          symbol(entry, item.symbol ?? item.matrix);
        });
      const table = theme[kind];
      const stops = Array.from({ length: 9 }, (_, k) => 3 * Math.round((k / 8) * (table.length / 3 - 1)));
      const colours = stops.map((i) => `rgb(${[...table.slice(i, i + 3)]})`).join(",");
      el("span", "", entry, number(low));
      el("span", "ramp", entry).style.background = `linear-gradient(90deg, ${colours})`;
      el("span", "", entry, number(high));
    }
  }

  // ---- one cell: where it comes from, and its value

  centre(name, row, column) {
    const block = this.blocks.find(({ item }) => item.matrix === name);
    const box = block.canvas.getBoundingClientRect();
    return { x: box.left + (column + 0.5) * block.cell, y: box.top + (row + 0.5) * block.height };
  }

  /** The product in full: the sum is written out only where it is what the result says (not under a rotation). */
  sum(left, right, bias, row, column) {
    let value = bias ? bias.values[column] : 0;
    let size = Math.abs(value);
    for (let k = 0; k < left.columns; k++) {
      const term = left.values[row * left.columns + k] * right.values[k * right.columns + column];
      value += term;
      size += Math.abs(term);
    }
    return { value, size };
  }

  show() {
    this.marks?.remove();
    const { readout, cell, header } = this;
    const find = (name) => this.blocks.find(({ item }) => item.matrix === name);
    const block = cell && find(cell.matrix);
    readout.replaceChildren();
    readout.classList.toggle("faint", !block);
    if (!block || cell.row >= block.rows || cell.column >= block.columns) {
      readout.textContent = header.words.help || "";
      return;
    }
    const { row, column } = cell;
    const marks = (this.marks = svg("g", this.over, {}));
    const box = (b, i, j, tall, wide, name) =>
      svg("rect", marks, { x: b.x + j * b.cell, y: b.y + i * b.height, width: wide * b.cell, height: tall * b.height, class: name });
    const at = (b, i, j) => b.values[i * b.columns + j];
    const write = (b, i, j) => {
      const part = el("span", "entry", readout);
      symbol(part, b.item.symbol ?? b.item.matrix);
      part.append("[");
      el("bdi", "", part, textOf(b.names[0], i)); // isolated: right-to-left words leave the brackets in place
      part.append(", ");
      el("bdi", "", part, textOf(b.names[1], j));
      part.append("] = ");
      return part;
    };
    const value = (b, i, j) => {
      const state = b.state?.[i * b.columns + j];
      const words = { [STATE.masked]: header.words.masked, [STATE.nan]: header.words.nan, [STATE.clipped]: header.words.clipped };
      return [exact(at(b, i, j)), words[state]].filter(Boolean).join(", ");
    };
    const link = header.link?.result === cell.matrix ? header.link : null;
    const left = link && find(link.left);
    const right = link && find(link.right);
    const part = write(block, row, column);
    if (link?.kind === "product" && left && right) {
      box(left, row, 0, 1, left.columns, "from");
      box(right, 0, column, right.rows, 1, "from");
      const after = header.items.findIndex((item) => item.matrix === link.right) + 1;
      const bias = find(link.bias ?? (header.items[after]?.operator === "+" ? header.items[after + 1]?.matrix : null));
      if (bias) box(bias, 0, column, 1, 1, "from");
      const whole = this.sum(left, right, bias, row, column);
      const shown = left.columns <= TERMS + 1 ? left.columns : TERMS;
      const honest = Math.abs(whole.value - at(block, row, column)) <= 1e-4 * whole.size + 1e-6;
      for (let k = 0; honest && k < shown; k++) {
        part.append(k ? " + " : "", printed(at(left, row, k), left.item.digits));
        el("span", "times", part, "·"); // its own air: "·−" must not read as one sign
        part.append(printed(at(right, k, column), right.item.digits));
      }
      if (honest && left.columns > shown) part.append(` ${fill(header.words.more, { n: left.columns - shown })}`);
      if (honest && bias) part.append(` + ${printed(at(bias, 0, column), bias.item.digits)}`);
      if (honest) part.append(" = ");
    }
    el("b", "", part, value(block, row, column));
    for (const name of link?.operands || []) {
      const other = find(name);
      if (!other) continue;
      const [i, j] = [Math.min(row, other.rows - 1), Math.min(column, other.columns - 1)]; // a single row or column is broadcast
      if (link.kind === "rows") box(other, i, 0, 1, other.columns, "from");
      else box(other, i, j, 1, 1, "from");
      write(other, i, j).append(value(other, i, j));
    }
    box(block, row, column, 1, 1, "here");
  }
}

export default function (component) {
  const { parentElement } = component;
  const view = (parentElement.headlightEquation ??= new Equation(parentElement));
  view.update(component);
  return () => {
    view.destroy();
    if (parentElement.headlightEquation === view) delete parentElement.headlightEquation;
  };
}
