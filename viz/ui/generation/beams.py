"""Beam search as a tree: every hypothesis of every step, what became of it, and the arithmetic of its score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from model.errors import TextTooLong
from viz.base import export, numbers, tokens
from viz.base.check_note import note
from viz.ui.generation import hypothesis
from viz.ui.generation.common import job, joined, needs_model, number, reads
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import model_list, page_controls, view
from viz.ui.theme import theme

if TYPE_CHECKING:
    import pandas as pd

    from model.checkpoints.library.generate import Compared
    from model.generation.beam import Beams, FinishedHypothesis
    from model.generation.decoder import Decoder
    from model.trace.trace import Trace

_WORDS = ("runs", "finished", "limit", "pruned", "late", "caught", "step", "text", "status")
# A step's hypotheses are ten at five beams: more steps than this are a poster, not a figure.
_MOST, _OURS, _THEIRS = 24, 16, 10


def show(trace: Trace, model: Any, decoder: Decoder | None, controls: Any) -> None:
    """Controls, the tree, the selected hypothesis, the ranking."""
    if decoder is None:
        needs_model()
        return
    ours = model_list.is_ours(view.model_of(trace))
    room = min(_MOST, decoder.longest - len(decoder.start))
    if room < 1:
        raise TextTooLong(got=len(decoder.start), allowed=decoder.longest - 1)
    with controls:
        k = number("beams", 1, 5, 3)
        alpha = st.slider(say("generation.alpha"), 0.0, 2.0, step=0.1, width=240, help=say("generation.alpha_help"),
                          **page_controls.between("generation-alpha", 1.0, 0, 2))  # fmt: skip
        limit = number("longest", 1, room, _OURS if ours else _THEIRS, f"@{trace.key.model}")
    asked = (trace.key, k, alpha, limit)
    beams, compared = _searched(trace, model, decoder, asked)
    read = reads(trace)
    texts = [[read(one.token) for one in step] for step in beams.steps]
    page_text.heading("generation.tree_name", k=k)
    selected = hypothesis.selected(beams, asked)
    chart = _tree(beams, texts, selected, read(decoder.start[-1]), joined(trace, ["", ""]))
    if beams.done:
        st.caption(_ended(beams))
    _footer(trace, beams, texts, chart, compared)
    hypothesis.show(trace, decoder, beams, texts, selected, asked)
    _ranking(trace, beams, read)
    if k > 1:
        alone, _ = _searched(trace, model, decoder, (trace.key, 1, alpha, limit))
        if beams.finished and alone.finished:  # a tree that parted from the library's ends there
            _beside_greedy(trace, beams, alone, read)


def _searched(trace: Trace, model: Any, decoder: Decoder, asked: tuple[Any, ...]) -> tuple[Beams, Compared | None]:
    """The tree: of our models by our search, of library models along their own `generate`."""
    from model.checkpoints.library import generate
    from model.generation import beam

    _, k, alpha, limit = asked
    kind = "beams" if k > 1 else "alone"
    if model_list.is_ours(view.model_of(trace)):
        return job(kind, asked, lambda: beam.search(decoder, k, alpha, limit)), None
    language = trace.language or None
    found = job(kind, asked, lambda: generate.beam_search(model, trace, k, alpha, limit, language))
    return found.beams, found


def _tree(beams: Beams, texts: list[list[str]], selected: tuple[int, int], start: str, between: str) -> Any:
    from viz.generation import charts as generation_charts

    words = {name: say(f"generation.{name}") for name in _WORDS}
    words["between"] = between
    words["alt"] = say("generation.tree_alt", steps=len(beams.steps), n=sum(len(step) for step in beams.steps))
    chart = generation_charts.tree(beams, texts, selected, start, words, theme())
    with st.container(key="generation-tree-strip"):
        st.altair_chart(chart, width="content", key="generation-tree", on_select=_clicked, selection_mode="node")
    return generation_charts.tree(beams, texts, selected, start, words)


def _clicked() -> None:
    """A click on a hypothesis selects it, on the start nothing."""
    points = st.session_state["generation-tree"].selection.get("node", [])
    if points and points[-1].get("id"):
        step, index = (int(part) for part in str(points[-1]["id"]).split("-"))
        hypothesis.pick((step, index))


def _ended(beams: Beams) -> str:
    """Why the search was over."""
    if beams.done == "bound" and beams.bound is not None:
        best, worst = (numbers.total(value) for value in beams.bound)
        return say("generation.stopped_bound", k=beams.k, best=best, worst=worst, step=len(beams.steps))
    return say("generation.stopped_limit", step=len(beams.steps))


def _footer(trace: Trace, beams: Beams, texts: list[list[str]], chart: Any, compared: Compared | None) -> None:
    from model.checkpoints.library import generate
    from model.generation import beam

    looked = sum(len(step) for step in beams.steps)
    sentence, badge = say("generation.tree_sentence", n=looked), figure_footer.run_badge(trace)
    if compared is not None:
        badge += note(say("generation.agrees", n=len(compared.tokens)), True) if compared.differs is None else note(
            say("generation.differs", step=compared.differs + 1), False)  # fmt: skip

    def csv() -> bytes:
        return export.table_csv(
            tree_table(beams, texts, joined(trace, ["", ""]), lambda status: say(f"generation.{status}"))
        )

    code: list[Callable[..., object]] = [beam.Beams.advance, beam.Beams._candidates, beam.Beams._stop]
    code.append(beam.search if compared is None else generate.beam_search)
    figure_footer.draw("generation-beams", sentence, badge, lambda: {f"{figure_footer.safe(trace.key.model)}-beams.csv": csv},
              lambda: chart, code)  # fmt: skip


def tree_table(beams: Beams, texts: Sequence[Sequence[str]], between: str, named: Callable[[str], str]) -> pd.DataFrame:
    """One row a hypothesis, in the words of the picture: its token, its text so far, what became of it, and its numbers.

    named: how a status is called. parent: the index in the step before, −1 of the start. score: NaN where it did not finish.
    """
    import pandas as pd

    rows, so_far = [], [[""]]
    for t, step in enumerate(beams.steps):
        so_far.append([])
        for i, one in enumerate(step):
            before = so_far[t][max(one.parent, 0)]
            so_far[-1].append(between.join(filter(None, (before, texts[t][i]))))
            rows.append({
                "step": t + 1, "index": i, "parent": one.parent, "token": texts[t][i],
                "text": so_far[-1][i], "status": named(beams.status(t, i)), "log_p": one.log_p,
                "total": one.total, "score": np.nan if one.score is None else one.score,
            })  # fmt: skip
    return pd.DataFrame(rows)


def _ranking(trace: Trace, beams: Beams, read: Callable[[int], str]) -> None:
    """What finished, by score; and what k better ones pushed out."""
    page_text.heading("generation.ranking_name")
    every: list[FinishedHypothesis] = [*beams.finished, *sorted(beams.dropped, key=lambda each: -each.score)]
    totals = [beams.steps[each.step][each.index].total for each in every]
    said = [[n for n in each.tokens if n >= len(trace.vocabulary) or not tokens.looks_special(trace.vocabulary[n])]
            for each in every]  # fmt: skip
    texts = [joined(trace, [read(number) for number in each]) for each in said]
    st.dataframe({
        say("generation.place"): [str(i + 1) if each.in_best else "–" for i, each in enumerate(every)],
        say("generation.text"): texts,
        "Σ log p": [numbers.total(total) for total in totals],
        say("generation.length"): [len(each.tokens) for each in every],
        say("generation.score"): [numbers.total(each.score) for each in every],
        say("generation.status"): [say(f"generation.status_{beams.steps[each.step][each.index].status}") if each.in_best
                                 else say("generation.pushed_out") for each in every],
    }, hide_index=True, width="stretch")  # fmt: skip


def _beside_greedy(trace: Trace, beams: Beams, alone: Beams, read: Callable[[int], str]) -> None:
    """What one beam, which is greedy decoding, comes to."""
    best, greedy = (
        (found.finished[0].tokens, found.steps[found.finished[0].step][found.finished[0].index].total)
        for found in (beams, alone)
    )
    values = {"greedy": numbers.total(greedy[1]), "best": numbers.total(best[1]), "k": beams.k}
    text = page_text.code(joined(trace, [read(number) for number in greedy[0]]))
    same = "same" if best[0] == greedy[0] else "better" if best[1] > greedy[1] else "longer"
    st.markdown(say(f"generation.greedy_{same}", text=text, **values))
