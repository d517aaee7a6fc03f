"""What a GGUF file becomes, held bit for bit against the library's own way, which reads its vocabulary three times."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")
pytest.importorskip("gguf")
pytest.importorskip("accelerate")

import gguf
from transformers import PretrainedConfig

from model import errors, open_model
from model.checkpoints.convert import convert as conversion
from model.checkpoints.convert import gguf_module
from model.checkpoints.convert.cache_entry import MANIFEST
from model.checkpoints.disk.files import CONVERSION
from model.checkpoints.disk.headers import gguf_header
from model.jobs.progress import ProgressListener, report_to
from tests.model.test_conversion import elsewhere, left  # noqa: F401

WORDS = ["<s>", "</s>", *"abcdefgh", "ab", "cd", *(f"w{i}" for i in range(244))]
QUANTISED = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"]
D, F, H, KV = 256, 512, 4, 2
# Architecture -> the model_type of the library.
FAMILIES = {"llama": "llama", "qwen2": "qwen2", "gemma2": "gemma2", "bloom": "bloom", "phi3": "phi3", "lfm2": "lfm2"}


def described(architecture: str):
    """The library's configuration of a model with one layer, as the metadata written below describes it."""
    from transformers import AutoConfig

    sizes = {"hidden_size": D, "num_hidden_layers": 1, "num_attention_heads": H, "vocab_size": len(WORDS),
             "pad_token_id": None, "bos_token_id": 0, "eos_token_id": 1, "max_position_embeddings": 64}  # fmt: skip
    if architecture == "bloom":
        sizes |= {"n_layer": 1, "n_head": H}
    else:
        sizes |= {"intermediate_size": F, "num_key_value_heads": KV, "head_dim": D // H}
    if architecture == "lfm2":
        sizes |= {"layer_types": ["full_attention"], "block_auto_adjust_ff_dim": False}
    return AutoConfig.for_model(FAMILIES[architecture], **sizes)


def packed(weight: np.ndarray, kind: gguf.GGMLQuantizationType) -> np.ndarray:
    """The weight in that format; of a format that the package only reads, blocks of small random bytes."""
    try:
        return gguf.quants.quantize(weight, kind)
    except NotImplementedError:
        values, size = gguf.GGML_QUANT_SIZES[kind]
        shape = (*weight.shape[:-1], weight.shape[-1] // values * size)
        # No byte above 59: as the upper half of a half-precision scale it stays far from infinity.
        return np.random.default_rng(0).integers(0, 60, shape, dtype=np.uint8)


def written(
    path: Path, architecture: str = "llama", kind: str = "F32", told: tuple = (), spelled: str = "gpt2",
    config: PretrainedConfig | None = None,
) -> Path:  # fmt: skip
    """A random model of one layer, its matrices in the format `kind`; `told`: further pairs of the metadata.

    config: what it is a model of, else as `described`.
    """
    from transformers import AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import TensorProcessor, get_gguf_hf_weights_map

    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config or described(architecture))
    state, numbers = module.state_dict(), np.random.default_rng(1)
    writer = gguf.GGUFWriter(str(path), architecture)
    for add, value in (
        (writer.add_name, "tiny"), (writer.add_context_length, getattr(config, "n_positions", 64)),
        (writer.add_embedding_length, D), (writer.add_block_count, 1),
        (writer.add_feed_forward_length, getattr(config, "n_inner", F)), (writer.add_head_count, H),
        (writer.add_head_count_kv, [KV] if architecture == "lfm2" else KV), (writer.add_layer_norm_rms_eps, 1e-5),
        (writer.add_layer_norm_eps, 1e-5), (writer.add_shortconv_l_cache, 3),
        (writer.add_rope_freq_base, 10000.0), (writer.add_key_length, D // H), (writer.add_tokenizer_model, spelled),
        (writer.add_token_list, WORDS), (writer.add_token_types, [3, 3] + [1] * (len(WORDS) - 2)),
        (writer.add_token_merges, ["a b", "c d"]), (writer.add_token_scores, [-float(i) for i in range(len(WORDS))]),
        (writer.add_bos_token_id, 0), (writer.add_eos_token_id, 1), (writer.add_pad_token_id, 1),
        *((getattr(writer, add), value) for add, value in told),
    ):  # fmt: skip
        add(value)
    tied = module.config.tie_word_embeddings or architecture == "bloom"
    for name, there in get_gguf_hf_weights_map(gguf_module._Names.of(module), TensorProcessor()).items():
        if tied and name == "output.weight":
            continue
        weight = numbers.standard_normal(tuple(state[there].shape), dtype=np.float32)
        if module.config.model_type == "gpt2" and weight.ndim == 2 and name.startswith("blk."):
            weight = np.ascontiguousarray(weight.T)  # its layers keep matrices the other way round
        if kind == "F32" or weight.ndim == 1:
            writer.add_tensor(name, weight)
        elif kind == "F16":
            writer.add_tensor(name, weight.astype(np.float16))
        else:
            which = gguf.GGMLQuantizationType[kind]
            writer.add_tensor(name, packed(weight, which), raw_dtype=which)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def by_the_library(path: Path, folder: Path) -> Path:
    """The folder that the library's own `from_pretrained(gguf_file=…)` saves."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name, "local_files_only": True}
    config = AutoConfig.from_pretrained(**where)
    AutoModelForCausalLM.from_pretrained(
        **where, config=config, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    ).save_pretrained(folder)
    AutoTokenizer.from_pretrained(**where, config=config).save_pretrained(folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in (CONVERSION, MANIFEST)}


def same(path: Path, tmp_path: Path) -> dict[str, bytes]:
    expected, got = files(by_the_library(path, tmp_path / "expected")), files(conversion.convert(path))
    assert got.keys() == expected.keys() >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert [name for name in got if got[name] != expected[name]] == []
    return got


@pytest.mark.parametrize("kind", ["F32", *QUANTISED])
def test_every_format_gives_the_bits_that_the_library_gives(tmp_path: Path, kind: str):
    same(written(tmp_path / "tiny.gguf", kind=kind), tmp_path)


@pytest.mark.parametrize("architecture", FAMILIES)
def test_so_does_every_family(tmp_path: Path, architecture: str):
    spelled = (
        "llama" if architecture == "gemma2" else "gpt2"
    )  # as its class does, so that the library reads its own again
    same(written(tmp_path / "tiny.gguf", architecture, "Q8_0", spelled=spelled), tmp_path)


@pytest.mark.parametrize(("positions", "inner"), [(64, F), (1024, 4 * D), (1024, 96), (48, 4 * D)])
def test_sizes_that_are_not_the_defaults_of_gpt2_are_those_of_the_file(tmp_path: Path, positions: int, inner: int):
    """The library's reader takes them only from a configuration that it is given: its table calls them otherwise."""
    from transformers import AutoModelForCausalLM, GPT2Config

    sizes = GPT2Config(n_embd=D, n_layer=1, n_head=H, vocab_size=len(WORDS), n_positions=positions, n_inner=inner)
    path = written(tmp_path / "tiny.gguf", "gpt2", config=sizes)
    by_library = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, config=sizes, dtype=torch.float32)
    model = open_model(path)
    expected, got = by_library.state_dict(), model.module.state_dict()
    assert got.keys() == expected.keys() and all(torch.equal(got[name], expected[name]) for name in got)
    assert got["transformer.wpe.weight"].shape == (positions, D) and model.max_length == positions
    assert model.card["fresh"] == model.card["unused"] == [] and model.trace("abcd").fidelity().holds


@pytest.mark.parametrize("told", [
    [("add_vocab_size", len(WORDS))],
    [("add_custom_alignment", 128)],
    [("add_add_bos_token", True), ("add_chat_template", "{{ messages[0]['content'] }}"), ("add_unk_token_id", 1)],
], ids=["its own vocabulary size", "tensors 128 bytes apart", "template"])  # fmt: skip
def test_so_does_other_metadata(tmp_path: Path, told: list):
    same(written(tmp_path / "tiny.gguf", told=tuple(told)), tmp_path)


def test_so_does_a_vocabulary_of_sentencepiece(tmp_path: Path):
    same(written(tmp_path / "tiny.gguf", spelled="llama"), tmp_path)


def test_a_tokenizer_configuration_beside_the_file_counts_as_it_does_for_the_library(tmp_path: Path):
    path = written(tmp_path / "tiny.gguf")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    assert b'"GPT2Tokenizer"' in same(path, tmp_path)["tokenizer_config.json"]


@pytest.mark.parametrize(
    "architecture", ["llama", "qwen2", "qwen3", "phi3", "gemma2", "gpt2", "bloom", "falcon", "gpt_oss"]
)
def test_names_are_those_that_the_library_finds_in_all_modules(architecture: str):
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.modeling_gguf_pytorch_utils import TENSOR_PROCESSORS, TensorProcessor, get_gguf_hf_weights_map

    config = AutoConfig.for_model(architecture, num_hidden_layers=1)
    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config)
    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=config.to_dict())
    found = get_gguf_hf_weights_map(gguf_module._Names.of(module), processor)
    assert found == get_gguf_hf_weights_map(module, processor) and len(found) > 8


def test_the_vocabulary_is_read_once_and_the_table_of_names_built_for_the_whole_and_the_base_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    entries, tables = [], []
    reads, builds = gguf.GGUFReader._get_field_parts, gguf.get_tensor_name_map
    path = written(tmp_path / "tiny.gguf")
    monkeypatch.setattr(gguf.GGUFReader, "_get_field_parts", lambda *told: entries.append(0) or reads(*told))
    monkeypatch.setattr(gguf, "get_tensor_name_map", lambda *told: tables.append(0) or builds(*told))
    conversion.convert(path)
    assert 0 < len(entries) < len(WORDS) / 4 and len(tables) == 4  # to read, and to name what has no place


def test_the_copy_is_the_file_without_its_vocabulary(tmp_path: Path):
    path = written(tmp_path / "tiny.gguf", kind="Q4_0")
    whole = gguf_header(path, tensors=True)
    copy = gguf_header(gguf_module.without_vocabulary(path, whole, tmp_path / "copy.gguf"), tensors=True)
    assert whole.lists["tokenizer.ggml.tokens"].length == len(WORDS) and copy.lists == {}
    assert (copy.values, copy.shapes) == (whole.values, whole.shapes) and len(copy.values) > 10
    read, of_copy = gguf.GGUFReader(path), gguf.GGUFReader(tmp_path / "copy.gguf")
    assert all(np.array_equal(a.data, b.data) for a, b in zip(read.tensors, of_copy.tensors, strict=True))
    assert set(read.fields) - set(of_copy.fields) == set(whole.lists)


def test_it_says_how_far_it_is_and_stops_at_every_point(tmp_path: Path):
    path, heard = written(tmp_path / "tiny.gguf"), []
    with report_to(ProgressListener(lambda *told: heard.append(told), lambda: False)):
        made = conversion.convert(path)
    fractions = [fraction for what, fraction in heard if what == "converting"]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len(fractions) > 6
    shutil.rmtree(made)
    for point in range(len(heard)):
        left_over = iter(range(point))
        with (
            pytest.raises(errors.Stopped),
            report_to(ProgressListener(lambda *_: None, lambda n=left_over: next(n, None) is None)),
        ):
            conversion.convert(path)
        assert left(tmp_path) == []


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = written(tmp_path / "tiny.gguf")

    def full(*_told):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gguf_module, "_pour", full)
    with pytest.raises(errors.NoCache, match="No space left"):
        conversion.convert(path)
    assert left(tmp_path) == []


@pytest.mark.parametrize(("old", "new", "said"), [
    (b"\0\0\0\x80\0\0\0", b"\0\0\0\x18\0\0\0", "tiny.gguf"),
    (b"ggml.bos_token_id", b"ggml.eos_token_id", "tiny.gguf"),
    (b"llama", b"lloma", "architecture lloma"),
    (b"gpt2", b"gpt9", "gpt9"),
], ids=["alignment", "a name that stands twice", "architecture", "tokenizer"])  # fmt: skip
def test_metadata_that_cannot_be_is_said_in_one_sentence(tmp_path: Path, old: bytes, new: bytes, said: str):
    path = written(tmp_path / "tiny.gguf", told=(("add_custom_alignment", 128),))
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(errors.DamagedCheckpoint, match=said) as caught:
        conversion.convert(path)
    assert "\n" not in str(caught.value) and left(tmp_path) == []


@pytest.mark.parametrize(
    ("architecture", "spelled"),
    [("gemma2", "gpt2"), ("llama", "gpt2"), ("llama", "llama"), ("qwen2", "gpt2"), ("qwen2", "llama")],
)
def test_a_vocabulary_of_another_kind_than_its_familys_splits_a_text_as_the_file_says(
    tmp_path: Path, architecture: str, spelled: str
):
    from transformers import AutoTokenizer

    path = written(tmp_path / "tiny.gguf", architecture, spelled=spelled)
    told = AutoTokenizer.from_pretrained(tmp_path, gguf_file="tiny.gguf", local_files_only=True)
    found = open_model(path).tokenizer
    for text in ("ab cd", "a dc ba"):
        assert found(text).input_ids == told(text).input_ids and len(told(text).input_ids) > 1
    assert found.special_tokens_map == told.special_tokens_map
