"""Where a head of a small trained model looks, by the weights that the library's own eager run returns."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import torch
import transformers

from model.small_families.scores import TEST_SEED, summaries


def eager_weights(folder: Path, family: Any, kind: str, site: str, head: int, count: int) -> list[bool]:
    """Whether the row's largest weight is on a token that is the one in question, for every row that `kind` counts."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    module = getattr(transformers, family.model).from_pretrained(folder, attn_implementation="eager").eval().float()
    layer = int(site.split(".")[1])
    stream = (text for text in family.corpus(TEST_SEED, "test"))
    asked = (text for text in family.corpus(TEST_SEED, "test") if text.kind == "question")
    hits: list[bool] = []
    if kind == "copy":
        found = list(islice(stream, count))
        pairs = [(text.text, text.text) for text in found]
        if family.score == "summary":
            pairs = [(f"summarize: {text.text}", text.summary) for text in summaries(count)]
        for source, target in pairs:
            read, wanted = (tokenizer(text, return_tensors="pt")["input_ids"] for text in (source, target))
            with torch.no_grad():
                weights = module(input_ids=read, labels=wanted, output_attentions=True).cross_attentions[layer]
            for t, number in enumerate(wanted[0].tolist()):
                if number in read[0] and number not in tokenizer.all_special_ids:
                    hits.append(int(read[0][weights[0, head, t].argmax()]) == number)
        return hits
    for text in islice(asked, count):
        first, ids = tokenizer(text.sentences[0])["input_ids"], tokenizer(text.text)["input_ids"]
        if kind == "gap":
            rows = _gap(tokenizer, first, ids)
        else:
            rows = [(t, ids[t + 1]) for t in range(len(first), len(ids) - 1) if ids[t + 1] in first]
        with torch.no_grad():
            weights = module(input_ids=torch.tensor([ids]), output_attentions=True).attentions[layer]
        weights = weights[0, head]
        hits += [ids[int(weights[row].argmax())] == wanted for row, wanted in rows]
    return hits


def _gap(tokenizer: Any, first: list[int], ids: list[int]) -> list[tuple[int, int]]:
    """Mask, in place, the longest token that a question and its answer have once each, where it stands in the answer."""
    twice = [n for n in sorted(set(ids)) if ids.count(n) == 2 and first.count(n) == 1]
    plain = [n for n in twice if n not in tokenizer.all_special_ids]
    if not plain:
        return []
    wanted = max(plain, key=lambda n: len(tokenizer.convert_ids_to_tokens(n)))
    at = max(i for i, n in enumerate(ids) if n == wanted)
    ids[at] = tokenizer.mask_token_id
    return [(at, wanted)]
