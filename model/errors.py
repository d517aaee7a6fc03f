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


class Stopped(HeadlightError):
    code = "stopped"
    sentence = "Stopped: nothing was changed."


class NoChatTemplate(HeadlightError):
    code = "no_chat_template"
    sentence = "The tokenizer of this model has no chat template: enter the text as plain text."


class NotInThisModel(HeadlightError):
    code = "not_in_this_model"
    sentence = "{what} is not something this model does: it {does}."


class MissingShard(DamagedCheckpoint):
    code = "missing_shard"
    sentence = "The checkpoint in {path} lacks {files}, which its index names: copy every file of the model."


class NoWeights(DamagedCheckpoint):
    code = "no_weights"
    sentence = "The folder {path} has a config.json but no weights: put {allowed} beside it."


class BadFile(DamagedCheckpoint):
    code = "bad_file"
    sentence = "The file {path} is truncated or not what its name says: copy it again."


class UnsafeWeights(DamagedCheckpoint):
    code = "unsafe_weights"
    sentence = "The file {path} holds more than tensors and is not read ({reason}): use the model's safetensors."


class WrongShape(DamagedCheckpoint):
    code = "wrong_shape"
    sentence = (
        "In the checkpoint in {path} the tensor {tensor} is {got}, but its config.json says {allowed}: "
        "take both from the same model."
    )


class NoTokenizer(DamagedCheckpoint):
    code = "no_tokenizer"
    sentence = (
        "The checkpoint in {path} has no tokenizer that opens: put its tokenizer.json and tokenizer_config.json there."
    )


class NoMatchingWeights(DamagedCheckpoint):
    code = "no_matching_weights"
    sentence = "None of the weights in {path} has a name that {model} knows ({got} …): take both from the same model."


class RemoteCode(UnsupportedFamily):
    code = "remote_code"
    sentence = (
        "The checkpoint in {path} is of the family “{family}”, which needs Python code of its own that is never run here. "
        "These open: {allowed}."
    )


class NotHere(UnknownModel):
    code = "not_here"
    sentence = (
        "The model “{name}” is not on this computer, and there is no internet connection to fetch it with. "
        "Here are {allowed}; or give a folder, or a .gguf file."
    )


class NotFetched(NotHere):
    code = "not_fetched"
    sentence = (
        "The model “{name}” is not on this computer, and none is fetched here. "
        "Here are {allowed}; or give a folder, or a .gguf file."
    )


class NotPublic(NotHere):
    code = "not_public"
    sentence = "The model hub has no public model “{name}”. On this computer are {allowed}."


class NotAllowed(HeadlightError):
    code = "not_allowed"
    sentence = "{path} lies outside the folders that this server may read: put the model into one of HEADLIGHT_MODELS."


class NeedsPackage(HeadlightError):
    code = "needs_package"
    sentence = "To open {path} the package {package} is needed: {command}."


class NoCache(HeadlightError):
    code = "no_cache"
    sentence = (
        "To open {path} something must be written to {folder}, and that fails ({reason}): set HEADLIGHT_CACHE to a "
        "folder with room."
    )


class TooLarge(HeadlightError):
    code = "too_large"
    sentence = (
        "The record of this run would take about {got} of memory, and {allowed} may be used: take a shorter text, "
        "or raise HEADLIGHT_MEMORY_LIMIT."
    )


class WeightsTooLarge(TooLarge):
    code = "weights_too_large"
    sentence = (
        "The weights would take about {got} of memory, and {allowed} may be used: take a smaller model, raise "
        "HEADLIGHT_MEMORY_LIMIT, or install accelerate, which leaves a part on disk."
    )


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


class TooLargeToTrain(HeadlightError):
    code = "too_large_to_train"
    sentence = (
        "This model has {got} parameters, and a training step is made with at most {allowed}: take a smaller one."
    )


class Unexpected(HeadlightError):
    code = "unexpected"
    sentence = "The model gave up on this input ({reason}): nothing was changed. Try another input; the server's log says more."


class NoCheckpoint(DamagedCheckpoint):
    code = "no_checkpoint"
    sentence = "{path} holds no checkpoint: give a folder with a config.json and the .safetensors that belong to it."
