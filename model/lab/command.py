"""The command `python -m model train …`: its arguments and its progress line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.errors import BadOption, HeadlightError, NothingToResume
from model.jobs.progress_line import ProgressLine
from model.training.run_files.folder import run_of

if TYPE_CHECKING:
    from model.training.options import Options

_REPLACE = "let the new model take the place of one that lies in --out, once it is finished"
_WHAT = "train a model; killed or stopped at any time, --resume goes on"
_TASKS = (
    "copy, reverse, sort, addition, induction, dates, translate; parallel, text or masked-text with --data; "
    "small-bert and the other small models of library families"
)
# Options of `model.training.options.Options` by how they are read, each with what it says.
_WHOLE = {
    "steps": "steps of the optimiser", "seed": "of the weights, the order of the data and dropout",
    "threads": "of torch; 1, the default, gives the same bits again", "batch": "examples a step",
    "train-size": "training examples of each language, where the task makes its own", "d-model": "width of the stream",
    "heads": "in each attention", "encoder-layers": "0 for a decoder alone", "decoder-layers": "0 for an encoder alone",
    "d-ff": "hidden units, 0 for attention alone", "max-length": "tokens that the model reads",
    "warmup": "steps in which the learning rate rises", "evaluate-every": "steps between two looks at held-out examples",
    "snapshots": "how many of the weights are kept, evenly spread over log(step)",
    "vocabulary-size": "subwords, where the vocabulary is of them",
    "piece": "cut a running text into pieces of so many characters",
}  # fmt: skip
_NUMBERS = {
    "dropout": "", "label-smoothing": "ε of section 5.4 of the paper", "peak": "the highest learning rate",
    "overlap": "the share of an example of a running text that the next one repeats",
    "clip": "largest norm of the gradient", "average": "decay of the averaged weights, 0 for none",
}  # fmt: skip
_WORDS = {
    "data": "your own file: two columns (.tsv, .csv, .jsonl, .parquet), or a text, a line an example",
    "vocabulary": "words, characters or subwords (byte-pair, by the library tokenizers)",
    "positions": "sinusoidal, learned, relative, rotary, alibi or none", "norm": "post (the paper) or pre",
    "schedule": "constant, inverse-square-root (the paper's equation 3) or cosine",
    "trackio": "a local project of trackio that hears every step too (pip install trackio, in an environment of its own)",
    "log-dir": "a folder for TensorBoard's event files (pip install tensorboard)",
}  # fmt: skip


def add(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """The subcommand and its arguments."""
    train = commands.add_parser("train", help=_WHAT, description=_WHAT)
    train.add_argument("name", metavar="TASK", nargs="?", help=_TASKS)
    train.add_argument(
        "--out",
        type=Path,
        help="folder to write; default: checkpoints/TASK below the current one, or TASK where those are the shipped ones",
    )
    train.add_argument("--replace", action="store_true", help=_REPLACE)
    train.add_argument("--resume", type=Path, metavar="DIR", help="go on with the training in this folder")
    train.add_argument("--seeds", type=int, help="how many seeds, from --seed on, a folder seed-… each")
    train.add_argument("--queue", type=Path, metavar="FOLDER", help="wait there until no other run is on its way")
    for kind, options in ((int, _WHOLE), (float, _NUMBERS), (str, _WORDS)):
        for name, what in options.items():
            train.add_argument(f"--{name}", type=kind, help=what or None)
    train.set_defaults(run=run)
    return train


def run(arguments: argparse.Namespace) -> str:
    from model.lab.job import work
    from model.training.options import options_of
    from model.training.run_files.place import default_folder, on_the_way, refuse_model
    from model.training.seeds import begin_seeds, folders_of

    names = [name.replace("-", "_") for name in (*_WHOLE, *_NUMBERS, *_WORDS)]
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    if arguments.resume is not None:
        if arguments.replace:
            raise HeadlightError(reason="A training goes on as it was begun: leave out --replace with --resume.")
        folder = on_the_way(arguments.resume.absolute())
        _check_same(folder, arguments, given)
    else:
        options = options_of(arguments.name, **given)
        if options.data is not None:
            sys.stderr.write(f"{_of_file(options)}\n")
        seeds = 1 if arguments.seeds is None else arguments.seeds
        folder = arguments.out or default_folder(options.task)
        refuse_model(folder, arguments.replace and seeds == 1)
        folder = begin_seeds(options, folder, seeds)
    line = ProgressLine()
    try:
        count = len(folders_of(folder))
        return work(folder, arguments.queue, lambda told, last: line(_Told(told, count), last))
    finally:
        line.end()


def _of_file(options: Options) -> str:
    """What is odd in a file of one's own, as `evaluate` says it, and how many lines are taken of it."""
    from model.training.options import checked

    report, parts = checked(options)
    what = "pieces" if options.piece else "lines"
    counts = ", ".join(f"{part} {count:,}" for part, count in parts.counts.items())
    return f"{report}\n{what} that are taken: {counts}; left out: {report.rows - parts.kept:,}"


def _check_same(folder: Path, arguments: argparse.Namespace, given: dict[str, Any]) -> None:
    """A training is gone on with as it was begun: what is said again must be what was said then."""
    told = run_of(folder)
    if told is None:
        raise NothingToResume(path=folder)
    options = {"task": told["options"].get("task"), **told["options"], **told["options"].get("sizes", {})}
    asked = given | ({"task": arguments.name} if arguments.name else {})
    asked |= {name: str(Path(given[name]).expanduser().absolute()) for name in ("data", "log_dir") if name in given}
    if arguments.out is not None and arguments.out.absolute() != folder.absolute():
        asked["out"] = arguments.out
    if arguments.seeds is not None:
        asked["seeds"], options["seeds"] = arguments.seeds, max(1, len(told.get("seeds", ())))
    for name, value in asked.items():
        if value != options.get(name):
            raise BadOption(
                what=name.replace("_", "-"), got=value, allowed=f"{options.get(name, folder)}, as it was begun"
            )


def refuse_others(arguments: argparse.Namespace, taken: tuple[str, ...]) -> None:
    """Raises HeadlightError where another option than `taken` was given: a training that does not know it would ignore it."""
    others = (
        "resume",
        "seeds",
        "queue",
        "replace",
        "out",
        *(name.replace("-", "_") for name in (*_WHOLE, *_NUMBERS, *_WORDS)),
    )
    given = [name for name in others if getattr(arguments, name) not in (None, False) and name not in taken]
    if given:
        told, left = (", ".join(f"--{name.replace('_', '-')}" for name in names) for names in (taken, given))
        raise HeadlightError(reason=f"The training of {arguments.name} takes {told} alone: leave out {left}.")


class _Told:
    """A heartbeat as a line of text, made only where it is shown; of a run from several seeds it counts the steps of each."""

    def __init__(self, told: dict[str, Any], seeds: int):
        self.told, self.seeds = told, seeds

    def __str__(self) -> str:
        told = self.told
        held = f", held out {told['validation_loss']:.4f}" if "validation_loss" in told else ""
        left = f", {told['seconds_left']:,.0f} s left" if told.get("seconds_left") is not None else ""
        each = told["steps"] // self.seeds
        before = max(0, told["step"] - 1) // each  # seeds that are finished
        seed = f"seed {before + 1} of {self.seeds}, " if self.seeds > 1 else ""
        return f"{seed}step {told['step'] - before * each:,} of {each:,}: loss {told.get('loss', 0):.4f}{held}{left}"
