"""A GGUF file becomes a folder of the library: a tiny model written here, converted and compared."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers")

from model import errors, open_model
from tests.model.test_conversion import elsewhere, left  # noqa: F401


def llama(path: Path) -> dict[str, Tensor]:
    """A random Llama written with the gguf package; the feed-forward layers are quantised. Name -> what it must hold."""
    import gguf
    from gguf.quants import dequantize, quantize

    generator = torch.Generator().manual_seed(0)
    words = ["<s>", "</s>", *"abcdefgh", "ab", "cd"]
    writer = gguf.GGUFWriter(str(path), "llama")
    for add, value in (
        (writer.add_name, "tiny"), (writer.add_context_length, 64), (writer.add_embedding_length, 32),
        (writer.add_block_count, 2), (writer.add_feed_forward_length, 64), (writer.add_head_count, 4),
        (writer.add_head_count_kv, 2), (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_rope_freq_base, 10000.0),
        (writer.add_vocab_size, len(words)), (writer.add_tokenizer_model, "gpt2"), (writer.add_token_list, words),
        (writer.add_token_merges, ["a b", "c d"]), (writer.add_bos_token_id, 0), (writer.add_eos_token_id, 1),
    ):  # fmt: skip
        add(value)
    held: dict[str, Tensor] = {}

    def put(name: str, there: str, *shape: int, heads: int = 0, packed: bool = False) -> None:
        weight = torch.randn(*shape, generator=generator)
        data = weight.numpy()
        if heads:  # GGUF keeps the two halves of a rotated pair side by side
            data = weight.view(heads, 2, shape[0] // heads // 2, shape[1]).transpose(1, 2).reshape(shape).numpy()
        if packed:
            kind = gguf.GGMLQuantizationType.Q8_0
            raw = quantize(data, kind)
            writer.add_tensor(name, raw, raw_dtype=kind)
            weight = torch.from_numpy(dequantize(raw, kind).copy())
        else:
            writer.add_tensor(name, data.copy())
        held[there] = weight

    put("token_embd.weight", "model.embed_tokens.weight", len(words), 32)
    put("output_norm.weight", "model.norm.weight", 32)
    put("output.weight", "lm_head.weight", len(words), 32)
    for i in range(2):
        old, new = f"blk.{i}", f"model.layers.{i}"
        put(f"{old}.attn_norm.weight", f"{new}.input_layernorm.weight", 32)
        put(f"{old}.ffn_norm.weight", f"{new}.post_attention_layernorm.weight", 32)
        put(f"{old}.attn_q.weight", f"{new}.self_attn.q_proj.weight", 32, 32, heads=4)
        put(f"{old}.attn_k.weight", f"{new}.self_attn.k_proj.weight", 16, 32, heads=2)
        put(f"{old}.attn_v.weight", f"{new}.self_attn.v_proj.weight", 16, 32)
        put(f"{old}.attn_output.weight", f"{new}.self_attn.o_proj.weight", 32, 32)
        put(f"{old}.ffn_gate.weight", f"{new}.mlp.gate_proj.weight", 64, 32, packed=True)
        put(f"{old}.ffn_up.weight", f"{new}.mlp.up_proj.weight", 64, 32, packed=True)
        put(f"{old}.ffn_down.weight", f"{new}.mlp.down_proj.weight", 32, 64, packed=True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return held


def test_gguf_holds_exactly_the_dequantised_values(tmp_path: Path):
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    held = llama(tmp_path / "tiny.gguf")
    model = open_model(tmp_path / "tiny.gguf")
    found = model.module.state_dict()
    assert found.keys() == held.keys() and model.card["fresh"] == [] and model.name == "tiny"
    assert all(torch.equal(found[name], held[name]) for name in held)
    assert model.card["converted_from"] == "tiny.gguf"
    trace = model.trace("abcd")
    assert trace.tokens("decoder")[-2:] == ["ab", "cd"] and len(trace.sites) == 2 and trace.fidelity().holds


def test_a_gguf_larger_than_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    llama(tmp_path / "tiny.gguf")
    monkeypatch.setenv("HEADLIGHT_MEMORY_LIMIT", "10kB")
    with pytest.raises(errors.WeightsTooLarge, match="10 kB"):
        open_model(tmp_path / "tiny.gguf")


def test_gguf_without_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from model.checkpoints.convert import gguf

    monkeypatch.setattr(gguf, "find_spec", lambda name: None)
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    with pytest.raises(errors.NeedsPackage, match="pip install gguf accelerate"):
        open_model(tmp_path / "tiny.gguf")


def test_a_damaged_gguf(tmp_path: Path):
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    llama(tmp_path / "tiny.gguf")
    data = (tmp_path / "tiny.gguf").read_bytes()
    for length in (10, 200, len(data) - 100):
        (tmp_path / "tiny.gguf").write_bytes(data[:length])
        with pytest.raises(errors.DamagedCheckpoint) as caught:
            open_model(tmp_path / "tiny.gguf")
        assert "\n" not in str(caught.value)
    assert left(tmp_path) == []
