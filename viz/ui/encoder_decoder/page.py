"""The page of the encoder–decoder: where Q, K and V come from, the shifted target, three attentions, the alignment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from model.measures.default_head import aligned_head
from model.trace.site import Site
from viz.base import export, numbers, tokens
from viz.ui.encoder_decoder import nothing_to_draw, recorded_masks
from viz.ui.language import say
from viz.ui.shared import figure_footer, page_text
from viz.ui.shared.side_bar import site_name
from viz.ui.shared.widgets import listed, mirror
from viz.ui.state import current_run, model_list, page_controls, view
from viz.ui.theme import theme

if TYPE_CHECKING:
    from model.measures.cross_alignment import Gold
    from model.trace.trace import Trace

Chosen = tuple[Site, int, int]  # the cross-attention, its head, the decoder's row


def show(trace: Trace) -> None:
    """Every panel, or one sentence where no one encoder and decoder are there to be drawn."""
    from model.measures import cross_alignment

    if not cross_alignment.crosses(trace):
        nothing_to_draw.say_why(trace)
        return
    chosen = _pickers(trace)
    if figure_footer.refused(trace, chosen[0]):
        return
    _architecture(trace, chosen)
    _shifted(trace, chosen)
    _looks(trace, chosen)
    _alignment(trace, chosen)


def chosen_cross(trace: Trace) -> Chosen:
    """The selection where it is a cross-attention; else the head that aligns best, and the selected decoder row."""
    from model.measures import cross_alignment

    site, head, row, _ = view.selected()
    crosses = cross_alignment.crosses(trace)
    if site not in crosses:
        best, best_head = current_run.best_head(trace)
        told = view.selected_token("decoder")
        row = 1 if told is None else told
        site, head = (best, best_head) if best in crosses else (crosses[-1], 0)
    return site, head, min(row, trace.record(site).queries - 1)


def _pickers(trace: Trace) -> Chosen:
    """Target token, layer and head in one row; each is the app's own selection."""
    from model.measures import cross_alignment

    site, head, row = chosen_cross(trace)
    labels = [f"{t}: {item['text']}" for t, item in enumerate(tokens.query_labels(trace, site))]
    layers = [cross.layer for cross in cross_alignment.crosses(trace)]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="pickers"):
        key = listed("encoder_decoder-row", row, labels)
        st.selectbox(say("encoder_decoder.pick_row"), range(len(labels)), format_func=labels.__getitem__, key=key,
                     on_change=_choose, args=(trace, "row", key), width=256)  # fmt: skip
        key = mirror("encoder_decoder-layer", site.layer)
        st.selectbox(say("encoder_decoder.pick_layer"), layers, key=key, on_change=_choose, args=(trace, "layer", key),
                     width=120)  # fmt: skip
        key = mirror("encoder_decoder-head", head)
        st.selectbox(say("pick.head"), range(trace.record(site).heads), key=key, on_change=_choose,
                     args=(trace, "head", key), width=120)  # fmt: skip
    return site, head, row


def _choose(trace: Trace, name: str, key: str) -> None:
    """Select the cross-attention cell of what was picked: its strongest key."""
    site, head, row = chosen_cross(trace)
    value = st.session_state[key]
    site = Site("decoder", value, "cross") if name == "layer" else site
    head, row = (value if name == "head" else head), (value if name == "row" else row)
    head = min(head, trace.record(site).heads - 1)
    view.change(site=str(site), head=head, row=row, column=int(trace.row(site, head, row).argmax()), heads="")


def _slug(trace: Trace, name: str) -> str:
    return f"{figure_footer.safe(trace.key.model)}-{name}"


def _architecture(trace: Trace, chosen: Chosen) -> None:
    from model.steps import head as head_steps
    from model.transformer.attention import MultiHeadAttention
    from viz import encoder_decoder
    from viz.base import svg

    # Of somebody's own module only attention was recorded: no feed-forward, norms or logits to draw.
    if trace.facts.get("own_module") or not recorded_masks.has_both_stacks(trace):
        st.caption(say("encoder_decoder.not_drawn"))
        return
    site, head, row = chosen
    words = {name: say(f"encoder_decoder.draw_{name}") for name in (
        "encoder", "decoder", "self", "masked_self", "cross", "ffn", "add_norm", "logits", "next", "memory")}  # fmt: skip
    if not recorded_masks.decoder_is_causal(trace):
        words["masked_self"] = words["self"]
    words |= {"times": say("encoder_decoder.draw_times", n="{n}"), "alt": _alt()}
    picture = encoder_decoder.architecture(trace, trace.record(site), words)
    page_text.heading("encoder_decoder.architecture")
    st.html(svg.image(picture, theme()))
    made = {s.key: s for s in head_steps.head_steps(trace, site, head, row) if s.key in "qkv"}
    known = [(s.error, s.limit) for s in made.values() if s.error is not None]
    badge, made_here = figure_footer.site_badge(trace, site), len(known) == 3
    if made_here and not badge.fails:
        badge = figure_footer.verdict(max(known)[0], all(error <= limit for error, limit in known))
    said = say("encoder_decoder.made" if made_here else "encoder_decoder.made_unknown", site=site_name(site))
    ours = current_run.is_library(trace) or not model_list.is_ours(view.model_of(trace))
    figure_footer.draw("encoder_decoder-architecture", said, badge, dict, lambda: picture,
              code=() if ours else (MultiHeadAttention, head_steps.head_steps))  # fmt: skip


def _alt() -> str:
    """The alternative text, with the fields that the drawing fills in."""
    names = ("layers", "decoder_layers", "n", "m", "q", "k", "v")
    return say("encoder_decoder.draw_alt", **{name: f"{{{name}}}" for name in names})


def _shifted(trace: Trace, chosen: Chosen) -> None:
    from model.measures import cross_alignment
    from viz import encoder_decoder
    from viz.base import svg

    rows = cross_alignment.shifted(trace)
    if not rows:
        return
    names = ("position", "read", "written", "probability")
    words = {name: say(f"encoder_decoder.{name}") for name in names} | {
        "alt": say("encoder_decoder.shift_alt", m=len(rows))
    }
    table = encoder_decoder.shift_table(rows, words)
    page_text.heading("encoder_decoder.shift")
    part = encoder_decoder.alignment_window(len(rows), chosen[2])
    picture = encoder_decoder.shift_strip(rows[part], chosen[2], words)
    st.html(svg.image(picture, theme(), scrolls=True))
    bar = st.column_config.ProgressColumn(format="%.4f", min_value=0.0, max_value=1.0)
    with st.expander(say("encoder_decoder.rows"), expanded=False):
        st.dataframe(table, hide_index=True, width=640, column_config={words["probability"]: bar})
    now = rows[chosen[2]] if chosen[2] < len(rows) else rows[-1]
    sentence = say("encoder_decoder.shift_sentence", t=now.position, read=tokens.readable(now.read),
                   written=tokens.readable(now.written),
                   p="–" if now.probability is None else numbers.short(now.probability))  # fmt: skip
    if recorded_masks.decoder_is_causal(trace):
        sentence += " " + say("encoder_decoder.shift_causal")
    slug = _slug(trace, "shifted")
    files = {f"{slug}.csv": lambda: export.table_csv(table)}
    figure_footer.draw("encoder_decoder-shift", sentence, figure_footer.run_badge(trace), lambda: files, lambda: picture,
                       (cross_alignment.shifted,))  # fmt: skip


def _looks(trace: Trace, chosen: Chosen) -> None:
    from model.measures import cross_alignment
    from viz import encoder_decoder

    site, head, row = chosen
    looks = cross_alignment.three_rows(trace, site.layer, head, row)
    colours = {"encoder": encoder_decoder.ENCODER, "decoder": encoder_decoder.DECODER}
    page_text.heading("encoder_decoder.looks")
    charts, tables = [], []
    with st.container(key="ways"):
        for area, look in zip(st.columns(len(looks)), looks, strict=True):
            colour = encoder_decoder.CROSS if look.site.kind == "cross" else colours[look.site.stack]
            tables.append(encoder_decoder.row_table(trace, look).assign(site=str(look.site), query=look.row))
            charts.append(encoder_decoder.row_bars(tables[-1], colour, recorded_masks.row_sentence(trace, look)))
            with area:
                st.markdown(f"**{site_name(look.site)}**  \n{recorded_masks.row_sentence(trace, look)}")
                st.altair_chart(charts[-1], width="stretch")
    badge = figure_footer.site_badge(trace, site)

    def files() -> dict[str, Callable[[], bytes]]:
        import pandas as pd

        return {f"{_slug(trace, 'three')}.csv": lambda: export.table_csv(pd.concat(tables))}

    def figure():
        import altair as alt

        return alt.hconcat(*[chart.properties(width=200) for chart in charts])

    figure_footer.draw("encoder_decoder-looks", say("encoder_decoder.looks_sentence"), badge, files, figure,
              (cross_alignment.three_rows, type(trace.record(site)).weights))  # fmt: skip


def _alignment(trace: Trace, chosen: Chosen) -> None:
    from model.measures import cross_alignment
    from viz import encoder_decoder

    site, head, row = chosen
    page_text.heading("encoder_decoder.alignment")
    mean = st.toggle(say("encoder_decoder.mean"), **page_controls.switch("encoder_decoder-mean"))
    record, gold = trace.record(site), cross_alignment.gold(trace)
    weights = cross_alignment.mean_weights(trace, site) if mean else record.weights(head)
    part = encoder_decoder.alignment_window(record.queries, row)
    blocks, size = cross_alignment.key_blocks(weights[part], encoder_decoder.KEYS)
    keys = [item["text"] for item in tokens.key_labels(trace, site)]
    columns = keys if size == 1 else [str(j) for j in range(0, len(keys), size)]
    rows = [item["text"] for item in tokens.query_labels(trace, site)]
    words = {name: say(f"encoder_decoder.{name}") for name in ("rows_title", "columns_title", "strongest", "gold")}
    words |= {"rows": words["rows_title"], "columns": words["columns_title"], "weight": say("matrix.value"),
              "alt": say("encoder_decoder.alignment_alt", rows=record.queries, columns=record.keys)}  # fmt: skip

    def draw(theme: str):
        return encoder_decoder.alignment(blocks.numpy(), rows[part], columns, gold, part.start, words, theme)

    st.altair_chart(draw(theme()), width="content")
    said = [say("encoder_decoder.of_mean" if mean else "encoder_decoder.of_head", site=site_name(site), head=head)]
    if size > 1:
        said.append(say("encoder_decoder.blocks", n=size))
    said.append(_agreement(trace, weights, gold))
    slug = _slug(trace, f"{site}-alignment")
    files = {f"{slug}.csv": lambda: export.matrix_csv(weights.numpy(), rows, keys)}
    figure_footer.draw("encoder_decoder-alignment", " ".join(said), figure_footer.site_badge(trace, site), lambda: files,
              lambda: draw("light"), (cross_alignment.gold, cross_alignment.agreement, cross_alignment.mean_weights))  # fmt: skip
    if not gold.missing:
        _every_head(trace, gold)


def _agreement(trace: Trace, weights: object, gold: Gold) -> str:
    """The share of rows whose strongest key is the gold one, or why no gold alignment is known."""
    from model.measures import cross_alignment

    if gold.missing:
        return say(f"encoder_decoder.gold_{gold.missing}")
    hits, counted = cross_alignment.agreement(weights, gold.rows)
    if not counted:
        return say("encoder_decoder.gold_outside")
    return say("encoder_decoder.agreement", hits=hits, counted=counted, share=f"{hits / counted:.0%}")


def _every_head(trace: Trace, gold: Gold) -> None:
    """Agreement of all cross-attention heads, beside what the card measured on held-out examples."""
    from model.measures import cross_alignment

    measured = aligned_head(model_list.card(view.model_of(trace)), trace.language).get("every_head", {})
    found = cross_alignment.agreement_of_heads(trace, gold.rows)
    table = {
        say("pick.site"): [site_name(site) for site, _ in found],
        say("pick.head"): [head for _, head in found],
        say("encoder_decoder.here"): [f"{hits} / {counted}" for hits, counted in found.values()],
        say("encoder_decoder.held_out"): [
            numbers.short(measured[str(site)][head]) if str(site) in measured else "–" for site, head in found
        ],
    }
    with st.expander(say("encoder_decoder.every_head"), expanded=False):
        st.dataframe(table, hide_index=True, width=640)
