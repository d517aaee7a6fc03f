"""The models that a session can choose from, with a card for each: ours, and what is found on this computer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from model.checkpoints import discovery, packages
from model.checkpoints.catalogue import shipped
from model.errors import NotAllowed
from viz.ui.language import in_card, say

if TYPE_CHECKING:
    from model.checkpoints.discovery import Entry

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EXAMPLES = {
    "masked": ("The capital of France is [MASK].", "The animal didn't cross the street because it was too tired."),
    "causal": ("Once upon a time", "The cat sat on the mat. The cat sat on the"),
    "seq2seq": ("The quick brown fox jumps over the lazy dog.", "I like cats."),
    "t5": ("summarize: The quick brown fox jumps over the lazy dog.", "translate English to German: I like cats."),
}
_MASKED = {
    "bert",
    "roberta",
    "distilbert",
    "albert",
    "electra",
    "modernbert",
    "mpnet",
    "deberta",
    "deberta-v2",
    "xlnet",
    "xlm",
}
_FOREIGN = "Seq2Seq"  # a stranger's own encoder–decoder: one text in, one out
_SEQ2SEQ = {_FOREIGN, "bart", "mbart", "pegasus", "marian", "m2m_100"}


@st.cache_resource(ttl=20, show_spinner=False)
def found() -> dict[str, Entry]:
    """Name -> what was found; looked for again after 20 s, so that a folder copied meanwhile appears."""
    return discovery.found()


def entry(name: str) -> Entry | None:
    return found().get(name)


def names(chosen: str) -> list[str]:
    """What the list offers; a path that was typed stands at its end."""
    return [*found(), *([chosen] if chosen not in found() else [])]


def title(name: str) -> str:
    known = entry(name)
    if known is None:
        return Path(name).name or name
    return in_card(shipped()[name]["title"]) if name in shipped() else known.title


def is_ours(name: str) -> bool:
    """Whether the model reads with our own tokenizer, which names unknown words."""
    known = entry(name)
    return known is not None and known.family == "headlight"


def writes(name: str) -> bool:
    """Whether the model is an encoder–decoder, as far as its family tells before it is opened."""
    known = entry(name)
    return known is None or known.family in _SEQ2SEQ | {"t5", "mt5", "whisper", "headlight"}


def continues(name: str) -> bool:
    """Whether the model may be a decoder that goes on with its text."""
    known = entry(name)
    return known is None or known.family not in _SEQ2SEQ | _MASKED | {"t5", "mt5"}


def takes_more(name: str) -> bool:
    """Whether the model may take more than a text and a target."""
    known = entry(name)
    return known is None or known.family not in (_FOREIGN, "headlight")


def reads_captions(name: str) -> bool:
    """Whether a picture is read together with a text."""
    known = entry(name)
    return known is not None and known.family == "clip"


def openable(name: str) -> bool:
    """Whether a name out of a link is worth trying: one that is listed, or a folder or file that may be read."""
    return name in found() or (("/" in name or "\\" in name) and len(name) < 1000)


def confined() -> bool:
    """Whether others than this computer are served, who may then open nothing outside the configured folders."""
    return st.get_option("server.address") not in _LOOPBACK


def trace_path(name: str) -> Path:
    """The file of a saved trace. Raises NotAllowed."""
    known = entry(name)
    if known is None and confined() and not discovery.allowed(name):
        raise NotAllowed(path=name)
    return known.path if known is not None else Path(name).expanduser()


def is_trace(name: str) -> bool:
    known = entry(name)
    return known.kind == "trace" if known else name.endswith(".safetensors")


def card(name: str) -> dict[str, Any]:
    """Title, examples and scores; what no card tells is empty. Read without opening the model."""
    if name in shipped():
        return shipped()[name]
    known = entry(name)
    told = packages.installed().get(name) if known is not None and known.kind == "package" else None
    if told is not None:
        return {"title": told[0].title, "examples": list(told[0].examples), "test": {}, "notice": told[0].notice,
                "head": told[0].head, "reads": told[0].reads}  # fmt: skip
    family = known.family if known else ""
    kind = (
        "t5"
        if family in ("t5", "mt5")
        else "masked"
        if family in _MASKED
        else "seq2seq"
        if family in _SEQ2SEQ
        else "causal"
    )
    reads = known.reads if known else "text"
    examples = list(_EXAMPLES[kind]) if reads == "text" else []
    return {"title": title(name), "examples": examples, "test": {}, "reads": reads}


def described(name: str) -> str:
    """One line for the list: the title, and what it is where that is no model to run."""
    return f"{title(name)} · {say('kind.trace')}" if is_trace(name) else title(name)
