"""What the pages of models say before anything is opened: counts that the card repeats, and what is no checkpoint."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("transformers")

import torch
from safetensors.torch import load_file, save_file

from model import Trace
from model.checkpoints.disk import cost
from tests.app.visit import Visit
from viz.base import numbers
from viz.ui.language import plain
from viz.ui.state import model_list


def typed(seen: Visit, path: Path) -> tuple[list[str], bool]:
    """What the page says while a path stands in the field, and whether it can be opened."""
    seen.at.session_state["models-path"] = str(path)  # without Enter, which opens what can be
    seen.at.run()
    assert not seen.at.exception
    (button,) = [button for button in seen.at.button if button.key == "open-path"]
    return [said.value for said in (*seen.at.caption, *seen.at.error, *seen.at.warning)], not button.disabled


@pytest.mark.parametrize("name", ["cat.png", "noise.wav", "notes.txt", "."])
def test_what_is_no_checkpoint_is_said_and_not_opened(visit, models: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).is_dir() or (tmp_path / name).write_bytes(b"RIFF" + bytes(12_440))
    seen = visit("models")
    captions, opens = typed(seen, tmp_path / name)
    assert seen.say("models.no_checkpoint") in captions and not opens
    assert captions.count(seen.say("models.no_checkpoint")) == 1


def test_what_people_take_for_a_model_is_told_by_its_kind(visit, models: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"PK")
    shutil.copytree(models / "gpt2", tmp_path / "trainer" / "checkpoint-5")
    shutil.copytree(models / "encoder", tmp_path / "sentences" / "0_Transformer")
    parts = [{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]
    (tmp_path / "sentences" / "modules.json").write_text(json.dumps(parts))
    seen = visit("models")
    captions, opens = typed(seen, tmp_path / "weights.pt")
    said = seen.say("error.weights_alone", path=plain(tmp_path / "weights.pt"), kind="file of PyTorch tensors")
    assert said in captions and not opens
    captions, opens = typed(seen, tmp_path / "trainer")
    assert model_list.about(tmp_path / "trainer" / "checkpoint-5") in captions and opens
    captions, opens = typed(seen, tmp_path / "sentences")
    assert model_list.about(tmp_path / "sentences" / "0_Transformer") in captions and opens


def test_what_lies_in_a_folder_of_several_is_pressed(visit, models: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        shutil.copytree(models / "gpt2", tmp_path / "three" / f"seed-{seed}")
    seen = visit("models")
    captions, opens = typed(seen, tmp_path / "three")
    offered = [button.key for button in seen.at.button if (button.key or "").startswith("models-below-")]
    assert seen.say("models.below") in captions and len(offered) == 2 and not opens
    seen.click(offered[1]).sound()
    assert seen.view.model == str(tmp_path / "three" / "seed-1")
    assert model_list.title(seen.view.model) == "three · seed-1"  # every training calls one of its own so


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_listed_folder_of_packed_weights_is_called_that_and_has_no_button(
    visit, models: Path, monkeypatch, tmp_path: Path, lang: str
) -> None:
    packed = {"gptq": {"quantization_config": {"quant_method": "gptq", "bits": 4}, "_name_or_path": "some/base"},
              "awq": {"quantization_config": {"quant_method": "awq", "bits": 4}},
              "bnb": {"quantization_config": {"load_in_8bit": True}}, "plain": {}}  # fmt: skip
    for name, told in packed.items():
        folder = Path(shutil.copytree(models / "gpt2", tmp_path / "listed" / name))
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | told))
    monkeypatch.setenv("HEADLIGHT_MODELS", str(tmp_path / "listed"))
    model_list.found.clear()
    seen = visit("models", lang=lang).sound()
    assert {f"open-{name}" for name in packed} & {button.key for button in seen.at.button} == {"open-plain"}
    said = [re.sub(r"\\([^A-Za-z0-9])", r"\1", caption.value) for caption in seen.at.caption]
    root = tmp_path / "listed"
    for name, kind in (("awq", "AWQ, 4 bits"), ("bnb", "bitsandbytes, 8 bits")):
        assert seen.say("error.quantised", path=root / name, kind=kind) in said
    assert seen.say("error.quantised_from", path=root / "gptq", kind="GPTQ, 4 bits", base="some/base") in said


def test_a_checkpoint_and_a_saved_trace_are_told_apart(visit, models: Path) -> None:
    seen = visit("models")
    trace = models / "saved" / "trace.safetensors"
    captions, opens = typed(seen, trace)
    assert f"{seen.say('kind.trace')} · {numbers.size(trace.stat().st_size)}" in captions and opens
    captions, opens = typed(seen, models / "gpt2")
    assert model_list.about(models / "gpt2") in captions and opens


def test_the_counts_of_the_list_are_the_cards(visit, models: Path, tmp_path: Path) -> None:
    """A file with places beside its weights and a head that the class lacks: the card names what it leaves out."""
    folder = tmp_path / "more"
    folder.mkdir()
    for file in (models / "encoder").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    weights = load_file(folder / "model.safetensors")
    extra = {"embeddings.position_ids": torch.arange(64)[None], "cls.seq_relationship.weight": torch.zeros(2, 32)}
    save_file(weights | extra, str(folder / "model.safetensors"), metadata={"format": "pt"})
    seen = visit("model_card", model=folder).sound()
    (count, *_) = [int(metric.value.replace(",", "")) for metric in seen.at.metric]
    (told,) = [caption.value for caption in seen.at.caption if "cls.seq_relationship.weight" in caption.value]
    assert told == seen.say("card.unused", n="64", family="BertModel", names="`cls.seq_relationship.weight`")
    listed = cost.before_loading(folder).parameters
    assert listed == count + 64 and f"{listed / 1e6:,.3g} M" in model_list.about(folder)


def test_without_a_header_the_file_is_sized_and_no_parameters_are_counted(visit, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    (folder / "config.json").write_bytes((models / "encoder" / "config.json").read_bytes())
    weights = load_file(models / "encoder" / "model.safetensors")
    kept = {name: torch.zeros_like(weight) for name, weight in weights.items()}  # as an optimizer's beside them
    torch.save(weights | {f"optimizer.{name}": weight for name, weight in kept.items()}, folder / "pytorch_model.bin")
    seen = visit("models")
    captions, opens = typed(seen, folder)
    (told,) = [
        caption for caption in captions if numbers.size((folder / "pytorch_model.bin").stat().st_size) in caption
    ]
    parameters = seen.say("models.cost", parameters="\0", memory="", seconds="").split("\0")[1].split("·")[0].strip()
    assert parameters and parameters not in told and opens


@pytest.mark.parametrize("link", [{}, {"text": "another text", "new": "3", "target": "x"}], ids=["opened", "linked"])
def test_a_saved_trace_has_its_own_text_and_headline(visit, models: Path, link: dict[str, str]) -> None:
    path = models / "saved" / "trace.safetensors"
    for name in ("trace", str(path)):
        seen = visit(model=name, **link).sound() if link else visit(model="gpt2").sound()
        if not link:
            seen.at.session_state["view"] = seen.view
            seen.go("models")
            field = seen.at.text_input(key="models-path")
            field.set_value(str(path)).run()  # Enter opens it
            seen.sound()
        assert not {"text", "new", "target"} & seen.link.keys()
        said = [markdown.value for markdown in seen.at.markdown]
        assert seen.say("headline.what_saved_self") in said and seen.say("headline.what") not in said
        source = seen.figure("overview")[0]["source_text"]
        assert source == Trace.open(path).key.source
        assert Visit(**seen.link).sound().link == seen.link


def test_the_remark_on_shared_heads_is_of_models_that_share(visit, models: Path) -> None:
    for name, key in (("gpt2", "library_card_plain"), ("llama", "library_card"), ("translate", "model_card")):
        seen = visit("model_card", model=name).sound()
        config = json.loads((models / name / "config.json").read_text()) if name != "translate" else {}
        assert (config.get("num_key_value_heads") == 2) == (name == "llama")
        said = " ".join(markdown.value for markdown in seen.at.markdown)
        shown = [
            other
            for other in ("library_card_plain", "library_card", "model_card")
            if seen.say(f"{other}.notice") in said
        ]
        assert shown == [key]
    assert not [m for m in visit("model_card", model="trace").at.markdown if seen.say("library_card.notice") in m.value]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_reward_model_is_described_by_its_score_and_its_tokens(
    visit, models: Path, tmp_path: Path, lang: str
) -> None:
    from tests.model.task_heads import headed

    made = headed(tmp_path / "reward", "llama", "LlamaForSequenceClassification", num_labels=1, num_key_value_heads=2)
    seen = visit("model_card", model=str(tmp_path / "reward"), lang=lang).sound()
    facts = dict(seen.at.dataframe[0].value.itertuples(index=False))
    assert facts[seen.say("card.task")] == seen.say("task.score") and seen.say("card.classes") not in facts
    kv = seen.say("card.kv_heads", n=made.module.config.num_key_value_heads)
    assert facts[seen.say("card.attention")] == f"{seen.say('attention.grouped')} ({kv})"
    known = len(made.tokenizer)
    listed = seen.at.dataframe[2].value
    assert len(listed) == known > 40 and "LABEL_0" not in set(listed.iloc[:, 1])
    seen = visit("model_card", model="classifier", lang=lang).sound()
    facts = dict(seen.at.dataframe[0].value.itertuples(index=False))
    assert facts[seen.say("card.task")] == seen.say("task.classification")
    assert facts[seen.say("card.classes")] == "bad, fair, good"


def test_where_a_model_lies_is_written_out_and_not_cut(visit, models: Path) -> None:
    seen = visit("model_card", model="gpt2").sound()
    assert any(f"`{models / 'gpt2'}`" in caption.value for caption in seen.at.caption)
    assert str(models / "gpt2") not in str(seen.at.dataframe[0].value.to_dict())


def test_the_list_of_models_leads_to_the_field_on_every_page(visit) -> None:
    seen = visit("heads", text="the cat sat").sound()
    box = seen.at.sidebar.selectbox[0]
    assert box.options[-1] == seen.say("bar.yours")
    box.set_value("\0yours").run()
    assert seen.sound().view.model == "translate" and seen.view.text == "the cat sat"
    assert any(field.key == "models-path" for field in seen.at.text_input)
    assert seen.at.sidebar.selectbox[0].value == "translate"


def test_two_folders_of_one_name_are_told_apart_by_the_folder_around_them(
    visit, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for around in ("first", "second"):
        shutil.copytree(models / "gpt2", tmp_path / around / "twin")
    shutil.copytree(models / "bert", tmp_path / "first" / "alone")
    monkeypatch.setenv("HEADLIGHT_MODELS", str(tmp_path))
    seen = visit("models").sound()
    named = [text.value for text in seen.at.markdown if "twin" in text.value or "alone" in text.value]
    assert [sum(f"{around}/twin" in each for each in named) for around in ("first", "second")] == [1, 1]
    assert not any("first/alone" in each for each in named) and any("alone" in each for each in named)


def test_a_path_that_leads_nowhere_cannot_be_opened_and_a_name_can(visit, models: Path) -> None:
    seen = visit("models")
    assert not typed(seen, Path("/nowhere/at/all"))[1] and typed(seen, Path("nobody/nothing"))[1]
