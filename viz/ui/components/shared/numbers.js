// Numbers and texts as they are written, and the few numbers that motion needs.

export const SMALL = 1e-3; // below it, three digits are written with a power of ten
export const MORPH = 300; // ms in which a picture becomes the next one
export const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
/** 0 to 1 with a gentle start and end. */
export const smooth = (t) => t * t * (3 - 2 * t);
export const reducedMotion = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A power of ten as it is set above the line: "-4" is ⁻⁴. */
const raised = (power) => [...String(+power)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[+c] ?? "⁻").join("");
// As viz/base/numbers.py: the last bits of a sum in float32 do not decide between "1" and "1.00".
const WHOLE = 16 * 2 ** -24;
/** Three significant digits, true minus sign; tabular figures come from the CSS. */
export function number(value) {
  if (value === Infinity) return "∞";
  if (value === -Infinity) return "−∞";
  if (Number.isNaN(value)) return "NaN";
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text;
  if (size >= 1e5 || size < SMALL) {
    const [digits, power] = value.toExponential(1).split("e");
    text = `${digits}·10${raised(power)}`;
  } else if (Math.abs(value - Math.round(value)) <= WHOLE * size) text = String(Math.round(value));
  else text = size >= 100 ? value.toFixed(0) : value.toPrecision(3);
  return text.replace("-", "−");
}
/** So many decimals, as viz/base/numbers.py: for numbers that stand beside others of their size; what is 0 in them has no sign. */
export function decimals(value, count) {
  if (!Number.isFinite(value)) return number(value);
  const text = value.toFixed(count);
  return +text === 0 ? text.replace("-", "") : text.replace("-", "−");
}
/** The shortest decimal that reads back as the same float32; below `least` in size it is written as a power of ten. */
export function exact(value, least = 1e-6) {
  if (!Number.isFinite(value)) return number(value);
  let digits = 1;
  while (digits < 9 && Math.fround(+value.toPrecision(digits)) !== value) digits += 1; // nine are always enough
  const shortest = +value.toPrecision(digits);
  if (!value || Math.abs(value) >= least) return String(shortest).replace("-", "−");
  const [mantissa, power] = shortest.toExponential().split("e");
  return `${mantissa}·10${raised(power)}`.replace("-", "−");
}
/** A sentence from the header with its {names} filled in. */
export const fill = (template, values) => (template || "").replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
/** At most `count` characters, the last an ellipsis if any is missing. */
export const cut = (text, count) => ([...text].length > count ? [...text].slice(0, count - 1).join("") + "…" : text);
