"""What the server does once, before anybody is there: torch imported ahead, and traps of its libraries set right."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from model.errors import HeadlightError, LacksPackage
from viz.ui import language, tile_server
from viz.ui.components import plotly_script, scripts
from viz.ui.state import memory_budget


def in_session() -> bool:
    """Whether this run of app.py is for a person's page, and not the server reading it at its start."""
    return get_script_run_ctx(suppress_warning=True) is not None


def _import_ahead() -> None:
    """Import torch and open the first model while the browser still loads the page; a failure shows up there. Then what
    killed servers left half made is removed."""
    from model.checkpoints.convert import convert
    from model.checkpoints.disk.shipped import shipped
    from viz.base import chart_schema
    from viz.ui.state import model_cache

    chart_schema.lighten()
    freeze_modules()
    for name in list(shipped())[:1]:
        model_cache.open_ahead(name)
    convert.sweep()


_MANY = 50  # modules more than at the last time, and it is worth doing again
_AGAIN = 60.0  # s, until what is frozen is looked through for models and runs that have become garbage
_settled, _frozen_at = 0, -float("inf")


def freeze_modules() -> None:
    """Take what imported modules hold out of the garbage collector's sight, where many have come since the last time.

    Streamlit collects garbage after every run of a page and of a fragment, and nothing else runs meanwhile: 0.2 s with torch,
    pandas and transformers, whose objects stay for good. A model that was open is frozen with them, and one in a cycle would
    stay for good too: while there is anything that the memory's budget has let go of, all is looked through again.
    """
    global _settled, _frozen_at
    now, many = time.monotonic(), len(sys.modules) - _settled >= _MANY
    if not many and (now - _frozen_at < _AGAIN or not memory_budget.shared().held_elsewhere()):
        return
    _settled, _frozen_at = len(sys.modules), now
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def run(page: StreamlitPage) -> None:
    """Run a page; what a part of it did not foresee is one sentence where the rest would have been."""
    try:
        page.run()
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
    except ModuleNotFoundError as error:
        lacking = LacksPackage.of(error)
        if lacking is None:  # a fault of ours, of which the log tells
            raise
        st.error(language.explain(lacking), icon=":material/error:")


def routes() -> list[Route]:
    """What the app's server answers besides Streamlit's own."""
    return [*tile_server.routes(), *scripts.routes(), *plotly_script.routes()]


def middleware() -> list[Middleware]:
    """What every request passes first: the names that this server answers to (server.allowedHosts), as its sockets ask too.

    Else a page elsewhere whose name was made to lead here could read what the routes give.
    """
    hosts = list(st.get_option("server.allowedHosts") or ["*"])
    return [Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)]


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[None]:
    """Runs around the server's life."""
    # A folder named pages/ switches Streamlit's old multipage mode on until st.navigation has run once, and the first
    # visitor's deep link would be answered with a "Page not found" dialog.
    PagesManager.uses_pages_directory = False
    threading.Thread(target=_import_ahead, daemon=True).start()
    yield
