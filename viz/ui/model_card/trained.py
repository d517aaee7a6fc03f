"""What a card says of a model that was trained here: its scores on held-out texts, its data, and how training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from viz import training_curve
from viz.base import numbers
from viz.ui.language import in_card, say


def scores(card: Mapping[str, Any], vocabulary: int) -> None:
    """The held-out loss with its guess line, perplexity, and what else was measured; nothing where no card tells."""
    if card.get("loss") is None:
        return
    shown = [
        (say("card.held_out", guess=numbers.short(card["guess"])), numbers.short(card["loss"]),
         say("card.held_out_help", n=f"{card['labels']:,}")),
        (say("card.perplexity_of", v=f"{vocabulary:,}"), numbers.short(card["perplexity"]), say("card.perplexity_of_help")),
    ]  # fmt: skip
    if card.get("gap_share") is not None:
        shown.append((say("card.gap_share"), f"{card['gap_share']:.1%}", say("card.gap_help", n=card["gaps"])))
    if card.get("exact_match") is not None:
        shown.append((say("card.summary"), f"{card['exact_match']:.1%}", say("card.summary_help", n=card["summaries"])))
    numbers_in_a_row(shown)


def numbers_in_a_row(shown: Sequence[tuple[str, str, str | None]]) -> None:
    """(label, value, help) beside each other, as many in a row as have room whole: a label holds the guess that its number is
    read against."""
    with st.container(horizontal=True, gap="medium"):
        for label, value, about in shown:
            st.metric(label, value, help=about, width="content")


def data(card: Mapping[str, Any]) -> None:
    """What it was trained on."""
    if card.get("data"):
        st.markdown(f"**{say('card.data')}**  \n{in_card(card['data'])}")


def curve(card: Mapping[str, Any]) -> None:
    """How training went, and the command that does it again."""
    if not card.get("curve"):
        return
    words = {k: say(f"card.{k}") for k in ("step", "loss", "training", "validation")}
    st.altair_chart(training_curve.loss_curve(card["curve"], card["curve_columns"], words))
    st.caption(say("card.curve"))
    st.code(str(card.get("command", "")), language="bash")
