"""Attention as lines between the queries and the keys: which are drawn, what they hold, and the frames for both lengths.

A short input's lines run between tokens; a long one's between places on two scaled sides, or between the tokens around
the selection. Weights are softmaxed in float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model.trace.per_trace import PerTrace
from viz.base import axes as sides
from viz.base import tokens
from viz.base.axes import LINES, Axes, by_word
from viz.base.cell_states import states
from viz.base.payload import pack
from viz.heads.matrix import Words, header

if TYPE_CHECKING:
    from model.attention.top_weights import Lines, Rule
    from model.trace.attention_record import AttentionRecord
    from model.trace.site import Site
    from model.trace.trace import Trace

# Name in the link -> kind and value of the rule.
RULES = {
    "p50": ("share", 0.5), "p80": ("share", 0.8), "p90": ("share", 0.9), "p99": ("share", 0.99),
    "t30": ("least", 0.3), "t10": ("least", 0.1), "t02": ("least", 0.02),
}  # fmt: skip
USUAL = "p90"
MOST = 6000  # lines of a long input that are drawn at once, of all heads together

_found: PerTrace[Lines] = PerTrace()


def rule_of(name: str) -> Rule:
    from model.attention.top_weights import Rule

    return Rule(*RULES[name])


@dataclass(frozen=True)
class DrawnShare:
    """What a figure draws and leaves out: lines drawn, asked for by the rule, cells that the mask leaves, and sums."""

    drawn: int
    asked: int
    cells: int
    held: float
    mass: float

    @property
    def share(self) -> float:
        """Σ of the drawn weights / Σ of all weights of these rows."""
        return self.held / self.mass if self.mass else 0.0


# ---- a short input, or the part around the selection


def cells(
    record: AttentionRecord, head: int, axes: Axes, keys: sides.Axis, rule: Rule
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """(weights float64, allowed, asked for) [items, items] of the figure, and Σ of the whole rows that it shows a part of.

    keys: the items of the whole key side, for the rule is about whole rows.
    """
    import torch

    from model.attention.top_weights import lines_of_rule

    rows, columns = axes
    whole = record.select([head], torch.float64).weights(0, rows.span, dtype=torch.float64).numpy()
    allowed = record.allowed(rows.span).numpy()
    if len(rows.starts) != whole.shape[0] or len(keys.starts) != whole.shape[1]:
        whole, allowed = by_word(whole, allowed, (rows, keys), np.float64)
    part = slice(columns.first, columns.first + len(columns.starts))
    return whole[:, part], allowed[:, part], (lines_of_rule(whole, rule) & allowed)[:, part], float(whole.sum())


def key_items(trace: Trace, site: Site, axes: Axes) -> sides.Axis:
    """The whole key side in the items that the figure has a part of: tokens or words."""
    merged = any(len(axis.starts) != axis.stop - axis.starts[0] for axis in axes)
    return sides.axes(trace, site, (0, 0), merged, size=trace.record(site).keys)[1]


def lines_frame(
    trace: Trace, site: Site, head: int, shown: list[int], selection: tuple[int, int] | None, words: Words,
    axes: Axes | None = None, rule: str = USUAL,
) -> bytes:  # fmt: skip
    """All heads of one site as lines between two token columns; `shown` are the ones switched on."""
    record = trace.record(site)
    axes = axes or sides.axes(trace, site, selection or (0, 0), size=LINES)
    keys = key_items(trace, site, axes)
    heads = [cells(record, h, axes, keys, rule_of(rule)) for h in range(record.heads)]
    told = header(trace, site, axes, selection, words)
    told |= {
        "left": list(axes[0].labels),
        "right": list(axes[1].labels),
        "left_side": site.query_side,
        "right_side": site.key_side,
        "left_title": told["row_title"],
        "right_title": told["column_title"],
        "heads": [{"index": h, "name": words["head_name"].format(head=h)} for h in range(record.heads)],
        "shown": shown,
        "current_head": head,
        "mass": [mass for *_, mass in heads],  # of whole rows, of which a window shows a part
    }
    weights = np.stack([values for values, *_ in heads]).astype(np.float32)
    asked = np.stack([kept for _, _, kept, _ in heads])
    return pack(told, weights=weights, asked=asked, state=states(weights[0], heads[0][1]))


# ---- a long input from its first token to its last


def is_long(record: AttentionRecord) -> bool:
    """Whether its tokens are too many to stand below each other."""
    return max(record.queries, record.keys) > LINES


def known(record: AttentionRecord, heads: Sequence[int], rule: str) -> bool:
    """Whether the strongest weights of these heads are cached already."""
    return all(_found.has(record, (head, rule)) for head in heads)


def far(record: AttentionRecord, heads: Sequence[int], rule: str) -> dict[int, Lines]:
    """head -> its strongest lines over the whole length, at most `MOST`; kept with the record. Ticks "lines"."""
    from model.attention.top_weights import strong_lines

    def lines(head: int) -> Lines:
        return strong_lines(record, head, rule_of(rule), MOST)

    return {head: _found.get(record, (head, rule), lambda head=head: lines(head)) for head in heads}


def drawn(lines_by_head: Mapping[int, Lines]) -> dict[int, int]:
    """How many lines of each head are drawn: of all heads together the `MOST` strongest."""
    counts = {head: len(lines.weights) for head, lines in lines_by_head.items()}
    if sum(counts.values()) <= MOST:
        return counts
    least = np.sort(np.concatenate([lines.weights for lines in lines_by_head.values()]))[-MOST]
    return {head: int((lines.weights >= least).sum()) for head, lines in lines_by_head.items()}


def drawn_share(lines_by_head: Mapping[int, Lines]) -> DrawnShare:
    """What `far_frame` draws of these heads."""
    counts = drawn(lines_by_head)
    held = sum(float(lines.weights[: counts[head]].sum()) for head, lines in lines_by_head.items())
    each = lines_by_head.values()
    return DrawnShare(
        sum(counts.values()), sum(x.asked for x in each), sum(x.cells for x in each), held, sum(x.mass for x in each)
    )


def far_frame(
    trace: Trace, site: Site, head: int, lines_by_head: Mapping[int, Lines], selection: tuple[int, int], words: Words
) -> bytes:  # fmt: skip
    """The lines of the heads in `lines_by_head` between two scaled sides: arrays head, row, column int32, weight float32."""
    record, counts = trace.record(site), drawn(lines_by_head)
    whole = (sides.token_axis([], 0), sides.token_axis([], 0))
    told = header(trace, site, whole, None, words) | {
        "selection": {"row": selection[0], "column": selection[1]},
        "left": [label["text"] for label in tokens.labels(trace, site.query_side)],
        "right": [label["text"] for label in tokens.labels(trace, site.key_side)] if site.kind == "cross" else None,
        "left_side": site.query_side,
        "right_side": site.key_side,
        "heads": [{"index": h, "name": words["head_name"].format(head=h)} for h in range(record.heads)],
        "shown": list(lines_by_head),
        "current_head": head,
    }
    told |= {"left_title": told["row_title"], "right_title": told["column_title"]}
    parts = [
        (np.full(counts[h], h, np.int32), x.rows[: counts[h]], x.columns[: counts[h]], x.weights[: counts[h]])
        for h, x in lines_by_head.items()
    ]
    arrays = [np.concatenate(each) for each in zip(*parts, strict=True)] or [np.zeros(0, np.int32)] * 3 + [np.zeros(0)]
    return pack(told, head=arrays[0], row=arrays[1], column=arrays[2], weight=arrays[3].astype(np.float32))
