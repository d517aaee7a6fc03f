"""card.json and vocabulary.json of a checkpoint, checked when they are read: pages take what stands in them as it is."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.files.regular import json_of

if TYPE_CHECKING:
    from pydantic import BaseModel

_NAMED = 80  # characters of a place that a sentence repeats
_LANGUAGE = r"^[A-Za-z0-9_-]{1,24}$"


def card_of(folder: Path) -> dict[str, Any]:
    """The card as it stands there, one object for all who ask: not to be changed.

    That of a folder of the library, which has no vocabulary.json, tells of other measurements. Raises ValueError, naming the
    first place that is none, or OSError.
    """
    return _read(folder / "card.json", "card" if (folder / "vocabulary.json").exists() else "library card")


def vocabulary_of(folder: Path) -> dict[str, Any]:
    """`{"kind", "source", "target", "starts"}`. Raises as `card_of`."""
    return _read(folder / "vocabulary.json", "vocabulary")


def example_of(folder: Path) -> str:
    """A text that a checkpoint of ours reads, made of its own first tokens, for a card that has none; with a gap of an
    encoder alone. Raises as `card_of`."""
    told = vocabulary_of(folder)
    known = [token for token in told["source"] or told["target"] if not (token[:1] == "<" and token[-1:] == ">")]
    if told["kind"] == "subwords":
        words = ["Once", "upon", "a", "time"]
    else:
        words = [token for token in known if token.isalnum()][:4] or known[:4]
    if not told["target"]:
        words[1:2] = ["<mask>"]
    return ("" if told["kind"] == "characters" else " ").join(words)


def _read(path: Path, kind: str) -> dict[str, Any]:
    there = path.stat()  # every page asks for every card on every run
    return _checked(path, kind, there.st_mtime_ns, there.st_size, there.st_ino)


@lru_cache(maxsize=64)
def _checked(path: Path, kind: str, *_version: int) -> dict[str, Any]:
    from pydantic import ValidationError

    told = json_of(path)
    if not isinstance(told, dict):
        raise ValueError(f"{path.name} is not a table")
    try:
        _schemas()[kind].model_validate(told)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:_NAMED]
        said = first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
        raise ValueError(f"{place} in its {path.name} is no such value: {said}") from error
    return told


@cache
def _schemas() -> dict[str, type[BaseModel]]:
    """What the two files may say; made when first asked for, since pydantic takes 0.1 s to import."""
    from typing import Annotated, Literal

    from pydantic import ConfigDict, Field, create_model

    strict = ConfigDict(strict=True, allow_inf_nan=False)
    share, count = Annotated[float, Field(ge=0, le=1)], Annotated[int, Field(ge=0, lt=2**53)]
    site = Annotated[str, Field(pattern=r"^(encoder|decoder)\.[0-9]{1,4}\.(self|cross)$")]
    language = Annotated[str, Field(pattern=_LANGUAGE)]
    head = Annotated[int, Field(ge=0, lt=2**15)]
    in_words = str | dict[str, str]

    def table(kind: str, /, **fields: Any) -> type[BaseModel]:
        return create_model(kind, __config__=strict, **fields)

    score = table("Score", exact_match=(share, ...), n=(count, ...))
    number = Annotated[float, Field(ge=0)]
    held_out = table("HeldOut", n=(count, ...), validation_loss=(number | None, None), perplexity=(number | None, None),
                     accuracy=(share | None, None))  # fmt: skip
    aligned = table("Aligned", site=(site, ...), head=(head, ...), agreement=(share, ...),
                    every_head=(dict[site, Annotated[list[share], Field(min_length=1)]], {}))  # fmt: skip
    both = table("Both", predicting=(aligned, ...), reading=(aligned | None, None))
    found = table("Found", site=(site, ...), head=(head, ...), share=(share, ...))
    coreference = table(
        "Coreference",
        n=(count, ...),
        adjective_to_noun=(found, ...),
        pronoun_to_adjective=(found, ...),
        it_to_noun=(found, ...),
    )
    snapshots = table("Snapshots", kept=(str, ""), precision=(str, ""), largest_weight_change=(share | None, None),
                      sentences=(count | None, None), bytes=(count | None, None))  # fmt: skip
    columns = Literal["step", "train_loss", "validation_loss", "learning_rate"]
    point = Annotated[list[float | None], Field(min_length=4, max_length=4)]
    said: dict[str, Any] = {
        "name": (str, ""), "title": (in_words, ""), "description": (in_words, ""), "data": (in_words, ""),
        "notice": (in_words, ""), "examples": (list[str], []), "licence": (str, ""), "command": (str, ""),
        "seed": (int | None, None), "steps": (count | None, None), "reads": (Literal["text"], "text"),
        "curve_columns": (Annotated[list[columns], Field(min_length=4, max_length=4)], []), "curve": (list[point], []),
        "second": (dict[str, str], {}), "rows_after": (str, ""), "pair": (None, None),
    }  # fmt: skip
    card = table(
        "Card", **said, languages=(list[language], []), first_in=(language | None, None), test=(dict[language, score], {}),
        held_out=(held_out | None, None), snapshots=(snapshots | None, None), alignment=(dict[language, both], {}),
        coreference=(coreference | None, None), head=(Annotated[tuple[site, head], Field(strict=False)] | None, None),
    )  # fmt: skip
    library_card = table(
        "LibraryCard", **said, head=(Annotated[tuple[site, head], Field(strict=False)] | None, None),
        loss=(number | None, None), guess=(number | None, None), perplexity=(number | None, None), labels=(count, 0),
        gap_share=(share | None, None), gaps=(count, 0), exact_match=(share | None, None), summaries=(count, 0),
        test=(Annotated[dict[str, Any], Field(max_length=0)], {}),
    )  # fmt: skip
    vocabulary = table(
        "Vocabulary", kind=(Literal["words", "characters", "subwords"], ...), source=(list[str], ...), target=(list[str], ...),
        starts=(dict[language, str], ...),
    )  # fmt: skip
    return {"card": card, "library card": library_card, "vocabulary": vocabulary}
