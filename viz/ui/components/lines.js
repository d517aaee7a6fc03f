// The head view: queries on the left, keys on the right, one curve a pair and head; width and opacity are the weight.
// Curves are grouped into a few paths a head and cached as one bitmap: a hover fades the bitmap and draws only its own lines.

const TALLEST = 640; // px: what is higher scrolls inside
const WIDEST = 960; // px: longer curves are harder to follow
const STEPS = 16; // opacities and widths that a head's curves are grouped into
const MOST = 9000; // curves: beyond this the eye sees a blot and a redraw takes longer than a glance
const A_FRAME = 700; // curves painted into the cache in one frame, one head at least
const LARGE = 16e6; // device pixels of the cached bitmap
const FADED = 0.06;
const DASHES = [[], [7, 4], [2, 3]]; // the ninth head reuses the first colour, so its lines are dashed

function add(parent, tag, className) {
  const element = parent.appendChild(document.createElement(tag));
  if (className) element.className = className;
  return element;
}
/** A value that the user changes here and Python answers: an old answer never undoes a newer change. */
function shared(deliver) {
  let received, sent = [], timer = 0, when = 0;
  return {
    value: null,
    set(value, delay) {
      this.value = value;
      clearTimeout(timer);
      timer = setTimeout(() => {
        timer = 0;
        sent.push(JSON.stringify(value));
        when = performance.now();
        deliver(value);
      }, delay);
    },
    answer(value) {
      const text = JSON.stringify(value), news = text !== received;
      const late = sent.includes(text) && performance.now() - when < 3000;
      received = text;
      if (!news || timer || (late && text !== JSON.stringify(this.value))) return;
      this.value = value;
      sent = [];
    },
    stop: () => clearTimeout(timer),
  };
}

function create(shadow, first) {
  let send = first;
  const root = add(shadow, "div", "headlight lines");
  const pills = add(root, "div", "pills"), titles = add(root, "div", "titles"), stage = add(root, "div", "stage");
  const field = add(stage, "div", "field"), canvas = add(field, "canvas"), foot = add(root, "div", "foot");
  const columns = { left: add(field, "div", "column left"), right: add(field, "div", "column right") };
  const named = { left: add(titles, "span", "left"), right: add(titles, "span", "right") };
  const note = { legend: add(foot, "span"), hidden: add(foot, "span"), hint: add(foot, "span", "hint") };
  const source = {}; // names this instance on the hover bus
  const paper = () => ({ canvas: document.createElement("canvas"), ratio: 0 });
  let sheet = paper(), next = paper();
  const selection = shared((value) => send("select", value)), shown = shared((value) => send("heads", value));
  const foreign = { left: null, right: null };
  canvas.setAttribute("aria-hidden", "true"); // the tokens are real elements; the curves are described by the group's label
  stage.setAttribute("role", "group");
  let header, theme, weights, states, n = 0, m = 0, layout;
  let paths = new Map(), drawnLines = [], hidden = 0, floor = 0, queue = null;
  let hover = null, chips = { left: [], right: [] }, tokensOf = "", frame = 0, stale = true, fresh = false, drawn = 0;

  const at = (head, row, column) => weights[(head * n + row) * m + column];
  const masked = (row, column) => states && states[row * m + column] === STATE.masked;
  const colour = (head) => theme.heads[header.heads[head].index % theme.heads.length];
  const dash = (head) => DASHES[Math.min(2, Math.floor(header.heads[head].index / theme.heads.length))];
  const visible = () => header.heads.map((_, head) => head).filter((head) => shown.value.includes(header.heads[head].index));
  const current = () => Math.max(0, header.heads.findIndex((head) => head.index === header.current_head));
  /** The head whose weights are written as numbers: the current one, or the first shown. */
  const lead = () => (visible().includes(current()) ? current() : visible()[0]);
  const middle = (index) => (index + 0.5) * layout.pitch;

  // ---- layout ------------------------------------------------------------------------------------------------------
  function arrange() {
    const width = Math.min(WIDEST, stage.clientWidth), count = Math.max(n, m);
    if (!width) return;
    const pitch = Math.max(14, Math.min(count > 12 ? 24 : 30, Math.floor(TALLEST / count))), tight = pitch < 20;
    const context = canvas.getContext("2d");
    context.font = `${tight ? 11 : 13}px ${theme.mono}`;
    const measure = ({ text }) => context.measureText(text.slice(0, 60)).width;
    const widest = (tokens) => tokens.reduce((most, token) => Math.max(most, measure(token)), 0);
    const zone = width >= 560 ? 92 : 38; // beside each column, for the weights of an isolated token
    const room = width * (width >= 560 ? 0.24 : 0.25);
    const side = (tokens) => Math.ceil(Math.min(room, widest(tokens) + 18));
    const left = side(header.left), right = side(header.right);
    layout = { width, pitch, zone, left, right, from: zone + left + 5, to: width - zone - right - 5, total: count * pitch + 4 };
    layout.height = Math.min(TALLEST, layout.total);
    field.style.height = `${layout.total}px`;
    field.style.width = `${width}px`;
    stage.style.height = `${layout.height}px`;
    root.classList.toggle("tight", tight);
    for (const [name, element] of Object.entries(columns)) {
      element.style.gridAutoRows = `${pitch}px`;
      element.style.width = `${layout[name]}px`;
      element.style.left = `${name === "left" ? zone : width - zone - right}px`;
    }
    named.left.style.right = `calc(100% - ${zone + left}px)`;
    named.right.style.left = `${width - zone - right}px`;
    named.left.textContent = header.left_title;
    named.right.textContent = header.right_title;
    fitCanvas(canvas, width, layout.height);
    paths.clear();
    stale = true;
  }
  function fillTokens() {
    const key = JSON.stringify([header.left, header.right]);
    if (key === tokensOf) return;
    tokensOf = key;
    for (const side of ["left", "right"]) {
      columns[side].setAttribute("role", "listbox");
      chips[side] = header[side].map((token, index) => {
        const element = chip(token, token.text);
        element.dir = "auto";
        element.dataset.side = side;
        element.dataset.index = index;
        element.setAttribute("role", "option");
        return element;
      });
      columns[side].replaceChildren(...chips[side]);
    }
  }
  function markTokens() {
    const chosen = { left: selection.value?.row, right: selection.value?.column };
    for (const side of ["left", "right"]) {
      const focus = chips[side].indexOf(shadow.activeElement), entry = focus >= 0 ? focus : (chosen[side] ?? 0);
      chips[side].forEach((element, index) => {
        const over = hover && hover[side] === index;
        element.classList.toggle("selected", chosen[side] === index);
        element.classList.toggle("hover", Boolean(over) || foreign[side] === index);
        element.setAttribute("aria-selected", chosen[side] === index);
        element.tabIndex = index === entry ? 0 : -1;
      });
    }
    root.dataset.row = chosen.left ?? "";
    root.dataset.column = chosen.right ?? "";
  }

  // ---- curves ------------------------------------------------------------------------------------------------------
  const thickness = (weight) => Math.max(0.5, (layout.pitch < 20 ? 4.5 : 6) * weight);
  const opacity = (weight) => Math.max(0.05, 0.9 * weight); // of the weight alone: never shared out among the heads
  /** Heads that agree on a pair run side by side instead of hiding each other. */
  function lane(head) {
    const heads = visible(), gap = Math.min(7, (layout.pitch - 6) / heads.length);
    return heads.includes(head) ? (heads.indexOf(head) - (heads.length - 1) / 2) * gap : 0;
  }
  function trace(path, row, column, offset = 0) {
    const half = (layout.from + layout.to) / 2, y = middle(row) + offset, z = middle(column) + offset;
    path.moveTo(layout.from, y);
    path.bezierCurveTo(half, y, half, z, layout.to, z);
  }
  /** The threshold in force: the header's, or what leaves the heaviest MOST curves. The foot line states it. */
  function threshold(heads) {
    const bins = new Uint32Array(1001);
    for (const head of heads)
      for (let i = head * n * m, end = i + n * m; i < end; i++)
        if (weights[i] >= header.threshold) bins[Math.min(1000, Math.floor(weights[i] * 1000))] += 1;
    let bin = 1000, count = 0;
    while (bin > 0 && count + bins[bin] <= MOST) count += bins[bin--];
    return Math.max(header.threshold, bin > 0 ? (bin + 1) / 1000 : 0);
  }
  /** A head's curves as a few paths, one a step of opacity; built once a layout and threshold. */
  function pathsOf(head) {
    if (paths.has(head)) return paths.get(head);
    const steps = Array.from({ length: STEPS }, () => null), kept = [];
    let below = 0;
    for (let row = 0; row < n; row++)
      for (let column = 0; column < m; column++) {
        const weight = at(head, row, column);
        if (masked(row, column)) continue;
        if (!(weight >= floor)) {
          below += 1;
          continue;
        }
        const step = Math.min(STEPS - 1, Math.floor(weight * STEPS));
        steps[step] ??= { path: new Path2D(), sum: 0, count: 0 };
        steps[step].sum += weight;
        steps[step].count += 1;
        trace(steps[step].path, row, column);
        kept.push(head, row, column);
      }
    const built = { steps: steps.filter(Boolean), kept, below };
    paths.set(head, built);
    return built;
  }
  /** The cached bitmap is painted a few heads a frame on a second canvas and swapped in when complete: hover stays quick. */
  function beginSheet() {
    const heads = visible(), before = floor;
    floor = threshold(heads);
    if (floor !== before) paths.clear();
    // The whole height at once, so that scrolling only copies; very tall ones give up some sharpness instead of memory.
    next.ratio = Math.min(window.devicePixelRatio || 1, Math.sqrt(LARGE / (layout.width * layout.total)));
    next.canvas.width = Math.round(layout.width * next.ratio);
    next.canvas.height = Math.round(layout.total * next.ratio);
    next.canvas.getContext("2d").scale(next.ratio, next.ratio);
    queue = { heads, hidden: 0, lines: [] };
  }
  function continueSheet() {
    const g = next.canvas.getContext("2d");
    for (let budget = A_FRAME; queue.heads.length && budget > 0; ) {
      const head = queue.heads.shift(), { steps, kept, below } = pathsOf(head), offset = lane(head);
      budget -= kept.length / 3;
      queue.hidden += below;
      queue.lines.push(kept);
      g.strokeStyle = colour(head);
      g.setLineDash(dash(head));
      g.translate(0, offset);
      for (const { path, sum, count } of steps) {
        g.globalAlpha = opacity(sum / count);
        g.lineWidth = thickness(sum / count);
        g.stroke(path);
      }
      g.translate(0, -offset);
    }
    if (queue.heads.length) return;
    [sheet, next] = [next, sheet];
    ({ hidden, lines: drawnLines } = queue);
    queue = null;
    root.dataset.lines = drawnLines.reduce((total, kept) => total + kept.length / 3, 0);
  }
  function strokeLine(g, head, row, column, weight) {
    g.strokeStyle = colour(head);
    g.setLineDash(dash(head));
    g.globalAlpha = Math.max(opacity(weight), 0.25); // an isolated line stays in sight
    g.lineWidth = thickness(weight);
    g.beginPath();
    trace(g, row, column, lane(head));
    g.stroke();
  }
  function draw() {
    frame = 0;
    if (!layout) return;
    if (stale) beginSheet();
    stale = false;
    if (queue) continueSheet();
    const g = canvas.getContext("2d"), ratio = window.devicePixelRatio || 1, scroll = stage.scrollTop, heads = visible();
    const pick = isolated();
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, layout.width, layout.height);
    g.globalAlpha = pick ? FADED : 1;
    const { ratio: r } = sheet, { width, height } = layout;
    if (r) g.drawImage(sheet.canvas, 0, scroll * r, width * r, height * r, 0, 0, width, height);
    g.translate(0, -scroll);
    if (selection.value) halo(g, selection.value);
    if (pick)
      for (const head of heads)
        for (const [row, column] of pairs(pick)) {
          const weight = at(head, row, column);
          if (weight >= header.threshold && !masked(row, column)) strokeLine(g, head, row, column, weight);
        }
    g.globalAlpha = 1;
    g.setLineDash([]);
    if (pick && heads.length) writeWeights(g, pick, heads);
    if (queue) schedule();
    else if (fresh) {
      fresh = false;
      root.dataset.drawn = String((drawn += 1));
      window.performance.mark("headlight-lines-drawn");
    }
    tell(pick);
  }
  function halo(g, { row, column }) {
    const head = lead() ?? current(), weight = at(head, row, column) || 0;
    g.setLineDash([]);
    // Glow, edge, then page under the line itself, so that the accent never mixes with the head's colour.
    const size = thickness(weight), fine = size < 1.5;
    for (const [extra, tint, alpha] of [[8, theme.accent, 0.2], [fine ? 1 : 3, theme.accent, 1], [0, theme.background, fine ? 0 : 1]]) {
      g.strokeStyle = tint;
      g.globalAlpha = alpha;
      g.lineWidth = size + extra;
      g.beginPath();
      trace(g, row, column, lane(head));
      g.stroke();
    }
    if (!fine) strokeLine(g, head, row, column, weight);
  }
  /** What is isolated: own hover first, then a query hovered elsewhere on the page (where its side is unambiguous). */
  function isolated() {
    if (hover) return hover;
    if (foreign.left !== null && header.left_side !== header.right_side) return { left: foreign.left, right: null };
    return null;
  }
  function pairs({ left, right }) {
    if (left !== null && right !== null) return [[left, right]];
    return left !== null ? header.right.map((_, column) => [left, column]) : header.left.map((_, row) => [row, right]);
  }
  /** Beside the other column: a short bar for each shown head and the leading head's weight as a number. */
  function writeWeights(g, pick, heads) {
    const outward = pick.left !== null, sign = outward ? 1 : -1, wide = layout.zone > 60;
    const start = outward ? layout.width - layout.zone + 8 : layout.zone - 8, main = lead();
    const each = Math.max(1, Math.min(4, (layout.pitch - 6) / heads.length));
    g.font = `${layout.pitch < 20 ? 10 : 11}px ${theme.mono}`;
    g.textBaseline = "middle";
    g.textAlign = outward ? "left" : "right";
    for (const [row, column] of pairs(pick)) {
      if (masked(row, column)) continue;
      const y = middle(outward ? column : row);
      if (wide)
        heads.forEach((head, i) => {
          const length = 36 * Math.min(1, at(head, row, column) || 0);
          g.fillStyle = colour(head);
          g.fillRect(sign > 0 ? start : start - length, y + (i - heads.length / 2) * each, length, Math.max(0.75, each - 0.5));
        });
      const weight = at(main, row, column);
      if (!(weight >= header.threshold)) continue;
      g.fillStyle = theme.text;
      g.fillText(weight.toFixed(wide ? 3 : 2), start + sign * (wide ? 43 : 0), y + 0.5);
    }
  }
  function tell(pick) {
    const { words } = header, main = lead();
    note.legend.textContent = words.legend;
    note.hidden.textContent = hidden
      ? words.hidden.replace("{n}", hidden.toLocaleString()).replace("{t}", String(+floor.toPrecision(3)))
      : "";
    note.hint.textContent = pick && main !== undefined ? words.share.replace("{head}", header.heads[main].name) : words.help;
  }
  function schedule() {
    if (!frame) frame = requestAnimationFrame(draw);
  }

  // ---- heads -------------------------------------------------------------------------------------------------------
  function fillPills() {
    const every = header.heads.map((head) => head.index), all = every.every((index) => shown.value.includes(index));
    if (pills.childElementCount !== every.length + 1) {
      pills.replaceChildren();
      every.forEach((_, head) => {
        const pill = add(pills, "button", "pill");
        pill.type = "button";
        add(pill, "i");
        add(pill, "span");
        pill.addEventListener("click", (event) => toggle(head, event.shiftKey || event.altKey));
        pill.addEventListener("dblclick", () => toggle(head, true));
      });
      const whole = add(pills, "button", "whole");
      whole.type = "button";
      whole.addEventListener("click", () => {
        const now = header.heads.map((head) => head.index);
        setShown(now.every((index) => shown.value.includes(index)) ? [] : now);
      });
    }
    header.heads.forEach((head, i) => {
      const pill = pills.children[i], pressed = shown.value.includes(head.index);
      pill.lastChild.textContent = head.name;
      pill.firstChild.style.borderTopColor = colour(i);
      pill.firstChild.style.borderTopStyle = ["solid", "dashed", "dotted"][DASHES.indexOf(dash(i))];
      pill.setAttribute("aria-pressed", pressed);
      pill.classList.toggle("current", head.index === header.current_head);
    });
    pills.lastChild.textContent = all ? header.words.none : header.words.all;
  }
  function toggle(head, alone) {
    const { index } = header.heads[head], now = shown.value, only = now.length === 1 && now[0] === index;
    if (alone) setShown(only ? header.heads.map((each) => each.index) : [index]);
    else setShown(now.includes(index) ? now.filter((each) => each !== index) : [...now, index].sort((a, b) => a - b));
  }
  function setShown(list) {
    shown.set(list, 400);
    stale = true;
    fillPills();
    schedule();
  }

  // ---- hover and selection -----------------------------------------------------------------------------------------
  function setHover(next) {
    if (next?.left === hover?.left && next?.right === hover?.right) return;
    for (const side of ["left", "right"]) {
      const index = next?.[side] ?? null;
      if (index !== (hover?.[side] ?? null)) announceHover(header[`${side}_side`], index, source);
    }
    hover = next;
    markTokens();
    schedule();
  }
  function strongest(side, index) {
    const head = current();
    let best = 0, most = -1;
    for (let other = 0; other < (side === "left" ? m : n); other++) {
      const [row, column] = side === "left" ? [index, other] : [other, index], weight = at(head, row, column);
      if (!masked(row, column) && weight > most) [best, most] = [other, weight];
    }
    return best;
  }
  function select(row, column) {
    selection.set({ row, column }, 0);
    markTokens();
    schedule();
  }
  function press(side, index) {
    if (side === "left") select(index, strongest("left", index));
    else select(selection.value ? selection.value.row : strongest("right", index), index);
  }
  const tokenAt = (event) => {
    const element = event.target.closest?.(".chip");
    return element ? { side: element.dataset.side, index: +element.dataset.index } : null;
  };
  const only = ({ side, index }) => ({ left: side === "left" ? index : null, right: side === "right" ? index : null });
  /** The drawn curve under the pointer: the heaviest within 4 px. */
  function lineAt(event) {
    const box = field.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const share = (x - layout.from) / (layout.to - layout.from);
    if (!(share > 0.02 && share < 0.98)) return null;
    let low = 0, high = 1; // x(t) = 1.5t − 1.5t² + t³ rises steadily, so halving finds t
    for (let i = 0; i < 20; i++) {
      const t = (low + high) / 2;
      if (1.5 * t - 1.5 * t * t + t * t * t < share) low = t;
      else high = t;
    }
    const rise = low * low * (3 - 2 * low);
    let best = null, most = 0;
    for (const kept of drawnLines) {
      const offset = kept.length ? lane(kept[0]) : 0;
      for (let i = 0; i < kept.length; i += 3) {
        const row = kept[i + 1], column = kept[i + 2], from = middle(row), weight = at(kept[i], row, column);
        if (weight > most && Math.abs(from + (middle(column) - from) * rise + offset - y) < 4) {
          most = weight;
          best = { left: row, right: column };
        }
      }
    }
    return best;
  }
  const on = {
    pointermove(event) {
      const token = tokenAt(event), line = token ? null : lineAt(event);
      stage.style.cursor = line ? "pointer" : "default";
      setHover(token ? only(token) : line);
    },
    pointerleave: () => setHover(null),
    click(event) {
      const token = tokenAt(event), line = token ? null : lineAt(event);
      if (token) press(token.side, token.index);
      else if (line) select(line.left, line.right);
    },
    focusin: (event) => tokenAt(event) && event.target.matches(":focus-visible") && setHover(only(tokenAt(event))),
    focusout: () => setHover(null),
    scroll: schedule,
    keydown(event) {
      const token = tokenAt(event);
      if (!token || event.ctrlKey || event.metaKey || event.altKey) return;
      const { side, index } = token, last = chips[side].length - 1, other = side === "left" ? "right" : "left";
      const steps = { ArrowUp: index - 1, ArrowDown: index + 1, Home: 0, End: last };
      if (event.key in steps) chips[side][Math.max(0, Math.min(last, steps[event.key]))].focus();
      else if (event.key === (side === "left" ? "ArrowRight" : "ArrowLeft")) chips[other][strongest(side, index)].focus();
      else if (event.key === "Enter" || event.key === " ") press(side, index);
      else if (event.key === "Escape") setHover(null);
      else if (!/^Arrow/.test(event.key)) return;
      event.preventDefault();
      markTokens();
    },
  };
  for (const [name, handler] of Object.entries(on)) stage.addEventListener(name, handler);
  const unlisten = listenHover(({ side, index, source: from }) => {
    if (from === source || !header) return;
    for (const [name, count] of [["left", n], ["right", m]])
      if (side === header[`${name}_side`]) foreign[name] = index !== null && index < count ? index : null;
    markTokens();
    schedule();
  });
  const observer = new ResizeObserver(() => {
    if (!header || !stage.clientWidth || layout?.width === Math.min(WIDEST, stage.clientWidth)) return;
    arrange();
    schedule();
  });
  observer.observe(root);
  // A web font that arrives late has other widths than the fallback the tokens were measured with.
  const remeasure = () => {
    if (!header) return;
    arrange();
    schedule();
  };
  document.fonts.addEventListener("loadingdone", remeasure);

  return {
    set send(next) {
      send = next;
    },
    update(bytes) {
      header = unpack(bytes);
      theme = readTheme(shadow);
      weights = header.arrays.weights.data;
      states = header.arrays.state?.data;
      [n, m] = header.arrays.weights.shape.slice(1);
      shown.answer(header.shown ?? []);
      selection.answer(header.selection ?? null);
      const { row, column } = selection.value ?? { row: 0, column: 0 };
      if (row >= n || column >= m) selection.value = header.selection ?? null;
      Object.assign(foreign, { left: null, right: null });
      if (hover && (hover.left >= n || hover.right >= m)) hover = null;
      stage.setAttribute("aria-label", header.words.alt || "");
      columns.left.setAttribute("aria-label", header.left_title);
      columns.right.setAttribute("aria-label", header.right_title);
      fillTokens();
      markTokens();
      fillPills();
      arrange();
      fresh = true;
      schedule();
    },
    destroy() {
      if (header) setHover(null);
      cancelAnimationFrame(frame);
      selection.stop();
      shown.stop();
      observer.disconnect();
      document.fonts.removeEventListener("loadingdone", remeasure);
      unlisten();
      root.remove();
    },
  };
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const instance = (parentElement.__lines ??= create(parentElement, setTriggerValue));
  instance.send = setTriggerValue;
  if (data) instance.update(data);
  return () => {
    if (parentElement.__lines === instance) delete parentElement.__lines;
    instance.destroy();
  };
}
