"""The one contract of every hostile file: refused in one sentence, or opened and right; in time, in memory, without code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.case import CASES
from tests.hostile.child import Child

LONGEST = 300  # characters of a sentence


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("TOKENIZERS_PARALLELISM", "false")
        started = Child(tmp_path_factory.mktemp("hostile"))
        yield started
        started.close()


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 150


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused_in_one_sentence_or_opens_and_is_right(child: Child, name: str) -> None:
    case, found = CASES[name], child.open(name)
    assert found["how"] in ("refused", "opened"), (found["how"], found["said"], found.get("trace"))
    assert not found["ran"], "a stranger's code ran"
    if found["how"] == "opened":
        assert not case.told or case.told == "opens", "it opened"
        assert found["said"] in ("", "red" if case.red else ""), found["said"]
        return
    said = found["said"]
    assert case.told in said and case.told != "opens", said
    assert len(said) <= LONGEST and said.strip() == said and "\n" not in said and said.endswith("."), said
    assert found["code"] not in ("unexpected", "out_of_memory"), (said, found["trace"])
    assert "Traceback" not in said and "Error:" not in said, said
