"""`HeadlightError`, the base of every error that a person reads: what was got, what is allowed, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter

from model.errors.library_text import library_text

LONGEST = 300  # characters of a sentence: what is said of a file is never as long as its maker likes
_SHORTEST, _LISTED = 12, 60  # that a value, and a list of what is allowed, is cut to, however many there are
# Modules whose package has another name; and those of this project.
_PACKAGES = {"PIL": "pillow", "vl_convert": "vl-convert-python"}
_OWN = ("", "model", "viz", "pages")
_BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")


def shortened(text: str, most: int) -> str:
    """A text of at most `most` characters, its middle left out."""
    if len(text) <= most:
        return text
    head = (most - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def bounded(sentence: str, values: Mapping[str, object]) -> dict[str, str]:
    """The values of a sentence as texts of one line, the longest of them shortened until it has at most `LONGEST` characters."""
    named = [name for _, name, _, _ in Formatter().parse(sentence) if name]
    room = LONGEST - len(sentence.format_map(dict.fromkeys(named, "")))
    texts = {name: _BREAKS.sub(" ", _text(value)) for name, value in values.items()}
    over = sum(len(texts.get(name, "")) for name in named) - room
    if over > 0 and "allowed" in named:  # a list of what there is says less than what was got
        texts["allowed"] = shortened(texts["allowed"], max(_LISTED, len(texts["allowed"]) - over))
    most = max((len(texts[name]) for name in named if name in texts), default=0)
    while most > _SHORTEST and sum(min(len(texts.get(name, "")), most) for name in named) > room:
        most -= 1 + most // 64
    return {name: shortened(text, max(most, _SHORTEST)) if name in named else text for name, text in texts.items()}


def _text(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


class HeadlightError(ValueError):
    """Base of every error that a page shows as one sentence, of at most `LONGEST` characters; `values` are as they were given."""

    code = "error"
    sentence = "{reason}"

    def __init__(self, **values: object):
        self.values = values
        super().__init__(self.sentence.format(**bounded(self.sentence, values)))


class Stopped(HeadlightError):
    code = "stopped"
    sentence = "Stopped: nothing was changed."


class LacksPackage(HeadlightError):
    code = "lacks_package"
    sentence = "This needs the package {package}, which is not installed: {command}."

    @classmethod
    def of(cls, error: ModuleNotFoundError) -> LacksPackage | None:
        """The sentence for an import that failed; None where it is one of ours, which is a fault."""
        name = (error.name or "").partition(".")[0]
        package = _PACKAGES.get(name, name)
        return None if name in _OWN else cls(package=package, command=f"pip install {package}")


class Unexpected(HeadlightError):
    code = "unexpected"
    sentence = "The model gave up on this input ({reason}): nothing was changed. Try another input; the server's log says more."

    @classmethod
    def of(cls, error: BaseException) -> HeadlightError:
        """The sentence for what nobody foresaw, or for a package that is not installed."""
        if isinstance(error, ModuleNotFoundError) and (lacking := LacksPackage.of(error)) is not None:
            return lacking
        kind, told = type(error).__name__, library_text(error)
        return cls(reason=kind if told == kind else f"{kind}: {told}")
