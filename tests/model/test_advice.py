"""What a refused checkpoint's sentence advises fits its cause, and says nothing that a library says to developers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file

from model import errors, open_model
from model.checkpoints.library import load as loading
from model.errors.base import Unexpected
from model.errors.library_text import library_text
from tests.model import tiny
from tests.model.test_gguf import llama
from tests.model.test_hugging_face import write

TO_DEVELOPERS = ("http", "issue", "pip install", "Please", "please", "report")
AGAIN = "Train it again or restore the folder."


def refused(path: Path, kind: type, advice: str) -> None:
    with pytest.raises(errors.HeadlightError) as caught:
        open_model(path)
    said = str(caught.value)
    assert type(caught.value) is kind and said.endswith(advice) and "\n" not in said, said
    assert not any(word in said.replace(str(path), "") for word in TO_DEVELOPERS), said
    assert (AGAIN in said) == (advice == AGAIN), said


def edit(folder: Path, file: str = "config.json", **values: object) -> None:
    path = folder / file
    path.write_text(json.dumps((json.loads(path.read_text()) if path.is_file() else {}) | values))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_tokenizer(folder: Path) -> None:
    for file in folder.glob("*token*"):
        file.unlink()


def as_other(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "model.safetensors").rename(folder / name)


def renamed(folder: Path) -> None:
    file = folder / "model.safetensors"
    save_file({f"a.{i}": tensor for i, tensor in enumerate(load_file(file).values())}, file, {"format": "pt"})


CONFIG = "Put the one there that came with these weights."


@pytest.mark.parametrize(
    ("spoil", "kind", "advice"),
    [
        (lambda folder: cut(folder / "model.safetensors"), errors.BadFile, "copy it again."),
        (lambda folder: (folder / "config.json").write_text("{"), errors.BadFile, "copy it again."),
        (lambda folder: edit(folder, num_attention_heads=5), errors.BadConfig, CONFIG),
        (lambda folder: edit(folder, hidden_act="of tomorrow"), errors.BadConfig, CONFIG),
        (lambda folder: edit(folder, rope_parameters={"rope_type": "of tomorrow"}), errors.BadConfig, CONFIG),
        (lambda folder: edit(folder, pad_token_id=9999), errors.BadConfig, CONFIG),
        (lambda folder: edit(folder, architectures=["GPT2LMHeadModel"]), errors.BadConfig, CONFIG),
        (lambda folder: edit(folder, "generation_config.json", eos_token_id="x"), errors.BadConfig, CONFIG),
        (lambda folder: edit(folder, vocab_size=65), errors.WrongShape, "take both from the same model."),
        (renamed, errors.NoMatchingWeights, "take both from the same model."),
        (without_tokenizer, errors.NoTokenizer, "put its tokenizer.json and tokenizer_config.json there."),
        (lambda folder: (folder / "model.safetensors").unlink(), errors.NoWeights, "beside it."),
        (as_other("tf_model.h5"), errors.OtherWeights, "put the same model's model.safetensors there."),
        (as_other("a.safetensors"), errors.OtherWeights, "put the same model's model.safetensors there."),
        (as_other("a-Q4.gguf"), errors.SeveralCheckpoints, "but a-Q4.gguf: give one of these."),
    ],
)  # fmt: skip
def test_a_folder_of_the_library(spoil, kind: type, advice: str, tmp_path: Path):
    folder = write(tmp_path / "llama", "llama")
    spoil(folder)
    refused(folder, kind, advice)


def swapped(*pairs: tuple[bytes, bytes]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        data = path.read_bytes()
        for old, new in pairs:
            assert old in data
            data = data.replace(old, new)
        path.write_bytes(data)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "kind", "advice"),
    [
        (cut, errors.BadFile, "copy it again."),
        (swapped((b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0llxma")), errors.NotConverted, "config.json and safetensors."),
        (swapped((b"head_count_kv", b"head_count_kw")), errors.NotConverted, "config.json and safetensors."),
        (swapped((b"ggml.model", b"ggml.mudel")), errors.NotConverted, "config.json and safetensors."),
    ],
    ids=["truncated", "unknown architecture", "wrong shape", "no tokenizer"],
)  # fmt: skip
def test_a_gguf_file(spoil, kind: type, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))
    llama(tmp_path / "a.gguf")
    spoil(tmp_path / "a.gguf")
    refused(tmp_path / "a.gguf", kind, advice)


@pytest.mark.parametrize(
    "spoil", [lambda folder: (folder / "vocabulary.json").unlink(), lambda folder: cut(folder / "weights.safetensors"),
              lambda folder: edit(folder, of_tomorrow=1)],
)  # fmt: skip
def test_what_can_be_trained_here_may_be_trained_again(spoil, tmp_path: Path):
    tiny.write_checkpoint(tmp_path / "tiny")
    spoil(tmp_path / "tiny")
    refused(tmp_path / "tiny", errors.DamagedCheckpoint, AGAIN)


@pytest.mark.parametrize(
    ("error", "kind", "advice"),
    [
        (ImportError("TheModel requires the nobodyhasthis library but it was not found in your environment. You can install it "
                     "with pip: `pip install nobodyhasthis`. Please open an issue on https://github.com/a/b"),
         errors.NeedsPackage, "the package nobodyhasthis is needed: pip install nobodyhasthis."),
        (ModuleNotFoundError("No module named 'nobodyhasthis'", name="nobodyhasthis.inner"), errors.NeedsPackage,
         "pip install nobodyhasthis."),
        (ImportError("You need to install torch to use this"), errors.NotOpened, "of another version of that library."),
        (ValueError("The tensors are shuffled. Please open an issue at https://github.com/a/b and report it!"), errors.NotOpened,
         "of another version of that library."),
    ],
)  # fmt: skip
def test_what_the_library_raises_while_it_loads(error: Exception, kind: type, advice: str, tmp_path: Path, monkeypatch):
    folder = write(tmp_path / "llama", "llama")
    whole = loading._class(loading._config(folder))

    class Raises(whole):
        @classmethod
        def from_pretrained(cls, *_args: object, **_options: object):
            raise error

    monkeypatch.setattr(loading, "_class", lambda _config: Raises)
    with pytest.raises(errors.HeadlightError) as caught:
        open_model(folder)
    said = str(caught.value)
    assert type(caught.value) is kind and said.endswith(advice), said
    assert "issue" not in said and "http" not in said and said.count("pip install") == (kind is errors.NeedsPackage)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Shapes 3 and 4 do not match.\nA second line", "Shapes 3 and 4 do not match"),
        ("It failed. Please open an issue on GitHub (https://github.com/x/y/issues).", "It failed"),
        ("See https://example.org for help", "ValueError"), ("", "ValueError"),
        ("Class validation error for validator 'check': ValueError: 33 is odd", "33 is odd"),
        ("You set `ignore` to `False`, thus raising an error. For details look at the above report!", "ValueError"),
        ("x" * 999, "x" * 300), ("config.json has no key a.b", "config.json has no key a.b"),
    ],
)  # fmt: skip
def test_what_is_kept_of_a_librarys_text(said: str, kept: str):
    assert library_text(ValueError(said)) == kept


def test_an_unforeseen_error_without_words_is_called_by_its_kind():
    assert "(RuntimeError)" in str(Unexpected.of(RuntimeError("Please report this.")))
    assert "(RuntimeError: no)" in str(Unexpected.of(RuntimeError("no\nsecond line")))
