// Where each cell of the matrix is: the plot's place beside its labels, the size of a cell, and the part that is zoomed in on.

import { clipText } from "../shared/canvas.js";
import { clamp } from "../shared/numbers.js";

const LARGEST = 72; // px: a cell of a tiny matrix grows no further
const NARROWEST = 14; // px: what a cell keeps when long labels of rows take of its width
const TITLE = 18; // px: the line of the column title

export class Grid {
  n = 0; // rows
  m = 0; // columns
  zoom = 1;
  x = 0; // first column and row in sight, in cells
  y = 0;

  get cellWidth() {
    return this.cw * this.zoom;
  }
  get cellHeight() {
    return this.ch * this.zoom;
  }
  /** Left edge of a column and top edge of a row, in px of the canvas. */
  leftOf(column) {
    return this.left + (column - this.x) * this.cellWidth;
  }
  topOf(row) {
    return this.top + (row - this.y) * this.cellHeight;
  }
  /** The inverse: places between the edges are fractions. */
  columnAt(x) {
    return this.x + (x - this.left) / this.cellWidth;
  }
  rowAt(y) {
    return this.y + (y - this.top) / this.cellHeight;
  }

  resize(n, m) {
    Object.assign(this, { n, m, zoom: 1, x: 0, y: 0 });
  }

  /** Lays plot and labels out in a width; `context` measures the labels. */
  arrange(context, header, theme, available) {
    const n = header.room?.n ?? this.n, m = header.room?.m ?? this.m;
    context.font = `12px ${theme.mono}`;
    const labels = (tokens, most, share) => {
      const longest = Math.min(most * context.measureText("0").width, share);
      return tokens.map((token) => clipText(context, token.text, longest));
    };
    // A row may name two tokens, the one read and the one written: where cells stay large enough to tell apart, both are whole.
    const beside = clamp(available - NARROWEST * m, available * 0.27, available * 0.5);
    const ofRows = (tokens) => labels(tokens, 22, beside), ofColumns = (tokens) => labels(tokens, 14, available * 0.38);
    const rows = ofRows(header.rows), columns = ofColumns(header.columns), { room } = header;
    const widest = (texts) => texts.reduce((most, text) => Math.max(most, context.measureText(text).width), 0);
    // Matrices side by side leave as much room as the longest label of any of them needs, and so have cells of one size.
    const across = widest(room ? ofColumns(room.columns) : columns), along = widest(room ? ofRows(room.rows) : rows);
    const tall = header.max_height || 620;
    context.font = `11px ${theme.font}`;
    const titles = (room?.titles ?? [header.row_title]).map((title) => `${title} ↓`);
    const gutter = Math.ceil(Math.max(along, widest(titles))) + (header.band ? 14 : 10);
    // Level labels where they fit, else on a slant, else upright: the first that does not collide.
    for (const way of ["level", "slant", "upright"]) {
      const head = Math.ceil(TITLE + { level: 20, slant: across * 0.71 + 14, upright: across + (header.band ? 14 : 10) }[way]);
      const overhang = way === "slant" ? Math.max(0, across * 0.71 - 4) : 0;
      const roomX = (available - gutter - overhang - 2) / m, roomY = Math.max(60, tall - head - 2) / n;
      const square = Math.min(roomX, roomY, LARGEST);
      const whole = (size) => (size >= 6 ? Math.floor(size) : size); // whole pixels keep the cells' edges sharp
      // A very long or very wide matrix gives up the square before its thin side becomes unreadable.
      const cw = whole(n > 2 * m ? Math.max(square, Math.min(24, roomX)) : square);
      const ch = whole(m > 2 * n ? Math.max(square, Math.min(24, roomY)) : square);
      Object.assign(this, { way, left: gutter, top: head, cw, ch, width: cw * this.m, height: ch * this.n, rows, columns, across });
      if ((way === "level" && across + 10 <= cw) || (way === "slant" && cw >= 17)) break;
    }
    this.farthest = Math.max(1, 64 / Math.min(this.cw, this.ch));
    this.total = Math.ceil(this.top + this.height + 2); // px of the canvas's height
    this.clamp();
  }

  clamp() {
    const { n, m } = this;
    this.zoom = clamp(this.zoom, 1, this.farthest);
    this.x = clamp(this.x, 0, m - m / this.zoom);
    this.y = clamp(this.y, 0, n - n / this.zoom);
  }
  /** Zooms about a point of the canvas; the plot's middle unless told. */
  zoomBy(factor, x = this.left + this.width / 2, y = this.top + this.height / 2) {
    const column = this.columnAt(x), row = this.rowAt(y);
    this.zoom = clamp(this.zoom * factor, 1, this.farthest);
    this.x = column - (x - this.left) / this.cellWidth;
    this.y = row - (y - this.top) / this.cellHeight;
    this.clamp();
  }
  /** Moves just as far as brings a cell into sight. */
  reveal({ row, column }) {
    this.x = Math.max(column + 1 - this.m / this.zoom, Math.min(column, this.x));
    this.y = Math.max(row + 1 - this.n / this.zoom, Math.min(row, this.y));
    this.clamp();
  }

  /** What is under a point of the canvas: a cell, or beside the plot a row or a column alone. */
  locate(x, y) {
    const above = y < this.top;
    // Over slanted column labels the pointer follows the slant down to the column.
    if (above && this.way === "slant" && this.zoom === 1) x -= this.top - y;
    const right = this.left + this.width, bottom = this.top + this.height;
    if (x >= right || y >= bottom) return { x, y, row: null, column: null };
    const column = x >= this.left ? Math.min(this.m - 1, Math.floor(this.columnAt(x))) : null;
    const row = above ? null : Math.min(this.n - 1, Math.floor(this.rowAt(y)));
    return { x, y, row, column };
  }
}
