"""The components' scripts come from the app's own server, each under a name that tells its content."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from viz.ui.components import scripts

SCRIPT = "export default function draw() { return '注意力'; }\n"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(scripts, "_served", [])
    monkeypatch.setattr(scripts, "_scripts", {})
    return TestClient(Starlette(routes=scripts.routes()))


def test_a_script_is_imported_from_the_server(client: TestClient):
    loader = scripts.passed("matrix", SCRIPT)
    (file,) = re.findall(r'new URL\("(headlight/components/matrix-[0-9a-f]+\.js)", document\.baseURI\)', loader)
    answer = client.get(f"/{file}")
    assert answer.status_code == 200 and answer.content.decode() == SCRIPT
    assert answer.headers["content-type"].startswith("text/javascript")  # a module of another type is refused
    assert len(loader) < 300


def test_another_content_has_another_name(client: TestClient):
    assert (
        scripts.passed("matrix", SCRIPT) == scripts.passed("matrix", SCRIPT) != scripts.passed("matrix", SCRIPT + " ")
    )


@pytest.mark.parametrize("file", ["matrix.js", "..%2Fscripts.py", "matrix-0.js"])
def test_nothing_else_is_there(client: TestClient, file: str):
    scripts.passed("matrix", SCRIPT)
    assert client.get(f"{scripts.PATH}/{file}").status_code == 404


def test_without_the_routes_it_is_passed_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scripts, "_served", [])
    assert scripts.passed("matrix", SCRIPT) == SCRIPT
