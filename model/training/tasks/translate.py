"""English → 中文 and français by our own grammar: the first model that ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model.training.data import Example, Vocabulary
from model.training.tasks.task import SMALL, Task

if TYPE_CHECKING:
    from model.transformer.encoder_decoder import Transformer


def _examples(split: str, language: str, count: int, seed: int) -> list[Example]:
    from model.training.language.grammar import pairs

    return [Example(pair.source, pair.target, language, pair.alignment) for pair in pairs(language, count, seed, split)]


def _coreference(module: Transformer, vocabulary: Vocabulary) -> dict[str, Any] | None:
    from model.training.coreference import coreference

    return coreference(module, vocabulary)


TASK = Task(
    "translate",
    "pairs",
    "words",
    {"zh": "<zh>", "fr": "<fr>"},
    _examples,
    train_size=60_000,
    steps=6_000,
    batch=64,
    sizes=SMALL,
    measures={"coreference": _coreference},
    card={
        "title": {"en": "English → 中文 and français", "zh": "英语 → 中文、法语"},
        "description": {
            "en": "A small encoder–decoder that translates short English sentences word by word into Chinese or "
            "French; the decoder's start token says which.",
            "zh": "小型编码器—解码器，把简短的英语句子译成中文或法语；由解码器的起始词元决定译成哪种语言。",
        },
        "data": {
            "en": "Parallel sentences with gold word alignments, made by this project's own grammar "
            "(model/training/language/grammar.py); no text from elsewhere.",
            "zh": "由本项目自己的语法（model/training/language/grammar.py）生成的平行句对，"
            "带标准词对齐；没有其他来源的文本。",
        },
        "examples": [
            "she gave him a red apple",
            "I like cats",
            "the cat sat on the mat",
            "the animal didn't cross the street because it was too tired",
            "the animal didn't cross the street because it was too wide",
            "yesterday I bought two books at the market",
            "there is a small black cat under the table",
            "how many umbrellas does your sister have?",
        ],
        # Its words change places in French, not in Chinese: the ribbons of the first screen cross.
        "first_in": "fr",
    },
)
