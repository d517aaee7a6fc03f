"""Every error that a page may show has its sentence in both languages, and so has what the operating system says in it."""

from __future__ import annotations

import ast
import errno
import os
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from model import errors
from model.errors import EvaluationFile, HeadlightError, TraceFileError, TrainingNotWritten, UnknownWords
from viz.ui import language

ROOT = Path(__file__).parents[2]
HAN = re.compile(r"[\u4e00-\u9fff]")
# Said at a terminal or to somebody who writes Python, never on a page.
NO_PAGE = ("__main__.py", "profile/run.py", "profile/ray.py", "instrumentation/token_texts.py")
OS_ERRORS = ("EACCES", "EPERM", "ENOENT", "ENOSPC", "EISDIR", "ENOTDIR", "EEXIST", "EROFS", "EIO", "ENAMETOOLONG", "ELOOP",
             "EMFILE", "EDQUOT", "EBUSY", "ENOTEMPTY", "ENOMEM")  # fmt: skip


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "current", lambda: "zh")


def _every() -> list[type[HeadlightError]]:
    """What `model.errors` has, but the one that takes words of its own and is explained by itself."""
    named = [getattr(errors, name) for name in errors.__all__]
    kinds = [one for one in named if isinstance(one, type) and one not in (HeadlightError, UnknownWords)]
    return sorted(kinds, key=lambda kind: kind.__name__)


def _defined() -> set[str]:
    """The codes that stand in the files of model/, whoever imported them."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "model").rglob("*.py")]
    return set(re.findall(r"^    code = \"(\w+)\"$", "\n".join(sources), re.MULTILINE)) - {"error"}


@pytest.mark.parametrize("code", sorted(_defined()))
def test_every_error_has_both_languages(code: str) -> None:
    assert HAN.search(language.catalogue("zh").get(f"error.{code}", "")), code
    assert language.catalogue("en").get(f"error.{code}")


@pytest.mark.parametrize("kind", _every(), ids=lambda kind: kind.__name__)
def test_every_error_is_explained_in_chinese(chinese: None, kind: type[HeadlightError]) -> None:
    names = [name for _, name, _, _ in string.Formatter().parse(kind.sentence) if name]
    error = kind(**dict.fromkeys(names, "x"))
    said = language.explain(error)
    assert HAN.search(said) and not HAN.search(str(error))


def _reasons() -> Iterator[tuple[str, str]]:
    """(where, sentence with "7" in its holes) of every error that is raised with a sentence of its own."""
    for path in sorted((ROOT / "model").rglob("*.py")):
        where = path.relative_to(ROOT / "model").as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = {node.targets[0].id: node.value for node in tree.body
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)}  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "HeadlightError":
                (value,) = [word.value for word in node.keywords if word.arg == "reason"]
                value = told.get(value.id, value) if isinstance(value, ast.Name) else value
                yield where, _text(value)


def _text(value: ast.AST) -> str:
    if isinstance(value, ast.JoinedStr):
        return "".join("7" if isinstance(part, ast.FormattedValue) else str(part.value) for part in value.values)
    return str(value.value) if isinstance(value, ast.Constant) else ""


REASONS = sorted({(where, said) for where, said in _reasons() if not where.endswith(NO_PAGE) and said})


@pytest.mark.parametrize(("where", "said"), REASONS)
def test_a_sentence_that_is_written_where_it_is_raised_has_its_chinese(chinese: None, where: str, said: str) -> None:
    assert HAN.search(language.explain(HeadlightError(reason=said))), (where, said)


@pytest.mark.parametrize("name", OS_ERRORS)
def test_what_the_operating_system_says_is_chinese_on_a_chinese_page(chinese: None, name: str) -> None:
    told = os.strerror(getattr(errno, name))
    for reason in (told, told.lower()):  # some sentences begin it with a small letter
        said = language.explain(TrainingNotWritten(path="/data", reason=reason, step=0))
        assert told.lower() not in said.lower() and HAN.search(language.cause(reason))
    assert told not in language.cause(f"PermissionError: [Errno 13] {told}: '/data'")


def test_in_english_it_stays_as_it_was_said() -> None:
    told = os.strerror(errno.EACCES)
    assert language.cause(told) == told
    assert told in language.explain(EvaluationFile(path="/data", reason=told))


def test_a_reason_with_names_in_it_keeps_them(chinese: None) -> None:
    said = language.explain(TraceFileError(path="/run.safetensors", reason="it is a pipe, not a regular file"))
    assert said == "无法打开记录文件 /run.safetensors：它是管道，不是普通文件。"
    assert language.cause("pairs.tsv is a socket, not a regular file") == "pairs.tsv 是套接字，不是普通文件"


def test_every_cause_in_english_is_chinese_of_its_own(chinese: None) -> None:
    for key, english in language.catalogue("en").items():
        if key.startswith("cause."):
            told = re.sub(r"\{\w+\}", "7", english)
            assert language.cause(told) == language.say(key, **dict.fromkeys(re.findall(r"\{(\w+)\}", english), "7")), (
                key
            )
