"""Induction: a random sequence that comes again, in which only an induction head can know what follows (Olsson et al. 2022).

A two-layer decoder of attention alone (Elhage et al. 2021) learns it: a head of the first layer looks at the previous token,
and one of the second at the token that followed the last time.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from model.training.data import Example, Vocabulary
from model.training.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from model.transformer.encoder_decoder import Transformer

    Head = tuple[str, int, float]  # site, head, share of the attention

LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
SHORTEST, LONGEST = 6, 26  # letters that are repeated


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


def heads_found(module: Transformer, vocabulary: Vocabulary, texts: int = 32) -> tuple[Head, Head] | None:
    """(previous-token head, induction head): those with the largest share on texts of 26 letters in random order, twice.

    The first: mean of A[i, i − 1] over the queries that have a key before them. The second: mean over the queries of the second
    half of A[i, i − 25], the letter that followed the last time ("prefix matching", Olsson et al. 2022). None of a model whose
    scores have more to them than q·kᵀ / √d_k.
    """
    import torch

    from model.training.evaluate import decoder_weights

    if (
        module.config.positions in ("alibi", "relative")
        or module.config.encoder_layers
        or module.config.max_length < 53
    ):
        return None
    random, ids = Random(0), {token: number for number, token in enumerate(vocabulary.target)}
    start = ids[next(iter(vocabulary.starts.values()))]
    every = [[ids[letter] for letter in random.sample(LETTERS, len(LETTERS))] for _ in range(texts)]
    target = torch.tensor([[start, *letters, *letters] for letters in every])
    weights, n = decoder_weights(module, target), len(LETTERS)
    before = {site: w.diagonal(-1, 2, 3).mean((0, 2)) for site, w in weights.items()}
    after = {site: w[:, :, n + 1 :].diagonal(2, 2, 3).mean((0, 2)) for site, w in weights.items()}
    return _largest(before), _largest(after)


def _largest(shares: dict[str, Tensor]) -> Head:
    every = ((site, head, value) for site, row in shares.items() for head, value in enumerate(row.tolist()))
    return max(every, key=lambda found: found[2])


def _head(module: Transformer, vocabulary: Vocabulary) -> list[object] | None:
    """The induction head, as the card names the head to look at."""
    found = heads_found(module, vocabulary)
    return None if found is None else list(found[1][:2])


def _notice(module: Transformer, vocabulary: Vocabulary) -> dict[str, str]:
    """What to look at, with the heads' numbers."""
    found = heads_found(module, vocabulary)
    if found is None:
        return {}
    (first, head, share), (second, other, mass) = found
    return {
        "en": f"Head {head} of {first} puts {share:.2f} of its attention on the previous token; head {other} of {second} "
        f"puts {mass:.2f} on the token that followed the last time, at random letters twice.",
        "zh": f"{first} 的头 {head} 把 {share:.2f} 的注意力放在前一个词元上；{second} 的头 {other} "
        f"在重复两遍的随机字母上，把 {mass:.2f} 的注意力放在上一次之后的词元上。",
    }


TASK = Task(
    "induction",
    "next",
    "characters",
    {"text": "<s>"},
    _examples,
    train_size=40_000,
    steps=1_500,
    batch=64,
    # Rotary: with positions in the stream the attention to the previous token spreads over several heads.
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
    peak=3e-3,
    warmup=100,
    dropout=0.0,
    average=0.99,
    test_size=1000,
    validation_size=300,
    symbols=LETTERS,
    metrics={"repeat_accuracy": _repeat_accuracy},
    measures={"head": _head, "notice": _notice},
    card={
        "title": {"en": "Induction heads", "zh": "归纳头"},
        "description": {
            "en": "Two layers of attention alone that go on with letters which came before: one head looks at the previous "
            "token, one at what followed it the last time.",
            "zh": "只有注意力的两层解码器，续写重复出现的字母：一个头看前一个词元，另一个头看它上一次之后的词元。",
        },
        "data": {"en": "Random letters, 6 to 26 of them, written twice.", "zh": "6 到 26 个随机字母，写两遍。"},
        "examples": ["qwertyqwer", "abcdefghabc", "zyxwvuzyx", "helloworldhellow", "mnbvcxzmnbv", "catfishcatf"],
    },
)
