"""Pictures of comparisons: a difference of two heads, rows by how far apart they are, heads by how alike they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import pandas as pd

from viz.base import cell_states, numbers, palette
from viz.base.payload import pack
from viz.heads import matrix

if TYPE_CHECKING:
    from model.compare.aligned_runs import HeadChange
    from model.compare.heads import PairwiseSimilarity
    from model.trace.site import Site
    from model.trace.trace import Trace
    from viz.base.axes import Axes
    from viz.base.tokens import Label

Words = dict[str, str]
_BARS = 64  # queries of which each gets a bar of its own
_STRETCHES = 256  # bars of a long text's strip
_NAMES = 24  # of them that are named: as many as stand beside each other on a slant
_RUNS = 96  # bars of a longer text


def difference_frame(
    trace: Trace, site: Site, values: np.ndarray, allowed: np.ndarray, axes: Axes, at: tuple[int, int] | None,
    words: Words, max_height: int = 420,
) -> bytes:  # fmt: skip
    """B − A over the shown tokens, diverging and symmetric around 0, to the largest difference shown."""
    end = _end(values, allowed)
    return matrix.values_frame(trace, site, values, allowed, axes, at, words, (-end, end), max_height)


def _end(values: np.ndarray, allowed: np.ndarray) -> float:
    return float(np.abs(np.where(allowed & np.isfinite(values), values, 0)).max(initial=0.0)) or 1.0


def plain_frame(
    values: np.ndarray, rows: Sequence[Label], columns: Sequence[Label], scale: dict[str, Any], words: Words,
    sides: tuple[str, str], max_height: int = 420, more: dict[str, Any] | None = None, known: np.ndarray | None = None,
) -> bytes:  # fmt: skip
    """A matrix that is no head's own: aligned tokens, or heads with each other. sides: for what is hovered elsewhere. known:
    which cells there are, all unless told."""
    told = {
        "selection": None, "words": words, "row_title": words["row"], "column_title": words["column"],
        "row_side": sides[0], "column_side": sides[1], "row_start": 0, "column_start": 0, "rows": list(rows),
        "columns": list(columns), "scale": scale, "max_height": max_height, **(more or {}),
    }  # fmt: skip
    return pack(
        told, values=values.astype(np.float32), state=cell_states.states(values, known, scale["low"], scale["high"])
    )


def rows_chart(
    divergence: np.ndarray, texts: Sequence[str], words: Words, at: int | None = None, theme: str = "light"
) -> alt.LayerChart:
    """JS of each query, 0 to ln 2. A bar each; where they are many, of each run of queries the largest and the mean.

    at: the selected query, marked by a rule. The query with the largest JS has its name.
    """
    data = _each(divergence, texts) if len(texts) <= _BARS else _runs(divergence, texts)
    n = len(texts)
    y = alt.Y("js:Q", title=words["js"], scale=alt.Scale(domain=[0, 0.7], nice=False), axis=alt.Axis(tickCount=3))
    tips = [alt.Tooltip("place:Q", title=words["place"]), alt.Tooltip("query:N", title=words["query"]),
            alt.Tooltip("js:Q", title=words["js"], format=".4f")]  # fmt: skip
    ink, around = palette.THEMES[theme]["text"], palette.THEMES[theme]["background"]
    if n > _BARS:
        title = words["query_runs"].format(n=int(data["count"].max()))
        x = alt.X("from:Q", title=title, scale=alt.Scale(domain=[0, n], nice=False),
                  axis=alt.Axis(tickCount=6, format="d", grid=False, labelFlush=False))  # fmt: skip
        tips += [alt.Tooltip("run:N", title=words["run"]), alt.Tooltip("mean:Q", title=words["mean_js"], format=".4f")]
        bars = alt.Chart(data).mark_bar(
            color=palette.HEADS[0 if theme == "dark" else 4], stroke=around, strokeWidth=0.5
        )
        means = alt.Chart(data).mark_rule(color=ink, strokeWidth=2)
        layers = [
            bars.encode(x=x, x2="to:Q", y=y, y2=alt.datum(0), tooltip=tips),
            means.encode(x=x, x2="to:Q", y="mean:Q"),
        ]
        where: dict[str, Any] = {"x": alt.X("middle:Q", scale=alt.Scale(domain=[0, n], nice=False))}
    else:
        quoted = ",".join("'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'" for text in texts)
        axis = alt.Axis(labelExpr=f"[{quoted}][datum.value]", labelAngle=-45, labelFlush=False, labelOverlap=False,
                        values=_named(n, at))  # fmt: skip
        x = alt.X("place:O", title=words["query"], axis=axis)
        layers = [alt.Chart(data).mark_bar(color=palette.HEADS[0]).encode(x=x, y=y, tooltip=tips)]
        where = {"x": x}
    if at is not None and at < n:
        chosen = pd.DataFrame({"place": [at], "middle": [at + 0.5], "query": [texts[at]], "js": [divergence[at]]})
        mark = alt.Chart(chosen).encode(**where, tooltip=tips[:3])
        layers += [
            mark.mark_rule(color=ink, strokeDash=[3, 2]),
            mark.mark_point(filled=True, size=50, color=ink).encode(y=y),
        ]
    if n > _BARS:
        best = int(np.argmax(divergence))
        named = pd.DataFrame({"middle": [best + 0.5], "js": [divergence[best]], "name": [f"#{best} {texts[best]}"]})
        after = (
            n / 4 if at is None else at
        ) <= best < 3 * n / 4 or best < n / 4  # away from the rule, within the chart
        text = alt.Chart(named).mark_text(
            align="left" if after else "right", dx=4 if after else -4, dy=-7, color=ink, fontSize=11
        )
        layers.append(text.encode(**where, y=y, text="name:N"))
    return alt.layer(
        *layers, height=170, autosize=alt.AutoSizeParams(type="fit-x", contains="padding"), description=words["alt"]
    )


def strip(
    divergence: np.ndarray, places: Sequence[int], texts: Sequence[str], window: slice, words: Words, theme: str
) -> alt.LayerChart:
    """JS of all queries of a long text, at most `_STRETCHES` bars, each of the largest of its stretch; a frame marks `window`.

    A click is the selection "row": `at`, the query of a bar's largest JS. places: the queries' places in the text.
    """
    starts, _, most = _largest(divergence, _STRETCHES)
    ends = [*(places[start] for start in starts[1:]), places[-1] + 1]
    data = pd.DataFrame({
        "from": [places[start] for start in starts], "to": ends, "at": most, "place": [places[i] for i in most],
        "query": [texts[i] for i in most], "js": divergence[most],
    })  # fmt: skip
    top = max(float(divergence.max(initial=0.0)), 1e-6) * 1.05
    click = alt.selection_point(name="row", fields=["at"], on="click", toggle=False, clear=False, empty=False)
    x = alt.X("from:Q", title=words["query"], scale=alt.Scale(domain=[places[0], places[-1] + 1], nice=False))
    base = alt.Chart(data).encode(x=x, x2="to:Q", tooltip=[
        alt.Tooltip("place:Q", title=words["place"]), alt.Tooltip("query:N", title=words["query"]),
        alt.Tooltip("js:Q", title=words["js"], format=".4f"),
    ])  # fmt: skip
    y = alt.Y("js:Q", title=words["js"], scale=alt.Scale(domain=[0, top]), axis=alt.Axis(tickCount=3, format=".2~g"))
    frame = pd.DataFrame({"from": [places[window.start]], "to": [places[window.stop - 1] + 1]})
    shown = alt.Chart(frame).mark_rect(
        fill=palette.THEMES[theme]["text"], fillOpacity=0.12, stroke=palette.THEMES[theme]["text"], strokeWidth=1
    ).encode(x="from:Q", x2="to:Q")  # fmt: skip
    bars = base.mark_rect(color=palette.HEADS[0]).encode(y=y, y2=alt.datum(0))
    # A bar may be too low to hit: its whole height answers.
    hit = base.mark_rect(opacity=0, cursor="pointer").encode(y=alt.value(0), y2=alt.value("height")).add_params(click)
    return alt.layer(
        bars,
        shown,
        hit,
        height=96,
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        description=words["alt"],
    )


def _named(n: int, at: int | None) -> list[int]:
    """The queries whose names stand below the bars: evenly many, and the selected one in place of its neighbours."""
    step, chosen = -(-n // _NAMES), [at] if at is not None and at < n else []
    return sorted({*chosen, *(i for i in range(0, n, step) if all(abs(i - other) >= step for other in chosen))})


def _each(divergence: np.ndarray, texts: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({"place": range(len(texts)), "query": list(texts), "js": divergence})


def _largest(divergence: np.ndarray, most: int) -> tuple[list[int], list[int], list[int]]:
    """At most `most` runs of equally many queries: where each begins and ends, and its query with the largest JS."""
    length = -(-len(divergence) // most)
    starts = list(range(0, len(divergence), length))
    ends = [*starts[1:], len(divergence)]
    best = [start + int(np.argmax(divergence[start:end])) for start, end in zip(starts, ends, strict=True)]
    return starts, ends, best


def _runs(divergence: np.ndarray, texts: Sequence[str]) -> pd.DataFrame:
    """Runs of equally many queries, at most `_RUNS`: the largest JS of each, whose it is, and the mean."""
    starts, ends, best = _largest(divergence, _RUNS)
    parts = [divergence[start:end] for start, end in zip(starts, ends, strict=True)]
    return pd.DataFrame({
        "from": starts, "to": ends, "place": best, "query": [texts[i] for i in best], "js": divergence[best],
        "mean": [float(part.mean()) for part in parts], "count": [len(part) for part in parts],
        "run": [f"{start}–{end - 1}" for start, end in zip(starts, ends, strict=True)],
    })  # fmt: skip


def head_labels(group: PairwiseSimilarity, order: Sequence[int]) -> list[Label]:
    """ "17.4": layer and head; with a letter in front where the group holds more than one kind of attention."""
    return [{"text": short(*group.heads[i]), "kind": "word"} for i in order]


def short(site: Site, head: int) -> str:
    """ "encoder.1.self", 3 -> "1.3"."""
    return f"{site.layer}.{head}"


def by_layer(group: PairwiseSimilarity) -> list[int]:
    """The heads of a group in the order of their layers."""
    return sorted(range(len(group.heads)), key=lambda i: (group.heads[i][0].layer, i))


def pairs_frame(group: PairwiseSimilarity, order: Sequence[int], words: Words, layers: bool = False) -> bytes:
    """heads × heads in an order: r from −1 to 1, or JS from 0 to ln 2. The layer of each is a colour on both sides.

    layers: the order is that of the layers: lines part them, and a layer has one label where each head has no room for its
    own. words "tick" is how a layer is called.
    """
    values = group.values.numpy()[np.ix_(order, order)]
    scale = (
        {"kind": "diverging", "low": -1, "high": 1}
        if group.how == "correlation"
        else {"kind": "sequential", "low": 0, "high": 0.6931472}
    )
    labels = head_labels(group, order)
    place = [group.heads[i][0].layer for i in order]
    more: dict[str, Any] = {"band": [layer / (max(place) or 1) for layer in place]}
    if layers:
        starts = [i for i, layer in enumerate(place) if i == 0 or layer != place[i - 1]]
        ends = [*starts[1:], len(place)]
        more |= {"row_breaks": starts[1:], "column_breaks": starts[1:], "breaks": "lines"}
        more["ticks"] = [
            {"at": (a + b) / 2, "text": words["tick"].format(layer=place[a])} for a, b in zip(starts, ends, strict=True)
        ]
    return plain_frame(values, labels, labels, scale, words, ("heads-rows", "heads-columns"), 560, more)


def changed_table(
    changed: Sequence[tuple[int, int, float, float]], rows: Sequence[str], columns: Sequence[str], words: Words
) -> pd.DataFrame:
    """The cells that differ most, largest first, as `model.compare.aligned_runs.Pair` has them."""
    return pd.DataFrame({
        words["query"]: [rows[i] for i, *_ in changed], words["key"]: [columns[j] for _, j, *_ in changed],
        words["before"]: weights([a for *_, a, _ in changed]), words["after"]: weights([b for *_, b in changed]),
        "Δ": [numbers.short((0 if np.isnan(b) else b) - (0 if np.isnan(a) else a)) for *_, a, b in changed],
    })  # fmt: skip


def weights(values: Iterable[float]) -> list[str]:
    """Weights as a person reads them, a dash where the text lacks the key."""
    return ["–" if np.isnan(value) else numbers.short(value) for value in values]


def ranked_table(
    found: Sequence[HeadChange], names: Mapping[tuple[str, str], tuple[Sequence[str], Sequence[str]]]
) -> pd.DataFrame:
    """One row a head, most changed first: its mean JS, and the cell that changed most, as a person reads it.

    names: the texts of (queries, keys) by the two sides of a sub-layer.
    """
    rows = []
    for each in found:
        queries, keys = names[each.site.query_side, each.site.key_side]
        i, j, a, b = each.changed
        rows.append({
            "site": str(each.site), "head": each.head, "divergence": each.mean, "query": queries[i], "key": keys[j],
            "before": a, "after": b,
        })  # fmt: skip
    return pd.DataFrame(rows)
