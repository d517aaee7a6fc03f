"""The page Masks: a mask on the selected head's recorded scores, what it does to a row, and the usual mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from viz.base import export, numbers, tokens
from viz.ui import components, language
from viz.ui.language import say
from viz.ui.masks import mistakes
from viz.ui.masks.common import MaskSelection, select
from viz.ui.shared import figure_footer, page_text, side_bar
from viz.ui.shared.side_bar import site_name
from viz.ui.shared.widgets import parts
from viz.ui.state import page_controls, view

if TYPE_CHECKING:
    from model.attention.mask_effects import Masked
    from model.trace.attention_record import AttentionRecord
    from model.trace.trace import Trace


def show(trace: Trace) -> None:
    """Pickers, the mask, the row, the mistakes."""
    side_bar.head_picker(trace, words=False)
    page_text.selection_line(trace)
    site, _, _, _ = view.selected()
    if figure_footer.refused(trace, site):
        return
    chosen = _controls(trace)
    _masked(chosen)
    mistakes.show(chosen)


def _controls(trace: Trace) -> MaskSelection:
    """Which mask, how many keys are real, how wide the window: each only where it counts."""
    import torch

    from model.attention import mask_effects
    from model.steps.step import window

    site, head, row, column = view.selected()
    record = trace.record(site)
    known = mask_effects.kinds(record)
    # Where the model ran without a mask, as recorded would be a page of masks without one.
    first = "recorded" if _forbids(record) else "padding"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        kind = parts("masks", say("masks.pick"), known, first, lambda k: say(f"masks.{k}"), width="content")
        real, width = record.keys, record.keys
        if kind in ("padding", "both") and record.keys > 1:
            how = page_controls.between(
                f"masks-real@{record.keys}", min(max(2, record.keys - 2), record.keys), 0, record.keys
            )
            real = st.slider(say("masks.real"), 0, record.keys, width=240, help=say("masks.real_help"), **how)
        if kind == "window" and record.keys > 1:
            how = page_controls.between(f"masks-width@{record.keys}", _window(record.keys), 1, record.keys)
            width = st.slider(say("masks.width"), 1, record.keys, width=240, help=say("masks.width_help"), **how)
    if len(known) < len(mask_effects.KINDS):
        _to_self(trace, record)
    cuts = (window(record.queries, row), window(record.keys, column))
    single = record.select([head], torch.float64)
    return MaskSelection(trace, site, record, single, (row, column), cuts, kind, real, width)


def _forbids(record: AttentionRecord) -> bool:
    """Whether the recorded mask forbids anything in the first or the last row."""
    ends = (slice(0, 1), slice(record.queries - 1, record.queries))
    return any(bool((~record.allowed(rows)).any()) for rows in ends)


def _to_self(trace: Trace, record: AttentionRecord) -> None:
    """Causal masks and windows need one sequence: why they are missing, and the way to a site that has a mask of its own."""
    from model.attention import mask_effects

    why = say("masks.cross")
    if record.site.kind == "self":
        why = say("masks.more_keys", queries=f"{record.queries:,}", keys=f"{record.keys:,}")
    there = [site for site in trace.sites if site.kind == "self" and site.stack == "decoder" and site != record.site]
    whole = (site for site in there if len(mask_effects.kinds(trace.record(site))) == len(mask_effects.KINDS))
    masked = [site for site in whole if _forbids(trace.record(site))]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(why, width="content")
        if masked:
            site = next((s for s in masked if s.layer == record.site.layer), masked[-1])
            st.button(
                say("masks.to_self", site=site_name(site)), key="masks-to-self", type="tertiary", on_click=view.change,
                kwargs={"site": str(site), "row": -1, "column": -1},
            )  # fmt: skip


def _window(keys: int) -> int:
    """How wide a window begins: one that leaves each query more than itself, and forbids something."""
    return max(min(2, keys), keys // 3)


def _masked(chosen: MaskSelection) -> None:
    """S + M → softmax → A, the selected row in numbers, and who gets what the forbidden keys lose."""
    from model.attention import mask_effects
    from model.transformer import masks
    from viz.heads import masks as pictures

    mask = mask_effects.mask_of(chosen.record, chosen.kind, chosen.real, chosen.width)
    found = mask_effects.masked(chosen.single, mask, chosen.cuts[0])
    st.markdown(say(f"masks.{chosen.kind}_what"))
    st.latex(r"A = \mathrm{softmax}(S + M)")
    st.latex("M_{ij} = " + _rule(chosen))
    words = language.group("equation") | {"alt": say("masks.alt", kind=say(f"masks.{chosen.kind}"))}
    frame = pictures.mask_frame(chosen.trace, chosen.site, found, chosen.cuts, chosen.at, words)
    components.equation(key="masks", data=frame, on_select_change=lambda: select("masks", chosen))
    dead = int((~found.allowed).sum())
    said = say("masks.sentence", dead=f"{dead:,}", cells=f"{found.allowed.numel():,}")
    if chosen.cuts[0].stop - chosen.cuts[0].start < chosen.record.queries:
        said += " " + say("masks.part", first=chosen.cuts[0].start, last=chosen.cuts[0].stop - 1)
    rows, columns = chosen.texts()

    def files() -> dict[str, Callable[[], bytes]]:
        return {
            f"{chosen.slug}-{chosen.kind}.csv": lambda: export.matrix_csv(found.weights.numpy(), rows, columns),
            f"{chosen.slug}-{chosen.kind}.npz": lambda: export.npz(
                scores=found.scores.numpy(), allowed=found.allowed.numpy(), weights=found.weights.numpy(), queries=rows,
                keys=columns),
        }  # fmt: skip

    def figure():
        part = mask_effects.Masked(*(getattr(found, name)[:, chosen.cuts[1]] for name in (
            "scores", "allowed", "open", "weights")))  # fmt: skip
        return pictures.picture(part, rows, columns[chosen.cuts[1]], (say("matrix.query"), say("matrix.key")))

    figure_footer.draw(
        "masks", said, chosen.check, files, figure, (mask_effects.mask_of, mask_effects.masked, masks.RuleMask)
    )
    _row(chosen, found, columns)


def _rule(chosen: MaskSelection) -> str:
    """When a cell is −∞, as a formula."""
    from model.attention import mask_effects

    back = chosen.kind == "window" and mask_effects.is_causal(chosen.record)
    rules = {
        "none": r"0", "padding": r"-\infty\ (j \ge n),\ 0\ (j < n)", "causal": r"-\infty\ (j > i),\ 0\ (j \le i)",
        "both": r"-\infty\ (j > i \lor j \ge n),\ 0\ \text{else}", "window": r"-\infty\ (|i-j| \ge w),\ 0\ (|i-j| < w)",
        "recorded": r"-\infty\ \text{or}\ 0",
    }  # fmt: skip
    if back:
        rules["window"] = r"-\infty\ (j > i \lor i-j \ge w),\ 0\ \text{else}"
    value = {"padding": rf",\quad n = {chosen.real}", "both": rf",\quad n = {chosen.real}",
             "window": rf",\quad w = {chosen.width}"}.get(chosen.kind, "")  # fmt: skip
    return rules[chosen.kind] + value


def _row(chosen: MaskSelection, masked_head: Masked, columns: list[str]) -> None:
    """The selected row: its sum, what the forbidden keys had, and by how much the others grew."""
    from viz.heads import variants as charts

    i = chosen.at[0] - chosen.cuts[0].start
    query = tokens.query_labels(chosen.trace, chosen.site)[chosen.at[0]]["text"]
    page_text.heading("masks.row", query=page_text.code(query))
    total, lost = float(masked_head.weights[i].sum()), float(masked_head.masked_mass[i])
    with st.container(key="figures"):
        left, right = st.columns(2, gap="large")
    table = [f"| {say('masks.of_row')} | |", "|:--|--:|"]
    measures = {"keys_left": str(int(masked_head.allowed[i].sum())), "lost": numbers.short(lost, 4),
                "sum": numbers.short(total, 6)}  # fmt: skip
    table += [f"| {say(f'masks.{name}')} | {value} |" for name, value in measures.items()]
    left.markdown("\n".join(table))
    left.latex(_shared(chosen, masked_head, i))
    if not bool(masked_head.allowed[i].any()):
        left.caption(say("masks.dead_row"))
    words = {"recorded": say("masks.without"), "variant": say("masks.with"), "key": say("variants.key"),
             "weight": say("variants.weight"), "alt": say("masks.bars_alt")}  # fmt: skip
    right.altair_chart(charts.bars(_pair(masked_head), i, columns, words))


def _pair(masked_head: Masked):
    """The same rows as the chart of a variant takes them: before and after."""
    from model.attention.variants import Comparison

    none = masked_head.allowed & False
    return Comparison(masked_head.open, masked_head.weights, none, ~masked_head.allowed)


def _shared(chosen: MaskSelection, masked_head: Masked, i: int) -> str:
    """A_ij from the weights without the mask; the numbers of the selected cell, where it is allowed."""
    form = r"A_{ij} = \frac{A^{\mathrm{open}}_{ij}}{\sum_{\mathrm{allowed}} A^{\mathrm{open}}_{ij'}}"
    column, kept = chosen.at[1], float(masked_head.allowed_mass[i])
    if (
        chosen.single.sink(0, masked_head.open.dtype) is not None
        or not bool(masked_head.allowed[i, column])
        or kept == 0
    ):
        return form
    free, weight = (numbers.tex(float(values[i, column]), 4) for values in (masked_head.open, masked_head.weights))
    return form + rf" = \frac{{{free}}}{{{numbers.tex(kept, 4)}}} = {weight}"
