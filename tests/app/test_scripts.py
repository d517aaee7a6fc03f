"""The components' modules come from the app's own server, under an address that tells their content."""

from __future__ import annotations

import json
import mimetypes
import re

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from viz.base import palette
from viz.ui import server
from viz.ui.components import scripts

ENTRY = "matrix/main.js"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(scripts, "_served", [])
    return TestClient(Starlette(routes=server.routes()))


def address(file: str) -> str:
    return f"{scripts.PATH}/{scripts.version()}/{file}"


@pytest.fixture
def other_release(monkeypatch: pytest.MonkeyPatch) -> str:
    """The version that these addresses have once one module is another."""
    changed = scripts.modules() | {"shared/dom.js": "export function el() {}\n"}
    monkeypatch.setattr(scripts, "modules", lambda: changed)
    return scripts.version.__wrapped__()


def test_a_component_is_imported_from_the_server(client: TestClient):
    loader = scripts.loader(ENTRY)
    (folder,) = re.findall(r'new URL\("(headlight/components/[0-9a-f]+/)" \+ file, document\.baseURI\)', loader)
    files = json.loads(re.search(r"Promise\.all\((\[.+?\])\.map", loader)[1])
    # The component itself first, and with it, in one go, all that it needs.
    assert files[0] == ENTRY and set(files) == set(scripts.in_order(ENTRY)) and len(files) == len(set(files))
    assert all(client.get(f"/{folder}{file}").text == scripts.modules()[file] for file in files)
    assert len(loader) < 1000  # it is sent with every change of a page


@pytest.mark.parametrize("file", scripts.modules())
def test_every_module_is_there_as_a_script(client: TestClient, monkeypatch: pytest.MonkeyPatch, file: str):
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_, **__: ("text/plain", None))  # as some Windows machines say
    answer = client.get(address(file))
    assert answer.status_code == 200 and answer.content.decode() == scripts.modules()[file]
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"  # a module of another type is refused
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in answer.headers["cache-control"] and "max-age=31536000" in answer.headers["cache-control"]
    for needed in scripts.imports(file):
        assert client.get(address(needed)).status_code == 200


def test_the_colours_are_those_of_the_palette(client: TestClient):
    given = re.fullmatch(r"export const PALETTE = (\{.*\});\n", client.get(address("shared/palette.js")).text)
    assert json.loads(given[1]) == palette.tables()


@pytest.mark.parametrize(
    "file",
    ["", "matrix", "matrix/", "matrix/style.css", "__init__.py", "scripts.py", "matrix/gone.js", "../scripts.py",
     "..%2Fserver.py", "..%2F..%2F..%2F..%2Fapp.py", "%2Fetc%2Fpasswd", "matrix%5Cmain.js", "matrix/main.js%00",
     "matrix/../matrix/main.js%20"],
)  # fmt: skip
def test_nothing_else_is_there(client: TestClient, file: str):
    assert client.get(address(file)).status_code == 404


@pytest.mark.parametrize("path", ["matrix/main.js", "matrix-0.js", f"{'0' * 18}/{ENTRY}", ENTRY])
def test_no_other_version_is_there(client: TestClient, path: str):
    assert client.get(f"{scripts.PATH}/{path}").status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_can_be_put_there(client: TestClient, method: str):
    assert getattr(client, method)(address(ENTRY)).status_code == 405


def test_another_content_has_another_address(client: TestClient, other_release: str):
    assert other_release != scripts.version() and re.fullmatch("[0-9a-f]{18}", other_release)


def test_a_file_that_is_replaced_under_a_running_server_is_not_served(client: TestClient, monkeypatch, tmp_path):
    scripts.modules()
    (tmp_path / "matrix").mkdir()
    (tmp_path / ENTRY).write_text("export default null;\n", encoding="utf-8")
    before = client.get(address(ENTRY)).text
    monkeypatch.setattr(scripts, "FOLDER", tmp_path)
    assert client.get(address(ENTRY)).text == before != "export default null;\n"


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a component is given where nobody serves the modules: file -> text, in the order in which they are made."""
    monkeypatch.setattr(scripts, "_served", [])
    (found,) = re.findall(r"^const texts = (\{.*\});$", scripts.loader(ENTRY), re.MULTILINE)
    return json.loads(found)


def test_without_the_routes_the_modules_are_passed_themselves(texts: dict[str, str]):
    assert list(texts) == scripts.in_order(ENTRY)
    for file, text in texts.items():
        assert text.splitlines()[-1] == scripts.modules()[file].splitlines()[-1]
        assert len(text.splitlines()) == len(scripts.modules()[file].splitlines())


def test_each_of_them_imports_by_a_name_that_is_made_before(texts: dict[str, str]):
    """As the page finds the imports: with the same words."""
    made: set[str] = set()
    for file, text in texts.items():
        wanted = re.findall(r'^import .* from "(.*)";$', text, re.MULTILINE)
        assert len(wanted) == len(scripts.imports(file)) and set(wanted) <= made
        made.add(file)
