"""Sentence pairs, choices and scores, in the record as the library's own eager forward gives them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers")

from model.errors import TextTooLong  # noqa: E402
from tests import bounds  # noqa: E402
from tests.model.task_heads import ASKED, CHOICES, CONTEXT, headed, own, read, softmax  # noqa: E402

PAIRED = [
    ("bert", "BertForNextSentencePrediction", "next"), ("bert", "BertForPreTraining", "next"),
    ("albert", "AlbertForPreTraining", "order"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "class_name", "how"), PAIRED)
def test_whether_a_sentence_follows(tmp_path: Path, family: str, class_name: str, how: str):
    model = headed(tmp_path, family, class_name)
    trace = model.trace(CONTEXT, pair=ASKED)
    wanted = own(model, tmp_path, **read(model, CONTEXT, ASKED))
    pair = {"next": getattr(wanted, "seq_relationship_logits", None), "order": getattr(wanted, "sop_logits", None)}[how]
    pair = wanted.logits if pair is None else pair
    assert trace.facts["sentence_pairs"] == {how: pytest.approx(softmax(pair[0].double().tolist()), abs=bounds.WEIGHT)}
    assert trace.facts["read_at"] == ["encoder", [0]] and "head" not in trace.facts
    if class_name.endswith("PreTraining"):
        bounds.close(trace.logits, wanted.prediction_logits[0], 4096)
    assert trace.predicts == class_name.endswith("PreTraining")
    assert trace.fidelity().logits_error == 0.0 and trace.fidelity().holds


CHOOSING = [
    ("bert", "BertForMultipleChoice"), ("roberta", "RobertaForMultipleChoice"), ("electra", "ElectraForMultipleChoice"),
    ("distilbert", "DistilBertForMultipleChoice"), ("deberta-v2", "DebertaV2ForMultipleChoice"),
    ("xlnet", "XLNetForMultipleChoice"), ("xlm", "XLMForMultipleChoice"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "class_name"), CHOOSING)
def test_choices_are_scored_as_the_library_scores_them_together(tmp_path: Path, family: str, class_name: str):
    model = headed(tmp_path, family, class_name)
    assert (type(model.module).__name__, model.task) == (class_name, "multiple_choice")
    trace = model.trace(ASKED, pair="\n".join(CHOICES) + "\n\n")
    each = [read(model, ASKED, choice) for choice in CHOICES]
    alone = [own(model, tmp_path, **{k: v[None] for k, v in one.items()}).logits[0] for one in each]
    bounds.close(trace.store["choice_logits"], alone[0], 4096)
    assert trace.token_ids("encoder") == each[0]["input_ids"][0].tolist()
    together = model.tokenizer(
        [ASKED] * 3,
        list(CHOICES),
        padding=True,
        return_tensors="pt",
        padding_side="left" if family == "xlnet" else "right",
    )
    given = {k: together[k][None] for k in ("input_ids", "token_type_ids", "attention_mask") if k in together}
    if "token_type_ids" not in each[0]:
        given.pop("token_type_ids", None)
    wanted = own(model, tmp_path, **given).logits[0].double().tolist()
    names, scores, probabilities = zip(*trace.facts["choices"], strict=True)
    assert names == CHOICES and len(set(scores)) == 3
    assert list(scores) == bounds.near([float(row[0]) for row in alone], 4096)
    if family != "xlm":  # whose padding is not without effect in the library
        assert scores == pytest.approx(wanted, abs=1e-3)
    assert probabilities == pytest.approx(softmax(list(scores)), abs=1e-12)
    assert trace.fidelity().logits_error == 0.0 and trace.fidelity().holds


def test_one_choice_and_none(tmp_path: Path):
    model = headed(tmp_path, "bert", "BertForMultipleChoice")
    one = model.trace(ASKED, pair=CHOICES[1])
    both = model.trace(ASKED, pair=f"{CHOICES[0]}\n{CHOICES[1]}")
    assert one.facts["choices"] == [[CHOICES[1], pytest.approx(both.facts["choices"][1][1], abs=1e-6), 1.0]]
    (alone,) = model.trace(ASKED).facts["choices"]
    assert alone[0] == "" and alone[2] == 1.0
    with pytest.raises(TextTooLong):  # the longest choice counts, not the recorded one
        model.trace(ASKED, pair=f"{CHOICES[1]}\n{'long ' * 80}")
    with pytest.raises(TextTooLong):
        model.expects(ASKED, f"{CHOICES[1]}\n{'long ' * 80}")


READING = [
    ("bert", "Bert", "encoder", 0), ("roberta", "Roberta", "encoder", 0), ("distilbert", "DistilBert", "encoder", 0),
    ("electra", "Electra", "encoder", 0), ("deberta-v2", "DebertaV2", "encoder", 0), ("xlnet", "XLNet", "encoder", -1),
    ("xlm", "XLM", "encoder", 0), ("gpt2", "GPT2", "decoder", -1), ("llama", "Llama", "decoder", -1),
    ("qwen2", "Qwen2", "decoder", -1), ("openai-gpt", "OpenAIGPT", "decoder", -1),
    ("bart", "Bart", "decoder", -1), ("t5", "T5", "decoder", -1),
]  # fmt: skip


@pytest.mark.parametrize(("family", "prefix", "stack", "row"), READING)
def test_a_score_says_which_token_it_was_read_at(tmp_path: Path, family: str, prefix: str, stack: str, row: int):
    model = headed(tmp_path, family, f"{prefix}ForSequenceClassification", num_labels=1)
    trace = model.trace(CONTEXT)
    count = len(trace.tokens(stack))
    assert trace.facts["read_at"] == [stack, [row % count]] and count > 10
    value = own(model, tmp_path, **read(model, CONTEXT)).logits[0].double().tolist()
    assert trace.facts["classes_how"] == "scores"
    assert trace.facts["scores"] == [score for _, score in trace.facts["classes"]] == bounds.near(value, 4096)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2"])
def test_the_row_that_is_told_gives_the_score(tmp_path: Path, family: str):
    model = headed(
        tmp_path, family, f"{'GPT2' if family == 'gpt2' else family.title()}ForSequenceClassification", num_labels=1
    )
    trace = model.trace(CONTEXT)
    last = max(name for name in trace.store.names() if name.endswith(".stream"))  # after the final norm
    _, (row,) = trace.facts["read_at"]
    value = float(model.module.score.weight[0].detach().double() @ trace.store[last][row].double())
    assert trace.facts["scores"] == [bounds.near(value, 4096)]


def test_a_score_of_all_tokens_says_so(tmp_path: Path):
    model = headed(
        tmp_path, "modernbert", "ModernBertForSequenceClassification", num_labels=1, classifier_pooling="mean"
    )
    assert model.trace(CONTEXT).facts["read_at"] == ["encoder", []]


@pytest.mark.parametrize("told", [
    {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "5.0.0"}},
    {"sbert_ce_default_activation_function": "torch.nn.modules.activation.Sigmoid"},
    {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, {},
], ids=str)  # fmt: skip
def test_a_cross_encoder_is_read_as_its_folder_says(tmp_path: Path, told: dict):
    model = headed(tmp_path, "bert", "BertForSequenceClassification", num_labels=1, **told)
    trace = model.trace(ASKED, pair=CONTEXT)
    score = own(model, tmp_path, **read(model, ASKED, CONTEXT)).logits.item()
    how = "sigmoid" if "Sigmoid" in str(told) else "scores"
    assert trace.facts["classes_how"] == how and trace.facts["scores"] == bounds.near([score], 4096)
    assert trace.facts["classes"][0][1] == bounds.near(1 / (1 + math.exp(-score)) if how == "sigmoid" else score, 4096)


def test_two_heads_of_a_decoder_are_both_kept(tmp_path: Path):
    model = headed(tmp_path, "gpt2", "GPT2DoubleHeadsModel")
    trace = model.trace(CONTEXT)
    wanted = own(model, tmp_path, **read(model, CONTEXT))
    assert trace.predicts and trace.facts["choices"] == [["", bounds.near(wanted.mc_logits.item(), 4096), 1.0]]
    bounds.close(trace.logits, wanted.logits[0], 4096)
