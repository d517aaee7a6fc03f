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
from model.instrumentation.operators.attention_call import AttentionCall, Columns, Origin, Places, Row
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
        read, apart = rows, f"{rows}.keys.{site.layer}"
        if keys is not None:
            read = self._list(keys, own or m, call.own_keys, f"{keys}.for.{site.stack}.{site.layer}")
        elif call.columns and not call.places[0].same(call.own_keys) and call.own_keys.rows is not None:
            read = self._list(f"{rows}.keys", own, call.own_keys, apart)
        if not call.columns:
            elsewhere = keys is None and (n != m or not call.places[0].same(call.places[1]))
            return rows, self._list(f"{rows}.keys", m, call.places[1], apart) if elsewhere else read
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
        same = [each for each, own in self.places.items() if own.rows is not None and own.same(places)]
        free = chain([other], (f"{other}_{number}" for number in count(2)))
        found = next((each for each in [*same, *alike] if self._fits(each, length, places)), None)
        found = found or next(each for each in free if each not in self.lengths or self._fits(each, length, places))
        return self._take(found, length, places)

    def _fits(self, name: str, length: int, places: Places) -> bool:
        return self.lengths[name] == length and name not in self.columns and self.places[name].same(places)

    def _take(self, name: str, length: int, places: Places) -> str:
        self.lengths[name] = length
        self.places.setdefault(name, places)
        return name


@dataclass(frozen=True, eq=False)
class SideMaker:
    """Makes the `Side` of each list: of the reader's tokens, of the ids that the stack read, else of numbers from 0."""

    texts: TokenTexts
    inputs: Sequence[Tensor]
    descent: Descent
    given: Mapping[str, Sequence[str]]
    known: dict[frozenset[Origin], list[int] | None] = field(default_factory=dict)  # ids of sequences, found once

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
                first.setdefault(read, (own, call.own_keys))
            else:
                first.setdefault(site.key_side, (call.k.shape[1], call.places[1]))
        for side in self.given:
            if side not in first:
                raise UnknownOption(what="Side", got=side, allowed=", ".join(first))
        order = sorted(first, key=lambda side: (side not in ("encoder", "decoder"), side == "decoder"))
        sides = {side: self._side(side, *first[side]) for side in order}
        return sides | {side: _with_keys(sides[rows], columns) for side, (rows, columns) in with_columns.items()}

    def _side(self, side: str, length: int, places: Places) -> Side:
        rows = places.rows if places.rows is not None and len(places.rows) == length else ()
        ids = [self._id(row) for row in rows] or [None] * length
        words = self.given.get(side)
        if words is None:
            texts = iter(self.texts.tokens([i for i in ids if i is not None]) if self.texts.reads else ())
            words = [next(texts, n) if i is not None else n for i, n in zip(ids, _numbers(rows, length), strict=True)]
        if len(words) != length:
            raise TokensDoNotFit(got=len(words), side=side, allowed=length)
        special = tuple(self.texts.is_special(word) for word in words)
        return Side(tuple(words), tuple(at if i is None else i for at, i in enumerate(ids)), special)

    def _id(self, row: Row) -> int | None:
        """The id at a row's place of its sequence."""
        sequence, place = row
        if sequence not in self.known:
            self.known[sequence] = self._ids(sequence)
        ids = self.known[sequence]
        return ids[place] if ids is not None and 0 <= place < len(ids) else None

    def _ids(self, sequence: frozenset[Origin]) -> list[int] | None:
        """The ids of a sequence's tokens; None where it is of anything else, or it cannot be told.

        What was looked up in a table of the vocabulary's size counts first, then in a larger one, then an input that is no
        count; tables of positions and of kinds of tokens have others. Without a table an input counts.
        """
        numbers = sorted(number for kind, number in sequence if kind == "ids")
        looked_up = [(self.descent.ids[number][0].tolist(), self.descent.ids[number][1]) for number in numbers]
        size = len(self.texts.vocabulary)
        given = {at: each.reshape(-1).tolist() for at, each in enumerate(self.inputs) if is_ids(each)}
        read = [given[number] for kind, number in sequence if kind == "input" and number in given]
        others = [ids for ids, _ in looked_up]
        ranked = [
            [ids for ids, rows in looked_up if rows == size],
            [ids for ids, rows in looked_up if size and rows > size > max(ids, default=0) and _of_words(ids)],
            [ids for ids in others if ids in given.values() and _of_words(ids)],
            *([others] if not size else []), *([read] if not looked_up else []),
        ]  # fmt: skip
        for found in ranked:
            real = list(filter(_of_words, found))
            if len({tuple(ids) for ids in real or found}) == 1:
                return (real or found)[0]
        return None


def _of_words(ids: Sequence[int]) -> bool:
    """Whether numbers may be those of words: places and kinds of tokens run on by ones."""
    return list(ids) != sorted(ids) or set(ids) != set(range(min(ids), max(ids) + 1))


def _numbers(rows: Sequence[Row], length: int) -> list[str]:
    """What rows are called without words: by their places in their sequence, else in the list."""
    one = len({sequence for sequence, _ in rows}) == 1 and len(set(rows)) == length
    return [str(place) for _, place in rows] if one else [str(at) for at in range(length)]


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
