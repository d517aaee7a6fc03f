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
        own = sum(size for label, size in call.columns if label is None)
        if call.columns and own not in ((n,) if keys is None else range(1, m)):
            call.columns, own = (), 0
        read = rows
        if keys is not None:
            read = self._list(keys, own or m, f"{keys}.for.{site.stack}.{site.layer}")
        if not call.columns:
            shorter = keys is None and n != m
            return rows, self._list(f"{rows}.keys", m, f"{rows}.keys.{site.layer}") if shorter else read
        names = [f"{read}.keys", *(f"{read}.keys.{number}" for number in range(1, len(self.lengths) + 2))]
        known = (read, call.columns)
        name = next(each for each in names if self.columns.get(each, None if each in self.lengths else known) == known)
        self.columns[name], self.lengths[name] = known, m
        return rows, name

    def _list(self, name: str, length: int, other: str) -> str:
        """The list of this name, or of another where that one has another length."""
        if self.lengths.setdefault(name, length) == length and name not in self.columns:
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
                read = site.key_side.rpartition(".keys")[0]
                with_columns[site.key_side] = read, call.columns
                own = sum(size for label, size in call.columns if label is None)
                first.setdefault(read, (own, call.descent[1]))
            else:
                first.setdefault(site.key_side, (call.k.shape[1], call.descent[1]))
        for side in self.given:
            if side not in first:
                raise UnknownOption(what="Side", got=side, allowed=", ".join(first))
        order = sorted(first, key=lambda side: (side not in ("encoder", "decoder"), side == "decoder"))
        sides = {side: self._side(side, *first[side]) for side in order}
        return sides | {side: _with_keys(sides[rows], columns) for side, (rows, columns) in with_columns.items()}

    def _side(self, side: str, length: int, descent: frozenset[Origin]) -> Side:
        ids = self._ids(length, descent)
        words = self.given.get(side)
        if words is None:
            words = self.texts.tokens(ids) if ids is not None else [str(i) for i in range(length)]
        if len(words) != length:
            raise TokensDoNotFit(got=len(words), side=side, allowed=length)
        special = tuple(self.texts.is_special(word) for word in words)
        return Side(tuple(words), tuple(ids if ids is not None else range(length)), special)

    def _ids(self, length: int, descent: frozenset[Origin]) -> list[int] | None:
        """The ids whose vectors a list's first attention reads; None where it reads anything else, or it cannot be told.

        What was looked up in a table of the vocabulary's size counts first; a table of positions or of kinds of tokens has
        another. Without one an input counts that flowed in, if it is the only one that fits.
        """
        if any(kind == "call" for kind, _ in descent):
            return None  # what attention has made of a text is not the text
        numbers = sorted(number for kind, number in descent if kind == "ids")
        looked_up = [self.descent.ids[number] for number in numbers if self.descent.ids[number][0].numel() == length]
        size = len(self.texts.vocabulary)
        told = [ids.tolist() for ids, rows in looked_up if rows == size]
        inputs = [self.inputs[number] for kind, number in descent if kind == "input"]
        given = [each.reshape(-1).tolist() for each in inputs if is_ids(each) and each.numel() == length]
        others = [ids.tolist() for ids, _ in looked_up]
        for found in (told, [ids for ids in others if ids in given], others, given):
            # Places and kinds of tokens are numbers too.
            real = [ids for ids in found if found is told or (ids != list(range(length)) and set(ids) - {0, 1})]
            if len({tuple(ids) for ids in real or found}) == 1:
                return (real or found)[0]
        return None


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
