"""The task of a library model (masked, causal, classification …), from the class it opened with."""

from __future__ import annotations

from model.checkpoints.disk.families import FAMILIES

TASKS = (
    "masked", "causal", "seq2seq", "classification", "tagging", "replaced", "question_answering", "next_sentence",
    "multiple_choice", "embedding",
)  # fmt: skip
PAIRS = ("question_answering", "next_sentence", "multiple_choice")  # tasks that are about two texts
_NAMED = {name: task for family in FAMILIES for name, task in family.tasks.items()}
_ENDINGS = (
    # Its generator's twin says of every token whether it was put in, as ELECTRA's does.
    ("replaced", ("FunnelForPreTraining",)),
    ("masked", ("ForMaskedLM", "ForPreTraining", "WithLMHeadModel")),
    ("seq2seq", ("ForConditionalGeneration", "MTModel")),
    ("causal", ("ForCausalLM", "LMHeadModel", "DoubleHeadsModel")),
    ("classification", ("ForSequenceClassification", "ForImageClassification")),
    ("tagging", ("ForTokenClassification",)),
    ("question_answering", ("ForQuestionAnswering", "ForQuestionAnsweringSimple")),
    ("next_sentence", ("ForNextSentencePrediction",)),
    ("multiple_choice", ("ForMultipleChoice",)),
)


def task_of(class_name: str) -> str:
    """`BertForMaskedLM` -> "masked"; a class without a head gives vectors: "embedding".

    "tagging" gives every token a label, "replaced" says of every token whether it was put in for another,
    "question_answering" finds the answer as a span of the text, "multiple_choice" scores one answer among several.
    """
    if class_name in _NAMED:
        return _NAMED[class_name]
    for task, endings in _ENDINGS:
        if class_name.endswith(endings):
            return task
    return "embedding"


def has_head(class_name: str) -> bool:
    """Whether a class is more than a backbone, by its name: BertForMaskedLM and GPT2LMHeadModel, not BertModel."""
    return "Head" in class_name or not class_name.endswith(("Model", "Encoder", "Decoder"))
