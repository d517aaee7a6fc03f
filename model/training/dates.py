"""Dates as people write them (Babel, from the Unicode CLDR) with their ISO form and a gold character alignment.

English, French, German and Chinese; years 1900 to 2099; long and short forms, with and without the weekday. A format is
used only where its locale makes it unambiguous: a purely numeric date is taken from German (day first, with dots) and
Chinese (year first) alone, and no format drops the century.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from random import Random

FIRST_YEAR, LAST_YEAR = 1900, 2099
# Babel patterns: EEEE weekday, MMMM month, MMM short month, d day, y year; "do" is our own English ordinal.
FORMATS: dict[str, tuple[str, ...]] = {
    "en": (
        "MMMM d, y",
        "MMM d, y",
        "EEEE, MMMM d, y",
        "EEE, MMM d, y",
        "d MMMM y",
        "EEEE d MMMM y",
        "MMMM do, y",
        "'the' do 'of' MMMM y",
        "EEEE, 'the' do 'of' MMMM y",
        "d-MMM-y",
        "y, MMMM d",
    ),
    "fr": (
        "d MMMM y",
        "EEEE d MMMM y",
        "EEE d MMM y",
        "d MMM y",
        "'le' d MMMM y",
        "'le' EEEE d MMMM y",
    ),
    "de": (
        "d. MMMM y",
        "EEEE, d. MMMM y",
        "EEE, d. MMM y",
        "d. MMM y",
        "'am' d. MMMM y",
        "'den' d. MMMM y",
        "dd.MM.y",
        "d.M.y",
    ),
    "zh": (
        "y年M月d日",
        "y年M月d日EEEE",
        "y年M月d日 EEE",
        "y 年 M 月 d 日",
        "y年MM月dd日",
        "EEEE，y年M月d日",
    ),
}


@dataclass(frozen=True)
class Date:
    """A date as written, as ISO, and for each ISO character the positions in `text` that say it."""

    text: str
    iso: str
    alignment: tuple[tuple[int, ...], ...]
    locale: str


def _ordinal(day: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if 10 <= day % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


@cache
def _fields(pattern: str) -> tuple[tuple[str, str], ...]:
    """A pattern as (field or "", literal) parts: "d. MMM y" -> (d, ), (, ". "), (MMM, ), …"""
    parts: list[tuple[str, str]] = []
    quoted = False
    i = 0
    while i < len(pattern):
        c = pattern[i]
        if c == "'":
            quoted = not quoted
            i += 1
        elif not quoted and c in "EMdy":
            end = i
            while end < len(pattern) and pattern[end] == c:
                end += 1
            end += pattern[i:end] == "d" and pattern[end : end + 1] == "o"
            parts.append((pattern[i:end], ""))
            i = end
        else:
            parts.append(("", c))
            i += 1
    return tuple(parts)


@cache
def _name(field: str, number: int, locale: str) -> str:
    """A weekday's (0 is Monday) or a month's name as Babel writes it inside a date."""
    from babel.dates import format_date

    day = datetime.date(2024, 1, 1 + number) if field[0] == "E" else datetime.date(2024, number, 1)
    return format_date(day, field, locale=locale)


def write(day: datetime.date, pattern: str, locale: str) -> Date:
    """Write a day in one format; the alignment comes from the parts that the text is put together from."""
    text = ""
    spans: dict[str, tuple[int, int]] = {}
    for field, literal in _fields(pattern):
        if not field:
            said = literal
        elif field[0] == "E":
            said = _name(field, day.weekday(), locale)
        elif field[0] == "y":
            said = str(day.year)
        elif field[0] == "M":
            said = str(day.month).zfill(len(field)) if len(field) < 3 else _name(field, day.month, locale)
        elif field == "do":
            said = _ordinal(day.day)
        else:
            said = "1er" if locale == "fr" and day.day == 1 else str(day.day).zfill(len(field))
        if field:
            spans[field[0]] = (len(text), len(text) + len(said))
        text += said
    return Date(text, day.isoformat(), _alignment(text, spans), locale)


def _alignment(text: str, spans: dict[str, tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    """Year digits one by one; month and day digits one by one where written as digits, else the whole name."""
    found: list[tuple[int, ...]] = []
    start, end = spans["y"]
    found += [(i,) for i in range(start, end)]
    for field in "Md":
        start, end = spans[field]
        digits = [i for i in range(start, end) if text[i].isdigit()]
        found.append(())  # the hyphen of ISO
        if not digits:
            found += [tuple(range(start, end))] * 2
        elif len(digits) == 2:
            found += [(digits[0],), (digits[1],)]
        else:  # "5" -> "05": the zero says only that there is one digit
            found += [tuple(range(start, end)), (digits[0],)]
    return tuple(found)


def split_of(day: datetime.date) -> str:
    """train, validation or test, by the day itself: no format of a test day is ever trained on."""
    number = int.from_bytes(hashlib.sha256(day.isoformat().encode()).digest()[:4], "big") % 100
    return "test" if number < 6 else "validation" if number < 10 else "train"


def draws(seed: int, split: str) -> Iterator[Date]:
    """Endless different dates of one split: every language, and within it every format, as often as the others."""
    random, seen = Random(seed), set()
    first = datetime.date(FIRST_YEAR, 1, 1).toordinal()
    last = datetime.date(LAST_YEAR, 12, 31).toordinal()
    locales = tuple(FORMATS)
    while True:
        day = datetime.date.fromordinal(random.randint(first, last))
        locale = random.choice(locales)
        pattern = random.choice(FORMATS[locale])
        if split_of(day) != split or (day, locale, pattern) in seen:
            continue
        seen.add((day, locale, pattern))
        yield write(day, pattern, locale)


def dates(count: int, seed: int = 0, split: str = "train") -> list[Date]:
    """`count` different written dates of a split."""
    return [date for date, _ in zip(draws(seed, split), range(count), strict=False)]
