"""Checkpoints of ours whose card, configuration or vocabulary lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.case import case
from tests.hostile.originals import copied, edited, own

_ALIGNED = {"site": "decoder.0.cross", "head": 0, "agreement": 0.5, "words": 9}
_FOUND = {"site": "encoder.0.self", "head": 0, "share": 0.5}
_WHO = ("adjective_to_noun", "pronoun_to_adjective", "it_to_noun")


def _with(file: str, change: Callable[[dict], Any], shape: str = "both") -> Callable[[Path, Path], Path]:
    def make(folder: Path, sound: Path) -> Path:
        made = copied(own(sound, shape), folder)
        edited(made / file, change)
        return made

    return make


_CARDS: dict[str, dict[str, object]] = {
    "examples that are a text": {"examples": "abc"}, "examples that are numbers": {"examples": [1, 2]},
    "a test that is a list": {"test": [1]}, "scores that are numbers": {"test": {"zh": 1}},
    "scores above all": {"test": {"zh": {"exact_match": 7.0, "n": 3}}}, "scores without a number": {"test": {"zh": {}}},
    "scores of a language with marks": {"test": {"![](//x)": {"exact_match": 1.0, "n": 3}}},
    "an alignment of texts": {"alignment": {"zh": "best"}},
    "an alignment of a head that is not there": {"alignment": {"zh": {"predicting": _ALIGNED | {"head": 99}}}},
    "an alignment of a layer that is not there": {"alignment": {"zh": {"predicting": _ALIGNED | {"site": "decoder.9.cross"}}}},
    "an alignment of no site": {"alignment": {"zh": {"predicting": _ALIGNED | {"site": 5}}}},
    "an alignment without rows": {"alignment": {"zh": {"reading": _ALIGNED}}},
    "every head that are texts": {"alignment": {"zh": {"predicting": _ALIGNED | {"every_head": {"decoder.0.cross": "x"}}}}},
    "a coreference that is half": {"coreference": {"n": 3}},
    "a coreference of another head": {"coreference": {"n": 3} | {who: _FOUND | {"head": 44} for who in _WHO}},
    "a curve of texts": {"curve": ["abc"], "curve_columns": ["step", "train_loss", "validation_loss", "learning_rate"]},
    "a curve without columns": {"curve": [[1, 2.0, 3.0, 4.0]]},
    "a curve of other columns": {"curve": [[1.0, 2.0]], "curve_columns": ["a", "b"]},
    "a title that is a list": {"title": ["x"]}, "a notice that is a number": {"notice": 5},
    "languages that are numbers": {"languages": [1]}, "a first language that is a list": {"first_in": ["zh"]},
    "what reads sound": {"reads": "sound"}, "seconds that are a list": {"second": ["x"]}, "a head that is a text": {"head": "x"},
    "a command that is a table": {"command": {"a": 1}}, "steps without end": {"steps": 10**30},
    "a head of a layer that is not there": {"head": ["decoder.9.self", 0]},
    "a head without a number": {"head": ["decoder.0.self"]},
    "a loss below zero": {"held_out": {"validation_loss": -1.0, "n": 3}}, "a loss of no texts": {"held_out": {"perplexity": 2.0}},
}  # fmt: skip
_WORDS: dict[str, Callable[[dict], Any]] = {
    "source words that are numbers": lambda told: told.update(source=list(range(15))),
    "a word twice": lambda told: told["source"].__setitem__(3, told["source"][4]),
    "source words that are a text": lambda told: told.update(source="x" * 15),
    "no starts": lambda told: told.update(starts={}),
    "starts that are a list": lambda told: told.update(starts=["<zh>"]),
    "a start that is not there": lambda told: told.update(starts={"zh": "<nowhere>"}),
    "a kind nobody knows": lambda told: told.update(kind="bytes"),
    "fewer words": lambda told: told["source"].pop(),
    "no padding": lambda told: told["source"].__setitem__(0, "x"),
    "a list": lambda _told: [1],
}
_CONFIGS: dict[str, dict[str, object]] = {
    "3,000 layers": {"encoder_layers": 3000}, "a vocabulary of 60 million": {"source_vocabulary": 60_000_000},
    "a width of a million": {"d_model": 1_000_000}, "a block of a billion": {"d_ff": 10**9},
    "positions of a billion": {"max_length": 10**9},
    "a distance of a billion": {"relative_distance": 10**9, "positions": "relative"},
    "learned positions of a billion": {"max_length": 10**9, "positions": "learned"},
    "as many heads as numbers": {"heads": 16, "positions": "rotary"}, "a dropout that is a text": {"dropout": "x"},
    "positions that are a list": {"positions": ["x"]}, "a width that is true": {"d_model": True},
    "a size of 400 digits": {"d_model": 10**400}, "layers below zero": {"encoder_layers": -3},
    "a field nobody knows": {"trust_remote_code": True},
}  # fmt: skip


def _both(told: dict) -> None:
    told.update(source=told["target"], target=told["source"])


# (shape, file) -> what is done to it, and a part of the sentence
_SHAPED: dict[tuple[str, str], dict[str, tuple[Callable[[dict], Any], str]]] = {
    ("decoder", "vocabulary.json"): {
        "source words for no encoder": (lambda told: told.update(source=["<pad>", "a"]), "no encoder layers"),
        "the words of the other side": (_both, "no encoder layers"),
        "no words": (lambda told: told.update(target=[]), "0 tokens"),
        "no end token": (lambda told: told["target"].__setitem__(2, "<end>"), "end token"),
        "no start": (lambda told: told.update(starts={}), "start"),
        "a start that is not there": (lambda told: told.update(starts={"text": "<x>"}), "start"),
        "two starts": (lambda told: told["starts"].update(zh="</s>"), "2 starts"),
    },
    ("decoder", "config.json"): {
        "a padding that is a word": (lambda told: told.update(pad_id=4), "pad_id 4"),
        "no room for a word": (lambda told: told.update(max_length=1), ""),
        "an encoder that is not there": (lambda told: told.update(encoder_layers=2), "encoder_layers 0"),
        "no layers": (lambda told: told.update(decoder_layers=0), "at least 1"),
        "a block that is not there": (lambda told: told.update(d_ff=0), "d_ff 24"),
        "a vocabulary that is larger": (lambda told: told.update(target_vocabulary=99), "target_vocabulary 17"),
    },
    ("decoder", "card.json"): {
        "a card of cross-attention": (lambda card: card.update(head=["decoder.0.cross", 0]), "which it has not"),
    },
    ("encoder", "vocabulary.json"): {
        "no gap": (lambda told: told["source"].__setitem__(1, "<gap>"), "<mask>"),
        "starts for no decoder": (lambda told: told.update(starts={"text": "<mask>"}), "writes nothing"),
        "target words for no decoder": (lambda told: told.update(target=["<pad>"]), "no decoder layers"),
    },
    ("encoder", "config.json"): {
        "a decoder that is not there": (lambda told: told.update(decoder_layers=2), "decoder_layers 0"),
        "layers by the million": (lambda told: told.update(encoder_layers=10**6), "encoder_layers 2"),
    },
    ("encoder", "card.json"): {
        "a card of the decoder": (lambda card: card.update(head=["decoder.0.self", 0]), "which it has not"),
    },
}  # fmt: skip

for _name, _told in _CARDS.items():
    case(f"own: card, {_name}", "own", _with("card.json", lambda card, told=_told: card.update(told)))
for _name, _change in _WORDS.items():
    case(f"own: vocabulary, {_name}", "own", _with("vocabulary.json", _change))
for _name, _told in _CONFIGS.items():
    case(f"own: config, {_name}", "own", _with("config.json", lambda config, told=_told: config.update(told)))
case("own: a sound one", "own", lambda folder, sound: own(sound), told="opens")
for (_shape, _file), _lies in _SHAPED.items():
    for _name, (_change, _said) in _lies.items():
        case(f"own: {_shape} alone, {_name}", "own", _with(_file, _change, _shape), told=_said)
for _shape in ("decoder", "encoder"):
    case(f"own: a sound {_shape}", "own", lambda folder, sound, shape=_shape: own(sound, shape), told="opens")
