// The weights of a head as the pictures of the overview read and paint them.

import { paintPixels } from "../shared/canvas.js";

export const percent = (weight) => `${Math.round(100 * weight)}%`;
export const isCross = (part) => part.site.endsWith(".cross");
/** What one stored step is worth: weights of large models come as bytes. */
export const unitOf = (array) => (array.data instanceof Uint8Array ? 1 / 255 : 1);

const PALE = 0.5; // where three heads of four stay below it, 0 to 1 would show little
/** Where the colours of all heads end: at 1, or where these heads' weights suggest; `beyond`: some weight is larger than that. */
export function endOf(arrays) {
  const largest = arrays.map((array) => array.data.reduce((a, b) => (b > a ? b : a), 0) * unitOf(array)).sort((a, b) => a - b);
  const most = largest[Math.floor(0.75 * largest.length)] ?? 1;
  const power = 10 ** Math.floor(Math.log10(most)), digits = [1, 2, 5, 10].find((digit) => digit * power >= most * (1 - 1e-6));
  const end = most > 0 && most < PALE ? +(digits * power).toPrecision(1) : 1;
  return { end, beyond: largest.at(-1) > end * (1 + 1e-6) };
}

export function paintWeights(canvas, array, theme, high, state) {
  const [rows, columns] = array.shape;
  if (rows && columns) paintPixels(canvas, array.data, array.shape, theme.sequential, { low: 0, high, unit: unitOf(array) }, state?.data);
}
