"""A library checkpoint on disk, from its folder to a saved trace."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

from model import Trace, open_model
from model.__main__ import main
from model.checkpoints.disk.families import FAMILIES, small_model
from model.errors import DamagedCheckpoint, EmptyText, TextTooLong
from tests import bounds

pytestmark = pytest.mark.float32

WORDS = ["<pad>", "<s>", "</s>", "<unk>", *["the", "cat", "sat", "on", "mat", "and", "a", "dog", "ran", "to", "house"]]


def write(folder: Path, model_type: str) -> Path:
    """A tiny random checkpoint of the family with a word tokenizer, as the library saves it."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(WORDS)} | {f"w{i}": i for i in range(len(WORDS), 97)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    family = next(f for f in FAMILIES if f.model_type == model_type)
    small_model(family).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=["bert", "llama", "bart"])
def folder(request, tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp(request.param) / request.param, request.param)


def test_sites_and_tokens(folder: Path):
    trace = open_model(folder).trace("the cat sat on the mat")
    stacks = {"bert": ["encoder"], "llama": ["decoder"], "bart": ["encoder", "decoder"]}[folder.name]
    assert sorted(trace.sides) == sorted(stacks)
    kinds = {"bert": {"encoder.0.self", "encoder.1.self"}, "llama": {"decoder.0.self", "decoder.1.self"}}
    names = {str(site) for site in trace.sites}
    if folder.name == "bart":
        assert names == {f"encoder.{i}.self" for i in range(2)} | {
            f"decoder.{i}.{kind}" for i in range(3) for kind in ("self", "cross")
        }
    else:
        assert names == kinds[folder.name]
    assert trace.tokens(stacks[0])[:3] == ["the", "cat", "sat"]
    for site in trace.sites:
        weights = trace.weights(site, 0)
        assert weights.dtype == torch.float32
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[0]), atol=bounds.WEIGHT, rtol=0)


def test_fidelity_and_a_saved_trace(folder: Path, tmp_path: Path):
    trace = open_model(folder).trace("a dog ran to the house")
    fidelity = trace.fidelity()
    assert fidelity.holds and fidelity.logits_error == 0.0 and len(fidelity.sites) == len(trace.sites)
    opened = Trace.open(trace.save(tmp_path / "run.safetensors"))
    for site in trace.sites:
        torch.testing.assert_close(opened.weights(site, 1), trace.weights(site, 1), atol=bounds.WEIGHT, rtol=0)
    assert opened.fidelity().holds


def test_bad_input_is_one_sentence(folder: Path):
    model = open_model(folder)
    with pytest.raises(EmptyText):
        model.trace("  ")
    if model.max_length < 1000:
        with pytest.raises(TextTooLong):
            model.trace("cat " * (model.max_length + 1))


def test_truncated_weights_are_refused(folder: Path, tmp_path: Path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in folder.iterdir():
        data = file.read_bytes()
        (broken / file.name).write_bytes(data[: len(data) // 2] if file.suffix == ".safetensors" else data)
    with pytest.raises(DamagedCheckpoint) as caught:
        open_model(broken)
    assert "\n" not in str(caught.value)


def test_record_from_the_command_line(folder: Path, tmp_path: Path, capsys):
    out = tmp_path / "run.safetensors"
    assert main(["record", "--model", str(folder), "--text", "the cat sat", "--out", str(out)]) == 0
    assert "checks to" in capsys.readouterr().out
    assert Trace.open(out).sites


def test_families_are_listed(capsys):
    assert main(["families"]) == 0
    printed = capsys.readouterr().out
    assert all(family.model_type in printed and family.title in printed for family in FAMILIES)


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "bloom"])
def test_one_token_alone_is_still_a_decoders(tmp_path: Path, model_type: str):
    trace = open_model(write(tmp_path / model_type, model_type)).trace("cat")
    assert {str(site) for site in trace.sites} == {"decoder.0.self", "decoder.1.self"}
    assert trace.weights("decoder.0.self", 0).tolist() == [[1.0]]


def test_a_forced_output_of_one_token_keeps_its_sites(tmp_path: Path):
    model = open_model(write(tmp_path / "bart", "bart"))
    trace = model.trace("the cat sat", "dog")
    assert len(trace.tokens("decoder")) == 1 and trace.written() == ["dog"]
    assert {site.stack for site in trace.sites if site.kind == "cross"} == {"decoder"}
    assert {str(s) for s in trace.sites if s.kind == "self"} == {
        "encoder.0.self", "encoder.1.self", "decoder.0.self", "decoder.1.self", "decoder.2.self",
    }  # fmt: skip


def test_the_end_that_was_written_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = open_model(write(tmp_path / "bart", "bart"))
    model.module.generation_config.eos_token_id = 2
    monkeypatch.setattr(type(model), "generate", lambda *_args, **_how: torch.tensor([[2, 4, 5, 2]]))
    trace = model.trace("the cat sat")
    assert trace.token_ids("decoder") == [2, 4, 5] and trace.written()[-1] == "</s>"
    assert len(trace.written()) == 3


def test_a_classifier_names_its_classes(tmp_path: Path):
    import transformers

    folder = write(tmp_path / "bert", "bert")
    config = transformers.BertConfig.from_pretrained(folder, num_labels=3, id2label={0: "bad", 1: "fair", 2: "good"})
    torch.manual_seed(1)
    module = transformers.BertForSequenceClassification(config).eval()
    module.save_pretrained(folder)
    trace = open_model(folder).trace("the cat sat")
    with torch.no_grad():
        expected = module(torch.tensor([trace.token_ids("encoder")])).logits[0].double().softmax(-1)
    assert not trace.predicts and [name for name, _ in trace.facts["classes"]] == [
        ("bad", "fair", "good")[i] for i in expected.argsort(descending=True)
    ]
    assert sum(p for _, p in trace.facts["classes"]) == pytest.approx(1.0)


def test_writing_after_a_full_prompt_is_refused_in_a_sentence(tmp_path: Path):
    model = open_model(write(tmp_path / "gpt2", "gpt2"))
    with pytest.raises(TextTooLong):
        model.trace("cat " * 64, new_tokens=3)
    assert len(model.trace("cat " * 63, new_tokens=3).tokens("decoder")) == 64


def test_m2m_is_forced_without_the_librarys_help(tmp_path: Path):
    trace = open_model(write(tmp_path / "m2m_100", "m2m_100")).trace("the cat", "a dog ran")
    assert trace.written() == ["a", "dog", "ran"] and len(trace.tokens("decoder")) == 3
