"""`Task`: what is trained on which examples at which sizes; `Data`: its examples and vocabulary, made from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from model.training.data import Alignment, Example, Vocabulary

if TYPE_CHECKING:
    from torch import Tensor

    from model.training.options import Options
    from model.transformer.encoder_decoder import Transformer

TEST_SEED = 20_000  # validation and test examples come from their own generators, whatever the training seed
SMALL = {"d_model": 128, "heads": 4, "encoder_layers": 2, "decoder_layers": 2, "d_ff": 256, "max_length": 100}


@dataclass(frozen=True)
class Data:
    """The examples of each split and what they are spelled in; tokenizer: the tokenizer.json of a subword vocabulary;
    facts: what the card says of them."""

    vocabulary: Vocabulary
    train: Sequence[Example]
    validation: Sequence[Example]
    test: Mapping[str, Sequence[Example]]
    tokenizer: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """One thing to train, with the settings that it takes where none are given.

    shape: "pairs" (source and target), "next" (a text gone on with) or "masked" (gaps filled). kind: "words", "characters" or
    "subwords". starts: output language -> start token. examples(split, language, count, seed): examples of a split.
    """

    name: str
    shape: str
    kind: str
    starts: Mapping[str, str]
    examples: Callable[[str, str, int, int], list[Example]]
    train_size: int
    steps: int
    batch: int
    sizes: Mapping[str, Any] = field(default_factory=dict)
    schedule: str = "cosine"
    peak: float | None = 1.5e-3
    warmup: int = 400
    dropout: float = 0.05
    smoothing: float = 0.0
    average: float = 0.998
    test_size: int = 2000
    validation_size: int = 500
    # Tokens that the vocabulary has, whichever of them the examples happen to hold.
    symbols: Sequence[str] = ()
    card: Mapping[str, Any] = field(default_factory=dict)
    # Of tasks that follow a rule: source -> (target, the source positions of each token of it). Raises ValueError for no source.
    answer: Callable[[tuple[str, ...]], tuple[tuple[str, ...], Alignment]] | None = None
    # What else is measured at the end, by name: functions of (module, vocabulary) whose results go into the card, None for
    # what this vocabulary cannot be measured with.
    measures: Mapping[str, Callable[[Transformer, Vocabulary], dict[str, Any] | None]] = field(default_factory=dict)
    # What else is measured at every evaluation, by name: of (predicted [b, m], wanted [b, m]) -> (right, counted).
    metrics: Mapping[str, Callable[[Tensor, Tensor], tuple[int, int]]] = field(default_factory=dict)
    # Where the examples are the user's own: (task, options) -> Data from `options.data`.
    read: Callable[[Task, Options], Data] | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """Of its outputs, "" where nothing is written."""
        return tuple(self.starts) or ("",)

    def data(self, options: Options) -> Data:
        """The examples that a run with these options trains, validates and tests on; the same for the same options."""
        return self.read(self, options) if self.read else _generated(self, options)


def _generated(task: Task, options: Options) -> Data:
    def split(name: str, count: int, seed: int) -> dict[str, list[Example]]:
        return {language: task.examples(name, language, count, seed) for language in task.languages}

    train = _all(split("train", options.train_size, options.seed))
    validation = _all(split("validation", task.validation_size, TEST_SEED))
    test = split("test", task.test_size, TEST_SEED)
    # Held-out sentences may use a rare word form that no training sentence happens to have: it still has an id.
    every = [*train, *validation, *_all(test), *_spelled(task)]
    return Data(Vocabulary.of(every, task.kind, task.starts), train, validation, test)


def _all(split: Mapping[str, Sequence[Example]]) -> list[Example]:
    return [example for examples in split.values() for example in examples]


def _spelled(task: Task) -> list[Example]:
    """An example that holds every symbol of the task, for its vocabulary alone."""
    symbols = tuple(task.symbols)
    source = symbols if task.shape != "next" else ()
    return [Example(source, symbols, task.languages[0])] if symbols else []
