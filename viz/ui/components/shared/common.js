// What every canvas view shares: the bytes from Python, the theme and its colours, numbers and texts. This text and the
// other shared ones are placed before each component's own parts (a Blob module has no relative imports); PALETTE is placed
// before this by viz/ui/components/__init__.py from viz/base/palette.py.

const STATE = { plain: 0, masked: 1, nan: 2, clipped: 3 };
const MORPH = 300; // ms in which a picture becomes the next one

/** Bytes from viz/base/payload.py -> header with `arrays: {name: {data: TypedArray, shape}}`. */
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

// ---- theme and colours ---------------------------------------------------------------------------------------------
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
  return clamp(Math.round(t * (count - 1)), 0, count - 1);
}
/** For each colour of a table white or black, whichever has more contrast on it: at least 4.58 : 1 (WCAG 2.2, 1.4.3 asks for
 *  4.5), where white and a dark grey, or a mere threshold, have 3 to 4.3 in the middle of the scale. */
function inks(table) {
  const light = (channel) => (channel <= 10 ? channel / 3294 : ((channel / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = (i) => 0.2126 * light(table[i]) + 0.7152 * light(table[i + 1]) + 0.0722 * light(table[i + 2]);
  return Array.from({ length: table.length / 3 }, (_, i) => {
    const here = luminance(3 * i) + 0.05;
    return 1.05 / here > here / 0.05 ? "#ffffff" : "#000000";
  });
}
/** The ink of a value on its colour. */
function inkOn(theme, scale, value) {
  const table = theme[scale.kind];
  theme.inks ??= {};
  theme.inks[scale.kind] ??= inks(table);
  return theme.inks[scale.kind][shade(value, scale.low, scale.high, table.length / 3)];
}
/** A legend's bar: the whole colour table as a CSS gradient of so many stops. */
function ramp(table, count = 9) {
  const stops = Array.from({ length: count }, (_, k) => 3 * Math.round((k / (count - 1)) * (table.length / 3 - 1)));
  return `linear-gradient(90deg, ${stops.map((i) => `rgb(${[...table.slice(i, i + 3)]})`).join(",")})`;
}

// ---- numbers and texts ---------------------------------------------------------------------------------------------
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
/** 0 to 1 with a gentle start and end. */
const smooth = (t) => t * t * (3 - 2 * t);
const reducedMotion = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

// As viz/base/numbers.py: the last bits of a sum in float32 do not decide between "1" and "1.00".
const WHOLE = 16 * 2 ** -24;
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
  } else if (Math.abs(value - Math.round(value)) <= WHOLE * size) text = String(Math.round(value));
  else text = size >= 100 ? value.toFixed(0) : value.toPrecision(3);
  return text.replace("-", "−");
}
/** A sentence from the header with its {names} filled in. */
const fill = (template, values) => (template || "").replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
/** At most `count` characters, the last an ellipsis if any is missing. */
const cut = (text, count) => ([...text].length > count ? [...text].slice(0, count - 1).join("") + "…" : text);
