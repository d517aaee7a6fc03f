"""The heads' shares of the output: one head through its block of W_O, all shares and their sum, how long each is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from viz.base import export, numbers, tokens
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.state import view

if TYPE_CHECKING:
    from model.attention.head_contributions import HeadContributions
    from model.trace.site import Site
    from model.trace.trace import Trace


def names(count: int) -> list[str]:
    """The rows of a table with a row a head."""
    return [say("together.head_n", n=head) for head in range(count)]


def words(alt: str, help: str) -> dict[str, str]:
    """What the equation component and the frames say."""
    help = help or say("equation.help_cell")
    return language.group("equation") | {"alt": alt, "help": help, "head_n": say("together.head_n", n="{n}")}


def slug(trace: Trace, site: Site) -> str:
    return f"{figure_footer.safe(trace.key.model)}-{site}"


def show(trace: Trace, site: Site, head: int, row: int) -> None:
    """W_O block by block, then the sum, then the lengths of the shares."""
    from model.attention import head_contributions

    found = head_contributions.contributions(trace, site, row)
    _block(trace, site, head, row)
    _sum(trace, site, found, head, row)
    _bars(trace, site, found, head, row)
    _lengths(trace, site, head, row)


def _block(trace: Trace, site: Site, head: int, row: int) -> None:
    """z_h × W_O^(h): what the selected head writes, for the queries around the selected one."""
    from model.attention import head_contributions
    from model.steps.step import window
    from viz.heads import contributions as pictures

    record = trace.record(site)
    cut = window(record.queries, row)
    z, W = (
        head_contributions.contexts(record, head, cut),
        head_contributions.blocks(record, trace.parameter(site, "W_O"))[head],
    )
    share = z @ W
    first = head * len(W)
    page_text.heading("together.block", head=head, first=first, last=first + len(W) - 1)
    st.latex(r"S_h = z_h\,W_O^{(h)},\qquad O = \sum_{h} S_h" + _bias_latex(trace, site))
    labels = tokens.query_labels(trace, site)
    said = words(say("together.block_alt", head=head), "")
    frame = pictures.block_frame(z.numpy(), W.numpy(), share.numpy(), head, row - cut.start, labels[cut], said)

    def select() -> None:
        picked = st.session_state["together-block"].get("select")
        if picked and not str(picked["matrix"]).startswith("W_O"):
            view.change(row=int(picked["row"]) + cut.start)

    components.equation(key="together-block", data=frame, on_select_change=select)
    texts = [label["text"] for label in labels[cut]]

    def files() -> dict[str, Callable[[], bytes]]:
        return {
            f"{slug(trace, site)}-head{head}-share.csv": lambda: export.matrix_csv(
                share.numpy(), texts, [str(i) for i in range(share.shape[1])]),
            f"{slug(trace, site)}-head{head}-share.npz": lambda: export.npz(
                z=z.numpy(), W_O=W.numpy(), share=share.numpy(), queries=texts),
        }  # fmt: skip

    sentence = say("together.block_sentence", n=len(share), d_v=len(W), d=share.shape[1])

    def figure():
        from viz.base import static_chart

        parts = ((f"z_{head}", z, texts), (f"W_O[{head}]", W, None), (f"S_{head}", share, texts))
        return static_chart.in_a_row([(symbol, values.numpy(), rows, None) for symbol, values, rows in parts])

    code = (head_contributions.blocks, head_contributions.contexts)
    figure_footer.draw("together-block", sentence, figure_footer.site_badge(trace, site), files, figure, code)


def _bias_latex(trace: Trace, site: Site) -> str:
    return " + b_O" if trace.parameter(site, "b_O") is not None else ""


def _sum(trace: Trace, site: Site, contributions: HeadContributions, head: int, row: int) -> None:
    """A row a head: the selected query's shares, whose sums down the columns are its recorded output."""
    from model.attention import head_contributions
    from viz.heads import contributions as pictures

    query = tokens.query_labels(trace, site)[row]["text"]
    page_text.heading(
        "together.sum",
        "together.sum_what" if contributions.bias is None else "together.sum_bias_what",
        h=len(contributions.heads),
    )
    said = words(say("together.sum_alt", h=len(contributions.heads), query=query), say("together.sum_help"))

    def select() -> None:
        picked = st.session_state["together-sum"].get("select")
        if picked and picked["matrix"] == "S_i" and int(picked["row"]) < len(contributions.heads):
            view.change(head=int(picked["row"]), heads="")

    components.equation(key="together-sum", data=pictures.sum_frame(contributions, head, said), on_select_change=select)
    rows = [*names(len(contributions.heads)), *(["b_O"] if contributions.bias is not None else [])]

    def files() -> dict[str, Callable[[], bytes]]:
        columns = [str(i) for i in range(contributions.heads.shape[1])]
        return {
            f"{slug(trace, site)}-query{row}-shares.csv": lambda: export.matrix_csv(contributions.parts.numpy(), rows, columns),
            f"{slug(trace, site)}-query{row}-shares.npz": lambda: export.npz(
                shares=contributions.parts.numpy(), output=contributions.output.numpy(), parts=rows),
        }  # fmt: skip

    sentence = say("together.sum_sentence", error=numbers.short(contributions.error))

    def figure():
        from viz.base import static_chart

        return static_chart.in_a_row(
            [("S_i", contributions.parts.numpy(), rows, None), ("O_i", contributions.output[None].numpy(), None, None)]
        )

    badge = figure_footer.fidelity_badge(contributions.error, contributions.limit, trace)
    figure_footer.draw(
        "together-sum", sentence, badge, files, figure, (head_contributions.contributions, head_contributions.blocks)
    )


def _bars(trace: Trace, site: Site, contributions: HeadContributions, head: int, row: int) -> None:
    """How long each share is, and how far it goes along the output."""
    from viz.heads import contributions as pictures

    page_text.heading("together.bars")
    above = r"\sum_h S_h \cdot O_i" + (r" + b_O \cdot O_i" if contributions.bias is not None else "")
    st.latex(r"\frac{S_h \cdot O_i}{\lVert O_i \rVert^2},\qquad \frac{" + above + r"}{\lVert O_i \rVert^2} = 1")
    said = words(say("together.bars_alt"), "") | {
        name: say(f"together.{name}") for name in ("length", "signed", "with", "against")
    }
    said["head"] = say("pick.head")
    table = pictures.share_table(contributions, said)

    charts = pictures.share_bars(table, head, said)
    with st.container(key="figures"):
        for area, chart in zip(st.columns(2, gap="large"), charts, strict=True):
            area.altair_chart(chart, width="stretch")
    total = float(contributions.signed.sum())
    sentence = say("together.bars_sentence", total=numbers.short(total, 6), query=row)
    files = {f"{slug(trace, site)}-query{row}-lengths.csv": lambda: export.table_csv(table)}
    code = (type(contributions).signed.fget, type(contributions).lengths.fget)
    badge = figure_footer.fidelity_badge(abs(total - 1), contributions.signed_limit, trace)
    figure_footer.draw("together-bars", sentence, badge, lambda: files, lambda: pictures.side_by_side(charts), code)


def _lengths(trace: Trace, site: Site, head: int, row: int) -> None:
    """heads × queries: which head writes much for which word."""
    from model.attention import head_contributions
    from model.steps.step import window
    from viz.heads import contributions as pictures

    cut = window(trace.record(site).queries, row)
    lengths = head_contributions.lengths(trace, site, cut)
    labels = tokens.query_labels(trace, site)[cut]
    page_text.heading("together.lengths")
    said = words(say("together.lengths_alt"), say("together.same_help"))
    frame = pictures.length_frame(lengths.numpy(), (head, row - cut.start), labels, said)

    def select() -> None:
        if picked := st.session_state["together-lengths"].get("select"):
            view.change(head=int(picked["row"]), row=int(picked["column"]) + cut.start, heads="")

    components.equation(key="together-lengths", data=frame, on_select_change=select)
    texts, rows = [label["text"] for label in labels], names(len(lengths))
    files = {f"{slug(trace, site)}-lengths.csv": lambda: export.matrix_csv(lengths.numpy(), rows, texts)}

    def figure():
        from viz.base import static_chart

        high = float(lengths.max()) or 1.0
        return static_chart.heat_map(
            lengths.numpy(), rows, texts, 0, high, titles=(say("pick.head"), say("matrix.query"), "‖S‖")
        )

    sentence = say("together.lengths_sentence", high=numbers.short(float(lengths.max())))
    figure_footer.draw(
        "together-lengths",
        sentence,
        figure_footer.site_badge(trace, site),
        lambda: files,
        figure,
        (head_contributions.lengths,),
    )
