"""The model card page: what the checkpoint is, how well it does, how it was trained, what words it knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from model.families import random_title_of
from viz.base import tokens
from viz.ui import language
from viz.ui.language import in_card, say
from viz.ui.model_card import library, trained
from viz.ui.shared import page_text
from viz.ui.state import model_cache, model_list, view

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel
    from model.checkpoints.own import OwnModel


# What a card measured on held-out texts, by its names there: how each is written.
_HELD_OUT = {"validation_loss": "{:.3f}", "perplexity": "{:.2f}", "accuracy": "{:.2%}"}


def show(model: OwnModel | HuggingFaceModel | None) -> None:
    """The card of whatever was opened; a saved trace has none."""
    if model is None:
        st.info(say("card.no_model"))
    elif is_ours(model):
        _ours(model)
    elif model_cache.is_library_model(model):
        library.show(model)
    else:
        library.show_foreign(model)


def notes_key(model: OwnModel | HuggingFaceModel) -> str:
    """Which remarks belong under the card: that heads share keys, or see a window only, where they do."""
    if is_ours(model):
        return "model_card" if model.name == "translate" else "own_card"
    if (
        model_list.card(view.current().model).get("loss") is not None
    ):  # what it was trained on, and how well it does, is there
        return "own_card"
    return "library_card" if model_cache.is_library_model(model) and library.shares(model) else "library_card_plain"


def is_ours(model: object) -> bool:
    """Whether the model was trained here, with a card that tells how."""
    return hasattr(model, "starts")


def _ours(model: OwnModel) -> None:
    """Facts, scores, training curve, vocabulary."""
    card, config = model.card, model.config
    title = random_title_of(model.name) and model_list.title(model.name)
    st.markdown(f"### {title or in_card(card.get('title', model.name))}\n{in_card(card.get('description', ''))}")
    _scores(model)
    with st.container(key="figures"):
        left, right = st.columns(2, gap="large")
    layers = [str(count) for count in (config.encoder_layers, config.decoder_layers) if count]
    sides = [f"{len(side)}" for side in (model.source, model.target) if side is not None]
    facts = {
        say("card.task"): say(f"task.{model.task}"),
        say("card.layers" if model.decodes else "card.layers_short"): " + ".join(layers),
        say("card.heads"): str(config.heads),
        "d_model": str(config.d_model),
        "d_k = d_model / h": str(config.d_k),
        "d_ff": str(config.d_ff) if config.d_ff else say("card.attention_only"),
        say("card.positions"): say(f"positions.{config.positions}"),
        say("card.norm"): say(f"norm.{config.norm}"),
        say("card.vocabulary"): " → ".join(sides),
        say("card.max_length"): str(config.max_length),
        say("card.licence"): str(card.get("licence", "–")),
        say("card.seed"): f"{card.get('seed', '–')} · {card.get('steps', '–')}",
        say("card.hash"): f"{model.weights_hash}…",
        **({say("card.device"): model.device} if model.device != "cpu" else {}),
    }
    left.dataframe(
        pd.DataFrame({say("card.fact"): facts.keys(), say("card.value"): facts.values()}), hide_index=True,
        height="content",
    )  # fmt: skip
    with right:
        trained.curve(card)
    if card.get("alignment"):
        _alignment(card["alignment"])
    if card.get("coreference"):
        _coreference(card["coreference"])
    trained.data(card)
    _vocabulary(model)


def _scores(model: OwnModel) -> None:
    """What was measured on held-out texts, and how many parameters there are."""
    size = model.module.project.out_features
    shown = [
        (say("card.exact", name=_language(name)), f"{score['exact_match']:.2%}", say("card.exact_help", n=score["n"]))
        for name, score in model.card.get("test", {}).items()
    ]
    held_out: Mapping[str, Any] = model.card.get("held_out") or {}
    for name in (name for name in _HELD_OUT if held_out.get(name) is not None):
        guess = {"v": f"{size:,}", "guess": f"{math.log(size):.2f}"}
        about = say(f"card.{name}_help", n=f"{held_out['n']:,}", **guess)
        shown.append((say(f"card.{name}", **guess), _HELD_OUT[name].format(held_out[name]), about))
    trained.numbers_in_a_row(
        [*shown, (say("card.parameters"), f"{sum(p.numel() for p in model.module.parameters()):,}", None)]
    )


def _language(name: str) -> str:
    return language.name(name)


def _alignment(alignment: dict) -> None:
    page_text.heading("card.alignment", small=True)
    rows = [
        {
            say("card.language"): _language(name),
            say("card.rows"): say("card.rows_predicting"),
            say("card.best_head"): f"{both['predicting']['site']} · {both['predicting']['head']}",
            say("card.agreement"): f"{both['predicting']['agreement']:.1%}",
        }
        for name, both in alignment.items()
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="content")


def _coreference(found: dict) -> None:
    """Where the gender of "it" comes from, measured on held-out sentences."""
    page_text.heading("card.coreference", small=True, n=found["n"])
    rows = [
        {
            say("card.question"): say(f"card.{name}"),
            say("card.best_head"): f"{found[name]['site']} · {found[name]['head']}",
            say("card.share"): f"{found[name]['share']:.1%}",
        }
        for name in ("adjective_to_noun", "pronoun_to_adjective", "it_to_noun")
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="content")


def _vocabulary(model: OwnModel) -> None:
    """The id ↔ text table of both sides; the search box of the table finds a word."""
    page_text.heading("card.words", small=True)
    sides = {"source": model.source, "target": model.target}
    there = {side: tokenizer for side, tokenizer in sides.items() if tokenizer is not None}
    for column, (side, tokenizer) in zip(st.columns(2, gap="large"), there.items(), strict=False):
        shown = [tokens.readable(text) for text in tokenizer.texts]
        table = pd.DataFrame({say("card.id"): range(len(shown)), say("card.token"): shown})
        if model.decodes:
            column.caption(say(f"card.{side}"))
        column.dataframe(table, hide_index=True, height=280)
