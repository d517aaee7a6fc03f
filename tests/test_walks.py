"""docs/architecture.md walks five numbers down through the code: each step of a walk calls, or hands on, the next."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FLOORS = ("pages", "viz/ui", "viz", "model")
WALKS = {
    found[1]: re.findall(r"`([\w/]+\.py):(\w+)`", found[2])
    for found in re.finditer(r"^- \*\*(.+?)\*\*(.+?)(?=^- \*\*|^#|\Z)", PAGE.partition("## To add")[0], re.M | re.S)
}


def tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def functions(file: str) -> dict[str, ast.FunctionDef]:
    """Functions and methods of a file by name."""
    return {node.name: node for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef)}


def place(module: str) -> str:
    """`model.trace.file` -> model/trace/file.py."""
    return f"{module.replace('.', '/')}.py"


def imported(file: str) -> dict[str, str]:
    """name in the file -> the dotted thing that it is, wherever in the file it is imported."""
    return {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree(file)) if isinstance(node, ast.ImportFrom) for alias in node.names
    }  # fmt: skip


def reached(file: str, name: str) -> set[tuple[str, str]]:
    """(file or "" for a method of some object, function) that `name` and what it calls in its own file mention."""
    names, own = imported(file), functions(file)
    found, todo, seen = set(), [name], set()
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        for node in ast.walk(own[current]):
            if isinstance(node, ast.Attribute):
                module = names.get(node.value.id) if isinstance(node.value, ast.Name) else None
                found.add((place(module) if module else "", node.attr))
                todo += [node.attr] if isinstance(node.value, ast.Name) and node.attr in own and not module else []
            elif isinstance(node, ast.Name):
                if node.id in names:
                    module, _, what = names[node.id].rpartition(".")
                    found.add((place(module), what))
                todo += [node.id] if node.id in own else []
    return found


def registered(file: str, name: str) -> bool:
    """Whether the function is handed to an entry of a registry at the top of its file."""
    calls = [node for node in tree(file).body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    return any(isinstance(n, ast.Name) and n.id == name for call in calls for n in ast.walk(call.value))


def is_method(file: str, name: str) -> bool:
    classes = [node for node in ast.walk(tree(file)) if isinstance(node, ast.ClassDef)]
    return any(isinstance(inner, ast.FunctionDef) and inner.name == name for one in classes for inner in one.body)


def leads(step: tuple[str, str], following: tuple[str, str]) -> bool:
    mentioned = reached(*step)
    if following in mentioned:
        return True
    if is_method(*following):
        return ("", following[1]) in mentioned
    # What a registry holds is called by the name of the field that it was handed in.
    return registered(*following) and any(attribute in ("value", "sums", "keys", "cells") for _, attribute in mentioned)


def floor(file: str) -> int:
    return next(i for i, folder in enumerate(FLOORS) if file.startswith(f"{folder}/"))


def test_there_are_five():
    assert len(WALKS) == 5 and all(len(walk) > 1 for walk in WALKS.values())


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
def test_a_walk_goes_down_and_enters_no_file_twice(walk: list[tuple[str, str]]):
    files = [file for file, _ in walk]
    floors = [floor(file) for file in files]
    assert len(files) == len(set(files)) <= 5
    assert floors == sorted(floors) and floors[0] == FLOORS.index("viz/ui")


@pytest.mark.parametrize("walk", WALKS.values(), ids=WALKS)
def test_each_step_calls_the_next(walk: list[tuple[str, str]]):
    for file, name in walk:
        assert name in functions(file), f"{file} has no {name}"
    assert [pair for pair in itertools.pairwise(walk) if not leads(*pair)] == []


def test_a_wrong_walk_would_be_found():
    (cell, weight, *_), (_, *fidelity) = WALKS["The weight of a clicked cell"], WALKS["A sub-layer's error"]
    assert leads(cell, weight) and not leads(cell, fidelity[-1]) and not leads(weight, cell)


def test_the_rooms_on_the_page_are_the_folders():
    drawing = PAGE.partition("## Five numbers")[0]
    for base in ("model", "model/checkpoints", "viz", "viz/ui"):
        for folder in (ROOT / base).iterdir():
            if folder.is_dir() and (folder / "__init__.py").is_file():
                assert re.search(rf"\b{folder.name}/", drawing), folder
