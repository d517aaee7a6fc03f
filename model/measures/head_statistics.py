"""What every head of a record does, in numbers: how spread, how far, and how much on which kind of key.

The weights are made in blocks of rows that fit a core's cache, looked at once and dropped: no q × k tensor is held, only
O(h · (q + k) · d). With s the scores of a row and Z = Σ_j exp(s_j − max s),

    A_j = exp(s_j − max s) / Z        max_j A_j = 1 / Z        H = −Σ_j A_j ln A_j = ln Z − Σ_j A_j (s_j − max s)

and one product A · [1, j, j²] gives the moments. Fused attention calls with a changed V (as in `pooled`) would say most of
this too, but need three passes where this needs one, and cannot say the largest weight.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from model.attention.row_blocks import CELLS, ROWS, span
from model.measures.diagonals import Diagonals
from model.trace.attention_record import AttentionRecord
from model.trace.parallel_sites import each_site
from model.trace.site import Site
from model.trace.trace_key import Side

if TYPE_CHECKING:
    from model.trace.trace import Trace

# The measures that are one number a head, in the order of a table.
MEASURES = (
    "entropy", "largest", "distance", "rms_distance", "previous", "diagonal", "next", "first", "special", "punctuation",
    "induction", "duplicate",
)  # fmt: skip
NEAR = 4  # tokens: what counts as near in `local`
_MARKS = re.compile("^(?:[ĠĊ▁]+|##)(?=.)|(?<=.)</w>$")
_NOTHING = -1000.0  # exp of it is 0 in every precision, and 0 times it is 0, which 0 · −∞ is not


@dataclass(frozen=True, eq=False)
class HeadStatistics:
    """Measures of the heads of one sub-layer; [h] are means over queries, and A is `weights` (a sink's share dropped).

    Queries that may attend nothing are left out of every mean and are NaN in `*_rows`. A mean over no query is NaN.

    entropy, entropy_rows: −Σ_j A_ij ln A_ij, nats. largest, largest_rows: max_j A_ij.
    received: Σ_i A_ij, attention that key j gets from all queries together.
    first: mass on key 0. special, punctuation: mass on the keys flagged so (`[SEP]` and its like; commas, full stops and
    other separators of the text); None without flags.

    The rest belongs to self-attention over one sequence (q = k) and is None elsewhere:
    distance: Σ A_ij (i − j) / Σ A_ij over all cells, in tokens; positive looks back. rms_distance: the square root of
    the same mean of (i − j)². previous, diagonal, next: mass on key i − 1, i, i + 1.
    induction (None without tokens): mass on the keys j with j − 1 < i and token j − 1 equal to token i: what came after
    the query's token earlier ("prefix matching", Olsson et al. 2022, In-context Learning and Induction Heads).
    duplicate (None without tokens): mass on the keys j ≠ i with the query's own token (Wang et al. 2022).
    These five masses are means over the queries that may attend such a key at all, and so is
    local (None unless asked for): mass on the keys at most `NEAR` tokens away, the query itself among them.
    positional_share (None unless asked for): how much of the pattern the offset o = j − i alone explains, the R² of
    putting in each allowed cell the mean a(o) of its diagonal,
    Σ (a(j − i) − ā)² / Σ (A_ij − ā)² over the allowed cells; NaN where all weights are alike.
    """

    entropy: Float[Tensor, " h"]
    entropy_rows: Float[Tensor, "h q"]
    largest: Float[Tensor, " h"]
    largest_rows: Float[Tensor, "h q"]
    received: Float[Tensor, "h k"]
    first: Float[Tensor, " h"]
    special: Float[Tensor, " h"] | None = None
    punctuation: Float[Tensor, " h"] | None = None
    distance: Float[Tensor, " h"] | None = None
    rms_distance: Float[Tensor, " h"] | None = None
    previous: Float[Tensor, " h"] | None = None
    diagonal: Float[Tensor, " h"] | None = None
    next: Float[Tensor, " h"] | None = None
    induction: Float[Tensor, " h"] | None = None
    duplicate: Float[Tensor, " h"] | None = None
    local: Float[Tensor, " h"] | None = None
    positional_share: Float[Tensor, " h"] | None = None


@torch.no_grad()
def statistics(
    record: AttentionRecord,
    tokens: Sequence[int] | Tensor | None = None,
    special: Sequence[bool] | Tensor | None = None,
    offsets: bool = False,
    punctuation: Sequence[bool] | Tensor | None = None,
    told: Callable[[float], None] = lambda done: None,
) -> HeadStatistics:
    """Measure every head of `record`: float64 of a float64 record, else float32.

    tokens: the id of each key; special, punctuation: whether it is such a token. offsets: also `local` and `positional_share`,
    which cost as much again. told: hears how much is done, 0–1. Raises ValueError for another number of either.
    A dense bias [h, q, k] (DeBERTa, XLNet) is read one head at a time; every other record needs no q × k memory.
    """
    for what, given in (("token ids", tokens), ("special flags", special), ("punctuation flags", punctuation)):
        if given is not None and len(given) != record.keys:
            raise ValueError(f"{len(given)} {what} were given for {record.keys} keys: give one for each")
    codes = None if tokens is None else torch.unique(torch.as_tensor(tokens), return_inverse=True)[1].int()
    flagged = {"special": special, "punctuation": punctuation}
    flags = {name: torch.as_tensor(given).bool() for name, given in flagged.items() if given is not None}
    heads = range(record.heads)
    parts = [[head] for head in heads] if f"{record.site}.bias" in record.store else [list(heads)]
    scans = []
    for done, part in enumerate(parts):
        scans.append(
            _scan(
                record.select(part), codes, flags, offsets, lambda share, done=done: told((done + share) / len(parts))
            )
        )
    rows, may = zip(*scans, strict=True)
    return _means({name: torch.cat([part[name] for part in rows]) for name in rows[0]}, may[0])


def trace_statistics(trace: Trace, offsets: bool = False) -> dict[Site, HeadStatistics]:
    """`statistics` of every sub-layer of a trace, with the tokens of its key side; ticks "measures" and can be stopped."""

    def measure(site: Site, told: Callable[[float], None]) -> HeadStatistics:
        record, side = trace.record(site), trace.sides.get(site.key_side)
        known = side is not None and len(side.ids) == len(side.special) == record.keys
        given = (side.ids, side.special, offsets, _punctuation(side)) if known else (None, None, offsets)
        return statistics(record, *given, told=told)

    return dict(each_site(measure, trace, trace.sites, "measures"))


def _punctuation(side: Side) -> list[bool]:
    """Which tokens of a text consist of punctuation alone (Unicode's categories P), special ones apart.

    A tokenizer's mark for "a word begins, goes on or ends here" is no part of the text: a bare tokenizer's "▁," is a comma.
    """
    texts = (_MARKS.sub("", text).strip() for text in side.texts)
    alone = (bool(text) and all(unicodedata.category(c).startswith("P") for c in text) for text in texts)
    return [is_ and not special for is_, special in zip(alone, side.special, strict=True)]


def ranked(measured: dict[Site, HeadStatistics], by: str) -> list[tuple[Site, int, float]]:
    """(site, head, value) of every head that has the measure `by` (one of MEASURES), the highest first."""
    rows = [
        (site, head, value)
        for site, found in measured.items()
        if (values := getattr(found, by)) is not None
        for head, value in enumerate(values.tolist())
        if value == value  # not NaN
    ]
    return sorted(rows, key=lambda row: -row[2])


@dataclass(frozen=True, eq=False)
class _Block:
    """Some rows against the keys that any of them may attend, and what is asked of the weights there.

    allowed [r, c]; i [r], j [c]: positions. pairs: by measure, (row, column) of the cells inside the block that count.
    """

    rows: slice
    columns: slice
    allowed: Tensor
    i: Tensor
    j: Tensor
    pairs: dict[str, tuple[Tensor, Tensor]]
    flags: dict[str, Tensor]
    diagonals: Diagonals | None = None


def _block(
    record: AttentionRecord, rows: slice, codes: Tensor | None, flags: dict[str, Tensor], diagonals: Diagonals | None
) -> _Block:
    columns = span(record, rows)
    i, j = torch.arange(record.queries)[rows], torch.arange(record.keys)[columns]
    allowed = record.allowed(rows, columns)
    pairs = {"first": torch.where(allowed & (j == 0))}
    if record.site.kind == "self" and record.queries == record.keys:
        for name, step in (("previous", -1), ("diagonal", 0), ("next", 1)):
            pairs[name] = torch.where(allowed & (i[:, None] + step == j))
        if diagonals is not None:
            pairs["local"] = torch.where(allowed & ((i[:, None] - j).abs() <= NEAR))
        if codes is not None:
            before = torch.cat([codes.new_full((1,), -1), codes[:-1]])
            after = (codes[rows, None] == before[columns]) & (j <= i[:, None])
            same = (codes[rows, None] == codes[columns]) & (j != i[:, None])
            pairs |= {"induction": torch.where(allowed & after), "duplicate": torch.where(allowed & same)}
    return _Block(rows, columns, allowed, i, j, pairs, {name: on[columns] for name, on in flags.items()}, diagonals)


def _scan(
    record: AttentionRecord,
    codes: Tensor | None,
    flags: dict[str, Tensor],
    offsets: bool,
    told: Callable[[float], None],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """All blocks -> what was measured of each query [h, q] (and "received" [h, k]), and which may attend such a key [q]."""
    measured: list[dict[str, Tensor]] = []
    may: list[dict[str, Tensor]] = []
    received = torch.zeros(record.heads, record.keys, dtype=torch.float64)
    sinks = record.store[f"{record.site}.sinks"] if f"{record.site}.sinks" in record.store else None
    one = record.site.kind == "self" and record.queries == record.keys
    diagonals = Diagonals(record.heads, record.queries, record.keys) if offsets and one else None
    for start in range(0, record.queries, ROWS):
        told(start / record.queries)
        block = _block(record, slice(start, min(start + ROWS, record.queries)), codes, flags, diagonals)
        if diagonals is not None:
            diagonals.count(block.allowed, block.i, block.j)
        together = max(1, CELLS // block.allowed.numel())
        done = []
        for head in range(0, record.heads, together):
            heads = range(head, min(head + together, record.heads))
            taken = None if sinks is None else sinks[heads.start : heads.stop, None, None]
            found, columns = _measure(_scores(record, heads, block), taken, block, heads)
            received[heads.start : heads.stop, block.columns] += columns
            done.append(found)
        measured.append({name: torch.cat([found[name] for found in done]) for name in done[0]})
        none = torch.zeros(len(block.i), dtype=torch.bool)
        may.append({name: none.index_fill(0, r, True) for name, (r, _) in block.pairs.items()})
    rows = {name: torch.cat([block[name] for block in measured], dim=1) for name in measured[0]}
    share = {} if diagonals is None else {"positional_share": diagonals.share()}
    return rows | {"received": received} | share, {name: torch.cat([block[name] for block in may]) for name in may[0]}


def _scores(record: AttentionRecord, heads: range, block: _Block) -> Tensor:
    """[g, r, c], −∞ where masked; `record.scores` says everything, and a plain record is told in one product."""
    if not record.plain:
        return torch.stack([record.scores(h, block.rows, block.columns, record.q.dtype) for h in heads])
    g = slice(heads.start, heads.stop)
    scores = (record.q[g, block.rows] * record.scale) @ record.k[g, block.columns].transpose(1, 2)
    partly = torch.where(~block.allowed.all(0))[0]
    if len(partly):  # of a causal block, only the corner on the diagonal
        corner = slice(int(partly[0]), int(partly[-1]) + 1)
        scores[..., corner].masked_fill_(~block.allowed[:, corner], -torch.inf)
    return scores


def _measure(scores: Tensor, sinks: Tensor | None, block: _Block, heads: range) -> tuple[dict[str, Tensor], Tensor]:
    """What is kept of one block of scores [g, r, c] (overwritten): [g, r] each, and the sums over the rows [g, c]."""
    top = scores.amax(-1, keepdim=True)
    attends = top != -torch.inf
    high = top if sinks is None else torch.maximum(top, sinks)
    high = high.masked_fill(~attends, 0)
    weights = scores.sub_(high).exp()
    total = weights.sum(-1, keepdim=True)
    total = (total if sinks is None else total + (sinks - high).exp()).masked_fill(~attends, 1)
    weights /= total
    # Around the middle of the block the squares stay small, so that a head that looks near loses no digits.
    middle = block.i[len(block.i) // 2]
    j = block.j - middle
    values = [torch.ones_like(j), j, j * j, *block.flags.values()]
    mass, one, two, *flagged = (weights @ torch.stack(values, -1).to(weights)).unbind(-1)
    i = (block.i - middle).double()
    found = {
        "attends": attends[..., 0],
        "entropy": total[..., 0].log() * mass - scores.clamp_(min=_NOTHING).mul_(weights).sum(-1),
        "largest": ((top - high).exp() / total)[..., 0].masked_fill(~attends[..., 0], 0),
        "mass": mass.double(),
    }
    found |= dict(zip(block.flags, flagged, strict=True))
    if "previous" in block.pairs:
        found["distance"] = i * mass - one
        found["rms_distance"] = i * i * mass - 2 * i * one + two
    for name, (r, c) in block.pairs.items():
        found[name] = weights.new_zeros(weights.shape[:2]).index_add_(1, r, weights[:, r, c])
    if block.diagonals is not None:
        block.diagonals.add(heads, weights, block.i, block.j)
    return found, weights.sum(1)


def _means(rows: dict[str, Tensor], may: dict[str, Tensor]) -> HeadStatistics:
    """[h, q] each -> the means, and what is told of every query."""
    attends, mass, dtype = rows.pop("attends"), rows.pop("mass").sum(1), rows["entropy"].dtype
    found = {name: rows.pop(name) for name in ("received", "positional_share") if name in rows}
    for name, values in rows.items():
        if name in ("entropy", "largest"):
            found[f"{name}_rows"] = values.masked_fill(~attends, torch.nan)
        if name in ("distance", "rms_distance"):
            found[name] = values.sum(1) / mass
            continue
        counted = attends & may[name] if name in may and name != "first" else attends
        found[name] = values.double().masked_fill(~counted, 0).sum(1) / counted.sum(1)
    if "rms_distance" in found:
        found["rms_distance"] = found["rms_distance"].clamp(min=0).sqrt()
    return HeadStatistics(**{name: values.to(dtype) for name, values in found.items()})
