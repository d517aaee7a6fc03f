"""The page Heads together: all heads on one word, their contexts side by side, their shares of the output."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from model.trace.site import Site
from viz.base import export, numbers, tokens
from viz.ui import components
from viz.ui.contributions import shares
from viz.ui.contributions.shares import names, slug, words
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text, side_bar
from viz.ui.state import view
from viz.ui.theme import theme

if TYPE_CHECKING:
    from model.trace.attention_record import AttentionRecord
    from model.trace.trace import Trace


def show(trace: Trace) -> None:
    """Pickers, then every panel that the record allows."""
    from model.attention import head_contributions

    site, head, row, column = view.selected()
    side_bar.head_picker(trace, words=False)
    side_bar.cell_picker(trace)
    page_text.selection_line(trace)
    if figure_footer.refused(trace, site):
        return
    record = trace.record(site)
    _same_word(trace, site, record, (head, row, column))
    _side_by_side(trace, site, record, head, row)
    if head_contributions.projected(trace, site):
        shares.show(trace, site, head, row)
    else:
        st.info(say("together.no_projection"), icon=":material/info:")


def _same_word(trace: Trace, site: Site, record: AttentionRecord, at: tuple[int, int, int]) -> None:
    """heads × keys for the selected query; a click selects head and key."""
    from model.attention import head_contributions
    from model.steps.step import window
    from model.trace.attention_record import AttentionRecord as Record
    from viz.heads import contributions as pictures

    head, row, column = at
    query = tokens.query_labels(trace, site)[row]["text"]
    page_text.heading("together.same", query=page_text.code(query), h=record.heads)
    cut = window(record.keys, column)
    weights = head_contributions.head_rows(record, row)
    allowed = record.allowed(slice(row, row + 1)).numpy()
    labels = tokens.key_labels(trace, site)
    said = words(say("together.same_alt", h=record.heads, query=query), say("together.same_help"))
    frame = pictures.rows_frame(
        weights[:, cut].numpy(), ~allowed[:, cut], (head, column - cut.start), labels[cut], said
    )  # fmt: skip

    def select() -> None:
        if picked := st.session_state["together-same"].get("select"):
            view.change(head=int(picked["row"]), column=int(picked["column"]) + cut.start, heads="")

    components.equation(key="together-same", data=frame, on_select_change=select)
    parts = [say("together.same_sentence")]
    if record.groups > 1:
        parts.append(say("together.groups", each=record.groups, kv=record.heads // record.groups))
    if cut.stop - cut.start < record.keys:
        parts.append(say("together.part", first=cut.start, last=cut.stop - 1, n=record.keys))
    columns = [label["text"] for label in labels]

    def files() -> dict[str, Callable[[], bytes]]:
        return {
            f"{slug(trace, site)}-query{row}.csv": lambda: export.matrix_csv(
                weights.numpy(), names(record.heads), columns
            )
        }

    def figure():
        from viz.base import static_chart

        titles = (say("pick.head"), say("matrix.key"), say("matrix.value"))
        return static_chart.heat_map(weights[:, cut].numpy(), names(record.heads), columns[cut], 0, 1, allowed[:, cut].repeat(
            record.heads, 0), titles)  # fmt: skip

    figure_footer.draw("together-same", " ".join(parts), figure_footer.site_badge(trace, site), files, figure,
              (head_contributions.head_rows, Record.weights))  # fmt: skip
    _compared(trace, record, weights, columns)


def _compared(trace: Trace, record: AttentionRecord, weights, columns: list[str]) -> None:
    """What each head looks at most, and how much two heads' rows have in common."""
    from model.attention import head_contributions
    from model.transformer.attention import entropy
    from viz.heads import contributions as pictures

    site = record.site
    if record.heads == 1:
        return
    best = head_contributions.strongest(weights)
    table = {
        say("pick.head"): names(record.heads),
        say("together.strongest"): [f"{j}: {columns[j]}" if w > 0 else "–" for j, w in best],
        say("matrix.value"): [w for _, w in best],
        say("together.entropy"): [numbers.short(float(entropy(row)), 3) for row in weights],
    }
    shared = head_contributions.overlap(weights)
    bar = st.column_config.ProgressColumn(format="%.4f", min_value=0.0, max_value=1.0)
    page_text.heading("together.compared")
    with st.container(key="ways"):
        left, right = st.columns(2, gap="large")
    left.dataframe(table, hide_index=True, width=560, column_config={say("matrix.value"): bar})
    if record.heads <= 32:
        chart = pictures.overlap_map(shared, say("together.overlap"), theme())
        with right:
            page_text.heading("together.overlap_title", what="", small=True)
            st.altair_chart(chart, width="content")
    heads = [str(head) for head in range(record.heads)]
    figure_footer.draw("together-compared", say("together.overlap_sentence"), figure_footer.site_badge(trace, site), lambda: {
        f"{slug(trace, site)}-overlap.csv": lambda: export.matrix_csv(shared.numpy(), names(record.heads), heads)},
        (lambda: pictures.overlap_map(shared, say("together.overlap"), "light")) if record.heads <= 32 else None,
        (head_contributions.overlap, head_contributions.strongest, entropy))  # fmt: skip


def _side_by_side(trace: Trace, site: Site, record: AttentionRecord, head: int, row: int) -> None:
    """The contexts of the heads next to each other: the concatenation that W_O reads."""
    from model.attention import head_contributions
    from model.steps.step import window
    from viz.heads import contributions as pictures

    cut = window(record.queries, row)
    each = [head_contributions.contexts(record, h, cut).numpy() for h in range(record.heads)]
    width = each[0].shape[1]
    page_text.heading("together.concat", h=record.heads, d_v=width, wide=record.heads * width)
    heads = pictures.beside(record.heads, head)
    labels = tokens.query_labels(trace, site)
    said = words(say("together.concat_alt", h=record.heads), "")
    frame = pictures.concat_frame(each, heads, record.heads, row - cut.start, labels[cut], said)
    components.equation(key="together-concat", data=frame, on_select_change=_select_row("together-concat", cut.start))
    sentence = say("together.concat_sentence", first=head * width, last=(head + 1) * width - 1, head=head)
    if len(heads) < record.heads:
        sentence += " " + say("together.concat_part", first=heads[0], last=heads[-1], h=record.heads)
    texts = [label["text"] for label in labels[cut]]

    def files() -> dict[str, Callable[[], bytes]]:
        import numpy as np

        arrays = {f"z_{h}": values for h, values in enumerate(each)}
        return {
            f"{slug(trace, site)}-concat.csv": lambda: export.matrix_csv(
                np.concatenate(each, 1), texts, [str(i) for i in range(record.heads * width)]),
            f"{slug(trace, site)}-contexts.npz": lambda: export.npz(**arrays, queries=texts),
        }  # fmt: skip

    def figure():
        import numpy as np

        from viz.base import static_chart

        parts = [(f"z_{h}", each[h], texts if not place else None, None) for place, h in enumerate(heads)]
        return static_chart.in_a_row([*parts, ("C", np.concatenate(each, 1), None, None)])

    figure_footer.draw(
        "together-concat",
        sentence,
        figure_footer.site_badge(trace, site),
        files,
        figure,
        (head_contributions.contexts,),
    )


def _select_row(key: str, start: int) -> Callable[[], None]:
    """A click on a row of contexts selects that query."""

    def select() -> None:
        if picked := st.session_state[key].get("select"):
            view.change(row=int(picked["row"]) + start)

    return select
