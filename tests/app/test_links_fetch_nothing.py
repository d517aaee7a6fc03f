"""What a link may not do: ask a model hub, read another's home, or answer to a name that is not this server's."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from model import open_model
from model.checkpoints.disk import discovery
from model.errors import HeadlightError, NotByLink
from tests.app.visit import Visit
from viz.ui import server, tile_server

hub = pytest.importorskip("huggingface_hub")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names that a hub was asked for; there is none to answer."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    names: list[str] = []

    def fetch(name: str, **_: object) -> None:
        names.append(name)
        raise OSError("no route to host")

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    return names


@pytest.mark.parametrize("link", [{"model": "who/what"}, {"model": "translate", "against": "model:who/what"}])
def test_a_link_asks_no_hub(asked: list[str], link: dict[str, str]):
    seen = Visit("overview" if "against" not in link else "comparing", **link)
    assert not seen.at.exception and not asked


def test_a_typed_name_does(asked: list[str]):
    seen = Visit("models").sound()
    seen.at.text_input(key="models-path").set_value("who/what").run()
    seen.click("open-path")
    assert asked == ["who/what"] and not seen.at.exception
    # The name in another's link is still only a name.
    asked.clear()
    assert Visit("overview", model="who/what") and not asked


def test_the_model_itself_says_how_it_would_be_fetched(asked: list[str]):
    with pytest.raises(NotByLink, match="type its name"):
        open_model("who/what", fetch=False)
    assert not asked


@pytest.mark.parametrize("name", ["~root/models", "~daemon", "~/secret/model"])
def test_nobodys_home_is_told(monkeypatch: pytest.MonkeyPatch, name: str):
    homes = [str(Path.home()), "/root", "/usr/sbin"]
    for confined in (False, True):
        with pytest.raises(HeadlightError) as refused:
            open_model(name, confined=confined)
        told = str(refused.value)
        assert name in told and not any(f"{home}/{name.split('/')[-1]}" in told for home in homes)
    assert discovery.expanded("~root/x") == Path("~root/x")
    assert discovery.expanded("~/x") == Path.home() / "x"


def test_a_strangers_host_name_is_refused_on_plain_http(monkeypatch: pytest.MonkeyPatch):
    assert st.get_option("server.allowedHosts") == ["localhost", "127.0.0.1"]
    client = TestClient(Starlette(routes=server.routes(), middleware=server.middleware()))
    path = f"{tile_server.PATH}/none/decoder.0.self/0/row/0"
    for host, status in (("localhost:8501", 404), ("127.0.0.1", 404), ("rebound.example", 400), ("", 400)):
        assert client.get(path, headers={"host": host}).status_code == status, host


def test_a_token_ends_with_its_session(monkeypatch: pytest.MonkeyPatch):
    connected = {"here"}
    runtime = types.SimpleNamespace(
        exists=lambda: True, instance=lambda: types.SimpleNamespace(is_active_session=connected.__contains__)
    )
    record = types.SimpleNamespace()
    monkeypatch.setattr(tile_server, "get_script_run_ctx", lambda **_: types.SimpleNamespace(session_id="here"))
    ticket = tile_server.Ticket(types.SimpleNamespace(record=lambda _: record))
    monkeypatch.setattr(tile_server, "Runtime", runtime)
    monkeypatch.setattr(tile_server, "row", lambda *_: b"")
    client = TestClient(Starlette(routes=[tile_server._route("row/{index}", lambda *_: b"1", "index")]))
    path = f"{tile_server.PATH}/{ticket.token}/decoder.0.self/0/row/0"
    assert client.get(path).status_code == 200
    connected.clear()
    assert client.get(path).status_code == 404
