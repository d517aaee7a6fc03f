"""What a `ScoreTracker` asks of who reads it: which facts of an attention a record keeps."""

from __future__ import annotations

import torch
from torch import Tensor

from model.instrumentation.operators.attention_call import AttentionCall
from model.instrumentation.operators.notes import Scores


class ScoreReader:
    """Callbacks of a `ScoreTracker`: the facts of an attention that a record keeps; foreign and library models need others."""

    learned_queries = False  # whether a parameter may be the queries themselves, and not a layer's matrix

    def softmax(
        self, scores: Scores, tensor: Tensor | None, weights: Tensor | None, lse: Tensor | None, shape: torch.Size
    ) -> AttentionCall | None:
        """The call, so far, of one softmax over scores; None where the scores are not what they seem.

        tensor and weights [h, q, k] are what the softmax reads and gives, None in a fused kernel, which gives its `lse`
        instead. shape: that of the weights in the model, batch and all.
        """
        raise NotImplementedError

    def weighted_values(self, call: AttentionCall) -> None:
        """The weights of `call` were multiplied by values."""

    def merged(self, call: AttentionCall) -> None:
        """An operator gave the context of `call`, whose keys were read block by block."""

    def written(self, call: AttentionCall, tensor: Tensor) -> None:
        """A tensor was filled, part by part, with the context of `call`."""

    def projected(self, call: AttentionCall) -> None:
        """W_O was found."""

    def projection(self, queries: Tensor) -> tuple[int, Tensor | None] | None:
        """(how many vectors these queries were projected from, the product itself [·, d] where it is known), or None."""
        return None

    def keep(self, tensor: Tensor) -> Tensor:
        """A tensor of the record, where the model may go on to change it in place."""
        return tensor
