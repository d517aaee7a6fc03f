"""The head of a small model to look at first, told by the repository's own measures on held-out texts."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from model.measures import induction
from model.measures.head_statistics import trace_statistics
from model.small_families import words
from model.small_families.family import SmallFamily
from model.small_families.scores import TEST_SEED, gaps, held_out_texts, summaries
from model.small_families.spans import PREFIX
from model.training.language.texts import Text

if TYPE_CHECKING:
    from model.trace.site import Site

    Shares = dict[tuple[Site, int], float]

TEXTS = 60


def to_look_at(folder: Path, family: SmallFamily, texts: int = TEXTS) -> dict[str, Any]:
    """`heads`: by measure its best head with its number, and `head`, `notice`: the one that a first look shows."""
    from model.checkpoints.open import open_model

    model = open_model(folder)
    found = {"previous": _best(previous(model, family, texts))}
    if model.decodes:
        found = {"copy": _best(copied(model, family, texts))} | found
    elif model.task == "causal":
        found = {"answer": _best(answered(model, family, texts)), "induction": _best(repeated(model))} | found
    else:
        found = {"gap": _best(gap_found(model, family, texts))} | found
    kind, chosen = next(iter(found.items()))
    return {"heads": found, "head": [chosen["site"], chosen["head"]], "notice": words.notice(kind, chosen)}


def _best(shares: Shares) -> dict[str, Any]:
    site, head = max(shares, key=lambda place: shares[place])
    return {"site": str(site), "head": head, "value": round(shares[site, head], 4)}


def _texts(family: SmallFamily, count: int) -> list[str]:
    return [text.text for text in held_out_texts(family, count)]


def previous(model: Any, family: SmallFamily, count: int) -> Shares:
    """Share of a head's weight on the token before, its mean over held-out texts."""
    total: dict[tuple[Site, int], list[float]] = defaultdict(list)
    for text in _texts(family, count):
        for site, each in trace_statistics(model.trace(text, **({"target": text} if model.decodes else {}))).items():
            for head, value in enumerate(each.values["previous"].tolist() if "previous" in each.values else ()):
                total[site, head].append(value)
    return {place: sum(values) / len(values) for place, values in total.items()}


def repeated(model: Any) -> Shares:
    """Induction on random repeats, the mean over texts (`model.measures.induction`)."""
    found = induction.measured(model)
    return dict(zip(found.heads, found.by_text.mean(0).tolist(), strict=True))


def gap_found(model: Any, family: SmallFamily, count: int) -> Shares:
    """Share of gaps in an answer whose row has its largest weight on the word of the question that fills it."""
    hits: dict[tuple[Site, int], list[bool]] = defaultdict(list)
    for ids, at, wanted in gaps(model.tokenizer, questions(family, count)):
        for site, record in model.record_ids(ids).attention.items():
            for head in range(record.heads):
                key = int(record.weights(head, slice(at, at + 1))[0].argmax())
                hits[site, head].append(ids[key] == wanted)
    return {place: sum(found) / len(found) for place, found in hits.items()}


def questions(family: SmallFamily, count: int) -> list[Text]:
    """Held-out questions with their answers."""
    return list(islice((text for text in family.corpus(TEST_SEED, "test") if text.kind == "question"), count))


def answered(model: Any, family: SmallFamily, count: int) -> Shares:
    """Share of the rows of an answer that write a token of the question, whose largest weight is on one of that token."""
    hits: dict[tuple[Site, int], list[bool]] = defaultdict(list)
    for text in questions(family, count):
        trace, asked = model.trace(text.text), model.tokenizer(text.sentences[0])["input_ids"]
        ids = trace.side("decoder").ids
        rows = [t for t in range(len(asked), len(ids) - 1) if ids[t + 1] in asked]
        for site in trace.sites if rows else ():
            for head in range(trace.record(site).heads):
                keys = trace.weights(site, head)[rows].argmax(-1).tolist()
                hits[site, head] += [ids[key] == ids[t + 1] for t, key in zip(rows, keys, strict=True)]
    return {place: sum(found) / len(found) for place, found in hits.items()}


def copied(model: Any, family: SmallFamily, count: int) -> Shares:
    """Share of written tokens that the source has, in whose row a cross-attention head's largest weight is on one of them."""
    if family.score == "summary":
        pairs = [(PREFIX + text.text, text.summary) for text in summaries(count)]
    else:
        pairs = [(text, text) for text in _texts(family, count)]
    hits: dict[tuple[Site, int], list[bool]] = defaultdict(list)
    special = set(model.tokenizer.all_special_ids)
    for source, target in pairs:
        trace = model.trace(source, target)
        read, written = torch.tensor(trace.side("encoder").ids), trace.side("decoder").ids
        rows = [t for t, number in enumerate(written[1:]) if number not in special and number in read]
        for site in (site for site in trace.sites if site.kind == "cross"):
            for head in range(trace.record(site).heads):
                keys = trace.weights(site, head)[rows].argmax(-1)
                hits[site, head] += [
                    int(read[key]) == written[t + 1] for t, key in zip(rows, keys.tolist(), strict=True)
                ]
    return {place: sum(found) / len(found) for place, found in hits.items()}
