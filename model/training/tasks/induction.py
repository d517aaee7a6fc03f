"""Induction: a random sequence that comes again, in which only an induction head can know what follows (Olsson et al. 2022).

A two-layer decoder of attention alone (Elhage et al. 2021) learns it: a head of the first layer looks at the previous token,
and one of the second at the token that followed the last time.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from model.training.data import Example
from model.training.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
SHORTEST, LONGEST = 6, 14  # letters that are repeated


def _examples(split: str, language: str, count: int, seed: int) -> list[Example]:
    """Of 26⁶ sequences and more none comes twice but by chance, so splits need no list of what the others hold."""
    random, found = Random(f"{split} {seed}"), []
    for _ in range(count):
        once = tuple(random.choices(LETTERS, k=random.randint(SHORTEST, LONGEST)))
        found.append(Example((), once + once, language))
    return found


def _repeat_accuracy(predicted: Tensor, wanted: Tensor) -> tuple[int, int]:
    """Of the second half of each text [b, m], less its first token, which nobody can know: (right, counted)."""
    right = counted = 0
    for guess, want in zip(predicted, wanted, strict=True):
        length = int((want != 0).sum()) - 1  # less </s>
        half = slice(length // 2 + 1, length)
        right, counted = right + int((guess[half] == want[half]).sum()), counted + length - length // 2 - 1
    return right, counted


TASK = Task(
    "induction",
    "next",
    "characters",
    {"text": "<s>"},
    _examples,
    train_size=40_000,
    steps=2_000,
    batch=32,
    # Rotary positions: a previous-token head is one rotation away, and the change comes within a few hundred steps.
    sizes={
        "d_model": 64,
        "heads": 4,
        "encoder_layers": 0,
        "decoder_layers": 2,
        "d_ff": 0,
        "max_length": 64,
        "positions": "rotary",
        "norm": "pre",
    },
    peak=5e-3,
    warmup=40,
    dropout=0.0,
    average=0.99,
    test_size=1000,
    validation_size=300,
    symbols=LETTERS,
    metrics={"repeat_accuracy": _repeat_accuracy},
    card={
        "title": {"en": "Induction heads", "zh": "归纳头"},
        "description": {
            "en": "Two layers of attention alone that go on with letters which came before: one head looks at the previous "
            "token, one at what followed it the last time.",
            "zh": "只有注意力的两层解码器，续写重复出现的字母：一个头看前一个词元，另一个头看它上一次之后的词元。",
        },
        "data": {"en": "Random letters, 6 to 14 of them, written twice.", "zh": "6 到 14 个随机字母，写两遍。"},
        "examples": ["qwertyqwer", "abcdefghabc", "zyxwvuzyx", "helloworldhellow", "mnbvcxzmnbv", "catfishcatf"],
    },
)
