"""Checkpoints of ours whose vocabulary is of byte pairs: read by the library `tokenizers`, shown as text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tokenizers")

from model import Trace, open_model
from model.checkpoints.truncate import shortened
from model.errors import DamagedCheckpoint, HalfCharacter, TextTooLong, UnknownWords
from model.text.tokenizer import Tokenizer
from tests import bounds
from tests.model import naive, tiny

pytestmark = pytest.mark.float32


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("subwords")
    return {shape: tiny.write_checkpoint(root / shape, shape=shape, kind="subwords") for shape in tiny.SHAPES}


@pytest.mark.parametrize("shape", tiny.SHAPES)
def test_a_text_is_what_the_library_makes_of_it_and_ids_are_those_of_the_list(made, shape: str) -> None:
    from tokenizers import Tokenizer as Core

    text = "the cats — a mät\t猫 sat"
    model, core = open_model(made[shape]), Core.from_file(str(made[shape] / "tokenizer.json"))
    want = core.encode(text)
    assert model.read(text).tokens == tuple(want.tokens) and model.read(text).folded == ()
    listed = json.loads((made[shape] / "vocabulary.json").read_text(encoding="utf-8"))
    assert [listed["target" if shape == "decoder" else "source"][i] for i in model.read(text).ids] == want.tokens
    assert list(model.read(text).ids) == want.ids
    trace = model.trace(text)
    side = trace.side("decoder" if shape == "decoder" else "encoder")
    shown = side.shown[1:] if shape == "decoder" else side.shown
    spelled = "".join(shown)
    assert spelled.startswith("the cats ") and spelled.endswith(" sat") and "Ġ" not in spelled
    # What is half a character reads as its bytes; all that is whole reads as it was typed.
    assert bytes.fromhex("".join(part[1:-1] for part in shown if part.startswith("⟨")).replace(" ", "")).decode()
    ids = [trace.token_ids(stack) if stack in trace.sides else None for stack in ("encoder", "decoder")]
    got = naive.Run(model.module.state_dict(), model.config.to_dict(), *ids).got
    bounds.close(trace.logits, got["logits"], 1024)
    assert trace.fidelity().holds and trace.between == ""


def test_words_begin_at_spaces_and_a_gap_is_one(made) -> None:
    model = open_model(made["encoder"])
    for text in ("the cat <mask> on the mat", "the cat<mask> on the mat", "the cat [MASK] on the mat"):
        trace = model.trace(text)
        side = trace.side("encoder")
        assert side.shown == ("the", " cat", "<mask>", " ", "on", " the", " mat")
        assert side.words == (0, 1, 2, 3, 3, 4, 5) and trace.facts["gaps"] == [2]
        assert side.special == (False, False, True, False, False, False, False)


def test_what_is_written_and_saved_reads_as_text(made, tmp_path: Path) -> None:
    model = open_model(made["decoder"])
    trace = model.trace(tiny.TEXT, new_tokens=5)
    assert trace.written()[: len(trace.tokens("decoder")) - 1] == list(trace.side("decoder").texts[1:])
    assert "".join(trace.side("decoder").shown[1 : trace.facts["prompt"]]) == tiny.TEXT
    again = Trace.open(trace.save(tmp_path / "run.safetensors"))
    assert again.between == "" and again.written() == trace.written() and dict(again.sides) == dict(trace.sides)
    (token, number, _), *_ = trace.next_tokens(-1)
    assert token == model.target.texts[number] and "Ġ" not in "".join(trace.vocabulary)
    assert model.target.text(trace.tokens("decoder")) == "".join(trace.side("decoder").shown[1:])
    forced = open_model(made["both"]).trace(tiny.TEXT, tiny.WRITTEN)
    assert bytes("".join(forced.side("decoder").tokens[1:]), "utf-8") and forced.tokens("decoder")[0] == "<zh>"


def test_signs_in_a_text_are_text_and_long_texts_are_cut_at_a_token(made) -> None:
    model = open_model(made["decoder"])
    for sign in ("<s>", "</s>", "<pad>"):  # bytes like any other, as a file that spells them is trained on
        tokens = model.trace(f"the {sign} cat").tokens("decoder")[1:]
        assert sign not in tokens and model.target.text(tokens) == f"the {sign} cat"
    assert "<mask>" not in model.trace("the <mask> cat").tokens(
        "decoder"
    )  # bytes like any other, where no gap is known
    with pytest.raises(HalfCharacter):
        model.trace("the \ud83d cat")
    long = "the cat sat on the mat 猫" * 9
    with pytest.raises(TextTooLong, match="at most 69"):
        model.trace(long)
    cut = shortened(model, long)
    assert cut.tokens <= 69 and long.startswith(cut.text) and len(model.trace(cut.text).tokens("decoder")) <= 70


def test_the_same_list_without_a_file_is_refused() -> None:
    known = ("<pad>", "a", "b")
    spelled = Tokenizer(known, "subwords", 9, lambda text: [(c, i + 1) for i, c in enumerate(text)], str.upper)
    assert spelled.read("ab").ids == (1, 2) and spelled.texts == ("<PAD>", "A", "B")
    with pytest.raises(UnknownWords, match="c"):
        spelled.read("abc")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.unlink(), "tokenizer.json is missing"),
        (lambda path: path.write_text("{"), "tokenizer.json is none of"),
        (lambda path: path.write_text("[]"), "tokenizer.json is none of"),
        (lambda path: path.write_text(_retold(path, lambda told: told["model"]["vocab"].update(zzz=999))), "zzz"),
        (lambda path: path.write_text(_retold(path, lambda told: told.update(normalizer={
            "type": "Replace", "pattern": {"String": "a"}, "content": "a" * 500}))), "500 times as long"),
    ],
)  # fmt: skip
def test_files_that_lie_are_refused(made, tmp_path: Path, change, said: str) -> None:
    import shutil

    folder = Path(shutil.copytree(made["decoder"], tmp_path / "lies"))
    change(folder / "tokenizer.json")
    with pytest.raises(DamagedCheckpoint, match=said) as refused:
        open_model(folder)
    assert len(str(refused.value)) <= 300 and "\n" not in str(refused.value)


def _retold(path: Path, change) -> str:
    told = json.loads(path.read_text(encoding="utf-8"))
    change(told)
    return json.dumps(told)


def test_truncation_and_padding_in_the_file_are_not_followed(made, tmp_path: Path) -> None:
    import shutil

    from tokenizers import Tokenizer as Core

    folder = Path(shutil.copytree(made["decoder"], tmp_path / "cuts"))
    core = Core.from_file(str(folder / "tokenizer.json"))
    core.enable_truncation(2)
    core.enable_padding(length=20, pad_token="a")
    core.save(str(folder / "tokenizer.json"))
    ids = open_model(folder).read(tiny.TEXT).ids
    np.testing.assert_array_equal(ids, open_model(made["decoder"]).read(tiny.TEXT).ids)
