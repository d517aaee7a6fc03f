"""The model card page: what the checkpoint is, how well it does, how it was trained, what words it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from viz.base import tokens
from viz.ui.language import in_card, say
from viz.ui.model_card import library, trained
from viz.ui.shared import page_text
from viz.ui.state import model_cache

if TYPE_CHECKING:
    from model.checkpoints.library.library_model import HuggingFaceModel
    from model.checkpoints.own import OwnModel


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
        return "model_card"
    return "library_card" if model_cache.is_library_model(model) and library.shares(model) else "library_card_plain"


def is_ours(model: object) -> bool:
    """Whether the model was trained here, with a card that tells how."""
    return hasattr(model, "starts")


def _ours(model: OwnModel) -> None:
    """Facts, scores, training curve, vocabulary."""
    card, config = model.card, model.config
    st.markdown(f"### {in_card(card.get('title', model.name))}\n{in_card(card.get('description', ''))}")
    scores = card.get("test", {})
    columns = st.columns(max(3, len(scores) + 1))
    for column, (name, score) in zip(columns, scores.items(), strict=False):
        column.metric(
            say("card.exact", name=_language(name)),
            f"{score['exact_match']:.2%}",
            help=say("card.exact_help", n=score["n"]),
        )
    columns[len(scores)].metric(say("card.parameters"), f"{sum(p.numel() for p in model.module.parameters()):,}")
    with st.container(key="figures"):
        left, right = st.columns(2, gap="large")
    facts = {
        say("card.layers"): f"{config.encoder_layers} + {config.decoder_layers}",
        say("card.heads"): str(config.heads),
        "d_model": str(config.d_model),
        "d_k = d_model / h": str(config.d_k),
        "d_ff": str(config.d_ff),
        say("card.positions"): say(f"positions.{config.positions}"),
        say("card.norm"): say(f"norm.{config.norm}"),
        say("card.vocabulary"): f"{len(model.source)} → {len(model.target)}",
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


def _language(name: str) -> str:
    return say(f"language.{name}")


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
    columns = st.columns(2, gap="large")
    for column, side, tokenizer in zip(columns, ("source", "target"), (model.source, model.target), strict=True):
        shown = [tokens.readable(token) for token in tokenizer.vocabulary]
        table = pd.DataFrame({say("card.id"): range(len(shown)), say("card.token"): shown})
        column.caption(say(f"card.{side}"))
        column.dataframe(table, hide_index=True, height=280)
