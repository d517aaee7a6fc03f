"""Outputs of a task head: class probabilities, token labels, replaced tokens."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from model.checkpoints.disk.tasks import task_of
from model.trace.tensors import Store

_MOST = 10


def named(class_name: str, logits: Tensor) -> dict[str, Tensor]:
    """logits of a batch of 1 -> {name in the record: tensor}; {} where each row scores the tokens of a vocabulary."""
    task = task_of(class_name)
    if task == "tagging" and logits.dim() == 3:
        return {"label_logits": logits[0]}
    if logits.dim() == 2:
        return {"replaced_logits" if task == "replaced" else "class_logits": logits[0]}
    return {}


def facts(task: str, config: Any, labels: tuple[str, ...], store: Store) -> dict[str, object]:
    """`classes` and `classes_how`, `labels` a token [label, probability], or `replaced` a token (a probability)."""
    if task == "classification" and "class_logits" in store:
        how = classes_how(config, store["class_logits"].numel())
        return {"classes": _classes(store["class_logits"], how, labels), "classes_how": how}
    if task == "tagging" and "label_logits" in store:
        best = store["label_logits"].double().softmax(-1).max(-1)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return {"labels": [[_name(labels, i), p] for i, p in pairs]}
    if task == "replaced" and "replaced_logits" in store:
        return {"replaced": store["replaced_logits"].double().sigmoid().tolist()}
    return {}


def classes_how(config: Any, count: int) -> str:
    """How a classifier's logits are read: "softmax" (one of them), "sigmoid" (each by itself) or "scores" (a regression).

    As the library trains them: problem_type says it, and without one a single logit is a regression.
    """
    told = getattr(config, "problem_type", None)
    if told == "multi_label_classification":
        return "sigmoid"
    return "scores" if told == "regression" or count == 1 else "softmax"


def _classes(logits: Tensor, how: str, labels: tuple[str, ...]) -> list[list[object]]:
    """[label, number], the likeliest first; the scores of a regression measure different things and keep their order."""
    if how == "scores":
        return [[_name(labels, i), score] for i, score in enumerate(logits.double().tolist())]
    numbers = logits.double().softmax(-1) if how == "softmax" else logits.double().sigmoid()
    best = numbers.topk(min(_MOST, numbers.numel()))
    return [[_name(labels, i), p] for i, p in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def _name(labels: tuple[str, ...], number: int) -> str:
    return labels[number] if number < len(labels) else f"#{number}"
