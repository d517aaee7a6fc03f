"""The examples that cost a model most, each token coloured by its loss; a press opens one in the attention views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from viz.base import export, numbers
from viz.base.shorten import shorten
from viz.text import losses, losses_static
from viz.ui import language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import model_cache, model_list, page_controls, view
from viz.ui.theme import theme

if TYPE_CHECKING:
    from model.evaluation.evaluation import Evaluation
    from model.evaluation.scored import Scored

_LISTED = (5, 10, 20, 50)
_LONGEST = 160  # characters of a source in the list


def show(one: Evaluation, name: str) -> None:
    page_text.heading("evaluate.worst")
    end = one.guess
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.html(
            losses.legend(
                end, theme(), say("evaluate.legend_low"), say("evaluate.legend_high", loss=numbers.short(end, 3))
            )
        )
        count = st.selectbox(
            say("evaluate.how_many"), _LISTED, width=140,
            **page_controls.among("evaluate-worst", _LISTED[0], _LISTED),
        )  # fmt: skip
    for at, each in enumerate(one.worst(count)):
        with st.container(key=f"evaluate-example-{at}", gap="small"):
            _example(one, each, name, end, at)

    def csv() -> bytes:
        return export.table_csv(one.table)

    slug = figure_footer.safe(f"{one.about['model']}-{one.about['file']}")
    sentence, saved = say("evaluate.worst_sentence"), {f"{slug}-examples.csv": csv}
    figure_footer.draw(
        "evaluate-worst", sentence, None, lambda: saved,
        lambda: losses_static.chart(one.worst(count), end, say("evaluate.loss")), (losses.colours_of,),
    )  # fmt: skip


def _example(one: Evaluation, each: Scored, name: str, end: float, at: int) -> None:
    left, right = st.columns([6, 1], vertical_alignment="top")
    with left:
        said = say("evaluate.example", line=f"{each.line:,}", loss=numbers.short(each.loss, 4), n=len(each.tokens))
        if each.target is not None or one.about["task"] == "causal":  # whose first token is predicted from nothing
            said += f" · {language.plain(shorten(each.source, _LONGEST))}"
        st.caption(said)
        st.html(losses.loss_text(each.tokens, each.losses, each.right, end, theme(), say("evaluate.tip")))
        if each.written is not None and each.written != each.reference:
            st.caption(say("evaluate.wrote", text=language.plain(each.written) or "∅"))
    right.button(
        say("evaluate.open"), key=f"evaluate-open-{at}", type="tertiary", on_click=_open, args=(one, each, name)
    )


def _row(one: Evaluation, each: Scored, name: str) -> int:
    """The row that writes the token with the highest loss; of a masked model the token's own."""
    from model.data_files.read import Line
    from model.evaluation.by_model import scorer_of

    worst = max(range(len(each.losses)), key=each.losses.__getitem__)
    if one.about["task"] == "seq2seq":
        return worst
    example = scorer_of(model_cache.opened(name), one.about["language"] or None, write=False).read(
        Line(each.line, each.source, each.target)
    )
    return example.positions[worst] if example.positions else example.first - 1 + worst


def _open(one: Evaluation, each: Scored, name: str) -> None:
    """Go to the page Heads with this text, and the reference as the output where there is one."""
    forced = each.target or "" if one.about["task"] == "seq2seq" else ""
    text = each.source if each.target is None or forced else f"{each.source} {each.target}"
    view.change(model=name)
    written = {"to": to} if (to := one.about["language"]) and model_list.is_ours(name) else {}
    view.change(text=text, target=forced, pair="", chat=0, new=0, media="", row=_row(one, each, name), **written)
    st.session_state.go_to = "heads"
