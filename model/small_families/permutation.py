"""Permutation: XLNet (Yang et al. 2019, sections 2.2 and 2.3, equation 3).

The orders and the targets are drawn by the library's collator. It puts a mask where a target stands, also for the targets
that come later in the order, which by the paper see what the target was: so the tokens themselves are put back. The query
stream cannot see its own, because `perm_mask` hides it, nor by way of another token: what is no target, `<sep>` too, sees no
target. One token in three is predicted, twice as many as in the paper
(section 2.3, K = 6), because training is short.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.small_families import words
from model.small_families.family import HEADS, WIDTH, Batch, Collator, SmallFamily
from model.training.language.texts import Text

SHARE = 1 / 3


class Permutation:
    """Rows of an even number of tokens (the collator wants one), a batch of one length: it makes no padding mask."""

    shifted, reads = False, "texts"

    def rows(self, tokenizer: Any, found: Sequence[Text]) -> list[Any]:
        rows = (tokenizer(text.text)["input_ids"] for text in found)
        return [row for row in rows if len(row) % 2 == 0]

    def collator(self, tokenizer: Any, seed: int, ramp: int = 0) -> Collator:
        import torch
        from transformers import DataCollatorForPermutationLanguageModeling

        collate = DataCollatorForPermutationLanguageModeling(tokenizer, plm_probability=SHARE)
        generator = torch.Generator().manual_seed(seed)

        def seeded(rows: Sequence[Any]) -> Batch:
            shortest = min(map(len, rows))
            with torch.random.fork_rng(devices=[]):  # the collator takes the numbers of everybody
                torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
                batch = dict(collate([torch.tensor(row) for row in rows if len(row) == shortest]))
            target = batch["labels"] != -100
            hidden = ~target[:, :, None] & target[:, None, :]  # [b, q, k]
            return batch | {
                "input_ids": torch.where(target, batch["labels"], batch["input_ids"]),
                "perm_mask": batch["perm_mask"].masked_fill(hidden, 1.0),
            }

        return seeded

    def length(self, row: Any) -> int:
        return len(row)


def as_query(module: Any, tokenizer: Any) -> None:
    """Let `<mask>` in a text be the vector w that every query starts from (section 2.3), which no training text needs: a plain
    run, which has one stream, then reads a gap as the query stream does."""
    import torch

    with torch.no_grad():
        module.transformer.word_embedding.weight[tokenizer.mask_token_id] = module.transformer.mask_emb[0, 0]


FAMILIES = (
    SmallFamily(
        "small-xlnet", "XLNetLMHeadModel", "XLNetConfig", "XLNetTokenizer", Permutation(),
        {"d_model": WIDTH, "n_layer": 2, "n_head": HEADS, "d_inner": 4 * WIDTH, "dropout": 0.0},
        words.XLNET, vocabulary=1200, steps=2_000, score="gap", finish=as_query,
    ),
)  # fmt: skip
