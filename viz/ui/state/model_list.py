"""The models that a session can choose from, with a card for each: ours, and what is found on this computer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from model.checkpoints.disk import cost, discovery, families, packages
from model.checkpoints.disk.card import card_of, example_of
from model.checkpoints.disk.discovery import Entry
from model.checkpoints.disk.families.usual_texts import EXAMPLES, TWO_TEXTS
from model.checkpoints.disk.files import newest
from model.checkpoints.disk.headers import config_of
from model.checkpoints.disk.shipped import shipped
from model.checkpoints.disk.tasks import own_task, task_of
from model.errors import HeadlightError, NotAllowed
from model.families import random_title_of
from viz.base.numbers import size
from viz.ui.language import in_card, say

# Packages whose head has its answer in part of the rows only: those behind this token, about keys before it.
_ROWS_AFTER = {"rxnmapper": ">>"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FOREIGN = "Seq2Seq"  # a stranger's own encoder–decoder: one text in, one out
_OURS = "headlight"


@st.cache_resource(ttl=20, show_spinner=False)
def found() -> dict[str, Entry]:
    """Name -> what was found; looked for again after 20 s, so that a folder copied meanwhile appears."""
    return discovery.discover(confined())


def entry(name: str) -> Entry | None:
    """What is known of a listed name, or of the folder that lies at a path that was typed."""
    return found().get(name) or (_typed(name) if _is_path(name) else None)


def place(name: str) -> Path | None:
    """The path that a name may mean, None where it means none or where this server may not look."""
    try:
        path = discovery.expanded(name)
        path.exists()
    except (OSError, RuntimeError, ValueError):
        return None
    return path if not confined() or discovery.allowed(path) else None


def _is_path(name: str) -> bool:
    return ("/" in name or "\\" in name) and len(name) < 1000 and name.isprintable()


@st.cache_resource(ttl=20, max_entries=64, show_spinner=False)
def _typed(name: str) -> Entry | None:
    folder = place(name)
    if folder is None:
        return None
    title, folder = discovery.called(folder), newest(folder)
    try:
        family = config_of(folder).get("model_type")
        if (folder / "card.json").is_file() and (folder / "vocabulary.json").is_file():
            family = "headlight"
    except (OSError, ValueError):
        return None
    family = families.family_of(str(family)) if family else None
    reads = families.rules_of(str(family)).reads
    return Entry(name, "folder", folder, str(family), title, discovery.size_of(folder), reads=reads) if family else None


def names(chosen: str) -> list[str]:
    """What the list offers; a path that was typed stands at its end."""
    return [*found(), *([chosen] if chosen not in found() else [])]


def title(name: str) -> str:
    if made := random_title_of(name):
        return say("families.open_small", family=made)
    known = entry(name)
    if known is None:
        return Path(name).name or name
    if known.kind == "package":
        return say(f"package.{name}")
    if name in shipped():
        return in_card(shipped()[name]["title"])
    alike = sum(other.title == known.title for other in found().values()) > (name in found())
    return f"{known.title} · {known.path.parent.name}/{known.path.name}" if alike else known.title


def is_ours(name: str) -> bool:
    """Whether the model reads with our own tokenizer, which names unknown words."""
    known = entry(name)
    return known is not None and known.family == "headlight"


def writes(name: str) -> bool:
    """Whether the model is an encoder–decoder, as far as its family tells before it is opened."""
    known = entry(name)
    return known is None or _architecture(known) == "encoder-decoder"


def continues(name: str) -> bool:
    """Whether the model may be a decoder that goes on with its text."""
    known = entry(name)
    return known is None or _architecture(known) == "decoder"


def _architecture(known: Entry) -> str:
    """Of a family outside the registry "decoder", because only the opened model tells."""
    if known.family == _FOREIGN:
        return "encoder-decoder"
    if known.family == _OURS:
        return {"causal": "decoder", "masked": "encoder"}.get(task(known.name), "encoder-decoder")
    family = families.entry(known.family)
    return family.architecture if family is not None else "decoder"


@st.cache_resource(ttl=20, max_entries=64, show_spinner=False)
def task(name: str) -> str:
    """What a folder's configuration says that its head does (`disk.tasks.TASKS`), before it is opened; "" where it doesn't."""
    known = entry(name)
    if known is None or not known.path.is_dir() or known.family == _FOREIGN:
        return ""
    try:
        told = config_of(known.path)
    except (OSError, ValueError):
        return ""
    if known.family == _OURS:
        return own_task(told)
    named = told.get("architectures")
    return task_of(str(named[0])) if isinstance(named, list) and named else ""


def reads_two(name: str) -> bool:
    """Whether the model's task is about two texts."""
    return task(name) in TWO_TEXTS


def takes_more(name: str) -> bool:
    """Whether the model may take more than a text and a target."""
    known = entry(name)
    return known is None or known.family not in (_FOREIGN, _OURS) or task(name) == "causal"


def languages(name: str) -> list[str]:
    """What a model of ours is asked to write, by its card, first the default; [] of one stack alone."""
    return list(card(name)["test"]) if writes(name) else []


def reads_captions(name: str) -> bool:
    """Whether a picture is read together with a text."""
    known = entry(name)
    return known is not None and _architecture(known) == "dual encoder"


def openable(name: str) -> bool:
    """Whether a name out of a link is worth trying: one that is listed, or a folder or file that may be read."""
    return name in found() or _is_path(name)


def typed(name: str) -> None:
    """Note that the person of this session typed a name: what a link names is never fetched from anywhere."""
    st.session_state["typed"] = {*st.session_state.get("typed", ()), name}


def may_fetch(name: str) -> bool:
    return name in st.session_state.get("typed", ())


def confined() -> bool:
    """Whether others than this computer are served, who may then open nothing outside the configured folders."""
    return st.get_option("server.address") not in _LOOPBACK


def trace_path(name: str) -> Path:
    """The file of a saved trace. Raises NotAllowed."""
    known = entry(name)
    if known is None and confined() and not discovery.allowed(name):
        raise NotAllowed(path=name)
    return known.path if known is not None else discovery.expanded(name)


def changed(name: str) -> tuple[tuple[str, int, int], ...]:
    """Name, time and size of every file of a model: other values are another model under the same name."""
    known = entry(name)
    if known is None or not known.path.exists():
        return ()
    files = sorted(known.path.iterdir()) if known.path.is_dir() else [known.path]
    told = [(file.name, file.stat()) for file in files if file.is_file()]
    return tuple((file, stat.st_mtime_ns, stat.st_size) for file, stat in told)


def is_trace(name: str) -> bool:
    known = entry(name)
    return known.kind == "trace" if known else name.endswith(".safetensors")


def card(name: str) -> dict[str, Any]:
    """Title, examples and scores; what no card tells is empty. Read without opening the model."""
    known = entry(name)
    if name in shipped():
        return {"test": {}, "reads": "text"} | shipped()[name]
    told = packages.installed().get(name) if known is not None and known.kind == "package" else None
    if told is not None:
        return {"title": title(name), "examples": list(told[0].examples), "test": {}, "notice": told[0].notice,
                "head": told[0].head, "rows_after": _ROWS_AFTER.get(name, ""), "reads": told[0].reads,
                "pair": told[0].pair}  # fmt: skip
    family = known.family if known else ""
    if is_trace(name):  # its input is in it
        return {"title": title(name), "examples": [], "test": {}, "reads": "text"}
    if known is not None and family == "headlight":
        return _own_card(known)
    if told := _card_beside(known):
        return {"title": known.title, "examples": [], "reads": "text"} | told | {"test": {}}
    reads = known.reads if known else "text"
    own = getattr(families.entry(family), "examples", ())
    usual = EXAMPLES.get(_architecture(known) if known else "decoder", ())
    head = task(name)
    second = dict(TWO_TEXTS.get(head, ()))
    gaps = head in ("", "masked")  # a gap is for a head that fills it, and the folder tells which it has
    examples = [text for text in second or own or usual if gaps or "[MASK]" not in text] if reads == "text" else []
    return {"title": title(name), "examples": examples, "test": {}, "reads": reads, "second": second}


def _card_beside(known: Entry | None) -> dict[str, Any]:
    """The card.json of a folder of the library, where it has one that says what a card says; else {}."""
    try:
        return card_of(known.path) if known is not None and (known.path / "card.json").is_file() else {}
    except (OSError, ValueError):
        return {}


def _own_card(known: Entry) -> dict[str, Any]:
    """The card of a checkpoint of ours that does not ship; what it lacks is empty."""
    try:
        told = card_of(known.path)
        told = told if told.get("examples") else told | {"examples": [example_of(known.path)]}
    except (OSError, ValueError):  # opening the model says it
        told = {}
    scores = told.get("test") or dict.fromkeys(told.get("languages") or ())
    return {"title": known.title, "examples": [], "reads": "text"} | told | {"test": scores}


def described(name: str) -> str:
    """One line for the list: the title, and what it is where that is no model to run."""
    return f"{title(name)} · {say('kind.trace')}" if is_trace(name) else title(name)


def about(path: Path, on_disk: int | None = None) -> str:
    """What loading a folder or file takes; "" where its headers do not tell."""
    try:
        found = cost.before_loading(path)
    except (HeadlightError, ValueError, OSError):
        return "" if on_disk is None else size(on_disk)
    memory, seconds = size(found.weight_bytes), f"{max(1, round(found.seconds))}"
    if found.parameters is None:
        there = size(path.stat().st_size if on_disk is None else on_disk)
        return say("models.cost_file", size=there, memory=memory, seconds=seconds)
    return say("models.cost", parameters=f"{found.parameters / 1e6:,.3g}", memory=memory, seconds=seconds)
