"""`HeadlightError`, the base of every error that a person reads: what was got, what is allowed, what to do."""

from __future__ import annotations

from model.errors.library_text import library_text


class HeadlightError(ValueError):
    """Base of every error that a page shows as one sentence."""

    code = "error"
    sentence = "{reason}"

    def __init__(self, **values: object):
        self.values = values
        super().__init__(self.sentence.format(**values))


class Stopped(HeadlightError):
    code = "stopped"
    sentence = "Stopped: nothing was changed."


class Unexpected(HeadlightError):
    code = "unexpected"
    sentence = "The model gave up on this input ({reason}): nothing was changed. Try another input; the server's log says more."

    @classmethod
    def of(cls, error: BaseException) -> Unexpected:
        """The sentence for what nobody foresaw."""
        kind, told = type(error).__name__, library_text(error)
        return cls(reason=kind if told == kind else f"{kind}: {told}")
