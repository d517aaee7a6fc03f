"""Sort: the letters in order, where the content of a letter and not its place says where to look."""

from __future__ import annotations

from model.training.data import Alignment
from model.training.tasks.symbols import LETTERS, SIZES, examples_of, made_from
from model.training.tasks.task import Task


def _answer(letters: tuple[str, ...]) -> tuple[tuple[str, ...], Alignment]:
    return made_from(sorted(range(len(letters)), key=letters.__getitem__), letters)


TASK = Task(
    "sort",
    "pairs",
    "characters",
    {"sort": "<s>"},
    examples_of(_answer),
    train_size=20_000,
    steps=1500,
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
        "title": {"en": "Letters → in order", "zh": "字母 → 排序"},
        "description": {
            "en": "A small encoder–decoder that writes its letters in alphabetical order: heads find the next larger "
            "letter wherever it stands.",
            "zh": "小型编码器—解码器，按字母顺序写出读到的字母：注意力头要找到下一个更大的字母，无论它在哪里。",
        },
        "data": {"en": "Random sequences of 3 to 8 of ten letters.", "zh": "由十个字母组成的随机序列，长度 3 到 8。"},
        "examples": ["abcdef", "jihgfe", "aabbcc", "fade", "hidebag", "cab", "jjjjj", "bigface"],
    },
)
