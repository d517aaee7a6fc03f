// What is brushed in a chart of parallel coordinates beside it: Streamlit itself hands on points, boxes and lassos only, and
// parallel coordinates have none of them; the chart tells the page by an event, plotly_restyle.

import { el, mount } from "../shared/dom.js";

const LOOK = 250; // ms between two looks for the chart, which another run of the page may have made anew
const REST = 200; // ms without a change before a brush is sent

class Brush {
  constructor(shadow) {
    this.root = el("div", "headlight brush", shadow);
    el("span", "", this.root);
    this.heard = () => this.rest();
    this.timer = setInterval(() => this.look(), LOOK);
  }
  /** box: the class of the box with the chart. ranges: what the page took last. */
  update({ box, ranges }) {
    this.box = box;
    this.sent ??= JSON.stringify(ranges);
    this.look();
  }
  look() {
    const chart = document.querySelector(`.${this.box} .js-plotly-plot`);
    if (chart === this.chart || (chart && !chart.on)) return;
    this.leave();
    this.chart = chart;
    this.root.dataset.listens = String(Boolean(chart));
    if (!chart) return;
    for (const event of ["plotly_restyle", "plotly_afterplot"]) chart.on(event, this.heard);
    this.rest();
  }
  rest() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.tell(), REST);
  }
  tell() {
    const axes = this.chart?.data?.[0]?.dimensions ?? [];
    const brushed = axes.filter(({ constraintrange: range }) => range?.length);
    const ranges = Object.fromEntries(brushed.map(({ name, constraintrange: range }) => [name, range[0].length ? range : [range]]));
    const told = JSON.stringify(ranges);
    if (told === this.sent) return;
    this.sent = told;
    this.send("ranges", ranges);
  }
  leave() {
    clearTimeout(this.waiting);
    for (const event of ["plotly_restyle", "plotly_afterplot"]) this.chart?.removeListener?.(event, this.heard);
  }
  destroy() {
    clearInterval(this.timer);
    this.leave();
    this.root.remove();
  }
}

export default (told) => mount(told, Brush);
