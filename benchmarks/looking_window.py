"""What a page costs the browser: bytes that came, memory, nodes, and when its picture was there."""

from __future__ import annotations

import base64
import os
import signal
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer

from playwright.sync_api import CDPSession, Page, Route

from benchmarks.window import fresh_page, launched

# What BertViz's pages fetch: part of the address -> the package of npm, and the file in it.
CDN = {
    "require.js": ("requirejs-*.tgz", "package/require.js"),
    "d3": ("d3-5*.tgz", "package/dist/d3.min.js"),
    "jquery": ("jquery-2*.tgz", "package/dist/jquery.min.js"),
}
# Look again and again until `ready` holds, then until the next frame is painted -> ms since the navigation.
SEEN = """async (ready) => {
  const holds = new Function(`return (${ready})`), frame = () => new Promise((next) => requestAnimationFrame(next));
  while (!holds()) await new Promise((next) => setTimeout(next, 20));
  await frame();
  await new Promise((next) => setTimeout(next));
  return performance.now();
}"""


class Watched:
    """A page, and what came over its wire since `restart`."""

    def __init__(self, page: Page, browser: CDPSession) -> None:
        self.page, self.browser = page, browser
        self.fetched = self.socket = 0
        self.tools = page.context.new_cdp_session(page)
        self.tools.on("Network.loadingFinished", self._loaded)
        self.tools.on("Network.webSocketFrameReceived", self._frame)
        self.tools.send("Network.enable", {"maxTotalBufferSize": 1, "maxResourceBufferSize": 1})
        self.tools.send("Performance.enable")

    def _loaded(self, event: dict) -> None:
        self.fetched += int(event["encodedDataLength"])

    def _frame(self, event: dict) -> None:
        frame = event["response"]
        data = frame["payloadData"]
        self.socket += len(base64.b64decode(data)) if frame["opcode"] == 2 else len(data.encode())

    def restart(self) -> None:
        self.page.wait_for_timeout(50)  # what has come is told
        self.fetched = self.socket = 0

    def cost(self) -> dict[str, float]:
        """heap: bytes of JavaScript in use; resident: bytes of the page's process; nodes: of the document and in shadows."""
        self.tools.send("HeapProfiler.collectGarbage")
        found = {item["name"]: item["value"] for item in self.tools.send("Performance.getMetrics")["metrics"]}
        return {
            "bytes": self.fetched + self.socket, "socket": self.socket, "heap": found["JSHeapUsedSize"],
            "resident": self._resident(), "nodes": found["Nodes"],
        }  # fmt: skip

    def _resident(self) -> int:
        """The page's process is the largest of those that draw pages: this browser has no other page."""
        told = self.browser.send("SystemInfo.getProcessInfo")["processInfo"]
        return max((status(item["id"], "VmRSS") for item in told if item["type"] == "renderer"), default=0)


def status(process: int, name: str) -> int:
    """Bytes that the kernel reports for a process, 0 where it does not."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


@contextmanager
def watched(patience: int) -> Iterator[Watched]:
    """A page of a browser of its own, so that nothing is left of the one before. patience: ms until a wait is given up."""
    with launched() as browser, fresh_page(browser) as page:
        page.goto("about:blank")
        page.set_default_timeout(patience)
        yield Watched(page, browser.new_browser_cdp_session())


@contextmanager
def ending_after(seconds: float, told: Callable[[], None]) -> Iterator[None]:
    """Ends the pages of this process's browser once the time is over, and says so first: a page that builds millions of
    elements answers nobody, so that no wait for it ends by itself."""

    def end() -> None:
        told()
        for renderer in _renderers():
            with suppress(ProcessLookupError):
                os.kill(renderer, signal.SIGKILL)

    timer = Timer(seconds, end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _renderers() -> list[int]:
    """The processes that draw the pages of browsers which this process has started."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text(encoding="utf-8").rpartition(")")[2].split()[1])

    def ours(process: int) -> bool:
        while process in parents:
            if process == os.getpid():
                return True
            process = parents[process]
        return False

    found = []
    for process in filter(ours, list(parents)):
        with suppress(OSError):
            if b"--type=renderer" in Path(f"/proc/{process}/cmdline").read_bytes():
                found.append(process)
    return found


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A web server of this computer over a folder -> its URL."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing: what is fetched is measured in the browser."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def scripts(folder: Path | None) -> dict[str, bytes]:
    """BertViz's scripts out of npm's packages in `folder`; {} where one is missing."""
    found = {}
    for name, (package, member) in CDN.items():
        files = sorted(folder.glob(package)) if folder else []
        if not files:
            return {}
        with tarfile.open(files[-1]) as archive:
            found[name] = archive.extractfile(member).read()  # type: ignore[union-attr]
    return found


def serve_scripts(page: Page, known: dict[str, bytes]) -> None:
    """Answer for the content network; everything else that is not of this computer is refused."""

    def answer(route: Route) -> None:
        address = route.request.url
        body = next((text for name, text in known.items() if f"/{name}/" in address), None)
        if body is None:
            route.abort()
        else:
            route.fulfill(body=body, content_type="text/javascript")

    page.route(lambda address: not address.startswith("http://127.0.0.1"), answer)
