"""Copy: the same letters again, the simplest alignment there is, a diagonal."""

from __future__ import annotations

from model.training.data import Alignment
from model.training.tasks.symbols import LETTERS, SIZES, examples_of, made_from
from model.training.tasks.task import Task


def _answer(letters: tuple[str, ...]) -> tuple[tuple[str, ...], Alignment]:
    return made_from(list(range(len(letters))), letters)


TASK = Task(
    "copy",
    "pairs",
    "characters",
    {"copy": "<s>"},
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
        "title": {"en": "Letters → the same letters", "zh": "字母 → 同样的字母"},
        "description": {
            "en": "A small encoder–decoder that writes its letters again: every position attends to the one with its own number.",
            "zh": "小型编码器—解码器，把读到的字母原样写出：每个位置注意编号相同的位置。",
        },
        "data": {"en": "Random sequences of 3 to 8 of ten letters.", "zh": "由十个字母组成的随机序列，长度 3 到 8。"},
        "examples": ["abcdef", "jihgfe", "aabbcc", "fade", "hidebag", "cab", "jjjjj", "bigface"],
    },
)
