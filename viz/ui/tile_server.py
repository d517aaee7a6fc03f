"""What the map fetches while it is looked at: tiles and rows of a head, by Streamlit's own server, under a secret name.

A session asks for a `Ticket` of its run. The ticket lives in the session and is dropped with it, or when the session turns
to another run; its token, which nobody can guess, is then unknown here. Nothing is computed before it is asked for.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from model.errors import HeadlightError, UnknownOption
from viz.ui.state import memory_budget

if TYPE_CHECKING:
    from model.trace.trace import Trace

PATH = "/headlight/map"
_DIGITS = 9
# Streamlit's sockets hold back a second small packet until the first is acknowledged, 40 ms later; closing sends it now.
_HEADERS = {
    "Cache-Control": "private, max-age=3600, immutable", "X-Content-Type-Options": "nosniff", "Connection": "close",
}  # fmt: skip


class Ticket:
    """One run that one session may fetch from, while a browser is connected to it."""

    def __init__(self, trace: Trace) -> None:
        self.trace, self.token = trace, secrets.token_urlsafe(24)
        context = get_script_run_ctx(suppress_warning=True)
        self._session = context.session_id if context is not None else ""
        _tickets[self.token] = self

    @property
    def is_open(self) -> bool:
        """Streamlit keeps a session that was left for minutes, in case it comes back; its token is worth nothing meanwhile."""
        return not Runtime.exists() or Runtime.instance().is_active_session(self._session)


_tickets: WeakValueDictionary[str, Ticket] = WeakValueDictionary()
# One piece of work of a kind at a time: more would only share the cores.
_lock, _profile_lock = threading.Lock(), threading.Lock()


def token(trace: Trace) -> str:
    """This session's token for a run; the one before is forgotten."""
    held = st.session_state.get("map-ticket")
    if held is None or held.trace is not trace:
        held = st.session_state["map-ticket"] = Ticket(trace)
    return held.token


def address(trace: Trace, site: object, head: int | None = None) -> str:
    """Where a browser asks for a site, or for one of its heads: to be continued with what a route says."""
    return "/".join((PATH.lstrip("/"), token(trace), str(site), *([] if head is None else [str(head)])))


def _strip(ticket: Ticket, site: str, head: int, how: str, level: int, row: int) -> bytes:
    """A row of tiles as bytes, kept for its neighbours: they come from the same rows of weights."""
    from model.attention import tiles

    key = (ticket.token, site, head, how if level else "", level, row)
    with _lock:
        return memory_budget.shared().get(
            "pictures", ("tiles", *key),
            lambda: tiles.strip(ticket.trace.record(site), head, level, row, how).packed().numpy().tobytes(), len,
        )  # fmt: skip


def tile(ticket: Ticket, site: str, head: int, how: str, level: int, row: int, column: int) -> bytes:
    """uint8 [r, c], row by row, r and c at most 256. Raises HeadlightError where there is no such tile."""
    from model.attention import tiles
    from model.errors import OutOfRange

    record = ticket.trace.record(site)
    packed = _strip(ticket, site, head, how, level, row)
    wide = -(-record.keys // (1 << level))
    last = -(-wide // tiles.SIDE) - 1
    first = OutOfRange.check("Column of tiles", column, last) * tiles.SIDE
    if last == 0:
        return packed
    stop = min(wide, first + tiles.SIDE)
    return b"".join(packed[r + first : r + stop] for r in range(0, len(packed), wide))


def row(ticket: Ticket, site: str, head: int, index: int) -> bytes:
    """float32: what query `index` attends to."""
    from model.attention import rows as head_rows

    with _profile_lock:
        return head_rows.row(ticket.trace.record(site), head, index).float().numpy().tobytes()


def column(ticket: Ticket, site: str, head: int, index: int) -> bytes:
    """float32: who attends to key `index`."""
    from model.attention import rows as head_rows

    with _profile_lock:
        return head_rows.column(ticket.trace.record(site), head, index).float().numpy().tobytes()


def cell(ticket: Ticket, site: str, head: int, row: int, column: int) -> bytes:
    """float64: product, scale, score, log-sum-exp and weight of one query and key."""
    from model.steps.weight import attention_weight as one

    return one(ticket.trace.record(site), head, row, column).numbers().tobytes()


def _number(what: str, text: str) -> int:
    """Python reads no more than 4,300 digits. Raises UnknownOption."""
    if not re.fullmatch(f"[0-9]{{1,{_DIGITS}}}", text):
        raise UnknownOption(what=what, got=text, allowed=f"0 to {10**_DIGITS - 1:,}")
    return int(text)


def _route(path: str, work: Callable[..., bytes], *names: str) -> Route:
    """`work` of a ticket's run, given what the address says of `names`, numbers but for `how`; refused in one sentence."""

    async def answer(request: Request) -> Response:
        given = request.path_params
        ticket = _tickets.get(given["token"])
        if ticket is None or not ticket.is_open:
            return PlainTextResponse("This map is not open any more.", 404)
        try:
            told = (given[name] if name == "how" else _number(name, given[name]) for name in ("head", *names))
            found = await run_in_threadpool(work, ticket, given["site"], *told)
        except HeadlightError as error:
            return PlainTextResponse(str(error), 400)
        return Response(found, media_type="application/octet-stream", headers=_HEADERS)

    return Route(f"{PATH}/{{token}}/{{site}}/{{head}}/{path}", answer)


def routes() -> list[Route]:
    """For `st.App(routes=…)`; the address lacks nothing but what is told by the page."""
    return [
        _route("tile/{how}/{level}/{row}/{column}", tile, "how", "level", "row", "column"),
        _route("row/{index}", row, "index"),
        _route("column/{index}", column, "index"),
        _route("cell/{row}/{column}", cell, "row", "column"),
    ]
