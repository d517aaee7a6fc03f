"""Errors meant for people: what was got, what is allowed, what to do.

Each carries a `code` and its `values`, so that the app can say the same sentence in another language; `str(error)` is
the English one.
"""

from __future__ import annotations


class HeadlightError(ValueError):
    """Base of every error that a page shows as one sentence."""

    code = "error"
    sentence = "{reason}"

    def __init__(self, **values: object):
        self.values = values
        super().__init__(self.sentence.format(**values))


class EmptyText(HeadlightError):
    code = "empty_text"
    sentence = "The text is empty: type at least one word."


class TextTooLong(HeadlightError):
    code = "text_too_long"
    sentence = "The text has {got} tokens, and this model reads at most {allowed}: shorten it."


class UnknownWords(HeadlightError):
    """`unknown` is a list of (word, nearest known words); the sentence is left as it was typed."""

    code = "unknown_words"
    sentence = "This model does not know {words}. {hint}"

    def __init__(self, unknown: list[tuple[str, list[str]]], side: str = "source"):
        words = ", ".join(f"“{word}”" for word, _ in unknown)
        near = [f"“{word}”: {', '.join(nearest)}" for word, nearest in unknown if nearest]
        hint = "Nearest known words: " + "; ".join(near) + "." if near else "Use words of its vocabulary."
        super().__init__(words=words, hint=hint, unknown=unknown, side=side)


class UnknownModel(HeadlightError):
    code = "unknown_model"
    sentence = (
        "There is no model called “{name}”: choose one of {allowed}, or give the folder of a Headlight checkpoint."
    )


class DamagedCheckpoint(HeadlightError):
    code = "damaged_checkpoint"
    sentence = "The checkpoint in {path} cannot be used: {reason}. Train it again or restore the folder."


class UnsupportedFamily(HeadlightError):
    code = "unsupported_family"
    sentence = "The checkpoint in {path} is of the family “{family}”, {reason}. These open: {allowed}."


class UnknownSite(HeadlightError):
    code = "unknown_site"
    sentence = "“{site}” is not an attention site of this record: choose one of {allowed}."


class OutOfRange(HeadlightError):
    code = "out_of_range"
    sentence = "{what} {got} is out of range: choose 0 to {last}."


class UnknownOption(HeadlightError):
    code = "unknown_option"
    sentence = "{what} “{got}” is not known: choose one of {allowed}."


class TraceFileError(HeadlightError):
    code = "trace_file"
    sentence = "The trace file {path} cannot be opened: {reason}."


class NewerTraceFile(TraceFileError):
    code = "newer_trace_file"
    sentence = "The trace file {path} has format {got}, and this Headlight reads up to {allowed}: update Headlight."


class TraceNotSaved(HeadlightError):
    code = "trace_not_saved"
    sentence = "The trace cannot be written to {path}: {reason}. Choose another place."
