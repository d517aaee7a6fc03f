"""The components' ES modules: every import finds what it names, nothing goes round in a circle, and nothing is left over."""

from __future__ import annotations

import ast
import re
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

from viz.ui.components import scripts

FOLDER = Path(__file__).parents[1] / "viz/ui/components"
MODULES = scripts.modules()
FOLDERS = sorted(path.parent.name for path in FOLDER.glob("*/style.css"))
NAMES = r"\{ (\w+(?:, \w+)*) \}"


def imported(text: str) -> list[tuple[str, str]]:
    """(name, the module it comes from) of everything that a module imports."""
    found = re.findall(rf'^import {NAMES} from "([^"]+)";$', text, re.MULTILINE)
    return [(name, module) for names, module in found for name in names.split(", ")]


def exported(text: str) -> list[str]:
    return re.findall(r"^export (?:async )?(?:function|class|const) (\w+)", text, re.MULTILINE)


def declared(text: str) -> list[str]:
    """The names at the top level, its own and imported ones."""
    own = r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)"
    return re.findall(own, text, re.MULTILINE) + [name for name, _ in imported(text)]


def bare(text: str) -> str:
    """A module without its imports, comments and plain strings."""
    return re.sub(r'^import [^\n]*$|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', "", text, flags=re.DOTALL | re.MULTILINE)


def registered() -> dict[str, list[str]]:
    """component -> the style sheets that come before its own, as `_register` is given them."""
    tree = ast.parse((FOLDER / "__init__.py").read_text(encoding="utf-8"))
    made = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    told = {ast.unparse(node.targets[0]): [ast.literal_eval(each) for each in node.value.args] for node in made}
    assert all(name == arguments[0] for name, arguments in told.items())
    return {name: sheets for name, (_, *sheets) in told.items()}


def faults(modules: dict[str, str]) -> list[str]:
    """What is wrong with imports and exports, in words; a test below holds that each of these is noticed."""
    found, wanted = [], Counter()
    for file, text in modules.items():
        lines = [line for line in text.splitlines() if re.match(r'import\b|export\b.*\bfrom "', line)]
        found += [
            f"{file}: another kind of import"
            for line in lines
            if not re.fullmatch(rf'import {NAMES} from "\..+";', line)
        ]
        found += [f"{file}: {name} twice" for name, count in Counter(declared(text)).items() if count > 1]
        code = bare(text)
        for name, module in imported(text):
            source = scripts.resolve(file, module)
            wanted[source, name] += 1
            if name not in exported(modules.get(source, "")):
                found.append(f"{file}: {source} has no {name}")
            if not re.search(rf"(?<![.\w]){name}\b", code):
                found.append(f"{file}: {name} is not used")
    entries = {file for file in modules if file.endswith("/main.js")}
    for file, text in modules.items():
        found += [f"{file}: nobody imports {name}" for name in exported(text) if not wanted[file, name]]
        if (file in entries) != bool(re.search(r"^export default ", text, re.MULTILINE)):
            found.append(f"{file}: main.js, and no other, has the component")
    return found


def test_there_is_something_to_read() -> None:
    assert len(MODULES) > 50 and {"matrix/main.js", "shared/dom.js", "shared/palette.js"} <= set(MODULES)
    assert sum(len(imported(text)) for text in MODULES.values()) > 300


def test_every_import_finds_what_it_names_and_every_export_is_imported() -> None:
    assert faults(MODULES) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('import { el } from "../shared/dom.js";\nel("i");\n', "shared/dom.js has no el"),
        ('import { b } from "./b.js";\n', "b is not used"),
        ('import { b } from "./b.js";\nconst b = 1;\nb();\n', "b twice"),
        ('import * as b from "./b.js";\nb();\n', "another kind of import"),
        ("export const c = 1;\n", "nobody imports c"),
        ("export default () => 1;\n", "main.js, and no other, has the component"),
    ],
)
def test_a_fault_is_noticed(text: str, fault: str) -> None:
    sound = {"a/b.js": "export function b() {}\n", "a/main.js": 'import { b } from "./b.js";\nexport default b;\n'}
    assert faults(sound) == [] and faults(sound | {"a/c.js": text}) == [f"a/c.js: {fault}"]


def test_no_module_imports_in_a_circle() -> None:
    TopologicalSorter({file: scripts.imports(file) for file in MODULES}).prepare()
    with pytest.raises(CycleError):
        TopologicalSorter({"a.js": ["b.js"], "b.js": ["a.js"]}).prepare()


@pytest.mark.parametrize("file", MODULES)
def test_a_component_imports_from_its_own_folder_and_from_shared(file: str) -> None:
    folder = file.split("/")[0]
    assert {needed.split("/")[0] for needed in scripts.imports(file)} <= {folder, "shared"}
    assert len(scripts.imports(file)) == len({module for _, module in imported(MODULES[file])})


def forgotten(text: str, known: set[str]) -> set[str]:
    """What a module takes of other modules' exports without knowing it: calls, classes and constants."""
    code, others = bare(text), set(chain.from_iterable(map(exported, MODULES.values()))) - known
    uses = re.findall(r"(?<![.\w])(\w+)\(|\bnew (\w+)|(?<![.\w])([A-Z][A-Z_]+)\b", code)
    # The line that begins a method, and what a function declares for itself, are no uses.
    local = re.findall(r"\b(?:const|let|function) (\w+)", code)
    methods = re.findall(r"^  (?:async )?(\w+)\([^\n]*\) \{$", code, re.MULTILINE)
    return set(chain.from_iterable(uses)) & others - {*local, *methods}


@pytest.mark.parametrize("file", MODULES)
def test_decimals_have_one_home(file: str) -> None:
    """`toFixed` writes "-0.000", which is no number that anybody means."""
    assert "toFixed(" not in MODULES[file] or file == "shared/numbers.js"


@pytest.mark.parametrize("file", MODULES)
def test_no_import_is_forgotten(file: str) -> None:
    """A name that is not known stops a figure only where it is used, perhaps in a view that no test opens."""
    text = MODULES[file]
    assert forgotten(text, set(declared(text))) == set()


def test_a_forgotten_import_is_noticed() -> None:
    taken = [(text, name) for text in MODULES.values() for name, _ in imported(text)]
    noticed = [forgotten(text, set(declared(text)) - {name}) == {name} for text, name in taken]
    assert sum(noticed) > 0.9 * len(noticed)


def test_every_folder_is_a_component_and_every_module_belongs_to_one() -> None:
    assert sorted(registered()) == FOLDERS
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} - {"__pycache__"} == {*FOLDERS, "shared"}
    assert set(chain.from_iterable(scripts.in_order(f"{name}/main.js") for name in FOLDERS)) == set(MODULES)


def test_every_style_sheet_belongs_to_a_component() -> None:
    used = {
        "shared/common.css",
        *chain.from_iterable(registered().values()),
        *(f"{name}/style.css" for name in FOLDERS),
    }
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.css")} == used


@pytest.mark.parametrize("component", FOLDERS)
def test_modules_come_after_those_that_they_import(component: str) -> None:
    order = scripts.in_order(f"{component}/main.js")
    assert order[-1] == f"{component}/main.js" and len(order) == len(set(order))
    for place, file in enumerate(order):
        assert set(scripts.imports(file)) <= set(order[:place])
