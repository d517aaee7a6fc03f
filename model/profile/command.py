"""The command `python -m model profile …`: its arguments and its progress line."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from model.checkpoints.remarks import say_remarks
from model.jobs.progress_line import ProgressLine

_WHAT = "measure every head on every text of a file; stop it at any time, the same command goes on"
_TEXTS = "one text a line, or a .jsonl, .csv or .parquet with a column “text”"
_RAY = 'address of a Ray cluster, or “local”: spread the texts over its machines (pip install "ray[data]")'


def add(commands: argparse._SubParsersAction) -> None:
    """The subcommand and its arguments."""
    profile = commands.add_parser("profile", help=_WHAT, description=_WHAT)
    profile.add_argument("--model", default="translate", help="a shipped name, a checkpoint folder, a .gguf file")
    profile.add_argument("--texts", type=Path, required=True, help=_TEXTS)
    profile.add_argument(
        "--out", type=Path, required=True, help="the .parquet to write; finished work lies in OUT.parts"
    )
    profile.add_argument("--language", help="which output language, where the model has several")
    profile.add_argument("--limit", type=int, help="the first so many texts")
    profile.add_argument("--ray", metavar="ADDRESS", help=_RAY)
    profile.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> str:
    from model.profile.run import profile

    given = [
        part
        for name in ("model", "texts", "out", "language", "limit")
        if (value := getattr(arguments, name)) is not None
        for part in (f"--{name}", str(value))
    ]
    line = ProgressLine()
    try:
        done = profile(
            arguments.model, arguments.texts, arguments.out, language=arguments.language or "", limit=arguments.limit,
            ray=arguments.ray or "", on_opened=say_remarks,
            on_progress=lambda progress: line(progress, progress.done >= progress.count),
            command=shlex.join(["python", "-m", "model", "profile", *given]),
        )  # fmt: skip
    finally:
        line.end()
    if done.there:
        return f"{arguments.out}: it is there already, made of the same texts by the same model"
    refused = f", {done.refused:,} refused and listed in it" if done.refused else ""
    return f"{arguments.out}: {done.done - done.refused:,} texts measured{refused}; {done.rate:.3g} texts/s"
