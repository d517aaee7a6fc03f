// Where each head stands: rows of sub-layers under the title of their kind, or grids; as large as the width allows
// without making the page endless, and never wider than it.

const EDGE = { least: 18, fair: 26, most: 88 }; // px of a picture
export const GAP = 6; // px beside a picture
const UNDER = [18, 30], TITLE = 32, BETWEEN = 40; // px: for its name (and value), for a title, between columns
const RING = 5; // px of margin, so that no ring is cut off
const COMFORT = 700; // px of height that cost nothing; what is higher is paid for with size

/** [{title, rows: [{label, heads}]}], heads as places in the order; a grid is one row without a name. */
export function sectionsOf({ sites, parts }, order) {
  const count = order.length / 2;
  let from = 0;
  if (parts) return parts.map(([title, length]) => {
    const heads = Array.from({ length }, (_, i) => from + i);
    from += length;
    return { title, rows: [{ label: "", heads }] };
  });
  const sections = [];
  for (let i = 0, last = -1; i < count; i++) {
    const s = order[2 * i], { title, label } = sites[s];
    if (sections.at(-1)?.title !== title) sections.push({ title, rows: [] });
    if (s !== last) sections.at(-1).rows.push({ label, heads: [] });
    sections.at(-1).rows.at(-1).heads.push(i);
    last = s;
  }
  return sections;
}

/** The best of all ways to stand; `gutter` is the width of the longest label. */
export function planAtlas(sections, width, gutter, { parts, valued }) {
  const flat = Boolean(parts);
  const longest = Math.max(1, ...sections.flatMap(({ rows }) => rows.map(({ heads }) => heads.length)));
  const counts = flat
    ? Array.from({ length: 40 }, (_, i) => Math.ceil((i + 6) * width / (46 * (EDGE.least + GAP)))).map((c) => Math.min(c, longest))
    : [acrossOf(longest, width - gutter)];
  const columns = flat ? [1] : sections.length > 1 ? [1, sections.length] : [1, 2, 3, 4].filter((c) => c <= (sections[0]?.rows.length || 1));
  let best = null;
  for (const across of new Set(counts)) for (const column of columns) {
    const plan = standing(sections, width - RING, flat ? RING : gutter, across, column, UNDER[+(flat && valued)]);
    if (!best || plan.score > best.score) best = plan;
  }
  return best;
}

/** A sub-layer is one row; only where its heads would be too small to tell apart it takes more. */
function acrossOf(longest, room) {
  for (let lines = 1; ; lines++) {
    const across = Math.ceil(longest / lines);
    if (across <= 4 || (room + GAP) / across - GAP >= EDGE.fair) return across;
  }
}

function standing(sections, width, gutter, across, columns, under) {
  const room = Math.floor((width - (columns - 1) * BETWEEN) / columns);
  const edge = Math.min(EDGE.most, Math.floor((room - gutter + GAP) / across) - GAP), step = edge + under;
  const share = sections.length > 1 ? 0 : Math.ceil((sections[0]?.rows.length || 1) / columns); // rows of a column
  const plan = { edge, under, places: [], labels: [], titles: [], height: 0 };
  let column = 0, y = RING;
  for (const { title, rows } of sections) {
    if (sections.length > 1 && columns > 1 && column + 1 <= plan.titles.length) [column, y] = [plan.titles.length, RING];
    const left = () => column * (room + BETWEEN), top = y + (title ? TITLE : 0);
    if (title) plan.titles.push({ text: title, x: left(), y: y + 15 });
    y = top;
    rows.forEach(({ label, heads }, i) => {
      if (share && i && i % share === 0) [column, y] = [column + 1, top];
      if (label) plan.labels.push({ text: label, x: left(), y: y + edge / 2 });
      heads.forEach((place, h) => {
        plan.places[place] = { x: left() + gutter + (h % across) * (edge + GAP), y: y + Math.floor(h / across) * step };
      });
      y += Math.ceil(heads.length / across) * step + (heads.length > across ? 6 : 0);
      plan.height = Math.max(plan.height, y);
    });
    if (title) y += 10;
  }
  const used = Math.min(1, (across * (edge + GAP) + gutter) / room);
  plan.score = edge < EDGE.least ? edge - 1e6 : (edge - Math.max(0, plan.height - COMFORT) / 25) * used;
  return plan;
}
