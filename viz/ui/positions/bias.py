"""Relative position biases, added to the attention scores: Shaw's vectors by offset, T5's buckets, ALiBi's slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from viz.base import numbers, tokens
from viz.ui.language import say
from viz.ui.positions.common import (
    chosen_head,
    files,
    grid,
    lacking,
    self_site,
    slider,
    static,
    texts,
    where,
)
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.side_bar import site_name
from viz.ui.state import page_controls

if TYPE_CHECKING:
    from model.positions.bias import Curves
    from model.trace.site import Site
    from model.trace.trace import Trace
    from viz.base.check_note import CheckNote

_TOKENS = ("query", "key")
_LONGEST = 40


def relative(trace: Trace, _model: Any) -> None:
    """Which vector each pair of words reads; with a model of Shaw's kind also the vectors, and what they add."""
    from model.transformer.positions import offsets
    from viz.positions import diverging

    site = self_site(trace)
    if site is None:
        st.info(say("positions.no_self"), icon=":material/info:")
        return
    record = trace.record(site)
    if record.distance is not None:
        where(trace, site)
    n = min(_LONGEST, record.queries)
    labels = tokens.labels(trace, site.query_side)[:n]
    own = record.distance is not None
    distance = record.distance if own else slider("distance", 1, 16, 4)
    table = (offsets(n, n, distance) - distance).double().numpy()
    page_text.heading("positions.offsets_name", small=True)
    scale = {"kind": "diverging", "low": -distance, "high": distance, "whole": True}
    grid("offsets", table, labels, labels, scale, _TOKENS, sides=(site.query_side, site.key_side), max_height=460)
    st.latex(r"S_{ij} = \frac{q_i\,(k_j + a^K_{c(j-i)})^\top}{\sqrt{d_k}},\quad c(o) = \max(-D, \min(D, o)),"
             rf"\quad D = {distance}")  # fmt: skip
    figure_footer.draw("positions-offsets", say("positions.offsets_sentence", n=2 * distance + 1, d=distance), None,
              files("offsets", table, texts(labels), texts(labels)),
              static(table, texts(labels), texts(labels), scale, _TOKENS), [offsets])  # fmt: skip
    if not own:
        lacking("relative")
        return
    from model.positions.bias import relative_share
    from viz.positions import numbered

    head = chosen_head(trace, site)
    page_text.heading("positions.vectors_name", small=True, site=site_name(site))
    keys = trace.activation(f"{site}.relative_keys").numpy()
    names = [str(o) for o in range(-distance, distance + 1)]
    scale = diverging(keys)
    grid("vectors", keys, numbered(len(keys), -distance), numbered(keys.shape[1]), scale, ("offset", "dimension_axis"))
    columns = [str(i) for i in range(keys.shape[1])]
    figure_footer.draw("positions-vectors", say("positions.vectors_sentence"), None, files("vectors", keys, names, columns),
              static(keys, names, columns, scale, ("offset", "dimension_axis")))  # fmt: skip
    page_text.heading("positions.share_name", small=True, site=site_name(site), head=head)
    share = relative_share(record, head)[:n, :n].numpy()
    scale = diverging(share)
    grid("share", share, labels, labels, scale, _TOKENS, sides=(site.query_side, site.key_side))
    figure_footer.draw("positions-share", say("positions.share_sentence"), figure_footer.site_badge(trace, site),
              files("share", share, texts(labels), texts(labels)),
              static(share, texts(labels), texts(labels), scale, _TOKENS), [relative_share])  # fmt: skip


def _recorded(trace: Trace, alibi: bool) -> tuple[Site, Curves] | None:
    """The first of the selected and the other self-attentions that adds a bias by offset, straight (ALiBi) or not."""
    from model.positions.bias import recorded_bias, slopes_of

    first = self_site(trace)
    own = [site for site in trace.sites if site.kind == "self"]
    for site in [first, *(site for site in own if site != first)] if first else []:
        curves = recorded_bias(trace.record(site))
        if curves is not None and bool(curves.values.any()) and (slopes_of(curves) is not None) == alibi:
            return site, curves
    return None


def _lines(trace: Trace, name: str, site: Site | None, curves: Curves, said: CheckNote | None, code: list[Any]) -> None:
    """said: how well the lines check, None where they are of no run."""
    from viz import positions as pictures

    head = chosen_head(trace, site) if site else st.session_state.get("positions-shown-head", 0)
    words = {word: say(f"positions.{word}") for word in ("offset", "added")}
    words |= {"head": say("site.head", head="{head}"), "alt": say(f"positions.{name}_what")}
    offsets, values = curves.offsets.numpy(), curves.values.numpy()

    def draw() -> Any:
        return pictures.bias_lines(offsets, values, head, words)

    st.altair_chart(draw())
    heads = [str(h) for h in range(len(values))]
    figure_footer.draw(f"positions-{name}", say(f"positions.{name}_sentence"), said,
              files(name, values, heads, [str(int(o)) for o in offsets]), draw, code)  # fmt: skip


def t5(trace: Trace, model: Any) -> None:
    """The opened model's recorded bias by offset and its buckets; else the buckets of a configuration, without biases."""
    from model.positions.bias import bucket_table, recorded_bias

    found = _recorded(trace, alibi=False)
    if found is None:
        lacking("t5")
        with st.container(horizontal=True, gap="large", vertical_alignment="bottom"):
            buckets = slider("buckets", 8, 64, 32, step=8)
            furthest = slider("furthest", 32, 256, 128, step=32)
            both = st.toggle(say("positions.both_ways"), **page_controls.switch("positions-both", True))
        _buckets(buckets, furthest, both)
        return
    site, curves = found
    where(trace, site)
    module = getattr(model, "module", None)
    table = bucket_table(module, curves, site.stack) if module is not None else None
    page_text.heading("positions.t5_name", small=True, site=site_name(site))
    said = figure_footer.fidelity_badge(table.error, table.limit, trace) if table else figure_footer.run_badge(trace)
    _lines(trace, "t5", site, curves, said, [recorded_bias, bucket_table])
    if table is not None:
        _buckets(len(table.weights), table.furthest, table.both_ways)


def _buckets(buckets: int, furthest: int, both: bool) -> None:
    import torch

    from model.positions.bias import bucket
    from viz import positions as pictures

    page_text.heading("positions.buckets_name", small=True)
    reach = furthest + furthest // 4
    offsets = torch.arange(-reach, reach + 1)
    rows = bucket(offsets, buckets, furthest, both).numpy()
    words = {word: say(f"positions.{word}") for word in ("offset", "bucket")} | {"alt": say("positions.buckets_what")}

    def draw() -> Any:
        return pictures.bucket_steps(offsets.numpy(), rows, words)

    st.altair_chart(draw())
    # The last bucket begins before `furthest`: its edges grow by a factor, and are cut off to whole numbers.
    shared = max(int(min(abs(o) for o, b in zip(offsets.tolist(), rows, strict=True) if b == end and o * sign >= 0))
                 for sign, end in ((-1, rows[0]), (1, rows[-1])))  # fmt: skip
    said = say("positions.buckets_both", next=buckets // 2 + 1, half=buckets // 2) + " " if both else ""
    figure_footer.draw("positions-buckets", said + say("positions.buckets_sentence", n=buckets, furthest=shared), None,
              files("buckets", rows[:, None], [str(int(o)) for o in offsets], ["bucket"]), draw, [bucket])  # fmt: skip


def alibi(trace: Trace, _model: Any) -> None:
    """One straight line a head: the opened model's recorded ones, or the rule's for any number of heads."""
    import torch

    from model.positions.bias import Curves, recorded_bias, slopes_of
    from model.trace.rounding import allowed
    from model.transformer.positions import alibi_bias, alibi_slopes

    found = _recorded(trace, alibi=True)
    if found is not None:
        site, curves = found
        where(trace, site)
        slopes = slopes_of(curves)
        rule = alibi_slopes(len(slopes))
        error, code = (slopes - rule).abs().max().item(), [recorded_bias, slopes_of, alibi_slopes]
        said = figure_footer.fidelity_badge(error, allowed(slopes, 2, curves.values.dtype), trace)
        page_text.heading("positions.alibi_recorded_name", small=True, site=site_name(site))
    else:
        lacking("alibi")
        heads, reach = slider("heads", 1, 16, 8), 32
        page_text.heading("positions.alibi_name", small=True)
        slopes, said, site, code = alibi_slopes(heads), None, None, [alibi_slopes, alibi_bias]
        values = alibi_bias(slopes, 2 * reach + 1, 2 * reach + 1, slice(reach, reach + 1))[:, 0]
        curves = Curves(torch.arange(-reach, reach + 1), values)
    _lines(trace, "alibi", site, curves, said, code)
    st.latex(r"S_{ij} = \frac{q_i\,k_j^\top}{\sqrt{d_k}} - m_h\,|i - j|")
    shown = r",\ ".join(numbers.tex(float(m)) for m in slopes[:8])
    st.latex("m_h = " + shown + (r",\ \ldots" if len(slopes) > 8 else ""))
