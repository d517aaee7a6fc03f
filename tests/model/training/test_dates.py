"""Written dates are read back by a parser that shares nothing with the writer but Babel's names of the months."""

from __future__ import annotations

import datetime
import re

import pytest

from model.training.dates import FORMATS, Date, dates, split_of


@pytest.fixture(scope="module")
def sample() -> list[Date]:
    return dates(3000, seed=2)


def months(locale: str) -> dict[str, int]:
    from babel import Locale

    names = Locale.parse(locale).months["format"]
    found = {}
    for width in ("wide", "abbreviated"):
        found |= {name.lower().rstrip("."): number for number, name in names[width].items()}
    return found


def read(text: str, locale: str) -> datetime.date:
    """Year: four digits. Day: the other number; where there are two others, the locale's order decides."""
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    year = next(n for n in numbers if n >= 1900)
    rest = [n for n in numbers if n < 1900]
    if len(rest) == 2:
        month, day = rest if locale == "zh" else rest[::-1]
    else:
        words = re.findall(r"[^\W\d]+", text.lower())
        table = months(locale)
        (month,), (day,) = {table[word] for word in words if word in table}, rest
    return datetime.date(year, month, day)


def test_every_date_reads_back(sample: list[Date]) -> None:
    for date in sample:
        assert read(date.text, date.locale).isoformat() == date.iso, date


def test_no_text_means_two_dates(sample: list[Date]) -> None:
    known: dict[str, str] = {}
    for date in sample:
        assert known.setdefault(date.text, date.iso) == date.iso


def test_weekdays_are_true(sample: list[Date]) -> None:
    names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    checked = 0
    for date in sample:
        for index, name in enumerate(names):
            if name in date.text:
                assert datetime.date.fromisoformat(date.iso).weekday() == index
                checked += 1
    assert checked > 50


def test_names_are_babels_own() -> None:
    """A date put together from parts is what Babel writes for the whole pattern."""
    from babel.dates import format_date

    from model.training.dates import write

    for locale, patterns in FORMATS.items():
        for pattern in patterns:
            if "do" in pattern or "'" in pattern:
                continue
            for day in (datetime.date(1999, 12, 31), datetime.date(2024, 2, 9), datetime.date(1931, 8, 15)):
                assert write(day, pattern, locale).text == format_date(day, pattern, locale=locale)


def test_alignment_points_at_the_digits(sample: list[Date]) -> None:
    for date in sample:
        assert len(date.alignment) == len(date.iso) == 10
        for character, positions in zip(date.iso[:4], date.alignment[:4], strict=True):
            assert [date.text[i] for i in positions] == [character]
        assert date.alignment[4] == date.alignment[7] == ()
        assert all(date.alignment[t] for t in (5, 6, 8, 9))
        assert date.iso[9] == date.text[date.alignment[9][-1]]


def test_all_languages_years_and_splits() -> None:
    found = dates(4000, seed=3)
    assert {date.locale for date in found} == {"en", "fr", "de", "zh"}
    years = {int(date.iso[:4]) for date in found}
    assert min(years) == 1900 and max(years) == 2099
    held = {split: {date.iso for date in dates(500, 1, split)} for split in ("train", "validation", "test")}
    assert not held["train"] & held["test"] and not held["train"] & held["validation"]
    assert all(split_of(datetime.date.fromisoformat(iso)) == "test" for iso in held["test"])


def test_a_seed_gives_the_same_dates() -> None:
    assert dates(100, 7) == dates(100, 7) != dates(100, 8)
