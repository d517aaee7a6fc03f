// One matrix of weights or scores: tokens on both axes, colour for the value, hover and selection without asking Python.
// The picture of the cells is cached as one bitmap; a hover only copies that bitmap and draws labels and hairlines over it.

const LARGEST = 72; // px: a cell of a tiny matrix grows no further
const TEXT_FROM = 34; // px: cells at least this wide carry their number
const LABEL_PITCH = 11; // px: labels closer than this collide, so they are thinned out
const TITLE = 18; // px: the line of the column title
const MORPH = 300; // ms
const RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]/;

/** The shortest decimal that reads back as the same float32. */
function exact(value) {
  if (!Number.isFinite(value)) return number(value);
  for (let digits = 1; digits < 10; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(+text) === value) return String(+text).replace("-", "−");
  }
  return String(value);
}

/** A scale's end without trailing zeros: 0.5 and not 0.500. */
const brief = (value) => (exact(value).length > 6 ? number(value) : exact(value));

/** The text cut to a width, by whole graphemes so that emoji and accents stay whole. */
function clipText(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const parts = Array.from(new Intl.Segmenter().segment(text.slice(0, 120)), (part) => part.segment);
  let keep = parts.length;
  const cut = () => parts.slice(0, keep).join("") + "…";
  while (keep > 1 && context.measureText(cut()).width > width) keep -= 1;
  return cut();
}

function add(parent, tag, className) {
  const element = parent.appendChild(document.createElement(tag));
  if (className) element.className = className;
  return element;
}

function create(shadow, send) {
  const root = add(shadow, "div", "headlight matrix");
  const readout = add(root, "div", "readout");
  const canvas = add(root, "canvas");
  const foot = add(root, "div", "foot");
  const live = add(root, "div", "spoken");
  live.setAttribute("aria-live", "polite");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application"); // a grid role promises row elements that a canvas lacks
  const screen = canvas.getContext("2d");
  const base = document.createElement("canvas"), stencil = document.createElement("canvas");
  const source = {}; // names this instance on the hover bus
  const view = { zoom: 1, x: 0, y: 0 }; // x, y: first column and row in sight, in cells
  const hover = { row: null, column: null }, foreign = { row: null, column: null };
  let header, theme, values, states, n = 0, m = 0, width = 0, layout, picture, morph = null, selection = null;
  let received = "", sent = [], sentAt = 0, timer = 0, frame = 0;
  let stale = true, fresh = false, drawn = 0, press = null, armed = false;

  const stateAt = (i) => {
    const state = states ? states[i] : STATE.plain;
    return state !== STATE.masked && Number.isNaN(values[i]) ? STATE.nan : state;
  };
  const cellWidth = () => layout.cw * view.zoom;
  const cellHeight = () => layout.ch * view.zoom;
  const left = (column) => layout.left + (column - view.x) * cellWidth();
  const top = (row) => layout.top + (row - view.y) * cellHeight();
  const font = (size, bold) => `${bold ? "600 " : ""}${size}px ${theme.mono}`;

  // ---- layout ------------------------------------------------------------------------------------------------------
  function arrange() {
    screen.font = font(12);
    const longest = Math.min(14 * screen.measureText("0").width, width * 0.27);
    const cut = (token) => clipText(screen, token.text, longest);
    const rows = header.rows.map(cut), columns = header.columns.map(cut);
    const widest = (labels) => labels.reduce((most, text) => Math.max(most, screen.measureText(text).width), 0);
    const across = widest(columns), along = widest(rows), tall = header.max_height || 620;
    screen.font = `11px ${theme.font}`;
    const gutter = Math.ceil(Math.max(along, screen.measureText(`${header.row_title} ↓`).width)) + 10;
    // Level labels where they fit, else on a slant, else upright: the first that does not collide.
    for (const way of ["level", "slant", "upright"]) {
      const head = Math.ceil(TITLE + { level: 20, slant: across * 0.71 + 14, upright: across + 10 }[way]);
      const overhang = way === "slant" ? Math.max(0, across * 0.71 - 4) : 0;
      const roomX = (width - gutter - overhang - 2) / m, roomY = Math.max(60, tall - head - 2) / n;
      const square = Math.min(roomX, roomY, LARGEST);
      const whole = (size) => (size >= 6 ? Math.floor(size) : size); // whole pixels keep the cells' edges sharp
      // A very long or very wide matrix gives up the square before its thin side becomes unreadable.
      const cw = whole(n > 2 * m ? Math.max(square, Math.min(24, roomX)) : square);
      const ch = whole(m > 2 * n ? Math.max(square, Math.min(24, roomY)) : square);
      layout = { way, left: gutter, top: head, cw, ch, width: cw * m, height: ch * n, rows, columns, across };
      if ((way === "level" && across + 10 <= cw) || (way === "slant" && cw >= 17)) break;
    }
    layout.farthest = Math.max(1, 64 / Math.min(layout.cw, layout.ch));
    layout.total = Math.ceil(layout.top + layout.height + 2);
    fitCanvas(canvas, width, layout.total);
    clampView();
  }
  function clampView() {
    view.zoom = Math.max(1, Math.min(layout.farthest, view.zoom));
    view.x = Math.max(0, Math.min(m - m / view.zoom, view.x));
    view.y = Math.max(0, Math.min(n - n / view.zoom, view.y));
    canvas.style.touchAction = view.zoom > 1 ? "none" : "pan-y";
    stale = true;
  }

  // ---- the picture: one pixel a cell (or a block of cells where they are smaller than a pixel) ---------------------
  function develop(block) {
    const high = Math.ceil(n / block), wide = Math.ceil(m / block);
    const table = theme[header.scale.kind], last = table.length / 3 - 1, { low, high: top } = header.scale;
    const zero = header.scale.kind === "diverging" ? last / 2 : 0, factor = top > low ? last / (top - low) : 0;
    const colours = new ImageData(wide, high), masks = new ImageData(wide, high);
    const page = 3 * zero, grey = theme.mode === "light" ? 110 : 150;
    for (let y = 0, p = 0; y < high; y++)
      for (let x = 0; x < wide; x++, p += 4) {
        let value = 0, state = STATE.masked, most = -1;
        const yEnd = Math.min(n, (y + 1) * block), xEnd = Math.min(m, (x + 1) * block);
        // In a block the strongest cell speaks for all: an average would wash single bright weights out.
        for (let row = y * block; row < yEnd; row++)
          for (let i = row * m + x * block, end = row * m + xEnd; i < end; i++) {
            const kind = states ? states[i] : 0, raw = values[i];
            if (kind === STATE.masked) continue;
            if (kind === STATE.nan || raw !== raw) { state = STATE.nan; most = Infinity; continue; }
            const strength = Math.abs(raw);
            if (strength > most) { most = strength; value = raw; state = kind; }
          }
        let from = page, alpha = 0;
        if (state === STATE.nan) {
          colours.data[p] = colours.data[p + 1] = colours.data[p + 2] = grey;
          colours.data[p + 3] = 70;
          continue;
        }
        if (state === STATE.masked) masks.data[p + 3] = 255;
        else {
          const index = Math.max(0, Math.min(last, Math.round((value - low) * factor)));
          from = 3 * index;
          alpha = index === zero ? 0 : 255; // zero is the page itself, whatever its colour
        }
        colours.data[p] = table[from];
        colours.data[p + 1] = table[from + 1];
        colours.data[p + 2] = table[from + 2];
        colours.data[p + 3] = alpha;
      }
    const sheet = (image) => {
      const paper = document.createElement("canvas");
      paper.width = wide;
      paper.height = high;
      paper.getContext("2d").putImageData(image, 0, 0);
      return paper;
    };
    return { block, colours, sheet: sheet(colours), masks: picture_has(STATE.masked) ? sheet(masks) : null };
  }
  const picture_has = (kind) => header.present.includes(kind);

  function paintBase() {
    const ratio = window.devicePixelRatio || 1, { width: w, height: h } = layout;
    const pixels = Math.min(cellWidth(), cellHeight()) * ratio, block = pixels >= 1 ? 1 : Math.ceil(1 / pixels);
    if (!picture || picture.block !== block) picture = develop(block);
    foot.classList.toggle("coarse", block > 1);
    const g = fitCanvas(base, w, h);
    const stretch = (context, sheet) => {
      context.imageSmoothingEnabled = false;
      context.drawImage(sheet, view.x / block, view.y / block, m / view.zoom / block, n / view.zoom / block, 0, 0, w, h);
    };
    let sheet = picture.sheet;
    if (morph) {
      const t = Math.min(1, (performance.now() - morph.start) / MORPH), ease = t * t * (3 - 2 * t);
      const mix = new ImageData(m, n), a = morph.from, b = picture.colours.data;
      for (let i = 0; i < b.length; i++) mix.data[i] = a[i] + (b[i] - a[i]) * ease;
      morph.sheet.getContext("2d").putImageData(mix, 0, 0);
      if (t < 1) sheet = morph.sheet;
      else morph = null;
    }
    stretch(g, sheet);
    if (picture.masks) {
      const s = fitCanvas(stencil, w, h);
      // Hatching repeats every 4 px, so a tile of it fills the plot many times faster than its lines would.
      const tile = document.createElement("canvas");
      hatch(fitCanvas(tile, 64, 64), 0, 0, 64, 64, theme.mode === "light" ? "#b9bac6" : "#4a4d5b");
      s.save();
      s.setTransform(1, 0, 0, 1, 0, 0);
      s.fillStyle = s.createPattern(tile, "repeat");
      s.fillRect(0, 0, stencil.width, stencil.height);
      s.restore();
      s.globalCompositeOperation = "destination-in";
      stretch(s, picture.masks);
      g.drawImage(stencil, 0, 0, w, h);
    }
    paintCells(g);
  }
  /** What single cells carry besides colour: numbers, crosses for NaN, notches for clipped values. */
  function paintCells(g) {
    const cw = cellWidth(), ch = cellHeight(), text = cw >= TEXT_FROM && ch >= 15;
    if (!text && (Math.min(cw, ch) < 6 || !(picture_has(STATE.nan) || picture_has(STATE.clipped)))) return;
    const most = Math.max(Math.abs(header.scale.low), Math.abs(header.scale.high)) || 1;
    const decimals = Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(most)) + (cw >= 52 && most <= 1 ? 1 : 0)));
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.font = font(cw >= 44 ? 12 : 11);
    for (let row = Math.floor(view.y); row < Math.min(n, view.y + n / view.zoom); row++)
      for (let column = Math.floor(view.x); column < Math.min(m, view.x + m / view.zoom); column++) {
        const i = row * m + column, state = stateAt(i), x = left(column) - layout.left, y = top(row) - layout.top;
        if (state === STATE.nan) cross(g, x + cw / 2, y + ch / 2, Math.min(5, Math.min(cw, ch) * 0.28));
        else if (state !== STATE.masked) {
          const ink = inkOn(theme, header.scale, values[i]);
          if (state === STATE.clipped) notch(g, x + cw, y, Math.min(9, cw * 0.3), ink);
          if (!text) continue;
          const shown = Number.isFinite(values[i]) ? values[i].toFixed(decimals) : number(values[i]);
          const nil = +shown === 0, label = nil ? shown.replace("-", "") : shown.replace("-", "−");
          const half = g.measureText(label).width / 2, centre = x + cw / 2;
          if (half > cw / 2 - 2 || centre < half || centre + half > layout.width) continue;
          g.fillStyle = nil ? theme.faint : ink;
          g.fillText(label, x + cw / 2, y + ch / 2 + 0.5);
        }
      }
  }
  function cross(g, x, y, size) {
    g.strokeStyle = theme.text;
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(x - size, y - size), g.lineTo(x + size, y + size), g.moveTo(x - size, y + size), g.lineTo(x + size, y - size);
    g.stroke();
  }
  function notch(g, right, y, size, colour) {
    g.fillStyle = colour;
    g.beginPath();
    g.moveTo(right - size, y), g.lineTo(right, y), g.lineTo(right, y + size);
    g.fill();
  }

  // ---- a frame -----------------------------------------------------------------------------------------------------
  function schedule() {
    if (!frame) frame = requestAnimationFrame(draw);
  }
  function draw() {
    frame = 0;
    if (!layout || !width || !n || !m) return;
    if (stale || morph) paintBase();
    stale = false;
    screen.clearRect(0, 0, width, layout.total);
    screen.drawImage(base, layout.left, layout.top, layout.width, layout.height);
    // The keyboard's focus ring is the frame itself: a ring around the canvas would enclose the labels and empty space.
    const ring = canvas.matches(":focus-visible");
    screen.strokeStyle = ring ? theme.accent : theme.line;
    screen.lineWidth = ring ? 2 : 1;
    const gap = ring ? 1 : 0.5;
    screen.strokeRect(layout.left - gap, layout.top - gap, layout.width + 2 * gap, layout.height + 2 * gap);
    screen.save();
    screen.beginPath();
    screen.rect(layout.left - 2, layout.top - 2, layout.width + 4, layout.height + 4);
    screen.clip();
    const soft = theme.mode === "light" ? "rgba(27,28,38,0.55)" : "rgba(232,230,225,0.6)";
    if (selection) band(selection.row, selection.column, theme.accent);
    band(foreign.row, foreign.column, soft);
    band(hover.row, hover.column, soft);
    if (selection) outline(selection);
    screen.restore();
    drawLabels(true);
    drawLabels(false);
    screen.font = `11px ${theme.font}`;
    screen.fillStyle = theme.faint;
    screen.direction = "inherit";
    screen.textBaseline = "alphabetic";
    screen.textAlign = "left";
    screen.fillText(`${header.column_title} →`, layout.left, 11);
    screen.textAlign = "right";
    screen.fillText(`${header.row_title} ↓`, layout.left - 8, layout.top - 7);
    if (morph) schedule();
    else if (fresh) {
      fresh = false;
      canvas.dataset.drawn = String((drawn += 1));
      window.performance.mark("headlight-matrix-drawn");
    }
  }
  /** Hairlines on both edges of a row and of a column: they frame the numbers instead of striking them out. */
  function band(row, column, colour) {
    screen.strokeStyle = colour;
    screen.lineWidth = 1;
    screen.beginPath();
    for (const edge of row === null ? [] : [top(row), top(row + 1)]) {
      screen.moveTo(layout.left, Math.round(edge) - 0.5), screen.lineTo(layout.left + layout.width, Math.round(edge) - 0.5);
    }
    for (const edge of column === null ? [] : [left(column), left(column + 1)]) {
      screen.moveTo(Math.round(edge) - 0.5, layout.top), screen.lineTo(Math.round(edge) - 0.5, layout.top + layout.height);
    }
    screen.stroke();
  }
  function outline({ row, column }) {
    const x = left(column), y = top(row), w = cellWidth(), h = cellHeight();
    // The inner ring of page colour keeps the accent visible on a cell of nearly the same colour.
    if (Math.min(w, h) >= 8) {
      screen.strokeStyle = theme.background;
      screen.lineWidth = 1;
      screen.strokeRect(x + 1, y + 1, w - 3, h - 3);
    }
    screen.strokeStyle = theme.accent;
    screen.lineWidth = 2;
    screen.strokeRect(x - 0.5, y - 0.5, w, h);
  }
  function drawLabels(isRow) {
    const tokens = isRow ? header.rows : header.columns, labels = isRow ? layout.rows : layout.columns;
    const axis = isRow ? "row" : "column", pitch = isRow ? cellHeight() : cellWidth();
    const step = Math.ceil((LABEL_PITCH - 0.01) / pitch);
    const first = isRow ? view.y : view.x, count = (isRow ? n : m) / view.zoom, chosen = selection ? selection[axis] : null;
    const strong = [hover[axis], foreign[axis], chosen].filter((index) => index !== null);
    const way = layout.across + 10 <= cellWidth() ? "level" : layout.way === "slant" ? "slant" : "upright";
    for (let i = Math.floor(first); i < Math.min(tokens.length, first + count); i++) {
      const middle = isRow ? top(i + 0.5) : left(i + 0.5), bold = strong.includes(i);
      const start = isRow ? layout.top : layout.left, end = start + (isRow ? layout.height : layout.width);
      if (middle < start || middle > end || (!bold && i % step)) continue;
      if (!bold && step > 1 && strong.some((other) => Math.abs(other - i) * pitch < LABEL_PITCH)) continue;
      screen.save();
      screen.font = font(12, bold);
      screen.fillStyle = i === chosen ? theme.accent : tokens[i].kind === "word" || bold ? theme.text : theme.faint;
      screen.direction = RTL.test(tokens[i].text) ? "rtl" : "ltr";
      screen.textBaseline = "middle";
      if (isRow) screen.translate(layout.left - 8, middle + 0.5);
      else screen.translate(middle, layout.top - (way === "level" ? 12 : 7));
      screen.textAlign = isRow ? "right" : way === "level" ? "center" : "left";
      if (!isRow && way !== "level") screen.rotate(way === "slant" ? -Math.PI / 4 : -Math.PI / 2);
      screen.fillText(labels[i], 0, 0);
      screen.restore();
    }
  }

  // ---- words around the picture ------------------------------------------------------------------------------------
  function tell() {
    const { row, column } = hover.row === null && hover.column === null ? selection || hover : hover, parts = [];
    const say = (text, className) => {
      const span = document.createElement("span");
      span.className = className;
      span.textContent = text;
      parts.push(span);
    };
    if (row !== null) parts.push(chip(header.rows[row], header.rows[row].text));
    if (row !== null && column !== null) say("←", "faint");
    if (column !== null) parts.push(chip(header.columns[column], header.columns[column].text));
    if (row !== null && column !== null) {
      const value = values[row * m + column], state = stateAt(row * m + column);
      if (state === STATE.masked || state === STATE.nan) say(header.words[state === STATE.nan ? "nan" : "masked"], "faint");
      else {
        say(number(value), "value");
        if (exact(value) !== number(value)) say(exact(value), "faint exact");
        if (state === STATE.clipped) say(header.words.clipped, "faint exact");
      }
    }
    say(header.words.help, parts.length ? "faint help quiet" : "faint help");
    parts.at(-1).title = header.words.help;
    readout.replaceChildren(...parts);
  }
  function fillFoot() {
    const { scale, words } = header, table = theme[scale.kind], stops = [];
    for (let i = 0; i <= 16; i++) {
      const at = 3 * Math.round((i / 16) * (table.length / 3 - 1));
      stops.push(`rgb(${table[at]},${table[at + 1]},${table[at + 2]})`);
    }
    foot.replaceChildren();
    const key = add(foot, "span", "key");
    add(key, "span", "end").textContent = brief(scale.low);
    add(key, "span", "bar").style.background = `linear-gradient(90deg, ${stops.join(",")})`;
    add(key, "span", "end").textContent = brief(scale.high);
    add(foot, "span", "name").textContent = words.legend;
    for (const [kind, word] of [[STATE.masked, "masked"], [STATE.nan, "nan"], [STATE.clipped, "clipped"]]) {
      if (!picture_has(kind)) continue;
      const item = add(foot, "span", "key"), g = fitCanvas(add(item, "canvas", "swatch"), 14, 14);
      if (kind === STATE.masked) hatch(g, 0, 0, 14, 14, theme.faint);
      else if (kind === STATE.nan) cross(g, 7, 7, 4);
      else notch(g, 13, 1, 7, theme.text);
      g.strokeStyle = theme.line;
      g.lineWidth = 1;
      g.strokeRect(0.5, 0.5, 13, 13);
      add(item, "span").textContent = words[word];
    }
    if (words.pooled) add(foot, "span", "pooled").textContent = words.pooled;
  }

  // ---- hover, selection, zoom --------------------------------------------------------------------------------------
  function locate(event) {
    const box = canvas.getBoundingClientRect(), y = event.clientY - box.top, above = y < layout.top;
    // Over slanted column labels the pointer follows the slant down to the column.
    const x = event.clientX - box.left - (above && layout.way === "slant" && view.zoom === 1 ? layout.top - y : 0);
    const inside = x >= layout.left && x < layout.left + layout.width;
    const beside = y >= layout.top && y < layout.top + layout.height;
    const column = inside ? Math.min(m - 1, Math.floor(view.x + (x - layout.left) / cellWidth())) : null;
    const row = beside ? Math.min(n - 1, Math.floor(view.y + (y - layout.top) / cellHeight())) : null;
    if (x >= layout.left + layout.width || y >= layout.top + layout.height) return { x, y, row: null, column: null };
    return { x, y, row, column };
  }
  function setHover(row, column) {
    if (row === hover.row && column === hover.column) return;
    const before = { ...hover };
    Object.assign(hover, { row, column });
    if (row !== before.row) announceHover(header.row_side, row, source);
    if (column !== before.column) announceHover(header.column_side, column, source);
    tell();
    schedule();
  }
  function select(row, column, delay) {
    selection = { row, column };
    canvas.dataset.row = row;
    canvas.dataset.column = column;
    clearTimeout(timer);
    const deliver = () => {
      timer = 0;
      sent.push(JSON.stringify({ row, column }));
      sentAt = performance.now();
      send("select", { row, column });
    };
    if (delay) timer = setTimeout(deliver, delay);
    else deliver();
    tell();
    fillFoot();
    schedule();
  }
  function speak() {
    const { row, column } = selection, i = row * m + column, state = stateAt(i), { words } = header;
    const kinds = { [STATE.masked]: words.masked, [STATE.nan]: words.nan };
    const what = kinds[state] ?? `${words.value} ${number(values[i])}`;
    const names = `${header.row_title} ${header.rows[row].text}, ${header.column_title} ${header.columns[column].text}`;
    live.textContent = `${names}: ${what}, ${words.selected}`;
  }
  function zoomBy(factor, x = layout.left + layout.width / 2, y = layout.top + layout.height / 2) {
    const column = view.x + (x - layout.left) / cellWidth(), row = view.y + (y - layout.top) / cellHeight();
    view.zoom = Math.max(1, Math.min(layout.farthest, view.zoom * factor));
    view.x = column - (x - layout.left) / cellWidth();
    view.y = row - (y - layout.top) / cellHeight();
    clampView();
    schedule();
  }
  function reveal({ row, column }) {
    const wide = m / view.zoom, high = n / view.zoom;
    view.x = Math.max(column + 1 - wide, Math.min(column, view.x));
    view.y = Math.max(row + 1 - high, Math.min(row, view.y));
    clampView();
  }

  const on = {
    pointermove(event) {
      if (press && view.zoom > 1 && Math.hypot(event.clientX - press.x, event.clientY - press.y) > 4) press.moved = true;
      if (press?.moved) {
        view.x = press.viewX - (event.clientX - press.x) / cellWidth();
        view.y = press.viewY - (event.clientY - press.y) / cellHeight();
        clampView();
        schedule();
        return;
      }
      const { row, column } = locate(event);
      canvas.style.cursor = row !== null && column !== null ? "crosshair" : "default";
      setHover(row, column);
    },
    pointerdown(event) {
      if (event.button) return;
      armed = true;
      press = { x: event.clientX, y: event.clientY, viewX: view.x, viewY: view.y, moved: false };
      canvas.setPointerCapture(event.pointerId);
    },
    pointerup(event) {
      const { row, column } = locate(event), click = press && !press.moved;
      press = null;
      if (click && row !== null && column !== null) select(row, column, 0);
    },
    pointercancel: () => void (press = null),
    pointerleave() {
      armed = false;
      setHover(null, null);
    },
    dblclick: () => zoomBy(0),
    focus: schedule,
    blur: schedule,
    wheel(event) {
      // A click arms the wheel until the pointer leaves, so that the page scrolls on when one only passes over.
      const pinch = event.ctrlKey || event.metaKey, focused = shadow.activeElement === canvas;
      const wanted = pinch || (focused && (armed || canvas.matches(":focus-visible")));
      const { x, y } = locate(event), out = event.deltaY > 0;
      if (!wanted || (!pinch && out && view.zoom === 1) || (!pinch && !out && view.zoom >= layout.farthest)) return;
      event.preventDefault();
      zoomBy(Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) * (pinch ? 0.01 : 0.004)), x, y);
    },
    keydown(event) {
      if (event.altKey || event.metaKey) return;
      const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      const limit = (value, count) => Math.max(0, Math.min(count - 1, value));
      if (steps[event.key] || event.key === "Home" || event.key === "End") {
        let { row, column } = selection || { row: 0, column: 0 };
        if (selection && steps[event.key]) [row, column] = [row + steps[event.key][0], column + steps[event.key][1]];
        if (event.key === "Home") column = 0;
        if (event.key === "End") column = m - 1;
        if (!steps[event.key] && event.ctrlKey) row = event.key === "Home" ? 0 : n - 1;
        setHover(null, null);
        select(limit(row, n), limit(column, m), 150);
        reveal(selection);
        speak();
      } else if (event.key === "+" || event.key === "=") zoomBy(1.5);
      else if (event.key === "-") zoomBy(1 / 1.5);
      else if (event.key === "0") zoomBy(0);
      else if (event.key === "Escape") setHover(null, null);
      else return;
      if (event.key !== "Escape" && !(event.ctrlKey && !/^(Arrow|Home|End)/.test(event.key))) event.preventDefault();
    },
  };
  for (const [name, handler] of Object.entries(on)) canvas.addEventListener(name, handler, { passive: false });
  const unlisten = listenHover(({ side, index, source: from }) => {
    if (from === source || !header) return;
    const known = (count) => (index !== null && index < count ? index : null);
    if (side === header.row_side) foreign.row = known(n);
    if (side === header.column_side) foreign.column = known(m);
    schedule();
  });
  const observer = new ResizeObserver(() => {
    const now = Math.floor(root.clientWidth);
    if (!header || !now || now === width) return;
    width = now;
    arrange();
    schedule();
  });
  observer.observe(root);
  // A web font that arrives late has other widths than the fallback the labels were measured with.
  const remeasure = () => {
    if (!header || !width) return;
    arrange();
    schedule();
  };
  document.fonts.addEventListener("loadingdone", remeasure);
  root.__cell = (row, column) => {
    const box = canvas.getBoundingClientRect();
    return { x: box.left + left(column + 0.5), y: box.top + top(row + 0.5) };
  };

  return {
    update(bytes) {
      const before = { n, m, theme, block: picture?.block, pixels: picture?.colours.data };
      header = unpack(bytes);
      theme = readTheme(shadow);
      values = header.arrays.values.data;
      states = header.arrays.state?.data;
      [n, m] = header.arrays.values.shape;
      header.present = [...new Set(states || [])];
      if (!header.present.includes(STATE.nan) && values.some(Number.isNaN)) header.present.push(STATE.nan);
      const same = n === before.n && m === before.m, incoming = JSON.stringify(header.selection ?? null);
      if (!same) Object.assign(view, { zoom: 1, x: 0, y: 0 }), setHover(null, null);
      Object.assign(foreign, { row: null, column: null });
      // An answer to an earlier click must not undo a later one that is still under way.
      const late = sent.includes(incoming) && performance.now() - sentAt < 3000 && incoming !== JSON.stringify(selection);
      if (incoming !== received && !timer && !late) {
        selection = header.selection ?? null;
        sent = [];
      }
      received = incoming;
      if (selection && (selection.row >= n || selection.column >= m)) selection = header.selection ?? null;
      canvas.dataset.row = selection ? selection.row : "";
      canvas.dataset.column = selection ? selection.column : "";
      canvas.setAttribute("aria-label", header.words.alt || "");
      canvas.setAttribute("aria-description", header.words.help || "");
      width = Math.floor(root.clientWidth);
      picture = morph = null;
      stale = fresh = true;
      if (width) arrange();
      const alike = same && before.block === 1 && before.theme.mode === theme.mode;
      if (width && alike && n * m && n * m <= 16384 && !reducedMotion()) {
        picture = develop(1);
        const sheet = Object.assign(document.createElement("canvas"), { width: m, height: n });
        const changed = picture.colours.data.some((channel, i) => channel !== before.pixels[i]);
        if (changed) morph = { from: before.pixels, start: performance.now(), sheet };
      }
      fillFoot();
      tell();
      schedule();
    },
    destroy() {
      if (!root.isConnected && !frame && !timer && !root.__cell) return;
      if (header) setHover(null, null);
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      observer.disconnect();
      document.fonts.removeEventListener("loadingdone", remeasure);
      unlisten();
      root.remove();
      delete root.__cell;
    },
    set send(next) {
      send = next;
    },
  };
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let instance = parentElement.__matrix;
  if (!instance) instance = parentElement.__matrix = create(parentElement, setTriggerValue);
  instance.send = setTriggerValue;
  if (data) instance.update(data);
  return () => {
    if (parentElement.__matrix === instance) delete parentElement.__matrix;
    instance.destroy();
  };
}
