"""The binary frame of the canvas views, read by hand as the browser does."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from viz.base.payload import pack, unpack


def test_round_trip():
    arrays = {
        "weights": np.random.default_rng(0).random((3, 5), dtype=np.float32),
        "state": np.arange(7, dtype=np.uint8),
        "flags": np.array([[True, False, True]]),
        "counts": np.array([-(2**31), 0, 2**31 - 1]),
        "empty": np.zeros((0, 4), np.float32),
        "odd": np.array([np.nan, np.inf, -np.inf, -0.0], np.float32),
    }
    header, found = unpack(pack({"title": "漢字 ▸", "n": [1, None, 0.5]}, **arrays))
    assert header == {"title": "漢字 ▸", "n": [1, None, 0.5]}
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)
    assert {name: array.dtype.str for name, array in found.items()} == {
        "weights": "<f4", "state": "|u1", "flags": "|u1", "counts": "<i4", "empty": "<f4", "odd": "<f4",
    }  # fmt: skip


@pytest.mark.parametrize("title", ["", "x", "xx", "xxxxxxx", "漢", "é"])
def test_every_array_starts_on_a_multiple_of_eight(title: str):
    arrays = {f"a{n}": np.full(n, n, np.uint8) for n in (1, 3, 8, 9)} | {"f": np.float64([[1.5, -2.25]])}
    frame = pack({"title": title}, **arrays)
    (size,) = struct.unpack("<I", frame[:4])
    header = json.loads(frame[4 : 4 + size].decode("utf-8"))
    assert (4 + size) % 8 == 0
    for name, array in arrays.items():
        start = 4 + size + header["arrays"][name]["offset"]
        assert start % 8 == 0
        raw = array.astype("<f4") if name == "f" else array
        assert frame[start : start + raw.nbytes] == raw.tobytes()
    assert len(frame) % 8 == 0


def test_views_and_other_byte_orders_travel_as_their_values():
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    _, found = unpack(pack({}, t=base.T, s=base[::2, ::3], big=base.astype(">f4"), long=base.astype(np.int64)))
    np.testing.assert_array_equal(found["t"], base.T)
    np.testing.assert_array_equal(found["s"], base[::2, ::3])
    np.testing.assert_array_equal(found["big"], base)
    np.testing.assert_array_equal(found["long"], base)


def test_markup_stays_text():
    text = "</script><b>&amp;<!--"
    frame = pack({"rows": [{"text": text}], text: 1}, a=np.zeros(1, np.float32))
    assert b"<" not in frame
    header, _ = unpack(frame)
    assert header["rows"][0]["text"] == text
    assert header[text] == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_does_not_have_come_back_from_the_header(value: float):
    header, _ = unpack(pack({"scale": {"high": value}}))
    np.testing.assert_equal(header["scale"]["high"], value)
