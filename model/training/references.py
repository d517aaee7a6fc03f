"""BLEU and chrF by sacrebleu (Post 2018), which says in a signature exactly what it counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_HAN = ("\u3400", "\u9fff")


@dataclass(frozen=True)
class ReferenceScores:
    """BLEU (Papineni et al. 2002) and chrF (Popović 2015) of a corpus, 0–100, and the signature of both."""

    bleu: float
    chrf: float
    signature: str


def tokenisation(texts: Sequence[str], kind: str = "words") -> str:
    """sacrebleu's "char" for models of characters, "zh", which counts Han characters one by one, where these are most of the
    letters, else its default "13a"."""
    if kind == "characters":
        return "char"
    letters = [c for text in texts for c in text if c.isalpha()]
    return "zh" if letters and 2 * sum(_HAN[0] <= c <= _HAN[1] for c in letters) > len(letters) else "13a"


def corpus_scores(written: Sequence[str], references: Sequence[str], kind: str = "words") -> ReferenceScores:
    """Of texts, each with its one reference; both lists have the same length."""
    from sacrebleu.metrics import BLEU, CHRF

    bleu, chrf = BLEU(tokenize=tokenisation(references, kind)), CHRF()
    found = [metric.corpus_score(list(written), [list(references)]).score for metric in (bleu, chrf)]
    return ReferenceScores(*found, f"BLEU|{bleu.get_signature()} chrF|{chrf.get_signature()}")


def sentence_bleu(written: str, reference: str, kind: str = "words") -> float:
    """Of one sentence, 0–100: n-grams longer than it count for nothing (`effective_order`) instead of making it 0."""
    from sacrebleu.metrics import BLEU

    metric = BLEU(tokenize=tokenisation([reference], kind), effective_order=True)
    return metric.sentence_score(written, [reference]).score
