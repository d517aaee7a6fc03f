"""Which columns of a file hold the texts: by names that people give them, else the only two there are."""

from __future__ import annotations

from collections.abc import Sequence

from model.data_files.encoding import NoText

# Names of two columns that belong together, the first the source.
PAIRS = (
    ("source", "target"), ("src", "tgt"), ("src", "trg"), ("input", "output"), ("text", "target"), ("question", "answer"),
    ("prompt", "completion"), ("document", "summary"), ("source", "reference"),
)  # fmt: skip
ALONE = ("text", "sentence", "line", "content", "source")
_LANGUAGES = (
    "en", "fr", "zh", "de", "es", "it", "ja", "ko", "ru", "pt", "ar", "nl", "pl", "tr", "cs", "sv", "fi", "el", "he", "hi",
    "english", "french", "chinese", "german", "spanish", "italian", "japanese", "korean", "russian", "英语", "英文", "中文",
    "汉语", "法语", "français", "deutsch", "español",
)  # fmt: skip
_NAMES = {name for pair in PAIRS for name in pair} | set(ALONE) | {"id", "index", *_LANGUAGES}
_NAMED = 200  # characters of the columns that a sentence names


def is_header(cells: Sequence[str]) -> bool:
    """Whether a first row holds names of columns, every one of them known, and no texts."""
    return bool(cells) and all(cell.strip().lower() in _NAMES for cell in cells)


def chosen(there: Sequence[str], wanted: Sequence[str] = (), parallel: bool | None = None) -> tuple[str, ...]:
    """One or two of the columns `there`: those that are wanted, else a known pair, else the only two, else one of texts.

    parallel: whether two are asked for; None takes two where there are two. Raises NoText, which names the columns.
    """
    plain = {name.strip().lower(): name for name in there}
    if wanted:
        if missing := [name for name in wanted if name not in there]:
            raise NoText(f"it has no column “{missing[0]}” (its columns: {_told(there)})")
        return tuple(wanted)
    if parallel is not False:
        for pair in PAIRS:
            if all(name in plain for name in pair):
                return tuple(plain[name] for name in pair)
        if len(there) == 2 and not {"id", "index"} & set(plain):
            return tuple(there)
        languages = [name for name in there if name.strip().lower() in _LANGUAGES]
        if len(languages) == 2:
            return tuple(languages)
    if parallel is not True:
        for name in ALONE:
            if name in plain:
                return (plain[name],)
        if len(there) == 1:
            return tuple(there)
    what = "two columns “source” and “target”" if parallel is not False else "one column “text”"
    raise NoText(f"it has no {what} (its columns: {_told(there)})")


def _told(names: Sequence[str]) -> str:
    return (", ".join(map(str, names)) or "none")[:_NAMED]
