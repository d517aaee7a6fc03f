// The ribbons of the hero: from each written word to the words it looks at, width and opacity the weight.

import { el, svg } from "../shared/dom.js";
import { percent } from "./weights.js";

export const THIN = 0.01; // ribbons below one percent are noise to the eye

const LEAST = 1.25; // pixels across a ribbon, so that a thin one that runs nearly level stays one line
const STEPS = 40; // places along a ribbon

/** The outline from [x0, x1] below to [y0, y1] above: each edge is the cubic between its ends; where the two lie nearer than
 *  `LEAST` across the way that they run, they are moved apart. */
function outline({ x0, x1, y0, y1 }, height) {
  const [bottom, top] = [(x0 + x1) / 2, (y0 + y1) / 2];
  const left = [], right = [];
  for (let step = 0; step <= STEPS; step++) {
    const t = step / STEPS, u = 1 - t;
    const up = t * t * (3 - 2 * t); // how far towards the upper end
    const [x, y] = [bottom + (top - bottom) * up, height * (u * u * u + 1.5 * u * t)];
    const [dx, dy] = [(top - bottom) * 6 * t * u, -1.5 * height * (u * u + t * t)];
    const length = Math.hypot(dx, dy) || 1;
    const half = Math.max(((x1 - x0) * (1 - up) + (y1 - y0) * up) * (Math.abs(dy) / length), LEAST) / 2;
    const [nx, ny] = [(-dy / length) * half, (dx / length) * half];
    left.push(`${x - nx} ${y - ny}`);
    right.push(`${x + nx} ${y + ny}`);
  }
  return `M${left.join("L")}L${right.reverse().join("L")}Z`;
}

/** Which token a chip stands for: of a long side not every one has a chip. */
export const placeOf = (token, i) => ("at" in token ? token.at : i);
/** The chips of these tokens, those that there are. */
export const chipsAt = (places, tokens, chips) =>
  (places ?? []).map((at) => chips[tokens.findIndex((token, i) => placeOf(token, i) === at)]).filter(Boolean);

export class Ribbons {
  /** `weight(i, j)`: how much written word i looks at typed word j; `look(i, j)` is what a click on their ribbon does. */
  constructor(stage, label, weight, look) {
    this.stage = stage;
    this.weight = weight;
    this.look = look;
    this.canvas = svg("svg", stage, { class: "ribbons", role: "img", "aria-label": label });
  }
  /** The typed words most looked at by word i, strongest first. */
  order(i, count) {
    return Array.from({ length: count }, (_, j) => j).sort((a, b) => this.weight(i, b) - this.weight(i, a));
  }
  attach(sources, targets) {
    Object.assign(this, { sources, targets });
    for (const node of [...sources, ...targets]) el("small", "percent", node).setAttribute("aria-hidden", "true");
  }

  /** Every written word has one unit of attention; it leaves the word side by side and tapers towards what it looks at. */
  draw(height) {
    const { canvas, sources, targets } = this;
    canvas.setAttribute("width", 0); // its old width must not hold the stage open
    const place = (node) => ({ x: node.parentElement.offsetLeft + node.offsetLeft + node.offsetWidth / 2, width: node.offsetWidth });
    const above = sources.map(place);
    const below = targets.map(place);
    canvas.replaceChildren();
    canvas.setAttribute("height", height);
    canvas.setAttribute("width", this.stage.offsetWidth);
    this.links = this.bundle(above, below);
    for (const link of this.links) {
      link.node = svg("path", canvas, {
        d: outline(link, height),
        opacity: 0.16 + 0.66 * link.weight,
      });
      link.node.addEventListener("pointerenter", () => this.mark({ row: link.i, column: link.j }));
      link.node.addEventListener("pointerleave", () => this.mark({}));
      link.node.addEventListener("click", () => this.look(link.i, link.j));
    }
  }
  /** The links with both ends' edges; x below and y above are both horizontal. The strongest come last, on top. */
  bundle(above, below) {
    const order = (list) => list.map((_, i) => i).sort((a, b) => list[a].x - list[b].x); // as on the page, also right to left
    const columns = order(above);
    const full = Math.min(...below.map((word) => word.width), 64) * 0.72;
    const links = [];
    for (const i of order(below)) {
      let x = below[i].x - full / 2;
      for (const j of columns) {
        const weight = this.weight(i, j);
        if (weight >= THIN) links.push({ i, j, weight, x0: x, x1: x + weight * full });
        x += weight * full;
      }
    }
    for (const j of columns) {
      const mine = links.filter((link) => link.j === j);
      const sum = mine.reduce((total, link) => total + link.weight, 0);
      const scale = Math.min(full * 0.5, (above[j].width * 0.84) / sum);
      let x = above[j].x - (sum * scale) / 2;
      for (const link of mine) [link.y0, link.y1, x] = [x, x + link.weight * scale, x + link.weight * scale];
    }
    return links.sort((a, b) => a.weight - b.weight);
  }

  /** One word's ribbons or one ribbon stay, the rest fade; neither: all as they were. */
  mark({ row = null, column = null }) {
    if (!this.links) return;
    const alone = row === null && column === null;
    const kept = (link) => (row === null || link.i === row) && (column === null || link.j === column);
    this.canvas.classList.toggle("focused", !alone);
    const note = (node, weight) => {
      node.querySelector(".percent").textContent = weight ? percent(weight) : "";
      node.classList.toggle("linked", weight >= 0.1); // a faint look gets its number only
    };
    for (const node of [...this.sources, ...this.targets]) note(node, 0);
    for (const link of this.links) {
      const keep = !alone && kept(link);
      link.node.classList.toggle("kept", keep);
      if (keep && row !== null) note(this.sources[link.j], link.weight);
      if (keep && column !== null) note(this.targets[link.i], link.weight);
    }
  }
}
