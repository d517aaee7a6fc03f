// The two columns of tokens that the curves run between: their places and their marks.

import { fitCanvas } from "../shared/canvas.js";
import { chip } from "../shared/dom.js";
import { clamp } from "../shared/numbers.js";

const TALLEST = 640; // px: what is higher scrolls inside
export const WIDEST = 960; // px: longer curves are harder to follow

/** Sizes of everything, from the width there is. */
export function arrange(view) {
  const { root, header, theme, stage, field, columns, titles, n, m } = view;
  const width = Math.min(WIDEST, stage.clientWidth), count = Math.max(n, m);
  if (!width) return;
  const pitch = clamp(Math.floor(TALLEST / count), 14, count > 12 ? 24 : 30), tight = pitch < 20;
  const context = view.canvas.getContext("2d");
  context.font = `${tight ? 11 : 13}px ${theme.mono}`;
  const measure = ({ text }) => context.measureText(text.slice(0, 60)).width;
  const widest = (tokens) => tokens.reduce((most, token) => Math.max(most, measure(token)), 0);
  const zone = width >= 560 ? 92 : 38; // beside each column, for the weights of an isolated token
  const room = width * (width >= 560 ? 0.24 : 0.25);
  const wanted = { left: widest(header.left) + 18, right: widest(header.right) + 18 };
  // What a column of short tokens leaves, the other takes.
  const side = (name, other) => Math.ceil(Math.min(wanted[name], Math.max(room, 2 * room - wanted[other])));
  const left = side("left", "right"), right = side("right", "left"), total = count * pitch + 4;
  const height = Math.min(TALLEST, total), from = zone + left + 5, to = width - zone - right - 5;
  view.layout = { width, height, total, pitch, zone, left, right, from, to };
  field.style.height = `${total}px`;
  field.style.width = `${width}px`;
  stage.style.height = `${height}px`;
  root.classList.toggle("tight", tight);
  for (const [name, element] of Object.entries(columns)) {
    element.style.gridAutoRows = `${pitch}px`;
    element.style.width = `${view.layout[name]}px`;
    element.style.left = `${name === "left" ? zone : width - zone - right}px`;
  }
  titles.left.style.right = `calc(100% - ${zone + left}px)`;
  titles.right.style.left = `${width - zone - right}px`;
  titles.left.textContent = header.left_title;
  titles.right.textContent = header.right_title;
  fitCanvas(view.canvas, width, height);
  view.sheet.forget();
}

/** New elements only for new tokens, so that focus and hover survive an answer from Python. */
export function fillTokens(view) {
  const { header, columns, chips } = view;
  const key = JSON.stringify([header.left, header.right]);
  if (key === view.tokensOf) return;
  view.tokensOf = key;
  for (const side of ["left", "right"]) {
    columns[side].setAttribute("role", "listbox");
    chips[side] = header[side].map((token, index) => {
      const element = chip(token, token.text);
      element.dir = "auto";
      Object.assign(element.dataset, { side, index });
      element.setAttribute("role", "option");
      return element;
    });
    columns[side].replaceChildren(...chips[side]);
  }
}

/** Hovered and chosen tokens; one token of each column is in the tab order. */
export function markTokens(view) {
  const { chips, hover, foreign, selection } = view;
  const chosen = { left: selection.value?.row, right: selection.value?.column };
  for (const side of ["left", "right"]) {
    const focus = chips[side].indexOf(view.shadow.activeElement), entry = focus >= 0 ? focus : (chosen[side] ?? 0);
    chips[side].forEach((element, index) => {
      const over = hover && hover[side] === index;
      element.classList.toggle("selected", chosen[side] === index);
      element.classList.toggle("hover", Boolean(over) || foreign[side] === index);
      element.setAttribute("aria-selected", chosen[side] === index);
      element.tabIndex = index === entry ? 0 : -1;
    });
  }
  view.root.dataset.row = chosen.left ?? "";
  view.root.dataset.column = chosen.right ?? "";
}

/** Which pair is chosen, told so that a moved window makes it another. */
export const chosenPlace = ({ selection, header }) =>
  JSON.stringify([header.row_start, header.column_start, selection.value?.row, selection.value?.column]);

/** Scrolls what is higher than its stage to the chosen pair, once for each pair: what a person scrolls to stays. */
export function revealChosen(view) {
  const { layout, selection, stage } = view, place = chosenPlace(view);
  if (!layout || !selection.value || place === view.revealed) return;
  view.revealed = place;
  const { row, column } = selection.value, { pitch, height } = layout;
  const top = Math.min(row, column) * pitch, bottom = (Math.max(row, column) + 1) * pitch;
  if (top >= stage.scrollTop && bottom <= stage.scrollTop + height) return;
  // Both ends where they fit, else the query.
  stage.scrollTop = (bottom - top <= height ? (top + bottom) / 2 : (row + 0.5) * pitch) - height / 2;
}
