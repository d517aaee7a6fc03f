"""Multiply–accumulates by formula against PyTorch's counter on real runs, and the cache's bytes against real caches."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model import open_model
from model.checkpoints.library import generate
from model.generation import kv_cache_cost
from model.transformer.kv_cache import CachedDecoder
from tests.app.checkpoints import write
from tests.model import tiny

FOX = "The quick brown fox jumps over the lazy dog."


def ours(model, trace) -> kv_cache_cost.Shapes:
    def run(n: int, s: int) -> None:
        ids, memory = torch.ones(1, n, dtype=torch.long), torch.zeros(1, s, model.config.d_model)
        model.module.decode(ids, memory, torch.ones(1, s, dtype=torch.long))

    return kv_cache_cost.shapes(trace, model.module, model.module.project, run, False)


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary", "alibi", "none"])
def test_our_decoder_counted(make_model, positions: str):
    model = make_model(positions=positions)
    trace = model.trace(tiny.TEXT, tiny.WRITTEN)
    sizes, module = ours(model, trace), model.module
    source, ids = torch.tensor([trace.token_ids("encoder")]), trace.token_ids("decoder")
    with torch.no_grad():
        memory = module.encode(source)
    decoder = CachedDecoder(module, source[0])
    for n in range(1, len(ids) + 1):
        text = torch.tensor([ids[:n]])
        assert kv_cache_cost.counted(lambda text=text: module.decode(text, memory, source)) == sizes.without(n)
        if n > 1:
            assert kv_cache_cost.counted(lambda n=n: decoder.step(ids[n - 1])) == sizes.with_cache(n)
        else:
            decoder.step(ids[0])
        held = sum(part.numel() for pair in (*decoder.cache, *decoder.memory) for part in pair)
        assert sizes.cache_bytes(n) == 4 * held


def test_our_sizes_are_those_of_the_paper(make_model):
    c, sizes = tiny.config(), ours(make_model(), make_model().trace(tiny.TEXT, tiny.WRITTEN))
    layers, d = c.decoder_layers, c.d_model
    # Self-attention has four maps, cross-attention two for a written token and two for a source token.
    assert (sizes.token, sizes.source) == (layers * (6 * d * d + 2 * d * c.d_ff), layers * 2 * d * d)
    assert (sizes.pair, sizes.cross, sizes.head) == (layers * 2 * d, layers * 2 * d, d * c.target_vocabulary)
    assert sizes.length == 6
    steps = sizes.steps(1, 3)
    assert [row[0] for row in steps] == [1, 2, 3]
    # The head of the first step sees one row either way, and so does everything else.
    assert steps[0][1] == steps[0][2] and steps[2][1] > 2 * steps[2][2]


def test_the_counter_knows_the_fused_kernel(make_model):
    """The same run with the plain kernels, whose products the counter sees by itself."""
    q, k, v = (torch.randn(1, 4, n, 8) for n in (3, 5, 5))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        torch.nn.functional.scaled_dot_product_attention(q, k, v)
    fused = kv_cache_cost.counted(lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v))
    assert counter.get_total_flops() // 2 == fused == 4 * 3 * 5 * 16


@pytest.mark.parametrize("name", ["gpt2", "t5", "bart", "llama"])
def test_library_models_counted(tmp_path_factory, name: str):
    pytest.importorskip("transformers")
    model = open_model(write(tmp_path_factory.mktemp("cost") / name, name))
    trace = model.trace(FOX, "The cat sat on the mat") if model.decodes else model.trace(FOX, new_tokens=6)
    head = model.module.get_output_embeddings()
    sizes = kv_cache_cost.shapes(
        trace, model.module, head, lambda n, s: generate.probe(model, n, s), generate.head_once(model)
    )
    for n in (2, 3, len(trace.tokens("decoder"))):
        plain, cached = (kv_cache_cost.counted(run) for run in generate.real_steps(model, trace, n))
        assert (plain, cached) == (sizes.without(n), sizes.with_cache(n))
    if not model.decodes:  # the first step of a decoder reads its whole prompt
        ids = torch.tensor([trace.token_ids("decoder")])
        last = {"logits_to_keep": 1} if generate.head_once(model) else {}
        prefill = kv_cache_cost.counted(lambda: model.module(ids, use_cache=True, **last))
        assert prefill == sizes.with_cache(ids.shape[1], ids.shape[1])
    source = {"input_ids": torch.tensor([trace.token_ids("encoder")])} if model.decodes else {}
    text = {"decoder_input_ids" if model.decodes else "input_ids": torch.tensor([trace.token_ids("decoder")])}
    with torch.no_grad():
        cache = model.module(**source, **text, use_cache=True).past_key_values
    both = [cache.self_attention_cache, cache.cross_attention_cache] if model.decodes else [cache]
    held = sum(part.nbytes for each in both for layer in each.layers for part in (layer.keys, layer.values))
    assert sizes.cache_bytes(len(trace.tokens("decoder"))) == held
    if name == "llama":
        assert trace.store.shape("decoder.0.self.k")[0] < trace.record("decoder.0.self").heads  # shared heads


def test_a_map_of_other_rows_is_refused(make_model):
    model = make_model()
    trace = model.trace(tiny.TEXT, tiny.WRITTEN)
    with pytest.raises(ValueError, match="4 rows"):
        kv_cache_cost.shapes(trace, model.module, None, lambda n, s: model.module.decoder[0].ffn(torch.zeros(1, 4, 16)))


def test_what_the_counter_cannot_follow_is_said(make_model):
    model = make_model(positions="learned")
    with pytest.raises(ValueError, match="gives up"):
        kv_cache_cost.counted(lambda: model.module.target(torch.ones(1, 3, dtype=torch.long)))
