"""Tokenization of a person's input by a library tokenizer: one text, a pair of texts or the turns of a chat."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from model.checkpoints.tokens import chat_templates, watched
from model.checkpoints.tokens.token_texts import readable, special_ids, words
from model.errors import (
    ChatTemplateFailed,
    EmptyText,
    ForeignTokenizer,
    HalfCharacter,
    HeadlightError,
    NoChatTemplate,
    NoTokens,
    TokenizerNotRun,
    UnknownWords,
)
from model.errors.library_text import library_text
from model.text.tokenizer import GAPS, visible
from model.trace.trace import Side

_HALF = re.compile("[\ud800-\udfff]")
_NAMED = 8  # unknown words that a sentence names


@dataclass(frozen=True, eq=False)
class Encoded:
    """`inputs` as the model takes them, batch of 1; `segments` 0 or 1 a token where there are two texts, else ().

    places: where in its text each token stands, first character and one past the last; () of a tokenizer that does not tell.
    """

    inputs: Mapping[str, Tensor]
    text: str
    segments: tuple[int, ...] = ()
    pair: str = ""
    places: tuple[tuple[int, int], ...] = ()

    @property
    def length(self) -> int:
        return self.inputs["input_ids"].shape[1]


def encode(tokenizer: Any, text: str, pair: str | None = None, chat: bool = False) -> Encoded:
    """Raises EmptyText, HalfCharacter, UnknownWords or NoTokens, and for a chat NoChatTemplate or ChatTemplateFailed."""
    if not text.strip():
        raise EmptyText()
    if chat:
        return _chat(tokenizer, text)
    text = _with_gap(tokenizer, text)
    if not (pair or "").strip():
        # Token types are all 0 for one text, which is what every model assumes without them.
        found = tokenized(tokenizer, text)
        return Encoded({"input_ids": found.input_ids}, text, places=_places(found))
    pair = _with_gap(tokenizer, pair)
    found = tokenized(tokenizer, text, pair)
    names = {"input_ids", "token_type_ids"} & set(tokenizer.model_input_names) & set(found.keys())
    return Encoded({name: found[name] for name in sorted(names)}, text, _segments(found), pair, _places(found))


def _with_gap(tokenizer: Any, text: str) -> str:
    if tokenizer.mask_token is None:
        return text
    for gap in GAPS:
        text = text.replace(gap, tokenizer.mask_token)
    return text


def _segments(found: Any) -> tuple[int, ...]:
    """Which of the two texts each token is of; a special token counts to the text before it, the first to text 0."""
    if not getattr(found, "is_fast", False):
        return tuple(found["token_type_ids"][0].tolist()) if "token_type_ids" in found else ()
    segments, now = [], 0
    for which in found.sequence_ids(0):
        now = now if which is None else which
        segments.append(now)
    return tuple(segments)


def _places(found: Any) -> tuple[tuple[int, int], ...]:
    return tuple(map(tuple, found.encodings[0].offsets)) if getattr(found, "is_fast", False) else ()


def _chat(tokenizer: Any, text: str) -> Encoded:
    if not getattr(tokenizer, "chat_template", None):
        raise NoChatTemplate()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    turns = [{"role": ("user", "assistant")[i % 2], "content": line} for i, line in enumerate(lines)]
    try:
        whole = chat_templates.render(tokenizer, turns, len(turns) % 2 == 1)
    except HeadlightError:
        raise
    except Exception as error:  # a template is a program of its author's: it raises what it likes
        first = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise ChatTemplateFailed(reason=visible(first[:200]).rstrip(".")) from error
    # The template has written its own start token; a second one would be another text.
    return Encoded({"input_ids": tokenized(tokenizer, whole, add_special_tokens=False).input_ids}, whole)


def tokenized(tokenizer: Any, *texts: str, **options: Any) -> Any:
    """What the tokenizer makes of one text or a pair (`text_target=` of a target), as tensors with a batch of 1.

    Raises HalfCharacter, UnknownWords (where the tokenizer has no token for what it does not know) or NoTokens.
    """
    given = [*texts, *([options["text_target"]] if "text_target" in options else [])]
    for text in given:
        if half := _HALF.search(text):
            raise HalfCharacter(got=visible(half[0]))
    watched.before(tokenizer, tuple(given))
    try:
        found = tokenizer(*texts, **options, return_tensors="pt")
    except (
        BaseException
    ) as error:  # the tokenizers library has one kind of error for everything, and one for its own faults
        if panicked(error):
            raise TokenizerNotRun(path=getattr(tokenizer, "name_or_path", ""), reason=library_text(error)) from error
        if not isinstance(error, Exception) or isinstance(error, HeadlightError):
            raise
        if "unk" not in str(error).lower():  # settings of other types are looked at here for the first time
            raise TokenizerNotRun(path=getattr(tokenizer, "name_or_path", ""), reason=library_text(error)) from error
        raise UnknownWords([(_named(part), []) for part in _unknown(tokenizer, given)]) from error
    if not found["input_ids"].numel():
        raise NoTokens()
    return found


def panicked(error: BaseException) -> bool:
    """Whether a library in Rust met what its author held to be impossible; such an error is none of Python's exceptions."""
    return type(error).__name__ == "PanicException"


def _unknown(tokenizer: Any, texts: Sequence[str]) -> list[str]:
    """What the tokenizer has nothing for, each once: the first such words, else characters (the space between two words may
    be one), else the shortest run of words that fails; never nothing."""

    def fails(part: str) -> bool:
        try:
            tokenizer(part)
        except Exception:  # as above: that it fails is all that is asked
            return True
        return False

    for parts in ((word for text in texts for word in text.split()), (char for text in texts for char in text)):
        if found := list(islice(filter(fails, dict.fromkeys(parts)), _NAMED)):
            return found
    for text in texts:
        words = [match.span() for match in re.finditer(r"\S+", text)]
        if end := next((end for _, end in words if fails(text[:end])), 0):
            tails = (text[start:end] for start, _ in reversed(words) if start < end)
            return [next(filter(fails, tails), text[:end])]
    return list(texts)


def _named(part: str) -> str:
    """As a sentence quotes it; of what shows nothing between quotation marks the code points."""
    return " ".join(f"U+{ord(c):04X}" for c in part[:_NAMED]) if part.isspace() else visible(part, cut=True)


def guard(module: nn.Module, tokenizer: Any) -> None:
    """Have `module` say ForeignTokenizer, before it runs, for an id that its table of embeddings lacks.

    Whatever the ids come from (a text, a target, a training pair), they pass the table; a fault there has no words.
    """
    watched.check(tokenizer, getattr(tokenizer, "name_or_path", ""))
    try:
        table = module.get_input_embeddings()
    except NotImplementedError:  # a model without a table of tokens
        return

    def check(_module: nn.Module, inputs: tuple) -> None:
        ids = inputs[0] if inputs else None
        if isinstance(ids, Tensor) and not ids.is_floating_point() and ids.numel():
            check_ids(tokenizer, ids, rows)

    if isinstance(table, nn.Embedding):
        rows = table.num_embeddings
        # In an encoder–decoder each stack may read the one table through a module of its own.
        for same in module.modules():
            if isinstance(same, nn.Embedding) and (same is table or same.weight is table.weight):
                same.register_forward_pre_hook(check)


def check_ids(tokenizer: Any, ids: Tensor, rows: int) -> None:
    """Raises ForeignTokenizer where an id is none of a table of `rows`."""
    largest = int(ids.max())
    if largest >= rows:
        token = tokenizer.convert_ids_to_tokens([largest])[0] if tokenizer is not None else None
        raise ForeignTokenizer(token=visible(str(token), cut=True), got=largest, last=rows - 1)


def side(tokenizer: Any, ids: list[int], text: str = "", segments: tuple[int, ...] = ()) -> Side:
    """The tokens of one stack with what a person reads and which word each belongs to."""
    special, found = special_ids(tokenizer), tokenizer.convert_ids_to_tokens(ids)
    return Side(
        # A model's table may be longer than its tokenizer's, and what it writes may be of the rest.
        tokens=tuple(f"#{i}" if t is None else str(t) for i, t in zip(ids, found, strict=True)),
        ids=tuple(ids),
        special=tuple(i in special for i in ids),
        shown=tuple(readable(tokenizer, ids)),
        words=tuple(-1 if word is None else word for word in words(tokenizer, ids, text)),
        segments=segments if len(segments) == len(ids) else (),
    )


def vocabulary(tokenizer: Any) -> tuple[str, ...]:
    """What each id reads as."""
    return tuple(readable(tokenizer, list(range(len(tokenizer)))))


def ids_of(inputs: Mapping[str, Tensor], name: str) -> list[int]:
    """The token ids under `name`, without the batch axis."""
    return torch.as_tensor(inputs[name])[0].tolist()
