// What Streamlit writes itself, in English only and with no way to be told otherwise, in the language of the page: in its own
// controls and nowhere else, so that no text of a person or of a model is touched.

const HOMES = {
  list: ['[data-testid="stSelectbox"]', '[data-testid="stMultiSelect"]', '[role="listbox"]'],
  file: ['[data-testid="stFileUploader"]'],
  field: ['[data-testid="InputInstructions"]', '[data-testid="stNumberInput"]'],
  table: ['[data-testid="stElementToolbar"]', '[role="tooltip"]', '[data-testid="stDataFrameColumnMenu"]',
    '[data-testid="stDataFrameColumnFormattingMenu"]', '[data-testid="stDataFrameColumnVisibilityMenu"]'],
  frame: ['[data-testid="stStatusWidget"]', '[data-testid="stSidebarCollapseButton"]', '[data-testid="stExpandSidebarButton"]'],
};
const CONTROLS = Object.values(HOMES).flat().join(",");
const ATTRIBUTES = ["aria-label", "placeholder", "title"];
const MOST = 200; // nodes that are remembered before those that are gone are let go of

const english = new Map(); // node -> {what: [English, what stands there instead]}; what: an attribute, "" for its text
let known = []; // [where it stands, pattern, translation]
let observer = null;

/** told: [which of the homes, English, translation], with the same {names} in both; none for a page in English. */
export function translateStreamlit(told) {
  known = told.map(([home, from, to]) => [HOMES[home].join(","), pattern(from), to]);
  for (const [node, texts] of english) {
    for (const [what, [was, stands]] of Object.entries(texts)) if (read(node, what) === stands) write(node, what, was);
  }
  english.clear();
  if (known.length && !observer) {
    observer = new MutationObserver((changes) => changes.forEach(follow));
    observer.observe(document.body, { childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ATTRIBUTES });
  } else if (!known.length) {
    observer?.disconnect();
    observer = null;
  }
  if (known.length) document.querySelectorAll(CONTROLS).forEach(all);
}

function pattern(text) {
  const parts = text.split(/\{(\w+)\}/).map((part, i) => (i % 2 ? `(?<${part}>.+)` : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")));
  return new RegExp(`^${parts.join("")}$`, "s");
}

function follow({ type, target, addedNodes, attributeName }) {
  if (type === "attributes") return inside(target) && said(target, attributeName);
  if (type === "characterData") return inside(target) && said(target, "");
  for (const node of addedNodes) {
    if (inside(node)) all(node);
    else if (node.querySelectorAll) node.querySelectorAll(CONTROLS).forEach(all);
  }
}

const inside = (node, home = CONTROLS) => (node.closest ? node : node.parentElement)?.closest(home);

function all(root) {
  if (root.nodeType === Node.TEXT_NODE) return said(root, "");
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = root; node; node = walk.nextNode()) {
    if (node.nodeType === Node.TEXT_NODE) said(node, "");
    else ATTRIBUTES.forEach((name) => said(node, name));
  }
}

const read = (node, what) => (what ? node.getAttribute?.(what) : node.data);
const write = (node, what, text) => (what ? node.setAttribute(what, text) : (node.data = text));

/** React keeps the nodes that it made and compares with what it said, not with what stands there: a text may be changed in place. */
function said(node, what) {
  const text = read(node, what);
  for (const [home, from, to] of text ? known : []) {
    const found = from.exec(text);
    if (!found || !inside(node, home)) continue;
    const other = to.replace(/\{(\w+)\}/g, (_, name) => found.groups[name]);
    if (english.size > MOST) for (const old of english.keys()) if (!old.isConnected) english.delete(old);
    if (!english.has(node)) english.set(node, {});
    english.get(node)[what] = [text, other];
    write(node, what, other);
    return;
  }
}
