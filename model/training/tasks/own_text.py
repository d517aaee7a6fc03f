"""Text of one's own, a line an example: gone on with word by word (`text`), or with gaps that are filled (`masked-text`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from model.data_files.read import Line
from model.text.tokenizer import END, MASK, PAD
from model.training.data import Example, Vocabulary
from model.training.tasks.own_files import Spelling, examples_of, lines_of
from model.training.tasks.task import SMALL, Data, Task

if TYPE_CHECKING:
    from model.training.options import Options

LANGUAGE, START = "text", "<s>"


def _read(task: Task, options: Options) -> Data:
    lines, facts = lines_of(options, False, None)
    spell = Spelling(options.vocabulary, [line.source for line in lines["train"]], options.vocabulary_size)
    goes_on = task.shape == "next"
    room = options.sizes["max_length"] - (2 if goes_on else 0)

    def spelled(line: Line) -> list[Example]:
        """One that is longer than the model reads is as many examples as it takes; those of a running text may overlap."""
        tokens = spell(line.source)
        parts = [tokens[i : i + room] for i in _starts(len(tokens), room, options.overlap)]
        return [Example((), part, LANGUAGE) if goes_on else Example(part, (), "") for part in parts]

    examples = examples_of(lines, spelled, lambda example: True, facts["source_file"])
    vocabulary = Vocabulary.of([e for found in examples.values() for e in found], options.vocabulary, task.starts)
    first = (PAD, START, END) if goes_on else (PAD, MASK)
    if spell.every:
        whole = (*first, *spell.every)
        vocabulary = Vocabulary(*(((), whole) if goes_on else (whole, ())), "subwords", task.starts)
    test = {task.languages[0]: examples["test"]}
    return Data(vocabulary, examples["train"], examples["validation"], test, spell.json(first), facts)


def piece_of(vocabulary: str, max_length: int) -> int:
    """Characters of a piece of a running text that fit the model, as far as letters tell: a word has four and its space."""
    return {"characters": 1, "subwords": 3, "words": 4}[vocabulary] * (max_length - 2)


def _starts(tokens: int, room: int, overlap: float) -> range:
    """Where examples of `room` tokens begin, each with the share `overlap` of the one before, until one holds the last token."""
    step = max(1, room - round(room * overlap))
    return range(0, max(1, tokens - (room - step)), step)


TASK = Task(
    "text",
    "next",
    "words",
    {LANGUAGE: START},
    lambda split, language, count, seed: [],
    train_size=1,
    steps=3_000,
    batch=32,
    sizes=SMALL | {"encoder_layers": 0},
    dropout=0.1,
    card={
        "title": {"en": "Text of your own, word after word", "zh": "你自己的文本，逐词续写"},
        "description": {
            "en": "A decoder that says the next word, trained on a file of yours: its lines, or a running text.",
            "zh": "预测下一个词的解码器，用你的文件训练：各行，或连续文本。",
        },
        "data": {"en": "A file of yours: its lines, or a running text.", "zh": "你的文件：各行，或连续文本。"},
    },
    read=_read,
)
MASKED = replace(
    TASK,
    name="masked-text",
    shape="masked",
    starts={},
    sizes=SMALL | {"decoder_layers": 0},
    card={
        "title": {"en": "Text of your own, with gaps", "zh": "你自己的文本，填空"},
        "description": {
            "en": "An encoder that fills gaps, trained on a file of yours: its lines, or a running text.",
            "zh": "填补空缺的编码器，用你的文件训练：各行，或连续文本。",
        },
        "data": {"en": "A file of yours: its lines, or a running text.", "zh": "你的文件：各行，或连续文本。"},
    },
)
