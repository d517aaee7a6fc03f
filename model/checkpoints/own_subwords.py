"""Subwords of a checkpoint of ours: its tokenizer.json, as the library `tokenizers` writes it, read and run with care."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from model.checkpoints.tokens import token_texts, watched
from model.checkpoints.tokens.encode import panicked
from model.errors import HalfCharacter, LacksPackage, TokenizerNotRun
from model.errors.library_text import library_text
from model.files.regular import text_of
from model.text.tokenizer import visible

FILE = "tokenizer.json"


@dataclass(frozen=True, eq=False)
class Subwords:
    """How texts are cut. `backend_tokenizer`: a `tokenizers.Tokenizer`; `name_or_path`: the folder that it is of."""

    backend_tokenizer: Any
    name_or_path: str

    def spell(self, text: str) -> list[tuple[str, int]]:
        """The tokens of a text, each with where it ends there. Raises HalfCharacter or TokenizerNotRun."""
        half = next((character for character in text if "\ud800" <= character <= "\udfff"), "")
        if half:
            raise HalfCharacter(got=visible(half))
        watched.before(self, (text,))
        try:
            found = self.backend_tokenizer.encode(text, add_special_tokens=False)
        except BaseException as error:  # the library has one kind of error for everything, and one for its own faults
            if not isinstance(error, Exception) and not panicked(error):
                raise
            raise TokenizerNotRun(path=self.name_or_path, reason=library_text(error)) from error
        return [(token, end) for token, (_, end) in zip(found.tokens, found.offsets, strict=True)]

    def readable(self, token: str) -> str:
        """How a token reads to a person; a special one as it stands."""
        return token if token in self.special else self._read(token)

    def write(self, folder: Path) -> None:
        """The same tokenizer.json for another checkpoint."""
        (folder / FILE).write_text(self.backend_tokenizer.to_str(), encoding="utf-8")

    @cached_property
    def _read(self) -> Any:
        return token_texts.reader(self.backend_tokenizer)

    @cached_property
    def special(self) -> frozenset[str]:
        """Tokens that stand for no text."""
        added = self.backend_tokenizer.get_added_tokens_decoder().values()
        return frozenset(token.content for token in added if token.special)

    @cached_property
    def known(self) -> frozenset[str]:
        """Every token that a text may be cut into."""
        return frozenset(self.backend_tokenizer.get_vocab(with_added_tokens=True))


def read(folder: Path) -> Subwords:
    """Raises ValueError in words, TokenizerNotRun, OSError, or LacksPackage."""
    path = folder / FILE
    if not path.is_file():
        raise ValueError(f"{FILE} is missing, and its vocabulary.json is of subwords")
    watched.check_files(folder)
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        raise LacksPackage.of(error) or error from error
    try:
        core = Tokenizer.from_str(text_of(path))
    except BaseException as error:
        if not isinstance(error, Exception) and not panicked(error):
            raise
        raise ValueError(f"its {FILE} is none of the library tokenizers: {library_text(error)}") from error
    core.no_padding()
    core.no_truncation()
    core.encode_special_tokens = True  # a text that spells one is a text: it was spelled so when the model was trained
    found = Subwords(core, str(folder))
    watched.check(found, folder)
    return found
