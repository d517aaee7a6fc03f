// The bytes that a figure is drawn from.

/** What a cell is, as viz/base/cell_states.py numbers it. */
export const STATE = { plain: 0, masked: 1, nan: 2, clipped: 3 };

/** Bytes from viz/base/payload.py -> header with `arrays: {name: {data: TypedArray, shape}}`. */
export function unpack(bytes) {
  const own = bytes.slice(); // the view starts at an odd offset; typed arrays need an aligned copy
  const size = new DataView(own.buffer).getUint32(0, true);
  const text = new TextDecoder().decode(own.subarray(4, 4 + size));
  // JSON has no NaN and no infinity; what a model computed may be either.
  const header = text.includes('"$number"') ? JSON.parse(text, (_, value) => (value?.$number ? Number(value.$number) : value)) : JSON.parse(text);
  const kinds = { u1: Uint8Array, i4: Int32Array, f4: Float32Array };
  for (const entry of Object.values(header.arrays)) {
    const count = entry.shape.reduce((a, b) => a * b, 1);
    entry.data = new kinds[entry.dtype](own.buffer, 4 + size + entry.offset, count);
  }
  return header;
}
