"""Who may import whom, and what may lie where: the rules of the house, read from the files."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Set
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from viz.ui.navigation import SECTIONS

ROOT = Path(__file__).parents[1]
APP = [ROOT / "app.py"]
MODEL, PAGES, UI = (sorted((ROOT / folder).rglob("*.py")) for folder in ("model", "pages", "viz/ui"))
VIZ = [path for path in sorted((ROOT / "viz").rglob("*.py")) if path not in UI]
SCREEN = {"streamlit", "plotly", "altair"}
HEAVY = {"torch", "transformers", "plotly", "altair"}
# `Trace` offers what stands above it as one-line methods, for whoever holds a trace in a notebook.
DOORS = {("model.trace.trace", "model.attention.downsample"), ("model.trace.trace", "model.measures.table")}
EXPLAINED = {
    "README.md", "app.py", "viz", "model", "pages", "tests", "requirements.txt",  # fixed by the user
    "LICENSE", "CHANGELOG.md", "pyproject.toml", "requirements-dev.txt", ".streamlit", ".ci", ".gitignore",
    "benchmarks", "checkpoints", "docs",
}  # fmt: skip


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    """A file's statements, read once for all that asks about them; nobody changes them."""
    return ast.parse(path.read_text(encoding="utf-8"))


def typed_only(tree: ast.Module) -> set[ast.AST]:
    """What stands under `if TYPE_CHECKING:` and is never run."""
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    return {inner for block in blocks for statement in block.body for inner in ast.walk(statement)}


@cache
def imports(path: Path, top_level: bool = False) -> frozenset[str]:
    """Dotted names that the file imports, `from viz import tokens` as viz.base.tokens; `top_level`: when it is imported."""
    tree = tree_of(path)
    nodes = set(ast.walk(tree)) - typed_only(tree)
    if top_level:
        functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
        nodes -= {inner for function in functions for inner in ast.walk(function)}
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def packages(found: Set[str]) -> set[str]:
    return {module.partition(".")[0] for module in found}


def words_of(path: Path) -> list[str]:
    """The names and operators of a file, without its texts and comments."""
    source = io.StringIO(path.read_text(encoding="utf-8"))
    kinds = (tokenize.NAME, tokenize.OP)
    return [token.string for token in tokenize.generate_tokens(source.readline) if token.type in kinds]


def tensor_loads(path: Path) -> list[ast.Call]:
    """The calls `torch.load(…, weights_only=True)`, whose unpickler makes tensors and plain values and runs no code."""
    calls = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    told = [call for call in calls if ast.unparse(call.func) == "torch.load"]
    return [call for call in told if "weights_only=True" in map(ast.unparse, call.keywords)]


def modules() -> dict[str, Path]:
    """Every module of model/ and viz/ by its dotted name; a folder's name is that of its __init__.py."""
    found = {}
    for path in (*MODEL, *VIZ, *UI):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def entrances(edges: set[tuple[Path, Path]]) -> dict[Path, dict[str, set[str]]]:
    """folder -> {what lies in it: what else in it that imports}; a folder in it stands for all that it holds.

    An import between two files is an edge where their ways part: of model/trace/file.py and model/text/tokenizer.py
    it is trace -> text, in model/.
    """
    found: dict[Path, dict[str, set[str]]] = {}
    for importing, imported in edges:
        ways = importing.relative_to(ROOT).parts, imported.relative_to(ROOT).parts
        depth = next(i for i, (one, other) in enumerate(zip(*ways, strict=False)) if one != other)
        folder = found.setdefault(Path(*ways[0][:depth]), {})
        folder.setdefault(ways[0][depth], set()).add(ways[1][depth])
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Names that lead from one back to itself, [] where there are none."""

    def from_here(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            if found := from_here(other, [*way, name]):
                return found
        done.add(name)
        return []

    done: set[str] = set()
    return next((found for name in sorted(graph) if (found := from_here(name, []))), [])


def module_edges() -> set[tuple[Path, Path]]:
    """(importing file, imported file) inside model/ and viz/, imports inside functions too, less the doors of `Trace`."""
    known, edges = modules(), set()
    for name_of, path in known.items():
        for target in imports(path):
            while target not in known and target:
                target = target.rpartition(".")[0]
            if target and target != name_of and (name_of, target) not in DOORS:
                edges.add((path, known[target]))
    return edges


def test_there_is_something_to_read():
    assert all((MODEL, VIZ, UI, PAGES))
    assert packages(imports(ROOT / "viz" / "training_curve.py")) >= {"altair", "pandas"}


@pytest.mark.parametrize("path", MODEL, ids=name)
def test_model_draws_nothing(path: Path):
    assert not packages(imports(path)) & (SCREEN | {"viz", "pages", "app", "tests"})


@pytest.mark.parametrize("path", MODEL, ids=name)
def test_model_reads_other_formats_only_in_checkpoints_and_when_asked(path: Path):
    foreign = {"transformers", "tokenizers", "gguf"}
    assert not packages(imports(path, top_level=True)) & foreign
    if path == ROOT / "model/text/byte_pair.py":  # trains and reads the subwords of our own models
        foreign.remove("tokenizers")
    # What trains with the library's own classes and objectives imports it, too, inside its functions.
    assert {"checkpoints", "small_families"} & set(path.parts) or not packages(imports(path)) & foreign


@pytest.mark.parametrize("path", VIZ, ids=name)
def test_viz_knows_no_streamlit(path: Path):
    found = imports(path)
    assert not packages(found) & {"streamlit", "pages", "app", "tests", "transformers"}
    assert not any(module.startswith("viz.ui") for module in found)


@pytest.mark.parametrize("path", UI, ids=name)
def test_the_shared_ui_knows_no_page(path: Path):
    assert not packages(imports(path)) & {"pages", "app", "tests", "transformers"}
    assert not packages(imports(path, top_level=True)) & HEAVY


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_pages_only_arrange(path: Path):
    found = imports(path)
    assert packages(found) <= {"streamlit", "viz", "__future__"}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
    assert ast.get_docstring(tree_of(path))


def test_app_only_navigates():
    found = imports(ROOT / "app.py") - {"__future__.annotations"}
    assert all(module == "streamlit" or module.startswith("viz.ui") for module in found), found


def test_pages_lie_in_sections_with_names_of_their_own():
    # Streamlit runs a file directly in pages/ on its own, without app.py.
    assert not list((ROOT / "pages").glob("*.py"))
    assert all(path.parent.parent == ROOT / "pages" for path in PAGES)
    stems = [path.stem for path in PAGES]
    assert sorted(stem for section in SECTIONS.values() for stem in section) == sorted(stems)  # each has a name
    assert sorted(stems) == sorted(set(stems))  # the stem is the address


@pytest.mark.parametrize(
    "module",
    [
        "model",
        "model.checkpoints.disk.shipped",
        "model.measures.registry",
        "model.lab.runs",
        "viz.ui.shared.page_text",
        "viz.overview.overview",
    ],
)
def test_importing_is_cheap(module: str):
    """A page starts without torch (2.4 s) or transformers (1.7 s)."""
    code = f"import sys, {module}; print(*sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []


def test_imports_go_one_way_between_files_and_between_folders():
    circles = {str(folder): found for folder, graph in entrances(module_edges()).items() if (found := circle(graph))}
    assert not circles


def test_a_circle_would_be_found():
    files = [ROOT / "model" / part for part in ("text/a.py", "trace/b.py", "trace/c.py")]
    straight = {(files[1], files[0]), (files[2], files[1])}
    assert not any(map(circle, entrances(straight).values()))
    assert circle(entrances({*straight, (files[0], files[2])})[Path("model")]) == ["text", "trace", "text"]
    assert circle(entrances({*straight, (files[1], files[2])})[Path("model/trace")]) == ["b.py", "c.py", "b.py"]


def test_the_doors_of_a_trace_are_one_line_each():
    tree = ast.parse((ROOT / "model/trace/trace.py").read_text(encoding="utf-8"))
    local = {
        f"{statement.module}": [inner for inner in function.body if not isinstance(inner, ast.Expr)]
        for function in ast.walk(tree) if isinstance(function, ast.FunctionDef)
        for statement in function.body if isinstance(statement, ast.ImportFrom)
    }  # fmt: skip
    for _, target in DOORS:
        assert len(local[target]) == 2 and isinstance(local[target][1], ast.Return), target


@pytest.mark.parametrize("folder", sorted({path.parent for path in (*MODEL, *VIZ, *UI)}), ids=name)
def test_a_folder_holds_one_concept(folder: Path):
    """At most 14 files of its own, and its first line says what it is."""
    own = [path for path in folder.iterdir() if path.is_file() and path.name != "__init__.py"]
    assert len(own) <= 14, len(own)
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", [*MODEL, *VIZ, *UI, *PAGES], ids=name)
def test_files_and_functions_can_be_read_at_a_sitting(path: Path):
    text, tree = path.read_text(encoding="utf-8"), tree_of(path)
    assert len(text.splitlines()) <= 260
    assert ast.get_docstring(tree), "the first line says what a file is"
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert not [f.name for f in functions if f.end_lineno - f.lineno >= 60]


def test_every_entry_at_the_top_is_explained():
    ignored = [line.strip("/\n") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()]
    ours = {path.name for path in ROOT.iterdir()} - {".git"}
    assert {entry for entry in ours - EXPLAINED if not any(fnmatch(entry, pattern) for pattern in ignored)} == set()


@pytest.mark.parametrize("path", [*APP, *MODEL, *VIZ, *UI, *PAGES], ids=name)
def test_nothing_runs_code_from_data_or_prints(path: Path):
    words = words_of(path)
    pairs = list(zip(words, words[1:], words[2:], strict=False))
    assert not {"pickle", "cloudpickle", "dill", "joblib", "breakpoint"} & set(words)
    # Said out loud where the library is asked, because its own default is to ask the user at the terminal.
    assert all((second, third) == ("=", "False") for word, second, third in pairs if word == "trust_remote_code")
    assert not {("torch", ".", "save"), ("np", ".", "load")} & set(pairs)
    assert pairs.count(("torch", ".", "load")) == len(tensor_loads(path))  # each a plain call, and of tensors only
    assert not any(first != "." and call == ("print", "(") for first, *rest in pairs if (call := tuple(rest)))
    assert not any(first != "." and second in ("eval", "exec") and third == "(" for first, second, third in pairs)


def test_tables_are_written_in_one_place():
    """Every CSV is UTF-8 with the same mark and the same line ends, on every system."""
    files = [*APP, *MODEL, *VIZ, *UI, *PAGES]
    assert [name(path) for path in files if ".to_csv(" in path.read_text(encoding="utf-8")] == ["viz/base/export.py"]


def test_test_folders_are_not_named_like_libraries():
    known = sys.stdlib_module_names | {"torch", "streamlit", "numpy", "pandas", "altair", "playwright", "safetensors"}
    folders = {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()}
    assert not folders & known


def test_test_files_are_modules_of_their_own():
    """Outside a package the file's name alone is the module, and pytest refuses the second of a name."""
    files = (ROOT / "tests").rglob("test_*.py")
    modules = [name(path) if (path.parent / "__init__.py").is_file() else path.stem for path in files]
    assert sorted(modules) == sorted(set(modules))


def test_style_sheets_have_no_angle_brackets() -> None:
    """A sanitiser that meets one drops the whole sheet, and the page stands there undressed."""
    sheets = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "viz" / "ui").rglob("*.css")}
    assert sheets and not [name for name, text in sheets.items() if "<" in text]
