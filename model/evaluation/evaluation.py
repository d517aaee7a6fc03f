"""`Evaluation`: what a model scores on a file, in numbers, example by example, saved and opened again."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import EvaluationFile
from model.evaluation.scored import SCHEMA, Scored, example
from model.files.parquet_pages import pages
from model.files.regular import no_file
from model.scores.translation import TranslationScores, score, sentence_bleu

if TYPE_CHECKING:
    import pandas as pd

FORMAT, VERSION = "headlight-evaluation", 1
_KEY = b"headlight"
_LARGEST = 2**28  # bytes that a file unfolds to
_TEXTS, _COUNTS = ("model", "weights_hash", "task", "file", "language"), ("vocabulary",)


@dataclass(frozen=True)
class Evaluation:
    """about: "model", "weights_hash", "task", "vocabulary" (|V|), "file", "language", and of a language that was told from the
    references "languages", the loss with each. rows: a `Scored` a row, in the order of
    the file. Numbers over no token are NaN."""

    about: Mapping[str, Any]
    rows: pa.Table = field(repr=False)

    @cached_property
    def sums(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """[rows] each: Σ loss, tokens, tokens that were right, characters."""
        losses, right = self.rows["losses"].combine_chunks(), self.rows["right"].combine_chunks()
        tokens = np.asarray(losses.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), np.int64)
        owner = np.repeat(np.arange(len(tokens)), tokens)
        total = np.bincount(owner, losses.flatten().to_numpy(), minlength=len(tokens))
        hits = np.bincount(owner, right.flatten().to_numpy(zero_copy_only=False), minlength=len(tokens))
        return total, tokens, hits, self.rows["characters"].to_numpy()

    @property
    def scored(self) -> np.ndarray:
        """[rows] whether an example was scored."""
        return self.sums[1] > 0

    @property
    def examples(self) -> int:
        """How many were scored."""
        return int(self.scored.sum())

    @property
    def tokens(self) -> int:
        return int(self.sums[1].sum())

    @property
    def loss(self) -> float:
        """Mean cross-entropy, nats a token: Σ −ln p / number of tokens, over the whole file."""
        return _ratio(self.sums[0].sum(), self.tokens)

    @property
    def perplexity(self) -> float:
        """exp(loss): 1 is perfect, |V| is a uniform guess; of a masked model the pseudo-perplexity."""
        return math.exp(self.loss) if self.loss < 700 else math.inf if self.loss == self.loss else math.nan

    @property
    def guess(self) -> float:
        """ln |V|, the loss of a uniform guess."""
        return math.log(self.about["vocabulary"])

    @property
    def bits_per_character(self) -> float:
        """Σ −log₂ p / characters of the scored text: comparable between models whose tokens differ."""
        return _ratio(self.sums[0].sum() / math.log(2), int(self.sums[3][self.scored].sum()))

    @property
    def accuracy(self) -> float:
        """Share of tokens that were the most probable one."""
        return _ratio(self.sums[2].sum(), self.tokens)

    @cached_property
    def answers(self) -> tuple[list[str], list[str]]:
        """(what the model wrote itself, the reference) of every example that has both."""
        rows = self.rows.filter(pa.compute.is_valid(self.rows["written"]))
        return rows["written"].to_pylist(), rows["reference"].to_pylist()

    @cached_property
    def translation(self) -> TranslationScores | None:
        """BLEU, chrF and exact match of what the model wrote itself; None where it wrote nothing."""
        return score(*self.answers) if self.answers[0] else None

    @cached_property
    def refused(self) -> dict[int, dict[str, Any]]:
        """Line -> the error's code, sentence and values, of every line that was not scored."""
        rows = self.rows.filter(pa.compute.is_valid(self.rows["refused"]))
        return {
            line: json.loads(told)
            for line, told in zip(*(rows[c].to_pylist() for c in ("line", "refused")), strict=True)
        }

    @cached_property
    def grammar_errors(self) -> dict[str, Any] | None:
        """Noun phrases of what our translator wrote that break the grammar's rule (`model.evaluation.grammar_errors`): {"rule",
        "places", "errors", "lines"}; None for other models and languages."""
        from model.evaluation.grammar_errors import RULES, broken

        language = self.about["language"]
        if not self.about.get("own") or language not in RULES or not self.answers[0]:
            return None
        places, lines = 0, {}
        rows = self.rows.filter(pa.compute.is_valid(self.rows["written"]))
        for line, text in zip(rows["line"].to_pylist(), rows["written"].to_pylist(), strict=True):
            seen, wrong = broken(text.split(), language)
            places += seen
            if wrong:
                lines[line] = wrong
        return {"rule": RULES[language], "places": places, "errors": sum(map(len, lines.values())), "lines": lines}

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row an example: its texts, tokens, loss (nats a token), perplexity, accuracy, bits a character, and BLEU."""
        import pandas as pd

        total, tokens, right, characters = self.sums
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            found = pd.DataFrame(
                {name: self.rows[name].to_pandas() for name in ("line", "source", "target", "written")}
            )
            found["tokens"], found["loss"] = tokens, total / tokens
            found["perplexity"], found["accuracy"] = np.exp(total / tokens), right / tokens
            found["bits_per_character"] = np.where(tokens > 0, total / math.log(2) / characters, np.nan)
        if self.answers[0]:
            found.loc[found["written"].notna(), "bleu"] = sentence_bleu(*self.answers)
        return found

    def worst(self, n: int = 20) -> list[Scored]:
        """The examples with the highest loss a token, the worst first; of equal ones the earlier line."""
        total, tokens, *_ = self.sums
        mean = np.where(tokens > 0, total / np.maximum(tokens, 1), -np.inf)
        order = np.argsort(-mean, kind="stable")[: min(n, self.examples)]
        return [example(self.rows, int(i)) for i in order]

    def summary(self) -> dict[str, Any]:
        """What `--json` writes: plain numbers, None for what there is none of."""
        told: dict[str, Any] = {name: self.about[name] for name in (*_TEXTS, *_COUNTS)}
        told |= {name: _plain(getattr(self, name)) for name in ("loss", "perplexity", "bits_per_character", "accuracy")}
        if tried := self.about.get("languages"):
            told["languages"] = dict(tried)
        told |= {"tokens": self.tokens, "examples": self.examples, "guess_loss": _plain(self.guess)}
        told["refused"] = {
            "count": len(self.refused),
            "reasons": dict(Counter(r["code"] for r in self.refused.values())),
        }
        if (found := self.translation) is not None:
            told |= {
                "bleu": found.bleu,
                "chrf": found.chrf,
                "exact_match": found.exact_match,
                "signature": found.signature,
            }
        if (broken := self.grammar_errors) is not None:
            told["grammar"] = {name: broken[name] for name in ("rule", "places", "errors")}
        return told

    def save(self, path: Path | str) -> Path:
        """Write everything to one Parquet file, which `open` reads again."""
        path = Path(path)
        told = {"format": FORMAT, "version": VERSION, "about": dict(self.about)}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = self.rows.replace_schema_metadata({_KEY: json.dumps(told, ensure_ascii=False).encode()})
            pq.write_table(rows, path, compression="zstd")
        except OSError as error:
            raise EvaluationFile(path=path, reason=error.strerror or error) from error
        return path

    @staticmethod
    def open(place: Path | str | bytes, name: str = "") -> Evaluation:
        """A file, or what was handed in. Raises EvaluationFile."""
        place = place if isinstance(place, bytes) else Path(place)
        name = name or (str(place) if isinstance(place, Path) else "evaluation")
        if isinstance(place, Path) and (reason := no_file(place)):
            raise EvaluationFile(path=name, reason=reason)
        source = io.BytesIO(place) if isinstance(place, bytes) else place
        try:
            with pq.ParquetFile(source) as file:
                told = json.loads((file.schema_arrow.metadata or {})[_KEY])
                if told["format"] != FORMAT or sum(pages(place, file.metadata, SCHEMA.names)) > _LARGEST:
                    raise ValueError("of another kind, or too large")
                if told["version"] > VERSION:
                    raise EvaluationFile(path=name, reason="a newer Headlight wrote it")
                about = told["about"]
                if not isinstance(about.get("languages", {}), dict):
                    raise ValueError("a header of another kind")
                rows = file.read(SCHEMA.names).cast(SCHEMA).replace_schema_metadata(None)
            if not all(isinstance(about[k], str) for k in _TEXTS) or not all(about[k] > 0 for k in _COUNTS):
                raise ValueError("a header of another kind")
            found = Evaluation(about, rows.combine_chunks())
            _check(found)
        except EvaluationFile:
            raise
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise EvaluationFile(path=name, reason="it is damaged or no evaluation") from error
        return found


def _check(found: Evaluation) -> None:
    """Raises ValueError where tokens, losses and hits of a row are not as many."""
    lengths = [found.rows[name].combine_chunks().value_lengths().fill_null(0) for name in ("tokens", "losses", "right")]
    if not all(each.equals(lengths[0]) for each in lengths) or not np.isfinite(found.sums[3]).all():
        raise ValueError("rows of another kind")


def _ratio(above: float, below: int) -> float:
    return float(above / below) if below else math.nan


def _plain(value: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if math.isfinite(value) else None
