"""The page Corpus: what thousands of texts do in every head, one head in full, and the texts that stand out in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from model.errors import HeadlightError
from viz.base import export, numbers
from viz.ui import language
from viz.ui.corpus import lines, one_head, profiles
from viz.ui.language import say
from viz.ui.shared import figure_footer, measure_words, page_text
from viz.ui.shared.side_bar import site_name
from viz.ui.shared.widgets import mirror
from viz.ui.state import current_run, jobs, memory_budget, model_list, view
from viz.ui.theme import theme

if TYPE_CHECKING:
    import numpy as np
    from streamlit.delta_generator import DeltaGenerator

    from model.profile.read import Profile

_SHOWN = 200  # refused texts in the table


def show() -> None:
    """The picker, what the profile is, every head, one head."""
    current_run.complain()
    if note := st.session_state.pop("notice", None):
        st.warning(note)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="corpus-controls"):
        profiles.picker()
        beside = st.container(width=320)
    profile = profiles.opened()
    if profile is None:
        st.info(say("corpus.none"), icon=":material/info:")
        st.code("python -m model profile --model translate --texts texts.txt --out profile.parquet", language="bash")
        return
    measure = _measure(profile, beside)
    _facts(profile)
    values, quantiles = _numbers(profile, measure)
    head = one_head.selected(profile)
    _every_head(profile, measure, quantiles, head)
    lines.show(profile, lambda name: _numbers(profile, name)[1])
    one_head.show(profile, measure, values[:, profile.heads.index(head)], head)


def _facts(profile: Profile) -> None:
    """One line of what was measured, and what was refused."""
    about, refused = profile.about, profile.about["refused"]["count"]
    parts = [
        f"**{language.plain(model_list.title(about['model']) if model_list.entry(about['model']) else about['model'])}**",
        say("corpus.into", language=language.name(about["language"])) if about["language"] else "",
        say("corpus.texts", n=f"{about['measured']:,}", file=language.plain(about["texts_file"])),
        say("corpus.heads", n=len(profile.heads), sites=len({site for site, _ in profile.heads})),
    ]
    with st.container(horizontal=True, vertical_alignment="center", key="foot-corpus-facts"):
        st.markdown(" · ".join(filter(None, parts)), width="stretch")
        if refused:
            with st.popover(say("corpus.refused", n=f"{refused:,}"), type="tertiary", width="content"):
                _refused(profile)
        with st.popover(say("corpus.command"), type="tertiary", width="content"):
            st.code(about["command"], language="bash", wrap_lines=True)
            st.caption(
                say("corpus.made", hash=about["weights_hash"], torch=str(about["made_of"].get("version_of_torch", "")))
            )
    now = view.current().model
    if about["model"] != now and model_list.entry(about["model"]) is not None:
        st.caption(say("corpus.other_model", model=language.plain(model_list.title(now))))
    elif about["model"] == now and about["language"] and view.current().to not in ("", about["language"]):
        there, here = (language.name(code) for code in (about["language"], view.current().to))
        st.caption(say("corpus.other_language", there=there, here=here))
    if other := _other_weights(profile):
        st.warning(other)


def _other_weights(profile: Profile) -> str:
    """One sentence where the model of this name is open and has other weights than those that were measured."""
    about = profile.about
    if view.current().model not in (about["model"], about["given"]) or model_list.is_trace(view.current().model):
        return ""
    now = current_run.model()
    if now.weights_hash == about["weights_hash"]:
        return ""
    return say("corpus.other_weights", name=language.plain(about["model"]), got=now.weights_hash,
               measured=language.plain(about["weights_hash"]))  # fmt: skip


def _refused(profile: Profile) -> None:
    """Which texts were refused, and why."""
    shown = profile.refused[:_SHOWN]
    st.dataframe(
        {
            say("corpus.line"): [one.text + 1 for one in shown],
            say("corpus.why"): [_why(one.code, one.sentence, one.values) for one in shown],
            say("corpus.text"): [one.source for one in shown],
        },
        hide_index=True, width=640,
    )  # fmt: skip
    if profile.about["refused"]["count"] > len(shown):
        st.caption(say("corpus.refused_more", n=f"{profile.about['refused']['count'] - len(shown):,}"))


def _why(code: str, sentence: str, values: dict) -> str:
    """The reason in the page's language, where it has the sentence; a table shows it as it is, not as Markdown."""
    known = language.catalogue(language.current()).get(f"error.{code}")
    try:
        return known.format(**values) if known else sentence
    except (KeyError, IndexError):
        return sentence


def _measure(profile: Profile, place: DeltaGenerator) -> str:
    """The measure that is shown, out of those that the profile has."""
    asked = view.tab("corpus_by")
    measure = asked if asked in profile.measures else profile.measures[0]
    key = mirror("corpus-by", measure)

    def keep() -> None:
        view.open_tab("corpus_by", st.session_state[key])

    place.selectbox(
        say("corpus.measure"), profile.measures, format_func=measure_words.in_profile, key=key, on_change=keep
    )
    return measure


def _counted(profile: Profile, identity: tuple[str, str, int], measure: str) -> tuple[np.ndarray, np.ndarray]:
    from model.jobs.held_bytes import held_bytes
    from model.profile.rows import quantiles

    def count() -> tuple[np.ndarray, np.ndarray]:
        values = profile.values(measure)
        return values, quantiles(values)

    return memory_budget.shared().get("profiles", (identity, measure), count, held_bytes)


def _numbers(profile: Profile, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """Values [text, head] and their quantiles [5, head]; what cannot be read ends the page with a sentence."""
    identity = (profile.name, str(profile.about["made_of"]), id(profile))
    try:
        return jobs.run(
            ("counted", identity, measure), lambda: _counted(profile, identity, measure), say("corpus.counting")
        )
    except HeadlightError as error:
        st.error(language.explain(error), icon=":material/error:")
        st.stop()


def _every_head(profile: Profile, measure: str, quantiles: np.ndarray, head: tuple[str, int]) -> None:
    """A cell a head: how the texts spread; a click selects."""
    from model.profile.rows import quantiles as counted
    from viz import corpus

    ends = corpus.scale(measure, quantiles)
    names = {site: site_name(site) for site, _ in profile.heads}
    shown = slice(0, corpus.MOST)
    words = {name: say(f"corpus.{name}") for name in ("head", "where", "median", "half", "most")}
    words["alt"] = say("corpus.alt", measure=measure_words.in_profile(measure), n=len(profile.heads))
    low, high = (numbers.short(end) for end in ends)
    unit = measure_words.unit_in_profile(measure)
    page_text.heading("corpus.every", what="")
    if about := measure_words.about_in_profile(measure):
        st.caption(about)
    st.altair_chart(corpus.legend(ends, unit, words, theme()), width=460, key="corpus-legend")

    def draw(how: str):
        return corpus.strips(quantiles[:, shown], profile.heads[shown], names, ends, head, words, how)

    st.altair_chart(draw(theme()), width="stretch", key="corpus-strips", on_select=_clicked, selection_mode="cell")

    def csv() -> bytes:
        import pandas as pd

        from model.profile.rows import QUANTILES

        told = pd.DataFrame(profile.heads, columns=["site", "head"])
        for share, row in zip(QUANTILES, quantiles, strict=True):
            told[f"{measure}_{share:g}"] = row
        return export.table_csv(told)

    def figure():
        from viz.base import static_chart

        return static_chart.above(corpus.legend(ends, unit, words), draw("light").properties(width=900))

    sentence = say("corpus.every_sentence", low=low, high=high, unit=f" {unit}".rstrip())
    if len(profile.heads) > corpus.MOST:
        sentence += " " + say("corpus.some", n=f"{corpus.MOST:,}", all=f"{len(profile.heads):,}")
    if empty := int((quantiles[2] != quantiles[2]).sum()):
        sentence += " " + say("corpus.empty", n=empty)
    figure_footer.draw(
        "corpus-heads",
        sentence,
        profiles.check(profile),
        _files(profile, f"{measure}-quantiles", csv),
        figure,
        (counted, profile.values),
    )


def _files(profile: Profile, name: str, csv: Callable[[], bytes]) -> Callable[[], dict[str, Callable[[], bytes]]]:
    return lambda: {f"{figure_footer.safe(profile.about['model'])}-{name}.csv": csv}


def _clicked() -> None:
    """A click on a cell selects its head."""
    points = st.session_state["corpus-strips"].selection.get("cell", [])
    if points and "site" in points[-1]:
        one_head.select(str(points[-1]["site"]), int(points[-1]["head"]))
