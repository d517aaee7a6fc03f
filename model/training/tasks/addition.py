"""Modular addition: a + b mod 97 of numbers as words, learnt suddenly and late from a part of all pairs (Power et al. 2022)."""

from __future__ import annotations

from random import Random

from model.training.data import Alignment, Example
from model.training.tasks.symbols import SIZES, split_of
from model.training.tasks.task import Task

MODULUS = 97
NUMBERS = tuple(map(str, range(MODULUS)))


def _examples(split: str, language: str, count: int, seed: int) -> list[Example]:
    """At most `count` of the 97² sums, in an order of the seed's: those whose split this is."""
    every = [(a, "+", b) for a in NUMBERS for b in NUMBERS]
    mine = [source for source in every if split_of(source) == split]
    Random(f"{split} {seed}").shuffle(mine)
    found = [(source, *_answer(source)) for source in mine[:count]]
    return [Example(source, target, language, alignment) for source, target, alignment in found]


def _answer(source: tuple[str, ...]) -> tuple[tuple[str, ...], Alignment]:
    """Raises ValueError where it is no sum of two of the numbers."""
    a, _, b = source
    return (str((int(a) + int(b)) % MODULUS),), ((0, 2),)


TASK = Task(
    "addition",
    "pairs",
    "words",
    {"sum": "<s>"},
    _examples,
    train_size=MODULUS**2,
    steps=6_000,
    batch=256,
    sizes=SIZES | {"encoder_layers": 1, "decoder_layers": 1, "d_model": 128, "d_ff": 512, "max_length": 8},
    peak=2e-3,
    warmup=100,
    dropout=0.0,
    average=0.99,
    test_size=1000,
    validation_size=400,
    symbols=(*NUMBERS, "+"),
    answer=_answer,
    card={
        "title": {"en": "a + b modulo 97", "zh": "a + b 模 97"},
        "description": {
            "en": "A small encoder–decoder that adds two numbers modulo 97. It has to find the rule: no sum of the test "
            "was shown.",
            "zh": "小型编码器—解码器，计算两个数之和模 97。测试中的算式从未出现过，它必须找到规律。",
        },
        "data": {
            "en": "Nine in ten of the 9,409 sums of two numbers below 97.",
            "zh": "97 以下两数相加的 9409 个算式中的九成。",
        },
        "examples": ["12 + 30", "96 + 1", "50 + 50", "0 + 0", "7 + 88", "45 + 45", "60 + 36", "3 + 4"],
    },
)
