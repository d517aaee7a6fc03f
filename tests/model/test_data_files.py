"""Files of texts that people bring: every kind gives the same lines, broken ones a sentence or a report, splits stay."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data_files.check import check, words
from model.data_files.read import DataFile, Line
from model.data_files.split import PARTS, part_of
from model.errors import DataFileRefused, NothingLeft, UnknownOption

PAIRS = [("I like cats", "我喜欢猫"), ("she said “no”", "elle a dit, « non »"), ("a; b", 'c "d"')]


def tsv(pairs) -> str:
    return "".join(f"{source}\t{target}\n" for source, target in pairs)


def written(folder: Path, kind: str) -> Path:
    path = folder / f"pairs.{kind}"
    if kind == "parquet":
        pq.write_table(
            pa.table({"id": [1, 2, 3], "target": [t for _, t in PAIRS], "source": [s for s, _ in PAIRS]}), path
        )
    elif kind == "csv":
        import pandas as pd

        pd.DataFrame({"target": [t for _, t in PAIRS], "source": [s for s, _ in PAIRS]}).to_csv(path, index=False)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps({"translation": {"en": s, "zh": t}}) + "\n" for s, t in PAIRS))
    else:
        path.write_text(tsv(PAIRS), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["tsv", "txt", "csv", "jsonl", "parquet"])
@pytest.mark.parametrize("handed_in", [False, True])
def test_every_kind_gives_the_same_pairs(tmp_path: Path, kind: str, handed_in: bool) -> None:
    path = written(tmp_path, kind)
    file = DataFile.open(path.read_bytes(), path.name) if handed_in else DataFile.open(path)
    assert file.parallel and [(line.source, line.target) for line in file] == PAIRS
    first = 2 if kind == "csv" else 1
    assert [line.number for line in file] == [first, first + 1, first + 2]
    assert file.digest() == DataFile.open(path).digest()


@pytest.mark.parametrize(
    ("data", "name", "codec"),
    [
        (tsv(PAIRS).encode(), "UTF-8", "utf-8"),
        (tsv(PAIRS).encode("utf-8-sig"), "UTF-8 with a byte order mark", "utf-8-sig"),
        (tsv(PAIRS).encode("utf-16"), "UTF-16", "utf-16"),
        (tsv(PAIRS[:1] * 2).replace("我喜欢猫", "chats").encode("utf-16-le"), "UTF-16 without a byte order mark", "utf-16-le"),
        ("the café\tle café\n".encode("latin-1"), "Latin-1", "latin-1"),
        ("ok\tok\n“quoted”\tcafé\n".encode("cp1252"), "Windows-1252", "cp1252"),
    ],
)  # fmt: skip
def test_an_encoding_is_told(data: bytes, name: str, codec: str) -> None:
    file = DataFile.open(data, "pairs.tsv")
    assert (file.encoding.name, file.encoding.codec) == (name, codec)
    assert [(line.source, line.target) for line in file] == [
        tuple(line.split("\t")) for line in data.decode(codec).splitlines()
    ]
    found = check(file).findings
    assert ("encoding" in found) == (codec in ("latin-1", "cp1252"))
    if codec == "cp1252":
        assert found["encoding"].lines == [2] and "Windows-1252" in str(found["encoding"])


def zipped_bomb() -> bytes:
    """A Parquet of a few kilobytes whose one page unfolds to 256 MB."""
    out = pa.BufferOutputStream()
    table = pa.table({"source": ["a" * 2**20] * 256, "target": ["b"] * 256})
    pq.write_table(table, out, compression="zstd", use_dictionary=False, data_page_size=2**30)
    return out.getvalue().to_pybytes()


REFUSED = {
    "cut.tsv": (tsv(PAIRS).encode()[:-26] + "猫".encode()[:2], "ends in the middle of a character, at line 2"),
    "damaged.tsv": ("猫猫猫\ta\n".encode() + b"\xff\xfe\xffx\tb\n", "UTF-8 with damaged bytes, the first at line 2"),
    "zeros.txt": (b"abc\0\0\1def\nabc def ghi jkl mno pqr stu\n", "bytes of zero"),
    "more zeros.tsv": (b"a\0b\0\0\0c\n", "bytes of zero"),
    "packed.tsv": (b"\x1f\x8b\x08\0rest", "packed with gzip"),
    "sheet.csv": (b"PK\x03\x04rest", "an Excel sheet"),
    "empty.txt": (b"", "there is no text in it"),
    "open.csv": (
        b'source,target\na,b\n"c,d\ne,f\n',
        "damaged CSV from line 3 on (a quotation mark that is never closed)",
    ),
    "list.json": (b'[{"source": "a", "target": "b"}]', "one JSON list"),
    "words.jsonl": (b"the cat\nthe dog\n", "none of its first 20 lines is a JSON object"),
    "names.jsonl": (b'{"a": "x", "b": "y", "c": "z"}\n', "no two columns “source” and “target” (its columns: a, b, c)"),
    "pairs.parquet": (b"PAR1 and more", "damaged or not a Parquet file"),
    "bomb.parquet": (None, "a page of it unfolds to 268,"),
    "long.txt": (b"a" * (2**22 + 1), "line 1 has more than 4,194,304 characters"),
    "control.txt": (bytes(range(1, 9)) * 20 + b"\n", "control characters"),
    "undefined.txt": (b"caf\xe9 \x81\n", "neither UTF-8, UTF-16 nor Latin-1"),
    "half.txt": ("abc".encode("utf-16")[:-1], "begins as UTF-16 and is damaged at line 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_one_right_sentence(name: str) -> None:
    data, said = REFUSED[name]
    parallel = True if name == "names.jsonl" else None
    with pytest.raises(DataFileRefused) as error:
        list(DataFile.open(zipped_bomb() if data is None else data, name, parallel=parallel))
    assert said in str(error.value) and name in str(error.value) and "\n" not in str(error.value)
    assert len(str(error.value)) <= 300


def test_no_file_and_what_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataFileRefused, match="no such file"):
        DataFile.open(tmp_path / "nowhere.tsv")
    with pytest.raises(DataFileRefused, match="is a folder"):
        DataFile.open(tmp_path)
    with pytest.raises(DataFileRefused, match="no column “b”"):
        DataFile.open(b"source,target\nx,y\n", "a.csv", columns=("source", "b"))


BROKEN = (
    "a cat sat\tun chat\n"      # 1
    "\n"                         # 2 empty
    "a dog\t\n"                  # 3 empty on one side
    "a cat sat\tun chat\n"      # 4 duplicate of 1
    "three\tcolumns\there\n"    # 5
    "one column\n"               # 6
    "one two three four five six seven\tun\n"  # 7 long
    "  a cat sat \tun chat  \n"  # 8 duplicate of 1 but for spaces
    "a bird\tun oiseau\n"       # 9
)  # fmt: skip


def test_a_report_names_the_lines() -> None:
    report = check(DataFile.open(BROKEN.encode(), "broken.tsv"), longest=6, shares=(1.0, 0.0, 0.0))
    assert report.rows == 9
    assert {kind: one.lines for kind, one in report.findings.items()} == {
        "columns": [5, 6], "empty": [2, 3], "duplicate": [4, 8], "long": [7],
    }  # fmt: skip
    assert str(report.findings["long"]) == "1 lines have more than 6 words. Line numbers: 7."
    assert "another number of columns than 2. Line numbers: 5, 6." in str(report)
    assert [line.number for line in report.lines()] == [1, 9]
    kept = report.lines({"duplicate": "keep", "long": "cut", "columns": "cut"})
    assert [(line.number, line.source, line.target) for line in kept] == [
        (1, "a cat sat", "un chat"), (4, "a cat sat", "un chat"), (5, "three", "columns"),
        (7, "one two three four five six", "un"), (8, "a cat sat", "un chat"), (9, "a bird", "un oiseau"),
    ]  # fmt: skip
    assert [line.number for line in report.lines({"long": "keep"})] == [1, 7, 9]
    with pytest.raises(UnknownOption, match="leave_out"):
        list(report.lines({"empty": "keep"}))
    with pytest.raises(NothingLeft, match="none is left"):
        list(check(DataFile.open(b"\t\n\t\n", "b.tsv")).lines())


def test_broken_json_lines_and_other_types_are_reported() -> None:
    text = (
        '{"source": "a", "target": "b"}\nnot json\n{"source": 3, "target": "b"}\n{"source": "c"}\n'
        + "[" * 100_000
        + "\n"
    )
    report = check(DataFile.open(text.encode(), "x.jsonl"))
    assert {kind: one.lines for kind, one in report.findings.items()} == {
        "not_json": [2, 5],
        "not_text": [3],
        "columns": [4],
    }
    assert [line.number for line in report.lines()] == [1]


def test_overlap_and_words_that_training_lacks() -> None:
    train = DataFile.open(b"the cat sat\tx\nthe dog ran\ty\n", "train.tsv")
    test = DataFile.open(b"the cat sat\tz\nthe zebra ran away\tq y\n", "test.tsv")
    report = check(train, test=test)
    assert report.findings["overlap"].lines == [1]
    lacking = report.findings["unknown_words"]
    # of the 10 words of the test (3 + 1, 4 + 2) zebra, away, z and q are in no training line
    assert lacking.lines == [1, 2] and lacking.values["words"] == ["away", "q", "z", "zebra"]
    assert lacking.values["share"] == pytest.approx(4 / 10)
    assert [line.source for line in report.lines()] == ["the dog ran"]
    assert [line.source for line in report.lines({"overlap": "keep"})] == ["the cat sat", "the dog ran"]


def test_words_that_the_training_part_of_a_split_lacks() -> None:
    sentences = [f"number {i} here" for i in range(200)]
    report = check(DataFile.open("\n".join(sentences).encode(), "numbers.txt"))
    test = [i for i in range(200) if part_of(sentences[i]) == "test"]
    assert report.parts == {part: sum(part_of(s) == part for s in sentences) for part in PARTS}
    assert report.findings["unknown_words"].count == len(test)
    assert report.findings["unknown_words"].values["share"] == pytest.approx(1 / 3)
    left = [line.source for line in report.lines({"unknown_words": "leave_out"})]
    assert left == [s for i, s in enumerate(sentences) if i not in test]


def test_a_split_survives_another_order_and_more_lines() -> None:
    lines = [Line(i, f"sentence {i}") for i in range(3000)]
    before = {line.source: part_of(line.source) for line in lines}
    random.Random(0).shuffle(lines)
    assert all(part_of(line.source) == before[line.source] for line in lines)
    assert part_of("  sentence 1 ") == before["sentence 1"] and part_of("e\u0301") == part_of("é")
    shares = [list(before.values()).count(part) / 3000 for part in PARTS]
    # three standard deviations of a share of 0.1 of 3,000 are 0.016
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.025)
    assert any(part_of(line.source, seed=1) != before[line.source] for line in lines)
    assert {part_of(line.source, (0, 0, 1)) for line in lines} == {"test"}


def test_a_running_text_is_cut_at_spaces() -> None:
    text = "It was a bright cold day in April,\nand the clocks were striking thirteen.\n\nWinston " + "x" * 30
    pieces = list(DataFile.open(text.encode(), "novel.txt", piece=20))
    assert all(0 < len(line.source) <= 20 for line in pieces)
    assert "".join("".join(line.source for line in pieces).split()) == "".join(text.split())
    assert [line.number for line in pieces] == [1, 1, 2, 2, 4, 4, 4]
    assert pieces[0].source == "It was a bright cold"


def test_words_are_letters_han_characters_and_signs() -> None:
    assert words("I like 猫咪, l'été.") == ["I", "like", "猫", "咪", ",", "l", "'", "été", "."]


def test_a_semicolon_csv_and_named_columns() -> None:
    file = DataFile.open(b"id;question;answer\n1;who, me?;yes\n2;where;here\n", "qa.csv")
    assert [(line.source, line.target) for line in file] == [("who, me?", "yes"), ("where", "here")]
    plain = DataFile.open(b"text,label\nhello there,1\n", "a.csv", columns=("text",))
    assert not plain.parallel and [line.source for line in plain] == ["hello there"]
