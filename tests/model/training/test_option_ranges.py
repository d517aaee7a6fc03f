"""Numbers that torch or the model cannot take are refused before a run is begun, by the name of their option."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model import open_model
from model.__main__ import main
from model.data_files.read import DataFile
from model.errors import BadOption, DataFileRefused
from model.evaluation.run import evaluate
from model.training.coreference import cases, coreference
from model.training.data import Vocabulary
from model.training.options import options_of
from model.training.seeds import begin_seeds
from model.training.tasks.registry import TASKS
from model.training.train import begin, go_on
from model.training.trainer import untrained

TINY = {"d_model": 8, "heads": 2, "d_ff": 8, "batch": 4, "snapshots": 2, "steps": 2}


@pytest.mark.parametrize("given", [
    {"seed": 2**63}, {"seed": 10**30}, {"threads": 10**11}, {"batch": 2**63 - 1}, {"peak": "x"}, {"peak": True},
    {"warmup": 10**30}, {"snapshots": 10**9}, {"d_model": 10**9}, {"max_length": 10**12}, {"log_dir": 5}, {"schedule": []},
    {"max_length": 4}, {"max_length": 8},
])  # fmt: skip
def test_a_number_out_of_range_is_refused_by_its_name(given: dict[str, object]) -> None:
    with pytest.raises(BadOption, match=next(iter(given))) as refused:
        options_of("copy", **given)
    assert len(str(refused.value)) <= 300


def test_the_command_begins_no_run_of_them(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "run"
    for given in (["copy", "--max-length", "4"], ["copy", "--seed", str(2**64)], ["copy", "--seeds", "100000000000"]):
        assert main(["train", *given, "--out", str(out)]) == 2
        assert capsys.readouterr().err.count("\n") == 1 and not out.exists()
    assert options_of("copy", max_length=9).sizes["max_length"] == 9
    with pytest.raises(BadOption):
        begin_seeds(options_of("copy"), out, 10**6)


@pytest.mark.parametrize(("task", "least"), [("text", 3), ("parallel", 3), ("masked-text", 1)])
def test_a_text_of_ones_own_needs_room_for_a_token(task: str, least: int, tmp_path: Path) -> None:
    file = tmp_path / "own.tsv"
    file.write_text("".join(f"a{i}\tb{i}\n" if task == "parallel" else f"a{i}\n" for i in range(40)), "utf-8")
    if least > 1:
        with pytest.raises(BadOption, match=f"max_length is {least - 1}, but it must be at least {least}"):
            options_of(task, data=str(file), max_length=least - 1)
    go_on(begin(options_of(task, data=str(file), max_length=least, **TINY), tmp_path / "run"))


def test_halves_of_characters_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    rows = [
        '{"source": "a \\ud800", "target": "b"}',
        *(json.dumps({"source": f"a {i}", "target": f"b é{i}"}) for i in range(30)),
    ]
    file.write_text("\n".join(rows), "utf-8")
    assert [row.fault for row in DataFile.open(file).rows()] == ["not_text"] + [""] * 30
    for vocabulary in ("words", "characters", "subwords"):
        go_on(begin(options_of("parallel", data=str(file), vocabulary=vocabulary, **TINY), tmp_path / vocabulary))


def test_two_columns_of_one_name_are_one_sentence(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"] * 30), pa.array(["b"] * 30)], names=["text", "text"])
    pq.write_table(table, tmp_path / "own.parquet")
    with pytest.raises(DataFileRefused, match="two of its columns are called “text”"):
        DataFile.open(tmp_path / "own.parquet")


def test_subwords_of_a_text_that_spells_their_marks_are_read_as_they_were_trained(tmp_path: Path) -> None:
    file = tmp_path / "own.tsv"
    file.write_text("".join(f"the <pad> number {i} <s>\tle </s> nombre {i}\n" for i in range(40)), "utf-8")
    go_on(begin(options_of("parallel", data=str(file), vocabulary="subwords", **TINY), tmp_path / "run"))
    model = open_model(tmp_path / "run")
    reading = model.read("the <pad> number 3 <s>")
    assert not {"<pad>", "<s>"} & set(reading.tokens) and model.source.text(reading.tokens) == "the <pad> number 3 <s>"
    assert evaluate(model, DataFile.open(file)).examples == 40


def test_a_vocabulary_without_the_words_of_a_measure_leaves_it_out() -> None:
    task, options = TASKS["translate"], options_of("translate", **TINY)
    every = [case.example for case in cases(300)]
    few = Vocabulary.of(every[:5], "words", task.starts)
    data = type("D", (), {"vocabulary": few})
    assert coreference(untrained(options, data), few) is None
    whole = Vocabulary.of(every, "words", task.starts)
    data.vocabulary = whole
    assert coreference(untrained(options, data).eval(), whole)["n"] == 300
