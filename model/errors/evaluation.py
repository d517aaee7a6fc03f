"""Errors of evaluations."""

from __future__ import annotations

from model.errors.base import HeadlightError


class EvaluationFile(HeadlightError):
    code = "evaluation_file"
    sentence = "The evaluation {path} cannot be opened or written: {reason}."


class EvaluationNotWritten(HeadlightError):
    code = "evaluation_not_written"
    sentence = "The evaluation cannot be written to {path}: {reason}. Choose another place."


class EvaluationStopped(HeadlightError):
    code = "evaluation_stopped"
    sentence = "Stopped after {got} of {allowed} examples: the same command goes on from there."


class NothingScored(HeadlightError):
    code = "nothing_scored"
    sentence = "None of the {got} examples was scored; the first was refused: {reason}"


class LanguageNotSaid(HeadlightError):
    code = "language_not_said"
    sentence = "This model writes {got} languages: choose the one of the references (--language): {allowed}."


class NotTheSameFile(HeadlightError):
    code = "not_the_same_file"
    sentence = "The evaluations are of different examples ({got} and {allowed}): evaluate every model on the same file."


class FineTuneRefused(HeadlightError):
    code = "fine_tune_refused"
    sentence = "This cannot be fine-tuned here: {reason}."


class FineTuneNotSaved(HeadlightError):
    code = "fine_tune_not_saved"
    sentence = "The fine-tuned model cannot be written to {path}: {reason}. Choose another folder."
