"""Errors in a person's input: texts, pictures, sounds, choices."""

from __future__ import annotations

from model.errors.base import HeadlightError


class EmptyText(HeadlightError):
    code = "empty_text"
    sentence = "The text is empty: type at least one word."


class TextTooLong(HeadlightError):
    code = "text_too_long"
    sentence = "The text has {got} tokens, and this model reads at most {allowed}: shorten it."


class UnknownWords(HeadlightError):
    """`unknown` is a list of (word, nearest known words); the sentence is left as it was typed. kind: "words" or "characters"."""

    code = "unknown_words"
    sentence = "This model does not know {words}. {hint}"

    def __init__(self, unknown: list[tuple[str, list[str]]], side: str = "source", kind: str = "words"):
        words = ", ".join(f"“{word}”" for word, _ in unknown)
        near = [f"“{word}”: {', '.join(nearest)}" for word, nearest in unknown if nearest]
        hint = "Nearest known words: " + "; ".join(near) + "." if near else f"Use {kind} of its vocabulary."
        super().__init__(words=words, hint=hint, unknown=unknown, side=side, kind=kind)


class NoChatTemplate(HeadlightError):
    code = "no_chat_template"
    sentence = "The tokenizer of this model has no chat template: enter the text as plain text."


class NotInThisModel(HeadlightError):
    code = "not_in_this_model"
    sentence = "{what} is not something this model does: it {does}."


class NotRun(HeadlightError):
    code = "not_run"
    sentence = "The library does not run this model on this input: {reason}. Try another one."


class NoEndToken(NotRun):
    code = "no_end_token"
    sentence = "This model reads its answer where the end token {token} stands, and this text has none: write {token} at its end."


class OutOfRange(HeadlightError):
    code = "out_of_range"
    sentence = "{what} {got} is out of range: choose 0 to {last}."

    @classmethod
    def check(cls, what: str, got: int, last: int) -> int:
        """`got`, which is one of 0 … `last`. Raises OutOfRange."""
        if not 0 <= got <= last:
            raise cls(what=what, got=got, last=last)
        return got


class UnknownOption(HeadlightError):
    code = "unknown_option"
    sentence = "{what} “{got}” is not known: choose one of {allowed}."


class UnreadablePicture(HeadlightError):
    code = "unreadable_picture"
    sentence = "The picture {name} cannot be read ({reason}): give a PNG, JPEG, WebP, GIF or BMP file."


class PictureTooLarge(HeadlightError):
    code = "picture_too_large"
    sentence = "The picture {name} has {got} million pixels, and at most {allowed} million are read: make it smaller."


class UnreadableSound(HeadlightError):
    code = "unreadable_sound"
    sentence = (
        "The sound {name} cannot be read ({reason}): give a WAV file of whole numbers (8 to 32 bit) or 32-bit floats."
    )


class SoundTooLong(HeadlightError):
    code = "sound_too_long"
    sentence = "The sound is {got} s long, and at most {allowed} s are read: cut it."


class NotHandedIn(HeadlightError):
    code = "not_handed_in"
    sentence = "The picture or sound of this link is not here any more: choose the file again."


class NotText(HeadlightError):
    code = "not_text"
    sentence = "The file {name} is not a text in UTF-8: save it as UTF-8 and choose it again."


class ChatTemplateFailed(HeadlightError):
    code = "chat_template_failed"
    sentence = (
        "The chat template of this model refuses these turns ({reason}): one line a turn, the user's first; or enter the "
        "text as plain text."
    )


class HalfCharacter(HeadlightError):
    code = "half_character"
    sentence = "The text holds {got}, half of a character that stands for nothing alone: type that place again."


class NoTokens(HeadlightError):
    code = "no_tokens"
    sentence = (
        "The tokenizer of this model makes no token of this text, which holds nothing it knows: type other words."
    )
