"""Output languages of models that translate between many (mBART, M2M100, NLLB): which there are, and how one is asked for."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from model.errors import NotInThisModel, UnknownOption

# "fr_XX" (mBART) and "fra_Latn" (NLLB): how tokenizers that keep no table of languages write them.
_CODE = re.compile(r"[a-z]{2,3}_[A-Z][A-Za-z]{1,3}")
# A tokenizer is switched in place, and threads share it.
_switching = threading.RLock()


def languages(tokenizer: Any) -> tuple[str, ...]:
    """The codes of a tokenizer that marks languages, in its own order; () where it does not."""
    if not hasattr(tokenizer, "set_tgt_lang_special_tokens"):
        return ()
    for table in ("lang_code_to_token", "lang_code_to_id"):
        if codes := getattr(tokenizer, table, None):
            return tuple(codes)
    known = getattr(tokenizer, "extra_special_tokens", None) or getattr(tokenizer, "additional_special_tokens", None)
    return tuple(code for code in map(str, known or ()) if _CODE.fullmatch(code))


@contextmanager
def reading_as(tokenizer: Any, source: str | None = None, target: str | None = None) -> Iterator[None]:
    """The tokenizer set to read `source` and write `target`, alone with it, and set back afterwards.

    Raises UnknownOption for a language that it has not, NotInThisModel where it has none.
    """
    for code in (source, target):
        check(tokenizer, code)
    if not languages(tokenizer):
        yield
        return
    with _switching:
        before = tokenizer.src_lang, tokenizer.tgt_lang
        try:
            if source is not None:
                tokenizer.src_lang = source
            # Without a target language M2M100's tokenizer cannot read a target at all; mBART's takes the source's.
            tokenizer.tgt_lang = target or before[1] or tokenizer.src_lang
            yield
        finally:
            if source is not None:
                tokenizer.src_lang = before[0]
            tokenizer.tgt_lang = before[1]


def check(tokenizer: Any, code: str | None) -> None:
    """Raises UnknownOption for a language that is not among `languages`, NotInThisModel where there are none."""
    if code is None:
        return
    known = languages(tokenizer)
    if not known:
        raise NotInThisModel(what="A choice of language", does="has no languages to choose from")
    if code not in known:
        raise UnknownOption(what="Language", got=code, allowed=", ".join(known))


def opening(tokenizer: Any, target: str | None) -> dict[str, int]:
    """What makes the library's `generate` write `target`: its code as the first token after the start, or as the start.

    The tokenizer's own form of a target says which: mBART-50, M2M100 and NLLB write the code before the text; the first
    mBART puts it after the end, from where it moves to the start.
    """
    if target is None:
        return {}
    with reading_as(tokenizer, target=target):
        ids = tokenizer(text_target="a").input_ids
    number = code_id(tokenizer, target)
    return {"forced_bos_token_id" if ids[0] == number else "decoder_start_token_id": number}


def code_id(tokenizer: Any, code: str) -> int:
    """The token id of a language code."""
    tokens = getattr(tokenizer, "lang_code_to_token", None) or {}
    return int(tokenizer.convert_tokens_to_ids(tokens.get(code, code)))
