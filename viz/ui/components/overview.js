// The first screen: how each written word looks at the typed ones, then the whole model as Vaswani et al. 2017 draw it.

const THIN = 0.01; // ribbons below one percent are noise to the eye
const SIDE_BY_SIDE = 520; // px; below it the decoder stands on the encoder
const ROOMY = 820; // px; from here on labels stand beside the pictures
const SVG = "http://www.w3.org/2000/svg";

function el(tag, name, parent, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}
function svg(tag, parent, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  parent.append(node);
  return node;
}
function press(name, parent, label, action) {
  const node = el("button", name, parent);
  node.type = "button";
  node.setAttribute("aria-label", label);
  node.addEventListener("click", action);
  return node;
}
const fill = (template, values) => (template || "").replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
const percent = (weight) => `${Math.round(100 * weight)}%`;
const isCross = (part) => part.site.endsWith(".cross");
const unit = (array) => (array.data instanceof Uint8Array ? 1 / 255 : 1);

/** One pixel a cell; masked and broken cells stay transparent so that the hatching behind them shows. */
function paint(canvas, array, theme, high, state) {
  const [rows, columns] = array.shape;
  if (!rows || !columns) return;
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(columns, rows);
  const table = theme.sequential;
  const count = table.length / 3;
  const factor = unit(array);
  for (let i = 0; i < rows * columns; i++) {
    const broken = state && (state.data[i] === STATE.masked || state.data[i] === STATE.nan);
    const from = 3 * shade(array.data[i] * factor, 0, high, count);
    for (let k = 0; k < 3; k++) picture.data[4 * i + k] = table[from + k];
    picture.data[4 * i + 3] = broken || Number.isNaN(array.data[i]) ? 0 : 255;
  }
  context.putImageData(picture, 0, 0);
}

/** A long, narrow picture is averaged when it shrinks; repeating its few columns (or rows) first keeps their edges. */
function widen(canvas) {
  const { width, height } = canvas;
  const times = (few, many) => (many > 40 && few < 32 ? Math.ceil(64 / few) : 1);
  const [x, y] = [times(width, height), times(height, width)];
  if (x * y === 1) return;
  const copy = new OffscreenCanvas(width, height);
  copy.getContext("2d").drawImage(canvas, 0, 0);
  [canvas.width, canvas.height] = [width * x, height * y];
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(copy, 0, 0, canvas.width, canvas.height);
}

class Overview {
  constructor(parent) {
    this.root = el("div", "headlight overview", parent);
    this.stop = listenHover((detail) => this.mark(detail.side, detail.index));
    this.observer = new ResizeObserver(() => {
      if (this.root.clientWidth !== this.width) this.arrange();
    });
    this.observer.observe(this.root);
  }
  destroy() {
    this.stop();
    this.observer.disconnect();
    this.root.remove();
  }

  update({ data, parentElement, setTriggerValue }) {
    const focus = this.root.getRootNode().activeElement?.dataset?.key; // survives the redraw that a click causes
    const along = this.hero ? this.scroll.scrollLeft : 0;
    this.header = unpack(data);
    this.arrays = this.header.arrays;
    this.theme = readTheme(parentElement);
    this.go = (value) => setTriggerValue("go", value);
    this.send = (text) => setTriggerValue("text", text);
    this.tokens = { encoder: [], decoder: [], "decoder-output": [] };
    this.parts = [];
    this.root.replaceChildren();
    this.root.style.setProperty("--ink", `rgb(${[...this.theme.sequential.slice(-3)]})`);
    this.buildHero();
    this.buildModel();
    this.buildLegend();
    this.popover = el("div", "popover", this.root);
    this.popover.hidden = true;
    this.arrange();
    if (this.hero) this.scroll.scrollLeft = along;
    if (focus) this.root.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
    performance.mark("headlight-overview-drawn");
  }

  // ---- the sentence and its ribbons

  token(token, side, index, parent, tag = "span") {
    const node = tag === "button" ? press("", parent, token.text, null) : el(tag, "", parent);
    node.className = `chip ${token.kind || "word"}`;
    el("bdi", "", node, token.text);
    const tell = (at) => announceHover(side, at, this.root);
    for (const name of ["pointerenter", "focus"]) node.addEventListener(name, () => tell(index));
    for (const name of ["pointerleave", "blur"]) node.addEventListener(name, () => tell(null));
    this.tokens[side].push({ node, index });
    return node;
  }

  buildHero() {
    const { header, root } = this;
    const { hero, words, target } = header;
    const source = header.source.length ? header.source : header.shifted || [];
    const side = header.stacks.some((stack) => stack.name === "encoder") ? "encoder" : "decoder";
    this.hero = this.ribbons = null;
    if (!hero && !header.editable) return;
    const box = (this.hero = el("section", "hero", root));
    const typed = el("div", "caption typed", box);
    el("span", "", typed, words.source);
    const scroll = (this.scroll = el("div", "scroll", box));
    scroll.addEventListener("scroll", () => this.slide(), { passive: true });
    const stage = (this.stage = el("div", "stage", scroll));
    const top = el("div", "words source", stage);
    top.dir = header.direction || "auto";
    this.sources = source.map((token, j) => this.token(token, side, j, top, header.editable ? "button" : "span"));
    if (header.editable) {
      const button = press("edit", typed, words.edit, () => this.edit(top));
      button.textContent = words.edit;
      button.dataset.key = "edit";
      top.classList.add("editable");
      top.addEventListener("click", (event) => event.target !== this.input && this.edit(top));
    }
    if (!hero) return;
    const { data, shape } = this.arrays.hero;
    const factor = unit(this.arrays.hero);
    this.weight = (i, j) => data[i * shape[1] + j] * factor;
    this.canvas = document.createElementNS(SVG, "svg");
    this.canvas.setAttribute("class", "ribbons");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", words.alt || hero.title);
    stage.append(this.canvas);
    const bottom = el("div", "words target", stage);
    bottom.dir = header.target_direction || "auto";
    this.targets = target.slice(0, shape[0]).map((token, i) => {
      const node = this.token(token, "decoder-output", i, bottom, "button");
      const order = source.map((_, j) => j).sort((a, b) => this.weight(i, b) - this.weight(i, a));
      const looks = order.slice(0, 3).filter((j) => this.weight(i, j) >= THIN);
      node.setAttribute("aria-label", [token.text, ...looks.map((j) => `${source[j].text} ${percent(this.weight(i, j))}`)].join(", "));
      node.dataset.key = `target ${i}`;
      node.addEventListener("click", () => this.look(i, order[0]));
      return node;
    });
    for (const node of [...this.sources, ...this.targets]) el("small", "percent", node).setAttribute("aria-hidden", "true");
    const chosen = header.selection;
    if (chosen && chosen.site === hero.site && chosen.head === hero.head) {
      this.targets[chosen.row]?.classList.add("selected");
      this.sources[chosen.column]?.classList.add("selected");
    }
    el("div", "caption written", box, words.target);
    const which = el("div", "caption which", box);
    const label = press("plain", which, hero.title, () => this.go({ page: "heads", site: hero.site, head: hero.head }));
    label.textContent = hero.title;
    el("span", "hint", which, words.hover);
  }

  look(row, column) {
    const { site, head } = this.header.hero;
    this.go({ site, head, row, column, page: "heads" });
  }

  edit(row) {
    if (this.input) return;
    const chips = [...row.childNodes];
    const form = el("label", "editor", row);
    const input = (this.input = el("input", "", form));
    input.value = this.header.source_text;
    input.dir = "auto";
    input.spellcheck = false;
    input.setAttribute("aria-label", this.header.words.edit);
    el("small", "hint", form, this.header.words.run);
    row.classList.add("editing");
    const close = () => {
      this.input = null;
      form.remove();
      row.classList.remove("editing");
      chips[0]?.focus?.({ preventScroll: true });
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.isComposing || event.keyCode === 229) return; // Enter that confirms a Chinese word is not "run"
      if (event.key === "Escape") close();
      if (event.key !== "Enter") return;
      const text = input.value.trim();
      close();
      if (!text || text === this.header.source_text) return;
      this.hero.classList.add("waiting");
      setTimeout(() => this.hero?.classList.remove("waiting"), 4000); // an answer without new data must not stay grey
      this.send(text);
    });
    input.addEventListener("blur", () => this.input === input && input.value === this.header.source_text && close());
    input.focus({ preventScroll: true });
    input.select();
  }

  /** Every written word has one unit of attention; it leaves the word side by side and tapers towards what it looks at. */
  drawRibbons(height) {
    const { canvas, sources, targets } = this;
    canvas.setAttribute("width", 0); // its old width must not hold the stage open
    const place = (node) => ({ x: node.parentElement.offsetLeft + node.offsetLeft + node.offsetWidth / 2, width: node.offsetWidth });
    const above = sources.map(place);
    const below = targets.map(place);
    canvas.replaceChildren();
    canvas.setAttribute("height", height);
    canvas.setAttribute("width", this.stage.offsetWidth);
    const order = (list) => list.map((_, i) => i).sort((a, b) => list[a].x - list[b].x);
    const columns = order(above);
    const rows = order(below);
    const full = Math.min(...below.map((word) => word.width), 64) * 0.72;
    const links = [];
    for (const i of rows) {
      let x = below[i].x - full / 2;
      for (const j of columns) {
        const weight = this.weight(i, j);
        if (weight >= THIN) links.push({ i, j, weight, x0: x, x1: x + weight * full });
        x += weight * full;
      }
    }
    for (const j of columns) {
      const mine = links.filter((link) => link.j === j);
      const sum = mine.reduce((total, link) => total + link.weight, 0);
      const scale = Math.min(full * 0.5, (above[j].width * 0.84) / sum);
      let x = above[j].x - (sum * scale) / 2;
      for (const link of mine) [link.y0, link.y1, x] = [x, x + link.weight * scale, x + link.weight * scale];
    }
    links.sort((a, b) => a.weight - b.weight);
    const mid = height / 2;
    for (const link of links) {
      const { x0, x1, y0, y1 } = link;
      link.node = svg("path", canvas, {
        d: `M${x0} ${height}C${x0} ${mid} ${y0} ${mid} ${y0} 0L${y1} 0C${y1} ${mid} ${x1} ${mid} ${x1} ${height}Z`,
        opacity: 0.1 + 0.72 * link.weight,
      });
      link.node.addEventListener("pointerenter", () => this.markHero({ row: link.i, column: link.j }));
      link.node.addEventListener("pointerleave", () => this.markHero({}));
      link.node.addEventListener("click", () => this.look(link.i, link.j));
    }
    this.ribbons = links;
  }

  markHero({ row = null, column = null }) {
    if (!this.ribbons) return;
    const alone = row === null && column === null;
    const kept = (link) => (row === null || link.i === row) && (column === null || link.j === column);
    this.canvas.classList.toggle("focused", !alone);
    const note = (node, weight) => {
      node.querySelector(".percent").textContent = weight ? percent(weight) : "";
      node.classList.toggle("linked", weight >= 0.1); // a faint look gets its number only
    };
    for (const node of [...this.sources, ...this.targets]) note(node, 0);
    for (const link of this.ribbons) {
      const keep = !alone && kept(link);
      link.node.classList.toggle("kept", keep);
      if (keep && row !== null) note(this.sources[link.j], link.weight);
      if (keep && column !== null) note(this.targets[link.i], link.weight);
    }
  }

  /** A word under the pointer, here or in another figure: its ribbons, its chips and its row or column in every head. */
  mark(side, index) {
    if (!this.header) return;
    for (const [name, list] of Object.entries(this.tokens))
      for (const { node, index: own } of list) node.classList.toggle("hover", name === side && own === index);
    this.markHero({ row: side === "decoder-output" ? index : null, column: side === "encoder" ? index : null });
    for (const { node, part, stack } of this.parts) {
      const encoder = stack.name === "encoder";
      const cross = part.kind === "attention" && isCross(part);
      const mine = index !== null && (encoder ? side === "encoder" : side !== "encoder");
      const keys = cross ? side === "encoder" : mine && side !== "decoder-output";
      const both = part.kind === "attention";
      node.classList.toggle("mark-row", mine && part.kind !== "norm");
      node.classList.toggle("mark-column", index !== null && (both ? keys : part.kind === "norm" && mine));
      node.style.setProperty("--at", index ?? 0);
    }
  }

  // ---- the model

  buildModel() {
    const { header, root, arrays } = this;
    const model = (this.model = el("section", "model", root));
    this.wires = svg("svg", model, { class: "wires", "aria-hidden": "true" });
    const peak = (names) => Math.max(1e-9, ...names.map((name) => arrays[name].data.reduce((a, b) => (b > a ? b : a), 0)));
    const parts = header.stacks.flatMap((stack) => stack.layers.flatMap((layer) => layer.parts));
    const named = (kind) => parts.filter((part) => part.kind === kind).map((part) => part.values);
    this.peaks = { ffn: peak(named("ffn")), norm: peak(named("norm")) };
    this.stacks = header.stacks.map((stack) => {
      const box = el("div", `stack ${stack.name}`, model);
      const entry = { stack, box, cards: [] };
      for (const layer of stack.layers) {
        const card = el("section", "card", el("div", "layer", box));
        el("div", "name faint", card.parentElement, layer.title);
        entry.cards.push({ card, parts: layer.parts.map((part) => this.buildPart(part, layer, stack, card)) });
      }
      const top = el("div", "top", box);
      el("div", "title", top, stack.title);
      const last = stack === header.stacks.at(-1);
      if (header.next && last && stack.name !== "encoder") this.buildNext(entry.next = el("div", "next", box));
      entry.inputs = el("div", `inputs ${stack.name}`, model);
      const row = el("div", "chips", entry.inputs);
      row.dir = "auto";
      const encoder = stack.name === "encoder";
      entry.tokens = stack.tokens || (!encoder && header.shifted?.length ? header.shifted : header.source);
      entry.tokens.forEach((token, i) => this.token(token, encoder ? "encoder" : "decoder", i, row));
      const typed = encoder || header.stacks.length === 1;
      el("div", "faint", entry.inputs, typed ? header.words.source : header.words.shifted);
      el("div", "added faint", entry.inputs, header.words.inputs);
      return entry;
    });
    model.classList.toggle("single", this.stacks.length === 1);
    model.classList.toggle("deep", Math.max(...this.stacks.map((entry) => entry.cards.length)) > 4);
    if (this.stacks.length > 1 && header.words.memory) this.memory = el("div", "memory faint", model, header.words.memory);
  }

  buildPart(part, layer, stack, card) {
    const node = el("div", `part ${part.kind}`, card);
    el("div", "label faint", node, part.title);
    const body = el("div", "body", node);
    const where = [stack.title, layer.title, part.title];
    const entry = { node, part, stack, where, thumbs: [] };
    const array = this.arrays[part.kind === "attention" ? part.heads[0].array : part.values];
    const size = array.shape;
    node.style.setProperty("--rows", size[0]);
    node.style.setProperty("--columns", part.kind === "norm" ? size[0] : size[1]);
    if (part.kind === "attention") {
      const chosen = this.header.selection;
      part.heads.forEach((head, k) => {
        const h = head.head ?? k;
        const name = head.title || fill(this.header.words.head || "{n}", { n: h + 1 });
        const label = [...where, name].join(", ");
        const thumb = press("thumb", body, label, () => this.go({ page: "heads", site: part.site, head: h }));
        thumb.dataset.key = `${part.site} ${h}`;
        thumb.classList.toggle("selected", Boolean(chosen) && chosen.site === part.site && chosen.head === h);
        const canvas = el("canvas", "", thumb);
        paint(canvas, this.arrays[head.array], this.theme, 1, this.arrays[head.state]);
        widen(canvas);
        for (const event of ["pointerenter", "focus"]) thumb.addEventListener(event, () => this.magnify(thumb, entry, head, name));
        for (const event of ["pointerleave", "blur"]) thumb.addEventListener(event, () => (this.popover.hidden = true));
        entry.thumbs.push(thumb);
      });
    } else {
      const strip = press(`strip ${part.kind}`, body, where.join(", "), () => this.go({ page: "steps", site: part.target }));
      strip.dataset.key = `${part.target} ${part.kind}`;
      if (part.kind === "ffn") paint(el("canvas", "", strip), array, this.theme, this.peaks.ffn);
      else for (const value of array.data) el("i", "", strip).style.height = `${(100 * value) / this.peaks.norm}%`;
    }
    this.parts.push(entry);
    return entry;
  }

  buildNext(box) {
    const { next } = this.header;
    const summary = [next.title, ...next.bars.map((bar) => `${bar.text} ${percent(bar.probability)}`)].join(", ");
    const button = press("bars", box, summary, () => this.go({ page: "steps", part: "output" }));
    button.dataset.key = "output";
    const title = el("span", "title", button);
    if (next.after) title.append(chip({ text: next.after, kind: next.after_kind }), "→ ");
    title.append(next.title);
    for (const bar of next.bars) {
      const line = el("span", "bar", button);
      line.append(chip(bar));
      el("i", "", el("span", "track", line)).style.width = `${100 * bar.probability}%`;
      el("span", "value", line, bar.probability < 0.001 ? "<0.1%" : `${(100 * bar.probability).toFixed(1)}%`);
    }
  }

  buildLegend() {
    const { words, stacks } = this.header;
    const legend = el("div", "legend faint", this.root);
    const table = this.theme.sequential;
    const stops = Array.from({ length: 9 }, (_, k) => 3 * Math.round((k / 8) * (table.length / 3 - 1)));
    const ramp = `linear-gradient(90deg, ${stops.map((i) => `rgb(${[...table.slice(i, i + 3)]})`).join(",")})`;
    const has = (kind) => stacks.some((stack) => stack.layers.some((layer) => layer.parts.some((part) => part.kind === kind)));
    const item = (text, max) => {
      const line = el("span", "item", legend);
      const mark = el("i", max === this.peaks.norm ? "steps" : "ramp", line);
      if (max !== this.peaks.norm) mark.style.background = ramp;
      else for (const height of [35, 60, 100]) el("b", "", mark).style.height = `${height}%`;
      el("span", "", line, fill(text, { max: number(max) }));
    };
    item(words.legend, 1);
    if (has("ffn")) item(words.ffn_legend, this.peaks.ffn);
    if (has("norm")) item(words.norm_legend, this.peaks.norm);
  }

  /** The same head, large enough to read its words, above the thumbnail so that its neighbours stay in sight. */
  magnify(thumb, { part, stack, where }, head, name) {
    const { popover, theme, header } = this;
    const array = this.arrays[head.array];
    const [rows, columns] = array.shape;
    if (!rows || !columns) return;
    const own = this.stacks.find((entry) => entry.stack === stack).tokens;
    const queries = isCross(part) ? header.target || own : own;
    const keys = isCross(part) ? header.source : own;
    const cell = 180 / Math.max(rows, columns);
    const [width, height] = [cell * columns, cell * rows];
    popover.replaceChildren();
    el("div", "title", popover, name);
    el("div", "faint", popover, where.join(" · "));
    const canvas = el("canvas", "", popover);
    const draw = canvas.getContext("2d");
    const font = `${Math.max(9, Math.min(12, cell * 0.8))}px ${theme.mono}`;
    draw.font = font;
    const labelled = cell >= 10;
    const cut = (text) => ([...text].length > 9 ? [...text].slice(0, 8).join("") + "…" : text);
    const wide = (token) => draw.measureText(cut(token.text)).width;
    const room = (list) => (labelled ? Math.ceil(Math.max(...list.map(wide))) + 6 : 0);
    const [left, above] = [room(queries.slice(0, rows)), room(keys.slice(0, columns))];
    const context = fitCanvas(canvas, left + width + 1, above + height + 1);
    const picture = document.createElement("canvas");
    const state = this.arrays[head.state];
    paint(picture, array, theme, 1, state);
    context.imageSmoothingEnabled = false;
    for (let i = 0; state && i < rows; i++) // runs of masked cells, so that the hatching is even
      for (let j = 0, k; j < columns; j = Math.max(k, j + 1)) {
        for (k = j; k < columns && state.data[i * columns + k] === STATE.masked; k++);
        if (k > j) hatch(context, left + j * cell, above + i * cell, (k - j) * cell, cell, theme.line);
      }
    context.drawImage(picture, left, above, width, height);
    context.strokeStyle = theme.line;
    context.strokeRect(left + 0.5, above + 0.5, width - 1, height - 1);
    context.font = font;
    context.textBaseline = "middle";
    context.fillStyle = theme.faint;
    if (labelled) {
      context.textAlign = "right";
      for (let i = 0; i < rows; i++) context.fillText(cut(queries[i]?.text ?? ""), left - 5, above + (i + 0.5) * cell);
      context.textAlign = "left";
      for (let j = 0; j < columns; j++) {
        context.save();
        context.translate(left + (j + 0.5) * cell, above - 5);
        context.rotate(-Math.PI / 2);
        context.fillText(cut(keys[j]?.text ?? ""), 0, 0);
        context.restore();
      }
    }
    popover.hidden = false;
    const [frame, at] = [this.root.getBoundingClientRect(), thumb.getBoundingClientRect()];
    const over = at.top - popover.offsetHeight - 10; // in the window; without room there it opens below
    const x = at.left + at.width / 2 - frame.left - popover.offsetWidth / 2;
    popover.style.left = `${Math.max(0, Math.min(x, frame.width - popover.offsetWidth))}px`;
    popover.style.top = `${(over >= 0 ? over : at.bottom + 10) - frame.top}px`;
  }

  // ---- sizes and wires: everything that depends on the width

  arrange() {
    const width = (this.width = this.root.clientWidth);
    if (!width || !this.header) return;
    const single = this.stacks.length === 1;
    this.root.dataset.layout = width >= (single ? SIDE_BY_SIDE : ROOMY) ? "roomy" : width >= SIDE_BY_SIDE || single ? "close" : "stacked";
    if (this.hero) this.arrangeHero(width);
    const deep = this.model.classList.contains("deep");
    const bodies = this.parts.map(({ node }) => node.querySelector(".body"));
    const spaces = bodies.map((body) => body.clientWidth); // all reads before all writes: one layout instead of one a part
    for (const [p, { part, thumbs }] of this.parts.entries()) {
      const [body, space] = [bodies[p], spaces[p]];
      const gap = thumbs.length > 8 ? 4 : 6;
      if (thumbs.length) {
        const most = deep ? 44 : 64;
        let lines = 1;
        let size = 0;
        for (; lines <= thumbs.length; lines++) {
          const count = Math.ceil(thumbs.length / lines);
          size = Math.min(most, Math.floor((space - gap * (count - 1)) / count));
          if (size >= 20) break;
        }
        const count = Math.ceil(thumbs.length / lines);
        body.style.setProperty("--thumb", `${Math.max(14, size)}px`);
        body.style.gap = `${gap}px`;
        this.span = count * size + gap * (count - 1);
        thumbs.forEach((thumb) => thumb.classList.toggle("fine", Math.max(...this.arrays[part.heads[0].array].shape) > size));
      } else {
        const [rows] = this.arrays[part.values].shape;
        const strip = body.firstChild;
        const full = Math.min(space, this.span || space);
        strip.style.width = `${part.kind === "norm" ? Math.min(full, rows * 9) : full}px`;
        strip.style.setProperty("--gap", `${full / rows > 6 ? 4 : full / rows > 3 ? 1 : 0}px`);
        if (part.kind === "ffn") strip.style.height = `${Math.max(18, Math.min(deep ? 24 : 44, rows * 5))}px`;
      }
    }
    this.wire();
  }

  /** Words as large and as far apart as the width allows; past that they shrink, then both rows scroll together. */
  arrangeHero(width) {
    const { hero } = this;
    const rows = [...hero.querySelectorAll(".words")];
    hero.style.setProperty("--size", "20px");
    const sums = rows.map((row) => [...row.querySelectorAll(".chip")].reduce((sum, node) => sum + node.offsetWidth + 10, 0));
    const inset = width >= ROOMY && Math.max(...sums) <= width - 380;
    const room = width - (inset ? 380 : 16);
    const size = Math.max(13, Math.min(20, (20 * room) / Math.max(...sums)));
    const space = Math.max(room, (Math.max(...sums) * size) / 20 / 0.94); // rows that scroll still end together
    hero.classList.toggle("inset", inset);
    hero.style.setProperty("--size", `${size}px`);
    const longest = Math.max(...sums);
    this.height = width >= ROOMY ? 136 : 112;
    rows.forEach((row, k) => {
      const count = row.querySelectorAll(".chip").length;
      // A short row stays in sight, and its ribbons follow, while a much longer one scrolls beside it.
      const stays = space > room && sums[k] < 0.6 * longest && (sums[k] * size) / 20 < room;
      const air = ((stays ? room : space) * 0.94 - (sums[k] * size) / 20) / Math.max(1, count - 1);
      row.classList.toggle("stays", stays);
      row.style.width = stays ? `${this.scroll.clientWidth}px` : "";
      row.style.gap = `${size / 2 + Math.max(0, Math.min(width >= ROOMY ? 64 : 30, air))}px`;
    });
    if (hero.querySelector(".target")) this.drawRibbons(this.height);
    this.fade();
  }

  slide() {
    this.fade();
    if (this.stage.querySelector(".stays") && this.hero.querySelector(".target")) this.drawRibbons(this.height);
  }

  /** A row that goes on past the edge fades there. */
  fade() {
    const { scrollLeft, scrollWidth, clientWidth } = this.scroll;
    this.scroll.style.setProperty("--from", scrollLeft > 1 ? "36px" : "0px");
    this.scroll.style.setProperty("--to", scrollLeft + clientWidth < scrollWidth - 1 ? "36px" : "0px");
  }

  wire() {
    const { wires, model } = this;
    const frame = model.getBoundingClientRect();
    const rect = (node) => {
      const box = node.getBoundingClientRect();
      const [left, top] = [box.left - frame.left, box.top - frame.top];
      const [right, bottom] = [left + box.width, top + box.height];
      return { left, top, right, bottom, x: (left + right) / 2, y: (top + bottom) / 2 };
    };
    wires.replaceChildren();
    wires.setAttribute("width", frame.width);
    wires.setAttribute("height", frame.height);
    const line = (d, name) => svg("path", wires, { d, class: name || "wire" });
    const tip = (x, y, dx, dy) => {
      const [bx, by, sx, sy] = [x - 5 * dx, y - 5 * dy, 3.5 * dy, 3.5 * dx];
      line(`M${bx - sx} ${by - sy}L${x} ${y}L${bx + sx} ${by + sy}`);
    };
    const up = (x, from, to) => {
      line(`M${x} ${from}V${to + 1}`);
      tip(x, to + 0.5, 0, -1);
    };
    for (const { cards, inputs, next } of this.stacks) {
      const boxes = cards.map(({ card }) => rect(card));
      const x = boxes[0].x;
      up(x, rect(inputs.firstChild).top - 5, boxes[0].bottom + 2);
      for (let i = 1; i < boxes.length; i++) up(x, boxes[i - 1].top, boxes[i].bottom + 2);
      if (next) up(x, boxes.at(-1).top, rect(next).bottom + 4);
      for (const [c, { parts }] of cards.entries()) {
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
    const [encoder, decoder] = this.stacks;
    if (!decoder) return;
    const from = rect(encoder.cards.at(-1).card);
    const crossing = ({ part }) => part.kind === "attention" && isCross(part);
    const targets = decoder.cards.flatMap(({ parts }) => parts.filter(crossing));
    if (!targets.length) return;
    const side = rect(decoder.cards[0].card).left;
    const stacked = this.root.dataset.layout === "stacked";
    const trunk = stacked ? side - 9 : (from.right + side) / 2;
    const start = stacked ? from.top + 16 : from.top - 16;
    const heights = targets.map(({ node }) => rect(node.querySelector(".body")).y);
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
    if (this.memory) {
      Object.assign(this.memory.style, {
        left: `${from.x + 10}px`,
        width: `${Math.max(60, (stacked ? from.right : trunk) - from.x - 16)}px`,
        bottom: `${frame.height - (stacked ? from.top - 6 : start) + 3}px`,
      });
    }
  }
}

export default function (component) {
  const { parentElement } = component;
  const view = (parentElement.headlightOverview ??= new Overview(parentElement));
  view.update(component);
  return () => {
    view.destroy();
    if (parentElement.headlightOverview === view) delete parentElement.headlightOverview;
  };
}
