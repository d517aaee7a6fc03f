"""The pictures of an encoder–decoder: the architecture with its arrows, the shifted target, one row of each attention,
and the alignment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from viz.base import numbers, static_chart, svg, tokens
from viz.base.shorten import join_short

if TYPE_CHECKING:
    from model.measures.cross_alignment import AttentionRow, Gold, Shifted
    from model.trace.attention_record import AttentionRecord
    from model.trace.trace import Trace

Words = dict[str, str]
# The same three colours wherever the two streams and their meeting are drawn.
ENCODER, DECODER, CROSS = "#3d8fcf", "#d98a1f", "#1f9e78"
_SHOWN = 16  # keys of one row that are drawn as bars
KEYS, ROWS = 96, 64  # of the alignment: columns, and rows around the chosen one
_WIDTH, _HEIGHT = 760, 470


def shape(*sizes: int) -> str:
    """[4 × 11 × 32]"""
    return f"[{' × '.join(f'{size:,}' for size in sizes)}]"


def architecture(trace: Trace, cross: AttentionRecord, words: Words) -> str:
    """Encoder and decoder of this model as an SVG drawing; the shapes are those of this run at the site of `cross`."""
    counts = {
        stack: len({site.layer for site in trace.sites if site.stack == stack}) for stack in ("encoder", "decoder")
    }
    n, m = cross.keys, cross.queries
    d = cross.store.shape(f"{cross.site}.output")[-1]
    h_kv, _, d_v = cross.store.shape(f"{cross.site}.v")
    q = shape(cross.heads, m, cross.d_k)
    k, v = shape(h_kv, n, cross.d_k), shape(h_kv, n, d_v)
    added = words["add_norm"] if f"{cross.site}.residual" in cross.store else ""
    parts = [
        *_stack(40, words["encoder"], counts["encoder"], [(230, words["self"], ENCODER), (160, words["ffn"], ENCODER)],
                words, added),
        *_stack(480, words["decoder"], counts["decoder"],
                [(300, words["masked_self"], DECODER), (215, words["cross"], CROSS), (130, words["ffn"], DECODER)],
                words, added),
        # What each stack reads and puts out.
        svg.arrow([(160, 420), (160, 284)], svg.INK), svg.arrow([(600, 420), (600, 350)], svg.INK),
        svg.arrow([(600, 128), (600, 62)], svg.INK),
        svg.text((600, 46), f"{words['logits']} → {words['next']}", 13),
        svg.text((160, 436), _preview(trace, "encoder"), 13), svg.text((600, 436), _preview(trace, "decoder"), 13),
        svg.text((160, 456), f"n = {n:,}", 12, opacity=0.7), svg.text((600, 456), f"m = {m:,}", 12, opacity=0.7),
        # Keys and values: from the encoder's last layer into every layer's cross-attention.
        svg.arrow([(160, 158), (160, 62), (306, 62), (306, 228), (500, 228)], ENCODER, 2.2),
        svg.arrow([(306, 228), (306, 250), (500, 250)], ENCODER, 2.2),
        svg.text((170, 46), f"{words['memory']} Z {shape(n, d)}", 13, "start", ENCODER, 600),
        svg.text((314, 214), f"K = Z W_K {k}", 12, "start", ENCODER, 600),
        svg.text((314, 265), f"V = Z W_V {v}", 12, "start", ENCODER, 600),
        # Queries: from the decoder itself.
        svg.arrow([(600, 298), (600, 267)], DECODER, 2.2),
        svg.text((609, 283), f"Q {q}", 12, "start", DECODER, 600),
        svg.arrow([(600, 213), (600, 182)], DECODER), svg.arrow([(160, 228), (160, 212)], ENCODER),
    ]  # fmt: skip
    alt_text = words["alt"].format(layers=counts["encoder"], decoder_layers=counts["decoder"], n=n, m=m, q=q, k=k, v=v)
    return svg.drawing(parts, _WIDTH, _HEIGHT, alt_text)


def _stack(
    left: float, title: str, count: int, parts: Sequence[tuple[float, str, str]], words: Words, added: str
) -> list[str]:
    """One stack: a dashed frame for a layer, `count` times, and its sub-layers, each with its name."""
    top, bottom = min(y for y, _, _ in parts) - 26, max(y for y, _, _ in parts) + 66
    found = [svg.box((left, top), (240, bottom - top), dashed=True)]
    found.append(svg.text((left + 4, top - 27), title, 14, "start", weight=600))
    found.append(svg.text((left + 4, top - 10), words["times"].format(n=count), 12, "start", opacity=0.7))
    for y, name, colour in parts:
        found += [svg.box((left + 20, y), (200, 50), colour, 0.14)]
        found.append(svg.text((left + 120, y + (17 if added else 25)), name, 13))
        found += [svg.text((left + 120, y + 36), added, 11, opacity=0.65)] if added else []
    return found


def _preview(trace: Trace, side: str, most: int = 30) -> str:
    """The tokens of a side, as far as there is room for them."""
    return join_short([item["text"] for item in tokens.labels(trace, side)], most)


def shift_table(rows: Sequence[Shifted], words: Words) -> pd.DataFrame:
    """Row by row: what is read, what is written, and the probability of what is written."""
    return pd.DataFrame({
        words["position"]: [row.position for row in rows],
        words["read"]: [tokens.readable(row.read) for row in rows],
        words["written"]: [tokens.readable(row.written) for row in rows],
        words["probability"]: [row.probability for row in rows],
    })  # fmt: skip


def shift_strip(rows: Sequence[Shifted], chosen: int, words: Words) -> str:
    """The two sequences as chips one above the other: what row t writes stands again, one place on, as what is read."""
    widths = [_wide(row.read, row.written) for row in rows]
    lefts = [110 + sum(widths[:t]) + 14 * t for t in range(len(rows))]
    parts = [
        svg.text((0, 42), "tgt[:, 1:]", 12, "start", opacity=0.8), svg.text((0, 60), words["written"], 11, "start", opacity=0.6),
        svg.text((0, 122), "tgt[:, :-1]", 12, "start", opacity=0.8), svg.text((0, 140), words["read"], 11, "start", opacity=0.6),
    ]  # fmt: skip
    for t, (row, left, width) in enumerate(zip(rows, lefts, widths, strict=True)):
        middle, on = left + width / 2, row.position == chosen
        parts.append(svg.text((middle, 16), str(row.position), 11, opacity=0.6))
        for y, said, colour in ((34, row.written, CROSS), (114, row.read, DECODER)):
            parts.append(svg.box((left, y), (width, 30), colour, 0.28 if on else 0.1, width=2.2 if on else 1))
            parts.append(svg.text((middle, y + 15), tokens.readable(said), 13, weight=600 if on else 400))
        parts.append(svg.arrow([(middle, 112), (middle, 67)], svg.INK, 1.8 if on else 1.1))
        if t + 1 < len(rows):  # written here, read one place on
            parts.append(svg.arrow([(left + width - 4, 66), (lefts[t + 1] + 6, 112)], CROSS, 1, dashed=True))
    wide = lefts[-1] + widths[-1] + 8
    return svg.drawing(parts, wide, 152, words["alt"])


def _wide(*said: str) -> float:
    """Pixels that the longest of some texts takes in a chip."""
    return max(34.0, *(20 + sum(14 if ord(c) > 0x2E7F else 8 for c in tokens.readable(text)) for text in said))


def row_table(trace: Trace, row: AttentionRow) -> pd.DataFrame:
    """One row of attention: key, token, weight, masked; of more than `_SHOWN` keys the strongest and the sum of the rest."""
    labels = [item["text"] for item in tokens.key_labels(trace, row.site)]
    weights, allowed = row.weights.double().numpy(), row.allowed.numpy()
    shown = np.sort(np.argsort(-weights, kind="stable")[:_SHOWN])
    found = [{"key": int(j), "token": labels[j], "weight": float(weights[j]), "masked": not allowed[j]} for j in shown]
    if len(labels) > _SHOWN:
        rest = len(labels) - _SHOWN
        found.append({"key": -1, "token": f"+ {rest:,}", "weight": float(weights.sum() - weights[shown].sum()),
                      "masked": False})  # fmt: skip
    return pd.DataFrame(found)


def row_bars(table: pd.DataFrame, colour: str, description: str) -> alt.LayerChart:
    """The row as labelled bars from 0 to 1; masked keys carry ×."""
    names = list(table["token"])
    data = table.assign(place=range(len(table)), said=[
        "×" if masked else numbers.short(weight) for weight, masked in zip(table["weight"], table["masked"], strict=True)
    ])  # fmt: skip
    quoted = ",".join("'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'" for name in names)
    axis = alt.Axis(title=None, ticks=False, domain=False, labelExpr=f"[{quoted}][datum.value]", labelLimit=110,
                    labelOverlap=False, labelFlush=False)  # fmt: skip
    base = alt.Chart(data).encode(y=alt.Y("place:O", axis=axis))
    scale = alt.Scale(domain=[0, 1.18], nice=False)
    bars = base.mark_bar(color=colour, cornerRadiusEnd=2).encode(
        x=alt.X("weight:Q", scale=scale, axis=alt.Axis(title=None, values=[0, 0.5, 1], grid=True)),
        tooltip=[alt.Tooltip("token:N"), alt.Tooltip("weight:Q", format=".6f")],
    )
    said = base.mark_text(align="left", dx=4, fontSize=11, color="#8a8a92").encode(x="weight:Q", text="said:N")
    return alt.layer(bars, said).properties(height=46 + 24 * len(names), description=description)


def alignment_window(rows: int, at: int) -> slice:
    """The rows that are drawn: all, or `ROWS` of them around `at`."""
    start = min(max(0, at - ROWS // 2), max(0, rows - ROWS))
    return slice(start, min(rows, start + ROWS))


def alignment(
    weights: np.ndarray, rows: Sequence[str], columns: Sequence[str], gold: Gold, start: int, words: Words, theme: str
) -> alt.LayerChart:
    """Cross-attention as a heat map (0–1); gold pairs are outlined, each row's strongest key has a dot.

    weights [rows, columns]; `start` is the decoder row of the first one. Gold is drawn only on single keys.
    """
    heat = static_chart.heat_map(
        weights, rows, columns, titles=(words["rows"], words["columns"], words["weight"]), theme=theme
    )
    heat.layer[0].encoding.color.legend = alt.Legend(orient="bottom", gradientLength=160, offset=4)
    wide, high = max(5.0, min(40.0, 430 / len(columns))), max(14.0, min(40.0, 640 / len(rows)))
    size = min(wide, high)
    best = [{"i": i, "j": int(j), "kind": words["strongest"]} for i, j in enumerate(weights.argmax(-1))]
    outlined = [
        {"i": i, "j": j, "kind": words["gold"]}
        for i in range(len(rows))
        for j in (gold.rows[start + i] if start + i < len(gold.rows) else ())
    ]
    kinds = [words["strongest"], *([words["gold"]] if outlined else [])]
    # A white dot with a grey rim is seen on every colour of the scale, in both themes.
    rim, dot = "#6b6b75", "#ffffff"

    def by_kind(*values: object) -> alt.Scale:
        return alt.Scale(domain=kinds, range=list(values[: len(kinds)]))

    strongest = alt.datum.kind == words["strongest"]
    legend = alt.Legend(symbolSize=120, labelLimit=220, orient="bottom", direction="vertical", offset=4)
    marks = (
        alt.Chart(pd.DataFrame([*best, *outlined]))
        .mark_point(strokeWidth=2, opacity=1)
        .encode(
            x=heat.layer[0].encoding.x,
            y=heat.layer[0].encoding.y,
            stroke=alt.Stroke("kind:N", title=None, scale=by_kind(rim, CROSS), legend=legend),
            shape=alt.Shape("kind:N", title=None, scale=by_kind("circle", "square"), legend=legend),
            fill=alt.condition(strongest, alt.value(dot), alt.value("transparent")),
            size=alt.condition(strongest, alt.value(size * 1.4), alt.value((size * 0.84) ** 2)),
        )
    )
    return alt.layer(heat, marks).properties(
        width=wide * len(columns),
        height=high * len(rows),
        description=words["alt"],
        autosize=alt.AutoSizeParams(type="pad", contains="content"),
    )
