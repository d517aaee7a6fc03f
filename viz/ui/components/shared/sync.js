// What keeps the views of a page in step with each other, with Python and with fonts that arrive late.

/** Hover is shared by every component on the page without asking Python. detail: {side, index, source, role?}: the token's
 *  side ("encoder", "decoder", "decoder-output"), its place or null, who says so, and whether it is a "query" or a "key". */
const BUS = "headlight:hover";
function announceHover(side, index, source, role) {
  window.dispatchEvent(new CustomEvent(BUS, { detail: { side, index, source, role } }));
}
function listenHover(callback) {
  const listener = (event) => callback(event.detail);
  window.addEventListener(BUS, listener);
  return () => window.removeEventListener(BUS, listener);
}
/** Which axes of a figure a hovered token is on. `sides` is {query, key}: where both are one sentence, as in self-attention,
 *  only the role tells them apart, and a token announced without one is on both. */
function axesOf({ side, role }, sides) {
  const axes = ["query", "key"].filter((axis) => sides[axis] === side);
  return axes.length === 2 && role ? [role] : axes;
}
/** A hovered place in this figure, which begins at `start` of the whole side, or null where it has no such token. */
const within = (index, count, start = 0) => (index !== null && index >= start && index - start < count ? index - start : null);
/** A place in this figure as a place in the whole side. */
const outside = (index, start = 0) => (index === null || index === undefined ? null : index + start);

/** A value that the user changes here and Python answers: an old answer never undoes a newer change. */
function shared(deliver) {
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
function listenFonts(callback) {
  document.fonts.addEventListener("loadingdone", callback);
  return () => document.fonts.removeEventListener("loadingdone", callback);
}
