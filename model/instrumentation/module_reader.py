"""The facts of a foreign module's attention, from its operators: q, k, scale, soft cap, mask, bias, log-sum-exp.

The facts are held against the weights that the module really used. Where an operator between q · kᵀ and the softmax is
none of them (a gate, a rotation of scores), the rest of each score is kept as its bias, so that the record never says
anything but what was computed.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from model.errors import AttentionLost
from model.instrumentation.descent import Descent
from model.instrumentation.key_columns import MEMORY, KeyColumns
from model.instrumentation.operators.attention_call import AttentionCall, Places
from model.instrumentation.operators.notes import Scores
from model.instrumentation.operators.recorder import OperatorRecorder
from model.instrumentation.operators.regroup import made_of
from model.instrumentation.operators.score_reader import ScoreReader
from model.instrumentation.operators.terms import (
    ScoreTerms,
    log_sum_exp,
    reproduces,
    split_terms,
    terms_of,
    weighted,
    with_nan_rows,
)
from model.instrumentation.places.sequences import Sequences
from model.instrumentation.qk_sources import ProjectionSources
from model.trace.mask_and_bias import is_masked, simplest_mask


class BatchSeen(Exception):
    """The attention ran over `got` examples, or groups of positions, at once, in the module at `path`."""

    def __init__(self, got: int, path: str):
        self.got, self.path = got, path


class ModuleReader(ScoreReader):
    """Reads any attention; raises BatchSeen. Everything is copied, because the module may go on to change it in place.

    ambiguous: an axis before queries and keys was met that may count heads or examples. found: the calls, in order, before
    heads that were computed one by one are put together.
    """

    learned_queries = True

    def __init__(
        self, recorder: OperatorRecorder, sources: ProjectionSources, columns: KeyColumns, descent: Descent,
        sequences: Sequences,
    ):  # fmt: skip
        self.ambiguous = False
        self.found: list[AttentionCall] = []
        self._certain: dict[int, AttentionCall] = {}
        self._recorder, self._sources, self._columns, self._descent = recorder, sources, columns, descent
        self._sequences = sequences

    def softmax(
        self, scores: Scores, tensor: Tensor | None, weights: Tensor | None, lse: Tensor | None, shape: torch.Size
    ) -> AttentionCall:
        if weights is None and shape[0] != 1:
            raise BatchSeen(shape[0], self._recorder.innermost)
        places = self._places(scores)
        certain = self._check_groups(scores, places[0])
        terms = terms_of(scores, even_rows=True)
        sums = lse
        if tensor is not None:
            known = terms is not None and not bool(_even_rows(tensor, weights).any())
            if not known or not reproduces(scores, terms, weights):
                scores, terms, sums = _rest_as_bias(scores, tensor, weights)
        sums = log_sum_exp(scores, terms, tensor, weights, sums)
        if weights is not None and bool((lost := weights.isnan().any(-1, keepdim=True)).any()):
            terms = with_nan_rows(terms, scores.shape, lost)
        parts = {name: part for name, part in (("lse", sums), ("sinks", scores.sinks)) if part is not None}
        if terms.kind:
            parts[terms.kind] = terms.bias.clone(memory_format=torch.contiguous_format)
        columns, elsewhere = (f(*scores.factors, scores.k.shape[1]) for f in (self._columns.of, self._columns.differ))
        if {label for label, _ in columns} == {None, MEMORY} and _are_words(places[1]):
            columns = ()  # words that were looked up apart are words all the same
        call = AttentionCall(
            scores.q.clone(), scores.k.clone(), scores.scale, simplest_mask(terms.allowed), parts, tuple(shape),
            scores.softcap, from_elsewhere=elsewhere, columns=columns,
            descent=tuple(map(self._descent.of, scores.factors)),
            places=places, projected_from=(self.projection(scores.factors[0]) or (None,))[0],
        )  # fmt: skip
        if certain:
            self._certain[id(call)] = call
        return call

    def weighted_values(self, call: AttentionCall) -> None:
        self.found.append(call)
        call.number = len(self.found)
        self._descent.attended(call)
        self._sequences.attended(call)
        shape = call.shape
        lead = [size for size in shape[:-2] if size != 1]
        if id(call) in self._certain:  # every axis besides queries and keys is of heads
            return
        if len(shape) >= 4 and len(lead) > 1 and shape[0] != 1:
            raise BatchSeen(shape[0], self._recorder.innermost)
        self.ambiguous |= len(shape) == 3 or (len(shape) > 3 and shape[0] != 1)

    def merged(self, call: AttentionCall) -> None:
        self._descent.attended(call)
        self._sequences.attended(call)

    def written(self, call: AttentionCall, tensor: Tensor) -> None:
        self._descent.written(call, tensor)
        self._sequences.written(call, tensor)

    def _places(self, scores: Scores) -> tuple[Places, Places]:
        """Of the queries and of the keys."""
        lengths = scores.q.shape[1], scores.k.shape[1]
        q, k = map(self._sequences.of, scores.factors, lengths, scores.inner)
        return q, k

    def _check_groups(self, scores: Scores, places: Places) -> bool:
        """Whether the queries are one for each vector that they were projected from; None of which is known tells nothing.

        Raises BatchSeen where what looks like heads holds positions: each head has fewer than were projected, yet none was
        left out, or its keys are not all of them either. Raises AttentionLost where positions are on no axis of their own.
        """
        (heads, n, k), found = scores.shape, self._sources.projection(scores.factors[0])
        if (
            places.rows is not None and len(set(places.rows)) == n
        ):  # which place of the sequence each query is, one by one
            return True
        if found is None or not found.rows:
            return False
        positions = found.rows
        whole = found.made is not None and found.made.numel() in (scores.q.numel(), 3 * scores.q.numel())
        if positions > n and (k < positions or (whole and positions % n == 0 and heads % (positions // n) == 0)):
            groups = positions // n
            if positions % n == 0 and heads % groups == 0:
                raise BatchSeen(groups, self._recorder.innermost)
            raise AttentionLost(module=self._recorder.innermost or "the module")
        if positions < n and found.made is not None and scores.q.numel() <= found.made.numel():
            raise AttentionLost(module=self._recorder.innermost or "the module")
        exchanged = heads == n > 1 and found.made is not None and made_of(scores.q.transpose(0, 1), found.made)
        if exchanged and not made_of(scores.q, found.made):
            raise AttentionLost(module=self._recorder.innermost or "the module")
        return positions == n

    def projected(self, call: AttentionCall) -> None:
        self._sources.forget()
        self._columns.forget()

    def projection(self, queries: Tensor) -> tuple[int, Tensor | None] | None:
        found = self._sources.projection(queries)
        return None if found is None or not found.rows else (found.rows, found.made)

    def keep(self, tensor: Tensor) -> Tensor:
        return tensor.clone()


def _are_words(places: Places) -> bool:
    """Whether each row is known to be of a sequence of ids."""
    return places.rows is not None and all(any(kind == "ids" for kind, _ in sequence) for sequence, _ in places.rows)


def _masked(scores: Scores) -> Tensor:
    """bool [h or 1, q or 1, k or 1]: what the terms and dropped cells of followed scores mask, rows with no key left too."""
    return split_terms(scores.shape, weighted(scores), list(scores.dropped)).masked


def _even_rows(scores: Tensor, weights: Tensor) -> Tensor:
    """bool [h, q, 1]: rows that are low at every key; the softmax does not see what all of them share, and gives weights."""
    return is_masked(scores).all(-1, keepdim=True) & (weights.sum(-1, keepdim=True) > 0.5)


def _rest_as_bias(scores: Scores, tensor: Tensor, weights: Tensor) -> tuple[Scores, ScoreTerms, Tensor]:
    """(scores, terms, log-sum-exp [h, q]) with what each score is beyond scale · q · kᵀ as its bias."""
    masked, even = _masked(scores), _even_rows(tensor, weights)
    shown = torch.where(even, tensor - tensor.amax(-1, keepdim=True), tensor)
    rest = shown - scores.scale * (scores.q @ scores.k.mT)
    scores = replace(scores, softcap=None)
    terms = split_terms(scores.shape, [rest], [masked & ~even], True)
    return scores, terms, torch.logsumexp(shown.to(torch.promote_types(shown.dtype, torch.float32)), -1)
