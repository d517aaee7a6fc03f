"""The page Text: the text itself, coloured by what a head attends to from a chosen token, or by who attends to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from model.errors import Stopped
from model.trace.site import Site
from viz.base import export, numbers, tokens
from viz.heads import color_scale
from viz.text import text as text_view
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text, side_bar, sink
from viz.ui.shared.side_bar import site_name
from viz.ui.shared.widgets import parts
from viz.ui.state import address_bar, jobs, picked_heads, view

if TYPE_CHECKING:
    from model.trace.trace import Trace
    from viz.text.text import TokenAttention

_SCALES = ("one", "max", "second")
_NAMED = 3  # heads that a sentence names


def show(trace: Trace) -> None:
    """The head's picker and the text; one sentence where what is read is no text."""
    site, *_ = view.selected()
    side_bar.head_picker(trace, words=False, sinks=True)
    if not _is_text(trace, site):
        st.info(say("reading.no_text"), icon=":material/info:")
    elif not figure_footer.refused(trace, site):
        _text(trace)


def _is_text(trace: Trace, site: Site) -> bool:
    """Whether both sides are tokens: patches of a picture and frames of a sound cannot be read."""
    sides = (site.query_side, site.key_side)
    return "encoder" not in sides or not ("image" in trace.store or "samples" in trace.store)


@st.fragment
def _text(trace: Trace) -> None:
    """The controls, the text and its list: a click asks Python for this part of the page alone."""
    site, head, *_ = view.selected()
    mode, heads, how, scale = _controls(trace, site, head)
    line = st.container()
    try:
        found = _look(trace, heads, mode, how)
    except Stopped:
        st.info(say("reading.stopped"), icon=":material/info:")
        return
    end = _end(found, scale)
    other = _other(found)
    with line:
        page_text.selection_line(trace)
        sink.say_share(trace, site, head)
    words = sink.masked(language.group("reading")) | {"alt": say("reading.alt_text", n="{n}")}
    frame = text_view.text_frame(trace, site, words, _names(trace, site))
    with st.container(key="ways"):
        left, right = st.columns([8, 4], gap="medium")
    with left:
        components.text(key="reading", data=frame, on_ask_change=_ask, on_choose_change=_choose)
    with right:
        told = {"listed": _title(trace, found), "rest": _rest(found), "legend": _legend(found, end, scale)}
        told |= {name: say(f"reading.{name}") for name in ("above", "below")}
        frame = text_view.row_frame(trace, found, end, other, told)
        components.text_row(key="reading-row", data=frame, on_choose_change=lambda: _choose("reading-row"))
    _footer(trace, found, end)
    # A fragment runs without the frame of the page: the link is written here too, and it is ours, not a pasted one.
    address_bar.write(part="reading")
    st.session_state.pop("acted", None)


def _names(trace: Trace, site: Site) -> list[str]:
    """What the texts of the queries and of the keys are called: an encoder's the source, a decoder's the target."""
    sides = (site.query_side, site.key_side)
    if trace.sides.keys() == {"encoder", "decoder"}:
        return [say("reading.encoder") if side == "encoder" else say("reading.decoder") for side in sides]
    return [language.side(side) for side in sides]


# ---- controls


def _controls(trace: Trace, site: Site, head: int) -> tuple[str, list[tuple[Site, int]], str, str]:
    """(mode, heads, how, scale) from one row of buttons; the link carries them."""
    record = trace.record(site)
    together = [
        (other, number) for other, number in ((trace.record(name).site, number) for name, number in picked_heads.picked(trace))
        if (other.query_side, other.key_side) == (site.query_side, site.key_side)
    ]  # fmt: skip
    sets = {"one": [(site, head)], "picks": together, "layer": [(site, number) for number in range(record.heads)]}
    options = [name for name, heads in sets.items() if name == "one" or heads]
    counts = {"picks": len(together), "layer": record.heads}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="reading-controls"):
        mode = parts(
            "reading_mode", say("reading.mode"), text_view.MODES, "attends", lambda m: say(f"reading.mode_{m}")
        )
        which = parts(
            "reading_heads", say("reading.heads"), options, "one",
            lambda name: say(f"reading.heads_{name}", n=counts.get(name, 1)),
        )  # fmt: skip
        how = "mean"
        if len(sets[which]) > 1:
            how = parts("reading_how", say("reading.how"), ("mean", "max"), "mean", lambda h: say(f"reading.how_{h}"))
        scale = parts("reading_scale", say("pick.scale"), _SCALES, "one", lambda s: say(f"reading.scale_{s}"))
    return mode, sets[which], how, scale


def _ask(key: str = "reading") -> None:
    """A click in the text asks from there; which end of the selection that is depends on what the figure shows."""
    if told := st.session_state[key].get("ask"):
        attends = told.get("mode") != "attended"
        view.change(**{"row" if attends else "column": int(told["index"])})
        st.session_state["reading-asked"] = True  # its other end is found with the row


def _choose(key: str = "reading") -> None:
    """A click on a coloured token of another text, or in the list: the other end of the selection."""
    if told := st.session_state[key].get("choose"):
        attends = told.get("mode") != "attended"
        view.change(**{"column" if attends else "row": int(told["index"])})


# ---- the row


def _look(trace: Trace, heads: list[tuple[Site, int]], mode: str, how: str) -> TokenAttention:
    """The row or column; of a long head a column may take seconds the first time, and can be stopped."""
    _, _, row, column = view.selected()
    index = row if mode == "attends" else column

    drawn = sink.drawn(trace)

    def make() -> TokenAttention:
        return text_view.token_attention(drawn, heads, mode, index, how)

    if mode == "attends":
        return make()
    names = tuple((str(site), head) for site, head in heads)
    return jobs.run(("reading", trace.key, names, index, how, view.current().sink), make, say("reading.working"))


def _other(attention: TokenAttention) -> int:
    """The other end of the selection; after a click in the text the strongest one."""
    _, _, row, column = view.selected()
    if st.session_state.pop("reading-asked", False) and (top := attention.top(1)):
        other = top[0][0]
        view.remember(**{"column" if attention.mode == "attends" else "row": other})
        return other
    return column if attention.mode == "attends" else row


def _end(attention: TokenAttention, scale: str) -> float:
    """Where the colours end."""
    if scale == "one":
        return 1.0
    return color_scale.round_up(attention.largest if scale == "max" else attention.second)


# ---- words


def _whose(attention: TokenAttention) -> str:
    """Which heads, in words: one by its name, several by how many and how they are put together."""
    if len(attention.heads) == 1:
        site, head = attention.heads[0]
        return f"{site_name(site)} · {say('site.head', head=head)}"
    sites = list(dict.fromkeys(site for site, _ in attention.heads))
    if len(sites) == 1:
        where = f"{site_name(sites[0])} · " + say("reading.of_heads", n=len(attention.heads))
    else:
        names = [f"{site_name(site)} · {head}" for site, head in attention.heads[:_NAMED]]
        where = ", ".join(names) + (" …" if len(attention.heads) > _NAMED else "")
    return f"{say(f'reading.how_{attention.how}')} · {where}"


def _asking(trace: Trace, attention: TokenAttention) -> str:
    site = attention.heads[0][0]
    labels = tokens.query_labels(trace, site) if attention.mode == "attends" else tokens.key_labels(trace, site)
    return labels[attention.index]["text"]


def _title(trace: Trace, attention: TokenAttention) -> str:
    listed = len(attention.top())
    return say(f"reading.listed_{attention.mode}", n=listed, token=_asking(trace, attention), heads=_whose(attention))


def _rest(attention: TokenAttention) -> str:
    """What the list leaves out, as a number."""
    total, left, count, largest = text_view.rest(attention)
    values = {"total": numbers.short(total, 4), "left": numbers.short(left), "n": f"{count:,}",
              "most": numbers.short(largest), "masked": f"{int((~attention.allowed).sum()):,}"}  # fmt: skip
    out = bool(view.current().sink)  # the first token is told above, and counted with what is masked
    if not count:
        said = say("reading.rest_none_else", **values) if out else say("reading.rest_none", **values)
    elif attention.how == "max":
        said = say("reading.rest_max", **values)
    else:
        said = say(f"reading.rest_{attention.mode}", **values)
    closed = say("reading.rest_masked_out", **values) if out else say("reading.rest_masked", **values)
    return said + (f" {closed}" if not attention.allowed.all() else "")


def _legend(attention: TokenAttention, end: float, scale: str) -> str:
    told = {
        "end": color_scale.written(end),
        "most": numbers.short(attention.largest),
        "second": numbers.short(attention.second),
    }
    what = sink.legend(say(f"reading.legend_of_{attention.how}", n=len(attention.heads)) if attention.how else "")
    return f"{what} · {say(f'reading.legend_{scale}', **told)}"


# ---- the footer


def _footer(trace: Trace, attention: TokenAttention, end: float) -> None:
    from model.attention import rows as head_rows
    from model.trace.attention_record import AttentionRecord
    from model.transformer.attention import softmax

    site = attention.heads[0][0]
    slug = f"{figure_footer.safe(trace.key.model)}-{site}-{attention.mode}-{attention.index}{sink.slug()}"

    def files() -> dict[str, Callable[[], bytes]]:
        def csv() -> bytes:
            return export.table_csv(text_view.table(trace, attention))

        def npz() -> bytes:
            names = [f"{name}.{head}" for name, head in attention.heads]
            table = text_view.table(trace, attention)
            left = {name: table[name].to_numpy() for name in ("left_out",) if name in table}
            return export.npz(weights=attention.values, allowed=~table["masked"].to_numpy(),
                              tokens=list(table["token"]), heads=names, **left)  # fmt: skip

        return {f"{slug}.csv": csv, f"{slug}.npz": npz}

    def figure():
        from viz.text import static as static_text

        side = site.key_side if attention.mode == "attends" else site.query_side
        return static_text.chart(text_view.flow(trace.side(side)), attention, end, sink.legend(say("matrix.value")))

    made = (head_rows.row,) if attention.mode == "attends" else (head_rows.column,)
    several = (head_rows.combined,) if attention.how else ()
    loosest = figure_footer.loosest(trace, [name for name, _ in attention.heads])
    badge = sink.told(figure_footer.site_badge(trace, loosest))
    sentence = say(
        f"reading.sentence_{attention.mode}", token=page_text.code(_asking(trace, attention)), heads=_whose(attention)
    )
    figure_footer.draw("reading", sentence, badge, files, figure,
              (*made, *several, AttentionRecord.scores, softmax))  # fmt: skip
