"""A profile of many texts: its numbers, its texts, and what survives a kill."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from model import open_model
from model.__main__ import main
from model.checkpoints.own import OwnModel
from model.errors import HeadlightError
from model.measures.registry import CHEAP
from model.profile import part_files, table
from model.profile.read import Profile
from model.profile.texts import scan, stream
from model.trace.tensors import MemoryStore
from tests import bounds
from tests.model import tiny

ROOT = Path(__file__).parents[2]
TEXTS = ["the cat sat on the mat", "", "I see the cat", "a black cat ?", "the zebra", "cats like cats", "the the the"]
REFUSED = {1: "empty_text", 4: "unknown_words"}
# The command with its work on disk every now and then, as often as a test can wait.
QUICK = (
    "import sys, model.profile.run as run, model.jobs.part_files as parts; run.SAVED, parts.CHUNK = 0.02, 8;"
    "from model.__main__ import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """One that writes few tokens, so that a text takes no time."""
    return tiny.write_checkpoint(tmp_path / "tiny", max_length=12)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> OwnModel:
    return open_model(tiny.write_checkpoint(tmp_path_factory.mktemp("profile") / "tiny", max_length=12))


def plain(path: Path) -> pa.Table:
    """Without the dictionaries, which differ from one row group to the next."""
    found = pq.read_table(path)
    return found.cast(pa.schema([table.PART.field(name) for name in found.schema.names], found.schema.metadata))


def quick(*arguments: object) -> subprocess.Popen:
    given = [sys.executable, "-c", QUICK, "profile", *map(str, arguments)]
    return subprocess.Popen(given, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def written(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def many(count: int) -> list[str]:
    """Different texts, some of them refused."""
    return [
        " ".join(tiny.SOURCE[1 + (i * j) % 12] for j in range(1, 2 + i % 9)) if i % 17 else "zebra"
        for i in range(count)
    ]


def measured(model: OwnModel, text: str) -> dict[tuple[str, int], dict[str, float]]:
    """A few of the measures from whole float64 matrices."""
    trace = model.trace(text)
    found = {}
    for site, record in trace.attention.items():
        for head in range(record.heads):
            a = record.weights(head, dtype=torch.float64).numpy()
            i, j = np.indices(a.shape)
            one = {"entropy": -(a * np.log(np.where(a > 0, a, 1))).sum(1).mean(), "largest": a.max(1).mean(),
                   "first": a[:, 0].mean(), "queries": a.shape[0], "keys": a.shape[1]}  # fmt: skip
            if site.kind == "self":
                one |= {"mean_distance": (a * (i - j)).sum() / a.sum(), "diagonal": np.diag(a).mean()}
                one |= {"previous": np.diag(a, -1).mean()} if len(a) > 1 else {}
            found[str(site), head] = one
    return found


def test_every_row_is_the_runs_own(tiny_model: OwnModel) -> None:
    rows = table.measured(tiny_model, enumerate(TEXTS), {})
    assert rows.schema == table.PART and table.done(rows) == set(range(len(TEXTS)))
    assert table.counted(rows) == (5, 2)
    seen, expected = set(), {i: measured(tiny_model, text) for i, text in enumerate(TEXTS) if i not in REFUSED}
    for row in rows.to_pylist():
        if row["text"] in REFUSED:
            assert row["site"] is None and json.loads(row["refused"])["code"] == REFUSED[row["text"]]
            continue
        assert row["source"] == TEXTS[row["text"]] and row["refused"] is None
        for name, value in expected[row["text"]][row["site"], row["head"]].items():
            assert row[name] == bounds.near(value, 64, size=[1.0, value]), name
        seen.add((row["text"], row["site"], row["head"]))
        if row["site"].endswith("cross"):
            assert all(row[name] is None for name in ("mean_distance", "previous", "induction", "duplicate"))
    assert len(seen) == 5 * 6 * 4


def test_the_columns_are_the_measures_and_agree_with_the_table_of_a_trace(tiny_model: OwnModel) -> None:
    assert [name.removeprefix("mean_") for name in table.COLUMNS] == [measure.name for measure in CHEAP]
    if importlib.util.find_spec("model.measures.table") is None:
        pytest.skip("there is no table of a trace")
    rows = table.measured(tiny_model, [(0, TEXTS[0])], {}).to_pandas()
    told = tiny_model.trace(TEXTS[0]).statistics()
    shared = [name for name in ("entropy", "mean_distance", "previous", "first", "diagonal") if name in told]
    assert "entropy" in shared
    both = rows.merge(told.assign(site=told["site"].astype(str)), on=["site", "head"], suffixes=("", "_told"))
    assert len(both) == len(rows)
    for name in shared:
        told = both[f"{name}_told"].astype(float)
        bounds.close(both[name].astype(float), told, 64, size=10.0, what=name)  # as many tokens away


@pytest.mark.parametrize("fault", ["nothing", "values", "nan", "no_context"])
def test_every_row_and_the_whole_say_how_they_check(
    tiny_model: OwnModel, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """One text of three has one sub-layer whose values are in another order of heads, or that nothing was held against."""
    real, site = OwnModel.trace, "decoder.1.cross"

    def trace(model, text, **options):
        sound = real(model, text, **options)
        if text != TEXTS[0] or fault == "nothing":
            return sound
        tensors = {name: sound.store[name] for name in sound.store.names()}
        if fault == "no_context":
            tensors = {name: t for name, t in tensors.items() if not name.endswith((".context", ".W_O"))}
        elif fault == "nan":
            tensors[f"{site}.output"] = tensors[f"{site}.output"] * math.nan
        else:
            tensors[f"{site}.v"] = tensors[f"{site}.v"].flip(0)
        store = MemoryStore(tensors)
        attention = {s: dataclasses.replace(record, store=store) for s, record in sound.attention.items()}
        return dataclasses.replace(sound, store=store, attention=attention, measured=None)

    monkeypatch.setattr(OwnModel, "trace", trace)
    kept = [i for i in range(len(TEXTS)) if i not in REFUSED][:3]
    assert kept[0] == 0
    rows = table.measured(tiny_model, [(i, TEXTS[i]) for i in kept], {})
    told = {(row["text"], row["site"]): (row["check"], row["check_error"]) for row in rows.to_pylist()}
    counted = table.checks([rows])
    wrong = {"nothing": set(), "values": {(0, site)}, "nan": {(0, site)}, "no_context": {k for k in told if k[0] == 0}}[
        fault
    ]
    for key, (check, error) in told.items():
        if key not in wrong:
            assert check == "holds" and 0 <= error < 1e-5
    verdict = {"values": "fails", "nan": "fails", "no_context": "not checked"}.get(fault)
    assert {told[key][0] for key in wrong} == ({verdict} if verdict else set())
    own = {i: real(tiny_model, TEXTS[i]).fidelity().max_error for i in kept}
    if fault == "nothing":
        assert counted == {"holds": 3, "fails": 0, "not checked": 0, "largest": pytest.approx(max(own.values()))}
    elif fault == "no_context":
        assert counted["not checked"] == 1 and counted["holds"] == 2 and told[0, site][1] is None
    else:
        assert (counted["holds"], counted["fails"]) == (2, 1)
        assert counted["largest"] == "nan" if fault == "nan" else counted["largest"] > 1e-2


def test_merging_does_not_depend_on_the_order_of_the_work(tiny_model: OwnModel) -> None:
    texts = list(enumerate(many(12)))
    whole = table.measured(tiny_model, texts, {})
    mixed = table.measured(tiny_model, [texts[i] for i in (7, 2, 11, 0, 5, 4, 3, 9, 1, 10, 6, 8)], {})
    (one,), (other,) = (list(table.merged([rows], {"x": 1})) for rows in (whole, mixed))
    assert one.equals(other) and one.schema.names == table.SCHEMA.names
    assert table.refusals([whole]) == table.refusals([mixed])
    assert table.refusals([whole])["count"] == 1


@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv", "parquet"])
def test_every_kind_of_file_gives_the_same_texts(tmp_path: Path, kind: str) -> None:
    texts = [*TEXTS, "“quoted”, and; 中文", 'a "b", c']
    path = tmp_path / f"texts.{kind}"
    if kind == "txt":
        path.write_bytes(("\ufeff" + "\r\n".join(texts)).encode())
    elif kind == "jsonl":
        written(path, [json.dumps({"id": i, "text": text or None}) for i, text in enumerate(texts)])
    else:
        import pandas as pd

        frame = pd.DataFrame({"id": range(len(texts)), "text": texts})
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    assert list(stream(path)) == texts
    assert scan(path).count == len(texts) and list(scan(path, 3)) == texts[:3]


BAD = {
    "nowhere.txt": (None, "there is no such file"),
    "empty.txt": (b"", "there is no text in it"),
    "latin.txt": ("é".encode("latin-1"), "not a text in UTF-8"),
    "a.csv": (b"id,words\n1,the cat\n", "no column “text” (its columns: id, words)"),
    "b.csv": (b"", "no column “text” (its columns: none)"),
    "a.jsonl": (b'{"text": "a"}\n{"words": "b"}\n', "line 2 has no “text”"),
    "b.jsonl": (b'{"text": "a"}\n{', "line 2 is not JSON"),
    "c.jsonl": (b'{"text": 3}\n', "the “text” of line 1 is not a text"),
    "a.parquet": (b"PAR1 and more", "damaged or not a Parquet file"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_of_texts_is_one_sentence(checkpoint: Path, tmp_path: Path, capsys, name: str) -> None:
    content, said = BAD[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    out = tmp_path / "out.parquet"
    given = ["profile", "--model", str(checkpoint), "--texts", str(tmp_path / name), "--out", str(out)]
    assert main(given) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and not out.exists() and not Path(f"{out}.parts").exists()


def test_a_parquet_of_texts_that_lacks_the_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"words": ["a"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": [1]}), tmp_path / "b.parquet")
    for name, said in (("a", "no column “text” (its columns: words)"), ("b", "the “text” of row 0 is not a text")):
        with pytest.raises(HeadlightError, match=said.replace("(", r"\(").replace(")", r"\)")):
            scan(tmp_path / f"{name}.parquet")


def test_the_command_counts_and_lists_what_was_refused(checkpoint: Path, tmp_path: Path, capsys) -> None:
    texts, out = written(tmp_path / "texts.txt", [*TEXTS, "cat " * 100]), tmp_path / "new" / "out.parquet"
    given = ["profile", "--model", str(checkpoint), "--texts", str(texts), "--out", str(out), "--language", "fr"]
    assert main(given) == 0
    assert "5 texts measured, 3 refused" in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == ["out.parquet"]
    profile = Profile.open(out)
    assert {one.text: one.code for one in profile.refused} == REFUSED | {7: "text_too_long"}
    assert profile.refused[1].source == "the zebra" and "zebra" in profile.refused[1].sentence
    about = profile.about
    assert about["language"] == "fr" and about["command"].endswith("--language fr") and about["texts"] == 8
    assert profile.texts.tolist() == [0, 2, 3, 5, 6] and profile.sources == [TEXTS[i] for i in profile.texts]
    assert len(profile.heads) == 24 and profile.values("entropy").shape == (5, 24)
    assert pq.read_schema(out).field("entropy").type == pa.float32()
    assert main(given) == 0 and "there already" in capsys.readouterr().out


def test_all_refused_is_one_sentence(checkpoint: Path, tmp_path: Path, capsys) -> None:
    texts, out = written(tmp_path / "texts.txt", ["zebra", ""]), tmp_path / "out.parquet"
    assert main(["profile", "--model", str(checkpoint), "--texts", str(texts), "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert "None of the 2 texts" in told and "zebra" in told and not list(tmp_path.glob("out.*"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--language", "de"], "“de” is not known"),
        (["--limit", "0"], "give 1 or more"),
        (["--model", "nowhere"], "no model called “nowhere”"),
    ],
)
def test_a_wrong_option_is_said_once(checkpoint: Path, tmp_path: Path, capsys, more: list[str], said: str) -> None:
    texts = written(tmp_path / "texts.txt", TEXTS)
    given = ["profile", "--model", str(checkpoint), "--texts", str(texts), "--out", str(tmp_path / "o.parquet"), *more]
    assert main(given) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """(what is given, the profile of an uninterrupted run) of 32 texts, of which 2 are refused."""
    folder = tmp_path_factory.mktemp("whole")
    texts = written(folder / "texts.txt", many(32))
    given = ["--model", str(tiny.write_checkpoint(folder / "tiny", max_length=12)), "--texts", str(texts)]
    assert main(["profile", *given, "--out", str(folder / "whole.parquet")]) == 0
    return given, folder / "whole.parquet"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_goes_on_to_the_same_table(whole, tmp_path: Path, end: signal.Signals) -> None:
    given, expected = whole
    out, work = tmp_path / "out.parquet", tmp_path / "out.parquet.parts"
    run = quick(*given, "--out", out)
    while run.poll() is None and not (work / "000001.parquet").is_file():
        time.sleep(0.01)
    run.send_signal(end)
    said = run.communicate(timeout=60)[1]
    assert not out.exists(), said
    kept = [pq.read_table(path, schema=table.PART) for path in sorted(work.glob("*.parquet"))]
    answered = sum(len(table.done(rows)) for rows in kept)
    assert len(table.done(kept[0])) == 8 < answered < 32
    if end == signal.SIGTERM:
        assert run.returncode == 130
        assert said == f"Stopped after {answered} of 32 texts: the same command goes on from there.\n"
    first = (work / "000000.parquet").stat().st_mtime_ns
    again = quick(*given, "--out", out, "--limit", "32")
    while again.poll() is None and not (work / "000002.parquet").is_file():
        if (work / "000000.parquet").is_file():
            assert (work / "000000.parquet").stat().st_mtime_ns == first  # finished work is not done again
        time.sleep(0.01)
    assert again.communicate(timeout=60)[0] and again.returncode == 0
    one, other = plain(out), plain(expected)
    assert one.equals(other) and one.num_rows == 30 * 24
    about = [json.loads(found.schema.metadata[b"headlight"]) for found in (one, other)]
    assert all(a.pop("command") for a in about) and about[0] == about[1]
    assert not work.exists()


def test_a_damaged_part_is_measured_again(checkpoint: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    texts, out = written(tmp_path / "texts.txt", TEXTS), tmp_path / "out.parquet"
    given = ["profile", "--model", str(checkpoint), "--texts", str(texts), "--out", str(out)]
    monkeypatch.setattr(part_files.Parts, "merge", lambda *_: None)
    assert main(given) == 0
    part = tmp_path / "out.parquet.parts" / "000000.parquet"
    part.write_bytes(part.read_bytes()[:-40])
    monkeypatch.undo()
    assert main(given) == 0 and Profile.open(out).about["measured"] == 5


@pytest.mark.parametrize("left", ["parts", "result"])
@pytest.mark.parametrize("changed", ["text file", "model", "number of texts", "language", "set of measures"])
def test_work_of_something_else_is_refused(
    checkpoint: Path, tmp_path: Path, monkeypatch, capsys, changed: str, left: str
) -> None:
    texts, out = written(tmp_path / "texts.txt", TEXTS[:3]), tmp_path / "out.parquet"
    given = ["profile", "--model", str(checkpoint), "--texts", str(texts), "--out", str(out)]
    if left == "parts":
        monkeypatch.setattr(part_files.Parts, "merge", lambda *_: None)
    assert main(given) == 0
    monkeypatch.undo()
    if changed == "text file":
        written(texts, [*TEXTS[:2], "the cat"])
    elif changed == "model":
        tiny.write_checkpoint(checkpoint, seed=1)
    elif changed == "set of measures":
        monkeypatch.setattr(table, "COLUMNS", table.COLUMNS[:-1])
    else:
        given += ["--limit", "2"] if changed == "number of texts" else ["--language", "fr"]
    capsys.readouterr()
    assert main(given) == 2
    told = capsys.readouterr().err
    assert f"finished work of another {changed} at {out}" in told and told.count("\n") == 1


def test_another_file_in_the_place_is_not_overwritten(checkpoint: Path, tmp_path: Path, capsys) -> None:
    texts, out = written(tmp_path / "texts.txt", TEXTS), tmp_path / "out.parquet"
    given = ["profile", "--model", str(checkpoint), "--texts", str(texts), "--out", str(out)]
    pq.write_table(pa.table({"a": [1]}), out)
    for content in (out.read_bytes(), b"mine"):
        out.write_bytes(content)
        assert main(given) == 2 and "finished work of something else" in capsys.readouterr().err
        assert out.read_bytes() == content


def test_a_place_that_cannot_be_written(checkpoint: Path, tmp_path: Path, capsys) -> None:
    texts = written(tmp_path / "texts.txt", TEXTS)
    out = texts / "out.parquet"
    assert main(["profile", "--model", str(checkpoint), "--texts", str(texts), "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert str(out) in told and "cannot be written" in told and told.count("\n") == 1


def test_a_text_that_breaks_the_library_is_told_and_does_not_end_the_run(tiny_model: OwnModel, monkeypatch) -> None:
    real = OwnModel.trace

    def trace(self: OwnModel, text: str, **options: object) -> object:
        if text == TEXTS[2]:
            raise RuntimeError("shapes do not fit\nmore")
        return real(self, text, **options)

    monkeypatch.setattr(OwnModel, "trace", trace)
    rows = table.measured(tiny_model, enumerate(TEXTS), {})
    (told,) = [one for one in table.refusals([rows])["listed"] if one["text"] == 2]
    assert told["code"] == "unexpected" and "shapes do not fit" in told["sentence"]


def test_without_ray_it_is_said(checkpoint: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    texts = written(tmp_path / "texts.txt", TEXTS)
    given = ["--model", str(checkpoint), "--texts", str(texts), "--out", str(tmp_path / "o.parquet"), "--ray", "local"]
    assert main(["profile", *given]) == 2
    assert 'pip install "ray[data]"' in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason='needs pip install "ray[data]"')
def test_two_workers_give_the_same_table(whole, tmp_path: Path) -> None:
    """On a Ray of this machine with two workers, from where a run without it was stopped."""
    given, expected = whole
    rest = tmp_path / "rest.parquet"
    half = quick(*given, "--out", rest)
    while half.poll() is None and not (tmp_path / "rest.parquet.parts" / "000000.parquet").is_file():
        time.sleep(0.02)
    half.kill()
    half.communicate()
    code = (
        "import sys, ray, model.jobs.part_files as parts; parts.CHUNK = 8; ray.init(num_cpus=2, include_dashboard=False);"
        "from model.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "profile", *given, "--ray", "auto", "--out", rest], cwd=ROOT,
        capture_output=True, text=True, timeout=150, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert plain(rest).equals(plain(expected))
