"""Saved traces whose descriptions or tensors lie."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from tests.hostile.case import case
from tests.hostile.originals import copied, header, retold, run, with_header

_SITE, _CROSS = "encoder.0.self", "decoder.1.cross"


def _told(change: Callable[[dict], object]) -> Callable[[Path, Path], Path]:
    return lambda folder, sound: retold(copied(run(sound), folder), None, change)


def _held(
    change: Callable[[dict], object], tell: Callable[[dict], object] | None = None
) -> Callable[[Path, Path], Path]:
    return lambda folder, sound: retold(copied(run(sound), folder), change, tell)


def _at(*path: object) -> Callable[[object], Callable[[dict], None]]:
    """A change that puts a value at this place of the description."""

    def to(value: object) -> Callable[[dict], None]:
        def change(told: dict) -> None:
            for step in path[:-1]:
                told = told[step]
            told[path[-1]] = value

        return change

    return to


# What the description says, each in place of the truth.
_LIES = {
    "a negative scale": _at("attention", 0, "scale")(-1.0),
    "a scale of zero": _at("attention", 0, "scale")(0.0),
    "a scale of NaN": _at("attention", 0, "scale")(float("nan")),
    "a scale without end": _at("attention", 0, "scale")(float("inf")),
    "a scale as text": _at("attention", 0, "scale")("0.5"),
    "a scale of true": _at("attention", 0, "scale")(True),
    "a huge scale": _at("attention", 0, "scale")(10**400),
    "a soft cap of NaN": _at("attention", 0, "softcap")(float("nan")),
    "a soft cap of zero": _at("attention", 0, "softcap")(0.0),
    "a soft cap as text": _at("attention", 0, "softcap")("thirty"),
    "a negative soft cap": _at("attention", 0, "softcap")(-30.0),
    "a soft cap as list": _at("attention", 0, "softcap")([30]),
    "a distance without vectors": _at("attention", 0, "distance")(3),
    "a negative distance": _at("attention", 0, "distance")(-1),
    "a distance of 1e30": _at("attention", 0, "distance")(1e30),
    "an unknown mask": _at("attention", 0, "mask")("no such"),
    "a mask as list": _at("attention", 0, "mask")(["all"]),
    "a mask of keys without keys": _at("attention", 0, "mask")("keys"),
    "a causal mask that was none": _at("attention", 0, "mask")("causal"),
    "sides of one": _at("attention", 0, "sides")(["encoder"]),
    "sides that are not there": _at("attention", 0, "sides")(["encoder", "nowhere"]),
    "sides of numbers": _at("attention", 0, "sides")([0, 1]),
    "a site twice": lambda told: told["attention"].append(told["attention"][0]),
    "no attention": _at("attention")([]),
    "a layer of a thousand digits": _at("attention", 0, "site")("encoder." + "9" * 5000 + ".self"),
    "an unknown site": _at("attention", 0, "site")("<b>x"),
    "no sides": _at("sides")({}),
    "a side of no tokens": _at("sides", "encoder")({"tokens": [], "ids": [], "special": []}),
    "a token too many": lambda told: told["sides"]["encoder"]["tokens"].append("x"),
    "tokens that are numbers": _at("sides", "encoder", "tokens")([1, 2, 3, 4, 5, 6]),
    "ids that are texts": _at("sides", "encoder", "ids")(["a"] * 6),
    "ids below zero": _at("sides", "decoder", "ids")([-5] * 5),
    "ids beyond the logits": _at("sides", "decoder", "ids")([2**31 - 1] * 5),
    "ids of 400 digits": _at("sides", "encoder", "ids")([10**400] * 6),
    "marks that are texts": _at("sides", "encoder", "special")(["no"] * 6),
    "words that are texts": _at("sides", "encoder", "words")(["a"] * 6),
    "words that are lists": _at("sides", "encoder", "words")([[1]] * 6),
    "words of 1e308": _at("sides", "encoder", "words")([10**308] * 6),
    "segments that are texts": _at("sides", "encoder", "segments")(["b"] * 6),
    "segments of 7": _at("sides", "encoder", "segments")([7] * 6),
    "shown tokens that are numbers": _at("sides", "encoder", "shown")([1] * 6),
    "a side with another's length": lambda told: told["sides"].update(encoder=told["sides"]["decoder"]),
    "a third side that is a text": _at("sides", "third")("text"),
    "a vocabulary of numbers": _at("vocabulary")([1] * 15),
    "a shorter vocabulary": lambda told: told.update(vocabulary=told["vocabulary"][:3]),
    "a longer vocabulary": lambda told: told.update(vocabulary=told["vocabulary"] * 3),
    "a vocabulary that is a text": _at("vocabulary")("abcdefghijklmno"),
    "a logits error that is a text": _at("logits_error")("small"),
    "a logits error below zero": _at("logits_error")(-1.0),
    "a limit of the logits that is a list": _at("logits_limit")([1e-6]),
    "a model that is a number": _at("key", "model")(7),
    "a source that is a list": _at("key", "source")(["a"]),
    "a target that is a number": _at("key", "target")(3.5),
    "options that are numbers": _at("key", "options")([[1, 2]]),
    "options of three": _at("key", "options")([["language", "zh", "fr"]]),
    "an option that is a table": _at("key", "options")([["language", {"a": [1]}]]),
    "a number of tokens that is a text": _at("tensors", "logits")("many"),
}
# What the facts say; each is read by some page.
_FACTS = {
    "written that is numbers": {"written": [1, 2, 3, 4, 5]}, "written that is short": {"written": ["x"]},
    "written that is long": {"written": ["x"] * 90}, "written that is a text": {"written": "猫"},
    "a norm that is none": {"norm": ["post"]}, "a norm nobody knows": {"norm": "sideways"},
    "positions that are a number": {"positions": 3},
    "folded that is no pairs": {"folded": ["abc"]}, "folded that is a number": {"folded": 5},
    "gaps far away": {"gaps": [10**6]}, "gaps below zero": {"gaps": [-99]}, "gaps that are texts": {"gaps": ["x"]},
    "classes that are no pairs": {"classes": ["abc"]}, "classes with texts for numbers": {"classes": [["a", "b"]]},
    "answers that are a list": {"answers": [1]}, "answers of odd spans": {"answers": {"spans": [{"text": 3}]}},
    "choices that are numbers": {"choices": [1, 2]}, "sentence pairs of another kind": {"sentence_pairs": {"x": [1, 0]}},
    "sentence pairs of three": {"sentence_pairs": {"next": [0.3, 0.3, 0.4]}},
    "an opening that is a text": {"opening": "fine"}, "an opening with texts": {"opening": {"weights": "1e-7"}},
    "fresh that is a number": {"fresh": 5}, "fresh that is numbers": {"fresh": [5]},
    "an adapter without a kind": {"adapter": {"applied": True}}, "an adapter that is a text": {"adapter": "lora"},
    "unknown without a count": {"unknown": {"token": "x"}}, "a prompt below zero": {"prompt": -5},
    "a prompt that is a text": {"prompt": "x"}, "a device that is a list": {"device": ["cuda"]},
    "missing that is a number": {"missing": 3}, "reads that is a list": {"reads": ["text"]},
    "a picture without its pixels": {"reads": "picture", "grid": [2, 2]},
    "a sound without its samples": {"reads": "sound", "frame_seconds": "x"},
    "a grid of a thousand": {"grid": [1000, 1000]}, "labels that are numbers": {"labels": [1, 2]},
    "replaced that is texts": {"replaced": ["x"]}, "read at nowhere": {"read_at": ["nowhere", [1]]},
    "finished that is a text": {"finished": "no"}, "generated that is a list": {"generated": [False]},
    "not finite that is a number": {"not_finite": 5}, "not finite that is a list of tables": {"not_finite": [1, {"a": 2}]},
    "classes without their score": {"classes": [["a", 0.5]], "classes_how": "sigmoid"},
    "spelt that is a number": {"labels": [["a", 0.5]] * 6, "spelt": 5},
    "answers that are null": {"answers": None}, "an opening that is null": {"opening": None},
    "captions read in no known way": {"captions_how": ["sigmoid"]}, "an own module that is a text": {"own_module": "no"},
    "a sound of a text": {"seconds": 1.0, "frame_seconds": 0.02}, "a grid of a text": {"grid": [2, 3]},
    "modules that are numbers": {"modules": {"encoder.0.self": 5}}, "a pooling nobody knows": {"pooling": ["x"]},
}  # fmt: skip


def _other(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[dict], None]:
    return lambda tensors: tensors.update({name: make(tensors[name])})


# What the tensors are, described truly.
_TENSORS = {
    "q of two axes": _other(f"{_SITE}.q", lambda t: t[0]),
    "q of whole numbers": _other(f"{_SITE}.q", lambda t: t.long()),
    "q of truth values": _other(f"{_SITE}.q", lambda t: t > 0),
    "q of NaN": _other(f"{_SITE}.q", lambda t: t * float("nan")),
    "q without end": _other(f"{_SITE}.q", lambda t: t / 0.0),
    "k of another width": _other(f"{_SITE}.k", lambda t: t[..., :2]),
    "k of another number of heads": _other(f"{_SITE}.k", lambda t: t[:3]),
    "k of no heads": _other(f"{_SITE}.k", lambda t: t[:0]),
    "q of no heads": _other(f"{_SITE}.q", lambda t: t[:0]),
    "q of no width": lambda ts: [_other(f"{_SITE}.{p}", lambda t: t[..., :0])(ts) for p in "qk"],
    "v of fewer keys": _other(f"{_SITE}.v", lambda t: t[:, :2]),
    "a context of another width": _other(f"{_SITE}.context", lambda t: t[..., :1]),
    "an output of fewer rows": _other(f"{_SITE}.output", lambda t: t[:2]),
    "a log-sum-exp of fewer rows": _other(f"{_SITE}.lse", lambda t: t[:, :2]),
    "a residual of fewer rows": _other(f"{_SITE}.residual", lambda t: t[:2]),
    "a norm of another width": _other(f"{_SITE}.norm", lambda t: t[:, :3]),
    "logits of fewer rows": _other("logits", lambda t: t[:2]),
    "logits of one axis": _other("logits", lambda t: t[0]),
    "logits of NaN": _other("logits", lambda t: t * float("nan")),
    "logits of whole numbers": _other("logits", lambda t: t.long()),
    "a W_O of another size": _other(f"parameters/{_SITE}.W_O", lambda t: t[:3]),
    "a b_O of another size": _other(f"parameters/{_SITE}.b_O", lambda t: t[:3]),
    "a mask of fewer keys": lambda ts: ts.update({f"{_CROSS}.mask_keys": torch.ones(2, dtype=torch.uint8)}),
    "slopes of fewer heads": lambda ts: ts.update({f"{_SITE}.slopes": torch.ones(1)}),
    "a bias of another size": lambda ts: ts.update({f"{_SITE}.bias": torch.zeros(1, 2, 2)}),
    "a bias of offsets of another size": lambda ts: ts.update({f"{_SITE}.bias_offsets": torch.zeros(4, 3)}),
    "sinks of fewer heads": lambda ts: ts.update({f"{_SITE}.sinks": torch.zeros(1)}),
    "thinned logits without their ids": lambda ts: ts.update({"likeliest.logits": ts.pop("logits")[:, :3]}),
    "a picture that nobody speaks of": lambda ts: ts.update({"image": torch.zeros(4, 4, 3, dtype=torch.uint8)}),
    "a sound that nobody speaks of": lambda ts: ts.update({"samples": torch.zeros(99)}),
    "an embedding of no axes": _other("encoder.embedding", lambda t: torch.tensor(1.0)),
    "an embedding of another length": _other("encoder.embedding", lambda t: t[:1]),
}  # fmt: skip


def _mask(kind: str, **parts: torch.Tensor) -> Callable[[Path, Path], Path]:
    return _held(
        lambda ts: ts.update({f"{_SITE}.mask_{name}": part for name, part in parts.items()}),
        _at("attention", 0, "mask")(kind),
    )


_whole, _bytes = partial(torch.full, dtype=torch.int32), partial(torch.ones, dtype=torch.uint8)
_MASKS = {
    "keys of another length": _mask("keys", keys=_bytes(2)),
    "keys of two axes": _mask("keys", keys=_bytes(6, 6)),
    "keys of numbers that are NaN": _mask("keys", keys=torch.full((6,), float("nan"))),
    "intervals of another length": _mask("intervals", first=_whole((2,), 0), last=_whole((2,), 1)),
    "intervals beyond the keys": _mask("intervals", first=_whole((6,), 0), last=_whole((6,), 99)),
    "intervals without an end": _mask("intervals", first=_whole((6,), 0)),
    "a tile of another size": _mask("explicit", tile=_bytes(2, 2)),
    "a tile of three axes": _mask("explicit", tile=_bytes(1, 6, 6)),
}


def _offsets(folder: Path, sound: Path, begin: int, end: int) -> Path:
    path = copied(run(sound), folder)
    told, data = header(path)
    told[f"{_SITE}.q"]["data_offsets"] = [begin, end]
    return with_header(path, told, data)


def _text(folder: Path, sound: Path, text: str) -> Path:
    path = copied(run(sound), folder)
    told, data = header(path)
    told["__metadata__"]["trace"] = text
    return with_header(path, told, data)


# Numbers that are numbers: that they are not those of the run is what the badge says.
_RED = ("a negative scale", "a causal mask that was none", "q of NaN", "q without end", "logits of NaN")

for _name, _change in _LIES.items():
    case(f"trace: {_name}", "trace", _told(_change), red=_name in _RED)
for _name, _facts in _FACTS.items():
    case(f"trace: facts, {_name}", "trace", _told(lambda told, facts=_facts: told["facts"].update(facts)))
for _name, _change in _TENSORS.items():
    case(f"trace: {_name}", "trace", _held(_change), red=_name in _RED)
for _name, _make in _MASKS.items():
    case(f"trace: mask, {_name}", "trace", _make)
for _name, _span in {
    "overlapping": (0, 384),
    "negative": (-4, 380),
    "reversed": (384, 0),
    "beyond": (0, 2**60),
}.items():
    case(
        f"trace: {_name} offsets", "trace", lambda folder, sound, span=_span: _offsets(folder, sound, *span), "damaged"
    )
for _name, _value in {"deep": "[" * 100_000, "half": '{"key":', "a number of 10,000 digits": '{"key":' + "9" * 10_000 + "}",
                      "not UTF-8": "\ud800"}.items():  # fmt: skip
    case(
        f"trace: a description that is {_name}", "trace", lambda folder, sound, text=_value: _text(folder, sound, text)
    )
case("trace: a sound one", "trace", lambda folder, sound: run(sound), told="opens")
