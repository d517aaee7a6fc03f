"""Folders of the library whose settings lie: config.json, generation_config.json, index, tokenizer files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.case import case
from tests.hostile.originals import copied, edited, library

Change = Callable[[Path], object]


def changed(change: Change, name: str = "gpt2") -> Callable[[Path, Path], Path]:
    def make(folder: Path, sound: Path) -> Path:
        made = copied(library(sound, name), folder)
        change(made)
        return made

    return make


def _config(**told: object) -> Change:
    return lambda folder: edited(folder / "config.json", lambda config: config.update(told))


def text(file: str, content: str | bytes) -> Change:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / file).write_bytes(data)


def value(file: str, told: object) -> Change:
    return text(file, json.dumps(told))


_UP: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2 of 3,000 layers": ("gpt2", {"n_layer": 3000}), "gpt2 of 100,000 layers": ("gpt2", {"n_layer": 100_000}),
    "gpt2 of 60 million tokens": ("gpt2", {"vocab_size": 60_000_000}),
    "gpt2 of a million wide": ("gpt2", {"n_embd": 10**6}), "gpt2 of a billion positions": ("gpt2", {"n_positions": 10**9}),
    "gpt2 of an inner billion": ("gpt2", {"n_inner": 10**9}),
    "llama of 5,000 layers": ("llama", {"num_hidden_layers": 5000}),
    "llama of 60 million tokens": ("llama", {"vocab_size": 60_000_000}),
    "llama of an inner billion": ("llama", {"intermediate_size": 10**9}),
    "llama of a billion heads": ("llama", {"num_attention_heads": 10**9, "num_key_value_heads": 10**9}),
    "llama of wide heads": ("llama", {"head_dim": 10**8}),
    "llama of a trillion positions": ("llama", {"max_position_embeddings": 10**12}),
    "bert of 4,000 layers": ("bert", {"num_hidden_layers": 4000}),
    "bert of a billion types": ("bert", {"type_vocab_size": 10**9}),
    "bert of a billion positions": ("bert", {"max_position_embeddings": 10**9}),
    "bert of a hundred million labels": ("classifier", {"num_labels": 10**8, "id2label": {}, "label2id": {}}),
    "bart of 3,000 layers below": ("bart", {"encoder_layers": 3000}),
    "bart of 3,000 layers above": ("bart", {"decoder_layers": 3000}),
    "bart of a billion positions": ("bart", {"max_position_embeddings": 10**9}),
    "t5 of 3,000 layers": ("t5", {"num_layers": 3000, "num_decoder_layers": 3000}),
    "t5 of a billion buckets": ("t5", {"relative_attention_num_buckets": 10**9}),
    "whisper of 3,000 layers": ("whisper", {"encoder_layers": 3000}),
    "whisper of a billion positions": ("whisper", {"max_source_positions": 10**9}),
    "vit of a huge picture": ("vit", {"image_size": 10**6}), "vit of 3,000 layers": ("vit", {"num_hidden_layers": 3000}),
    "clip of 3,000 layers": ("clip", {"vision_config": {"num_hidden_layers": 3000}}),
    "xlnet of 3,000 layers": ("xlnet", {"n_layer": 3000}), "deberta of 3,000 layers": ("deberta", {"num_hidden_layers": 3000}),
}  # fmt: skip
_DOWN: dict[str, Change] = {
    "fewer layers": _config(n_layer=1), "no layers": _config(n_layer=0), "layers below zero": _config(n_layer=-1),
    "heads of zero": _config(n_head=0), "heads that do not divide": _config(n_head=5), "a width of true": _config(n_embd=True),
    "a width that is a text": _config(n_embd="32"), "a width of 400 digits": _config(n_embd=10**400),
    "an epsilon of NaN": _config(layer_norm_epsilon=float("nan")), "an epsilon below zero": _config(layer_norm_epsilon=-1.0),
    "a family that is a list": _config(model_type=["gpt2"]), "a family that is a path": _config(model_type="../../etc/passwd"),
    "a class that is no model": _config(architectures=["AutoTokenizer"]),
    "classes that are a text": _config(architectures="GPT2"),
    "a class that runs things": _config(architectures=["os.system"]),
    "labels that are a list": _config(id2label=["a"]), "a hostile dtype": _config(torch_dtype="__import__('os')", dtype="os"),
    "a vocabulary of less": _config(vocab_size=3), "layers that are NaN": _config(n_layer=float("nan")),
    "layers of 1e400": lambda folder: (folder / "config.json").write_text('{"model_type": "gpt2", "n_layer": 1e400}'),
    "another family's": _config(model_type="bert"), "a task of a list": _config(problem_type=["x"]),
    "remote code": _config(auto_map={"AutoModelForCausalLM": "evil.Evil", "AutoConfig": "evil.Config"}, model_type="evil"),
    "remote code of a known family": _config(auto_map={"AutoModelForCausalLM": "evil.Evil", "AutoConfig": "evil.Config"}),
    "packing of a stranger": _config(quantization_config={"quant_method": "evil", "modules": ["os"]}),
    "packing that is a text": _config(quantization_config="fp8"),
    "config of NaN": text("config.json", "NaN"), "config of nothing": text("config.json", ""),
    "config of a list": text("config.json", "[]"), "config deep": text("config.json", "[" * 200_000),
    "config of 10,000 digits": text("config.json", '{"model_type": "gpt2", "n_layer": ' + "9" * 10_000 + "}"),
    "config not UTF-8": text("config.json", b'{"model_type": "\xff\xfe"}'),
    "config in UTF-16": text("config.json", '{"model_type": "gpt2"}'.encode("utf-16")),
    "config of null bytes": text("config.json", b"\0" * 4096),
    "config of 80 MB": text("config.json", b'{"model_type": "gpt2", "x": "' + b"a" * 80_000_000 + b'"}'),
    "config with a name twice": text("config.json", '{"model_type": "bert", "model_type": "nowhere"}'),
    "generation of a list": value("generation_config.json", []),
    "generation with 10^9 beams": value("generation_config.json", {"num_beams": 10**9, "num_return_sequences": 10**9}),
    "generation with texts": value("generation_config.json", {"temperature": "hot", "top_k": "all", "max_length": "x"}),
    "generation with an end that is a table": value("generation_config.json", {"eos_token_id": {"a": 1}}),
    "generation with a beginning below zero": value("generation_config.json", {"bos_token_id": -5}),
    "generation with ids of 30 digits": value("generation_config.json", {"eos_token_id": 10**30, "pad_token_id": 10**30}),
    "generation with a nested end": value("generation_config.json", {"eos_token_id": [[1], [[2]]]}),
    "generation with a negative temperature": value("generation_config.json", {"do_sample": True, "temperature": -1.0}),
    "generation with a penalty of zero": value("generation_config.json", {"repetition_penalty": 0.0}),
    "generation with a penalty that is a text": value("generation_config.json", {"repetition_penalty": "x"}),
    "generation with bad words that are numbers": value("generation_config.json", {"bad_words_ids": [1, 2]}),
    "generation with biases that are numbers": value("generation_config.json", {"sequence_bias": 5}),
    "generation with a minimum of a billion": value("generation_config.json", {"min_length": 10**9, "min_new_tokens": 10**9}),
    "generation with a cache nobody knows": value("generation_config.json", {"cache_implementation": "evil"}),
    "generation with a watermark": value("generation_config.json", {"watermarking_config": {"a": 1}}),
    "generation with code": value("generation_config.json", {"custom_generate": "evil", "trust_remote_code": True}),
    "generation deep": text("generation_config.json", '{"a":' * 100_000),
    "generation with stops": value("generation_config.json", {"stop_strings": 5}),
    "generation with n-grams of text": value("generation_config.json", {"no_repeat_ngram_size": "x"}),
    "generation with forced ids of text": value("generation_config.json", {"forced_decoder_ids": "ab"}),
    "generation with time": value("generation_config.json", {"max_time": "x"}),
}  # fmt: skip
_PLACES = ("../../../../../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "x\0y", "~/x", "C:\\x")


def _index(name: object) -> Change:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "other.safetensors")
        edited_index = {"metadata": {}, "weight_map": {"transformer.wte.weight": name, "x": "other.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(edited_index))

    return change


def _evil(folder: Path) -> None:
    """A module beside the model that would write the mark if it were ever imported."""
    code = (
        "import os, pathlib\npathlib.Path(os.environ['HEADLIGHT_RAN']).touch()\nclass Evil: pass\nclass Config: pass\n"
    )
    for name in ("evil.py", "tokenization_evil.py", "modeling_evil.py", "configuration_evil.py", "custom_generate.py"):
        (folder / name).write_text(code)
    (folder / "custom_generate").mkdir(exist_ok=True)
    (folder / "custom_generate" / "generate.py").write_text(code)


def and_evil(change: Change) -> Change:
    return lambda folder: (_evil(folder), change(folder))


for _name, (_original, _told) in _UP.items():
    case(f"config upwards: {_name}", "model", changed(_config(**_told), _original))
for _name, _change in _DOWN.items():
    case(f"config: {_name}", "written" if _name.startswith("generation") else "model", changed(and_evil(_change)))
for _place in _PLACES:
    case(f"index: {_place!r}", "model", changed(_index(_place)))
case("index: a number", "model", changed(_index(5)))
case("index: a list of names", "model", changed(lambda folder: (_index("other.safetensors")(folder), edited(
    folder / "model.safetensors.index.json", lambda told: told.update(weight_map=["x"])))))  # fmt: skip
case("index: a shard that is missing", "model", changed(_index("nowhere.safetensors")), "nowhere.safetensors")
case("index: 100,000 shards that are missing", "model", changed(lambda folder: (_index("a")(folder), edited(
    folder / "model.safetensors.index.json",
    lambda told: told.update(weight_map={str(i): f"model-{i}.safetensors" for i in range(100_000)})))))  # fmt: skip
for _name in ("gpt2", "bert", "bart", "t5"):
    case(f"library: a sound {_name}", "model", lambda folder, sound, name=_name: library(sound, name), told="opens")
case("library: a name of 100,000 characters", "model", lambda folder, sound: "x" * 100_000)
case("library: a path of 100,000 characters", "model", lambda folder, sound: os.path.join(folder, *["y" * 200] * 500))
