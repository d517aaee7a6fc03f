"""What a model in training writes: exact match, BLEU and chrF of held-out pairs, and ten sentences to watch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import torch

from model.scores.translation import score, sentence_bleu
from model.text.tokenizer import END, MASK, pieces_text
from model.training.data import Example, Vocabulary
from model.training.evaluate import written
from model.training.objectives import FIRST_TOKEN, MASK_ID
from model.transformer.encoder_decoder import Transformer

if TYPE_CHECKING:
    from model.training.tasks.task import Task

WRITTEN, PROBES = 100, 10  # held-out examples that are written at each evaluation, and shown of them
_GIVEN, _MORE = 6, 12  # tokens of a text that are given, and that are written after them at most


def written_scores(
    task: Task, module: Transformer, examples: Sequence[Example], vocabulary: Vocabulary
) -> dict[str, Any]:
    """Of ten examples "probes": [{"given", "wanted", "written"}]; of pairs also "exact_match", "bleu", "chrf", "signature" of a
    hundred, BLEU and chrF as the mean over the languages."""
    if task.shape == "next":
        return {"probes": _gone_on_with(module, _probes(task, examples), vocabulary)}
    if task.shape == "masked":
        return {"probes": _filled(module, _probes(task, examples), vocabulary)}
    return _translated(task, module, examples, vocabulary)


def by_turns(task: Task, examples: Sequence[Example], count: int) -> list[Example]:
    """The first `count` examples, one of each language after the other."""
    groups = [[e for e in examples if e.language == language] for language in task.languages]
    return [e for row in zip_longest(*groups) for e in row if e is not None][:count]


def _probes(task: Task, examples: Sequence[Example]) -> list[Example]:
    return by_turns(task, examples, PROBES)


def _translated(task: Task, module: Transformer, examples: Sequence[Example], vocabulary: Vocabulary) -> dict[str, Any]:
    chosen = by_turns(task, examples, WRITTEN)
    found = {id(example): (tokens, done) for example, tokens, done in written(module, chosen, vocabulary)}
    exact = [done and tokens == e.target for e in chosen for tokens, done in [found[id(e)]]]
    # A word of one token has no four-grams of words: of characters it has.
    how = "char" if vocabulary.kind == "characters" else None

    def texts(examples: Sequence[Example]) -> tuple[list[str], list[str], list[str]]:
        """(given, wanted, written)."""
        tokens = [(e.source, e.target, found[id(e)][0]) for e in examples]
        return tuple(
            map(list, zip(*([pieces_text(part, vocabulary.kind) for part in row] for row in tokens), strict=True))
        )

    scores = []
    for language in task.languages:
        _, wanted, got = texts([e for e in chosen if e.language == language])
        scores.append(score(got, wanted, how))
    given, wanted, got = texts(chosen[:PROBES])
    bleu = sentence_bleu(got, wanted, how)
    return {
        "exact_match": sum(exact) / len(exact),
        "bleu": sum(one.bleu for one in scores) / len(scores),
        "chrf": sum(one.chrf for one in scores) / len(scores),
        "signature": " ".join(dict.fromkeys(one.signature for one in scores)),
        "probes": [
            {"given": a, "wanted": b, "written": c, "bleu": round(d, 2)}
            for a, b, c, d in zip(given, wanted, got, bleu, strict=True)
        ],
    }


@torch.no_grad()
def _gone_on_with(module: Transformer, examples: Sequence[Example], vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """The first tokens of each text (half of a short one), and the most probable ones after them, one by one."""
    ids = {token: i for i, token in enumerate(vocabulary.target)}
    found = []
    for example in examples:
        cut = max(1, min(_GIVEN, len(example.target) // 2))
        row = [ids[vocabulary.starts[example.language]], *(ids[token] for token in example.target[:cut])]
        more = min(_MORE, len(example.target) - cut)
        while len(row) < 1 + cut + more:
            logits = module.decode(torch.tensor([row]))[0, -1]
            logits[module.config.pad_id] = -torch.inf
            row.append(int(logits.argmax()))
        new = [vocabulary.target[i] for i in row[1 + cut :]]
        parts = (example.target[:cut], example.target[cut : cut + more], new[: new.index(END)] if END in new else new)
        texts = (pieces_text(part, vocabulary.kind) for part in parts)
        found.append(dict(zip(("given", "wanted", "written"), texts, strict=True)))
    return found


@torch.no_grad()
def _filled(module: Transformer, examples: Sequence[Example], vocabulary: Vocabulary) -> list[dict[str, Any]]:
    """Each text with the token in its middle masked, and the most probable one there."""
    ids = {token: i for i, token in enumerate(vocabulary.source)}
    found = []
    for example in examples:
        middle = len(example.source) // 2
        row = [ids[token] for token in example.source]
        row[middle] = MASK_ID
        logits = module(torch.tensor([row]), None)[0, middle]
        logits[:FIRST_TOKEN] = -torch.inf
        parts = ([*example.source[:middle], MASK, *example.source[middle + 1 :]], [example.source[middle]],
                 [vocabulary.source[int(logits.argmax())]])  # fmt: skip
        texts = (pieces_text(part, vocabulary.kind) for part in parts)
        found.append(dict(zip(("given", "wanted", "written"), texts, strict=True)))
    return found
