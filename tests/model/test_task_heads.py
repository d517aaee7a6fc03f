"""Answers that are spans of a text, in the record as the library's own eager forward gives them; faults of any head."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

from model import Trace  # noqa: E402
from model.checkpoints.library.opening_check import check  # noqa: E402
from model.checkpoints.record.forward import prepare  # noqa: E402
from model.checkpoints.record.untouched import untouched  # noqa: E402
from model.checkpoints.task_heads.spans import best_spans  # noqa: E402
from model.errors import NotInThisModel  # noqa: E402
from tests import bounds  # noqa: E402
from tests.model.task_heads import ASKED, CHOICES, CONTEXT, headed, own, read, softmax  # noqa: E402

EXTRACTIVE = [
    ("bert", "BertForQuestionAnswering"), ("roberta", "RobertaForQuestionAnswering"),
    ("distilbert", "DistilBertForQuestionAnswering"), ("electra", "ElectraForQuestionAnswering"),
    ("albert", "AlbertForQuestionAnswering"), ("deberta-v2", "DebertaV2ForQuestionAnswering"),
    ("xlnet", "XLNetForQuestionAnsweringSimple"), ("xlm", "XLMForQuestionAnsweringSimple"),
    ("gpt2", "GPT2ForQuestionAnswering"), ("llama", "LlamaForQuestionAnswering"), ("bart", "BartForQuestionAnswering"),
    ("t5", "T5ForQuestionAnswering"),
]  # fmt: skip


def brute(
    first: list[float], last: list[float], allowed: list[bool], longest: int = 15
) -> list[tuple[float, int, int]]:
    return sorted(
        ((first[i] * last[j], i, j) for i in range(len(first)) for j in range(i, min(len(first), i + longest))
         if all(allowed[i : j + 1])),
        key=lambda span: (-span[0], *span[1:]),
    )[:5]  # fmt: skip


@pytest.mark.parametrize(("family", "class_name"), EXTRACTIVE)
def test_the_answers_are_the_likeliest_spans_of_the_context(tmp_path: Path, family: str, class_name: str):
    model = headed(tmp_path, family, class_name)
    assert (type(model.module).__name__, model.task) == (class_name, "question_answering")
    trace = model.trace(ASKED, pair=CONTEXT)
    wanted = own(model, tmp_path, **read(model, ASKED, CONTEXT))
    for name in ("start_logits", "end_logits"):
        bounds.close(trace.store[name], wanted[name][0], 4096)
    encoding = model.tokenizer(ASKED, CONTEXT, return_offsets_mapping=True)
    allowed = [which == 1 for which in encoding.sequence_ids(0)]
    first, last = (softmax(wanted[name][0].double().tolist()) for name in ("start_logits", "end_logits"))
    told, expected = trace.facts["answers"], brute(first, last, allowed)
    assert [(span["start"], span["end"]) for span in told["spans"]] == [span[1:] for span in expected]
    assert [span["probability"] for span in told["spans"]] == pytest.approx([p for p, *_ in expected], rel=1e-3)
    for span in told["spans"]:
        at = encoding["offset_mapping"][span["start"]][0], encoding["offset_mapping"][span["end"]][1]
        assert span["text"] == CONTEXT[slice(*at)].strip()
    cls = model.tokenizer.cls_token_id
    at = encoding["input_ids"].index(cls) if cls in encoding["input_ids"] else None
    assert told["none"] == (None if at is None else pytest.approx(first[at] * last[at], rel=1e-3))
    assert (
        told["pair"] and "head" not in trace.facts and trace.fidelity().logits_error == 0.0 and trace.fidelity().holds
    )


def test_spans_are_short_and_lie_in_what_is_allowed():
    numbers = torch.Generator().manual_seed(1)
    start, end = (4 * torch.randn(60, generator=numbers) for _ in range(2))
    start[5], end[50] = 9.0, 9.0  # the likeliest start and end, and too far apart
    start[30], end[33] = 8.0, 8.0
    allowed = [i not in (0, 32, 59) for i in range(60)]
    first, last = softmax(start.double().tolist()), softmax(end.double().tolist())
    found = [(span.probability, span.start, span.end) for span in best_spans(start, end, allowed)]
    expected = brute(first, last, allowed)
    assert [span[1:] for span in found] == [span[1:] for span in expected]
    assert [span[0] for span in found] == pytest.approx([span[0] for span in expected])
    assert best_spans(start, end, [False] * 60) == [] and len(best_spans(start[:1], end[:1], [True])) == 1


@pytest.mark.parametrize(
    ("family", "class_name"), [("xlnet", "XLNetForQuestionAnswering"), ("xlm", "XLMForQuestionAnswering")]
)
def test_a_head_whose_end_depends_on_its_start(tmp_path: Path, family: str, class_name: str):
    model = headed(tmp_path, family, class_name, start_n_top=8, end_n_top=7)
    trace = model.trace(ASKED, pair=CONTEXT)
    wanted = own(model, tmp_path, **read(model, ASKED, CONTEXT))
    allowed = [which == 1 for which in model.tokenizer(ASKED, CONTEXT).sequence_ids(0)]
    first, starts = wanted.start_top_log_probs[0].tolist(), wanted.start_top_index[0].tolist()
    last, ends = wanted.end_top_log_probs[0].tolist(), wanted.end_top_index[0].tolist()
    spans = [(first[k % 8] * last[k], starts[k % 8], ends[k]) for k in range(56)]
    spans = [s for s in spans if s[1] <= s[2] < s[1] + 15 and all(allowed[s[1] : s[2] + 1])]
    told = trace.facts["answers"]
    assert [(s["start"], s["end"]) for s in told["spans"]] == [s[1:] for s in sorted(spans, reverse=True)[:5]]
    assert [s["probability"] for s in told["spans"]] == pytest.approx(
        sorted((s[0] for s in spans), reverse=True)[:5], rel=1e-3
    )
    assert told["none"] == pytest.approx(1 / (1 + math.exp(-wanted.cls_logits[0])), rel=1e-3)
    assert told["beam"] and spans and trace.fidelity().logits_error == 0.0


def test_one_text_alone_has_its_answer_anywhere(tmp_path: Path):
    model = headed(tmp_path, "bert", "BertForQuestionAnswering")
    told = model.trace(CONTEXT).facts["answers"]
    special = model.trace(CONTEXT).side("encoder").special
    assert not told["pair"] and told["spans"]
    assert not any(special[i] for span in told["spans"] for i in range(span["start"], span["end"] + 1))


def test_an_answer_can_not_be_forced(tmp_path: Path):
    model = headed(tmp_path, "bart", "BartForQuestionAnswering")
    with pytest.raises(NotInThisModel):
        model.trace(ASKED, "on the mat", pair=CONTEXT)


FAULTY = [
    ("bert", "BertForQuestionAnswering", "qa_outputs"), ("xlnet", "XLNetForQuestionAnsweringSimple", "qa_outputs"),
    ("bert", "BertForNextSentencePrediction", "cls"), ("bert", "BertForPreTraining", "cls.seq_relationship"),
    ("albert", "AlbertForPreTraining", "sop_classifier"), ("bert", "BertForMultipleChoice", "classifier"),
    ("xlnet", "XLNetForQuestionAnswering", "answer_class"), ("gpt2", "GPT2DoubleHeadsModel", "multiple_choice_head"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "class_name", "part"), FAULTY)
def test_a_fault_of_the_recorded_head_is_noticed(tmp_path: Path, family: str, class_name: str, part: str):
    model = headed(tmp_path, family, class_name)
    ids = read(model, CONTEXT)
    assert check(model.module, model.untouched, ids).holds and model.trace(CONTEXT).fidelity().logits_hold
    faulty = prepare(untouched(model.module))

    def off(_module, _inputs, output):
        return output + 1e-3

    faulty.get_submodule(part).register_forward_hook(off)
    found = check(faulty, model.untouched, ids)
    assert not found.holds and "output" in found.reason
    handle = model.module.get_submodule(part).register_forward_hook(off)
    fidelity = model.trace(CONTEXT).fidelity()
    handle.remove()
    assert not fidelity.logits_hold and not fidelity.holds and fidelity.logits_error == pytest.approx(1e-3, rel=0.05)


@pytest.mark.parametrize(("family", "class_name"), [
    ("bert", "BertForQuestionAnswering"), ("xlnet", "XLNetForQuestionAnswering"), ("bert", "BertForPreTraining"),
    ("bert", "BertForMultipleChoice"), ("llama", "LlamaForSequenceClassification"),
])  # fmt: skip
def test_what_a_head_says_is_saved(tmp_path: Path, family: str, class_name: str):
    model = headed(tmp_path, family, class_name)
    trace = model.trace(ASKED, pair="\n".join(CHOICES))
    opened = Trace.open(trace.save(tmp_path / "run.safetensors"))
    kept = ("answers", "sentence_pairs", "choices", "read_at", "classes", "scores")
    told = {name: trace.facts[name] for name in kept if name in trace.facts}
    assert told and {name: opened.facts.get(name) for name in told} == json.loads(json.dumps(told))
    heads = [name for name in trace.store.names() if "logits" in name or "_top_" in name]
    assert heads and all(torch.equal(opened.store[name], trace.store[name]) for name in heads)
    assert opened.fidelity().logits_error == 0.0 and opened.fidelity().logits_limit == trace.fidelity().logits_limit
