"""A profile read back: what it says of itself, one measure of all heads at a time, and the texts that stand out.

Torch is not needed for it. A page of a browser and a table of 100,000 texts are fine: a measure is read when asked for.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import (
    DamagedProfile,
    HeadlightError,
    NewerProfile,
    NoProfile,
    NotAProfile,
    NotARegularFile,
    ProfileTooLarge,
    UnknownOption,
)  # fmt: skip
from model.files.parquet_pages import pages
from model.files.regular import irregular
from model.profile.schema import FORMAT, HEAD, KEY, KEYS, QUERIES, SITE, SOURCE, TEXT, VERDICTS, VERSION

LARGEST = 50_000_000  # rows: 200 MB a measure
LARGEST_GIVEN, _LARGEST_BYTES = 5_000_000, 2**28  # of bytes that are handed in, by whom nobody knows; unfolded
_FEW = 1_000_000
_SITE = re.compile(r"(encoder|decoder)\.[0-9]{1,4}\.(self|cross)")
_MEASURE = re.compile("[a-z0-9_]{1,24}")
_COUNTS = ("texts", "measured")
_TEXTS = ("command", "model", "given", "weights_hash", "language", "texts_file")


@dataclass(frozen=True)
class Refused:
    """One text that the model refused: its index, its beginning, and the error's code, sentence and values."""

    text: int
    source: str
    code: str
    sentence: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Profile:
    """An opened profile. heads: (site, head) in the model's order; texts: the index of each measured text.

    Arrays over both are [text, head], float32, NaN where a text has no query that the measure is about.
    """

    name: str
    about: Mapping[str, Any]
    heads: tuple[tuple[str, int], ...]
    texts: np.ndarray
    _bytes: bytes | Path = field(repr=False)

    @staticmethod
    def open(place: Path | bytes, name: str = "") -> Profile:
        """A file, or what was handed in. Raises the errors of profiles, and NotARegularFile."""
        name = name or (str(place) if isinstance(place, Path) else "profile")
        if isinstance(place, Path) and not place.is_file():
            raise NotARegularFile(path=name, kind=kind) if (kind := irregular(place)) else NoProfile(path=name)
        about = _about(place, name)
        try:
            found = _read(place, [TEXT, SITE, HEAD])
            heads, texts = _layout(found)
        except (pa.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
            raise DamagedProfile(path=name) from error
        if len(texts) != about["measured"]:
            raise DamagedProfile(path=name)
        return Profile(name, about, heads, texts, place)

    @property
    def measures(self) -> list[str]:
        return list(self.about["measures"])

    @cached_property
    def refused(self) -> tuple[Refused, ...]:
        """The refused texts, as far as they are listed; `about["refused"]["count"]` counts all."""
        return tuple(Refused(**one) for one in self.about["refused"]["listed"])

    @property
    def check(self) -> dict[str, int] | None:
        """How many texts have a record that holds, fails or could not be checked; None where it was never looked at."""
        told = self.about.get("check")
        return None if told is None else {verdict: told[verdict] for verdict in VERDICTS}

    @property
    def largest_error(self) -> float | None:
        """The furthest that any sub-layer is off its module's own output, None where none was checked."""
        told = (self.about.get("check") or {}).get("largest")
        return None if told is None else float(told)

    def values(self, measure: str) -> np.ndarray:
        """[text, head] of one measure. Raises UnknownOption or DamagedProfile."""
        if measure not in self.measures:
            raise UnknownOption(what="Measure", got=measure, allowed=", ".join(self.measures))
        column = self._column(measure)
        return column.to_numpy().astype(np.float32, copy=False).reshape(len(self.texts), len(self.heads))

    @cached_property
    def sources(self) -> list[str]:
        """The texts that were measured, in the order of `texts`."""
        found: list[str] = []
        for rows, start in _chunks(self._column(SOURCE)):  # each has a dictionary of its own
            texts = rows.dictionary.to_pylist()  # a text that stands there often is held once
            found += [texts[i] for i in rows.indices.to_numpy()[-start % len(self.heads) :: len(self.heads)].tolist()]
        return found

    def sizes(self, head: int) -> np.ndarray:
        """[text, 2] how many queries and keys the sub-layer of `heads[head]` had."""
        both = [self._column(name).to_numpy().reshape(len(self.texts), -1)[:, head] for name in (QUERIES, KEYS)]
        return np.stack(both, -1)

    def _column(self, name: str) -> pa.ChunkedArray:
        try:
            return _read(self._bytes, [name])[name]
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DamagedProfile(path=self.name) from error


def language_of(path: Path) -> str | None:
    """The language that a profile's runs wrote, "" where the model has no choice; None of a file that does not say of itself
    that it is a profile. Only its footer is read."""
    try:
        told = (pq.read_schema(path).metadata or {}).get(KEY, b"")
    except (pa.ArrowException, OSError):
        return None
    if FORMAT.encode() not in told:
        return None
    try:
        found = json.loads(told).get("language")
    except (ValueError, AttributeError, RecursionError):  # opening it says what is wrong
        return ""
    return found if isinstance(found, str) else ""


def _read(place: bytes | Path, columns: list[str]) -> pa.Table:
    # A site or a text may stand there a million times, and in the file once.
    names = [name for name in columns if name in (SITE, SOURCE)]
    return pq.read_table(_source(place), columns=columns, partitioning=None, read_dictionary=names)


def _chunks(column: pa.ChunkedArray) -> Iterator[tuple[pa.Array, int]]:
    """Each piece of a column, and how many rows stand before it."""
    start = 0
    for rows in column.chunks:
        yield rows, start
        start += len(rows)


def _source(place: bytes | Path) -> Path | io.BytesIO:
    return place if isinstance(place, Path) else io.BytesIO(place)


def _about(place: bytes | Path, name: str) -> dict[str, Any]:
    """What the footer says, checked before anything large is read."""
    try:
        with pq.ParquetFile(_source(place)) as file:
            rows, told, there = file.metadata.num_rows, file.schema_arrow.metadata or {}, file.schema_arrow
            size = sum(pages(place, file.metadata, there.names)) if KEY in told else 0
    except (pa.ArrowException, OSError) as error:
        raise NotAProfile(path=name) from error
    except ValueError as error:
        raise DamagedProfile(path=name) from error
    if KEY not in told:
        raise NotAProfile(path=name)
    try:
        about = json.loads(told[KEY])
        if about["format"] != FORMAT:
            raise NotAProfile(path=name)
        if about["version"] > VERSION:
            raise NewerProfile(path=name, got=about["version"], allowed=VERSION)
        fine = (
            all(isinstance(about[key], int) and about[key] > 0 for key in _COUNTS)
            and all(isinstance(about[key], str) for key in _TEXTS)
            and {TEXT, SITE, HEAD, QUERIES, KEYS, SOURCE, *about["measures"]} <= set(there.names)
            and all(there.field(name).type == pa.float32() for name in about["measures"])
            and there.field(SOURCE).type in (pa.string(), pa.dictionary(pa.int32(), pa.string()))
            and all(isinstance(name, str) and _MEASURE.fullmatch(name) for name in about["measures"])
            and bool(about["measures"])
            and isinstance(about["made_of"], dict)
            and _refusals(about["refused"])
            and _checked(about.get("check"), about["measured"])
        )
    except HeadlightError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedProfile(path=name) from error
    if not fine:
        raise DamagedProfile(path=name)
    most = LARGEST if isinstance(place, Path) else LARGEST_GIVEN
    packed = len(place) if isinstance(place, bytes) else place.stat().st_size
    # Measures are numbers that nothing packs into less than a byte: of more rows none was measured.
    if rows > min(most, max(_FEW, 4 * packed)) or size > max(_LARGEST_BYTES, 64 * packed):
        raise ProfileTooLarge(path=name, got=f"{rows:,}", allowed=f"{most:,}")
    return about


def _checked(told: object, measured: int) -> bool:
    """Whether what the footer says of the checks adds up; files of version 1 say nothing."""
    if told is None:
        return True
    float(told["largest"] or 0)
    return sum(told[verdict] for verdict in VERDICTS) == measured


def _refusals(told: Mapping[str, Any]) -> bool:
    """Whether what a profile says of refused texts is that."""
    counts = [told["count"], *told.get("reasons", {}).values()]
    listed = [Refused(**one) for one in told["listed"]]
    return (
        all(type(count) is int and count >= 0 for count in counts)
        and all(type(one.text) is int and isinstance(one.values, dict) for one in listed)
        and all(isinstance(part, str) for one in listed for part in (one.source, one.code, one.sentence))
    )


def _layout(rows: pa.Table) -> tuple[tuple[tuple[str, int], ...], np.ndarray]:
    """The heads of the first text, which every other has in the same order, and the indices of the texts."""
    text, head = rows[TEXT].to_numpy(), rows[HEAD].to_numpy()
    count = int(np.argmax(text != text[0])) or len(text)
    names = rows[SITE].slice(0, count).to_pylist()
    codes = _codes(rows[SITE])
    same = (
        len(text) % count == 0
        and (text.reshape(-1, count) == text.reshape(-1, count)[:, :1]).all()
        and (head.reshape(-1, count) == head[:count]).all()
        and (codes.reshape(-1, count) == codes[:count]).all()
    )
    heads = head[:count].tolist()
    sizes = Counter(names)
    whole = all(_SITE.fullmatch(name or "") for name in sizes) and heads == [
        h for n in sizes.values() for h in range(n)
    ]
    if not same or not whole:
        raise ValueError("the rows of the texts differ")
    return tuple(zip(names, heads, strict=True)), text.reshape(-1, count)[:, 0]


def _codes(site: pa.ChunkedArray) -> np.ndarray:
    """A number for each site's name, the same in every row group."""
    numbers: dict[object, int] = {}
    found = [np.zeros(0, np.int32)]
    for rows in site.chunks:
        own = np.array([numbers.setdefault(name, len(numbers)) for name in rows.dictionary.to_pylist()], np.int32)
        found.append(own[rows.indices.to_numpy()])
    return np.concatenate(found)
