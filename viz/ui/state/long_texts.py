"""Texts that are too long for a link: the link says what it leaves out, and this server keeps the latest of them."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping

import streamlit as st
from cachetools import LRUCache

from viz.base.shorten import END, shorten

# The fields of the view that a person writes; in the link they have the same names.
TEXTS = ("text", "target", "pair", "other", "hand", "against")
READ = ("text", "target", "pair")  # whose tokens the selected cell is of
LONGEST = 2000  # characters: longer ones make an address that browsers and proxies refuse
_KEPT_CHARACTERS = 4_000_000
_SHOWN = 40
_lock = threading.Lock()
_MARK = re.compile(r"([0-9]{1,9})\.([0-9a-f]{16})\.(.{0,40})", re.DOTALL)


@st.cache_resource(show_spinner=False)
def _texts() -> LRUCache:
    """hash -> text of the latest long texts, shared by the server's sessions as its files and traces are."""
    most = _KEPT_CHARACTERS
    return LRUCache(most, lambda text: min(len(text), most))


def _keep(text: str) -> str:
    name = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    with _lock:
        _texts()[name] = text
    return name


def cut(values: Mapping[str, str]) -> dict[str, str]:
    """The texts among `values` that no link carries."""
    return {name: values[name] for name in TEXTS if len(values.get(name, "")) > LONGEST}


def shortened(values: Mapping[str, str]) -> dict[str, str]:
    """`values` as a link carries them: for a long text stands `text_cut`, its length, its hash and its first characters."""
    long = cut(values)
    kept = {name: value for name, value in values.items() if name not in long and len(value) <= LONGEST}
    return kept | {
        f"{name}_cut": f"{len(text)}.{_keep(text)}.{shorten(text, _SHOWN).removesuffix(END)}"
        for name, text in long.items()
    }


def restored(link: Mapping[str, str]) -> tuple[dict[str, str], list[tuple[str, int, str]]]:
    """(texts that a link left out and that are still here, those that are not: field, length and first characters)."""
    found, lost = {}, []
    for name in TEXTS:
        mark = _MARK.fullmatch(link.get(f"{name}_cut", ""))
        if mark is None or name in link:
            continue
        with _lock:
            text = _texts().get(mark[2])
        if text is not None:
            found[name] = text
        else:
            lost.append((name, int(mark[1]), mark[3]))
    return found, lost
