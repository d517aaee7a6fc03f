"""plotly.js for the component `curves`: the file that the package plotly brings, handed out by the app's own server."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

PATH = "/headlight/plotly"
_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


@cache
def address() -> str:
    """Below the app's own address, with the version, so that it may be kept for ever."""
    try:
        return f"{PATH.lstrip('/')}/{version('plotly')}.js"
    except PackageNotFoundError:
        return f"{PATH.lstrip('/')}/none.js"


@cache
def _file() -> Path | None:
    found = find_spec("plotly")
    path = None if found is None else Path(str(found.origin)).parent / "package_data" / "plotly.min.js"
    return path if path is not None and path.is_file() else None


async def _answer(request: Request) -> Response:
    if _file() is None or request.url.path.rsplit("/", 1)[-1] != address().rsplit("/", 1)[-1]:
        return PlainTextResponse("There is no such script.", 404)
    return FileResponse(_file(), media_type="text/javascript", headers=_HEADERS)


def routes() -> list[Route]:
    """For `st.App(routes=…)`."""
    return [Route(f"{PATH}/{{file}}", _answer)]
