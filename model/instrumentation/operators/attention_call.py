"""One attention of a forward: its facts as they were found, keys that heads share kept once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress

import torch
from torch import Tensor, nn

from model.transformer.masks import DenseMask, IntervalMask, RuleMask

Columns = tuple[tuple[str | None, int], ...]  # runs of keys: None for positions of the sequence, else what they are
# ("call", place), ("attention", number), ("input", number), ("ids", number) or ("learned", memory): see `descent`, `places`
Origin = tuple[str, str | int]
# (the sequence that a row is of: what it was looked up or given as; its place there)
Row = tuple[frozenset[Origin], int]


@dataclass(frozen=True, eq=False)
class Places:
    """Which place of which sequence each row of a tensor is, in their order; None where that is not known."""

    rows: tuple[Row, ...] | None = None

    def same(self, other: Places) -> bool:
        """Whether the rows of the two are the same ones; what is not known may be anything that is not known."""
        if self.rows is None or other.rows is None or self.rows is other.rows:
            return self.rows is other.rows
        return len(self.rows) == len(other.rows) and all(map(_same_row, self.rows, other.rows))

    def at(self, chosen: Sequence[bool]) -> Places:
        return Places(None if self.rows is None else tuple(compress(self.rows, chosen)))


def _same_row(one: Row, other: Row) -> bool:
    """A row to which vectors of another sequence were added is the same; one of which the words are gone is not."""
    if one[1] != other[1] or one[0] == other[0]:
        return one[1] == other[1]
    words = ({origin for origin in row[0] if origin[0] == "ids"} for row in (one, other))
    return next(words) == next(words) and bool(one[0] & other[0])


@dataclass(eq=False)
class AttentionCall:
    """One attention, batch axis gone: q [h, q, d_k], k [h_kv, k, d_k], v [h_kv, k, d_v], context [h, q, d_v].

    parts: "lse" [h, q], "sinks" [h], and "bias" [h, q, k] or "bias_offsets" [h, q + k − 1]; `make_bias` makes a dense bias
    when it is asked for. shape: that of the weights in the model, batch and all. projection W_O [h · d_v, d], projection_bias
    b_O [d] and output [q, d] where they were found; projector: of several matrices that made the output, until W_O is known.
    path: names and classes of the modules it ran in; entries: which call of each that was. from_elsewhere: whether keys come
    from another tensor than queries, None where it cannot be told. columns: what its keys are, where some are no positions of
    its own sequence. descent: what its queries, and its keys, descend from; places: whose positions they are. heads: the calls
    it was put together of: heads, runs of queries or blocks of keys. head_sizes: of the axes that its heads were on, outermost
    first. beside: whether another of its kind comes before it in its layer. number: which attention of the forward it is.
    projected_from: how many vectors its queries were projected from, None where that is not known.
    """

    q: Tensor
    k: Tensor
    scale: float
    mask: RuleMask | IntervalMask | DenseMask
    parts: dict[str, Tensor]
    shape: tuple[int, ...]
    softcap: float | None = None
    make_bias: Callable[[], Tensor] | None = None
    path: list[tuple[str, str]] = field(default_factory=list)
    entries: dict[str, int] = field(default_factory=dict)
    from_elsewhere: bool | None = None
    columns: Columns = ()
    descent: tuple[frozenset[Origin], frozenset[Origin]] = (frozenset(), frozenset())
    places: tuple[Places, Places] = (Places(), Places())
    v: Tensor | None = None
    context: Tensor | None = None
    projection: Tensor | None = None
    projection_bias: Tensor | None = None
    output: Tensor | None = None
    projector: nn.Module | None = None
    heads: list[AttentionCall] = field(default_factory=list)
    head_sizes: tuple[int, ...] = ()
    beside: bool = False
    number: int = 0
    projected_from: int | None = None

    @property
    def place(self) -> str:
        """The innermost module that the whole call ran in, and which call of it that was: "layers.0.attention@12"."""
        name = self.path[-1][0] if self.path else ""
        return f"{name}@{self.entries.get(name, 0)}"

    @property
    def own_keys(self) -> Places:
        """Of the keys that are positions of a sequence; of all where none is anything else."""
        chosen = [label is None for label, size in self.columns for _ in range(size)]
        return self.places[1].at(chosen) if self.columns else self.places[1]

    @property
    def weights_shape(self) -> tuple[int, int, int]:
        """(h, q, k)"""
        return self.q.shape[0], self.q.shape[1], self.k.shape[1]


def independent(calls: list[AttentionCall]) -> bool:
    """Whether none of them reads what another gave, as a later layer does."""
    numbers = {("attention", call.number) for call in calls}
    return not any(numbers & (call.descent[0] | call.descent[1]) for call in calls)


def exchange_heads(call: AttentionCall, order: Sequence[int]) -> None:
    """Put the heads in another order of their axes, `order` of `head_sizes`: (group, head of it) as (head of a group, group)."""
    count = math.prod(call.head_sizes)
    places = torch.arange(count).reshape(call.head_sizes).permute(*order).reshape(-1).to(call.q.device)
    call.k, call.v = (part.repeat_interleave(count // part.shape[0], 0) for part in (call.k, call.v))
    for name in ("q", "k", "v", "context"):
        setattr(call, name, getattr(call, name)[places])
    call.parts = {name: part[places] for name, part in call.parts.items()}
    call.k, call.v = compact(call.k, call.v)
    call.head_sizes = tuple(call.head_sizes[at] for at in order)


def compact(k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values that several heads share, once: [h, k, ·] -> [h_kv, k, ·]."""
    heads = k.shape[0]
    if heads < 2 or not torch.equal(k[0], k[1]):
        return k, v
    for kept in range(1, heads):
        if heads % kept == 0 and all(
            torch.equal(t, t[:: heads // kept].repeat_interleave(heads // kept, 0)) for t in (k, v)
        ):
            return k[:: heads // kept].clone(), v[:: heads // kept].clone()
    return k, v
