"""Outputs of a task head: class probabilities, token labels, replaced tokens, answers, sentence pairs, scored choices."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from model.checkpoints.disk.tasks import task_of
from model.checkpoints.task_heads import spans
from model.trace.tensors import Store

_MOST = 10
# What a library output calls its logits -> their name in the record. `logits` itself is named by the task.
_FIELDS = {
    "prediction_logits": "logits", "seq_relationship_logits": "next_sentence_logits", "sop_logits": "sentence_order_logits",
    "start_logits": "start_logits", "end_logits": "end_logits", "mc_logits": "choice_logits",
} | {name: name for name in spans.BEAM}  # fmt: skip
_BY_TASK = {
    "tagging": "label_logits", "replaced": "replaced_logits", "classification": "class_logits",
    "next_sentence": "next_sentence_logits", "multiple_choice": "choice_logits",
}  # fmt: skip
# Given once for the whole input, and not for each token.
OF_THE_WHOLE = ("class_logits", "next_sentence_logits", "sentence_order_logits", "choice_logits")
_PAIRS = {"next_sentence_logits": "next", "sentence_order_logits": "order"}


def named(class_name: str, output: Any) -> dict[str, Tensor]:
    """What a library output of a batch of 1 says, by its names in the record: "logits" [n, V] over tokens, and others.

    Those are the names of `model.trace.logits.NAMED`; a head that is not known here has "head_logits" [·], which are
    compared and not read.
    """
    found: dict[str, Tensor] = {}
    logits = getattr(output, "logits", None)
    if isinstance(logits, Tensor):
        task = task_of(class_name)
        usual = "logits" if logits.dim() == 3 else "head_logits"
        fits = logits.dim() == (3 if task == "tagging" else 2)
        found[_BY_TASK.get(task, usual) if fits else usual] = logits[0]
    for field, name in _FIELDS.items():
        tensor = getattr(output, field, None)
        if isinstance(tensor, Tensor):
            found[name] = tensor.reshape(-1) if name == "choice_logits" else tensor[0]
    if any(name in found and found[name].dim() != 1 for name in ("start_logits", "end_logits")):
        return {name: tensor for name, tensor in found.items() if name not in ("start_logits", "end_logits")}
    return found


def facts(task: str, config: Any, labels: tuple[str, ...], store: Store) -> dict[str, object]:
    """What the logits that `named` names say, in plain numbers; {} where a run has none of them.

    `classes` and `classes_how`; `labels` a token [label, probability]; `replaced` a token (a probability);
    `sentence_pairs` {"next" or "order": [p(continues, or stands in its order), p(does not)]}.
    """
    found: dict[str, object] = {}
    if task == "classification" and "class_logits" in store:
        how = classes_how(config, store["class_logits"].numel())
        found |= {"classes": _classes(store["class_logits"], how, labels), "classes_how": how}
        if how != "softmax":
            found["scores"] = store["class_logits"].double().tolist()
    if "label_logits" in store:
        best = store["label_logits"].double().softmax(-1).max(-1)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        found["labels"] = [[_name(labels, i), p] for i, p in pairs]
    if "replaced_logits" in store:
        found["replaced"] = store["replaced_logits"].double().sigmoid().tolist()
    pairs_ = {how: store[name].double().softmax(-1).tolist() for name, how in _PAIRS.items() if name in store}
    return found | ({"sentence_pairs": pairs_} if pairs_ else {})


def classes_how(config: Any, count: int) -> str:
    """How a classifier's logits are read: "softmax" (one of them), "sigmoid" (each by itself) or "scores" (a regression).

    As the library trains them: problem_type says it, and without one a single logit is a regression, or the score of a
    reward model. The one logit of a cross-encoder is read as its folder's sentence-transformers settings say.
    """
    told = getattr(config, "problem_type", None)
    if told == "multi_label_classification" or (count == 1 and _activation(config).endswith("Sigmoid")):
        return "sigmoid"
    return "scores" if told == "regression" or count == 1 else "softmax"


def _activation(config: Any) -> str:
    """The function that sentence-transformers puts a cross-encoder's logits through, by its dotted name; "" untold."""
    told = getattr(config, "sentence_transformers", None)
    told = told.get("activation_fn") if isinstance(told, dict) else None
    return str(told or getattr(config, "sbert_ce_default_activation_function", None) or "")


def _classes(logits: Tensor, how: str, labels: tuple[str, ...]) -> list[list[object]]:
    """[label, number], the likeliest first; the scores of a regression measure different things and keep their order."""
    if how == "scores":
        return [[_name(labels, i), score] for i, score in enumerate(logits.double().tolist())]
    numbers = logits.double().softmax(-1) if how == "softmax" else logits.double().sigmoid()
    best = numbers.topk(min(_MOST, numbers.numel()))
    return [[_name(labels, i), p] for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def _name(labels: tuple[str, ...], number: int) -> str:
    return labels[number] if number < len(labels) else f"#{number}"
