"""What a library model was built to do, read from the class it opened with."""

from __future__ import annotations

TASKS = ("masked", "causal", "seq2seq", "classification", "embedding")
_ENDINGS = (
    ("masked", ("ForMaskedLM", "ForPreTraining", "WithLMHeadModel")),
    ("seq2seq", ("ForConditionalGeneration", "MTModel")),
    ("causal", ("ForCausalLM", "LMHeadModel", "DoubleHeadsModel")),
    ("classification", ("ForSequenceClassification", "ForTokenClassification", "ForImageClassification")),
)


def task_of(class_name: str) -> str:
    """`BertForMaskedLM` -> "masked"; a class without a head gives vectors: "embedding"."""
    if class_name == "XLNetLMHeadModel":  # predicts the token at a position from both sides, like a masked model
        return "masked"
    for task, endings in _ENDINGS:
        if class_name.endswith(endings):
            return task
    return "embedding"
