// Elements: how every view makes them, and how a view lives on the element that Streamlit gives it.

const SVG = "http://www.w3.org/2000/svg";

export function el(tag, name, parent, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}
export function svg(tag, parent, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}
export function button(name, parent, label, action) {
  const node = el("button", name, parent);
  node.type = "button";
  if (label !== null) node.setAttribute("aria-label", label);
  node.addEventListener("click", action);
  return node;
}

/** A token chip: {text, kind} where kind is "word", "special" or "space". Text only, never markup. */
export function chip(token, title) {
  const element = el("span", `chip ${token.kind || "word"} ${token.segment || ""}`, null, token.text);
  if (title) element.title = title;
  return element;
}

/** What a canvas needs to be reached and worked with by keys; a grid role promises row elements that a canvas lacks. */
export function focusable(canvas) {
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  return canvas;
}

/** A line for screen readers: what is written into it is spoken. */
export function spokenLine(root) {
  const line = el("div", "spoken", root);
  line.setAttribute("aria-live", "polite");
  return line;
}

/** Call `changed(width)` whenever a figure has a width, also its first; the result ends that. */
export function watchWidth(root, changed) {
  const observer = new ResizeObserver(() => {
    const width = Math.floor(root.clientWidth);
    if (width) changed(width);
  });
  observer.observe(root);
  return () => observer.disconnect();
}

/** A component's default export: Streamlit calls it on every run of the page; the view outlives the calls, so that hover,
 *  zoom and focus do too. A view has update(bytes) and destroy(), and sends by `send(name, value)`. */
export function mount({ data, parentElement, setTriggerValue }, View) {
  const key = `headlight${View.name}`;
  const view = (parentElement[key] ??= new View(parentElement));
  view.send = setTriggerValue;
  if (data) view.update(data);
  return () => {
    if (parentElement[key] === view) delete parentElement[key];
    view.destroy();
  };
}
