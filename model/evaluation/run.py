"""`evaluate`: a model on a file, batch by batch, with progress, stop and resumption."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from model import __version__
from model.data_files.check import Report
from model.data_files.read import DataFile, Line
from model.errors import EvaluationNotWritten, EvaluationStopped, NothingScored, Stopped
from model.evaluation import on_ray
from model.evaluation.by_model import LOOKED_AT, scorer_of, told_language
from model.evaluation.evaluation import Evaluation
from model.evaluation.score_lines import BATCH, score_lines
from model.evaluation.scored import SCHEMA, Keep, Memory, Scored, sorted_rows, table
from model.evaluation.scorer import Scorer
from model.jobs.part_files import CHUNK, PartFiles
from model.jobs.progress import ProgressListener, report_to, tick

Examples = DataFile | Iterable[Line | str | tuple[str, str | None]]
_SAVED = 5.0  # seconds of work that a kill may cost, or one batch where that takes longer


def lines(examples: Examples) -> Iterator[Line]:
    """Examples as lines: a file's, or texts and pairs numbered from 1."""
    if isinstance(examples, DataFile):
        yield from examples
        return
    for number, one in enumerate(examples, 1):
        if isinstance(one, Line):
            yield one
        else:
            yield Line(number, one) if isinstance(one, str) else Line(number, *one)


def evaluate(
    model: Any, examples: Examples, *, progress: Callable[[int, int | None], None] | None = None, language: str | None = None,
    write: bool = True, batch: int = BATCH, count: int | None = None, keep: Keep | None = None, name: str = "",
) -> Evaluation:  # fmt: skip
    """Score every example; lines that the model does not read are listed with the reason.

    progress(done, count): after each batch; count: how many there are, where it is known. language: which the model writes,
    else it is told from the first references (`model.evaluation.by_model`).
    write: whether an encoder–decoder also writes its own answers (BLEU, chrF, exact match). batch: examples that run together.
    keep: finished rows, so that a stopped evaluation goes on. Ticks "evaluating"; raises Stopped where its listener asks for
    it, NothingScored, NotInThisModel, UnknownOption, LanguageNotSaid.
    """
    stream, parts, done, chunk = iter(lines(examples)), [], 0, 0
    language, tried, stream = _asked(model, language, stream)
    scorer, keep = scorer_of(model, language, write), keep if keep is not None else Memory()
    while some := list(islice(stream, CHUNK)):
        rows = keep.read(chunk)
        answered = set(rows["line"].to_pylist())
        left = [line for line in some if line.number not in answered]
        done += len(some) - len(left)

        def told(n: int, done: int = done) -> None:
            if progress is not None:
                progress(done + n, count)
            tick("evaluating", None if not count else min(1.0, (done + n) / count))

        told(0)
        parts.append(_chunk(scorer, left, rows, lambda found, chunk=chunk: keep.write(chunk, found), told, batch))
        done, chunk = done + len(left), chunk + 1
    about = {
        "model": model.name, "weights_hash": model.weights_hash, "task": scorer.task, "vocabulary": scorer.vocabulary,
        "file": name or getattr(examples, "name", "examples"), "language": _language(model, language, scorer.task),
        "own": not hasattr(model, "family"), "languages": tried,
    }  # fmt: skip
    found = Evaluation(about, sorted_rows(parts))
    if not found.examples:
        first = next(iter(found.refused.values()), {"sentence": "there is no example"})["sentence"]
        raise NothingScored(got=found.rows.num_rows, reason=first)
    return found


def _asked(
    model: Any, language: str | None, stream: Iterator[Line]
) -> tuple[str | None, dict[str, float], Iterator[Line]]:
    """(the language that is written, the loss of each that was tried, the same lines)."""
    if language is not None:
        return language, {}, stream
    first = list(islice(stream, LOOKED_AT))
    return *told_language(model, first), chain(first, stream)


def _language(model: Any, language: str | None, task: str) -> str:
    """What an encoder–decoder wrote; a decoder alone has a start token and no choice."""
    return language or (next(iter(getattr(model, "starts", None) or ()), "") if task == "seq2seq" else "")


def _chunk(
    scorer: Scorer, left: Sequence[Line], rows: pa.Table, save: Callable[[pa.Table], None], told: Callable[[int], None],
    batch: int,
) -> pa.Table:  # fmt: skip
    """Score the lines of one part that have no answer yet; what is finished is saved, whatever ends it."""
    found: list[Scored] = []
    saved = time.monotonic()
    try:
        for group in score_lines(scorer, left, batch):
            found += group
            told(len(found))
            if time.monotonic() > saved + _SAVED:
                save(pa.concat_tables([rows, table(found)]))
                saved = time.monotonic()
    finally:
        whole = pa.concat_tables([rows, table(found)])
        if found:
            save(whole)
    return whole


def evaluate_file(
    model: Any, file: DataFile, out: Path, *, language: str | None = None, write: bool = True, ray: str = "",
    progress: Callable[[int, int | None], None] | None = None, stopped: Callable[[], bool] = lambda: False, given: str = "",
    report: Report | None = None, choices: Mapping[str, str] | None = None,
) -> tuple[Evaluation, PartFiles]:  # fmt: skip
    """`evaluate`, with finished work in the folder `{out}.parts`; the same call goes on with it.

    report, choices: what was found in the file and what is done about it; without them every whole line is an example. ray: the
    address of a Ray cluster that scores the lines, whose machines open the model by `given`, the name or path that
    was opened here. Returns the parts too: whoever writes the result removes them with `finish`. Raises
    ProfileElsewhere for work of another model or file, EvaluationStopped where `stopped` says so, and as `evaluate`.
    """
    scorer_of(model, language, write)  # what it refuses is said before anything lies on the disk
    every = (lambda: iter(file)) if report is None else (lambda: report.lines(choices))
    language, tried, _ = _asked(model, language, every())
    made_of = {
        "file": file.digest(), "columns": [file.parallel, *file.columns, file.piece],
        "choices": None if report is None else dict(choices or {}), "model": model.weights_hash,
        "language": language or "", "written_answers": write, "version_of_Headlight": __version__,
    }  # fmt: skip
    parts = PartFiles(out, made_of, SCHEMA, EvaluationNotWritten, "--json")
    count = sum(1 for _ in every())
    done = [0]

    def heard(n: int, whole: int | None) -> None:
        done[0] = n
        if progress is not None:
            progress(n, whole)

    try:
        with report_to(ProgressListener(lambda what, fraction: None, stopped)):
            if ray:
                on_ray.score(ray, (given, model.weights_hash), {"language": language, "write": write}, every(), parts,
                             lambda n: heard(n, count))  # fmt: skip
            found = evaluate(
                model, every(), progress=heard, language=language, write=write, count=count, keep=parts, name=file.name
            )
    except NothingScored:
        parts.remove()
        raise
    except Stopped as error:
        raise EvaluationStopped(got=done[0], allowed=count) from error
    return Evaluation({**found.about, "languages": tried}, found.rows), parts


def key_of(file: DataFile, model: Any, *options: object) -> str:
    """What an evaluation follows from, as one text."""
    told = (file.digest(), file.parallel, file.columns, file.piece, model.weights_hash, *options)
    return hashlib.sha256(repr(told).encode()).hexdigest()
