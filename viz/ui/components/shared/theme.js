// The page's theme, and the colours of the two scales and of the heads: viz/base/palette.py has them, the server hands them on.

import { clamp } from "./numbers.js";
import { PALETTE } from "./palette.js";

function rgbTable(text) {
  const table = new Uint8ClampedArray(text.length / 2);
  for (let i = 0; i < table.length; i++) table[i] = parseInt(text.substr(2 * i, 2), 16);
  return table;
}
const TABLES = { light: {}, dark: {} };
for (const mode of ["light", "dark"])
  for (const scale of ["sequential", "diverging"]) TABLES[mode][scale] = rgbTable(PALETTE[mode][scale]);

/** The theme as Streamlit set it: its CSS variables are inherited into the shadow root. */
export function readTheme(root) {
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
    mono: "'Source Code', 'Source Code Pro', ui-monospace, 'SF Mono', Menlo, Consolas, 'Noto Sans Mono CJK SC', 'Noto Sans CJK SC', monospace",
    sequential: TABLES[mode].sequential,
    diverging: TABLES[mode].diverging,
    heads: PALETTE.heads,
  };
}

/** Index of a value in a colour table of `count` entries; `low`..`high` is the scale that the legend states. */
export function shade(value, low, high, count) {
  const t = high > low ? (value - low) / (high - low) : 0;
  return clamp(Math.round(t * (count - 1)), 0, count - 1);
}
/** For each colour of a table white or black, whichever has more contrast on it: at least 4.58 : 1 (WCAG 2.2, 1.4.3 asks for
 *  4.5), where white and a dark grey, or a mere threshold, have 3 to 4.3 in the middle of the scale. */
export function inks(table) {
  const light = (channel) => (channel <= 10 ? channel / 3294 : ((channel / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = (i) => 0.2126 * light(table[i]) + 0.7152 * light(table[i + 1]) + 0.0722 * light(table[i + 2]);
  return Array.from({ length: table.length / 3 }, (_, i) => {
    const here = luminance(3 * i) + 0.05;
    return 1.05 / here > here / 0.05 ? "#ffffff" : "#000000";
  });
}
/** The ink of a value on its colour. */
export function inkOn(theme, scale, value) {
  const table = theme[scale.kind];
  theme.inks ??= {};
  theme.inks[scale.kind] ??= inks(table);
  return theme.inks[scale.kind][shade(value, scale.low, scale.high, table.length / 3)];
}
/** A legend's bar: the whole colour table as a CSS gradient of so many stops. */
export function ramp(table, count = 9) {
  const stops = Array.from({ length: count }, (_, k) => 3 * Math.round((k / (count - 1)) * (table.length / 3 - 1)));
  return `linear-gradient(90deg, ${stops.map((i) => `rgb(${[...table.slice(i, i + 3)]})`).join(",")})`;
}
