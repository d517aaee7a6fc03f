"""What the patches component is handed: a picture's own attention, and what a written text reads of it, as the library has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from model import open_model
from model.checkpoints.media.pictures import pixels, sample_picture, trace_picture
from model.checkpoints.media.sound import sample_sound, trace_sound
from tests import bounds
from tests.model.test_described import DECODERS, reads_and_writes
from tests.model.test_more_media import folder, opened
from viz.base.payload import unpack
from viz.heads import patches

pytestmark = pytest.mark.float32


def eager(model, trace) -> dict[str, torch.Tensor]:
    """The library's own weights [h, query, key] of the last layers, by site."""
    name = model.untouched.name_or_path
    module = type(model.untouched).from_pretrained(name, attn_implementation="eager").eval()
    ids = torch.tensor([trace.token_ids("decoder")])
    with torch.no_grad():
        told = module(
            pixel_values=pixels(module, sample_picture(), None), decoder_input_ids=ids, output_attentions=True
        )
    return {"encoder.0.self": told.encoder_attentions[0][0], "decoder.1.cross": told.cross_attentions[1][0]}


@pytest.mark.parametrize(("encoder", "before"), [("ViT", ["[CLS]"]), ("DeiT", ["[CLS]", "[DIST]"])])
@pytest.mark.parametrize("decoder", ["trocr", "bert"])
def test_a_written_text_reads_the_picture(tmp_path: Path, encoder: str, before: list[str], decoder: str) -> None:
    torch.manual_seed(0)
    module = reads_and_writes(encoder, DECODERS[decoder]())
    module.config.decoder_start_token_id = module.generation_config.decoder_start_token_id = 2
    module.config.pad_token_id = module.generation_config.pad_token_id = 0
    model = open_model(folder(tmp_path / "both", module))
    trace = trace_picture(model, sample_picture(), "the cat sat")
    for site, weights in eager(model, trace).items():
        where = next(each for each in trace.sites if str(each) == site)
        assert patches.has_picture(trace, where)
        header, arrays = unpack(patches.patches_frame(trace, where, 2, (1, 3), {}))
        bounds.close(torch.tensor(arrays["weights"]), weights[2].double().numpy(), 64)
        assert header["grid"] == [4, 4] and header["first"] == len(before)
        assert header["labels"][: len(before)] == before and len(header["labels"]) == len(before) + 16
        assert header["selection"] == {"row": 1, "column": 3} and arrays["image"].shape[2] == 3
        assert header["sides"] == {"query": where.query_side, "key": "encoder"}
        asked = ["<end> ▸ the", "the ▸ cat", "cat ▸ sat", "sat ▸ <end>"] if where.kind == "cross" else []
        assert [token["text"] for token in header["queries"]] == asked
    own = next(each for each in trace.sites if str(each) == "decoder.1.self")
    assert not patches.has_picture(trace, own)


def test_two_towers_and_sounds_have_no_picture_between_them(tmp_path: Path) -> None:
    trace = trace_picture(opened(tmp_path, "siglip"), sample_picture(), ["a red disc"])
    assert {str(site): patches.has_picture(trace, site) for site in trace.sites} == {
        "encoder.0.self": True, "encoder.1.self": True, "decoder.0.self": False, "decoder.1.self": False,
    }  # fmt: skip
    trace = trace_sound(opened(tmp_path, "moonshine"), np.asarray(sample_sound()[0][1600:5600]), "the cat")
    assert not any(patches.has_picture(trace, site) for site in trace.sites)
