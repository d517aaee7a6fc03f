"""The components' scripts as files of the app's own server: the browser fetches each once, not with every change of a page.

Streamlit sends a script that is passed inline along with everything a component is told, 40 to 60 kB each time. What is
passed here is two lines that import the file; where the app was started without these routes, the script itself.
"""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

PATH = "/headlight/components"
# The name tells the content, so that it may be kept for ever. `Connection`: see `tile_server`.
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff", "Connection": "close",
}  # fmt: skip

_scripts: dict[str, str] = {}
_served: list[Route] = []


def passed(name: str, script: str) -> str:
    """What a component is given as its script."""
    if not _served:
        return script
    file = f"{name}-{hashlib.blake2b(script.encode(), digest_size=9).hexdigest()}.js"
    _scripts[file] = script
    # The address is that of the page: an app may live below a path of its server.
    address = f'new URL("{PATH.lstrip("/")}/{file}", document.baseURI)'
    return f"const {{ default: component }} = await import({address});\nexport default component;\n"


async def _answer(request: Request) -> Response:
    script = _scripts.get(request.path_params["file"])
    if script is None:
        return PlainTextResponse("There is no such script.", 404)
    return Response(script, media_type="text/javascript", headers=_HEADERS)


def routes() -> list[Route]:
    """For `st.App(routes=…)`."""
    if not _served:
        _served.append(Route(f"{PATH}/{{file}}", _answer))
    return _served
