"""Edited runs of library models against the library's model in float64 whose eager weights are edited, family by family."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("transformers")

from model import Trace, open_model
from model.errors.edits import NotEditable
from tests import bounds
from tests.model.test_hugging_face import write

pytestmark = pytest.mark.float32
# Grouped queries, windows, a soft cap, sinks, T5's bias, rotary, learned positions; post-LN and pre-LN; one stack and two.
FAMILIES = ("gpt2", "llama", "mistral", "gemma2", "gpt_oss", "t5", "bart", "bert", "marian", "olmo2")
TEXT, OTHER = "the cat sat on the mat", "a dog ran to a house"
Weights = Callable[[torch.Tensor], torch.Tensor]


class Brute:
    """The library's model with its attention written out; weights, contexts: (call, head) -> what becomes of them."""

    def __init__(self, module: torch.nn.Module):
        from transformers import AttentionInterface, AttentionMaskInterface
        from transformers.masking_utils import eager_mask

        AttentionInterface.register("brute", self.attention)
        AttentionMaskInterface.register("brute", eager_mask)
        self.module = copy.deepcopy(module)
        if module.config.model_type != "gpt_oss":  # its experts are multiplied in float32 at most
            self.module.double()
        self.module.set_attn_implementation("brute")
        self.calls, self.weights, self.contexts = 0, {}, {}

    def attention(self, module: Any, q, k, v, mask, scaling=None, dropout: float = 0.0, **options):
        call, self.calls = self.calls, self.calls + 1
        scale = q.shape[-1] ** -0.5 if scaling is None else scaling
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        scores = q @ k.mT * scale
        if (cap := options.get("softcap")) is not None:
            scores = cap * (scores / cap).tanh()
        if (bias := options.get("position_bias")) is not None:
            scores = scores + bias
        if mask is not None:
            scores = scores + mask[..., : k.shape[2]]
        if (sinks := options.get("s_aux", options.get("sinks"))) is not None:
            wide = torch.cat([scores, sinks.to(scores).reshape(1, -1, 1, 1).expand(*scores.shape[:-1], 1)], -1)
            weights = wide.softmax(-1)[..., :-1]
        else:
            weights = scores.softmax(-1)
        for (which, head), change in self.weights.items():
            if which == call:
                weights[0, head] = change(weights[0, head].clone())
        context = weights @ v
        for (which, head), change in self.contexts.items():
            if which == call:
                context[0, head] = change(context[0, head].clone())
        return context.transpose(1, 2).contiguous(), weights

    def run(self, trace: Trace, weights: dict | None = None, contexts: dict | None = None) -> torch.Tensor:
        self.calls, self.weights, self.contexts = 0, weights or {}, contexts or {}
        sides = [torch.tensor([list(side.ids)]) for side in trace.sides.values()]
        inputs = dict(zip(("input_ids", "decoder_input_ids"), sides, strict=False))
        with torch.no_grad():
            output = self.module(**inputs)
        return output.logits[0] if hasattr(output, "logits") else output.last_hidden_state[0]


@pytest.fixture(scope="module", params=FAMILIES)
def opened(request, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Brute, Trace]:
    folder = write(tmp_path_factory.mktemp("edited") / request.param, request.param)
    model = open_model(folder)
    target = "cat dog" if model.decodes else None
    return model, Brute(model.module), model.trace(TEXT, target)


def asked(model: Any, edits: list[str]) -> Trace:
    return model.trace(TEXT, "cat dog" if model.decodes else None, edits=edits)


def hidden(key: int, query: int | None = None, keep: bool = False) -> Weights:
    def change(weights: torch.Tensor) -> torch.Tensor:
        rows, total = slice(None) if query is None else slice(query, query + 1), weights.sum(1, keepdim=True)
        weights[rows, key] = 0
        if keep:
            return weights
        left = weights.sum(1, keepdim=True)
        return torch.where(left > 0, weights * (total / left.clamp(min=1e-300)), weights)

    return change


def even(weights: torch.Tensor) -> torch.Tensor:
    allowed = (weights > 0).to(weights)
    return allowed / allowed.sum(1, keepdim=True).clamp(min=1)


def holds(found: Trace, known: torch.Tensor) -> None:
    logits = found.logits if found.logits is not None else found.activation(f"{found.sites[-1].stack}.2.stream")
    bounds.close(logits, known[: len(logits)], 2000, size=10 * bounds.size_of(known))
    assert found.fidelity().holds


def test_without_an_edit_the_brute_run_is_the_models(opened) -> None:
    _, brute, plain = opened
    holds(plain, brute.run(plain))


def test_heads_off_scaled_and_at_one_position(opened) -> None:
    model, brute, plain = opened
    for call, site in enumerate(map(str, plain.sites)):
        holds(asked(model, [f"off:{site}.1"]), brute.run(plain, contexts={(call, 1): lambda z: 0 * z}))
    site = str(plain.sites[0])
    holds(asked(model, [f"scale:{site}.0:-2"]), brute.run(plain, contexts={(0, 0): lambda z: -2 * z}))
    mask = torch.arange(plain.record(site).queries)[:, None] != 2
    holds(
        asked(model, [f"off:{site}:q2"]),
        brute.run(plain, contexts={(0, h): lambda z: z * mask for h in range(plain.record(site).heads)}),
    )


def test_keys_hidden_and_rows_put(opened) -> None:
    """With sinks a row that loses a key sums to what its keys and the sink leave: hidden scores are gone from the softmax."""
    model, brute, plain = opened
    for call, site in enumerate(map(str, plain.sites)):
        record = plain.record(site)
        trace = asked(model, [f"hide:{site}.1:k1:keep"])
        holds(trace, brute.run(plain, {(call, 1): hidden(1, keep=True)}))
        holds(asked(model, [f"pattern:{site}.0:uniform"]), brute.run(plain, {(call, 0): even}))
        if not record.has("sinks"):
            edge = (record.queries - 1, 1)
            holds(asked(model, [f"hide:{site}.1:k1"]), brute.run(plain, {(call, 1): hidden(1)}))
            holds(
                asked(model, [f"hide:{site}.1:q{edge[0]}:k{edge[1]}"]),
                brute.run(plain, {(call, 1): hidden(1, edge[0])}),
            )


def test_what_comes_before_the_edit_keeps_its_bits(opened) -> None:
    model, _, plain = opened
    last = str(plain.sites[-1])
    trace = asked(model, [f"hide:{last}.1:k1"])
    for site in list(map(str, plain.sites))[:-1]:
        assert torch.equal(plain.record(site).context, trace.record(site).context)
    same = [
        torch.equal(plain.record(last).context[h], trace.record(last).context[h])
        for h in range(plain.record(last).heads)
    ]
    assert same == [head != 1 for head in range(len(same))]
    assert torch.equal(asked(model, []).record(last).context, plain.record(last).context)


def test_a_stream_is_patched(opened) -> None:
    model, _, plain = opened
    if model.decodes:  # the two texts differ in the encoder
        pytest.skip("one stack tells")
    stack = plain.sites[0].stack
    other = model.trace(OTHER)
    trace = asked(model, [f"patch:{stack}.1.stream:q2:text={OTHER.replace(' ', '%20')}"])
    assert torch.equal(trace.activation(f"{stack}.1.stream")[2], plain.activation(f"{stack}.1.stream")[2]) is False
    whole = asked(model, [f"patch:{stack}.1.stream:text={OTHER.replace(' ', '%20')}"])
    assert torch.equal(whole.record(plain.sites[-1]).context, other.record(plain.sites[-1]).context)


def test_threads_never_see_each_others_edits(opened) -> None:
    model, _, plain = opened
    site, wrong = str(plain.sites[0]), []
    hooks = [len(part._forward_pre_hooks) + len(part._forward_hooks) for part in model.module.modules()]
    known = {
        edit: asked(model, [edit] if edit else []).record(plain.sites[-1]).context
        for edit in ("", f"off:{site}", f"hide:{site}:k1")
    }

    def work(edit: str) -> None:
        for _ in range(4):
            if not torch.equal(asked(model, [edit] if edit else []).record(plain.sites[-1]).context, known[edit]):
                wrong.append(edit)

    threads = [threading.Thread(target=work, args=(edit,)) for edit in known]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert hooks == [len(part._forward_pre_hooks) + len(part._forward_hooks) for part in model.module.modules()]


def test_what_is_followed_operator_by_operator_is_refused_by_name(tmp_path: Path) -> None:
    model = open_model(write(tmp_path / "bloom", "bloom"))
    with pytest.raises(NotEditable, match="bloom"):
        model.trace(TEXT, edits=["off:decoder.0.self.1"])
