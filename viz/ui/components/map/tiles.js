// Tiles and profiles of one head: fetched when they come into view, coloured once, the least used ones let go.

export const TILE = 256; // cells a side; viz/ui/tile_server.py sends at most so many
export const MASKED_BYTE = 255;
const TOP_BYTE = 254;
const MOST_TILES = 320, MOST_PROFILES = 64, AT_ONCE = 4;

export class Tiles {
  constructor(drawn) {
    this.drawn = drawn; // called when something new can be drawn
    this.pictures = new Map(); // key -> {canvas, rows, columns, bytes}, the least used first
    this.profiles = new Map();
    this.waiting = new Map(); // key -> what to do with the bytes; the last one goes first
    this.running = new Map();
    this.failed = "";
  }

  /** Another run, head or pooling: what is on its way is not wanted any more; pictures stay under their own keys. */
  point({ base, head, how, theme }) {
    if (this.mode !== theme.mode) this.pictures.clear();
    Object.assign(this, { base, head, how, theme, mode: theme.mode, failed: "" });
    this.waiting.clear();
    for (const controller of this.running.values()) controller.abort();
    this.running.clear();
  }

  key(level, row, column, head = this.head) {
    return `${this.base}/${head}/tile/${level ? this.how : "max"}/${level}/${row}/${column}`;
  }
  /** A picture that is here, or null. */
  find(level, row, column) {
    const key = this.key(level, row, column), found = this.pictures.get(key);
    if (found) this.pictures.delete(key), this.pictures.set(key, found);
    return found ?? null;
  }
  /** Ask for a tile of so many cells; the newest wishes are fetched first. */
  ask(level, row, column, rows, columns) {
    const key = this.key(level, row, column);
    if (this.pictures.has(key)) return;
    this.want(key, (bytes) => {
      this.pictures.set(key, colour(bytes, rows, columns, this.theme));
      if (this.pictures.size > MOST_TILES) this.pictures.delete(this.pictures.keys().next().value);
    });
  }
  /** A row or column as float32, or null while it is on its way. */
  profile(side, index) {
    const key = `${this.base}/${this.head}/${side}/${index}`, found = this.profiles.get(key);
    if (found) return found;
    this.want(key, (bytes) => {
      this.profiles.set(key, new Float32Array(bytes.buffer));
      if (this.profiles.size > MOST_PROFILES) this.profiles.delete(this.profiles.keys().next().value);
    });
    return null;
  }
  /** What nobody looks at any more is not fetched. */
  keep(keys) {
    for (const key of [...this.waiting.keys()]) if (key.includes("/tile/") && !keys.has(key)) this.waiting.delete(key);
  }

  want(key, take) {
    if (this.running.has(key)) return;
    this.waiting.delete(key);
    // Profiles come after what is looked at first: the picture.
    if (key.includes("/tile/")) this.waiting.set(key, take);
    else this.waiting = new Map([[key, take], ...this.waiting]);
    queueMicrotask(() => this.next());
  }
  next() {
    while (this.running.size < AT_ONCE && this.waiting.size) {
      const [key, take] = [...this.waiting].at(-1);
      this.waiting.delete(key);
      this.fetch(key, take);
    }
  }
  async fetch(key, take) {
    const controller = new AbortController();
    this.running.set(key, controller);
    try {
      const answer = await fetch(new URL(key, document.baseURI), { signal: controller.signal });
      if (!answer.ok) throw new Error(await answer.text());
      take(new Uint8Array(await answer.arrayBuffer()));
      this.failed = "";
    } catch (error) {
      if (error.name === "AbortError") return;
      this.failed = String(error.message || error);
    } finally {
      if (this.running.get(key) === controller) this.running.delete(key);
    }
    this.drawn();
    this.next();
  }
  get busy() {
    return this.running.size + this.waiting.size > 0;
  }
}

/** Bytes -> a canvas with one pixel a cell; masked cells stay transparent, so that the hatching behind them shows. */
function colour(bytes, rows, columns, theme) {
  const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
  const table = theme.sequential, last = table.length / 3 - 1, out = image.data;
  for (let i = 0, p = 0; i < bytes.length; i++, p += 4) {
    if (bytes[i] === MASKED_BYTE) continue;
    const from = 3 * Math.round((bytes[i] / TOP_BYTE) * last);
    out[p] = table[from];
    out[p + 1] = table[from + 1];
    out[p + 2] = table[from + 2];
    out[p + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return { canvas, rows, columns, bytes };
}
