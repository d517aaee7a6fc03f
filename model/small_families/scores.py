"""What a small model does on held-out texts: its loss, and how often it fills a gap or writes a summary right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.small_families.family import Batch, SmallFamily
from model.small_families.spans import PREFIX
from model.training.language.texts import SUMMARIES, Text, texts

TEST_SEED = 20_000  # held-out texts come from their own generator, whatever the training seed
COUNT, SIZE = 400, 50


def held_out_texts(family: SmallFamily, count: int = COUNT, split: str = "test") -> list[Text]:
    """Texts that no training saw."""
    return list(islice(family.corpus(TEST_SEED, split), count))


def held_out_batches(family: SmallFamily, tokenizer: Any, found: Sequence[Text]) -> list[Batch]:
    """The texts as batches with labels, always the same ones."""
    objective = family.objective
    rows = sorted(objective.rows(tokenizer, found), key=objective.length)
    collate = objective.collator(tokenizer, TEST_SEED)
    groups: list[list[Any]] = []
    for row in rows:  # a batch of like length; of permuted rows of one length
        if groups and len(groups[-1]) < SIZE and objective.length(groups[-1][0]) == objective.length(row):
            groups[-1].append(row)
        else:
            groups.append([row])
    return [collate(group) for group in groups]


@torch.no_grad()
def held_out_loss(module: nn.Module, made: Sequence[Batch], shifted: bool) -> tuple[float, int]:
    """(mean cross-entropy per label in nats, how many labels), from the logits."""
    total, count = 0.0, 0
    for batch in made:
        logits, labels = module(**batch).logits, batch["labels"]
        if shifted:
            logits, labels = logits[:, :-1], labels[:, 1:]
        loss = F.cross_entropy(logits.flatten(0, 1).double(), labels.flatten(), ignore_index=-100, reduction="sum")
        total, count = total + float(loss), count + int((labels != -100).sum())
    return total / count, count


def gaps(tokenizer: Any, found: Sequence[Text]) -> list[tuple[list[int], int, int]]:
    """(ids with one masked, where, its id): of every answer the longest token that its question has too.

    "where is the cat? the [MASK] is on the mat." Only where the question has the token once and the answer, too.
    """
    made = []
    for text in found:
        if text.kind != "question":
            continue
        asked = tokenizer(text.sentences[0])["input_ids"]
        ids = tokenizer(text.text)["input_ids"]
        both = {number for number in ids if ids.count(number) == 2 and asked.count(number) == 1}
        names = {number: tokenizer.convert_ids_to_tokens(number) for number in both - set(tokenizer.all_special_ids)}
        if names:
            wanted = max(sorted(names), key=lambda number: len(names[number]))
            at = len(ids) - 1 - ids[::-1].index(wanted)
            made.append(([*ids[:at], tokenizer.mask_token_id, *ids[at + 1 :]], at, wanted))
    return made


@torch.no_grad()
def gap_share(module: nn.Module, made: Sequence[tuple[list[int], int, int]]) -> float:
    """Share of gaps whose likeliest token is the one that stood there, a plain run each as the app makes it."""
    right = 0
    for ids, at, wanted in made:
        logits: Tensor = module(input_ids=torch.tensor([ids])).logits
        right += int(logits[0, at].argmax()) == wanted
    return right / len(made)


def held_out_examples(
    family: SmallFamily, tokenizer: Any, count: int = COUNT
) -> tuple[list[tuple[str, str | None]], int]:
    """(texts or pairs that evaluation scores as the loss of the card was measured, of how many).

    Those that read as the same tokens once they are written out: a row that ends within a word may not, nor a sentinel with
    a full stop behind it. Of masked and permuted words the texts alone: evaluation asks for one token at a time.
    """
    found = held_out_texts(family, count)
    if family.objective.reads == "texts":
        return [(text.text, None) for text in found], len(found)
    if family.objective.reads == "rows":
        rows = family.objective.rows(tokenizer, found)
        told = [(row, tokenizer.decode(row)) for row in rows]
        return [(text, None) for row, text in told if tokenizer(text)["input_ids"] == row], len(rows)
    pairs, whole = [], 0
    for batch in held_out_batches(family, tokenizer, found):
        seen = batch["attention_mask"].bool()
        for read, here, labels in zip(batch["input_ids"], seen, batch["labels"], strict=True):
            ids, wanted = read[here].tolist(), labels[labels != -100].tolist()
            source, target = (_unframed(tokenizer, one) for one in (ids, wanted))
            same = tokenizer(source)["input_ids"] == ids and tokenizer(text_target=target)["input_ids"] == wanted
            pairs += [(source, target)] if same else []
            whole += 1
    return pairs, whole


def _unframed(tokenizer: Any, ids: Sequence[int]) -> str:
    """Tokens as a text, without what the tokenizer puts around every text."""
    frame = {getattr(tokenizer, f"{role}_token_id", None) for role in ("bos", "eos", "cls", "sep", "pad")}
    first = next((i for i, number in enumerate(ids) if number not in frame), 0)
    last = next((i for i, number in enumerate(reversed(ids)) if number not in frame), 0)
    return str(tokenizer.decode(list(ids[first : len(ids) - last])))


def summaries(count: int) -> list[Text]:
    """Held-out texts of two or three sentences with the one that says them shortest."""
    return list(islice(texts(TEST_SEED, "test", "en", SUMMARIES), count))


@torch.no_grad()
def exact_match(module: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], new_tokens: int = 40) -> float:
    """Share of sources for which greedy decoding writes the target word by word."""
    right = 0
    for start in range(0, len(pairs), SIZE):
        group = pairs[start : start + SIZE]
        read = tokenizer([source for source, _ in group], return_tensors="pt", padding=True)
        read.pop("token_type_ids", None)
        ids = module.generate(**read, max_new_tokens=new_tokens, do_sample=False, num_beams=1)
        written = tokenizer.batch_decode(ids, skip_special_tokens=True)
        right += sum(one.strip() == wanted for one, (_, wanted) in zip(written, group, strict=True))
    return right / len(pairs)


def scored(family: SmallFamily, module: Any, tokenizer: Any, count: int = COUNT) -> dict[str, float | int]:
    """What the card says beside the loss, by the family's `score`."""
    if family.score == "gap":
        made = gaps(tokenizer, held_out_texts(family, count))
        return {"gap_share": round(gap_share(module, made), 4), "gaps": len(made)}
    if family.score == "summary":
        pairs = [(PREFIX + text.text, text.summary) for text in summaries(count // 2)]
        return {"exact_match": round(exact_match(module, tokenizer, pairs), 4), "summaries": len(pairs)}
    return {}
