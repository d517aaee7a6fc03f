"""The task of a model (masked, causal, classification …): of the library's from its class, of ours from its sizes."""

from __future__ import annotations

from collections.abc import Mapping

from model.checkpoints.disk.families import FAMILIES

TASKS = (
    "masked", "causal", "seq2seq", "classification", "tagging", "replaced", "question_answering", "next_sentence",
    "multiple_choice", "embedding",
)  # fmt: skip
_NAMED = {name: task for family in FAMILIES for name, task in family.tasks.items()}
_ENDINGS = (
    # Its generator's twin says of every token whether it was put in, as ELECTRA's does.
    ("replaced", ("FunnelForPreTraining",)),
    ("masked", ("ForMaskedLM", "ForPreTraining", "WithLMHeadModel")),
    ("seq2seq", ("ForConditionalGeneration", "MTModel", "EncoderDecoderModel")),
    ("causal", ("ForCausalLM", "LMHeadModel", "DoubleHeadsModel")),
    ("classification", ("ForSequenceClassification", "ForImageClassification")),
    ("tagging", ("ForTokenClassification", "ForAudioFrameClassification", "ForCTC")),
    ("question_answering", ("ForQuestionAnswering", "ForQuestionAnsweringSimple")),
    ("next_sentence", ("ForNextSentencePrediction",)),
    ("multiple_choice", ("ForMultipleChoice",)),
)


def task_of(class_name: str, both: bool = True) -> str:
    """`BertForMaskedLM` -> "masked"; a class without a head gives vectors: "embedding".

    "tagging" gives every token a label (CTC: every frame of a sound a character), "replaced" says of every token whether it
    was put in for another, "question_answering" finds the answer as a span of the text, "multiple_choice" scores one answer
    among several. both: whether the model has an encoder and a decoder; a decoder that is conditioned on pictures
    (`LlavaForConditionalGeneration`) continues its text like any other.
    """
    if class_name in _NAMED:
        return _NAMED[class_name]
    for task, endings in _ENDINGS:
        if class_name.endswith(endings):
            return task if both or task != "seq2seq" else "causal"
    return "embedding"


def has_head(class_name: str) -> bool:
    """Whether a class is more than a backbone, by its name: BertForMaskedLM and GPT2LMHeadModel, not BertModel."""
    return "Head" in class_name or not class_name.endswith(("Model", "Encoder", "Decoder"))


def own_task(sizes: Mapping[str, object]) -> str:
    """What a Transformer of ours does, by its sizes alone: "seq2seq", "causal" (no encoder layers) or "masked" (no decoder
    layers). sizes: its config.json."""
    if sizes.get("encoder_layers") == 0:
        return "causal"
    return "masked" if sizes.get("decoder_layers") == 0 else "seq2seq"
