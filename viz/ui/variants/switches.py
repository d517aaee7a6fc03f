"""The switches of the page Variants: each reads its control and says what becomes of the head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from viz.base import numbers
from viz.ui.language import say
from viz.ui.state import page_controls

if TYPE_CHECKING:
    from torch import Tensor

    from model.trace.attention_record import AttentionRecord

_SOFTMAX = r"\mathrm{{softmax}}\left({0}\right)"


@dataclass(frozen=True, eq=False)
class Change:
    """What a switch does: the changed head (or its weights), its formula, what else to say, the functions that did it."""

    after: AttentionRecord | Tensor
    latex: str
    said: str
    code: tuple[Callable[..., object], ...]


def scores(record: AttentionRecord, product: str = r"q\,k^\top") -> str:
    """The recorded scores as LaTeX, with what else this model adds to them."""
    from model.steps.scores import by_root

    text = rf"{product} / \sqrt{{d_k}}" if by_root(record) else rf"{record.scale:.4g}\,{product}"
    return _added(record, text)


def _added(record: AttentionRecord, text: str, cap: bool = True) -> str:
    if cap and record.softcap is not None:
        text = rf"c\,\tanh({text}\,/\,c)"
    biased = record.slopes is not None or any(f"{record.site}.{b}" in record.store for b in ("bias", "bias_offsets"))
    return text + (" + B" if biased else "") + " + M"


def softmax(inside: str) -> str:
    return _SOFTMAX.format(inside)


def scale(record: AttentionRecord, single: AttentionRecord, head: int, rows: slice) -> Change:
    """Scores without 1/√d_k, or with one of the two usual mistakes in it."""
    from model.attention import variants
    from viz.heads.variants import marked

    d_k, d_model = record.d_k, record.store.shape(f"{record.site}.output")[-1]
    ways = {
        "none": (1.0, r"\cdot 1"),
        "root": (d_k**-0.5, r"/\sqrt{d_k}"),
        "times": (d_k**0.5, r"\cdot\sqrt{d_k}"),
        "model": (d_model**-0.5, r"/\sqrt{d_{model}}"),
    }
    way = st.segmented_control(
        say("variants.scale_pick"), list(ways), format_func=lambda w: say(f"variants.scale_{w}"), required=True,
        **page_controls.among("variants-scale", "none", list(ways)),
    )  # fmt: skip
    factor, latex = ways[way or "none"]
    inside = _added(record, rf"q\,k^\top\,{marked(latex)}")
    said = say("variants.scale_said", recorded=numbers.short(record.scale), factor=numbers.short(factor), d_k=d_k,
               d_model=d_model)  # fmt: skip
    return Change(variants.scaled(single, factor), softmax(inside), said, (variants.scaled,))


def heads(record: AttentionRecord, single: AttentionRecord, head: int, rows: slice) -> Change | None:
    """One softmax over the summed scores of all heads."""
    from model.attention import variants
    from viz.heads.variants import marked

    if record.heads == 1:
        st.info(say("variants.heads_none"))
        return None
    summed = marked(r"\textstyle\sum_h q_h\,k_h^\top")
    inside = rf"{summed} / \sqrt{{" + marked("h") + r"\,d_k}"
    said = say("variants.heads_said", h=record.heads, d_k=record.d_k, wide=record.heads * record.d_k)
    return Change(variants.wide(record), softmax(_added(record, inside)), said, (variants.wide,))


def groups(record: AttentionRecord, single: AttentionRecord, head: int, rows: slice) -> Change:
    """Keys and values averaged over groups of heads."""
    from model.attention import variants
    from viz.heads.variants import marked

    sizes, kv = variants.group_sizes(record), record.heads // record.groups
    size = sizes[-1]
    if len(sizes) > 1:
        size = st.segmented_control(
            say("variants.groups_pick"), sizes, required=True, help=say("variants.groups_help"),
            **page_controls.among(f"variants-groups@{kv}", sizes[-1], sizes),
        ) or sizes[-1]  # fmt: skip
    mine = next(group for group in variants.members(record, size) if head in group)
    said = [say("variants.groups_real", heads=record.heads, kv=kv, each=record.groups)]
    before, after = variants.cache_numbers(record), variants.cache_numbers(record, size)
    said.append(say("variants.groups_said", first=mine[0], last=mine[-1], before=f"{before:,}", after=f"{after:,}",
                    saved=f"{1 - after / before:.0%}"))  # fmt: skip
    inside = scores(record, r"q\," + marked(r"\bar k^{\,\top}"))
    mean = r",\quad " + marked(r"\bar k") + rf" = \tfrac{{1}}{{{size}}}\textstyle\sum_{{h' \in g}} k_{{h'}}"
    return Change(
        variants.grouped(record, head, size),
        softmax(inside) + mean,
        " ".join(said),
        (variants.grouped, variants.members),
    )


def window(record: AttentionRecord, single: AttentionRecord, head: int, rows: slice) -> Change | None:
    """Attention within a sliding window: only keys near the query."""
    from model.attention import variants
    from viz.heads.variants import marked

    n = record.keys
    if record.site.kind == "cross" or record.queries != n or n < 2:
        st.info(say("variants.window_none"))
        return None
    width = st.slider(
        say("variants.window_pick"), 1, n, help=say("variants.window_help"),
        **page_controls.between(f"variants-window@{n}", max(2, n // 3), 1, n),
    )  # fmt: skip
    changed = variants.windowed(single, width)
    before, after = int(single.allowed().sum()), int(changed.allowed().sum())
    said = say("variants.window_said", width=width, before=f"{before:,}", after=f"{after:,}")
    inside = scores(record) + " + " + marked("M^w")
    rule = r" \\ M^w_{ij} &= 0\ (|i-j|<w),\ -\infty\ (|i-j|\ge w)"
    return Change(changed, softmax(inside) + rule, said, (variants.windowed,))


def sink(record: AttentionRecord, single: AttentionRecord, head: int, rows: slice) -> Change:
    """An attention sink: one more score in the softmax's denominator."""
    import torch

    from model.attention import variants
    from viz.heads.variants import marked

    logit = st.slider(
        say("variants.sink_pick"), -10.0, 20.0, step=0.5, **page_controls.between("variants-sink", 0.0, -10, 20),
    )  # fmt: skip
    own = single.sink(0, torch.float64)
    said = say("variants.sink_said") if own is None else say("variants.sink_own", own=numbers.short(float(own)))
    below = r"\sum_{j'} e^{s_{ij'}} + " + marked("e^{z}")
    latex = rf"\frac{{e^{{s_{{ij}}}}}}{{{below}}},\quad s = {scores(record)},\quad z = {logit:g}"
    return Change(variants.with_sink(single, logit), latex, said, (variants.with_sink,))


def additive(record: AttentionRecord, single: AttentionRecord, head: int, rows: slice) -> Change:
    """Additive attention (Bahdanau) with random weights."""
    from model.attention import variants
    from viz.heads.variants import marked

    seed = st.slider(say("variants.additive_pick"), 0, 9, **page_controls.between("variants-seed", 0, 0, 9))
    weights = variants.additive(single, variants.random_additive(record.d_k, seed), rows)
    said = say("variants.additive_said", seed=seed, d=record.d_k)
    inside = marked(r"v^\top \tanh(W q_i + U k_j)") + " + M"
    return Change(weights, softmax(inside), said, (variants.additive, variants.random_additive))


def softcap(record: AttentionRecord, single: AttentionRecord, head: int, rows: slice) -> Change:
    """Soft-capped scores, c · tanh(S / c), between −c and c."""
    from model.attention import variants
    from viz.heads.variants import marked

    cap = st.slider(
        say("variants.softcap_pick"), 0.5, 60.0, step=0.5, **page_controls.between("variants-softcap", 2.0, 0.5, 60)
    )
    changed = variants.capped(single, cap)
    largest = [float(s[s.isfinite()].abs().max()) for s in (r.scores(0, rows) for r in (single, changed))]
    said = say(
        "variants.softcap_said", before=numbers.short(largest[0]), after=numbers.short(largest[1]), cap=f"{cap:g}"
    )
    if record.softcap is not None:
        said += " " + say("variants.softcap_own", own=f"{record.softcap:g}")
    plain = scores_before_cap(record)
    inside = _added(record, marked(r"c\,\tanh(") + plain + marked(r"/\,c)"), cap=False)
    return Change(changed, softmax(inside), said, (variants.capped,))


def scores_before_cap(record: AttentionRecord) -> str:
    from model.steps.scores import by_root

    return r"q\,k^\top / \sqrt{d_k}" if by_root(record) else rf"{record.scale:.4g}\,q\,k^\top"


SWITCHES = {
    "scale": scale, "heads": heads, "groups": groups, "window": window, "sink": sink, "additive": additive,
    "softcap": softcap,
}  # fmt: skip
