"""The scripts of a component are joined into one module: a name at the top level may be taken only once in it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "viz/ui/components"
TREE = ast.parse((FOLDER / "__init__.py").read_text(encoding="utf-8"))


def shared() -> list[str]:
    (value,) = (n.value for n in TREE.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "_SHARED")
    return list(ast.literal_eval(value))


def parts() -> dict[str, list[str]]:
    """component -> its scripts, as `_register` is given them."""
    calls = [n.value for n in TREE.body if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call)]
    named = [[ast.literal_eval(argument) for argument in call.args] for call in calls]
    return {name: scripts for name, *scripts in named if scripts}


@pytest.mark.parametrize("component", parts())
def test_top_level_names_are_taken_once(component: str) -> None:
    text = "\n".join((FOLDER / script).read_text(encoding="utf-8") for script in [*shared(), *parts()[component]])
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", text, re.MULTILINE)
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_every_script_belongs_to_a_component() -> None:
    used = {*shared(), *(script for scripts in parts().values() for script in scripts)}
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.js")} == used
