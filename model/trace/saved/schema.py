"""What the description of a saved trace may say: its types, ranges and lengths, each checked before anything is shown.

A file is what somebody hands over: a page takes these values for what a run put down, and looks none of them over again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AllowInfNan, BaseModel, ConfigDict, Field, ValidationError

_NAMED = 80  # characters of a place in the description that a sentence repeats


def _no_less_than_zero(value: float) -> float:
    if value < 0:
        raise ValueError("it is below 0")
    return value


def _not_zero(value: float) -> float:
    if value == 0:
        raise ValueError("it is 0")
    return value


Whole = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1.0001)]
# NaN where the plain run gave nothing like it.
Error = Annotated[float, AllowInfNan(True), AfterValidator(_no_less_than_zero)]
Any_ = Annotated[float, AllowInfNan(True)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Key(_Part):
    model: str
    weights_hash: str
    source: str
    target: str | None
    options: list[Annotated[list[str | int | float | bool | None], Field(min_length=2, max_length=2)]]


class _Side(_Part):
    tokens: Annotated[list[str], Field(min_length=1)]
    ids: list[Whole]
    special: list[bool]
    shown: list[str] = []
    words: list[Annotated[int, Field(ge=-1, lt=2**31)]] = []
    segments: list[Literal[0, 1]] = []


class _Attention(_Part):
    site: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}\.[0-9]{1,6}\.(self|cross)$")]
    scale: Annotated[float, AfterValidator(_not_zero)]
    distance: Annotated[int, Field(ge=1, lt=2**20)] | None
    softcap: Positive | None
    mask: Literal["all", "causal", "keys", "causal and keys", "intervals", "explicit"]
    sides: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None


class _Opening(_Part):
    weights: Error = 0.0
    output: Error = 0.0
    missing: list[str] = []


class _Adapter(_Part):
    kind: str
    base: str = ""
    applied: bool


class _Unknown(_Part):
    token: str
    count: Count


class _Span(_Part):
    start: Count
    end: Count
    probability: Share
    text: str


class _Answers(_Part):
    spans: list[_Span]
    pair: bool = False
    longest: Count = 0
    none: Share | None = None
    beam: bool = False


class _Pairs(_Part):
    model_config = ConfigDict(strict=True, extra="forbid")
    next: Annotated[list[Share], Field(min_length=2, max_length=2)] = [0.0, 0.0]
    order: Annotated[list[Share], Field(min_length=2, max_length=2)] = [0.0, 0.0]


class _Caption(_Part):
    text: str
    similarity: Any_
    probability: Share


_Two = Annotated[list[Annotated[int, Field(ge=1, lt=2**16)]], Field(min_length=2, max_length=2)]


class _Facts(_Part):
    """Those that some page reads; others may be beside them. One that is there is not null, unless its type says so."""

    family: str = ""
    task: str = ""
    norm: Literal["post", "pre", "unknown"] = "post"
    positions: Literal["sinusoidal", "learned", "relative", "t5", "alibi", "rotary", "none", ""] = ""
    pieces: str = ""
    own_module: bool = False
    adds_positions: bool | None = None
    device: str = ""
    unpacked: str = ""
    head: str = ""
    pooling: Literal["mean", "cls", "last", "max"] = "mean"
    decoder_reads: Literal["input", "start", ""] = ""
    classes_how: Literal["softmax", "sigmoid", "scores"] = "softmax"
    captions_how: Literal["softmax", "sigmoid"] = "softmax"
    reads: Literal["text", "picture", "sound"] = "text"
    generated: bool = True
    finished: bool = True
    written: list[str] = []
    folded: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = []
    fresh: list[str] = []
    missing: list[str] = []
    not_finite: list[str] = []
    modules: dict[str, str] = {}
    prompt: Annotated[int, Field(ge=1, lt=2**31)] = 1
    gaps: list[Count] = []
    opening: _Opening = _Opening()
    adapter: _Adapter = Field(None)
    unknown: _Unknown = Field(None)
    answers: _Answers = Field(None)
    sentence_pairs: _Pairs = _Pairs()
    classes: list[tuple[str, Any_]] = []
    scores: list[Any_] = []
    labels: list[tuple[str, Share]] = []
    spelt: str | None = None
    replaced: list[Share] = []
    choices: list[tuple[str, Any_, Share]] = []
    read_at: tuple[str, list[Count]] = Field(None)
    captions: list[_Caption] = []
    selected: Count = 0
    picture: str = ""
    sound: str = ""
    grid: _Two = Field(None)
    original: _Two = Field(None)
    seconds: Positive = Field(None)
    frame_seconds: Positive = Field(None)
    sound_end: Count = 0
    padding: Count = 0
    edits: Annotated[list[str], Field(max_length=200)] = []


class Document(_Part):
    """The whole of it."""

    key: _Key
    sides: Annotated[dict[str, _Side], Field(min_length=1)]
    attention: Annotated[list[_Attention], Field(min_length=1)]
    tensors: dict[str, list[Count]]
    vocabulary: list[str]
    facts: _Facts
    logits_error: Error | None
    logits_limit: Error | None = None


def read(document: object) -> Document:
    """The description, where it is one. Raises ValueError, naming the first place that is none."""
    try:
        # A pair is a list in JSON, which a strict tuple does not take.
        found = Document.model_validate(_with_pairs(document))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:_NAMED]
        said = first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
        raise ValueError(f"{place}: {said}" if place else said) from error
    for name, side in found.sides.items():
        parts = (side.ids, side.special, *filter(None, (side.shown, side.words, side.segments)))
        fits = {len(part) for part in parts} == {len(side.tokens)}
        _hold(fits, f"the {name}'s tokens, ids and marks do not belong together")
    names = [entry.site for entry in found.attention]
    _hold(len(set(names)) == len(names), "a sub-layer stands there twice")
    for entry in found.attention:
        _hold(set(entry.sides or ()) <= found.sides.keys(), f"{entry.site} is of tokens that are not there")
    return found


def _hold(holds: bool, said: str) -> None:
    if not holds:
        raise ValueError(said)


def _with_pairs(document: object) -> object:
    """The description with tuples where the schema has them."""
    facts = document.get("facts") if isinstance(document, Mapping) else None
    if not isinstance(facts, Mapping):
        return document
    rows = ("classes", "labels", "choices")
    paired = {name: [tuple(row) if isinstance(row, list) else row for row in facts[name]]
              for name in rows if isinstance(facts.get(name), list)}  # fmt: skip
    if isinstance(facts.get("read_at"), list):
        paired["read_at"] = tuple(facts["read_at"])
    return {**document, "facts": {**facts, **paired}}


def facts_of(found: Document, document: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as they stand there, and of what a head answered all that is read of it, also where the file leaves it out."""
    facts = dict(document["facts"])
    return facts | ({"answers": found.facts.answers.model_dump()} if "answers" in facts else {})


def check_facts(found: Document, sides: Mapping[str, int]) -> None:
    """What the facts say of tokens is about tokens that are there; sides: how many each has. Raises ValueError."""
    facts = found.facts
    first, given = next(iter(sides.values())), facts.model_fields_set
    written = sides.get("decoder", 0)
    if "written" in given and facts.written:
        _hold(len(facts.written) == written, "the facts' written are not as many as the decoder's tokens")
    if "prompt" in given and "encoder" not in sides:
        _hold(facts.prompt <= written, "the facts' prompt is longer than the decoder's tokens")
    encoder = sides.get("encoder", first)
    _hold(max(facts.gaps, default=0) < encoder, "the facts' gaps are not among the encoder's tokens")
    for name in ("labels", "replaced"):
        found = getattr(facts, name)
        _hold(not found or len(found) == first, f"the facts' {name} are not as many as the tokens")
    for span in facts.answers.spans if facts.answers else ():
        _hold(span.start <= span.end < first, "the facts' answers are not among the tokens")
    if facts.read_at:
        stack, rows = facts.read_at
        _hold(stack in sides and max(rows, default=0) < sides[stack], "the facts' read_at is not among the tokens")
    if facts.classes_how == "scores" or (facts.classes_how == "sigmoid" and len(facts.classes) == 1):
        _hold(len(facts.scores) == len(facts.classes), "the facts' scores are not as many as the classes")
    _hold(facts.selected <= max(0, len(facts.captions) - 1), "the facts' selected is none of the captions")
    if facts.reads == "picture":
        _hold(
            facts.grid is not None and 0 <= encoder - facts.grid[0] * facts.grid[1] <= 8,
            "the facts' grid is not of the patches",
        )
    if facts.reads == "sound":
        missing = sorted({"seconds", "frame_seconds", "sound_end", "padding"} - given)
        _hold(not missing, f"the facts of a sound lack {', '.join(missing)}")
        # Each position is of the sound or of the silence that the model put behind it.
        _hold(facts.sound_end + 1 + facts.padding == encoder, "the facts' sound is not of the encoder's positions")
    elif facts.reads == "text":
        known = sorted({"grid", "seconds", "frame_seconds", "sound_end"} & given)
        _hold(not known, f"the facts have {', '.join(known)}, but of no picture and no sound")
