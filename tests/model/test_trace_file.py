"""Traces on disk: bit-exact, lazy, versioned, and refused in one sentence where they are no traces."""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save, save_file

from model import Trace
from model.errors import NewerTraceFile, TraceFileError
from model.trace.tensors import FileStore
from model.transformer.config import POSITIONS
from tests import bounds
from tests.model import tiny

pytestmark = pytest.mark.float32


@pytest.fixture
def saved(trace: Trace, tmp_path: Path) -> Path:
    return trace.save(tmp_path / "runs" / "a.safetensors")


@pytest.mark.parametrize("positions", POSITIONS)
def test_round_trip_is_bit_exact(make_model, tmp_path: Path, positions: str):
    trace = make_model(positions=positions, norm="pre").trace(tiny.TEXT, None, language="fr", pad_to=9)
    opened = Trace.open(trace.save(tmp_path / "run.safetensors"))
    for part in ("key", "sides", "vocabulary", "facts", "sites"):
        assert getattr(opened, part) == getattr(trace, part), part
    assert set(trace.store.names()) <= set(opened.store.names())
    assert all(torch.equal(opened.store[name], trace.store[name]) for name in trace.store.names())
    # The facts are the same bits; what is derived from them is not, since the strides in memory choose another kernel.
    for site in trace.sites:
        for head in range(4):
            for tile in ((), (slice(1, 5), slice(0, 3))):
                got, want = (t.weights(site, head, *tile) for t in (opened, trace))
                torch.testing.assert_close(got, want, atol=bounds.WEIGHT, rtol=0)
    assert opened.fidelity().sites == pytest.approx(trace.fidelity().sites, abs=bounds.off(8.0, 64, torch.float64))
    assert opened.fidelity().logits_error == trace.fidelity().logits_error == 0
    again = Trace.open(opened.save(tmp_path / "again.safetensors"))
    assert again.key == trace.key
    assert torch.equal(again.logits, trace.logits)


def test_saving_leaves_nothing_half_written(saved: Path):
    assert [path.name for path in saved.parent.iterdir()] == ["a.safetensors"]


class Reads:
    """What is read of a file: (tensor, whole?) in the order of reading."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.whole: list[str] = []
        self.first: list[tuple[str, int]] = []
        get, first = FileStore.__getitem__, FileStore.first
        monkeypatch.setattr(FileStore, "__getitem__", lambda s, name: (self.whole.append(name), get(s, name))[1])
        monkeypatch.setattr(FileStore, "first", lambda s, name, i: (self.first.append((name, i)), first(s, name, i))[1])


def test_only_what_is_looked_at_is_read(saved: Path, monkeypatch: pytest.MonkeyPatch):
    reads = Reads(monkeypatch)
    trace = Trace.open(saved)
    assert trace.tokens("encoder")[1] == "cat"
    assert (trace.record("encoder.0.self").heads, trace.nbytes() > 0) == (4, True)
    assert (reads.whole, reads.first) == ([], [])
    trace.weights("decoder.1.cross", 2)
    assert reads.whole == []
    assert sorted(reads.first) == [("decoder.1.cross.k", 2), ("decoder.1.cross.q", 2)]


def test_a_slice_of_the_file_is_read_not_the_tensor(saved: Path, monkeypatch: pytest.MonkeyPatch):
    whole = load(saved.read_bytes())["encoder.0.self.q"]
    store = FileStore(saved)
    opened = store._open

    class SlicesOnly:
        """An open file whose tensors cannot be read whole."""

        def __enter__(self):
            self.file = opened().__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self.file.__exit__(*error)

        def get_slice(self, name: str):
            return self.file.get_slice(name)

    monkeypatch.setattr(store, "_open", SlicesOnly)
    assert torch.equal(store.first("encoder.0.self.q", 3), whole[3])
    with pytest.raises(Exception, match=r"(?i)out of|index"):
        store.first("encoder.0.self.q", 4)
    saved.unlink()  # nothing keeps the file open or mapped
    assert not saved.exists()


def rewritten(saved: Path, tensors: dict | None = None, **metadata: str) -> Path:
    """The file with some tensors replaced (None drops one) and some metadata replaced."""
    raw = saved.read_bytes()
    (size,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + size])["__metadata__"] | metadata
    changed = load(raw) | (tensors or {})
    saved.write_bytes(save({name: t for name, t in changed.items() if t is not None}, header))
    return saved


def document(saved: Path) -> dict:
    raw = saved.read_bytes()
    (size,) = struct.unpack_from("<Q", raw)
    return json.loads(json.loads(raw[8 : 8 + size])["__metadata__"]["trace"])


def refusal(path: Path) -> str:
    """The one sentence in which the file is refused."""
    with pytest.raises(TraceFileError) as refused:
        Trace.open(path)
    sentence = str(refused.value)
    assert str(path) in sentence
    assert sentence.count("\n") == 0
    assert sentence.endswith(".")
    assert not re.search(r"Error|Traceback|object has no|NoneType", sentence)
    return sentence


def test_a_newer_version_is_refused(saved: Path):
    sentence = refusal(rewritten(saved, version="3"))
    assert "format 3" in sentence
    assert "update Headlight" in sentence
    with pytest.raises(NewerTraceFile):
        Trace.open(saved)


@pytest.mark.parametrize("version", ["", "one", "1.0", "-1", "²", "٣", "9" * 5000])
def test_a_version_that_is_no_number_is_refused(saved: Path, version: str):
    assert "is not a number" in refusal(rewritten(saved, version=version))


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 100, 5000, -1, -4096])
def test_a_truncated_file_is_refused(saved: Path, kept: int):
    saved.write_bytes(saved.read_bytes()[:kept])
    assert "damaged" in refusal(saved)


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"{}", b"\x89PNG\r\n", "漢字".encode() * 50])
def test_other_files_are_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "other file.safetensors"
    path.write_bytes(content)
    refusal(path)


def test_random_bytes_are_refused(tmp_path: Path):
    for size in (9, 64, 4096):
        path = tmp_path / "noise.safetensors"
        path.write_bytes(os.urandom(size))
        refusal(path)


def test_what_is_no_trace_is_refused(tmp_path: Path, checkpoint: Path):
    assert "not a recorded trace" in refusal(checkpoint / "weights.safetensors")
    save_file({"x": torch.zeros(2)}, tmp_path / "x.safetensors", {"format": "other"})
    assert "not a recorded trace" in refusal(tmp_path / "x.safetensors")
    assert "no such file" in refusal(tmp_path / "nowhere.safetensors")
    assert "it is a folder" in refusal(tmp_path)


@pytest.mark.parametrize("part", ["q", "k", "v", "lse", "context", "output", "residual"])
def test_a_missing_or_cut_tensor_is_named(saved: Path, part: str):
    name = f"decoder.0.cross.{part}"
    tensor = load(saved.read_bytes())[name]
    assert name in refusal(rewritten(saved, {name: None}))
    assert name in refusal(rewritten(saved, {name: tensor[..., :-1].contiguous()}))
    assert name in refusal(rewritten(saved, {name: torch.tensor(1.0)}))
    rewritten(saved, {name: tensor})
    Trace.open(saved)


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_a_wrong_number_of_tokens_is_refused(saved: Path, side: str):
    described = document(saved)
    for part in ("tokens", "ids", "special"):
        described["sides"][side][part] = described["sides"][side][part][:-1]
    sentence = refusal(rewritten(saved, trace=json.dumps(described)))
    assert re.search(r"is \d × \d, but its tokens are \d × \d", sentence)


def test_a_description_that_is_no_description_is_refused(saved: Path):
    for text in ("", "{", "[]", "null", "7", '"text"', "{}", "[" * 100_000):
        refusal(rewritten(saved, trace=text))


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, [[1]]])
def test_a_damaged_description_is_refused(saved: Path, value: object):
    whole = document(saved)
    for part in ("key", "sides", "facts", "tensors"):
        if (part, value) not in (("facts", {}), ("tensors", {})):
            refusal(rewritten(saved, trace=json.dumps(whole | {part: value})))
    for part in ("tokens", "ids", "special"):
        broken = json.loads(json.dumps(whole))
        broken["sides"]["encoder"][part] = value
        refusal(rewritten(saved, trace=json.dumps(broken)))
    for part in ("site", "scale") if value != 7 else ("site",):
        broken = json.loads(json.dumps(whole))
        broken["attention"][0][part] = value
        refusal(rewritten(saved, trace=json.dumps(broken)))


@pytest.mark.parametrize("distance", [3, "x", [], 0])
def test_a_distance_without_its_vectors_is_refused(saved: Path, distance: object):
    broken = document(saved)
    broken["attention"][0]["distance"] = distance
    refusal(rewritten(saved, trace=json.dumps(broken)))


def test_a_changed_number_is_found_by_fidelity(saved: Path):
    """A file has no checksum of its numbers: the record checks itself against what the model put out."""
    v = load(saved.read_bytes())["encoder.1.self.v"]
    v[2, 3, 1] += 0.5
    assert not Trace.open(rewritten(saved, {"encoder.1.self.v": v})).fidelity().holds
