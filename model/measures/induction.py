"""Induction, measured where nothing but repetition can explain it: random tokens, and the same once more.

A text r r of distinct random tokens has no grammar and no topic. A head that, at a token of the second r, looks at what
followed it in the first, has found the repetition: "prefix matching" (Olsson et al. 2022, In-context Learning and Induction
Heads, "Evaluating prefix matching"). How sure the number is, is told by a bootstrap over the texts (Efron 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float

from model.errors import NotInThisModel
from model.jobs.progress import tick
from model.measures.head_statistics import statistics

if TYPE_CHECKING:
    from pandas import DataFrame

    from model.trace.site import Site

LENGTH, TEXTS, RESAMPLES = 32, 16, 2_000
_TAIL = 2.5  # per cent on each side of a 95 % interval


@dataclass(frozen=True, eq=False)
class Induction:
    """What was measured on `texts` texts of twice `length` tokens, and of how many queries each mean is.

    by_text: the mean induction mass of the queries of one text, float64 [texts, heads], the heads in the order of `heads`.
    """

    heads: tuple[tuple[Site, int], ...]
    by_text: Float[np.ndarray, "texts heads"]
    length: int
    seed: int

    @property
    def queries(self) -> int:
        """n: every token of the second r, in every text."""
        return self.length * len(self.by_text)

    def table(self, resamples: int = RESAMPLES) -> DataFrame:
        """site, head, induction (mean over all queries), low and high (95 %, percentile bootstrap over texts), n."""
        import pandas as pd

        low, high = interval(self.by_text, resamples, self.seed)
        return pd.DataFrame({
            "site": [str(site) for site, _ in self.heads], "head": [head for _, head in self.heads],
            "induction": self.by_text.mean(0), "low": low, "high": high, "n": self.queries,
        })  # fmt: skip


def interval(
    by_text: Float[np.ndarray, "texts heads"], resamples: int, seed: int
) -> tuple[Float[np.ndarray, " heads"], Float[np.ndarray, " heads"]]:
    """The 2.5th and 97.5th percentile of the mean over texts drawn with replacement."""
    drawn = np.random.default_rng(seed).integers(0, len(by_text), (resamples, len(by_text)))
    means = np.stack([by_text[texts].mean(0) for texts in drawn])
    low, high = np.percentile(means, [_TAIL, 100 - _TAIL], axis=0)
    return low, high


def random_repeats(ids: list[int], start: list[int], length: int, texts: int, seed: int) -> list[list[int]]:
    """`texts` texts start r r, each r of `length` distinct tokens of `ids`."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(texts):
        r = [int(number) for number in generator.choice(ids, size=length, replace=False)]
        found.append([*start, *r, *r])
    return found


@torch.no_grad()
def measured(model: Any, length: int = LENGTH, texts: int = TEXTS, seed: int = 0) -> Induction:
    """Run a model with one stack on random repeats and measure every head; ticks "repeats", can be stopped.

    Raises NotInThisModel for a model whose input is not one text of tokens.
    """
    ids, start = _vocabulary(model)
    length = max(2, min(length, len(ids), (model.max_length - len(start)) // 2))
    heads: tuple[tuple[Site, int], ...] = ()
    rows = []
    for done, text in enumerate(random_repeats(ids, start, length, texts, seed)):
        tick("repeats", done / texts)
        attention = model.record_ids(text).attention
        parts = []
        for record in attention.values():
            # The start token repeats nothing, and no token of the first r has been read before: what is left is n.
            mass = statistics(record, text).induction
            parts.append(torch.full((record.heads,), torch.nan) if mass is None else mass)
        rows.append(torch.cat(parts).double().numpy())
        heads = tuple((site, head) for site, record in attention.items() for head in range(record.heads))
    return Induction(heads, np.stack(rows), length, seed)


def _vocabulary(model: Any) -> tuple[list[int], list[int]]:
    """(ids of plain tokens, the tokens that the model wants in front)."""
    if hasattr(model, "plain_ids"):  # one of ours
        return model.plain_ids()
    tokenizer, reads = getattr(model, "tokenizer", None), getattr(model, "reads", "")
    if not hasattr(model, "record_ids") or tokenizer is None or reads == "sound" or model.decodes:
        raise NotInThisModel(what="Reading random tokens", does="does not read one text of tokens in one stack")
    special = set(tokenizer.all_special_ids)
    start = getattr(tokenizer, "bos_token_id", None)
    start = getattr(tokenizer, "cls_token_id", None) if start is None else start
    plain = [number for number in sorted(tokenizer.get_vocab().values()) if number not in special]
    rows = model.module.get_input_embeddings().weight.shape[0]
    return [number for number in plain if number < rows], [] if start is None else [int(start)]
