"""Models outside the attention registry: what is kept of their scores, what is made again, and what is refused."""

from __future__ import annotations

import gc
import inspect
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

transformers = pytest.importorskip("transformers")

from model import Trace  # noqa: E402
from model.checkpoints.disk.families import FAMILIES, small_inputs, small_model  # noqa: E402
from model.checkpoints.record import forward as recording  # noqa: E402
from model.instrumentation.operators.attention_call import compact  # noqa: E402
from model.instrumentation.operators.terms import split_terms  # noqa: E402
from model.trace.fidelity import check  # noqa: E402
from model.trace.site import Site  # noqa: E402
from model.trace.tensors import MemoryStore  # noqa: E402
from model.trace.trace import Side, TraceKey  # noqa: E402
from tests import bounds  # noqa: E402

pytestmark = pytest.mark.float32

WATCHED = [family for family in FAMILIES if family.route == "replay"]
FULL = {"deberta", "deberta-v2", "xlnet"}


def family(model_type: str):
    return next(known for known in FAMILIES if known.model_type == model_type)


def recorded(model_type: str, dtype: torch.dtype = torch.float32, sharpen: float = 3.0, n: int = 24, **more):
    model = recording.prepare(small_model(family(model_type), sharpen=sharpen).to(dtype))
    given = small_inputs(family(model_type), False, n) | more
    return model, given, recording.record(model, given)


def first(run: recording.Recorded):
    return next(iter(run.attention.values()))


def test_gpt_neo_keeps_its_window_as_intervals():
    run = recorded("gpt_neo")[2]
    i, j = torch.arange(24)[:, None], torch.arange(24)[None]
    globally, locally = (run.attention[Site("decoder", layer, "self")] for layer in (0, 1))
    assert torch.equal(globally.allowed(), j <= i)
    assert torch.equal(locally.allowed(), (j <= i) & (j > i - 6))
    assert locally.mask.first.shape == (24,) and globally.scale == locally.scale == 1


def test_alibi_is_one_number_an_offset():
    run = recorded("bloom")[2]
    slopes = 2.0 ** -torch.arange(2.0, 9.0, 2.0)  # Press et al. 2022, section 3, for four heads
    expected = slopes[:, None] * torch.arange(-23.0, 24.0)
    bounds.close(run.store["decoder.1.self.bias_offsets"], expected, 2)
    tile = first(run).weights(2, slice(20, 24), slice(3, 9))
    torch.testing.assert_close(tile, first(run).weights(2)[20:24, 3:9], atol=bounds.WEIGHT, rtol=0)


@pytest.mark.parametrize("model_type", sorted(FULL))
def test_nothing_square_is_kept_before_it_is_looked_at(model_type: str):
    n = 64
    model, given, run = recorded(model_type, n=n)
    held = [t for t in run.store.held() if t.dim() == 3]
    assert all(t.numel() < n * n for t in held)
    site = next(iter(run.attention))
    assert f"{site}.bias" in run.store and f"{site}.bias" in set(run.store.names())
    assert run.store.shape(f"{site}.bias") == (4, n, n) == tuple(run.store[f"{site}.bias"].shape)
    assert torch.equal(run.store.first(f"{site}.bias", 1), run.store[f"{site}.bias"][1])
    again = recording.record(model, given)  # a second run does not disturb the first
    assert torch.equal(again.store[f"{site}.bias"], run.store[f"{site}.bias"])


def test_inputs_kept_for_a_second_run_are_no_square():
    _, _, run = recorded("deberta-v2", n=64)
    make = inspect.unwrap(run.store._lazy["encoder.0.self.bias"][1])
    kept = torch.utils._pytree.tree_leaves([cell.cell_contents for cell in make.__closure__])
    tensors = [part for part in kept if isinstance(part, torch.Tensor)]
    assert tensors and all(t.shape[-2:] != (64, 64) for t in tensors if t.dim() >= 2)


def test_a_lazy_tensor_is_made_once_and_two_are_held():
    made = []
    store = MemoryStore({"a": torch.zeros(1)})
    for name in "bcd":
        store.add_lazy(name, (2, 3), lambda name=name: made.append(name) or torch.ones(2, 3))
    assert list(store.names()) == ["a", "b", "c", "d"] and made == []
    assert store["b"].shape == store.shape("b") and store["b"].sum() == 6 and made == ["b"]
    assert store["c"].sum() == store["d"].sum() == 6 and len(list(store.held())) == 3
    assert store["b"].sum() == 6 and made == ["b", "c", "d", "b"]
    with pytest.raises(KeyError):
        store["e"]


def test_changed_weights_are_noticed():
    model, _, run = recorded("deberta-v2")
    with torch.no_grad():
        model.deberta.encoder.layer[0].attention.self.query_proj.weight.mul_(2)
    with pytest.raises(ValueError, match="has changed since"):
        first(run).weights(0)


@pytest.mark.parametrize("model_type", ["deberta-v2", "bloom"])
def test_a_saved_trace_gives_the_same_weights(model_type: str, tmp_path):
    _, given, run = recorded(model_type)
    stack = next(iter(run.stacks))
    ids = tuple(given["input_ids"][0].tolist())
    side = Side(tuple(map(str, ids)), ids, (False,) * len(ids))
    trace = Trace(TraceKey("small", "0", "text"), {stack: side}, run.attention, run.store)
    opened = Trace.open(trace.save(tmp_path / "run.safetensors"))
    name = "bias" if model_type in FULL else "bias_offsets"
    assert f"{stack}.1.self.{name}" in opened.store
    for site in trace.sites:
        for head in range(4):
            assert torch.equal(opened.weights(site, head), trace.weights(site, head))
            assert torch.equal(opened.weights(site, head, 5, slice(2, 9)), trace.weights(site, head, 5, slice(2, 9)))


def padding(n: int, padded: int, left: bool) -> torch.Tensor:
    mask = torch.ones(1, n, dtype=torch.long)
    mask[:, slice(0, padded) if left else slice(n - padded, n)] = 0
    return mask


@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
@pytest.mark.parametrize("known", WATCHED, ids=lambda known: known.model_type)
def test_padded_inputs(known, left: bool):
    mask = padding(16, 5, left)
    _, given, run = recorded(known.model_type, n=16, attention_mask=mask)
    real = mask[0].bool()
    for record in run.attention.values():
        allowed = record.allowed()
        itself = torch.eye(16, dtype=torch.bool) if known.model_type == "xlnet" else torch.zeros(16, 16).bool()
        assert not allowed[:, ~real][~itself[:, ~real]].any()
        for head in range(record.heads):
            weights = record.weights(head)
            torch.testing.assert_close(weights.sum(-1), allowed.any(-1).float(), atol=bounds.WEIGHT, rtol=0)
            again = weights[real].double() @ record.v[head // record.groups].double()
            scores = max(1.0, bounds.size_of(record.scores(head)))
            bounds.close(again, record.context[head][real].double(), 64, size=scores * bounds.size_of(record.v))
    if known.model_type not in ("xlnet", "gptj") and not left:  # what padding hides does not reach the rest
        short = recording.record(small_model(known, sharpen=3.0), {"input_ids": given["input_ids"][:, :11]})
        one, other = first(run).weights(1)[:11, :11], first(short).weights(1)
        scores = bounds.size_of(first(run).scores(1))
        torch.testing.assert_close(one, other, atol=bounds.weight(scores, 1024), rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("known", WATCHED, ids=lambda known: known.model_type)
def test_half_precision(known, dtype: torch.dtype):
    model, given, run = recorded(known.model_type, dtype, sharpen=1.0)
    with torch.no_grad():
        assert torch.equal(recording.plain(model, given)["logits"], run.store["logits"])
    for site, record in run.attention.items():
        assert record.context.dtype in (dtype, torch.float32)  # a fused kernel without a half-precision form widens
        bias = f"parameters/{site}.b_O"
        b_O = run.store[bias] if bias in run.store else None
        found = check(record, run.store[f"parameters/{site}.W_O"], b_O)
        assert found.relative <= 1 and found.error <= bounds.off(record.output, 64, dtype)
        whole, tile = record.weights(1), record.weights(1, slice(2, 7), slice(1, 5))
        torch.testing.assert_close(tile, whole[2:7, 1:5], atol=bounds.WEIGHT, rtol=0)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("known", WATCHED, ids=lambda known: known.model_type)
def test_one_and_two_tokens(known, n: int):
    run = recorded(known.model_type, n=n)[2]
    reads = {"mpnet", "xlm"} | FULL
    assert run.stacks == {"encoder" if known.model_type in reads else "decoder"}
    assert len(run.attention) == 2
    for site, record in run.attention.items():
        assert (record.heads, record.queries, record.keys) == (4, n, n)
        assert f"{site}.output" in run.store


@pytest.mark.parametrize("options", [
    {"alibi": True}, {"multi_query": False}, {"new_decoder_architecture": True, "num_kv_heads": 2},
    {"alibi": True, "multi_query": False, "bias": True}, {"new_decoder_architecture": True, "num_kv_heads": 2, "bias": True},
], ids=lambda options: "-".join(options))  # fmt: skip
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_falcon_in_all_its_forms(options: dict, implementation: str):
    torch.manual_seed(0)
    config = transformers.FalconConfig(
        vocab_size=97, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, attn_implementation=implementation,
        **options,
    )  # fmt: skip
    model = recording.prepare(transformers.FalconForCausalLM(config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    given = small_inputs(family("falcon"), False)
    run = recording.record(model, given)
    with torch.no_grad():
        assert torch.equal(recording.plain(model, given)["logits"], run.store["logits"])
    heads = 2 if "num_kv_heads" in options else 4 if "multi_query" in options else 1
    for site, record in run.attention.items():
        assert record.k.shape[0] == record.v.shape[0] == heads
        b_O = run.store[f"parameters/{site}.b_O"] if "bias" in options else None
        found = check(record, run.store[f"parameters/{site}.W_O"], b_O)
        assert found.relative <= 1 and found.error <= bounds.off(record.output, 1024)
        assert (f"{site}.bias_offsets" in run.store) == ("alibi" in options)
        assert f"{site}.bias" not in run.store


def test_a_bias_made_during_another_recording_leaves_it_alone():
    model, given, run = recorded("deberta-v2")
    inner = model.deberta.encoder.layer[1]
    looked = []
    handle = inner.register_forward_pre_hook(lambda *_: looked.append(first(run).weights(0)) and None)
    again = recording.record(model, given)
    handle.remove()
    assert looked and torch.equal(looked[0], first(again).weights(0)) and len(again.attention) == 2


class Strange(nn.Module):
    """Attention that is none: scores that are no sum of products, or nothing that reads what was mixed."""

    def __init__(self, squashed: bool):
        super().__init__()
        self.config = transformers.PretrainedConfig(model_type="strange")
        self.projection = nn.Linear(8, 8)
        self.squashed = squashed

    def forward(self, input_ids: torch.Tensor, **_):
        x = self.projection(torch.randn(1, 2, 5, 8))
        scores = x @ x.transpose(-1, -2)
        return (scores.tanh() if self.squashed else scores).softmax(-1) @ x


@pytest.mark.parametrize(("squashed", "reason"), [(True, "cannot be told apart"), (False, "no W_O")])
def test_what_cannot_be_followed_is_refused(squashed: bool, reason: str):
    with pytest.raises(ValueError, match=reason):
        recording.record(Strange(squashed), {"input_ids": torch.zeros(1, 5, dtype=torch.long)})


def test_a_model_without_attention_is_refused():
    config = transformers.FNetConfig(vocab_size=97, hidden_size=32, num_hidden_layers=1, intermediate_size=64)
    with pytest.raises(ValueError, match="no attention over whole rows of keys was met"):
        recording.record(recording.prepare(transformers.FNetModel(config)), {"input_ids": torch.ones(1, 5).long()})


@pytest.mark.parametrize("model_type", ["bloom", "gpt_neo", "deberta-v2"])
def test_no_weights_outlive_their_layer(model_type: str):
    """At the end of the forward, before anything is cleared, no h × q × k tensor is left alive."""
    model = recording.prepare(small_model(family(model_type)))
    n = 61
    alive = []
    handle = model.register_forward_hook(
        lambda *_: alive.extend(tuple(t.shape) for t in gc.get_objects() if type(t) is torch.Tensor) and None
    )
    gc.collect()
    recording.record(model, small_inputs(family(model_type), False, n))
    handle.remove()
    assert (1, n, 32) in alive  # the hidden states
    assert not [shape for shape in alive if shape[-2:] == (n, n) and shape[:-2].count(4)]


def test_two_threads_record_one_model_at_once():
    model, _, _ = recorded("deberta-v2")
    inputs = [small_inputs(family("deberta-v2"), False, 20, seed=seed) for seed in range(4)]
    alone = [first(recording.record(model, given)).weights(1) for given in inputs]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda given: first(recording.record(model, given)).weights(1), inputs * 3))
    assert all(torch.equal(one, other) for one, other in zip(alone * 3, together, strict=True))


def test_terms_are_told_apart():
    torch.manual_seed(0)
    n = 7
    later = torch.ones(n, n).triu(1)[None]
    i = torch.arange(n)
    offsets = torch.randn(3, 2 * n - 1)
    toeplitz = offsets[:, i[None] - i[:, None] + n - 1]
    dense = torch.randn(3, n, n)
    causal = split_terms((3, n, n), [later * torch.finfo(torch.float32).min], [])
    assert causal.kind == "" and torch.equal(causal.allowed, later[0] == 0)
    mixed = split_terms((3, n, n), [toeplitz - 1e4 * later], [])
    assert mixed.kind == "bias_offsets" and torch.equal(mixed.bias[:, :n], offsets[:, :n])
    assert not mixed.bias[:, n:].any()  # offsets that no query may look at
    assert split_terms((3, n, n), [dense], [later.bool()]).dense
    keys = split_terms((3, n, n), [dense[:, :1]], [])
    assert keys.kind == "bias" and not keys.dense and torch.equal(keys.bias, dense[:, :1].expand(3, n, n))
    some = split_terms((3, n, n), [dense], [torch.stack([later[0], later[0] * 0, later[0]]).bool()])
    assert bool(some.allowed.all()) and torch.isneginf(some.bias[0, 0, 1]) and some.bias[1, 0, 1] == dense[1, 0, 1]


def test_copied_key_value_heads_are_kept_once():
    k, v = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    short_k, short_v = compact(k.repeat_interleave(3, 0), v.repeat_interleave(3, 0))
    assert torch.equal(short_k, k) and torch.equal(short_v, v)
    same, other = compact(k.repeat_interleave(3, 0), torch.randn(6, 5, 3))
    assert same.shape[0] == other.shape[0] == 6


@pytest.mark.parametrize("name", ["gpt_neo", "gptj"])
def test_a_float64_model_whose_scores_are_made_in_float32_is_recorded(name: str):
    """The mask that is added is float64, the scores are not: they are held to what float32 leaves."""
    entry = next(known for known in FAMILIES if known.model_type == name)
    module = recording.prepare(small_model(entry).double())
    run = recording.record(module, small_inputs(entry, False, 12, 8))
    for record in run.attention.values():
        for head in range(record.heads):
            weights = record.weights(head, dtype=torch.float64)
            want = record.context[head].double()
            bounds.close(weights @ record.head("v", head, torch.float64), want, 1024)
