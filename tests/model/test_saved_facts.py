"""The facts of a saved trace: every one that is read has a type and, where it needs others beside it, those."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.trace.saved import schema
from model.transformer.config import NORMS, POSITIONS

ROOT = Path(__file__).parents[2]
ODD = (
    5,
    0.5,
    True,
    "x",
    "",
    None,
    [],
    [1, {"a": 2}],
    [None],
    {},
    {"a": [1]},
    [["a", "b"]],
    [[0.5]],
    [-1],
    10**30,
    -1,
    [[]],
)
# Where one of `ODD` is what the fact may be.
TEXTS = {"family", "task", "pieces", "device", "unpacked", "head", "picture", "sound"}
LISTS = {"edits", "written", "folded", "fresh", "missing", "not_finite", "gaps", "classes", "scores", "labels", "replaced",
         "choices", "captions"}  # fmt: skip
PART = {"opening", "sentence_pairs"}  # any part of them may be absent
COUNTS = {"prompt", "selected", "sound_end", "padding"}
TRUTHS = {"own_module", "generated", "finished", "adds_positions"}


def right(name: str, value: object) -> bool:
    """Whether a value is one of its kind, written without the schema."""
    if value == "":
        return name in TEXTS | {"positions", "decoder_reads", "spelt"}
    if isinstance(value, str):
        return name in TEXTS | {"spelt"}
    if value is None:
        return name in {"adds_positions", "spelt"}
    if isinstance(value, bool):
        return name in TRUTHS
    if isinstance(value, int | float):
        return (name in COUNTS and value == 5) or (name in {"seconds", "frame_seconds"} and value > 0)
    if value == []:
        return name in LISTS
    if value == {}:
        return name in PART | {"modules"}
    if value == {"a": [1]}:
        return name == "opening"  # others may stand beside what is read
    if value == [["a", "b"]]:
        return name == "folded"
    return value == [-1] and name == "scores"


def document(**facts: object) -> dict:
    side = {"tokens": ["a", "b"], "ids": [0, 1], "special": [False, False]}
    entry = {"site": "encoder.0.self", "scale": 1.0, "distance": None, "softcap": None, "mask": "all"}
    key = {"model": "m", "weights_hash": "h", "source": "s", "target": None, "options": []}
    return {"key": key, "sides": {"encoder": side, "decoder": side}, "attention": [entry], "tensors": {}, "vocabulary": [],
            "facts": facts, "logits_error": None}  # fmt: skip


def accepted(**facts: object) -> bool:
    try:
        schema.check_facts(schema.read(document(**facts)), {"encoder": 2, "decoder": 2})
    except ValueError as error:
        assert len(str(error)) < 250 and "\n" not in str(error)
        return False
    return True


def typed(**facts: object) -> bool:
    try:
        schema.read(document(**facts))
    except ValueError:
        return False
    return True


def read_anywhere() -> Iterator[tuple[str, str]]:
    """(name, file) of every fact of a trace that the code asks for."""
    for folder in ("model", "viz", "pages"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Subscript):
                    of, name = node.value, node.slice
                elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
                    of, name = node.func.value, node.args[0] if node.args else None
                elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
                    of, name = node.comparators[0], node.left
                else:
                    continue
                if isinstance(of, ast.Attribute) and of.attr == "facts" and isinstance(name, ast.Constant):
                    yield name.value, path.name


def test_every_fact_that_is_read_is_one_that_the_schema_knows() -> None:
    found = dict(read_anywhere())
    assert len(found) > 30  # the search finds them
    assert not {name: file for name, file in found.items() if name not in schema._Facts.model_fields}


@pytest.mark.parametrize("name", schema._Facts.model_fields)
def test_a_fact_is_of_its_kind_or_refused(name: str) -> None:
    for value in ODD:
        assert typed(**{name: value}) == right(name, value), value


def test_a_choice_is_among_those_that_there_are() -> None:
    told = {
        "norm": (*NORMS, "unknown"), "positions": (*POSITIONS, "t5"), "pooling": ("mean", "cls", "last", "max"),
        "decoder_reads": ("input", "start"), "captions_how": ("softmax", "sigmoid"), "reads": ("text",),
    }  # fmt: skip
    assert all(accepted(**{name: value}) for name, values in told.items() for value in values)
    assert not any(accepted(**{name: "sideways"}) for name in told)


SOUND = {"reads": "sound", "seconds": 0.04, "frame_seconds": 0.02, "sound_end": 0, "padding": 1}


def test_a_fact_has_those_beside_it_that_are_read_with_it() -> None:
    whole = [
        SOUND, {"reads": "picture", "grid": [1, 2]}, {"classes": [["a", 0.5], ["b", 0.1]], "classes_how": "sigmoid"},
        {"classes": [["a", 0.5]], "classes_how": "sigmoid", "scores": [0.1]}, {"labels": [["a", 0.5]] * 2, "spelt": "aa"},
        {"classes": [["a", 0.5]]}, {"written": ["a", "b"], "prompt": 2},
    ]  # fmt: skip
    assert all(accepted(**facts) for facts in whole)
    lacking = [
        *({name: value for name, value in SOUND.items() if name != left} for left in SOUND), SOUND | {"padding": 0},
        SOUND | {"sound_end": 2}, {"reads": "picture"}, {"grid": [1, 2]}, {"reads": "picture", "grid": [9, 9]},
        {"classes": [["a", 0.5]], "classes_how": "sigmoid"}, {"classes": [["a", 0.5]], "classes_how": "scores"},
        {"classes": [["a", 0.5]], "classes_how": "sigmoid", "scores": [0.1, 0.2]}, {"labels": [["a", 0.5]]},
        {"written": ["a"]}, {"gaps": [2]}, {"read_at": ["third", [0]]}, {"selected": 1},
    ]  # fmt: skip
    for facts in lacking:
        assert not accepted(**facts), facts


def test_what_is_read_of_an_answer_is_there() -> None:
    told = document(answers={"spans": []}, head="x")
    found = schema.facts_of(schema.read(told), told)
    assert found == {"answers": {"spans": [], "pair": False, "longest": 0, "none": None, "beam": False}, "head": "x"}
