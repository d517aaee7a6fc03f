"""`python -m model families --check`: what it says of families, and the list in docs/families.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from model.__main__ import main
from model.checkpoints.disk.families import FAMILIES
from model.checkpoints.library import family_check
from model.checkpoints.library.family_check import EXACT, check_families, table

ROOT = Path(__file__).parents[2]
LIST = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
SOME = ("bert", "codegen", "fnet", "longt5", "mpt", "qwen3_next")


@pytest.fixture(scope="module")
def results() -> dict[str, family_check.FamilyResult]:
    return {one.model_type: one for one in check_families(SOME)}


def test_each_is_exact_or_says_what_it_lacks(results: dict[str, family_check.FamilyResult]):
    exact = {name: one.way for name, one in results.items() if one.result == "exact"}
    assert exact == {"bert": "registry", "codegen": "operators", "mpt": "operators", "qwen3_next": "registry"}
    assert all(results[name].error <= EXACT for name in exact)
    assert (results["fnet"].result, results["longt5"].result) == ("refused", "partly")
    assert "no attention over whole rows" in results["fnet"].told and "LocalSelfAttention" in results["longt5"].told


def test_a_fault_is_neither(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(family_check, "EXACT", -1.0)
    monkeypatch.setattr("model.checkpoints.library.family_check.check_families", lambda: check_families(("bert",)))
    with pytest.raises(SystemExit) as stopped:
        main(["families", "--check"])
    assert stopped.value.code == 1 and "neither exact nor refused: bert" in capsys.readouterr().err


def test_the_command_prints_a_line_a_family_and_writes_the_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
):
    monkeypatch.setattr("model.checkpoints.library.family_check.check_families", lambda: check_families(SOME[:3]))
    assert main(["families", "--check", "--out", str(tmp_path / "list.md")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == sorted(SOME[:3]) and lines[3].startswith("2 of 3 families exact")
    assert "| fnet | " in (tmp_path / "list.md").read_text(encoding="utf-8")


def test_the_list_has_every_family_of_ours_and_nothing_that_fails(results: dict[str, family_check.FamilyResult]):
    listed = dict(re.findall(r"^\| (\S+) \| \S+ \| (.+) \|$", LIST, re.MULTILINE))
    texts = {family.model_type for family in FAMILIES if family.reads == "text"}
    assert texts <= listed.keys() and all(listed[name].startswith("exact") for name in texts)
    assert not [name for name, told in listed.items() if told.startswith("failed")]
    for name, one in results.items():
        assert listed[name].split(",")[0].split(":")[0] == one.told.split(",")[0].split(":")[0], name
    assert len(re.findall("exact, to", LIST)) == int(re.search(r"^(\d+) are exact", LIST, re.MULTILINE)[1])
    assert "| fnet |" in table(list(results.values()))
