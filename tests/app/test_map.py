"""The page Map and what it fetches: the bytes are the run's weights, and only who was given the token gets them."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from starlette.applications import Starlette
from starlette.testclient import TestClient

from model import open_model
from model.attention.tiles import MASKED, SIDE, STEPS
from tests import bounds
from tests.model.test_statistics import record
from viz import map as maps
from viz.ui import tile_server

TEXT = "I like cats"
HUGE = ("9" * 5000, "9" * 30, "-1", "²", "٣", "1e9", "nan", "%00", "%ED%A0%80")
PLACES = ("{0}/row/0", "0/row/{0}", "0/column/{0}", "0/cell/{0}/0", "0/cell/0/{0}", "0/tile/max/{0}/0/0",
          "0/tile/max/0/{0}/0", "0/tile/max/1/0/{0}")  # fmt: skip


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Starlette(routes=tile_server.routes()))


@pytest.fixture(scope="module")
def trace():
    return open_model("translate").trace(TEXT, language="zh")


def test_a_tile_is_the_weights_in_bytes(client, trace) -> None:
    ticket = tile_server.Ticket(trace)
    base = f"{tile_server.PATH}/{ticket.token}/decoder.0.self/2"
    answer = client.get(f"{base}/tile/max/0/0/0")
    n = trace.record("decoder.0.self").queries
    found = np.frombuffer(answer.content, np.uint8).reshape(n, n)
    allowed = np.tri(n, dtype=bool)
    A = trace.weights("decoder.0.self", 2).numpy()
    assert (found[~allowed] == MASKED).all()
    assert np.abs(found[allowed] / STEPS - A[allowed]).max() <= 0.5 / STEPS + bounds.WEIGHT
    assert "immutable" in answer.headers["cache-control"] and answer.headers["x-content-type-options"] == "nosniff"


def test_rows_and_columns_are_exact(client, trace) -> None:
    ticket = tile_server.Ticket(trace)
    base = f"{tile_server.PATH}/{ticket.token}/encoder.1.self/1"
    A = trace.record("encoder.1.self").weights(1, dtype=torch.float64).numpy()
    for i in range(len(A)):
        row = np.frombuffer(client.get(f"{base}/row/{i}").content, np.float32)
        column = np.frombuffer(client.get(f"{base}/column/{i}").content, np.float32)
        np.testing.assert_allclose(row, A[i], atol=bounds.WEIGHT)
        np.testing.assert_allclose(column, A[:, i], atol=bounds.WEIGHT)


def test_a_cell_is_its_arithmetic(client, trace) -> None:
    ticket = tile_server.Ticket(trace)
    record = trace.record("decoder.0.self")
    A, S = (getattr(record, name)(2, dtype=torch.float64).numpy() for name in ("weights", "scores"))
    for i, j in ((0, 0), (2, 1), (0, 2)):
        answer = client.get(f"{tile_server.PATH}/{ticket.token}/decoder.0.self/2/cell/{i}/{j}")
        product, scale, score, log_sum, weight = np.frombuffer(answer.content, np.float64)
        assert weight == pytest.approx(A[i, j], abs=bounds.WEIGHT) and score == pytest.approx(S[i, j], abs=1e-12)
        assert log_sum == pytest.approx(np.log(np.exp(S[i][np.isfinite(S[i])]).sum()), abs=1e-12)
        assert product * scale == pytest.approx(S[i, j], abs=1e-12) or S[i, j] == -np.inf


def test_tiles_of_a_long_head_fit_together() -> None:
    n = 2 * SIDE + 40
    long = record(n, n, heads=1, d=4, dtype=torch.float32)
    ticket = tile_server.Ticket(SimpleNamespace(record=lambda _site: long))
    for level in (0, 1, 2):
        wide = -(-n // 2**level)
        count = -(-wide // SIDE)
        side = [min(SIDE, wide - k * SIDE) for k in range(count)]
        tiles = [
            [
                np.frombuffer(tile_server.tile(ticket, "", 0, "max", level, r, c), np.uint8).reshape(side[r], side[c])
                for c in range(count)
            ]
            for r in range(count)
        ]
        A = long.weights(0).numpy()
        grown = np.zeros((wide * 2**level,) * 2)
        grown[:n, :n] = A
        want = grown.reshape(wide, 2**level, wide, 2**level).max((1, 3))
        assert np.abs(np.block(tiles) / STEPS - want).max() <= 0.5 / STEPS + bounds.WEIGHT


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("{token}/decoder.0.self/0/tile/max/0/0/0", 200),
        ("nobody/decoder.0.self/0/tile/max/0/0/0", 404),
        ("{token}/decoder.9.self/0/tile/max/0/0/0", 400),
        ("{token}/decoder.0.self/9/tile/max/0/0/0", 400),
        ("{token}/decoder.0.self/0/tile/median/0/0/0", 400),
        ("{token}/decoder.0.self/0/tile/max/3/0/0", 400),
        ("{token}/decoder.0.self/0/tile/max/0/0/5", 400),
        ("{token}/decoder.0.self/0/tile/max/0/x/0", 400),
        *((f"{{token}}/decoder.0.self/{path.format(n)}", 400) for n in HUGE for path in PLACES),
        ("{token}/decoder." + "9" * 5000 + ".self/0/row/0", 400),
        ("{token}/decoder.0.self/0/row/99", 400),
        ("{token}/decoder.0.self/0/column/99", 400),
        ("{token}/decoder.0.self/0/both/1", 404),
        ("{token}/decoder.0.self/0/cell/0/99", 400),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_what_cannot_be_had_is_refused_in_one_sentence(client, trace, path: str, status: int) -> None:
    ticket = tile_server.Ticket(trace)
    answer = client.get(f"{tile_server.PATH}/{path.format(token=ticket.token)}")
    assert answer.status_code == status and "Traceback" not in answer.text and len(answer.text) <= 300


def test_a_token_dies_with_its_session(client, trace) -> None:
    ticket = tile_server.Ticket(trace)
    path = f"{tile_server.PATH}/{ticket.token}/decoder.0.self/0/tile/max/0/0/0"
    assert client.get(path).status_code == 200
    del ticket
    gc.collect()
    assert client.get(path).status_code == 404


def test_the_page_gives_no_weights_but_the_way_to_them(visit, trace) -> None:
    seen = visit("map", text=TEXT, to="zh", site="decoder.0.self", head=2, q=1, k=0).sound()
    header, arrays = seen.figure("map-page")
    assert not arrays and header["queries"] == header["keys"] == trace.record("decoder.0.self").queries
    assert (header["head"], header["heads"], header["depth"], header["how"]) == (2, 4, 0, "max")
    assert header["base"].endswith("/decoder.0.self") and len(header["base"].split("/")[2]) >= 32
    assert header["selection"] == {"row": 1, "column": 0} and header["area"] is None
    other = visit("map", text=TEXT, to="zh", site="decoder.0.self", area="1.0.2").sound().figure("map-page")[0]
    assert other["area"] == [1, 0, 2] and other["base"] != header["base"]


def test_the_files_hold_what_is_in_view(trace) -> None:
    site = trace.record("decoder.0.self").site
    values, high, wide = maps.in_view(trace, site, 1, maps.area("1.0.2"), "max")
    np.testing.assert_allclose(values, trace.weights(site, 1)[1:3, 0:2].numpy(), atol=bounds.WEIGHT)
    assert (high, wide) == (1, 1)
    assert maps.area("1.2") is None and maps.area("a.b.c") is None


@pytest.mark.parametrize("how", ["max", "mean"])
def test_long_files_are_pooled(how: str) -> None:
    long = record(250, 201, heads=1, d=4, dtype=torch.float32)
    values, high, wide = maps.in_view(SimpleNamespace(record=lambda _site: long), long.site, 0, None, how)
    A = long.weights(0).numpy()
    assert (high, wide) == (3, 3) and values.shape == (84, 67)
    pool = np.max if how == "max" else np.mean
    for r, c in ((0, 0), (5, 60), (83, 66)):
        assert values[r, c] == pytest.approx(pool(A[3 * r : 3 * r + 3, 3 * c : 3 * c + 3]), abs=bounds.WEIGHT)
