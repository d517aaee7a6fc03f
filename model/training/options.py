"""`Options`: everything that decides what a training run does, from the task and what was asked for otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.errors import BadOption, DamagedTraining, UnknownOption
from model.training.data import Example
from model.training.objectives import objective_of
from model.training.schedules import SCHEDULES
from model.training.tasks.own_files import parts_of, report_of
from model.training.tasks.registry import task_of
from model.training.tasks.task import Task
from model.transformer.config import TransformerConfig

if TYPE_CHECKING:
    from model.data_files.check import Report
    from model.training.tasks.own_files import Parts

SIZES = (
    "positions", "norm", "d_model", "heads", "encoder_layers", "decoder_layers", "d_ff", "max_length",
    "relative_distance",
)  # fmt: skip
VOCABULARIES = ("words", "characters", "subwords")
# How often held-out examples are looked at in a run; steps between at most, and at least.
_EVALUATIONS, _BETWEEN, _LEAST = 20, 250, 10
# Whole numbers with their least; numbers with their least and what they are below.
# What they are at most: torch takes numbers of 64 bits, threads of 32, and a run draws from the seeds after its own too.
LARGEST_SEED = 2**62
_MOST = {
    "seed": LARGEST_SEED,
    "batch": 10**9,
    "threads": 1024,
    "vocabulary_size": 10**6,
    "train_size": 10**9,
    "snapshots": 10**6,
}
_MOST_OTHER, _MOST_SIZE = 10**12, 10**6
# Tokens of a text of one's own that there has to be room for at least, its start and end counted.
_ROOM = {"pairs": 3, "next": 3, "masked": 1}
_SAMPLE = 200  # examples that a given max_length is held against before a run is begun
_WHOLE = {"steps": 1, "batch": 1, "train_size": 1, "threads": 1, "warmup": 1, "evaluate_every": 1, "vocabulary_size": 300,
          "snapshots": 0, "seed": 0, "piece": 0}  # fmt: skip
_NUMBERS = {"label_smoothing": (0, 1), "average": (0, 1), "clip": (1e-9, 1e9), "peak": (0, 1e3), "dropout": (0, 1),
            "save_seconds": (0, 1e9), "overlap": (0, 1)}  # fmt: skip

_TEXTS = ("data", "log_dir", "trackio", "schedule", "vocabulary")


@dataclass(frozen=True)
class Options:
    """The settings of one run; with them, one thread and one processor the run gives the same bits again.

    sizes: of `TransformerConfig`. peak: the highest learning rate, None for the schedule's own. clip: largest norm of the
    gradient. average: decay of the averaged weights, 0 for none. snapshots: how many of the weights are kept, spread evenly over
    log(step). save_seconds: between two checkpoints, and more where writing them takes long. choices: what is done about odd
    lines of one's own data (model/data_files/check.py). piece: characters that a running text is cut into, 0 where a line is an
    example; overlap: the share of an example that the next one of it repeats. replaces: the folder whose model this run takes the
    place of.
    """

    task: str
    steps: int
    batch: int
    train_size: int
    sizes: Mapping[str, Any]
    dropout: float
    label_smoothing: float
    schedule: str
    warmup: int
    average: float
    evaluate_every: int
    vocabulary: str
    peak: float | None = None
    seed: int = 0
    threads: int = 1
    clip: float = 1.0
    snapshots: int = 24
    save_seconds: float = 5.0
    vocabulary_size: int = 2000
    data: str | None = None
    choices: Mapping[str, str] | None = None
    piece: int = 0
    overlap: float = 0.0
    log_dir: str | None = None
    trackio: str | None = None
    replaces: str | None = None

    def config(self, source: int, target: int) -> TransformerConfig:
        """The sizes of the Transformer with these vocabularies. Raises BadConfig."""
        words = {"source_vocabulary": max(source, 1), "target_vocabulary": max(target, 1)}
        return TransformerConfig(**self.sizes, **words, dropout=self.dropout)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(told: Mapping[str, Any]) -> Options:
        """The options that `to_dict` told. Raises KeyError or TypeError where they are none."""
        return Options(
            **{one.name: told[one.name] for one in fields(Options) if one.name in told or one.default is MISSING}
        )


def options_of(name: str | None, **given: Any) -> Options:
    """The options of the task `name` with what is given in their place; None is not given.

    Raises UnknownOption, BadOption or BadConfig, each saying what is allowed.
    """
    given = {key: value for key, value in given.items() if value is not None}
    task = task_of(name, given.get("data"))
    unknown = given.keys() - {field.name for field in fields(Options)} - set(SIZES)
    if unknown:
        raise UnknownOption(
            what="Option", got=", ".join(sorted(unknown)), allowed=", ".join((*_WHOLE, *_NUMBERS, *SIZES))
        )
    _check(given)
    steps = given.get("steps", task.steps)
    defaults = {
        "steps": steps, "batch": task.batch, "train_size": task.train_size, "dropout": task.dropout,
        "label_smoothing": task.smoothing, "schedule": task.schedule, "peak": task.peak, "warmup": task.warmup,
        "average": task.average, "vocabulary": task.kind, "evaluate_every": max(_LEAST, min(_BETWEEN, steps // _EVALUATIONS)),
    }  # fmt: skip
    if given.get("schedule", task.schedule) != task.schedule:
        defaults["peak"] = None  # a peak for one curve says nothing of another
    sizes = {**task.sizes, **{key: given.pop(key) for key in SIZES if key in given}}
    options = Options(task=task.name, sizes=sizes, **{**defaults, **given})
    for name in ("data", "log_dir"):  # the job may run in another folder
        if given.get(name):
            options = replace(options, **{name: str(Path(given[name]).expanduser().absolute())})
    _check_shape(task, options)
    if "max_length" in sizes and sizes["max_length"] != task.sizes.get("max_length"):
        _check_room(task, options)
    if options.vocabulary != task.kind and task.read is None:
        raise BadOption(what="vocabulary", got=options.vocabulary, allowed=f"{task.kind} for the task {task.name}")
    if options.piece and (task.read is None or task.shape == "pairs"):
        raise BadOption(
            what="piece", got=options.piece, allowed=f"0 for the task {task.name}, whose examples are lines"
        )
    return options


def checked(options: Options) -> tuple[Report, Parts]:
    """What is odd in the file of these options and what a training takes of it, before anything of a training is made.

    Raises DataFileRefused, NothingLeft, TooManyLines or TooFewLines.
    """
    pairs = task_of(options.task, options.data).shape == "pairs"
    room = options.sizes["max_length"] - 2 if pairs else None
    report = report_of(options.data, pairs, options.vocabulary, room, piece=options.piece)
    return report, parts_of(report, options.choices)


def _check(given: Mapping[str, Any]) -> None:
    for name, least in _WHOLE.items():
        most = _MOST.get(name, _MOST_OTHER)
        if name in given and (type(given[name]) is not int or not least <= given[name] <= most):
            allowed = f"a whole number from {least}" + f" to {most:,}" * (
                type(given[name]) is int and given[name] > most
            )
            raise BadOption(what=name, got=given[name], allowed=allowed)
    for name in SIZES:
        if type(given.get(name)) is int and given[name] > _MOST_SIZE:
            raise BadOption(what=name, got=given[name], allowed=f"at most {_MOST_SIZE:,}")
    for name in _TEXTS:
        if not isinstance(given.get(name, ""), str | Path):
            raise BadOption(what=name, got=given[name], allowed="a text")
    for name, (least, below) in _NUMBERS.items():
        number = type(given.get(name)) in (int, float)
        if name in given and not (number and least <= given[name] < below):
            raise BadOption(what=name, got=given[name], allowed=f"a number from {least} and below {below:g}")
    if given.get("schedule", "cosine") not in SCHEDULES:
        raise UnknownOption(what="Schedule", got=given["schedule"], allowed=", ".join(SCHEDULES))
    if given.get("vocabulary", "words") not in VOCABULARIES:
        raise UnknownOption(what="Vocabulary", got=given["vocabulary"], allowed=", ".join(VOCABULARIES))


def _check_shape(task: Task, options: Options) -> None:
    config = options.config(1000, 1000)
    shape = objective_of(config)
    if task.shape != shape:
        needs = {"pairs": "an encoder layer and a decoder layer at least", "next": "decoder layers alone",
                 "masked": "encoder layers alone"}[task.shape]  # fmt: skip
        got = f"{config.encoder_layers} encoder and {config.decoder_layers} decoder layers"
        raise BadOption(what=f"shape for the task {task.name}", got=got, allowed=needs)


def _check_room(task: Task, options: Options) -> None:
    """Whether the model reads texts as long as the task's. Raises BadOption, naming the option."""
    got, least = options.sizes["max_length"], _ROOM[task.shape]
    if task.read is None:
        some = [e for language in task.languages for e in task.examples("train", language, _SAMPLE, options.seed)]
        least = room_of(some)
    if got < least:
        raise BadOption(what="max_length", got=got, allowed=f"at least {least} for the task {task.name}")


def room_of(examples: Sequence[Example]) -> int:
    """Tokens that a model reads of the longest of these; a target has its start before it, and its end is only written."""
    return max(max(len(one.source), len(one.target) + 1) for one in examples)


def of_folder(folder: Path, told: Any) -> Options:
    """Options read from a run's file. Raises DamagedTraining where they are none of this version."""
    try:
        options = Options.of(told)
        _check({key: value for key, value in vars(options).items() if value is not None})
        options.config(1000, 1000)
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedTraining(path=folder, reason=f"its run.json lacks {error} or is of another version") from error
    return options
