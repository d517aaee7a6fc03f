"""The check at opening: against the library's own numbers, for kinds of models that passed wrongly, and faults it must see."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

transformers = pytest.importorskip("transformers")

from model import open_model  # noqa: E402
from model.checkpoints.disk.families import FAMILIES, Family, entry, small_inputs, small_model  # noqa: E402
from model.checkpoints.library import opening_check, route, run_facts  # noqa: E402
from model.checkpoints.library.opening_check import check  # noqa: E402
from model.checkpoints.record import attention_functions, attention_registry, forward, site_names  # noqa: E402
from model.checkpoints.record.untouched import untouched  # noqa: E402
from tests.model.test_hugging_face import write  # noqa: E402

pytestmark = pytest.mark.float32

_SEQ2SEQ = {
    "vocab_size": 97, "d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64,
    "decoder_start_token_id": 2, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3,
}  # fmt: skip
_DECODER = {
    "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48, "vocab_size": 97,
    "max_position_embeddings": 64,
}  # fmt: skip


def made(model_type: str, kind: str, by: float = 4.0, **sizes: object) -> torch.nn.Module:
    torch.manual_seed(3)
    config = transformers.AutoConfig.for_model(model_type, **sizes)
    module = getattr(transformers, kind).from_config(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.dim() > 1:
                parameter.mul_(by)
    return module


def given(both: bool = False, n: int = 16) -> dict[str, torch.Tensor]:
    numbers = torch.Generator().manual_seed(5)
    found = {"input_ids": torch.randint(4, 97, (1, n), generator=numbers)}
    return found | ({"decoder_input_ids": torch.randint(4, 97, (1, 6), generator=numbers)} if both else {})


def opened(family: Family) -> tuple[torch.nn.Module, torch.nn.Module, dict[str, torch.Tensor]]:
    own = small_model(family)
    both = bool(getattr(own.config, "is_encoder_decoder", False))
    return forward.prepare(untouched(own)), own, small_inputs(family, both)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_type)
def test_every_family_checks_against_its_own_library(family: Family):
    found = check(*opened(family), count=True)
    # The pooling of SigLIP's pictures is torch's own module.
    assert found.missing == (("vision_model.head.attention",) if family.unregistered else ())
    assert found.holds and not found.reason
    assert found.output is not None and found.output[0] <= found.output[1]
    # Falcon's eager run has other logits than its own: its weights are no reference.
    assert (found.weights is None) == (family.model_type == "falcon")


def test_the_untouched_model_keeps_the_librarys_choice_and_shares_its_numbers():
    own = small_model(entry("llama"))
    module = forward.prepare(untouched(own))
    assert (own.config._attn_implementation, module.config._attn_implementation) == ("sdpa", attention_registry.NAME)
    for (name, one), other in zip(own.named_parameters(), module.parameters(), strict=True):
        assert one is other, name


@pytest.mark.parametrize(
    ("model_type", "sizes"),
    [
        ("bigbird_pegasus", {"attention_type": "original_full"}),  # its encoder does not ask the registry
        ("pegasus_x", {"block_size": 4, "num_global_tokens": 2}),
        ("fsmt", {"src_vocab_size": 97, "tgt_vocab_size": 97, "langs": ["a", "b"]}),
    ],
)
def test_a_class_without_fused_attention_is_recorded_as_it_runs(model_type: str, sizes: dict[str, object]):
    own, inputs = made(model_type, "AutoModelForSeq2SeqLM", **(_SEQ2SEQ | sizes)), given(both=True)
    found = route.route(own, inputs, None)
    with torch.no_grad():
        wanted = own(**inputs, output_attentions=True, use_cache=False)
        recorded = forward.record(found.module, inputs)
    assert torch.equal(recorded.store["logits"], wanted.logits[0])
    for i, weights in enumerate(wanted.decoder_attentions):
        mine = recorded.attention[site_names.Site("decoder", i, "self")]
        assert mine.mask.causal
        for head in range(mine.heads):
            assert (mine.weights(head) - weights[0, head]).abs().max() <= 2e-6


@pytest.mark.parametrize(
    ("model_type", "layers", "sizes"),
    [
        ("jamba", [1, 3], {"num_hidden_layers": 4, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2,
                           "mamba_d_state": 8, "mamba_dt_rank": 4, "use_mamba_kernels": False}),
        ("qwen3_next", [3], {"num_hidden_layers": 4, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 1,
                             "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16, "linear_num_key_heads": 2,
                             "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}),
        ("recurrent_gemma", [2], {"num_hidden_layers": 3, "head_dim": 8, "lru_width": 32, "attention_window_size": 8}),
        ("lfm2", [1, 2], {"num_hidden_layers": 3, "layer_types": ["conv", "full_attention", "full_attention"]}),
    ],
)  # fmt: skip
def test_a_hybrid_keeps_the_models_own_layer_numbers(model_type: str, layers: list[int], sizes: dict[str, object]):
    own, inputs = made(model_type, "AutoModelForCausalLM", by=1.0, **(_DECODER | sizes)), given()
    found = route.route(own, inputs, None)
    with torch.no_grad():
        recorded = forward.record(found.module, inputs)
        output = own(**inputs, output_hidden_states=True, use_cache=False)
    assert [site.layer for site in recorded.attention] == layers
    assert all(f".{site.layer}." in recorded.modules[str(site)] for site in recorded.attention)
    for layer in layers:  # the stream that enters it
        assert torch.equal(recorded.store[f"decoder.{layer}.stream"], output.hidden_states[layer][0])


def test_part_of_the_attention_is_named_where_it_is_missing():
    sizes = {"vocab_size": 97, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4,
             "decoder_start_token_id": 0, "local_radius": 3}  # fmt: skip
    found = route.route(made("longt5", "AutoModelForSeq2SeqLM", by=1.0, **sizes), given(both=True), None)
    assert found.opening.holds
    assert found.opening.missing == tuple(f"encoder.block.{i}.layer.0.LocalSelfAttention" for i in range(2))


@pytest.mark.parametrize(
    ("model_type", "says"),
    [("siglip", "reads pictures"), ("moonshine", "reads sound"), ("lxmert", "features of pictures"),
     ("lilt", "weights would be off by"),
     ("fnet", "no attention over whole rows"), ("mamba", "no attention over whole rows")],
)  # fmt: skip
def test_what_cannot_be_recorded_is_refused_in_words(model_type: str, says: str):
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(model_type)
    for part in {
        id(part): part for part in (config, config.get_text_config(), getattr(config, "vision_config", config))
    }.values():
        for name in ("num_hidden_layers", "encoder_num_hidden_layers", "decoder_num_hidden_layers", "vocab_size"):
            if hasattr(part, name):
                setattr(part, name, 97 if name == "vocab_size" else 2)
    own = transformers.AutoModel.from_config(config).eval()
    with pytest.raises(route.NoRoute, match=says):
        route.route(own, given(both=bool(getattr(own.config, "is_encoder_decoder", False))), None)


# Faults of each part of the chain from the tokens to the names, of a model with grouped heads, b_O and a window.


def uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attention replaced by the mean of the values."""

    def even(module, given, _lse):
        groups = given.query.shape[1] // given.key.shape[1]
        mean = given.value.repeat_interleave(groups, 1).mean(2, keepdim=True).expand(-1, -1, given.query.shape[2], -1)
        return mean.transpose(1, 2).contiguous(), None

    monkeypatch.setattr(attention_registry, "fused", even)


def mask_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    real = attention_functions.fused

    def blind(module, given, with_lse):
        options = {"is_causal": False}
        return real(module, dataclasses.replace(given, mask=None, options=given.options | options), with_lse)

    monkeypatch.setattr(attention_registry, "fused", blind)


def changed(monkeypatch: pytest.MonkeyPatch, change: Callable[[attention_registry.RegistryCall], None]) -> None:
    """Every call of the record changed, not the run."""
    real = forward._from_hook

    def wrong(call, *rest):
        change(call)
        return real(call, *rest)

    monkeypatch.setattr(forward, "_from_hook", wrong)


def head_order(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, lambda call: setattr(call, "q", call.q.flip(1)))


def mask_of_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(call):
        call.mask, call.causal = None, False

    changed(monkeypatch, forget)


def scale(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, lambda call: setattr(call, "scale", 1.001 * call.scale))


def layer_order(monkeypatch: pytest.MonkeyPatch) -> None:
    real = site_names.layer_numbers
    monkeypatch.setattr(site_names, "layer_numbers", lambda paths: real(paths)[::-1])


def stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    real = forward._states
    monkeypatch.setattr(forward, "_states", lambda output, stack: real(output, stack)[::-1])


def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    real = opening_check.record
    monkeypatch.setattr(
        opening_check, "record", lambda module, inputs: real(module, {"input_ids": inputs["input_ids"].flip(1)})
    )


FAULTS = (uniform, mask_dropped, head_order, mask_of_the_record, scale, layer_order, stacks, tokens)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("model_type", ["mistral", "bert"])
def test_the_check_notices(model_type: str, fault, monkeypatch: pytest.MonkeyPatch):
    model, own, inputs = opened(entry(model_type))
    assert check(model, own, inputs).holds
    recorded = forward.record(model, inputs)
    fault(monkeypatch)
    if fault is stacks:  # of the recorded run alone
        monkeypatch.setattr(opening_check, "record", lambda *_: recorded)
    if model_type == "bert" and fault in (mask_dropped, mask_of_the_record):
        pytest.skip("it has no mask to lose")
    found = check(model, own, inputs)
    assert not found.holds and "off by" in found.reason


@pytest.mark.parametrize("model_type", ["bert", "llama", "bart"])
def test_a_run_labelled_by_other_tokens_does_not_check(
    model_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = open_model(write(tmp_path / model_type, model_type))
    assert model.trace("the cat sat on the mat").fidelity().logits_error == 0.0
    real = run_facts.side

    def shifted(tokenizer, ids, *rest):
        found = real(tokenizer, ids, *rest)
        return dataclasses.replace(found, ids=(*found.ids[1:], found.ids[0]))

    monkeypatch.setattr(run_facts, "side", shifted)
    found = model.trace("the cat sat on the mat").fidelity()
    assert found.logits_error > 1e-3 and not found.holds and not found.logits_hold
