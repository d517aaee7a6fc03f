"""Pictures and sounds that were handed in: kept by the hash of their bytes, which is what the link carries."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any

import streamlit as st
from cachetools import LRUCache

from model.errors import NotHandedIn

if TYPE_CHECKING:
    from model.trace.trace import Trace

SAMPLE = "sample"
_KEPT = 16
_CALLED = 60  # characters of a file's name that are kept
_lock = threading.Lock()


@st.cache_resource(show_spinner=False)
def _files() -> LRUCache:
    """hash -> (bytes, the file's own name) of the latest files, shared by the server's sessions as its traces are."""
    return LRUCache(_KEPT)


def keep(data: bytes, called: str) -> str:
    """Keep a file, `called` so by who handed it in, and return the name that the link gives it."""
    name = hashlib.sha256(data).hexdigest()[:16]
    with _lock:
        _files()[name] = data, called[:_CALLED]
    return name


def data(name: str) -> tuple[bytes, str]:
    """The bytes of a kept file and what it was called. Raises NotHandedIn for a link from another day or another computer."""
    with _lock:
        found = _files().get(name)
    if found is None:
        raise NotHandedIn()
    return found


def trace(model: Any, name: str, text: str, target: str | None) -> Trace:
    """Run a picture or a sound; `SAMPLE` is one drawn or synthesised here."""
    if model.reads == "sound":
        from model.checkpoints.media import sound

        sample = sound.speech_sample() or sound.sample_sound()
        samples, rate = sample if name == SAMPLE else sound.read_wav(*data(name))
        return sound.trace_sound(model, samples, target, rate=rate, name=name)
    from model.checkpoints.media import pictures

    picture = pictures.sample_picture() if name == SAMPLE else pictures.read_picture(*data(name))
    captions = model.tokenizer is not None and hasattr(model.module.config, "text_config")
    read = target if model.decodes else text if captions else None
    return pictures.trace_picture(model, picture, read or None)
