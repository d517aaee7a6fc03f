"""What a page is made of: each figure with its legend, its sentence, its fidelity and its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from model.checkpoints.catalogue import in_grammar, shipped
from model.sites import Site
from viz import export, matrix, numbers, overview, tokens
from viz.ui import components, language, session
from viz.ui.controls import site_name
from viz.ui.language import say

if TYPE_CHECKING:
    from model.trace import Trace


_DOORS = ("heads", "steps", "by_hand")


def title(key: str) -> None:
    """The page's name and its one sentence: what am I looking at."""
    st.title(say(f"{key}.title"), anchor=False)
    st.markdown(say(f"{key}.what"))


def headline() -> None:
    """The first screen's name and its one sentence."""
    title("headline")


def notes(key: str) -> None:
    """Under the figure: what to notice, and what this cannot tell."""
    left, right = st.columns(2, gap="large")
    left.markdown(f"**{say('page.notice')}** {say(f'{key}.notice')}")
    right.markdown(f"**{say('page.limits')}** {say(f'{key}.limits')}")


def notices(trace: Trace) -> None:
    """Quiet remarks about how the text was read: folded case, a target that was forced or did not end."""
    if note := st.session_state.pop("notice", None):
        st.warning(note)
    if folded := trace.facts.get("folded"):
        pairs = ", ".join(f"“{typed}” → “{read}”" for typed, read in folded)
        st.caption(say("note.folded", pairs=pairs))
    if in_grammar(trace.key.model, tuple(trace.tokens("encoder")), trace.language) is False:
        st.caption(say("note.outside"))
    if not trace.facts.get("finished", True):
        st.caption(say("note.unfinished"))
    if not trace.facts.get("generated", True):
        st.caption(say("note.forced"))


def selection_line(trace: Trace) -> None:
    """The thread of the app: what is selected, in words, the same on every page."""
    site, head, row, column = session.selected()
    query = tokens.query_labels(trace, site)[row]["text"]
    key = tokens.key_labels(trace, site)[column]["text"]
    weight = float(trace.weights(site, head, row, column)[0, 0])
    parts = [
        site_name(site),
        say("site.head", head=head),
        f"{code(query)} ← {code(key)}",
        f"**{numbers.short(weight)}**",
    ]
    with st.container(key="selection-line"):
        st.markdown(" · ".join(parts))


def code(text: str) -> str:
    """Text as inline code that Markdown cannot break out of."""
    fence = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def fidelity_badge(error: float | None, what: str = "") -> str:
    """“✓ 3·10⁻⁷” or a red statement; the tolerance is the record's own."""
    from model.fidelity import TOLERANCE

    if error is None:
        return ""
    if error <= TOLERANCE:
        return say("foot.checks", error=numbers.short(error)) + what
    return f":red[{say('foot.fails', error=numbers.short(error))}]{what}"


def foot(name: str, sentence: str, badge: str, files: Callable[[], dict[str, Callable[[], bytes]]]) -> None:
    """Small and grey under every figure: one sentence, how well it checks, its data. `files` names the downloads."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"foot-{name}"):
        st.caption(f"{sentence} {badge}", width="stretch")
        with st.popover(say("foot.data"), type="tertiary", width="content"):
            for file, make in files().items():
                kind = file.rsplit(".", 1)[-1]
                st.download_button(
                    say(f"foot.{kind}"), make, file_name=file, key=f"{name}-{kind}", on_click="ignore", type="tertiary"
                )


def _slug(trace: Trace, site: Site, head: int) -> str:
    return f"{trace.key.model}-{site}-head{head}"


def _matrix_files(trace: Trace, site: Site, head: int) -> dict[str, Callable[[], bytes]]:
    record = trace.record(site)
    rows, columns = trace.tokens(site.query_side), trace.tokens(site.key_side)

    def csv() -> bytes:
        return export.matrix_csv(record.weights(head).numpy(), rows, columns)

    def npz() -> bytes:
        return export.npz(
            weights=record.weights(head).numpy(), allowed=record.allowed().numpy(), q=record.head("q", head).numpy(),
            k=record.head("k", head).numpy(), v=record.head("v", head).numpy(), scale=np.array(record.scale),
            queries=rows, keys=columns,
        )  # fmt: skip

    slug = _slug(trace, site, head)
    return {f"{slug}.csv": csv, f"{slug}.npz": npz}


def _site_badge(trace: Trace, site: Site) -> str:
    return fidelity_badge(trace.fidelity().sites.get(str(site)))


def _select_cell(key: str) -> None:
    if picked := st.session_state[key].get("select"):
        session.change(row=int(picked["row"]), column=int(picked["column"]))


def attention_matrix(trace: Trace, max_height: int = 560) -> None:
    """The selected head as a clickable matrix."""
    site, head, row, column = session.selected()
    words = language.group("matrix") | {
        "alt": say("matrix.alt_text", site=site_name(site), head=head, rows=trace.record(site).queries,
                   columns=trace.record(site).keys)
    }  # fmt: skip
    frame = matrix.matrix_frame(trace, site, head, (row, column), words, max_height)
    components.matrix(key="matrix", data=frame, on_select_change=lambda: _select_cell("matrix"))
    foot("matrix", say("matrix.sentence"), _site_badge(trace, site), lambda: _matrix_files(trace, site, head))


def _select_heads() -> None:
    state = st.session_state["lines"]
    if state.get("heads") is not None:
        session.change(heads=".".join(str(int(h)) for h in state["heads"]))


def attention_lines(trace: Trace) -> None:
    """All heads of the selected site as lines between the query tokens and the key tokens."""
    site, head, row, column = session.selected()
    record = trace.record(site)
    words = language.group("lines") | {"alt": say("lines.alt_text", site=site_name(site))}
    shown = session.heads_shown(record.heads)
    frame = matrix.lines_frame(trace, site, head, shown, (row, column), words)
    components.lines(
        key="lines", data=frame, on_select_change=lambda: _select_cell("lines"), on_heads_change=_select_heads
    )

    def files() -> dict[str, Callable[[], bytes]]:
        def csv() -> bytes:
            return export.site_csv(trace, site)

        def npz() -> bytes:
            weights = np.stack([record.weights(h).numpy() for h in range(record.heads)])
            return export.npz(weights=weights, queries=trace.tokens(site.query_side), keys=trace.tokens(site.key_side))

        return {f"{trace.key.model}-{site}.csv": csv, f"{trace.key.model}-{site}.npz": npz}

    foot("lines", say("lines.sentence"), _site_badge(trace, site), files)


def _go() -> None:
    """A click in the overview: select what was clicked; the page is switched after the callbacks."""
    state = st.session_state["overview"]
    if (text := state.get("text")) is not None:
        session.change(text=str(text), target="")
    if picked := state.get("go"):
        changes = {}
        if "site" in picked and "." in str(picked["site"]):
            changes |= {"site": str(picked["site"]), "row": -1, "column": -1}
        if "head" in picked:
            changes["head"] = int(picked["head"])
        if "row" in picked and "column" in picked:
            changes |= {"row": int(picked["row"]), "column": int(picked["column"])}
        if picked.get("part") == "output":
            changes["step"] = -1
        session.change(**changes)
        st.session_state.go_to = picked.get("page", "heads")


def model_picture(trace: Trace) -> None:
    """The first screen: the sentence, the answer, and the model with what every part computed."""
    now = session.view()
    site, head, row, column = session.selected()
    # The language of the run that is shown: after a refused text that is the last good one's.
    hero = overview.best_cross_head(trace, shipped()[now.model], trace.language)
    words = language.group("overview")
    if not trace.facts.get("generated", True):
        words["target"] = say("overview.forced")
    words["alt"] = say("overview.alt_text", source=trace.key.source, target=" ".join(trace.written()[:-1]))
    selection = {"site": str(site), "head": head, "row": row, "column": column}
    hero_title = f"{site_name(hero[0])} · {say('site.head', head=hero[1])}" if hero else ""
    doors = [{"page": page, "text": say(f"door.{page}"), "why": say(f"door.{page}_why")} for page in _DOORS]
    frame = overview.overview_frame(trace, hero, selection, words, hero_title, doors)
    components.overview(
        key="overview", data=frame, on_go_change=_go, on_text_change=_go,
    )  # fmt: skip

    def files() -> dict[str, Callable[[], bytes]]:
        return {
            f"{now.model}-trace.npz": lambda: export.trace_npz(trace),
            f"{now.model}-weights.csv": lambda: export.trace_csv(trace),
        }

    fidelity = trace.fidelity()
    logits = say("foot.logits", error=numbers.short(fidelity.logits_error or 0.0))
    longest = max(len(side.tokens) for side in trace.sides.values())
    remarks = [say("overview.sentence")] + [say("overview.pooled")] * (longest > overview.THUMB_BLOCKS)
    foot("overview", " ".join(remarks), fidelity_badge(fidelity.max_error) + " " + logits, files)
