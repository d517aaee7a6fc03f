// What keeps the views of a page in step with each other, with Python and with fonts that arrive late.

/** The views of a page speak to each other by events of the window, without asking Python. */
export function announce(name, detail) {
  window.dispatchEvent(new CustomEvent(name, { detail }));
}
/** Returns what ends the listening. */
export function listen(name, callback) {
  const listener = (event) => callback(event.detail);
  window.addEventListener(name, listener);
  return () => window.removeEventListener(name, listener);
}

/** Hover is shared by every component. detail: {side, index, source, role?}: the token's side ("encoder", "decoder",
 *  "decoder-output"), its place or null, who says so, and whether it is a "query" or a "key". */
const HOVER = "headlight:hover";
export const announceHover = (side, index, source, role) => announce(HOVER, { side, index, source, role });
export const listenHover = (callback) => listen(HOVER, callback);

// A text and the list beside it: the list has the row, the text draws it.
export const ROW = "headlight:row"; // detail: the list's frame, unpacked
export const WANTED = "headlight:row-wanted"; // a text has appeared and has no row yet
export const GOTO = "headlight:row-goto"; // detail: {side, index}: bring it into sight
export const VIEW = "headlight:text-view"; // detail: {side, first, last}: which tokens of a text that scrolls are in sight

/** Which axes of a figure a hovered token is on. `sides` is {query, key}: where both are one sentence, as in self-attention,
 *  only the role tells them apart, and a token announced without one is on both. */
export function axesOf({ side, role }, sides) {
  const axes = ["query", "key"].filter((axis) => sides[axis] === side);
  return axes.length === 2 && role ? [role] : axes;
}
/** A hovered place in this figure, which begins at `start` of the whole side, or null where it has no such token. */
export const within = (index, count, start = 0) => (index !== null && index >= start && index - start < count ? index - start : null);
/** A place in this figure as a place in the whole side. */
export const outside = (index, start = 0) => (index === null || index === undefined ? null : index + start);

/** A value that the user changes here and Python answers: an old answer never undoes a newer change. */
export function shared(deliver) {
  let received, sent = [], timer = 0, when = 0, waiting = null;
  return {
    value: null,
    /** Without a delay it is delivered at once; with one, be it 0, only if nothing newer comes meanwhile. */
    set(value, delay) {
      this.value = value;
      clearTimeout(timer);
      const send = () => {
        timer = 0;
        sent.push(JSON.stringify(value));
        when = performance.now();
        deliver(value);
      };
      if (delay === undefined) send();
      else timer = setTimeout((waiting = send), delay);
    },
    answer(value) {
      const text = JSON.stringify(value), news = text !== received;
      const late = sent.includes(text) && performance.now() - when < 3000;
      received = text;
      if (!news || timer || (late && text !== JSON.stringify(this.value))) return;
      this.value = value;
      sent = [];
    },
    /** What waits is delivered now. */
    flush() {
      if (!timer) return;
      clearTimeout(timer);
      waiting();
    },
    stop: () => clearTimeout(timer),
  };
}

/** A web font that arrives late has other widths than the fallback that labels were measured with. */
export function listenFonts(callback) {
  document.fonts.addEventListener("loadingdone", callback);
  return () => document.fonts.removeEventListener("loadingdone", callback);
}
