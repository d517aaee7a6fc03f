"""One visitor without a browser: what Streamlit's page sends over its websocket, and what comes back."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

LOOKS = (0.5, 4.0)  # s that a person looks at a page before the next one
PATIENCE = 120.0  # s, for a page that does not come


@dataclass
class Told:
    """What one visitor saw: seconds of every page switch by its page, and in words what went wrong."""

    switches: list[tuple[str, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def visit(
    url: str, number: int, until: float, pages: Sequence[str], models: Sequence[str], texts: Sequence[str]
) -> Told:
    """Open the app and go from page to page, model to model, until `until` (of `time.monotonic`); all at random, by `number`."""
    told, choose = Told(), random.Random(number)
    async with connect(
        f"{url.replace('http', 'ws', 1)}/_stcore/stream", subprotocols=["streamlit"], max_size=None
    ) as line:
        link = {"model": choose.choice(models), "text": choose.choice(texts), "lang": choose.choice(("en", "zh"))}
        while time.monotonic() < until:
            page = choose.choice(pages)
            if choose.random() < 0.3:
                link |= {"model": choose.choice(models), "text": choose.choice(texts)}
            begin = time.monotonic()
            await line.send(_asked(page, link))
            try:
                told.errors += [f"{page} {link}: {said}" for said in await asyncio.wait_for(_answer(line), PATIENCE)]
            except TimeoutError:
                told.errors.append(f"{page} {link}: nothing came within {PATIENCE:.0f} s")
                break
            told.switches.append((page, time.monotonic() - begin))
            await asyncio.sleep(choose.uniform(*LOOKS))
    return told


def _asked(page: str, link: dict[str, str]) -> bytes:
    """A run of the script for a page and its link, as the page in a browser asks for it."""
    message = BackMsg()
    message.rerun_script.page_name = page
    message.rerun_script.query_string = urlencode(link)
    return message.SerializeToString()


async def _answer(line: ClientConnection) -> list[str]:
    """Read until the run has ended; the exceptions and red sentences that it showed.

    A page may ask for another run before its own ends (a door, a switch): the answer is then the last one's.
    """
    wrong: list[str] = []
    while True:
        message = ForwardMsg()
        message.ParseFromString(await line.recv())
        kind = message.WhichOneof("type")
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            wrong += _wrong(message.delta.new_element)
        elif kind == "session_event" and message.session_event.WhichOneof("type") == "script_compilation_exception":
            wrong.append("the script does not compile")
        elif kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return wrong


def _wrong(element: Element) -> Iterator[str]:
    kind = element.WhichOneof("type")
    if kind == "exception":
        yield f"{element.exception.type}: {element.exception.message[:200]}"
    elif kind == "alert" and element.alert.format == element.alert.ERROR:
        yield element.alert.body[:200]
