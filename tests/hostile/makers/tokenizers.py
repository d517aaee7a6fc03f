"""Folders of the library whose tokenizer lies, hangs or grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.hostile.case import case
from tests.hostile.makers.library import Change, and_evil, changed, text, value
from tests.hostile.originals import edited, library

_NO, _A = {"SpecialToken": {"id": "<no>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}


def _template(single: list, pair: list, special: dict) -> Callable[[dict], Any]:
    told = {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}
    return lambda tokenizer: tokenizer.update(post_processor=told)


def _padding(strategy: object, multiple: int | None) -> Callable[[dict], Any]:
    told = {"strategy": strategy, "direction": "Right", "pad_to_multiple_of": multiple, "pad_id": 0, "pad_type_id": 0}
    return lambda tokenizer: tokenizer.update(padding=told | {"pad_token": "x"})


def _added(number: int, content: str) -> dict[str, object]:
    return {
        "id": number,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


_TOKENIZERS: dict[str, Callable[[dict], Any]] = {
    "ids out of range": lambda told: told["model"]["vocab"].update({"Ġthe": 10**6, "the": 10**6 + 1}),
    "ids below zero": lambda told: told["model"]["vocab"].update({"the": -4}),
    "ids of 30 digits": lambda told: told["model"]["vocab"].update({"the": 10**30}),
    "ids that are texts": lambda told: told["model"]["vocab"].update({"the": "5"}),
    "an id twice": lambda told: told["model"]["vocab"].update({"t": 5, "h": 5}),
    "no vocabulary": lambda told: told["model"].update(vocab={}),
    "a vocabulary of more": lambda told: told["model"]["vocab"].update({f"x{i}": 1000 + i for i in range(5000)}),
    "merges of nothing": lambda told: told["model"].update(merges=[["zz", "yy"]]),
    "merges that are numbers": lambda told: told["model"].update(merges=[1, 2]),
    "a model nobody knows": lambda told: told["model"].update(type="Evil"),
    "added tokens out of range": lambda told: told["added_tokens"].append(_added(10**6, "<far>")),
    "added tokens of 30 digits": lambda told: told["added_tokens"].append(_added(10**30, "<far>")),
    "an added token that is empty": lambda told: told["added_tokens"].append(_added(500, "")),
    "a template without its tokens": _template([_NO], [], {}),
    "a template of ids out of range": _template([_NO, _A], [_A], {"<no>": {"id": "<no>", "ids": [99999], "tokens": ["<no>"]}}),
    "a truncation to nothing": lambda told: told.update(truncation={
        "direction": "Right", "max_length": 0, "strategy": "LongestFirst", "stride": 0}),
    "a truncation with a long stride": lambda told: told.update(truncation={
        "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 99}),
    "a padding to a billion": _padding({"Fixed": 10**9}, None),
    "a padding to a multiple of a billion": _padding("BatchLongest", 10**9),
    "a precompiled map of nonsense": lambda told: told.update(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    "a broken expression": lambda told: told.update(pre_tokenizer={
        "type": "Split", "pattern": {"Regex": "((("}, "behavior": "Isolated", "invert": False}),
    "a version of tomorrow": lambda told: told.update(version="99.0"),
    "a list": lambda _told: [],
    "a decoder nobody knows": lambda told: told.update(decoder={"type": "Evil"}),
    "dropout of two": lambda told: told["model"].update(dropout=2.0),
    "dropout of a half": lambda told: told["model"].update(dropout=0.5),
}  # fmt: skip


def _tokenizer_config(**told: object) -> Change:
    return lambda folder: edited(folder / "tokenizer_config.json", lambda config: config.update(told))


_NAMES: dict[str, Change] = {
    "remote code of the tokenizer": _tokenizer_config(
        auto_map={"AutoTokenizer": ["evil.Evil", "evil.Evil"]}, tokenizer_class="Evil"
    ),
    "a tokenizer class that is none": _tokenizer_config(tokenizer_class="os.system"),
    "a tokenizer class that is a list": _tokenizer_config(tokenizer_class=["x"]),
    "a longest text below zero": _tokenizer_config(model_max_length=-1),
    "a longest text that is a text": _tokenizer_config(model_max_length="many"),
    "an end that is a number": _tokenizer_config(eos_token=5),
    "an end that is not there": _tokenizer_config(eos_token="<nowhere>"),
    "a padding that is a table": _tokenizer_config(pad_token={"content": 5}),
    "added tokens of texts": _tokenizer_config(added_tokens_decoder={"x": {"content": "y"}}),
    "added tokens far away": _tokenizer_config(added_tokens_decoder={"99999999": _added(99999999, "<far>")}),
    "inputs that are numbers": _tokenizer_config(model_input_names=[1, 2]),
    "inputs nobody knows": _tokenizer_config(model_input_names=["evil"]),
    "special tokens of numbers": value("special_tokens_map.json", {"eos_token": 5, "extra": [1]}),
    "added tokens out of order": value("added_tokens.json", {"<x>": 5, "<y>": 10**9}),
    "a chat template that is a number": _tokenizer_config(chat_template=5),
    "tokenizer.json not UTF-8": text("tokenizer.json", b'{"version": "\xff"}'),
    "tokenizer.json deep": text("tokenizer.json", '{"a":' * 100_000),
    "tokenizer.json of 10,000 digits": text("tokenizer.json", '{"version": ' + "9" * 10_000 + "}"),
    "tokenizer.json of NaN": text("tokenizer.json", '{"version": NaN}'),
}  # fmt: skip

for _name, _change in _TOKENIZERS.items():
    case(
        f"tokenizer: {_name}",
        "model",
        changed(lambda folder, change=_change: edited(folder / "tokenizer.json", change)),
    )
for _name, _change in _NAMES.items():
    case(f"tokenizer: {_name}", "model", changed(and_evil(_change)))


_SPLIT = {"type": "Split", "behavior": "Isolated", "invert": False}
_HANGS: dict[str, str] = {
    "a plus of pluses": r"(a+)+$",
    "a star of choices": r"(a|a|aa)*$",
    "a plus of spaces": r"(\s+|t|h|e|c|a|s|o|n|m)+$",
    "a plus of anything": r"(.*)*x{5}",
    "forty stars": r".*" * 40 + "x",
    "a reference": r"(.+).*\1.*\1.*\1x",
}
_GROWS: dict[str, dict[str, object]] = {
    "a letter of a thousand": {"type": "Replace", "pattern": {"String": "a"}, "content": "b" * 1000},
    "a thousand in three steps": {"type": "Sequence", "normalizers": [
        {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10}] * 3},
    "a letter of a gigabyte in nine steps": {"type": "Sequence", "normalizers": [
        {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10}] * 9},
    "a prefix of a thousand": {"type": "Prepend", "prepend": "a" * 1000},
}  # fmt: skip
_LOOPS = "{% for i in range(99999) %}{% for j in range(99999) %}{% for k in range(99999) %}{% endfor %}{% endfor %}{% endfor %}"
_CHATS: dict[str, str] = {
    "loops": _LOOPS, "multiplies what it is told": "{{ messages[0].content * 1000000000 }}",
    "doubles": "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
    "reaches for the system": "{{ cycler.__init__.__globals__.os.system('touch $HEADLIGHT_RAN') }}",
    "raises": "{{ raise_exception('x' * 100) }}",
}  # fmt: skip


def _unusual(told: dict) -> None:
    """An expression that is not among the usual, and takes no longer for it."""
    first = _SPLIT | {"pattern": {"Regex": r"(?:a+b?)+|."}}
    told["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [first, told["pre_tokenizer"]]}


for _name, _pattern in _HANGS.items():
    _told = _SPLIT | {"pattern": {"Regex": _pattern}}
    case(f"tokenizer: hangs on {_name}", "long_text", changed(lambda folder, told=_told: edited(
        folder / "tokenizer.json", lambda tokenizer: tokenizer.update(pre_tokenizer=told))))  # fmt: skip
for _name, _told in _GROWS.items():
    case(f"tokenizer: grows by {_name}", "long_text", changed(lambda folder, told=_told: edited(
        folder / "tokenizer.json", lambda tokenizer: tokenizer.update(normalizer=told))), "times as long")  # fmt: skip
_MEGA = 10**6


def _prepends(each: int, count: int = 1, sign: str = "a") -> Callable[[dict], None]:
    steps = [{"type": "Prepend", "prepend": sign * each}] * count
    return lambda told: told.update(normalizer={"type": "Sequence", "normalizers": steps})


_LONG: dict[str, Callable[[dict], object]] = {
    "a prefix of 50 MB": _prepends(50 * _MEGA),
    "a prefix of 50 MB of quotation marks": _prepends(25 * _MEGA, sign='"'),
    "a file of 80 MB": _prepends(_MEGA, 80),
    "a token of 50 MB": lambda told: told["added_tokens"].append(_added(0, "a" * 50 * _MEGA)),
}  # fmt: skip
for _name, _change in _LONG.items():
    case(f"tokenizer: {_name}", "model", changed(
        lambda folder, change=_change: edited(folder / "tokenizer.json", change)), "tokenizer")  # fmt: skip
case(
    "tokenizer: a chat template of 50 MB",
    "model",
    changed(_tokenizer_config(chat_template="a" * 50 * _MEGA)),
    "tokenizer",
)
for _name, _template in _CHATS.items():
    case(f"chat: {_name}", "chat", changed(_tokenizer_config(chat_template=_template)))
case("chat: a sound one", "chat", lambda folder, sound: library(sound, "llama"), told="opens")
case("tokenizer: an unusual one that is sound", "long_text",
     changed(lambda folder: edited(folder / "tokenizer.json", _unusual)), told="opens")  # fmt: skip
