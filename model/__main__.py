"""The command line: `record` writes a trace, `heads` ranks heads, `profile` measures many texts,
`evaluate` scores a file, `train` trains a model."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.checkpoints.remarks import say_remarks
from model.errors import EvaluationStopped, HeadlightError, ProfileStopped, TrainingInterrupted, UnknownOption
from model.evaluation import command as evaluation
from model.lab import command as training
from model.profile import command as profile
from model.text.byte_count import size


def _record(arguments: argparse.Namespace) -> str:
    trace = _trace(_opened(arguments.model, arguments.step), arguments)
    path = trace.save(arguments.out)
    wrote = f"wrote “{_written(trace)}”; " if trace.written() else ""
    return (
        f"{path}: {len(trace.sites)} attention sub-layers, {size(trace.nbytes(), binary=True)} recorded; "
        f"{wrote}{trace.fidelity().told}"
    )


def _written(trace: Any) -> str:
    """What came out, of a decoder alone behind its text."""
    from model.generation.decoder import rows

    return trace.between.join(trace.written()[row] for row in rows(trace))


def _opened(name: str, step: int | None) -> Any:
    """The model, and on stderr what has to be said of it (parameters that its files lack)."""
    from model import open_model

    model = open_model(name, progress=_progress, step=step)
    say_remarks(model)
    return model


def _trace(model: Any, arguments: argparse.Namespace) -> Any:
    """Run what was asked for: a picture, a sound, or a text with whatever goes with it."""
    if arguments.picture:
        from model.checkpoints.media.pictures import read_picture, trace_picture

        return trace_picture(model, read_picture(arguments.picture), arguments.target or arguments.text)
    if arguments.sound:
        from model.checkpoints.media.sound import read_wav, trace_sound

        samples, rate = read_wav(arguments.sound)
        return trace_sound(model, samples, arguments.target, rate=rate, name=arguments.sound.name)
    if arguments.text is None:
        raise HeadlightError(reason="Nothing to read was given: add --text, --picture or --sound.")
    names = ("language", "pair", "chat", "new_tokens", "edits")
    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name)}
    taken = inspect.signature(model.trace).parameters
    if unknown := [f"--{name.replace('_', '-')}" for name in options if name not in taken]:
        raise HeadlightError(reason=f"This model takes no {', '.join(unknown)}: leave it out.")
    return model.trace(arguments.text, arguments.target, **options)


def _progress(fraction: float | None, what: str) -> None:
    """One line that is written over, where somebody looks."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{what} {'' if fraction is None else f'{fraction:4.0%}'}   ")


def _families(arguments: argparse.Namespace) -> str:
    from model.checkpoints.disk.families import FAMILIES

    if arguments.check:
        return _checked_families(arguments.out)
    rows = [("model_type", "family", "recorded by", "notes")]
    rows += [(f.model_type, f.title, f.route, f.notes) for f in FAMILIES]
    return _table(rows)


def _checked_families(out: Path | None) -> str:
    """A line for each family as it is tried; raises SystemExit(1) where one neither opens as the library's nor is refused."""
    from model.checkpoints.library.family_check import check_families, table

    found = []
    for one in check_families():
        found.append(one)
        sys.stdout.write(f"{one.model_type:32} {one.told}\n")
        sys.stdout.flush()
    if out is not None:
        out.write_text(table(found), encoding="utf-8")
    failed = [one.model_type for one in found if one.result == "failed"]
    if failed:
        sys.stderr.write(f"neither exact nor refused: {', '.join(failed)}\n")
        raise SystemExit(1)
    return f"{sum(one.result == 'exact' for one in found)} of {len(found)} families exact, none wrong"


def _heads(arguments: argparse.Namespace) -> str:
    from model import Trace
    from model.measures.head_statistics import ranked, trace_statistics
    from model.measures.registry import CHEAP

    names = [measure.name for measure in CHEAP]
    if arguments.by not in names:
        raise UnknownOption(what="Measure", got=arguments.by, allowed=", ".join(names))
    trace = (
        Trace.open(arguments.trace) if arguments.trace else _trace(_opened(arguments.model, arguments.step), arguments)
    )
    measured = trace_statistics(trace)
    best = ranked(measured, arguments.by)[: max(1, arguments.top)]
    if not best:
        raise HeadlightError(reason=f"No head of this run has “{arguments.by}”: no query may attend such a key.")
    shown = [arguments.by, *(name for name in names if name != arguments.by)]
    rows = [["site", "head", *shown]]
    for site, head, _ in best:
        values = [measured[site].values.get(name) for name in shown]
        told = ("–" if v is None or v[head].isnan() else f"{v[head]:.3f}" for v in values)
        rows.append([str(site), str(head), *told])
    return f"# {trace.fidelity().told}\n{_table(rows)}"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _train(arguments: argparse.Namespace) -> str:
    """A task of ours, or a small model of a library family, which has its own loop."""
    from model.checkpoints.disk.shipped import SMALL

    if not (arguments.name or "").startswith(SMALL):
        return training.run(arguments)
    from model.small_families.train import train

    training.refuse_others(arguments, ("out", "replace", "steps", "seed"))
    given = {name: getattr(arguments, name) for name in ("out", "steps", "replace")}
    return str(train(arguments.name, **given, seed=arguments.seed or 0))


_EDIT = "change the run: off:decoder.1.cross.1, hide:encoder.*.*:k2, pattern:…:uniform; several, in their order"


def _add_input(record: argparse.ArgumentParser) -> None:
    """What is run: the model and everything that it may be given to read."""
    record.add_argument("--model", default="translate", help="a shipped name, a checkpoint folder, a .gguf file")
    record.add_argument("--step", type=int, help="a step of its training, where the weights were kept")
    record.add_argument("--text")
    record.add_argument("--pair", help="a second text, for models that read two")
    record.add_argument(
        "--chat", action="store_true", help="each line of the text is a turn, through the chat template"
    )
    record.add_argument("--new-tokens", type=int, help="how many tokens a decoder writes after the text")
    record.add_argument("--picture", type=Path, help="a picture, for ViT, CLIP, SigLIP and TrOCR")
    record.add_argument("--sound", type=Path, help="a WAV file, for Whisper, Moonshine and Wav2Vec2")
    record.add_argument("--target", help="force this output instead of letting the model write")
    record.add_argument("--language", help="which output language, where the model has several")
    record.add_argument("--edit", action="append", dest="edits", metavar="EDIT", help=_EDIT)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Record and train without the app.")
    commands = parser.add_subparsers(dest="command", required=True)
    record = commands.add_parser("record", help="run a text and save everything that was computed")
    _add_input(record)
    record.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    record.set_defaults(run=_record)
    heads = commands.add_parser("heads", help="the heads with most of something: induction, previous token, entropy …")
    heads.add_argument("--trace", type=Path, help="a saved trace, instead of running a model")
    _add_input(heads)
    heads.add_argument("--top", type=int, default=10, help="how many heads")
    heads.add_argument("--by", default="previous", help="the measure they are ranked by; a wrong one lists all")
    heads.set_defaults(run=_heads)
    profile.add(commands)
    evaluation.add(commands)
    families = commands.add_parser("families", help="which families of the transformers library open, and how")
    families.add_argument(
        "--check", action="store_true", help="try a small one of every family of texts that the library has"
    )
    families.add_argument("--out", type=Path, help="with --check: the Markdown file to write the list to")
    families.set_defaults(run=_families)
    training.add(commands).set_defaults(run=_train)
    return parser


def escape_unprintable() -> None:
    """Let characters that the terminal's encoding lacks be written as \\u escapes instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def main(argv: list[str] | None = None, prog: str = "python -m model") -> int:
    """Run one command; a refused input is one sentence on stderr and exit status 2, a run that was stopped 130.

    prog: what the person typed, for the help.
    """
    # Two contending threads are slower than one for models of this size.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    escape_unprintable()
    arguments = _parser(prog).parse_args(argv)
    try:
        sys.stdout.write(arguments.run(arguments) + "\n")
    except HeadlightError as error:
        sys.stderr.write(f"{error}\n")
        return 130 if isinstance(error, ProfileStopped | EvaluationStopped | TrainingInterrupted) else 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
