"""The lists of tokens that name rows and columns of a foreign module's attention: one a stack, and one for each other length.

Where layers shorten the sequence, its later lengths are lists of numbers; keys beside the sequence (`Columns`) are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

import torch
from torch import Tensor

from model.errors import TokensDoNotFit, UnknownOption
from model.instrumentation.descent import Descent
from model.instrumentation.operators.attention_call import AttentionCall, Columns, Places
from model.instrumentation.token_texts import TokenTexts
from model.trace.site import Site
from model.trace.trace_key import Side


@dataclass(eq=False)
class TokenLists:
    """Gives each site the lists of its rows and columns, by name: a stack's own list is called as the stack."""

    lengths: dict[str, int] = field(default_factory=dict)
    places: dict[str, Places] = field(default_factory=dict)
    columns: dict[str, tuple[str, Columns]] = field(default_factory=dict)

    def sides(self, site: Site, call: AttentionCall, keys: str | None, beside: str = "") -> tuple[str, str]:
        """(list of the queries, list of the keys); keys: the stack that cross-attention reads, None for its own. beside: the
        attention's name among others of its kind in the layer.
        """
        n, m = call.q.shape[1], call.k.shape[1]
        other = f"{site.stack}_{beside}" if beside else f"{site.stack}.{site.layer}"
        rows = self._list(site.stack, n, call.places[0], other)
        own = sum(size for label, size in call.columns if label is None)
        if call.columns and own not in ((n,) if keys is None else range(1, m)):
            call.columns, own = (), 0
        read = rows
        if keys is not None:
            read = self._list(keys, own or m, call.places[1], f"{keys}.for.{site.stack}.{site.layer}")
        if not call.columns:
            elsewhere = keys is None and (n != m or call.places[0].apart(call.places[1]))
            return rows, self._list(
                f"{rows}.keys", m, call.places[1], f"{rows}.keys.{site.layer}"
            ) if elsewhere else read
        names = [f"{read}.keys", *(f"{read}.keys.{number}" for number in range(1, len(self.lengths) + 2))]
        known = (read, call.columns)
        name = next(each for each in names if self.columns.get(each, None if each in self.lengths else known) == known)
        self.columns[name], self.lengths[name] = known, m
        return rows, name

    def _list(self, name: str, length: int, places: Places, other: str) -> str:
        """The list of this name, or of another where that one has another length or is of another sequence."""
        if name not in self.lengths or self._fits(name, length, places):
            return self._take(name, length, places)
        stem = other.rpartition(".")[0]
        alike = [each for each in self.lengths if each.rpartition(".")[0] == stem and each.rpartition(".")[2].isdigit()]
        # A list of the same sequence has its words, whichever stack it was met in first.
        same = [each for each, own in self.places.items() if own.same(places)]
        free = chain([other], (f"{other}_{number}" for number in count(2)))
        found = next((each for each in [*same, *alike] if self._fits(each, length, places)), None)
        found = found or next(each for each in free if each not in self.lengths or self._fits(each, length, places))
        return self._take(found, length, places)

    def _fits(self, name: str, length: int, places: Places) -> bool:
        return self.lengths[name] == length and name not in self.columns and not self.places[name].apart(places)

    def _take(self, name: str, length: int, places: Places) -> str:
        self.lengths[name] = length
        if not self.places.setdefault(name, places).origins:
            self.places[name] = places
        return name


@dataclass(frozen=True, eq=False)
class SideMaker:
    """Makes the `Side` of each list: of the reader's tokens, of the ids that the stack read, else of numbers from 0."""

    texts: TokenTexts
    inputs: Sequence[Tensor]
    descent: Descent
    given: Mapping[str, Sequence[str]]

    def sides(self, found: Mapping[Site, AttentionCall]) -> dict[str, Side]:
        """All lists, the encoder's first; raises TokensDoNotFit, or UnknownOption for the tokens of a list that is not there."""
        first: dict[str, tuple[int, Places]] = {}
        with_columns: dict[str, tuple[str, Columns]] = {}
        for site, call in found.items():
            first.setdefault(site.query_side, (call.q.shape[1], call.places[0]))
            if call.columns:
                read = site.key_side.rpartition(".keys")[0]
                with_columns[site.key_side] = read, call.columns
                own = sum(size for label, size in call.columns if label is None)
                first.setdefault(read, (own, call.places[1]))
            else:
                first.setdefault(site.key_side, (call.k.shape[1], call.places[1]))
        for side in self.given:
            if side not in first:
                raise UnknownOption(what="Side", got=side, allowed=", ".join(first))
        order = sorted(first, key=lambda side: (side not in ("encoder", "decoder"), side == "decoder"))
        sides = {side: self._side(side, *first[side]) for side in order}
        return sides | {side: _with_keys(sides[rows], columns) for side, (rows, columns) in with_columns.items()}

    def _side(self, side: str, length: int, places: Places) -> Side:
        ids = self._ids(length, places)
        words = self.given.get(side)
        start = places.span[0] if places.span else 0
        if words is None:
            words = self.texts.tokens(ids) if ids is not None else [str(start + i) for i in range(length)]
        if len(words) != length:
            raise TokensDoNotFit(got=len(words), side=side, allowed=length)
        special = tuple(self.texts.is_special(word) for word in words)
        return Side(tuple(words), tuple(ids if ids is not None else range(length)), special)

    def _ids(self, length: int, places: Places) -> list[int] | None:
        """The ids whose places a list's rows are at; None where it is of anything else, of rows put elsewhere, or not known.

        What was looked up in a table of the vocabulary's size counts first; a table of positions or of kinds of tokens has
        another. Without one an input counts that flowed in, if it is the only one that fits.
        """
        if places.moved or (places.cut and places.span is None):
            return None
        if places.span is not None:  # a run of the rows of a longer one
            start, stop, size = places.span
            ids = self._ids(size, Places(places.origins))
            return None if ids is None else ids[start:stop]
        numbers = sorted(number for kind, number in places.origins if kind == "ids")
        looked_up = [self.descent.ids[number] for number in numbers if self.descent.ids[number][0].numel() == length]
        size = len(self.texts.vocabulary)
        told = [ids.tolist() for ids, rows in looked_up if rows == size]
        inputs = [self.inputs[number] for kind, number in places.origins if kind == "input"]
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
