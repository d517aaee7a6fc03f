"""Every registered measure of every head, for one sub-layer or a whole trace, in one pass over the weights."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from model.measures.measure import RecordValue
from model.measures.one_pass import PassResult, measured_in_one_pass
from model.measures.registry import BY_NAME, CHEAP, MEASURES
from model.measures.weight_block import SubLayer
from model.trace.attention_record import AttentionRecord
from model.trace.parallel_sites import each_site
from model.trace.site import Site
from model.trace.trace_key import Side

if TYPE_CHECKING:
    from model.trace.trace import Trace

_MARKS = re.compile("^(?:[ĠĊ▁]+|##)(?=.)|(?<=.)</w>$")
_ROWS = "_rows"


@dataclass(frozen=True, eq=False)
class HeadStatistics:
    """Measures of the heads of one sub-layer; what each is, its definition in `model.measures.registry` says.

    values: by a measure's name, one number a head: a mean over queries, of weights A from which a sink's share is dropped.
    Measures that do not apply, or were not asked for, are not there. rows: by name, one number a query, NaN where the
    query may attend nothing. received: Σ_i A_ij, attention that key j gets from all queries together. costly: whether the
    costly measures were asked for.

    `found.entropy` is values["entropy"], None where there is none; `found.entropy_rows` is rows["entropy"].
    """

    values: Mapping[str, Float[Tensor, " h"]]
    rows: Mapping[str, Float[Tensor, "h q"]]
    received: Float[Tensor, "h k"]
    costly: bool

    def __getattr__(self, name: str) -> Tensor | None:
        if name in BY_NAME:
            return self.values.get(name)
        if name.endswith(_ROWS) and name.removesuffix(_ROWS) in self.rows:
            return self.rows[name.removesuffix(_ROWS)]
        raise AttributeError(f"“{name}” is no measure: there are {', '.join(BY_NAME)}")


@torch.no_grad()
def statistics(
    record: AttentionRecord,
    tokens: Sequence[int] | Tensor | None = None,
    special: Sequence[bool] | Tensor | None = None,
    costly: bool = False,
    punctuation: Sequence[bool] | Tensor | None = None,
    on_progress: Callable[[float], None] = lambda done: None,
    beside: Sequence[bool] | Tensor | None = None,
) -> HeadStatistics:
    """Measure every head of `record`: float64 of a float64 record, else float32.

    tokens: the id of each key; special, punctuation: whether it is such a token; beside: whether it is none of the sequence
    (memory, a cache). costly: also the measures that take
    as long as all others together. on_progress: called with the fraction done. Raises ValueError for another number
    of tokens or flags. A dense bias [h, q, k] (DeBERTa, XLNet) is read one head at a time; every other record needs
    no q × k memory.
    """
    layer = SubLayer.of(record, tokens, special, punctuation, beside)
    asked = [measure for measure in (MEASURES if costly else CHEAP) if measure.applies(layer)]
    alone = [measure for measure in asked if isinstance(measure.compute, RecordValue)]
    in_pass = [measure for measure in asked if measure not in alone]
    heads = range(record.heads)
    parts = [[head] for head in heads] if f"{record.site}.bias" in record.store else [list(heads)]
    found = [
        measured_in_one_pass(
            record.select(part), layer, in_pass, lambda share, done=done: on_progress((done + share) / len(parts))
        )
        for done, part in enumerate(parts)
    ]
    values = {measure.name: measure.compute.value(record) for measure in alone}
    return _joined(found, values, costly)


def _joined(parts: Sequence[PassResult], values: dict[str, Tensor], costly: bool) -> HeadStatistics:
    """The heads of all parts, in the precision of their scores."""
    rows = {name: torch.cat([part.rows[name] for part in parts]) for name in parts[0].rows}
    dtype = rows["entropy"].dtype
    values |= {name: torch.cat([part.values[name] for part in parts]).to(dtype) for name in parts[0].values}
    return HeadStatistics(values, rows, torch.cat([part.received for part in parts]).to(dtype), costly)


def trace_statistics(trace: Trace, costly: bool = False) -> dict[Site, HeadStatistics]:
    """`statistics` of every sub-layer of a trace, with the tokens of its key side; ticks "measures" and can be stopped."""

    def measure(site: Site, on_progress: Callable[[float], None]) -> HeadStatistics:
        record, side = trace.record(site), trace.sides.get(site.key_side)
        if side is None or not len(side.ids) == len(side.special) == record.keys:
            return statistics(record, costly=costly, on_progress=on_progress)
        special, beside = side.special, _beside(trace, site)
        if beside is not None:
            special = [is_ and not other for is_, other in zip(special, beside, strict=True)]
        return statistics(record, side.ids, special, costly, _punctuation(side), on_progress, beside)

    return dict(each_site(measure, trace, trace.sites, "measures"))


def _beside(trace: Trace, site: Site) -> list[bool] | None:
    """Which keys of self-attention are none of its own sequence, where others stand before or behind it; None where all are."""
    if site.kind == "cross" or site.key_side == site.query_side or site.query_side not in trace.sides:
        return None
    keys, own = trace.sides[site.key_side].tokens, trace.sides[site.query_side].tokens
    for start in range(len(keys) - len(own) + 1):
        if keys[start : start + len(own)] == own:
            return [not start <= j < start + len(own) for j in range(len(keys))]
    return None


def _punctuation(side: Side) -> list[bool]:
    """Which tokens of a text consist of punctuation alone (Unicode's categories P), special ones apart.

    A tokenizer's mark for "a word begins, goes on or ends here" is no part of the text: a bare tokenizer's "▁," is a comma.
    """
    texts = (_MARKS.sub("", text).strip() for text in side.texts)
    alone = (bool(text) and all(unicodedata.category(c).startswith("P") for c in text) for text in texts)
    return [is_ and not special for is_, special in zip(alone, side.special, strict=True)]


def ranked(measured: dict[Site, HeadStatistics], by: str) -> list[tuple[Site, int, float]]:
    """(site, head, value) of every head that has the measure `by`, the highest first."""
    rows = [
        (site, head, value)
        for site, found in measured.items()
        for head, value in enumerate(found.values[by].tolist() if by in found.values else ())
        if value == value  # not NaN
    ]
    return sorted(rows, key=lambda row: -row[2])
