"""Encoder–decoders that cannot write, and encoders taken from them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
from tokenizers.processors import TemplateProcessing

from model.errors import NoEndToken, NotInThisModel
from tests.model.test_tasks import FOX, headed, logits


def plain(model, trace) -> torch.Tensor:
    """The last row of a run for which the library makes the decoder's input by itself."""
    with torch.no_grad():
        return model.module(torch.tensor([trace.token_ids("encoder")])).last_hidden_state[0]


def last(trace, stack: str) -> torch.Tensor:
    layer = max(site.layer for site in trace.sites if site.stack == stack)
    return trace.activation(f"{stack}.{layer + 1}.stream")


def test_the_decoder_of_a_bare_model_reads_what_the_library_feeds_it(tmp_path: Path):
    model = headed(tmp_path / "bart", "bart", "BartModel")
    trace = model.trace(FOX)
    source, read = trace.token_ids("encoder"), trace.token_ids("decoder")
    assert trace.facts["decoder_reads"] == "input" and "generated" not in trace.facts
    assert read == [model.module.config.decoder_start_token_id, *source[:-1]]
    assert {site.kind for site in trace.sites if site.stack == "decoder"} == {"self", "cross"}
    torch.testing.assert_close(last(trace, "decoder"), plain(model, trace), atol=0, rtol=0)
    assert trace.fidelity().holds


def test_a_model_that_is_fed_nothing_reads_the_start_token(tmp_path: Path):
    model = headed(tmp_path / "t5", "t5", "T5Model")
    trace = model.trace(FOX)
    assert trace.facts["decoder_reads"] == "start" and trace.token_ids("decoder") == [0]
    assert {str(site) for site in trace.sites} >= {"encoder.1.self", "decoder.1.self", "decoder.1.cross"}
    assert trace.weights("decoder.0.cross", 0).shape == (1, len(trace.tokens("encoder")))


@pytest.mark.parametrize(("made", "class_name"), [("bart", "BartModel"), ("t5", "T5Model")])
def test_a_target_is_forced_on_a_bare_model(tmp_path: Path, made: str, class_name: str):
    model = headed(tmp_path / made, made, class_name)
    trace = model.trace(FOX, "the cat")
    labels = model.tokenizer("the cat").input_ids
    assert trace.token_ids("decoder") == [model.module.config.decoder_start_token_id, *labels[:-1]]
    assert trace.facts["generated"] is False and "decoder_reads" not in trace.facts


@pytest.mark.parametrize(
    ("made", "class_name"),
    [
        ("bart", "BartForSequenceClassification"),
        ("t5", "T5ForSequenceClassification"),
    ],
)
def test_a_classifier_whose_text_has_no_end_token_says_so(tmp_path: Path, made: str, class_name: str):
    model = headed(tmp_path / made, made, class_name)
    end = model.tokenizer.convert_ids_to_tokens(model.module.config.eos_token_id)
    model.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
    with pytest.raises(NoEndToken) as refused:
        model.trace(FOX)
    assert end in str(refused.value) and ".." not in str(refused.value)
    trace = model.trace(f"{FOX} {end}")  # as the sentence advises
    assert trace.token_ids("encoder")[-1] == model.module.config.eos_token_id and trace.fidelity().holds


@pytest.mark.parametrize(
    ("made", "class_name"), [("bart", "BartForSequenceClassification"), ("t5", "T5ForSequenceClassification")]
)
def test_a_classifier_reads_its_input_twice(tmp_path: Path, made: str, class_name: str):
    model = headed(tmp_path / made, made, class_name, id2label={0: "a", 1: "b", 2: "c"})
    trace = model.trace(FOX)
    assert model.task == "classification" and trace.facts["decoder_reads"] == "input"
    assert trace.token_ids("decoder")[1:] == trace.token_ids("encoder")[:-1]
    row = logits(model, trace)
    assert trace.facts["classes"][0][0] == "abc"[row.index(max(row))]
    assert trace.fidelity().logits_error == 0.0
    with pytest.raises(NotInThisModel, match="once more"):
        model.trace(FOX, "the cat")


@pytest.mark.parametrize("class_name", ["T5EncoderModel", "T5ForTokenClassification"])
@pytest.mark.parametrize("told", [True, False])
def test_an_encoder_taken_from_an_encoder_decoder(tmp_path: Path, class_name: str, told: bool):
    model = headed(tmp_path / "t5", "t5", class_name)
    model.module.config.is_encoder_decoder = told  # what the folder of the whole model says
    assert not model.decodes and model.expects(FOX).record_bytes > 0
    trace = model.trace(FOX)
    assert sorted(trace.sides) == ["encoder"] and {str(s) for s in trace.sites} == {"encoder.0.self", "encoder.1.self"}
    assert "encoder.2.stream" in trace.store and trace.fidelity().holds
    with pytest.raises(NotInThisModel, match="no decoder"):
        model.trace(FOX, "the cat")
