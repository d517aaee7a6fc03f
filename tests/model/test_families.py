"""One contract for every family: a tiny random model of it, recorded, against the library's own eager attention."""

from __future__ import annotations

import pytest
import torch
from torch.overrides import TorchFunctionMode

transformers = pytest.importorskip("transformers")

from model.checkpoints.disk.families import FAMILIES, Family, entry, small_inputs, small_model  # noqa: E402
from model.checkpoints.record import forward  # noqa: E402
from model.trace.fidelity import check  # noqa: E402
from tests import bounds  # noqa: E402

pytestmark = pytest.mark.float32


class NoCast(TorchFunctionMode):
    """Most eager attention casts its softmax to float32; in a float64 comparison that cast would be all one measures."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.nn.functional.softmax and args[0].dtype == torch.float64:
            kwargs.pop("dtype", None)
        if func in (torch.Tensor.float, torch.Tensor.to) and args[0].dtype == torch.float64:
            wanted = kwargs.get("dtype", args[1] if len(args) > 1 else torch.float32)
            if wanted == torch.float32:
                return args[0]
        return func(*args, **kwargs)


class Fused(TorchFunctionMode):
    """softmax(scale · q · kᵀ + mask) of every fused call, in float64: Falcon's own output is wrong under it."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.nn.functional.scaled_dot_product_attention:
            q, k = args[0].double(), args[1].double()
            scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
            mask = kwargs["attn_mask"]
            later = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool).triu(1)
            if mask is None:
                scores = scores.masked_fill(later, -torch.inf)
            elif mask.dtype == torch.bool:
                scores = scores.masked_fill(~mask, -torch.inf)
            else:
                scores = scores + mask.double()
            self.weights.append(scores.softmax(-1))
        return func(*args, **kwargs)


def small(family: Family, dtype: torch.dtype) -> torch.nn.Module:
    return eager_experts(small_model(family).to(dtype))


def eager_experts(model: torch.nn.Module) -> torch.nn.Module:
    """A mixture of experts without torch's grouped matrix product, which knows no float64."""
    if model._can_set_experts_implementation():
        model.set_experts_implementation("eager")
    return model


def inputs(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    found = small_inputs(entry(model.config.model_type), model.config.is_encoder_decoder)
    return {name: value.to(model.dtype) if value.is_floating_point() else value for name, value in found.items()}


def eager(model: torch.nn.Module, given: dict[str, torch.Tensor], stack: str) -> dict[str, torch.Tensor]:
    """site -> weights [h, q, k], from the library's own eager attention."""
    if model.config.model_type == "falcon":
        with torch.no_grad(), NoCast(), Fused() as seen:
            model(**given)
        return {f"{stack}.{i}.self": weights[0] for i, weights in enumerate(seen.weights)}
    model.set_attn_implementation("eager")
    with torch.no_grad(), NoCast():
        output = model(**given, output_attentions=True)
    if entry(model.config.model_type).architecture == "dual encoder":
        towers = {"encoder": output.vision_model_output, "decoder": output.text_model_output}
        return {f"{s}.{i}.self": w[0] for s, tower in towers.items() for i, w in enumerate(tower.attentions)}
    if not model.config.is_encoder_decoder:
        return {f"{stack}.{i}.self": weights[0] for i, weights in enumerate(output.attentions)}
    parts = (("encoder", "self", "encoder_attentions"), ("decoder", "self", "decoder_attentions"),
             ("decoder", "cross", "cross_attentions"))  # fmt: skip
    return {f"{s}.{i}.{kind}": w[0] for s, kind, name in parts for i, w in enumerate(getattr(output, name))}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_type)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_weights_equal_eager(family: Family, dtype: torch.dtype):
    model = small(family, dtype)
    given = inputs(model)
    with torch.no_grad(), NoCast():
        plain = {} if family.architecture == "dual encoder" else forward.plain(model, given)
        recorded = forward.record(forward.prepare(model), given)
    expected = eager(model, given, next(iter(recorded.stacks)))
    assert {str(site) for site in recorded.attention} == expected.keys()
    for site, record in recorded.attention.items():
        for head in range(record.heads):
            wanted = expected[str(site)][head].to(dtype)
            whole = record.weights(head, dtype=dtype)
            tile = record.weights(head, slice(2, 7), slice(1, 5), dtype=dtype)
            bound = bounds.weight(record.scores(head, dtype=torch.float64), 64, dtype)
            torch.testing.assert_close(whole, wanted, atol=bound, rtol=0)
            torch.testing.assert_close(tile, wanted[2:7, 1:5], atol=bound, rtol=0)
    named = "label_logits" if "label_logits" in recorded.store else "logits"
    if family.reads == "pictures" and family.architecture != "encoder-decoder":  # a classifier: no logits a token
        assert "logits" not in recorded.store
        return
    logits = recorded.store[named]
    # Soft-capped scores and sinks have no fused kernel: the library's default there is eager, ours blocks of rows.
    if any(record.softcap or f"{site}.sinks" in recorded.store for site, record in recorded.attention.items()):
        bounds.close(logits, plain[named], 1024)
    else:
        assert torch.equal(logits, plain[named])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_type)
def test_w_o_is_found_and_the_record_implies_the_output(family: Family):
    model = small(family, torch.float32)
    recorded = forward.record(forward.prepare(model), inputs(model))
    for site, record in recorded.attention.items():
        assert f"parameters/{site}.W_O" in recorded.store
        bias = f"parameters/{site}.b_O"
        b_O = recorded.store[bias] if bias in recorded.store else None
        found = check(record, recorded.store[f"parameters/{site}.W_O"], b_O)
        assert found.relative <= 1 and found.error <= bounds.off(record.output, 1024)


def test_grouped_heads_stay_compact():
    family = entry("llama")
    model = small(family, torch.float32)
    record = next(iter(forward.record(forward.prepare(model), inputs(model)).attention.values()))
    assert (record.heads, record.k.shape[0], record.groups) == (4, 2, 2)


def test_a_sliding_window_is_kept_as_intervals():
    family = entry("mistral")
    model = small(family, torch.float32)
    record = next(iter(forward.record(forward.prepare(model), inputs(model)).attention.values()))
    i, j = torch.arange(24)[:, None], torch.arange(24)[None]
    assert torch.equal(record.allowed(), (j <= i) & (j > i - 6))
    assert record.mask.first.shape == (24,)


def test_t5_bias_is_one_number_an_offset():
    family = entry("t5")
    model = small(family, torch.float32)
    store = forward.record(forward.prepare(model), inputs(model)).store
    assert store["encoder.1.self.bias_offsets"].shape == (4, 47)


def test_nobody_listening_leaves_the_plain_path():
    family = entry("gpt2")
    model = small(family, torch.float32)
    given = inputs(model)
    before = forward.plain(model, given)["logits"]
    assert torch.equal(forward.plain(forward.prepare(model), given)["logits"], before)
    forward.record(model, given)  # the library itself leaves hooks of its own at the first request for hidden states
    hooks = sum(len(module._forward_hooks) for module in model.modules())
    forward.record(model, given)
    assert sum(len(module._forward_hooks) for module in model.modules()) == hooks
