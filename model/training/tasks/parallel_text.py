"""Parallel text of one's own: two columns, the source and its translation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.data_files.read import Line
from model.text.tokenizer import END, PAD
from model.training.data import Example, Vocabulary
from model.training.tasks.own_files import Spelling, examples_of, lines_of
from model.training.tasks.task import SMALL, Data, Task

if TYPE_CHECKING:
    from model.training.options import Options

LANGUAGE, START = "target", "<s>"


def _read(task: Task, options: Options) -> Data:
    room = options.sizes["max_length"] - 2  # the target has a start and an end
    lines, facts = lines_of(options, True, room)
    spell = Spelling(options.vocabulary, [text for line in lines["train"] for text in (line.source, line.target)],
                     options.vocabulary_size)  # fmt: skip

    def spelled(line: Line) -> list[Example]:
        return [Example(spell(line.source), spell(line.target), LANGUAGE)]

    examples = examples_of(lines, spelled, lambda e: max(len(e.source), len(e.target)) <= room, facts["source_file"])
    vocabulary = Vocabulary.of([e for found in examples.values() for e in found], options.vocabulary, task.starts)
    first = (PAD, START, END)
    if spell.every:  # one vocabulary for both sides (Vaswani et al. 2017, section 5.1)
        both = (*first, *spell.every)
        vocabulary = Vocabulary(both, both, "subwords", task.starts)
    test = {LANGUAGE: examples["test"]}
    return Data(vocabulary, examples["train"], examples["validation"], test, spell.json(first), facts)


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
