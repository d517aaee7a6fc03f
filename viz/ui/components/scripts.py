"""The components' scripts: ES modules that the app's own server hands out, under an address that tells their content.

Streamlit sends a script that is passed inline along with everything a component is told, 40 to 60 kB each time. What is
passed here is two lines that import a component's main.js and the modules that it needs; the browser fetches each once.
Where the app was started without these routes, the same modules are passed inline and linked in the page.
"""

from __future__ import annotations

import functools
import hashlib
import json
import posixpath
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from viz.base import palette

PATH = "/headlight/components"
FOLDER = Path(__file__).parent
# The address tells the content, so that it may be kept for ever. `Connection`: see `tile_server`.
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff", "Connection": "close",
}  # fmt: skip
_IMPORT = re.compile(r'^(import \{[^}]+\} from )"(\.[^"]+)";$', re.MULTILINE)

_served: list[Route] = []


@functools.cache
def modules() -> dict[str, str]:
    """Path below this folder -> text, of every module; shared/palette.js is made of viz/base/palette.py and lies in no file.

    Read once: the addresses tell this content, also when other files are put in the place of these under a running server.
    """
    files = sorted(FOLDER.rglob("*.js"))
    made = {"shared/palette.js": f"export const PALETTE = {json.dumps(palette.tables())};\n"}
    return made | {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in files}


@functools.cache
def version() -> str:
    """What the addresses of these modules have in common, and no other release's have: imports are relative to it."""
    return hashlib.blake2b(json.dumps(modules()).encode(), digest_size=9).hexdigest()


def resolve(file: str, name: str) -> str:
    """The module that `file` means by "./draw.js" or "../shared/dom.js"."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), name))


def imports(file: str) -> list[str]:
    """The modules that a module imports."""
    return [resolve(file, name) for _, name in _IMPORT.findall(modules()[file])]


def in_order(entry: str) -> list[str]:
    """A module and all that it needs, each after those that it imports."""
    found: dict[str, None] = {}
    for needed in imports(entry):
        found |= dict.fromkeys(in_order(needed))
    return [*found, entry]


def loader(entry: str) -> str:
    """What a component is given as its script: its module `entry` from the server, or itself where none serves it."""
    if not _served:
        return _linked(entry)
    # All are asked for at once: left to their imports they would be fetched level by level. The address is that of the
    # page: an app may live below a path of its server.
    files = json.dumps([entry, *in_order(entry)[:-1]])
    address = f'new URL("{PATH.lstrip("/")}/{version()}/" + file, document.baseURI)'
    return f"""
const [main] = await Promise.all({files}.map((file) => import({address})));
export default main.default;
"""


def _linked(entry: str) -> str:
    """The modules as texts that become modules in the page: each imports the ones before it by the names they get there."""
    texts = {
        file: _IMPORT.sub(lambda found, file=file: f'{found[1]}"{resolve(file, found[2])}";', modules()[file])
        for file in in_order(entry)
    }
    return f"""
const texts = {json.dumps(texts)};
const made = {{}};
for (const [file, text] of Object.entries(texts)) {{
  const linked = text.replace(/^(import .* from )"(.*)";$/gm, (_, start, name) => `${{start}}"${{made[name]}}";`);
  made[file] = URL.createObjectURL(new Blob([linked], {{ type: "text/javascript" }}));
}}
const {{ default: component }} = await import(made["{entry}"]);
export default component;
"""


async def _answer(request: Request) -> Response:
    asked = request.path_params
    module = modules().get(asked["file"]) if asked["version"] == version() else None
    if module is None:
        return PlainTextResponse("There is no such script.", 404)
    return Response(module, media_type="text/javascript", headers=_HEADERS)


def routes() -> list[Route]:
    """For `st.App(routes=…)`."""
    if not _served:
        _served.append(Route(f"{PATH}/{{version}}/{{file:path}}", _answer))
    return _served
