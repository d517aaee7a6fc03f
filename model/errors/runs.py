"""Errors of runs: memory, records, saved traces, foreign modules."""

from __future__ import annotations

from model.errors.base import HeadlightError


class UnknownSite(HeadlightError):
    code = "unknown_site"
    sentence = "“{site}” is not an attention site of this record: choose one of {allowed}."


class TraceFileError(HeadlightError):
    code = "trace_file"
    sentence = "The trace file {path} cannot be opened: {reason}."


class NewerTraceFile(TraceFileError):
    code = "newer_trace_file"
    sentence = "The trace file {path} has format {got}, and this Headlight reads up to {allowed}: update Headlight."


class TraceNotSaved(HeadlightError):
    code = "trace_not_saved"
    sentence = "The trace cannot be written to {path}: {reason}. Choose another place."


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


class TooLargeToTrain(HeadlightError):
    code = "too_large_to_train"
    sentence = (
        "This model has {got} parameters, and a training step is made with at most {allowed}: take a smaller one."
    )


class TrainingMode(HeadlightError):
    code = "training_mode"
    sentence = "{module} is in training mode, where dropout changes every run: call eval() on it first."


class OneExample(HeadlightError):
    code = "one_example"
    sentence = "{got} examples were given at once, and one is recorded at a time: give tensors with a batch of 1."


class NoAttention(HeadlightError):
    code = "no_attention"
    sentence = (
        "No attention was seen in {module}: what is recorded is nn.MultiheadAttention, scaled_dot_product_attention, and "
        "a softmax between two products of tensors (matmul, bmm, baddbmm or einsum)."
    )


class WeightsChanged(HeadlightError):
    code = "weights_changed"
    sentence = (
        "In {module} the weights are changed between the softmax and the values (by {operator}), so that no weight is what "
        "the values were mixed with: such attention is not recorded."
    )


class NoSoftmax(HeadlightError):
    code = "no_softmax"
    sentence = (
        "In {module} values are mixed by weights that are no softmax over the keys that they meet (a sigmoid, exponentials "
        "divided by another sum or later, linear attention): such attention is not recorded."
    )


class OtherScores(HeadlightError):
    code = "other_scores"
    sentence = (
        "In {module} the softmax reads scores that no product of matrices of queries and keys made (additive "
        "attention, pooling): such attention is not recorded."
    )


class MixedByCell(HeadlightError):
    code = "mixed_by_cell"
    sentence = (
        "In {module} each weight multiplies its value by itself, and a sum adds them up: write it as a product of matrices "
        "(weights @ values), which is recorded."
    )


class SharedOut(HeadlightError):
    code = "shared_out"
    sentence = (
        "In {module} the softmax shares each key out among the queries (over slots, as Slot Attention does), not the "
        "attention of each query among the keys: such attention is not recorded."
    )


class DropoutOn(HeadlightError):
    code = "dropout_on"
    sentence = (
        "In {module} dropout changes the weights although it is in evaluation mode: give dropout_p=0.0, or "
        "training=self.training, where it is called."
    )


class HiddenOperator(HeadlightError):
    code = "hidden_operator"
    sentence = (
        "{module} calls {operator}, whose inside is not shown to a recorder: call scaled_dot_product_attention there with "
        "a plain mask, or write the softmax out."
    )


class RecorderFailed(HeadlightError):
    code = "recorder_failed"
    sentence = (
        "Recording stopped at {operator} in {module} ({reason}): that is a fault of Headlight, not of the module."
    )


class AttentionLost(HeadlightError):
    code = "attention_lost"
    sentence = (
        "The attention of {module} cannot be followed: one softmax takes several products together, or scores or weights "
        "take axes apart or together that are neither heads, queries nor keys."
    )


class GroupsOnBatch(HeadlightError):
    code = "groups_on_batch"
    sentence = (
        "In {module} attention runs over {got} groups of positions apart (windows, or an axis of the input that lies on the "
        "batch axis), which no one list of tokens names: record one group alone (forward=…)."
    )


class CompiledModule(HeadlightError):
    code = "compiled_module"
    sentence = "{module} is compiled or scripted, which hides its operators: give the module as it was before that."


class TokensDoNotFit(HeadlightError):
    code = "tokens_do_not_fit"
    sentence = "{got} tokens were given for the {side}, which has {allowed} positions: give one token a position."


class UnknownDevice(HeadlightError):
    code = "unknown_device"
    sentence = "There is no device “{got}” on this computer: choose one of {allowed} (device=…, or HEADLIGHT_DEVICE)."


class OutOfMemory(TooLarge):
    code = "out_of_memory"
    sentence = "The memory of this computer ran out: take a shorter text, a smaller picture or a smaller model."
