"""What a head names, in the record as the library itself would say it: classes, labels of tokens, replaced tokens."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

from model import Trace, open_model  # noqa: E402
from model.checkpoints.disk.tasks import TASKS, task_of  # noqa: E402
from model.checkpoints.library.library_model import HuggingFaceModel  # noqa: E402
from tests import bounds  # noqa: E402
from tests.app.checkpoints import write  # noqa: E402

FOX = "The quick brown fox jumps over the lazy dog."
NAMES = {0: "toxic", 1: "rude", 2: "kind", 3: "calm"}


def headed(folder: Path, made: str, class_name: str, **config: object) -> HuggingFaceModel:
    """The checkpoint `made` of the app's tests with another head, sharp enough to decide something."""
    write(folder, made)
    told = transformers.AutoConfig.from_pretrained(folder, **config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = getattr(transformers, class_name)(told).eval()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(1 if made == "t5" else 4) if parameter.dim() > 1 else None
    module.save_pretrained(folder)
    return open_model(folder)


def logits(model: HuggingFaceModel, trace: Trace) -> list:
    """The library's own, from a plain run of the module with the tokens of the trace."""
    given = {"input_ids": torch.tensor([trace.token_ids("encoder")])}
    with torch.no_grad():
        return model.module(**given).logits[0].double().tolist()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_every_class_has_a_task():
    known = {
        "BertForTokenClassification": "tagging", "ElectraForPreTraining": "replaced", "ElectraForMaskedLM": "masked",
        "BertForPreTraining": "masked", "BertForSequenceClassification": "classification", "BartModel": "embedding",
        "XLNetLMHeadModel": "masked", "GPT2LMHeadModel": "causal", "T5ForConditionalGeneration": "seq2seq",
        "RobertaForQuestionAnswering": "question_answering", "XLNetForQuestionAnsweringSimple": "question_answering",
        "BertForNextSentencePrediction": "next_sentence", "DebertaV2ForMultipleChoice": "multiple_choice",
        "FunnelForPreTraining": "replaced", "GPT2DoubleHeadsModel": "causal",
    }  # fmt: skip
    assert {name: task_of(name) for name in known} == known and set(known.values()) == set(TASKS)
    assert task_of("Wav2Vec2ForCTC") == "tagging" and task_of("VisionEncoderDecoderModel") == "seq2seq"
    # A decoder that is conditioned on pictures is named like an encoder–decoder, and has no encoder.
    assert task_of("LlavaForConditionalGeneration", both=False) == "causal"


def test_labels_that_do_not_exclude_each_other_have_a_sigmoid_each(tmp_path: Path):
    labels = {"id2label": NAMES, "problem_type": "multi_label_classification"}
    model = headed(tmp_path / "many", "bert", "BertForSequenceClassification", **labels)
    trace = model.trace(FOX)
    expected = {NAMES[i]: sigmoid(x) for i, x in enumerate(logits(model, trace))}
    assert trace.facts["classes_how"] == "sigmoid"
    assert [name for name, _ in trace.facts["classes"]] == sorted(expected, key=expected.get, reverse=True)
    assert dict(trace.facts["classes"]) == pytest.approx(expected, abs=bounds.WEIGHT)
    assert sum(expected.values()) != pytest.approx(1, abs=0.05)


def test_a_softmax_where_nothing_else_is_said(tmp_path: Path):
    model = headed(tmp_path / "one", "bert", "BertForSequenceClassification", id2label=NAMES)
    trace = model.trace(FOX)
    powers = [math.exp(x) for x in logits(model, trace)]
    assert trace.facts["classes_how"] == "softmax"
    assert dict(trace.facts["classes"]) == pytest.approx(
        {NAMES[i]: x / sum(powers) for i, x in enumerate(powers)}, abs=bounds.WEIGHT
    )


@pytest.mark.parametrize("config", [{"num_labels": 1}, {"num_labels": 3, "problem_type": "regression"}])
def test_a_regression_shows_its_scores(tmp_path: Path, config: dict):
    model = headed(tmp_path / "score", "bert", "BertForSequenceClassification", **config)
    trace = model.trace(FOX)
    assert trace.facts["classes_how"] == "scores"
    assert [score for _, score in trace.facts["classes"]] == bounds.near(logits(model, trace), 1024)
    assert [name for name, _ in trace.facts["classes"]] == [f"LABEL_{i}" for i in range(config["num_labels"])]


def test_a_label_for_each_token_is_no_next_token(tmp_path: Path):
    model = headed(tmp_path / "tags", "bert", "BertForTokenClassification", id2label=NAMES)
    trace = model.trace(FOX)
    assert (model.task, trace.predicts, trace.next_tokens(1)) == ("tagging", False, [])
    assert len(trace.facts["labels"]) == len(trace.tokens("encoder")) > 5
    for (name, p), row in zip(trace.facts["labels"], logits(model, trace), strict=True):
        assert name == NAMES[row.index(max(row))]
        assert p == pytest.approx(math.exp(max(row)) / sum(map(math.exp, row)), abs=bounds.WEIGHT)
    assert len({name for name, _ in trace.facts["labels"]}) > 1
    assert model.vocabulary[trace.token_ids("encoder")[0]] == "[CLS]"


def test_a_replaced_token_has_a_probability_of_its_own(tmp_path: Path):
    model = headed(tmp_path / "spotter", "bert", "BertModel")
    config = transformers.ElectraConfig(
        **{k: v for k, v in model.module.config.to_dict().items() if k not in ("model_type", "architectures")}
    )
    torch.manual_seed(0)
    module = transformers.ElectraForPreTraining(config).eval()
    module.save_pretrained(tmp_path / "spotter")
    model = open_model(tmp_path / "spotter")
    trace = model.trace(FOX)
    expected = [sigmoid(x) for x in logits(model, trace)]
    assert (model.task, trace.predicts) == ("replaced", False)
    assert trace.facts["replaced"] == bounds.near(expected, 1024)
    assert len(expected) == len(trace.tokens("encoder")) and "classes" not in trace.facts


@pytest.mark.parametrize("class_name", ["BertForSequenceClassification", "BertForTokenClassification"])
def test_what_is_named_is_compared_with_a_plain_run_and_saved(tmp_path: Path, class_name: str):
    model = headed(tmp_path / "named", "bert", class_name, id2label=NAMES)
    trace = model.trace(FOX)
    assert trace.fidelity().logits_error == 0.0 and trace.fidelity().holds
    opened = Trace.open(trace.save(tmp_path / "run.safetensors"))
    names = ("classes", "classes_how", "labels")
    assert [opened.facts.get(name) for name in names] == [
        json.loads(json.dumps(trace.facts.get(name))) for name in names
    ]
    other = model.trace(FOX + " cats")
    for name in ("class_logits", "label_logits"):
        if name in other.store:
            other.store.add(name, other.store[name] + 0.5)
    assert other.fidelity().logits_error == bounds.near(0.5, size=8.0)
