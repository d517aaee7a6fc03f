"""Saved runs of somebody's own module: what each page says of them fits them, words or tensors, one stack or several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from model import instrument, open_model
from model.checkpoints.media.picture_files import sample_picture
from model.checkpoints.media.pictures import trace_picture
from model.trace.trace import Trace
from tests.app import test_many_sequences as many
from tests.app.visit import PAGES, Visit
from tests.model import test_instrument_layers as layers
from tests.model import test_instrument_sequences as modules


def _bare() -> Trace:
    module = nn.MultiheadAttention(modules.D, modules.H, batch_first=True).eval()
    return instrument(module, forward=lambda x: module(x, x, x)[0]).trace(torch.randn(1, 5, modules.D))


class Turned(modules.Attention):
    """Rotary positions: pairs of q and k turn."""

    def heads(self, t: Tensor) -> Tensor:
        q = super().heads(t)
        angle = torch.arange(q.shape[2])[:, None] * torch.tensor([1.0, 0.1]).repeat(2)
        return q * angle.cos() + torch.cat([-q[..., 2:], q[..., :2]], -1) * angle.sin()


def _pooled() -> Trace:
    """Attention that is recorded, and a pooling that is not."""
    module, query = modules.Attention().eval(), torch.randn(modules.D)

    def forward(x: Tensor) -> Tensor:
        x = module(x)
        return ((x @ query).softmax(-1)[..., None] * x).sum(1)

    return instrument(module, forward=forward).trace(torch.randn(1, 5, modules.D))


def _apart() -> Trace:
    """CLIP: two towers that meet in one number."""
    module = modules.Towers(True).eval()

    def alike(text: Tensor, image: Tensor) -> Tensor:
        a, b = module.table(text), module.table(image)
        for one, other in zip(module.text_encoder["layers"], module.image_encoder["layers"], strict=True):
            a, b = a + one(a), b + other(b)
        return a.mean(1) @ b.mean(1).T

    return instrument(module, modules.WORDS, forward=alike).trace(torch.arange(6)[None], torch.arange(10, 19)[None])


def _transformer(masked: bool) -> Trace:
    module = nn.Transformer(16, 2, 1, 1, 16, batch_first=True).eval()
    mask = nn.Transformer.generate_square_subsequent_mask(4) if masked else None
    return instrument(module).trace(torch.randn(1, 5, 16), torch.randn(1, 4, 16), tgt_mask=mask)


MADE: dict[str, Callable[[], Trace]] = {
    "pooled": _pooled, "bare": _bare,
    "apart": _apart, "towers": many.MADE["towers"], "loop": many.MADE["loop"], "memory": many.MADE["memory"],
    "rotary": lambda: instrument(nn.Sequential(Turned(), Turned()).eval()).trace(torch.randn(1, 4, modules.D)),
    "open": lambda: _transformer(False), "masked": lambda: _transformer(True),
    "two": lambda: instrument(layers.Reader([layers.Layer(), layers.Layer()]).eval(), modules.WORDS).trace(*layers.GIVEN),
}  # fmt: skip


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("own")
    torch.manual_seed(0)
    return {name: make().save(folder / f"{name}.safetensors") for name, make in MADE.items()}


def told(visit: Visit) -> list[str]:
    return [element.value for kind in (visit.at.info, visit.at.markdown, visit.at.caption) for element in kind]


@pytest.mark.parametrize(
    ("name", "task"),
    [("bare", "encoder"), ("apart", "encoder"), ("towers", "encoder"), ("loop", "causal"), ("memory", "causal"),
     ("two", "seq2seq")],
)  # fmt: skip
def test_the_task_is_what_the_module_is_built_for(saved: dict[str, Path], name: str, task: str):
    assert Trace.open(saved[name]).facts["task"] == task


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_a_module_of_ones_own_computes_unrecorded_is_no_matter_of_the_library(visit, saved, lang: str):
    (lost,) = Trace.open(saved["pooled"]).facts["missing"]
    seen = visit("heads", model=str(saved["pooled"]), lang=lang)
    (warning,) = (warning.value for warning in seen.at.warning)
    assert warning == seen.say("note.missing_module", n=1, names=f"`{lost}`")


def test_pooling_by_a_learned_query_writes_nothing():
    module, query = nn.MultiheadAttention(modules.D, modules.H, batch_first=True).eval(), torch.randn(1, 1, modules.D)
    trace = instrument(module, forward=lambda x: module(query, x, x)[0]).trace(torch.randn(1, 5, modules.D))
    assert str(trace.sites[0]) == "decoder.0.cross" and trace.facts["task"] == "encoder"


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_the_page_of_encoder_and_decoder_says_what_crosses(visit, saved: dict[str, Path], language: str):
    seen = visit("encoder_decoder", language, model=str(saved["towers"])).sound()
    read = seen.say("encoder_decoder.reads", queries="text encoder", keys="image encoder")
    assert seen.say("encoder_decoder.elsewhere", read=read) in told(seen)
    seen = visit("encoder_decoder", language, model=str(saved["two"])).sound()
    decoder = seen.say("site.decoder")
    reads = [seen.say("encoder_decoder.reads", queries=decoder, keys=f"{of} encoder") for of in ("text", "image")]
    assert seen.say("encoder_decoder.elsewhere", read=seen.say("error.comma").join(reads)) in told(seen)
    seen = visit("encoder_decoder", language, model=str(saved["apart"])).sound()
    stacks = seen.say("error.comma").join(["text encoder", "image encoder"])
    assert seen.say("encoder_decoder.apart", stacks=stacks) in told(seen)
    seen = visit("encoder_decoder", language, model=str(saved["bare"])).sound()
    assert seen.say("encoder_decoder.none") in told(seen)


def test_no_continuation_and_no_logits_are_said(saved: dict[str, Path]):
    for name in ("loop", "towers"):
        visit = Visit("generation", model=str(saved[name])).sound()
        assert visit.say("generation.none_module") in told(visit) and visit.say("generation.none") not in told(visit)
    for name in ("bare", "loop", "towers", "two"):
        visit = Visit("output", model=str(saved[name])).sound()
        assert visit.say("output.none_module") in told(visit)
    visit = Visit("output", model=str(saved["memory"])).sound()
    assert visit.say("output.none_module") not in told(visit)


@pytest.mark.parametrize(
    ("name", "site", "titles"),
    [("towers", "text_encoder.2.cross", ["text encoder", "image encoder"]),
     ("memory", "decoder.1.self", ["decoder", "decoder, its keys"]),
     ("two", "decoder_image_cross.1.cross", ["decoder", "image encoder"])],
)  # fmt: skip
def test_a_text_is_called_as_its_stack(saved: dict[str, Path], name: str, site: str, titles: list[str]):
    visit = Visit("reading", model=str(saved[name]), site=site).sound()
    header, _ = visit.figure("reading")
    assert [text["title"] for text in header["texts"]] == titles


def test_the_first_screen_claims_no_words_and_no_positions_that_are_not_there(saved: dict[str, Path]):
    for name in ("bare", "rotary"):
        visit = Visit(model=str(saved[name])).sound()
        words = visit.figure("overview")[0]["words"]
        assert words["inputs"] == visit.say("overview.inputs_unknown")
        assert words["source"] == visit.say("overview.read") and words["target"] == visit.say("overview.asking_parts")
        assert visit.say("headline.what_saved_positions") in told(visit)
    visit = Visit(model=str(saved["towers"])).sound()
    assert visit.say("headline.what_saved_cross", queries="text encoder", keys="image encoder") in told(visit)
    visit = Visit(model=str(saved["memory"])).sound()
    assert visit.say("headline.what_saved_self") in told(visit)


def test_the_first_screen_has_both_cross_attentions_in_their_layer(saved: dict[str, Path]):
    visit = Visit(model=str(saved["two"])).sound()
    (decoder,) = [stack for stack in visit.figure("overview")[0]["stacks"] if stack["name"] == "decoder"]
    cross = visit.say("overview.cross")
    for number, layer in enumerate(decoder["layers"]):
        shown = {part["site"]: part["title"] for part in layer["parts"] if part["kind"] == "attention"}
        assert shown == {
            f"decoder.{number}.self": visit.say("overview.masked_self"), f"decoder.{number}.cross": cross,
            f"decoder_image_cross.{number}.cross": f"{cross} · image cross",
        }  # fmt: skip
    assert visit.say("note.forced") not in told(visit)
    assert visit.figure("overview")[0]["words"]["shifted"] == visit.say("overview.read")


def test_a_stack_beside_another_is_named_in_the_language_of_the_page(visit, saved: dict[str, Path]):
    seen = visit("heads", "zh-CN", model=str(saved["two"]), site="decoder_image_cross.1.cross").sound()
    name = seen.say("site.name", stack=f"{seen.say('site.decoder')} image cross", layer=1, kind=seen.say("site.cross"))
    assert any(name in sentence for sentence in told(seen))


def test_every_page_shows_the_second_cross_attention(saved: dict[str, Path]):
    visit = Visit(model=str(saved["two"]), site="decoder_image_cross.1.cross")
    for page in PAGES:
        visit.go(page).sound()


@pytest.mark.parametrize(
    ("name", "text"),
    [("translate", "inputs"), ("bert", "inputs"), ("gpt2", "inputs"), ("bart", "inputs"), ("llama", "inputs_alone"),
     ("t5", "inputs_alone"), ("xlnet", "inputs_alone"), ("saved/trace.safetensors", "inputs_alone")],
)  # fmt: skip
def test_positions_stand_on_the_first_screen_where_they_are_added(visit, models: Path, name: str, text: str):
    seen = visit(model=str(models / name) if name.startswith("saved") else name).sound()
    assert seen.figure("overview")[0]["words"]["inputs"] == seen.say(f"overview.{text}")


@pytest.mark.parametrize(("name", "text"), [("bert", "inputs"), ("llama", "inputs_alone"), ("vit", "inputs")])
def test_a_saved_run_says_the_same_of_its_positions(visit, models: Path, tmp_path: Path, name: str, text: str):
    opened = open_model(models / name)
    run = trace_picture(opened, sample_picture(32)) if name == "vit" else opened.trace("the cat sat")
    for facts, key in (
        (run.facts, text),
        ({k: v for k, v in run.facts.items() if k != "adds_positions"}, "inputs_perhaps"),
    ):
        path = tmp_path / f"{key}.safetensors"
        replace(run, facts=facts).save(path)
        seen = visit(model=str(path)).sound()
        assert seen.figure("overview")[0]["words"]["inputs"] == seen.say(f"overview.{key}")


def test_masks_say_why_some_are_missing_and_lead_to_a_site_that_is_masked(saved: dict[str, Path]):
    def linked(seen: Visit) -> list[str]:
        return [button.label for button in seen.sound().at.button if button.key == "masks-to-self"]

    seen = Visit("masks", model=str(saved["memory"]), site="decoder.1.self")
    assert linked(seen) == [] and seen.say("masks.cross") not in told(seen)
    assert seen.say("masks.more_keys", queries="4", keys="6") in told(seen)
    for name in ("open", "masked"):
        seen = Visit("masks", model=str(saved[name]), site="decoder.0.cross")
        place = seen.say("site.name", stack=seen.say("site.decoder"), layer=0, kind=seen.say("site.self"))
        assert linked(seen) == [seen.say("masks.to_self", site=place)] * (name == "masked")
        assert seen.say("masks.cross") in told(seen)


def test_the_encoder_decoder_page_claims_of_a_module_only_what_was_recorded(visit, saved: dict[str, Path]):
    drawn = visit("encoder_decoder", text="I like cats", q=1).sound()
    name, past, ahead = (f"encoder_decoder.{key}" for key in ("architecture", "look_past", "look_ahead"))
    assert any(drawn.say(name) in text for text in told(drawn))
    assert drawn.say("encoder_decoder.not_drawn") not in told(drawn)
    assert drawn.say(past) in "".join(told(drawn)) and drawn.say("encoder_decoder.shift_causal") in "".join(told(drawn))
    for run in ("open", "masked"):
        seen = visit("encoder_decoder", model=str(saved[run]), site="decoder.0.cross", q=1).sound()
        assert seen.say("encoder_decoder.not_drawn") in told(seen)
        assert not any(seen.say(name) in text for text in told(seen))
        assert (seen.say(past) in "".join(told(seen))) == (run == "masked")
        assert seen.say(ahead) in "".join(told(seen))  # of the encoder, whose mask hides nothing
