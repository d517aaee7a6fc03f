"""The command `python -m model evaluate …`: one model or several on a file of texts or pairs."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.checkpoints.remarks import say_remarks
from model.errors import EvaluationNotWritten, EvaluationStopped, HeadlightError
from model.jobs.progress_line import ProgressLine

if TYPE_CHECKING:
    from model.data_files.check import Report
    from model.data_files.read import DataFile
    from model.evaluation.evaluation import Evaluation
    from model.jobs.part_files import PartFiles

_WHAT = "loss, perplexity, accuracy, BLEU and chrF of a model on a file; stop it at any time, the same command goes on"
_DATA = "pairs in two columns (.tsv, .csv, .jsonl, .parquet), or plain text with an example a line"
_RAY = 'address of a Ray cluster, or “local”: spread the lines over its machines (pip install "ray[data]")'
_KEEP = "count lines that stand there already too, which are left out else"
# What is left out of a file by itself, by the kinds of model/data_files/check.py.
_ODD = {"not_json": "no JSON objects", "not_text": "no texts",
        "columns": "with another number of columns", "empty": "empty, or empty on one side",
        "duplicate": "there already"}  # fmt: skip
_SEVERAL = "a shipped name, a checkpoint folder, a .gguf file; again for another one on the same file"


def add(commands: argparse._SubParsersAction) -> None:
    """The subcommand and its arguments."""
    parser = commands.add_parser("evaluate", help=_WHAT, description=_WHAT)
    parser.add_argument("--model", action="append", required=True, help=_SEVERAL)
    parser.add_argument("--data", type=Path, required=True, help=_DATA)
    parser.add_argument(
        "--json", type=Path, required=True, help="where the numbers go; finished work lies in JSON.parts"
    )
    parser.add_argument("--examples", type=Path, help="also write every example with its tokens' losses (.parquet)")
    parser.add_argument("--columns", help="the columns to read, by name: source,target")
    parser.add_argument("--plain", action="store_true", help="one text a line, also where there is a tab in it")
    parser.add_argument("--keep", action="append", default=[], choices=("duplicate",), help=_KEEP)
    parser.add_argument("--piece", type=int, default=0, help="cut a running text into pieces of so many characters")
    parser.add_argument(
        "--language", help="which output language, where the model has several; else told from the references"
    )
    parser.add_argument("--ray", metavar="ADDRESS", default="", help=_RAY)
    parser.add_argument("--no-writing", action="store_true", help="the loss alone: no answers are written, no BLEU")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str:
    from model.data_files.check import KEEP, check
    from model.data_files.read import DataFile
    from model.jobs.signals import until_signal

    columns = tuple(arguments.columns.split(",")) if arguments.columns else ()
    parallel = False if arguments.plain else None
    file = DataFile.open(arguments.data, columns=columns, parallel=parallel, piece=arguments.piece)
    report = check(file, shares=(1.0, 0.0, 0.0))
    choices = dict.fromkeys(arguments.keep, KEEP)
    left_out = report.left_out(choices)
    found, work = [], []
    with until_signal() as stopped:
        for at, name in enumerate(arguments.model):
            try:
                one, parts = _evaluated(arguments, file, name, at, stopped, report, choices)
            except (EvaluationStopped, EvaluationNotWritten):
                raise
            except HeadlightError:  # the same command is refused again: there is nothing to go on with
                for parts in work:
                    parts.remove()
                raise
            found.append(one)
            work.append(parts)
    odd = {kind: one.count for kind, one in report.findings.items()}
    data = {"file": file.name, "encoding": file.encoding.name, "odd_lines": odd, "left_out": left_out}
    told = _told(arguments, found) | {"data": data}
    text = json.dumps(told, ensure_ascii=False, indent=1) + "\n"
    for at, one in enumerate(found if arguments.examples else ()):
        one.save(_numbered(arguments.examples, at))
    for parts in work[1:]:
        parts.remove()
    work[0].finish(lambda path: path.write_text(text, "utf-8"))
    return "\n".join([*map(_line, found), *_left_out(file, left_out), str(arguments.json)])


def _left_out(file: DataFile, counts: Mapping[str, int]) -> list[str]:
    """A line that says which lines of the file are no examples, where there are such."""
    if not counts:
        return []
    told = ", ".join(f"{count:,} {_ODD[kind]}" for kind, count in counts.items())
    return [
        f"{file.name}: left out of its lines: {told}" + " (--keep duplicate counts them too)" * ("duplicate" in counts)
    ]


def _numbered(path: Path, at: int) -> Path:
    return path.with_name(f"{path.stem}-{at + 1}{path.suffix}") if at else path


def _evaluated(
    arguments: argparse.Namespace, file: DataFile, name: str, at: int, stopped: Any, report: Report,
    choices: Mapping[str, str],
) -> tuple[Evaluation, PartFiles]:  # fmt: skip
    from model import open_model
    from model.evaluation.run import evaluate_file

    model, line, started = open_model(name), ProgressLine(), time.monotonic()
    say_remarks(model)

    def progress(done: int, count: int | None) -> None:
        seconds = time.monotonic() - started
        line(f"{name}: {done:,} of {count or 0:,} examples · {done / max(seconds, 1e-9):.3g}/s", done >= (count or 0))

    try:
        return evaluate_file(
            model, file, _numbered(arguments.json, at), language=arguments.language, write=not arguments.no_writing,
            progress=progress, stopped=stopped, ray=arguments.ray, given=name,
            report=report, choices=choices,
        )  # fmt: skip
    finally:
        line.end()


def _told(arguments: argparse.Namespace, found: Sequence[Evaluation]) -> dict[str, Any]:
    """The first model's numbers at the top; of several, all of them and the table with intervals too."""
    told: dict[str, Any] = found[0].summary()
    if len(found) > 1:
        from model.evaluation.compare import compared, no_intervals

        rows = json.loads(compared(found).to_json(orient="records"))
        told |= {"models": [one.summary() for one in found], "paired": rows,
                 "no_intervals": no_intervals(rows[0]["examples"])}  # fmt: skip
    return told


def _written(told: dict[str, Any]) -> str:
    """Which language was written, and how that was told."""
    if not told["language"]:
        return ""
    tried = ", ".join(f"loss {loss:.3g} with {code}" for code, loss in told.get("languages", {}).items())
    return f" → {told['language']}" + (
        f" (told from the references: {tried}; --language asks for another)" if tried else ""
    )


def _line(one: Evaluation) -> str:
    told = one.summary()

    def number(name: str, how: str) -> str:
        return "not finite" if told[name] is None else f"{told[name]:{how}}"

    parts = [
        f"{told['model']}{_written(told)}: {told['examples']:,} examples, {told['tokens']:,} tokens",
        f"loss {number('loss', '.4f')} nats a token (a uniform guess {told['guess_loss']:.4f})",
        f"perplexity {number('perplexity', '.4g')} (1 is perfect, {told['vocabulary']:,} a uniform guess)",
        f"{number('bits_per_character', '.4f')} bits a character", f"accuracy {number('accuracy', '.2%')}",
    ]  # fmt: skip
    if "bleu" in told:
        parts.append(f"BLEU {told['bleu']:.2f}, chrF {told['chrf']:.2f}, exact match {told['exact_match']:.2%}")
    if "grammar" in told:
        parts.append(f"{told['grammar']['errors']:,} of {told['grammar']['places']:,} noun phrases break the rule")
    if told["refused"]["count"]:
        parts.append(f"{told['refused']['count']:,} lines refused")
    return "; ".join(parts)
