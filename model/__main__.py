"""The command line: `python -m model record …` writes a trace, `python -m model train …` trains what ships."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from model.errors import HeadlightError


def _record(arguments: argparse.Namespace) -> str:
    from model import open_model

    options = {} if arguments.language is None else {"language": arguments.language}
    trace = open_model(arguments.model).trace(arguments.text, arguments.target, **options)
    path = trace.save(arguments.out)
    fidelity = trace.fidelity()
    wrote = f"wrote “{' '.join(trace.written())}”; " if trace.written() else ""
    logits = "" if fidelity.logits_error is None else f", logits to {fidelity.logits_error:.1e}"
    return (
        f"{path}: {len(trace.sites)} attention sub-layers, {trace.nbytes() / 2**20:.2f} MiB recorded; "
        f"{wrote}checks to {fidelity.max_error:.1e}{logits}"
    )


def _families(_arguments: argparse.Namespace) -> str:
    from model.checkpoints.families import FAMILIES

    rows = [("model_type", "family", "recorded by", "notes")]
    rows += [(f.model_type, f.title, f.route, f.notes) for f in FAMILIES]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def _train(arguments: argparse.Namespace) -> str:
    from model.training.train import train

    return str(train(arguments.name, out=arguments.out, steps=arguments.steps, seed=arguments.seed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m model", description="Record and train without the app.")
    commands = parser.add_subparsers(dest="command", required=True)
    record = commands.add_parser("record", help="run a text and save everything that was computed")
    record.add_argument("--model", default="translate", help="a shipped name or a checkpoint folder")
    record.add_argument("--text", required=True)
    record.add_argument("--target", help="force this output instead of letting the model write")
    record.add_argument("--language", help="which output language, where the model has several")
    record.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    record.set_defaults(run=_record)
    families = commands.add_parser("families", help="which families of the transformers library open, and how")
    families.set_defaults(run=_families)
    train = commands.add_parser("train", help="train a shipped model again from its seed")
    train.add_argument("name", help="translate or dates")
    train.add_argument("--out", type=Path, help="folder to write; default: checkpoints/<name>")
    train.add_argument("--steps", type=int)
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(run=_train)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; a refused input is one sentence on stderr and exit status 2."""
    # Two contending threads are slower than one for models of this size.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    arguments = _parser().parse_args(argv)
    try:
        sys.stdout.write(arguments.run(arguments) + "\n")
    except HeadlightError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
