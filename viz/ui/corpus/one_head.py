"""One head of a profile: how its measure spreads over the texts, and the texts that are typical and extreme for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from model.measures.default_head import aligned_head
from viz.base import export, numbers
from viz.base.shorten import shorten
from viz.ui import language
from viz.ui.corpus import profiles
from viz.ui.language import say
from viz.ui.shared import figure_footer, measure_words, page_text
from viz.ui.shared.side_bar import site_name
from viz.ui.shared.widgets import mirror
from viz.ui.state import model_list, view
from viz.ui.theme import theme

if TYPE_CHECKING:
    import numpy as np

    from model.profile.read import Profile

_LISTED = 6
_LONGEST = 110  # characters of a text in a list
_TAB = "corpus_head"  # in the link: the head of a profile that is not of the model that is looked at


def same_model(profile: Profile) -> bool:
    """Whether the profile is of the model that is looked at, whose selection is then the page's."""
    return view.current().model in (profile.about["model"], profile.about["given"])


def selected(profile: Profile) -> tuple[str, int]:
    """The app's selected head, or of another model's profile what was chosen here or the link says; else the one that the
    card of the measured model names, else the first: each where the profile has it. The link carries it."""
    now, about, same = view.current(), profile.about, same_model(profile)
    linked = same or {"profile", "site"} <= st.session_state.get("taken_link", {}).keys()
    chosen = [] if same else [head for head in profile.heads if _written(*head) == view.tab(_TAB)]
    told = aligned_head(model_list.card(about["model"]), about["language"]) if model_list.entry(about["model"]) else {}
    wanted = [*chosen, *([(now.site, now.head)] if linked else []), (told.get("site"), told.get("head"))]
    found = next((head for head in wanted if head in profile.heads), profile.heads[0])
    if not same:
        view.note_tab(_TAB, _written(*found))
    return found


def _written(site: str, head: int) -> str:
    """A head as a part of a page that is open: decoder_1_cross_2."""
    return f"{site}.{head}".lower().replace(".", "_")


def select(site: str, head: int) -> None:
    """Select a head: for every page where it is of the model that is looked at, else here; the link carries it."""
    if st.session_state.get("corpus-same"):
        view.change(site=site, head=head, heads="", row=-1, column=-1)
    else:
        view.open_tab(_TAB, _written(site, head))


def show(profile: Profile, measure: str, values: np.ndarray, head: tuple[str, int]) -> None:
    """values [text] of the head: its pickers, the histogram, three lists of texts."""
    import numpy as np

    st.session_state["corpus-same"] = same_model(profile)
    page_text.heading("corpus.one", what="")
    _pickers(profile, head)
    told = int(np.isfinite(values).sum())
    if not told:
        st.info(say("corpus.no_value", measure=measure_words.in_profile(measure)), icon=":material/info:")
        return
    _histogram(profile, measure, values, head, told)
    _lists(profile, measure, values, head)


def _pickers(profile: Profile, head: tuple[str, int]) -> None:
    sites = list(dict.fromkeys(site for site, _ in profile.heads))
    heads = [number for site, number in profile.heads if site == head[0]]

    def other_site() -> None:
        site = st.session_state[at]
        numbers = [number for name, number in profile.heads if name == site]
        select(site, head[1] if head[1] in numbers else numbers[0])

    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="corpus-pickers"):
        at = mirror("corpus-site", head[0])
        st.selectbox(say("pick.site"), sites, format_func=site_name, key=at, on_change=other_site, width=256)
        which = mirror("corpus-head", head[1])
        st.selectbox(
            say("pick.head"), heads, key=which, on_change=lambda: select(head[0], st.session_state[which]), width=120
        )  # fmt: skip


def _histogram(profile: Profile, measure: str, values: np.ndarray, head: tuple[str, int], told: int) -> None:
    from viz import corpus as pictures

    name, unit = measure_words.in_profile(measure), measure_words.unit_in_profile(measure)
    words = {
        "value": f"{name} ({unit})" if unit else name, "texts": say("corpus.texts_axis"), "median": say("corpus.median"),
        "alt": say("corpus.histogram_alt", measure=name, site=site_name(head[0]), head=head[1], n=told),
    }  # fmt: skip

    def draw(how: str):
        return pictures.histogram(values, words, how, pictures.is_share(measure))

    st.altair_chart(draw(theme()), width="stretch", key="corpus-histogram")

    def csv() -> bytes:
        import pandas as pd

        sizes = profile.sizes(profile.heads.index(head))
        table = pd.DataFrame({"text": profile.texts, measure: values, "queries": sizes[:, 0], "keys": sizes[:, 1]})
        table["source"] = list(profile.sources)
        return export.table_csv(table)

    sentence = say("corpus.one_sentence", n=f"{told:,}")
    if told < len(values):
        sentence += " " + say("corpus.without", n=f"{len(values) - told:,}")
    slug = f"{figure_footer.safe(profile.about['model'])}-{head[0]}-{head[1]}-{measure}.csv"
    figure_footer.draw(
        "corpus-head",
        sentence,
        profiles.check(profile),
        lambda: {slug: csv},
        lambda: draw("light").properties(width=700),
        (pictures.bins,),
    )


def _lists(profile: Profile, measure: str, values: np.ndarray, head: tuple[str, int]) -> None:
    """Lowest, nearest the median, highest; a press opens the text with this head."""
    from model.profile.rows import highest, lowest, typical

    name = openable(profile)
    st.caption(say("corpus.lists") if name else say("corpus.not_here", name=language.plain(profile.about["given"])))
    with st.container(key="ways"):
        columns = st.columns(3, gap="medium")
    for column, kind, pick in zip(columns, ("lowest", "typical", "highest"), (lowest, typical, highest), strict=True):
        with column, st.container(key=f"corpus-{kind}", gap=None):
            page_text.heading(f"corpus.{kind}", what="", small=True)
            for row in pick(values, _LISTED):
                _text(profile, kind, row, float(values[row]), head, name)


def _text(profile: Profile, kind: str, row: int, value: float, head: tuple[str, int], model: str) -> None:
    """One text with its exact value."""
    source = profile.sources[row]
    short = shorten(" ".join(source.split()), _LONGEST) or "·"
    exact = numbers.minus(f"{value:.7g}")
    st.button(
        f"`{exact}` {language.plain(short)}", key=f"corpus-{kind}-{row}", type="tertiary", disabled=not model,
        help=say("corpus.open", line=f"{int(profile.texts[row]) + 1:,}"), on_click=_open,
        args=(model, source, profile.about["language"], head),
    )  # fmt: skip


def openable(profile: Profile) -> str:
    """The name or path by which the profile's model opens on this computer, "" where it is not here."""
    about = profile.about
    if about["model"] in model_list.found():
        return about["model"]
    place = model_list.place(about["given"])
    return about["given"] if place is not None and place.exists() else ""


def _open(model: str, text: str, to: str, head: tuple[str, int]) -> None:
    """Go to the page Heads with this text and this head."""
    view.change(model=model, text=text, target="", pair="", chat=0, new=0, media="")
    # After the model, whose own beginning replaces these where it is another.
    view.change(site=head[0], head=head[1], heads="", **({"to": to} if to else {}))
    st.session_state.go_to = "heads"
