"""Checkpoints as they come: wrapped names, one mask for many layers, several opened at once, a GGUF file that lacks a tensor."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402

from model import Trace, errors, history, open_model  # noqa: E402
from model.checkpoints.library import adapter  # noqa: E402
from tests.model.test_gguf import llama  # noqa: E402
from tests.model.test_hugging_face import write  # noqa: E402

TEXT = "the cat sat on the mat and the dog ran to a house"


def renamed(folder: Path, change) -> None:
    file = folder / "model.safetensors"
    tensors = {change(name): tensor.clone() for name, tensor in load_file(file).items()}
    save_file(tensors, file, {"format": "pt"})


@pytest.mark.parametrize(
    "change",
    [
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: name.replace("layers.1.", "layers.1._orig_mod."),
    ],
    ids=["compiled", "parallel", "both", "one layer"],
)
def test_names_that_a_wrapper_made_longer(change, tmp_path: Path):
    folder = write(tmp_path / "llama", "llama")
    before = open_model(folder).trace(TEXT)
    renamed(folder, change)
    model = open_model(folder)
    assert (model.card["fresh"], model.card["unused"]) == ([], [])
    assert torch.equal(model.trace(TEXT).logits, before.logits)


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "t5", "llama", "bart"])
@pytest.mark.parametrize("before", ["model.", "module.model."])
def test_names_of_a_model_that_a_trainers_module_held(model_type: str, before: str, tmp_path: Path):
    folder = write(tmp_path / model_type, model_type)
    trace = open_model(folder).trace(TEXT)
    renamed(folder, lambda name: before + name)
    model = open_model(folder)
    assert (model.card["fresh"], model.card["unused"]) == ([], [])
    assert torch.equal(model.trace(TEXT).logits, trace.logits)


@pytest.mark.parametrize("model_type", ["mistral", "gemma3_text", "gpt_oss", "modernbert"])
def test_a_record_whose_layers_share_a_mask_is_saved_and_opens_equal(model_type: str, tmp_path: Path):
    trace = open_model(write(tmp_path / model_type, model_type)).trace(TEXT)
    opened = Trace.open(trace.save(tmp_path / "run.safetensors"))
    for site in trace.sites:
        assert torch.equal(opened.record(site).allowed(), trace.record(site).allowed())
        assert torch.equal(opened.weights(site, 1), trace.weights(site, 1))


def test_several_are_opened_at_the_same_moment(tmp_path: Path):
    folders = [write(tmp_path / name, name) for name in ("bert", "bart", "gpt2")]
    start, errors = threading.Barrier(len(folders)), []

    def go(folder: Path) -> None:
        start.wait()
        try:
            for _ in range(4):
                assert open_model(folder).card["fresh"] == []
        except BaseException as error:  # it is the thread's: the test has to hear of it
            errors.append(error)

    threads = [threading.Thread(target=go, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and transformers.PreTrainedModel.tie_weights.__name__ == "tie_weights"


def test_what_a_gguf_file_lacks_or_has_too_much_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("gguf")
    weights = []
    for number in range(2):
        file = tmp_path / f"{number}.gguf"
        monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / f"cache{number}"))
        llama(file)
        file.write_bytes(file.read_bytes().replace(b"blk.1.attn_q.weight", b"blk.9.attn_q.weight"))
        model = open_model(file)
        assert model.card["fresh"] == ["model.layers.1.self_attn.q_proj.weight"]
        assert model.card["unused"] == ["blk.9.attn_q"]
        assert model.trace("abcd").facts["fresh"] == model.card["fresh"]
        weights.append(model.module.state_dict()["model.layers.1.self_attn.q_proj.weight"])
    assert torch.equal(*weights)


@pytest.mark.parametrize(("name", "says"), [("last.ckpt", "training checkpoint"), ("model.pt", "PyTorch tensors"),
                                            ("model.safetensors", "file of tensors")])  # fmt: skip
def test_a_file_of_weights_is_called_what_it_is(name: str, says: str, tmp_path: Path):
    file = tmp_path / name
    file.write_bytes(b"PK")
    with pytest.raises(errors.WeightsAlone, match=says):
        open_model(file)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "model-00001-of-00002.safetensors", "pytorch_model.bin", "training_args.bin"]
)
def test_a_file_of_a_whole_folder_leads_to_that_folder(name: str, tmp_path: Path):
    write(tmp_path / "bert", "bert")
    file = tmp_path / "bert" / name
    file.exists() or file.write_bytes(b"PK")
    with pytest.raises(errors.WeightsAlone) as refused:
        open_model(file)
    assert isinstance(refused.value, errors.WeightsInFolder) == (name != "training_args.bin")
    assert str(refused.value).endswith(f"give that folder, {tmp_path / 'bert'}.") == (name != "training_args.bin")


def test_a_sentence_encoder_opens_with_its_pooling(tmp_path: Path):
    write(tmp_path / "0_Transformer", "bert")
    parts = [{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
             {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]  # fmt: skip
    (tmp_path / "modules.json").write_text(json.dumps(parts))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    model = open_model(tmp_path)
    assert (model.name, model.pooling) == (tmp_path.name, "cls") and model.trace(TEXT).fidelity().holds


def test_a_folder_of_a_trainer_opens_as_its_last_checkpoint(tmp_path: Path):
    for step, name in ((1000, "bert"), (500, "gpt2")):
        write(tmp_path / f"checkpoint-{step}", name)
    assert history(tmp_path) == [500, 1000]
    assert open_model(tmp_path).family == "bert" and open_model(tmp_path, step=500).family == "gpt2"


def test_an_adapter_is_named_and_beside_its_base_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    told = {"peft_type": "LORA", "base_model_name_or_path": "some/model", "r": 2, "target_modules": ["q_proj"]}
    alone, base = tmp_path / "alone", write(tmp_path / "base", "llama")
    alone.mkdir()
    (alone / "adapter_config.json").write_text(json.dumps(told))
    with pytest.raises(errors.AdapterAlone, match=r"LORA.* of some/model"):
        open_model(alone)
    monkeypatch.setattr(adapter, "find_spec", lambda name: None)  # with peft it would be applied
    shutil.copy(alone / "adapter_config.json", base)
    trace = open_model(base).trace(TEXT)
    assert trace.facts["adapter"] == {"kind": "LORA", "base": "some/model", "applied": False}


def test_a_task_head_is_not_dropped_in_silence(tmp_path: Path):
    folder = write(tmp_path / "bert", "bert")
    config = transformers.BertConfig(
        vocab_size=97, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    transformers.BertForQuestionAnswering(config).save_pretrained(folder)
    assert "head" not in (facts := open_model(folder).trace(TEXT).facts) and facts["answers"]["spans"]
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | {"architectures": ["BertForSomethingElse"]}))
    assert open_model(folder).trace(TEXT).facts["head"] == "BertForSomethingElse"
    (folder / "config.json").write_text(json.dumps(told | {"architectures": ["BertModel"]}))
    assert "head" not in open_model(folder).trace(TEXT).facts
