"""Lines of a file to scored examples: what the model does not read is told, the others run in batches of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.data_files.read import Line
from model.errors import HeadlightError, Stopped, Unexpected
from model.evaluation.scored import Scored, refusal
from model.evaluation.scorer import Example, Scorer

BATCH, _LOGITS = 32, 2**26  # examples, and numbers of logits, that run together


def score_lines(scorer: Scorer, lines: Sequence[Line], batch: int = BATCH) -> Iterator[list[Scored]]:
    """The lines that the model does not read, with the reason, and then the others as they are scored. Only Stopped is raised."""
    refused: list[Scored] = []
    readings: list[Example] = []
    for line in lines:
        try:
            readings.append(scorer.read(line))
        except Stopped:
            raise
        except HeadlightError as error:
            refused.append(refusal(line.number, line.source, line.target, error))
        except Exception as error:  # one line of thousands that breaks a library is told, and does not end the run
            refused.append(refusal(line.number, line.source, line.target, Unexpected.of(error)))
    if refused:
        yield refused
    for group in batches(readings, batch, scorer.vocabulary):
        yield scorer.score(group)


def batches(examples: Sequence[Example], size: int, vocabulary: int) -> Iterator[list[Example]]:
    """Examples of like length together, at most `size` and as many as the memory of their logits allows."""
    group: list[Example] = []
    for one in sorted(examples, key=lambda each: each.length):
        if group and (len(group) >= size or (len(group) + 1) * one.length * vocabulary > _LOGITS):
            yield group
            group = []
        group.append(one)
    if group:
        yield group
