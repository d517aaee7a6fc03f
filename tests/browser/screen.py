"""A person's browser window: opens links, waits until everything is painted, and keeps what went wrong."""

from __future__ import annotations

import io
import re
from urllib.parse import parse_qs, urlencode, urlsplit

from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from viz.ui.language import catalogue

FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
# Streamlit looks for its own endpoints below a deep link's path first; these two answers are the only errors allowed.
PROBE = re.compile(r"^http://127\.0\.0\.1:\d+/[a-z_]+/_stcore/(health|host-config)$")
PATIENCE = 20_000  # ms, for a busy machine

# Hands the map of the page, which stands in a shadow, to window.M.
FIND_MAP = """() => {
  const find = (root) => {
    for (const node of root.querySelectorAll("*")) {
      const found = node.__map ?? (node.shadowRoot && find(node.shadowRoot));
      if (found) return found;
    }
    return null;
  };
  return (window.M = find(document)) ? true : false;
}"""
SETTLED = """() => {
  const app = document.querySelector("[data-testid=stApp]");
  if (app?.dataset.testConnectionState !== "CONNECTED" || app.dataset.testScriptState !== "notRunning") return false;
  if (document.querySelector("[data-testid=stSkeleton], [data-stale=true]")) return false;
  const hosts = [...document.querySelectorAll("[data-testid=stBidiComponentIsolated]")];
  return hosts.every((host) => {
    const roots = [host, ...host.querySelectorAll("*")].map((node) => node.shadowRoot).filter(Boolean);
    const root = roots.map((shadow) => shadow.querySelector(".headlight")).find(Boolean);
    if (!root) return false;
    if (root.matches(".matrix")) return Boolean(root.querySelector("canvas[data-drawn]"));
    return root.matches(".lines") ? Boolean(root.dataset.drawn) : root.childElementCount > 0;
  });
}"""


def plain(text: str) -> float:
    """A number as the page writes it, "1.3·10⁻⁴" or "−0.5"."""
    digits, _, power = text.replace("−", "-").partition("·10")
    return float(digits) * 10.0 ** int((power or "0").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))


class Screen:
    """One context with one page."""

    def __init__(self, browser: Browser, url: str, locale: str = "en-US", scheme: str = "light"):
        self.url = url
        self.context = browser.new_context(
            viewport={"width": 1280, "height": 900}, locale=locale, color_scheme=scheme, reduced_motion="reduce"
        )
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("websocket", lambda socket: self.requests.append(socket.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not ("404" in message.text and PROBE.match(message.location["url"])):
            self.problems.append(f"{message.text} at {message.location['url']}")

    def foreign(self) -> list[str]:
        """Requests that left this machine."""
        own = re.compile(r"^(data:|blob:|(http|ws)://127\.0\.0\.1:\d+/)")
        return [request for request in self.requests if not own.match(request)]

    def close(self) -> None:
        self.context.close()

    # ---- going places

    def open(self, page: str = "", **link: object) -> Screen:
        self.page.goto(f"{self.url}/{page}" + (f"?{urlencode(link)}" if link else ""))
        return self.settle()

    def settle(self) -> Screen:
        """Connected, not running, no place holder, every figure painted."""
        self.page.wait_for_function(SETTLED, timeout=PATIENCE, polling=40)
        return self

    @property
    def link(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.page.url).query).items()}

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path.strip("/")

    def wait_for_link(self, **values: object) -> Screen:
        """Until the address bar has these values; what Python did is then on the page."""
        for name, value in values.items():
            expect(self.page).to_have_url(re.compile(rf"[?&]{name}={re.escape(str(value))}(&|$)"), timeout=PATIENCE)
        return self.settle()

    def say(self, key: str, **values: object) -> str:
        return catalogue(self.link.get("lang", "en"))[key].format(**values)

    # ---- looking

    def find(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def shows_title(self, key: str) -> None:
        expect(self.find("h1")).to_have_text(self.say(key), timeout=PATIENCE)

    @property
    def matrix(self) -> Locator:
        return self.find(".headlight.matrix > canvas")

    def cell(self, row: int, column: int) -> tuple[float, float]:
        """Where the middle of a cell of the matrix is on the screen; the matrix is scrolled into sight first."""
        self.matrix.scroll_into_view_if_needed()
        root = self.find(".headlight.matrix")
        point = root.evaluate("(root, [row, column]) => root.__cell(row, column)", [row, column])
        return point["x"], point["y"]

    def sums(self, root: Locator, row: int, column: int) -> list[float]:
        """The numbers of the arithmetic below a figure, once it is that of this cell."""
        line = root.locator(f".sums[data-cell='{row}.{column}']")
        expect(line).to_be_visible()
        terms = line.locator(".term")
        while not (texts := terms.all_inner_texts()):  # between the two looks a rerun wrote it anew
            expect(terms.last).to_have_text(re.compile(r"\d"))
        parts = [re.sub(r"e\^", "", text) for text in texts]
        return [plain(found) for part in parts for found in re.findall(r"[−-]?\d[\d.]*(?:·10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?", part)]

    def click_cell(self, row: int, column: int) -> Screen:
        self.page.mouse.click(*self.cell(row, column))
        return self.wait_for_link(q=row, k=column)

    def pick(self, key: str, option: str) -> Screen:
        """Press an option of the segmented control whose key is `key`; a page that still moves under the pointer loses it."""
        self.settle()
        self.find(
            f".st-key-{key} button",
        ).filter(has_text=re.compile(f"^{re.escape(option)}$")).click()
        return self

    def pixel(self, x: float, y: float) -> tuple[int, ...]:
        picture = self.page.screenshot(clip={"x": int(x), "y": int(y), "width": 1, "height": 1})
        return Image.open(io.BytesIO(picture)).convert("RGB").getpixel((0, 0))
