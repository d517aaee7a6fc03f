"""Other formats become folders of the library: tiny models written here by hand in each format, converted and compared."""

from __future__ import annotations

import argparse
import json
import os
import struct
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers")

from model import errors, open_model
from model.checkpoints.convert import convert
from model.checkpoints.disk import packages
from model.checkpoints.library import load as loading
from tests import bounds

pytestmark = pytest.mark.float32


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(convert.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(packages, "PACKAGES", ())


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "converted").glob("*"))


def fairseq(folder: Path, tied: bool = True) -> Path:
    """A random RoBERTa as fairseq saves one: 2 layers, 2 heads, d 8, over the letters A–D."""
    generator = torch.Generator().manual_seed(0)

    def linear(name: str, *shape: int) -> dict[str, Tensor]:
        weight, bias = (torch.randn(size, generator=generator) for size in (shape, shape[:1]))
        return {f"decoder.{name}.weight": weight, f"decoder.{name}.bias": bias}

    state = {
        "decoder.sentence_encoder.embed_tokens.weight": torch.randn(9, 8, generator=generator),
        "decoder.sentence_encoder.embed_positions.weight": torch.randn(14, 8, generator=generator),
        **linear("sentence_encoder.emb_layer_norm", 8), **linear("lm_head.dense", 8, 8), **linear("lm_head.layer_norm", 8),
        **linear("lm_head", 9, 8),
    }  # fmt: skip
    if tied:
        state["decoder.lm_head.weight"] = state["decoder.sentence_encoder.embed_tokens.weight"]
    for layer in range(2):
        own = f"sentence_encoder.layers.{layer}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            state |= linear(f"{own}.self_attn.{part}", 8, 8)
        state |= linear(f"{own}.self_attn_layer_norm", 8) | linear(f"{own}.final_layer_norm", 8)
        state |= linear(f"{own}.fc1", 16, 8) | linear(f"{own}.fc2", 8, 16)
    settings = argparse.Namespace(
        encoder_layers=2, encoder_attention_heads=2, encoder_embed_dim=8, encoder_ffn_embed_dim=16, max_positions=12,
        activation_fn="gelu",
    )  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "dict.txt").write_text("A 1\nB 1\nC 1\nD 1\n")
    torch.save({"args": settings, "model": state}, folder / "checkpoint.pt")
    return folder / "checkpoint.pt"


def by_hand(state: dict[str, Tensor], ids: list[int]) -> Tensor:
    """fairseq's RoBERTa written out: post-norm layers, learned positions that begin at 2. Logits [n, V]."""

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ state[f"decoder.{name}.weight"].T + state[f"decoder.{name}.bias"]

    def norm(x: Tensor, name: str) -> Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
        return x * state[f"decoder.{name}.weight"] + state[f"decoder.{name}.bias"]

    own = "sentence_encoder"
    positions = state[f"decoder.{own}.embed_positions.weight"][2 : 2 + len(ids)]
    x = norm(state[f"decoder.{own}.embed_tokens.weight"][ids] + positions, f"{own}.emb_layer_norm")
    for layer in range(2):
        at = f"{own}.layers.{layer}"
        q, k, v = (linear(x, f"{at}.self_attn.{part}_proj").view(-1, 2, 4).transpose(0, 1) for part in "qkv")
        mixed = (q @ k.transpose(1, 2) / 2).softmax(-1) @ v
        x = norm(
            x + linear(mixed.transpose(0, 1).reshape(-1, 8), f"{at}.self_attn.out_proj"), f"{at}.self_attn_layer_norm"
        )
        inner = torch.nn.functional.gelu(linear(x, f"{at}.fc1"))
        x = norm(x + linear(inner, f"{at}.fc2"), f"{at}.final_layer_norm")
    x = norm(torch.nn.functional.gelu(linear(x, "lm_head.dense")), "lm_head.layer_norm")
    return linear(x, "lm_head")


@pytest.mark.parametrize("tied", [True, False])
def test_fairseq(tmp_path: Path, tied: bool):
    path = fairseq(tmp_path / "made", tied)
    model = open_model(path)
    assert (model.card["fresh"], model.card["unused"], model.name) == ([], [], "checkpoint")
    ids = model.tokenizer("AB<mask>DZ").input_ids
    assert ids == [0, 4, 5, 8, 7, 3, 2]  # <s> A B <mask> D <unk> </s>
    with torch.no_grad():
        got = model.module(input_ids=torch.tensor([ids])).logits[0]
    state = torch.load(path, weights_only=False)["model"]
    bounds.close(got, by_hand(state, ids), 1024)


def test_a_conversion_is_done_once_and_leaves_nothing_when_stopped(tmp_path: Path):
    path = fairseq(tmp_path / "made")
    asked = iter(range(1000))
    with pytest.raises(errors.Stopped):
        open_model(path, stop=lambda: next(asked) > 1)
    assert left(tmp_path) == []
    folder = convert.convert(path)
    assert folder is not None and left(tmp_path) == [folder.name]
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert convert.convert(path.parent) == folder and (folder / "model.safetensors").stat().st_mtime_ns == before


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = fairseq(tmp_path / "made")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(convert.VARIABLE, str(tmp_path / "file"))
    with pytest.raises(errors.NoCache, match="HEADLIGHT_CACHE"):
        open_model(path)


class Trap:
    """Makes a folder when unpickled."""

    def __reduce__(self):
        return os.mkdir, ("trap-was-run",)


def test_what_cannot_be_converted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    path = fairseq(tmp_path / "made")
    sound = torch.load(path, weights_only=False)
    whole = path.read_bytes()

    def saved(**changes: object) -> None:
        torch.save(sound | changes, path)

    def refused(kind: type, part: str) -> None:
        with pytest.raises(kind) as caught:
            open_model(path)
        assert type(caught.value) is kind and part in str(caught.value) and "\n" not in str(caught.value)

    path.write_bytes(whole[: len(whole) // 2])
    refused(errors.BadFile, "checkpoint.pt")
    saved(extra=Trap())
    refused(errors.UnsafeWeights, "mkdir")
    assert not Path("trap-was-run").exists()
    state = dict(sound["model"])
    name = "decoder.sentence_encoder.layers.1.fc1.weight"
    saved(model=state | {name: torch.zeros(15, 8)})
    refused(errors.WrongShape, "roberta.encoder.layer.1.intermediate.dense.weight")
    saved(model={key: value for key, value in state.items() if key != name})
    refused(errors.NotConverted, "is missing")
    saved(model=state | {"decoder.other": torch.zeros(1)})
    refused(errors.NotConverted, "left over")
    saved(args=argparse.Namespace())
    refused(errors.NotConverted, "single characters")
    saved(args=argparse.Namespace(encoder_layers="two"))
    refused(errors.BadFile, "checkpoint.pt")
    saved()
    (path.parent / "dict.txt").write_text("word 1\n")
    refused(errors.NotConverted, "single characters")
    assert left(tmp_path) == []


def ctranslate2(folder: Path) -> tuple[Path, torch.nn.Module]:
    """A tiny random Whisper of the library in half precision, written as CTranslate2 writes one."""
    from tokenizers import Tokenizer, models
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=12, d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=40, num_mel_bins=8, max_source_positions=20,
        max_target_positions=10, pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=1,
    )  # fmt: skip
    module = WhisperForConditionalGeneration(config).half().eval()
    given = module.state_dict()
    out: dict[str, Tensor] = {}

    def put(old: str, new: str, norm: bool = False) -> None:
        names = ("gamma", "beta") if norm else ("weight", "bias")
        out[f"{new}/{names[0]}"], out[f"{new}/{names[1]}"] = given[f"{old}.weight"], given[f"{old}.bias"]

    def pack(old: str, new: str, parts: str) -> None:
        names = [f"{old}.{part}_proj" for part in parts]
        zero = torch.zeros(16, dtype=torch.float16)
        out[f"{new}/weight"] = torch.cat([given[f"{name}.weight"] for name in names])
        out[f"{new}/bias"] = torch.cat([given.get(f"{name}.bias", zero) for name in names])

    for side, layers, heads in (("encoder", 1, 2), ("decoder", 2, 4)):
        out[f"{side}/position_encodings/encodings"] = given[f"model.{side}.embed_positions.weight"]
        out[f"{side}/num_heads"] = torch.tensor(heads, dtype=torch.int16)
        put(f"model.{side}.layer_norm", f"{side}/layer_norm", norm=True)
        for i in range(layers):
            old, new = f"model.{side}.layers.{i}", f"{side}/layer_{i}"
            pack(f"{old}.self_attn", f"{new}/self_attention/linear_0", "qkv")
            put(f"{old}.self_attn.out_proj", f"{new}/self_attention/linear_1")
            put(f"{old}.self_attn_layer_norm", f"{new}/self_attention/layer_norm", norm=True)
            if side == "decoder":
                pack(f"{old}.encoder_attn", f"{new}/attention/linear_0", "q")
                pack(f"{old}.encoder_attn", f"{new}/attention/linear_1", "kv")
                put(f"{old}.encoder_attn.out_proj", f"{new}/attention/linear_2")
                put(f"{old}.encoder_attn_layer_norm", f"{new}/attention/layer_norm", norm=True)
            put(f"{old}.final_layer_norm", f"{new}/ffn/layer_norm", norm=True)
            put(f"{old}.fc1", f"{new}/ffn/linear_0")
            put(f"{old}.fc2", f"{new}/ffn/linear_1")
    put("model.encoder.conv1", "encoder/conv1")
    put("model.encoder.conv2", "encoder/conv2")
    out["decoder/embeddings/weight"] = given["model.decoder.embed_tokens.weight"]

    def text(words: str) -> bytes:
        return struct.pack("<H", len(words) + 1) + words.encode() + b"\0"

    kinds = {torch.float16: 4, torch.int16: 2}
    data = [struct.pack("<I", 6), text("WhisperSpec"), struct.pack("<II", 3, len(out))]
    for name, tensor in out.items():
        raw = tensor.contiguous().numpy().tobytes()
        sizes = struct.pack(f"<B{tensor.dim()}I", tensor.dim(), *tensor.shape)
        data += [text(name), sizes, struct.pack("<BI", kinds[tensor.dtype], len(raw)), raw]
    data += [struct.pack("<I", 1), text("decoder/projection/weight"), text("decoder/embeddings/weight")]
    folder.mkdir(exist_ok=True)
    (folder / "model.bin").write_bytes(b"".join(data))
    (folder / "config.json").write_text(json.dumps({"suppress_ids": [3], "suppress_ids_begin": [4]}))
    words = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>", *"abcdefghi"]
    Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "a")).save(str(folder / "tokenizer.json"))
    return folder / "model.bin", module


def test_whisper_of_ctranslate2(tmp_path: Path):
    path, module = ctranslate2(tmp_path / "made")
    folder = convert.convert(path)
    assert folder is not None
    found = loading.read(folder)
    assert (found.fresh, found.unused, found.family) == ([], [], "whisper")
    expected = module.float().state_dict()
    assert found.module.state_dict().keys() == expected.keys()
    assert all(torch.equal(found.module.state_dict()[name], tensor) for name, tensor in expected.items())
    generation = found.module.generation_config
    assert generation.no_timestamps_token_id == 2 and generation.suppress_tokens == [3]
    assert (folder / "model.safetensors").stat().st_size < 2.5 * sum(t.numel() for t in module.parameters()) + 8000


def test_a_damaged_file_of_ctranslate2(tmp_path: Path):
    path, _ = ctranslate2(tmp_path / "made")
    whole = path.read_bytes()
    for length in (2, 20, 40, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:length])
        with pytest.raises(errors.DamagedCheckpoint):
            convert.convert(path)
    path.write_bytes(struct.pack("<I", 99) + whole[4:])
    with pytest.raises(errors.DamagedCheckpoint, match="version 99"):
        convert.convert(path)
    path.write_bytes(whole.replace(b"WhisperSpec", b"UnknownSpec"))
    with pytest.raises(errors.DamagedCheckpoint, match="UnknownSpec"):
        convert.convert(path)
    path.write_bytes(whole)
    (path.parent / "config.json").unlink()
    with pytest.raises(errors.MissingFile, match=r"lacks config\.json"):
        convert.convert(path)
    assert left(tmp_path) == []
