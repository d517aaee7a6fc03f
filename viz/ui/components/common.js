// What every canvas view shares. This text is placed before each component's own script (a Blob module has no relative
// imports); PALETTE is placed before this by viz/ui/components/__init__.py from viz/palette.py.

/** Bytes from viz/payload.py -> header with `arrays: {name: {data: TypedArray, shape}}`. */
function unpack(bytes) {
  const own = bytes.slice(); // the view starts at an odd offset; typed arrays need an aligned copy
  const size = new DataView(own.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(own.subarray(4, 4 + size)));
  const kinds = { u1: Uint8Array, i4: Int32Array, f4: Float32Array };
  for (const entry of Object.values(header.arrays)) {
    const count = entry.shape.reduce((a, b) => a * b, 1);
    entry.data = new kinds[entry.dtype](own.buffer, 4 + size + entry.offset, count);
  }
  return header;
}

function rgbTable(text) {
  const table = new Uint8ClampedArray(text.length / 2);
  for (let i = 0; i < table.length; i++) table[i] = parseInt(text.substr(2 * i, 2), 16);
  return table;
}
const TABLES = { light: {}, dark: {} };
for (const mode of ["light", "dark"])
  for (const scale of ["sequential", "diverging"]) TABLES[mode][scale] = rgbTable(PALETTE[mode][scale]);

/** The theme as Streamlit set it: its CSS variables are inherited into the shadow root. */
function readTheme(root) {
  const host = root.host || root;
  const style = getComputedStyle(host);
  const value = (name, fallback) => style.getPropertyValue(name).trim() || fallback;
  const background = value("--st-background-color", "#ffffff");
  const probe = /^#?([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})/i.exec(background);
  const light = probe ? parseInt(probe[1], 16) + parseInt(probe[2], 16) + parseInt(probe[3], 16) > 382 : true;
  const mode = light ? "light" : "dark";
  return {
    mode,
    background,
    text: value("--st-text-color", light ? "#1b1c26" : "#e8e6e1"),
    faint: light ? "#6b6d7a" : "#9a9ba6",
    line: light ? "#dcdce4" : "#30333f",
    accent: value("--st-primary-color", light ? "#3a3a9f" : "#f2b04c"),
    font: value("--st-font", "system-ui, sans-serif"),
    mono: "ui-monospace, 'SF Mono', 'Source Code Pro', Menlo, Consolas, 'Noto Sans Mono CJK SC', 'Noto Sans CJK SC', monospace",
    sequential: TABLES[mode].sequential,
    diverging: TABLES[mode].diverging,
    heads: PALETTE.heads,
  };
}

/** Index of a value in a colour table of `count` entries; `low`..`high` is the scale that the legend states. */
function shade(value, low, high, count) {
  const t = high > low ? (value - low) / (high - low) : 0;
  return Math.max(0, Math.min(count - 1, Math.round(t * (count - 1))));
}
function colourOf(theme, scale, value) {
  const table = theme[scale.kind];
  const i = 3 * shade(value, scale.low, scale.high, table.length / 3);
  return `rgb(${table[i]},${table[i + 1]},${table[i + 2]})`;
}
/** Black or white, whichever is readable on the cell's colour. */
function inkOn(theme, scale, value) {
  const table = theme[scale.kind];
  const i = 3 * shade(value, scale.low, scale.high, table.length / 3);
  return 0.299 * table[i] + 0.587 * table[i + 1] + 0.114 * table[i + 2] > 140 ? "#15161e" : "#ffffff";
}

/** Three significant digits, true minus sign; tabular figures come from the CSS. */
function number(value) {
  if (value === Infinity) return "∞";
  if (value === -Infinity) return "−∞";
  if (Number.isNaN(value)) return "NaN";
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text;
  if (size >= 1e5 || size < 1e-3) {
    const [digits, power] = value.toExponential(1).split("e");
    text = `${digits}·10${[...String(+power)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[+c] ?? "⁻").join("")}`;
  } else if (Number.isInteger(value)) text = String(value);
  else text = size >= 100 ? value.toFixed(0) : value.toPrecision(3);
  return text.replace("-", "−");
}

/** A token chip: {text, kind} where kind is "word", "special" or "space". Text only, never markup. */
function chip(token, title) {
  const element = document.createElement("span");
  element.className = `chip ${token.kind || "word"}`;
  element.textContent = token.text;
  if (title) element.title = title;
  return element;
}

/** Hover and selection are shared by every component on the page without asking Python.
 *  detail: {side: "encoder"|"decoder", index: number|null} for hover. */
const BUS = "headlight:hover";
function announceHover(side, index, source) {
  window.dispatchEvent(new CustomEvent(BUS, { detail: { side, index, source } }));
}
function listenHover(callback) {
  const listener = (event) => callback(event.detail);
  window.addEventListener(BUS, listener);
  return () => window.removeEventListener(BUS, listener);
}

/** Canvas sized in CSS pixels and drawn in device pixels. */
function fitCanvas(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** Fine diagonal hatching: "masked", never a colour of the scale. */
function hatch(context, x, y, width, height, colour) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 0.75;
  context.beginPath();
  for (let d = -height; d < width; d += 4) {
    context.moveTo(x + d, y + height);
    context.lineTo(x + d + height, y);
  }
  context.stroke();
  context.restore();
}

const reducedMotion = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
const STATE = { plain: 0, masked: 1, nan: 2, clipped: 3 };
