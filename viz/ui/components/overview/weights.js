// The weights of a head as the pictures of the overview read and paint them.

import { paintPixels } from "../shared/canvas.js";

export const percent = (weight) => `${Math.round(100 * weight)}%`;
export const isCross = (part) => part.site.endsWith(".cross");
/** What one stored step is worth: weights of large models come as bytes. */
export const unitOf = (array) => (array.data instanceof Uint8Array ? 1 / 255 : 1);

export function paintWeights(canvas, array, theme, high, state) {
  const [rows, columns] = array.shape;
  if (rows && columns) paintPixels(canvas, array.data, array.shape, theme.sequential, { low: 0, high, unit: unitOf(array) }, state?.data);
}
