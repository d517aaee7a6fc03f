"""Files of one's own as examples: checked, cut into words, characters or subwords, no source in two parts of the split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.data_files.check import Report, check
from model.data_files.read import DataFile, Line
from model.data_files.split import PARTS, part_of, text_hash
from model.errors import DataFileRefused, TooFewLines
from model.text.byte_pair import BytePair
from model.text.tokenizer import pieces_of
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
    place: str | Path | bytes, parallel: bool, vocabulary: str, room: int | None = None, name: str = ""
) -> Report:  # fmt: skip
    """What is odd in a file (a path, or bytes that were handed in as `name`), as a training on it sees it.

    vocabulary: "words", "characters" or "subwords". room: words or characters that a side may have, None for any. Raises
    DataFileRefused or TooManyLines.
    """
    kind = "words" if vocabulary == "subwords" else vocabulary
    file = DataFile.open(place, name, parallel=parallel)
    return check(file, longest=room, pieces=lambda text: pieces_of(text, kind))


def lines_of(options: Options, parallel: bool, room: int | None) -> tuple[dict[str, list[Line]], dict[str, Any]]:
    """{"train", "validation", "test"} of the file as its check and `options.choices` leave it, and what the card says of it.

    room: words or characters that a side may have, None for any. Raises DataFileRefused, NothingLeft, TooManyLines, TooFewLines.
    """
    report = report_of(options.data, parallel, options.vocabulary, room)
    file = report.file
    found: dict[str, list[Line]] = {part: [] for part in PARTS}
    for line in report.lines(options.choices):
        found[part_of(line.source)].append(line)
    count = sum(map(len, found.values()))
    if count < _FEWEST:
        raise TooFewLines(path=file.name, got=count)
    for part in (
        "test",
        "validation",
    ):  # a short file may have none of a part: the same lines are taken from the largest
        found["train"].sort(key=lambda line: text_hash(line.source))
        found[part] = (found[part] or [found["train"].pop()])[: _MOST[part]]
    odd = {kind: finding.count for kind, finding in report.findings.items()}
    return found, {"source_file": file.name, "lines": report.rows, "left_out": report.rows - count, "odd_lines": odd}


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
