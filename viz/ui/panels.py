"""What a page is made of: each figure with its legend, its sentence, its fidelity and its data."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from model.checkpoints.catalogue import in_grammar
from model.sites import Site
from viz import axes, export, matrix, numbers, overview, patches, thumbnails, tokens
from viz.ui import components, language, models, runs, session
from viz.ui.controls import site_name
from viz.ui.language import say

if TYPE_CHECKING:
    from model.fidelity import Fidelity
    from model.record import AttentionRecord
    from model.trace import Trace


_DOORS = ("heads", "steps", "by_hand")


def title(key: str) -> None:
    """The page's name and its one sentence: what am I looking at."""
    st.title(say(f"{key}.title"), anchor=False)
    st.markdown(say(f"{key}.what"))


def headline() -> None:
    """The first screen's name and its one sentence."""
    translates = models.writes(session.view().model)
    st.title(say("headline.title"), anchor=False)
    st.markdown(say("headline.what") if translates else say("headline.what_self"))


def overview_notes(trace: Trace) -> str:
    """Which remarks belong under the first picture of this run."""
    if not any(site.kind == "cross" for site in trace.sites):
        return "overview_self"
    return "overview" if models.is_ours(trace.key.model) else "overview_cross"


def notes(key: str) -> None:
    """Under the figure: what to notice, and what this cannot tell."""
    left, right = st.columns(2, gap="large")
    left.markdown(f"**{say('page.notice')}** {say(f'{key}.notice')}")
    right.markdown(f"**{say('page.limits')}** {say(f'{key}.limits')}")


def notices(trace: Trace) -> None:
    """Quiet remarks about how the text was read: folded case, a target that was forced or did not end."""
    if complaint := st.session_state.pop("complaint", None):
        st.error(complaint, icon=":material/error:")
    if note := st.session_state.pop("notice", None):
        st.warning(note)
    if folded := trace.facts.get("folded"):
        pairs = ", ".join(f"“{typed}” → “{read}”" for typed, read in folded)
        st.caption(say("note.folded", pairs=pairs))
    if models.is_ours(trace.key.model) and _outside(trace):
        st.caption(say("note.outside"))
    if notice := models.card(session.view().model).get("notice"):
        st.caption(f"{say('note.look')} {language.in_card(notice)}")
    _warnings(trace)
    if not trace.facts.get("finished", True):
        st.caption(say("note.unfinished"))
    if not trace.facts.get("generated", True):
        st.caption(say("note.forced"))


def _warnings(trace: Trace) -> None:
    """What makes a picture of this checkpoint less than it seems: random layers, heads that look at everything alike."""
    if fresh := trace.facts.get("fresh"):
        names = ", ".join(code(name) for name in fresh[:3]) + (" …" if len(fresh) > 3 else "")
        st.warning(say("note.fresh", n=len(fresh), names=names))
    if uniform := runs.uniform_heads(trace):
        names = ", ".join(f"{site_name(site)} · {head}" for site, head in uniform[:4]) + (
            " …" if len(uniform) > 4 else ""
        )
        st.caption(say("note.uniform", n=len(uniform), names=names))
    for side in trace.sides.values():
        if any(side.segments):
            st.caption(say("note.pair", last=len(side.segments) - 1, second=side.segments.index(1)))


def _outside(trace: Trace) -> bool:
    return in_grammar(trace.key.model, tuple(trace.tokens("encoder")), trace.language) is False


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


def fidelity_badge(error: float | None, limit: float | None = None) -> str:
    """“✓ 3·10⁻⁷” or a red statement; `limit` is how far off the record's arithmetic may leave it."""
    from model.fidelity import TOLERANCE

    if error is None:
        return ""
    if error <= (TOLERANCE if limit is None else limit):
        return say("foot.checks", error=numbers.short(error))
    return f":red[{say('foot.fails', error=numbers.short(error))}]"


def refused(trace: Trace, site: Site) -> bool:
    """Where the record does not imply what the module put out there is no picture, but a red statement."""
    fidelity = trace.fidelity()
    if fidelity.holds_at(str(site)):
        return False
    error = numbers.short(fidelity.sites[str(site)])
    st.error(say("foot.refused", site=site_name(site), error=error), icon=":material/error:")
    return True


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
    return f"{safe(trace.key.model)}-{site}-head{head}"


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
    fidelity = trace.fidelity()
    return fidelity_badge(fidelity.sites.get(str(site)), fidelity.limits.get(str(site)))


def _select_cell(key: str, record: AttentionRecord, head: int, shown: axes.Axes) -> None:
    """A click on a figure's cell: the token pair behind it, the strongest where it stands for several."""
    if picked := st.session_state[key].get("select"):
        row, column = axes.strongest(record, head, shown, (int(picked["row"]), int(picked["column"])))
        session.change(row=row, column=column)


def _part_shown(shown: axes.Axes) -> str:
    """Which part of a long side a figure shows, in words; "" where it is all."""
    if all(axis.whole for axis in shown):
        return ""
    rows, columns = (f"{axis.starts[0]}–{axis.stop - 1}" for axis in shown)
    return say("axes.part", rows=rows, columns=columns, queries=f"{shown[0].total:,}", keys=f"{shown[1].total:,}")


def _remarks(trace: Trace, site: Site, shown: axes.Axes) -> str:
    merged = session.view().by_word and axes.mergeable(trace, site)
    return " ".join(filter(None, (say("axes.by_word") if merged else "", _part_shown(shown))))


def attention_matrix(trace: Trace, max_height: int = 560) -> None:
    """The selected head as a clickable matrix; of a long text a window of it, and a map of the whole."""
    site, head, row, column = session.selected()
    if refused(trace, site):
        return
    record = trace.record(site)
    words = language.group("matrix") | {
        "alt": say("matrix.alt_text", site=site_name(site), head=head, rows=record.queries, columns=record.keys)
    }
    shown = axes.axes(trace, site, (row, column), bool(session.view().by_word))
    if not all(axis.whole for axis in shown):
        _map(trace, site, head, (row, column), words)
    frame = matrix.matrix_frame(trace, site, head, (row, column), words, max_height, shown)
    components.matrix(
        key="matrix", data=frame, on_select_change=lambda: _select_cell("matrix", record, head, shown)
    )  # fmt: skip
    sentence = f"{say('matrix.sentence')} {_remarks(trace, site, shown)}"
    foot("matrix", sentence, _site_badge(trace, site), lambda: _matrix_files(trace, site, head))


def _map(trace: Trace, site: Site, head: int, at: tuple[int, int], words: dict[str, str]) -> None:
    """The whole head in blocks; a click moves the window below it to the block's strongest cell."""
    record = trace.record(site)
    frame = matrix.map_frame(trace, site, head, at, words | {"help": say("axes.map_help")})
    blocks = axes.map_axes(record)
    components.matrix(
        key="map", data=frame, on_select_change=lambda: _select_cell("map", record, head, blocks)
    )  # fmt: skip
    rows, columns = (axis.tokens(0).stop for axis in blocks)
    st.caption(say("axes.map", rows=rows, columns=columns))


def beside(trace: Trace) -> None:
    """What the selected head reads of a picture or a sound, shown on the picture or the sound itself."""
    site, head, row, column = session.selected()
    if patches.has_picture(trace, site):
        words = language.group("patches") | {"alt": say("patches.alt_text", site=site_name(site), head=head)}
        frame = patches.patches_frame(trace, site, head, (row, column), words)
        components.patches(key="patches", data=frame, on_select_change=lambda: _select_patch(trace, site, head))
        st.caption(say("patches.sentence"))
    elif patches.has_sound(trace, site):
        words = language.group("sound")
        st.altair_chart(patches.listening(trace, site, head, row, words))
        share = numbers.short(patches.unheard(trace, site, head, row))
        st.caption(say("sound.sentence", share=share))


def _select_patch(trace: Trace, site: Site, head: int) -> None:
    """A clicked patch asks; where it reads most is selected with it, unless a key was clicked."""
    picked = st.session_state["patches"].get("select")
    if picked:
        row = int(picked["row"])
        column = picked.get("column")
        session.change(row=row, column=int(trace.row(site, head, row).argmax()) if column is None else int(column))


def _select_heads() -> None:
    state = st.session_state["lines"]
    if state.get("heads") is not None:
        session.change(heads=".".join(str(int(h)) for h in state["heads"]))


def attention_lines(trace: Trace) -> None:
    """All heads of the selected site as lines between the query tokens and the key tokens."""
    site, head, row, column = session.selected()
    if not trace.fidelity().holds_at(str(site)):
        return
    record = trace.record(site)
    words = language.group("lines") | {"alt": say("lines.alt_text", site=site_name(site))}
    switched_on = session.heads_shown(record.heads)
    shown = axes.axes(trace, site, (row, column), bool(session.view().by_word), axes.LINES)
    frame = matrix.lines_frame(trace, site, head, switched_on, (row, column), words, shown)
    components.lines(
        key="lines", data=frame, on_select_change=lambda: _select_cell("lines", record, head, shown),
        on_heads_change=_select_heads,
    )  # fmt: skip

    def files() -> dict[str, Callable[[], bytes]]:
        def csv() -> bytes:
            return export.site_csv(trace, site)

        def npz() -> bytes:
            weights = np.stack([record.weights(h).numpy() for h in range(record.heads)])
            return export.npz(weights=weights, queries=trace.tokens(site.query_side), keys=trace.tokens(site.key_side))

        slug = f"{safe(trace.key.model)}-{site}"
        return {f"{slug}.csv": csv, f"{slug}.npz": npz}

    sentence = f"{say('lines.sentence')} {_remarks(trace, site, shown)}"
    foot("lines", sentence, _site_badge(trace, site), files)


def _go(trace: Trace, words: axes.Axes | None) -> None:
    """A click in the overview: select what was clicked (of two words the strongest pair of tokens), then switch the page."""
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
            at = int(picked["row"]), int(picked["column"])
            if words is not None:
                at = axes.strongest(trace.record(changes["site"]), int(picked["head"]), words, at)
            changes |= {"row": at[0], "column": at[1]}
        if picked.get("part") == "output":
            changes["step"] = -1
        session.change(**changes)
        st.session_state.go_to = picked.get("page", "heads")


def _picture_words(trace: Trace, hero: tuple[Site, int]) -> dict[str, str]:
    """The captions, which say what the rows of ribbons are for this model."""
    words = language.group("overview")
    reads = trace.facts.get("reads")
    if reads:
        words["source"] = say("overview.seen") if reads == "picture" else say("overview.heard")
    if hero[0].kind == "self":
        words["target"] = say("overview.asking")
    elif not trace.facts.get("generated", True):
        words["target"] = say("overview.forced")
    written = " ".join(trace.written()[:-1]) if hero[0].kind == "cross" else ""
    return words | {"alt": say("overview.alt_text", source=trace.key.source[:200], target=written)}


def model_picture(trace: Trace) -> None:
    """The first screen: the sentence, the answer, and the model with what every part computed."""
    now = session.view()
    site, head, row, column = session.selected()
    # The run that is shown: after a refused text that is the last good one's.
    hero = runs.best_head(trace)
    selection = {"site": str(site), "head": head, "row": row, "column": column}
    hero_title = f"{site_name(hero[0])} · {say('site.head', head=hero[1])}"
    doors = [{"page": page, "text": say(f"door.{page}"), "why": say(f"door.{page}_why")} for page in _DOORS]
    editable = not models.is_trace(now.model) and not trace.facts.get("reads")
    merge = bool(now.by_word) and overview.drawable(trace)
    frame = overview.overview_frame(
        trace, hero, selection, _picture_words(trace, hero), hero_title, doors, editable, merge
    )

    def go() -> None:
        _go(trace, overview.hero_axes(trace, hero[0], True) if merge else None)

    components.overview(key="overview", data=frame, on_go_change=go, on_text_change=go)

    def files() -> dict[str, Callable[[], bytes]]:
        return {
            f"{safe(now.model)}-trace.npz": lambda: export.trace_npz(trace),
            f"{safe(now.model)}-weights.csv": lambda: export.trace_csv(trace),
            f"{safe(now.model)}-trace.safetensors": lambda: export.trace_file(trace),
        }

    fidelity = trace.fidelity()
    foot("overview", " ".join(_picture_remarks(trace)), _badges(fidelity), files)


def _picture_remarks(trace: Trace) -> list[str]:
    longest = max(len(side.tokens) for side in trace.sides.values())
    kind = thumbnails.how(longest, longest)
    remarks = [say("overview.sentence")]
    if kind != "weight":
        remarks.append(say(f"overview.pooled_{kind}"))
    if not overview.drawable(trace):
        remarks.append(say("overview.long", n=f"{longest:,}"))
    return remarks


def _badges(fidelity: Fidelity) -> str:
    badge = fidelity_badge(fidelity.max_error, math.inf if fidelity.holds else 0.0)
    if fidelity.rows is not None:
        badge += " " + say("foot.rows", rows=fidelity.rows)
    if fidelity.logits_error is not None:
        badge += " " + say("foot.logits", error=numbers.short(fidelity.logits_error))
    return badge


def safe(name: str) -> str:
    """A model's name as the beginning of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-") or "model"
