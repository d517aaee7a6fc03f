"""Random sequences of letters in which no sequence stands in two splits: the data of copy, reverse and sort."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from random import Random

from model.training.data import Alignment, Example

LETTERS = tuple("abcdefghij")
SHORTEST, LONGEST = 3, 8
SIZES = {"d_model": 64, "heads": 4, "encoder_layers": 2, "decoder_layers": 2, "d_ff": 128, "max_length": 32}
Answer = Callable[[tuple[str, ...]], tuple[tuple[str, ...], Alignment]]


def split_of(tokens: tuple[str, ...]) -> str:
    """train, validation or test, by the sequence itself."""
    number = int.from_bytes(hashlib.sha256(" ".join(tokens).encode()).digest()[:4], "big") % 100
    return "test" if number < 6 else "validation" if number < 10 else "train"


def examples_of(answer: Answer) -> Callable[[str, str, int, int], list[Example]]:
    """`Task.examples` of sequences of 3 to 8 letters with their answer and which letter each of it comes from."""

    def examples(split: str, language: str, count: int, seed: int) -> list[Example]:
        random, found = Random(f"{split} {seed}"), []
        while len(found) < count:
            letters = tuple(random.choices(LETTERS, k=random.randint(SHORTEST, LONGEST)))
            if split_of(letters) == split:
                found.append(Example(letters, *_placed(answer(letters), language)))
        return found

    return examples


def _placed(answer: tuple[tuple[str, ...], Alignment], language: str) -> tuple[tuple[str, ...], str, Alignment]:
    return answer[0], language, answer[1]


def made_from(order: list[int], letters: tuple[str, ...]) -> tuple[tuple[str, ...], Alignment]:
    """The letters at the places `order`, and these places as the alignment."""
    return tuple(letters[i] for i in order), tuple((i,) for i in order)
