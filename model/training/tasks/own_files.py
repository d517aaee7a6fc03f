"""Files of one's own as examples: checked, cut into words, characters or subwords, no source in two parts of the split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.data_files.check import Report, check
from model.data_files.read import DataFile, Line
from model.data_files.split import PARTS, part_of, text_hash
from model.errors import DataFileRefused, TooFewLines
from model.text.byte_pair import BytePair
from model.text.tokenizer import is_han, pieces_of
from model.training.data import Example

if TYPE_CHECKING:
    from model.training.options import Options

_MOST = {"test": 1000, "validation": 300}  # lines of each that are measured
_FEWEST = 3


def has_two_columns(path: Path) -> bool:
    """Whether a file holds pairs; False for one that cannot be read, which is said when it is."""
    with suppress(DataFileRefused):
        return DataFile.open(path).parallel
    return False


def report_of(
    place: str | Path | bytes, parallel: bool, vocabulary: str, room: int | None = None, name: str = "", piece: int = 0
) -> Report:  # fmt: skip
    """What is odd in a file (a path, or bytes that were handed in as `name`), as a training on it sees it.

    vocabulary: "words", "characters" or "subwords". room: words or characters that a side may have, None for any. piece:
    characters that a running text is cut into. Raises DataFileRefused or TooManyLines.
    """
    kind = "words" if vocabulary == "subwords" else vocabulary
    file = DataFile.open(place, name, parallel=parallel, piece=piece)
    return check(file, longest=room, pieces=lambda text: pieces_of(text, kind))


@dataclass(frozen=True)
class Parts:
    """The lines of each part that a training takes, and how many these are; kept: lines that the check left, also those beyond
    what is measured of a part. The pieces of a running text that follow each other in "train" are one line there."""

    lines: Mapping[str, list[Line]]
    counts: Mapping[str, int]
    kept: int


def parts_of(report: Report, choices: Mapping[str, str] | None) -> Parts:
    """The lines of a file as its check and what was chosen leave them, each once and in one part.

    Raises NothingLeft, UnknownOption or TooFewLines.
    """
    found: dict[str, list[Line]] = {part: [] for part in PARTS}
    place = {}
    for number, line in enumerate(report.lines(choices)):
        place[id(line)] = number
        found[part_of(line.source)].append(line)
    if len(place) < _FEWEST:
        raise TooFewLines(path=report.file.name, got=len(place))
    for part in (
        "test",
        "validation",
    ):  # a short file may have none of a part: the same lines are taken from the largest
        found["train"].sort(key=lambda line: text_hash(line.source))
        found[part] = (found[part] or [found["train"].pop()])[: _MOST[part]]
    counts = {part: len(lines) for part, lines in found.items()}
    if report.file.piece:
        found["train"].sort(key=lambda line: place[id(line)])
        found["train"] = _joined(found["train"], place)
    return Parts(found, counts, len(place))


def _joined(pieces: Sequence[Line], place: Mapping[int, int]) -> list[Line]:
    """Pieces of a running text that follow each other as one text again: what is cut out of it for training may cross a seam,
    and never one to a piece that is held out."""
    runs: list[list[Line]] = []
    for line in pieces:
        follows = runs and place[id(runs[-1][-1])] + 1 == place[id(line)]
        runs[-1].append(line) if follows else runs.append([line])
    return [Line(run[0].number, joined([line.source for line in run])) for run in runs]


def joined(texts: Sequence[str]) -> str:
    """Texts that follow each other, with the space between them that their writing has: none between Han characters."""
    found = texts[0]
    for text in texts[1:]:
        found += text if is_han(found[-1:]) and is_han(text[:1]) else f" {text}"
    return found


def lines_of(options: Options, parallel: bool, room: int | None) -> tuple[dict[str, list[Line]], dict[str, Any]]:
    """`parts_of` the file of the options, and what the card says of it.

    room: words or characters that a side may have, None for any. Raises DataFileRefused, NothingLeft, TooManyLines, TooFewLines.
    """
    report = report_of(options.data, parallel, options.vocabulary, room, piece=options.piece)
    found = parts_of(report, options.choices)
    odd = {kind: finding.count for kind, finding in report.findings.items()}
    facts = {
        "source_file": report.file.name,
        "lines": report.rows,
        "left_out": report.rows - found.kept,
        "odd_lines": odd,
    }
    return dict(found.lines), facts


class Spelling:
    """Text -> tokens by words, characters or subwords; those are trained on `texts`."""

    def __init__(self, kind: str, texts: Sequence[str], size: int):
        self.kind = kind
        self.byte_pair = BytePair.trained(texts, size) if kind == "subwords" else None

    def __call__(self, text: str) -> tuple[str, ...]:
        return tuple(self.byte_pair.tokens(text) if self.byte_pair else pieces_of(text, self.kind))

    def json(self, first: Sequence[str]) -> str | None:
        """The tokenizer.json whose ids are those of a vocabulary that begins with the tokens `first`; None for the others."""
        return self.byte_pair.json(first) if self.byte_pair else None

    @property
    def every(self) -> tuple[str, ...]:
        """Tokens that may come up in other texts: all subwords; none is known of the others."""
        return self.byte_pair.vocabulary if self.byte_pair else ()


def examples_of(
    lines: dict[str, list[Line]], spelled: Callable[[Line], Sequence[Example]], fits: Callable[[Example], bool], name: str
) -> dict[str, list[Example]]:  # fmt: skip
    """The examples of each part that fit; raises TooFewLines where a part has none."""
    found = {part: [e for line in some for e in spelled(line) if fits(e)] for part, some in lines.items()}
    if not all(found.values()):
        raise TooFewLines(path=name, got=sum(map(len, found.values())))
    return found
