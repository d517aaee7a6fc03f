"""Errors of checkpoints: models, their files, where they may lie."""

from __future__ import annotations

from model.errors.base import HeadlightError


class UnknownModel(HeadlightError):
    code = "unknown_model"
    sentence = "There is no model called “{name}”: choose one of {allowed}, or give a folder, or a .gguf file."


class NothingThere(UnknownModel):
    code = "nothing_there"
    sentence = "There is nothing at “{name}”: give the path of a checkpoint folder, a .gguf file or a saved trace."


class NotARegularFile(HeadlightError):
    code = "not_regular"
    sentence = "{path} is {kind}, not a regular file: give the path of a file or a folder."


class DamagedCheckpoint(HeadlightError):
    code = "damaged_checkpoint"
    sentence = "The checkpoint in {path} cannot be used: {reason}. Train it again or restore the folder."


class BadConfig(DamagedCheckpoint):
    code = "bad_config"
    sentence = "The {file} in {path} cannot be used: {reason}. Put the one there that came with these weights."


class NotOpened(DamagedCheckpoint):
    code = "not_opened"
    sentence = (
        "The installed transformers {version} does not open the checkpoint in {path}: {reason}. Copy the folder again; if it "
        "stays so, it is of another version of that library."
    )


class NotConverted(DamagedCheckpoint):
    code = "not_converted"
    sentence = (
        "The file {path} cannot be converted: {reason}. Give the same model as a folder with its config.json and "
        "safetensors."
    )


class MissingFile(DamagedCheckpoint):
    code = "missing_file"
    sentence = "The checkpoint in {path} lacks {files}: copy every file of the model."


class DamagedPackage(DamagedCheckpoint):
    code = "damaged_package"
    sentence = "The package in {path} cannot be used: {reason}. Install it again."


class UnsupportedFamily(HeadlightError):
    code = "unsupported_family"
    sentence = "The checkpoint in {path} is of the family “{family}”, {reason}. These open: {allowed}."


class MissingShard(DamagedCheckpoint):
    code = "missing_shard"
    sentence = "The checkpoint in {path} lacks {files}, which its index names: copy every file of the model."


class WeightsAlone(HeadlightError):
    code = "weights_alone"
    sentence = (
        "{path} is a {kind}, which holds tensors and not how a model is made of them: give a folder with its config.json and "
        "the weights as model.safetensors."
    )


class WeightsInFolder(WeightsAlone):
    code = "weights_in_folder"
    sentence = "{path} is one file of the model in its folder: give that folder, {folder}."


class AdapterAlone(HeadlightError):
    code = "adapter_alone"
    sentence = (
        "{path} holds an adapter ({kind}) of {base}, which is not on this computer: put that model's folder beside it, or give "
        "the model with the adapter merged into it."
    )


class AdapterRefused(HeadlightError):
    code = "adapter_refused"
    sentence = (
        "The adapter in {path} ({kind} of {base}) cannot be put into its model: {reason}. Take both from where they were "
        "trained, or give the model with the adapter merged into it."
    )


class Quantised(HeadlightError):
    code = "quantised"
    sentence = (
        "The weights in {path} are quantised ({kind}), which is not unpacked here: open the model that they were made "
        "from."
    )


class QuantisedFrom(Quantised):
    code = "quantised_from"
    sentence = (
        "The weights in {path} are quantised ({kind}), which is not unpacked here: open the model that they were made from, "
        "{base}."
    )


class SeveralCheckpoints(HeadlightError):
    code = "several_checkpoints"
    sentence = "{path} holds no checkpoint itself, but {allowed}: give one of these."


class NoWeights(DamagedCheckpoint):
    code = "no_weights"
    sentence = "The folder {path} has a config.json but no weights: put {allowed} beside it."


class OtherWeights(NoWeights):
    code = "other_weights"
    sentence = "In {path} lies {file}, {kind}, and nothing that is read: put the same model's {allowed} there."


class NotFinite(DamagedCheckpoint):
    code = "not_finite"
    sentence = (
        "{got} tensors of the checkpoint in {path} hold NaN or infinity ({names}), and no run of it can be checked: "
        "take the file that was saved before training diverged."
    )


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


class TokenizerNotRun(DamagedCheckpoint):
    code = "tokenizer_not_run"
    sentence = (
        "The tokenizer in {path} is not run: {reason}. Take shorter text, or put the tokenizer.json there that came with "
        "the model."
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


class NotByLink(NotHere):
    code = "not_by_link"
    sentence = (
        "The model “{name}” is not on this computer, and a link fetches none: "
        "type its name on the page Models to fetch it."
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


class NoCheckpoint(DamagedCheckpoint):
    code = "no_checkpoint"
    sentence = "{path} holds no checkpoint: give a folder with a config.json and the .safetensors that belong to it."


class ForeignTokenizer(DamagedCheckpoint):
    code = "foreign_tokenizer"
    sentence = (
        "The tokenizer gives “{token}” the id {got}, and the model has embeddings for the ids 0 to {last}: take the "
        "tokenizer and the weights from the same model."
    )


class NoTensors(DamagedCheckpoint):
    code = "no_tensors"
    sentence = "The file {path} holds no tensor: copy the model's weights again."


class PointerFile(DamagedCheckpoint):
    code = "pointer_file"
    sentence = "The file {path} is a pointer of Git LFS, not the weights: fetch them with “git lfs pull”."
