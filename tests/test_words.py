"""The two catalogues agree, every key that is asked for exists, none is left over, and no page carries text of its own."""

from __future__ import annotations

import ast
import json
import re
import string
from functools import cache
from pathlib import Path

import pytest

from viz.ui.components import scripts
from viz.ui.shared.page_text import sentence_key

ROOT = Path(__file__).parents[1]
WORDS = {path.stem: path for path in (ROOT / "viz/ui/words").glob("*.json")}
CODE = [*(ROOT / "viz/ui").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), ROOT / "app.py"]
COMPONENTS = ROOT / "viz/ui/components"
# The folders' names below it, where they are not the words' own.
FOLDERS = {"lines": ("lines", "lines_far"), "reading": ("text", "text_row"), "joint": ("joint_matrix",)}
NAMES = {
    "train.bleu",
    "train.chrf",
    "train.positions_alibi",
    "language.fr",
    "foot.npz",
    "positions.alibi",
    "step.softmax.name",
    "corpus.nats",
}  # the same in both languages
SILENT = {"brush"}  # has nothing to show
HOLE = "\0"  # stands for what an f-string fills in


def catalogue(language: str) -> dict[str, str]:
    def unique(pairs: list[tuple[str, str]]) -> dict[str, str]:
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), [key for key in keys if keys.count(key) > 1]
        return dict(pairs)

    return json.loads(WORDS[language].read_text(encoding="utf-8"), object_pairs_hook=unique)


def fields(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def texts(node: ast.AST) -> list[str]:
    """The strings that an expression may be, f-strings with holes; none where it is something else."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.IfExp):
        return texts(node.body) + texts(node.orelse)
    if isinstance(node, ast.JoinedStr):
        return ["".join(HOLE if isinstance(part, ast.FormattedValue) else str(part.value) for part in node.values)]
    return []


@cache
def calls(path: Path) -> list[tuple[str, ast.Call]]:
    """(name of what is called, the call) for everything in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [(ast.unparse(node.func), node) for node in found]


# Functions of ours that make keys of what they are told.
MAKERS = {"page_text.title": ("{}.title", "{}.what"), "title": ("{}.title", "{}.what"),
          "page.open": ("{}.title", "{}.what"),
          "page_text.notes": ("{}.notice", "{}.limits"), "notes": ("{}.notice", "{}.limits")}  # fmt: skip


def heading_keys(call: ast.Call) -> list[str]:
    """The keys of `page_text.heading(key, what)`: a name's, and its sentence's unless that is "" for none."""
    told = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "what")]
    names = texts(call.args[0])
    sentences = [text for node in told for text in texts(node)] if told else list(map(sentence_key, names))
    assert names and sentences, ast.unparse(call)  # keys are written out where they are used
    return names + [key for key in sentences if key]


@cache
def asked() -> list[tuple[str, str]]:
    """(key or key with holes, where) for every text that the Python code asks for."""
    found = []
    for path in CODE:
        for name, call in calls(path):
            if name.rsplit(".", 1)[-1] == "say" and call.args:
                found += [(text, path.name) for text in texts(call.args[0])]
            if name == "page_text.heading":
                found += [(text, path.name) for text in heading_keys(call)]
            for pattern in MAKERS.get(name, ()):
                found += [(pattern.format(text), path.name) for text in texts(call.args[0])]
    return found


@cache
def groups() -> set[str]:
    """The prefixes that are handed to a component as its `words`."""
    return {
        text for path in CODE for name, call in calls(path) if name.endswith("group") for text in texts(call.args[0])
    }


def matches(pattern: str, key: str) -> bool:
    return re.fullmatch("[a-z0-9_]+".join(map(re.escape, pattern.split(HOLE))), key) is not None


def components() -> list[str]:
    """The prefixes whose words a component reads."""
    return sorted(name for name in groups() if (COMPONENTS / FOLDERS.get(name, (name,))[0]).is_dir())


def words_of(component: str) -> set[str]:
    """The names that a component's modules, the shared ones among them, read from its words, also by destructuring."""
    entries = [f"{folder}/main.js" for folder in FOLDERS.get(component, (component,))]
    script = "\n".join(scripts.modules()[file] for entry in entries for file in scripts.in_order(entry))
    aliases = {"masked", "nan", "clipped"} if re.search(r"words\[(?!\")", script) else set()
    return set(re.findall(r"(?<!/)\bwords\.([a-z_]+)", script)) | aliases


def words_in_python(prefix: str) -> set[str]:
    """The names that viz/ reads from the words it puts into a frame; the model's own names where it looks them up."""
    return subscripts_of_words() | ({"encoder", "decoder", "self", "cross"} if prefix == "overview" else set())


@cache
def subscripts_of_words() -> frozenset[str]:
    """Every "name" of a `words["name"]` in viz/, the user interface aside."""
    found = set()
    for path in sorted({*(ROOT / "viz").rglob("*.py")} - {*(ROOT / "viz/ui").rglob("*.py")}):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "words":
                found |= set(texts(node.slice))
    return frozenset(found)


@pytest.mark.parametrize("language", WORDS)
def test_no_text_is_empty_and_keys_are_dotted(language: str) -> None:
    for key, text in catalogue(language).items():
        assert isinstance(text, str) and text.strip(), key
        assert text.strip() == text or key == "error.comma", key
        assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", key), key


def test_both_languages_have_the_same_keys_in_the_same_order() -> None:
    assert list(catalogue("en")) == list(catalogue("zh"))


def test_both_languages_have_the_same_fields() -> None:
    chinese = catalogue("zh")
    # The values of this error are English clauses, so the Chinese sentence says the rule itself.
    different = [key for key, text in catalogue("en").items() if fields(text) != fields(chinese[key])]
    assert different == ["error.bad_matrix"] and fields(chinese["error.bad_matrix"]) == ["what"]


def test_the_chinese_is_chinese() -> None:
    han = re.compile(r"[\u4e00-\u9fff]")
    english = {key: re.sub(r"\{\w*\}", "", text) for key, text in catalogue("en").items()}
    # Names stay as they are; anything else that has an English word has a Chinese one.
    left = [
        key for key, text in catalogue("zh").items() if not han.search(text) and re.search("[a-z]{3}", english[key])
    ]
    assert set(left) <= NAMES


def test_every_key_that_is_asked_for_exists() -> None:
    keys = catalogue("en")
    missing = {
        (pattern.replace(HOLE, "…"), where)
        for pattern, where in asked()
        if pattern not in keys and not (HOLE in pattern and any(matches(pattern, key) for key in keys))
    }
    assert not missing


def test_every_component_has_words() -> None:
    folders = {folder for name in components() for folder in FOLDERS.get(name, (name,))}
    assert folders == {path.name for path in COMPONENTS.iterdir() if path.is_dir()} - {"shared", "__pycache__"} - SILENT
    assert all("display: none" in (COMPONENTS / name / "style.css").read_text(encoding="utf-8") for name in SILENT)
    assert all(words_of(name) for name in components())


def test_every_word_that_a_component_reads_exists() -> None:
    keys = catalogue("en")
    for component in components():
        made = {"alt", "help", "sums", "added", "log_sum", "curve"}  # handed over by the figures
        missing = {name for name in words_of(component) if f"{component}.{name}" not in keys} - made
        assert not missing, component


def test_no_key_is_left_over() -> None:
    patterns = {pattern for pattern, _ in asked()}
    with_holes = [pattern for pattern in patterns if HOLE in pattern]
    read = {f"{group}.{name}" for group in groups() for name in words_in_python(group)}
    for component in components():
        read |= {f"{component}.{name}" for name in words_of(component)}
    errors = {f"error.{code}" for code in error_codes()}
    left = catalogue("en").keys() - read - errors - patterns
    assert not [key for key in left if not any(matches(pattern, key) for pattern in with_holes)]


def error_codes() -> set[str]:
    """The codes of the errors that the model part raises; `explain` makes keys of them."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "model").rglob("*.py")]
    return set(re.findall(r"^    code = \"(\w+)\"$", "\n".join(sources), re.MULTILINE))


@pytest.mark.parametrize("path", [*(ROOT / "pages").rglob("*.py"), ROOT / "app.py"], ids=lambda path: path.stem)
def test_pages_carry_no_text_of_their_own(path: Path) -> None:
    """Every string that a page hands on is a key, a name or an option: never a sentence."""
    keys = catalogue("en")
    for name, call in calls(path):
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
            for text in texts(argument):
                known = text in keys or any(key.split(".")[0] == text for key in keys)
                assert known or not (name.startswith("st.") and argument in call.args), (name, text)
                assert " " not in text, (name, text)


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.stem)
def test_what_streamlit_is_given_to_show_comes_from_the_catalogue(path: Path) -> None:
    """A literal with a word in it, as the text of an element, would stay English on a Chinese page."""
    shows = re.compile(r"\.(title|header|markdown|caption|error|warning|info|success|write|button|metric|popover|expander"
                       r"|selectbox|text_input|segmented_control|download_button|page_link|spinner)$")  # fmt: skip
    for name, call in calls(path):
        if shows.search(name) and not name.startswith("page_text.") and call.args:
            for text in texts(call.args[0]):
                assert text.startswith("pages/") or not re.search(r"[A-Za-z\u4e00-\u9fff]{2}", text), (name, text)
