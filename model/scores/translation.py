"""BLEU (Papineni et al. 2002) and chrF (Popović 2015) by sacrebleu (Post 2018), so that the numbers are those of papers.

`signature` says how they were made; two numbers are comparable where their signatures are equal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.text.tokenizer import is_han

_HAN = 0.3  # share of Han characters from which references are read as Chinese, which writes no spaces


@dataclass(frozen=True)
class TranslationScores:
    """bleu, chrf: 0 … 100. exact_match: share of texts that are their reference, 0 … 1. signature: of both, as sacrebleu
    writes it."""

    bleu: float
    chrf: float
    exact_match: float
    signature: str


def plain(text: str) -> str:
    """A text as it is compared: NFC, one space between words."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def tokenisation(references: Sequence[str]) -> str:
    """sacrebleu's name of it: "zh" where the references are Chinese (each character a token), else "13a"."""
    letters = [c for text in references for c in text if c.isalpha()]
    kana = any("\u3040" <= c <= "\u30ff" for c in letters)  # Japanese has Han characters too
    return "zh" if letters and not kana and sum(map(is_han, letters)) > _HAN * len(letters) else "13a"


def score(written: Sequence[str], references: Sequence[str], how: str | None = None) -> TranslationScores:
    """Of one text and one reference a line, corpus BLEU and chrF; how: sacrebleu's tokenisation, by the references where None."""
    bleu, chrf = metrics(how or tokenisation(references))
    texts, wanted = list(map(plain, written)), list(map(plain, references))
    found = (bleu.corpus_score(texts, [wanted]).score, chrf.corpus_score(texts, [wanted]).score)
    exact = sum(text == reference for text, reference in zip(texts, wanted, strict=True)) / max(1, len(wanted))
    return TranslationScores(*map(float, found), exact, f"BLEU|{bleu.get_signature()} chrF2|{chrf.get_signature()}")


def metrics(how: str) -> tuple[Any, Any]:
    """(BLEU, chrF) of sacrebleu, with its defaults but for the tokenisation."""
    from sacrebleu.metrics import BLEU, CHRF

    # force: ours are tokenised texts at times, and sacrebleu would warn of every file of them.
    return BLEU(tokenize=how, force=True), CHRF()


def sentence_bleu(written: Sequence[str], references: Sequence[str], how: str | None = None) -> list[float]:
    """BLEU of each text by itself, over the orders of n-grams that it has (`effective_order`)."""
    from sacrebleu.metrics import BLEU

    bleu = BLEU(tokenize=how or tokenisation(references), effective_order=True, force=True)
    return [
        float(bleu.sentence_score(plain(text), [plain(reference)]).score)
        for text, reference in zip(written, references, strict=True)
    ]


@dataclass(frozen=True)
class PairedScore:
    """One metric of one system: the score, the bootstrap's mean and half of its 95 % interval, and p against the first
    system (None of that one)."""

    score: float
    mean: float
    half_interval: float
    p: float | None


def paired(
    systems: Sequence[tuple[str, Sequence[str]]], references: Sequence[str], samples: int = 1000
) -> dict[str, list[PairedScore]]:
    """Paired bootstrap (Koehn 2004) of several systems on the same references: "BLEU" and "chrF2" -> a row a system.

    The first is the one that the others are held against. sacrebleu's own, with its seed of 12345.
    """
    from sacrebleu.significance import PairedTest

    bleu, chrf = metrics(tokenisation(references))
    named = [(f"{i}", list(map(plain, texts))) for i, (_, texts) in enumerate(systems)]
    wanted = [list(map(plain, references))]
    _, found = PairedTest(named, {"BLEU": bleu, "chrF2": chrf}, wanted, "bs", n_samples=samples)()
    return {
        name: [PairedScore(*(None if v is None else float(v) for v in (r.score, r.mean, r.ci, r.p_value))) for r in rows]
        for name, rows in found.items() if name != "System"
    }  # fmt: skip
