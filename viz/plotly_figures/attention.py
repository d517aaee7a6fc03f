"""Attention weights as heat maps of plotly: one head, or all heads of a sub-layer."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from model.attention.downsample import allowed_bins, pooled, thumbnails
from model.errors import OutOfRange
from viz.base import axes as sides
from viz.base import tokens
from viz.base.axes import Axis
from viz.base.cell_states import MASKED, NAN, states
from viz.plotly_figures import checks, style
from viz.plotly_figures.notebook import for_notebook

if TYPE_CHECKING:
    from model.trace.attention_record import AttentionRecord
    from model.trace.site import Site
    from model.trace.trace import Trace

LARGEST = 128  # tokens a side with a cell of their own; beyond, the strongest weight of each block
SMALL = 48  # the same of a small map
_ACROSS = 4
_SIDE = 210.0  # px of a small map
_LONGEST = 240.0  # px that the names of the queries may take


def head_figure(trace: Trace, site: Site | str, head: int, theme: str = "light") -> go.Figure:
    """One head's weights A [query, key]: rows are queries, columns keys, colour 0–1; hovering names both tokens.

    Tokens are told apart by their position, so that equal ones do not merge. Masked cells are grey with a legend, never 0.
    Of more than 128 tokens a side each cell is the strongest weight of a block of tokens, and the title says so. The title
    says how the run checks: ✓ with the error, ✗ in red, or "not checked". `figure.write_html(path, include_plotlyjs=True)`
    is a page that needs no network. Raises UnknownSite, OutOfRange, and UnknownOption for a theme that is not "light" or "dark".
    """
    record = trace.record(site)
    style.known(theme)
    OutOfRange.check("Head", head, record.heads - 1)
    rows, columns = _axes(trace, record, LARGEST)
    values, allowed = _cells(record, head, (rows, columns), LARGEST)
    height = max(160.0, len(rows.labels) * _cell(len(rows.labels)))
    width = max(460.0, len(columns.labels) * max(_cell(len(columns.labels)), min(56.0, 900 / len(columns.labels))))
    margin = _margin(rows, style.TITLE + 44)
    figure = go.Figure(_maps(values, allowed, (rows, columns), theme, True))
    said = f"{trace.key.model} · {checks.site_name(record.site)} · head {head}"
    figure.update_layout(
        style.layout(theme, width + margin["l"] + margin["r"] + 90, height + margin["t"] + margin["b"], margin=margin),
        title=style.title(said, checks.site_check(trace, record.site), theme, _left_out(rows, columns)),
        legend={"orientation": "h", "y": 0, "yref": "paper", "yanchor": "top", "x": 0, "xanchor": "left"},
    )
    figure.update_xaxes(_axis("key", columns, width, True, theme))
    figure.update_yaxes(_axis("query", rows, height, False, theme))
    return for_notebook(figure, trace.key.model, str(record.site), f"head{head}")


def layer_figure(trace: Trace, site: Site | str, theme: str = "light") -> go.Figure:
    """All heads of one sub-layer as small maps A_h [query, key] on one scale 0–1, four in a row; else as `head_figure`.

    Of more than 48 tokens a side each cell is the strongest weight of a block of tokens, and the title says so.
    """
    from plotly.subplots import make_subplots

    style.known(theme)
    record = trace.record(site)
    rows, columns = _axes(trace, record, SMALL)
    whole = rows.single and columns.single
    pooled_heads = None if whole else thumbnails(record, SMALL).numpy()
    open_ = record.allowed().numpy() if whole else allowed_bins(record, SMALL).numpy()
    down = -(-record.heads // _ACROSS)
    across = min(_ACROSS, record.heads)
    margin = _margin(rows, style.TITLE + 40)
    figure = make_subplots(
        down, across, subplot_titles=[f"head {h}" for h in range(record.heads)], horizontal_spacing=0.1 / across,
        vertical_spacing=min(0.2, 64 / (down * (_SIDE + 64))),
    )  # fmt: skip
    for h in range(record.heads):
        values = _whole(record, h) if whole else pooled_heads[h]
        place = {"row": h // _ACROSS + 1, "col": h % _ACROSS + 1}
        for part in _maps(values, open_, (rows, columns), theme, h == 0):
            figure.add_trace(part, **place)
    wide = max(620.0, across * (_SIDE + 24) + margin["l"] + 130)
    tall = down * (_SIDE + 64) + margin["t"] + margin["b"]
    said = f"{trace.key.model} · {checks.site_name(record.site)} · all {record.heads} heads"
    figure.update_layout(
        style.layout(theme, wide, tall, margin=margin),
        title=style.title(said, checks.site_check(trace, record.site), theme, _left_out(rows, columns)),
        legend={"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom", "x": 0, "xanchor": "left"},
    )  # fmt: skip
    figure.update_xaxes(_axis("", columns, _SIDE, True, theme, "bottom"))
    figure.update_yaxes(_axis("", rows, _SIDE, False, theme))
    figure.update_annotations(font={"size": 13})
    for h in range(record.heads):  # the queries' names stand once in a row
        if h % _ACROSS:
            figure.update_yaxes(showticklabels=False, row=h // _ACROSS + 1, col=h % _ACROSS + 1)
    return for_notebook(figure, trace.key.model, str(record.site), "heads")


def _margin(rows: Axis, top: float) -> dict[str, float]:
    names = style.length([label["text"] for label in rows.labels])
    return {"l": min(_LONGEST, names) + 46, "r": 20, "t": top, "b": 46}


def _cell(items: int) -> float:
    """Height of a cell in px: 26 of a short text, 5 of a long one."""
    return min(26.0, max(5.0, 640 / items))


def _axes(trace: Trace, record: AttentionRecord, most: int) -> tuple[Axis, Axis]:
    """(queries, keys): an item a token, or a block of tokens on a side that has more than `most`."""
    queries = _side(tokens.query_labels(trace, record.site), most)
    return queries, _side(tokens.key_labels(trace, record.site), most)


def _side(labels: list[tokens.Label], most: int) -> Axis:
    return sides.token_axis(labels) if len(labels) <= most else sides.block_axis(len(labels), most)


def _whole(record: AttentionRecord, head: int) -> np.ndarray:
    """In float64, and rounded then: every digit that is shown is right."""
    import torch

    return record.weights(head, dtype=torch.float64).numpy().astype(np.float32)


def _cells(record: AttentionRecord, head: int, axes: tuple[Axis, Axis], most: int) -> tuple[np.ndarray, np.ndarray]:
    """(weights float32, whether the cell is open) of the items of both sides."""
    if axes[0].single and axes[1].single:
        return _whole(record, head), record.allowed().numpy()
    return pooled(record, head, most).numpy(), allowed_bins(record, most).numpy()


def _left_out(rows: Axis, columns: Axis) -> str:
    if rows.single and columns.single:
        return ""
    sizes = " × ".join(str(axis.starts[1] if len(axis.starts) > 1 else axis.total) for axis in (rows, columns))
    return f"{rows.total} × {columns.total} tokens: each cell is the strongest weight of a block of {sizes}"


def _named(axis: Axis) -> list[str]:
    """What hovering calls an item: "3: cat", or its tokens "16–23" where it is a block."""
    if not axis.single:
        return [f"tokens {escape(label['text'])}" for label in axis.labels]
    return [f"{place}: {escape(label['text'])}" for place, label in enumerate(axis.labels)]


def _maps(
    values: np.ndarray, allowed: np.ndarray, axes: tuple[Axis, Axis], theme: str, legend: bool
) -> list[go.Heatmap]:
    """The weights, and over them the cells that have none: masked and, where there is any, not a number."""
    state = states(values, allowed)
    queries, keys = (_named(axis) for axis in axes)
    both = np.array([[f"query {query}<br>key   {key}" for key in keys] for query in queries], object)
    shared: dict[str, Any] = {"customdata": both, "xgap": 1, "ygap": 1} if len(keys) <= SMALL else {"customdata": both}
    numbers = np.where((state == MASKED) | (state == NAN), np.nan, values).astype(np.float32)
    bar = style.colour_bar("weight", x=1.01, xanchor="left", len=1, y=0.5, tickvals=[0, 0.25, 0.5, 0.75, 1])
    what = "weight" if axes[0].single and axes[1].single else "strongest weight"
    found = [
        go.Heatmap(z=numbers, zmin=0, zmax=1, colorscale=style.colours(theme), showscale=legend, colorbar=bar, name="weight",
                   hovertemplate=f"%{{customdata}}<br>{what} %{{z:.4~g}}<extra></extra>", hoverongaps=False, **shared),
    ]  # fmt: skip
    for kind, name, colour in ((MASKED, "masked", style.MASKED[theme]), (NAN, "not a number", style.FAILS[theme])):
        if not (state == kind).any():
            continue
        flat = np.where(state == kind, 1.0, np.nan).astype(np.float32)
        found.append(
            go.Heatmap(z=flat, zmin=0, zmax=1, colorscale=[[0, colour], [1, colour]], showscale=False, showlegend=legend,
                       name=name, legendgroup=name, hoverongaps=False,
                       hovertemplate=f"%{{customdata}}<br>{name}<extra></extra>", **shared)
        )  # fmt: skip
    return found


def _axis(title: str, axis: Axis, room: float, across: bool, theme: str, side: str = "top") -> dict[str, Any]:
    """Positions with tokens as the texts of their ticks: the first query is on top, keys run to the right."""
    labels = [label["text"] for label in axis.labels]
    places, texts = style.thinned(labels, room, 12.0, across)
    found: dict[str, Any] = {
        "tickmode": "array", "tickvals": places, "ticktext": texts, "tickangle": 0, "ticks": "", "showgrid": False,
        "zeroline": False, "ticklabelstandoff": 4, "showline": False, "tickfont": {"family": style.MONO, "size": 12},
        "title": {"text": title, "standoff": 8, "font": {"color": style.QUIET[theme], "size": 12}},
    }  # fmt: skip
    ends = [-0.5, len(labels) - 0.5]
    return found | ({"range": ends, "side": side} if across else {"range": ends[::-1]})
