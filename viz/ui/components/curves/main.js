// Curves that grow while one looks at them, drawn by plotly.js itself: Streamlit's own chart is made anew at every new point
// and forgets its zoom; here the same figure takes the points in, and what was zoomed into stays (layout.uirevision).

import { el, mount } from "../shared/dom.js";

let library = null;

/** plotly.js, fetched once a page from the app's own server. */
function plotly(address) {
  library ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = new URL(address, document.baseURI).href;
    script.onload = () => done(window.Plotly);
    script.onerror = () => failed(new Error(address));
    document.head.append(script);
  });
  return library;
}

class Curves {
  constructor(parent) {
    this.root = el("div", "headlight curves", parent);
    this.wait = el("p", "faint", this.root);
    this.box = el("div", "curves-box", this.root);
    this.drawn = Promise.resolve();
  }
  /** figure: {data, layout, config}. script: where plotly.js is. alt: what a screen reader says. */
  update({ figure, script, alt, words }) {
    const told = JSON.stringify(figure);
    if (told === this.told) return;
    this.told = told;
    if (!this.root.dataset.drawn) this.wait.textContent = words.loading;
    this.box.setAttribute("role", "figure");
    this.box.setAttribute("aria-label", alt);
    this.drawn = this.drawn.then(() => this.draw(figure, script, words));
  }
  async draw({ data, layout, config }, script, words) {
    try {
      const library = await plotly(script);
      if (!this.root.isConnected) return;
      await library.react(this.box, data, layout, { ...config, responsive: true });
      this.library = library;
      this.wait.textContent = "";
      this.root.dataset.drawn = String(Number(this.root.dataset.drawn ?? 0) + 1);
    } catch {
      this.wait.textContent = words.failed;
    }
  }
  destroy() {
    this.library?.purge(this.box);
    this.root.remove();
  }
}

export default (told) => mount(told, Curves);
