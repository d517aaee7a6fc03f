"""The task of a library model (masked, causal, classification …), from the class it opened with."""

from __future__ import annotations

from model.checkpoints.disk.families import FAMILIES

TASKS = ("masked", "causal", "seq2seq", "classification", "tagging", "replaced", "embedding")
_NAMED = {name: task for family in FAMILIES for name, task in family.tasks.items()}
_ENDINGS = (
    ("masked", ("ForMaskedLM", "ForPreTraining", "WithLMHeadModel")),
    ("seq2seq", ("ForConditionalGeneration", "MTModel")),
    ("causal", ("ForCausalLM", "LMHeadModel", "DoubleHeadsModel")),
    ("classification", ("ForSequenceClassification", "ForImageClassification")),
    ("tagging", ("ForTokenClassification",)),
)


def task_of(class_name: str) -> str:
    """`BertForMaskedLM` -> "masked"; a class without a head gives vectors: "embedding".

    "tagging" gives every token a label, "replaced" says of every token whether it was put in for another.
    """
    if class_name in _NAMED:
        return _NAMED[class_name]
    for task, endings in _ENDINGS:
        if class_name.endswith(endings):
            return task
    return "embedding"
