"""Parallel text of one's own: two columns, the source and its translation."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import HeadlightError
from model.text.tokenizer import END, PAD
from model.training.data import Example, Vocabulary
from model.training.tasks.own_files import Spelling, read_lines, read_pairs, splits_of
from model.training.tasks.task import SMALL, Data, Task

if TYPE_CHECKING:
    from model.training.options import Options

LANGUAGE, START = "target", "<s>"


def has_two_columns(path: Path) -> bool:
    """Whether the lines of a file have a tab in them; False for one that cannot be read."""
    with suppress(HeadlightError):
        lines = read_lines(path)[:100]
        return bool(lines) and sum("\t" in line for line in lines) > len(lines) // 2
    return False


def _read(task: Task, options: Options) -> Data:
    every = read_pairs(options.data)
    splits = splits_of(every, lambda pair: pair[0], options.data)
    spell = Spelling(options.vocabulary, [text for pair in splits["train"] for text in pair], options.vocabulary_size)
    longest = options.sizes["max_length"]
    examples, left_out = {}, 0
    for name, found in splits.items():
        spelled = [Example(spell(source), spell(target), LANGUAGE) for source, target in found]
        examples[name] = [e for e in spelled if len(e.source) <= longest and len(e.target) + 2 <= longest]
        left_out += len(spelled) - len(examples[name])
    if not all(examples.values()):
        raise HeadlightError(
            reason=f"Too few lines of {options.data} have at most {longest} tokens: raise --max-length."
        )
    vocabulary = Vocabulary.of([e for found in examples.values() for e in found], options.vocabulary, task.starts)
    if spell.every:  # one vocabulary for both sides (Vaswani et al. 2017, section 5.1)
        both = (PAD, START, END, *spell.every)
        vocabulary = Vocabulary(both, both, "subwords", task.starts)
    return Data(
        vocabulary, examples["train"], examples["validation"], {LANGUAGE: examples["test"]}, spell.json((PAD, START, END)),
        {"source_file": Path(options.data).name, "lines": len(every), "left_out": left_out},
    )  # fmt: skip


TASK = Task(
    "parallel",
    "pairs",
    "words",
    {LANGUAGE: START},
    lambda split, language, count, seed: [],
    train_size=1,
    steps=3_000,
    batch=64,
    sizes=SMALL,
    dropout=0.1,
    smoothing=0.1,
    card={
        "title": {"en": "Parallel text of your own", "zh": "你自己的平行文本"},
        "description": {
            "en": "An encoder–decoder trained on the pairs of a file.",
            "zh": "用文件中的句对训练的编码器—解码器。",
        },
        "data": {"en": "The pairs of a file of yours.", "zh": "你的文件中的句对。"},
    },
    read=_read,
)
