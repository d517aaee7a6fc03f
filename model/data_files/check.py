"""What is odd in a file of texts, with line numbers, each with what a person may do about it; and the lines as they chose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from model.data_files.read import DataFile, Line, line_of
from model.data_files.split import SHARES, part_of, text_hash
from model.errors import NothingLeft, TooManyLines, UnknownOption
from model.jobs.progress import tick
from model.text.truncation import longest_start

LEAVE_OUT, KEEP, CUT = "leave_out", "keep", "cut"
# What can be odd, and the choices, the first of which is taken where nobody chooses.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "encoding": (KEEP,), "not_json": (LEAVE_OUT,), "not_text": (LEAVE_OUT,), "columns": (LEAVE_OUT, CUT),
    "empty": (LEAVE_OUT,), "duplicate": (LEAVE_OUT, KEEP), "long": (LEAVE_OUT, CUT, KEEP), "overlap": (LEAVE_OUT, KEEP),
    "unknown_words": (KEEP, LEAVE_OUT), "unbalanced": (KEEP, LEAVE_OUT),
}  # fmt: skip
_SENTENCES = {
    "encoding": "The file is in {name}, not UTF-8, and is read as that.",
    "not_json": "{count} lines are no JSON objects.",
    "not_text": "{count} lines hold something else than a text.",
    "columns": "{count} lines have another number of columns than {width}.",
    "empty": "{count} lines are empty, or empty on one side.",
    "duplicate": "{count} lines repeat an earlier one.",
    "long": "{count} lines have more than {longest} words.",
    "overlap": "{count} training sentences are test sentences too.",
    "unknown_words": "{share:.1%} of the test words ({types} different ones) stand in no training line ({count} test lines).",
    "unbalanced": "In {count} pairs one side is more than {ratio} times as long as the other.",
}
LISTED = 20
MOST_LINES = 1_000_000  # whose hashes are held at once: 100 MB
_RATIO, _SHORT = 9, 9  # of words; a pair with fewer words than that on its longer side is not looked at
_WORD = re.compile(r"[㐀-鿿]|[^\W㐀-鿿]+|[^\w\s]")


def words(text: str) -> list[str]:
    """Runs of letters, single Han characters and single signs: what is counted as a word where no tokenizer is given."""
    return _WORD.findall(text)


@dataclass
class Finding:
    """One kind of oddity: how many lines, the numbers of the first of them, what may be done. `str()` is a sentence."""

    kind: str
    count: int = 0
    lines: list[int] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)

    @property
    def choices(self) -> tuple[str, ...]:
        return CHOICES[self.kind]

    def add(self, number: int) -> None:
        self.count += 1
        if len(self.lines) < LISTED:
            self.lines.append(number)

    def __str__(self) -> str:
        sentence = _SENTENCES[self.kind].format(count=f"{self.count:,}", **self.values)
        named = ", ".join(map(str, self.lines)) + (" …" if self.count > len(self.lines) else "")
        return f"{sentence} Line numbers: {named}." if self.lines else sentence


@dataclass(frozen=True)
class Report:
    """What `check` found. rows: all of the file; parts: how many whole lines fall into each part of the split, where no
    test file was given; findings by kind, in the order of `CHOICES`."""

    file: DataFile
    rows: int
    parts: Mapping[str, int]
    findings: Mapping[str, Finding]
    longest: int | None
    split: Callable[[str], bool]
    count: Callable[[str], int]
    known: frozenset[str] = field(repr=False, default=frozenset())
    tested: frozenset[int] = field(repr=False, default=frozenset())
    pieces: Callable[[str], list[str]] = words

    def __str__(self) -> str:
        head = f"{self.file.name}: {self.rows:,} lines, {self.file.encoding.name}"
        return "\n".join([head, *map(str, self.findings.values())])

    def choice(self, kind: str, choices: Mapping[str, str]) -> str:
        """What is done about a kind. Raises UnknownOption."""
        got = choices.get(kind, CHOICES[kind][0])
        if got not in CHOICES[kind]:
            raise UnknownOption(what=f"For “{kind}”, the choice", got=got, allowed=", ".join(CHOICES[kind]))
        return got

    def left_out(self, choices: Mapping[str, str] | None = None) -> dict[str, int]:
        """How many lines of each kind `lines` leaves out. Raises UnknownOption."""
        kinds = {kind: self.choice(kind, choices or {}) for kind in self.findings}
        return {kind: self.findings[kind].count for kind, done in kinds.items() if done == LEAVE_OUT}

    def lines(self, choices: Mapping[str, str] | None = None) -> Iterator[Line]:
        """The file's lines as they were chosen: kind -> one of `CHOICES`. Raises UnknownOption, at the end NothingLeft."""
        choices = choices or {}
        if unknown := [kind for kind in choices if kind not in CHOICES]:
            raise UnknownOption(what="Kind of line", got=unknown[0], allowed=", ".join(CHOICES))
        done = {kind: self.choice(kind, choices) for kind in CHOICES}
        seen: set[int] = set()
        left = False
        for row in self.file.rows():
            if row.fault == "columns" and done["columns"] == CUT and len(row.cells) > self.file.width:
                row = type(row)(row.number, tuple(row.cells[i] for i in self.file.places))
            if row.fault:
                continue
            line = line_of(row, self.file.parallel)
            odd = {kind for kind in _kinds(line, self, seen) if done[kind] == LEAVE_OUT}
            if odd:
                continue
            left = True
            yield self._cut(line) if done["long"] == CUT else line
        if not left:
            raise NothingLeft(got=f"{self.rows:,}", path=self.file.name)

    def _cut(self, line: Line) -> Line:
        if self.longest is None:
            return line

        def short(text: str) -> str:
            ends = [match.end() for match in _WORD.finditer(text)]
            found = longest_start(text, ends, self.count, self.longest or 0)
            return text if self.count(text) <= (self.longest or 0) or found is None else found.text

        return Line(line.number, short(line.source), None if line.target is None else short(line.target))


def _kinds(line: Line, report: Report, seen: set[int]) -> Iterator[str]:
    """What is odd about one whole line; `seen` holds the lines before it."""
    texts = [text for text in (line.source, line.target) if text is not None]
    if not all(texts):
        yield "empty"
        return
    if (key := text_hash(*texts)) in seen:
        yield "duplicate"
    elif len(seen) >= MOST_LINES:
        raise TooManyLines(path=report.file.name, allowed=f"{MOST_LINES:,}")
    seen.add(key)
    counts = [report.count(text) for text in texts]
    if report.longest is not None and max(counts) > report.longest:
        yield "long"
    if line.target is not None and max(counts) > _SHORT and max(counts) > _RATIO * max(1, min(counts)):
        yield "unbalanced"
    if text_hash(line.source) in report.tested:
        yield "overlap"
    # Without a test file, the test lines are this file's own.
    if not report.tested and report.known and report.split(line.source) and _lacks(texts, report):
        yield "unknown_words"


def _lacks(texts: Iterable[str], report: Report) -> bool:
    return any(word not in report.known for text in texts for word in report.pieces(text))


def check(
    file: DataFile, *, test: DataFile | None = None, longest: int | None = None, pieces: Callable[[str], list[str]] = words,
    shares: tuple[float, float, float] = SHARES, seed: int = 0,
) -> Report:  # fmt: skip
    """Read a file to its end and say what is odd. test: the file it will be tested on, else the test part of its own split.

    longest: words that a line may have; pieces: what a word is, by itself `words` (a tokenizer's tokens where one is given).
    Ticks "checking". Raises DataFileRefused, or TooManyLines above `MOST_LINES`.
    """

    def count(text: str) -> int:
        return len(pieces(text))

    def is_test(source: str) -> bool:
        return test is None and part_of(source, shares, seed) == "test"

    known: set[str] = set()
    parts = dict.fromkeys(("train", "validation", "test"), 0)
    for line in file:
        part = "train" if test is not None else part_of(line.source, shares, seed)
        parts[part] += 1
        if part == "train":
            known.update(pieces(line.source), pieces(line.target or ""))
        if sum(parts.values()) > MOST_LINES:
            raise TooManyLines(path=file.name, allowed=f"{MOST_LINES:,}")
        if line.number % 1000 == 0:
            tick("checking", None)
    tested = frozenset(text_hash(line.source) for line in test) if test is not None else frozenset()
    report = Report(file, 0, parts, {}, longest, is_test, count, frozenset(known), tested, pieces)
    return _found(report, test)


def _found(report: Report, test: DataFile | None) -> Report:
    found = {kind: Finding(kind) for kind in CHOICES}
    if report.file.encoding.codec in ("latin-1", "cp1252"):
        found["encoding"].values["name"] = report.file.encoding.name
        found["encoding"].add(report.file.encoding.line)
    lacking: set[str] = set()
    seen: set[int] = set()
    total = unknown = number = 0
    for number, row in enumerate(report.file.rows(), 1):
        if number % 1000 == 0:
            tick("checking", None)
        if row.fault:
            found[row.fault].add(row.number)
            continue
        for kind in _kinds(line := line_of(row, report.file.parallel), report, seen):
            found[kind].add(row.number)
        if test is None and report.split(line.source):
            tokens = [*report.pieces(line.source), *report.pieces(line.target or "")]
            total, unknown = total + len(tokens), unknown + sum(token not in report.known for token in tokens)
            lacking.update(token for token in tokens if token not in report.known)
    for line in test or ():
        tokens = [*report.pieces(line.source), *report.pieces(line.target or "")]
        total += len(tokens)
        if missing := [token for token in tokens if token not in report.known]:
            unknown += len(missing)
            lacking.update(missing)
            found["unknown_words"].add(line.number)
    found["columns"].values["width"] = report.file.width
    found["long"].values["longest"] = report.longest
    found["unbalanced"].values["ratio"] = _RATIO
    found["unknown_words"].values |= {"share": unknown / max(1, total), "types": f"{len(lacking):,}",
                                      "words": sorted(lacking)[:LISTED]}  # fmt: skip
    return replace(report, rows=number, findings={kind: one for kind, one in found.items() if one.count})
