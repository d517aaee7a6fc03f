// The card of the head under the pointer: large, with its name, its measures and its axes; and the legend below all heads.

import { fitCanvas } from "../shared/canvas.js";
import { button, el } from "../shared/dom.js";
import { fill, number } from "../shared/numbers.js";
import { ramp } from "../shared/theme.js";
import { drawHead } from "./draw.js";

const LARGE = 192; // px

export function fillCard(atlas, index) {
  const { card, header } = atlas;
  card.hidden = index === null;
  if (index === null) return;
  const { site, head } = atlas.head(index), { words } = header;
  card.replaceChildren();
  el("div", "title", card, `${site.name} · ${fill(words.head, { head })}`);
  const canvas = el("canvas", "", card), context = fitCanvas(canvas, LARGE + 2, LARGE + 2);
  drawHead(atlas, context, index, 1, 1, LARGE);
  el("div", "faint", card, fill(words.axes, { queries: site.queries - 1, keys: site.keys - 1 }));
  if (site.pictures) {
    const [, rows, columns] = header.arrays[site.pictures].shape;
    const [high, wide] = [Math.ceil(site.queries / rows), Math.ceil(site.keys / columns)];
    el("div", "faint", card, high * wide > 1 ? fill(words.block, { high, wide }) : words.cell);
  }
  const list = el("dl", "", card), { data } = header.arrays.measures, wide = header.measures.length;
  header.measures.forEach((name, m) => {
    el("dt", "", list, name);
    const value = data[index * wide + m];
    el("dd", "", list, Number.isNaN(value) ? "–" : number(value));
  });
  if (!wide) el("div", "faint", card, words.unmeasured);
  placeCard(atlas, index);
}

/** Beside the head, on the side with more room, and within the figure. */
function placeCard({ card, canvas, plan, width }, index) {
  const { x, y } = plan.places[index], right = x + plan.edge + 14, [w, h] = [card.offsetWidth, card.offsetHeight];
  const box = canvas.getBoundingClientRect(), seen = { top: -box.top + 64, bottom: window.innerHeight - box.top - 8 };
  card.style.left = `${right + w <= width ? right : Math.max(0, x - w - 14)}px`;
  const middle = y + plan.edge / 2 - h / 2;
  card.style.top = `${canvas.offsetTop + Math.max(seen.top, Math.min(middle, seen.bottom - h))}px`;
}

export function fillLegend(atlas) {
  const { foot, header, theme } = atlas, { words } = header;
  foot.replaceChildren();
  const key = el("span", "key", foot);
  el("span", "", key, "0");
  el("span", "bar", key).style.background = ramp(theme.sequential, 17);
  el("span", "", key, header.end);
  el("span", "name", foot, words.legend);
  if (header.sites.some(({ mask }) => mask)) {
    const item = el("span", "key", foot), context = fitCanvas(el("canvas", "", item), 14, 14);
    context.fillStyle = atlas.hatching(context);
    context.fillRect(0, 0, 14, 14);
    context.strokeStyle = theme.line;
    context.strokeRect(0.5, 0.5, 13, 13);
    el("span", "", item, words.masked);
  }
  const modes = el("span", "modes", foot);
  modes.setAttribute("role", "group");
  modes.setAttribute("aria-label", words.click);
  modes.title = words.help;
  el("span", "", modes, words.click);
  for (const [picking, word] of [[false, words.selects], [true, words.picks]]) {
    const mode = button("mode", modes, null, () => {
      atlas.picking = picking;
      fillLegend(atlas);
    });
    mode.textContent = word;
    mode.setAttribute("aria-pressed", String(atlas.picking === picking));
  }
}

/** The head in one sentence, for whoever does not see it. */
export function speakHead(atlas, index, what) {
  const { site, head } = atlas.head(index), { header } = atlas, { words } = header, wide = header.measures.length;
  const numbers = header.measures.map((name, m) => `${name} ${number(header.arrays.measures.data[index * wide + m])}`);
  atlas.live.textContent = [`${site.name} · ${fill(words.head, { head })}`, what, ...numbers].filter(Boolean).join(", ");
}
