"""All heads of a sub-layer as lines between its tokens: those a rule asks for at any length, and what they leave out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from model.errors import Stopped
from model.trace.site import Site
from viz.base import axes, export, tokens
from viz.heads import lines, patches
from viz.ui import components, language
from viz.ui.heads import matrix as head_matrix
from viz.ui.language import say
from viz.ui.shared import figure_footer, sink
from viz.ui.shared.side_bar import site_name
from viz.ui.shared.widgets import mirror, parts
from viz.ui.state import jobs, view

if TYPE_CHECKING:
    import altair as alt

    from model.trace.trace import Trace

_PARTS = ("whole", "near")


def attention_lines(trace: Trace) -> None:
    """All heads of the selected site as lines between the query tokens and the key tokens.

    Over a picture there are none: its patches have no order to stand in, and lie beside the matrix as the picture.
    """
    site, *_ = view.selected()
    if not trace.fidelity().holds_at(str(site)) or patches.has_picture(trace, site):
        return
    long = lines.is_long(trace.record(site))
    rule, part = _controls(long)
    if long and part == "whole":
        _far(trace, site, rule)
    else:
        _near(trace, site, rule)


def _controls(long: bool) -> tuple[str, str]:
    """Which lines are drawn, and of a long input whether from end to end or around the selection."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="lines-controls"):
        chosen = view.tab("lines")
        key = mirror("lines-rule", chosen if chosen in lines.RULES else lines.USUAL)
        rule = st.selectbox(
            say("lines.rule"), list(lines.RULES), format_func=_rule_name, key=key, width=236, help=say("lines.rule_help"),
            on_change=lambda: view.open_tab("lines", st.session_state[key]),
        )  # fmt: skip
        part = (
            parts("lines_part", say("lines.part"), _PARTS, "whole", lambda p: say(f"lines.part_{p}"))
            if long
            else "near"
        )
    return rule or lines.USUAL, part


def _rule_name(rule: str) -> str:
    kind, value = lines.RULES[rule]
    return say(f"lines.rule_{kind}", value=f"{value:.0%}".replace("%", " %") if kind == "share" else f"{value:g}")


def _select_heads(key: str) -> None:
    state = st.session_state[key]
    if state.get("heads") is not None:
        view.change(heads=".".join(str(int(h)) for h in state["heads"]))


def _words(site: Site) -> dict[str, str]:
    words = language.group("lines")
    if view.current().sink:
        words["drawn"] = words["drawn_rest"]
    return words | {"alt": say("lines.alt_text", site=site_name(site))}


# ---- short, or the part around the selection


def _near(trace: Trace, site: Site, rule: str) -> None:
    _, head, row, column = view.selected()
    picture = sink.drawn(trace)
    record = picture.record(site)
    switched_on = view.heads_shown(record.heads)
    shown = axes.axes(trace, site, (row, column), bool(view.current().by_word), axes.LINES)
    frame = lines.lines_frame(picture, site, head, switched_on, (row, column), _words(site), shown, rule)
    components.lines(
        key="lines", data=frame, on_select_change=lambda: head_matrix.select_cell("lines", record, head, shown),
        on_heads_change=lambda: _select_heads("lines"),
    )  # fmt: skip
    keys = lines.key_items(trace, site, shown)

    def each(heads: list[int]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """head -> (weights, asked for) of what is shown."""
        found = {h: lines.cells(record, h, shown, keys, lines.rule_of(rule)) for h in heads}
        return {h: (weights, asked) for h, (weights, _, asked, _) in found.items()}

    def files() -> dict[str, Callable[[], bytes]]:
        whole = all(axis.whole for axis in shown) and not lines.is_long(record)

        def csv() -> bytes:
            if whole:
                return export.site_csv(picture, site)
            return _csv(trace, site, [
                (h, i + shown[0].starts[0], j + shown[1].starts[0], weights[i, j])
                for h, (weights, asked) in each(switched_on).items() for i, j in np.argwhere(asked)
            ])  # fmt: skip

        def npz() -> bytes:
            found = each(list(range(record.heads)))
            texts = {
                name: [label["text"] for label in axis.labels]
                for name, axis in zip(("queries", "keys"), shown, strict=True)
            }
            return export.npz(
                weights=np.stack([weights for weights, _ in found.values()]), drawn=np.stack([a for _, a in found.values()]),
                **texts,
            )  # fmt: skip

        slug = f"{figure_footer.safe(trace.key.model)}-{site}{sink.slug()}"
        return {f"{slug}.csv": csv, f"{slug}.npz": npz}

    def figure() -> alt.LayerChart:
        from viz.heads import ribbons

        on = {h: np.where(asked, weights, 0.0) for h, (weights, asked) in each(switched_on).items()}
        rows, columns = ([label["text"] for label in axis.labels] for axis in shown)
        return ribbons.chart(on, rows, columns, head_name=say("lines.head_name", head="{head}"), least=1e-9)

    sentence = f"{say('lines.sentence')} {head_matrix.remarks(trace, site, shown)}"
    badge = sink.told(figure_footer.site_badge(trace, site))
    figure_footer.draw("lines", sentence, badge, files, figure, _code())


def _code() -> tuple[Callable[..., object], ...]:
    from model.attention import top_weights
    from model.trace.attention_record import AttentionRecord

    return top_weights.lines_of_rule, AttentionRecord.weights, AttentionRecord.scores


def _csv(trace: Trace, site: Site, rows: list[tuple[int, int, int, float]]) -> bytes:
    import pandas as pd

    table = pd.DataFrame(rows, columns=["head", "query", "key", "weight"])
    table.insert(0, "site", str(site))
    for name, texts in (("query", tokens.query_names(trace, site)), ("key", trace.tokens(site.key_side))):
        table[f"{name}_token"] = [texts[i] for i in table[name]]
    return export.table_csv(table)


# ---- long, from the first token to the last


def _far(trace: Trace, site: Site, rule: str) -> None:
    _, head, row, column = view.selected()
    record = sink.drawn(trace).record(site)
    switched_on = view.heads_shown(record.heads)
    try:
        if lines.known(record, switched_on, rule):
            found = lines.far(record, switched_on, rule)
        else:
            key = ("lines", trace.key, str(site), tuple(switched_on), rule, view.current().sink)
            found = jobs.run(key, lambda: lines.far(record, switched_on, rule), say("lines.working"))
    except Stopped:
        st.info(say("lines.stopped"), icon=":material/info:")
        return
    words = _words(site) | {"drawn": share_sentence(lines.drawn_share(found))}
    frame = lines.far_frame(trace, site, head, found, (row, column), words)
    components.lines_far(
        key="lines-far", data=frame, on_select_change=_select_far, on_heads_change=lambda: _select_heads("lines-far")
    )  # fmt: skip

    def files() -> dict[str, Callable[[], bytes]]:
        from viz.heads import lines_static

        slug = f"{figure_footer.safe(trace.key.model)}-{site}-lines{sink.slug()}"
        table = lines_static.table(found)
        counted = lines.drawn_share(found)
        return {
            f"{slug}.csv": lambda: _csv(trace, site, list(table.itertuples(index=False, name=None))),
            f"{slug}.npz": lambda: export.npz(
                **{name: table[name].to_numpy() for name in table}, asked=np.array(counted.asked),
                cells=np.array(counted.cells), held=np.array(counted.held), mass=np.array(counted.mass),
            ),
        }  # fmt: skip

    def figure() -> alt.LayerChart:
        from viz.heads import lines_static

        titles = (say("lines.query"), say("lines.key"))
        return lines_static.chart(found, record.queries, record.keys, titles, say("lines.head_name", head="{head}"))

    from model.attention import top_weights

    sentence = say("lines.sentence_far", queries=f"{record.queries:,}", keys=f"{record.keys:,}")
    badge = sink.told(figure_footer.site_badge(trace, site))
    figure_footer.draw("lines", sentence, badge, files, figure, (top_weights.strong_lines, *_code()))


def _select_far() -> None:
    if picked := st.session_state["lines-far"].get("select"):
        view.change(row=int(picked["row"]), column=int(picked["column"]))


def share_sentence(counted: lines.DrawnShare) -> str:
    """ "N lines drawn of M, holding x % of the attention; the rest is left out." """
    share = 100 * counted.share
    values = {
        "n": f"{counted.drawn:,}", "m": f"{counted.cells:,}", "asked": f"{counted.asked:,}",
        "more": f"{counted.asked - counted.drawn:,}",
        "share": f"{share:.3f} %" if 99.95 < share < 100 else f"{share:.1f} %",
    }  # fmt: skip
    more = f" {say('lines.strongest', **values)}" if counted.asked > counted.drawn else ""
    return say("lines.drawn_rest" if view.current().sink else "lines.drawn", **values) + more
