"""Downloads read back: CSV to the same float32 bits, npz without pickle, nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model import Trace
from model.attention.rows import in_blocks
from model.trace.site import Site
from tests import bounds
from viz.base import export

pytestmark = pytest.mark.float32

ODD = ['=HYPERLINK("x")', "+1", "-2", "@x", 'a"b', "a,b", "line\nend", "喜欢", "", "nan"]


def read(data: bytes) -> list[list[str]]:
    assert data.startswith(b"\xef\xbb\xbf")  # so that spreadsheets read 中文 as UTF-8
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_a_matrix_reads_back_to_the_same_bits():
    generator = np.random.default_rng(0)
    values = (generator.random((10, 10)) ** 9).astype(np.float32)
    values[0, :3] = [0, 1, 1e-38]
    head, *rows = read(export.matrix_csv(values, ODD, ODD))
    assert head == ["position", "token", *(f"{j}:{token}" for j, token in enumerate(ODD))]
    assert [row[0] for row in rows] == [str(i) for i in range(10)]
    assert [row[1] for row in rows] == [f"'{token}" for token in ODD[:4]] + ODD[4:]
    assert not any(row[1][:1] in tuple("=+-@") for row in rows if row[1])
    np.testing.assert_array_equal(np.array([row[2:] for row in rows], dtype=np.float32), values)


def test_a_site_is_one_row_a_weight(trace: Trace):
    site = Site.parse("decoder.1.cross")
    head, *rows = read(export.site_csv(trace, site))
    assert head == ["site", "head", "query", "key", "query_token", "key_token", "weight"]
    assert len(rows) == 4 * 5 * 8
    weights = [trace.weights(site, h).numpy() for h in range(4)]
    for name, h, i, j, query, key, weight in rows:
        assert name == "decoder.1.cross"
        read_and_written = f"{trace.tokens('decoder')[int(i)]} ▸ {trace.written()[int(i)]}"
        assert (query, key) == (read_and_written, trace.tokens("encoder")[int(j)])
        assert np.float32(weight) == weights[int(h)][int(i), int(j)]


def test_some_heads_of_a_site_keep_their_numbers(trace: Trace):
    _, *rows = read(export.site_csv(trace, Site.parse("decoder.1.cross"), heads=[3, 1]))
    assert list(dict.fromkeys(row[1] for row in rows)) == ["3", "1"] and len(rows) == 2 * 5 * 8
    assert np.float32(rows[0][6]) == trace.weights("decoder.1.cross", 3)[0, 0].item()


def test_no_token_is_run_by_a_spreadsheet(trace: Trace):
    import dataclasses

    side = dataclasses.replace(trace.sides["encoder"], tokens=("=1+1", "+x", "-x", "@x", "a", "b", "c", "d"))
    odd = dataclasses.replace(trace, sides={**trace.sides, "encoder": side})
    _, *rows = read(export.site_csv(odd, Site.parse("decoder.1.cross")))
    assert not any(row[5][:1] in tuple("=+-@") for row in rows)


def test_a_trace_is_every_site(trace: Trace):
    head, *rows = read(export.trace_csv(trace))
    assert head[0] == "site"
    assert list(dict.fromkeys(row[0] for row in rows)) == [str(site) for site in trace.sites]
    assert len(rows) == 4 * (2 * 8 * 8 + 2 * 5 * 5 + 2 * 5 * 8)


def test_npz_needs_no_pickle(trace: Trace):
    found = np.load(io.BytesIO(export.trace_npz(trace)), allow_pickle=False)
    assert found["tokens/encoder"].tolist() == trace.tokens("encoder")
    assert found["tokens/decoder"].tolist() == trace.tokens("decoder")
    names = {name for name in trace.store.names() if not name.startswith("parameters/")}
    assert set(found.files) == names | {"tokens/encoder", "tokens/decoder"}
    for name in names:
        np.testing.assert_array_equal(found[name], trace.activation(name).numpy())
    one = np.load(io.BytesIO(export.npz(weights=np.eye(2), tokens=["<pad>", "喜欢"])), allow_pickle=False)
    assert one["tokens"].tolist() == ["<pad>", "喜欢"]


def test_a_trace_as_a_file_is_opened_again(trace: Trace, tmp_path: Path):
    (tmp_path / "run.safetensors").write_bytes(export.trace_file(trace))
    again = Trace.open(tmp_path / "run.safetensors")
    assert again.tokens("encoder") == trace.tokens("encoder")
    np.testing.assert_array_equal(again.q("decoder.1.cross"), trace.q("decoder.1.cross"))
    np.testing.assert_allclose(
        again.weights("decoder.1.cross", 2), trace.weights("decoder.1.cross", 2), atol=bounds.WEIGHT
    )


@pytest.mark.parametrize("cells", [2**20, 30])
def test_a_long_head_is_written_block_by_block(trace: Trace, cells: int, monkeypatch: pytest.MonkeyPatch):
    for name in ("decoder.0.self", "encoder.1.self", "decoder.1.cross"):
        site = Site.parse(name)
        record, rows, columns = trace.record(site), trace.tokens(site.query_side), trace.tokens(site.key_side)
        monkeypatch.setattr("model.attention.rows.CELLS", 2**20)
        want = np.concatenate([block for _, block in in_blocks(record, 2)])
        np.testing.assert_allclose(want, record.weights(2), atol=bounds.WEIGHT)
        whole = export.matrix_csv(want, rows, columns)
        monkeypatch.setattr("model.attention.rows.CELLS", cells)
        monkeypatch.setattr(export, "_CELLS", cells)
        head, *lines = read(export.head_csv(record, 2, rows, columns))
        head_whole, *lines_whole = read(whole)
        assert head == head_whole and [line[:2] for line in lines] == [line[:2] for line in lines_whole]
        found = np.array([line[2:] for line in lines], np.float32)
        np.testing.assert_allclose(found, want, atol=bounds.WEIGHT)  # a block's product may round otherwise
        arrays = np.load(io.BytesIO(export.head_npz(record, 2, scale=np.array(0.5), queries=rows)), allow_pickle=False)
        np.testing.assert_array_equal(arrays["weights"], found)
        np.testing.assert_array_equal(arrays["allowed"], record.allowed().numpy())
        assert arrays["weights"].dtype == np.float32 and arrays["queries"].tolist() == list(rows)
        assert float(arrays["scale"]) == 0.5 and set(arrays.files) == {"weights", "allowed", "scale", "queries"}


TEXTS = {
    "odd": ["nan", "NaN", "NA", "", "null"],
    "digits": ["007", "10", "1e5", "-1", "+2"],
    "run": ["=1+1", "'x", "-x", "@x", "喜欢"],
}


def test_texts_of_a_table_are_the_same_in_its_npz():
    """Values that a reader of CSV takes for none or for numbers, and those that a spreadsheet takes for formulas."""
    for dtype in (object, "str"):
        table = export.table_csv(
            pd.DataFrame({n: pd.Series(t, dtype=dtype) for n, t in TEXTS.items()} | {"p": range(5)})
        )
        found = np.load(io.BytesIO(export.csv_npz(table)), allow_pickle=False)
        for name, texts in TEXTS.items():
            assert found[name].dtype.kind == "U" and found[name].tolist() == texts
        assert found["p"].dtype.kind == "i" and found["p"].tolist() == [0, 1, 2, 3, 4]
        _, *rows = read(table)  # for reading, none of them is a formula
        assert not any(cell[:1] in tuple("=+-@") for row in rows for cell in row[:3] if cell)


def test_a_table_that_begins_as_a_matrix_does_keeps_its_columns():
    table = export.table_csv(
        pd.DataFrame({"position": [0, 1], "token": ["7", "nan"], "label": ["B", "O"], "p": [0.5, None]})
    )
    found = np.load(io.BytesIO(export.csv_npz(table)), allow_pickle=False)
    assert set(found.files) == {"position", "token", "label", "p"}
    assert found["token"].tolist() == ["7", "nan"] and found["label"].tolist() == ["B", "O"]
    np.testing.assert_array_equal(found["p"], [0.5, np.nan])


def test_a_matrix_for_computing_keeps_its_names():
    values = np.array([[1, np.nan], [-2, 3]], np.float32)
    found = np.load(
        io.BytesIO(export.csv_npz(export.matrix_csv(values, ["-x", "nan"], ["007", "a:b"]))), allow_pickle=False
    )
    np.testing.assert_array_equal(found["values"], values)
    assert found["rows"].tolist() == ["-x", "nan"] and found["columns"].tolist() == ["007", "a:b"]


def test_objects_are_stored_as_numbers_or_texts():
    odd = {"n": [1, None, 2.5], "t": ["a", None, 3], "b": [True, False, True], "i": [1, 2, 3]}
    made = export.npz(**{name: np.array(values, dtype=object) for name, values in odd.items()})
    found = np.load(io.BytesIO(made), allow_pickle=False)
    np.testing.assert_array_equal(found["n"], [1, np.nan, 2.5])
    assert found["t"].tolist() == ["a", "", "3"] and found["b"].dtype == bool and found["i"].dtype.kind == "i"
