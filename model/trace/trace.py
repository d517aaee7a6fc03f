"""`Trace`, the record of one run: tokens, every attention sub-layer, logits. Facts are kept, the rest is derived.

A trace holds one example, never a batch. It costs O(layers · n · d) numbers; attention weights are made when asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.errors import UnknownOption, UnknownSite
from model.trace import logits
from model.trace.attention_record import AttentionRecord
from model.trace.fidelity import ALL_ROWS, SOME_ROWS, Fidelity, check
from model.trace.per_trace import derived_bytes
from model.trace.saved import file as trace_file
from model.trace.site import Site, predicting_side
from model.trace.tensors import Store
from model.trace.trace_key import Side, TraceKey

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Trace:
    """One recorded run.

    `sides` maps "encoder" and "decoder" to their tokens; `attention` maps each `Site` to its record; `store` holds the
    activations by name: `encoder.embedding`, `encoder.positions`, `encoder.input`, then per layer `encoder.0.self.q` /
    `.k` / `.v` / `.lse` / `.context` / `.output` / `.residual` / `.norm`, `encoder.0.ffn.pre` / `.post` / `.output` /
    `.residual` / `.norm`, `encoder.output`, the same for the decoder, and `logits` [m, V]. Parameters of the attention
    sub-layers stand under `parameters/`, in the orientation of the formula x · W.

    Of a library model, where it can be told: `encoder.0.self.input` [n, d] is what its queries (keys, values) were made
    of (in cross-attention keys and values are of `encoder.output`, or else `.memory`); `decoder.0.self.rotary` [1] says
    which of the tables `decoder.rotary.0.cos` / `.sin` [n, ·] turned q and k. The parameters `gamma_q`, `beta_q` and
    `epsilon_q` (`_k`) are those of a norm of q (k); only a LayerNorm has a β.
    """

    key: TraceKey
    sides: Mapping[str, Side]
    attention: Mapping[Site, AttentionRecord]
    store: Store
    vocabulary: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    measured: Fidelity | None = None
    plain_logits: Callable[[], Tensor | Mapping[str, Tensor]] | None = field(default=None, repr=False)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Every attention sub-layer, in the order of the computation; `str(site)` is its name."""
        return tuple(self.attention)

    def record(self, site: Site | str) -> AttentionRecord:
        by_name = {str(known): record for known, record in self.attention.items()}
        if str(site) not in by_name:
            raise UnknownSite(site=site, allowed=", ".join(by_name))
        return by_name[str(site)]

    def side(self, side: str) -> Side:
        if side not in self.sides:
            raise UnknownOption(what="Side", got=side, allowed=", ".join(self.sides))
        return self.sides[side]

    def tokens(self, side: str) -> list[str]:
        return list(self.side(side).tokens)

    def token_ids(self, side: str) -> list[int]:
        return list(self.side(side).ids)

    @property
    def language(self) -> str:
        """The output language the model was asked for, "" where it has none."""
        return str(dict(self.key.options).get("language", ""))

    def written(self) -> list[str]:
        """The token that follows each decoder position in this run (row t of `logits` scores `written()[t]`)."""
        return list(self.facts.get("written", ()))

    @property
    def between(self) -> str:
        """What stands between two tokens of a text: a space between words of ours; a library's carry their own."""
        return " " if "family" not in self.facts and self.facts.get("pieces", "words") == "words" else ""

    def weights(
        self, site: Site | str, head: int, rows: slice | int | None = None, columns: slice | int | None = None
    ) -> Tensor:
        """Attention weights of one head: float32 [query, key], or the tile `rows` × `columns` of it."""
        return self.record(site).weights(head, _span(rows), _span(columns))

    def row(self, site: Site | str, head: int, i: int) -> Tensor:
        """The weights of query `i`: float32 [key]."""
        record = self.record(site)
        i = record.check_query(i)
        return record.weights(head, slice(i, i + 1))[0]

    def pooled(self, site: Site | str, head: int, size: int = 256, how: str = "max") -> Tensor:
        """One head made smaller without its n × n weights; see `model.attention.downsample.pooled`."""
        from model.attention.downsample import pooled

        return pooled(self.record(site), head, size, how)

    def statistics(self) -> DataFrame:
        """One row a head, what it does in numbers; see `model.measures.table`."""
        from model.measures.table import table

        return table(self)

    def q(self, site: Site | str) -> Tensor:
        return self.record(site).q

    def k(self, site: Site | str) -> Tensor:
        return self.record(site).k

    def v(self, site: Site | str) -> Tensor:
        return self.record(site).v

    def activation(self, name: str) -> Tensor:
        """A recorded activation by its name (see the class), one example: [n, ·]."""
        if name not in self.store:
            known = ", ".join(n for n in self.store.names() if not n.startswith("parameters/"))
            raise UnknownOption(what="Activation", got=name, allowed=known)
        return self.store[name]

    def parameter(self, site: Site | str, name: str) -> Tensor | None:
        """A parameter of the sub-layer at `site` (`W_Q` [d, h · d_k], `b_Q`, …, `gamma`, `beta`), or None."""
        full = f"parameters/{site}.{name}"
        return self.store[full] if full in self.store else None

    @property
    def logits(self) -> Tensor | None:
        """[m, V], or None where the model has none or too many to keep (then `next_tokens` reads the likeliest)."""
        return self.store["logits"] if "logits" in self.store else None

    @property
    def predicting_side(self) -> str:
        """The side whose positions the logits belong to: the decoder's, else that of the last attention."""
        return predicting_side(self.sides, self.sites)

    @property
    def predicts(self) -> bool:
        """Whether there is a probability for a token at every position."""
        return logits.has_logits(self.store)

    def next_tokens(self, position: int = -1, top: int = 5) -> list[tuple[str, int, float]]:
        """The most probable next tokens after decoder `position`: (token, id, probability), best first."""
        return [
            (self.vocabulary[i] if i < len(self.vocabulary) else f"#{i}", i, p)
            for i, p in logits.most_probable(self.store, position, top)
        ]

    def fidelity(self, plain: bool = True) -> Fidelity:
        """Measure (once) what the record implies against what the model put out, sub-layer by sub-layer.

        plain: run the untouched model once more, and compare the logits.
        """
        if self.measured is None or not self.measured.sites:
            each = {
                str(site): check(record, self.parameter(site, "W_O"), self.parameter(site, "b_O"))
                for site, record in self.attention.items()
            }
            checked = {site: found for site, found in each.items() if found is not None}
            known = (self.measured.logits_error, self.measured.logits_limit) if self.measured else (None, None)
            if plain and self.plain_logits is not None:
                known = logits.furthest(self.plain_logits(), self.store, self.attention.values()) or (None, None)
            logits_error, logits_limit = known
            if logits_limit is None:
                logits_limit = logits.limit(self.store, self.attention.values())
            partly = any(record.queries > ALL_ROWS for record in self.attention.values())
            # The measurement belongs to the frozen facts; it is kept so that every figure quotes the same one.
            sites, limits, relative, compared = (
                {site: getattr(found, part) for site, found in checked.items()}
                for part in ("error", "limit", "relative", "compared")
            )
            rows = SOME_ROWS if partly else None
            found = Fidelity(sites, logits_error, rows, limits, relative, logits_limit, compared)
            object.__setattr__(self, "measured", found)
            if plain:
                object.__setattr__(self, "plain_logits", None)  # the model need not live as long as the run
        return self.measured

    def save(self, path: str | Path) -> Path:
        """Write the trace as one safetensors file with JSON metadata."""
        recorded = (self.key, self.sides, self.attention, self.store, self.vocabulary, self.facts)
        fidelity = self.fidelity()
        return trace_file.save(trace_file.Saved(*recorded, fidelity.logits_error, fidelity.logits_limit), Path(path))

    @staticmethod
    def open(path: str | Path) -> Trace:
        """Open a saved trace; tensors are read when looked at. Raises TraceFileError in one sentence."""
        saved = trace_file.load(Path(path))
        recorded = (saved.key, saved.sides, saved.attention, saved.store, saved.vocabulary, saved.facts)
        return Trace(*recorded, measured=Fidelity({}, saved.logits_error, logits_limit=saved.logits_limit))

    def held_bytes(self) -> int:
        """Bytes of the record and of what was derived of it and is kept with it."""
        return self.nbytes() + derived_bytes(self, *self.attention.values())

    def nbytes(self) -> int:
        """Bytes of the recorded activations (parameters are the model's own and not counted)."""
        lazy = getattr(self.store, "lazy", frozenset())  # made when looked at: not held
        names = [n for n in self.store.names() if not n.startswith("parameters/") and n not in lazy]
        return sum(4 * int(torch.tensor(self.store.shape(n)).prod()) for n in names)


def _span(index: slice | int | None) -> slice:
    if index is None:
        return slice(None)
    if isinstance(index, int):
        return slice(index, index + 1 or None)
    return index
