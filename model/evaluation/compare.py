"""Several models on one file as one table, with intervals of paired bootstraps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from model.errors import NotTheSameFile
from model.evaluation import bootstrap
from model.evaluation.evaluation import Evaluation
from model.scores.translation import paired

if TYPE_CHECKING:
    import pandas as pd

# Rows of the table that are compared: the second is comparable between models whose tokens differ.
RATIOS = ("loss", "bits_per_character")
_TRANSLATIONS = ("bleu", "chrf")


def compared(
    evaluations: Sequence[Evaluation], samples: int = bootstrap.SAMPLES, seed: int = bootstrap.SEED
) -> pd.DataFrame:
    """A row a model, over the examples that every one of them scored; the first is what the others are held against.

    Columns: "model", "task", "examples", "tokens", "perplexity", "accuracy", and of "loss", "bits_per_character", "bleu" and
    "chrf" the value, "…_low" and "…_high" (95 % interval) and "…_p" (of the difference to the first model; NaN of that one and
    where the two are not comparable: other tasks, and of the loss other tokens); all three NaN where `no_intervals` says why.
    Raises NotTheSameFile where the examples have other texts.
    """
    import pandas as pd

    rows = _common(evaluations)
    found = [_row(one) for one in rows]
    for name in RATIOS:
        pairs = [_above_and_below(one, name) for one in rows]
        for at, (row, pair) in enumerate(zip(found, pairs, strict=True)):
            told = bootstrap.interval(*pair, samples, seed)
            row |= {name: told.value, f"{name}_low": told.low, f"{name}_high": told.high, f"{name}_p": np.nan}
            if at and _comparable(rows[0], rows[at], name):
                row[f"{name}_p"] = bootstrap.difference(pairs[0], pair, samples, seed).p
    if all(one.answers[0] for one in rows):
        _translations(found, rows, samples)
    if no_intervals(rows[0].examples) is not None:
        unsaid = [f"{name}_{part}" for name in (*RATIOS, *_TRANSLATIONS) for part in ("low", "high", "p")]
        found = [row | {name: np.nan for name in unsaid if name in row} for row in found]
    return pd.DataFrame(found)


def no_intervals(examples: int) -> str | None:
    """Why a bootstrap over so few examples says nothing; None where it does."""
    if examples >= bootstrap.FEWEST:
        return None
    return f"{examples:,} examples are fewer than {bootstrap.FEWEST}, so no interval and no p is given"


def _comparable(first: Evaluation, other: Evaluation, name: str) -> bool:
    """Losses a token between models with the same tokens, bits a character between those that predict in the same way."""
    if first.about["task"] != other.about["task"]:
        return False
    return name != "loss" or first.rows["tokens"].equals(other.rows["tokens"])


def _common(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The same evaluations over the lines that all of them scored. Raises NotTheSameFile."""
    texts = [one.rows.select(["line", "source", "target"]) for one in evaluations]
    for other in texts[1:]:
        if not other.equals(texts[0]):
            raise NotTheSameFile(got=f"{other.num_rows:,}", allowed=f"{texts[0].num_rows:,}")
    every = np.logical_and.reduce([one.scored for one in evaluations])
    if not every.any():
        raise NotTheSameFile(got="no example that all of them score", allowed=f"{len(every):,}")
    return [Evaluation(one.about, one.rows.filter(every)) for one in evaluations]


def _row(one: Evaluation) -> dict[str, Any]:
    return {
        "model": one.about["model"], "task": one.about["task"], "examples": one.examples, "tokens": one.tokens,
        "perplexity": one.perplexity, "accuracy": one.accuracy,
    }  # fmt: skip


def _above_and_below(one: Evaluation, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Of every example what stands above and below the fraction."""
    total, tokens, _, characters = one.sums
    return (total, tokens) if name == "loss" else (total / np.log(2), characters)


def _translations(found: list[dict[str, Any]], rows: Sequence[Evaluation], samples: int) -> None:
    """BLEU and chrF of all of them against the first one's references."""
    systems = [(one.about["model"], one.answers[0]) for one in rows]
    told = paired(systems, rows[0].answers[1], samples)
    for name, column in (("BLEU", "bleu"), ("chrF2", "chrf")):
        for row, score in zip(found, told[name], strict=True):
            row |= {column: score.score, f"{column}_low": score.mean - score.half_interval,
                    f"{column}_high": score.mean + score.half_interval,
                    f"{column}_p": np.nan if score.p is None else score.p}  # fmt: skip
    for row, one in zip(found, rows, strict=True):
        row["exact_match"] = one.translation.exact_match
