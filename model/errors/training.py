"""Errors of training: what is trained on, where it is written, what is gone on with, and its history."""

from __future__ import annotations

from model.errors.base import HeadlightError


class BadOption(HeadlightError):
    code = "bad_option"
    sentence = "The {what} is {got}, but it must be {allowed}."


class TooFewLines(HeadlightError):
    code = "too_few_lines"
    sentence = (
        "Of {path} lines left to train and test on: {got}, too few. Give a file of more lines, a running text as pieces "
        "(--piece), or raise --max-length."
    )


class DataChanged(HeadlightError):
    code = "data_changed"
    sentence = "The data of the training in {path} are not those that it began with: put them back, or start a new one."


class TrainingInterrupted(HeadlightError):
    code = "training_interrupted"
    sentence = "Training stopped at step {step} of {steps}; go on with --resume {path}"


class TrainingNotWritten(HeadlightError):
    code = "training_not_written"
    sentence = (
        "The training cannot be written to {path}: {reason}. The checkpoint of step {step} stays: make room or give "
        "permission there, then go on with --resume."
    )


class TrainingThere(HeadlightError):
    code = "training_there"
    sentence = "{path} holds a training that is not finished: go on with --resume {path}, or choose another folder."


class RunElsewhere(HeadlightError):
    code = "run_elsewhere"
    sentence = "The training in {path} does not lie in the lab's own folder {allowed}: delete its folder yourself."


class ModelThere(HeadlightError):
    code = "model_there"
    sentence = "{path} holds a model already: choose another folder with --out, or put the new one in its place with --replace."


class ModelNotWritten(HeadlightError):
    code = "model_not_written"
    sentence = "The model cannot be written to {path}: {reason}. Choose another folder with --out."


class NothingToResume(HeadlightError):
    code = "nothing_to_resume"
    sentence = "{path} holds no training to resume: give the folder that python -m model train wrote to."


class TrainingBusy(HeadlightError):
    code = "training_busy"
    sentence = "The training in {path} is running already: stop it first, or look at it."


class DamagedTraining(HeadlightError):
    code = "damaged_training"
    sentence = "The training in {path} cannot be resumed: {reason}. Start it again in another folder."


class Diverged(HeadlightError):
    code = "diverged"
    sentence = "The loss is no number any more at step {step}: start again with a lower --peak, or a longer --warmup."


class NoHistory(HeadlightError):
    code = "no_history"
    sentence = (
        "{path} holds no snapshots of a training: give a folder of python -m model train, or one that holds folders "
        "checkpoint-500, checkpoint-1000, …"
    )


class UnknownStep(HeadlightError):
    code = "unknown_step"
    sentence = "{path} has no snapshot of step {got}: choose one of {allowed}."
