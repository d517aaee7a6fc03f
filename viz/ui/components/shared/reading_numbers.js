// Numbers of the text and of its list, and how the two speak to each other: the list has the row, the text draws it.

/** The shortest decimal that reads back as the same float32. */
function exact(value) {
  if (!Number.isFinite(value)) return number(value);
  for (let digits = 1; digits < 10; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(+text) !== value) continue;
    if (!value || Math.abs(value) >= 1e-3) return String(+text).replace("-", "−");
    const [mantissa, power] = (+text).toExponential().split("e");
    return `${mantissa}·10⁻${[...String(-power)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[+c]).join("")}`.replace("-", "−");
  }
  return String(value);
}

const ROW = "headlight:row"; // detail: the list's frame, unpacked
const WANTED = "headlight:row-wanted"; // a text has appeared and has no row yet
const GOTO = "headlight:row-goto"; // detail: {side, index}: bring it into sight
const VIEW = "headlight:text-view"; // detail: {side, first, last}: which tokens of a text that scrolls are in sight
function tell(name, detail) {
  window.dispatchEvent(new CustomEvent(name, { detail }));
}
function hearing(name, callback) {
  const listener = (event) => callback(event.detail);
  window.addEventListener(name, listener);
  return () => window.removeEventListener(name, listener);
}
