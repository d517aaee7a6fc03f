"""Errors of profiles over a corpus: the file of texts, and the result."""

from __future__ import annotations

from model.errors.base import HeadlightError


class TextsFile(HeadlightError):
    code = "texts_file"
    sentence = (
        "The texts {path} cannot be read: {reason}. Give one text a line, or a .jsonl, .csv or .parquet "
        "with a column “text”."
    )


class ProfileElsewhere(HeadlightError):
    code = "profile_elsewhere"
    sentence = "There is finished work of {what} at {path}: choose another {option}, or delete it to begin again."


class ProfileNotWritten(HeadlightError):
    code = "profile_not_written"
    sentence = "The profile cannot be written to {path}: {reason}. Choose another place."


class NothingMeasured(HeadlightError):
    code = "nothing_measured"
    sentence = "None of the {got} texts was measured, and nothing was written; the first was refused: {reason}"


class ProfileStopped(HeadlightError):
    code = "profile_stopped"
    sentence = "Stopped after {got} of {allowed} texts: the same command goes on from there."


class NeedsRay(HeadlightError):
    code = "needs_ray"
    sentence = 'Work on several machines needs Ray: install it with pip install "ray[data]", or leave --ray out.'


class RayFailed(HeadlightError):
    code = "ray_failed"
    sentence = "Ray gave up at {path} ({reason}): finished work is kept, and the same command goes on from there."


class NoProfile(HeadlightError):
    code = "no_profile"
    sentence = "There is no file at {path}: choose a profile that python -m model profile wrote."


class NotAProfile(HeadlightError):
    code = "not_a_profile"
    sentence = "{path} is not a profile: choose a .parquet that python -m model profile wrote."


class DamagedProfile(HeadlightError):
    code = "damaged_profile"
    sentence = "The profile {path} is damaged: make it again with the command python -m model profile."


class NewerProfile(HeadlightError):
    code = "newer_profile"
    sentence = "The profile {path} has format {got}, and this Headlight reads up to {allowed}: update Headlight."


class ProfileTooLarge(HeadlightError):
    code = "profile_too_large"
    sentence = (
        "The profile {path} has {got} rows, and a page opens at most {allowed}: measure fewer texts, or use pandas."
    )
