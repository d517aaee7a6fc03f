"""Opening models and recording runs, each kept for all sessions: what `viz.ui.state.current_run` waits for."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from model.errors import HeadlightError
from model.jobs.progress import tick
from viz.heads import thumbnails
from viz.ui.state import memory_budget, model_list, uploads

if TYPE_CHECKING:
    from model.trace.trace import Trace

_THREADS = "HEADLIGHT_THREADS"
# Up to here the logits are compared with a plain run's at once; that run costs as much as the recorded one.
_COMPARED = 512


def is_library_model(model: Any) -> bool:
    """Whether an opened model is one of the transformers library."""
    return hasattr(model, "expects")


def opened(name: str) -> Any:
    """The model as it lies on disk now: a checkpoint that was written again is opened again."""
    from model import open_model
    from model.jobs.held_bytes import held_bytes

    key, fetch = (name, model_list.changed(name)), model_list.may_fetch(name)
    return memory_budget.shared().get(
        "models", key, lambda: open_model(name, confined=model_list.confined(), fetch=fetch),
        lambda model: held_bytes(getattr(model, "module", None)),
    )  # fmt: skip


def saved(path: str, changed: float) -> Trace:
    """The trace of a file as it lay on disk at a time."""
    from model import Trace

    return memory_budget.shared().get("runs", (path, changed), lambda: Trace.open(path), Trace.held_bytes)


def run(name: str, weights_hash: str, how: tuple[tuple[str, Any], ...]) -> Trace:
    """`record`, once for what is asked of a model as it is now."""
    from model import Trace

    key = (name, model_list.changed(name), weights_hash, how)
    return memory_budget.shared().get("runs", key, lambda: record(name, how), Trace.held_bytes)


def record(name: str, how: tuple[tuple[str, Any], ...], checked: bool = True, model: Any = None,
           target_ids: tuple[int, ...] | None = None) -> Trace:  # fmt: skip
    """One run, with its small pictures and how well it checks; without them where it is not `checked`.

    how: the fields of `view.RUN` and their values. model: with other weights under the same name, as of another step of its
    training. target_ids: what an encoder–decoder of ours is given to read instead of what it writes. Raises a HeadlightError for
    what the model refuses.
    """
    model, given = opened(name) if model is None else model, dict(how)
    _set_threads(shared=model_list.is_ours(name))
    if reads(model) != "text":
        trace = uploads.trace(model, given["media"] or uploads.SAMPLE, given["text"], given["target"] or None)
    elif model_list.is_ours(name):
        ids = {} if target_ids is None else {"target_ids": target_ids}
        trace = model.trace(given["text"], **_asked_of_ours(model, given), **ids)
    elif not is_library_model(model):
        trace = model.trace(given["text"], given["target"] or None)
    else:
        options = {
            "pair": given["pair"] or None,
            "chat": bool(given["chat"]),
            "new_tokens": max(0, given["new"]) or None,
            "language": (given["to"] or None) if model.languages else None,
        }
        trace = model.trace(given["text"], given["target"] or None, **options)
    if not checked:
        return trace
    for i, site in enumerate(trace.sites):
        tick("pictures", i / len(trace.sites))
        thumbnails.heads(trace.record(site))
    trace.fidelity(plain=max(len(side.tokens) for side in trace.sides.values()) <= _COMPARED)
    return trace


def _asked_of_ours(model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What of a view a model of ours takes: an encoder–decoder a target and a language, a decoder alone what it writes."""
    if model.task == "causal":
        return {"new_tokens": max(0, given["new"]) or None}
    return {"target": given["target"] or None, "language": given["to"] or None} if model.decodes else {}


def reads(model: Any) -> str:
    """ "text", "pictures" or "sound"."""
    return str(getattr(model, "reads", "text"))


def _set_threads(shared: bool) -> None:
    """Two contending threads are slower than one for our small models, and a class shares them; large ones gain."""
    import torch

    torch.set_num_threads(int(os.environ.get(_THREADS, 1 if shared else max(1, (os.cpu_count() or 2) // 2))))


def open_ahead(name: str) -> None:
    """Fill the cache before the first visitor; what goes wrong is said when the model is really asked for."""
    with contextlib.suppress(HeadlightError):
        opened(name)
