"""Dates as people write them → ISO: the second model that ships."""

from __future__ import annotations

from model.training.data import Example
from model.training.tasks.task import SMALL, Task


def _examples(split: str, language: str, count: int, seed: int) -> list[Example]:
    from model.training.dates import dates

    return [Example(tuple(date.text), tuple(date.iso), language, date.alignment) for date in dates(count, seed, split)]


TASK = Task(
    "dates",
    "pairs",
    "characters",
    {"iso": "<s>"},
    _examples,
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
)
