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
