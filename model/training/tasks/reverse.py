"""Reverse: the letters backwards, an alignment along the other diagonal."""

from __future__ import annotations

from model.training.data import Alignment
from model.training.tasks.symbols import LETTERS, SIZES, examples_of, made_from
from model.training.tasks.task import Task


def _answer(letters: tuple[str, ...]) -> tuple[tuple[str, ...], Alignment]:
    return made_from(list(reversed(range(len(letters)))), letters)


TASK = Task(
    "reverse",
    "pairs",
    "characters",
    {"reverse": "<s>"},
    examples_of(_answer),
    train_size=20_000,
    steps=1000,
    batch=64,
    sizes=SIZES,
    peak=3e-3,
    warmup=100,
    dropout=0.0,
    average=0.99,
    test_size=1000,
    validation_size=300,
    symbols=LETTERS,
    answer=_answer,
    card={
        "title": {"en": "Letters → backwards", "zh": "字母 → 倒序"},
        "description": {
            "en": "A small encoder–decoder that writes its letters backwards: the alignment is the other diagonal.",
            "zh": "小型编码器—解码器，把读到的字母倒着写出：对齐是另一条对角线。",
        },
        "data": {"en": "Random sequences of 3 to 8 of ten letters.", "zh": "由十个字母组成的随机序列，长度 3 到 8。"},
        "examples": ["abcdef", "jihgfe", "aabbcc", "fade", "hidebag", "cab", "jjjjj", "bigface"],
    },
)
