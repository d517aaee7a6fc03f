"""The lists of tokens that name rows and columns of a foreign module's attention: one a stack, and one for each other length.

Where layers shorten the sequence, its later lengths are lists of numbers; keys beside the sequence (`Columns`) are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.errors import TokensDoNotFit, UnknownOption
from model.instrumentation.descent import Descent
from model.instrumentation.operators.attention_call import AttentionCall, Columns, Origin
from model.instrumentation.token_texts import TokenTexts
from model.trace.site import Site
from model.trace.trace_key import Side


@dataclass(eq=False)
class TokenLists:
    """Gives each site the lists of its rows and columns, by name: a stack's own list is called as the stack."""

    lengths: dict[str, int] = field(default_factory=dict)
    columns: dict[str, tuple[str, Columns]] = field(default_factory=dict)

    def sides(self, site: Site, call: AttentionCall, keys: str | None) -> tuple[str, str]:
        """(list of the queries, list of the keys); keys: the stack that cross-attention reads, None for its own."""
        n, m = call.q.shape[1], call.k.shape[1]
        rows = self._list(site.stack, n, f"{site.stack}.{site.layer}")
        if keys is not None:
            return rows, self._list(keys, m, f"{keys}.for.{site.stack}.{site.layer}")
        if sum(size for label, size in call.columns if label is None) != n:
            call.columns = ()
        if not call.columns:
            return rows, rows if n == m else self._list(f"{rows}.keys", m, f"{rows}.keys.{site.layer}")
        names = [f"{rows}.keys", *(f"{rows}.keys.{number}" for number in range(1, len(self.columns) + 2))]
        name = next(name for name in names if self.columns.get(name, (rows, call.columns)) == (rows, call.columns))
        self.columns[name], self.lengths[name] = (rows, call.columns), m
        return rows, name

    def _list(self, name: str, length: int, other: str) -> str:
        """The list of this name, or of another where that one has another length."""
        if self.lengths.setdefault(name, length) == length:
            return name
        stem = other.rpartition(".")[0]
        alike = (each for each in self.lengths if each.rpartition(".")[0] == stem and each.rpartition(".")[2].isdigit())
        found = next((each for each in alike if self.lengths[each] == length and each not in self.columns), other)
        self.lengths[found] = length
        return found


@dataclass(frozen=True, eq=False)
class SideMaker:
    """Makes the `Side` of each list: of the reader's tokens, of the ids that the stack read, else of numbers from 0."""

    texts: TokenTexts
    inputs: Sequence[Tensor]
    descent: Descent
    given: Mapping[str, Sequence[str]]

    def sides(self, found: Mapping[Site, AttentionCall]) -> dict[str, Side]:
        """All lists, the encoder's first; raises TokensDoNotFit, or UnknownOption for the tokens of a list that is not there."""
        first: dict[str, tuple[int, frozenset[Origin]]] = {}
        with_columns: dict[str, tuple[str, Columns]] = {}
        for site, call in found.items():
            first.setdefault(site.query_side, (call.q.shape[1], call.descent[0]))
            if call.columns:
                with_columns[site.key_side] = site.query_side, call.columns
            else:
                first.setdefault(site.key_side, (call.k.shape[1], call.descent[1]))
        for side in self.given:
            if side not in first:
                raise UnknownOption(what="Side", got=side, allowed=", ".join(first))
        used: set[int] = set()
        order = sorted(first, key=lambda side: (side not in ("encoder", "decoder"), side == "decoder"))
        sides = {side: self._side(side, *first[side], used) for side in order}
        return sides | {side: _with_keys(sides[rows], columns) for side, (rows, columns) in with_columns.items()}

    def _side(self, side: str, length: int, descent: frozenset[Origin], used: set[int]) -> Side:
        ids = self._ids(length, descent, used)
        words = self.given.get(side)
        if words is None:
            words = self.texts.tokens(ids) if ids is not None else [str(i) for i in range(length)]
        if len(words) != length:
            raise TokensDoNotFit(got=len(words), side=side, allowed=length)
        special = tuple(self.texts.is_special(word) for word in words)
        return Side(tuple(words), tuple(ids if ids is not None else range(length)), special)

    def _ids(self, length: int, descent: frozenset[Origin], used: set[int]) -> list[int] | None:
        """The ids that a list's stack read: among the inputs, or what a loop looked up in an embedding; None for none."""
        mine = {number for kind, number in descent if kind == "input"}
        fitting = [at for at, each in enumerate(self.inputs) if is_ids(each) and each.numel() == length]
        looked_up = [self.descent.ids[number] for kind, number in sorted(descent, key=str) if kind == "ids"]
        for at in fitting:
            if at not in used and (at in mine or not mine):
                used.add(at)
                return self.inputs[at].reshape(-1).tolist()
        # Positions are looked up too, in a table of another size than the vocabulary.
        size = len(self.texts.vocabulary)
        found = (ids for ids, rows in looked_up if ids.numel() == length and rows == size)
        return next((ids.tolist() for ids in found), None)


def _with_keys(rows: Side, columns: Columns) -> Side:
    """A list of keys: the tokens of the rows, and between them what is no position of theirs, each under its name."""
    tokens, ids, special, at = [], [], [], 0
    for label, size in columns:
        for number in range(size):
            tokens.append(rows.tokens[at] if label is None else f"{label}[{number}]" if size > 1 else label)
            ids.append(rows.ids[at] if label is None else -1)
            special.append(rows.special[at] if label is None else True)
            at += label is None
    return Side(tuple(tokens), tuple(ids), tuple(special))


def is_ids(value: object) -> bool:
    """Whether a tensor holds the ids of one text: whole numbers along one axis."""
    whole = isinstance(value, Tensor) and not value.is_floating_point() and value.dtype != torch.bool
    return whole and value.numel() == max(value.shape, default=0)
