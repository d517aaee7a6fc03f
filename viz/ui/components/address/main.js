// The address of what is shown. It takes the place of the one before it, so that Back leads to the page before; only another
// model on the same page is a step of its own. A button puts it on the clipboard. Beside it the models that were opened, which the browser keeps for as long as it runs.

import { button, el, mount } from "../shared/dom.js";
import { translateStreamlit } from "./streamlit_words.js";

const SAID = 1600; // ms that the button says that it was pressed

class Address {
  constructor(shadow) {
    this.root = el("div", "headlight address", shadow);
    this.button = button("copy", this.root, null, () => this.copy());
  }
  update({ query, words, recent, streamlit }) {
    if (streamlit) this.translate(streamlit);
    if (recent) document.cookie = `headlight-recent=${recent}; path=/; SameSite=Strict`;
    const address = new URL(document.location.href);
    address.search = query;
    const { pathname, href } = document.location, before = new URL(href).searchParams.get("model");
    const other = before && before !== address.searchParams.get("model") && pathname === this.path;
    if (address.href !== href) history[other ? "pushState" : "replaceState"](other ? {} : history.state, "", address);
    this.path = pathname;
    this.words = words;
    this.button.hidden = !words;
    if (words) this.button.textContent = words.copy;
  }
  translate(streamlit) {
    const told = JSON.stringify(streamlit);
    if (told !== this.translated) translateStreamlit(streamlit);
    this.translated = told;
  }
  async copy() {
    const told = (await written(document.location.href)) ? this.words.copied : this.words.refused;
    this.button.textContent = told;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.button.textContent = this.words.copy), SAID);
  }
  destroy() {
    clearTimeout(this.timer);
    this.root.remove();
  }
}

/** Whether the text lies on the clipboard now: a page that came over plain HTTP from elsewhere may use the old way only. */
async function written(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    field.style.position = "fixed";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

export default (told) => mount(told, Address);
