"""Training recipes, one per model that ships: sizes, schedule and data; and the state of a training run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from model.errors import UnknownOption
from model.training.data import Example, Vocabulary
from model.transformer.encoder_decoder import Transformer


@dataclass(frozen=True)
class Recipe:
    """Sizes, schedule and data of one model. `examples(split, language, count, seed)` makes examples of a split."""

    name: str
    kind: str
    starts: Mapping[str, str]
    examples: Callable[[str, str, int, int], list[Example]]
    train_size: int
    steps: int
    batch: int
    sizes: Mapping[str, object] = field(default_factory=dict)
    peak: float = 1.5e-3
    warmup: int = 400
    dropout: float = 0.05
    smoothing: float = 0.0
    average: float = 0.998
    test_size: int = 2000
    validation_size: int = 500
    card: Mapping[str, object] = field(default_factory=dict)
    # What else is measured, by name: functions of (module, vocabulary) whose results go into the card.
    measures: Mapping[str, Callable[[Transformer, Vocabulary], dict[str, object]]] = field(default_factory=dict)

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.starts)


@dataclass
class Run:
    """One training: the model, its running average, and the loss curve [(step, train, validation, learning rate)]."""

    recipe: Recipe
    vocabulary: Vocabulary
    module: Transformer
    average: Transformer
    curve: list[tuple[int, float, float, float]] = field(default_factory=list)
    step: int = 0
    seconds: float = 0.0


SMALL = {"d_model": 128, "heads": 4, "encoder_layers": 2, "decoder_layers": 2, "d_ff": 256, "max_length": 100}
TEST_SEED = 20_000  # validation and test sentences come from their own generators, whatever the training seed


def _sentences(split: str, language: str, count: int, seed: int) -> list[Example]:
    from model.training.language.grammar import pairs

    return [Example(pair.source, pair.target, language, pair.alignment) for pair in pairs(language, count, seed, split)]


def _dates(split: str, language: str, count: int, seed: int) -> list[Example]:
    from model.training.dates import dates

    return [Example(tuple(date.text), tuple(date.iso), language, date.alignment) for date in dates(count, seed, split)]


def _coreference(module: Transformer, vocabulary: Vocabulary) -> dict[str, object]:
    from model.training.coreference import coreference

    return coreference(module, vocabulary)


RECIPES = {
    "translate": Recipe(
        "translate",
        "words",
        {"zh": "<zh>", "fr": "<fr>"},
        _sentences,
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
    ),
    "dates": Recipe(
        "dates",
        "characters",
        {"iso": "<s>"},
        _dates,
        train_size=60_000,
        steps=3_000,
        batch=64,
        sizes=SMALL,
        card={
            "title": {"en": "Dates → ISO", "zh": "日期 → ISO 格式"},
            "description": {
                "en": "A small encoder–decoder that reads a date as people write it in English, French, German or "
                "Chinese, character by character, and writes it as year-month-day.",
                "zh": "小型编码器—解码器，逐字符读入英语、法语、德语或中文书写的日期，写成“年-月-日”。",
            },
            "data": {
                "en": "Dates from 1900 to 2099 written by Babel (locale data of the Unicode CLDR) in many formats.",
                "zh": "1900 至 2099 年的日期，由 Babel（Unicode CLDR 的本地化数据）以多种格式写出。",
            },
            "examples": [
                "November 22, 2026",
                "Sunday, the 22nd of November 2026",
                "Jul 20, 1969",
                "le 14 juillet 1989",
                "dim. 5 déc. 2077",
                "3. Oktober 1990",
                "9.11.1989",
                "2008年8月8日星期五",
            ],
        },
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe called `name`. Raises UnknownOption."""
    if name not in RECIPES:
        raise UnknownOption(what="Model", got=name, allowed=", ".join(RECIPES))
    return RECIPES[name]


@cache
def held_out(name: str, language: str | None = None, count: int = 2000, split: str = "test") -> tuple[Example, ...]:
    """Examples that the shipped model never saw: tokens of source and target, and the gold alignment.

    `source` and `target` are tokens (words, or characters for "dates"); `alignment[t]` are the source positions of
    target token t. language: one of the recipe's; the first where None.
    """
    made = recipe(name)
    language = language or made.languages[0]
    if language not in made.languages:
        raise UnknownOption(what="Language", got=language, allowed=", ".join(made.languages))
    return tuple(made.examples(split, language, count, TEST_SEED))
