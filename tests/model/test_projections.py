"""What is recorded of how q, k and v were made: the right columns of the right matrices, by reference, at no cost."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import Tensor, nn

transformers = pytest.importorskip("transformers")

from model.checkpoints.disk.families import FAMILIES  # noqa: E402
from model.checkpoints.record import forward, qkv_projections  # noqa: E402
from model.steps.head import head_steps  # noqa: E402
from model.trace.tensors import MemoryStore  # noqa: E402
from tests import bounds  # noqa: E402
from tests.model.test_library_arithmetic import given, known, small, traced  # noqa: E402

pytestmark = pytest.mark.float32


def heard(model: nn.Module, *names: str) -> tuple[dict[str, tuple[Tensor, Tensor]], object]:
    """(what it read, what it put out) of the named modules in one recorded forward, and the record."""
    caught, handles = {}, []
    for name in names:

        def catch(module, inputs, output, name=name):
            caught[name] = (inputs[0], output)

        handles.append(model.get_submodule(name).register_forward_hook(catch))
    with torch.no_grad():
        found = forward.record(model, given(model))
    for handle in handles:
        handle.remove()
    return caught, found


def test_x_is_the_very_tensor_that_the_projections_read():
    model = small(known("llama"))
    name = "model.layers.1.self_attn.q_proj"
    caught, found = heard(model, name)
    assert found.store["decoder.1.self.input"].data_ptr() == caught[name][0].data_ptr()
    weight = model.get_submodule(name).weight
    assert found.store["parameters/decoder.1.self.W_Q"].data_ptr() == weight.data_ptr()
    assert found.store.shape("parameters/decoder.1.self.W_K") == (32, 16)  # two heads for keys and values, of four
    assert "parameters/decoder.1.self.b_Q" not in found.store


def test_cross_attention_reads_two():
    for name in ("bart", "t5", "whisper"):
        store = traced(small(known(name))).store
        memory, x = store["encoder.output"], store["decoder.1.cross.input"]
        assert (memory.shape[0], x.shape[0]) == (
            store.shape("decoder.1.cross.k")[1],
            store.shape("decoder.1.cross.q")[1],
        )
        assert not [name for name in store.names() if name.endswith(".memory")]  # one for all layers
        assert store.shape("parameters/decoder.1.cross.W_K")[0] == memory.shape[1]


def test_memories_that_differ_are_each_kept():
    found = MemoryStore({})
    linear = nn.Linear(6, 6)
    tensors: dict[str, Tensor] = {}
    part = qkv_projections.ColumnSlice(linear, 0, 3, 2, 3)
    memories = [torch.randn(1, 4, 6) for _ in range(2)]
    for site, y in zip(("decoder.0.cross", "decoder.1.cross", "encoder.0.self"), (*memories, memories[0]), strict=True):
        made = qkv_projections.QKVSource(torch.randn(1, 3, 6), y, dict.fromkeys("qkv", part))
        qkv_projections.keep(made, site, tensors, found)
    assert torch.equal(tensors["encoder.output"], memories[0][0])
    assert torch.equal(tensors["decoder.1.cross.memory"], memories[1][0])
    assert torch.equal(tensors["encoder.0.self.memory"], memories[0][0])
    assert "decoder.0.cross.memory" not in tensors


def check_columns(found, site: str, weight: Tensor, bias: Tensor | None, columns: dict[str, list[int]]) -> None:
    """weight [d, ·] as x multiplies it."""
    for letter, at in columns.items():
        torch.testing.assert_close(found.store[f"parameters/{site}.W_{letter}"], weight[:, at], atol=0, rtol=0)
        assert found.store.shape(f"parameters/{site}.W_{letter}") == (weight.shape[0], len(at))
        if bias is not None:
            torch.testing.assert_close(found.store[f"parameters/{site}.b_{letter}"], bias[at], atol=0, rtol=0)


def test_the_columns_of_fused_matrices():
    block = {letter: list(range(32 * i, 32 * (i + 1))) for i, letter in enumerate("QKV")}
    model = small(known("gpt2"))
    fused = model.transformer.h[1].attn.c_attn
    check_columns(heard(model)[1], "decoder.1.self", fused.weight, fused.bias, block)

    model = small(known("gpt_neox"))  # four heads, each [q k v] of eight
    fused = model.gpt_neox.layers[0].attention.query_key_value
    each = {letter: [24 * h + 8 * i + c for h in range(4) for c in range(8)] for i, letter in enumerate("QKV")}
    check_columns(heard(model)[1], "decoder.0.self", fused.weight.T, fused.bias, each)

    model = small(known("phi3"))  # four heads of queries, two of keys and values
    fused = model.model.layers[1].self_attn.qkv_proj
    grouped = {"Q": list(range(32)), "K": list(range(32, 48)), "V": list(range(48, 64))}
    check_columns(heard(model)[1], "decoder.1.self", fused.weight.T, None, grouped)


def test_key_value_heads_with_their_queries_beside_them():
    """[q q k v] a group of two queries, as large Falcons have it: the columns are read off v."""
    module = nn.Module()
    module.qkv = nn.Linear(6, 24)
    x = torch.randn(1, 5, 6)
    whole = module.qkv(x)
    grouped = whole.view(1, 5, 2, 4, 3)
    q, k, v = grouped[..., :2, :].reshape(1, 5, 4, 3), grouped[..., 2, :], grouped[..., 3, :]
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    found = qkv_projections.qkv_source(module, [qkv_projections.LinearCall(module.qkv, x, whole)], q, k, v, None)
    for name, part in (("q", q), ("k", k), ("v", v)):
        heads = found.parts[name]
        again = (x[0] @ heads.weight() + heads.bias()).view(5, -1, 3).transpose(0, 1)
        bounds.close(again, part[0], 64)


def test_norms_and_rotations_equal_the_modules_own():
    for name, gemma in (("qwen3", False), ("gemma3_text", True), ("olmo2", False)):
        model = small(known(name))
        base = "model.layers.1.self_attn"
        caught, found = heard(model, f"{base}.q_norm", f"{base}.k_norm")
        norm = model.get_submodule(f"{base}.q_norm")
        gain = found.store["parameters/decoder.1.self.gamma_q"]
        assert torch.equal(gain, norm.weight + 1 if gemma else norm.weight)
        assert "parameters/decoder.1.self.beta_q" not in found.store
        trace = traced(model)
        for part in "qk":
            heads, width = (
                trace.q("decoder.1.self").shape[0] // (1 if part == "q" else 2),
                trace.record("decoder.1.self").d_k,
            )
            real = caught[f"{base}.{part}_norm"][1][0]  # [h, n, d_k] in Gemma, else [n, h, d_k] or [n, h · d_k]
            real = real if name == "gemma3_text" else real.reshape(24, heads, width).transpose(0, 1)
            for head in range(4):
                steps = {step.key: step for step in head_steps(trace, "decoder.1.self", head, 0)}
                got = steps[f"{part}_norm"].result.values.float()
                bounds.close(got, real[head * heads // 4], 64)


def test_a_layer_norm_of_queries_and_keys():
    trace = traced(small(known("phi"), qk_layernorm=True))
    steps = head_steps(trace, "decoder.1.self", 2, 0)
    keys = [step.key for step in steps]
    assert keys[:8] == ["input", "q", "k", "v", "q_norm", "k_norm", "rotate_q", "rotate_k"]
    assert trace.parameter("decoder.1.self", "beta_q").abs().max() > 0
    assert max(step.error for step in steps if step.error is not None) < 1e-5


def test_a_layer_without_rotation_has_none():
    """Every fourth layer of SmolLM3 leaves its queries where they are, though it is handed the table."""
    trace = traced(small(known("smollm3"), num_hidden_layers=4))
    turned = [f"{site}.rotary" in trace.store for site in trace.sites]
    assert turned == [True, True, True, False]
    assert [step.key for step in head_steps(trace, "decoder.3.self", 0, 0)][:5] == ["input", "q", "k", "v", "products"]


def test_a_table_is_kept_once_and_each_kind_of_layer_has_its_own():
    store = traced(small(known("llama"))).store
    assert [name for name in store.names() if "rotary." in name] == ["decoder.rotary.0.cos", "decoder.rotary.0.sin"]
    kinds = {"layer_types": ["sliding_attention", "full_attention"]}
    store = traced(small(known("gemma3_text"), **kinds)).store
    assert [int(store[f"decoder.{i}.self.rotary"]) for i in range(2)] == [0, 1]
    assert not torch.equal(store["decoder.rotary.0.cos"], store["decoder.rotary.1.cos"])


def test_what_cannot_be_told_is_not_recorded():
    x, read = torch.randn(1, 5, 6), qkv_projections.LinearCall
    module = nn.Module()
    module.a, module.b, module.c, module.d = (nn.Linear(6, 6, bias=False) for _ in range(4))
    reads = [read(part, x, part(x)) for part in (module.a, module.b, module.c, module.d)]
    q, k, v = (item.result.view(1, 5, 2, 3).transpose(1, 2) for item in reads[:3])
    made = lambda *given: qkv_projections.qkv_source(module, list(given), q, k, v, None)  # noqa: E731
    assert made(*reads[:3]).parts["k"].module is module.b
    assert made(reads[2], reads[0], reads[1]).parts["q"].module is module.a  # by what they are views of, not by turns
    assert made() is None
    assert made(reads[0]) is None
    assert made(*reads[:2]) is None
    assert made(*reads) is None
    assert made(reads[0], reads[1], read(module.c, x + 1, reads[2].result)) is None  # k and v of two sources
    assert qkv_projections.qkv_source(nn.Module(), reads[:3], q, k, v, None) is None
    assert made(reads[0], reads[1], read(nn.Linear(6, 6), x, reads[2].result)) is None


@pytest.mark.parametrize("name", ["bert", "gpt2", "qwen3", "phi3", "bart", "whisper"])
def test_listening_changes_nothing(name: str):
    model = small(known(name))
    inputs = given(model)
    with torch.no_grad():
        before = forward.plain(model, inputs)["logits"]
        recorded = forward.record(model, inputs)
        assert torch.equal(recorded.store["logits"], before)
        hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
        forward.record(model, inputs)
    assert hooks == sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
    small_ones = sum(recorded.store[n].numel() for n in recorded.store.names() if n.endswith((".input", ".rotary")))
    assert small_ones <= sum(r.queries * 32 + 1 for r in recorded.attention.values())


def test_two_threads_do_not_hear_each_other():
    model = small(known("llama"))
    lengths = (5, 24)
    alone = {n: traced(model, n=n) for n in lengths}
    wrong: list[int] = []

    def listen(n: int) -> None:
        for _ in range(8):
            with torch.no_grad():
                store = forward.record(model, given(model, n=n)).store
            names = ("decoder.0.self.input", "decoder.1.self.input", "decoder.rotary.0.cos")
            if not all(name in store and torch.equal(store[name], alone[n].store[name]) for name in names):
                wrong.append(n)

    threads = [threading.Thread(target=listen, args=(n,)) for n in lengths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_families_that_are_watched_are_left_alone():
    watched = next(family for family in FAMILIES if family.route == "replay")
    assert not [name for name in traced(small(watched)).store.names() if name.endswith((".input", ".W_Q"))]
