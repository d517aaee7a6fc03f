// All curves of the shown heads. They are grouped into a few paths a head and cached as one bitmap: a hover fades the bitmap
// and draws only its own lines.

const STEPS = 16; // opacities and widths that a head's curves are grouped into
const MOST = 9000; // curves: beyond this a redraw takes longer than a glance
const READABLE = 600; // curves of a head: more of them are a haze that shows none, and are drawn only where they are asked for
const BINS = 10_000; // of weights from 0 to 1, where the threshold may lie
const A_FRAME = 700; // curves painted into the cache in one frame, one head at least
const LARGE = 16e6; // device pixels of the cached bitmap

export const thickness = (layout, weight) => Math.max(0.5, (layout.pitch < 20 ? 4.5 : 6) * weight);
/** How many curves of the shown heads can be told apart. */
export const readable = (heads) => Math.min(MOST, READABLE * heads.length);
export const opacity = (weight) => Math.max(0.05, 0.9 * weight); // of the weight alone: never shared out among the heads

/** Heads that agree on a pair run side by side instead of hiding each other. */
export function lane(view, head) {
  const heads = view.visible(), gap = Math.min(7, (view.layout.pitch - 6) / heads.length);
  return heads.includes(head) ? (heads.indexOf(head) - (heads.length - 1) / 2) * gap : 0;
}
export function trace(path, layout, row, column, offset = 0) {
  const half = (layout.from + layout.to) / 2, y = (row + 0.5) * layout.pitch + offset, z = (column + 0.5) * layout.pitch + offset;
  path.moveTo(layout.from, y);
  path.bezierCurveTo(half, y, half, z, layout.to, z);
}

export class Sheet {
  constructor(view) {
    this.view = view;
    const paper = () => ({ canvas: document.createElement("canvas"), ratio: 0 });
    this.shown = paper();
    this.next = paper();
    this.paths = new Map(); // head -> its curves in this layout and at this threshold
    this.queue = null; // what remains to be painted
    this.lines = []; // what is drawn, one list a head of head, row, column, head, row, column …
    this.floor = 0; // weights below the floor are not drawn, where the rule asks for too many
    this.told = { drawn: 0, asked: 0, cells: 0, share: 0 }; // what is drawn of what there is
    this.stale = true;
  }
  /** The layout or the weights are others: nothing painted holds any more. */
  forget() {
    this.paths.clear();
    this.stale = true;
  }

  /** 0, or what leaves the heaviest curves of those that the rule asks for. The foot line states what is left out. */
  threshold(heads) {
    const { weights, wanted, n, m, every } = this.view, most = every ? MOST : readable(heads);
    const bins = new Uint32Array(BINS + 1);
    for (const head of heads)
      for (let i = head * n * m, end = i + n * m; i < end; i++)
        if (wanted[i]) bins[Math.min(BINS, Math.floor(weights[i] * BINS))] += 1;
    let bin = BINS, count = 0;
    while (bin >= 0 && count + bins[bin] <= most) count += bins[bin--];
    return bin >= 0 ? (bin + 1) / BINS : 0;
  }

  /** The key that a row looks at most, of those that the rule asks for; -1 where there is none. */
  strongest(head, row) {
    const { view } = this;
    let best = -1;
    for (let column = 0; column < view.m; column++)
      if (!view.masked(row, column) && view.asked(head, row, column) && (best < 0 || view.at(head, row, column) > view.at(head, row, best)))
        best = column;
    return best;
  }

  /** A head's curves as a few paths, one a step of opacity. */
  pathsOf(head) {
    if (this.paths.has(head)) return this.paths.get(head);
    const { view, floor } = this, { layout, n, m } = view;
    const steps = Array.from({ length: STEPS }, () => null), kept = [];
    let asked = 0, cells = 0, held = 0;
    for (let row = 0; row < n; row++) {
      const best = floor ? this.strongest(head, row) : -1; // no row is left without a line
      for (let column = 0; column < m; column++) {
        const weight = view.at(head, row, column);
        if (view.masked(row, column)) continue;
        cells += 1;
        if (!view.asked(head, row, column)) continue;
        asked += 1;
        if (!(weight >= floor || column === best)) continue;
        held += weight;
        const step = Math.min(STEPS - 1, Math.floor(weight * STEPS));
        steps[step] ??= { path: new Path2D(), sum: 0, count: 0 };
        steps[step].sum += weight;
        steps[step].count += 1;
        trace(steps[step].path, layout, row, column);
        kept.push(head, row, column);
      }
    }
    const built = { steps: steps.filter(Boolean), kept, asked, cells, held };
    this.paths.set(head, built);
    return built;
  }

  /** Paints on; a few heads a frame on a second canvas that is swapped in when complete, so that hover stays quick. */
  paint() {
    if (this.stale) this.begin();
    this.stale = false;
    if (this.queue) this.continue();
  }
  begin() {
    const { next, view } = this, { layout } = view, heads = view.visible(), before = this.floor;
    this.floor = this.threshold(heads);
    if (this.floor !== before) this.paths.clear();
    // The whole height at once, so that scrolling only copies; very tall ones give up some sharpness instead of memory.
    next.ratio = Math.min(window.devicePixelRatio || 1, Math.sqrt(LARGE / (layout.width * layout.total)));
    next.canvas.width = Math.round(layout.width * next.ratio);
    next.canvas.height = Math.round(layout.total * next.ratio);
    next.canvas.getContext("2d").scale(next.ratio, next.ratio);
    this.queue = { heads: [...heads], lines: [], asked: 0, cells: 0, held: 0, mass: heads.reduce((sum, head) => sum + view.header.mass[head], 0) };
  }
  continue() {
    const { queue, view } = this, context = this.next.canvas.getContext("2d");
    for (let budget = A_FRAME; queue.heads.length && budget > 0; ) {
      const head = queue.heads.shift(), { steps, kept, asked, cells, held } = this.pathsOf(head), offset = lane(view, head);
      budget -= kept.length / 3;
      queue.asked += asked;
      queue.cells += cells;
      queue.held += held;
      queue.lines.push(kept);
      context.strokeStyle = view.colour(head);
      context.setLineDash(view.dash(head));
      context.translate(0, offset);
      for (const { path, sum, count } of steps) {
        context.globalAlpha = opacity(sum / count);
        context.lineWidth = thickness(view.layout, sum / count);
        context.stroke(path);
      }
      context.translate(0, -offset);
    }
    if (queue.heads.length) return;
    [this.shown, this.next] = [this.next, this.shown];
    const drawn = queue.lines.reduce((total, kept) => total + kept.length / 3, 0), { asked, cells, held, mass } = queue;
    Object.assign(this, { told: { drawn, asked, cells, share: mass ? held / mass : 0 }, lines: queue.lines, queue: null });
    view.root.dataset.lines = drawn;
  }
  /** Copies what is in sight. */
  copy(context, scroll) {
    const { canvas, ratio } = this.shown, { width, height } = this.view.layout;
    if (ratio) context.drawImage(canvas, 0, scroll * ratio, width * ratio, height * ratio, 0, 0, width, height);
  }
}
