"""The card of a checkpoint that is not ours: what its configuration, its weights and its tokenizer say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from viz.base import tokens
from viz.ui.language import in_card, say
from viz.ui.model_card import trained
from viz.ui.shared import page_text
from viz.ui.shared.page_text import code
from viz.ui.state import model_list, view

if TYPE_CHECKING:
    from model.checkpoints.library.describe import Description
    from model.checkpoints.library.library_model import HuggingFaceModel

_ROWS = 5000


def show(model: HuggingFaceModel) -> None:
    """Facts, parameters of each part, what is random, vocabulary."""
    from model.checkpoints.library.describe import describe
    from model.checkpoints.tokens.encode import vocabulary

    facts = describe(model)
    card = model_list.card(view.current().model)
    st.markdown(f"### {in_card(card['title'])}\n{in_card(card.get('description', ''))}")
    trained.scores(card, facts.vocabulary or 0)
    _fresh(facts)
    left, middle, right = st.columns(3)
    left.metric(say("card.parameters"), f"{facts.parameters:,}")
    middle.metric(_layers(facts), _numbers(facts.layers) or "–")
    right.metric(say("card.heads"), _numbers(facts.heads) or "–")
    with st.container(key="figures"):
        left, right = st.columns([6, 5], gap="large")
    rows = {name: value for name, value in _facts(model, facts).items() if value}
    table = pd.DataFrame({say("card.fact"): rows.keys(), say("card.value"): rows.values()})
    left.dataframe(table, hide_index=True, height="content")
    known = model_list.entry(view.current().model)
    left.caption(f"{say('card.place')} {code(str(known.path if known else model.name))}")  # a cell would cut it
    with right:
        _parts(facts)
        _unused(facts)
        trained.curve(card)
    trained.data(card)
    if model.tokenizer is not None:  # a classifier's own `vocabulary` is its classes
        known = vocabulary(model.tokenizer)
        page_text.heading("card.tokens", "card.words_search", small=True, n=f"{len(known):,}")
        _by_id(known)
    elif len(model.labels) > 1:  # of pictures or sounds
        page_text.heading("card.classes", what="", small=True)
        _by_id(model.labels)


def shares(model: HuggingFaceModel) -> bool:
    """Whether several of its heads share keys and values, or see no further than a window."""
    from model.checkpoints.library.describe import describe

    facts = describe(model)
    return facts.kv_heads != facts.heads or facts.window is not None


def show_foreign(model: Any) -> None:
    """The card of somebody's own module: what can be said of any, and the parameters of its parts."""
    st.markdown(f"### {in_card(model_list.card(view.current().model)['title'])}")
    sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in model.module.named_children()}
    st.metric(say("card.parameters"), f"{sum(p.numel() for p in model.module.parameters()):,}")
    known = model_list.entry(view.current().model)
    rows = {
        say("card.class"): type(model.module).__name__,
        say("card.max_length"): _number(model.max_length),
        say("card.licence"): known.licence if known else "",
        say("card.hash"): f"{model.weights_hash}…",
    }
    table = pd.DataFrame({say("card.fact"): rows.keys(), say("card.value"): rows.values()})
    st.dataframe(table, hide_index=True, height="content", width=640)
    parts = pd.DataFrame({say("card.part"): sizes.keys(), say("card.parameters"): [f"{n:,}" for n in sizes.values()]})
    st.dataframe(parts, hide_index=True, height="content", width=640)


def _facts(model: HuggingFaceModel, facts: Description) -> dict[str, str]:
    known = model_list.entry(view.current().model)
    kv = f" ({say('card.kv_heads', n=_numbers(facts.kv_heads))})" if facts.kv_heads != facts.heads else ""
    return {
        say("card.family"): facts.family,
        say("card.class"): facts.class_name,
        say("card.task"): _task(facts),
        say("card.classes"): _classes(model, facts),
        say("card.attention"): _each(say(f"attention.{kind.replace('-', '_')}") for kind in facts.attention) + kv,
        say("card.window"): f"{facts.window:,}" if facts.window else "",
        say("card.positions"): _each(say(f"positions.{kind}") for kind in facts.positions),
        "d_model": _numbers(facts.d_model),
        "d_k": _numbers(facts.d_k),
        "d_ff": _numbers(facts.d_ff),
        say("card.vocabulary"): _number(facts.vocabulary),
        say("card.max_length" if facts.reads == "text" else "card.max_text"): _number(facts.max_length),
        say("card.dtype"): facts.dtype,
        say("card.device"): model.device if model.device != "cpu" else "",
        say("card.licence"): known.licence if known else "",
        say("card.hash"): f"{model.weights_hash}…",
    }


def _layers(facts: Description) -> str:
    """What the numbers of layers are of, where there are two; all other pairs of numbers stand in this order."""
    if len(facts.layers) < 2:
        return say("card.layers_short")
    return say("card.layers_towers" if facts.reads == "both" else "card.layers")


def _task(facts: Description) -> str:
    """What it is for, where that is not of texts in the words of what it reads."""
    own = facts.reads != "text" and facts.task in ("embedding", "seq2seq", "tagging")
    return say(f"task.{facts.task}_{facts.reads}" if own else f"task.{facts.task}")


def _classes(model: HuggingFaceModel, facts: Description) -> str:
    """The first names of a classifier's classes; a score has none."""
    names = model.labels if facts.task == "classification" else ()
    return ", ".join(names[:6]) + (f" … ({len(names):,})" if len(names) > 6 else "")


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _numbers(values: tuple[int, ...]) -> str:
    return _each(f"{value:,}" for value in values)


def _each(values: Iterable[str]) -> str:
    """One of each stack, in the order in which they are run."""
    return " + ".join(values)


def _fresh(facts: Description) -> None:
    """Layers that no file filled are random, and say nothing about the checkpoint."""
    if facts.fresh:
        shown = ", ".join(f"`{name}`" for name in facts.fresh[:6]) + (" …" if len(facts.fresh) > 6 else "")
        st.warning(say("card.fresh", n=len(facts.fresh), names=shown))


def _unused(facts: Description) -> None:
    """What the files hold beside these parameters, so that the two counts agree."""
    if facts.unused:
        shown = ", ".join(f"`{name}`" for name in facts.unused[:4]) + (" …" if len(facts.unused) > 4 else "")
        numbers = f"{facts.unused_numbers:,}" if facts.unused_numbers else "?"
        st.caption(say("card.unused", n=numbers, family=facts.class_name, names=shown))


def _parts(facts: Description) -> None:
    page_text.heading("card.parts", what="", small=True)
    total = max(1, facts.parameters)
    st.dataframe(
        {
            say("card.part"): [say(f"part.{name}") for name, _ in facts.parts],
            say("card.parameters"): [f"{count:,}" for _, count in facts.parts],
            say("card.share"): [count / total for _, count in facts.parts],
        },
        column_config={say("card.share"): st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0)},
        hide_index=True,
    )  # fmt: skip


def _by_id(known: tuple[str, ...]) -> None:
    """The id ↔ text table of tokens or classes, found by text or by number."""
    wanted = st.text_input(say("card.search"), key="vocabulary-search", label_visibility="collapsed",
                           placeholder=say("card.search"))  # fmt: skip
    pairs = enumerate(tokens.readable(text) for text in known)
    if wanted:
        looked = wanted.replace(" ", "·")
        pairs = ((i, text) for i, text in pairs if looked in text or wanted == str(i))
    rows = [pair for pair, _ in zip(pairs, range(_ROWS), strict=False)]
    table = pd.DataFrame(rows, columns=[say("card.id"), say("card.token")])
    st.dataframe(table, hide_index=True, height=280, width=420)
    if len(rows) == _ROWS:
        st.caption(say("card.first_rows", n=f"{_ROWS:,}"))
